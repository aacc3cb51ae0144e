//! An index entry as it is kept: traces have millions of them.

use std::collections::HashMap;
use std::sync::Arc;

use super::Dtype;
use super::cell::{Cell, Place};
use crate::model::Checkpoint;

/// One recorded tensor, in 32 bytes.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// Its checkpoint.
    pub checkpoint: Checkpoint,
    pub(super) len: u32,
    line: u64,
    pub(super) offset: u64,
    /// Bytes of the values as text; [`IN_SIDECAR`]: they are not in the text.
    pub(super) text: u32,
    /// The shape's number, and the type in the uppermost bits.
    shape: u32,
}

/// No line is as long as this.
const IN_SIDECAR: u32 = u32::MAX;
/// Where the type stands beside the shape's number.
const TYPE_SHIFT: u32 = 30;
/// Types in the order of their numbers.
const TYPES: [Dtype; 3] = [Dtype::F32, Dtype::F16, Dtype::Bf16];

/// Every shape once.
#[derive(Debug, Default)]
pub struct Shapes {
    all: Vec<Arc<[u32]>>,
    numbers: HashMap<Arc<[u32]>, u32>,
}

impl Shapes {
    /// The number of a shape and the shape itself; `None` if there are too many different ones.
    pub fn take(&mut self, axes: &[u32]) -> Option<(u32, Arc<[u32]>)> {
        if let Some(&number) = self.numbers.get(axes) {
            return Some((number, Arc::clone(&self.all[number as usize])));
        }
        let number = u32::try_from(self.all.len()).ok().filter(|n| n >> TYPE_SHIFT == 0)?;
        let shape: Arc<[u32]> = axes.into();
        self.all.push(Arc::clone(&shape));
        self.numbers.insert(Arc::clone(&shape), number);
        Some((number, shape))
    }
}

impl Shapes {
    /// How many values a shape has; `None` where no row has as many.
    pub fn values(&self, number: u32) -> Option<u32> {
        let shape = self.all.get(number as usize)?;
        shape.iter().try_fold(1_u32, |n, &axis| n.checked_mul(axis))
    }
}

impl Entry {
    /// What is kept of a cell whose shape has this number.
    pub fn new(checkpoint: Checkpoint, cell: &Cell, shape: u32) -> Self {
        let (offset, text) = match cell.place {
            Place::Sidecar { offset } => (offset, IN_SIDECAR),
            Place::Text { offset, bytes } => (offset, bytes),
        };
        let number = TYPES.iter().position(|&t| t == cell.dtype).unwrap_or(0) as u32;
        Self {
            checkpoint,
            len: cell.len,
            line: cell.line,
            offset,
            text,
            shape: shape | (number << TYPE_SHIFT),
        }
    }

    /// An entry from its parts: values and bytes of them as text, line and offset, the numbers of its shape
    /// and of its type.
    pub(super) fn from_parts(
        checkpoint: Checkpoint,
        (len, text): (u32, u32),
        (line, offset): (u64, u64),
        (shape, kind): (u32, u32),
    ) -> Self {
        Self { checkpoint, len, line, offset, text, shape: shape | (kind << TYPE_SHIFT) }
    }

    /// The numbers of its shape and of its type.
    pub(super) fn shape_and_type(&self) -> (u32, u32) {
        (self.shape & ((1 << TYPE_SHIFT) - 1), self.shape >> TYPE_SHIFT)
    }

    /// The line of the record.
    pub fn line(&self) -> u64 {
        self.line
    }

    /// The cell in full.
    pub fn cell(&self, shapes: &Shapes) -> Cell {
        let place = match self.text {
            IN_SIDECAR => Place::Sidecar { offset: self.offset },
            bytes => Place::Text { offset: self.offset, bytes },
        };
        let (number, kind) = self.shape_and_type();
        Cell {
            shape: Arc::clone(&shapes.all[number as usize]),
            dtype: TYPES[kind as usize],
            line: self.line,
            len: self.len,
            place,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Site;

    #[test]
    fn an_entry_is_small_and_loses_nothing() {
        assert_eq!(size_of::<Entry>(), 32);
        let mut shapes = Shapes::default();
        let places = [
            Place::Sidecar { offset: i64::MAX as u64 },
            Place::Text { offset: 1 << 40, bytes: (64 << 20) + 1 },
        ];
        for (axes, dtype, place) in [
            (&[64, 32][..], Dtype::F32, places[0]),
            (&[7][..], Dtype::F16, places[1]),
            (&[64, 32][..], Dtype::Bf16, places[1]),
        ] {
            let (number, shape) = shapes.take(axes).unwrap();
            let cell = Cell { shape, dtype, line: u64::MAX, len: 7, place };
            let entry = Entry::new(Checkpoint::layer(Site::Kcur, 3), &cell, number);
            assert_eq!(entry.cell(&shapes), cell);
        }
        assert_eq!(shapes.all.len(), 2, "a shape is kept once");
    }
}
