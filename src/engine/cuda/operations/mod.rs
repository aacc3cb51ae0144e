//! A node of the graph as launches of kernels.

mod attention;
mod products;
mod rotation;

pub use self::attention::AttendOperands;
use self::attention::heads;
pub use self::rotation::turn;
use super::error::CudaError;
use super::history::Format;
use super::kernels::Kernels;
use super::launch::{Args, Launch};
use super::scratch::ScratchAt;
use super::weights::Weights;
use crate::model::{Node, Op};

/// Threads of a block where each value is on its own.
const THREADS: u32 = 256;
/// Threads of a block that takes a head's probabilities.
const SOFTMAX_THREADS: u32 = 512;
/// Threads of a block that takes one output's statistics.
const STATISTICS_THREADS: u32 = 512;
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

/// What operations share on a device.
pub struct Operations<'a> {
    /// The kernels.
    pub kernels: &'a Kernels,
    /// The weights.
    pub weights: &'a Weights,
    /// Address of the [`super::arguments::Step`].
    pub step: u64,
    /// Memory in passing.
    pub scratch: ScratchAt<'a>,
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
                    several: None,
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

    /// Statistics of `count` outputs that the table at `regions` names, to `out`.
    pub fn statistics(&self, regions: u64, count: usize, out: u64) -> Result<Launch, CudaError> {
        let args = Args::new().with(self.step).with(regions).with(out);
        self.launch("statistics", [count as u32, 1, 1], [STATISTICS_THREADS, 1], args)
    }

    /// A kernel whose last arguments are a count and the output.
    fn each(&self, name: &str, n: i32, args: Args, at: &Operands) -> Result<Launch, CudaError> {
        let args = args.with(n).with(at.out.fixed()?);
        self.launch(name, [blocks(n as usize, THREADS), 1, 1], [THREADS, 1], args)
    }

    fn launch(&self, name: &str, grid: [u32; 3], block: [u32; 2], args: Args) -> Result<Launch, CudaError> {
        Ok(Launch { function: self.kernels.get(name)?, grid, block, shared: 0, args, several: None })
    }
}

/// The kernels' number of an activation.
pub fn activation(op: &Op) -> i32 {
    if matches!(op, Op::Gelu) { GELU } else { SILU }
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
