//! The CUDA backend: executes a graph token by token on a GPU.
//!
//! Everything is loaded when it is first needed, so one binary serves machines with and without a GPU.
//! A step is one captured graph of launches that reads its token and position from device memory.
//! Outputs lie in an arena where the kernels put them; what is captured comes home in one transfer.

mod arena;
pub mod cache;
mod compile;
pub mod device;
mod error;
mod graph;
mod history;
mod kernels;
mod launch;
mod layout;
pub mod library;
mod memory;
mod operations;
mod plan;
mod scratch;
pub mod sources;
mod weights;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use cudarc::driver::result;

pub use self::error::CudaError;

use self::arena::Arena;
use self::cache::Cache;
use self::device::Device;
use self::graph::Captured;
use self::history::{Format, History};
use self::kernels::Kernels;
use self::launch::Step;
use self::layout::Layout;
use self::memory::{Buffer, Pinned};
use self::operations::{Operand, Operands, Operations};
use self::plan::{Plan, Planner};
use self::scratch::{Places, Scratch};
use self::weights::Weights;
use super::{Engine, EngineError, Tap, request};
use crate::gguf::Gguf;
use crate::model::{CaptureSet, Checkpoint, Graph};
use crate::trace::{Header, Settings, Tensor};

/// Positions that the cache has room for at first; doubled when they are used up.
const FIRST_CAPACITY: usize = 512;

/// How the CUDA backend computes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CudaOptions {
    /// Number of the device.
    pub device: usize,
    /// Keys and values are rounded to f16 when they are stored, as llama.cpp does by default.
    pub kv_f16: bool,
    /// Positions to have room for from the start; 0: some. More are made when needed.
    pub positions: usize,
    /// Bytes of device memory to take at most; what is free otherwise.
    pub memory: Option<u64>,
}

/// What depends on the capacity and on what is captured.
struct Run {
    /// Of the captured step.
    layout: Layout,
    /// Of the step with pauses.
    paused_layout: Layout,
    arenas: [Arena; 2],
    graphs: [Option<Captured>; 2],
}

/// An engine on a GPU.
pub struct CudaEngine {
    // Dropped first: graphs before the memory that they name.
    run: Run,
    history: History,
    header: Header,
    graph: Graph,
    capture: Vec<bool>,
    /// Whether `run` was made for another set.
    stale: bool,
    grafts: BTreeMap<usize, Vec<f32>>,
    position: usize,
    /// The arena of the newest step.
    newest: usize,
    /// Where its logits lie.
    logits: Range<usize>,
    /// A step whose checkpoints were not shown yet: arena and position.
    kept_back: Option<(usize, usize)>,
    step_home: Pinned,
    step: Buffer,
    scratch: Scratch,
    weights: Weights,
    kernels: Kernels,
    device: Device,
}

impl CudaEngine {
    /// Loads `graph` (which may hold faults) with the weights of `gguf`, and tells `progress` of bytes
    /// loaded and of all.
    pub fn new(
        gguf: &Arc<Gguf>,
        graph: Graph,
        options: &CudaOptions,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<Self, EngineError> {
        if let Some(departure) = graph.departs() {
            return Err(EngineError::Request(format!(
                "the CUDA engine cannot make this fault ({departure}): use engine cpu or oracle"
            )));
        }
        let device = Device::open(options.device)?;
        let load = weights::Plan::new(gguf, &graph)?;
        let kernels = Kernels::load(&device, &Cache::of_user(), load.types())?;
        let format = if options.kv_f16 { Format::F16 } else { Format::F32 };
        let wanted = if options.positions == 0 { FIRST_CAPACITY } else { options.positions };
        let capacity = wanted.min(graph.n_ctx).max(1);
        let scratch = Places::new(&graph, device.about.multiprocessors);
        let (free, total) = device.memory()?;
        let free = options.memory.map_or(free, |limit| limit.min(free));
        check_room((free, total), gguf, &graph, load.bytes() + scratch.bytes as u64, format, capacity)?;
        let weights = load.load(&device, progress)?;
        let history = History::new(&device, &graph, format, capacity)?;
        let capture = vec![false; graph.nodes.len()];
        let run = Run::new(&device, &graph, &capture, capacity)?;
        Ok(Self {
            header: header(gguf, &graph, &device, format),
            run,
            history,
            capture,
            stale: false,
            grafts: BTreeMap::new(),
            position: 0,
            newest: 0,
            logits: 0..0,
            kept_back: None,
            step_home: Pinned::new(&device.context, size_of::<Step>())?,
            step: Buffer::new(&device.context, size_of::<Step>(), "the position")?,
            scratch: Scratch::new(&device, scratch)?,
            weights,
            kernels,
            device,
            graph,
        })
    }

    /// Kernels launched in a step.
    pub fn launches(&self) -> Result<usize, EngineError> {
        Ok(self.plan(0, &BTreeSet::new())?.len())
    }

    fn operations(&self) -> Operations<'_> {
        Operations {
            kernels: &self.kernels,
            weights: &self.weights,
            step: self.step.address(),
            scratch: &self.scratch,
            multiprocessors: self.device.about.multiprocessors,
        }
    }

    /// The launches of a step in which `pauses` are replaced.
    fn plan(&self, arena: usize, pauses: &BTreeSet<usize>) -> Result<Plan, CudaError> {
        let planner = Planner {
            graph: &self.graph,
            operations: &self.operations(),
            layout: if pauses.is_empty() { &self.run.layout } else { &self.run.paused_layout },
            arena: self.run.arenas[arena].address(),
            history: &self.history,
            pauses,
        };
        planner.plan()
    }

    /// Whether kernels may start before those in front of them have ended: a thing of sm_90 and later.
    fn overlap(&self) -> bool {
        self.device.about.capability.0 >= 9
    }

    /// Room for one more position: cache and arena double, and steps are captured anew.
    fn make_room(&mut self) -> Result<(), EngineError> {
        if self.position < self.history.capacity {
            return if self.stale { self.rebuild() } else { Ok(()) };
        }
        let capacity = (self.history.capacity * 2).min(self.graph.n_ctx);
        let (free, total) = self.device.memory()?;
        let needed = history::bytes(&self.graph, self.history.format, capacity);
        if needed > free {
            return Err(CudaError::OutOfMemory {
                what: format!("a cache of {capacity} positions"),
                needed,
                free,
                total,
                hint: format!("{} positions fit", self.history.capacity),
            }
            .into());
        }
        let larger = History::new(&self.device, &self.graph, self.history.format, capacity)?;
        larger.take_over(&self.device, &self.history, self.position)?;
        self.history = larger;
        self.rebuild()
    }

    fn rebuild(&mut self) -> Result<(), EngineError> {
        self.device.wait()?;
        self.run = Run::new(&self.device, &self.graph, &self.capture, self.history.capacity)?;
        self.stale = false;
        Ok(())
    }

    fn set_step(&mut self, token: u32, position: usize) {
        let step = Step { token: token as i32, position: position as i32 };
        self.step_home.bytes_mut().copy_from_slice(bytemuck::bytes_of(&step));
    }

    /// Puts the step's token and position on their way to the device.
    fn send_step(&self) -> Result<(), CudaError> {
        // SAFETY: both are live and of that size; the host's copy changes only between steps.
        #[allow(unsafe_code)]
        unsafe {
            result::memcpy_htod_async(
                self.step.address(),
                self.step_home.bytes(),
                self.device.stream.cu_stream(),
            )
        }
        .map_err(CudaError::driver("cannot send the position"))
    }

    /// Puts the step on the stream, into the arena that is not the newest.
    fn launch(&mut self, token: u32) -> Result<(), EngineError> {
        let arena = 1 - self.newest;
        self.set_step(token, self.position);
        if self.grafts.is_empty() {
            if self.run.graphs[arena].is_none() {
                let plan = self.plan(arena, &BTreeSet::new())?;
                let captured = Captured::of(&self.device.stream, || {
                    self.send_step()?;
                    plan.run(&self.device.stream, self.overlap())
                })?;
                self.run.graphs[arena] = Some(captured);
            }
            if let Some(graph) = &self.run.graphs[arena] {
                graph.launch()?;
            }
        } else {
            self.launch_grafted(arena)?;
        }
        let layout = self.shown_layout();
        let visible = self.position + 1;
        let logits = layout.output(&self.graph, self.graph.nodes.len() - 1, visible);
        let mut rest = layout.transfer(visible);
        rest.start = logits.end.min(rest.end);
        if !self.capture.contains(&true) {
            rest.end = rest.start;
        }
        self.run.arenas[arena].send_home(&self.device, &logits, &rest)?;
        self.newest = arena;
        self.logits = logits;
        Ok(())
    }

    fn launch_grafted(&mut self, arena: usize) -> Result<(), EngineError> {
        for (&node, values) in &self.grafts {
            request::graft(&self.graph.nodes[node], self.position, values)?;
        }
        let nodes: BTreeSet<usize> = self.grafts.keys().copied().collect();
        let plan = self.plan(arena, &nodes)?;
        let (address, visible) = (self.run.arenas[arena].address(), self.position + 1);
        self.send_step()?;
        plan.run_with_pauses(&self.device.stream, &nodes, |node| {
            let output = self.run.paused_layout.output(&self.graph, node, visible);
            self.device.wait()?;
            // SAFETY: the range lies in the live arena; the values are as many, which was checked.
            #[allow(unsafe_code)]
            unsafe { result::memcpy_htod_sync(address + output.start as u64, &self.grafts[&node]) }
                .map_err(CudaError::driver("cannot send a graft"))
        })?;
        Ok(())
    }

    /// The layout of the step in hand.
    fn shown_layout(&self) -> &Layout {
        if self.grafts.is_empty() { &self.run.layout } else { &self.run.paused_layout }
    }

    /// Shows what was captured at `position`, from the arena's copy at home.
    fn show(
        graph: &Graph,
        layout: &Layout,
        arena: &Arena,
        position: usize,
        tap: &mut dyn Tap,
    ) -> Result<(), EngineError> {
        if !layout.captured.contains(&true) {
            return Ok(());
        }
        arena.wait_rest()?;
        tap.position(position);
        for (index, node) in graph.nodes.iter().enumerate() {
            if let (true, Some(checkpoint)) = (layout.captured[index], node.checkpoint) {
                let values = arena.values(&layout.output(graph, index, position + 1));
                tap.tensor(checkpoint, node.op.name(), &request::output_shape(node, position), values)?;
            }
        }
        Ok(())
    }

    /// Computes the next position; what it captured is shown at once or kept back.
    fn advance(&mut self, token: u32, tap: &mut dyn Tap, ahead: bool) -> Result<(), EngineError> {
        request::token(&self.graph, token)?;
        request::position(&self.graph, self.position)?;
        self.device.context.bind_to_thread().map_err(CudaError::driver("cannot use the device"))?;
        if !ahead || self.stale || !self.grafts.is_empty() || self.position >= self.history.capacity {
            self.flush(tap)?;
        }
        self.make_room()?;
        self.launch(token)?;
        // The step before is shown while this one computes.
        let shown = self.flush(tap);
        self.device.wait()?;
        shown?;
        if ahead && self.grafts.is_empty() {
            self.kept_back = Some((self.newest, self.position));
        } else {
            let arena = &self.run.arenas[self.newest];
            Self::show(&self.graph, self.shown_layout(), arena, self.position, tap)?;
        }
        self.position += 1;
        Ok(())
    }

    fn logits(&self) -> &[f32] {
        self.run.arenas[self.newest].values(&self.logits)
    }
}

impl Run {
    fn new(device: &Device, graph: &Graph, capture: &[bool], capacity: usize) -> Result<Self, CudaError> {
        let layout = Layout::new(graph, capture.to_vec(), capacity, true);
        let paused_layout = Layout::new(graph, capture.to_vec(), capacity, false);
        let bytes = layout.bytes.max(paused_layout.bytes);
        let (a, b) = (layout.transfer(capacity), paused_layout.transfer(capacity));
        let travels = a.start.min(b.start)..a.end.max(b.end);
        let arena = || Arena::new(device, bytes, &travels);
        Ok(Self { arenas: [arena()?, arena()?], graphs: [None, None], layout, paused_layout })
    }
}

impl Engine for CudaEngine {
    fn header(&self) -> Header {
        self.header.clone()
    }

    fn set_fault(&mut self, fault: Option<String>) {
        self.header.settings.fault = fault;
    }

    fn graph(&self) -> &Graph {
        &self.graph
    }

    fn position(&self) -> usize {
        self.position
    }

    fn set_capture(&mut self, set: CaptureSet) {
        let capture: Vec<bool> =
            self.graph.nodes.iter().map(|node| node.checkpoint.is_some_and(|c| set.contains(c))).collect();
        if capture != self.capture {
            self.capture = capture;
            self.stale = true;
        }
    }

    fn step(&mut self, token: u32, tap: &mut dyn Tap) -> Result<&[f32], EngineError> {
        let done = self.advance(token, tap, false);
        self.grafts.clear();
        done?;
        Ok(self.logits())
    }

    fn step_ahead(&mut self, token: u32, tap: &mut dyn Tap) -> Result<&[f32], EngineError> {
        let done = self.advance(token, tap, true);
        self.grafts.clear();
        done?;
        Ok(self.logits())
    }

    fn flush(&mut self, tap: &mut dyn Tap) -> Result<(), EngineError> {
        let Some((arena, position)) = self.kept_back.take() else { return Ok(()) };
        Self::show(&self.graph, &self.run.layout, &self.run.arenas[arena], position, tap)
    }

    fn rewind(&mut self, position: usize) -> Result<(), EngineError> {
        request::rewind(position, self.position)?;
        if let Some((arena, _)) = self.kept_back.take() {
            self.run.arenas[arena].wait_rest()?;
        }
        self.history.forget(&self.device, position)?;
        self.position = position;
        Ok(())
    }

    fn graft(&mut self, checkpoint: Checkpoint, values: Vec<f32>) -> Result<(), EngineError> {
        let id = request::node(&self.graph, checkpoint)?;
        self.grafts.insert(id.index(), values);
        Ok(())
    }

    fn eval(
        &mut self,
        checkpoint: Checkpoint,
        position: usize,
        token: u32,
        inputs: &[&[f32]],
    ) -> Result<Tensor, EngineError> {
        request::token(&self.graph, token)?;
        request::inputs(&self.graph, checkpoint, position, inputs)?;
        let index = request::node(&self.graph, checkpoint)?.index();
        let node = &self.graph.nodes[index];
        self.device.context.bind_to_thread().map_err(CudaError::driver("cannot use the device"))?;
        let buffers = inputs
            .iter()
            .map(|values| {
                let buffer = Buffer::new(&self.device.context, values.len() * 4, "a node's input")?;
                // SAFETY: the buffer is live and as large as the values.
                #[allow(unsafe_code)]
                unsafe { result::memcpy_htod_sync(buffer.address(), values) }
                    .map_err(CudaError::driver("cannot send a node's input"))?;
                Ok(buffer)
            })
            .collect::<Result<Vec<_>, CudaError>>()?;
        let shape = request::output_shape(node, position);
        let mut values = vec![0.0_f32; shape.iter().product::<u32>() as usize];
        let out = Buffer::new(&self.device.context, values.len() * 4, "a node's output")?;
        let operand = |grows: bool, address: u64| {
            if grows { Operand::Growing(address, 0) } else { Operand::Fixed(address) }
        };
        let history = node.op.history_input().map(|i| (buffers[i].address(), Format::F32));
        let at = Operands {
            inputs: node
                .inputs
                .iter()
                .zip(&buffers)
                .map(|(id, buffer)| operand(self.graph.node(*id).op.grows(), buffer.address()))
                .collect(),
            history,
            out: operand(node.op.grows(), out.address()),
        };
        let launches = self.operations().of(index, node, &at)?;
        self.set_step(token, position);
        self.send_step()?;
        launches.iter().try_for_each(|launch| launch.run(&self.device.stream, false))?;
        self.device.wait()?;
        // SAFETY: the buffer is live and as large as the values.
        #[allow(unsafe_code)]
        unsafe { result::memcpy_dtoh_sync(&mut values, out.address()) }
            .map_err(CudaError::driver("cannot bring a node's output home"))?;
        Ok(Tensor { shape, values, exact: true })
    }
}

/// Fails, with what would fit, where the device has too little room.
fn check_room(
    (free, total): (u64, u64),
    gguf: &Gguf,
    graph: &Graph,
    fixed: u64,
    format: Format,
    capacity: usize,
) -> Result<(), CudaError> {
    let of = |positions: usize| {
        let all = vec![true; graph.nodes.len()];
        let arenas = 2 * Layout::new(graph, all, positions, false).bytes as u64;
        fixed + history::bytes(graph, format, positions) + arenas
    };
    let needed = of(capacity);
    if needed <= free {
        return Ok(());
    }
    let fitting = (0..capacity.ilog2()).rev().map(|bits| 1 << bits).find(|&positions| of(positions) <= free);
    let hint = if let Some(positions) = fitting {
        format!("a cache of {positions} positions would fit")
    } else {
        let percent = (free as f64 / of(1) as f64 * 100.0).floor();
        format!("its weights alone are too large; quantised to {percent:.0} % of their size they would fit")
    };
    let what = format!("{} with a cache of {capacity} positions", gguf.path().display());
    Err(CudaError::OutOfMemory { what, needed, free, total, hint })
}

fn header(gguf: &Gguf, graph: &Graph, device: &Device, format: Format) -> Header {
    let mut settings = Settings {
        build: Some(env!("CARGO_PKG_VERSION").into()),
        flash_attn: Some(false),
        kv: Some(format.suffix().into()),
        arithmetic: Some("f32".into()),
        ..Settings::default()
    };
    let mut other = |key: &str, value: serde_json::Value| settings.other.insert(key.into(), value);
    other("device", device.about.name.clone().into());
    other("sm_count", device.about.multiprocessors.into());
    other(
        "compute_capability",
        format!("{}.{}", device.about.capability.0, device.about.capability.1).into(),
    );
    if let Ok((major, minor)) = device::driver_version() {
        other("cuda", format!("{major}.{minor}").into());
    }
    Header {
        paritty: 1,
        team: "paritty".into(),
        backend: "CUDA".into(),
        model: super::describe::describe(gguf, graph),
        settings,
        ..Header::default()
    }
}
