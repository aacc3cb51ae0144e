//! The course of an audit: find each kind's arithmetic on a few cells, then hold every cell to it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::arithmetic::{Circumstance, EXACT, candidates};
use super::choice::{Choice, Habits, House};
use super::findings::{Audit, Coverage, FaultyNode, KindFindings};
use super::floor::{Floor, PROBE, PROBE_COARSE, PROBE_MARGIN, TOO_WIDE, WHOLE_ATTENTION, floor};
use super::hypotheses::{Diagnosis, Finding};
use super::judge::{Deviation, Tolerance, judge};
use super::kind::Kind;
use super::machine::{Change, Computed, Evaluation, Machine, Probe, recording};
use super::stretch::{Reach, Stretch};
use super::ties;
use super::traced::{Recorded, Traced};
use super::{AuditError, Conclusion, hypotheses};
use crate::gguf::Gguf;
use crate::model::{Graph, NodeId, Op};
use crate::trace::Store;

/// What is audited.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Only these positions.
    pub positions: Option<BTreeSet<u32>>,
    /// Only checkpoints with such names.
    pub checkpoints: Option<regex::Regex>,
    /// Once this is true, the audit ends with [`AuditError::Stopped`].
    pub stop: Option<Arc<AtomicBool>>,
}

/// Positions evaluated together: a weight is widened once for all of them.
const CHUNK: usize = 64;

/// Nodes and positions that a kind's arithmetic is found on.
const SAMPLE_NODES: usize = 3;
const SAMPLE_POSITIONS: usize = 3;
/// Values of a product that are enough to tell one arithmetic from another.
const SAMPLE_ROWS: usize = 256;

/// A floor of its own beyond which a rule has to be the engine's own, or the only one, to count.
const WIDE: f64 = 1e-4;

/// One stretch with the positions at which its output was recorded.
struct Task {
    stretch: Stretch,
    positions: Vec<u32>,
}

/// Positions of one task that are of one kind.
type Cells<'t> = (&'t Task, Vec<u32>);

/// One judged cell.
#[derive(Clone, Copy)]
pub(super) struct Judged {
    pub position: u32,
    pub deviation: Deviation,
    pub ties: usize,
}

/// Audits the run in `store` against the model.
///
/// `progress` is told how many cells are done, of how many.
pub fn audit(
    gguf: &Arc<Gguf>,
    graph: &Graph,
    store: &Store,
    options: &Options,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<Audit, AuditError> {
    let traced = Traced::new(store, graph);
    let machine = Machine::new(gguf, graph, &traced);
    let mut auditor = Auditor::new(machine);
    auditor.stop.clone_from(&options.stop);
    let tasks = auditor.tasks(options);
    auditor.fit(&tasks)?;
    let total = tasks.iter().map(|t| t.positions.len()).sum();
    let mut done = 0;
    for task in &tasks {
        auditor.verify(task)?;
        done += task.positions.len();
        progress(done, total);
    }
    auditor.explain(&mut |_| progress(done, total))?;
    Ok(auditor.finish())
}

/// Evaluates, judges and keeps count.
pub(super) struct Auditor<'a> {
    pub machine: Machine<'a>,
    pub habits: Habits,
    choices: BTreeMap<Kind, Choice>,
    kinds: BTreeMap<Kind, Tally>,
    faulty: Vec<FaultyNode>,
    findings: Vec<Finding>,
    /// By directly judged node: positions at which it is explained.
    clean: BTreeMap<NodeId, BTreeSet<u32>>,
    coverage: Coverage,
    stop: Option<Arc<AtomicBool>>,
}

#[derive(Default)]
struct Tally {
    nodes: usize,
    cells: usize,
    otherwise: BTreeMap<&'static str, usize>,
    ties: usize,
    deviations: Vec<f64>,
    floor: f64,
    worst_value: f64,
    faulty: usize,
}

impl<'a> Auditor<'a> {
    pub fn new(machine: Machine<'a>) -> Self {
        Self {
            machine,
            habits: Habits::default(),
            choices: BTreeMap::new(),
            kinds: BTreeMap::new(),
            faulty: Vec::new(),
            findings: Vec::new(),
            clean: BTreeMap::new(),
            coverage: Coverage::default(),
            stop: None,
        }
    }

    /// Fails once the audit was called off.
    fn go_on(&self) -> Result<(), AuditError> {
        let stopped = self.stop.as_ref().is_some_and(|stop| stop.load(Ordering::Relaxed));
        if stopped { Err(AuditError::Stopped) } else { Ok(()) }
    }

    fn graph(&self) -> &'a Graph {
        self.machine.graph()
    }

    fn traced(&self) -> &'a Traced<'a> {
        self.machine.traced()
    }

    fn tasks(&mut self, options: &Options) -> Vec<Task> {
        let (graph, traced) = (self.graph(), self.traced());
        self.coverage.positions = traced.store().positions().count();
        self.coverage.foreign = traced.foreign().clone();
        let mut tasks = Vec::new();
        for (index, node) in graph.nodes.iter().enumerate() {
            let Some(checkpoint) = node.checkpoint else { continue };
            self.coverage.nodes += 1;
            let id = NodeId(index as u32);
            let recorded = traced.any(id);
            self.coverage.recorded += usize::from(!recorded.is_empty());
            if options.checkpoints.as_ref().is_some_and(|r| !r.is_match(&checkpoint.to_string())) {
                continue;
            }
            let wanted = |p: &u32| options.positions.as_ref().is_none_or(|only| only.contains(p));
            let positions: Vec<u32> = recorded.into_iter().filter(wanted).collect();
            if !positions.is_empty() {
                tasks.push(Task { stretch: Stretch::find(graph, traced, id), positions });
            }
        }
        for (checkpoint, count) in traced.misshapen() {
            let reason = format!("{checkpoint} was recorded in another shape than the model's");
            *self.coverage.unjudged.entry(reason).or_default() += count;
        }
        tasks
    }

    fn kind(&self, stretch: &Stretch, position: u32) -> Kind {
        let id = stretch.output();
        let columns = self.traced().columns(position);
        Kind::of(self.graph().node(id), self.machine.weight_type(id), columns, stretch.reach)
    }

    fn circumstance(&self, stretch: &Stretch, columns: Option<u32>) -> Circumstance<'a> {
        Circumstance {
            weights: self.machine.weight_type(stretch.output()),
            columns,
            header: self.traced().store().header(),
            fused: stretch.reach == Reach::Whole,
        }
    }

    /// Every arithmetic that a stretch may have been computed in, the expected one first.
    fn options(&self, stretch: &Stretch, columns: Option<u32>) -> Vec<Choice> {
        if matches!(stretch.reach, Reach::Bridged(_)) {
            return House::ALL.map(Choice::House).to_vec();
        }
        let node = self.graph().node(stretch.output());
        let rules = candidates(node, &self.circumstance(stretch, columns));
        rules.into_iter().map(Choice::Rule).collect()
    }

    /// Finds each kind's arithmetic, of directly audited kinds first.
    fn fit(&mut self, tasks: &[Task]) -> Result<(), AuditError> {
        let mut cells: BTreeMap<Kind, Vec<Cells<'_>>> = BTreeMap::new();
        for task in tasks {
            let mut of_kind: BTreeMap<Kind, Vec<u32>> = BTreeMap::new();
            for &position in &task.positions {
                of_kind.entry(self.kind(&task.stretch, position)).or_default().push(position);
            }
            for (kind, positions) in of_kind {
                cells.entry(kind).or_default().push((task, positions));
            }
        }
        let mut kinds: Vec<(Kind, Vec<Cells<'_>>)> = cells.into_iter().collect();
        kinds.sort_by_key(|(kind, _)| (kind.bridged, *kind));
        for (kind, tasks) in kinds {
            let choice = self.fit_kind(&tasks)?;
            if let Choice::Rule(rule) = choice
                && !kind.bridged
            {
                self.habits.found.insert(kind, rule);
            }
            self.choices.insert(kind, choice);
        }
        Ok(())
    }

    fn fit_kind(&self, tasks: &[Cells<'_>]) -> Result<Choice, AuditError> {
        let sample: Vec<(&Stretch, Vec<u32>)> =
            spread(tasks, SAMPLE_NODES).map(|(task, p)| (&task.stretch, late(p))).collect();
        let Some((first, positions)) = sample.first() else { return Ok(Choice::Rule(&EXACT)) };
        let columns = positions.first().and_then(|&p| self.traced().columns(p));
        let options = self.options(first, columns);
        let bridged = matches!(first.reach, Reach::Bridged(_));
        let mut best: Option<(f64, Choice)> = None;
        let expected = options.first().copied().unwrap_or(Choice::Rule(&EXACT));
        if options.len() == 1 {
            return Ok(expected);
        }
        for choice in options {
            self.go_on()?;
            let mut severities = Vec::new();
            for (stretch, positions) in &sample {
                let how = Evaluation { rows: Some(SAMPLE_ROWS), ..Evaluation::default() };
                for judged in self.judge(stretch, choice, positions, how, None)? {
                    severities.push(if bridged {
                        judged.deviation.relative
                    } else {
                        judged.deviation.severity
                    });
                }
            }
            if severities.is_empty() {
                continue;
            }
            severities.sort_by(f64::total_cmp);
            let median = severities[severities.len() / 2];
            // A wide floor is no merit: a rule that has one must not win by it.
            let wide = self.own_floor(first, choice).is_some_and(|f| f > WIDE);
            let score = if wide { median.max(0.5) } else { median };
            // The one that is expected stays unless another is clearly nearer.
            let margin = if best.is_none() { 1.0 } else { 0.5 };
            if best.is_none_or(|(least, _)| score < least * margin) {
                best = Some((score, choice));
            }
            if !bridged && !wide && score <= 0.3 {
                break;
            }
        }
        // If nothing comes near, the nodes are held to what the header leads one to expect.
        let none_fits = best.is_some_and(|(score, _)| !bridged && !(score <= 1.0));
        Ok(if none_fits { expected } else { best.map_or(expected, |(_, choice)| choice) })
    }

    /// The floor that a rule brings along.
    fn own_floor(&self, stretch: &Stretch, choice: Choice) -> Option<f64> {
        let node = self.graph().node(stretch.output());
        let products = match node.op {
            Op::MatMul => node.inputs.first().map_or(0, |&input| self.graph().node(input).width),
            _ => self.coverage.positions,
        };
        choice.rule()?.floor(products)
    }

    fn tolerance(&self, stretch: &Stretch, choice: Choice, recorded: &Recorded, extra: f64) -> Tolerance {
        let op = &self.graph().node(stretch.output()).op;
        let own = match stretch.reach {
            Reach::Whole => WHOLE_ATTENTION,
            _ => floor(op),
        };
        let wider = self.own_floor(stretch, choice);
        let inexact = recording(&recorded.values, recorded.relative, recorded.absolute);
        let is_exact = recorded.relative == 0.0 && recorded.absolute == 0.0;
        // A value rests on the sums of all operations inside, of which the last one's terms say nothing.
        let rounds = |id: &&NodeId| !matches!(self.graph().node(**id).op, Op::Slice { .. });
        let alone = stretch.nodes.iter().filter(rounds).count() <= 1;
        Tolerance {
            floor: Floor { row: wider.map_or(own.row, |w| w.max(own.row)), value: own.value },
            values: alone && extra == 0.0 && is_exact && wider.is_none(),
            extra: extra + if is_exact { 0.0 } else { inexact },
        }
    }

    /// Evaluates a stretch under `choice` and judges it at `positions`. With `bridges`, adds what
    /// probes show that bridging and coarse recording cost.
    pub fn judge(
        &self,
        stretch: &Stretch,
        choice: Choice,
        positions: &[u32],
        how: Evaluation<'_>,
        bridges: Option<&BTreeMap<u32, f64>>,
    ) -> Result<Vec<Judged>, AuditError> {
        let id = stretch.output();
        let mut out = Vec::new();
        for (columns, positions) in self.by_columns(positions) {
            let rules = |id: NodeId| self.habits.rule(&self.machine, stretch, choice, columns, id);
            let computed = self.machine.evaluate(stretch, &rules, &positions, how)?;
            for (position, mut computed) in computed {
                let Some(recorded) = self.traced().read(id, position)? else { continue };
                let extra = bridges.and_then(|b| b.get(&position)).copied().unwrap_or(0.0);
                let tolerance = self.tolerance(stretch, choice, &recorded, extra);
                let mut deviation = judge(&recorded.values, &computed, &tolerance);
                let mut fallen = 0;
                if !deviation.is_explained()
                    && let Some(rule) = choice.rule()
                    && !rule.admits(&recorded.values)
                {
                    deviation.severity = deviation.severity.max(f64::from(f32::MAX));
                } else if !deviation.is_explained() && how.change.is_none() && how.rows.is_none() {
                    fallen = self.settle(stretch, choice, position, &recorded, &mut computed)?;
                    if fallen > 0 {
                        deviation = judge(&recorded.values, &computed, &tolerance);
                    }
                }
                if deviation.is_explained()
                    && choice.rule().is_some_and(|rule| !rule.admits(&recorded.values))
                {
                    deviation.severity = f64::INFINITY;
                }
                out.push(Judged { position, deviation, ties: fallen });
            }
        }
        Ok(out)
    }

    fn by_columns(&self, positions: &[u32]) -> BTreeMap<Option<u32>, Vec<u32>> {
        let mut groups: BTreeMap<Option<u32>, Vec<u32>> = BTreeMap::new();
        for &position in positions {
            groups.entry(self.traced().columns(position)).or_default().push(position);
        }
        groups
    }

    fn settle(
        &self,
        stretch: &Stretch,
        choice: Choice,
        position: u32,
        recorded: &Recorded,
        computed: &mut Computed,
    ) -> Result<usize, AuditError> {
        let (Some(rule), [id]) = (choice.rule(), &*stretch.nodes) else { return Ok(0) };
        let node = self.graph().node(*id);
        let (Op::MatMul, Some(&input)) = (&node.op, node.inputs.first()) else { return Ok(0) };
        let table = self.traced().table(input)?;
        let Some(row) = table.row(position) else { return Ok(0) };
        let row: Vec<f64> = row.iter().map(|&x| x.into()).collect();
        let bound = self.machine.bound(*id)?;
        let Some(matrix) = bound.matrix() else { return Ok(0) };
        Ok(ties::settle(
            &recorded.values,
            computed,
            &rule.ties(&row),
            matrix,
            rule,
            rule.sums(&row).is_some(),
        ))
    }

    /// What bridging and coarse recording may cost the output's norm, by position.
    pub fn bridges(
        &self,
        stretch: &Stretch,
        choice: Choice,
        positions: &[u32],
        change: Option<&Change>,
    ) -> Result<Option<BTreeMap<u32, f64>>, AuditError> {
        let coarse = stretch.sources.iter().any(|&id| self.traced().table(id).is_ok_and(|t| !t.is_exact()));
        if !coarse && !matches!(stretch.reach, Reach::Bridged(_)) {
            return Ok(None);
        }
        // The worst of all positions, as a share of the norm: roundings that fall the other way are rare,
        // and a probe sees few of them at any one.
        let mut worst = 0.0_f64;
        let mut norms: BTreeMap<u32, f64> = BTreeMap::new();
        for (columns, positions) in self.by_columns(positions) {
            let rules = |id: NodeId| self.habits.rule(&self.machine, stretch, choice, columns, id);
            let at = |probe| {
                let how = Evaluation { change, probe, rows: None };
                self.machine.evaluate(stretch, &rules, &positions, how)
            };
            let coarse = stretch.nodes.iter().any(|&id| rules(id).is_coarse());
            let share = if coarse { PROBE_COARSE } else { PROBE };
            let plain = at(None)?;
            for seed in [1, 2] {
                for (position, moved) in at(Some(Probe { seed, share }))? {
                    let Some(plain) = plain.get(&position) else { continue };
                    let square: f64 =
                        plain.values.iter().zip(&moved.values).map(|(a, b)| (a - b) * (a - b)).sum();
                    let norm = plain.values.iter().map(|x| x * x).sum::<f64>().sqrt();
                    norms.insert(position, norm);
                    if norm > 0.0 {
                        worst = worst.max(square.sqrt() / norm);
                    }
                }
            }
        }
        let cost = norms.into_iter().map(|(p, norm)| (p, PROBE_MARGIN * worst * norm)).collect();
        Ok(Some(cost))
    }

    fn verify(&mut self, task: &Task) -> Result<(), AuditError> {
        let stretch = &task.stretch;
        let mut faulty: Vec<Judged> = Vec::new();
        let mut judged_cells = 0;
        let mut clean: BTreeSet<u32> = BTreeSet::new();
        let mut seen: BTreeSet<Kind> = BTreeSet::new();
        for positions in task.positions.chunks(CHUNK) {
            self.go_on()?;
            let mut of_kind: BTreeMap<Kind, Vec<u32>> = BTreeMap::new();
            for &position in positions {
                of_kind.entry(self.kind(stretch, position)).or_default().push(position);
            }
            for (kind, positions) in of_kind {
                let choice = self.choices.get(&kind).copied().unwrap_or(Choice::Rule(&EXACT));
                let bridges = self.bridges(stretch, choice, &positions, None)?;
                let judged =
                    self.judge(stretch, choice, &positions, Evaluation::default(), bridges.as_ref())?;
                self.count_unjudged(stretch, &positions, &judged);
                let (judged, wide): (Vec<Judged>, Vec<Judged>) = judged.into_iter().partition(|j| {
                    !matches!(stretch.reach, Reach::Bridged(_)) || j.deviation.floor <= TOO_WIDE
                });
                if !wide.is_empty() {
                    let reason =
                        "too little was recorded before it: correct engines may differ by as much".to_owned();
                    *self.coverage.unjudged.entry(reason).or_default() += wide.len();
                }
                judged_cells += judged.len();
                let unexplained: Vec<u32> =
                    judged.iter().filter(|j| !j.deviation.is_explained()).map(|j| j.position).collect();
                let rescued = self.rescue(stretch, choice, &unexplained)?;
                let tally = self.kinds.entry(kind).or_default();
                tally.nodes += usize::from(seen.insert(kind));
                tally.cells += judged.len();
                for judged in judged {
                    let position = judged.position;
                    let other = rescued.get(&position);
                    let deviation = other.map_or(judged.deviation, |(_, d)| *d);
                    if let Some((title, _)) = other {
                        *tally.otherwise.entry(title).or_default() += 1;
                    }
                    if deviation.is_explained() {
                        clean.insert(position);
                        tally.ties += usize::from(judged.ties > 0);
                        tally.deviations.push(deviation.relative);
                        tally.floor = tally.floor.max(deviation.floor);
                        tally.worst_value = tally.worst_value.max(deviation.worst.map_or(0.0, |w| w.1));
                    } else {
                        tally.faulty += 1;
                        faulty.push(judged);
                    }
                }
            }
        }
        match stretch.reach {
            Reach::Direct => self.coverage.direct += judged_cells,
            Reach::Whole => self.coverage.whole += judged_cells,
            Reach::Bridged(_) => self.coverage.bridged += judged_cells,
        }
        let full = self.traced().full(stretch.output());
        self.coverage.partial += task.positions.iter().filter(|p| !full.contains(p)).count();
        self.note_faulty(stretch, &faulty, &clean, judged_cells);
        if !matches!(stretch.reach, Reach::Bridged(_)) {
            self.clean.insert(stretch.output(), clean);
        }
        // Inputs of later layers are read again when they are needed.
        let horizon = stretch.output().0.saturating_sub(64);
        self.traced().forget(|id| id.0 >= horizon);
        Ok(())
    }

    /// Cells that the kind's arithmetic does not explain, but another does.
    fn rescue(
        &self,
        stretch: &Stretch,
        usual: Choice,
        positions: &[u32],
    ) -> Result<BTreeMap<u32, (&'static str, Deviation)>, AuditError> {
        let mut rescued = BTreeMap::new();
        let mut left = positions.to_vec();
        let Some(&first) = left.first() else { return Ok(rescued) };
        let node = self.graph().node(stretch.output());
        for choice in self.options(stretch, self.traced().columns(first)) {
            // A wide floor explains too much to be tried on single cells, unless it is the engine's own.
            let wide = self.own_floor(stretch, choice).is_some_and(|f| f > WIDE);
            let at = self.circumstance(stretch, self.traced().columns(first));
            let expected = choice.rule().is_some_and(|r| r.is_expected(node, &at));
            if choice.is(usual) || (wide && !expected) {
                continue;
            }
            let bridges = self.bridges(stretch, choice, &left, None)?;
            for judged in self.judge(stretch, choice, &left, Evaluation::default(), bridges.as_ref())? {
                if judged.deviation.is_explained() {
                    rescued.insert(judged.position, (choice.title(), judged.deviation));
                }
            }
            left.retain(|p| !rescued.contains_key(p));
            if left.is_empty() {
                break;
            }
        }
        Ok(rescued)
    }

    fn count_unjudged(&mut self, stretch: &Stretch, positions: &[u32], judged: &[Judged]) {
        let done: BTreeSet<u32> = judged.iter().map(|j| j.position).collect();
        for &position in positions.iter().filter(|p| !done.contains(p)) {
            let reason = self.missing(stretch, position);
            *self.coverage.unjudged.entry(reason).or_default() += 1;
        }
    }

    /// Why a cell cannot be judged.
    fn missing(&self, stretch: &Stretch, position: u32) -> String {
        let (graph, traced) = (self.graph(), self.traced());
        let name = |id: NodeId| graph.node(id).checkpoint.map(|c| c.to_string()).unwrap_or_default();
        if traced.read(stretch.output(), position).is_err() {
            return "their values are not in the sidecar".to_owned();
        }
        for &id in &stretch.nodes {
            let node = graph.node(id);
            if matches!(node.op, Op::Embed)
                && traced.token(position).is_none_or(|t| t as usize >= graph.n_vocab)
            {
                return "the trace does not say which token was computed".to_owned();
            }
            for (i, &input) in node.inputs.iter().enumerate() {
                if !stretch.sources.contains(&input) {
                    continue;
                }
                let full = traced.full(input);
                if node.op.history_input() == Some(i) {
                    if (0..=position).any(|p| !full.contains(&p)) {
                        let site = graph.node(input).checkpoint.map_or("", |c| c.site().name());
                        return format!("{site} is not recorded at every earlier position");
                    }
                } else if !full.contains(&position) {
                    return format!("{} is not recorded in full at the same position", name(input));
                }
            }
        }
        "what it is computed from cannot be had at every earlier position".to_owned()
    }

    fn note_faulty(&mut self, stretch: &Stretch, faulty: &[Judged], clean: &BTreeSet<u32>, judged: usize) {
        let mut order: Vec<&Judged> = faulty.iter().collect();
        order.sort_by(|a, b| b.deviation.severity.total_cmp(&a.deviation.severity));
        let Some(worst) = order.first() else { return };
        let node = self.graph().node(stretch.output());
        let Some(checkpoint) = node.checkpoint else { return };
        let (_, choice) = self.as_judged(stretch.output(), worst.position);
        self.findings.push(Finding {
            stretch: stretch.clone(),
            choice,
            faulty: order.iter().map(|j| j.position).collect(),
            clean: clean.iter().copied().collect(),
            worst: (worst.deviation.relative, worst.deviation.severity),
        });
        let mut positions: Vec<u32> = faulty.iter().map(|j| j.position).collect();
        positions.sort_unstable();
        self.faulty.push(FaultyNode {
            checkpoint,
            operation: node.op.name(),
            weight: node.weight.clone(),
            reach: stretch.reach,
            arithmetic: choice.title(),
            positions,
            judged,
            worst_at: worst.position,
            worst: worst.deviation,
            diagnoses: Vec::new(),
            pattern: String::new(),
        });
    }

    /// Says what kind of mistake each faulty node holds, once it is known which are faulty.
    fn explain(&mut self, progress: &mut dyn FnMut(usize)) -> Result<(), AuditError> {
        for (i, finding) in std::mem::take(&mut self.findings).into_iter().enumerate() {
            self.go_on()?;
            let diagnoses = match self.misrecorded_input(&finding) {
                Some(knock_on) => vec![knock_on],
                None => hypotheses::explain(self, &finding)?,
            };
            let pattern =
                if diagnoses.is_empty() { hypotheses::describe(self, &finding)? } else { String::new() };
            (self.faulty[i].diagnoses, self.faulty[i].pattern) = (diagnoses, pattern);
            progress(i + 1);
        }
        Ok(())
    }

    /// Where an input of the node was recorded wrongly, the node cannot be held to it.
    fn misrecorded_input(&self, finding: &Finding) -> Option<Diagnosis> {
        let graph = self.graph();
        let wrong =
            finding.stretch.sources.iter().filter_map(|&id| graph.node(id).checkpoint).find(|source| {
                let recorded = self.faulty.iter().find(|f| f.checkpoint == *source);
                recorded.and_then(|f| f.diagnoses.first()).is_some_and(|d| d.instrument)
            })?;
        Some(Diagnosis {
            mistake: "recorded-input".to_owned(),
            says: format!("its input {wrong} was recorded wrongly, so that it cannot be judged by it"),
            instrument: true,
            before: finding.worst.0,
            after: finding.worst.0,
            explained: finding.faulty.len(),
            tried: finding.faulty.len(),
        })
    }

    /// Positions at which a directly judged node is explained, if it is never faulty and ever judged.
    pub fn clean_positions(&self, id: NodeId) -> Option<Vec<u32>> {
        let is_faulty = self.findings.iter().any(|f| f.stretch.output() == id)
            || self.faulty.iter().any(|f| self.graph().node(id).checkpoint == Some(f.checkpoint));
        let clean = self.clean.get(&id).filter(|clean| !clean.is_empty() && !is_faulty)?;
        Some(clean.iter().copied().collect())
    }

    /// The stretch that ends in `id`, and what it is held to at `position`.
    pub fn as_judged(&self, id: NodeId, position: u32) -> (Stretch, Choice) {
        let stretch = Stretch::find(self.graph(), self.traced(), id);
        let choice = self.choices.get(&self.kind(&stretch, position)).copied();
        (stretch, choice.unwrap_or(Choice::Rule(&EXACT)))
    }

    fn finish(self) -> Audit {
        let choices = self.choices;
        let kinds = self
            .kinds
            .into_iter()
            .filter(|(_, tally)| tally.cells > 0)
            .map(|(kind, mut tally)| {
                tally.deviations.sort_by(f64::total_cmp);
                let at = |q: f64| {
                    let last = tally.deviations.len().saturating_sub(1) as f64;
                    tally.deviations.get((last * q).round() as usize).copied().unwrap_or(f64::NAN)
                };
                KindFindings {
                    kind,
                    arithmetic: choices.get(&kind).map_or("", |c| c.title()),
                    explained: tally.faulty < tally.cells,
                    nodes: tally.nodes,
                    cells: tally.cells,
                    median: at(0.5),
                    worst: at(1.0),
                    otherwise: tally.otherwise,
                    ties: tally.ties,
                    floor: tally.floor,
                    worst_value: tally.worst_value,
                    faulty: tally.faulty,
                }
            })
            .collect();
        let audit = Audit { kinds, faulty: self.faulty, coverage: self.coverage };
        debug_assert!(audit.conclusion() != Conclusion::Clean || audit.coverage.judged() > 0);
        audit
    }
}

/// `n` items spread over all of them.
fn spread<T>(items: &[T], n: usize) -> impl Iterator<Item = &T> {
    let n = n.min(items.len());
    (0..n).map(move |i| &items[if n == 1 { 0 } else { i * (items.len() - 1) / (n - 1) }])
}

/// A few positions, late ones first: early ones have little to attend to.
fn late(positions: &[u32]) -> Vec<u32> {
    let mut picked: BTreeSet<u32> = BTreeSet::new();
    for i in 0..SAMPLE_POSITIONS {
        let at = (positions.len() * (SAMPLE_POSITIONS - i)).div_ceil(SAMPLE_POSITIONS) - 1;
        picked.insert(positions[at.min(positions.len() - 1)]);
    }
    picked.into_iter().collect()
}
