//! Attention's mix, head by head, for rules that add products in an order of their own.

use crate::model::graph::Attention;

/// `out[head, channel] = sum(values of that channel, probabilities of that head)` over all visible
/// positions. `inputs`: probabilities (heads × visible), values (visible × key-value heads × width).
pub fn mix(a: &Attention, inputs: &[&[f64]], out: &mut [f64], sum: impl Fn(&[f64], &[f64]) -> f64) {
    let [probabilities, values] = inputs else { return };
    let visible = probabilities.len() / a.n_head.max(1);
    let width = a.n_head_kv * a.head_dim_v;
    let shared = (a.n_head / a.n_head_kv.max(1)).max(1);
    let mut column = vec![0.0; visible];
    for (head, out) in out.chunks_mut(a.head_dim_v.max(1)).enumerate() {
        let weights = &probabilities[head * visible..][..visible];
        for (channel, out) in out.iter_mut().enumerate() {
            let first = head / shared * a.head_dim_v + channel;
            for (x, row) in column.iter_mut().zip(values.chunks(width)) {
                *x = row[first];
            }
            *out = sum(&column, weights);
        }
    }
}
