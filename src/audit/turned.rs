//! llama.cpp turns heads before it stores them in a quantised cache, if they are a multiple of 64 wide, and what attention
//! makes of them back afterwards; but it gives the name `kqv_out` to what is not turned back yet.

use std::sync::Arc;

use super::AuditError;
use super::arithmetic::cache_blocks::{TURN, hadamard};
use super::traced::Traced;
use crate::engine::cpu::kernel::Bound;
use crate::gguf::Gguf;
use crate::model::{Graph, NodeId, Op};

/// Rows of a product that are enough to tell one operand from another.
const ROWS: usize = 64;

/// Whether `kqv_out` was recorded turned: by the product that reads it, of which the right operand is nearer.
pub fn is_turned(gguf: &Arc<Gguf>, graph: &Graph, traced: &Traced<'_>) -> Result<bool, AuditError> {
    let Some(header) = traced.store().header() else { return Ok(false) };
    let plain = header.settings.kv.as_deref().is_none_or(|kv| !(kv.starts_with('q') || kv.starts_with("iq")));
    if plain || header.settings.arithmetic.as_deref() != Some("llama.cpp") {
        return Ok(false);
    }
    for (index, node) in graph.nodes.iter().enumerate() {
        let Some(&input) = node.inputs.first().filter(|_| matches!(node.op, Op::MatMul)) else { continue };
        let fits = matches!(&graph.node(input).op, Op::Mix(a) if a.head_dim_v.is_multiple_of(TURN));
        let output = NodeId(index as u32);
        let both = traced.full(input).intersection(traced.full(output)).next().filter(|_| fits);
        let Some(&position) = both else { continue };
        let (Some(x), Some(y)) = (traced.read(input, position)?, traced.read(output, position)?) else {
            continue;
        };
        let bound = Bound::new(gguf, node)?;
        let Some(matrix) = bound.matrix() else { continue };
        let as_is: Vec<f64> = x.values.iter().map(|&x| x.into()).collect();
        let mut turned = as_is.clone();
        hadamard(&mut turned, TURN);
        if as_is.len() != matrix.info().row_len() {
            continue;
        }
        let mut row = vec![0.0_f32; as_is.len()];
        let (mut far, mut far_turned) = (0.0, 0.0);
        for (r, &y) in y.values.iter().enumerate().take(ROWS) {
            matrix.row(r, &mut row);
            let bias = bound.bias().map_or(0.0, |bias| f64::from(bias[r]));
            let off = |x: &[f64]| -> f64 {
                let made: f64 = row.iter().zip(x).map(|(&w, x)| f64::from(w) * x).sum();
                (made + bias - f64::from(y)).powi(2)
            };
            far += off(&as_is);
            far_turned += off(&turned);
        }
        return Ok(far_turned < far);
    }
    Ok(false)
}
