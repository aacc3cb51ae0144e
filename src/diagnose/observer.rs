//! Does looking change what is seen? A run with taps held against one without, bit for bit.

use crate::model::Checkpoint;
use crate::trace::{Store, Tensor};

/// The logits of one side's run, with taps and without.
#[derive(Clone, Debug, PartialEq)]
pub struct Observed {
    /// `reference` or `candidate`.
    pub role: &'static str,
    /// Positions at which both are there.
    pub positions: usize,
    /// Positions at which they differ.
    pub differing: Vec<u32>,
    /// The first value that differs: position, token id, recorded, handed out without taps.
    pub first: Option<(u32, usize, f32, f32)>,
    /// Largest distance of two rows, as a share of the untapped one's norm.
    pub worst: f64,
    /// Where it was made once more with the same taps and differs from itself, too: positions at which it does.
    pub again: Option<Vec<u32>>,
}

impl Observed {
    /// Whether the logits are the same, bit for bit.
    pub fn is_same(&self) -> bool {
        self.differing.is_empty()
    }

    /// Takes in the same run made once more with the same taps: what differs then is no effect of looking.
    #[must_use]
    pub fn with_again(mut self, recorded: &Store, again: &Store) -> Self {
        self.again = observe(self.role, recorded, again).filter(|o| !o.is_same()).map(|o| o.differing);
        self
    }
}

/// Holds what was recorded against the logits of the same run without taps. `None` where they have no
/// position in common.
pub fn observe(role: &'static str, recorded: &Store, untapped: &Store) -> Option<Observed> {
    let mut seen =
        Observed { role, positions: 0, differing: Vec::new(), first: None, worst: 0.0, again: None };
    let (mut a, mut b) = (Tensor::default(), Tensor::default());
    for position in untapped.positions() {
        let read = |store: &Store, row: &mut Tensor| {
            matches!(store.read(position, Checkpoint::LOGITS, row), Ok(true)) && !row.values.is_empty()
        };
        if !read(recorded, &mut a) || !read(untapped, &mut b) {
            continue;
        }
        seen.positions += 1;
        // A part or a padded row is a note of its own; what both have is what counts here.
        let pairs = || a.values.iter().zip(&b.values).enumerate();
        let Some((token, (with, without))) = pairs().find(|(_, (a, b))| a.to_bits() != b.to_bits()) else {
            continue;
        };
        seen.differing.push(position);
        seen.first.get_or_insert((position, token, *with, *without));
        let norm = |values: &mut dyn Iterator<Item = f64>| values.map(|x| x * x).sum::<f64>().sqrt();
        let apart = norm(&mut pairs().map(|(_, (a, b))| f64::from(*a) - f64::from(*b)));
        let share = apart / norm(&mut b.values.iter().map(|b| f64::from(*b)));
        // NaN is farther than anything.
        if !(share <= seen.worst) {
            seen.worst = share;
        }
    }
    (seen.positions > 0).then_some(seen)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::{Header, TraceWriter};

    fn run(folder: &std::path::Path, name: &str, rows: &[&[f32]]) -> Store {
        let path = folder.join(name);
        let mut writer = TraceWriter::create(&path, &Header::default()).unwrap();
        for (position, row) in rows.iter().enumerate() {
            let shape = [row.len() as u32];
            writer.tensor(position as u32, Checkpoint::LOGITS, None, "", &shape, row).unwrap();
        }
        writer.end().unwrap();
        Store::load(&path).unwrap()
    }

    #[test]
    fn one_bit_is_a_difference_and_nan_is_like_itself() {
        let folder = tempfile::tempdir().unwrap();
        let plain = run(folder.path(), "a.jsonl", &[&[1.0, f32::NAN], &[3.0, 4.0]]);
        let same = observe("candidate", &plain, &plain).unwrap();
        assert!(same.is_same() && same.positions == 2);
        let other = f32::from_bits(4.0f32.to_bits() + 1);
        let moved = run(folder.path(), "b.jsonl", &[&[1.0, f32::NAN], &[3.0, other]]);
        let seen = observe("candidate", &moved, &plain).unwrap();
        assert_eq!((seen.differing, seen.first), (vec![1], Some((1, 1, other, 4.0))));
        assert!(seen.worst > 0.0 && seen.worst < 1e-6);
        assert_eq!(observe("reference", &plain, &run(folder.path(), "c.jsonl", &[])), None);
        // A third run tells an effect of looking from an engine that never does the same.
        let seen =
            |again| observe("candidate", &moved, &plain).map(|seen| seen.with_again(&moved, again).again);
        assert_eq!((seen(&moved), seen(&plain)), (Some(None), Some(Some(vec![1]))));
    }
}
