//! Attention: as a whole, and operation by operation.

use super::{Operands, Operations, THREADS, blocks, unexpected};
use crate::engine::cuda::arguments::{Attend, Heads};
use crate::engine::cuda::error::CudaError;
use crate::engine::cuda::history::Format;
use crate::engine::cuda::launch::{Args, Launch};
use crate::engine::cuda::scratch::{ATTEND_THREADS, AttendShape, SPLITS};
use crate::model::graph::Attention;

/// `SCORE_WARPS` of `cuda/attention.cu`, as threads.
const SCORE_THREADS: u32 = 128;
/// `MIX_HEADS` of `cuda/attention.cu`.
const MIX_HEADS: usize = 4;
/// Blocks along the positions where probabilities are wanted.
const PROBABILITY_BLOCKS: u32 = 8;
/// Shared memory that a block has without asking.
const SHARED: usize = 48 << 10;

/// What a whole attention reads and writes.
#[derive(Clone, Copy, Debug)]
pub struct AttendOperands {
    /// How it is launched.
    pub shape: AttendShape,
    /// Address of the query.
    pub query: u64,
    /// Address of the keys of all positions.
    pub keys: u64,
    /// Address of the values of all positions.
    pub values: u64,
    /// How these are stored.
    pub format: Format,
    /// Base and rows before, where scores are wanted.
    pub scores: Option<(u64, i32)>,
    /// The same for probabilities.
    pub probabilities: Option<(u64, i32)>,
    /// Address of the mixture.
    pub out: u64,
}

impl Operations<'_> {
    /// Scores, probabilities and mixture at once. Scores and probabilities are left only where they are
    /// asked for; the latter need the former.
    pub fn attend(&self, a: &Attention, at: &AttendOperands) -> Result<Vec<Launch>, CudaError> {
        let AttendShape { group, grid, shared } = at.shape;
        let [maxima, sums, mixtures, finished] = self.scratch.attend();
        let (scores, before) = at.scores.unwrap_or((0, 0));
        let arguments = Attend {
            step: self.step,
            query: at.query,
            keys: at.keys,
            values: at.values,
            scores,
            maxima,
            sums,
            mixtures,
            finished,
            out: at.out,
            queries: a.n_head as i32,
            key_heads: a.n_head_kv as i32,
            width: a.head_dim as i32,
            width_v: a.head_dim_v as i32,
            window: heads(a).window,
            cap: heads(a).cap,
            factor: a.scale,
            before,
        };
        let name = format!("attend_{}_{group}", at.format.suffix());
        let launch = self.launch(&name, grid, [ATTEND_THREADS, 1], Args::new().with(arguments))?;
        let mut launches = vec![Launch { shared, ..launch }];
        if let Some((out, out_before)) = at.probabilities {
            let args = Args::new().with(arguments).with(grid[0] as i32).with(out).with(out_before);
            let grid = [PROBABILITY_BLOCKS, a.n_head as u32, 1];
            launches.push(self.launch("attend_probabilities", grid, [THREADS, 1], args)?);
        }
        Ok(launches)
    }

    pub(super) fn scores(&self, a: &Attention, query: u64, at: &Operands) -> Result<Launch, CudaError> {
        let (keys, format) = at.history.ok_or_else(unexpected)?;
        let shared = a.n_head / a.n_head_kv * a.head_dim * 4;
        if shared > SHARED {
            return Err(CudaError::Unsupported(format!(
                "{} query heads of {} values that share a key head are more than the CUDA engine's kernels hold",
                a.n_head / a.n_head_kv,
                a.head_dim
            )));
        }
        let (base, before) = at.out.growing()?;
        let args = Args::new().with(self.step).with(query).with(keys).with(heads(a)).with(base).with(before);
        let along = (self.multiprocessors * 4 / a.n_head_kv as u32).clamp(1, 512);
        let name = format!("scores_{}", format.suffix());
        let launch = self.launch(&name, [along, a.n_head_kv as u32, 1], [SCORE_THREADS, 1], args)?;
        Ok(Launch { shared: shared as u32, ..launch })
    }

    pub(super) fn mix(
        &self,
        a: &Attention,
        (p, before): (u64, i32),
        at: &Operands,
    ) -> Result<Vec<Launch>, CudaError> {
        let (values, format) = at.history.ok_or_else(unexpected)?;
        let along = (a.head_dim_v as u32).next_multiple_of(32).min(THREADS);
        let block = [along, THREADS / along];
        let groups = (a.n_head / a.n_head_kv).div_ceil(MIX_HEADS);
        let args = Args::new()
            .with(self.step)
            .with(p)
            .with(before)
            .with(values)
            .with(heads(a))
            .with(self.scratch.partial());
        let name = format!("mix_{}", format.suffix());
        let mix = Launch {
            shared: MIX_HEADS as u32 * block[0] * block[1] * 4,
            ..self.launch(&name, [SPLITS, a.n_head_kv as u32, groups as u32], block, args)?
        };
        let n = a.n_head * a.head_dim_v;
        let args =
            Args::new().with(self.step).with(self.scratch.partial()).with(SPLITS as i32).with(n as i32);
        let grid = [blocks(n, THREADS), 1, 1];
        let combine = self.launch("combine", grid, [THREADS, 1], args.with(at.out.fixed()?))?;
        Ok(vec![mix, combine])
    }
}

pub(super) fn heads(a: &Attention) -> Heads {
    Heads {
        queries: a.n_head as i32,
        keys: a.n_head_kv as i32,
        width: a.head_dim as i32,
        width_v: a.head_dim_v as i32,
        // A window of 0 would hide everything; the graph has none.
        window: a.window.map_or(0, |w| w.clamp(1, i32::MAX as usize) as i32),
        cap: a.softcap.unwrap_or(0.0),
        factor: a.scale,
    }
}
