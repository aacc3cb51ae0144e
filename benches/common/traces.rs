//! Traces of a deep model, made as quickly as they can be written: 80 layers with 18 checkpoints each.

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use paritty::model::{Checkpoint, Site};
use paritty::trace::{Header, ModelInfo, Token, TraceWriter};

pub const LAYERS: usize = 80;
/// Scores are left out: their size grows with the position.
pub const SITES: [Site; 18] = [
    Site::AttnNorm,
    Site::QcurMm,
    Site::Qcur,
    Site::KcurMm,
    Site::Kcur,
    Site::VcurMm,
    Site::Vcur,
    Site::QcurRope,
    Site::KcurRope,
    Site::KqvOut,
    Site::AttnOut,
    Site::FfnInp,
    Site::FfnNorm,
    Site::FfnGate,
    Site::FfnUp,
    Site::FfnSwiglu,
    Site::FfnOut,
    Site::LOut,
];
/// Bytes a second at which traces grow.
pub const PACE: u64 = 200 << 20;

struct Noise(u32);

impl Noise {
    /// Between −1 and 1.
    fn next(&mut self) -> f32 {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (self.0 as i32 as f32) / (i32::MAX as f32)
    }
}

/// A run of `positions` with rows of `width` values, which are those of every other such run but for
/// `difference` of their size. `after` is told the bytes of values once a position is written.
pub fn write(path: &Path, (positions, width): (u32, usize), difference: f32, mut after: impl FnMut(u64)) {
    let model = ModelInfo {
        name: "bench".into(),
        arch: "llama".into(),
        n_layer: LAYERS as u32,
        weights: Some("Q4_K_M".into()),
        ..ModelInfo::default()
    };
    let header = Header { team: "bench".into(), backend: "CPU".into(), model, ..Header::default() };
    let mut writer = TraceWriter::create(path, &header).expect("a trace");
    // Rows are pieces of one long row, so that making them takes no time.
    let (mut common, mut own) = (Noise(1), Noise(2));
    let pool: Vec<(f32, f32)> = (0..width + (1 << 16))
        .map(|_| {
            let x = common.next();
            (x, x + difference * x * own.next())
        })
        .collect();
    let [same, different] = [|p: &(f32, f32)| p.0, |p: &(f32, f32)| p.1]
        .map(|side: fn(&(f32, f32)) -> f32| pool.iter().map(side).collect::<Vec<f32>>());
    let mut row = 0_usize;
    for position in 0..positions {
        let piece = Some(format!(" word{position}"));
        let token = Token { id: position, piece, from_prompt: true, columns: Some(1) };
        writer.token(position, &token).expect("a token");
        let layers = (0..LAYERS).flat_map(|layer| SITES.map(|site| Checkpoint::layer(site, layer)));
        let ends = [Checkpoint::global(Site::ResultNorm), Checkpoint::LOGITS];
        let mut bytes = 0;
        for checkpoint in [Checkpoint::global(Site::Embd)].into_iter().chain(layers).chain(ends) {
            row = (row + 7919) % (1 << 16);
            // A row of a table is the same on both sides.
            let values = if checkpoint.site() == Site::Embd { &same } else { &different };
            let values = &values[row..row + width];
            writer.tensor(position, checkpoint, None, "MUL_MAT", &[width as u32], values).expect("a record");
            bytes += 4 * width as u64;
        }
        writer.complete(position).expect("a position");
        after(bytes);
    }
    writer.end().expect("an end");
}

/// Sleeps until so many bytes are due.
pub fn keep_pace(begun: Instant, bytes: u64) {
    let due = Duration::from_secs_f64(bytes as f64 / PACE as f64);
    std::thread::sleep(due.saturating_sub(begun.elapsed()));
}

/// Copies `from` to `to` at the pace, whole lines or not.
pub fn grow(from: &Path, to: &Path, written: &AtomicU64, stop: &AtomicBool) {
    let (mut from, mut to) = (File::open(from).expect("a trace"), File::create(to).expect("a file"));
    let mut buffer = vec![0; 1 << 20];
    let begun = Instant::now();
    while !stop.load(Ordering::Relaxed) {
        let n = from.read(&mut buffer).expect("text");
        if n == 0 {
            break;
        }
        to.write_all(&buffer[..n]).expect("room for it");
        let all = written.fetch_add(n as u64, Ordering::Relaxed) + n as u64;
        keep_pace(begun, all);
    }
}
