//! The index entries of one position: as they come while it is being recorded, packed afterwards.

use super::entry::{Entry, Shapes};
use crate::model::Checkpoint;
use crate::model::sequence::{self, Sequence};

/// The entries of one position, in order of execution.
#[derive(Debug)]
pub enum Cells {
    /// Being recorded.
    Open(Vec<Entry>),
    /// Recorded.
    Packed(Packed),
}

/// Entries in 12 bytes each, beside what they have in common.
#[derive(Debug)]
pub struct Packed {
    /// Most positions have the same ones, and share them.
    checkpoints: Sequence,
    /// The first line and the least offset.
    line: u64,
    offset: u64,
    entries: Box<[Small]>,
}

/// What an entry has of its own. Its values are as many as its shape says.
#[derive(Clone, Copy, Debug)]
struct Small {
    offset: u32,
    text: u32,
    line: u16,
    /// The shape's number, and the type in the uppermost bits.
    shape: u16,
}

/// Where the type stands in [`Small::shape`].
const TYPE_SHIFT: u32 = 14;

impl Default for Cells {
    fn default() -> Self {
        Self::Open(Vec::new())
    }
}

impl Cells {
    /// Every checkpoint.
    pub fn checkpoints(&self) -> impl Iterator<Item = Checkpoint> + '_ {
        let (open, packed) = match self {
            Self::Open(entries) => (&entries[..], &[][..]),
            Self::Packed(packed) => (&[][..], &packed.checkpoints[..]),
        };
        open.iter().map(|entry| entry.checkpoint).chain(packed.iter().copied())
    }

    /// Every entry.
    pub fn entries<'a>(&'a self, shapes: &'a Shapes) -> impl Iterator<Item = Entry> + 'a {
        let count = match self {
            Self::Open(entries) => entries.len(),
            Self::Packed(packed) => packed.entries.len(),
        };
        (0..count).map(move |at| match self {
            Self::Open(entries) => entries[at],
            Self::Packed(packed) => packed.get(at, shapes),
        })
    }

    /// The entry of a checkpoint.
    pub fn get(&self, checkpoint: Checkpoint, shapes: &Shapes) -> Option<Entry> {
        match self {
            Self::Open(entries) => {
                sequence::place(entries, checkpoint, |e| e.checkpoint).ok().map(|at| entries[at])
            }
            Self::Packed(packed) => packed.checkpoints.find(checkpoint).map(|at| packed.get(at, shapes)),
        }
    }

    /// Takes an entry in. Gives back the one in whose place it is.
    pub fn insert(&mut self, entry: Entry, shapes: &Shapes) -> Option<Entry> {
        if let Self::Packed(packed) = self {
            *self = Self::Open((0..packed.entries.len()).map(|at| packed.get(at, shapes)).collect());
        }
        let Self::Open(entries) = self else { return None };
        match sequence::place(entries, entry.checkpoint, |e| e.checkpoint) {
            Ok(at) => Some(std::mem::replace(&mut entries[at], entry)),
            Err(at) => {
                entries.insert(at, entry);
                None
            }
        }
    }

    /// Makes it small, as nothing more is expected. Where an entry is out of the ordinary, all stay as they are.
    pub fn pack(&mut self, shapes: &Shapes, usual: &mut Sequence) {
        let Self::Open(entries) = self else { return };
        entries.shrink_to_fit();
        let Some(small) = pack(entries, shapes) else { return };
        let checkpoints = usual.share(entries.iter().map(|e| e.checkpoint));
        let (line, offset) = least(entries);
        *self = Self::Packed(Packed { checkpoints, line, offset, entries: small });
    }
}

fn least(entries: &[Entry]) -> (u64, u64) {
    let line = entries.iter().map(Entry::line).min().unwrap_or(0);
    (line, entries.iter().map(|e| e.offset).min().unwrap_or(0))
}

fn pack(entries: &[Entry], shapes: &Shapes) -> Option<Box<[Small]>> {
    let (line, offset) = least(entries);
    let small = |entry: &Entry| {
        let (number, kind) = entry.shape_and_type();
        let fits = number >> TYPE_SHIFT == 0 && shapes.values(number) == Some(entry.len);
        fits.then_some(Small {
            offset: u32::try_from(entry.offset - offset).ok()?,
            text: entry.text,
            line: u16::try_from(entry.line() - line).ok()?,
            shape: (number | kind << TYPE_SHIFT) as u16,
        })
    };
    entries.iter().map(small).collect()
}

impl Packed {
    fn get(&self, at: usize, shapes: &Shapes) -> Entry {
        let Small { offset, text, line, shape } = self.entries[at];
        let shape = u32::from(shape);
        let number = shape & ((1 << TYPE_SHIFT) - 1);
        let len = shapes.values(number).unwrap_or(0);
        Entry::from_parts(
            self.checkpoints[at],
            (len, text),
            (self.line + u64::from(line), self.offset + u64::from(offset)),
            (number, shape >> TYPE_SHIFT),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Site;
    use crate::trace::Dtype;
    use crate::trace::cell::{Cell, Place};

    fn entry(shapes: &mut Shapes, site: Site, len: u32, line: u64, place: Place) -> Entry {
        let (number, shape) = shapes.take(&[8, 2]).unwrap();
        let cell = Cell { shape, dtype: Dtype::Bf16, line, len, place };
        Entry::new(Checkpoint::layer(site, 3), &cell, number)
    }

    #[test]
    fn packing_loses_nothing() {
        // A model of 80 layers has some 1,440 checkpoints a position: 71 MB for 4,096 positions.
        assert_eq!(size_of::<Small>(), 12);
        let mut shapes = Shapes::default();
        shapes.take(&[1]).unwrap();
        let far = 1_u64 << 40;
        let places = [
            Place::Sidecar { offset: far + 7000 },
            Place::Text { offset: far, bytes: 77 },
            Place::Sidecar { offset: far + u64::from(u32::MAX) },
        ];
        let lines = [far + 1, far, far + 65_535];
        let sites = [Site::Qcur, Site::Kcur, Site::LOut];
        let mut cells = Cells::default();
        // Recorded in another order than executed.
        for n in [2, 0, 1] {
            let entry = entry(&mut shapes, sites[n], 16, lines[n], places[n]);
            assert!(cells.insert(entry, &shapes).is_none());
        }
        let all = |cells: &Cells, shapes: &Shapes| -> Vec<Cell> {
            cells.entries(shapes).map(|e| e.cell(shapes)).collect()
        };
        let before = all(&cells, &shapes);
        let mut usual = Sequence::default();
        cells.pack(&shapes, &mut usual);
        assert!(matches!(cells, Cells::Packed(_)));
        assert_eq!(all(&cells, &shapes), before);
        assert!(cells.checkpoints().eq(usual.iter().copied()) && usual.len() == 3);
        let mut other = Cells::default();
        for n in 0..3 {
            other.insert(entry(&mut shapes, sites[n], 16, lines[n], places[n]), &shapes);
        }
        other.pack(&shapes, &mut usual);
        assert!(other.checkpoints().eq(cells.checkpoints()));

        // What comes again opens it.
        let again = entry(&mut shapes, Site::Kcur, 16, far + 9, places[0]);
        assert_eq!(cells.insert(again, &shapes).map(|e| e.line()), Some(far));
        let got = |cells: &Cells| cells.get(Checkpoint::layer(Site::Kcur, 3), &shapes).map(|e| e.line());
        assert_eq!(got(&cells), Some(far + 9));
        cells.pack(&shapes, &mut usual);
        assert_eq!(got(&cells), Some(far + 9));
        assert!(cells.get(Checkpoint::LOGITS, &shapes).is_none());
    }

    #[test]
    fn what_does_not_fit_stays_as_it_is() {
        let odd = |len: u32, line: u64, offset: u64| {
            let mut shapes = Shapes::default();
            let mut cells = Cells::default();
            cells.insert(entry(&mut shapes, Site::Qcur, 16, 1, Place::Sidecar { offset: 0 }), &shapes);
            cells.insert(entry(&mut shapes, Site::Kcur, len, line, Place::Sidecar { offset }), &shapes);
            let before: Vec<Cell> = cells.entries(&shapes).map(|e| e.cell(&shapes)).collect();
            cells.pack(&shapes, &mut Sequence::default());
            let now: Vec<Cell> = cells.entries(&shapes).map(|e| e.cell(&shapes)).collect();
            assert_eq!(now, before);
            matches!(cells, Cells::Packed(_))
        };
        assert!(odd(16, 2, 32));
        assert!(!odd(10, 2, 32), "a partial record");
        assert!(!odd(16, 65_537, 32), "a line far away");
        assert!(!odd(16, 2, 1 << 32), "values far away");
    }
}
