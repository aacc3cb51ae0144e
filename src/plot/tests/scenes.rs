//! Synthetic sessions.

use std::sync::Arc;

use crate::compare::verdict::Coverage;
use crate::compare::{
    CellMetrics, CellResult, CellState, Column, Divergence, LogitMetrics, Severity, TopEntry, TopK, Verdict,
};
use crate::garbage::{Blame, Finding};
use crate::model::{Checkpoint, Site};
use crate::plot::Cursor;
use crate::session::{
    Attention, Diagnosed, DiagnosisState, Faulty, Focus, LayerRow, Layers, RunState, Scores, SideStatus,
    Snapshot, SourceState, TokenView, Wanted, Which,
};
use crate::trace::{Notes, Tensor};

/// Kinds of sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Nothing compared yet.
    Empty,
    /// One cell at one position.
    One,
    /// Six layers, 24 positions, all within noise.
    Clean,
    /// The same with a mistake that enters at position 5, layer 3, after RoPE.
    Fault,
    /// NaN, infinities, missing and incomparable cells.
    Odd,
    /// 64 layers, 4096 positions, a vocabulary of 128,256.
    Huge,
    /// Texts that try to break out.
    Hostile,
}

impl Kind {
    pub const ALL: [Self; 7] =
        [Self::Empty, Self::One, Self::Clean, Self::Fault, Self::Odd, Self::Huge, Self::Hostile];
}

/// Sites of [`Kind::Huge`]: few, so that a test's memory stays small.
const HUGE_SITES: [Site; 4] = [Site::Embd, Site::AttnNorm, Site::LOut, Site::ResultOutput];

/// Where the mistake of [`Kind::Fault`] enters.
pub const FAULT: (u32, &str) = (5, "Kcur_rope-3");

/// A small generator: the same numbers on every machine.
pub struct Noise(u64);

impl Noise {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// Uniform in 0 to 1.
    pub fn uniform(&mut self) -> f32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 40) as f32 / (1u64 << 24) as f32
    }

    /// About normal, with heavy tails.
    pub fn value(&mut self) -> f32 {
        let x = (0..4).map(|_| self.uniform() - 0.5).sum::<f32>();
        x * if self.uniform() > 0.98 { 6.0 } else { 1.0 }
    }
}

fn side(team: &str, backend: &str, state: SourceState) -> SideStatus {
    SideStatus {
        team: team.to_owned(),
        backend: backend.to_owned(),
        remark: None,
        state,
        positions: 24,
        expected: Some(64),
        notes: Notes::default(),
    }
}

fn rows(layers: usize) -> Vec<Checkpoint> {
    use Site::{
        AttnNorm, AttnOut, Embd, FfnGate, FfnInp, FfnNorm, FfnOut, FfnSwiglu, FfnUp, Kcur, KcurRope, Kq,
        KqSoftMax, KqvOut, LOut, Qcur, QcurRope, ResultNorm, ResultOutput, Vcur,
    };
    let inside = [
        AttnNorm, Qcur, QcurRope, Vcur, Kcur, KcurRope, Kq, KqSoftMax, KqvOut, AttnOut, FfnInp, FfnNorm,
        FfnGate, FfnUp, FfnSwiglu, FfnOut, LOut,
    ];
    let mut all = vec![Checkpoint::global(Embd)];
    all.extend((0..layers).flat_map(|l| inside.map(|s| Checkpoint::layer(s, l))));
    all.extend([ResultNorm, ResultOutput].map(Checkpoint::global));
    all.sort();
    all
}

fn metrics(severity: f32) -> CellMetrics {
    let nmse = f64::from(severity) * 1.5e-6;
    CellMetrics {
        nmse,
        cosine: 1.0 - nmse / 2.0,
        max_abs: severity * 0.003,
        max_at: 17,
        nonfinite_reference: 0,
        nonfinite_candidate: u32::from(!severity.is_finite()),
        compared: 64,
        of: 64,
    }
}

fn compared(checkpoint: Checkpoint, severity: f32) -> CellResult {
    CellResult {
        checkpoint,
        state: CellState::Compared {
            metrics: metrics(severity),
            severity: Severity(severity),
            origin: false,
        },
    }
}

fn tensor(shape: &[u32], noise: &mut Noise) -> Tensor {
    let n: u32 = shape.iter().product();
    Tensor { shape: shape.to_vec(), values: (0..n).map(|_| noise.value()).collect(), exact: true }
}

fn finding(class: &'static str, glyph: char, checkpoint: Checkpoint) -> Finding {
    Finding {
        class,
        glyph,
        blame: Blame::Engine,
        checkpoint,
        first_channel: 0,
        count: 3,
        confidence: 1.0,
        evidence: "3 of 64 values".to_owned(),
    }
}

const TEXT: &[&str] = &[
    "<s>",
    "▁The",
    "▁quick",
    "▁brown",
    "▁fox",
    "▁jumps",
    "▁over",
    "▁the",
    "▁lazy",
    "▁dog",
    ".",
    "⏎",
    "▁She",
    "▁looked",
    "▁up",
    ",",
    "▁and",
    "▁the",
    "▁night",
    "▁was",
    "▁full",
    "▁of",
    "▁stars",
    ".",
];

const HOSTILE: &[&str] = &[
    "\u{1b}[2J",
    "</text>",
    "<script>alert(1)</script>",
    "&amp;",
    "\"'><",
    "\u{202e}evil",
    "\u{0}\u{7}",
    "中文字",
    "🙂👩\u{200d}🚀",
    "e\u{301}\u{302}\u{303}",
    "  two  spaces ",
    "\n\r\t",
    "\u{fffe}\u{ffff}",
    "\u{10ffff}",
    "",
    "a very long token text that goes on and on and on and on",
    "]]>",
    "{{7*7}}",
    "%s%n",
    "\u{fdd0}",
    "שלום",
    "=1+1",
    "a,b\"c",
    "\u{e000}",
];

fn top(noise: &mut Noise, hostile: bool) -> (TopK, Vec<(u32, String)>) {
    let ids: Vec<u32> = (0..10).map(|i| 100 + i * 7).collect();
    let p = [0.62, 0.14, 0.08, 0.05, 0.03, 0.02, 0.01, 0.008, 0.002, 0.0002];
    let q = [0.31, 0.29, 0.11, 0.07, 0.04, 0.03, 0.02, 0.006, 0.004, 0.001];
    let order = [1usize, 0, 2, 5, 3, 4, 6, 7, 11, 8];
    let id = |i: usize| ids.get(i).copied().unwrap_or(999);
    let rank_in_order = |i: usize| order.iter().position(|o| *o == i).map(|r| r as u32);
    let entry = |token, logit, probability, other_rank| TopEntry { token, logit, probability, other_rank };
    let reference = (0..10).map(|i| entry(id(i), 12.0 - i as f32, p[i], rank_in_order(i))).collect();
    let candidate = order
        .iter()
        .enumerate()
        .map(|(rank, i)| entry(id(*i), 11.5 - rank as f32, q[rank], (*i < 10).then_some(*i as u32)))
        .collect();
    let words = ["▁over", "▁on", "▁up", "▁from", "▁into", "▁across", "▁in", "▁and", "▁,", "▁down"];
    let mut pieces: Vec<(u32, String)> = (0..10)
        .map(|i| {
            let text = if hostile { HOSTILE[i * 2 % HOSTILE.len()] } else { words[i] };
            (id(i), text.to_owned())
        })
        .collect();
    pieces.push((999, if hostile { "\u{9b}31m".to_owned() } else { "▁like".to_owned() }));
    let _ = noise.uniform();
    (TopK { reference, candidate, ..TopK::default() }, pieces)
}

fn severity_at(
    kind: Kind,
    position: u32,
    row: usize,
    checkpoint: Checkpoint,
    all: &[Checkpoint],
    noise: &mut Noise,
) -> CellState {
    let quiet = 0.03 + 0.5 * noise.uniform().powi(2) + 0.2 * row as f32 / all.len() as f32;
    let within = compared(checkpoint, quiet).state;
    let beyond = |s: f32| compared(checkpoint, s).state;
    let entry = all.iter().position(|c| c.to_string() == FAULT.1).unwrap_or(0);
    match kind {
        Kind::Fault | Kind::Huge | Kind::Hostile => {
            let (at, entry) = if kind == Kind::Huge { (1500, all.len() / 2) } else { (FAULT.0, entry) };
            let after_kv = row >= entry && position >= at;
            if position == at && row == entry {
                beyond(214.0)
            } else if after_kv && row > entry && (position > at || row > entry + 1) {
                let fade = 1.0 + (position - at) as f32 * 0.05 + (row - entry) as f32 * 0.02;
                beyond(214.0 / fade * (0.4 + 0.5 * noise.uniform()))
            } else {
                within
            }
        }
        Kind::Odd => match (position, row % 7) {
            (3, 2) => CellState::ReferenceOnly,
            (4, 3) => CellState::CandidateOnly,
            (6, 1) => CellState::ShapeMismatch,
            (7, 5) => CellState::Unreadable,
            (9.., 0) if row > 20 => beyond(f32::NAN),
            (11.., 4) if row > 30 => beyond(f32::INFINITY),
            (12, 6) => beyond(3.0),
            _ => within,
        },
        _ => within,
    }
}

/// The cursor's site in three layers, one of which the candidate lacks, and the scores of four heads.
fn around(cursor: Cursor, kind: Kind, [reference, candidate]: [&Tensor; 2]) -> (Layers, Scores) {
    let row = |layer: usize, candidate: Option<&Tensor>| {
        let checkpoint = Checkpoint::layer(cursor.checkpoint.site(), layer);
        LayerRow::new(checkpoint, [Some(reference.clone()), candidate.cloned()])
    };
    let layers = Layers {
        rows: vec![row(2, Some(reference)), row(3, Some(candidate)), row(4, None)],
        left_out: usize::from(kind == Kind::Huge),
    };
    let scores = |shift: usize| Attention {
        checkpoint: Checkpoint::layer(Site::KqSoftMax, 3),
        tensor: Tensor {
            shape: vec![6, 4],
            values: (0..24).map(|i| if i % 6 == (i / 6 + shift) % 6 { 0.75 } else { 0.05 }).collect(),
            exact: true,
        },
    };
    let lacks = "flash attention keeps \u{1b}[31mno scores".to_owned();
    let candidate = if kind == Kind::Hostile { Err(lacks) } else { Ok(scores(1)) };
    (layers, Scores { reference: Ok(scores(0)), candidate })
}

/// A session of this kind and a cursor in it.
pub fn build(kind: Kind) -> (Snapshot, Cursor) {
    let mut noise = Noise::new(kind as u64 + 1);
    let (layers, positions) = match kind {
        Kind::Empty => (0, 0),
        Kind::One => (0, 1),
        Kind::Huge => (64, 4096),
        _ => (6, 24),
    };
    let all: Vec<Checkpoint> = match kind {
        Kind::Empty => Vec::new(),
        Kind::One => vec![Checkpoint::LOGITS],
        Kind::Huge => rows(layers).into_iter().filter(|c| HUGE_SITES.contains(&c.site())).collect(),
        _ => rows(layers),
    };
    let columns: Vec<Arc<Column>> = (0..positions)
        .map(|position| {
            let cells = all
                .iter()
                .enumerate()
                .filter(|_| kind != Kind::Odd || position != 15)
                .map(|(row, c)| CellResult {
                    checkpoint: *c,
                    state: severity_at(kind, position, row, *c, &all, &mut noise),
                })
                .collect();
            let garbage = if kind == Kind::Odd && position % 5 == 4 {
                vec![finding("nan", 'N', Checkpoint::LOGITS), finding("stale", 's', Checkpoint::LOGITS)]
            } else {
                Vec::new()
            };
            Arc::new(Column {
                position,
                cells,
                garbage_candidate: garbage,
                complete: true,
                ..Column::default()
            })
        })
        .collect();
    let fault_at: Checkpoint = match kind {
        Kind::Huge => all[all.len() / 2],
        Kind::Empty | Kind::One => Checkpoint::LOGITS,
        _ => FAULT.1.parse().expect("a name"),
    };
    let fault_position = if kind == Kind::Huge { 1500 } else { FAULT.0 };
    let coverage = Coverage {
        positions,
        cells: u64::from(positions) * all.len() as u64,
        missing_in_candidate: if kind == Kind::Odd { 20 } else { 0 },
        ..Coverage::default()
    };
    let verdict = match kind {
        Kind::Empty => Verdict::Pending,
        Kind::One | Kind::Clean => {
            Verdict::WithinNoise { worst: Some((0, Checkpoint::LOGITS, Severity(0.74))), coverage }
        }
        Kind::Odd => Verdict::Inconclusive {
            reason: "the candidate lacks 20 cells; trace it with `--checkpoints all`".to_owned(),
            coverage,
        },
        Kind::Fault | Kind::Huge | Kind::Hostile => Verdict::Diverged {
            first: Divergence {
                position: fault_position,
                checkpoint: fault_at,
                metrics: metrics(214.0),
                severity: Severity(214.0),
                worst_input: Some((Checkpoint::layer(Site::Kcur, 3), Severity(0.42))),
                isolated: kind != Kind::Hostile,
                evidence: String::new(),
            },
            beyond: 412,
            coverage,
        },
    };
    let text = if kind == Kind::Hostile { HOSTILE } else { TEXT };
    let tokens: Vec<TokenView> = (0..positions)
        .map(|position| TokenView {
            position,
            id: Some(position * 3),
            text: text[position as usize % text.len()].to_owned(),
            from_prompt: position < 9,
            candidate: None,
        })
        .collect();
    let cursor = match kind {
        Kind::Empty | Kind::One | Kind::Odd => Cursor { position: 0, checkpoint: Checkpoint::LOGITS },
        _ => Cursor { position: fault_position, checkpoint: fault_at },
    };
    let shape: &[u32] = match kind {
        Kind::Empty | Kind::One => &[1],
        Kind::Huge => &[128_256],
        Kind::Odd => &[512],
        _ => &[48, 8],
    };
    let reference = tensor(shape, &mut noise);
    let mut candidate = reference.clone();
    for (i, v) in candidate.values.iter_mut().enumerate() {
        *v *= 1.0 + 0.0005 * (noise.uniform() - 0.5);
        if matches!(kind, Kind::Fault | Kind::Huge | Kind::Hostile) && i % 6 == 1 {
            *v = -*v * 0.8;
        }
    }
    if kind == Kind::Odd {
        candidate.values[5] = f32::NAN;
        candidate.values[100] = f32::INFINITY;
        candidate.values[101] = f32::NEG_INFINITY;
    }
    let (layers, scores) = around(cursor, kind, [&reference, &candidate]);
    let (top, pieces) = top(&mut noise, kind == Kind::Hostile);
    let top = if kind == Kind::One {
        TopK { reference: top.reference[..1].to_vec(), ..TopK::default() }
    } else {
        top
    };
    let focus = (kind != Kind::Empty).then(|| {
        Arc::new(Focus {
            reference: Some(reference),
            candidate: (kind != Kind::One).then_some(candidate),
            metrics: Some(metrics(if kind == Kind::Clean { 0.4 } else { 214.0 })),
            severity: Some(Severity(if kind == Kind::Clean { 0.4 } else { 214.0 })),
            top,
            pieces,
            layers: Some(Arc::new(layers)),
            scores: Some(Arc::new(scores)),
            logits: Some(LogitMetrics { kl: 0.412, top1_agrees: false, overlap: 8, k: 10, margin: 1.7 }),
            ..Focus::new(Wanted::cell(cursor.position, cursor.checkpoint))
        })
    });
    let mut reference = side("llama.cpp", "CPU", SourceState::Live);
    let mut candidate = side("paritty", "cpu", SourceState::Ready);
    if kind == Kind::Fault {
        candidate.remark = Some("fault: rope-pairing".to_owned());
        reference.remark = Some("replay of a recorded trace".to_owned());
    }
    if kind == Kind::Hostile {
        reference.team = "\u{1b}]0;owned\u{7}<b>&".to_owned();
        candidate.state = SourceState::Failed("line 3: \u{1b}[31mbad".to_owned());
    }
    let snapshot = Snapshot {
        revision: 1,
        work: 0,
        settled: true,
        model: if kind == Kind::Hostile {
            "../../<model>\u{1b}[0m".to_owned()
        } else {
            "TinyLlama 1.1B Q4_K_M".to_owned()
        },
        reference,
        candidate,
        tokens: Arc::new(tokens),
        rows: all.into(),
        columns,
        verdict: Arc::new(verdict),
        run: RunState::Paused,
        step: 18,
        stepping: Arc::default(),
        focus,
        records: Arc::default(),
        diagnosis: DiagnosisState::NotAsked,
        message: (kind == Kind::Odd).then(|| "the reference stalled".to_owned()),
    };
    (snapshot, cursor)
}

/// A diagnosis that calls the operation of [`FAULT`] faulty at these positions.
pub fn diagnosis(positions: Vec<u32>) -> DiagnosisState {
    let checkpoint = FAULT.1.parse().expect("a name");
    let faulty = Faulty {
        side: Which::Candidate,
        checkpoint,
        worst_at: positions[0],
        positions,
        sentence: "pairs neighbours instead of halves".to_owned(),
        mistake: Some("rope-pairing".to_owned()),
        instrument: false,
        evidence: Vec::new(),
    };
    let found = Diagnosed {
        sentences: Vec::new(),
        sides: Vec::new(),
        faulty: vec![faulty],
        took: std::time::Duration::ZERO,
    };
    DiagnosisState::Done(Arc::new(found))
}
