//! NaN written as zero: seen over many rows only.

use super::rows::{Rows, may_hold_zeros};
use super::{Across, Blame, Class, Finding, Sample};
use crate::model::Checkpoint;

pub(super) struct NanAsZero;

impl Class for NanAsZero {
    fn id(&self) -> &'static str {
        "nan-as-zero"
    }

    fn glyph(&self) -> char {
        'Z'
    }

    fn blame(&self) -> Blame {
        Blame::Instrument
    }

    fn explain(&self) -> &'static str {
        "Zeros that stand for NaN. JSON has no NaN, and some loggers write 0 for it. A NaN spreads to every later \
         position through the keys and values, so rows are honest up to some position and nothing but zeros from \
         there on; or rows of sums, which are never exactly zero, have zeros now here and now there. Look at \
         the engine with a logger that writes \"NaN\" as a string, or raw bytes."
    }

    /// One row does not tell: zeros have many causes.
    fn check(&self, _: &Sample<'_>) -> Option<Finding> {
        None
    }

    fn across(&self, rows: &Rows) -> Option<Across> {
        let honest = rows.rows - rows.blank;
        let evidence = match rows.blanks.first() {
            Some(first) if rows.blank >= 2 && honest >= 2 && !rows.recovered => format!(
                "{honest} rows are honest, and from position {first} on all {} are nothing but zeros: so spreads a NaN",
                rows.blank
            ),
            _ if rows.holed >= 2 && rows.clean >= 2 && rows.holed * 20 >= rows.rows => format!(
                "{} of {} rows have exact zeros among other values, {} have none: sums are never exactly zero",
                rows.holed, rows.rows, rows.clean
            ),
            _ => return None,
        };
        let blank = rows.blank >= 2;
        Some(Across {
            class: self.id(),
            rows: if blank { rows.blank } else { rows.holed },
            of: rows.rows,
            by_themselves: 0,
            // Rows of zeros are garbage anyhow, whatever it is called.
            marked: if blank { rows.blank } else { 0 },
            blamed_on_engine: if blank { rows.blank } else { 0 },
            excused: if blank { vec![("all-zero", rows.blank)] } else { Vec::new() },
            positions: if blank { rows.blanks.clone() } else { Vec::new() },
            blame: self.blame(),
            confidence: if blank { 0.85 } else { 0.75 },
            channels: 0,
            evidence,
        })
    }

    fn concerns(&self, checkpoint: Checkpoint) -> bool {
        !may_hold_zeros(checkpoint)
    }
}
