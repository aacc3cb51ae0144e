//! What attention reads: the rows of all earlier positions.

use super::change::Slots;
use super::traced::Table;

/// Which row slot `slot` holds at position `p` when rows from `from` on are stored `shift` slots further
/// and one may never be stored: the last that was stored there; `None`: none ever was.
pub fn in_slot(shift: i32, from: usize, unwritten: Option<usize>, p: u32, slot: u32) -> Option<u32> {
    let place = |row: u32| if row as usize >= from { row.saturating_add_signed(shift) } else { row };
    (0..=p).rev().find(|&row| Some(row as usize) != unwritten && place(row) == slot)
}

/// As f64.
pub fn widen(row: &[f32]) -> Vec<f64> {
    row.iter().map(|&x| x.into()).collect()
}

/// Rows of every position from 0 as far as there are any without a gap, one after the other.
pub struct History {
    rows: Vec<f64>,
    width: usize,
}

impl History {
    /// All rows, each changed by `round`.
    pub fn of(table: &Table, round: impl Fn(&mut Vec<f64>)) -> Self {
        let mut history = Self { rows: Vec::new(), width: 0 };
        for (next, (&position, row)) in table.rows.iter().enumerate() {
            if position as usize != next {
                break;
            }
            let mut row = widen(row);
            round(&mut row);
            history.width = row.len();
            history.rows.extend(row);
        }
        history
    }

    /// Rows of the positions up to `position`.
    pub fn upto(&self, position: u32) -> Option<&[f64]> {
        self.rows.get(..(position as usize + 1) * self.width).filter(|rows| !rows.is_empty())
    }

    /// The same as a cache holds them whose slots are filled so.
    pub fn arranged(&self, position: u32, slots: &Slots) -> Option<Vec<f64>> {
        let mut out = Vec::with_capacity((position as usize + 1) * self.width);
        for slot in 0..=position {
            match slots(position, slot) {
                Some(row) => {
                    out.extend_from_slice(self.rows.get(row as usize * self.width..)?.get(..self.width)?);
                }
                None => out.resize(out.len() + self.width, 0.0),
            }
        }
        Some(out)
    }
}
