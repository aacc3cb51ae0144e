//! Freed memory: an allocator's list links where values were.

use super::{Blame, Class, Finding, Sample};
use crate::model::Site;

pub(super) struct HeapPointer;

/// Upper halves of user-space addresses of position-independent programs and of mapped memory on
/// 64-bit Linux, macOS and Windows: 0x0000_0001_… to 0x0000_7fff_…. Read as a float, a denormal.
const UPPER: std::ops::RangeInclusive<u32> = 0x0000_0001..=0x0000_7fff;

/// Where an allocator writes into a freed block: forward link, backward link (or key), and the
/// next block's size, in pairs of 32-bit words from the block's start (glibc malloc).
const LINKS: [usize; 2] = [0, 2];
const NEXT_SIZE: [usize; 2] = [8, 9];

impl Class for HeapPointer {
    fn id(&self) -> &'static str {
        "heap-pointer"
    }

    fn glyph(&self) -> char {
        'P'
    }

    fn blame(&self) -> Blame {
        Blame::Instrument
    }

    fn explain(&self) -> &'static str {
        "The first values are not numbers but addresses. When a block is freed, the allocator writes the \
         links of its free list over the first 16 bytes: channels 0 and 2 become the low halves of pointers \
         (any float at all, often around ±1e18), channels 1 and 3 their high halves, which are denormals and \
         print as 0.000000. The engine is right; the logger printed a buffer after it was freed, typically \
         from an atexit handler that runs after the destructors. Write records when they are taken, or keep \
         the buffers until they are written."
    }

    fn check(&self, sample: &Sample<'_>) -> Option<Finding> {
        if sample.tensor.exact { by_bits(self, sample) } else { by_text(self, sample) }
    }
}

/// With every bit at hand: pairs whose upper word is that of an address.
fn by_bits(class: &HeapPointer, sample: &Sample<'_>) -> Option<Finding> {
    // Probabilities underflow to denormals honestly; everywhere else they are rare.
    if sample.profile.denormal == 0 || sample.checkpoint.site() == Site::KqSoftMax {
        return None;
    }
    let values = sample.values();
    let is_address = |pair: &[f32; 2]| UPPER.contains(&pair[1].to_bits()) && !pair[0].is_subnormal();
    let pairs = values.as_chunks::<2>().0;
    let addresses: Vec<usize> =
        pairs.iter().enumerate().filter(|(_, p)| is_address(p)).map(|(i, _)| i).collect();
    let first = *addresses.first()?;
    let at_start = first == 0 || first == 1;
    // Integers read as floats have denormals everywhere; a freed block has them at its links only.
    let elsewhere = sample.profile.denormal as usize - addresses.len().min(sample.profile.denormal as usize);
    if elsewhere > 4 || (!at_start && addresses.len() < 2) {
        return None;
    }
    let pair = &pairs[first];
    let address = u64::from(pair[1].to_bits()) << 32 | u64::from(pair[0].to_bits());
    let confidence = if at_start || addresses.len() > 2 { 0.97 } else { 0.7 };
    let mut finding = sample.whole(
        class,
        confidence,
        format!(
            "channels {} and {} together are the address 0x{address:012x}; {} such pair{} in the row",
            2 * first,
            2 * first + 1,
            addresses.len(),
            if addresses.len() == 1 { "" } else { "s" }
        ),
    );
    (finding.first_channel, finding.count) = (2 * first as u32, 2 * addresses.len() as u32);
    Some(finding)
}

/// A value this many times smaller than the row's smallest or larger than its largest is no value
/// of that row.
const IMPLAUSIBLE: f64 = 50.0;

/// As six decimals: exact zeros where the upper halves would be, and nowhere else.
fn by_text(class: &HeapPointer, sample: &Sample<'_>) -> Option<Finding> {
    let values = sample.values();
    if values.len() < 6 || sample.profile.zero == 0 || sample.checkpoint.site() == Site::KqSoftMax {
        return None;
    }
    let linked = LINKS.map(|low| values[low + 1] == 0.0);
    let inside =
        |i: usize| (i < 2 && linked[0]) || ((2..4).contains(&i) && linked[1]) || NEXT_SIZE.contains(&i);
    let zeros_elsewhere = values.iter().enumerate().any(|(i, &x)| x == 0.0 && !inside(i));
    if !linked[0] || zeros_elsewhere {
        return None;
    }
    let rest: Vec<f64> = (0..values.len())
        .filter(|&i| i > 3 && !inside(i) && values[i].is_finite())
        .map(|i| f64::from(values[i]))
        .collect();
    let rms = (rest.iter().map(|x| x * x).sum::<f64>() / rest.len().max(1) as f64).sqrt() as f32;
    if rest.len() < 4 || rms == 0.0 {
        return None;
    }
    // Against the row's own spread, so that heavy tails excuse themselves.
    let (least, most) = rest.iter().fold((f64::MAX, 0.0_f64), |(l, m), x| (l.min(x.abs()), m.max(x.abs())));
    let odd = |x: f32| !(least / IMPLAUSIBLE..=most * IMPLAUSIBLE).contains(&f64::from(x.abs()));
    let lows: Vec<f32> = (0..2).filter(|&i| linked[i]).map(|i| values[LINKS[i]]).collect();
    // Two lows of zero are four zeros in front: tokens that are never predicted look like that.
    if lows.iter().all(|&x| x == 0.0) {
        return None;
    }
    let implausible = lows.iter().filter(|&&x| odd(x)).count();
    let confidence = match implausible {
        0 => return None,
        1 => 0.93,
        _ => 0.97,
    };
    let zeros: Vec<&str> = if linked[1] { vec!["1", "3"] } else { vec!["1"] };
    let shown: Vec<String> = lows.iter().map(|x| format!("{x:e}")).collect();
    let mut finding = sample.whole(
        class,
        confidence,
        format!(
            "exact zeros in channel {} and nowhere else, beside {}, where the other values are around {rms:.3}: \
             the halves of addresses that an allocator writes into a freed block",
            zeros.join(" and "),
            shown.join(" and ")
        ),
    );
    finding.count = 2 * lows.len() as u32;
    Some(finding)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{classes, tensor};
    use super::super::{Sample, inspect};
    use crate::compare::testing::Noise;
    use crate::trace::Tensor;

    /// A row of logits over which a freed block's links were written.
    fn freed(noise: &mut Noise, n: usize, links: usize) -> Vec<f32> {
        let mut row = noise.row(n);
        for link in 0..links {
            // As on 64-bit Linux: 0x55.. to 0x7f.. above, anything below, aligned to 16.
            let address = (0x5500 + noise.bits() % 0x2aff) << 32 | (noise.bits() & 0xffff_fff0);
            row[2 * link] = f32::from_bits(address as u32);
            row[2 * link + 1] = f32::from_bits((address >> 32) as u32);
        }
        row
    }

    #[test]
    fn addresses_in_bits_are_found_whatever_their_low_half_is() {
        let mut noise = Noise::new(3);
        let mut found = 0;
        for i in 0..1000 {
            let row = tensor(freed(&mut noise, 10 + i % 90, 1 + i % 2));
            found += usize::from(classes("result_output", &row).contains(&"heap-pointer"));
        }
        // A low half that is itself a denormal hides the pair: below 1 in 200 of random addresses.
        assert!(found >= 985, "{found}");
    }

    #[test]
    fn six_decimals_show_it_too() {
        let mut noise = Noise::new(4);
        let (mut found, rows) = (0, 500);
        for _ in 0..rows {
            let values: Vec<f32> =
                freed(&mut noise, 10, 2).iter().map(|x| format!("{x:.6}").parse().unwrap()).collect();
            let row = Tensor { shape: vec![151_936], values, exact: false };
            let at = "result_output".parse().unwrap();
            found += usize::from(inspect(&Sample::new(at, &row)).iter().any(|f| f.class == "heap-pointer"));
        }
        // A row hides when both low halves print as zero or look like logits: the exponent's range
        // makes both vanish in about a quarter of random addresses.
        assert!(found * 2 > rows, "{found} of {rows}");
    }

    #[test]
    fn tokens_that_are_never_predicted_are_not_freed_memory() {
        let mut noise = Noise::new(5);
        for front in [[0.0; 4], [-20.0; 4], [0.0, 0.0, -1.5, 0.3], [-0.7, 0.0, 0.2, 1.0]] {
            let mut row = noise.row(10);
            row[..4].copy_from_slice(&front);
            for exact in [true, false] {
                let t = Tensor { shape: vec![10], values: row.clone(), exact };
                assert!(classes("result_output", &t).is_empty(), "{front:?}");
            }
        }
    }
}
