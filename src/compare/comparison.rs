//! The comparison as a whole: columns by position, filled cell by cell while both runs grow.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::Verdict;
use super::align::{self, Alignment, Tokens};
use super::column::{Column, Detail, Presence};
use super::correlate::Fingerprints;
use super::evaluate::Rules;
use super::evidence::NodeStats;
use super::figures::Figures;
use super::judge::{self, Case};
use super::noise::Noise;
use super::reading::{Reader, Reading};
use super::settling::{self, Settled, Settling};
use super::weights;
use crate::garbage::recording::{self, Note};
use crate::model::{Checkpoint, Site};
use crate::trace::{Header, Store};

/// An incremental comparison of two stores.
#[derive(Debug, Default)]
pub struct Comparison {
    columns: Vec<Arc<Column>>,
    details: Vec<Detail>,
    rows: Arc<[Checkpoint]>,
    rules: Option<Rules>,
    headers: [Option<Header>; 2],
    stats: BTreeMap<Checkpoint, NodeStats>,
    /// A cell that went into `stats` has changed since.
    stats_stale: bool,
    tokens: [Tokens; 2],
    fingerprints: Fingerprints,
    reader: Reader,
    alignment: Option<Alignment>,
    /// How many positions there were when all of them were last looked at together.
    evaluated: usize,
    /// Positions compared since then.
    unseen: BTreeSet<u32>,
    /// And those that a look that is being taken is the first to see.
    looking: Option<BTreeSet<u32>>,
    /// Another one as soon as everything compared is void.
    era: Arc<()>,
    concluded: bool,
    /// That embeddings are of tables rounded in two ways, once nothing more comes.
    embeddings: Option<String>,
    /// What is to be known of how each side was recorded, once nothing more comes.
    recording: [Vec<Note>; 2],
    verdict: Option<Arc<Verdict>>,
}

impl Comparison {
    /// Nothing compared yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Compares `positions` again (those whose stores changed). Cheap for cells that did not change.
    /// Looks at all positions together where that is due.
    pub fn update(&mut self, reference: &Store, candidate: &Store, positions: &[u32]) {
        let stores = [reference, candidate];
        self.compare(stores, positions);
        if self.is_due(reference, candidate) {
            self.evaluate(stores);
        }
        self.judge();
    }

    /// As [`Comparison::update`], without ever looking at all positions together: the caller sees to that
    /// when it [is due](Comparison::is_due). Until then a verdict without alarm stays as it is.
    pub fn take_in(&mut self, reference: &Store, candidate: &Store, positions: &[u32]) {
        self.compare([reference, candidate], positions);
        if !self.stats_stale && !self.is_alarmed() {
            self.judge();
        }
    }

    fn compare(&mut self, stores: [&Store; 2], positions: &[u32]) {
        let mut work: BTreeSet<u32> = positions.iter().copied().collect();
        self.refresh_headers(stores, &mut work);
        self.take_tokens(stores, &work);
        self.align(&mut work);
        // What waited for the end of a trace is settled now.
        if stores.iter().any(|s| s.has_ended()) || self.concluded {
            let pending =
                |d: &Detail| d.sides.iter().any(|s| matches!(s, Presence::Pending | Presence::Begun));
            work.extend(
                self.columns.iter().zip(&self.details).filter(|(_, d)| pending(d)).map(|(c, _)| c.position),
            );
        }
        for &position in &work {
            self.compare_position(stores, position);
        }
        self.unseen.extend(work);
        // Values may have been what tells whether the runs correspond.
        let mut again = BTreeSet::new();
        self.align(&mut again);
        for &position in &again {
            self.compare_position(stores, position);
        }
        self.unseen.extend(again);
    }

    /// Whether all positions should be looked at together before anything is concluded from them: there are
    /// enough new ones, or that is urgent.
    pub fn is_due(&self, reference: &Store, candidate: &Store) -> bool {
        let grown = self.columns.len().abs_diff(self.evaluated);
        let enough = !self.is_settled() && grown * 8 >= self.columns.len();
        enough || self.is_urgent(reference, candidate)
    }

    /// Whether what is known may be wrong before all positions are looked at together: something raises an
    /// alarm, was taken back, or is the last of all.
    pub fn is_urgent(&self, reference: &Store, candidate: &Store) -> bool {
        let over = self.concluded || (reference.has_ended() && candidate.has_ended());
        !self.is_settled() && (self.stats_stale || over || self.is_alarmed())
    }

    /// No alarm is raised under rules that have not seen what raises it.
    fn is_alarmed(&self) -> bool {
        let calm = !matches!(self.verdict.as_deref(), Some(Verdict::Diverged { .. }));
        calm && !self.unseen.is_empty() && self.details.iter().any(|d| d.summary.beyond > 0)
    }

    /// Whether nothing was compared since all positions were last looked at together. Between two such
    /// looks a verdict may lag behind by an eighth of the positions.
    pub fn is_settled(&self) -> bool {
        !self.stats_stale && self.unseen.is_empty() && self.looking.is_none()
    }

    /// Whether a position was looked at together with the others since it was compared.
    pub fn has_settled(&self, position: u32) -> bool {
        let seen = |positions: &BTreeSet<u32>| !positions.contains(&position);
        !self.stats_stale && seen(&self.unseen) && self.looking.as_ref().is_none_or(seen)
    }

    /// Looks at all positions together once more, if any came since that was done last.
    pub fn settle(&mut self, reference: &Store, candidate: &Store) {
        if !self.is_settled() {
            self.evaluate([reference, candidate]);
            self.judge();
        }
    }

    /// The same for somebody who does it elsewhere and brings [what is found](Comparison::settled). Nothing
    /// before there is a header.
    pub fn settling(&mut self, reference: &Store, candidate: &Store) -> Option<Settling> {
        let rules = self.rules.as_ref()?.clone();
        if self.stats_stale {
            self.stats = self.reader.statistics([reference, candidate], &self.columns);
            self.stats_stale = false;
        }
        self.looking.get_or_insert_default().append(&mut self.unseen);
        self.evaluated = self.columns.len();
        let both = self.columns.iter().zip(&self.details);
        Some(Settling {
            era: Arc::clone(&self.era),
            rules,
            stats: self.stats.clone(),
            columns: both.map(|(column, detail)| (Arc::clone(column), Arc::clone(&detail.figures))).collect(),
        })
    }

    /// Takes in what looking at all positions has found. What changed meanwhile is judged by it, too, and
    /// is to be looked at again.
    pub fn settled(&mut self, found: Settled) {
        self.apply(found);
        self.judge();
    }

    fn evaluate(&mut self, stores: [&Store; 2]) {
        if let Some(settling) = self.settling(stores[0], stores[1]) {
            self.apply(settling.run());
        }
    }

    fn apply(&mut self, found: Settled) {
        let Some(rules) = self.rules.as_mut().filter(|_| Arc::ptr_eq(&self.era, &found.era)) else { return };
        self.looking = None;
        (rules.scale, rules.entry, rules.entry_shows) = (found.scale, found.entry, found.entry_shows);
        rules.history = found.history;
        for (checkpoint, seen) in found.stats {
            if let Some(stat) = self.stats.get_mut(&checkpoint) {
                stat.take_excess(&seen);
            }
        }
        let mut judged = found.columns.into_iter().peekable();
        let mut others = Vec::new();
        for (index, (column, detail)) in self.columns.iter_mut().zip(&mut self.details).enumerate() {
            while judged.next_if(|(before, ..)| before.position < column.position).is_some() {}
            match judged.next_if(|(before, ..)| Arc::ptr_eq(before, column)) {
                Some((_, now, summary)) => (*column, detail.summary) = (now, summary),
                None => others.push(index),
            }
        }
        for &index in &others {
            rules.remember(&self.details[index].figures);
        }
        for index in others {
            let (column, detail) = (&mut self.columns[index], &mut self.details[index]);
            (*column, detail.summary) = settling::judge(rules, column, &detail.figures);
        }
    }

    /// Says that nothing more will come, even if the traces have no terminating line; what one side
    /// lacks is missing from now on. Looks at all positions together once more.
    pub fn conclude(&mut self, reference: &Store, candidate: &Store) {
        self.concluded = true;
        self.update(reference, candidate, &[]);
        self.embeddings = weights::by_embeddings([reference, candidate]);
        self.recording = [reference, candidate].map(|store| recording::notes(store, None));
    }

    /// What is to be known of how the reference and the candidate were recorded, once the comparison is
    /// concluded.
    pub fn recording(&self) -> &[Vec<Note>; 2] {
        &self.recording
    }

    /// Columns by position, ascending; shared, so that a snapshot costs no copy.
    pub fn columns(&self) -> &[Arc<Column>] {
        &self.columns
    }

    /// Union of the checkpoints seen, in order of execution.
    pub fn rows(&self) -> Arc<[Checkpoint]> {
        Arc::clone(&self.rows)
    }

    /// The verdict over everything compared so far.
    pub fn verdict(&self) -> Arc<Verdict> {
        self.verdict.clone().unwrap_or_else(|| Arc::new(Verdict::Pending))
    }

    /// What a reader should know beside the verdict: how the runs were aligned, which noise floor
    /// was used, that the weights differ.
    pub fn remarks(&self) -> Vec<String> {
        let mut out = Vec::new();
        match &self.alignment {
            Some(Alignment::Same { remark: Some(remark) }) => out.push(remark.clone()),
            Some(Alignment::Fork { position }) => {
                out.push(format!("the runs sampled different tokens at position {position}; what comes from there on is not compared"));
            }
            // Garbage is a fact of one run, whatever the other one is.
            Some(Alignment::Different { .. }) => {
                if let Some(Verdict::Instrument { evidence, .. }) =
                    judge::instrument(self.reader.tallies(), &self.columns)
                {
                    out.push(evidence);
                }
                return out;
            }
            _ => {}
        }
        if let Some(rules) = &self.rules {
            out.extend(rules.noise.remark().map(str::to_owned));
            if rules.scale > 1.0 {
                out.push(format!(
                    "this pair has up to {:.1} times the noise that was measured for its weight type, with no operation standing out; severities are relative to that",
                    rules.scale
                ));
            }
        }
        for (side, notes) in ["reference", "candidate"].into_iter().zip(&self.recording) {
            out.extend(notes.iter().map(|note| format!("the {side}'s recorder: {}", note.says)));
        }
        out.extend(self.other_weights());
        out
    }

    /// That the two runs were made with other weights: a sentence, if they were. What values say about it is
    /// known once the comparison is concluded.
    pub fn other_weights(&self) -> Option<String> {
        let [a, b] = &self.headers;
        weights::by_headers(a.as_ref(), b.as_ref()).or_else(|| self.embeddings.clone())
    }

    /// Figures by checkpoint over all positions, for tools that measure noise.
    pub fn figures(&self) -> impl Iterator<Item = (u32, &Figures)> {
        self.columns.iter().zip(&self.details).map(|(c, d)| (c.position, &*d.figures))
    }

    /// The rules under which severities were given.
    pub fn rules(&self) -> Option<&Rules> {
        self.rules.as_ref()
    }

    /// Statistics by checkpoint over all positions.
    pub fn stats(&self) -> &BTreeMap<Checkpoint, NodeStats> {
        &self.stats
    }

    /// Starts over when a header arrives or changes: noise and model depend on it.
    fn refresh_headers(&mut self, stores: [&Store; 2], work: &mut BTreeSet<u32>) {
        let headers = stores.map(|s| s.header().cloned());
        if self.rules.is_some() && headers == self.headers {
            return;
        }
        let concluded = self.concluded;
        *self = Self { concluded, ..Self::default() };
        self.rules = Some(Rules {
            noise: Noise::for_pair(headers[0].as_ref(), headers[1].as_ref()),
            lineage: Arc::default(),
            head_dim: None,
            scale: 1.0,
            entry: None,
            entry_shows: false,
            history: std::collections::HashMap::new(),
        });
        self.headers = headers;
        work.extend(stores.iter().flat_map(|s| s.positions()));
    }

    fn take_tokens(&mut self, stores: [&Store; 2], work: &BTreeSet<u32>) {
        for (tokens, store) in self.tokens.iter_mut().zip(stores) {
            for &position in work {
                match align::token_info(store, position) {
                    Some(token) => tokens.insert(position, token),
                    None => tokens.remove(&position),
                };
            }
        }
    }

    /// Aligns anew; positions that are to be compared differently because of it are added to `work`.
    fn align(&mut self, work: &mut BTreeSet<u32>) {
        for tally in self.reader.tallies() {
            for (checkpoint, channels) in tally.spoilt() {
                self.fingerprints.ignore(checkpoint, channels);
            }
        }
        let [a, b] = &self.headers;
        let alignment = match align::different_models(a.as_ref(), b.as_ref()) {
            Some(evidence) => Alignment::Different { evidence },
            None => align::align(&self.tokens[0], &self.tokens[1], &self.fingerprints),
        };
        let fork = |a: &Option<Alignment>| match a {
            Some(Alignment::Fork { position }) => *position,
            _ => u32::MAX,
        };
        let before = fork(&self.alignment);
        self.alignment = Some(alignment);
        let now = fork(&self.alignment);
        if before != now {
            work.extend(self.columns.iter().map(|c| c.position).filter(|&p| p >= before.min(now)));
        }
    }

    fn compare_position(&mut self, stores: [&Store; 2], position: u32) {
        let (Some(rules), at) =
            (&mut self.rules, self.columns.binary_search_by_key(&position, |c| c.position))
        else {
            return;
        };
        let forked = matches!(self.alignment, Some(Alignment::Fork { position: fork }) if position >= fork);
        let presence = stores.map(|store| {
            let there = store.token(position).is_some() || store.checkpoints(position).next().is_some();
            let over = store.has_ended() || self.concluded;
            match (there, over || store.is_complete(position)) {
                (true, true) => Presence::Complete,
                (true, false) => Presence::Begun,
                (false, _) if over => Presence::Absent,
                _ => Presence::Pending,
            }
        });
        if presence.iter().all(|p| matches!(p, Presence::Pending | Presence::Absent)) {
            if let Ok(index) = at {
                self.stats_stale |= !self.details[index].figures.is_empty();
                self.columns.remove(index);
                self.details.remove(index);
                self.fingerprints.remove(position);
            }
            return;
        }
        let index = at.unwrap_or_else(|index| {
            self.columns.insert(index, Arc::new(Column { position, ..Column::default() }));
            self.details.insert(index, Detail::default());
            index
        });
        let reading = Reading {
            stores,
            position,
            presence,
            forked,
            tokens: &self.tokens,
            stats: &mut self.stats,
            fingerprints: &mut self.fingerprints,
        };
        let column = Arc::make_mut(&mut self.columns[index]);
        let rows = rules.lineage.checkpoints().len();
        self.stats_stale |= self.reader.read(reading, rules, column, &mut self.details[index]);
        if rules.lineage.checkpoints().len() != rows {
            self.rows = rules.lineage.checkpoints().collect();
        }
        rules.remember(&self.details[index].figures);
        let (column, detail) = (&mut self.columns[index], &mut self.details[index]);
        (*column, detail.summary) = settling::judge(rules, column, &detail.figures);
    }

    fn judge(&mut self) {
        let (Some(rules), Some(alignment)) = (&self.rules, &self.alignment) else { return };
        let verdict = judge::judge(&Case {
            columns: &self.columns,
            details: &self.details,
            rules,
            alignment,
            findings: self.reader.tallies(),
            over: self.concluded || self.columns.iter().zip(&self.details).all(|(_, d)| settled(d)),
            rows: rules.lineage.has_site(Site::ResultOutput),
        });
        if self.verdict.as_deref() != Some(&verdict) {
            self.verdict = Some(Arc::new(verdict));
        }
    }
}

fn settled(detail: &Detail) -> bool {
    detail.sides.iter().all(|s| matches!(s, Presence::Complete | Presence::Absent))
}
