//! llama.cpp as an engine that is recorded.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use serde_json::{Map, Value, json};

use super::context::{Context, ContextSettings};
use super::model::{LoadSettings, Model};
use super::record::{Buffers, Recorder};
use super::resolve::Resolver;
use super::sample::{Sampler, Sampling};
use super::{LlamaError, build, system_info, weights};
use crate::engine::run::{RecordSink, Run};
use crate::model::{CaptureSet, Checkpoint};
use crate::trace::{Header, ModelInfo, Settings};

/// Everything a run is made with.
#[derive(Clone, Debug)]
pub struct RunSettings {
    /// How the model is loaded.
    pub load: LoadSettings,
    /// How it is computed.
    pub context: ContextSettings,
    /// How tokens are chosen.
    pub sampling: Sampling,
    /// Which checkpoints are recorded. `Off` runs without any callback; of a run that is not tapped, the
    /// logits that llama.cpp hands out are all that there is to record.
    pub capture: CaptureSet,
}

/// A model that llama.cpp runs while paritty records it.
pub struct LlamaRun {
    context: Context,
    sampler: Sampler,
    resolver: Resolver,
    buffers: Buffers,
    settings: RunSettings,
    weight_types: BTreeMap<String, u64>,
    main_type: Option<String>,
}

impl LlamaRun {
    /// A run of a loaded model. A batch is given up when `stop` becomes true.
    pub fn new(
        model: Arc<Model>,
        mut settings: RunSettings,
        stop: Arc<AtomicBool>,
    ) -> Result<Self, LlamaError> {
        settings.context.tapped &= !matches!(settings.capture, CaptureSet::Off);
        let weights = weights::weights(model.path()).ok_or_else(|| LlamaError::Load {
            path: model.path().to_owned(),
            reason: "its list of tensors cannot be read".into(),
        })?;
        // A learned table of positions has an end, which llama.cpp does not check.
        let made_for = model.n_ctx_train() as usize;
        let learned = weights.iter().any(|w| w.name == "position_embd.weight");
        if learned && settings.context.positions > made_for {
            return Err(LlamaError::Request(format!(
                "the model knows {made_for} positions, prompt and generated tokens take {}",
                settings.context.positions
            )));
        }
        let weight_types = weights::histogram(&weights).into_iter().map(|(k, n)| (k.to_owned(), n)).collect();
        Ok(Self {
            resolver: Resolver::new(weights.iter().map(|w| w.name.as_str())),
            main_type: weights::main_type(&weights).map(str::to_owned),
            weight_types,
            sampler: Sampler::new(settings.sampling)?,
            context: Context::new(model, settings.context, stop)?,
            buffers: Buffers::default(),
            settings,
        })
    }

    /// The running context.
    pub fn context(&mut self) -> &mut Context {
        &mut self.context
    }

    /// Computes the next positions as one batch and records them.
    pub fn decode(&mut self, tokens: &[u32], out: &mut dyn RecordSink) -> Result<(), LlamaError> {
        let mut recorder = Recorder {
            resolver: &self.resolver,
            capture: &self.settings.capture,
            position: self.context.position(),
            columns: tokens.len(),
            out: &mut *out,
            buffers: &mut self.buffers,
            pending: None,
            turned: false,
            failure: None,
        };
        let done = self.context.decode(tokens, &mut recorder);
        if let Some(failure) = recorder.failure {
            return Err(failure);
        }
        done?;
        if !self.settings.context.tapped && self.settings.capture.contains(Checkpoint::LOGITS) {
            let first = self.context.position() - tokens.len();
            for index in 0..tokens.len() {
                let position = (first + index) as u32;
                if let Some(logits) = self.context.logits(index) {
                    out.record(position, Checkpoint::LOGITS, None, "", &[logits.len() as u32], logits)?;
                }
            }
        }
        Ok(())
    }

    /// The GPU that has layers of the model, if one has.
    fn gpu(&self) -> Option<(String, String)> {
        (self.settings.load.gpu_layers != 0).then(super::gpu).flatten()
    }

    fn other_settings(&self) -> Map<String, Value> {
        let RunSettings { load, context, sampling, .. } = &self.settings;
        let mut other = Map::new();
        other.insert("n_ubatch".into(), json!(context.columns));
        other.insert("repack".into(), json!(load.repack));
        other.insert("system".into(), json!(system_info()));
        other.insert("weight_types".into(), json!(self.weight_types));
        if load.gpu_layers != 0 {
            other.insert("gpu_layers".into(), json!(load.gpu_layers));
        }
        if let Some((_, device)) = self.gpu() {
            other.insert("device".into(), json!(device));
        }
        if sampling.temperature > 0.0 {
            other.insert("temperature".into(), decimal(sampling.temperature));
            other.insert("top_k".into(), json!(sampling.top_k));
            other.insert("top_p".into(), decimal(sampling.top_p));
            other.insert("seed".into(), json!(sampling.seed));
        }
        other
    }
}

/// The number as it was written: 0.8, not the 0.800000011920929 that widening makes of it.
fn decimal(value: f32) -> Value {
    value.to_string().parse::<f64>().map_or(Value::Null, Value::from)
}

impl Run for LlamaRun {
    fn header(&self) -> Header {
        let model = self.context.model();
        let file = |path: &Path| path.file_stem().map(|n| n.to_string_lossy().into_owned());
        Header {
            paritty: 1,
            team: "llama.cpp".into(),
            backend: self.gpu().map_or_else(|| "CPU".into(), |(kind, _)| kind),
            model: ModelInfo {
                name: model.metadata("general.name").or_else(|| file(model.path())).unwrap_or_default(),
                arch: model.metadata("general.architecture").unwrap_or_default(),
                n_layer: model.n_layer(),
                n_embd: model.n_embd(),
                n_vocab: model.n_vocab(),
                size: std::fs::metadata(model.path()).map_or(0, |m| m.len()),
                weights: self.main_type.clone(),
            },
            settings: Settings {
                build: Some(build()),
                threads: Some(self.settings.context.threads as u32),
                flash_attn: Some(self.settings.context.flash_attn),
                kv: Some(self.settings.context.kv.name().into()),
                n_ctx: Some(self.context.n_ctx()),
                arithmetic: Some("llama.cpp".into()),
                fault: None,
                other: self.other_settings(),
            },
            ..Header::default()
        }
    }

    fn piece(&self, token: u32) -> String {
        self.context.model().piece(token)
    }

    fn is_end(&self, token: u32) -> bool {
        self.context.model().is_end(token)
    }

    fn feed(&mut self, tokens: &[u32], out: &mut dyn RecordSink) -> anyhow::Result<()> {
        Ok(self.decode(tokens, out)?)
    }

    fn next_token(&mut self) -> anyhow::Result<u32> {
        Ok(self.sampler.next(&mut self.context)?)
    }
}
