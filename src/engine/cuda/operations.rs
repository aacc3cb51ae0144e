//! A node of the graph as launches of kernels.

use super::error::CudaError;
use super::history::Format;
use super::kernels::Kernels;
use super::launch::{Args, Attend, Gated, Heads, Input, Launch, Part, Parts, Row, Turn, Turning};
use super::scratch::{ATTEND_THREADS, AttendShape, SPLITS, Scratch};
use super::weights::{Matrix, Weights};
use crate::model::graph::{Attention, Pairing, Rope};
use crate::model::{Node, Op};

/// Threads of a block where each value is on its own.
const THREADS: u32 = 256;
/// Threads of a block that takes a head's probabilities.
const SOFTMAX_THREADS: u32 = 512;
/// `SCORE_WARPS` of `cuda/attention.cu`, as threads.
const SCORE_THREADS: u32 = 128;
/// `MIX_HEADS` of `cuda/attention.cu`.
const MIX_HEADS: usize = 4;
/// `ANY_ROWS` of `cuda/matvec/any.cuh`.
const ANY_ROWS: u32 = 4;
/// Blocks along the positions where probabilities are wanted.
const PROBABILITY_BLOCKS: u32 = 8;
/// Warps of a block of a fast product, at best and at least.
const MOST_WARPS: u32 = 16;
const LEAST_WARPS: u32 = 4;
/// `product.cuh`'s numbers.
const RMS_NORM: i32 = 1;
const LAYER_NORM: i32 = 2;
/// Shared memory that a block has without asking.
const SHARED: usize = 48 << 10;
/// `activation.cuh`'s numbers.
const SILU: i32 = 0;
const GELU: i32 = 1;

/// Where a value lies: an address, or rows of visible positions behind one.
#[derive(Clone, Copy, Debug)]
pub enum Operand {
    /// Address.
    Fixed(u64),
    /// `before` rows of visible positions behind the address.
    Growing(u64, i32),
}

impl Operand {
    /// The address of what is at one place.
    pub fn fixed(self) -> Result<u64, CudaError> {
        match self {
            Self::Fixed(address) => Ok(address),
            Self::Growing(..) => Err(unexpected()),
        }
    }

    /// Base and rows before of what grows.
    pub fn growing(self) -> Result<(u64, i32), CudaError> {
        match self {
            Self::Growing(base, before) => Ok((base, before)),
            Self::Fixed(_) => Err(unexpected()),
        }
    }
}

/// What a node reads and writes.
#[derive(Clone, Debug)]
pub struct Operands {
    /// Outputs of its inputs.
    pub inputs: Vec<Operand>,
    /// Keys or values of all positions, for operations that read them.
    pub history: Option<(u64, Format)>,
    /// Its output.
    pub out: Operand,
}

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

/// What operations share on a device.
pub struct Operations<'a> {
    /// The kernels.
    pub kernels: &'a Kernels,
    /// The weights.
    pub weights: &'a Weights,
    /// Address of the [`super::launch::Step`].
    pub step: u64,
    /// Memory in passing.
    pub scratch: &'a Scratch,
    /// Multiprocessors of the device.
    pub multiprocessors: u32,
}

impl Operations<'_> {
    /// The launches that compute node number `index`.
    pub fn of(&self, index: usize, node: &Node, at: &Operands) -> Result<Vec<Launch>, CudaError> {
        let n = node.width as i32;
        let input = |i: usize| at.inputs.get(i).copied().ok_or_else(unexpected);
        let weight = node.weight.as_deref();
        let vector = self.weights.vector(weight);
        let bias = self.weights.vector(node.bias.as_deref());
        Ok(match &node.op {
            Op::Embed | Op::PosEmbed => {
                let matrix = self.weights.matrix(weight)?;
                let args = Args::new()
                    .with(self.step)
                    .with(i32::from(matches!(node.op, Op::PosEmbed)))
                    .with(matrix.address)
                    .with(n)
                    .with(at.out.fixed()?);
                vec![Launch {
                    function: self.kernels.of(matrix.weight_type)?.row.clone(),
                    grid: [blocks(node.width.div_ceil(8), THREADS), 1, 1],
                    block: [THREADS, 1],
                    shared: 0,
                    args,
                }]
            }
            Op::RmsNorm { eps, group } => {
                let args = Args::new().with(input(0)?.fixed()?).with(vector).with(*eps).with(*group as i32);
                let args = args.with(at.out.fixed()?).with(0_u64).with(0_u64);
                vec![self.launch(
                    "rms_norm",
                    [(node.width / group) as u32, 1, 1],
                    [norm_threads(*group), 1],
                    args,
                )?]
            }
            Op::LayerNorm { eps } => {
                let args = Args::new().with(input(0)?.fixed()?).with(vector).with(bias).with(*eps).with(n);
                let block = [norm_threads(node.width), 1];
                vec![self.launch("layer_norm", [1, 1, 1], block, args.with(at.out.fixed()?))?]
            }
            Op::MatMul => {
                let matrix = self.weights.matrix(weight)?;
                let part = self.part(node, at.out.fixed()?)?;
                vec![self.product(matrix, Self::row(matrix, input(0)?.fixed()?), &[part])?]
            }
            Op::AddBias => {
                vec![self.each("add", n, Args::new().with(input(0)?.fixed()?).with(vector), at)?]
            }
            Op::Slice { start } => {
                let from = input(0)?.fixed()? + (*start * 4) as u64;
                vec![self.each("copy", n, Args::new().with(from), at)?]
            }
            Op::Rope(rope) => {
                let table = self.scratch.table();
                let turn = turn(rope, input(0)?.fixed()?, at.out.fixed()?);
                vec![self.rope_table(index, rope, table)?, self.rope(rope, table, turn)?]
            }
            Op::Scale { factor } => {
                vec![self.each("scale", n, Args::new().with(input(0)?.fixed()?).with(*factor), at)?]
            }
            Op::SoftCap { cap } => {
                vec![self.each("soft_cap", n, Args::new().with(input(0)?.fixed()?).with(*cap), at)?]
            }
            Op::Scores(a) => vec![self.scores(a, input(0)?.fixed()?, at)?],
            Op::SoftMax(a) => {
                let ((from, from_before), (to, to_before)) = (input(0)?.growing()?, at.out.growing()?);
                let args = Args::new()
                    .with(self.step)
                    .with(from)
                    .with(from_before)
                    .with(heads(a))
                    .with(to)
                    .with(to_before);
                vec![self.launch("softmax", [a.n_head as u32, 1, 1], [SOFTMAX_THREADS, 1], args)?]
            }
            Op::Mix(a) => self.mix(a, input(0)?.growing()?, at)?,
            Op::SwiGlu | Op::Gelu if node.inputs.len() == 2 => {
                let args = Args::new().with(input(0)?.fixed()?).with(input(1)?.fixed()?);
                vec![self.each("gated", n, args.with(activation(&node.op)), at)?]
            }
            Op::Gelu => vec![self.each("gelu_of", n, Args::new().with(input(0)?.fixed()?), at)?],
            Op::SwiGlu => {
                // The gate is the first half of one row.
                let joined = input(0)?.fixed()?;
                let args = Args::new().with(joined).with(joined + node.width as u64 * 4).with(SILU);
                vec![self.each("gated", n, args, at)?]
            }
            Op::Add => {
                let args = Args::new().with(input(0)?.fixed()?).with(input(1)?.fixed()?);
                vec![self.each("add", n, args, at)?]
            }
        })
    }

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

    /// An RMSNorm of the whole row with a sum behind it.
    pub fn norm_and_add(
        &self,
        node: &Node,
        x: u64,
        out: u64,
        residual: u64,
        sum: u64,
    ) -> Result<Launch, CudaError> {
        let Op::RmsNorm { eps, group } = node.op else { return Err(unexpected()) };
        let weight = self.weights.vector(node.weight.as_deref());
        let args = Args::new().with(x).with(weight).with(eps).with(group as i32);
        let args = args.with(out).with(residual).with(sum);
        self.launch("rms_norm", [(node.width / group) as u32, 1, 1], [norm_threads(group), 1], args)
    }

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
        if let Some((warps, shared)) = self.fast(matrix)? {
            let function = kernels.product.clone();
            return Ok(Launch {
                function,
                grid: [self.multiprocessors, 1, 1],
                block: [32 * warps, 1],
                shared,
                args,
            });
        }
        if row.norm != 0 {
            return Err(unexpected());
        }
        let grid = parts.iter().map(|part| blocks(part.n_out as usize, ANY_ROWS)).sum();
        let function = kernels.any.clone();
        Ok(Launch { function, grid: [grid, 1, 1], block: [32 * ANY_ROWS, 1], shared: 0, args })
    }

    /// Gate, up and the activation between them. Only where [`Self::fast`].
    pub fn gated(&self, matrix: Matrix, row: Input, gated: Gated) -> Result<Launch, CudaError> {
        let (warps, shared) = self.fast(matrix)?.ok_or_else(unexpected)?;
        Ok(Launch {
            function: self.kernels.of(matrix.weight_type)?.gated.clone(),
            grid: [self.multiprocessors, 1, 1],
            block: [32 * warps, 1],
            shared,
            args: Args::new().with(row).with(gated),
        })
    }

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

    fn scores(&self, a: &Attention, query: u64, at: &Operands) -> Result<Launch, CudaError> {
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

    fn mix(&self, a: &Attention, (p, before): (u64, i32), at: &Operands) -> Result<Vec<Launch>, CudaError> {
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

    /// A kernel whose last arguments are a count and the output.
    fn each(&self, name: &str, n: i32, args: Args, at: &Operands) -> Result<Launch, CudaError> {
        let args = args.with(n).with(at.out.fixed()?);
        self.launch(name, [blocks(n as usize, THREADS), 1, 1], [THREADS, 1], args)
    }

    fn launch(&self, name: &str, grid: [u32; 3], block: [u32; 2], args: Args) -> Result<Launch, CudaError> {
        Ok(Launch { function: self.kernels.get(name)?, grid, block, shared: 0, args })
    }
}

/// The kernels' number of an activation.
pub fn activation(op: &Op) -> i32 {
    if matches!(op, Op::Gelu) { GELU } else { SILU }
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

fn heads(a: &Attention) -> Heads {
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

fn norm_threads(group: usize) -> u32 {
    (group.div_ceil(4) as u32).next_multiple_of(32).clamp(32, 1024)
}

fn blocks(items: usize, per_block: u32) -> u32 {
    items.div_ceil(per_block as usize).max(1) as u32
}

/// A graph that no builder makes.
pub fn unexpected() -> CudaError {
    CudaError::Unsupported("the graph has an operation on an input of the wrong kind".into())
}
