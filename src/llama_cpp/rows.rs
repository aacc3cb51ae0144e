//! Which values of a node belong to one token, and in which shape they are recorded.

use crate::model::{Checkpoint, Site};

/// Extents and strides of a node, in elements, fastest axis first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// Elements along each axis.
    pub ne: [usize; 4],
    /// Elements between neighbours along each axis.
    pub stride: [usize; 4],
}

/// How a checkpoint's node is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Layout {
    /// `[width, tokens]`
    Flat,
    /// `[head_dim, heads, tokens]`
    Heads,
    /// `[cache, tokens, heads]`: the cache is padded, only visible positions mean anything.
    Scores,
}

impl Layout {
    fn of(checkpoint: Checkpoint, op: &str) -> Self {
        match checkpoint.site() {
            Site::Kq | Site::KqSoftMax => Self::Scores,
            Site::QcurNormed | Site::KcurNormed | Site::QcurRope | Site::KcurRope | Site::QcurScaled => {
                Self::Heads
            }
            // Parts of a fused projection are views by head.
            Site::Qcur | Site::Kcur | Site::Vcur if op == "VIEW" => Self::Heads,
            _ => Self::Flat,
        }
    }

    /// The axis that runs over rows, and the one that is kept beside axis 0.
    fn axes(self) -> (usize, Option<usize>) {
        match self {
            Self::Flat => (1, None),
            Self::Heads => (2, Some(1)),
            Self::Scores => (1, Some(2)),
        }
    }
}

/// A node's values for single tokens.
#[derive(Clone, Copy, Debug)]
pub struct Rows {
    extent: Extent,
    layout: Layout,
}

impl Rows {
    /// Checks that the node has one row for each of `tokens` tokens. The error says what it has.
    pub fn new(checkpoint: Checkpoint, op: &str, extent: Extent, tokens: usize) -> Result<Self, String> {
        let layout = Layout::of(checkpoint, op);
        let (rows, _) = layout.axes();
        let kept: usize = match layout {
            Layout::Flat => 1,
            Layout::Heads => extent.ne[1],
            Layout::Scores => extent.ne[2],
        };
        let all: usize = extent.ne.iter().product();
        if extent.ne[rows] != tokens || extent.ne[0] * kept * tokens != all {
            return Err(format!(
                "{checkpoint} should have {tokens} on axis {rows}, its shape is {:?}",
                extent.ne
            ));
        }
        if extent.stride[0] != 1 {
            return Err(format!("{checkpoint} is transposed, its strides are {:?}", extent.stride));
        }
        Ok(Self { extent, layout })
    }

    /// The recorded shape for a token at `position`, in `shape[..len]`.
    pub fn shape(&self, position: usize) -> ([u32; 2], usize) {
        let ne = self.extent.ne;
        match self.layout {
            Layout::Flat => ([ne[0] as u32, 1], 1),
            Layout::Heads => ([ne[0] as u32, ne[1] as u32], 2),
            Layout::Scores => ([ne[0].min(position + 1) as u32, ne[2] as u32], 2),
        }
    }

    /// The values of row `row`, whose token is at `position`: a part of `storage` where they lie
    /// together, else gathered into `buffer`. `None` if `storage` is too short.
    pub fn values<'a>(
        &self,
        storage: &'a [f32],
        row: usize,
        position: usize,
        buffer: &'a mut Vec<f32>,
    ) -> Option<&'a [f32]> {
        let (rows, outer) = self.layout.axes();
        let start = row * self.extent.stride[rows];
        let (shape, _) = self.shape(position);
        let (inner, count) = (shape[0] as usize, shape[1] as usize);
        let step = outer.map_or(inner, |axis| self.extent.stride[axis]);
        if count == 1 || step == inner {
            return storage.get(start..start + inner * count);
        }
        buffer.clear();
        for index in 0..count {
            let from = start + index * step;
            buffer.extend_from_slice(storage.get(from..from + inner)?);
        }
        Some(buffer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contiguous(ne: [usize; 4]) -> Extent {
        Extent { ne, stride: [1, ne[0], ne[0] * ne[1], ne[0] * ne[1] * ne[2]] }
    }

    fn read(
        name: &str,
        op: &str,
        extent: Extent,
        tokens: usize,
        row: usize,
        position: usize,
    ) -> (Vec<u32>, Vec<f32>) {
        let storage: Vec<f32> = (0..400).map(|i| i as f32).collect();
        let rows = Rows::new(name.parse().unwrap(), op, extent, tokens).unwrap();
        let (shape, len) = rows.shape(position);
        let mut buffer = vec![];
        let values = rows.values(&storage, row, position, &mut buffer).unwrap().to_vec();
        assert_eq!(values.len(), shape.iter().product::<u32>() as usize);
        (shape[..len].to_vec(), values)
    }

    #[test]
    fn flat_rows_are_cut_out() {
        let (shape, values) = read("l_out-0", "ADD", contiguous([4, 3, 1, 1]), 3, 2, 9);
        assert_eq!((shape, values), (vec![4], vec![8.0, 9.0, 10.0, 11.0]));
    }

    #[test]
    fn heads_of_a_fused_projection_keep_its_stride() {
        // Keys of a fused row of 12: two heads of 2 from element 8; the storage starts there.
        let extent = Extent { ne: [2, 2, 2, 1], stride: [1, 2, 12, 24] };
        let (shape, values) = read("Kcur-0", "VIEW", extent, 2, 1, 5);
        assert_eq!((shape, values), (vec![2, 2], vec![12.0, 13.0, 14.0, 15.0]));
        let spread = Extent { ne: [2, 2, 2, 1], stride: [1, 5, 12, 24] };
        let (_, values) = read("Kcur-0", "VIEW", spread, 2, 1, 5);
        assert_eq!(values, vec![12.0, 13.0, 17.0, 18.0]);
    }

    #[test]
    fn scores_are_cut_to_visible_positions() {
        // Cache padded to 8, two tokens, three heads; the second token is at position 2.
        let (shape, values) = read("kq-0", "MUL_MAT", contiguous([8, 2, 3, 1]), 2, 1, 2);
        assert_eq!(shape, vec![3, 3]);
        assert_eq!(values, vec![8.0, 9.0, 10.0, 24.0, 25.0, 26.0, 40.0, 41.0, 42.0]);
    }

    #[test]
    fn other_shapes_are_refused() {
        let name = |n: &str| n.parse().unwrap();
        assert!(Rows::new(name("l_out-0"), "ADD", contiguous([4, 2, 1, 1]), 3).is_err());
        assert!(Rows::new(name("l_out-0"), "ADD", contiguous([4, 3, 2, 1]), 3).is_err());
        assert!(Rows::new(name("kq-0"), "MUL_MAT", contiguous([8, 3, 2, 2]), 3).is_err());
        let transposed = Extent { ne: [4, 3, 1, 1], stride: [3, 1, 12, 12] };
        assert!(Rows::new(name("l_out-0"), "ADD", transposed, 3).is_err());
    }

    #[test]
    fn short_storage_is_noticed() {
        let rows = Rows::new("l_out-0".parse().unwrap(), "ADD", contiguous([4, 3, 1, 1]), 3).unwrap();
        assert!(rows.values(&[0.0; 11], 2, 0, &mut vec![]).is_none());
    }
}
