//! `paritty synth`: a model file of random weights at a true shape.

use std::io::Write;
use std::path::PathBuf;

use anyhow::Context;
use clap::Args;

use super::Outcome;
use crate::gguf::Gguf;
use crate::synth::Synth;
use crate::synth::mix::{MIXES, Mix};
use crate::synth::shape::{SHAPES, Shape};

/// Write a GGUF file of random weights at a named model's true shape and types.
///
/// Activations and logits are of ordinary size, every norm and bias matters, and the same seed gives
/// the same bytes. The file is written piece by piece and may be larger than memory.
#[derive(Debug, Args)]
pub struct SynthArgs {
    /// Shape of the model, or `list` to name them
    name: String,
    /// File to write
    #[arg(short, long, value_name = "OUT.gguf")]
    output: Option<PathBuf>,
    /// GGUF file whose vocabulary the model gets; weights are not needed
    #[arg(long, value_name = "FILE.gguf")]
    vocab: Option<PathBuf>,
    /// Weight types, as llama.cpp's quantiser mixes them: f32, f16, q8_0, q4_k_m …
    #[arg(long = "type", value_name = "TYPE", default_value = "q4_k_m", value_parser = mix)]
    mix: &'static Mix,
    /// Seed of the weights
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    #[command(flatten)]
    changes: Changes,
}

/// Departures from the named shape.
#[derive(Debug, Args)]
#[command(next_help_heading = "Departures from the shape")]
struct Changes {
    /// Layers
    #[arg(long, value_name = "N")]
    layers: Option<usize>,
    /// Width of the residual stream
    #[arg(long, value_name = "N")]
    embd: Option<usize>,
    /// Query heads
    #[arg(long, value_name = "N")]
    heads: Option<usize>,
    /// Key and value heads
    #[arg(long, value_name = "N")]
    kv_heads: Option<usize>,
    /// Elements of a head
    #[arg(long, value_name = "N")]
    head_dim: Option<usize>,
    /// Width of the feed-forward block
    #[arg(long, value_name = "N")]
    ff: Option<usize>,
    /// Longest sequence
    #[arg(long, value_name = "N")]
    ctx: Option<usize>,
    /// Sliding window
    #[arg(long, value_name = "N")]
    window: Option<usize>,
    /// Channels that stand out in every norm, as a few do in trained models
    #[arg(long, value_name = "N")]
    outliers: Option<usize>,
}

impl Changes {
    fn apply(&self, shape: &mut Shape) {
        for (change, field) in [
            (self.layers, &mut shape.n_layer),
            (self.embd, &mut shape.n_embd),
            (self.heads, &mut shape.n_head),
            (self.kv_heads, &mut shape.n_head_kv),
            (self.head_dim, &mut shape.head_dim),
            (self.ff, &mut shape.n_ff),
            (self.ctx, &mut shape.n_ctx),
            (self.outliers, &mut shape.outliers),
        ] {
            *field = change.unwrap_or(*field);
        }
        shape.n_rot = shape.n_rot.min(shape.head_dim);
        shape.window = self.window.or(shape.window);
    }
}

fn mix(name: &str) -> Result<&'static Mix, String> {
    Mix::named(name).ok_or_else(|| {
        format!("use one of {}", MIXES.iter().map(|m| m.name.to_lowercase()).collect::<Vec<_>>().join(", "))
    })
}

impl SynthArgs {
    /// Runs the command.
    pub fn run(self) -> anyhow::Result<Outcome> {
        if self.name == "list" {
            return list();
        }
        let mut shape = Shape::named(&self.name)?;
        self.changes.apply(&mut shape);
        let output = self.output.context("say where to write the model: -o OUT.gguf")?;
        let vocab = self.vocab.context("say whose vocabulary the model gets: --vocab FILE.gguf")?;
        let synth = Synth::new(&shape, self.mix, &Gguf::open(&vocab)?, self.seed)?;
        let bar = super::bytes_bar(synth.bytes());
        synth.save(&output, |bytes| bar.inc(bytes))?;
        bar.finish_and_clear();
        Ok(Outcome::Ok)
    }
}

fn list() -> anyhow::Result<Outcome> {
    let mut out = anstream::stdout().lock();
    let columns = ["shape", "arch", "layers", "embd", "heads", "kv", "head", "ff", "context"];
    let row = |c: [&str; 9]| {
        format!(
            "{:<15} {:<7} {:>6} {:>5} {:>5} {:>3} {:>4} {:>6} {:>7}",
            c[0], c[1], c[2], c[3], c[4], c[5], c[6], c[7], c[8]
        )
    };
    writeln!(out, "{}", row(columns))?;
    for s in SHAPES {
        let counts =
            [s.n_layer, s.n_embd, s.n_head, s.n_head_kv, s.head_dim, s.n_ff, s.n_ctx].map(|n| n.to_string());
        let [layers, embd, heads, kv, head, ff, context] = counts.each_ref().map(String::as_str);
        writeln!(out, "{}", row([s.name, s.arch, layers, embd, heads, kv, head, ff, context]))?;
    }
    Ok(Outcome::Ok)
}
