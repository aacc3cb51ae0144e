//! How weights are stored: one file per type, one line here that registers it.
//!
//! Widening to f32 gives llama.cpp's `dequantize_row_*` bit for bit: the same products in the same
//! order. For all types here a half times the small integers is exact in f32 (at most 24 bits), so that only
//! the subtraction of a minimum rounds, and fusing it with the product before it gives the same bits.

// A block's code is compiled once for each instruction set, which only happens if it is inlined there.
#![allow(clippy::inline_always)]

mod bf16;
mod f16;
mod f32;
mod fifth_bits;
mod iq4_nl;
mod iq4_xs;
mod k_scales;
mod mxfp4;
mod q2_k;
mod q3_k;
mod q4_0;
mod q4_1;
mod q4_k;
mod q5_0;
mod q5_1;
mod q5_k;
mod q6_k;
mod q8_0;

use std::fmt;

/// Widens whole blocks to f32, as many as both slices hold.
pub type Dequantize = fn(&[u8], &mut [f32]);

/// What is known of a weight type.
#[derive(Debug)]
pub struct Format {
    /// The name people know it by.
    pub name: &'static str,
    /// Values that are stored together.
    pub block_len: usize,
    /// Bytes that they take.
    pub block_bytes: usize,
    /// Widens blocks to f32; `None` for a type that paritty cannot compute with.
    pub dequantize: Option<Dequantize>,
}

impl Format {
    /// A type that is known, so that a file that has it can be opened, but not computed with.
    const fn known(name: &'static str, block_len: usize, block_bytes: usize) -> Self {
        Self { name, block_len, block_bytes, dequantize: None }
    }

    const fn of<T: Block<BYTES, LEN>, const BYTES: usize, const LEN: usize>(name: &'static str) -> Self {
        Self { name, block_len: LEN, block_bytes: BYTES, dequantize: Some(blocks::<T, BYTES, LEN>) }
    }
}

/// How a value of a tensor is stored. The discriminants are ggml's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u32)]
#[allow(missing_docs)] // the names are ggml's
pub enum WeightType {
    F32 = 0,
    F16 = 1,
    Q4_0 = 2,
    Q4_1 = 3,
    Q5_0 = 6,
    Q5_1 = 7,
    Q8_0 = 8,
    Q8_1 = 9,
    Q2K = 10,
    Q3K = 11,
    Q4K = 12,
    Q5K = 13,
    Q6K = 14,
    Q8K = 15,
    Iq2Xxs = 16,
    Iq2Xs = 17,
    Iq3Xxs = 18,
    Iq1S = 19,
    Iq4Nl = 20,
    Iq3S = 21,
    Iq2S = 22,
    Iq4Xs = 23,
    I8 = 24,
    I16 = 25,
    I32 = 26,
    I64 = 27,
    F64 = 28,
    Iq1M = 29,
    Bf16 = 30,
    Tq1_0 = 34,
    Tq2_0 = 35,
    Mxfp4 = 39,
    Nvfp4 = 40,
    Q1_0 = 41,
    Q2_0 = 42,
}

impl WeightType {
    /// Every type that a file may have.
    pub const ALL: [Self; 35] = [
        Self::F32,
        Self::F16,
        Self::Bf16,
        Self::Q8_0,
        Self::Q4_0,
        Self::Q4_1,
        Self::Q5_0,
        Self::Q5_1,
        Self::Q2K,
        Self::Q3K,
        Self::Q4K,
        Self::Q5K,
        Self::Q6K,
        Self::Iq4Nl,
        Self::Iq4Xs,
        Self::Mxfp4,
        Self::Q8_1,
        Self::Q8K,
        Self::Iq2Xxs,
        Self::Iq2Xs,
        Self::Iq3Xxs,
        Self::Iq1S,
        Self::Iq3S,
        Self::Iq2S,
        Self::I8,
        Self::I16,
        Self::I32,
        Self::I64,
        Self::F64,
        Self::Iq1M,
        Self::Tq1_0,
        Self::Tq2_0,
        Self::Nvfp4,
        Self::Q1_0,
        Self::Q2_0,
    ];

    /// ggml's number for it.
    pub fn id(self) -> u32 {
        self as u32
    }

    /// The type that ggml gives this number.
    pub fn from_id(id: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|t| t.id() == id)
    }

    /// Its name, block and functions. Sizes of types without a file of their own are ggml-common.h's.
    pub fn format(self) -> &'static Format {
        match self {
            Self::F32 => &f32::FORMAT,
            Self::F16 => &f16::FORMAT,
            Self::Bf16 => &bf16::FORMAT,
            Self::Q8_0 => &q8_0::FORMAT,
            Self::Q4_0 => &q4_0::FORMAT,
            Self::Q4K => &q4_k::FORMAT,
            Self::Q5K => &q5_k::FORMAT,
            Self::Q6K => &q6_k::FORMAT,
            Self::Q4_1 => &q4_1::FORMAT,
            Self::Q5_0 => &q5_0::FORMAT,
            Self::Q5_1 => &q5_1::FORMAT,
            Self::Q2K => &q2_k::FORMAT,
            Self::Q3K => &q3_k::FORMAT,
            Self::Iq4Nl => &iq4_nl::FORMAT,
            Self::Iq4Xs => &iq4_xs::FORMAT,
            Self::Mxfp4 => &mxfp4::FORMAT,
            Self::Q8_1 => &const { Format::known("Q8_1", 32, 36) },
            Self::Q8K => &const { Format::known("Q8_K", 256, 292) },
            Self::Iq2Xxs => &const { Format::known("IQ2_XXS", 256, 66) },
            Self::Iq2Xs => &const { Format::known("IQ2_XS", 256, 74) },
            Self::Iq3Xxs => &const { Format::known("IQ3_XXS", 256, 98) },
            Self::Iq1S => &const { Format::known("IQ1_S", 256, 50) },
            Self::Iq3S => &const { Format::known("IQ3_S", 256, 110) },
            Self::Iq2S => &const { Format::known("IQ2_S", 256, 82) },
            Self::Iq1M => &const { Format::known("IQ1_M", 256, 56) },
            Self::Tq1_0 => &const { Format::known("TQ1_0", 256, 54) },
            Self::Tq2_0 => &const { Format::known("TQ2_0", 256, 66) },
            Self::Nvfp4 => &const { Format::known("NVFP4", 64, 36) },
            Self::Q1_0 => &const { Format::known("Q1_0", 128, 18) },
            Self::Q2_0 => &const { Format::known("Q2_0", 64, 18) },
            Self::I8 => &const { Format::known("I8", 1, 1) },
            Self::I16 => &const { Format::known("I16", 1, 2) },
            Self::I32 => &const { Format::known("I32", 1, 4) },
            Self::I64 => &const { Format::known("I64", 1, 8) },
            Self::F64 => &const { Format::known("F64", 1, 8) },
        }
    }
}

impl fmt::Display for WeightType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.format().name)
    }
}

/// A type that stores `LEN` values in `BYTES` bytes.
trait Block<const BYTES: usize, const LEN: usize> {
    /// Widens one block. Implementations are `#[inline(always)]`, so that each instruction set gets its own.
    fn widen(block: &[u8; BYTES], out: &mut [f32; LEN]);
}

fn blocks<T: Block<BYTES, LEN>, const BYTES: usize, const LEN: usize>(bytes: &[u8], out: &mut [f32]) {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("f16c") {
        // SAFETY: the processor has the features that the function is compiled for.
        #[allow(unsafe_code)]
        return unsafe { blocks_avx2::<T, BYTES, LEN>(bytes, out) };
    }
    blocks_plain::<T, BYTES, LEN>(bytes, out);
}

/// The same code, compiled for wider registers. Without fast-math the results are the same bits.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,f16c")]
fn blocks_avx2<T: Block<BYTES, LEN>, const BYTES: usize, const LEN: usize>(bytes: &[u8], out: &mut [f32]) {
    blocks_plain::<T, BYTES, LEN>(bytes, out);
}

#[inline(always)]
fn blocks_plain<T: Block<BYTES, LEN>, const BYTES: usize, const LEN: usize>(bytes: &[u8], out: &mut [f32]) {
    let (blocks, rows) = (bytes.as_chunks::<BYTES>().0, out.as_chunks_mut::<LEN>().0);
    for (block, row) in blocks.iter().zip(rows) {
        T::widen(block, row);
    }
}

/// The half-precision number in bytes `at` and `at + 1` of a block.
#[inline(always)]
fn half_at<const BYTES: usize>(block: &[u8; BYTES], at: usize) -> f32 {
    half::f16::from_le_bytes([block[at], block[at + 1]]).to_f32()
}
