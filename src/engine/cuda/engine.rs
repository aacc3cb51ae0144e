//! The engine: positions one after the other, or as batches, over the devices' parts of the model.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::arena::Home;
use super::arguments::Step;
use super::cache::Cache;
use super::device::Device;
use super::error::CudaError;
use super::header::header;
use super::history::{self, History};
use super::kernels::Kernels;
use super::memory::Pinned;
use super::room::{Part, Room};
use super::scratch::{Places, Scratch};
use super::show::Show;
use super::stage::{Arena, Import, Parts, Stage};
use super::{CudaOptions, weights};
use crate::engine::{Engine, EngineError, Tap, request};
use crate::gguf::Gguf;
use crate::model::{CaptureSet, Checkpoint, Graph};
use crate::trace::{Header, Tensor};

/// What opening an engine took.
#[derive(Clone, Copy, Debug, Default)]
pub struct Opening {
    /// Time until the kernels were loaded.
    pub kernels: Duration,
    /// Time until the weights were on the devices.
    pub weights: Duration,
    /// Bytes of these.
    pub bytes: u64,
}

/// An engine on one GPU or several.
pub struct CudaEngine {
    pub(super) stages: Vec<Stage>,
    show: Show,
    homes: Homes,
    header: Header,
    opening: Opening,
    pub(super) graph: Graph,
    /// By node.
    capture: Vec<bool>,
    /// Whether `capture` or `statistics` are not what `show` was made for.
    stale: bool,
    statistics: bool,
    grafts: BTreeMap<usize, Vec<f32>>,
    position: usize,
    /// The arena of the newest step.
    newest: usize,
    /// Where the newest logits lie: in the home of the newest step, or of that position of a batch.
    logits: (Option<usize>, Range<usize>),
    /// A step whose checkpoints were not shown yet: arena and position.
    kept_back: Option<(usize, usize)>,
    /// Positions of a batch at most; 0: no batches.
    columns: usize,
    /// On their way to the devices: the step, or those of a batch.
    pub(super) steps: Pinned,
}

/// What comes home, on the host.
struct Homes {
    /// By arena of steps.
    steps: [Home; 2],
    /// By position of a batch.
    columns: Vec<Home>,
}

impl Homes {
    fn new(show: &Show, device: &Device, capacity: usize, columns: usize) -> Result<Self, CudaError> {
        let home = || show.home(device, capacity);
        Ok(Self {
            steps: [home()?, home()?],
            columns: (0..columns).map(|_| home()).collect::<Result<_, _>>()?,
        })
    }
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
        let room = Room::new(gguf, &graph, options);
        let parts = room.parts(options)?;
        let owners: Vec<Range<usize>> = parts.iter().map(|part| part.nodes.clone()).collect();
        let loads = parts
            .iter()
            .map(|part| weights::Plan::new(gguf, &graph, &part.nodes))
            .collect::<Result<Vec<_>, _>>()?;
        let all: u64 = loads.iter().map(weights::Plan::bytes).sum();
        let (mut loaded, mut opening) = (0, Opening { bytes: all, ..Opening::default() });
        let mut stages = Vec::new();
        for (Part { device, nodes }, load) in parts.into_iter().zip(loads) {
            let start = Instant::now();
            let kernels = Kernels::load(&device, &Cache::of_user(), load.types())?;
            opening.kernels += start.elapsed();
            let places = Places::new(&graph, &nodes, device.about.multiprocessors);
            let (start, bytes) = (Instant::now(), load.bytes());
            let weights = load.load(&device, &mut |sent, _| progress(loaded + sent, all))?;
            opening.weights += start.elapsed();
            loaded += bytes;
            let history = History::new(&device, &graph, &nodes, room.format, room.capacity)?;
            let scratch = Scratch::new(&device, places, room.columns.max(1))?;
            let imports = imports(&graph, &owners, &nodes);
            let parts = Parts { device, nodes, imports, history, scratch, weights, kernels };
            stages.push(Stage::new(parts, room.columns)?);
        }
        for stage in &stages {
            for import in &stage.imports {
                stage.device.reach(&stages[import.from].device);
            }
        }
        let show = Show::new(&graph, &vec![false; graph.nodes.len()], false, room.capacity);
        let devices: Vec<_> = stages.iter().map(|stage| &stage.device).collect();
        let first = &stages[0].device;
        let mut engine = Self {
            header: header(gguf, &graph, &devices, room.format),
            homes: Homes::new(&show, first, room.capacity, room.columns)?,
            steps: Pinned::new(&first.context, size_of::<Step>() * room.columns.max(1))?,
            opening,
            show,
            stages,
            capture: vec![false; graph.nodes.len()],
            stale: false,
            statistics: false,
            grafts: BTreeMap::new(),
            position: 0,
            newest: 0,
            logits: (None, 0..0),
            kept_back: None,
            columns: room.columns,
            graph,
        };
        engine.make_rooms()?;
        Ok(engine)
    }

    /// Kernels launched in a step, on all devices.
    pub fn launches(&self) -> Result<usize, EngineError> {
        let common = self.show.common(&self.graph, false);
        let all = self.stages.iter().map(|stage| stage.launches(&common)).sum::<Result<_, _>>();
        Ok(all?)
    }

    /// What opening it took.
    pub fn opening(&self) -> Opening {
        self.opening
    }

    /// The devices that take part, by number, each with its part of the graph's nodes.
    pub fn devices(&self) -> impl Iterator<Item = (usize, Range<usize>)> {
        self.stages.iter().map(|stage| (stage.device.about.ordinal, stage.nodes.clone()))
    }

    fn capacity(&self) -> usize {
        self.stages[0].history.capacity
    }

    fn wait(&self) -> Result<(), CudaError> {
        self.stages.iter().try_for_each(|stage| stage.device.wait())
    }

    /// Room for `count` more positions: cache and arenas double, and steps are captured anew.
    fn make_room(&mut self, count: usize) -> Result<(), EngineError> {
        let wanted = self.position + count;
        if wanted <= self.capacity() {
            let ready = !self.stale && self.stages.iter().all(Stage::has_rooms);
            return if ready { Ok(()) } else { self.rebuild() };
        }
        self.wait()?;
        let capacity = (self.capacity() * 2).max(wanted).min(self.graph.n_ctx);
        let mut larger = Vec::new();
        for Stage { device, nodes, history, .. } in &self.stages {
            let (free, total) = device.memory()?;
            let needed = history::bytes(&self.graph, nodes, history.format, capacity);
            if needed > free {
                let what = format!("a cache of {capacity} positions");
                let hint = format!("{} positions fit", history.capacity);
                return Err(CudaError::OutOfMemory { what, needed, free, total, hint }.into());
            }
            device.bind()?;
            let new = History::new(device, &self.graph, nodes, history.format, capacity)?;
            new.take_over(device, history, self.position)?;
            larger.push(new);
        }
        for (stage, larger) in self.stages.iter_mut().zip(larger) {
            stage.history = larger;
        }
        self.rebuild()
    }

    fn rebuild(&mut self) -> Result<(), EngineError> {
        self.wait()?;
        self.stale = true;
        let capacity = self.capacity();
        self.show = Show::new(&self.graph, &self.capture, self.statistics, capacity);
        self.homes = Homes::new(&self.show, &self.stages[0].device, capacity, self.columns)?;
        self.make_rooms()?;
        self.stale = false;
        Ok(())
    }

    fn make_rooms(&mut self) -> Result<(), CudaError> {
        let common = self.show.common(&self.graph, false);
        for stage in &mut self.stages {
            stage.device.bind()?;
            stage.make_rooms(&common, self.show.bytes(), self.columns)?;
        }
        Ok(())
    }

    pub(super) fn set_steps(&mut self, tokens: &[u32], position: usize) {
        let step = |(i, &token): (usize, &u32)| Step { token: token as i32, position: (position + i) as i32 };
        let steps: Vec<Step> = tokens.iter().enumerate().map(step).collect();
        let bytes = bytemuck::cast_slice(&steps);
        self.steps.bytes_mut()[..bytes.len()].copy_from_slice(bytes);
    }

    /// Puts the step on the streams, into the arena that is not the newest.
    fn launch(&mut self, token: u32) -> Result<(), EngineError> {
        let arena = 1 - self.newest;
        let visible = self.position + 1;
        for (&node, values) in &self.grafts {
            request::graft(&self.graph.nodes[node], self.position, values)?;
        }
        self.set_steps(&[token], self.position);
        let grafted = !self.grafts.is_empty();
        let common = self.show.common(&self.graph, grafted);
        for index in 0..self.stages.len() {
            let (before, rest) = self.stages.split_at_mut(index);
            let stage = &mut rest[0];
            stage.device.bind()?;
            stage.import(&common, before, Arena::Step(arena), visible)?;
            if grafted {
                stage.launch_grafted(&common, arena, &self.steps, &self.grafts, visible)?;
            } else {
                stage.launch(&common, arena, &self.steps)?;
            }
            stage.hand_over()?;
            let home = std::slice::from_mut(&mut self.homes.steps[arena]);
            stage.send_home(&common, Arena::Step(arena), home, visible)?;
            if grafted {
                stage.after_grafts(&self.show.common(&self.graph, false), arena)?;
            }
        }
        self.newest = arena;
        self.logits = (None, common.logits(visible));
        Ok(())
    }

    /// Shows what has come home of a step.
    fn show(
        &self,
        arena: usize,
        position: usize,
        grafted: bool,
        tap: &mut dyn Tap,
    ) -> Result<(), EngineError> {
        let common = self.show.common(&self.graph, grafted);
        if !common.is_open() {
            return Ok(());
        }
        self.stages.iter().try_for_each(|stage| stage.wait_home(Arena::Step(arena)))?;
        common.show(&self.homes.steps[arena], position, tap)
    }

    /// Computes the next position; what it captured is shown at once or kept back.
    fn advance(&mut self, token: u32, tap: &mut dyn Tap, ahead: bool) -> Result<(), EngineError> {
        request::token(&self.graph, token)?;
        request::position(&self.graph, self.position)?;
        let grafted = !self.grafts.is_empty();
        if !ahead || self.stale || grafted || self.position >= self.capacity() {
            self.flush(tap)?;
        }
        self.make_room(1)?;
        self.launch(token)?;
        // The step before is shown while this one computes.
        let shown = self.flush(tap);
        self.wait()?;
        shown?;
        if ahead && !grafted {
            self.kept_back = Some((self.newest, self.position));
        } else {
            self.show(self.newest, self.position, grafted, tap)?;
        }
        self.position += 1;
        Ok(())
    }

    /// Computes as many positions as there are tokens at once, and shows what they captured.
    fn advance_together(&mut self, tokens: &[u32], tap: &mut dyn Tap) -> Result<(), EngineError> {
        let count = tokens.len();
        tokens.iter().try_for_each(|&token| request::token(&self.graph, token))?;
        request::position(&self.graph, self.position + count - 1)?;
        self.flush(tap)?;
        self.make_room(count)?;
        self.set_steps(tokens, self.position);
        let common = self.show.common(&self.graph, false);
        let (at, visible) = (Arena::Columns(count), self.position + 1);
        for index in 0..self.stages.len() {
            let (before, rest) = self.stages.split_at_mut(index);
            let stage = &mut rest[0];
            stage.device.bind()?;
            stage.import(&common, before, at, visible)?;
            stage.launch_batch(&common, &self.steps, count)?;
            stage.hand_over()?;
            stage.send_home(&common, at, &mut self.homes.columns[..count], visible)?;
        }
        self.wait()?;
        self.stages.iter().try_for_each(|stage| stage.wait_home(at))?;
        self.logits = (Some(count - 1), common.logits(self.position + count));
        if common.is_open() {
            for (column, home) in self.homes.columns[..count].iter().enumerate() {
                common.show(home, self.position + column, tap)?;
            }
        }
        self.position += count;
        Ok(())
    }

    fn logits(&self) -> &[f32] {
        let (column, range) = &self.logits;
        column.map_or(&self.homes.steps[self.newest], |column| &self.homes.columns[column]).values(range)
    }
}

/// What `nodes` read of the parts before theirs.
fn imports(graph: &Graph, parts: &[Range<usize>], nodes: &Range<usize>) -> Vec<Import> {
    let reads = graph.nodes[nodes.clone()].iter().flat_map(|node| &node.inputs).map(|id| id.index());
    let read: BTreeSet<usize> = reads.filter(|index| *index < nodes.start).collect();
    let from = |node: usize| parts.iter().position(|part| part.contains(&node));
    read.into_iter().filter_map(|node| Some(Import { from: from(node)?, node })).collect()
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
        self.stale |= capture != self.capture;
        self.capture = capture;
    }

    fn reduce(&mut self, on: bool) -> bool {
        self.stale |= on != self.statistics;
        self.statistics = on;
        true
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
        self.show(arena, position, false, tap)
    }

    fn batch_size(&self) -> usize {
        self.columns.max(1)
    }

    fn batch(&mut self, tokens: &[u32], tap: &mut dyn Tap) -> Result<&[f32], EngineError> {
        if tokens.is_empty() || !self.grafts.is_empty() {
            let problem =
                if tokens.is_empty() { "a batch has no tokens" } else { "a graft needs a step of its own" };
            return Err(EngineError::Request(problem.into()));
        }
        for tokens in tokens.chunks(self.batch_size()) {
            match tokens {
                &[token] => self.advance(token, tap, false)?,
                _ => self.advance_together(tokens, tap)?,
            }
        }
        Ok(self.logits())
    }

    fn rewind(&mut self, position: usize) -> Result<(), EngineError> {
        request::rewind(position, self.position)?;
        if let Some((arena, _)) = self.kept_back.take() {
            self.stages.iter().try_for_each(|stage| stage.wait_home(Arena::Step(arena)))?;
        }
        for stage in &self.stages {
            stage.device.bind()?;
            stage.history.forget(&stage.device, position)?;
        }
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
        self.eval_alone(checkpoint, position, token, inputs)
    }
}
