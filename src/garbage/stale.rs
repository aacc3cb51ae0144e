//! Tensors that repeat an earlier one bit for bit.

use super::{Blame, Class, Finding, Look, Repeat, Sample};

pub(super) struct Stale;

/// Its id.
pub const ID: &str = "stale";

impl Class for Stale {
    fn id(&self) -> &'static str {
        ID
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
         of the batch. What depends on the token alone may repeat and is not reported for equal tokens. An \
         engine that reads a stale input repeats its result, too, and goes on with it: where what follows was \
         computed from the row, a comparison does not blame the recorder."
    }

    /// One row does not tell; see [`finding`].
    fn check(&self, _: &Sample<'_>) -> Option<Finding> {
        None
    }
}

/// The finding for a row that repeats an earlier one.
pub(super) fn finding(look: &Look, repeat: &Repeat) -> Option<Finding> {
    let n = look.len;
    // A constant row says nothing about where it comes from, and has classes of its own.
    if look.profile.same_as_first as usize == n || look.profile.zero as usize * 2 > n {
        return None;
    }
    // Equal tokens after equal prefixes may, rarely, compute equal bits.
    let confidence = match repeat.same_token {
        Some(false) => 0.97,
        None => 0.8,
        Some(true) => 0.5,
    };
    let where_from = if repeat.checkpoint == look.checkpoint {
        format!("position {}", repeat.position)
    } else {
        format!("{} at position {}", repeat.checkpoint, repeat.position)
    };
    Some(Finding {
        class: Stale.id(),
        glyph: Stale.glyph(),
        blame: Stale.blame(),
        checkpoint: look.checkpoint,
        first_channel: 0,
        count: n as u32,
        confidence,
        evidence: format!("all {n} values repeat {where_from} bit for bit"),
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::tensor;
    use super::super::{Look, Sample, Watch, inspect};

    #[test]
    fn a_repeat_is_reported_unless_the_row_is_constant() {
        let at = "l_out-2".parse().unwrap();
        let second = |values: Vec<f32>| {
            let row = tensor(values);
            let sample = Sample::new(at, &row);
            let mut watch = Watch::default();
            let mut found = Vec::new();
            for position in [3, 4] {
                found = inspect(&sample);
                watch.observe(&Look::of(&sample), position, &mut found, Some);
            }
            found
        };
        let found = second((0..32).map(|i| i as f32 + 0.5).collect());
        assert_eq!(found.iter().map(|f| f.class).collect::<Vec<_>>(), ["stale"]);
        assert!(found[0].evidence.contains("position 3"));
        let found = second(vec![0.0; 32]);
        assert_eq!(found.iter().map(|f| f.class).collect::<Vec<_>>(), ["all-zero"]);
    }
}
