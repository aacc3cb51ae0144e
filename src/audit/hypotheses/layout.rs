//! The matrix is right but read in another order: transposed, or with its rows permuted.

use super::{Case, Hypothesis, Trial};
use crate::gguf::TensorInfo;
use crate::model::view::RowOrder;
use crate::model::{Checkpoint, Op, Site, View};

/// See the module.
pub struct Layout;

/// A matrix larger than this (values) is not widened as a whole.
const LARGEST: u64 = 1 << 27;

impl Hypothesis for Layout {
    fn id(&self) -> &'static str {
        "layout"
    }
    fn trials(&self, case: &Case<'_, '_>) -> Vec<Trial> {
        if !matches!(case.node.op, Op::MatMul) {
            return Vec::new();
        }
        let mut trials = Vec::new();
        let mut add = |kin: u8, says: &str, view: View| {
            let change = case.with(|node| node.departure.views.push(view));
            trials.push(Trial::new(kin, says.to_owned(), change));
        };
        let site = case.node.checkpoint.map(Checkpoint::site);
        let head = case.graph().attention().map_or(0, |a| a.head_dim);
        let of_heads = matches!(
            site,
            Some(Site::Qcur | Site::Kcur | Site::Vcur | Site::QcurMm | Site::KcurMm | Site::VcurMm)
        );
        if of_heads && head > 1 {
            add(
                11,
                "each head's rows are permuted from neighbours to halves (RoPE's other convention)",
                View::Rows(RowOrder::Halved(head)),
            );
            add(
                11,
                "each head's rows are permuted from halves to neighbours (RoPE's other convention)",
                View::Rows(RowOrder::Interleaved(head)),
            );
            add(11, "the heads are in reverse order", View::Rows(RowOrder::HeadsReversed(head)));
        }
        for by in [1, -1] {
            let side = if by > 0 { "after" } else { "before" };
            add(
                23,
                &format!("each row of the matrix is the one {side} it"),
                View::Rows(RowOrder::Shifted(by)),
            );
        }
        let elements =
            case.node.weight.as_deref().and_then(|w| case.gguf().tensor(w)).map(TensorInfo::elements);
        if elements.is_some_and(|n| n <= LARGEST) {
            add(12, "the matrix is used transposed", View::Transposed);
        }
        trials
    }
}
