//! Mistakes that our engine cannot make: recorded llama.cpp runs whose values are altered as another
//! engine's mistake would have made them. The audit names what was done, or says that it does not know.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use paritty::audit::{Audit, Options, audit};
use paritty::gguf::Gguf;
use paritty::model::arch;
use paritty::synth::Synth;
use paritty::synth::mix::Mix;
use paritty::synth::shape::Shape;
use paritty::trace::Store;
use serde_json::Value;

const LLAMA: &str = "shakespeare-q4_k_m";
const GPT2: &str = "shakespeare-gpt2-f32";

/// Heads, values of a head, and the scale of scores of [`LLAMA`].
const HEADS: usize = 8;
const HEAD: usize = 32;
const SCALE: f64 = 0.176_776_695_296_636_9;

fn asset(kind: &str, name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("assets").join(kind).join(name)
}

/// A recorded run whose values can be altered.
struct Run {
    model: &'static str,
    lines: Vec<Value>,
    bytes: Vec<u8>,
}

impl Run {
    fn of(model: &'static str) -> Self {
        Self::at(model, &asset("traces", &format!("{model}.jsonl")))
    }

    fn at(model: &'static str, trace: &Path) -> Self {
        let text = std::fs::read_to_string(trace).expect("the trace");
        let lines = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        let bytes = std::fs::read(trace.with_extension("bin")).expect("the sidecar");
        Self { model, lines, bytes }
    }

    fn cell(&self, name: &str, position: u32) -> Option<std::ops::Range<usize>> {
        let line = self.lines.iter().find(|l| l["checkpoint"] == name && l["token_idx"] == position)?;
        let at = line["offset"].as_u64().expect("an offset") as usize;
        Some(at..at + line["bytes"].as_u64().expect("a length") as usize)
    }

    fn row(&self, name: &str, position: u32) -> Vec<f64> {
        let cell = self.cell(name, position).expect("a recorded cell");
        self.bytes[cell]
            .chunks_exact(4)
            .map(|b| f64::from(f32::from_le_bytes(b.try_into().expect("four bytes"))))
            .collect()
    }

    fn token(&self, position: u32) -> usize {
        let line = self.lines.iter().find(|l| l.get("token").is_some() && l["token_idx"] == position);
        line.expect("a token")["token"].as_u64().expect("a number") as usize
    }

    /// Replaces every row of `name` by what `made` makes of it.
    fn alter(&mut self, name: &str, made: impl Fn(&Self, u32, Vec<f64>) -> Vec<f64>) {
        let mut new = Vec::new();
        for position in 0.. {
            let Some(cell) = self.cell(name, position) else { break };
            let row = made(self, position, self.row(name, position));
            new.push((cell, row.iter().flat_map(|&x| (x as f32).to_le_bytes()).collect::<Vec<u8>>()));
        }
        assert!(!new.is_empty(), "{name} is not in the trace");
        for (cell, bytes) in new {
            self.bytes[cell].copy_from_slice(&bytes);
        }
    }

    /// Audits the one checkpoint.
    fn audited(&self, name: &str) -> Audit {
        let gguf = Gguf::open(&asset("models", &format!("{}.gguf", self.model))).expect("the model");
        self.audit(&Arc::new(gguf), &format!("^{name}$"))
    }

    /// Audits the checkpoints whose names match `pattern`.
    fn audit(&self, gguf: &Arc<Gguf>, pattern: &str) -> Audit {
        let folder = tempfile::tempdir().expect("a folder");
        let trace = folder.path().join(format!("{}.jsonl", self.model));
        let lines: Vec<String> = self.lines.iter().map(Value::to_string).collect();
        let text = lines.join("\n") + "\n";
        std::fs::write(trace.with_extension("bin"), &self.bytes).expect("a sidecar");
        std::fs::write(&trace, text).expect("a trace");
        let graph = arch::graph(gguf).expect("a graph");
        let only = regex::Regex::new(pattern).expect("a pattern");
        let options = Options { checkpoints: Some(only), ..Options::default() };
        let store = Store::load(&trace).expect("the trace");
        audit(gguf, &graph, &store, &options, &mut |_, _| {}).expect("an audit")
    }
}

/// Alters one checkpoint and expects it to be called so.
fn expect(model: &'static str, name: &str, says: &str, made: impl Fn(&Run, u32, Vec<f64>) -> Vec<f64>) {
    let mut run = Run::of(model);
    run.alter(name, made);
    let found = run.audited(name);
    let [faulty] = &found.faulty[..] else { panic!("{says}: {:?}", found.faulty) };
    assert_eq!(faulty.checkpoint.to_string(), name, "{says}");
    let first = faulty.diagnoses.first().map(|d| (&*d.says, d.instrument));
    assert!(
        first.is_some_and(|(text, instrument)| text.contains(says) && !instrument),
        "{says}: {first:?}, {}",
        faulty.pattern
    );
}

/// Scores as the softmax takes them, by head.
fn scores(run: &Run, layer: usize, position: u32) -> Vec<Vec<f64>> {
    let row = run.row(&format!("kq-{layer}"), position);
    row.chunks(position as usize + 1).map(|head| head.iter().map(|s| s * SCALE).collect()).collect()
}

fn silu(x: f64) -> f64 {
    x / (1.0 + (-x).exp())
}

#[test]
fn logits_that_were_worked_on() {
    expect(LLAMA, "result_output", "log-probabilities", |_, _, row| {
        let sum: f64 = row.iter().map(|x| x.exp()).sum();
        row.iter().map(|x| x - sum.ln()).collect()
    });
    expect(LLAMA, "result_output", "a repetition penalty of 1.3", |run, position, mut row| {
        let tokens: std::collections::BTreeSet<usize> = (0..=position).map(|p| run.token(p)).collect();
        for token in tokens {
            row[token] = if row[token] > 0.0 { row[token] / 1.3 } else { row[token] * 1.3 };
        }
        row
    });
    // More values than are evaluated at first.
    expect(LLAMA, "result_output", "the row is shifted", |_, _, mut row| {
        row.rotate_right(1);
        row
    });
    expect(LLAMA, "result_output", "value 7 is −∞", |_, _, mut row| {
        row[7] = f64::NEG_INFINITY;
        row
    });
}

#[test]
fn probabilities_of_another_softmax() {
    let node = "kq_soft_max-1";
    let masked = |hidden: fn(usize, usize) -> bool| {
        move |_: &Run, position: u32, row: Vec<f64>| -> Vec<f64> {
            let visible = position as usize + 1;
            row.chunks(visible)
                .flat_map(|head| {
                    let kept: Vec<f64> = head
                        .iter()
                        .enumerate()
                        .map(|(slot, p)| if hidden(visible - 1, slot) { 0.0 } else { *p })
                        .collect();
                    let sum: f64 = kept.iter().sum();
                    kept.into_iter().map(move |p| p / sum).collect::<Vec<f64>>()
                })
                .collect()
        }
    };
    expect(LLAMA, node, "a sliding window of 4 positions", masked(|at, slot| at - slot >= 4));
    expect(LLAMA, node, "the first position is hidden", masked(|at, slot| at > 0 && slot == 0));
    expect(LLAMA, node, "a key of score 0 takes part", |run, position, _| {
        let rows = scores(run, 1, position);
        rows.iter()
            .flat_map(|head| {
                let sum = 1.0 + head.iter().map(|s| s.exp()).sum::<f64>();
                head.iter().map(move |s| s.exp() / sum)
            })
            .collect()
    });
    expect(LLAMA, node, "not divided by their sum", |run, position, _| {
        let rows = scores(run, 1, position);
        rows.iter()
            .flat_map(|head| {
                let most = head.iter().fold(f64::MIN, |m, s| m.max(*s));
                head.iter().map(move |s| (s - most).exp())
            })
            .collect()
    });
    expect(LLAMA, node, "as dropout does", |_, position, row| {
        let keep = |i: usize| !(i * 7 + position as usize * 3).is_multiple_of(10);
        row.iter().enumerate().map(|(i, p)| if keep(i) { p / 0.9 } else { 0.0 }).collect()
    });
}

#[test]
fn rope_of_single_heads_and_by_other_positions() {
    expect(LLAMA, "Qcur_rope-1", "RoPE is not applied to heads 1, 3", |run, position, mut row| {
        let plain = run.row("Qcur-1", position);
        for head in [1, 3] {
            row[head * HEAD..][..HEAD].copy_from_slice(&plain[head * HEAD..][..HEAD]);
        }
        row
    });
    expect(LLAMA, "Kcur_rope-1", "RoPE's positions are others than the run's", |run, position, _| {
        let plain = run.row("Kcur-1", position);
        let mut row = plain.clone();
        for (x, y) in plain.chunks(HEAD).zip(row.chunks_mut(HEAD)) {
            for i in 0..HEAD / 2 {
                let angle = f64::from(position % 8) * 10_000_f64.powf(-2.0 * i as f64 / HEAD as f64);
                let (a, b) = (x[2 * i], x[2 * i + 1]);
                y[2 * i] = a * angle.cos() - b * angle.sin();
                y[2 * i + 1] = b * angle.cos() + a * angle.sin();
            }
        }
        row
    });
}

#[test]
fn other_formulas() {
    expect(LLAMA, "attn_norm-1", "by the mean square itself", |run, position, row| {
        let x = run.row("l_out-0", position);
        let gain = 1.0 / (x.iter().map(|v| v * v).sum::<f64>() / x.len() as f64 + 1e-5).sqrt();
        row.iter().map(|y| y * gain).collect()
    });
    expect(LLAMA, "l_out-1", "ffn_out-1 is multiplied by 0.5", |run, position, _| {
        let (out, inp) = (run.row("ffn_out-1", position), run.row("ffn_inp-1", position));
        out.iter().zip(inp).map(|(a, b)| 0.5 * a + b).collect()
    });
    let gated = |made: fn(u32, f64, f64) -> f64| {
        move |run: &Run, position: u32, _: Vec<f64>| -> Vec<f64> {
            let (gate, up) = (run.row("ffn_gate-1", position), run.row("ffn_up-1", position));
            gate.iter().zip(up).map(|(g, u)| made(position, *g, u)).collect()
        }
    };
    let node = "ffn_swiglu-1";
    expect(LLAMA, node, "the gate is cut at ±0.2", gated(|_, g, u| silu(g.clamp(-0.2, 0.2)) * u));
    expect(LLAMA, node, "x·σ(1.5", gated(|_, g, u| g / (1.0 + (-1.5 * g).exp()) * u));
    expect(LLAMA, node, "the product of gate and up", gated(|_, g, u| silu(g * u)));
    // The prompt is right, what is decoded is not.
    let decoded = |p: u32, g: f64, u: f64| if p < 10 { silu(g) * u } else { silu(u) * g };
    expect(
        LLAMA,
        node,
        "gate and up change places before the activation, but only from position 10 on",
        gated(decoded),
    );
}

#[test]
fn rows_and_parts_of_them_that_are_not_theirs() {
    expect(LLAMA, "attn_out-1", "exchanged between positions 3 and 4", |run, position, row| match position {
        3 => run.row("attn_out-1", 4),
        4 => run.row("attn_out-1", 3),
        _ => row,
    });
    expect(LLAMA, "embd", "the row of the token before", |run, position, _| {
        run.row("embd", position.saturating_sub(1))
    });
    expect(LLAMA, "kqv_out-1", "head 2 is zero", |_, _, mut row| {
        assert_eq!(row.len(), HEADS * HEAD);
        row[2 * HEAD..3 * HEAD].fill(0.0);
        row
    });
    let gguf = Gguf::open(&asset("models", &format!("{GPT2}.gguf"))).expect("the model");
    let weights = gguf.to_f32(gguf.tensor("blk.1.attn_output.weight").expect("a tensor")).expect("values");
    expect(GPT2, "attn_out-1", "columns 32 to 63 of", |run, position, row| {
        let x = run.row("kqv_out-1", position);
        let missing = |w: &[f32]| (32..64).map(|c| f64::from(w[c]) * x[c]).sum::<f64>();
        row.iter().zip(weights.chunks(x.len())).map(|(y, w)| y - missing(w)).collect()
    });
}

/// Zeros agree with whatever else is zero, NaN with NaN: neither tells what was done.
#[test]
fn what_proves_nothing_is_left_undecided() {
    for (value, pattern) in [(0.0, "zero"), (f64::NAN, "NaN")] {
        let mut run = Run::of(LLAMA);
        run.alter("result_norm", |_, _, row| vec![value; row.len()]);
        let found = run.audited("result_norm");
        let [faulty] = &found.faulty[..] else { panic!("{:?}", found.faulty) };
        assert!(faulty.diagnoses.iter().all(|d| d.instrument), "{:?}", faulty.diagnoses);
        assert!(faulty.pattern.contains(pattern) || !faulty.diagnoses.is_empty(), "{}", faulty.pattern);
    }
}

/// Where 1 + tanh cancels, f32 leaves rounding of the argument's own size.
#[test]
fn gelu_in_f32_is_no_mistake() {
    let mut run = Run::of(GPT2);
    run.alter("ffn_gelu-1", |run, position, _| {
        let gelu = |x: f32| 0.5 * x * (1.0 + (0.797_884_6 * (x + 0.044_715 * x * x * x)).tanh());
        run.row("ffn_up-1", position).iter().map(|&x| f64::from(gelu(x as f32))).collect()
    });
    let found = run.audited("ffn_gelu-1");
    assert!(found.faulty.is_empty(), "{:?}", found.faulty);
}

/// A model of random weights with norms of heads, and how wide these are: one key head for all of them.
const QWEN3: &str = "tiny-qwen3";
const WIDE: usize = 48;

/// A model of random weights with norms of heads, which no demo has, and a clean run of our engine over it.
fn qwen3(folder: &Path) -> (Arc<Gguf>, PathBuf) {
    let vocab = Gguf::open(&asset("models", &format!("{LLAMA}.gguf"))).expect("a vocabulary");
    let shape = Shape::named(QWEN3).expect("a shape");
    let model = folder.join("qwen3.gguf");
    let mix = Mix::named("f32").expect("a mix");
    Synth::new(&shape, mix, &vocab, 1).expect("a model").save(&model, |_| {}).expect("a file");
    let trace = folder.join(format!("{QWEN3}.jsonl"));
    let done = std::process::Command::new(env!("CARGO_BIN_EXE_paritty"))
        .args(["trace", "--engine=cpu", "--tokens=1,5,9,4,7,30,12,8,21,3", "-o"])
        .args([&trace, &model])
        .output()
        .expect("paritty runs");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    (Arc::new(Gguf::open(&model).expect("the model")), trace)
}

/// What an engine records that turns heads first and norms them afterwards: the normed query is the plain one, bit
/// for bit, and yet its recorder is right.
#[test]
fn a_norm_after_rope_is_not_blamed_on_the_recorder() {
    let folder = tempfile::tempdir().expect("a folder");
    let (gguf, trace) = qwen3(folder.path());
    let mut run = Run::at(QWEN3, &trace);
    let weight = gguf.to_f32(gguf.tensor("blk.1.attn_q_norm.weight").expect("a norm")).expect("values");
    run.alter("Qcur_normed-1", |run, p, _| run.row("Qcur-1", p));
    run.alter("Qcur_rope-1", |run, p, _| {
        let mut row = run.row("Qcur-1", p);
        for head in row.chunks_mut(WIDE) {
            for i in 0..WIDE / 2 {
                let angle = f64::from(p) * 1e6_f64.powf(-2.0 * i as f64 / WIDE as f64);
                let (a, b) = (head[i], head[i + WIDE / 2]);
                head[i] = a * angle.cos() - b * angle.sin();
                head[i + WIDE / 2] = b * angle.cos() + a * angle.sin();
            }
            let mean = head.iter().map(|x| x * x).sum::<f64>() / WIDE as f64;
            let gain = 1.0 / (mean + f64::from(1e-6_f32)).sqrt();
            head.iter_mut().zip(&weight).for_each(|(x, w)| *x *= gain * f64::from(*w));
        }
        row
    });
    // What reads the query follows from what was recorded of it.
    run.alter("kq-1", |run, p, _| {
        let keys: Vec<Vec<f64>> = (0..=p).map(|slot| run.row("Kcur_rope-1", slot)).collect();
        let score = |query: &[f64], key: &[f64]| query.iter().zip(key).map(|(q, k)| q * k).sum::<f64>();
        let queries = run.row("Qcur_rope-1", p);
        queries
            .chunks(WIDE)
            .flat_map(|query| keys.iter().map(|key| score(query, key)).collect::<Vec<f64>>())
            .collect()
    });
    let found = run.audit(&gguf, "^(Qcur|kq-1)");
    let named: Vec<(String, String, bool)> = found
        .faulty
        .iter()
        .map(|f| {
            let first = f.diagnoses.first().expect("a diagnosis");
            (f.checkpoint.to_string(), first.says.clone(), first.instrument)
        })
        .collect();
    let expected = [
        ("Qcur_normed-1", "the norm is not applied here"),
        ("Qcur_rope-1", "the norm of the heads is applied after RoPE instead of before"),
    ];
    assert_eq!(named, expected.map(|(at, says)| (at.to_owned(), says.to_owned(), false)));
}

/// The engine went on with the right query: only what was recorded of it is wrong, whatever was done to it.
#[test]
fn what_only_the_recorder_did_is_blamed_on_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let (gguf, trace) = qwen3(folder.path());
    let mut run = Run::at(QWEN3, &trace);
    run.alter("Qcur_normed-1", |_, _, row| row.iter().map(|x| x * x).collect());
    let found = run.audit(&gguf, ".");
    let blamed: Vec<(String, bool)> = found
        .faulty
        .iter()
        .map(|f| (f.checkpoint.to_string(), f.diagnoses.first().is_some_and(|d| d.instrument)))
        .collect();
    assert_eq!(blamed, [("Qcur_normed-1".to_owned(), true), ("Qcur_rope-1".to_owned(), true)]);
    // A second mistake shows beside one that is the recorder's for sure.
    let filled = f64::from(f32::from_bits(0xcccc_cccc));
    run.alter("Qcur_normed-1", |_, _, row| vec![filled; row.len()]);
    run.alter("Qcur_rope-1", |_, _, row| row.iter().map(|x| x * 1.25).collect());
    let found = run.audit(&gguf, "^Qcur");
    let rope = found.faulty.iter().find(|f| f.checkpoint.to_string() == "Qcur_rope-1").expect("RoPE");
    let first = rope.diagnoses.first().expect("a diagnosis");
    assert!(first.says.contains("multiplied by 1.25") && !first.instrument, "{first:?}");
}

/// A head of NaN spoils the next layer at every position of the batch: 0 times NaN is NaN.
#[test]
fn nan_that_survives_the_mask_is_called_so() {
    let name = "kqv_out-1";
    let mut run = Run::of(LLAMA);
    let last = (0..100).rfind(|&p| run.cell(name, p).is_some()).expect("positions");
    run.alter("Vcur-1", |_, p, mut row| {
        if p == last {
            row[0] = f64::NAN;
        }
        row
    });
    // The query heads that share the first value head.
    let heads = HEADS * HEAD / run.row("Vcur-1", 0).len();
    run.alter(name, |_, _, mut row| {
        (0..heads).for_each(|head| row[head * HEAD] = f64::NAN);
        row
    });
    let found = run.audited(name);
    let [faulty] = &found.faulty[..] else { panic!("{:?}", found.faulty) };
    let says = faulty.diagnoses.first().map_or(&*faulty.pattern, |d| &*d.says);
    assert!(says.contains("0 times NaN is NaN"), "{says}");
}
