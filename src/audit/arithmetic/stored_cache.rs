//! A cache of 8, 5 or 4 bits, or of bf16: keys and values are stored so, the query is rounded to what meets
//! them, and all sums are f32. llama.cpp on the CPU with `--kv`. Where heads are whole multiples of 64 wide, newer
//! ones turn what they quantise by a Walsh-Hadamard matrix first, and the result back.

use super::cache_blocks::{BLOCK, TURN, hadamard, iq4_nl, q4_0, q4_1, q5_0, q5_1};
use super::{Circumstance, Rule, q8_0, q8_1, to_bf16};
use crate::engine::cpu::kernel::{Bound, Moment};
use crate::model::graph::Attention;
use crate::model::{Node, Op};

/// What the query is rounded to.
#[derive(Clone, Copy)]
enum Query {
    /// So.
    Rounded(fn(&mut [f64])),
    /// To Q8_1, whose sums meet the keys' minima.
    Sums,
}

/// See the module.
pub struct StoredCache {
    id: &'static str,
    title: &'static str,
    /// ggml's name of the type.
    cache: &'static str,
    store: fn(&mut [f64]),
    query: Query,
    turned: bool,
}

fn to_q8_0(row: &mut [f64]) {
    q8_0::BLOCKS.round(row);
}

fn to_bf16s(row: &mut [f64]) {
    for x in row {
        *x = to_bf16(*x);
    }
}

impl StoredCache {
    const fn new(
        [id, title, cache]: [&'static str; 3],
        store: fn(&mut [f64]),
        query: Query,
        turned: bool,
    ) -> Self {
        Self { id, title, cache, store, query, turned }
    }
}

const Q8: Query = Query::Rounded(to_q8_0);

/// bf16.
pub static BF16: StoredCache = StoredCache::new(
    ["bf16-fused", "bf16 query and cache, f32 sums, as llama.cpp on the CPU", "bf16"],
    to_bf16s,
    Query::Rounded(to_bf16s),
    false,
);
/// Q8_0.
pub static Q8_0: StoredCache =
    StoredCache::new(["q8_0-cache", "Q8_0 cache, as llama.cpp on the CPU", "q8_0"], to_q8_0, Q8, false);
/// Q5_1.
pub static Q5_1: StoredCache =
    StoredCache::new(["q5_1-cache", "Q5_1 cache, as llama.cpp on the CPU", "q5_1"], q5_1, Query::Sums, false);
/// Q5_0.
pub static Q5_0: StoredCache =
    StoredCache::new(["q5_0-cache", "Q5_0 cache, as llama.cpp on the CPU", "q5_0"], q5_0, Q8, false);
/// Q4_1.
pub static Q4_1: StoredCache =
    StoredCache::new(["q4_1-cache", "Q4_1 cache, as llama.cpp on the CPU", "q4_1"], q4_1, Query::Sums, false);
/// Q4_0.
pub static Q4_0: StoredCache =
    StoredCache::new(["q4_0-cache", "Q4_0 cache, as llama.cpp on the CPU", "q4_0"], q4_0, Q8, false);
/// IQ4_NL.
pub static IQ4_NL: StoredCache =
    StoredCache::new(["iq4_nl-cache", "IQ4_NL cache, as llama.cpp on the CPU", "iq4_nl"], iq4_nl, Q8, false);
/// Q8_0, turned.
pub static Q8_0_TURNED: StoredCache = StoredCache::new(
    ["q8_0-turned", "turned Q8_0 cache, as llama.cpp on the CPU", "q8_0"],
    to_q8_0,
    Q8,
    true,
);
/// Q5_1, turned.
pub static Q5_1_TURNED: StoredCache = StoredCache::new(
    ["q5_1-turned", "turned Q5_1 cache, as llama.cpp on the CPU", "q5_1"],
    q5_1,
    Query::Sums,
    true,
);
/// Q5_0, turned.
pub static Q5_0_TURNED: StoredCache =
    StoredCache::new(["q5_0-turned", "turned Q5_0 cache, as llama.cpp on the CPU", "q5_0"], q5_0, Q8, true);
/// Q4_1, turned.
pub static Q4_1_TURNED: StoredCache = StoredCache::new(
    ["q4_1-turned", "turned Q4_1 cache, as llama.cpp on the CPU", "q4_1"],
    q4_1,
    Query::Sums,
    true,
);
/// Q4_0, turned.
pub static Q4_0_TURNED: StoredCache =
    StoredCache::new(["q4_0-turned", "turned Q4_0 cache, as llama.cpp on the CPU", "q4_0"], q4_0, Q8, true);
/// IQ4_NL, turned.
pub static IQ4_NL_TURNED: StoredCache = StoredCache::new(
    ["iq4_nl-turned", "turned IQ4_NL cache, as llama.cpp on the CPU", "iq4_nl"],
    iq4_nl,
    Q8,
    true,
);

/// Width of the one that turns queries and keys: the largest power of two that heads are a multiple of.
pub fn turn_of_keys(a: &Attention) -> usize {
    let mut n = TURN;
    while a.head_dim.is_multiple_of(2 * n) {
        n *= 2;
    }
    n
}

impl Rule for StoredCache {
    fn id(&self) -> &'static str {
        self.id
    }
    fn title(&self) -> &'static str {
        self.title
    }
    fn is_coarse(&self) -> bool {
        true
    }
    fn applies(&self, node: &Node, at: &Circumstance<'_>) -> bool {
        let of = if self.turned { TURN } else { BLOCK };
        let fits = |a: &Attention| a.head_dim.is_multiple_of(of) && a.head_dim_v.is_multiple_of(of);
        let bits = self.cache == "bf16";
        let whole = |a: &Attention| if bits { at.fused } else { fits(a) };
        // Four or five bits are so coarse that nobody has them without saying so.
        let told = bits || self.cache == "q8_0" || at.cache() == Some(self.cache);
        told && matches!(&node.op, Op::Scores(a) | Op::Mix(a) if whole(a))
    }
    fn is_expected(&self, _: &Node, at: &Circumstance<'_>) -> bool {
        at.is_llama_cpu() && at.cache() == Some(self.cache)
    }
    fn operand(&self, node: &Node, index: usize, row: &mut [f64]) {
        let Some(a) = node.op.attention() else { return };
        let mixes = matches!(node.op, Op::Mix(_));
        if mixes && index == 0 {
            return;
        }
        if self.turned {
            hadamard(row, if mixes { TURN } else { turn_of_keys(a) });
        }
        match self.query {
            _ if index == 1 => (self.store)(row),
            Query::Rounded(round) => round(row),
            Query::Sums => {}
        }
    }
    fn evaluate(&self, node: &Node, _: &Bound, _: Moment, inputs: &[&[f64]], out: &mut [f64]) -> bool {
        let (Op::Scores(a), Query::Sums) = (&node.op, self.query) else { return false };
        let (mut query, sums) = (inputs[0].to_vec(), q8_1::sums(inputs[0]));
        q8_1::BLOCKS.round(&mut query);
        let (shared, width) = (a.n_head / a.n_head_kv, a.n_head_kv * a.head_dim);
        let visible = inputs[1].len() / width.max(1);
        for (head, out) in out.chunks_mut(visible.max(1)).enumerate() {
            let of_head = head * a.head_dim..(head + 1) * a.head_dim;
            let (query, sums) = (&query[of_head.clone()], &sums[of_head]);
            for (row, out) in inputs[1].chunks(width).zip(out) {
                let key = &row[head / shared * a.head_dim..][..a.head_dim];
                let blocks = key.chunks(BLOCK).zip(query.chunks(BLOCK).zip(sums.chunks(BLOCK)));
                *out = blocks
                    .map(|(key, (query, sums))| {
                        // The least value of a block is its minimum: its quantum is 0.
                        let least = key.iter().copied().fold(f64::INFINITY, f64::min);
                        let above: f64 = key.iter().zip(query).map(|(k, q)| (k - least) * q).sum();
                        above + least * sums.iter().sum::<f64>()
                    })
                    .sum();
            }
        }
        true
    }
    fn result(&self, node: &Node, out: &mut [f64]) {
        if self.turned && matches!(node.op, Op::Mix(_)) {
            hadamard(out, TURN);
        }
    }
}
