//! The first line of a trace: who computed it, from which model, with which settings.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// First line of a version 1 trace. Every field but `paritty` may be absent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Header {
    /// Version of the format: 1.
    pub paritty: u32,
    /// Name of the engine.
    pub team: String,
    /// `CPU`, `CUDA`, `oracle` …
    pub backend: String,
    /// The model file.
    pub model: ModelInfo,
    /// What changes numbers.
    pub settings: Settings,
    /// Text that was tokenised.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt: Option<String>,
    /// Tokens of the prompt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub n_prompt: Option<u32>,
    /// Positions the writer means to compute, if it knows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub n_total: Option<u32>,
    /// Plain name of the sidecar, in the trace's own folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sidecar: Option<String>,
}

/// The model a trace was made with.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ModelInfo {
    /// `general.name`, or the file's name.
    pub name: String,
    /// `general.architecture`.
    pub arch: String,
    /// Layers.
    pub n_layer: u32,
    /// Width of the residual stream.
    pub n_embd: u32,
    /// Logits per position.
    pub n_vocab: u32,
    /// Bytes of the file.
    pub size: u64,
    /// Weight type of most of the matrix parameters: `F16`, `Q4_K` …
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weights: Option<String>,
}

/// Settings that change numbers. Unknown keys are kept.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// Version of the engine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub build: Option<String>,
    /// Threads that computed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threads: Option<u32>,
    /// Whether attention was fused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flash_attn: Option<bool>,
    /// Type of the K and V cache: `f16`, `f32` …
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kv: Option<String>,
    /// How products are computed: `f32`, `f64`, `llama.cpp` …
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arithmetic: Option<String>,
    /// An injected fault's id, if any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
    /// Everything else.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}
