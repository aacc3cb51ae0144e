//! `gemma2`: soft-caps on scores and logits, every second layer sees a window.

use super::Context;
use super::decoder::Decoder;
use super::gemma::{self, Variant};
use crate::gguf::Gguf;
use crate::model::Graph;
use crate::model::graph::{Pairing, Rope};
use crate::model::hparams::ModelError;

pub fn build(gguf: &Gguf, context: Context) -> Result<Graph, ModelError> {
    let d = Decoder::new(gguf, "gemma2", context)?;
    let rope = d.rope(Pairing::Neox)?;
    let window = d.keys.count_or("attention.sliding_window", 4096, usize::MAX)?;
    let variant = Variant {
        normed_heads: false,
        window: Some((2, window)),
        window_rope: Rope {
            freq_base: d.keys.float_or("rope.freq_base_swa", rope.freq_base)?,
            ..rope.clone()
        },
        rope,
        wide_scale_layers: 46,
        // llama.cpp's defaults where a file lacks the keys.
        score_cap: gemma::cap(&d, "attn_logit_softcapping", 50.0)?,
        logit_cap: gemma::cap(&d, "final_logit_softcapping", 30.0)?,
    };
    gemma::build(d, &variant)
}
