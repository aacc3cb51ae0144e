//! The shapes that models can be made in: published ones, and small odd ones for tests.

use super::SynthError;

/// Divisors of RoPE's frequencies that a file may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Factors {
    /// None.
    None,
    /// `rope_freqs.weight`, as Llama 3.1 computes them.
    Llama3,
    /// `rope_factors_long.weight` and `rope_factors_short.weight`, as in Phi-3's long-context models.
    LongAndShort,
}

/// Everything that fixes a model's tensors and keys, but its vocabulary.
#[derive(Clone, Debug, PartialEq)]
pub struct Shape {
    /// What `paritty synth` calls it.
    pub name: &'static str,
    /// `general.architecture`.
    pub arch: &'static str,
    /// Layers.
    pub n_layer: usize,
    /// Width of the residual stream.
    pub n_embd: usize,
    /// Query heads.
    pub n_head: usize,
    /// Key and value heads.
    pub n_head_kv: usize,
    /// Elements of a head.
    pub head_dim: usize,
    /// Elements of a head that RoPE turns; 0 means all.
    pub n_rot: usize,
    /// Width of the feed-forward block.
    pub n_ff: usize,
    /// Longest sequence.
    pub n_ctx: usize,
    /// RoPE's base.
    pub rope_base: f32,
    /// Epsilon of every norm.
    pub eps: f32,
    /// Sliding window, as the file names it.
    pub window: Option<usize>,
    /// Every n-th layer sees beyond the window, where that is not the architecture's own rhythm.
    pub window_rhythm: Option<usize>,
    /// Soft-caps of scores and logits.
    pub caps: Option<[f32; 2]>,
    /// Whether the embedding is the output matrix, too.
    pub tied: bool,
    /// Channels of the residual stream that stand out in every norm.
    pub outliers: usize,
    /// Divisors of RoPE's frequencies.
    pub factors: Factors,
}

/// What entries below do not say.
const PLAIN: Shape = Shape {
    name: "",
    arch: "llama",
    n_layer: 3,
    n_embd: 256,
    n_head: 4,
    n_head_kv: 4,
    head_dim: 64,
    n_rot: 0,
    n_ff: 416,
    n_ctx: 512,
    rope_base: 10_000.0,
    eps: 1e-5,
    window: None,
    window_rhythm: None,
    caps: None,
    tied: false,
    outliers: 0,
    factors: Factors::None,
};

/// Llama 3's, without the factors of 3.1.
const LLAMA_3_8B: Shape = Shape {
    name: "llama-3-8b",
    n_layer: 32,
    n_embd: 4096,
    n_head: 32,
    n_head_kv: 8,
    head_dim: 128,
    n_ff: 14336,
    n_ctx: 8192,
    rope_base: 500_000.0,
    ..PLAIN
};

/// Every shape. Published ones as their authors' configurations give them; the tiny ones have three
/// layers, odd head counts and widths, and rows that are no whole blocks of some weight types.
pub static SHAPES: &[Shape] = &[
    Shape { name: "tinyllama-1.1b", n_layer: 22, n_embd: 2048, n_head: 32, n_ff: 5632, n_ctx: 2048, ..PLAIN },
    LLAMA_3_8B,
    Shape { name: "llama-3.1-8b", n_ctx: 131_072, factors: Factors::Llama3, ..LLAMA_3_8B },
    Shape {
        name: "qwen2.5-0.5b",
        arch: "qwen2",
        n_layer: 24,
        n_embd: 896,
        n_head: 14,
        n_head_kv: 2,
        n_ff: 4864,
        n_ctx: 32768,
        rope_base: 1e6,
        eps: 1e-6,
        tied: true,
        ..PLAIN
    },
    Shape {
        name: "phi-3-mini-4k",
        arch: "phi3",
        n_layer: 32,
        n_embd: 3072,
        n_head: 32,
        n_head_kv: 32,
        head_dim: 96,
        n_ff: 8192,
        n_ctx: 4096,
        window: Some(2047),
        ..PLAIN
    },
    Shape {
        name: "gpt2-124m",
        arch: "gpt2",
        n_layer: 12,
        n_embd: 768,
        n_head: 12,
        n_head_kv: 12,
        n_ff: 3072,
        n_ctx: 1024,
        tied: true,
        ..PLAIN
    },
    Shape {
        name: "qwen3-0.6b",
        arch: "qwen3",
        n_layer: 28,
        n_embd: 1024,
        n_head: 16,
        n_head_kv: 8,
        head_dim: 128,
        n_ff: 3072,
        n_ctx: 40960,
        rope_base: 1e6,
        eps: 1e-6,
        tied: true,
        ..PLAIN
    },
    Shape {
        name: "gemma2-2b",
        arch: "gemma2",
        n_layer: 26,
        n_embd: 2304,
        n_head: 8,
        head_dim: 256,
        n_ff: 9216,
        n_ctx: 8192,
        eps: 1e-6,
        window: Some(4096),
        caps: Some([50.0, 30.0]),
        tied: true,
        ..PLAIN
    },
    Shape {
        name: "gemma3-1b",
        arch: "gemma3",
        n_layer: 26,
        n_embd: 1152,
        n_head: 4,
        n_head_kv: 1,
        head_dim: 256,
        n_ff: 6912,
        n_ctx: 32768,
        rope_base: 1e6,
        eps: 1e-6,
        window: Some(512),
        tied: true,
        ..PLAIN
    },
    // A query's width that is no multiple of 32: its product keeps F16 in every quantised mix.
    Shape { name: "tiny-llama", n_head: 3, n_head_kv: 1, head_dim: 80, factors: Factors::Llama3, ..PLAIN },
    Shape {
        name: "tiny-qwen2",
        arch: "qwen2",
        n_embd: 768,
        n_head: 16,
        n_head_kv: 2,
        head_dim: 48,
        rope_base: 1e6,
        eps: 1e-6,
        tied: true,
        ..PLAIN
    },
    Shape {
        name: "tiny-qwen3",
        arch: "qwen3",
        n_head: 5,
        n_head_kv: 1,
        head_dim: 48,
        rope_base: 1e6,
        eps: 1e-6,
        tied: true,
        ..PLAIN
    },
    Shape {
        name: "tiny-phi3",
        arch: "phi3",
        n_embd: 768,
        n_head: 16,
        n_head_kv: 4,
        head_dim: 48,
        n_rot: 36,
        n_ctx: 8192,
        window: Some(11),
        factors: Factors::LongAndShort,
        ..PLAIN
    },
    Shape {
        name: "tiny-gpt2",
        arch: "gpt2",
        n_embd: 768,
        n_head: 16,
        n_head_kv: 16,
        head_dim: 48,
        tied: true,
        ..PLAIN
    },
    Shape {
        name: "tiny-gemma2",
        arch: "gemma2",
        n_head: 3,
        n_head_kv: 1,
        head_dim: 80,
        eps: 1e-6,
        window: Some(9),
        caps: Some([5.0, 4.0]),
        tied: true,
        ..PLAIN
    },
    Shape {
        name: "tiny-gemma3",
        arch: "gemma3",
        n_head: 3,
        n_head_kv: 1,
        head_dim: 48,
        rope_base: 1e6,
        eps: 1e-6,
        window: Some(7),
        window_rhythm: Some(3),
        tied: true,
        ..PLAIN
    },
];

impl Shape {
    /// The shape called `name`.
    pub fn named(name: &str) -> Result<Self, SynthError> {
        SHAPES.iter().find(|s| s.name == name).cloned().ok_or_else(|| SynthError::UnknownShape {
            name: crate::text::safe_short(name, 40),
            known: SHAPES.iter().map(|s| s.name).collect::<Vec<_>>().join(", "),
        })
    }

    /// Elements of a head that RoPE turns.
    pub fn rotated(&self) -> usize {
        if self.n_rot == 0 { self.head_dim } else { self.n_rot }
    }

    /// Whether an engine could run it.
    pub fn check(&self) -> Result<(), SynthError> {
        let Self { n_embd, n_head, n_head_kv, head_dim, .. } = *self;
        let counts = [self.n_layer, n_embd, n_head, n_head_kv, head_dim, self.n_ff, self.n_ctx];
        let bad = |problem: String| Err(SynthError::Shape { name: self.name, problem });
        if counts.iter().any(|&n| n == 0 || n > 1 << 24) {
            return bad("every count has to be from 1 to 16777216".into());
        }
        if !n_head.is_multiple_of(n_head_kv) {
            return bad(format!("{n_head_kv} key heads do not divide {n_head} heads"));
        }
        if !self.rotated().is_multiple_of(2) || self.rotated() > head_dim {
            return bad(format!("RoPE turns pairs, not {} of a head's {head_dim} elements", self.rotated()));
        }
        // llama.cpp gives these a query exactly as wide as the residual stream.
        if matches!(self.arch, "qwen2" | "phi3" | "gpt2") && n_head * head_dim != n_embd {
            return bad(format!(
                "{} needs heads as wide as the residual stream together: {n_head} · {head_dim} is not {n_embd}",
                self.arch
            ));
        }
        Ok(())
    }
}
