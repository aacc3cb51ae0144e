//! Reading one position of both runs: garbage on each side, figures where both have the cell.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::align::Tokens;
use super::cell::{cell_sums, is_per_position};
use super::column::{Counts, Detail, Presence, is_compared};
use super::correlate::Fingerprints;
use super::evaluate::Rules;
use super::evidence::NodeStats;
use super::expect::Measured;
use super::lineage::{Kind, Lineage};
use super::lines::Lines;
use super::logits::logit_metrics;
use super::metrics::Sums;
use super::repeats::{self, Use};
use super::{CellResult, CellState, Column, Severity};
use crate::garbage::{Blame, Finding, Look, Repeat, STALE, Sample, Watch, inspect, visible};
use crate::model::{Checkpoint, Sequence, Site};
use crate::trace::{Dtype, Store, Tensor};

/// Tokens that the overlap of two rows of logits is counted over.
pub const TOP: usize = 10;

/// Buffers that are used again for every cell, and what one run's records are held against.
#[derive(Debug, Default)]
pub(super) struct Reader {
    values: [Tensor; 2],
    visible: Tensor,
    /// Checkpoints of the position that was read last.
    usual: Sequence,
    tallies: [Tally; 2],
}

/// How often each class of instrument garbage was found on one side.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// What rows are held against, and what many of them show together.
    pub watch: Watch,
    /// Rows of each site looked at.
    pub rows: BTreeMap<Site, u32>,
    /// By class and site: rows, and the most confident finding with its position.
    pub found: Found,
    /// Rows that repeat an earlier one, with that and with what was done with them.
    repeats: BTreeMap<(u32, Checkpoint), (Repeat, Use)>,
}

/// Repeats that are looked into on a side; where there are more, those say enough.
const REPEATS: usize = 2048;

impl Tally {
    /// Leading channels that hold an allocator's links instead of values, by checkpoint.
    pub fn spoilt(&self) -> impl Iterator<Item = (Checkpoint, std::ops::Range<u32>)> + '_ {
        let links = |(at, across): (Checkpoint, crate::garbage::Across)| {
            let heap = across.class == "heap-pointer" && across.blame == Blame::Instrument;
            let ranges = if heap { [0..across.channels, 8..10] } else { [0..0, 0..0] };
            ranges.map(|range| (at, range))
        };
        self.watch.across().flat_map(links)
    }

    /// What rows show together, in the form of [`Tally::found`]. Stands for the findings of its class.
    pub fn together(&self) -> Found {
        let mut out = Found::new();
        for (checkpoint, across) in self.watch.across() {
            let finding = across.finding(checkpoint);
            if finding.blame != Blame::Instrument {
                continue;
            }
            let position = across.positions.first().copied().unwrap_or(0);
            let key = (across.class, checkpoint.site());
            let entry = out.entry(key).or_insert((0, position, finding.clone()));
            entry.0 += across.rows;
            if finding.confidence > entry.2.confidence {
                (entry.1, entry.2) = (position, finding);
            }
        }
        out
    }

    fn add(&mut self, position: u32, site: Site, findings: &[Finding]) {
        *self.rows.entry(site).or_default() += 1;
        // Repeats wait for what is recorded behind them.
        for finding in findings.iter().filter(|f| f.blame == Blame::Instrument && f.class != STALE) {
            count(&mut self.found, position, site, finding);
        }
    }

    /// [`Tally::found`], and the stale rows among those that repeat another.
    pub fn all<'a>(&self, columns: impl Iterator<Item = (u32, &'a [Finding])>) -> Found {
        let mut found = self.found.clone();
        if self.repeats.is_empty() {
            return found;
        }
        for (position, findings) in columns {
            for finding in findings.iter().filter(|f| f.class == STALE && f.blame == Blame::Instrument) {
                count(&mut found, position, finding.checkpoint.site(), finding);
            }
        }
        found
    }

    /// Says of the repeats at a position whether the engine went on with them.
    fn settle(&mut self, position: u32, lineage: &Lineage, store: &Store, findings: &mut [Finding]) {
        for finding in findings.iter_mut().filter(|f| f.class == STALE) {
            let at = finding.checkpoint;
            let Some((repeat, known)) = self.repeats.get_mut(&(position, at)) else {
                Use::Unknown.settle(finding, Blame::Engine);
                continue;
            };
            if *known != Use::Unknown {
                continue;
            }
            *known = repeats::used(lineage, store, (position, at), (repeat.position, repeat.checkpoint));
            known.settle(finding, Blame::Engine);
        }
    }
}

/// By class and site: rows, and the most confident finding with its position.
pub(super) type Found = BTreeMap<(&'static str, Site), (u32, u32, Finding)>;

fn count(found: &mut Found, position: u32, site: Site, finding: &Finding) {
    let entry = found.entry((finding.class, site)).or_insert_with(|| (0, position, finding.clone()));
    entry.0 += 1;
    if finding.confidence > entry.2.confidence {
        (entry.1, entry.2) = (position, finding.clone());
    }
}

/// One position to read.
pub(super) struct Reading<'a> {
    pub stores: [&'a Store; 2],
    pub position: u32,
    pub presence: [Presence; 2],
    pub forked: bool,
    pub tokens: &'a [Tokens; 2],
    pub stats: &'a mut BTreeMap<Checkpoint, NodeStats>,
    pub fingerprints: &'a mut Fingerprints,
}

impl Reader {
    pub fn tallies(&self) -> &[Tally; 2] {
        &self.tallies
    }

    /// Brings a column up to date. Returns whether a cell changed or went that statistics over all
    /// positions had taken in.
    pub fn read(
        &mut self,
        mut r: Reading<'_>,
        rules: &mut Rules,
        column: &mut Column,
        detail: &mut Detail,
    ) -> bool {
        detail.sides = r.presence;
        Arc::make_mut(&mut detail.figures).position = r.position;
        column.complete = r.presence == [Presence::Complete; 2];
        let mut checkpoints: BTreeSet<Checkpoint> =
            r.stores.iter().flat_map(|s| s.checkpoints(r.position)).collect();
        let mut stale = false;
        if r.forked {
            checkpoints.clear();
        }
        // Cells that went: the run was taken back.
        let gone: Vec<Checkpoint> = detail.lines.checkpoints().filter(|c| !checkpoints.contains(c)).collect();
        for checkpoint in gone {
            detail.lines.remove(checkpoint);
            stale |= detail.figures.get(checkpoint).is_some();
            forget(column, detail, checkpoint);
        }
        for &checkpoint in &checkpoints {
            if !rules.lineage.contains(checkpoint) {
                Arc::make_mut(&mut rules.lineage).insert(checkpoint);
            }
        }
        for checkpoint in checkpoints {
            let lines = Lines::of(r.stores.map(|s| s.line(r.position, checkpoint)));
            let before = detail.lines.get(checkpoint);
            let unreadable =
                column.cell(checkpoint).is_some_and(|c| matches!(c.state, CellState::Unreadable));
            if lines == before && !unreadable && column.cell(checkpoint).is_some_and(|c| is_compared(&c)) {
                continue;
            }
            stale |= detail.figures.get(checkpoint).is_some();
            let new = [lines[0] != before[0], lines[1] != before[1]];
            detail.lines.insert(checkpoint, lines);
            Arc::make_mut(&mut detail.figures).remove(checkpoint);
            let state = self.cell(&mut r, rules, column, detail, checkpoint, new);
            match state {
                Some(state) => column.cells.insert(CellResult { checkpoint, state }),
                None => column.cells.remove(checkpoint),
            }
        }
        detail.counts = Counts::of(&column.cells);
        if column.complete {
            // Nothing more is expected, and there may be thousands of columns.
            column.cells.pack(&mut self.usual);
            Arc::make_mut(&mut detail.figures).pack(&mut self.usual);
            detail.lines.pack(&mut self.usual);
        }
        let Column { garbage_reference, garbage_candidate, .. } = column;
        for ((tally, store), findings) in
            self.tallies.iter_mut().zip(r.stores).zip([garbage_reference, garbage_candidate])
        {
            tally.settle(r.position, &rules.lineage, store, findings);
        }
        stale
    }

    /// Reads one cell of both sides; `None` while one side may still bring it.
    fn cell(
        &mut self,
        r: &mut Reading<'_>,
        rules: &mut Rules,
        column: &mut Column,
        detail: &mut Detail,
        checkpoint: Checkpoint,
        new: [bool; 2],
    ) -> Option<CellState> {
        let mut there = [false; 2];
        let mut broken = false;
        for side in 0..2 {
            let read = r.stores[side].read(r.position, checkpoint, &mut self.values[side]);
            there[side] = matches!(read, Ok(true));
            broken |= read.is_err();
            if there[side] && new[side] {
                self.inspect(side, r, column, checkpoint);
            }
        }
        if broken {
            return Some(CellState::Unreadable);
        }
        match there {
            [false, false] => return None,
            // Nothing is missing before its side is done with the position.
            [true, false] => {
                return matches!(r.presence[1], Presence::Complete | Presence::Absent)
                    .then_some(CellState::ReferenceOnly);
            }
            [false, true] => {
                return matches!(r.presence[0], Presence::Complete | Presence::Absent)
                    .then_some(CellState::CandidateOnly);
            }
            [true, true] => {}
        }
        let [a, b] = &self.values;
        let Some((sums, of)) = cell_sums(checkpoint, r.position, a, b) else {
            return Some(CellState::ShapeMismatch);
        };
        if matches!(checkpoint.site(), Site::Qcur | Site::QcurRope) && a.shape.len() > 1 {
            rules.head_dim = a.shape.first().copied();
        }
        let dtypes = r.stores.map(|s| s.cell(r.position, checkpoint).map(|c| c.dtype));
        let measured = measured(rules, checkpoint, &self.values, (&sums, of), dtypes);
        Arc::make_mut(&mut detail.figures).insert(checkpoint, measured);
        let stats = r.stats.entry(checkpoint).or_default();
        stats.add(&a.values, &b.values, &sums, !is_per_position(checkpoint.site()));
        if checkpoint == Checkpoint::LOGITS {
            let full = sums.compared == of;
            column.logits = if full { logit_metrics(&a.values, &b.values, TOP) } else { None };
        }
        Some(CellState::Compared { metrics: sums.metrics(of), severity: Severity(0.0), origin: false })
    }

    fn inspect(&mut self, side: usize, r: &mut Reading<'_>, column: &mut Column, checkpoint: Checkpoint) {
        let tokens = &r.tokens[side];
        let values = if is_per_position(checkpoint.site()) {
            visible(&self.values[side], r.position, &mut self.visible);
            &self.visible
        } else {
            &self.values[side]
        };
        let sample = Sample::new(checkpoint, values);
        let mut found = inspect(&sample);
        let watch = &mut self.tallies[side].watch;
        let repeat =
            watch.observe(&Look::of(&sample), r.position, &mut found, |p| tokens.get(&p).map(|t| t.id));
        let repeats = &mut self.tallies[side].repeats;
        repeats.remove(&(r.position, checkpoint));
        if let Some(repeat) = repeat.filter(|_| repeats.len() < REPEATS) {
            repeats.insert((r.position, checkpoint), (repeat, Use::Unknown));
        }
        let findings = if side == 0 { &mut column.garbage_reference } else { &mut column.garbage_candidate };
        findings.retain(|f| f.checkpoint != checkpoint);
        findings.extend_from_slice(&found);
        self.tallies[side].add(r.position, checkpoint.site(), &found);
        let deep =
            matches!(checkpoint.site(), Site::ResultOutput | Site::ResultNorm | Site::LOut | Site::Embd);
        if deep && r.tokens.iter().any(|t| !t.contains_key(&r.position)) {
            let ignored: Vec<std::ops::Range<u32>> = found
                .iter()
                .filter(|f| f.class == "heap-pointer")
                // Where an allocator writes into a freed block, whether it shows in this row or not.
                .flat_map(|_| [0..4, 8..10])
                .collect();
            let full = values.shape.iter().map(|&n| n as usize).product();
            r.fingerprints.insert(side, checkpoint, r.position, full, &values.values, &ignored);
        }
    }

    /// Statistics over all compared cells, read again.
    pub fn statistics(
        &mut self,
        stores: [&Store; 2],
        columns: &[Arc<Column>],
    ) -> BTreeMap<Checkpoint, NodeStats> {
        let mut stats: BTreeMap<Checkpoint, NodeStats> = BTreeMap::new();
        for column in columns {
            for cell in column.cells.iter().filter(is_compared) {
                let read = |side: usize, values: &mut Tensor| {
                    matches!(stores[side].read(column.position, cell.checkpoint, values), Ok(true))
                };
                let [a, b] = &mut self.values;
                if !read(0, a) || !read(1, b) {
                    continue;
                }
                if let Some((sums, _)) = cell_sums(cell.checkpoint, column.position, a, b) {
                    let channels = !is_per_position(cell.checkpoint.site());
                    let stat = stats.entry(cell.checkpoint).or_default();
                    stat.add(&a.values, &b.values, &sums, channels);
                }
            }
        }
        stats
    }
}

fn forget(column: &mut Column, detail: &mut Detail, checkpoint: Checkpoint) {
    column.cells.remove(checkpoint);
    column.garbage_reference.retain(|f| f.checkpoint != checkpoint);
    column.garbage_candidate.retain(|f| f.checkpoint != checkpoint);
    Arc::make_mut(&mut detail.figures).remove(checkpoint);
    if checkpoint == Checkpoint::LOGITS {
        column.logits = None;
    }
}

/// Half a unit of the last kept bit, averaged over a binade, for f16 and bf16 records; half a unit of
/// the sixth decimal, as a root mean square, for text.
const F16_RECORD: f64 = 2.1e-4;
const BF16_RECORD: f64 = 1.7e-3;
const TEXT_RECORD: f64 = 2.9e-7;

fn measured(
    rules: &Rules,
    checkpoint: Checkpoint,
    values: &[Tensor; 2],
    (sums, of): (&Sums, u32),
    dtypes: [Option<Dtype>; 2],
) -> Measured {
    let norm = sums.aa.sqrt();
    let mut record = 0.0_f64;
    for (tensor, dtype) in values.iter().zip(dtypes) {
        let rounding = match dtype {
            Some(Dtype::F16) => F16_RECORD,
            Some(Dtype::Bf16) => BF16_RECORD,
            _ if !tensor.exact && norm > 0.0 => TEXT_RECORD * f64::from(sums.compared).sqrt() / norm,
            _ => 0.0,
        };
        record = record.hypot(rounding);
    }
    let error = sums.relative_error();
    Measured {
        error: error as f32,
        norm: norm as f32,
        width: values[0].values.len() as u32,
        peak: if sums.unmatched > 0 { f32::INFINITY } else { sums.max_abs as f32 },
        rounding: if feeds_a_product(checkpoint, rules) {
            rules.noise.activations().relative_error(&values[0].values)
        } else {
            0.0
        },
        record: record as f32,
        part: sums.compared < of,
    }
}

fn feeds_a_product(checkpoint: Checkpoint, rules: &Rules) -> bool {
    matches!(checkpoint.site(), Site::KqvOut | Site::FfnSwiglu | Site::FfnGelu)
        || (rules.lineage.kind(checkpoint) == Kind::Norm
            && !matches!(
                checkpoint.site(),
                Site::AttnPostNorm | Site::FfnPostNorm | Site::QcurNormed | Site::KcurNormed
            ))
}
