//! Two traces, one verdict: real llama.cpp's recorded runs against our engine, right and wrong.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use paritty::compare::{CellState, Comparison, Verdict};
use paritty::engine::Engine;
use paritty::engine::cpu::{CpuOptions, F32Engine};
use paritty::engine::record::Recorded;
use paritty::engine::worker::Worker as _;
use paritty::fault::Injection;
use paritty::gguf::{Gguf, WeightType, Writer};
use paritty::model::{CaptureSet, Graph, arch};
use paritty::trace::{Store, Token, TraceWriter};
use tempfile::TempDir;

fn asset(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("assets").join(name)
}

fn recorded(name: &str) -> PathBuf {
    asset(&format!("traces/shakespeare-{name}.jsonl"))
}

fn model(name: &str) -> PathBuf {
    asset(&format!("models/shakespeare-{name}.gguf"))
}

/// Tokens of a trace.
fn tokens(trace: &Path) -> Vec<Token> {
    let store = Store::load(trace).unwrap();
    store.positions().map(|p| store.token(p).unwrap().clone()).collect()
}

/// Our engine over `tokens`, recorded.
fn run(model: &Path, change: impl FnOnce(&mut Graph), tokens: &[Token], out: &Path) {
    let gguf = Arc::new(Gguf::open(model).unwrap());
    let mut graph = arch::graph(&gguf).unwrap();
    change(&mut graph);
    let mut engine = F32Engine::new(&gguf, graph, CpuOptions { threads: 2, kv_f16: false }).unwrap();
    engine.set_capture(CaptureSet::All);
    let writer = TraceWriter::create(out, &engine.header()).unwrap();
    let mut recorded = Box::new(Recorded::with_writer(Box::new(engine), writer));
    for token in tokens {
        recorded.step(token).unwrap();
    }
    recorded.end().unwrap();
}

fn compare(reference: &Path, candidate: &Path) -> Comparison {
    let (a, b) = (Store::load(reference).unwrap(), Store::load(candidate).unwrap());
    let positions: BTreeSet<u32> = a.positions().chain(b.positions()).collect();
    let mut comparison = Comparison::new();
    comparison.update(&a, &b, &positions.into_iter().collect::<Vec<_>>());
    comparison.conclude(&a, &b);
    comparison
}

/// The checkpoint and position of the first divergence.
#[track_caller]
fn first(comparison: &Comparison) -> (String, u32) {
    match &*comparison.verdict() {
        Verdict::Diverged { first, .. } => (first.checkpoint.to_string(), first.position),
        other => panic!("{other:?}"),
    }
}

#[test]
fn our_engine_is_within_the_noise_of_llama_cpp() {
    for (name, n) in [("f16", 16), ("q4_k_m", 40)] {
        let folder = TempDir::new().unwrap();
        let out = folder.path().join("cpu.jsonl");
        run(&model(name), |_| {}, &tokens(&recorded(name)), &out);
        let comparison = compare(&recorded(name), &out);
        let verdict = comparison.verdict();
        let Verdict::WithinNoise { coverage, .. } = &*verdict else { panic!("{name}: {verdict:?}") };
        assert_eq!((coverage.positions, coverage.missing_in_candidate, coverage.partial), (n, 0, 0));
        assert_eq!(coverage.cells, u64::from(n) * comparison.rows().len() as u64);
        assert!(comparison.remarks().is_empty(), "{:?}", comparison.remarks());
    }
}

#[test]
fn positions_judged_elsewhere_while_more_come_are_judged_alike() {
    let folder = TempDir::new().unwrap();
    let out = folder.path().join("cpu.jsonl");
    let reference = recorded("f16");
    for fault in [None, Some("rope-base"), Some("norm-epsilon")] {
        let fault: Option<Injection> = fault.map(|f| f.parse().unwrap());
        let change = |graph: &mut Graph| fault.iter().for_each(|f| f.apply(graph).unwrap());
        run(&model("f16"), change, &tokens(&reference), &out);
        let at_once = compare(&reference, &out);
        let (a, b) = (Store::load(&reference).unwrap(), Store::load(&out).unwrap());
        let mut comparison = Comparison::new();
        let mut found = None;
        for some in a.positions().collect::<Vec<_>>().chunks(3) {
            comparison.take_in(&a, &b, some);
            // What was found has not seen these.
            if let Some(found) = found.take() {
                comparison.settled(found);
                assert!(!comparison.is_settled() && !comparison.has_settled(some[0]));
            }
            let settling = comparison.settling(&a, &b).unwrap();
            found = Some(std::thread::spawn(move || settling.run()).join().unwrap());
        }
        comparison.settled(found.unwrap());
        assert!(comparison.is_settled());
        comparison.conclude(&a, &b);
        assert_eq!(comparison.verdict(), at_once.verdict(), "{fault:?}");
        assert_eq!(comparison.columns(), at_once.columns(), "{fault:?}");
    }
}

#[test]
fn injected_faults_are_found_where_they_were_made() {
    let cases = [
        ("rope-pairing", "Qcur_rope-0", 1),
        ("rope-pairing@3", "Qcur_rope-3", 1),
        ("rope-base", "Qcur_rope-0", 1),
        ("norm-epsilon", "attn_norm-0", 0),
        ("final-norm-weight", "result_norm", 0),
        ("ffn-activation@5", "ffn_swiglu-5", 0),
        ("attention-scale", "kq_soft_max-0", 1),
    ];
    let folder = TempDir::new().unwrap();
    for name in ["f16", "q4_k_m"] {
        let tokens = tokens(&recorded(name));
        for (fault, checkpoint, position) in cases {
            let out = folder.path().join("cpu.jsonl");
            let fault: Injection = fault.parse().unwrap();
            run(&model(name), |graph| fault.apply(graph).unwrap(), &tokens, &out);
            assert_eq!(
                first(&compare(&recorded(name), &out)),
                (checkpoint.to_owned(), position),
                "{name} {fault}"
            );
        }
    }
}

/// The model with one tensor changed.
fn doctored(out: &Path, tensor: &str, change: impl Fn(usize, &mut [f32])) {
    let from = Gguf::open(&model("f16")).unwrap();
    let mut writer = Writer::new();
    writer.copy_meta(&from);
    for t in from.tensors() {
        writer.tensor(&t.name, &t.shape, t.weight_type).unwrap();
    }
    writer
        .save(out, |t, file| {
            let info = from.tensor(&t.name).unwrap();
            if t.name != tensor {
                return file.write_all(from.data(info));
            }
            let mut values = from.to_f32(info).unwrap();
            change(info.row_len(), &mut values);
            for value in values {
                match t.weight_type {
                    WeightType::F32 => file.write_all(&value.to_le_bytes())?,
                    _ => file.write_all(&half::f16::from_f32(value).to_le_bytes())?,
                }
            }
            Ok(())
        })
        .unwrap();
}

#[test]
fn one_wrong_weight_is_traced_to_its_layer_and_operation() {
    type Change = fn(usize, &mut [f32]);
    let cases: [(&str, &str, Change); 6] = [
        ("attn_q", "Qcur-2", |_, w| w.iter_mut().for_each(|x| *x *= 1.05)),
        ("attn_v", "Vcur-2", |_, w| {
            w.iter_mut().enumerate().for_each(|(i, x)| *x *= 1.0 + 0.1 * (i % 3) as f32);
        }),
        ("attn_output", "attn_out-2", |n, w| w[7 * n..8 * n].fill(0.0)),
        ("ffn_up", "ffn_up-2", |n, w| w[11 * n + 5] += 1.0),
        ("ffn_down", "ffn_out-2", |n, w| w[3 * n + 1] += 1.0),
        ("ffn_norm", "ffn_norm-2", |_, w| w[20] *= 1.2),
    ];
    let folder = TempDir::new().unwrap();
    let tokens = tokens(&recorded("f16"));
    for (tensor, checkpoint, change) in cases {
        let (file, out) = (folder.path().join("wrong.gguf"), folder.path().join("cpu.jsonl"));
        doctored(&file, &format!("blk.2.{tensor}.weight"), change);
        run(&file, |_| {}, &tokens, &out);
        assert_eq!(first(&compare(&recorded("f16"), &out)).0, checkpoint);
    }
}

#[test]
fn a_comparison_that_grows_ends_where_one_at_once_does() {
    let folder = TempDir::new().unwrap();
    let out = folder.path().join("cpu.jsonl");
    let fault: Injection = "rope-pairing@3".parse().unwrap();
    run(&model("f16"), |graph| fault.apply(graph).unwrap(), &tokens(&recorded("f16")), &out);
    let at_once = compare(&recorded("f16"), &out);
    let (a, b) = (Store::load(&recorded("f16")).unwrap(), Store::load(&out).unwrap());
    let mut growing = Comparison::new();
    for position in a.positions() {
        growing.update(&a, &b, &[position]);
        // Told twice of the same position: nothing is counted twice.
        growing.update(&a, &b, &[position, position.saturating_sub(1)]);
    }
    growing.conclude(&a, &b);
    assert_eq!(growing.verdict(), at_once.verdict());
    assert_eq!(growing.columns(), at_once.columns());
}

/// The recorded trace as text lines, changed line by line.
fn edited(folder: &TempDir, change: impl Fn(&str) -> Option<String>) -> PathBuf {
    let text = std::fs::read_to_string(recorded("f16")).unwrap();
    let path = folder.path().join("edited.jsonl");
    let mut out = std::fs::File::create(&path).unwrap();
    for line in text.lines().filter_map(change) {
        writeln!(out, "{line}").unwrap();
    }
    std::fs::copy(recorded("f16").with_extension("bin"), folder.path().join("shakespeare-f16.bin")).unwrap();
    path
}

#[test]
fn what_is_missing_never_passes() {
    let folder = TempDir::new().unwrap();
    let no_logits = edited(&folder, |l| (!l.contains("\"result_output\"")).then(|| l.to_owned()));
    let comparison = compare(&recorded("f16"), &no_logits);
    let verdict = comparison.verdict();
    let Verdict::Inconclusive { reason, coverage } = &*verdict else { panic!("{verdict:?}") };
    assert!(reason.contains("logits") && coverage.missing_in_candidate == 16, "{reason}");
    assert_eq!(verdict.exit_code(), 3);
    let cell = comparison.columns()[0].cell("result_output".parse().unwrap()).unwrap();
    assert_eq!(cell.state, CellState::ReferenceOnly);
}

#[test]
fn another_prompt_and_a_missing_bos_are_no_divergence() {
    let folder = TempDir::new().unwrap();
    let other = edited(&folder, |l| Some(l.replace("\"token\":", "\"token\":1")));
    let verdict = compare(&recorded("f16"), &other).verdict();
    let Verdict::DifferentComputation { evidence } = &*verdict else { panic!("{verdict:?}") };
    assert!(evidence.contains("not runs of the same prompt"), "{evidence}");

    let shifted = folder.path().join("shifted.jsonl");
    run(&model("f16"), |_| {}, &tokens(&recorded("f16"))[1..], &shifted);
    let verdict = compare(&recorded("f16"), &shifted).verdict();
    let Verdict::DifferentComputation { evidence } = &*verdict else { panic!("{verdict:?}") };
    assert!(evidence.contains("shifted by -1 position"), "{evidence}");
}

#[test]
fn stale_records_are_the_loggers_fault() {
    // Every layer output names the bytes of the first one.
    let folder = TempDir::new().unwrap();
    let line = std::fs::read_to_string(recorded("f16")).unwrap();
    let first = line.lines().find(|l| l.contains("\"l_out-3\"")).unwrap();
    let offset = |l: &str| l.split("\"offset\":").nth(1).unwrap().split(',').next().unwrap().to_owned();
    let stale = offset(first);
    let path = edited(&folder, |l| {
        Some(if l.contains("\"l_out-3\"") {
            l.replace(&format!("\"offset\":{},", offset(l)), &format!("\"offset\":{stale},"))
        } else {
            l.to_owned()
        })
    });
    let verdict = compare(&recorded("f16"), &path).verdict();
    let Verdict::Instrument { side, finding, .. } = &*verdict else { panic!("{verdict:?}") };
    assert_eq!((*side, finding.class), ("candidate", "stale"));
}

fn paritty(args: &[&std::ffi::OsStr]) -> assert_cmd::assert::Assert {
    assert_cmd::Command::cargo_bin("paritty").unwrap().arg("compare").args(args).assert()
}

#[test]
fn the_command_reports_in_three_formats_and_exits_as_promised() {
    let folder = TempDir::new().unwrap();
    let (good, bad) = (folder.path().join("good.jsonl"), folder.path().join("bad.jsonl"));
    let fault: Injection = "rope-pairing".parse().unwrap();
    run(&model("f16"), |_| {}, &tokens(&recorded("f16")), &good);
    run(&model("f16"), |graph| fault.apply(graph).unwrap(), &tokens(&recorded("f16")), &bad);
    let reference = recorded("f16");
    let out = paritty(&[reference.as_ref(), good.as_ref()]).code(0).get_output().stdout.clone();
    let text = String::from_utf8(out).unwrap();
    assert!(text.starts_with("within noise\n") && !text.contains('\u{1b}'), "{text}");
    assert!(
        text.contains("ffn_swiglu")
            && text.contains("layer 5")
            && text.contains("same first token at 16 of 16")
    );

    let out =
        paritty(&[reference.as_ref(), bad.as_ref(), "--json".as_ref()]).code(1).get_output().stdout.clone();
    let json: serde_json::Value = serde_json::from_slice(&out).unwrap();
    assert_eq!(json["verdict"]["checkpoint"], "Qcur_rope-0");
    assert_eq!(json["verdict"]["kind"], "diverged");
    assert_eq!(json["coverage"]["positions"], 16);

    let out = paritty(&[reference.as_ref(), good.as_ref(), "--format".as_ref(), "csv".as_ref()]).code(0);
    let text = String::from_utf8(out.get_output().stdout.clone()).unwrap();
    let columns = text.lines().next().unwrap().split(',').count();
    assert_eq!(text.lines().count(), 1 + 16 * 105);
    assert!(text.lines().all(|l| l.split(',').count() == columns));
}

#[test]
fn what_is_no_trace_is_refused_by_name() {
    let folder = TempDir::new().unwrap();
    let empty = folder.path().join("empty.jsonl");
    std::fs::write(&empty, "").unwrap();
    let reference = recorded("f16");
    let gguf = model("f16");
    for (path, says) in [
        (folder.path(), "directory"),
        (&empty, "empty"),
        (&gguf, "GGUF"),
        (&reference, "same file"),
        (&folder.path().join("absent"), "absent"),
    ] {
        let out = paritty(&[reference.as_ref(), path.as_ref()]).code(2);
        let text = String::from_utf8(out.get_output().stderr.clone()).unwrap();
        assert!(text.contains(says), "{text}");
        assert_eq!(text.lines().count(), 1, "{text}");
    }
}

/// Two traces as the loggers of the story write them: ten logits a token with six decimals, and nothing
/// else. Lines are given as position and values.
fn bare(folder: &TempDir, name: &str, rows: &[(u32, &str)]) -> PathBuf {
    let path = folder.path().join(name);
    let lines: Vec<String> = rows
        .iter()
        .map(|(p, v)| {
            format!("{{\"team\":\"x\",\"checkpoint\":\"logits\",\"token_idx\":{p},\"dtype\":\"f32\",\"shape\":\"[1,151936]\",\"values\":[{v}]}}\n")
        })
        .collect();
    std::fs::write(&path, lines.concat()).unwrap();
    path
}

#[test]
fn differences_are_those_that_a_script_computes() {
    let folder = TempDir::new().unwrap();
    let a = bare(
        &folder,
        "a.jsonl",
        &[
            (0, "1.500000,-2.250000,0.000000"),
            (2, "0.100000,0.200000"),
            (3, "-1000000000000000000.000000,0.000000,3.141593"),
            (4, "1.0,NaN,2.0"),
            (9, "1.0"),
        ],
    );
    let b = bare(
        &folder,
        "b.jsonl",
        &[
            (0, "1.250000,-2.000000"),
            (1, "7.0"),
            (2, "0.300000,0.200000,5.0"),
            (3, "0.500000,-0.250000,2.718282"),
            (4, "1.0,2.0,2.0"),
        ],
    );
    let out = paritty(&[a.as_ref(), b.as_ref(), "--format".as_ref(), "study-csv".as_ref()]);
    let out = out.get_output();
    // What Python 3.12 prints for max(d) and sum(d) / len(d) over d = [abs(x - y) for x, y in zip(a, b)].
    let expected = "token_idx,max_abs_diff,mean_abs_diff\n\
        0,0.25,0.25\n\
        2,0.19999999999999998,0.09999999999999999\n\
        3,1e+18,3.333333333333333e+17\n\
        4,nan,nan\n";
    assert_eq!(String::from_utf8_lossy(&out.stdout), expected);
}

#[test]
fn limits_of_a_teams_own_replace_the_noise_floor_where_they_match() {
    let folder = TempDir::new().unwrap();
    let out = folder.path().join("cpu.jsonl");
    run(&model("f16"), |_| {}, &tokens(&recorded("f16")), &out);
    let reference = recorded("f16");
    let rules = folder.path().join("limits.toml");
    let with = |text: &str| {
        std::fs::write(&rules, text).unwrap();
        paritty(&[reference.as_ref(), out.as_ref(), "--rules".as_ref(), rules.as_ref(), "--explain".as_ref()])
    };
    let rule = |checkpoint: &str, metric: &str, limit: &str| {
        format!("[[rule]]\ncheckpoint = \"{checkpoint}\"\nmetric = \"{metric}\"\nlimit = {limit}\n")
    };
    let text =
        |assert: assert_cmd::assert::Assert| String::from_utf8(assert.get_output().stdout.clone()).unwrap();
    let good =
        text(with(&(rule("^l_out-", "cosine", "0.999") + &rule("^result_output$", "top1", "0.9"))).code(0));
    assert!(good.contains("limits hold") && good.contains("built-in: measured noise of class"), "{good}");
    // Far below what two correct engines differ by.
    let bad = text(with(&rule("^l_out-2$", "nmse", "1e-12")).code(1));
    assert!(bad.contains("do not hold") && bad.contains("rule 1"), "{bad}");
    with(&rule("^no_such_", "nmse", "1")).code(3);
    with(&rule("^l_out-", "kl", "1")).code(3);
    let error = with("[[rule]]\ncheckpoint = \"x\"\n").code(2);
    let error = String::from_utf8(error.get_output().stderr.clone()).unwrap();
    assert!(error.contains("limits.toml") && error.contains("metric"), "{error}");
    // The file that is shown to others is right.
    let shown = asset("ci/limits.toml");
    paritty(&[reference.as_ref(), out.as_ref(), "--rules".as_ref(), shown.as_ref()]).code(0);
}

#[test]
fn without_tokens_another_prompt_is_told_from_freed_memory_and_a_shift() {
    let folder = TempDir::new().unwrap();
    // Logits as one run has them: a bias common to all positions, and what each position has of its own.
    let row = |seed: u32| -> Vec<f32> {
        (0..10_u32)
            .map(|c| {
                let mut x = u64::from(seed) << 32 | u64::from(c) | 0x9e37_79b9_0000_0000;
                for _ in 0..3 {
                    x = (x ^ (x >> 31)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
                }
                ((x >> 40) as f32 / (1 << 24) as f32 - 0.5) * 6.0 + (c as f32 - 7.0) * 0.8
            })
            .collect()
    };
    let spoil = |mut row: Vec<f32>, i: u32| {
        // Links of a freed block that are of no remarkable size.
        (row[0], row[1], row[2], row[3]) = (0.665_2 + i as f32 * 1e-6, 0.0, 0.665_3 - i as f32 * 1e-6, 0.0);
        row
    };
    let text = |rows: Vec<Vec<f32>>| -> Vec<(u32, String)> {
        let join = |r: Vec<f32>| r.iter().map(|x| format!("{x:.6}")).collect::<Vec<_>>().join(",");
        rows.into_iter().enumerate().map(|(p, r)| (p as u32, join(r))).collect()
    };
    let file = |name: &str, rows: Vec<Vec<f32>>| {
        let rows = text(rows);
        bare(&folder, name, &rows.iter().map(|(p, v)| (*p, v.as_str())).collect::<Vec<_>>())
    };
    let reference = file("ref.jsonl", (0..14).map(|i| spoil(row(i), i)).collect());
    let other = file("other.jsonl", (500..608).map(row).collect());
    let same = file("same.jsonl", (0..108).map(row).collect());
    let shifted = file("shifted.jsonl", (3..108).map(row).collect());

    let comparison = compare(&reference, &other);
    let verdict = comparison.verdict();
    let Verdict::DifferentComputation { evidence } = &*verdict else { panic!("{verdict:?}") };
    assert!(
        evidence.contains("not runs of the same prompt") && evidence.contains("likely")
            || evidence.contains("certain"),
        "{evidence}"
    );
    assert!(
        comparison
            .remarks()
            .iter()
            .any(|r| r.contains("14 of the reference's 14") && r.contains("heap-pointer")),
        "{:?}",
        comparison.remarks()
    );
    let verdict = compare(&reference, &same).verdict();
    let Verdict::Instrument { side, finding, .. } = &*verdict else { panic!("{verdict:?}") };
    assert_eq!((*side, finding.class), ("reference", "heap-pointer"));
    let verdict = compare(&reference, &shifted).verdict();
    let Verdict::DifferentComputation { evidence } = &*verdict else { panic!("{verdict:?}") };
    assert!(evidence.contains("shifted by -3 positions"), "{evidence}");
}
