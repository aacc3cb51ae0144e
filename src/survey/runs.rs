//! Making the traces of a survey: our engines in this process, llama.cpp as a child.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;

use super::{Progress, SurveyError, go_on};
use crate::engine::cpu::CpuOptions;
use crate::engine::open::{self, Kind};
use crate::engine::record::Recorded;
use crate::engine::worker::Worker as _;
use crate::gguf::Gguf;
use crate::model::{CaptureSet, arch};
use crate::session::child::Child;
use crate::tokenizer::{Options, Tokenizer};
use crate::trace::{Store, Token, TraceWriter};

/// How often a child's trace is looked at.
const LOOK: Duration = Duration::from_millis(30);
/// Bytes of a child's trace that are read at a look.
const BYTES_PER_LOOK: u64 = 16 << 20;

/// The tokens of a trace, from position 0 on without a gap.
pub fn tokens(store: &Store) -> Result<Vec<Token>, SurveyError> {
    let tokens: Vec<Token> = (0..).map_while(|position| store.token(position).cloned()).collect();
    if tokens.is_empty() {
        return Err(SurveyError::Unfit(format!(
            "{} does not say which tokens it was computed from: no engine can compute the same",
            store.path().display()
        )));
    }
    Ok(tokens)
}

/// Positions that the run of a trace was opened for: some models choose their RoPE factors by it.
pub fn context(store: &Store) -> Option<u32> {
    store.header()?.settings.n_ctx
}

/// Computes `tokens` with an engine of ours, opened for `context` positions, and writes everything
/// to `out`.
pub fn own(
    kind: Kind,
    gguf: &Arc<Gguf>,
    (tokens, context): (&[Token], Option<u32>),
    threads: usize,
    out: &Path,
    progress: &mut dyn Progress,
) -> Result<(), SurveyError> {
    let options = CpuOptions { threads, kv_f16: false };
    let context = context.map_or(tokens.len(), |n| n as usize);
    let graph = arch::graph_for(gguf, arch::Context(Some(context)))?;
    let mut engine = open::open(kind, gguf, graph, options)?;
    engine.set_capture(CaptureSet::All);
    let mut header = engine.header();
    header.n_prompt = Some(tokens.iter().filter(|t| t.from_prompt).count() as u32);
    header.n_total = Some(tokens.len() as u32);
    header.settings.n_ctx = Some(context as u32);
    let writer = TraceWriter::create(out, &header)?;
    let mut engine = Box::new(Recorded::with_writer(engine, writer));
    progress.begin(&kind.to_string(), tokens.len() as u64);
    for (done, token) in tokens.iter().enumerate() {
        go_on(progress)?;
        // Ours computes one at a time, whatever the reference did.
        let token = Token { columns: Some(1), ..token.clone() };
        engine.step(&token).map_err(SurveyError::Unfit)?;
        progress.done(done as u64 + 1);
    }
    engine.end().map_err(SurveyError::Unfit)
}

/// What llama.cpp is given.
pub struct Feed {
    /// Tokens to begin with.
    pub tokens: Vec<u32>,
    /// Tokens to choose after them.
    pub generate: u32,
    /// Positions to open the run for, if more than are computed.
    pub context: Option<u32>,
}

impl Feed {
    /// A text and as many tokens after it as make `positions`; a longer text is cut.
    pub fn prompt(gguf: &Gguf, text: &str, positions: u32) -> Result<Self, SurveyError> {
        let tokenizer = Tokenizer::from_gguf(gguf)
            .map_err(|e| SurveyError::Unfit(format!("its prompt cannot be made into tokens: {e}")))?;
        let mut tokens = tokenizer.encode(text, Options { add_bos: None, parse_special: true });
        tokens.truncate(positions as usize);
        if tokens.is_empty() {
            return Err(SurveyError::Unfit("the prompt has no tokens: there is nothing to compute".into()));
        }
        let generate = positions - tokens.len() as u32;
        Ok(Self { tokens, generate, context: None })
    }

    /// The tokens of another run, opened for as many positions, nothing after them.
    pub fn same(tokens: &[Token], context: Option<u32>) -> Self {
        Self { tokens: tokens.iter().map(|t| t.id).collect(), generate: 0, context }
    }
}

/// Runs llama.cpp over `feed` with further `settings` and waits until its trace `out` is finished.
pub fn llama_cpp(
    what: &str,
    model: &Path,
    feed: &Feed,
    settings: &[String],
    out: &Path,
    progress: &mut dyn Progress,
) -> Result<Store, SurveyError> {
    let ids: Vec<String> = feed.tokens.iter().map(u32::to_string).collect();
    let mut arguments = vec![
        "trace".to_owned(),
        "--engine=llama.cpp".into(),
        "--ignore-eos".into(),
        format!("--tokens={}", ids.join(",")),
        format!("-n{}", feed.generate),
        format!("--output={}", out.display()),
    ];
    arguments.extend(feed.context.map(|n| format!("--ctx={n}")));
    arguments.extend_from_slice(settings);
    arguments.extend(["--".into(), model.display().to_string()]);
    let mut child = Child::start(&arguments, Arc::new(Notify::new())).map_err(SurveyError::io(out))?;
    progress.begin(what, feed.tokens.len() as u64 + u64::from(feed.generate));
    let mut store = Store::new(out);
    loop {
        go_on(progress)?;
        let outcome = child.outcome();
        // A trace that cannot be read while it grows is read once more when it is finished.
        if store.advance(BYTES_PER_LOOK).is_ok() {
            progress.done(store.positions().filter(|&p| store.is_complete(p)).count() as u64);
        }
        match outcome {
            None => std::thread::sleep(LOOK),
            Some(Ok(())) => return Ok(Store::load(out)?),
            Some(Err(said)) => return Err(SurveyError::LlamaCpp(said)),
        }
    }
}

/// Version of the llama.cpp in this build.
pub(super) fn llama_cpp_build() -> String {
    #[cfg(feature = "llama-cpp")]
    return crate::llama_cpp::build();
    #[cfg(not(feature = "llama-cpp"))]
    return "none".into();
}
