//! What was recorded before, by hash: finds tensors that repeat an earlier one bit for bit without
//! keeping any values.

use std::collections::HashMap;

use crate::model::{Checkpoint, Phase, Site};

/// An earlier tensor with the same bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Repeat {
    /// Where the bits were first seen.
    pub checkpoint: Checkpoint,
    /// Its position.
    pub position: u32,
    /// Whether both positions have the same token, if the trace says.
    pub same_token: Option<bool>,
}

/// Hashes of one run's tensors.
#[derive(Debug, Default)]
pub struct History {
    seen: HashMap<(Site, u64), (Checkpoint, u32)>,
    /// What `seen` was before it was full.
    older: HashMap<(Site, u64), (Checkpoint, u32)>,
    /// Whether positions are embedded, so that nothing depends on the token alone behind that.
    positional: bool,
}

/// Hashes kept of older and of newer rows. A stale buffer repeats what was there shortly before, and
/// memory must not grow with a trace.
const KEPT: usize = 1 << 16;

/// Rows shorter than this repeat by chance too easily (one probability per head at position 0).
const SHORTEST: usize = 8;

impl History {
    /// Remembers a tensor; returns the earlier one whose bits it repeats: the same checkpoint at an
    /// earlier position, or the same site in an earlier layer. What may repeat honestly is left out:
    /// what depends on the token alone, and attention probabilities.
    pub fn observe(
        &mut self,
        checkpoint: Checkpoint,
        position: u32,
        hash: u64,
        len: usize,
        token: impl Fn(u32) -> Option<u32>,
    ) -> Option<Repeat> {
        let site = checkpoint.site();
        self.positional |= site == Site::PosEmbd;
        if len < SHORTEST || matches!(site, Site::Kq | Site::KqSoftMax) {
            return None;
        }
        if self.seen.len() >= KEPT {
            self.older = std::mem::take(&mut self.seen);
        }
        let before = self.older.get(&(site, hash)).copied();
        let first = *self.seen.entry((site, hash)).or_insert(before.unwrap_or((checkpoint, position)));
        let (before, at) = first;
        if first == (checkpoint, position) || (at, before) > (position, checkpoint) {
            return None;
        }
        let same_token = token(at).zip(token(position)).map(|(a, b)| a == b);
        let honest = depends_on_token_alone(checkpoint, self.positional)
            && before == checkpoint
            && same_token != Some(false);
        (!honest).then_some(Repeat { checkpoint: before, position: at, same_token })
    }
}

/// Whether equal tokens give equal values, whatever stands before them.
fn depends_on_token_alone(checkpoint: Checkpoint, positional: bool) -> bool {
    let site = checkpoint.site();
    match site.phase() {
        Phase::Input => site != Site::PosEmbd && (site != Site::InpL || !positional),
        Phase::Layer => {
            checkpoint.layer_index() == Some(0)
                && (site < Site::QcurRope || matches!(site, Site::VcurMm | Site::Vcur))
                || matches!(site, Site::KcurMm | Site::Kcur | Site::KcurNormed)
                    && checkpoint.layer_index() == Some(0)
        }
        Phase::Output => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeats_are_found_and_honest_ones_are_not() {
        let at = |s: &str| s.parse::<Checkpoint>().unwrap();
        let token = |p: u32| Some([5, 6, 5, 7][p as usize]);
        let mut h = History::default();
        assert_eq!(h.observe(at("l_out-1"), 0, 1, 64, token), None);
        assert_eq!(h.observe(at("l_out-1"), 0, 1, 64, token), None, "the same cell read again");
        let repeat = h.observe(at("l_out-1"), 1, 1, 64, token);
        assert_eq!(repeat, Some(Repeat { checkpoint: at("l_out-1"), position: 0, same_token: Some(false) }));
        assert!(h.observe(at("l_out-2"), 0, 1, 64, token).is_some(), "another layer");
        assert_eq!(h.observe(at("embd"), 0, 2, 64, token), None);
        assert_eq!(h.observe(at("embd"), 2, 2, 64, token), None, "the same token");
        assert!(h.observe(at("embd"), 3, 2, 64, token).is_some(), "another token");
        assert_eq!(h.observe(at("Vcur-0"), 0, 3, 64, |_| None), None);
        assert_eq!(h.observe(at("Vcur-0"), 1, 3, 64, |_| None), None, "tokens unknown");
        assert_eq!(h.observe(at("kq_soft_max-0"), 0, 4, 64, token), None);
        assert_eq!(h.observe(at("kq_soft_max-1"), 0, 4, 64, token), None);
    }
}
