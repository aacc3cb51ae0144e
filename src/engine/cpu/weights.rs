//! Weights as the engine uses them: matrices stay in the map, vectors are widened once.

use std::borrow::Cow;
use std::sync::Arc;

use rayon::prelude::*;

use super::dot::PIECE;
use super::real::Real;
use crate::gguf::{Dequantize, Gguf, GgufError, TensorInfo, WeightType};

/// Below this many multiply-adds a product is not worth waking other threads for (about 20 µs).
const SERIAL_PRODUCT: usize = 1 << 18;

/// A matrix in the model file, `[n_in, n_out]`, in its own weight type.
#[derive(Clone)]
pub struct Matrix {
    gguf: Arc<Gguf>,
    info: TensorInfo,
    dequantize: Dequantize,
}

impl Matrix {
    /// The tensor `info` of `gguf`. Fails where its weight type is not supported.
    pub fn new(gguf: &Arc<Gguf>, info: &TensorInfo) -> Result<Self, GgufError> {
        Ok(Self { gguf: Arc::clone(gguf), info: info.clone(), dequantize: gguf.dequantizer(info)? })
    }

    /// The tensor's entry in the file.
    pub fn info(&self) -> &TensorInfo {
        &self.info
    }

    /// The bytes of row `row`, as the file has them.
    pub fn row_bytes(&self, row: usize) -> &[u8] {
        self.row_at(row)
    }

    /// Widens row `row` into `out` (as many values as a row has).
    pub fn row(&self, row: usize, out: &mut [f32]) {
        (self.dequantize)(self.row_at(row), out);
    }

    /// `out = matrix · x (+ bias)`, rows shared among the threads of the current pool.
    pub fn multiply<T: Real>(&self, x: &[T], bias: Option<&[f32]>, out: &mut [T]) {
        let one = |row: usize, out: &mut T| {
            let sum = self.row_dot(self.row_at(row), x);
            *out = T::from_f64(sum + bias.map_or(0.0, |b| b[row] as f64));
        };
        if x.len() * out.len() < SERIAL_PRODUCT {
            out.iter_mut().enumerate().for_each(|(row, out)| one(row, out));
        } else {
            let rows_per_task = (SERIAL_PRODUCT / 4).div_ceil(x.len());
            out.par_chunks_mut(rows_per_task).enumerate().for_each(|(task, out)| {
                for (i, out) in out.iter_mut().enumerate() {
                    one(task * rows_per_task + i, out);
                }
            });
        }
    }

    fn row_at(&self, row: usize) -> &[u8] {
        let bytes = self.info.row_bytes();
        &self.gguf.data(&self.info)[row * bytes..][..bytes]
    }

    fn row_dot<T: Real>(&self, row: &[u8], x: &[T]) -> f64 {
        let ty = self.info.weight_type;
        if ty == WeightType::F32
            && cfg!(target_endian = "little")
            && let Ok(row) = bytemuck::try_cast_slice(row)
        {
            return T::dot(row, x);
        }
        // Every block length divides PIECE.
        let mut piece = [0.0f32; PIECE];
        let format = ty.format();
        let piece_bytes = PIECE / format.block_len * format.block_bytes;
        let mut sum = 0.0;
        for (bytes, x) in row.chunks(piece_bytes).zip(x.chunks(PIECE)) {
            let piece = &mut piece[..x.len()];
            (self.dequantize)(bytes, piece);
            sum += T::dot(piece, x);
        }
        sum
    }
}

/// Values as they are stored in a cache of 16-bit floats.
pub fn round_to_f16<T: Real>(values: &[T]) -> Cow<'_, [T]> {
    values.iter().map(|v| T::from_f32(half::f16::from_f64(v.to_f64()).to_f32())).collect::<Vec<_>>().into()
}
