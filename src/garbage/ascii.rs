//! Text where values were: memory that somebody else uses by now.

use super::{Blame, Class, Finding, Sample};
use crate::text::safe_short;

pub(super) struct TextBytes;

/// Words in a row that read as text: twelve characters or more. Of random values one in forty does.
const RUN: usize = 4;

/// Above this, six decimals give all bits back: neighbours of f32 are 1e-6 apart there.
const RECOVERABLE: f32 = 16.0;

pub(super) const ID: &str = "text";

impl Class for TextBytes {
    fn id(&self) -> &'static str {
        ID
    }

    fn glyph(&self) -> char {
        'T'
    }

    fn blame(&self) -> Blame {
        Blame::Instrument
    }

    fn explain(&self) -> &'static str {
        "Neighbouring values, byte by byte, are printable text; lower-case letters read as floats are around 1e22. \
         The memory was given back and holds a string by now: a log line, a path, a piece of JSON. The engine \
         is right; the logger printed memory that it did not own any more. Write records when they are taken, or \
         keep the buffers until they are written."
    }

    fn check(&self, sample: &Sample<'_>) -> Option<Finding> {
        // Nearly every word of text has a lower-case letter on top.
        if sample.profile.huge < 2 {
            return None;
        }
        let exact = sample.tensor.exact;
        let reads = |x: f32| is_text(x.to_bits()) && (exact || x >= RECOVERABLE);
        // Digits, spaces and signs on top make values that six decimals do not show.
        let may_be = |x: f32| reads(x) || (!exact && x == 0.0);
        let values = sample.values();
        let mut best: Option<(usize, usize)> = None;
        let mut start = 0;
        while start < values.len() {
            let length = values[start..].iter().take_while(|x| may_be(**x)).count();
            let run = &values[start..start + length];
            let sure = run.iter().filter(|x| reads(**x)).count();
            let huge = run.iter().filter(|x| x.abs() >= super::profile::HUGE).count();
            if sure >= RUN && huge >= 2 && best.is_none_or(|(_, n)| length > n) {
                best = Some((start, length));
            }
            start += length + 1;
        }
        let (start, length) = best?;
        let shown: Vec<u8> = values[start..start + length]
            .iter()
            .flat_map(|x| if *x == 0.0 { *b"????" } else { x.to_bits().to_le_bytes() })
            .collect();
        let mut finding = sample.whole(
            self,
            0.97,
            format!(
                "{length} values from channel {start} read as text: ‘{}’",
                safe_short(&String::from_utf8_lossy(&shown), 40)
            ),
        );
        (finding.first_channel, finding.count) = (start as u32, length as u32);
        Some(finding)
    }
}

/// Whether all four bytes are printable ASCII.
fn is_text(bits: u32) -> bool {
    bits.to_le_bytes().iter().all(|b| (0x20..0x7f).contains(b) || matches!(b, b'\n' | b'\t'))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{classes, tensor};
    use crate::testing::Noise;

    #[test]
    fn a_string_is_found_in_bits_and_in_decimals() {
        let mut row = Noise::new(1).row(40);
        let text = b"{\"checkpoint\":\"logits\",\"token_idx\": ";
        for (x, bytes) in row.iter_mut().zip(text.as_chunks::<4>().0) {
            *x = f32::from_le_bytes(*bytes);
        }
        assert!(classes("result_output", &tensor(row.clone())).contains(&"text"));
        let mut printed = tensor(row.iter().map(|x| format!("{x:.6}").parse().unwrap()).collect());
        printed.exact = false;
        assert!(classes("result_output", &printed).contains(&"text"));
    }
}
