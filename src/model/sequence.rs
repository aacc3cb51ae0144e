//! Checkpoints in order of execution, kept once for all positions that have the same ones.

use std::ops::Deref;
use std::sync::Arc;

use super::Checkpoint;

/// Where the entry of a checkpoint is among entries in order of execution, or where it belongs.
pub fn place<T>(all: &[T], checkpoint: Checkpoint, of: impl Fn(&T) -> Checkpoint) -> Result<usize, usize> {
    // What is recorded comes in this order, so it is nearly always the end.
    if all.last().is_none_or(|last| of(last) < checkpoint) {
        return Err(all.len());
    }
    all.binary_search_by_key(&checkpoint, of)
}

/// Some checkpoints in order of execution. Copies share them.
#[derive(Clone, Debug, Default)]
pub struct Sequence(Arc<[Checkpoint]>);

impl Sequence {
    /// The sequence of `own`: this one where they are the same, else one that takes its place.
    #[must_use]
    pub fn share(&mut self, own: impl ExactSizeIterator<Item = Checkpoint> + Clone) -> Self {
        if self.len() != own.len() || !self.iter().copied().eq(own.clone()) {
            self.0 = own.collect();
        }
        self.clone()
    }

    /// The place of a checkpoint.
    pub fn find(&self, checkpoint: Checkpoint) -> Option<usize> {
        self.binary_search(&checkpoint).ok()
    }
}

impl Deref for Sequence {
    type Target = [Checkpoint];

    fn deref(&self) -> &[Checkpoint] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Site;

    #[test]
    fn what_is_the_same_is_kept_once() {
        let all = [Checkpoint::global(Site::Embd), Checkpoint::layer(Site::Qcur, 1), Checkpoint::LOGITS];
        let mut usual = Sequence::default();
        let first = usual.share(all.iter().copied());
        let second = usual.share(all.iter().copied());
        assert!(Arc::ptr_eq(&first.0, &second.0));
        assert_eq!((first.find(all[1]), first.find(Checkpoint::layer(Site::Qcur, 2))), (Some(1), None));
        let other = usual.share(all[1..].iter().copied());
        assert_eq!((&*other, &*first), (&all[1..], &all[..]));
        assert!(Arc::ptr_eq(&other.0, &usual.0), "the newest is the usual one");
    }
}
