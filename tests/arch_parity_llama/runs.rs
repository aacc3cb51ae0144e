//! Runs of llama.cpp and of our engines, kept in memory and, if wanted, as a trace.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use paritty::engine::cpu::CpuOptions;
use paritty::engine::open::{self, Kind};
use paritty::engine::own_run::OwnRun;
use paritty::engine::run::{KvType, RecordSink, Run};
use paritty::gguf::Gguf;
use paritty::llama_cpp::sample::Sampling;
use paritty::llama_cpp::{ContextSettings, LlamaRun, LoadSettings, Model, RunSettings};
use paritty::model::{CaptureSet, Checkpoint, arch};
use paritty::trace::{Token, TraceError, TraceWriter};

/// What one run showed.
#[derive(Default)]
pub struct Cells(pub BTreeMap<(u32, Checkpoint), Vec<f32>>);

struct Sink<'a> {
    cells: &'a mut Cells,
    writer: Option<&'a mut TraceWriter>,
}

impl RecordSink for Sink<'_> {
    fn record(
        &mut self,
        position: u32,
        checkpoint: Checkpoint,
        tensor: Option<&str>,
        op: &str,
        shape: &[u32],
        values: &[f32],
    ) -> Result<(), TraceError> {
        let before = self.cells.0.insert((position, checkpoint), values.to_vec());
        assert!(before.is_none(), "{checkpoint} twice at {position}");
        match &mut self.writer {
            Some(writer) => writer.tensor(position, checkpoint, tensor, op, shape, values),
            None => Ok(()),
        }
    }
}

/// Takes everything into `cells`.
pub fn keep(cells: &mut Cells) -> impl RecordSink {
    Sink { cells, writer: None }
}

/// Feeds `tokens` one by one.
fn drive(run: &mut dyn Run, tokens: &[u32], trace: Option<&Path>) -> Cells {
    let mut cells = Cells::default();
    let mut writer = trace.map(|path| TraceWriter::create(path, &run.header()).unwrap());
    for (position, &id) in (0..).zip(tokens) {
        let token = Token { id, piece: None, from_prompt: true, columns: Some(1) };
        if let Some(writer) = &mut writer {
            writer.token(position, &token).unwrap();
        }
        run.feed(&[id], &mut Sink { cells: &mut cells, writer: writer.as_mut() }).unwrap();
        if let Some(writer) = &mut writer {
            writer.complete(position).unwrap();
        }
    }
    if let Some(writer) = writer {
        writer.end().unwrap();
    }
    cells
}

/// The real llama.cpp without flash attention, ready to be fed token by token.
pub fn open_llama_cpp(path: &Path, kv: KvType, positions: usize, capture: CaptureSet) -> LlamaRun {
    let load = LoadSettings::default();
    // One thread: llama.cpp's threads spin while they wait, which is very slow beside other tests.
    let context = ContextSettings { positions, columns: 1, threads: 1, flash_attn: false, kv, tapped: true };
    let model = Arc::new(Model::load(path, load).unwrap());
    let settings = RunSettings { load, context, sampling: Sampling::default(), capture };
    LlamaRun::new(model, settings, Arc::default()).unwrap()
}

/// What the real llama.cpp shows of `tokens` when it is opened for `context` positions.
pub fn llama_cpp_for(path: &Path, context: usize, tokens: &[u32]) -> Cells {
    drive(&mut open_llama_cpp(path, KvType::F32, context, CaptureSet::All), tokens, None)
}

/// What our engine shows of `tokens` when it is opened for `context` positions.
pub fn ours_for(gguf: &Arc<Gguf>, context: usize, tokens: &[u32]) -> Cells {
    drive(
        &mut open_graph(gguf, Kind::Cpu, false, arch::Context(Some(context)), CaptureSet::All),
        tokens,
        None,
    )
}

/// What the real llama.cpp shows of `tokens`.
pub fn llama_cpp(path: &Path, kv: KvType, tokens: &[u32], trace: Option<&Path>) -> Cells {
    drive(&mut open_llama_cpp(path, kv, tokens.len(), CaptureSet::All), tokens, trace)
}

/// One of our engines.
pub fn open_ours(gguf: &Arc<Gguf>, kind: Kind, kv_f16: bool, capture: CaptureSet) -> OwnRun {
    open_graph(gguf, kind, kv_f16, arch::Context::default(), capture)
}

fn open_graph(
    gguf: &Arc<Gguf>,
    kind: Kind,
    kv_f16: bool,
    context: arch::Context,
    capture: CaptureSet,
) -> OwnRun {
    let graph = arch::graph_for(gguf, context).unwrap();
    let mut engine = open::open(kind, gguf, graph, CpuOptions { threads: 1, kv_f16 }).unwrap();
    engine.set_capture(capture);
    OwnRun::new(engine, None)
}

/// What one of our engines shows of `tokens`.
pub fn ours(gguf: &Arc<Gguf>, kind: Kind, kv_f16: bool, tokens: &[u32], trace: Option<&Path>) -> Cells {
    drive(&mut open_ours(gguf, kind, kv_f16, CaptureSet::All), tokens, trace)
}
