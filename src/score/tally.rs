//! Rates over rows.

use super::grade::Row;

/// Counts over some rows of one judge.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Trials with a mistake.
    pub faulty: usize,
    /// Of those, operation named right.
    pub operations: usize,
    /// Of those, mistake named right.
    pub mistakes: usize,
    /// Pairs without a mistake.
    pub clean: usize,
    /// Of those, something named.
    pub false_alarms: usize,
    /// Trials that the judge could not decide.
    pub undecided: usize,
}

impl Tally {
    /// Counts `rows`.
    pub fn of<'a>(rows: impl IntoIterator<Item = &'a Row>) -> Self {
        let mut tally = Self::default();
        for row in rows {
            match row.operation_right {
                Some(right) => {
                    tally.faulty += 1;
                    tally.operations += usize::from(right);
                    tally.mistakes += usize::from(row.mistake_right == Some(true));
                }
                None => tally.clean += 1,
            }
            tally.false_alarms += usize::from(row.false_alarm);
            tally.undecided += usize::from(row.undecided);
        }
        tally
    }

    /// Share of mistakes whose operation was named right; `None` without any.
    pub fn operation_rate(&self) -> Option<f64> {
        share(self.operations, self.faulty)
    }

    /// Share of mistakes that were named right; `None` without any.
    pub fn mistake_rate(&self) -> Option<f64> {
        share(self.mistakes, self.faulty)
    }
}

fn share(part: usize, of: usize) -> Option<f64> {
    (of > 0).then(|| part as f64 / of as f64)
}
