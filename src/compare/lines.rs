//! Lines of the records behind each cell of a column, to tell which were recorded again.

use crate::model::Checkpoint;
use crate::model::sequence::{self, Sequence};

/// Lines of both sides, reference and candidate. Kept modulo 2³²−1: a record comes back at the next line, not
/// four billion lines on.
#[derive(Debug)]
pub(super) enum Lines {
    /// While the position is being compared.
    Open(Vec<(Checkpoint, [u32; 2])>),
    /// As distances from the least.
    Packed { checkpoints: Sequence, least: [u32; 2], ahead: Box<[[u16; 2]]> },
}

impl Default for Lines {
    fn default() -> Self {
        Self::Open(Vec::new())
    }
}

impl Lines {
    /// Those of one cell; the default if none are known.
    pub fn get(&self, checkpoint: Checkpoint) -> [u32; 2] {
        match self {
            Self::Open(all) => find(all, checkpoint).map_or([0; 2], |at| all[at].1),
            Self::Packed { checkpoints, .. } => checkpoints.find(checkpoint).map_or([0; 2], |at| self.at(at)),
        }
    }

    fn at(&self, at: usize) -> [u32; 2] {
        match self {
            Self::Open(all) => all[at].1,
            Self::Packed { least, ahead, .. } => [0, 1].map(|side| least[side] + u32::from(ahead[at][side])),
        }
    }

    /// What is kept of the lines of a cell's records.
    pub fn of(lines: [Option<u64>; 2]) -> [u32; 2] {
        lines.map(|line| line.map_or(0, |line| (line % u64::from(u32::MAX)) as u32 + 1))
    }

    fn open(&mut self) -> &mut Vec<(Checkpoint, [u32; 2])> {
        if let Self::Packed { checkpoints, .. } = self {
            let all = checkpoints.iter().enumerate().map(|(at, &checkpoint)| (checkpoint, at));
            let all: Vec<_> = all.collect();
            *self = Self::Open(all.into_iter().map(|(checkpoint, at)| (checkpoint, self.at(at))).collect());
        }
        match self {
            Self::Open(all) => all,
            Self::Packed { .. } => unreachable!("it was opened"),
        }
    }

    pub fn insert(&mut self, checkpoint: Checkpoint, lines: [u32; 2]) {
        let all = self.open();
        match find(all, checkpoint) {
            Ok(at) => all[at].1 = lines,
            Err(at) => all.insert(at, (checkpoint, lines)),
        }
    }

    pub fn remove(&mut self, checkpoint: Checkpoint) {
        self.open().retain(|(c, _)| *c != checkpoint);
    }

    pub fn checkpoints(&self) -> impl Iterator<Item = Checkpoint> + '_ {
        let (open, packed) = match self {
            Self::Open(all) => (&all[..], &[][..]),
            Self::Packed { checkpoints, .. } => (&[][..], &checkpoints[..]),
        };
        open.iter().map(|(checkpoint, _)| *checkpoint).chain(packed.iter().copied())
    }

    /// Makes them small, as nothing more is expected. Lines far apart stay as they are.
    pub fn pack(&mut self, usual: &mut Sequence) {
        let Self::Open(all) = self else { return };
        all.shrink_to_fit();
        let least = [0, 1].map(|side| all.iter().map(|(_, lines)| lines[side]).min().unwrap_or(0));
        let ahead = |lines: &[u32; 2]| {
            let [a, b] = [0, 1].map(|side| u16::try_from(lines[side] - least[side]));
            Some([a.ok()?, b.ok()?])
        };
        let Some(ahead) = all.iter().map(|(_, lines)| ahead(lines)).collect::<Option<Box<[_]>>>() else {
            return;
        };
        let checkpoints = usual.share(all.iter().map(|(checkpoint, _)| *checkpoint));
        *self = Self::Packed { checkpoints, least, ahead };
    }
}

fn find(all: &[(Checkpoint, [u32; 2])], checkpoint: Checkpoint) -> Result<usize, usize> {
    sequence::place(all, checkpoint, |(c, _)| *c)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Site;

    #[test]
    fn packing_loses_nothing() {
        let at = |layer: usize| Checkpoint::layer(Site::Kcur, layer);
        for (far, packs) in [(65_535, true), (65_536, false)] {
            let mut lines = Lines::default();
            let all = [[1000, 7], [1000 + far, 9], [1007, 7]];
            for (layer, both) in [0, 2, 1].into_iter().zip(all) {
                lines.insert(at(layer), both);
            }
            lines.pack(&mut Sequence::default());
            assert_eq!(matches!(lines, Lines::Packed { .. }), packs);
            assert_eq!([0, 2, 1].map(|layer| lines.get(at(layer))), all);
            assert_eq!(lines.get(at(5)), [0; 2]);
            lines.insert(at(1), [3, 0]);
            lines.remove(at(0));
            assert_eq!((lines.get(at(1)), lines.get(at(2)), lines.get(at(0))), ([3, 0], all[1], [0; 2]));
            assert!(lines.checkpoints().eq([at(1), at(2)]));
        }
    }
}
