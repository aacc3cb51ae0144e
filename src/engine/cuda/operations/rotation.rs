//! Rotations, and keys and values into the cache.

use super::{Operations, THREADS, blocks};
use crate::engine::cuda::arguments::{Row, Turn, Turning};
use crate::engine::cuda::error::CudaError;
use crate::engine::cuda::history::Format;
use crate::engine::cuda::launch::{Args, Launch};
use crate::model::graph::{Pairing, Rope};

impl Operations<'_> {
    /// Puts up to two rows of this position into the cache.
    pub fn store(&self, rows: &[Row], format: Format) -> Result<Launch, CudaError> {
        let mut both = [Row::default(); 2];
        for (to, row) in both.iter_mut().zip(rows) {
            *to = *row;
        }
        let values = both.iter().map(|row| row.width as usize).sum();
        let args = Args::new().with(self.step).with(both[0]).with(both[1]);
        let name = format!("store_{}", format.suffix());
        self.launch(&name, [blocks(values, THREADS), 1, 1], [THREADS, 1], args)
    }

    /// The cosines and sines that node number `index` turns by, into `table`.
    pub fn rope_table(&self, index: usize, rope: &Rope, table: u64) -> Result<Launch, CudaError> {
        let pairs = rope.n_rot / 2;
        let args = Args::new()
            .with(self.step)
            .with(self.weights.frequencies(index)?)
            .with(pairs as i32)
            .with(rope.position_shift)
            .with(rope.attn_factor as f64)
            .with(table);
        self.launch("rope_table", [blocks(pairs, 32), 1, 1], [32, 1], args)
    }

    /// The rotation of one row of heads.
    pub fn rope(&self, rope: &Rope, table: u64, turn: Turn) -> Result<Launch, CudaError> {
        let items = rope.heads * (rope.head_dim - rope.n_rot / 2);
        let args = Args::new().with(turning(rope, table)).with(turn);
        self.launch("rope", [blocks(items, THREADS), 1, 1], [THREADS, 1], args)
    }

    /// The rotation of a query and a key, and the key and a value into the cache.
    pub fn rope_and_store(
        &self,
        rope: &Rope,
        table: u64,
        [query, key]: [Turn; 2],
        [key_row, value_row]: [Row; 2],
        format: Format,
    ) -> Result<Launch, CudaError> {
        let per_head = rope.head_dim - rope.n_rot / 2;
        let items = (query.heads + key.heads) as usize * per_head + value_row.width as usize;
        let args = Args::new()
            .with(self.step)
            .with(turning(rope, table))
            .with(query)
            .with(key)
            .with(key_row)
            .with(value_row);
        let name = format!("rope_and_store_{}", format.suffix());
        self.launch(&name, [blocks(items, THREADS), 1, 1], [THREADS, 1], args)
    }
}

/// How the heads of a node are turned.
fn turning(rope: &Rope, table: u64) -> Turning {
    Turning {
        table,
        head_dim: rope.head_dim as i32,
        pairs: (rope.n_rot / 2) as i32,
        neox: i32::from(rope.pairing == Pairing::Neox),
        padding: 0,
    }
}

/// One row of heads to turn.
pub fn turn(rope: &Rope, x: u64, out: u64) -> Turn {
    Turn { x, out, heads: rope.heads as i32, ..Turn::default() }
}
