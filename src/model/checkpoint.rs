//! Checkpoints: named points of the forward pass, as typed values.
//!
//! Names are llama.cpp's own tensor names, made unique within a position. This file is the only
//! place where a name is spelled, aliased, ordered or explained.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

/// Where in the pass a site lies; decides whether its name carries a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// Before the first layer; no layer in the name.
    Input,
    /// Inside a layer; the name ends in `-l`.
    Layer,
    /// After the last layer; no layer in the name.
    Output,
}

/// One parent of a site in the flow of data (see [`Site::parents`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parent {
    /// A site of the same layer (or of the same phase outside layers), at the same position.
    Here(Site),
    /// A site of the same layer at this and every earlier position (keys, values).
    History(Site),
    /// What enters the layer: `l_out` of the layer before, or the input phase's last site.
    LayerInput,
    /// What leaves the last layer.
    LastLayer,
}

/// What is known about a site, one row a site in [`SITES`].
#[derive(Debug)]
pub struct SiteInfo {
    /// The site.
    pub site: Site,
    /// llama.cpp's name, without the layer.
    pub name: &'static str,
    /// Other names found in traces, without the layer.
    pub aliases: &'static [&'static str],
    /// Where in the pass it lies.
    pub phase: Phase,
    /// Which operation makes it from what: pre or post norm, residual, RoPE.
    pub meaning: &'static str,
    /// The sites it is computed from. A parent that a run lacks is replaced by its own parents.
    pub parents: &'static [Parent],
}

macro_rules! sites {
    ($($site:ident, $phase:ident, $name:literal, [$($alias:literal),*], $meaning:literal, [$($parent:expr),*];)*) => {
        /// A point of the forward pass, without its layer. The order of the variants is the order
        /// of execution.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[allow(missing_docs, reason = "each variant is described by its row in SITES")]
        pub enum Site { $($site),* }

        /// Every site, in order of execution.
        pub static SITES: &[SiteInfo] = &[$(SiteInfo {
            site: Site::$site,
            name: $name,
            aliases: &[$($alias),*],
            phase: Phase::$phase,
            meaning: $meaning,
            parents: { #[allow(unused_imports)] use {Parent::*, Site::*}; &[$($parent),*] },
        }),*];
    };
}

sites! {
    Embd, Input, "embd", ["inp_embd", "embedding"], "token embedding, one row of token_embd.weight", [];
    PosEmbd, Input, "pos_embd", [], "learned position embedding (gpt2)", [];
    InpL, Input, "inpL", [], "what enters the first layer: token plus position embedding (gpt2), scaled embedding (gemma)", [Here(Embd), Here(PosEmbd)];
    AttnNorm, Layer, "attn_norm", [], "after the norm before attention, weight and bias included", [LayerInput];
    Wqkv, Layer, "wqkv", [], "fused query, key and value projection, before any bias (phi3, gpt2)", [Here(AttnNorm)];
    WqkvB, Layer, "wqkv_b", [], "fused projection with its bias (gpt2)", [Here(Wqkv)];
    QcurMm, Layer, "Qcur_mm", [], "query projection where a bias follows (qwen2)", [Here(WqkvB)];
    Qcur, Layer, "Qcur", [], "query, projected and biased, before RoPE", [Here(QcurMm)];
    QcurNormed, Layer, "Qcur_normed", [], "query after its per-head norm, before RoPE (qwen3)", [Here(Qcur)];
    QcurRope, Layer, "Qcur_rope", [], "query after RoPE", [Here(QcurNormed)];
    QcurScaled, Layer, "Qcur_scaled", [], "query after RoPE and scaling by 1/sqrt(head_dim) (phi3)", [Here(QcurRope)];
    VcurMm, Layer, "Vcur_mm", [], "value projection where a bias follows (qwen2)", [Here(WqkvB)];
    Vcur, Layer, "Vcur", [], "value, projected and biased", [Here(VcurMm)];
    KcurMm, Layer, "Kcur_mm", [], "key projection where a bias follows (qwen2)", [Here(WqkvB)];
    Kcur, Layer, "Kcur", [], "key, projected and biased, before RoPE", [Here(KcurMm)];
    KcurNormed, Layer, "Kcur_normed", [], "key after its per-head norm, before RoPE (qwen3)", [Here(Kcur)];
    KcurRope, Layer, "Kcur_rope", [], "key after RoPE", [Here(KcurNormed)];
    Kq, Layer, "kq", [], "attention scores before scale and mask: [positions, heads]", [Here(QcurScaled), History(KcurRope)];
    KqSoftMax, Layer, "kq_soft_max", [], "attention probabilities: [positions, heads]", [Here(Kq)];
    KqvOut, Layer, "kqv_out", [], "attention output, heads joined, before the output projection", [Here(KqSoftMax), History(Vcur)];
    AttnOut, Layer, "attn_out", [], "output projection of attention, bias included, residual not", [Here(KqvOut)];
    AttnPostNorm, Layer, "attn_post_norm", [], "norm after attention, before the residual (gemma)", [Here(AttnOut)];
    FfnInp, Layer, "ffn_inp", [], "residual stream after attention", [Here(AttnPostNorm), LayerInput];
    FfnNorm, Layer, "ffn_norm", [], "after the norm before the feed-forward block", [Here(FfnInp)];
    FfnGate, Layer, "ffn_gate", [], "gate projection", [Here(FfnNorm)];
    FfnUp, Layer, "ffn_up", [], "up projection, bias included (phi3: gate and up joined)", [Here(FfnNorm)];
    FfnSwiglu, Layer, "ffn_swiglu", ["ffn_gate_par"], "silu(gate) times up", [Here(FfnGate), Here(FfnUp)];
    FfnGelu, Layer, "ffn_gelu", ["ffn_geglu"], "gelu of up (gpt2), or gelu(gate) times up (gemma)", [Here(FfnGate), Here(FfnUp)];
    FfnOut, Layer, "ffn_out", [], "down projection, bias included, residual not", [Here(FfnSwiglu), Here(FfnGelu)];
    FfnPostNorm, Layer, "ffn_post_norm", [], "norm after the feed-forward block, before the residual (gemma)", [Here(FfnOut)];
    LOut, Layer, "l_out", [], "residual stream after the layer", [Here(FfnPostNorm), Here(FfnInp)];
    ResultNorm, Output, "result_norm", [], "after the final norm", [LastLayer];
    ResultOutput, Output, "result_output", ["logits"], "logits: [n_vocab]", [Here(ResultNorm)];
}

impl Site {
    /// The site's row in [`SITES`].
    pub fn info(self) -> &'static SiteInfo {
        &SITES[self as usize]
    }

    /// llama.cpp's name, without the layer.
    pub fn name(self) -> &'static str {
        self.info().name
    }

    /// Where in the pass it lies.
    pub fn phase(self) -> Phase {
        self.info().phase
    }

    /// The sites this one is computed from.
    pub fn parents(self) -> &'static [Parent] {
        self.info().parents
    }

    fn from_name(name: &str) -> Option<Self> {
        SITES.iter().find(|info| info.name == name || info.aliases.contains(&name)).map(|info| info.site)
    }
}

/// A site together with its layer: what a trace's `checkpoint` names. Sorts in order of execution.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Checkpoint {
    site: Site,
    layer: u16,
}

impl Checkpoint {
    /// A site outside layers, or in layer 0 when the site is inside one.
    pub const fn global(site: Site) -> Self {
        Self { site, layer: 0 }
    }

    /// A site in layer `layer` (ignored for sites outside layers).
    pub fn layer(site: Site, layer: usize) -> Self {
        let layer = if site.phase() == Phase::Layer { layer as u16 } else { 0 };
        Self { site, layer }
    }

    /// The logits.
    pub const LOGITS: Self = Self::global(Site::ResultOutput);

    /// The site.
    pub fn site(self) -> Site {
        self.site
    }

    /// Phase, layer and site as one number: comparing two is most of what searching for one costs.
    fn order(self) -> u32 {
        // Sites are listed phase by phase.
        let phase = u32::from(self.site >= Site::AttnNorm) + u32::from(self.site >= Site::ResultNorm);
        phase << 24 | u32::from(self.layer) << 8 | self.site as u32
    }

    /// The layer, for sites inside one.
    pub fn layer_index(self) -> Option<usize> {
        (self.site.phase() == Phase::Layer).then_some(self.layer as usize)
    }
}

impl PartialOrd for Checkpoint {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Checkpoint {
    fn cmp(&self, other: &Self) -> Ordering {
        self.order().cmp(&other.order())
    }
}

impl fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.layer_index() {
            Some(layer) => f.pad(&format!("{}-{layer}", self.site.name())),
            None => f.pad(self.site.name()),
        }
    }
}

/// A name that is no checkpoint paritty knows. The trace keeps and counts such records.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a checkpoint that paritty knows")]
pub struct UnknownCheckpoint(pub String);

/// The deepest layer a name may carry; anything beyond is not a layer.
const MAX_LAYER: u16 = 4095;

impl FromStr for Checkpoint {
    type Err = UnknownCheckpoint;

    /// Reads a canonical name (`Kcur_rope-3`), an alias (`logits`, `inp_embd`) or the study's
    /// `layer_3_output`.
    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let unknown = || UnknownCheckpoint(name.chars().take(80).collect());
        let layer = |digits: &str| -> Option<u16> {
            let canonical = !digits.is_empty()
                && digits.bytes().all(|b| b.is_ascii_digit())
                && (digits == "0" || !digits.starts_with('0'));
            digits.parse().ok().filter(|&l| canonical && l <= MAX_LAYER)
        };
        if let Some(digits) = name.strip_prefix("layer_").and_then(|r| r.strip_suffix("_output")) {
            return layer(digits).map(|l| Self { site: Site::LOut, layer: l }).ok_or_else(unknown);
        }
        if let Some(site) = Site::from_name(name)
            && site.phase() != Phase::Layer
        {
            return Ok(Self::global(site));
        }
        let (base, digits) = name.rsplit_once('-').ok_or_else(unknown)?;
        match (Site::from_name(base), layer(digits)) {
            (Some(site), Some(layer)) if site.phase() == Phase::Layer => Ok(Self { site, layer }),
            _ => Err(unknown()),
        }
    }
}

/// Which checkpoints to capture: the argument of `--checkpoints`.
#[derive(Clone, Debug)]
pub enum CaptureSet {
    /// Nothing.
    Off,
    /// `result_output` only.
    Logits,
    /// `embd` or `inpL`, every `l_out-*`, `result_norm`, `result_output`.
    Layers,
    /// Every canonical checkpoint.
    All,
    /// Those whose canonical name matches.
    Matching(regex::Regex),
}

impl CaptureSet {
    /// Whether `checkpoint` is captured.
    pub fn contains(&self, checkpoint: Checkpoint) -> bool {
        match self {
            Self::Off => false,
            Self::Logits => checkpoint.site == Site::ResultOutput,
            Self::Layers => matches!(
                checkpoint.site,
                Site::Embd | Site::InpL | Site::LOut | Site::ResultNorm | Site::ResultOutput
            ),
            Self::All => true,
            Self::Matching(regex) => regex.is_match(&checkpoint.to_string()),
        }
    }
}

impl FromStr for CaptureSet {
    type Err = regex::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text {
            "off" | "none" => Self::Off,
            "logits" => Self::Logits,
            "layers" => Self::Layers,
            "all" => Self::All,
            pattern => Self::Matching(regex::RegexBuilder::new(pattern).size_limit(1 << 20).build()?),
        })
    }
}

impl fmt::Display for CaptureSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => f.write_str("off"),
            Self::Logits => f.write_str("logits"),
            Self::Layers => f.write_str("layers"),
            Self::All => f.write_str("all"),
            Self::Matching(regex) => f.write_str(regex.as_str()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checkpoints_are_ordered_by_phase_and_layer_and_site() {
        let layers = [0, 1, 4095];
        let all = SITES.iter().flat_map(|info| layers.map(|layer| Checkpoint::layer(info.site, layer)));
        let mut all: Vec<Checkpoint> = all.collect();
        all.sort();
        assert!(all.is_sorted_by_key(|c| (c.site.phase(), c.layer, c.site)));
    }

    #[test]
    fn every_name_reads_back() {
        for info in SITES {
            let checkpoint = Checkpoint::layer(info.site, 7);
            assert_eq!(checkpoint.to_string().parse(), Ok(checkpoint));
            for alias in info.aliases {
                let name =
                    if info.phase == Phase::Layer { format!("{alias}-7") } else { (*alias).to_owned() };
                assert_eq!(name.parse(), Ok(checkpoint), "{name}");
            }
        }
        assert_eq!("layer_12_output".parse(), Ok(Checkpoint::layer(Site::LOut, 12)));
    }

    #[test]
    fn what_is_not_a_checkpoint_is_refused() {
        for name in [
            "",
            "-",
            "Qcur",
            "Qcur-",
            "Qcur-01",
            "Qcur--1",
            "Qcur-99999",
            "logits-1",
            "node_12",
            "layer__output",
            "layer_x_output",
            "embd-0",
        ] {
            assert!(name.parse::<Checkpoint>().is_err(), "{name}");
        }
    }

    #[test]
    fn order_is_that_of_execution() {
        let mut names = [
            "result_output",
            "l_out-0",
            "attn_norm-1",
            "embd",
            "Kcur_rope-0",
            "Qcur-0",
            "result_norm",
            "kq-0",
        ]
        .map(|n| n.parse::<Checkpoint>().unwrap());
        names.sort();
        assert_eq!(
            names.map(|c| c.to_string()),
            [
                "embd",
                "Qcur-0",
                "Kcur_rope-0",
                "kq-0",
                "l_out-0",
                "attn_norm-1",
                "result_norm",
                "result_output"
            ]
        );
    }

    #[test]
    fn sites_stand_at_their_own_index_and_parents_come_before() {
        for (index, info) in SITES.iter().enumerate() {
            assert_eq!(info.site as usize, index);
            for parent in info.parents {
                if let Parent::Here(p) | Parent::History(p) = parent {
                    assert!(*p < info.site, "{:?} before {:?}", p, info.site);
                }
            }
        }
    }
}
