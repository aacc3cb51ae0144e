//! The figures behind a position's cells.

use super::expect::Measured;
use crate::model::Checkpoint;
use crate::model::sequence::{self, Sequence};

/// One position with the figures behind its cells.
#[derive(Clone, Debug, Default)]
pub struct Figures {
    /// The position.
    pub position: u32,
    form: Form,
}

#[derive(Clone, Debug)]
enum Form {
    /// While it is being compared: compared cells only.
    Open(Vec<(Checkpoint, Measured)>),
    Packed {
        checkpoints: Sequence,
        all: Box<[Small]>,
        /// [`Measured::record`] of each, where any is not zero.
        records: Box<[f32]>,
    },
}

/// [`Measured`] in 20 bytes.
#[derive(Clone, Copy, Debug)]
struct Small {
    error: f32,
    norm: f32,
    /// And in the uppermost bit whether only a part was compared.
    width: u32,
    peak: f32,
    rounding: f32,
}

const PART: u32 = 1 << 31;

impl Default for Form {
    fn default() -> Self {
        Self::Open(Vec::new())
    }
}

impl Figures {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn len(&self) -> usize {
        match &self.form {
            Form::Open(all) => all.len(),
            Form::Packed { all, .. } => all.len(),
        }
    }

    /// The figures of every compared cell, in order of execution.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (Checkpoint, Measured)> + '_ {
        (0..self.len()).map(|at| match &self.form {
            Form::Open(all) => all[at],
            Form::Packed { checkpoints, .. } => (checkpoints[at], self.at(at)),
        })
    }

    /// The figures of one cell.
    pub fn get(&self, checkpoint: Checkpoint) -> Option<Measured> {
        match &self.form {
            Form::Open(all) => find(all, checkpoint).ok().map(|at| all[at].1),
            Form::Packed { checkpoints, .. } => checkpoints.find(checkpoint).map(|at| self.at(at)),
        }
    }

    fn at(&self, at: usize) -> Measured {
        match &self.form {
            Form::Open(all) => all[at].1,
            Form::Packed { all, records, .. } => {
                let Small { error, norm, width, peak, rounding } = all[at];
                let record = records.get(at).copied().unwrap_or(0.0);
                let part = width & PART != 0;
                Measured { error, norm, width: width & !PART, peak, rounding, record, part }
            }
        }
    }

    fn open(&mut self) -> &mut Vec<(Checkpoint, Measured)> {
        if let Form::Packed { .. } = self.form {
            self.form = Form::Open(self.iter().collect());
        }
        match &mut self.form {
            Form::Open(all) => all,
            Form::Packed { .. } => unreachable!("it was opened"),
        }
    }

    /// Keeps the figures of one cell.
    pub(super) fn insert(&mut self, checkpoint: Checkpoint, measured: Measured) {
        let all = self.open();
        match find(all, checkpoint) {
            Ok(at) => all[at].1 = measured,
            Err(at) => all.insert(at, (checkpoint, measured)),
        }
    }

    /// Lets go of the figures of one cell.
    pub(super) fn remove(&mut self, checkpoint: Checkpoint) {
        if self.get(checkpoint).is_some() {
            self.open().retain(|(c, _)| *c != checkpoint);
        }
    }

    /// Makes them small, as nothing more is expected.
    pub(super) fn pack(&mut self, usual: &mut Sequence) {
        let Form::Open(open) = &self.form else { return };
        let small = |(_, m): &(Checkpoint, Measured)| Small {
            error: m.error,
            norm: m.norm,
            width: m.width | if m.part { PART } else { 0 },
            peak: m.peak,
            rounding: m.rounding,
        };
        // No row is as long.
        if open.iter().any(|(_, m)| m.width & PART != 0) {
            return;
        }
        let exact = open.iter().all(|(_, m)| m.record.to_bits() == 0);
        let records = if exact { Box::default() } else { open.iter().map(|(_, m)| m.record).collect() };
        self.form = Form::Packed {
            checkpoints: usual.share(open.iter().map(|(checkpoint, _)| *checkpoint)),
            all: open.iter().map(small).collect(),
            records,
        };
    }
}

fn find(all: &[(Checkpoint, Measured)], checkpoint: Checkpoint) -> Result<usize, usize> {
    sequence::place(all, checkpoint, |(c, _)| *c)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Site;

    #[test]
    fn packing_loses_nothing() {
        assert_eq!(size_of::<Small>(), 20);
        for record in [0.0, 2e-7] {
            let measured = |n: u32| Measured {
                error: n as f32 / 3.0,
                norm: 7.0,
                width: n << 20,
                peak: f32::INFINITY,
                rounding: n as f32,
                record: record * n as f32,
                part: n == 4,
            };
            let mut open = Figures { position: 3, ..Figures::default() };
            for n in [0, 2, 1, 4, 3] {
                open.insert(Checkpoint::layer(Site::Kcur, n), measured(n as u32));
            }
            let mut packed = open.clone();
            packed.pack(&mut Sequence::default());
            assert!(matches!(packed.form, Form::Packed { .. }));
            assert!(packed.iter().eq(open.iter()) && packed.iter().len() == 5);
            assert_eq!(packed.get(Checkpoint::layer(Site::Kcur, 4)), Some(measured(4)));
            assert_eq!(packed.get(Checkpoint::LOGITS), None);
            packed.remove(Checkpoint::layer(Site::Kcur, 1));
            packed.insert(Checkpoint::LOGITS, measured(9));
            assert_eq!(packed.iter().len(), 5);
            assert_eq!(packed.get(Checkpoint::layer(Site::Kcur, 1)), None);
        }
    }
}
