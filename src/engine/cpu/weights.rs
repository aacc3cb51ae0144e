//! Weights as the engine uses them: matrices stay in the map, vectors are widened once.

use std::borrow::Cow;
use std::sync::Arc;

use rayon::prelude::*;

use super::dot::PIECE;
use super::real::Real;
use crate::gguf::{Dequantize, Gguf, GgufError, TensorInfo, WeightType};
use crate::model::view::{self, View};

/// Below this many multiply-adds a product is not worth waking other threads for (about 20 µs).
const SERIAL_PRODUCT: usize = 1 << 18;

/// A matrix in the model file, `[n_in, n_out]`, in its own weight type.
#[derive(Clone)]
pub struct Matrix {
    gguf: Arc<Gguf>,
    info: TensorInfo,
    dequantize: Dequantize,
    layout: Layout,
}

/// Where a matrix's rows are.
#[derive(Clone)]
enum Layout {
    /// In the file, in order.
    File,
    /// In the file, in another order.
    Reordered(Arc<[View]>),
    /// Here, widened and changed.
    Changed(Arc<[f32]>),
}

impl Matrix {
    /// The tensor `info` of `gguf` as read through `views`. Fails where its weight type is not
    /// supported. Views that do more than reorder rows cost a copy of the tensor in f32.
    pub fn through(gguf: &Arc<Gguf>, info: &TensorInfo, views: &[View]) -> Result<Self, GgufError> {
        let layout = if views.is_empty() {
            Layout::File
        } else if view::row_behind(views, 0, 1).is_some() {
            Layout::Reordered(views.into())
        } else {
            Layout::Changed(view::read(gguf, info, views)?.into())
        };
        let dequantize = gguf.dequantizer(info)?;
        Ok(Self { gguf: Arc::clone(gguf), info: info.clone(), dequantize, layout })
    }

    /// The tensor's entry in the file.
    pub fn info(&self) -> &TensorInfo {
        &self.info
    }

    /// The bytes that row `row` is read from; none where its values are changed after widening.
    pub fn row_bytes(&self, row: usize) -> Option<&[u8]> {
        (!matches!(self.layout, Layout::Changed(_))).then(|| self.row_at(row))
    }

    /// Widens row `row` into `out` (as many values as a row has).
    pub fn row(&self, row: usize, out: &mut [f32]) {
        match &self.layout {
            Layout::Changed(values) => out.copy_from_slice(&values[row * out.len()..][..out.len()]),
            _ => (self.dequantize)(self.row_at(row), out),
        }
    }

    /// `out = matrix · x (+ bias)`, rows shared among the threads of the current pool.
    pub fn multiply<T: Real>(&self, x: &[T], bias: Option<&[f32]>, out: &mut [T]) {
        match &self.layout {
            Layout::Changed(values) => {
                products(x, bias, out, |row| T::dot(&values[row * x.len()..][..x.len()], x));
            }
            _ => products(x, bias, out, |row| self.row_dot(self.row_at(row), x)),
        }
    }

    /// The row's bytes; a matrix that is changed has none that say what it is.
    fn row_at(&self, row: usize) -> &[u8] {
        let row = match &self.layout {
            Layout::Reordered(views) => view::row_behind(views, row, self.info.rows()).unwrap_or(row),
            _ => row,
        };
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

/// `out[row] = product(row) + bias[row]`, rows shared among threads where the work is worth it.
fn products<T: Real>(x: &[T], bias: Option<&[f32]>, out: &mut [T], product: impl Fn(usize) -> f64 + Sync) {
    let one = |row: usize, out: &mut T| {
        *out = T::from_f64(product(row) + bias.map_or(0.0, |b| b[row] as f64));
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

/// Values as they are stored in a cache of 16-bit floats.
pub fn round_to_f16<T: Real>(values: &[T]) -> Cow<'_, [T]> {
    values.iter().map(|v| T::from_f32(half::f16::from_f64(v.to_f64()).to_f32())).collect::<Vec<_>>().into()
}
