//! Surveys of the demo's models against their recorded traces: formats, going on, failures.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::SystemTime;

use serde_json::Value;
use tempfile::TempDir;

/// Two models of different precision, few positions.
const MODELS: [&str; 2] = ["shakespeare-qwen2-f16", "shakespeare-gpt2-f32"];

fn asset(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("assets").join(name)
}

fn model(name: &str) -> PathBuf {
    asset(&format!("models/{name}.gguf"))
}

/// A survey against recorded traces; three positions, or all.
fn survey(out: &Path, models: &[PathBuf], arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_paritty"))
        .args(["survey", "--reference", "recorded", "--threads", "2", "-o"])
        .arg(out)
        .args(arguments)
        .arg("--")
        .args(models)
        .output()
        .unwrap()
}

fn few(out: &Path, models: &[PathBuf], arguments: &[&str]) -> Output {
    survey(out, models, &[&["-n3"], arguments].concat())
}

fn text(output: &Output) -> String {
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn json(output: &Output) -> Value {
    serde_json::from_str(&text(output)).unwrap()
}

fn changed(path: &Path) -> SystemTime {
    path.metadata().unwrap().modified().unwrap()
}

#[test]
fn a_survey_of_correct_engines_says_so_in_every_format() {
    let folder = TempDir::new().unwrap();
    let out = folder.path().join("out");
    let models = MODELS.map(model);
    let output = few(&out, &models, &["--json"]);
    assert_eq!(output.status.code(), Some(0));
    let report = json(&output);
    for (i, name) in MODELS.iter().enumerate() {
        let found = &report["models"][i];
        assert_eq!(found["name"], *name);
        let measured = &found["measured"];
        assert_eq!((&measured["positions"], &measured["verdict"]["exit_code"]), (&3.into(), &0.into()));
        for side in ["reference", "candidate"] {
            let garbage = &measured[side]["garbage"];
            assert_eq!((&garbage["positions"], &garbage["bad_records"]), (&3.into(), &0.into()), "{side}");
        }
        assert_eq!(measured["logits"]["agree"], 3);
        // Ours rounds to f32 only, llama.cpp to f16 as well: it must be farther from f64, by the square
        // of 2^-11 over 2^-24 and less, since not everything it does is rounded to f16.
        let all = &measured["all"];
        let median = |key: &str| all[key]["median"].as_f64().unwrap();
        assert!(median("candidate_off") < 1e-12, "{all}");
        assert!(median("reference_off") > 1e3 * median("candidate_off"), "{all}");
        assert!(all["nearer"].as_u64().unwrap() > 9 * all["farther"].as_u64().unwrap(), "{all}");
        let sites = measured["sites"].as_array().unwrap();
        assert!(sites.iter().any(|s| s["site"] == "result_output") && sites.len() > 15);
    }
    assert_eq!(report["models"][0]["published"]["garbage_rate"], 0.0);
    assert_eq!(report["models"][1]["published"]["garbage_rate"], 0.28);

    let page = |name: &str| std::fs::read_to_string(out.join(name)).unwrap();
    assert!(page("report.txt").starts_with("2 models: 2 within noise\n"));
    assert!(page("report.md").contains("![Garbage rates") && page("report.md").contains("(<garbage.svg>)"));
    assert!(page("report.html").contains("<svg") && page("report.html").ends_with("</html>\n"));
    assert!(
        page("report.csv").starts_with("table,model,weights,positions,published_model,published_garbage,")
    );
    serde_json::from_str::<Value>(&page("report.json")).unwrap();
    for picture in ["garbage.svg", "nmse.svg"] {
        assert!(page(picture).starts_with("<svg") && page(picture).ends_with("</svg>\n"), "{picture}");
    }
    for picture in ["garbage.png", "nmse.png"] {
        assert!(std::fs::read(out.join(picture)).unwrap().starts_with(b"\x89PNG"));
    }
}

#[test]
fn every_format_is_printed_as_it_is_kept() {
    let folder = TempDir::new().unwrap();
    let models = [model(MODELS[0])];
    for (format, file) in [("text", "txt"), ("csv", "csv"), ("json", "json"), ("html", "html")] {
        let printed = text(&few(folder.path(), &models, &["--format", format]));
        let kept = std::fs::read_to_string(folder.path().join("report").with_extension(file)).unwrap();
        assert_eq!(printed, kept, "{format}");
    }
    // Seen from where it is printed, the pictures are in the folder.
    let printed = text(&few(folder.path(), &models, &["--format", "markdown"]));
    let link = format!("(<{}>)", folder.path().join("nmse.svg").display());
    assert!(printed.contains(&link), "{printed}");
    let compact = text(&few(folder.path(), &models, &["--format", "csv", "--compact"]));
    assert_eq!(compact.lines().count(), 2, "{compact}");
}

#[test]
fn only_what_is_missing_or_changed_is_measured_again() {
    let folder = TempDir::new().unwrap();
    let out = folder.path();
    // A copy, since a model is touched below.
    let own = folder.path().join("shakespeare-gpt2-f32.gguf");
    std::fs::copy(model(MODELS[1]), &own).unwrap();
    let traces = asset("traces");
    let run = || {
        let output = Command::new(env!("CARGO_BIN_EXE_paritty"))
            .args(["survey", "-n2", "--json", "--reference"])
            .arg(&traces)
            .arg("-o")
            .arg(out)
            .args([&model(MODELS[0]), &own])
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        json(&output)
    };
    let results = MODELS.map(|name| out.join(name).join("result.json"));
    let before = run();
    let written = results.each_ref().map(|r| changed(r));
    assert_eq!(run(), before, "kept figures are the figures");
    assert_eq!(results.each_ref().map(|r| changed(r)), written, "nothing was measured again");

    std::fs::remove_file(&results[0]).unwrap();
    std::fs::remove_file(out.join(MODELS[0]).join("oracle.jsonl")).unwrap();
    assert_eq!(run(), before);
    assert!(changed(&results[0]) > written[0], "what was deleted was measured again");
    assert_eq!(changed(&results[1]), written[1], "and nothing else");

    let half = std::fs::read(&results[0]).unwrap();
    std::fs::write(&results[0], &half[..half.len() / 2]).unwrap();
    let after = std::fs::File::options().write(true).open(&own).unwrap();
    after.set_modified(SystemTime::now()).unwrap();
    assert_eq!(run(), before);
    assert!(changed(&results[1]) > written[1], "the model file was touched");
    serde_json::from_slice::<Value>(&std::fs::read(&results[0]).unwrap()).unwrap();
}

#[test]
fn a_broken_model_does_not_stop_the_others_and_sets_the_exit_code() {
    let folder = TempDir::new().unwrap();
    let broken = folder.path().join("shakespeare-q4_k_m.gguf");
    let whole = std::fs::read(model("shakespeare-q4_k_m")).unwrap();
    std::fs::write(&broken, &whole[..20_000]).unwrap();
    let models =
        [broken, model(MODELS[0]), folder.path().join("absent.gguf"), asset("models/shakespeare-f16.gguf")];
    std::fs::copy(asset("traces/shakespeare-q4_k_m.jsonl"), folder.path().join("shakespeare-q4_k_m.jsonl"))
        .unwrap();
    let output = few(&folder.path().join("out"), &models, &["--json"]);
    assert_eq!(output.status.code(), Some(2));
    let report = json(&output);
    let error = |i: usize| report["models"][i]["error"].as_str().unwrap_or_default();
    assert!(error(0).contains("shakespeare-q4_k_m.gguf"), "{}", error(0));
    assert!(error(2).contains("absent.jsonl") && error(2).contains("--reference llama.cpp"), "{}", error(2));
    for i in [1, 3] {
        assert_eq!(report["models"][i]["measured"]["verdict"]["exit_code"], 0);
    }
    let page = std::fs::read_to_string(folder.path().join("out/report.txt")).unwrap();
    assert!(page.starts_with("4 models: 2 not surveyed, 2 within noise\n"), "{page}");
    assert!(page.contains("absent: there is no recorded trace"), "{page}");
}

/// A recorded trace that is not what the model computes, and one that is no run of it at all.
#[test]
fn divergence_comes_before_failure_and_failure_before_doubt() {
    let folder = TempDir::new().unwrap();
    let traces = folder.path().join("traces");
    std::fs::create_dir(&traces).unwrap();
    let name = "shakespeare-gpt2-f32";
    for extension in ["jsonl", "bin"] {
        let file = format!("{name}.{extension}");
        std::fs::copy(asset("traces").join(&file), traces.join(&file)).unwrap();
    }
    // The reference's last values of every row are as large again: one position in, a kernel is wrong.
    let sidecar = traces.join(format!("{name}.bin"));
    let mut bytes = std::fs::read(&sidecar).unwrap();
    for value in bytes.as_chunks_mut::<4>().0.iter_mut().skip(5_000).step_by(7) {
        *value = (f32::from_le_bytes(*value) * 1.5).to_le_bytes();
    }
    std::fs::write(&sidecar, bytes).unwrap();
    let out = folder.path().join("out");
    let absent = folder.path().join("absent.gguf");
    let reference = traces.to_str().unwrap();
    let run = |models: &[PathBuf]| {
        let output = Command::new(env!("CARGO_BIN_EXE_paritty"))
            .args(["survey", "-n3", "--json", "--reference", reference, "-o"])
            .arg(&out)
            .args(models)
            .output()
            .unwrap();
        (output.status.code(), json(&output))
    };
    let (code, report) = run(&[model(name), absent]);
    assert_eq!(code, Some(1), "{}", report["models"][0]["measured"]["verdict"]);
    assert_eq!(report["models"][0]["measured"]["verdict"]["exit_code"], 1);
    assert_eq!(report["models"][1]["exit_code"], 2);

    // Logits alone, of other tokens than those that ours are given: nothing is concluded.
    let lone = "{\"checkpoint\":\"result_output\",\"token_idx\":0,\"shape\":[2],\"values\":[1,2]}\n";
    std::fs::write(traces.join(format!("{name}.jsonl")), lone).unwrap();
    let (code, report) = run(&[model(name)]);
    assert_eq!(code, Some(2));
    let error = report["models"][0]["error"].as_str().unwrap();
    assert!(error.contains("which tokens"), "{error}");
}

#[test]
fn garbage_in_a_recorded_trace_is_counted_by_position() {
    let folder = TempDir::new().unwrap();
    let name = "shakespeare-qwen2-f16";
    let recorded = std::fs::read_to_string(asset(&format!("traces/{name}.jsonl"))).unwrap();
    std::fs::copy(asset(&format!("traces/{name}.bin")), folder.path().join(format!("{name}.bin"))).unwrap();
    // Freed memory in the first ten logits of one position in two: a heap pointer and its high half.
    let mut trace = String::new();
    for line in recorded.lines() {
        let record: Value = serde_json::from_str(line).unwrap();
        let position = record["token_idx"].as_u64().unwrap_or(1);
        if record["checkpoint"] == "result_output" && position.is_multiple_of(2) {
            let link = 0x0000_5581_2f4a_6010_u64 + position * 0x40;
            let halves = [link as u32, (link >> 32) as u32, 0, 0].map(f32::from_bits);
            let values: Vec<f32> = halves.into_iter().chain((0..1020).map(|i| (i as f32).sin())).collect();
            let mut record = record;
            for key in ["offset", "bytes"] {
                record.as_object_mut().unwrap().remove(key);
            }
            record["values"] = values.into();
            trace += &record.to_string();
        } else {
            trace += line;
        }
        trace.push('\n');
    }
    std::fs::write(folder.path().join(format!("{name}.jsonl")), trace).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_paritty"))
        .args(["survey", "-n4", "--json", "-o"])
        .arg(folder.path().join("out"))
        .arg("--reference")
        .arg(folder.path())
        .arg(model(name))
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let measured = &json(&output)["models"][0]["measured"];
    let garbage = &measured["reference"]["garbage"];
    assert_eq!((&garbage["positions"], &garbage["bad_positions"]), (&4.into(), &2.into()), "{garbage}");
    assert_eq!(measured["candidate"]["garbage"]["bad_positions"], 0);
    let page = std::fs::read_to_string(folder.path().join("out/report.txt")).unwrap();
    assert!(page.contains("50.0 %"), "{page}");
}

#[cfg(not(feature = "llama-cpp"))]
#[test]
fn what_this_build_cannot_do_is_said() {
    let folder = TempDir::new().unwrap();
    for arguments in [&["--reference", "llama.cpp"][..], &["--spread"], &["--nonce"]] {
        let output = Command::new(env!("CARGO_BIN_EXE_paritty"))
            .args(["survey", "-n1", "-o"])
            .arg(folder.path().join("out"))
            .args(arguments)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(2));
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains("llama.cpp"), "{said}");
    }
}

const BEGIN: &str = "<!-- parity -->\n";
const END: &str = "<!-- end of parity -->";

/// The cells of a Markdown table, the rule below the head left out.
fn cells(table: &str) -> Vec<Vec<&str>> {
    table
        .lines()
        .filter(|line| line.starts_with('|') && !line.starts_with("| :--"))
        .map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
        .collect()
}

/// Recorded traces are the same everywhere, and so are the models, positions, tokens and garbage rates.
/// Our engine's last bits are not: exponentials and sines come from the system. Its errors are 1e-7 of
/// a row, the difference from llama.cpp 2e-4 and more: both together move an NMSE, the square of the
/// latter, by 2 · 1e-7 / 2e-4 of itself, and a KL, whose logits of up to 20 are rounded to f32, by four
/// times as much. With three digits printed (half a per cent), two per cent hold all of it.
const FIGURES_AGREE: f64 = 0.02;

#[test]
fn the_readme_shows_what_the_command_prints() {
    let folder = TempDir::new().unwrap();
    let output = survey(folder.path(), &[], &["--format", "markdown", "--compact"]);
    assert_eq!(output.status.code(), Some(0));
    let printed = text(&output);
    let rows: Vec<&str> = printed.lines().filter(|l| l.starts_with('|')).collect();
    let table = rows.join("\n") + "\n";
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let readme = std::fs::read_to_string(&path).unwrap();
    let begin = readme.find(BEGIN).unwrap() + BEGIN.len();
    let end = readme.find(END).unwrap();
    if std::env::var_os("PARITTY_BLESS").is_some() {
        std::fs::write(path, format!("{}{table}{}", &readme[..begin], &readme[end..])).unwrap();
        for picture in ["garbage", "nmse"] {
            let target = asset(&format!("pictures/parity-{picture}.svg"));
            std::fs::copy(folder.path().join(picture).with_extension("svg"), target).unwrap();
        }
        return;
    }
    let again = "run `PARITTY_BLESS=1 cargo test --test survey` to take table and pictures over";
    let (shown, now) = (cells(&readme[begin..end]), cells(&table));
    assert_eq!((shown.len(), &shown[0]), (now.len(), &now[0]), "{again}");
    assert_eq!(now.len(), 1 + 7, "a line a model");
    for (shown, now) in shown.iter().zip(&now) {
        for (a, b) in shown.iter().zip(now) {
            let agree = match (a.parse::<f64>(), b.parse::<f64>()) {
                (Ok(a), Ok(b)) => (a - b).abs() <= FIGURES_AGREE * a.abs(),
                _ => a == b,
            };
            assert!(agree, "{}: {a} in the README, {b} now; {again}", shown[0]);
        }
    }
}
