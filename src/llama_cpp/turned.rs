//! With a quantised cache llama.cpp turns values before it stores them, and what attention makes of them back
//! afterwards; but it gives the name `kqv_out` to what is not turned back yet. Attention's output, which
//! the output projection reads, is the node after it, which has no name.

use super::graph_node::GraphNode;
use super::names;

/// The matrix by which values are turned.
const MATRIX: &str = "attn_inp_v_rot";

/// Whether `node` is values, or a mix of them, turned.
pub fn turns(node: &impl GraphNode) -> bool {
    let matrix = || node.source(0).is_some_and(|matrix| names::without_backend(matrix.name()) == MATRIX);
    node.op() == "MUL_MAT" && matrix()
}

/// The layer whose attention output `node` is, after it was turned back.
pub fn turned_back(node: &impl GraphNode) -> Option<usize> {
    let product = node.source(0).filter(|product| node.op() == "RESHAPE" && turns(product))?;
    // Reshaped, or copied if it does not lie in one piece, and then reshaped.
    let mut mix = product.source(1)?;
    loop {
        if let ("kqv_out", Some(layer)) = names::split_layer(names::without_backend(mix.name())) {
            return Some(layer);
        }
        mix = mix.source(0).filter(|_| matches!(mix.op(), "RESHAPE" | "CONT"))?;
    }
}
