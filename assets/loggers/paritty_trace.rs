//! Records what your engine computes, as a trace that paritty reads.
//!
//! One file, standard library only, editions 2021 and 2024. Copy it into your sources, then:
//!
//! ```ignore
//! mod paritty_trace;
//! use paritty_trace::{Info, Origin};
//!
//! paritty_trace::open("my engine", &Info::default());               // at start; reads ORCH_LOG_FILE
//! paritty_trace::token(position, id, text.as_bytes(), Origin::Prompt, 1);
//! paritty_trace::tensor(position, "Qcur", Some(layer), &[head_dim, n_head], &q[..]);
//! paritty_trace::complete(position);
//! paritty_trace::end();
//! ```
//!
//! Nothing is recorded unless the environment variable `ORCH_LOG_FILE` names the trace to write
//! (`RUN.jsonl`; the values go beside it, to `RUN.bin`). `ORCH_LOG_TEAM` renames the engine.
//! `ORCH_LOG_VALUES=N` writes the first N values of each record as text instead.
//!
//! What it promises:
//!
//! - A record is with the operating system when the call returns: nothing is kept for later, so
//!   `std::process::exit`, `abort` or a panic lose nothing.
//! - The bits stay as they are: f32, f16 and bf16 are written raw, as text so that they read back.
//! - Any thread may call; records never mix. It never panics.
//! - After a `fork` the child records into a trace of its own, `RUN-PID.jsonl`.
//! - Trouble (a full disk, no such folder) is told once on stderr; recording then stops, your engine
//!   goes on.
//! - Switched off, each call is one branch.
//!
//! Names of checkpoints are llama.cpp's; paritty's `assets/loggers/README.md` lists them.
//! MIT or Apache-2.0, at your choice.

#![allow(dead_code)]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, TryLockError};

/// Largest position and most values of a record that paritty reads.
const MAX_POSITION: u32 = 1 << 24;
const MAX_VALUES: usize = 1 << 28;

/// What the first line says; every part may stay empty.
#[derive(Clone, Debug, Default)]
pub struct Info<'a> {
    /// `CPU`, `CUDA` …
    pub backend: &'a str,
    /// The model's name.
    pub model: &'a str,
    /// `llama`, `qwen2` …
    pub arch: &'a str,
    /// Type of most matrices: `F32`, `BF16`, `Q8_0`, `Q4_K` …; decides which differences count.
    pub weights: &'a str,
    pub n_layer: u32,
    pub n_embd: u32,
    pub n_vocab: u32,
    /// Tokens of the prompt.
    pub n_prompt: u32,
    /// The prompt's text.
    pub prompt: &'a str,
    /// What changes numbers, by name: `("kv", "f16")`, `("threads", "8")`. Whole numbers, `true` and
    /// `false` are written as such, the rest as text.
    pub settings: &'a [(&'a str, &'a str)],
}

/// Where a token comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    Prompt,
    Sample,
}

/// Values as the engine has them. The 16-bit kinds are bits in a `u16`, little end first once written.
#[derive(Clone, Copy, Debug)]
pub enum Values<'a> {
    F32(&'a [f32]),
    F16(&'a [u16]),
    Bf16(&'a [u16]),
}

impl<'a> From<&'a [f32]> for Values<'a> {
    fn from(values: &'a [f32]) -> Self {
        Values::F32(values)
    }
}

impl<'a> From<&'a Vec<f32>> for Values<'a> {
    fn from(values: &'a Vec<f32>) -> Self {
        Values::F32(values)
    }
}

/// Whether a trace is being written: ask before work that only serves the trace.
#[inline]
pub fn is_on() -> bool {
    ON.load(Ordering::Relaxed)
}

/// Begins the trace that `ORCH_LOG_FILE` names, replacing what is there; without the variable nothing
/// happens. Returns whether a trace is being written.
pub fn open(team: &str, info: &Info<'_>) -> bool {
    match std::env::var_os("ORCH_LOG_FILE") {
        Some(path) if !path.is_empty() => open_file(Path::new(&path), team, info),
        _ => is_on(),
    }
}

/// The same with a file name of yours.
pub fn open_file(path: &Path, team: &str, info: &Info<'_>) -> bool {
    let mut trace = lock();
    if trace.is_some() {
        return is_on(); // a second call changes nothing
    }
    let team = std::env::var("ORCH_LOG_TEAM").ok().filter(|t| !t.is_empty()).unwrap_or_else(|| team.into());
    let most = std::env::var("ORCH_LOG_VALUES").ok().filter(|t| !t.is_empty()).and_then(|text| {
        let most = text.parse().ok().filter(|&n: &usize| n > 0);
        if most.is_none() {
            complain("ORCH_LOG_VALUES: a whole number above 0 was expected; all values are recorded");
        }
        most
    });
    let mut quoted = String::new();
    push_string(&mut quoted, team.as_bytes());
    PROCESS.store(std::process::id(), Ordering::Relaxed);
    let mut started = Trace {
        path: path.to_owned(),
        shown: path.to_owned(),
        team: quoted,
        header: header(info),
        most,
        text: None,
        sidecar: None,
        text_length: 0,
        sidecar_length: 0,
        records: BTreeMap::new(),
        line: String::new(),
        bytes: Vec::new(),
    };
    match started.start(None) {
        Ok(()) => {
            *trace = Some(started);
            ON.store(true, Ordering::Relaxed);
        }
        Err((path, error)) => stopped(&path, &error),
    }
    is_on()
}

/// The token that opens a position. `text` is what it stands for, any bytes; `columns` how many tokens
/// the batch has that computes it, which changes arithmetic (0: unknown).
#[inline]
pub fn token(position: u32, id: u32, text: &[u8], from: Origin, columns: u32) {
    if is_on() {
        with(|trace| trace.token(position, id, text, from, columns));
    }
}

/// One tensor of one position: values in memory order, `shape` fastest axis first. `layer` is `None`
/// for checkpoints outside layers (`embd`, `result_norm`, `result_output`).
#[inline]
pub fn tensor<'a>(
    position: u32,
    site: &str,
    layer: Option<usize>,
    shape: &[usize],
    values: impl Into<Values<'a>>,
) {
    if is_on() {
        let values = values.into();
        with(|trace| trace.tensor(position, site, layer, shape, values));
    }
}

/// Everything of this position has been recorded.
#[inline]
pub fn complete(position: u32) {
    if is_on() {
        with(|trace| trace.complete(position));
    }
}

/// Everything from this position on is void and will be computed again.
#[inline]
pub fn rewind(position: u32) {
    if is_on() {
        with(|trace| trace.rewind(position));
    }
}

/// The last line. Not needed for the trace to be readable; without it paritty waits for more.
pub fn end() {
    if is_on() {
        with(|trace| trace.end());
        *lock() = None;
        ON.store(false, Ordering::Relaxed);
    }
}

// ---- the one trace of the process ----

static ON: AtomicBool = AtomicBool::new(false);
/// The process that opened it, and whether trouble was told.
static PROCESS: AtomicU32 = AtomicU32::new(0);
static COMPLAINED: AtomicBool = AtomicBool::new(false);
/// Statics are never dropped, so this one is good until the very end.
static TRACE: Mutex<Option<Trace>> = Mutex::new(None);

type Failure = (PathBuf, io::Error);

fn lock() -> MutexGuard<'static, Option<Trace>> {
    TRACE.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

fn complain(what: &str) {
    if !COMPLAINED.swap(true, Ordering::Relaxed) {
        let _ = writeln!(io::stderr(), "paritty_trace: {what}");
    }
}

fn stopped(path: &Path, error: &io::Error) {
    ON.store(false, Ordering::Relaxed);
    complain(&format!("{}: {error}; nothing more is recorded, the program goes on", path.display()));
}

/// Runs `job` on the trace, if there is one; what goes wrong is told once and ends it.
fn with(job: impl FnOnce(&mut Trace) -> Result<(), Failure>) {
    let id = std::process::id();
    let is_child = PROCESS.load(Ordering::Relaxed) != id;
    let mut guard = match TRACE.try_lock() {
        Ok(guard) => guard,
        Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
        // In a forked child the lock's holder may be a thread that was not forked along.
        Err(TryLockError::WouldBlock) if is_child => {
            ON.store(false, Ordering::Relaxed);
            return complain("forked while another thread was recording; this process records nothing");
        }
        Err(TryLockError::WouldBlock) => lock(),
    };
    let Some(trace) = guard.as_mut() else { return };
    let result = if is_child {
        PROCESS.store(id, Ordering::Relaxed);
        trace.start(Some(id)).and_then(|()| job(trace))
    } else {
        job(trace)
    };
    if let Err((path, error)) = result {
        *guard = None;
        stopped(&path, &error);
    }
}

struct Trace {
    /// As given, and as this process writes it.
    path: PathBuf,
    shown: PathBuf,
    /// As JSON.
    team: String,
    /// What follows the team in the first line.
    header: String,
    /// Most values of a record, as text; `None`: all, in the sidecar.
    most: Option<usize>,
    text: Option<File>,
    sidecar: Option<File>,
    text_length: u64,
    sidecar_length: u64,
    /// By position.
    records: BTreeMap<u32, u64>,
    line: String,
    bytes: Vec<u8>,
}

impl Trace {
    /// Opens both files and writes the first line; in a forked child under a name of its own.
    fn start(&mut self, process: Option<u32>) -> Result<(), Failure> {
        let mut text = self.path.clone();
        if let Some(process) = process {
            let mut name = text.file_stem().unwrap_or_default().to_owned();
            name.push(format!("-{process}"));
            if let Some(extension) = text.extension() {
                name.push(".");
                name.push(extension);
            }
            text.set_file_name(name);
        }
        let is_special = text.metadata().is_ok_and(|m| !m.is_file());
        if is_special && self.most.is_none() {
            self.most = Some(usize::MAX); // a pipe or device has no neighbour: everything as text
        }
        let mut sidecar_name = None;
        self.sidecar = None;
        if self.most.is_none() {
            let sidecar = text.with_extension("bin");
            let refuse = |why: &str| io::Error::new(io::ErrorKind::InvalidInput, why.to_owned());
            let name = sidecar.file_name().and_then(|n| n.to_str()).map(str::to_owned);
            if name.is_none() || sidecar == text {
                let why = "a trace needs a name in UTF-8 that does not end in .bin, such as run.jsonl";
                return Err((text, refuse(why)));
            }
            if sidecar.exists() && !text.exists() {
                let why = "would become the trace's sidecar but belongs to no trace; rename or remove it";
                return Err((sidecar, refuse(why)));
            }
            // First, so that no reader ever sees a text beside a sidecar that is not its own.
            let _ = fs::remove_file(&text);
            self.sidecar = Some(create(&sidecar)?);
            sidecar_name = name;
        }
        self.text = Some(create(&text)?);
        self.shown = text;
        (self.text_length, self.sidecar_length) = (0, 0);
        self.records.clear();
        self.line.clear();
        self.line.push_str("{\"paritty\":1,\"team\":");
        self.line.push_str(&self.team);
        self.line.push_str(&self.header);
        if let Some(name) = sidecar_name {
            self.line.push_str(",\"sidecar\":");
            push_string(&mut self.line, name.as_bytes());
        }
        self.send()
    }

    /// Hands the line over; a half-written one is taken back.
    fn send(&mut self) -> Result<(), Failure> {
        self.line.push_str("}\n");
        let Some(file) = &mut self.text else { return Ok(()) };
        if let Err(error) = file.write_all(self.line.as_bytes()) {
            let _ = file.set_len(self.text_length);
            return Err((self.shown.clone(), error));
        }
        self.text_length += self.line.len() as u64;
        Ok(())
    }

    /// Begins a line about a position; false where paritty would not read it.
    fn begin(&mut self, position: u32, records: u64) -> bool {
        if position > MAX_POSITION {
            complain("a position beyond 16777216 was not recorded");
            return false;
        }
        *self.records.entry(position).or_default() += records;
        self.line.clear();
        true
    }

    fn token(
        &mut self,
        position: u32,
        id: u32,
        text: &[u8],
        from: Origin,
        columns: u32,
    ) -> Result<(), Failure> {
        if !self.begin(position, 0) {
            return Ok(());
        }
        let _ = write!(self.line, "{{\"token_idx\":{position},\"token\":{id},\"piece\":");
        push_string(&mut self.line, text);
        self.line.push_str(if from == Origin::Prompt {
            ",\"from\":\"prompt\""
        } else {
            ",\"from\":\"sample\""
        });
        if columns > 0 {
            let _ = write!(self.line, ",\"columns\":{columns}");
        }
        self.send()
    }

    fn tensor(
        &mut self,
        position: u32,
        site: &str,
        layer: Option<usize>,
        shape: &[usize],
        values: Values<'_>,
    ) -> Result<(), Failure> {
        let (dtype, count) = match values {
            Values::F32(v) => ("f32", v.len()),
            Values::F16(v) => ("f16", v.len()),
            Values::Bf16(v) => ("bf16", v.len()),
        };
        let promised = shape.iter().try_fold(1_usize, |n, &axis| n.checked_mul(axis));
        if count == 0 || count > MAX_VALUES || shape.len() > 8 || promised != Some(count) {
            complain(&format!(
                "{site}: {count} values of shape {shape:?} were left out: the two have to agree, up to {MAX_VALUES}"
            ));
            return Ok(());
        }
        if !self.begin(position, 1) {
            return Ok(());
        }
        self.line.push_str("{\"checkpoint\":");
        match layer {
            Some(layer) => push_string(&mut self.line, format!("{site}-{layer}").as_bytes()),
            None => push_string(&mut self.line, site.as_bytes()),
        }
        let _ = write!(
            self.line,
            ",\"team\":{},\"token_idx\":{position},\"dtype\":\"{dtype}\",\"shape\":[",
            self.team
        );
        for (i, axis) in shape.iter().enumerate() {
            let _ = write!(self.line, "{}{axis}", if i > 0 { "," } else { "" });
        }
        self.line.push(']');
        if let Some(file) = &mut self.sidecar {
            let bytes = little_endian(values, &mut self.bytes);
            if let Err(error) = file.write_all(bytes) {
                return Err((self.shown.with_extension("bin"), error));
            }
            let length = bytes.len() as u64;
            let _ = write!(self.line, ",\"offset\":{},\"bytes\":{length}", self.sidecar_length);
            self.sidecar_length += length;
        } else {
            self.line.push_str(",\"values\":[");
            for index in 0..count.min(self.most.unwrap_or(usize::MAX)) {
                if index > 0 {
                    self.line.push(',');
                }
                push_float(
                    &mut self.line,
                    match values {
                        Values::F32(v) => v[index],
                        Values::F16(v) => widen_f16(v[index]),
                        Values::Bf16(v) => f32::from_bits(u32::from(v[index]) << 16),
                    },
                );
            }
            self.line.push(']');
        }
        self.send()
    }

    fn complete(&mut self, position: u32) -> Result<(), Failure> {
        if !self.begin(position, 0) {
            return Ok(());
        }
        let _ = write!(self.line, "{{\"complete\":true,\"token_idx\":{position}");
        self.send()
    }

    fn rewind(&mut self, position: u32) -> Result<(), Failure> {
        self.records.split_off(&position);
        self.line.clear();
        let _ = write!(self.line, "{{\"rewind\":{}", position.min(MAX_POSITION));
        self.send()
    }

    fn end(&mut self) -> Result<(), Failure> {
        let (positions, records) = (self.records.len(), self.records.values().sum::<u64>());
        self.line.clear();
        let _ = write!(self.line, "{{\"end\":true,\"positions\":{positions},\"records\":{records}");
        self.send()
    }
}

/// An empty file; one that is there is unlinked, so that whoever reads it keeps it.
fn create(path: &Path) -> Result<File, Failure> {
    if path.symlink_metadata().is_ok_and(|m| m.is_file()) {
        let _ = fs::remove_file(path);
    }
    let file = OpenOptions::new().write(true).create(true).truncate(true).open(path);
    file.map_err(|error| (path.to_owned(), error))
}

fn header(info: &Info<'_>) -> String {
    let mut out = String::new();
    for (name, text) in
        [(",\"backend\":", info.backend), (",\"model\":{\"name\":", info.model), (",\"arch\":", info.arch)]
    {
        out.push_str(name);
        push_string(&mut out, text.as_bytes());
    }
    if !info.weights.is_empty() {
        out.push_str(",\"weights\":");
        push_string(&mut out, info.weights.as_bytes());
    }
    let _ = write!(
        out,
        ",\"n_layer\":{},\"n_embd\":{},\"n_vocab\":{}}},\"settings\":{{\"logger\":\"paritty_trace.rs\"",
        info.n_layer, info.n_embd, info.n_vocab
    );
    for (name, value) in info.settings {
        out.push(',');
        push_string(&mut out, name.as_bytes());
        out.push(':');
        let is_bare = value.parse::<i64>().is_ok_and(|n| n.to_string() == *value);
        if is_bare || matches!(*value, "true" | "false") {
            out.push_str(value);
        } else {
            push_string(&mut out, value.as_bytes());
        }
    }
    out.push('}');
    if !info.prompt.is_empty() {
        out.push_str(",\"prompt\":");
        push_string(&mut out, info.prompt.as_bytes());
    }
    if info.n_prompt > 0 {
        let _ = write!(out, ",\"n_prompt\":{}", info.n_prompt);
    }
    out
}

/// A JSON string of any bytes; those that are no UTF-8 become U+FFFD.
fn push_string(out: &mut String, bytes: &[u8]) {
    out.push('"');
    for c in String::from_utf8_lossy(bytes).chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\0'..='\x1f' | '\x7f' => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

/// The shortest text that gives the same f32 back.
fn push_float(out: &mut String, value: f32) {
    if value.is_nan() {
        out.push_str("\"NaN\"");
    } else if value.is_infinite() {
        out.push_str(if value > 0.0 { "\"Infinity\"" } else { "\"-Infinity\"" });
    } else {
        let _ = write!(out, "{value:?}");
    }
}

fn widen_f16(bits: u16) -> f32 {
    let (sign, exponent, fraction) =
        (u32::from(bits & 0x8000) << 16, u32::from(bits >> 10 & 31), u32::from(bits & 1023));
    if exponent == 0 {
        // Zero or denormal: the fraction times 2^-24, exactly.
        let value = fraction as f32 / 16_777_216.0;
        return if sign == 0 { value } else { -value };
    }
    let exponent = if exponent == 31 { 255 } else { exponent + 112 };
    f32::from_bits(sign | exponent << 23 | fraction << 13)
}

fn little_endian<'a>(values: Values<'_>, into: &'a mut Vec<u8>) -> &'a [u8] {
    into.clear();
    match values {
        Values::F32(v) => into.extend(v.iter().flat_map(|x| x.to_le_bytes())),
        Values::F16(v) | Values::Bf16(v) => into.extend(v.iter().flat_map(|x| x.to_le_bytes())),
    }
    into
}
