//! Faults: real mistakes of real engines, made on purpose. Most rewrite the graph that our engine
//! executes, some what its recorder is shown, some the tokens it is fed. One fault a file, one line in
//! [`FAULTS`] that registers it.
//!
//! Two numbers of the catalogue have no fault here: races between streams (18) are not made by a program
//! that computes in order, and a mask that shows the future (half of 20) needs positions computed together.

mod attention_scale;
mod bos_doubled;
mod bos_missing;
mod dequantisation;
mod embedding_row;
mod embedding_transposed;
mod ffn_activation;
mod ffn_transposed;
mod final_norm_skipped;
mod final_norm_twice;
mod final_norm_weight;
mod freed_memory;
mod gate_up_swapped;
mod gelu_erf;
mod gelu_silu;
mod gqa_tile;
mod heads_permuted;
mod kq_f16;
mod kv_decode;
mod kv_off_by_one;
mod layer_norm;
mod logged_before_norm;
mod logit_softcap;
mod logits_of_another;
mod mask_shifted;
mod nan_as_zero;
mod norm_bf16;
mod norm_epsilon;
mod norm_length;
mod norm_offset;
mod norm_weight;
mod norm_weight_bf16;
mod other_tensor;
mod output_matrix;
mod padded_logits;
mod position_shift;
mod qkv_bias;
mod query_position;
pub mod recorder;
mod residual_in_parts;
mod residual_missing;
mod rope_base;
mod rope_factors;
mod rope_pairing;
mod rope_twice;
mod rope_width;
mod rows_permuted;
mod scale_missing;
mod scale_twice;
mod score_softcap;
mod shared_counter;
mod stale_dump;
mod stale_input;
mod sum_bf16;
mod ten_values;
mod transposed;
mod unwritten_slot;
mod window_ignored;
mod window_short;

use std::fmt;
use std::str::FromStr;

use self::recorder::Mislog;
use crate::gguf::WeightType;
use crate::model::{Checkpoint, Graph, Node};

/// A mistake that can be injected.
pub trait Fault: Sync {
    /// Stable id, as `--fault` takes it.
    fn id(&self) -> &'static str;
    /// One line: what is done wrong.
    fn title(&self) -> &'static str;
    /// Where it was seen and what it looks like.
    fn explain(&self) -> &'static str;
    /// Number of the kind of mistake, the same for relatives: what `paritty demo --fault list` shows first.
    fn catalogue(&self) -> u8;
    /// Makes the mistake in `node`, one of the right graph's, if it can be made there.
    fn apply(&self, node: &mut Node, right: &Graph) -> bool {
        let _ = (node, right);
        false
    }
    /// The mistaken recorder, for a mistake of the instrument.
    fn mislog(&self) -> Option<Box<dyn Mislog>> {
        None
    }
    /// Changes the tokens of the prompt, for a mistake made before the engine; whether it could.
    fn tokens(&self, tokens: &mut Vec<u32>) -> bool {
        let _ = tokens;
        false
    }
}

/// Where faults that need decoding take it to begin: engines are not told, and the demos' prompts are
/// about as long.
pub const FIRST_DECODED: usize = 8;

/// Every fault.
pub static FAULTS: &[&dyn Fault] = &[
    &rope_pairing::RopePairing,
    &rope_factors::RopeFactors,
    &rope_base::RopeBase,
    &rope_width::RopeWidth,
    &qkv_bias::QkvBias,
    &norm_epsilon::NormEpsilon,
    &norm_offset::NormOffset,
    &norm_weight::NormWeight,
    &norm_weight_bf16::NormWeightBf16,
    &final_norm_weight::FinalNormWeight,
    &bos_missing::BosMissing,
    &bos_doubled::BosDoubled,
    &kq_f16::KqF16,
    &kv_off_by_one::KvOffByOne,
    &kv_decode::KvDecode,
    &position_shift::PositionShift,
    &query_position::QueryPosition,
    &rope_twice::RopeTwice,
    &shared_counter::SharedCounter,
    &gqa_tile::GqaTile,
    &heads_permuted::HeadsPermuted,
    &rows_permuted::RowsPermuted,
    &transposed::Transposed,
    &ffn_transposed::FfnTransposed,
    &other_tensor::OtherTensor,
    &dequantisation::Dequantisation(WeightType::Q4K),
    &dequantisation::Dequantisation(WeightType::Q5K),
    &dequantisation::Dequantisation(WeightType::Q6K),
    &dequantisation::Dequantisation(WeightType::Q8_0),
    &dequantisation::Dequantisation(WeightType::Q4_0),
    &output_matrix::OutputMatrix,
    &score_softcap::ScoreSoftcap,
    &logit_softcap::LogitSoftcap,
    &window_ignored::WindowIgnored,
    &window_short::WindowShort,
    &unwritten_slot::UnwrittenSlot,
    &stale_input::StaleInput,
    &norm_bf16::NormBf16,
    &sum_bf16::SumBf16,
    &mask_shifted::MaskShifted,
    &attention_scale::AttentionScale,
    &scale_twice::ScaleTwice,
    &scale_missing::ScaleMissing,
    &ffn_activation::FfnActivation,
    &gelu_erf::GeluErf,
    &gelu_silu::GeluSilu,
    &gate_up_swapped::GateUpSwapped,
    &embedding_row::EmbeddingRow,
    &embedding_transposed::EmbeddingTransposed,
    &padded_logits::PaddedLogits,
    &final_norm_skipped::FinalNormSkipped,
    &final_norm_twice::FinalNormTwice,
    &logged_before_norm::LoggedBeforeNorm,
    &residual_missing::ResidualMissing,
    &residual_in_parts::ResidualInParts,
    &stale_dump::StaleDump,
    &freed_memory::FreedMemory,
    &nan_as_zero::NanAsZero,
    &ten_values::TenValues,
    &logits_of_another::LogitsOfAnother,
    &norm_length::NormLength,
    &layer_norm::LayerNorm,
];

/// A fault and where to make it: `ID` or `ID@LAYER`.
#[derive(Clone, Copy)]
pub struct Injection {
    fault: &'static dyn Fault,
    layer: Option<usize>,
}

/// An argument of `--fault` that names no fault, or a place where it cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FaultError {
    /// No such id.
    #[error("no fault is called `{id}`; known are: {known}")]
    Unknown {
        /// What was asked for.
        id: String,
        /// The ids there are.
        known: String,
    },
    /// The part behind `@` is no layer.
    #[error("`{0}`: expected ID or ID@LAYER, LAYER a number from 0")]
    Layer(String),
    /// The model has no operation in which this mistake can be made.
    #[error("fault `{fault}` cannot be made in this model: it has no such operation{at}")]
    Nowhere {
        /// The fault.
        fault: String,
        /// ` in layer N`, or nothing.
        at: String,
    },
    /// A layer for a fault that is in none.
    #[error("fault `{0}` is no operation's and takes no @LAYER")]
    NoLayer(String),
}

impl Injection {
    /// The fault.
    pub fn fault(&self) -> &'static dyn Fault {
        self.fault
    }

    /// The layer it is made in, if not in all.
    pub fn layer(&self) -> Option<usize> {
        self.layer
    }

    /// Rewrites `graph`, where the mistake is one of the graph. Fails where it can be made nowhere.
    pub fn apply(&self, graph: &mut Graph) -> Result<(), FaultError> {
        let (id, layer) = (self.fault.id(), self.layer);
        if self.fault.mislog().is_some() || self.changes_tokens() {
            return match layer {
                None => Ok(()),
                Some(_) => Err(FaultError::NoLayer(id.into())),
            };
        }
        let right = graph.clone();
        let mut made = false;
        for node in &mut graph.nodes {
            let own = node.checkpoint.and_then(Checkpoint::layer_index);
            if layer.is_none() || layer == own {
                made |= self.fault.apply(node, &right);
            }
        }
        if made {
            return Ok(());
        }
        let at = layer.map(|l| format!(" in layer {l}")).unwrap_or_default();
        Err(FaultError::Nowhere { fault: id.into(), at })
    }

    /// Whether it is a mistake in the tokens.
    pub fn changes_tokens(&self) -> bool {
        self.fault.tokens(&mut vec![0, 0])
    }
}

impl PartialEq for Injection {
    fn eq(&self, other: &Self) -> bool {
        (self.fault.id(), self.layer) == (other.fault.id(), other.layer)
    }
}

/// Faults made together, in the order in which they were named.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Injections(Vec<Injection>);

impl Injections {
    /// These faults.
    pub fn new(faults: Vec<Injection>) -> Self {
        Self(faults)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = &Injection> {
        self.0.iter()
    }

    /// Rewrites `graph`. Fails where one of them cannot be made.
    pub fn apply(&self, graph: &mut Graph) -> Result<(), FaultError> {
        self.0.iter().try_for_each(|fault| fault.apply(graph))
    }

    /// Changes the tokens of a prompt.
    pub fn change_tokens(&self, tokens: &mut Vec<u32>) {
        for injection in &self.0 {
            injection.fault.tokens(tokens);
        }
    }

    /// The first that changes tokens, for those who cannot.
    pub fn of_tokens(&self) -> Option<&Injection> {
        self.0.iter().find(|i| i.changes_tokens())
    }

    /// The mistaken recorders.
    pub fn mislogs(&self) -> Vec<Box<dyn Mislog>> {
        self.0.iter().filter_map(|i| i.fault.mislog()).collect()
    }
}

impl fmt::Display for Injections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, injection) in self.0.iter().enumerate() {
            write!(f, "{}{injection}", if i > 0 { ", " } else { "" })?;
        }
        Ok(())
    }
}

impl FromStr for Injection {
    type Err = FaultError;

    fn from_str(text: &str) -> Result<Self, FaultError> {
        let (id, layer) = match text.split_once('@') {
            Some((id, layer)) => (id, Some(layer.parse().map_err(|_| FaultError::Layer(text.into()))?)),
            None => (text, None),
        };
        let fault = FAULTS.iter().find(|f| f.id() == id).ok_or_else(|| FaultError::Unknown {
            id: id.into(),
            known: FAULTS.iter().map(|f| f.id()).collect::<Vec<_>>().join(", "),
        })?;
        Ok(Self { fault: *fault, layer })
    }
}

impl fmt::Display for Injection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.layer {
            Some(layer) => write!(f, "{}@{layer}", self.fault.id()),
            None => f.write_str(self.fault.id()),
        }
    }
}

impl fmt::Debug for Injection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Injection({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_unique_and_read_back() {
        for (i, fault) in FAULTS.iter().enumerate() {
            assert!(FAULTS[..i].iter().all(|f| f.id() != fault.id()), "{} twice", fault.id());
            let text = format!("{}@3", fault.id());
            assert_eq!(text.parse::<Injection>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn unknown_faults_and_layers_are_refused() {
        let error = "rope".parse::<Injection>().unwrap_err();
        assert!(error.to_string().contains("rope-pairing"), "{error}");
        assert_eq!(
            "rope-pairing@x".parse::<Injection>().unwrap_err(),
            FaultError::Layer("rope-pairing@x".into())
        );
    }
}
