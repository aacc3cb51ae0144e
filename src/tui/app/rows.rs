//! The map's rows: layers, or the checkpoints of one.

use std::sync::Arc;

use crate::model::Checkpoint;
use crate::model::checkpoint::Phase;

/// One row of the map.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Row {
    /// All checkpoints of one layer.
    Layer(usize),
    /// One checkpoint.
    Single(Checkpoint),
}

impl Row {
    /// The overview's row of `checkpoint`.
    pub fn of(checkpoint: Checkpoint) -> Self {
        checkpoint.layer_index().map_or(Self::Single(checkpoint), Self::Layer)
    }

    /// Whether the row shows `checkpoint`.
    pub fn contains(self, checkpoint: Checkpoint) -> bool {
        match self {
            Self::Layer(layer) => checkpoint.layer_index() == Some(layer),
            Self::Single(single) => single == checkpoint,
        }
    }

    /// Short name, `l 7`, `norm`, `out`, `Qcur_rope`.
    pub fn label(self) -> String {
        match self {
            Self::Layer(layer) => format!("l {layer}"),
            Self::Single(checkpoint) => match checkpoint.site().name() {
                "result_output" => "out".to_owned(),
                "result_norm" => "norm".to_owned(),
                name => name.to_owned(),
            },
        }
    }
}

/// Rows of a session, in order of execution.
#[derive(Clone, Debug, Default)]
pub struct Rows {
    checkpoints: Arc<[Checkpoint]>,
    overview: Vec<Row>,
}

impl Rows {
    /// Rows for these checkpoints, which are in order of execution.
    pub fn new(checkpoints: Arc<[Checkpoint]>) -> Self {
        let mut overview: Vec<Row> = checkpoints.iter().copied().map(Row::of).collect();
        overview.dedup();
        Self { checkpoints, overview }
    }

    /// Every checkpoint.
    pub fn checkpoints(&self) -> &Arc<[Checkpoint]> {
        &self.checkpoints
    }

    /// Before, layers, after.
    pub fn overview(&self) -> &[Row] {
        &self.overview
    }

    /// The checkpoints that are executed in the same layer as `of` (or, like it, before or after all layers).
    pub fn group(&self, of: Checkpoint) -> &[Checkpoint] {
        let key = |c: &Checkpoint| (c.site().phase(), c.layer_index());
        let wanted: (Phase, Option<usize>) = key(&of);
        let start = self.checkpoints.partition_point(|c| key(c) < wanted);
        let end = self.checkpoints.partition_point(|c| key(c) <= wanted);
        &self.checkpoints[start..end]
    }

    /// The checkpoints of the same site in all layers (or `of` alone, if it belongs to none).
    pub fn alike(&self, of: Checkpoint) -> Vec<Checkpoint> {
        self.checkpoints.iter().copied().filter(|c| c.site() == of.site()).collect()
    }

    /// The row's checkpoints.
    pub fn members(&self, row: Row) -> &[Checkpoint] {
        match row {
            Row::Single(checkpoint) => match self.checkpoints.binary_search(&checkpoint) {
                Ok(i) => &self.checkpoints[i..=i],
                Err(_) => &[],
            },
            Row::Layer(layer) => {
                let start = self.checkpoints.partition_point(|c| {
                    c.site().phase() < Phase::Layer || c.layer_index().is_some_and(|l| l < layer)
                });
                let len = self.checkpoints[start..].partition_point(|c| c.layer_index() == Some(layer));
                &self.checkpoints[start..start + len]
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_fold_and_unfold() {
        let names =
            ["embd", "attn_norm-0", "l_out-0", "attn_norm-1", "l_out-1", "result_norm", "result_output"];
        let checkpoints: Arc<[Checkpoint]> = names.iter().map(|n| n.parse().unwrap()).collect();
        let rows = Rows::new(checkpoints.clone());
        let labels: Vec<String> = rows.overview().iter().map(|r| r.label()).collect();
        assert_eq!(labels, ["embd", "l 0", "l 1", "norm", "out"]);
        assert_eq!(rows.group(checkpoints[3]), &checkpoints[3..5]);
        assert_eq!(rows.group(checkpoints[5]), &checkpoints[5..7]);
        assert_eq!(rows.alike(checkpoints[1]), [checkpoints[1], checkpoints[3]]);
        assert_eq!(rows.alike(checkpoints[0]), [checkpoints[0]]);
        assert_eq!(rows.members(Row::Layer(0)), &checkpoints[1..3]);
        assert_eq!(rows.members(Row::Layer(1)), &checkpoints[3..5]);
        assert_eq!(rows.members(Row::Layer(2)), &[]);
        assert_eq!(rows.members(Row::Single(checkpoints[0])), &checkpoints[..1]);
        assert!(Rows::new(Arc::new([])).group(checkpoints[0]).is_empty());
    }
}
