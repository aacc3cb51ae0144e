//! Products of a matrix with a row, alone, joined, gated, and with the columns of a batch.

use cudarc::driver::CudaFunction;

use super::{Operations, blocks, unexpected};
use crate::engine::cuda::arguments::{Gated, Input, Part, Parts};
use crate::engine::cuda::error::CudaError;
use crate::engine::cuda::kernels::TypeKernels;
use crate::engine::cuda::launch::{Args, Launch, Several};
use crate::engine::cuda::weights::Matrix;
use crate::model::{Node, Op};

/// `ANY_ROWS` of `cuda/matvec/any.cuh`.
const ANY_ROWS: u32 = 4;
/// Warps of a block of a fast product, at best and at least.
const MOST_WARPS: u32 = 16;
const LEAST_WARPS: u32 = 4;
/// `Columns::MOST` of `cuda/matvec/columns.cuh`.
const MOST_COLUMNS: usize = 8;
/// `product.cuh`'s numbers.
const RMS_NORM: i32 = 1;
const LAYER_NORM: i32 = 2;

impl Operations<'_> {
    /// A product's own part of a joined launch.
    pub fn part(&self, node: &Node, y: u64) -> Result<Part, CudaError> {
        Ok(Part {
            weight: self.weights.matrix(node.weight.as_deref())?.address,
            bias: self.weights.vector(node.bias.as_deref()),
            y,
            n_out: node.width as i32,
            ..Part::default()
        })
    }

    /// A row for a product with `matrix`, as it is.
    pub fn row(matrix: Matrix, x: u64) -> Input {
        Input { x, n: matrix.n_in as i32, ..Input::default() }
    }

    /// A row for a product that normalises it first, as `norm` does; it is left in `normed`.
    pub fn normed(&self, norm: &Node, x: u64, normed: u64) -> Result<Input, CudaError> {
        let (kind, eps) = match norm.op {
            Op::RmsNorm { eps, .. } => (RMS_NORM, eps),
            Op::LayerNorm { eps } => (LAYER_NORM, eps),
            _ => return Err(unexpected()),
        };
        let norm_weight = self.weights.vector(norm.weight.as_deref());
        let norm_bias = self.weights.vector(norm.bias.as_deref());
        Ok(Input { x, norm_weight, norm_bias, normed, n: norm.width as i32, norm: kind, eps, padding: 0 })
    }

    /// Warps and shared memory of a block of the fast product with such a matrix, if it takes it.
    pub fn fast(&self, matrix: Matrix) -> Result<Option<(u32, u32)>, CudaError> {
        let kernels = self.kernels.of(matrix.weight_type)?;
        let format = matrix.weight_type.format();
        if format.block_len == 1 && !(matrix.n_in * format.block_bytes).is_multiple_of(16) {
            return Ok(None);
        }
        let [warp, values, more] = kernels.shared.map(|bytes| bytes as usize);
        let shared = |warps: u32| values * matrix.n_in.div_ceil(32) + warp * warps as usize + more;
        let mut warps = MOST_WARPS;
        while warps >= LEAST_WARPS {
            if shared(warps) <= kernels.most_shared as usize {
                return Ok(Some((warps, shared(warps) as u32)));
            }
            warps /= 2;
        }
        Ok(None)
    }

    /// Products of up to three matrices like `matrix` with one row.
    pub fn product(&self, matrix: Matrix, row: Input, parts: &[Part]) -> Result<Launch, CudaError> {
        let kernels = self.kernels.of(matrix.weight_type)?;
        let mut joined = Parts { count: parts.len() as i32, ..Parts::default() };
        for (to, part) in joined.part.iter_mut().zip(parts) {
            *to = *part;
        }
        let args = Args::new().with(row).with(joined);
        if self.fast(matrix)?.is_some() {
            return self.streamed(matrix, &kernels.product, &kernels.products, args);
        }
        if row.norm != 0 {
            return Err(unexpected());
        }
        let grid = parts.iter().map(|part| blocks(part.n_out as usize, ANY_ROWS)).sum();
        let function = kernels.any.clone();
        Ok(Launch { function, grid: [grid, 1, 1], block: [32 * ANY_ROWS, 1], shared: 0, args, several: None })
    }

    /// Gate, up and the activation between them. Only where [`Self::fast`].
    pub fn gated(&self, matrix: Matrix, row: Input, gated: Gated) -> Result<Launch, CudaError> {
        let kernels = self.kernels.of(matrix.weight_type)?;
        self.streamed(matrix, &kernels.gated, &kernels.gateds, Args::new().with(row).with(gated))
    }

    /// A launch of the fast kernels for one position and for several.
    fn streamed(
        &self,
        matrix: Matrix,
        one: &CudaFunction,
        several: &CudaFunction,
        args: Args,
    ) -> Result<Launch, CudaError> {
        let (warps, shared) = self.fast(matrix)?.ok_or_else(unexpected)?;
        Ok(Launch {
            function: one.clone(),
            grid: [self.multiprocessors, 1, 1],
            block: [32 * warps, 1],
            shared,
            args,
            several: several_of(self.kernels.of(matrix.weight_type)?, matrix, several),
        })
    }
}

/// How `function` is launched for several positions: with as many warps as leave room for two of them or more.
fn several_of(kernels: &TypeKernels, matrix: Matrix, function: &CudaFunction) -> Option<Several> {
    let [warp_bytes, values, more] = kernels.shared;
    let column_bytes = values * matrix.n_in.div_ceil(32) as u32;
    let fitting = |warps: u32| {
        let left = kernels.most_shared.saturating_sub(warp_bytes * warps + more);
        ((left / column_bytes.max(1)) as usize).min(MOST_COLUMNS)
    };
    let warps = [MOST_WARPS, MOST_WARPS / 2, LEAST_WARPS].into_iter().find(|&warps| fitting(warps) > 1)?;
    Some(Several { function: function.clone(), warps, warp_bytes, column_bytes, most: fitting(warps) })
}
