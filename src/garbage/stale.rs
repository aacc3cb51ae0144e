//! Tensors that repeat an earlier one bit for bit.

use super::{Blame, Class, Finding, Sample};

pub(super) struct Stale;

impl Class for Stale {
    fn id(&self) -> &'static str {
        "stale"
    }

    fn glyph(&self) -> char {
        'R'
    }

    fn blame(&self) -> Blame {
        Blame::Instrument
    }

    fn explain(&self) -> &'static str {
        "The row repeats, bit for bit, what the same checkpoint had at an earlier position, or what another \
         layer has. Two positions never compute the same bits, so a buffer was recorded that had not been \
         written again: a dump under graph capture, a copy queued before the kernel, logits of another index \
         of the batch. What depends on the token alone may repeat and is not reported for equal tokens."
    }

    fn check(&self, sample: &Sample<'_>) -> Option<Finding> {
        let repeat = sample.repeats?;
        let n = sample.values().len();
        // A constant row says nothing about where it comes from, and has classes of its own.
        if sample.profile.same_as_first as usize == n || sample.profile.zero as usize * 2 > n {
            return None;
        }
        // Equal tokens after equal prefixes may, rarely, compute equal bits.
        let confidence = match repeat.same_token {
            Some(false) => 0.97,
            None => 0.8,
            Some(true) => 0.5,
        };
        let where_from = if repeat.checkpoint == sample.checkpoint {
            format!("position {}", repeat.position)
        } else {
            format!("{} at position {}", repeat.checkpoint, repeat.position)
        };
        Some(sample.whole(self, confidence, format!("all {n} values repeat {where_from} bit for bit")))
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::tensor;
    use super::super::{Repeat, Sample, inspect};

    #[test]
    fn a_repeat_is_reported_unless_the_row_is_constant() {
        let at = "l_out-2".parse().unwrap();
        let repeats = Some(Repeat { checkpoint: at, position: 3, same_token: Some(false) });
        let row = tensor((0..32).map(|i| i as f32 + 0.5).collect());
        let found = inspect(&Sample { repeats, ..Sample::new(at, &row) });
        assert_eq!(found.iter().map(|f| f.class).collect::<Vec<_>>(), ["stale"]);
        assert!(found[0].evidence.contains("position 3"));
        let row = tensor(vec![0.0; 32]);
        let found = inspect(&Sample { repeats, ..Sample::new(at, &row) });
        assert_eq!(found.iter().map(|f| f.class).collect::<Vec<_>>(), ["all-zero"]);
    }
}
