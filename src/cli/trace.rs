//! `paritty trace`: runs an engine without a screen and writes what it computes.

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context as _, bail, ensure};
use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};

use super::Outcome;
use super::gpu::GpuArgs;
use super::stop::Stop;
use crate::engine::cpu::CpuOptions;
use crate::engine::open::{self, Kind, OpenOptions};
use crate::engine::own_run::OwnRun;
use crate::engine::run::{KvType, Run};
use crate::fault::{Injection, Injections, recorder};
use crate::gguf::Gguf;
use crate::model::{CaptureSet, arch};
use crate::tokenizer::{Options, Tokenizer};
use crate::trace::{Header, Token, TraceWriter};

/// Said where a command needs llama.cpp and this build has none.
pub(super) const NO_LLAMA_CPP: &str = "this paritty was built without llama.cpp (feature `llama-cpp`): install cmake \
    and libclang (on Debian `apt-get install cmake libclang-dev`), then `cargo build --release --features llama-cpp`";

/// Record what an engine computes, checkpoint by checkpoint, while it runs.
///
/// Every token that the engine is fed is one position of the trace: the prompt's tokens, then the
/// N tokens chosen after it. What would follow the last one is not computed.
#[derive(Debug, Args)]
pub struct TraceArgs {
    /// Model file (GGUF)
    model: PathBuf,
    /// Engine that computes: cpu, cuda or cuda:N (a GPU), oracle (f64: stands for exact arithmetic) or
    /// llama.cpp (the real one, feature `llama-cpp`)
    #[arg(long, value_name = "ENGINE")]
    engine: EngineKind,
    #[command(flatten)]
    input: Input,
    /// Do not begin the prompt with the token that begins a text
    #[arg(long, conflicts_with = "tokens")]
    no_bos: bool,
    /// Tokens to generate after the prompt; each is fed and recorded
    #[arg(short, value_name = "N", default_value_t = 0)]
    n: usize,
    /// Trace to write; its sidecar goes beside it. `-`: text on standard output
    #[arg(short, long, value_name = "OUT.jsonl", env = "ORCH_LOG_FILE")]
    output: PathBuf,
    /// What is recorded: all, layers, logits, off, or a regular expression over checkpoint names
    #[arg(long, value_name = "SET", default_value = "all")]
    checkpoints: CaptureSet,
    /// Name of the engine in the trace
    #[arg(long, value_name = "NAME", env = "ORCH_LOG_TEAM")]
    team: Option<String>,
    /// Write only the first N values of each record, as text, without a sidecar
    #[arg(long, value_name = "N", env = "ORCH_LOG_VALUES")]
    values: Option<usize>,
    /// Positions to open the run for, if more than are computed: models with long and short RoPE
    /// factors choose by it
    #[arg(long, value_name = "N")]
    ctx: Option<usize>,
    /// Record min, max, rms and the number of non-finite values of each checkpoint instead of its values; a
    /// GPU reduces them itself
    #[arg(long, conflicts_with = "values")]
    statistics: bool,
    /// Threads that compute [default: half of the cores]
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    #[command(flatten)]
    batches: BatchArgs,
    /// Go on after a token that ends the text
    #[arg(long)]
    ignore_eos: bool,
    /// Mistake to make in our engine: ID or ID@LAYER (`paritty demo --fault list` names them); may be
    /// given several times
    #[arg(long, value_name = "ID")]
    fault: Vec<Injection>,
    #[command(flatten)]
    sampling: SamplingArgs,
    #[command(flatten)]
    gpu: GpuArgs,
    #[command(flatten)]
    llama: LlamaArgs,
}

/// How the prompt is computed.
#[derive(Debug, Args)]
struct BatchArgs {
    /// Compute the prompt in batches instead of token by token, with llama.cpp or on a GPU
    #[arg(long)]
    batch_prefill: bool,
    /// Tokens in a batch of the prompt at most; a GPU takes at most 64
    #[arg(long, value_name = "N", default_value_t = 512, requires = "batch_prefill")]
    ubatch: usize,
}

/// Where the tokens come from.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Input {
    /// Text to start with
    #[arg(long, value_name = "TEXT")]
    prompt: Option<String>,
    /// File with the text to start with; `-`: standard input
    #[arg(long, value_name = "FILE")]
    prompt_file: Option<PathBuf>,
    /// Token ids to start with, exactly these
    #[arg(long, value_name = "ID,ID,…", value_delimiter = ',')]
    tokens: Option<Vec<u32>>,
}

/// How tokens are chosen.
#[derive(Debug, Args)]
#[allow(clippy::struct_field_names, reason = "the names of the options")]
struct SamplingArgs {
    /// Draw tokens at this temperature; 0 takes the most probable one
    #[arg(long, value_name = "T", default_value_t = 0.0)]
    temperature: f32,
    /// Draw from the K most probable tokens only; 0: all
    #[arg(long, value_name = "K", default_value_t = 40)]
    top_k: u32,
    /// Draw from the most probable tokens that make up P; 1: all
    #[arg(long, value_name = "P", default_value_t = 0.95)]
    top_p: f32,
    /// Start of the random numbers
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u32,
}

/// What only llama.cpp has, and what changes its numbers.
#[derive(Debug, Args)]
#[command(next_help_heading = "llama.cpp")]
struct LlamaArgs {
    /// Fuse attention; its scores are then not recorded
    #[arg(long, value_name = "on|off", default_value = "off")]
    flash_attn: Switch,
    /// Type of the key and value cache [default: f16 in llama.cpp, f32 in our engines]
    #[arg(long, value_name = "TYPE")]
    kv: Option<KvType>,
    /// Layers on the GPU, if llama.cpp was built for one
    #[arg(long, value_name = "N", default_value_t = 0)]
    gpu_layers: i32,
    /// Keep weights as they lie in the file instead of rearranging them for speed
    #[arg(long)]
    no_repack: bool,
    /// Put no callback into llama.cpp and record only the logits that it hands out: what it computes when
    /// nobody looks
    #[arg(long, conflicts_with = "checkpoints")]
    untapped: bool,
    /// Show llama.cpp's log on standard error
    #[arg(long)]
    verbose: bool,
}

/// Engines that can be recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum EngineKind {
    Own(Kind),
    LlamaCpp,
}

impl FromStr for EngineKind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "llama.cpp" {
            return Ok(Self::LlamaCpp);
        }
        text.parse().map(Self::Own).map_err(|_| "expected cpu, cuda, cuda:N, oracle or llama.cpp".to_owned())
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Switch {
    On,
    Off,
}

impl TraceArgs {
    /// Runs the command.
    pub fn run(self) -> anyhow::Result<Outcome> {
        let stop = Stop::on_signals()?;
        let done = match self.engine {
            EngineKind::Own(kind) => self.own(kind, &stop),
            EngineKind::LlamaCpp if !self.fault.is_empty() => {
                bail!(
                    "--fault needs an engine of ours: cpu, cuda or oracle; for llama.cpp, change the file with `paritty mutate`"
                )
            }
            EngineKind::LlamaCpp => self.llama_cpp(&stop),
        };
        // What was recorded is on disk by now; whoever sent the signal sees that it was heeded.
        stop.die_of_signal();
        done.map(|()| Outcome::Ok)
    }

    /// The prompt's tokens and the text they were made from.
    fn prompt(
        &self,
        n_vocab: u32,
        tokenize: impl FnOnce(&str, bool) -> anyhow::Result<Vec<u32>>,
    ) -> anyhow::Result<(Vec<u32>, Option<String>)> {
        let (tokens, text) = match (&self.input.tokens, &self.input.prompt, &self.input.prompt_file) {
            (Some(tokens), ..) => (tokens.clone(), None),
            (None, Some(text), _) => (tokenize(text, !self.no_bos)?, Some(text.clone())),
            (None, None, Some(file)) => {
                let text = read_text(file)?;
                (tokenize(&text, !self.no_bos)?, Some(text))
            }
            (None, None, None) => bail!("give --prompt, --prompt-file or --tokens"),
        };
        ensure!(!tokens.is_empty(), "the prompt has no tokens: there is nothing to compute");
        if let Some(token) = tokens.iter().find(|&&token| token >= n_vocab) {
            bail!("token {token} is not in the vocabulary of {n_vocab} tokens");
        }
        Ok((tokens, text))
    }

    /// Positions that the run is opened for.
    fn context(&self, prompt: usize) -> usize {
        self.ctx.unwrap_or(0).max(prompt + self.n)
    }

    /// Tokens of the prompt's batches at most.
    fn columns(&self, prompt: usize) -> usize {
        if self.batches.batch_prefill { self.batches.ubatch.clamp(1, prompt.max(1)) } else { 1 }
    }

    fn writer(&self, header: &Header) -> anyhow::Result<TraceWriter> {
        let to_stdout = self.output == Path::new("-");
        Ok(match (to_stdout, self.values) {
            (true, values) => TraceWriter::text(Box::new(io::stdout()), header, values)?,
            (false, _) if self.statistics => TraceWriter::create_text(&self.output, header, None)?,
            (false, Some(_)) => TraceWriter::create_text(&self.output, header, self.values)?,
            (false, None) => TraceWriter::create(&self.output, header)?,
        })
    }

    /// Feeds `prompt` and what `run` makes of it, and writes every position.
    fn record(
        &self,
        run: &mut dyn Run,
        prompt: &[u32],
        text: Option<String>,
        stop: &Stop,
    ) -> anyhow::Result<()> {
        let total = prompt.len() + self.n;
        let mut header = run.header();
        header.prompt = text;
        header.n_prompt = Some(prompt.len() as u32);
        header.n_total = Some(total as u32);
        header.settings.n_ctx.get_or_insert(self.context(prompt.len()) as u32);
        if let Some(team) = &self.team {
            header.team.clone_from(team);
        }
        let batch = self.columns(prompt.len()).min(run.batch_size()).max(1);
        let mode = if self.batches.batch_prefill { "prompt in batches" } else { "token by token" };
        header.settings.other.insert("batch".into(), mode.into());
        if self.statistics {
            header.settings.other.insert("records".into(), "statistics".into());
        }

        let mut recording =
            Recording { run, writer: self.writer(&header)?, bar: progress_bar(total), position: 0 };
        let start = Instant::now();
        for tokens in prompt.chunks(batch) {
            recording.feed(tokens, true, stop)?;
        }
        for _ in 0..self.n {
            let token = recording.run.next_token()?;
            if recording.run.is_end(token) && !self.ignore_eos {
                break;
            }
            recording.feed(&[token], false, stop)?;
        }
        let seconds = start.elapsed().as_secs_f64();
        let Recording { writer, bar, position, .. } = recording;
        writer.end()?;
        bar.finish_and_clear();
        let summary = format!(
            "recorded {} of the prompt's tokens and {} generated in {seconds:.1} s, {:.1} tokens/s",
            prompt.len(),
            position - prompt.len(),
            position as f64 / seconds.max(1e-9)
        );
        // Nothing is left to do when stderr is closed.
        let _ = writeln!(io::stderr(), "{summary}");
        Ok(())
    }

    fn own(&self, kind: Kind, stop: &Stop) -> anyhow::Result<()> {
        ensure!(
            !self.llama.untapped,
            "--untapped is llama.cpp's; `paritty diagnose` runs engines without taps"
        );
        ensure!(
            self.sampling.temperature == 0.0,
            "engine {kind} takes the most probable token; leave out --temperature"
        );
        ensure!(
            !self.batches.batch_prefill || matches!(kind, Kind::Cuda(_)) && self.fault.is_empty(),
            "engine {kind} computes token by token{}; leave out --batch-prefill",
            if self.fault.is_empty() { "" } else { " where it makes a mistake" }
        );
        let gguf = Arc::new(Gguf::open(&self.model)?);
        let tokenizer = Tokenizer::from_gguf(&gguf);
        let faults = Injections::new(self.fault.clone());
        let (mut prompt, text) = self.prompt(arch::graph(&gguf)?.n_vocab as u32, |text, open| {
            let options = Options { add_bos: if open { None } else { Some(false) }, parse_special: true };
            Ok(tokenizer
                .as_ref()
                .map_err(|e| anyhow::anyhow!("{e}; give --tokens instead of --prompt"))?
                .encode(text, options))
        })?;
        faults.change_tokens(&mut prompt);
        let mut graph = arch::graph_for(&gguf, arch::Context(Some(self.context(prompt.len()))))?;
        faults.apply(&mut graph)?;
        let kv_f16 = match self.llama.kv {
            Some(KvType::F16) => true,
            None | Some(KvType::F32) => false,
            Some(other) => {
                bail!("engine {kind} keeps keys and values as f32 or f16, not as {}", other.name())
            }
        };
        let cpu = CpuOptions { threads: self.threads.unwrap_or(0), kv_f16 };
        let positions = prompt.len() + self.n;
        let options = OpenOptions { cpu, cuda: self.gpu.options(self.columns(prompt.len()), positions) };
        let bar = super::bytes_bar(gguf.file_size());
        let mut engine = open::open_with(kind, &gguf, graph, options, &mut |done, all| {
            bar.set_length(all);
            bar.set_position(done);
        })?;
        bar.finish_and_clear();
        engine.set_capture(self.checkpoints.clone());
        let engine = recorder::dress(engine, &faults);
        let mut run = OwnRun::new(engine, tokenizer.ok());
        if self.statistics {
            run = run.with_statistics();
        }
        self.record(&mut run, &prompt, text, stop)
    }

    #[cfg(feature = "llama-cpp")]
    fn llama_cpp(&self, stop: &Stop) -> anyhow::Result<()> {
        use crate::llama_cpp::sample::Sampling;
        use crate::llama_cpp::{ContextSettings, LlamaRun, LoadSettings, Model, RunSettings, log};

        ensure!(!self.statistics, "--statistics needs an engine of ours: cpu, cuda or oracle");
        log::set_verbose(self.llama.verbose);
        let load = LoadSettings { gpu_layers: self.llama.gpu_layers, repack: !self.llama.no_repack };
        let model = Arc::new(Model::load(&self.model, load)?);
        let (prompt, text) = self.prompt(model.n_vocab(), |text, open| Ok(model.tokenize(text, open)?))?;
        let settings = RunSettings {
            load,
            context: ContextSettings {
                positions: self.context(prompt.len()),
                columns: if self.batches.batch_prefill { self.batches.ubatch } else { 1 },
                threads: self.threads.unwrap_or_else(default_threads),
                flash_attn: self.llama.flash_attn == Switch::On,
                kv: self.llama.kv.unwrap_or(KvType::F16),
                tapped: !self.llama.untapped,
            },
            sampling: Sampling {
                temperature: self.sampling.temperature,
                top_k: self.sampling.top_k,
                top_p: self.sampling.top_p,
                seed: self.sampling.seed,
            },
            capture: if self.llama.untapped { CaptureSet::Logits } else { self.checkpoints.clone() },
        };
        let mut run = LlamaRun::new(model, settings, stop.flag())?;
        self.record(&mut run, &prompt, text, stop)
    }

    #[cfg(not(feature = "llama-cpp"))]
    #[expect(clippy::unused_self, reason = "the same call in every build")]
    fn llama_cpp(&self, _: &Stop) -> anyhow::Result<()> {
        bail!(NO_LLAMA_CPP)
    }
}

/// A run that is being written.
struct Recording<'a> {
    run: &'a mut dyn Run,
    writer: TraceWriter,
    bar: ProgressBar,
    position: usize,
}

impl Recording<'_> {
    /// Computes `tokens` as one batch and writes their positions.
    fn feed(&mut self, tokens: &[u32], from_prompt: bool, stop: &Stop) -> anyhow::Result<()> {
        let positions = self.position as u32..;
        for (position, &id) in positions.clone().zip(tokens) {
            let piece = Some(self.run.piece(id));
            let token = Token { id, piece, from_prompt, columns: Some(tokens.len() as u32) };
            self.writer.token(position, &token)?;
        }
        self.run.feed(tokens, &mut self.writer)?;
        for (position, _) in positions.zip(tokens) {
            self.writer.complete(position)?;
        }
        self.position += tokens.len();
        self.bar.set_position(self.position as u64);
        stop.check()
    }
}

fn progress_bar(total: usize) -> ProgressBar {
    // Hidden by itself where standard error is no terminal.
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len} positions, {per_sec}, {eta} left");
    let bar = ProgressBar::new(total as u64);
    match style {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

/// Half of the cores: llama.cpp's threads wait for each other by spinning, and get hundreds of times
/// slower when something else (the engine under test, say) needs the same cores.
#[cfg(feature = "llama-cpp")]
fn default_threads() -> usize {
    std::thread::available_parallelism().map_or(1, |n| n.get().div_ceil(2))
}

fn read_text(path: &Path) -> anyhow::Result<String> {
    if path == Path::new("-") {
        let mut text = String::new();
        io::stdin().read_to_string(&mut text).context("standard input")?;
        return Ok(text);
    }
    fs::read_to_string(path).with_context(|| path.display().to_string())
}
