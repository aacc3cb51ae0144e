//! What each architecture's files hold: tensors and keys.

use super::blocks::Maker;
use super::mix::{Mix, Part, Place};
use super::random::Random;
use super::shape::{Factors, Shape};
use crate::gguf::{WeightType, Writer};

/// Logits of a model spread by a few units.
const LOGIT_SPREAD: f32 = 3.0;

/// Queries and keys are somewhat larger than 1, so that attention prefers some positions.
const ATTENTION_GAIN: f32 = 1.3;

/// Spread of norm weights around 1, and of biases around 0.
const NORM_SPREAD: f32 = 0.1;
const BIAS_SPREAD: f32 = 0.3;

/// How many times larger the norm weights of outlier channels are: trained models have a few such
/// channels, and rounding in blocks costs the more the larger one of a block is.
const OUTLIER: f32 = 15.0;

/// How query, key and value are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Heads {
    Separate,
    Fused,
}

/// How the feed-forward block is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FeedForward {
    /// `ffn_gate` and `ffn_up`.
    Gated,
    /// Both in `ffn_up`.
    Joined,
    /// No gate, with biases. Such models also have LayerNorm, learned positions and a bias on the
    /// attention's output.
    Plain,
}

/// An architecture's parts.
#[derive(Debug)]
struct Family {
    arch: &'static str,
    heads: Heads,
    /// Biases on query, key and value.
    head_bias: bool,
    /// Norms of query and key heads.
    head_norm: bool,
    /// Norms after attention and after the feed-forward block.
    post_norms: bool,
    feed_forward: FeedForward,
}

impl Family {
    fn is_plain(&self) -> bool {
        self.feed_forward == FeedForward::Plain
    }
}

const LLAMA: Family = Family {
    arch: "llama",
    heads: Heads::Separate,
    head_bias: false,
    head_norm: false,
    post_norms: false,
    feed_forward: FeedForward::Gated,
};

const GEMMA: Family = Family { arch: "gemma2", post_norms: true, ..LLAMA };

static FAMILIES: &[Family] = &[
    LLAMA,
    Family { arch: "qwen2", head_bias: true, ..LLAMA },
    Family { arch: "qwen3", head_norm: true, ..LLAMA },
    Family { arch: "phi3", heads: Heads::Fused, feed_forward: FeedForward::Joined, ..LLAMA },
    Family { arch: "gpt2", heads: Heads::Fused, head_bias: true, feed_forward: FeedForward::Plain, ..LLAMA },
    GEMMA,
    Family { arch: "gemma3", head_norm: true, ..GEMMA },
];

/// What a tensor's values are.
#[derive(Clone, Debug, PartialEq)]
pub enum Values {
    /// Random, with this mean and standard deviation.
    Random {
        /// Mean.
        mean: f32,
        /// Standard deviation.
        deviation: f32,
    },
    /// As `Random`, around +1 and −1.
    AroundUnits,
    /// Around 1, and in this many channels around [`OUTLIER`].
    WithOutliers(usize),
    /// These.
    Given(Vec<f32>),
}

impl Values {
    /// Writes all of a tensor's `bytes` in pieces, telling `written` of each.
    pub fn write(
        &self,
        weight_type: WeightType,
        bytes: u64,
        random: &mut Random,
        out: &mut dyn std::io::Write,
        written: &mut dyn FnMut(u64),
    ) -> std::io::Result<()> {
        let (mean, deviation) = match self {
            Self::Given(values) => {
                return values.iter().try_for_each(|v| out.write_all(&v.to_le_bytes()));
            }
            Self::Random { mean, deviation } => (*mean, *deviation),
            Self::AroundUnits | Self::WithOutliers(_) => (1.0, NORM_SPREAD),
        };
        let maker = Maker::new(weight_type, mean, deviation);
        let block = weight_type.format().block_bytes;
        let mut buffer = vec![0; (PIECE / block).max(1) * block];
        let mut left = bytes;
        while left > 0 {
            let len = left.min(buffer.len() as u64) as usize;
            let piece = &mut buffer[..len];
            maker.fill(random, piece);
            if *self == Self::AroundUnits {
                // The sign of a little-endian f32 is in its last byte.
                piece.chunks_exact_mut(4).for_each(|v| v[3] ^= (random.bits() as u8) & 0x80);
            }
            if let Self::WithOutliers(n) = *self {
                let (width, done) = (bytes as usize / 4, (bytes - left) as usize / 4);
                for channel in (0..n).map(|i| (2 * i + 1) * width / (2 * n)) {
                    let at =
                        channel.checked_sub(done).and_then(|at| piece.as_chunks_mut::<4>().0.get_mut(at));
                    if let Some(value) = at {
                        *value = (f32::from_le_bytes(*value) * OUTLIER).to_le_bytes();
                    }
                }
            }
            out.write_all(piece)?;
            left -= piece.len() as u64;
            written(piece.len() as u64);
        }
        Ok(())
    }
}

/// Bytes made at a time.
const PIECE: usize = 1 << 16;

/// A tensor to be made.
#[derive(Clone, Debug)]
pub struct Tensor {
    /// Its name.
    pub name: String,
    /// Its shape, fastest axis first.
    pub shape: Vec<u64>,
    /// Its type.
    pub weight_type: WeightType,
    /// Its values.
    pub values: Values,
}

/// Collects tensors.
struct Tensors<'a> {
    shape: &'a Shape,
    mix: &'a Mix,
    layer: usize,
    out: Vec<Tensor>,
}

impl Tensors<'_> {
    fn push(&mut self, name: String, shape: &[usize], weight_type: WeightType, values: Values) {
        let shape = shape.iter().map(|&n| n as u64).collect();
        self.out.push(Tensor { name, shape, weight_type, values });
    }

    fn place(&self, row: usize) -> Place {
        let Shape { n_layer, n_head, n_head_kv, .. } = *self.shape;
        Place { layer: self.layer, n_layer, sharing: n_head / n_head_kv, row }
    }

    /// A matrix from `row` to `rows` values; outputs are `gain` times as large as inputs.
    fn matrix(&mut self, name: &str, part: Part, [row, rows]: [usize; 2], gain: f32) {
        let weight_type = self.mix.weight_type(part, self.place(row));
        let values = Values::Random { mean: 0.0, deviation: gain / (row as f32).sqrt() };
        self.push(format!("{name}.weight"), &[row, rows], weight_type, values);
    }

    fn norm(&mut self, name: &str, width: usize, bias: bool) {
        let weight = match self.shape.outliers {
            n if n > 0 && width == self.shape.n_embd => Values::WithOutliers(n.min(width)),
            _ => Values::Random { mean: 1.0, deviation: NORM_SPREAD },
        };
        self.push(format!("{name}.weight"), &[width], WeightType::F32, weight);
        if bias {
            self.bias(name, width);
        }
    }

    fn bias(&mut self, name: &str, width: usize) {
        let values = Values::Random { mean: 0.0, deviation: BIAS_SPREAD };
        self.push(format!("{name}.bias"), &[width], WeightType::F32, values);
    }

    fn given(&mut self, name: &str, values: Vec<f32>) {
        self.push(format!("{name}.weight"), &[values.len()], WeightType::F32, Values::Given(values));
    }

    fn layer(&mut self, family: &Family, l: usize) {
        let &Shape { n_embd, n_head, n_head_kv, head_dim, n_ff, n_layer, .. } = self.shape;
        let name = |part: &str| format!("blk.{l}.{part}");
        let (q, kv) = (n_head * head_dim, n_head_kv * head_dim);
        // Contributions of all layers together are as large as one.
        let share = 1.0 / (2.0 * n_layer as f32).sqrt();
        self.layer = l;
        self.norm(&name("attn_norm"), n_embd, family.is_plain());
        let heads: &[(&str, Part, usize)] = match family.heads {
            Heads::Separate => {
                &[("attn_q", Part::Other, q), ("attn_k", Part::Other, kv), ("attn_v", Part::Value, kv)]
            }
            Heads::Fused => &[("attn_qkv", Part::Value, q + 2 * kv)],
        };
        for &(part, kind, width) in heads {
            self.matrix(&name(part), kind, [n_embd, width], ATTENTION_GAIN);
            if family.head_bias {
                self.bias(&name(part), width);
            }
        }
        if family.head_norm {
            self.norm(&name("attn_q_norm"), head_dim, false);
            self.norm(&name("attn_k_norm"), head_dim, false);
        }
        self.matrix(&name("attn_output"), Part::AttentionOutput, [q, n_embd], share);
        if family.is_plain() {
            self.bias(&name("attn_output"), n_embd);
        }
        if family.post_norms {
            self.norm(&name("post_attention_norm"), n_embd, false);
        }
        self.norm(&name("ffn_norm"), n_embd, family.is_plain());
        if family.feed_forward == FeedForward::Gated {
            self.matrix(&name("ffn_gate"), Part::Other, [n_embd, n_ff], 1.0);
        }
        let up = if family.feed_forward == FeedForward::Joined { 2 * n_ff } else { n_ff };
        self.matrix(&name("ffn_up"), Part::Other, [n_embd, up], 1.0);
        self.matrix(&name("ffn_down"), Part::Down, [n_ff, n_embd], share);
        if family.is_plain() {
            self.bias(&name("ffn_up"), n_ff);
            self.bias(&name("ffn_down"), n_embd);
        }
        if family.post_norms {
            self.norm(&name("post_ffw_norm"), n_embd, false);
        }
    }
}

fn family(shape: &Shape) -> &'static Family {
    // Every shape's architecture has a family; a test holds them to it.
    FAMILIES.iter().find(|f| f.arch == shape.arch).unwrap_or(&LLAMA)
}

/// Every tensor of a file, in the order of the file.
pub fn tensors(shape: &Shape, mix: &Mix, n_vocab: usize) -> Vec<Tensor> {
    let family = family(shape);
    let n_embd = shape.n_embd;
    let mut t = Tensors { shape, mix, layer: 0, out: Vec::new() };
    // A tied embedding makes the logits, too.
    let gain = if shape.tied { LOGIT_SPREAD } else { (n_embd as f32).sqrt() };
    let part = if shape.tied { Part::Output } else { Part::Other };
    t.matrix("token_embd", part, [n_embd, n_vocab], gain);
    if family.is_plain() {
        let values = Values::Random { mean: 0.0, deviation: gain / (n_embd as f32).sqrt() };
        t.push("position_embd.weight".into(), &[n_embd, shape.n_ctx], WeightType::F32, values);
    }
    match shape.factors {
        Factors::None => {}
        Factors::Llama3 => t.given("rope_freqs", llama3_factors(shape)),
        Factors::LongAndShort => {
            let ramp = |step: f32| (0..shape.rotated() / 2).map(|i| 1.0 + step * i as f32).collect();
            t.given("rope_factors_long", ramp(0.7));
            t.given("rope_factors_short", ramp(0.03));
        }
    }
    for l in 0..shape.n_layer {
        t.layer(family, l);
    }
    if shape.tied {
        // With signs, so that the likeliest next token is not always the token itself.
        t.push("output_norm.weight".into(), &[n_embd], WeightType::F32, Values::AroundUnits);
        if family.is_plain() {
            t.bias("output_norm", n_embd);
        }
    } else {
        t.norm("output_norm", n_embd, family.is_plain());
        t.matrix("output", Part::Output, [n_embd, n_vocab], LOGIT_SPREAD);
    }
    t.out
}

/// Llama 3.1's divisors: 1 for wavelengths that fit four times into the 8192 positions of Llama 3,
/// 8 for those that do not fit once, a ramp between.
fn llama3_factors(shape: &Shape) -> Vec<f32> {
    let (original, low, high, divisor) = (8192.0_f64, 1.0, 4.0, 8.0);
    (0..shape.rotated() / 2)
        .map(|i| {
            let exponent = 2.0 * i as f64 / shape.rotated() as f64;
            let wavelength = std::f64::consts::TAU * (shape.rope_base as f64).powf(exponent);
            let share = ((original / wavelength - low) / (high - low)).clamp(0.0, 1.0);
            (1.0 / ((1.0 - share) / divisor + share)) as f32
        })
        .collect()
}

/// Sets every key that llama.cpp and paritty need, but the vocabulary's.
pub fn set_keys(writer: &mut Writer, shape: &Shape, mix: &Mix, n_vocab: usize, name: &str) {
    let family = family(shape);
    let key = |key: &str| format!("{}.{key}", shape.arch);
    writer.set("general.architecture", shape.arch);
    writer.set("general.name", name);
    writer.set("general.file_type", mix.file_type);
    writer.set("general.quantization_version", 2_u32);
    for (part, count) in [
        ("vocab_size", n_vocab),
        ("context_length", shape.n_ctx),
        ("embedding_length", shape.n_embd),
        ("block_count", shape.n_layer),
        ("feed_forward_length", shape.n_ff),
        ("attention.head_count", shape.n_head),
        ("attention.head_count_kv", shape.n_head_kv),
        ("attention.key_length", shape.head_dim),
        ("attention.value_length", shape.head_dim),
    ] {
        writer.set(&key(part), count as u32);
    }
    if family.is_plain() {
        writer.set(&key("attention.layer_norm_epsilon"), shape.eps);
    } else {
        writer.set(&key("attention.layer_norm_rms_epsilon"), shape.eps);
        writer.set(&key("rope.dimension_count"), shape.rotated() as u32);
        writer.set(&key("rope.freq_base"), shape.rope_base);
    }
    if let Some(window) = shape.window {
        writer.set(&key("attention.sliding_window"), window as u32);
    }
    if let Some(rhythm) = shape.window_rhythm {
        writer.set(&key("attention.sliding_window_pattern"), rhythm as u32);
    }
    if let Some([scores, logits]) = shape.caps {
        writer.set(&key("attn_logit_softcapping"), scores);
        writer.set(&key("final_logit_softcapping"), logits);
    }
    if shape.factors == Factors::LongAndShort {
        let original = shape.n_ctx / 2;
        // As Phi-3's configuration computes it from how far the context was stretched.
        let stretch = 1.0 + 2_f32.ln() / (original as f32).ln();
        writer.set(&key("rope.scaling.original_context_length"), original as u32);
        writer.set(&key("rope.scaling.attn_factor"), stretch.sqrt());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::synth::shape::SHAPES;

    #[test]
    fn every_shape_can_be_made_and_has_a_family() {
        for shape in SHAPES {
            shape.check().unwrap();
            assert_eq!(family(shape).arch, shape.arch, "{}", shape.name);
        }
    }

    #[test]
    fn outlier_channels_are_the_same_in_every_norm_of_the_stream_and_nowhere_else() {
        let shape = Shape { outliers: 3, ..Shape::named("tiny-qwen3").unwrap() };
        let mut norms = 0;
        for tensor in tensors(&shape, Mix::named("Q8_0").unwrap(), 100) {
            let Values::WithOutliers(3) = tensor.values else { continue };
            norms += 1;
            let mut bytes = Vec::new();
            let length = tensor.shape[0] * 4;
            tensor
                .values
                .write(tensor.weight_type, length, &mut Random::new(1, &tensor.name), &mut bytes, &mut |_| ())
                .unwrap();
            let values = bytes.as_chunks().0.iter().map(|v| f32::from_le_bytes(*v));
            let large: Vec<usize> = values.enumerate().filter(|(_, v)| *v > 5.0).map(|(i, _)| i).collect();
            assert_eq!(large, [42, 128, 213], "{}", tensor.name);
        }
        // Two a layer; neither those of heads nor the last, which sets the logits' size.
        assert_eq!(norms, 2 * shape.n_layer + usize::from(!shape.tied));
    }

    #[test]
    fn published_shapes_have_their_published_number_of_parameters() {
        let count = |name: &str, n_vocab| {
            let shape = Shape::named(name).unwrap();
            let tensors = tensors(&shape, Mix::named("F32").unwrap(), n_vocab);
            tensors.iter().map(|t| t.shape.iter().product::<u64>()).sum::<u64>()
        };
        // From the models' cards and checkpoints.
        assert_eq!(count("tinyllama-1.1b", 32_000), 1_100_048_384);
        assert_eq!(count("llama-3-8b", 128_256), 8_030_261_248);
        assert_eq!(count("qwen2.5-0.5b", 151_936), 494_032_768);
        assert_eq!(count("phi-3-mini-4k", 32_064), 3_821_079_552);
        assert_eq!(count("gpt2-124m", 50_257), 124_439_808);
        assert_eq!(count("qwen3-0.6b", 151_936), 596_049_920);
        assert_eq!(count("gemma2-2b", 256_000), 2_614_341_888);
        assert_eq!(count("gemma3-1b", 262_144), 999_885_952);
    }
}
