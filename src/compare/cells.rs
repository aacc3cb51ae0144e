//! The cells of one position: as they come while it is being compared, packed afterwards. A long run of a deep
//! model has millions of them.

use std::sync::Arc;

use super::cell::{CellMetrics, CellResult, CellState, Severity};
use crate::model::Checkpoint;
use crate::model::sequence::{self, Sequence};

/// Cells in order of execution.
#[derive(Clone, Debug)]
pub struct Cells(Form);

#[derive(Clone, Debug)]
enum Form {
    Open(Vec<CellResult>),
    Packed(Packed),
}

/// Cells in 32 bytes each, beside what they share.
#[derive(Clone, Debug)]
struct Packed {
    checkpoints: Sequence,
    /// What a look at all positions together does not change.
    facts: Arc<Facts>,
    /// What it does: one a cell.
    judgements: Box<[Judgement]>,
}

#[derive(Debug)]
struct Facts {
    usual: Box<[Fact]>,
    /// Cells that are out of the ordinary, by their place.
    others: Vec<(u32, CellState)>,
}

/// A cell that was compared over all its values, all of them finite.
#[derive(Clone, Copy, Debug)]
struct Fact {
    /// Halves of f64, so that 28 bytes suffice.
    nmse: [u32; 2],
    cosine: [u32; 2],
    max_abs: f32,
    max_at: u32,
    /// Values compared; [`OTHER`]: it stands among the others.
    values: u32,
}

/// No row has as many values.
const OTHER: u32 = u32::MAX;

/// What a look at all positions says of one cell: its severity, and in the sign whether an error enters there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Judgement(u32);

const SIGN: u32 = 1 << 31;

impl Judgement {
    /// A severity, which has no sign, and whether an error enters.
    pub fn new(severity: Severity, origin: bool) -> Self {
        Self(severity.0.to_bits() & !SIGN | u32::from(origin) << 31)
    }

    fn severity(self) -> Severity {
        Severity(f32::from_bits(self.0 & !SIGN))
    }

    fn origin(self) -> bool {
        self.0 & SIGN != 0
    }

    /// That of a cell; nothing is said of one that was not compared.
    pub(super) fn of(state: &CellState) -> Self {
        match *state {
            CellState::Compared { severity, origin, .. } => Self::new(severity, origin),
            _ => Self(0),
        }
    }
}

fn halves(x: f64) -> [u32; 2] {
    let bits = x.to_bits();
    [bits as u32, (bits >> 32) as u32]
}

fn whole([low, high]: [u32; 2]) -> f64 {
    f64::from_bits(u64::from(low) | u64::from(high) << 32)
}

impl Fact {
    fn of(state: &CellState) -> Option<Self> {
        let CellState::Compared { metrics: m, severity, .. } = state else { return None };
        let usual = m.compared == m.of && m.compared != OTHER && m.nonfinite_reference == 0;
        let usual = usual && m.nonfinite_candidate == 0 && severity.0.is_sign_positive();
        usual.then_some(Self {
            nmse: halves(m.nmse),
            cosine: halves(m.cosine),
            max_abs: m.max_abs,
            max_at: m.max_at,
            values: m.compared,
        })
    }

    const ELSEWHERE: Self = Self { nmse: [0; 2], cosine: [0; 2], max_abs: 0.0, max_at: 0, values: OTHER };

    fn metrics(&self) -> CellMetrics {
        CellMetrics {
            nmse: whole(self.nmse),
            cosine: whole(self.cosine),
            max_abs: self.max_abs,
            max_at: self.max_at,
            nonfinite_reference: 0,
            nonfinite_candidate: 0,
            compared: self.values,
            of: self.values,
        }
    }
}

impl Packed {
    fn new(cells: &[CellResult], usual: &mut Sequence) -> Option<Self> {
        let mut others = Vec::new();
        let facts: Box<[Fact]> = (0..)
            .zip(cells)
            .map(|(at, cell)| {
                Fact::of(&cell.state).unwrap_or_else(|| {
                    others.push((at, cell.state));
                    Fact::ELSEWHERE
                })
            })
            .collect();
        // Where most are, they are better kept as they are.
        if others.len() * 4 > cells.len() {
            return None;
        }
        others.shrink_to_fit();
        Some(Self {
            checkpoints: usual.share(cells.iter().map(|cell| cell.checkpoint)),
            facts: Arc::new(Facts { usual: facts, others }),
            judgements: cells.iter().map(|cell| Judgement::of(&cell.state)).collect(),
        })
    }

    fn get(&self, at: usize) -> CellResult {
        let (fact, judged) = (&self.facts.usual[at], self.judgements[at]);
        let mut state = CellState::Compared {
            metrics: fact.metrics(),
            severity: judged.severity(),
            origin: judged.origin(),
        };
        if fact.values == OTHER
            && let Ok(other) = self.facts.others.binary_search_by_key(&at, |(place, _)| *place as usize)
        {
            state = self.facts.others[other].1;
            judge(&mut state, judged);
        }
        CellResult { checkpoint: self.checkpoints[at], state }
    }
}

fn judge(state: &mut CellState, judged: Judgement) {
    if let CellState::Compared { severity, origin, .. } = state {
        (*severity, *origin) = (judged.severity(), judged.origin());
    }
}

impl Cells {
    /// How many there are.
    pub fn len(&self) -> usize {
        match &self.0 {
            Form::Open(cells) => cells.len(),
            Form::Packed(packed) => packed.judgements.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All of them, in order of execution.
    pub fn iter(&self) -> Iter<'_> {
        Iter { cells: self, at: 0 }
    }

    /// The cell of a checkpoint.
    pub fn get(&self, checkpoint: Checkpoint) -> Option<CellResult> {
        match &self.0 {
            Form::Open(cells) => find(cells, checkpoint).ok().map(|at| cells[at]),
            Form::Packed(packed) => packed.checkpoints.find(checkpoint).map(|at| packed.get(at)),
        }
    }

    fn at(&self, at: usize) -> CellResult {
        match &self.0 {
            Form::Open(cells) => cells[at],
            Form::Packed(packed) => packed.get(at),
        }
    }

    fn open(&mut self) -> &mut Vec<CellResult> {
        if let Form::Packed(_) = self.0 {
            *self = self.iter().collect();
        }
        match &mut self.0 {
            Form::Open(cells) => cells,
            Form::Packed(_) => unreachable!("it was opened"),
        }
    }

    /// Takes one in, in the place of one of the same checkpoint.
    pub(super) fn insert(&mut self, cell: CellResult) {
        let cells = self.open();
        match find(cells, cell.checkpoint) {
            Ok(at) => cells[at] = cell,
            Err(at) => cells.insert(at, cell),
        }
    }

    /// Lets go of one.
    pub(super) fn remove(&mut self, checkpoint: Checkpoint) {
        if self.get(checkpoint).is_some() {
            self.open().retain(|cell| cell.checkpoint != checkpoint);
        }
    }

    /// Makes them small, as nothing more is expected.
    pub(super) fn pack(&mut self, usual: &mut Sequence) {
        if let Form::Open(cells) = &mut self.0 {
            cells.shrink_to_fit();
            if let Some(packed) = Packed::new(cells, usual) {
                self.0 = Form::Packed(packed);
            }
        }
    }

    /// The same cells with other judgements, one for each; `None` where those are what they have.
    pub(super) fn judged(&self, judgements: &[Judgement]) -> Option<Self> {
        let of = |cell: CellResult| Judgement::of(&cell.state);
        if judgements.iter().copied().eq(self.iter().map(of)) {
            return None;
        }
        Some(match &self.0 {
            Form::Open(cells) => {
                let mut cells = cells.clone();
                for (cell, judged) in cells.iter_mut().zip(judgements) {
                    judge(&mut cell.state, *judged);
                }
                cells.into()
            }
            Form::Packed(Packed { checkpoints, facts, .. }) => Self(Form::Packed(Packed {
                checkpoints: checkpoints.clone(),
                facts: Arc::clone(facts),
                judgements: judgements.into(),
            })),
        })
    }
}

fn find(cells: &[CellResult], checkpoint: Checkpoint) -> Result<usize, usize> {
    sequence::place(cells, checkpoint, |cell| cell.checkpoint)
}

impl Default for Cells {
    fn default() -> Self {
        Self(Form::Open(Vec::new()))
    }
}

impl From<Vec<CellResult>> for Cells {
    /// Cells that are in order of execution.
    fn from(cells: Vec<CellResult>) -> Self {
        Self(Form::Open(cells))
    }
}

impl FromIterator<CellResult> for Cells {
    /// Cells that come in order of execution.
    fn from_iter<I: IntoIterator<Item = CellResult>>(cells: I) -> Self {
        cells.into_iter().collect::<Vec<_>>().into()
    }
}

impl PartialEq for Cells {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl<'a> IntoIterator for &'a Cells {
    type Item = CellResult;
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

/// Cells in order of execution.
#[derive(Clone, Debug)]
pub struct Iter<'a> {
    cells: &'a Cells,
    at: usize,
}

impl Iterator for Iter<'_> {
    type Item = CellResult;

    fn next(&mut self) -> Option<CellResult> {
        let cell = (self.at < self.cells.len()).then(|| self.cells.at(self.at));
        self.at += 1;
        cell
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.cells.len().saturating_sub(self.at);
        (left, Some(left))
    }
}

impl ExactSizeIterator for Iter<'_> {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Site;

    fn metrics(seed: u32) -> CellMetrics {
        CellMetrics {
            nmse: f64::from(seed).sqrt() * 1e-9,
            cosine: 1.0 - f64::from(seed) * 1e-17,
            max_abs: seed as f32 / 3.0,
            max_at: seed,
            nonfinite_reference: 0,
            nonfinite_candidate: 0,
            compared: 128,
            of: 128,
        }
    }

    /// One of each kind, and many usual ones.
    fn some() -> Vec<CellResult> {
        let state = |n: u32| match n {
            3 => CellState::ReferenceOnly,
            5 => CellState::CandidateOnly,
            7 => CellState::ShapeMismatch,
            9 => CellState::Unreadable,
            _ => CellState::Compared {
                metrics: match n {
                    11 => CellMetrics { nmse: f64::INFINITY, nonfinite_candidate: 3, ..metrics(n) },
                    12 => CellMetrics { compared: 10, ..metrics(n) },
                    13 => CellMetrics { compared: OTHER, of: OTHER, ..metrics(n) },
                    _ => metrics(n),
                },
                severity: Severity([0.5, 0.0, 7.25, f32::INFINITY][n as usize % 4]),
                origin: n % 6 == 2,
            },
        };
        (0..40)
            .map(|n| CellResult { checkpoint: Checkpoint::layer(Site::Qcur, n as usize), state: state(n) })
            .collect()
    }

    #[test]
    fn packing_loses_nothing() {
        // A model of 80 layers has some 1,440 checkpoints a position: 190 MB for 4,096 positions.
        assert_eq!(size_of::<Fact>() + size_of::<Judgement>(), 32);
        let open: Cells = some().into();
        let mut packed = open.clone();
        packed.pack(&mut Sequence::default());
        assert!(matches!(packed.0, Form::Packed(_)));
        assert_eq!((packed.len(), &packed), (40, &open));
        for cell in &open {
            assert_eq!(packed.get(cell.checkpoint), Some(cell));
        }
        assert_eq!(packed.get(Checkpoint::LOGITS), None);

        // What comes again opens them.
        let (new, gone) = (CellResult { checkpoint: Checkpoint::LOGITS, ..some()[0] }, some()[8].checkpoint);
        let mut changed = [packed, open];
        for cells in &mut changed {
            cells.insert(new);
            cells.insert(CellResult { state: CellState::Unreadable, ..some()[1] });
            cells.remove(gone);
        }
        assert_eq!(changed[0], changed[1]);
        assert_eq!((changed[0].len(), changed[0].get(gone)), (40, None));
        assert_eq!(changed[0].get(some()[1].checkpoint).unwrap().state, CellState::Unreadable);
    }

    #[test]
    fn judgements_change_nothing_else() {
        let open: Cells = some().into();
        let mut packed = open.clone();
        packed.pack(&mut Sequence::default());
        let same: Vec<Judgement> = open.iter().map(|cell| Judgement::of(&cell.state)).collect();
        assert!(open.judged(&same).is_none() && packed.judged(&same).is_none());
        let other = vec![Judgement::new(Severity(3.5), true); 40];
        let judged = [open.judged(&other).unwrap(), packed.judged(&other).unwrap()];
        assert_eq!(judged[0], judged[1]);
        for (cell, before) in judged[1].iter().zip(&open) {
            match (cell.state, before.state) {
                (
                    CellState::Compared { metrics, severity, origin },
                    CellState::Compared { metrics: was, .. },
                ) => assert_eq!((metrics, severity, origin), (was, Severity(3.5), true)),
                (now, was) => assert_eq!(now, was),
            }
        }
    }

    #[test]
    fn what_is_mostly_out_of_the_ordinary_stays_as_it_is() {
        let odd = |at: usize| CellResult {
            checkpoint: Checkpoint::layer(Site::Qcur, at),
            state: CellState::CandidateOnly,
        };
        let mut cells: Cells = (0..9).map(odd).collect();
        let before = cells.clone();
        cells.pack(&mut Sequence::default());
        assert!(matches!(cells.0, Form::Open(_)));
        assert_eq!(cells, before);
    }
}
