//! The part of a model that one device computes.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use cudarc::driver::{CudaEvent, result, sys};

use super::arena::{Arenas, Home};
use super::arguments::{Region, Step};
use super::device::Device;
use super::error::CudaError;
use super::graph::Captured;
use super::history::History;
use super::kernels::Kernels;
use super::layout::{Layout, Place};
use super::memory::{Buffer, Pinned};
use super::operations::Operations;
use super::plan::{Plan, Planner};
use super::scratch::Scratch;
use super::weights::Weights;
use crate::model::Graph;

/// What the devices of an engine have in common.
pub struct Common<'a> {
    /// The whole model.
    pub graph: &'a Graph,
    /// Where outputs lie, on each device alike.
    pub layout: &'a Layout,
    /// Whether statistics are shown instead of values.
    pub statistics: bool,
}

/// Which outputs on a device are read elsewhere, and from whom its own come.
pub struct Import {
    /// The part that computes it.
    pub from: usize,
    /// The node.
    pub node: usize,
}

/// A device with its part of the model. Dropped in this order: graphs before the memory that they name.
pub struct Stage {
    rooms: Option<Rooms>,
    /// The part.
    pub nodes: Range<usize>,
    /// What it reads of earlier parts.
    pub imports: Vec<Import>,
    /// Its keys and values.
    pub history: History,
    pub(super) step: Buffer,
    pub(super) scratch: Scratch,
    pub(super) weights: Weights,
    pub(super) kernels: Kernels,
    handed_over: CudaEvent,
    /// The device.
    pub device: Device,
}

/// What is made anew when the capacity or what is shown changes.
struct Rooms {
    /// The captured step, by arena.
    graphs: [Option<Captured>; 2],
    /// The captured batch of as many positions.
    batch: Option<(usize, Captured)>,
    steps: Side,
    /// By position of a batch.
    columns: Option<Side>,
}

/// Arenas with the tables of what is shown of them.
struct Side {
    arenas: Arenas,
    regions: Option<Buffer>,
}

impl Side {
    fn new(
        device: &Device,
        nodes: &Range<usize>,
        common: &Common<'_>,
        count: usize,
        bytes: usize,
    ) -> Result<Self, CudaError> {
        let arenas = Arenas::new(device, count, bytes)?;
        let shown = common.layout.shown(nodes).count();
        let regions = (common.statistics && shown > 0)
            .then(|| Buffer::new(device, count * shown * size_of::<Region>(), "the table of checkpoints"))
            .transpose()?;
        let side = Self { arenas, regions };
        (0..count).try_for_each(|index| side.describe(nodes, common, index))?;
        Ok(side)
    }

    /// Puts down where the shown outputs of arena number `index` lie.
    fn describe(&self, nodes: &Range<usize>, common: &Common<'_>, index: usize) -> Result<(), CudaError> {
        let Some(buffer) = &self.regions else { return Ok(()) };
        let arena = self.arenas.address(index);
        let region = |node: usize| {
            let width = common.graph.nodes[node].width as i32;
            match common.layout.places[node] {
                Place::Fixed(at) => Region { values: arena + at as u64, width, before: -1 },
                Place::Growing { base, before } => {
                    Region { values: arena + base as u64, width, before: before as i32 }
                }
            }
        };
        let regions: Vec<Region> = common.layout.shown(nodes).map(region).collect();
        let to = buffer.address() + (index * regions.len() * size_of::<Region>()) as u64;
        // SAFETY: the buffer was made for as many tables of this length.
        #[allow(unsafe_code)]
        unsafe { result::memcpy_htod_sync(to, &regions) }.map_err(CudaError::driver("cannot send a table"))
    }

    /// Address of the table of arena number `index`.
    fn table(&self, shown: usize, index: usize) -> Option<u64> {
        Some(self.regions.as_ref()?.address() + (index * shown * size_of::<Region>()) as u64)
    }
}

/// What a stage is made of.
pub struct Parts {
    /// The device.
    pub device: Device,
    /// The part of the model.
    pub nodes: Range<usize>,
    /// What it reads of earlier parts.
    pub imports: Vec<Import>,
    /// An empty cache.
    pub history: History,
    /// Memory in passing.
    pub scratch: Scratch,
    /// The weights.
    pub weights: Weights,
    /// The kernels.
    pub kernels: Kernels,
}

impl Stage {
    /// A stage without rooms, for batches of at most `columns`.
    pub fn new(parts: Parts, columns: usize) -> Result<Self, CudaError> {
        let Parts { device, nodes, imports, history, scratch, weights, kernels } = parts;
        let step = Buffer::new(&device, size_of::<Step>() * columns.max(1), "the position")?;
        let handed_over =
            device.context.new_event(None).map_err(CudaError::driver("cannot make an event"))?;
        Ok(Self {
            rooms: None,
            nodes,
            imports,
            history,
            step,
            scratch,
            weights,
            kernels,
            handed_over,
            device,
        })
    }

    /// Makes arenas of `bytes`, two for steps and `columns` for batches, in place of those that there are.
    pub fn make_rooms(&mut self, common: &Common<'_>, bytes: usize, columns: usize) -> Result<(), CudaError> {
        self.device.wait()?;
        self.rooms = None;
        let side = |count| Side::new(&self.device, &self.nodes, common, count, bytes);
        let columns = (columns > 1).then(|| side(columns)).transpose()?;
        self.rooms = Some(Rooms { graphs: [None, None], batch: None, steps: side(2)?, columns });
        Ok(())
    }

    /// Whether it has arenas.
    pub fn has_rooms(&self) -> bool {
        self.rooms.is_some()
    }

    /// What a node is launched with, for position number `column` of a batch.
    pub fn operations(&self, column: usize) -> Operations<'_> {
        Operations {
            kernels: &self.kernels,
            weights: &self.weights,
            step: self.step.address() + (column * size_of::<Step>()) as u64,
            scratch: self.scratch.column(column),
            multiprocessors: self.device.about.multiprocessors,
        }
    }

    /// Whether kernels may start before those in front of them have ended: a thing of sm_90 and later.
    fn overlap(&self) -> bool {
        self.device.about.capability.0 >= 9
    }

    fn rooms(&self) -> Result<&Rooms, CudaError> {
        self.rooms.as_ref().ok_or_else(|| CudaError::Unsupported("there is no memory for checkpoints".into()))
    }

    fn batch_side(&self) -> Result<&Side, CudaError> {
        let side = self.rooms()?.columns.as_ref();
        side.ok_or_else(|| CudaError::Unsupported("this engine was opened without batches".into()))
    }

    /// The launches of a step in arena number `index` of `side`, in which `pauses` are replaced.
    fn plan_in(
        &self,
        common: &Common<'_>,
        side: &Side,
        (index, column): (usize, usize),
        pauses: &BTreeSet<usize>,
    ) -> Result<Plan, CudaError> {
        let operations = self.operations(column);
        let planner = Planner {
            graph: common.graph,
            nodes: self.nodes.clone(),
            operations: &operations,
            layout: common.layout,
            arena: side.arenas.address(index),
            history: &self.history,
            pauses,
        };
        let mut plan = planner.plan()?;
        let shown = common.layout.shown(&self.nodes).count();
        if let Some(table) = side.table(shown, index) {
            let out = side.arenas.address(index) + common.layout.statistics(&self.nodes).start as u64;
            plan.push(operations.statistics(table, shown, out)?);
        }
        Ok(plan)
    }

    /// Launches in a step.
    pub fn launches(&self, common: &Common<'_>) -> Result<usize, CudaError> {
        Ok(self.plan_in(common, &self.rooms()?.steps, (0, 0), &BTreeSet::new())?.len())
    }

    /// Puts the steps in `home` on their way to the device.
    pub fn send_steps(&self, home: &Pinned, count: usize) -> Result<(), CudaError> {
        // SAFETY: both are live and large enough; the host's copy changes only between steps.
        #[allow(unsafe_code)]
        unsafe {
            result::memcpy_htod_async(
                self.step.address(),
                &home.bytes()[..count * size_of::<Step>()],
                self.device.stream.cu_stream(),
            )
        }
        .map_err(CudaError::driver("cannot send the position"))
    }

    /// Puts a step on the stream, into arena number `arena`.
    pub fn launch(&mut self, common: &Common<'_>, arena: usize, step: &Pinned) -> Result<(), CudaError> {
        if self.rooms()?.graphs[arena].is_none() {
            let plan = self.plan_in(common, &self.rooms()?.steps, (arena, 0), &BTreeSet::new())?;
            let captured = Captured::of(&self.device.stream, || {
                self.send_steps(step, 1)?;
                plan.run(&self.device.stream, self.overlap())
            })?;
            if let Some(rooms) = &mut self.rooms {
                rooms.graphs[arena] = Some(captured);
            }
        }
        self.rooms()?.graphs[arena].as_ref().map_or(Ok(()), Captured::launch)
    }

    /// As [`Self::launch`], launch by launch, with values that are put in from outside. `common` has the layout for
    /// that.
    pub fn launch_grafted(
        &self,
        common: &Common<'_>,
        arena: usize,
        step: &Pinned,
        grafts: &BTreeMap<usize, Vec<f32>>,
        visible: usize,
    ) -> Result<(), CudaError> {
        let side = &self.rooms()?.steps;
        let nodes: BTreeSet<usize> =
            grafts.keys().copied().filter(|node| self.nodes.contains(node)).collect();
        let plan = self.plan_in(common, side, (arena, 0), &nodes)?;
        self.device.wait()?;
        side.describe(&self.nodes, common, arena)?;
        self.send_steps(step, 1)?;
        plan.run_with_pauses(&self.device.stream, &nodes, |node| {
            let output = common.layout.output(common.graph, node, visible);
            self.device.wait()?;
            // SAFETY: the range lies in the live arena; the values are as many, which was checked.
            #[allow(unsafe_code)]
            unsafe {
                result::memcpy_htod_sync(side.arenas.address(arena) + output.start as u64, &grafts[&node])
            }
            .map_err(CudaError::driver("cannot send a graft"))
        })
    }

    /// After [`Self::launch_grafted`], with the ordinary layout: whatever is told once is told again.
    pub fn after_grafts(&self, common: &Common<'_>, arena: usize) -> Result<(), CudaError> {
        self.device.wait()?;
        self.rooms()?.steps.describe(&self.nodes, common, arena)
    }

    /// Puts a batch of `count` positions on the stream.
    pub fn launch_batch(
        &mut self,
        common: &Common<'_>,
        steps: &Pinned,
        count: usize,
    ) -> Result<(), CudaError> {
        if self.rooms()?.batch.as_ref().is_none_or(|&(columns, _)| columns != count) {
            let side = self.batch_side()?;
            let plans = (0..count)
                .map(|column| self.plan_in(common, side, (column, column), &BTreeSet::new()))
                .collect::<Result<Vec<_>, _>>()?;
            let plan = Plan::together(&plans, &side.arenas);
            let captured = Captured::of(&self.device.stream, || {
                self.send_steps(steps, count)?;
                plan.run(&self.device.stream, self.overlap())
            })?;
            if let Some(rooms) = &mut self.rooms {
                rooms.batch = Some((count, captured));
            }
        }
        self.rooms()?.batch.as_ref().map_or(Ok(()), |(_, captured)| captured.launch())
    }

    /// Puts what it reads of earlier parts on the way to it, once that is there. In arenas `0..count` of a batch, or
    /// in arena `step`.
    pub fn import(
        &self,
        common: &Common<'_>,
        stages: &[Self],
        at: Arena,
        visible: usize,
    ) -> Result<(), CudaError> {
        let failed = || CudaError::driver("cannot bring values from device to device");
        let stream = self.device.stream.cu_stream();
        for import in &self.imports {
            let from = &stages[import.from];
            // SAFETY: both live; the event was recorded when the part had put its work on its stream.
            #[allow(unsafe_code)]
            unsafe {
                result::stream::wait_event(
                    stream,
                    from.handed_over.cu_event(),
                    sys::CUevent_wait_flags::CU_EVENT_WAIT_DEFAULT,
                )
            }
            .map_err(failed())?;
            let (to_side, from_side, arenas) = match at {
                Arena::Step(arena) => (&self.rooms()?.steps, &from.rooms()?.steps, arena..arena + 1),
                Arena::Columns(count) => (self.batch_side()?, from.batch_side()?, 0..count),
            };
            let output = common.layout.output(common.graph, import.node, visible);
            for arena in arenas {
                // SAFETY: arenas are alike on all devices, so the range lies in both live buffers.
                #[allow(unsafe_code)]
                unsafe {
                    result::memcpy_peer_async(
                        self.device.context.cu_ctx(),
                        to_side.arenas.address(arena) + output.start as u64,
                        from.device.context.cu_ctx(),
                        from_side.arenas.address(arena) + output.start as u64,
                        output.len(),
                        stream,
                    )
                }
                .map_err(failed())?;
            }
        }
        Ok(())
    }

    /// Says that its work is on its stream, for those who import of it.
    pub fn hand_over(&self) -> Result<(), CudaError> {
        self.handed_over.record(&self.device.stream).map_err(CudaError::driver("cannot record an event"))
    }

    /// Puts what is shown on its way home.
    pub fn send_home(
        &self,
        common: &Common<'_>,
        at: Arena,
        home: &mut [Home],
        visible: usize,
    ) -> Result<(), CudaError> {
        let Common { graph, layout, statistics } = *common;
        let last = graph.nodes.len() - 1;
        let (side, first) = match at {
            Arena::Step(arena) => (&self.rooms()?.steps, arena),
            Arena::Columns(_) => (self.batch_side()?, 0),
        };
        for (column, home) in home.iter_mut().enumerate() {
            let visible = visible + column;
            let logits = if self.nodes.end > last { layout.output(graph, last, visible) } else { 0..0 };
            let rest = match statistics {
                true => vec![layout.statistics(&self.nodes)],
                false if layout.captured.contains(&true) => layout.values(graph, &self.nodes, visible),
                false => Vec::new(),
            };
            side.arenas.send_home(&self.device, first + column, home, &logits, &rest)?;
        }
        Ok(())
    }

    /// Waits for what is shown of an arena of steps or of the positions of a batch.
    pub fn wait_home(&self, at: Arena) -> Result<(), CudaError> {
        match at {
            Arena::Step(arena) => self.rooms()?.steps.arenas.wait_rest(arena),
            Arena::Columns(count) => {
                let arenas = &self.batch_side()?.arenas;
                (0..count.min(arenas.len())).try_for_each(|column| arenas.wait_rest(column))
            }
        }
    }
}

/// One of the two arenas of steps, or the first few of a batch.
#[derive(Clone, Copy, Debug)]
pub enum Arena {
    /// Its number.
    Step(usize),
    /// How many.
    Columns(usize),
}
