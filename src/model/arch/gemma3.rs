//! `gemma3`: normalised query and key heads, every sixth layer sees everything, with a RoPE base of
//! its own for the others.

use super::Context;
use super::decoder::Decoder;
use super::gemma::{self, Variant};
use crate::gguf::Gguf;
use crate::model::Graph;
use crate::model::graph::{Pairing, Rope};
use crate::model::hparams::ModelError;

pub fn build(gguf: &Gguf, context: Context) -> Result<Graph, ModelError> {
    let d = Decoder::new(gguf, "gemma3", context)?;
    let rope = d.rope(Pairing::Neox)?;
    let window = gguf.opt_u32(&d.keys.name("attention.sliding_window"))?.filter(|&w| w > 0);
    let every = d.keys.count_or("attention.sliding_window_pattern", 6, usize::MAX).unwrap_or(6);
    let variant = Variant {
        normed_heads: true,
        window: window.map(|w| (every, w as usize)),
        window_rope: Rope {
            freq_base: d.keys.float_or("rope.freq_base_swa", 10000.0)?,
            freq_scale: 1.0,
            ..rope.clone()
        },
        rope,
        wide_scale_layers: 62,
        score_cap: None,
        logit_cap: gemma::cap(&d, "final_logit_softcapping", 0.0)?,
    };
    gemma::build(d, &variant)
}
