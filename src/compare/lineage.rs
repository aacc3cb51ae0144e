//! Which recorded checkpoints an operation was computed from, in the runs at hand.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};
use std::sync::OnceLock;

use crate::model::{Checkpoint, Parent, Phase, Site};

/// What an operation does to an error in its inputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A row of a table: no inputs.
    Lookup,
    /// A matrix product: rounds activations, passes a relative error on.
    Product,
    /// A piece of the input, or the input plus a constant: keeps the absolute error.
    Shift,
    /// A norm: passes a relative error on.
    Norm,
    /// A rotation or a factor: keeps the relative error exactly.
    Rotation,
    /// Scores: products of a query and all keys.
    Scores,
    /// Softmax: turns absolute errors of scores into relative ones.
    SoftMax,
    /// Weighted sum of values; the whole of attention where scores are not recorded.
    Mix,
    /// The activation of the feed-forward block.
    Gate,
    /// A sum: absolute errors add up at most.
    Add,
}

/// One input of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Input {
    /// The checkpoint.
    pub checkpoint: Checkpoint,
    /// Whether every earlier position counts too (keys, values).
    pub history: bool,
}

/// Checkpoints that a pair of runs has anywhere: tells what the architecture has not from what a
/// trace lacks.
#[derive(Clone, Debug, Default)]
pub struct Lineage {
    all: BTreeSet<Checkpoint>,
    sites: BTreeSet<Site>,
    layers: usize,
    /// What [`Lineage::parents`] says of the checkpoints seen, made when it is first asked.
    known: OnceLock<HashMap<Checkpoint, Box<[Input]>>>,
}

impl Lineage {
    /// Takes note of a checkpoint. True if it is new.
    pub fn insert(&mut self, checkpoint: Checkpoint) -> bool {
        if !self.all.insert(checkpoint) {
            return false;
        }
        self.known = OnceLock::new();
        self.sites.insert(checkpoint.site());
        if let Some(layer) = checkpoint.layer_index() {
            self.layers = self.layers.max(layer + 1);
        }
        true
    }

    /// Whether a checkpoint was seen.
    pub fn contains(&self, checkpoint: Checkpoint) -> bool {
        self.all.contains(&checkpoint)
    }

    /// Every checkpoint, in order of execution.
    pub fn checkpoints(&self) -> impl ExactSizeIterator<Item = Checkpoint> + '_ {
        self.all.iter().copied()
    }

    /// Number of layers seen.
    pub fn layers(&self) -> usize {
        self.layers
    }

    /// Whether some layer has this site.
    pub fn has_site(&self, site: Site) -> bool {
        self.sites.contains(&site)
    }

    /// The checkpoints that `checkpoint` is computed from, one step back, recorded or not. Sites
    /// that neither run has in any layer and that not every architecture has are skipped.
    pub fn parents(&self, checkpoint: Checkpoint) -> Cow<'_, [Input]> {
        let all = || self.all.iter().map(|&c| (c, self.find_parents(c).into())).collect();
        match self.known.get_or_init(all).get(&checkpoint) {
            Some(known) => Cow::Borrowed(known),
            None => Cow::Owned(self.find_parents(checkpoint)),
        }
    }

    fn find_parents(&self, checkpoint: Checkpoint) -> Vec<Input> {
        let mut out = Vec::with_capacity(2);
        for &parent in checkpoint.site().parents() {
            self.parent(checkpoint, parent, false, &mut out);
        }
        out
    }

    fn parent(&self, of: Checkpoint, parent: Parent, history: bool, out: &mut Vec<Input>) {
        let layer = of.layer_index().unwrap_or(0);
        let (site, history) = match parent {
            Parent::Here(site) => (site, history),
            Parent::History(site) => (site, true),
            Parent::LayerInput if layer > 0 => {
                return push(out, Checkpoint::layer(Site::LOut, layer - 1), history);
            }
            Parent::LayerInput => {
                let site = if self.has_site(Site::InpL) { Site::InpL } else { Site::Embd };
                return push(out, Checkpoint::global(site), history);
            }
            Parent::LastLayer => {
                return push(out, Checkpoint::layer(Site::LOut, self.layers.saturating_sub(1)), history);
            }
        };
        if self.has_site(site) || !is_optional(site) {
            let layer = if site.phase() == Phase::Layer { layer } else { 0 };
            return push(out, Checkpoint::layer(site, layer), history);
        }
        for &grand in site.parents() {
            self.parent(of, grand, history, out);
        }
    }

    /// What the operation behind `checkpoint` does to errors.
    pub fn kind(&self, checkpoint: Checkpoint) -> Kind {
        #[allow(clippy::enum_glob_use, reason = "a table of sites")]
        use Site::*;
        let biased = |before: Site| self.has_site(before);
        match checkpoint.site() {
            Embd | PosEmbd => Kind::Lookup,
            InpL | FfnInp | LOut => Kind::Add,
            AttnNorm | FfnNorm | AttnPostNorm | FfnPostNorm | ResultNorm | QcurNormed | KcurNormed => {
                Kind::Norm
            }
            WqkvB => Kind::Shift,
            Qcur if biased(QcurMm) || biased(Wqkv) => Kind::Shift,
            Kcur if biased(KcurMm) || biased(Wqkv) => Kind::Shift,
            Vcur if biased(VcurMm) || biased(Wqkv) => Kind::Shift,
            QcurRope | KcurRope | QcurScaled => Kind::Rotation,
            Kq => Kind::Scores,
            KqSoftMax => Kind::SoftMax,
            KqvOut => Kind::Mix,
            FfnSwiglu | FfnGelu => Kind::Gate,
            Wqkv | QcurMm | KcurMm | VcurMm | Qcur | Kcur | Vcur | AttnOut | FfnGate | FfnUp | FfnOut
            | ResultOutput => Kind::Product,
        }
    }
}

fn push(out: &mut Vec<Input>, checkpoint: Checkpoint, history: bool) {
    let input = Input { checkpoint, history };
    if !out.contains(&input) {
        out.push(input);
    }
}

/// Sites that only some architectures, or only attention that is not fused, have.
fn is_optional(site: Site) -> bool {
    #[allow(clippy::enum_glob_use, reason = "a table of sites")]
    use Site::*;
    matches!(
        site,
        PosEmbd
            | InpL
            | Wqkv
            | WqkvB
            | QcurMm
            | KcurMm
            | VcurMm
            | QcurNormed
            | KcurNormed
            | QcurRope
            | KcurRope
            | QcurScaled
            | Kq
            | KqSoftMax
            | AttnPostNorm
            | FfnGate
            | FfnSwiglu
            | FfnGelu
            | FfnPostNorm
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lineage(names: &[&str]) -> Lineage {
        let mut l = Lineage::default();
        for name in names {
            l.insert(name.parse().unwrap());
        }
        l
    }

    fn parents(l: &Lineage, name: &str) -> Vec<String> {
        let show = |i: &Input| format!("{}{}", i.checkpoint, if i.history { "*" } else { "" });
        l.parents(name.parse().unwrap()).iter().map(show).collect()
    }

    #[test]
    fn what_the_architecture_lacks_is_stepped_over() {
        let llama = lineage(&["embd", "Qcur-0", "Qcur_rope-0", "Kcur_rope-0", "kq-0", "kq_soft_max-0"]);
        assert_eq!(parents(&llama, "Qcur-0"), ["attn_norm-0"]);
        assert_eq!(parents(&llama, "kq-0"), ["Qcur_rope-0", "Kcur_rope-0*"]);
        assert_eq!(parents(&llama, "kqv_out-0"), ["kq_soft_max-0", "Vcur-0*"]);
        assert_eq!(parents(&llama, "attn_norm-0"), ["embd"]);
        assert_eq!(parents(&llama, "attn_norm-1"), ["l_out-0"]);
        assert_eq!(parents(&llama, "ffn_inp-1"), ["attn_out-1", "l_out-0"]);
        let qwen = lineage(&["Qcur_mm-3", "Qcur-3"]);
        assert_eq!(parents(&qwen, "Qcur-3"), ["Qcur_mm-3"]);
        assert_eq!(parents(&qwen, "result_norm"), ["l_out-3"]);
        let gpt2 = lineage(&["embd", "pos_embd", "inpL", "wqkv-0", "wqkv_b-0"]);
        assert_eq!(parents(&gpt2, "attn_norm-0"), ["inpL"]);
        assert_eq!(parents(&gpt2, "Kcur-0"), ["wqkv_b-0"]);
        assert_eq!(gpt2.kind("Kcur-0".parse().unwrap()), Kind::Shift);
    }

    #[test]
    fn fused_attention_reads_queries_keys_and_values() {
        let flash = lineage(&["Qcur_rope-0", "Kcur_rope-0", "Vcur-0", "kqv_out-0"]);
        assert_eq!(parents(&flash, "kqv_out-0"), ["Qcur_rope-0", "Kcur_rope-0*", "Vcur-0*"]);
    }
}
