//! Lines that show which row of a list feeds which, drawn beside the list from the bottom up.
//!
//! ```text
//! kq        ◄┬╮     ╯ and ┴ leave a row upwards
//! Kcur_rope ─╯│     ╮, ┬, ┤ and ┼ arrive at one
//! Qcur_rope ──╯     │ passes by
//! ```

/// One character of the lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cell {
    /// What to draw.
    pub glyph: char,
    /// The row that the line comes from, where it is one row's line alone.
    pub from: Option<usize>,
}

/// The lines of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wires {
    lanes: Vec<Lane>,
    /// Lanes side by side.
    pub width: usize,
}

/// The line of one row, upwards to the last that it feeds.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Lane {
    from: usize,
    to: Vec<usize>,
    last: usize,
    at: usize,
}

impl Wires {
    /// Lines for rows in order of execution; `inputs[i]` are the rows that feed row `i`, all before it.
    pub fn new(inputs: &[Vec<usize>]) -> Self {
        let feeds = |from: usize| (from + 1..inputs.len()).filter(move |&row| inputs[row].contains(&from));
        let mut lanes: Vec<Lane> = (0..inputs.len())
            .filter_map(|from| {
                let to: Vec<usize> = feeds(from).collect();
                let last = *to.last()?;
                Some(Lane { from, to, last, at: 0 })
            })
            .collect();
        // Short lines stay near the names, so that few cross.
        lanes.sort_by_key(|lane| (lane.last - lane.from, lane.from));
        for i in 0..lanes.len() {
            let (placed, rest) = lanes.split_at_mut(i);
            let lane = &mut rest[0];
            let free = |at: usize| {
                placed.iter().all(|other| other.at != at || other.last < lane.from || other.from > lane.last)
            };
            lane.at = (0..=i).find(|&at| free(at)).unwrap_or(i);
        }
        let width = lanes.iter().map(|lane| lane.at + 1).max().unwrap_or(0);
        Self { lanes, width }
    }

    /// The characters of one row: where its inputs arrive or its line leaves, then the lanes.
    pub fn row(&self, row: usize) -> Vec<Cell> {
        let passing = |at: usize| self.lanes.iter().find(|l| l.at == at && (l.from..=l.last).contains(&row));
        let joins = |lane: &Lane| lane.from == row || lane.to.contains(&row);
        let reach = self.lanes.iter().filter(|lane| joins(lane)).map(|lane| lane.at).max();
        let fed = self.lanes.iter().any(|lane| lane.to.contains(&row));
        let head = match (fed, reach) {
            (true, _) => '◄',
            (false, Some(_)) => '─',
            (false, None) => ' ',
        };
        let mut out = vec![Cell { glyph: head, from: None }];
        for at in 0..self.width {
            let within = reach.is_some_and(|reach| at < reach);
            let cell = match passing(at) {
                Some(lane) if joins(lane) => {
                    let glyph = match (lane.from == row, lane.last == row, within) {
                        (true, _, false) => '╯',
                        (true, _, true) => '┴',
                        (_, true, false) => '╮',
                        (_, true, true) => '┬',
                        (_, _, false) => '┤',
                        (_, _, true) => '┼',
                    };
                    Cell { glyph, from: Some(lane.from) }
                }
                Some(lane) => Cell { glyph: '│', from: Some(lane.from) },
                None => Cell { glyph: if within { '─' } else { ' ' }, from: None },
            };
            out.push(cell);
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(inputs: &[&[usize]]) -> Vec<String> {
        let inputs: Vec<Vec<usize>> = inputs.iter().map(|i| i.to_vec()).collect();
        let wires = Wires::new(&inputs);
        (0..inputs.len()).rev().map(|row| wires.row(row).iter().map(|c| c.glyph).collect()).collect()
    }

    #[test]
    fn a_chain_is_a_ladder_and_a_residual_goes_round_it() {
        assert_eq!(drawn(&[&[], &[0], &[1]]), ["◄─╮", "◄┬╯", "─╯ "]);
        assert_eq!(drawn(&[&[], &[0], &[0, 1]]), ["◄┬╮", "◄┴┤", "──╯"]);
        assert_eq!(drawn(&[&[], &[0], &[0], &[1, 2]]), ["◄┬─╮", "◄┴╮│", "◄─┼╯", "──╯ "].map(str::to_owned));
        assert!(drawn(&[]).is_empty());
        assert_eq!(drawn(&[&[], &[]]), [" ", " "]);
    }

    #[test]
    fn no_two_lines_share_a_character() {
        let inputs: Vec<Vec<usize>> = (0..20)
            .map(|row: usize| [1, 3, 7].iter().filter_map(|by| row.checked_sub(*by)).collect())
            .collect();
        let wires = Wires::new(&inputs);
        for row in 0..20 {
            for at in 0..wires.width {
                let there = wires.lanes.iter().filter(|l| l.at == at && (l.from..=l.last).contains(&row));
                assert!(there.count() <= 1);
            }
        }
        let arrived = (0..20).filter(|&row| wires.row(row)[0].glyph == '◄').count();
        assert_eq!(arrived, 19, "every row but the first is fed");
    }
}
