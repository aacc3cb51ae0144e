//! Scores are not scaled.

use super::Fault;
use crate::model::{Graph, Node, Op, Site};

/// See the module.
pub struct ScaleMissing;

impl Fault for ScaleMissing {
    fn id(&self) -> &'static str {
        "scale-missing"
    }
    fn catalogue(&self) -> u8 {
        21
    }
    fn title(&self) -> &'static str {
        "scores are not scaled"
    }
    fn explain(&self) -> &'static str {
        "Probabilities come out far too sharp: nearly all weight on one position."
    }
    fn apply(&self, node: &mut Node, _: &Graph) -> bool {
        match &mut node.op {
            Op::SoftMax(a) if a.scale != 1.0 => {
                a.scale = 1.0;
                true
            }
            Op::Scale { factor } if node.checkpoint.is_some_and(|c| c.site() == Site::QcurScaled) => {
                *factor = 1.0;
                true
            }
            _ => false,
        }
    }
}
