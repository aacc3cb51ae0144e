//! Every form of a trace that has to be read, through the library's public face.

#![allow(clippy::unwrap_used, reason = "a test may stop at once")]

use std::fs;
use std::path::{Path, PathBuf};

use paritty::model::{Checkpoint, Site};
use paritty::trace::{Dtype, Header, Store, Tensor, Token, TraceError, TraceWriter};
use tempfile::TempDir;

struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, content).unwrap();
        path
    }

    fn load(&self, content: impl AsRef<[u8]>) -> Store {
        Store::load(&self.file("t.jsonl", content)).unwrap()
    }
}

fn checkpoint(name: &str) -> Checkpoint {
    name.parse().unwrap()
}

fn read(store: &Store, position: u32, name: &str) -> Tensor {
    let mut tensor = Tensor::default();
    assert!(store.read(position, checkpoint(name), &mut tensor).unwrap(), "{name} at {position}");
    tensor
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|v| v.to_bits()).collect()
}

fn problem(result: Result<Store, TraceError>) -> String {
    result.expect_err("an error").to_string()
}

/// Values of every kind an f32 has.
fn hostile() -> Vec<f32> {
    let mut values = vec![
        0.0,
        -0.0,
        1.0,
        f32::MIN_POSITIVE,
        f32::from_bits(1),
        -f32::from_bits(0x7f_ffff),
        f32::MAX,
        f32::MIN,
        f32::INFINITY,
        f32::NEG_INFINITY,
        f32::NAN,
        0.1,
        16_777_217.0,
        1.0 / 3.0,
    ];
    let mut state = 1_u32;
    values.extend((0..500).map(|_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        f32::from_bits(state)
    }));
    values
}

fn write_run(mut writer: TraceWriter, values: &[f32]) {
    for position in 0..3 {
        let piece = Some(format!("piece \"{position}\"\u{1b}[0m"));
        let token = Token { id: 10 + position, piece, from_prompt: position == 0, columns: Some(1) };
        writer.token(position, &token).unwrap();
        let shape = [values.len() as u32 / 2, 2];
        writer.tensor(position, checkpoint("Qcur_rope-0"), Some("Qcur-0"), "ROPE", &shape, values).unwrap();
        writer.tensor(position, Checkpoint::LOGITS, None, "MUL_MAT", &[1], &[position as f32]).unwrap();
        writer.complete(position).unwrap();
    }
    writer.end().unwrap();
}

fn header() -> Header {
    Header { team: "engine".to_owned(), backend: "CPU".to_owned(), ..Header::default() }
}

#[test]
fn what_is_written_is_read_bit_for_bit() {
    let folder = Folder::new();
    let values = hostile();
    let path = folder.path("run.jsonl");
    write_run(TraceWriter::create(&path, &header()).unwrap(), &values);
    let text = folder.path("text.jsonl");
    write_run(TraceWriter::create_text(&text, &header(), None).unwrap(), &values);

    for path in [path, text] {
        let store = Store::load(&path).unwrap();
        assert_eq!(store.header().unwrap().team, "engine");
        assert_eq!(store.header().unwrap().paritty, 1);
        assert_eq!(store.positions().collect::<Vec<_>>(), [0, 1, 2]);
        assert!(store.has_ended() && store.is_complete(2));
        assert_eq!(store.token(1).unwrap().piece.as_deref(), Some("piece \"1\"\u{1b}[0m"));
        assert!(store.token(0).unwrap().from_prompt && !store.token(1).unwrap().from_prompt);
        let names: Vec<_> = store.checkpoints(1).map(|c| c.to_string()).collect();
        assert_eq!(names, ["Qcur_rope-0", "result_output"]);
        for position in 0..3 {
            let tensor = read(&store, position, "Qcur_rope-0");
            assert_eq!(tensor.shape, [values.len() as u32 / 2, 2]);
            assert!(tensor.exact);
            if path.ends_with("run.jsonl") {
                assert_eq!(bits(&tensor.values), bits(&values));
            } else {
                // Text keeps that a value is NaN, not which.
                for (a, b) in tensor.values.iter().zip(&values) {
                    assert!(a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan()), "{a:e} for {b:e}");
                }
            }
            assert_eq!(read(&store, position, "logits").values, [position as f32]);
        }
        assert_eq!(store.notes(), &paritty::trace::Notes::default());
        let mut none = Tensor::default();
        assert!(!store.read(0, Checkpoint::layer(Site::Kq, 5), &mut none).unwrap());
    }
}

#[test]
fn numbers_of_values_can_be_limited_as_the_studys_logger_does() {
    let folder = Folder::new();
    let path = folder.path("ten.jsonl");
    let writer = TraceWriter::create_text(&path, &header(), Some(3)).unwrap();
    write_run(writer, &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    let store = Store::load(&path).unwrap();
    let cell = store.cell(0, checkpoint("Qcur_rope-0")).unwrap();
    assert!(cell.is_partial());
    assert_eq!((cell.len, cell.full_len()), (3, 6));
    assert_eq!(read(&store, 0, "Qcur_rope-0").values, [1.0, 2.0, 3.0]);
    assert_eq!(store.notes().partial, 3);
}

#[test]
fn the_studys_form_without_header_tokens_or_end() {
    let folder = Folder::new();
    let store = folder.load(concat!(
        r#"{"ts":1712345678.9,"source":"cpu","file":"x.cpp","line":7,"team":"their engine","checkpoint":"logits","token_idx":0,"dtype":"f32","shape":"[151936]","values":[-1.000000,0.000000,12.345678]}"#,
        "\n",
        r#"{"team":"their engine","checkpoint":"logits","token_idx":1,"dtype":"f32","shape":"[1,151936]","values":[1e308,-1e308,2.5]}"#,
        "\n",
    ));
    assert_eq!(store.header(), None);
    assert_eq!(store.team(), Some("their engine"));
    assert_eq!(store.positions().collect::<Vec<_>>(), [0, 1]);
    assert_eq!(store.token(0), None);
    assert!(store.is_complete(0), "a later position was begun");
    assert!(!store.is_complete(1) && !store.has_ended());
    for position in 0..2 {
        let cell = store.cell(position, Checkpoint::LOGITS).unwrap();
        assert_eq!((&*cell.shape, cell.len), (&[151936][..], 3));
    }
    let rounded = read(&store, 0, "logits");
    assert_eq!(rounded.values, [-1.0, 0.0, 12.345678]);
    assert!(!rounded.exact, "six decimals");
    assert_eq!(read(&store, 1, "logits").values, [f32::INFINITY, f32::NEG_INFINITY, 2.5]);
    assert_eq!((store.notes().partial, store.notes().skipped_count), (2, 0));
}

#[test]
fn aliases_name_the_same_checkpoints() {
    let folder = Folder::new();
    for (alias, canonical) in [
        ("logits", "result_output"),
        ("embedding", "embd"),
        ("inp_embd", "embd"),
        ("layer_12_output", "l_out-12"),
    ] {
        let line =
            format!("{{\"checkpoint\":\"{alias}\",\"token_idx\":4,\"shape\":\"[1]\",\"values\":[7]}}\n");
        let store = folder.load(line);
        let names: Vec<_> = store.checkpoints(4).map(|c| c.to_string()).collect();
        assert_eq!(names, [canonical]);
    }
}

#[test]
fn half_precision_sidecars_are_widened() {
    let folder = Folder::new();
    let mut bytes = vec![0xAA; 6];
    let f16: Vec<u8> =
        [1.5_f32, -0.0, f32::INFINITY].iter().flat_map(|v| half::f16::from_f32(*v).to_le_bytes()).collect();
    let bf16: Vec<u8> =
        [1.5_f32, -2.0, f32::NAN].iter().flat_map(|v| half::bf16::from_f32(*v).to_le_bytes()).collect();
    let f32: Vec<u8> = [0.1_f32, f32::from_bits(0x7fa0_0001)].iter().flat_map(|v| v.to_le_bytes()).collect();
    bytes.extend([f16, bf16, f32].concat());
    folder.file("values.bin", bytes);
    let store = folder.load(
        r#"{"paritty":1,"sidecar":"values.bin"}
{"checkpoint":"embd","token_idx":0,"dtype":"f16","shape":[3],"offset":6,"bytes":6}
{"checkpoint":"l_out-0","token_idx":0,"dtype":"bf16","shape":[3],"offset":12}
{"checkpoint":"logits","token_idx":0,"dtype":"float32","shape":[4],"offset":18,"bytes":8}
"#,
    );
    assert_eq!(bits(&read(&store, 0, "embd").values), bits(&[1.5, -0.0, f32::INFINITY]));
    let bf16 = read(&store, 0, "l_out-0");
    assert_eq!(bf16.values[..2], [1.5, -2.0]);
    assert!(bf16.values[2].is_nan() && bf16.exact);
    assert_eq!(store.cell(0, checkpoint("l_out-0")).unwrap().dtype, Dtype::Bf16);
    let partial = read(&store, 0, "logits");
    assert_eq!(bits(&partial.values), [0.1_f32.to_bits(), 0x7fa0_0001], "a NaN keeps its bits");
    assert_eq!((partial.shape, store.notes().partial), (vec![4], 1));
}

#[test]
fn what_is_not_finite_is_read_in_every_spelling() {
    let folder = Folder::new();
    let store = folder.load(
        "{\"checkpoint\":\"logits\",\"token_idx\":0,\"values\":[NaN,Infinity,-Infinity,\"NaN\",\"Infinity\",\"-Infinity\",null,1e308,-1e308,nan,inf]}\n",
    );
    let values = read(&store, 0, "logits").values;
    let spelled: String = values
        .iter()
        .map(|v| {
            if v.is_nan() {
                'n'
            } else if *v > 0.0 {
                '+'
            } else {
                '-'
            }
        })
        .collect();
    assert_eq!(spelled, "n+-n+-n+-n+");
    assert!(values.iter().all(|v| !v.is_finite()));
}

#[test]
fn lines_that_are_no_records_are_counted_with_their_numbers() {
    let folder = Folder::new();
    let good = |position: u32| {
        format!("{{\"checkpoint\":\"logits\",\"token_idx\":{position},\"values\":[{position}]}}")
    };
    let text = [
        "llama_model_loader: loaded meta data".to_owned(),
        good(0),
        String::new(),
        "{\"checkpoint\":\"logits\",\"token_idx\":1,\"values\":[1".to_owned(),
        "[]".to_owned(),
        good(2) + "\r",
        "\u{0}\u{1}\u{1b}[31m".to_owned(),
        "{\"unrelated\":true}".to_owned(),
        "{\"checkpoint\":\"node_17\",\"token_idx\":1,\"values\":[1]}".to_owned(),
    ];
    let store = folder.load(text.join("\n"));
    assert_eq!(store.positions().collect::<Vec<_>>(), [0, 2]);
    let lines: Vec<u64> = store.notes().skipped.iter().map(|(line, _)| *line).collect();
    assert_eq!(lines, [1, 4, 5, 7, 8]);
    assert_eq!(store.notes().skipped_count, 5);
    assert_eq!(store.notes().foreign.get("node_17"), Some(&1));
    assert_eq!(store.cell(2, Checkpoint::LOGITS).unwrap().line, 6);

    let flood = format!("{}\n", good(0)) + &"garbage\n".repeat(1000);
    let notes = folder.load(flood).notes().clone();
    assert_eq!((notes.skipped.len(), notes.skipped_count), (100, 1000));
    let names: Vec<String> = (0..1000).map(|n| good(0).replace("logits", &format!("x{n}"))).collect();
    let notes = folder.load(names.join("\n")).notes().clone();
    assert!(notes.foreign.len() <= 101);
    assert_eq!(notes.foreign.values().sum::<u64>(), 1000);
}

#[test]
fn a_last_line_without_newline_counts_in_a_finished_file_only_when_whole() {
    let folder = Folder::new();
    let line = "{\"checkpoint\":\"logits\",\"token_idx\":0,\"values\":[1]}\n";
    let last = "{\"checkpoint\":\"logits\",\"token_idx\":1,\"values\":[2,3]}";
    let whole = folder.load(format!("{line}{last}"));
    assert_eq!(read(&whole, 1, "logits").values, [2.0, 3.0]);
    let torn = folder.load(format!("{line}{}", &last[..last.len() - 2]));
    assert_eq!(torn.positions().count(), 1);
    assert_eq!(torn.notes().skipped_count, 1);

    // While it grows, the rest is waited for.
    let path = folder.file("grows.jsonl", format!("{line}{last}"));
    let mut growing = Store::new(&path);
    assert_eq!(growing.advance(u64::MAX).unwrap().changed, [0]);
    fs::write(&path, format!("{line}{last}\n")).unwrap();
    assert_eq!(growing.advance(u64::MAX).unwrap().changed, [0, 1]);
    assert_eq!(growing.notes().skipped_count, 0);
}

#[test]
fn the_last_of_two_records_for_a_cell_counts() {
    let folder = Folder::new();
    let record = |value: &str, position: u32| {
        format!(
            "{{\"checkpoint\":\"l_out-0\",\"token_idx\":{position},\"shape\":[2],\"values\":[{value}]}}\n"
        )
    };
    let store = folder.load([record("1", 5), record("2,3", 1), record("4,5", 5)].concat());
    assert_eq!(store.positions().collect::<Vec<_>>(), [1, 5], "ascending, whatever the order of lines");
    assert_eq!(read(&store, 5, "l_out-0").values, [4.0, 5.0]);
    assert_eq!((store.notes().duplicates, store.notes().partial), (1, 0));
}

#[test]
fn what_was_rewound_is_void_and_its_repetition_no_duplicate() {
    let folder = Folder::new();
    let path = folder.path("run.jsonl");
    let mut writer = TraceWriter::create(&path, &header()).unwrap();
    let write = |writer: &mut TraceWriter, position: u32, value: f32| {
        writer.token(position, &Token::default()).unwrap();
        writer.tensor(position, Checkpoint::LOGITS, None, "x", &[1], &[value]).unwrap();
        writer.complete(position).unwrap();
    };
    for position in 0..4 {
        write(&mut writer, position, position as f32);
    }
    let mut store = Store::new(&path);
    assert_eq!(store.advance(u64::MAX).unwrap().changed, [0, 1, 2, 3]);
    writer.rewind(2).unwrap();
    assert_eq!(store.advance(u64::MAX).unwrap().changed, [2, 3]);
    assert_eq!(store.positions().collect::<Vec<_>>(), [0, 1]);
    write(&mut writer, 2, 20.0);
    writer.end().unwrap();
    assert_eq!(store.advance(u64::MAX).unwrap().changed, [2]);
    assert_eq!(read(&store, 2, "logits").values, [20.0]);
    assert_eq!(store.notes().duplicates, 0);
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.ends_with("{\"end\":true,\"positions\":3,\"records\":3}\n"), "{text}");
}

#[test]
fn a_header_after_records_begins_another_run() {
    let folder = Folder::new();
    let path = folder.path("appended.jsonl");
    let run = |team: &str, positions: u32| -> String {
        let records = (0..positions)
            .map(|p| format!("{{\"checkpoint\":\"logits\",\"token_idx\":{p},\"values\":[{p}]}}\n"));
        format!("{{\"paritty\":1,\"team\":\"{team}\"}}\n") + &records.collect::<String>()
    };
    fs::write(&path, run("first", 5)).unwrap();
    let mut store = Store::new(&path);
    assert_eq!(store.advance(u64::MAX).unwrap().changed.len(), 5);
    fs::write(&path, run("first", 5) + &run("second", 2)).unwrap();
    let progress = store.advance(u64::MAX).unwrap();
    assert!(progress.restarted);
    assert_eq!(progress.changed, [0, 1]);
    assert_eq!((store.team(), store.positions().count()), (Some("second"), 2));
    assert_eq!((store.notes().earlier_runs, store.notes().restarts, store.notes().duplicates), (1, 0, 0));
    assert_eq!(read(&store, 1, "logits").values, [1.0]);
}

#[test]
fn a_record_whose_bytes_are_late_waits_and_then_is_told() {
    let folder = Folder::new();
    let text = "{\"paritty\":1,\"sidecar\":\"s.bin\"}\n{\"checkpoint\":\"logits\",\"token_idx\":3,\"shape\":[2],\"offset\":4,\"bytes\":8}\n";
    let path = folder.file("t.jsonl", text);
    let mut store = Store::new(&path);
    assert_eq!(store.advance(u64::MAX).unwrap().changed, [3]);
    assert_eq!(store.notes().waiting, 1);
    let mut tensor = Tensor::default();
    let missing = store.read(3, Checkpoint::LOGITS, &mut tensor).unwrap_err().to_string();
    assert!(missing.contains("t.jsonl, line 2") && missing.contains("s.bin"), "{missing}");

    let sidecar = folder.file("s.bin", [0; 8]);
    assert!(store.advance(u64::MAX).unwrap().changed.is_empty());
    let short = store.read(3, Checkpoint::LOGITS, &mut tensor).unwrap_err().to_string();
    assert!(short.contains("bytes 4 to 12 of `s.bin`, which has 8"), "{short}");
    assert!(tensor.values.is_empty());

    fs::write(&sidecar, [&[0; 4], &1.5_f32.to_le_bytes()[..], &2.5_f32.to_le_bytes()].concat()).unwrap();
    assert_eq!(store.advance(u64::MAX).unwrap().changed, [3]);
    assert_eq!(store.notes().waiting, 0);
    assert_eq!(read(&store, 3, "logits").values, [1.5, 2.5]);
}

#[test]
fn a_sidecar_elsewhere_is_refused() {
    let folder = Folder::new();
    fs::create_dir(folder.path("sub")).unwrap();
    folder.file("outside.bin", [0; 64]);
    for name in ["../outside.bin", "/etc/hostname", "sub/../../outside.bin", "..", ""] {
        let text = format!(
            "{{\"paritty\":1,\"sidecar\":{name:?}}}\n{{\"checkpoint\":\"logits\",\"token_idx\":0,\"shape\":[1],\"offset\":0,\"bytes\":4}}\n"
        );
        let store = Store::load(&folder.file("sub/t.jsonl", text)).unwrap();
        assert_eq!(store.positions().count(), 0, "{name}");
        assert_eq!(store.notes().skipped_count, 1);
        assert!(store.notes().skipped.iter().all(|(_, reason)| reason.contains("plain file name")));
    }
    let none = folder
        .load("{\"paritty\":1}\n{\"checkpoint\":\"logits\",\"token_idx\":0,\"shape\":[1],\"offset\":0}\n");
    assert!(none.notes().skipped[0].1.contains("no sidecar"));
}

#[test]
fn a_sidecar_that_is_a_folder_is_an_error_of_the_record() {
    let folder = Folder::new();
    fs::create_dir(folder.path("d.bin")).unwrap();
    let store = folder.load("{\"paritty\":1,\"sidecar\":\"d.bin\"}\n{\"checkpoint\":\"logits\",\"token_idx\":0,\"shape\":[1],\"offset\":0}\n");
    let error = store.read(0, Checkpoint::LOGITS, &mut Tensor::default()).unwrap_err().to_string();
    assert!(error.contains("line 2") && error.contains("directory"), "{error}");
    assert_eq!(store.notes().waiting, 1);
}

#[test]
fn sizes_are_checked_before_anything_is_allocated() {
    let folder = Folder::new();
    folder.file("s.bin", [0; 16]);
    let huge = r#"{"paritty":1,"sidecar":"s.bin"}
{"checkpoint":"logits","token_idx":0,"shape":[268435456],"offset":0}
{"checkpoint":"embd","token_idx":0,"shape":[4],"offset":9223372036854775800,"bytes":16}
{"checkpoint":"embd","token_idx":0,"shape":[65536,65536],"offset":0}
{"checkpoint":"embd","token_idx":4294967295,"shape":[4],"offset":0}
{"checkpoint":"embd","token_idx":0,"shape":[4],"offset":0,"bytes":1000000}
"#;
    let store = folder.load(huge);
    let lines: Vec<u64> = store.notes().skipped.iter().map(|(line, _)| *line).collect();
    assert_eq!(lines, [3, 4, 5, 6]);
    let mut tensor = Tensor::default();
    assert!(store.read(0, Checkpoint::LOGITS, &mut tensor).is_err());
    assert_eq!(tensor.values.capacity(), 0);
}

#[test]
fn values_that_are_no_numbers_are_an_error_of_the_record() {
    let folder = Folder::new();
    let store =
        folder.load("{\"paritty\":1}\n{\"checkpoint\":\"logits\",\"token_idx\":0,\"values\":[1,oops,3]}\n");
    let error = store.read(0, Checkpoint::LOGITS, &mut Tensor::default()).unwrap_err().to_string();
    assert!(error.contains("line 2") && error.contains("value 1"), "{error}");
}

#[test]
fn a_long_row_of_text_is_read_in_parts() {
    let folder = Folder::new();
    let values: Vec<f32> = (0..151_936).map(|n| (n as f32 * 0.37).sin() * 10.0).collect();
    let path = folder.path("long.jsonl");
    let mut writer = TraceWriter::create_text(&path, &header(), None).unwrap();
    writer.tensor(0, Checkpoint::LOGITS, None, "x", &[values.len() as u32], &values).unwrap();
    writer.complete(0).unwrap();
    drop(writer);
    let store = Store::load(&path).unwrap();
    assert_eq!(bits(&read(&store, 0, "logits").values), bits(&values));

    // Numbers padded to about 70 bytes make a line of ten megabytes whose parts end everywhere.
    let padded: Vec<String> =
        values.iter().enumerate().map(|(n, v)| format!("{v}{}", " ".repeat(50 + n % 20))).collect();
    let line = format!("{{\"checkpoint\":\"logits\",\"token_idx\":0,\"values\":[{}]}}\n", padded.join(","));
    assert!(line.len() > 9_000_000);
    assert_eq!(bits(&read(&folder.load(line), 0, "logits").values), bits(&values));
}

#[test]
fn a_line_beyond_the_limit_is_passed_over() {
    let folder = Folder::new();
    let path = folder.path("long.jsonl");
    let record = |n: u32| format!("{{\"checkpoint\":\"logits\",\"token_idx\":{n},\"values\":[{n}]}}\n");
    let mut text = record(0).into_bytes();
    text.resize(text.len() + (70 << 20), b'x');
    text.push(b'\n');
    text.extend(record(1).bytes());
    fs::write(&path, text).unwrap();
    let store = Store::load(&path).unwrap();
    assert_eq!(store.positions().collect::<Vec<_>>(), [0, 1]);
    assert_eq!(store.notes().skipped.len(), 1);
    assert_eq!(store.notes().skipped[0].0, 2);
    assert_eq!(store.cell(1, Checkpoint::LOGITS).unwrap().line, 3);
    assert_eq!(read(&store, 1, "logits").values, [1.0]);
}

#[test]
fn what_is_no_trace_is_told_clearly() {
    let folder = Folder::new();
    let load = |name: &str, content: &[u8]| problem(Store::load(&folder.file(name, content)));
    let directory = problem(Store::load(folder.0.path()));
    assert!(directory.contains("is a directory"), "{directory}");
    assert!(problem(Store::load(&folder.path("absent.jsonl"))).contains("absent.jsonl"));
    assert!(load("e.jsonl", b"").contains("is empty"));
    assert!(load("m.jsonl", b"GGUF\x03\0\0\0\n\n").contains("GGUF model"));
    let version =
        load("v.jsonl", b"{\"paritty\":2}\n{\"checkpoint\":\"logits\",\"token_idx\":0,\"values\":[1]}\n");
    assert!(version.contains("version 2") && version.contains("version 1"), "{version}");
    let text = load("t.jsonl", b"hello\nworld\n");
    assert!(text.contains("line 1") && text.contains("JSON lines"), "{text}");
    let binary: Vec<u8> = (0..300_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let binary = load("b.jsonl", &binary);
    assert!(binary.contains("JSON lines") && !binary.chars().any(char::is_control), "{binary}");
}

#[test]
fn a_follower_can_say_that_a_file_is_no_trace_so_far() {
    let folder = Folder::new();
    let path = folder.file("log.jsonl", "GGUF\0\n");
    let mut store = Store::new(&path);
    assert_eq!(store.complaint(), None);
    store.advance(u64::MAX).unwrap();
    assert!(store.complaint().unwrap().contains("GGUF model"));
    let record = "{\"checkpoint\":\"logits\",\"token_idx\":0,\"values\":[1]}\n";
    fs::write(&path, format!("GGUF\0\n{record}")).unwrap();
    store.advance(u64::MAX).unwrap();
    assert_eq!(store.complaint(), None);
}

#[test]
fn a_pipe_is_refused_without_waiting_for_its_writer() {
    let folder = Folder::new();
    let path = folder.path("pipe.jsonl");
    let made = std::process::Command::new("mkfifo").arg(&path).status();
    if made.is_ok_and(|status| status.success()) {
        assert!(problem(Store::load(&path)).contains("no regular file"));
    }
}

#[test]
fn a_byte_order_mark_and_windows_line_ends_do_no_harm() {
    let folder = Folder::new();
    let store = folder
        .load("\u{feff}{\"checkpoint\":\"logits\",\"token_idx\":0,\"values\":[1.5]}\r\n{\"end\":true}\r\n");
    assert_eq!(read(&store, 0, "logits").values, [1.5]);
    assert!(store.has_ended());
    assert_eq!(store.notes().skipped_count, 0);
}

#[test]
fn completeness_is_what_the_writer_says() {
    let folder = Folder::new();
    let token = |p: u32, columns: u32| format!("{{\"token_idx\":{p},\"token\":1,\"columns\":{columns}}}\n");
    let batch = folder.load(token(0, 2) + &token(1, 2));
    assert!(!batch.is_complete(0), "positions of one batch come together");
    let single = folder.load(token(0, 1) + &token(1, 1));
    assert!(single.is_complete(0) && !single.is_complete(1) && !single.is_complete(7));
    let said =
        folder.load(token(0, 1) + &token(1, 1) + &token(2, 1) + "{\"token_idx\":1,\"complete\":true}\n");
    assert_eq!([0, 1, 2].map(|p| said.is_complete(p)), [false, true, false]);
    let ended = folder.load(token(0, 2) + "{\"end\":true,\"positions\":1,\"records\":0}\n");
    assert!(ended.is_complete(0));
}

#[test]
fn a_model_is_not_overwritten_by_a_sidecar() {
    let folder = Folder::new();
    let weights = folder.file("model.bin", "weights");
    let error = TraceWriter::create(&folder.path("model.jsonl"), &header()).unwrap_err().to_string();
    assert!(error.contains("model.bin") && error.contains("another name"), "{error}");
    assert_eq!(fs::read_to_string(weights).unwrap(), "weights");
    let error =
        TraceWriter::create(Path::new("/nonexistent/folder/t.jsonl"), &header()).unwrap_err().to_string();
    assert!(error.contains("create it first"), "{error}");
    assert!(TraceWriter::create(&folder.path("t.bin"), &header()).is_err());
}

#[test]
fn a_reader_keeps_its_run_until_it_sees_the_next_one() {
    let folder = Folder::new();
    let path = folder.path("run.jsonl");
    let write = |value: f32| {
        let mut writer = TraceWriter::create(&path, &header()).unwrap();
        writer.tensor(0, Checkpoint::LOGITS, None, "x", &[1], &[value]).unwrap();
        writer.complete(0).unwrap();
    };
    write(1.0);
    let mut store = Store::new(&path);
    store.advance(u64::MAX).unwrap();
    // The second run has the same text to the byte; only its sidecar differs.
    write(2.0);
    assert_eq!(read(&store, 0, "logits").values, [1.0]);
    assert!(store.advance(u64::MAX).unwrap().restarted);
    assert_eq!(read(&store, 0, "logits").values, [2.0]);
    assert_eq!(store.notes().restarts, 1);
}
