//! Garbage in traces: what loggers, allocators and engines spoil is found and blamed on whoever did it;
//! honest rows are left alone; exports read back as they were written.

#![allow(clippy::unwrap_used, clippy::missing_panics_doc, reason = "a test fails by panicking")]
#![allow(
    clippy::format_collect,
    clippy::format_push_string,
    clippy::needless_for_each,
    reason = "short texts, made once"
)]

#[path = "analyze/exports.rs"]
mod exports;
#[path = "analyze/freed.rs"]
mod freed;
#[path = "analyze/honest.rs"]
mod honest;
#[path = "analyze/random.rs"]
mod random;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use paritty::analyze::{Analysis, Analyzer, Judgement, Options};
use proptest::prelude::*;
use tempfile::TempDir;

/// Everything about the trace at `path`.
pub fn analyze(path: &Path) -> Analysis {
    Analyzer::new(Options { stats: true }).run(path, &mut [], &mut |_, _| true).unwrap()
}

/// Everything about a trace of `text`.
pub fn analyze_text(text: &str) -> Analysis {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("t.jsonl");
    std::fs::write(&path, text).unwrap();
    analyze(&path)
}

/// Rows as the loggers of the story write them: no header, no tokens, six decimals.
pub fn printed(rows: &[Vec<f32>], checkpoint: &str, width: usize) -> String {
    printed_from(0, rows, checkpoint, width)
}

/// The same from another position on.
pub fn printed_from(first: usize, rows: &[Vec<f32>], checkpoint: &str, width: usize) -> String {
    let mut out = String::new();
    for (index, row) in rows.iter().enumerate() {
        let position = first + index;
        let values: Vec<String> = row.iter().map(|&x| six_decimals(x)).collect();
        let _ = writeln!(
            out,
            "{{\"ts\":\"2025-01-01T00:00:00Z\",\"team\":\"cpp\",\"checkpoint\":\"{checkpoint}\",\"token_idx\":{position},\"dtype\":\"f32\",\"shape\":\"[{width}]\",\"values\":[{}]}}",
            values.join(",")
        );
    }
    out
}

/// As such a logger prints a value: NaN as zero, infinities as ±1e308.
fn six_decimals(x: f32) -> String {
    if x.is_nan() {
        "0.000000".to_owned()
    } else if x.is_infinite() {
        (if x > 0.0 { "1e308" } else { "-1e308" }).to_owned()
    } else {
        format!("{x:.6}")
    }
}

fn asset(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("assets").join(name)
}

#[test]
fn recorded_runs_of_llama_cpp_are_sound() {
    for entry in std::fs::read_dir(asset("traces")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|e| e == "jsonl") {
            let analysis = analyze(&path);
            assert_eq!(analysis.judgement(), Judgement::Sound, "{}", path.display());
            assert!(analysis.classes.is_empty(), "{}: {:?}", path.display(), analysis.classes);
            assert!(analysis.records > 100 && analysis.position_count() > 8);
        }
    }
}

#[test]
fn a_program_that_printed_what_it_had_freed_is_found_out_at_whatever_address_it_ran() {
    // In the second run no value lies outside the range of right ones.
    for (name, garbage) in [("naive", 40), ("lucky", 40), ("fixed", 0)] {
        let a = analyze(&asset(&format!("examples/freed-memory/{name}.jsonl")));
        assert_eq!((a.records, a.instrument, a.engine), (40, garbage, 0), "{name}: {:?}", a.classes);
        assert_eq!(a.classes.contains_key("heap-pointer"), garbage > 0);
    }
}

#[test]
fn what_a_logger_wrote_for_nan_and_infinity_is_the_instruments_fault() {
    let mut noise = random::Noise::new(1);
    let mut rows: Vec<Vec<f32>> = (0..12).map(|_| noise.row(10)).collect();
    rows[4][3] = f32::INFINITY;
    for row in &mut rows[8..] {
        row.fill(f32::NAN);
    }
    let a = analyze_text(&printed(&rows, "logits", 32_000));
    assert_eq!(a.judgement(), Judgement::Instrument);
    assert_eq!(a.classes["clamped-infinity"].rows, 1);
    assert_eq!(a.classes["nan-as-zero"].rows, 4);
    assert_eq!(a.classes["nan-as-zero"].positions, (8, 11));
    assert_eq!(a.garbage, 5);
}

#[test]
fn statistics_are_those_of_the_values() {
    let mut rows: Vec<Vec<f32>> = (0..10).map(|p| (0..100).map(|i| (i * 10 + p) as f32).collect()).collect();
    rows[2][5] = f32::NAN;
    let text: String = rows
        .iter()
        .enumerate()
        .map(|(p, row)| {
            let values: Vec<String> =
                row.iter().map(|x| if x.is_nan() { "NaN".into() } else { x.to_string() }).collect();
            format!("{{\"checkpoint\":\"l_out-1\",\"token_idx\":{p},\"values\":[{}]}}\n", values.join(","))
        })
        .collect();
    let a = analyze_text(&text);
    let (summary, top) = &a.stats[&"l_out-1".parse().unwrap()];
    let m = &summary.moments;
    assert_eq!((m.count, m.nan, m.min, m.max), (1000, 1, 0.0, 999.0));
    // Whole numbers from 0 to 999 without 52.
    assert_eq!(m.mean(), Some((499_500.0 - 52.0) / 999.0));
    // The histogram's buckets are 1/64 of a power of two wide, and the middle is given.
    let median = summary.histogram.quantile(0.5).unwrap();
    assert!((median - 500.0).abs() < 500.0 / 128.0 + 1.0, "{median}");
    assert_eq!((top.rows, top.distinct(), top.stability()), (10, 1, Some(1.0)));
}

#[test]
fn the_first_of_two_engines_to_be_blamed_is_the_right_one() {
    let mut noise = random::Noise::new(2);
    let mut rows: Vec<Vec<f32>> = (0..20).map(|_| noise.row(64)).collect();
    for row in &mut rows[10..] {
        row[7] = 65_504.0;
        row[9] = 3e12;
    }
    let text = printed(&rows, "l_out-3", 64);
    let a = analyze_text(&text);
    assert_eq!(a.judgement(), Judgement::Engine);
    assert_eq!((a.engine, a.instrument), (10, 0));
    assert_eq!(a.classes["huge"].spans.keys().next(), Some(&(9, 1)), "the channel is named");
}

fn paritty(args: &[&str]) -> assert_cmd::assert::Assert {
    assert_cmd::Command::cargo_bin("paritty").unwrap().args(args).assert()
}

#[test]
fn the_command_says_who_is_to_blame_in_every_format() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("freed.jsonl");
    let path = path.to_str().unwrap();
    std::fs::write(path, printed(&freed::run(3, 14, freed::Kind::Links), "logits", 151_936)).unwrap();
    let sound = asset("traces/shakespeare-f16.jsonl");
    let sound = sound.to_str().unwrap();
    let out = paritty(&["analyze", path]).code(1).get_output().stdout.clone();
    let text = String::from_utf8(out).unwrap();
    assert!(text.starts_with("the instrument is at fault: 14 of 14 records"), "{text}");
    paritty(&["analyze", sound]).code(0);
    let out = paritty(&["analyze", sound, path, "--json"]).code(1).get_output().stdout.clone();
    let json: serde_json::Value = serde_json::from_slice(&out).unwrap();
    assert_eq!(json["tables"]["traces"][1]["verdict"], "instrument");
    assert_eq!(json["tables"]["traces"][0]["garbage"], 0);
    assert_eq!(json["tables"]["findings"][0]["class"], "heap-pointer");
    for format in ["markdown", "html", "csv", "text"] {
        let out = paritty(&["analyze", path, "--stats", "--format", format]).code(1);
        assert!(String::from_utf8_lossy(&out.get_output().stdout).contains("heap-pointer"), "{format}");
    }
    let list = paritty(&["analyze", "--explain", "list"]).code(0).get_output().stdout.clone();
    assert!(String::from_utf8(list).unwrap().contains("padded-vocabulary"));
    paritty(&["analyze", "--explain", "heap-pointer"]).code(0);
    let error = paritty(&["analyze", "--explain", "gremlins"]).code(2).get_output().stderr.clone();
    assert!(String::from_utf8(error).unwrap().contains("heap-pointer"), "names the classes there are");
}

#[test]
fn ten_honest_values_of_many_are_inconclusive() {
    let mut noise = random::Noise::new(5);
    let rows: Vec<Vec<f32>> = (0..10).map(|_| noise.row(10)).collect();
    let a = analyze_text(&printed(&rows, "logits", 32_000));
    assert_eq!((a.judgement(), a.garbage), (Judgement::Partial, 0));
    let a = analyze_text(&printed(&rows, "logits", 10));
    assert_eq!(a.judgement(), Judgement::Sound);
}

#[test]
fn a_trace_may_come_from_standard_input() {
    let mut noise = random::Noise::new(6);
    let rows: Vec<Vec<f32>> = (0..10).map(|_| noise.row(20)).collect();
    let text = printed(&rows, "logits", 20);
    let mut command = assert_cmd::Command::cargo_bin("paritty").unwrap();
    command.args(["analyze", "-"]).write_stdin(text).assert().code(0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn no_line_makes_it_panic(lines in prop::collection::vec(line(), 0..20)) {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("t.jsonl");
        std::fs::write(&path, lines.concat()).unwrap();
        let out = folder.path().join("t.npz");
        if let Ok(layout) = paritty::export::Layout::of(&path, &mut |_, _| true) {
            let mut take: Vec<Box<dyn paritty::export::Take>> = vec![
                Box::new(paritty::export::Npz::create(&out, layout).unwrap()),
                Box::new(paritty::export::Parquet::create(&folder.path().join("t.parquet")).unwrap()),
            ];
            let run = Analyzer::new(Options { stats: true }).run(&path, &mut take, &mut |_, _| true);
            if let Ok(analysis) = run {
                let _ = paritty::analyze::document(&[analysis], true);
                for take in take {
                    take.finish().unwrap();
                }
                prop_assert!(exports::is_whole(&out));
            }
        }
    }
}

/// Lines of a trace, near-lines and rubbish.
fn line() -> impl Strategy<Value = Vec<u8>> {
    let number = prop_oneof![
        any::<f32>().prop_map(|x| x.to_string()),
        any::<u32>().prop_map(|bits| format!("{:e}", f32::from_bits(bits))),
        Just("0.000000".to_owned()),
        Just("1e308".to_owned()),
        Just("\"NaN\"".to_owned()),
        Just("x".to_owned()),
    ];
    let names = prop::sample::select(vec!["logits", "l_out-0", "kq-1", "kq_soft_max-0", "embd", "nonsense"]);
    let record =
        (names, 0_u32..70, prop::collection::vec(number, 0..24), prop::collection::vec(1_u32..9, 0..3))
            .prop_map(|(name, position, values, shape)| {
                let shape = if shape.is_empty() { String::new() } else { format!("\"shape\":{shape:?},") };
                format!(
                    "{{\"checkpoint\":\"{name}\",\"token_idx\":{position},{shape}\"values\":[{}]}}\n",
                    values.join(",")
                )
                .into_bytes()
            });
    prop_oneof![
        8 => record,
        1 => (0_u32..70).prop_map(|p| format!("{{\"token_idx\":{p},\"token\":{p}}}\n").into_bytes()),
        1 => (0_u32..70).prop_map(|p| format!("{{\"rewind\":{p}}}\n").into_bytes()),
        1 => Just(b"{\"paritty\":1,\"sidecar\":\"gone.bin\"}\n".to_vec()),
        1 => (0_u32..9).prop_map(|p| format!("{{\"checkpoint\":\"embd\",\"token_idx\":{p},\"shape\":[4],\"offset\":0}}\n").into_bytes()),
        1 => prop::collection::vec(any::<u8>(), 0..60),
    ]
}
