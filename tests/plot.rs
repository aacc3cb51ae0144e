//! Pictures and illustrated reports of finished traces, by the commands: good, diverged, degenerate
//! and hostile ones.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

/// A small trace: `value(position, checkpoint, channel)` for each of `channels` values.
struct Trace<'a> {
    positions: u32,
    channels: usize,
    model: &'a str,
    token: &'a dyn Fn(u32) -> u32,
    piece: &'a str,
    value: &'a dyn Fn(u32, usize, usize) -> f32,
}

const CHECKPOINTS: [&str; 5] = ["embd", "attn_norm-0", "l_out-0", "l_out-1", "result_output"];

/// A value in -1 to 1 that no other cell repeats.
fn noise(position: u32, checkpoint: usize, channel: usize) -> f32 {
    let x = position * 7919 + checkpoint as u32 * 104_729 + (channel as u32).wrapping_mul(1_299_709) + 12_345;
    let x = x.wrapping_mul(2_654_435_761);
    let x = (x ^ (x >> 15)).wrapping_mul(2_246_822_519);
    (x >> 8) as f32 / 8_388_608.0 - 1.0
}

impl Default for Trace<'_> {
    fn default() -> Self {
        Self { positions: 12, channels: 24, model: "tiny", token: &|p| p % 7, piece: " word", value: &noise }
    }
}

impl Trace<'_> {
    fn write(&self, folder: &TempDir, name: &str) -> PathBuf {
        let quoted = |text: &str| serde_json::to_string(text).unwrap();
        let mut text = format!(
            "{{\"paritty\":1,\"team\":\"test\",\"backend\":\"CPU\",\"model\":{{\"name\":{},\"arch\":\"llama\",\"n_layer\":2}},\"settings\":{{}}}}\n",
            quoted(self.model)
        );
        for p in 0..self.positions {
            let _ = writeln!(
                text,
                "{{\"token_idx\":{p},\"token\":{},\"piece\":{},\"from\":\"prompt\"}}",
                (self.token)(p),
                quoted(self.piece)
            );
            for (c, checkpoint) in CHECKPOINTS.iter().enumerate() {
                let values: Vec<String> = (0..self.channels)
                    .map(|i| match (self.value)(p, c, i) {
                        v if v.is_nan() => "\"NaN\"".to_owned(),
                        v if v.is_infinite() => "\"Infinity\"".to_owned(),
                        v => v.to_string(),
                    })
                    .collect();
                let _ = writeln!(
                    text,
                    "{{\"checkpoint\":\"{checkpoint}\",\"token_idx\":{p},\"dtype\":\"f32\",\"shape\":[{}],\"values\":[{}]}}",
                    self.channels,
                    values.join(",")
                );
            }
            let _ = writeln!(text, "{{\"token_idx\":{p},\"complete\":true}}");
        }
        let _ = writeln!(text, "{{\"end\":true,\"positions\":{}}}", self.positions);
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }
}

fn paritty(args: &[&str]) -> std::process::Output {
    std::process::Command::new(env!("CARGO_BIN_EXE_paritty")).args(args).output().unwrap()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Every picture of a pair, checked; returns the SVGs by name.
fn everything(folder: &TempDir, reference: &Path, candidate: &Path) -> Vec<(String, String)> {
    let out = folder.path().join("pictures");
    let run = paritty(&["plot", "--all", text(&out), text(reference), text(candidate)]);
    assert_eq!(run.status.code(), Some(0), "{}", String::from_utf8_lossy(&run.stderr));
    let mut drawings = Vec::new();
    let mut files: Vec<PathBuf> = std::fs::read_dir(&out).unwrap().map(|f| f.unwrap().path()).collect();
    files.sort();
    assert_eq!(files.len(), 14 * 3, "{files:?}");
    for file in files {
        let bytes = std::fs::read(&file).unwrap();
        let name = file.file_stem().unwrap().to_str().unwrap().to_owned();
        match file.extension().unwrap().to_str().unwrap() {
            "png" => {
                let picture = image::load_from_memory(&bytes).unwrap().to_rgb8();
                let first = *picture.get_pixel(0, 0);
                assert!(picture.pixels().any(|p| *p != first), "{name} is blank");
            }
            "svg" => drawings.push((name, String::from_utf8(bytes).unwrap())),
            _ => assert!(String::from_utf8(bytes).unwrap().lines().count() >= 1, "{name}"),
        }
    }
    for (name, drawing) in &drawings {
        assert!(drawing.starts_with("<svg") && drawing.trim_end().ends_with("</svg>"), "{name}");
        assert!(
            !drawing.contains("NaN\" ") && !drawing.contains("\"inf"),
            "{name}: a coordinate is no number"
        );
        let control = drawing.chars().find(|c| c.is_control() && *c != '\n');
        assert_eq!(control, None, "{name}");
    }
    drawings
}

/// The illustrated report of a pair, checked; returns its text and the exit code.
fn page(reference: &Path, candidate: &Path) -> (String, i32) {
    let run = paritty(&["compare", text(reference), text(candidate), "--format", "html"]);
    let page = String::from_utf8(run.stdout).unwrap();
    let code = run.status.code().unwrap();
    assert!(code == 0 || code == 1 || code == 3, "{code} {}", String::from_utf8_lossy(&run.stderr));
    assert!(page.starts_with("<!DOCTYPE html>") && page.trim_end().ends_with("</html>"));
    assert!(!page.to_lowercase().contains("<script") && !page.contains('\u{1b}'));
    assert_eq!(page.matches("<svg").count(), page.matches("</svg>").count());
    for outside in ["src=", "href=\"http", "url(", "@import"] {
        assert!(!page.contains(outside), "{outside}");
    }
    (page, code)
}

#[test]
fn a_diverged_pair_is_drawn_and_reported_in_full() {
    let folder = TempDir::new().unwrap();
    let good = Trace::default();
    let reference = good.write(&folder, "reference.jsonl");
    // From layer 1 on everything is another number.
    let value =
        |p: u32, c: usize, i: usize| (good.value)(p, c, i) + if c >= 3 { 0.5 - 0.1 * i as f32 } else { 0.0 };
    let candidate = Trace { value: &value, ..Trace::default() }.write(&folder, "candidate.jsonl");
    let drawings = everything(&folder, &reference, &candidate);
    let map = &drawings.iter().find(|d| d.0 == "map").unwrap().1;
    assert!(map.contains("first divergence: position 0, l_out-1"), "{map}");
    let (page, code) = page(&reference, &candidate);
    assert_eq!(code, 1);
    for heading in ["Where the runs part", "Logits", "By checkpoint", "By position", "What was compared"] {
        assert!(page.contains(&format!(">{heading}</h2>")), "{heading}");
    }
    // Ten pictures, each for both grounds.
    assert_eq!(page.matches("<figure>").count(), 10);
    assert_eq!(page.matches("paritty-dark\">").count(), 10);

    let pictures = folder.path().join("beside");
    let run = paritty(&[
        "compare",
        text(&reference),
        text(&candidate),
        "--format",
        "markdown",
        "--pictures",
        text(&pictures),
    ]);
    let markdown = String::from_utf8(run.stdout).unwrap();
    assert_eq!(run.status.code(), Some(1));
    assert_eq!(markdown.matches("](<").count(), 10);
    for link in markdown.split("](<").skip(1).map(|l| l.split(">)").next().unwrap()) {
        assert!(std::fs::read_to_string(link).unwrap().starts_with("<svg"), "{link}");
    }
}

#[test]
fn degenerate_pairs_are_drawn_and_reported() {
    let plain = Trace::default();
    let nan = |p: u32, _: usize, i: usize| {
        if (p as usize + i).is_multiple_of(2) { f32::NAN } else { f32::INFINITY }
    };
    let cases: [(&str, Trace<'_>, Trace<'_>, i32); 5] = [
        (
            "one position of one channel",
            Trace { positions: 1, channels: 1, ..Trace::default() },
            Trace { positions: 1, channels: 1, value: &|_, _, _| 2.0, ..Trace::default() },
            1,
        ),
        (
            "all values equal",
            Trace { value: &|_, _, _| 1.0, ..Trace::default() },
            Trace { value: &|_, _, _| 1.0, ..Trace::default() },
            // Constant rows are a logger's.
            1,
        ),
        ("nothing finite in the candidate", Trace::default(), Trace { value: &nan, ..Trace::default() }, 1),
        (
            "nothing finite at all",
            Trace { value: &nan, ..Trace::default() },
            Trace { value: &nan, ..Trace::default() },
            1,
        ),
        ("another prompt", plain, Trace { token: &|p| 100 + p, ..Trace::default() }, 3),
    ];
    for (what, reference, candidate, expected) in cases {
        let folder = TempDir::new().unwrap();
        let reference = reference.write(&folder, "r.jsonl");
        let candidate = candidate.write(&folder, "c.jsonl");
        everything(&folder, &reference, &candidate);
        let (page, code) = page(&reference, &candidate);
        assert_eq!(code, expected, "{what}");
        if what == "another prompt" {
            assert!(page.contains("not the same computation") && !page.contains("Where the runs part"));
            assert!(!page.contains("By checkpoint"), "figures of different computations mean nothing");
        }
    }
}

#[test]
fn names_from_files_are_text_wherever_they_stand() {
    let folder = TempDir::new().unwrap();
    let hostile = "\u{1b}[2J<script>alert(1)</script>\n\"'&|`\u{202e}";
    let trace = |name| {
        Trace { model: hostile, piece: hostile, positions: 3, ..Trace::default() }.write(&folder, name)
    };
    let (reference, candidate) = (trace("<img src=x>.jsonl"), trace("b.jsonl"));
    for (name, drawing) in everything(&folder, &reference, &candidate) {
        assert!(!drawing.contains("<script") && !drawing.contains("<img"), "{name}");
    }
    let run = paritty(&["compare", text(&reference), text(&candidate), "--format", "html"]);
    let page = String::from_utf8(run.stdout).unwrap();
    assert!(!page.contains("<script") && !page.contains("<img") && !page.contains('\u{1b}'));
    assert!(page.contains("&lt;img src=x&gt;"));
}

#[test]
fn size_does_not_grow_with_the_trace() {
    let folder = TempDir::new().unwrap();
    let long = |name, shift: f32| {
        let value = move |p: u32, c: usize, i: usize| noise(p, c, i) + shift * (p % 13) as f32;
        Trace { positions: 500, channels: 2, value: &value, ..Trace::default() }.write(&folder, name)
    };
    let (reference, candidate) = (long("a.jsonl", 0.0), long("b.jsonl", 0.01));
    for (name, drawing) in everything(&folder, &reference, &candidate) {
        // The caps of maps and heatmaps, at about 100 bytes a rectangle.
        assert!(drawing.len() < 4_000_000, "{name}: {} bytes", drawing.len());
    }
    let (page, _) = page(&reference, &candidate);
    assert!(page.contains("the 100 worst of 500 positions"));

    // A vocabulary's worth of values is counted in squares.
    let wide = |name, shift: f32| {
        let value =
            move |_: u32, c: usize, i: usize| (i % 997) as f32 * 0.01 + shift * ((i * 31 + c) % 89) as f32;
        Trace { positions: 1, channels: 151_936, value: &value, ..Trace::default() }.write(&folder, name)
    };
    let (reference, candidate) = (wide("c.jsonl", 0.0), wide("d.jsonl", 0.02));
    let out = folder.path().join("scatter.svg");
    let run = paritty(&["plot", "scatter", text(&reference), text(&candidate), "-o", text(&out)]);
    assert_eq!(run.status.code(), Some(0), "{}", String::from_utf8_lossy(&run.stderr));
    let drawing = std::fs::read_to_string(&out).unwrap();
    assert!(drawing.contains("151936 values") && drawing.len() < 2_000_000, "{} bytes", drawing.len());
}

#[test]
fn the_command_says_what_it_needs() {
    let folder = TempDir::new().unwrap();
    let trace = Trace::default().write(&folder, "a.jsonl");
    let other = Trace::default().write(&folder, "b.jsonl");
    let (a, b) = (text(&trace), text(&other));
    let out = folder.path().join("x.png");
    let o = text(&out);
    let cases: &[(&[&str], &str)] = &[
        (&["plot", "nothing", a, "-o", o], "there are: screen, map"),
        (&["plot", "map", a, b], "-o map.png"),
        (&["plot", "map", a, "-o", o], "give the candidate's trace"),
        (&["plot", "map", a, b, a, "-o", o], "two traces at most"),
        (&["plot", "map", a, b, "-o", "x.gif"], ".png, .svg or .csv"),
        (&["plot", "map", a, b, "-o", o, "--size", "20"], "1200x800"),
        (&["plot", "map", a, b, "-o", o, "--size", "20x20"], "64 to 16384"),
        (&["plot", "heatmaps", a, "-o", o, "--position", "99"], "hold 0 to 11"),
        (&["plot", "heatmaps", a, "-o", o, "--layer", "9"], "they hold 0 to 1"),
        (&["plot", "heatmaps", a, "-o", o, "--checkpoint", "Qcur-0"], "the traces hold no Qcur-0"),
        (&["plot", "heatmaps", a, "-o", o, "--checkpoint", "bogus"], "not a checkpoint"),
        (&["plot", "garbage", a, b, "-o", o, "--published", "20"], "1 rates for 2 traces"),
        (&["plot", "garbage", a, "-o", o, "--published", "120"], "0 to 100"),
        (&["compare", a, b, "--pictures", o], "--format markdown"),
    ];
    for (args, says) in cases {
        let run = paritty(args);
        let error = String::from_utf8_lossy(&run.stderr);
        assert_eq!(run.status.code(), Some(2), "{args:?}\n{error}");
        assert!(error.contains(says), "{args:?}: {error}");
        assert!(!out.exists(), "{args:?}");
    }
    for args in [
        &["plot", "heatmaps", a, "-o", o, "--checkpoint", "l_out", "--layer", "1", "--position", "3"][..],
        &["plot", "tokens", a, "-o", o, "--theme", "dark", "--size", "640x400"],
        &["plot", "garbage", a, b, "-o", o, "--published", "73,-"],
    ] {
        assert_eq!(paritty(args).status.code(), Some(0), "{args:?}");
        std::fs::remove_file(&out).unwrap();
    }
    let run = paritty(&["plot", "map", a, b, "-o", "-"]);
    assert!(String::from_utf8(run.stdout).unwrap().starts_with("<svg"));
    let list = String::from_utf8(paritty(&["plot", "list"]).stdout).unwrap();
    assert_eq!(list.lines().count(), 14, "{list}");
}
