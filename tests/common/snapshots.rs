//! Made-up snapshots for tests and benches of the screen.
#![allow(dead_code, reason = "every test binary uses its own part of it")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use paritty::audit::Conclusion;
use paritty::compare::verdict::Coverage;
use paritty::compare::{
    CellMetrics, CellResult, CellState, Column, Divergence, LogitMetrics, Ranked, Severity, TopEntry, TopK,
    Verdict,
};
use paritty::garbage::{Blame, Finding};
use paritty::model::{Checkpoint, Site};
use paritty::session::{
    Arrived, Attention, Diagnosed, DiagnosisState, Faulty, Focus, LayerRow, Layers, Records, RunState,
    Scores, SideDiagnosed, SideStatus, Snapshot, SourceState, TokenView, Wanted, Which,
};
use paritty::trace::{Arrival, Dtype, Notes, Tensor};
use paritty::wording::{Sentence, Tone};

/// Sites of one layer, as a llama has them.
const LAYER: [Site; 17] = [
    Site::AttnNorm,
    Site::Qcur,
    Site::QcurRope,
    Site::Vcur,
    Site::Kcur,
    Site::KcurRope,
    Site::Kq,
    Site::KqSoftMax,
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

const WORDS: [&str; 10] = [" the", " king", ",", " and", " all", " his", " men", " de", "part", "."];

/// A session to show.
#[derive(Clone, Debug)]
pub struct Scene {
    pub layers: usize,
    pub positions: u32,
    /// Where an error enters.
    pub fault: Option<(u32, Checkpoint)>,
    /// Whether NaN, garbage and missing cells are strewn in.
    pub oddities: bool,
    /// Width of the residual stream.
    pub n_embd: u32,
    pub n_vocab: u32,
}

impl Scene {
    /// Six layers, forty positions, an error in layer 3 at position 17.
    pub fn faulty() -> Self {
        let fault = Some((17, Checkpoint::layer(Site::KcurRope, 3)));
        Self { layers: 6, positions: 40, fault, oddities: true, n_embd: 128, n_vocab: 500 }
    }

    /// The same without an error.
    pub fn clean() -> Self {
        Self { fault: None, oddities: false, ..Self::faulty() }
    }

    /// A run of a deep and wide model, with an error in the middle.
    pub fn whole(positions: u32) -> Self {
        let fault = Some((positions / 2, Checkpoint::layer(Site::FfnUp, 20)));
        Self { layers: 80, positions, fault, oddities: true, n_embd: 8192, n_vocab: 128_256 }
    }

    pub fn rows(&self) -> Vec<Checkpoint> {
        let mut rows = vec![Checkpoint::global(Site::Embd)];
        for layer in 0..self.layers {
            rows.extend(LAYER.map(|site| Checkpoint::layer(site, layer)));
        }
        rows.extend([Checkpoint::global(Site::ResultNorm), Checkpoint::LOGITS]);
        rows.sort();
        rows
    }

    fn severity(&self, position: u32, checkpoint: Checkpoint) -> f32 {
        let noise = 0.05 + 0.6 * noise(position, checkpoint).abs();
        match self.fault {
            Some((at, origin)) if position >= at && checkpoint >= origin => {
                let layers = checkpoint.layer_index().unwrap_or(self.layers) as f32;
                let entered = origin.layer_index().unwrap_or(0) as f32;
                300.0 / (1.0 + layers - entered) * (1.0 + 0.5 * noise)
            }
            _ => noise,
        }
    }

    fn cell(&self, position: u32, checkpoint: Checkpoint) -> CellResult {
        let layer = checkpoint.layer_index();
        let site = checkpoint.site();
        let one_missing = position == 5 && layer == Some(1) && site == Site::Kq;
        let state = if self.oddities && (one_missing || position == 8 && layer == Some(2)) {
            CellState::ReferenceOnly
        } else if self.oddities && position == 9 && layer == Some(0) && site == Site::KqSoftMax {
            CellState::ShapeMismatch
        } else if self.oddities && position == 11 && layer == Some(0) {
            CellState::Unreadable
        } else {
            let nan = self.oddities && position == 30 && layer == Some(5) && site >= Site::FfnUp;
            let severity = if nan { f32::INFINITY } else { self.severity(position, checkpoint) };
            let origin = self.fault == Some((position, checkpoint)) || nan && site == Site::FfnUp;
            CellState::Compared { metrics: metrics(severity), severity: Severity(severity), origin }
        };
        CellResult { checkpoint, state }
    }

    fn column(&self, position: u32, rows: &[Checkpoint]) -> Column {
        let cells = rows.iter().map(|&checkpoint| self.cell(position, checkpoint)).collect();
        let mut column = Column { position, cells, complete: true, ..Column::default() };
        let agrees = self.fault.is_none_or(|(at, _)| position < at);
        column.logits = Some(LogitMetrics {
            kl: if agrees { 1.2e-5 } else { 0.412 },
            top1_agrees: agrees,
            overlap: if agrees { 8 } else { 5 },
            k: 8,
            margin: 1.31,
        });
        if self.oddities && position == 30 {
            column.garbage_candidate.push(finding("nan", 'N', Blame::Engine));
        }
        if self.oddities && position % 13 == 7 {
            column.garbage_reference.push(finding("heap-pointer", 'H', Blame::Instrument));
        }
        column
    }

    /// The whole session after its end.
    pub fn snapshot(&self) -> Snapshot {
        let rows = self.rows();
        let columns: Vec<Arc<Column>> =
            (0..self.positions).map(|p| Arc::new(self.column(p, &rows))).collect();
        let tokens = (0..self.positions)
            .map(|position| TokenView {
                position,
                id: Some(100 + position % 10),
                text: WORDS[position as usize % WORDS.len()].to_owned(),
                from_prompt: position < 6,
                candidate: None,
            })
            .collect();
        let coverage = Coverage {
            positions: self.positions,
            cells: u64::from(self.positions) * rows.len() as u64,
            missing_in_candidate: u64::from(self.oddities) * 18,
            ..Coverage::default()
        };
        let verdict = match self.fault {
            Some((position, checkpoint)) => Verdict::Diverged {
                first: Divergence {
                    position,
                    checkpoint,
                    metrics: metrics(214.0),
                    severity: Severity(214.0),
                    worst_input: checkpoint
                        .layer_index()
                        .map(|layer| (Checkpoint::layer(Site::Kcur, layer), Severity(0.41))),
                    isolated: true,
                    evidence: "a sentence with the figures".to_owned(),
                },
                beyond: 1234,
                coverage,
            },
            None => Verdict::WithinNoise {
                worst: Some((3, Checkpoint::layer(Site::KqvOut, 2), Severity(0.64))),
                coverage,
            },
        };
        Snapshot {
            revision: 1,
            work: 0,
            settled: true,
            model: "Shakespeare 3M F16".to_owned(),
            reference: SideStatus {
                remark: Some("replay of a recorded trace".to_owned()),
                ..side("llama.cpp", "CPU", SourceState::Live, self.positions)
            },
            candidate: SideStatus {
                remark: self.fault.map(|_| "fault: rope-pairing".to_owned()),
                ..side("paritty", "CPU", SourceState::Ready, self.positions)
            },
            tokens: Arc::new(tokens),
            rows: rows.into(),
            columns,
            verdict: Arc::new(verdict),
            run: RunState::Paused,
            step: self.positions,
            stepping: Arc::default(),
            focus: None,
            records: Arc::default(),
            diagnosis: DiagnosisState::NotAsked,
            message: None,
        }
    }

    /// What a session answers when asked for this cell.
    pub fn focus(&self, position: u32, checkpoint: Checkpoint) -> Focus {
        self.answer(Wanted::cell(position, checkpoint))
    }

    /// What a session answers when asked for a cell and what else the views need.
    pub fn answer(&self, wanted: Wanted) -> Focus {
        let Wanted { position, checkpoint, needs } = wanted;
        let focus = self.values(position, checkpoint);
        let layers = || {
            let rows = self.rows().into_iter().filter(|c| c.site() == checkpoint.site()).map(|checkpoint| {
                let focus = self.values(position, checkpoint);
                // One layer that the candidate lacks.
                let lacks = self.oddities && checkpoint.layer_index() == Some(1);
                let candidate = focus.candidate.filter(|_| !lacks);
                let mut row = LayerRow::new(checkpoint, [focus.reference, candidate]);
                row.severity = focus.severity.filter(|_| !lacks);
                row
            });
            Arc::new(Layers { rows: rows.collect(), left_out: 0 })
        };
        Focus {
            wanted,
            layers: needs.layers.then(layers),
            scores: needs.scores.then(|| Arc::new(self.scores(position, checkpoint))),
            ..focus
        }
    }

    /// Eight heads; from the error on, the candidate's third looks elsewhere.
    fn scores(&self, position: u32, checkpoint: Checkpoint) -> Scores {
        let Some(layer) = checkpoint.layer_index() else {
            let none = || Err(format!("{checkpoint} belongs to no layer: choose one"));
            return Scores { reference: none(), candidate: none() };
        };
        let site = Checkpoint::layer(Site::KqSoftMax, layer);
        let wrong = self.fault.is_some_and(|(at, origin)| position >= at && site >= origin);
        let side = |wrong: bool| {
            let heads = (0..8u32).flat_map(|head| {
                let row = (0..=position).map(move |p| {
                    let p = if wrong && head == 3 { position - p } else { p };
                    (noise(p.wrapping_mul(31).wrapping_add(head), site) * 3.0).exp()
                });
                let row: Vec<f32> = row.collect();
                let sum: f32 = row.iter().sum();
                row.into_iter().map(move |v| v / sum).collect::<Vec<f32>>()
            });
            let tensor = Tensor { shape: vec![position + 1, 8], values: heads.collect(), exact: true };
            Ok(Attention { checkpoint: site, tensor })
        };
        Scores { reference: side(false), candidate: side(wrong) }
    }

    fn values(&self, position: u32, checkpoint: Checkpoint) -> Focus {
        let severity = self.severity(position, checkpoint);
        let shape: Vec<u32> = match checkpoint.site() {
            Site::ResultOutput => vec![self.n_vocab],
            Site::Qcur | Site::QcurRope | Site::Kcur | Site::KcurRope => vec![32, self.n_embd / 32],
            _ => vec![self.n_embd],
        };
        let len: u32 = shape.iter().product();
        let value = |c: u32| {
            noise(c.wrapping_mul(7919).wrapping_add(position), checkpoint)
                * if c % 37 == 3 { 4.0 } else { 1.0 }
        };
        let reference: Vec<f32> = (0..len).map(value).collect();
        let mut candidate: Vec<f32> = reference
            .iter()
            .enumerate()
            .map(|(c, v)| v + severity.min(100.0) * 1e-3 * noise(c as u32 + 17, checkpoint))
            .collect();
        if self.oddities && position == 30 {
            for c in [1, 2, 40] {
                candidate[c] = [f32::NAN, f32::INFINITY][c % 2];
            }
        }
        let tensor = |values: Vec<f32>| Some(Tensor { shape: shape.clone(), values, exact: true });
        let entry = |token: u32, probability: f32, other_rank: Option<u32>| TopEntry {
            token,
            logit: probability.ln(),
            probability,
            other_rank,
        };
        let agrees = self.fault.is_none_or(|(at, _)| position < at);
        let probabilities = [0.62, 0.11, 0.08, 0.05, 0.02, 0.01, 0.004, 0.001];
        let reference_top: Vec<TopEntry> =
            (0..8).map(|i| entry(i, probabilities[i as usize], Some(i))).collect();
        let candidate_top = if agrees {
            reference_top.clone()
        } else {
            let order = [(3, Some(3)), (0, Some(0)), (9, None), (1, Some(1)), (2, Some(2)), (4, Some(4))];
            order.iter().zip(probabilities).map(|(&(token, rank), p)| entry(token, p * 0.7, rank)).collect()
        };
        Focus {
            reference: tensor(reference),
            candidate: tensor(candidate),
            metrics: Some(metrics(severity)),
            severity: Some(Severity(severity)),
            top: TopK {
                rows: (0..8)
                    .map(|i| Ranked {
                        token: i,
                        logits: [Some(12.5 - i as f32), (i != 5).then_some(11.25)],
                        probabilities: [Some(probabilities[i as usize]), (i != 5).then_some(0.11)],
                        ranks: [Some(i), (i != 5).then_some(7 - i)],
                    })
                    .collect(),
                reference: reference_top,
                candidate: candidate_top,
                ..TopK::default()
            },
            pieces: (0..10).map(|i| (i, WORDS[i as usize].to_owned())).collect(),
            logits: Some(LogitMetrics {
                kl: if agrees { 1.2e-5 } else { 0.412 },
                top1_agrees: agrees,
                overlap: if agrees { 8 } else { 5 },
                k: 8,
                margin: 1.31,
            }),
            ..Focus::new(Wanted::cell(position, checkpoint))
        }
    }

    /// A snapshot with the answer for a cell.
    pub fn focused(&self, position: u32, checkpoint: Checkpoint) -> Snapshot {
        self.answered(Wanted::cell(position, checkpoint))
    }

    /// A snapshot with the answer for what a screen wants.
    pub fn answered(&self, wanted: Wanted) -> Snapshot {
        Snapshot { focus: Some(Arc::new(self.answer(wanted))), ..self.snapshot() }
    }
}

/// What a diagnosis of the candidate finds: two faulty operations at every third position.
pub fn diagnosed(positions: u32) -> DiagnosisState {
    let faulty = |site: Site, mistake: Option<&str>| Faulty {
        side: Which::Candidate,
        checkpoint: Checkpoint::layer(site, 3),
        positions: (0..positions).step_by(3).collect(),
        worst_at: 18,
        sentence: format!("{} is wrong: pairs are interleaved", site.name()),
        mistake: mistake.map(str::to_owned),
        instrument: false,
        evidence: vec!["nmse 3.10e-2 before, 1.2e-7 after".to_owned(); 4],
    };
    let sentence = |tone, text: &str| Sentence { tone, text: text.to_owned() };
    let side = |side, conclusion| SideDiagnosed {
        side,
        conclusion,
        sentences: vec![sentence(Tone::Plain, "2 of 17 operations cannot be explained")],
        positions,
    };
    DiagnosisState::Done(Arc::new(Diagnosed {
        sentences: vec![sentence(Tone::Bad, "the candidate is wrong: rope-pairing in layer 3")],
        sides: vec![side(Which::Reference, Conclusion::Clean), side(Which::Candidate, Conclusion::Faulty)],
        faulty: vec![faulty(Site::QcurRope, Some("rope-pairing")), faulty(Site::KcurRope, None)],
        took: Duration::from_millis(2300),
    }))
}

/// The newest `kept` of `count` records, ten milliseconds apart, of both sides in turn.
pub fn records(start: Instant, kept: u64, count: u64) -> Records {
    let arrived = |serial: u64| Arrived {
        serial,
        side: Which::BOTH[serial as usize % 2],
        at: start + Duration::from_millis(10 * serial),
        record: Arrival {
            position: serial as u32 / 20,
            checkpoint: Checkpoint::layer(Site::KcurRope, 3),
            tensor: Some("Kcur-3 (view)".into()),
            op: Some("ROPE".into()),
            dtype: Dtype::F32,
            shape: vec![64, 8].into(),
            len: 512,
            bytes: 2048,
            line: serial + 1,
        },
    };
    Records {
        newest: (count - kept.min(count)..count).map(arrived).collect(),
        seen: [count.div_ceil(2), count / 2],
    }
}

/// Nothing has happened yet.
pub fn empty() -> Snapshot {
    Snapshot {
        revision: 0,
        work: 0,
        settled: true,
        model: String::new(),
        reference: side("", "", SourceState::Waiting, 0),
        candidate: side("", "", SourceState::Waiting, 0),
        tokens: Arc::default(),
        rows: Arc::new([]),
        columns: Vec::new(),
        verdict: Arc::new(Verdict::Pending),
        run: RunState::Static,
        step: 0,
        stepping: Arc::default(),
        focus: None,
        records: Arc::default(),
        diagnosis: DiagnosisState::NotAsked,
        message: None,
    }
}

fn side(team: &str, backend: &str, state: SourceState, positions: u32) -> SideStatus {
    SideStatus {
        team: team.to_owned(),
        backend: backend.to_owned(),
        remark: None,
        state,
        positions,
        expected: (positions > 0).then_some(64),
        notes: Notes::default(),
    }
}

pub fn metrics(severity: f32) -> CellMetrics {
    let nonfinite = u32::from(!severity.is_finite()) * 3;
    CellMetrics {
        nmse: if nonfinite > 0 { f64::NAN } else { 1.5e-4 * f64::from(severity) },
        cosine: if nonfinite > 0 { f64::NAN } else { 1.0 - 7.5e-5 * f64::from(severity) },
        max_abs: severity * 1e-3,
        max_at: 17,
        nonfinite_reference: 0,
        nonfinite_candidate: nonfinite,
        compared: 128,
        of: 128,
    }
}

fn finding(class: &'static str, glyph: char, blame: Blame) -> Finding {
    Finding {
        class,
        glyph,
        blame,
        checkpoint: Checkpoint::LOGITS,
        first_channel: 0,
        count: 2,
        confidence: 0.9,
        evidence: "channels 0 and 2 hold the low halves of addresses of one heap region".to_owned(),
    }
}

/// A number from -1 to 1 that looks like noise and is always the same.
fn noise(a: u32, checkpoint: Checkpoint) -> f32 {
    let b = checkpoint.layer_index().unwrap_or(99) as u32 * 64 + checkpoint.site() as u32;
    let mut x = a.wrapping_mul(0x9e37_79b9) ^ b.wrapping_mul(0x85eb_ca6b);
    x ^= x >> 15;
    x = x.wrapping_mul(0x2c1b_3c6d);
    x ^= x >> 12;
    x = x.wrapping_mul(0x297a_2d39);
    x ^= x >> 15;
    (x >> 8) as f32 / (1 << 23) as f32 - 1.0
}
