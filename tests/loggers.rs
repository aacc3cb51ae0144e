//! The loggers in `assets/loggers`: compiled, run in engines of several threads that end in every way,
//! and read back through paritty's own reader, bit by bit.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::print_stderr, reason = "says what was left out and why")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use paritty::model::Checkpoint;
use paritty::trace::{Dtype, Store, Tensor};

const POSITIONS: u32 = 24;
const LAYERS: usize = 4;
const VOCABULARY: u32 = 1000;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The rule of `tests/loggers/host.h`: any bits at all.
fn bits(position: u32, tag: u32, channel: u32) -> u32 {
    let x = position
        .wrapping_mul(1_000_003)
        .wrapping_add(tag.wrapping_mul(7919))
        .wrapping_add(channel.wrapping_mul(104_729))
        .wrapping_add(1)
        .wrapping_mul(2_654_435_761);
    (x ^ (x >> 15)).wrapping_mul(2_246_822_519)
}

fn expected(position: u32, tag: u32, dtype: Dtype, count: u32) -> Vec<f32> {
    let mut out = Vec::new();
    for channel in 0..count {
        let bits = bits(position, tag, channel).to_le_bytes();
        dtype.widen(if dtype == Dtype::F32 { &bits } else { &bits[2..] }, &mut out);
    }
    out
}

/// Reads one record and compares all bits; text (`values` below the maximum) has but one NaN.
fn check(store: &Store, position: u32, name: &str, dtype: Dtype, shape: &[u32], tag: u32, values: usize) {
    let at: Checkpoint = name.parse().unwrap();
    let count = shape.iter().product::<u32>();
    let cell = store.cell(position, at).unwrap_or_else(|| panic!("{name} at {position} is missing"));
    assert_eq!((cell.dtype, &*cell.shape), (dtype, shape), "{name} at {position}");
    let mut tensor = Tensor::default();
    assert!(store.read(position, at, &mut tensor).unwrap());
    let wanted = expected(position, tag, dtype, count);
    let kept = values.min(count as usize);
    assert_eq!(tensor.values.len(), kept, "{name} at {position}");
    for (channel, (found, wanted)) in tensor.values.iter().zip(&wanted).enumerate() {
        let both_nan = found.is_nan() && wanted.is_nan();
        let same = found.to_bits() == wanted.to_bits() || (values < usize::MAX && both_nan);
        assert!(same, "{name} at {position}, channel {channel}: {found:e}, not {wanted:e}");
    }
    assert!(tensor.exact || values < usize::MAX, "a sidecar keeps every bit");
}

fn check_layer(store: &Store, position: u32, layer: usize, values: usize) {
    let tag = 10 * (layer as u32 + 1);
    check(store, position, &format!("Qcur-{layer}"), Dtype::F16, &[8, 4], tag + 1, values);
    check(store, position, &format!("Kcur-{layer}"), Dtype::Bf16, &[8, 2], tag + 2, values);
    check(store, position, &format!("l_out-{layer}"), Dtype::F32, &[64], tag + 3, values);
}

/// Everything that a host records before it ends, and nothing else odd.
fn check_run(path: &Path, team: &str, values: usize) -> Store {
    let store = Store::load(path).unwrap();
    let header = store.header().unwrap();
    assert_eq!((store.team(), &*header.model.arch), (Some(team), "llama"));
    assert_eq!((&*header.model.name, header.model.weights.as_deref()), ("tiny \u{FFFD}", Some("Q8_0")));
    assert_eq!((header.model.n_layer, header.model.n_vocab), (4, VOCABULARY));
    assert_eq!((header.n_prompt, header.prompt.as_deref()), (Some(5), Some("What \"light\"\n")));
    let settings = &header.settings;
    assert_eq!(
        (settings.kv.as_deref(), settings.threads, settings.flash_attn),
        (Some("f16"), Some(4), Some(false))
    );
    assert_eq!(settings.other["own"], "a\"b");
    assert_eq!(store.positions().collect::<Vec<_>>(), (0..POSITIONS).collect::<Vec<_>>());
    for position in 0..POSITIONS {
        let token = store.token(position).unwrap();
        assert_eq!((token.id, token.from_prompt, token.columns), (7 * position, position < 5, Some(4)));
        assert_eq!(token.piece.as_deref(), Some("a\"\\\n\u{1}\u{FFFD}\u{FFFD}\0é漢"));
        for layer in 0..LAYERS {
            check_layer(&store, position, layer, values);
        }
        check(&store, position, "result_output", Dtype::F32, &[VOCABULARY], 1, values);
    }
    let notes = store.notes();
    assert_eq!((notes.skipped_count, notes.duplicates, notes.waiting), (0, 0, 0), "{notes:?}");
    assert!(notes.foreign.is_empty());
    store
}

/// Counts of the terminating line, where there is one.
fn end_line(path: &Path) -> Option<(u64, u64)> {
    let text = fs::read_to_string(path).unwrap();
    let line: serde_json::Value = serde_json::from_str(text.lines().last()?).unwrap();
    (line["end"] == true).then(|| (line["positions"].as_u64().unwrap(), line["records"].as_u64().unwrap()))
}

/// A command that knows nothing of the tester's own settings.
fn clean(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new(program);
    for name in ["ORCH_LOG_FILE", "ORCH_LOG_TEAM", "ORCH_LOG_VALUES"] {
        command.env_remove(name);
    }
    command
}

/// Whether `program` can be run here; if not, says what is left out.
fn is_there(program: &str, what: &str) -> bool {
    let there = Command::new(program).arg("--version").output().is_ok_and(|o| o.status.success());
    if !there {
        eprintln!("no `{program}` here: {what} is left out");
    }
    there
}

/// Runs a compiler, which must have nothing to say.
fn compile(compiler: &str, arguments: &[&str]) {
    let output = Command::new(compiler).args(arguments).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.is_empty(), "{compiler} {arguments:?}\n{said}");
}

const STRICT: [&str; 6] = ["-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-O1", "-pthread"];

/// Compiles a host of `tests/loggers` with a C or C++ compiler.
fn compile_host(compiler: &str, source: &str, options: &[&str], folder: &Path, name: &str) -> PathBuf {
    let program = folder.join(name);
    let (include, source) = (root().join("assets/loggers"), root().join("tests/loggers").join(source));
    let [include, source, out] = [&include, &source, &program].map(|p| p.to_str().unwrap());
    let arguments = [&STRICT[..], &["-I", include], options, &[source, "-o", out]].concat();
    compile(compiler, &arguments);
    program
}

fn record(program: &Path, mode: &str, folder: &Path, settings: &[(&str, &str)]) -> Output {
    let path = folder.join(format!("{mode}.jsonl"));
    clean(program)
        .arg(mode)
        .env("ORCH_LOG_FILE", path)
        .envs(settings.iter().copied())
        .current_dir(folder)
        .output()
        .unwrap()
}

fn quiet(output: &Output) {
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// What every host does alike, whatever its language.
fn check_host(program: &Path, folder: &Path) {
    let full = (u64::from(POSITIONS), u64::from(POSITIONS) * 13);
    for mode in ["return", "exit", "abort", "rewind"] {
        let output = record(program, mode, folder, &[]);
        let path = folder.join(format!("{mode}.jsonl"));
        match mode {
            "abort" => assert!(output.status.signal().is_some()),
            _ => assert!(output.status.success(), "{mode}"),
        }
        quiet(&output);
        if mode == "rewind" {
            let store = Store::load(&path).unwrap();
            assert_eq!(store.positions().last(), Some(20));
            assert_eq!(store.checkpoints(20).count(), 3);
            check_layer(&store, 20, 0, usize::MAX);
            assert_eq!(end_line(&path), Some((21, 20 * 13 + 3)));
            continue;
        }
        let store = check_run(&path, "host", usize::MAX);
        assert!((0..POSITIONS).all(|position| store.is_complete(position)));
        assert_eq!(store.has_ended(), mode == "return", "{mode}");
        assert_eq!(end_line(&path), (mode == "return").then_some(full), "{mode}");
    }

    // The study's variables.
    let settings = [("ORCH_LOG_VALUES", "5"), ("ORCH_LOG_TEAM", "other \"one\"")];
    quiet(&record(program, "text", folder, &settings));
    check_run(&folder.join("text.jsonl"), "other \"one\"", 5);
    assert!(!folder.join("text.bin").exists(), "text needs no sidecar");
    let all = [("ORCH_LOG_VALUES", "999999")];
    quiet(&record(program, "all", folder, &all));
    check_run(&folder.join("all.jsonl"), "host", 999_999);

    // Switched off: nothing is said or written.
    let off = folder.join("off");
    fs::create_dir(&off).unwrap();
    for value in [None, Some("")] {
        let output = clean(program)
            .arg("return")
            .envs(value.map(|v| ("ORCH_LOG_FILE", v)))
            .current_dir(&off)
            .output()
            .unwrap();
        assert!(output.status.success());
        quiet(&output);
        assert_eq!(fs::read_dir(&off).unwrap().count(), 0);
    }

    // Trouble is told once, and the engine goes on.
    fs::write(off.join("weights.bin"), b"a model's weights").unwrap();
    let none = folder.join("none/run.jsonl");
    let files = [
        (none.to_str().unwrap(), "No such file"),
        ("/dev/full", "No space left"),
        ("weights.jsonl", "belongs to no trace"),
        ("run.bin", "a name"),
    ];
    for (file, reason) in files {
        let output =
            clean(program).arg("return").env("ORCH_LOG_FILE", file).current_dir(&off).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{file}: {said}");
        assert_eq!(said.lines().count(), 1, "{file}: {said}");
        assert!(said.starts_with("paritty_trace: ") && said.contains(reason), "{file}: {said}");
    }
    assert_eq!(fs::read(off.join("weights.bin")).unwrap(), b"a model's weights");
    assert_eq!(fs::read_dir(&off).unwrap().count(), 1);
}

#[test]
fn the_c_header_in_c() {
    let folder = tempfile::tempdir().unwrap();
    for standard in ["-std=c99", "-std=c11", "-std=gnu17"] {
        let program = compile_host("cc", "host.c", &[standard], folder.path(), "host");
        if standard == "-std=c99" {
            check_host(&program, folder.path());
            check_c_alone(&program, folder.path());
        }
    }
}

/// What only C has: an exit without any handler, a handler registered before the logger, a fork, and a
/// file that may not grow.
fn check_c_alone(program: &Path, folder: &Path) {
    assert!(record(program, "_exit", folder, &[]).status.success());
    check_run(&folder.join("_exit.jsonl"), "host", usize::MAX);

    quiet(&record(program, "atexit", folder, &[]));
    let store = check_run(&folder.join("atexit.jsonl"), "host", usize::MAX);
    check(&store, 0, "result_norm", Dtype::F32, &[16], 2, usize::MAX);
    assert!(store.has_ended());

    quiet(&record(program, "fork", folder, &[]));
    check_fork(folder);

    // 8 blocks of 512 bytes or more, by shell: less than the run needs.
    let output = clean("sh")
        .args(["-c", "ulimit -f 8; exec \"$0\" return"])
        .arg(program)
        .env("ORCH_LOG_FILE", folder.join("limited.jsonl"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.lines().count() == 1 && said.contains("too large"), "{said}");
    let store = Store::load(&folder.join("limited.jsonl")).unwrap();
    assert_eq!((store.notes().skipped_count, store.notes().waiting), (0, 0), "no line is torn");
    assert!(store.positions().count() > 3 && !store.has_ended());
}

/// Two processes, two traces.
fn check_fork(folder: &Path) {
    let parent = folder.join("fork.jsonl");
    let child = fs::read_dir(folder).unwrap().map(|f| f.unwrap().path()).find(|path| {
        let stem = path.file_stem().unwrap().to_str().unwrap();
        stem.starts_with("fork-") && path.extension().is_some_and(|e| e == "jsonl")
    });
    for (path, positions) in [(parent, [0, 2, 4].as_slice()), (child.unwrap(), &[1, 3])] {
        let store = Store::load(&path).unwrap();
        assert_eq!(store.positions().collect::<Vec<_>>(), positions);
        assert_eq!((store.notes().skipped_count, store.has_ended()), (0, true));
        for &position in positions {
            check_layer(&store, position, [0, 1, 1, 2, 2][position as usize], usize::MAX);
        }
    }
}

#[test]
fn the_c_header_in_cpp() {
    if !is_there("c++", "the C header in C++") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    for standard in ["-std=c++11", "-std=c++17"] {
        let program = compile_host("c++", "host.c", &[standard, "-x", "c++"], folder.path(), "host");
        if standard == "-std=c++11" {
            check_host(&program, folder.path());
        }
    }
}

/// Destructors and exit handlers in every order: what the study's logger could not survive.
#[test]
fn objects_that_are_gone_may_still_record() {
    if !is_there("c++", "the test of static destructors") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let one = folder.join("implementation.c");
    fs::write(&one, "#define PARITTY_TRACE_IMPLEMENTATION\n#include \"paritty_trace.h\"\n").unwrap();
    let (include, object) = (root().join("assets/loggers"), folder.join("implementation.o"));
    let [include, one, object] = [&include, &one, &object].map(|p| p.to_str().unwrap());
    compile("cc", &[&STRICT[..], &["-std=c99", "-I", include, "-c", one, "-o", object]].concat());
    let program = compile_host("c++", "statics.cpp", &["-std=c++11", object], folder, "statics");

    assert!(record(&program, "return", folder, &[]).status.success());
    let store = Store::load(&folder.join("return.jsonl")).unwrap();
    // The global's destructor, the local static's, and the handler that runs after the latter.
    let sites = [("attn_norm-0", 1), ("attn_norm-1", 2), ("attn_norm-2", 3), ("embd", 4)];
    for (name, tag) in sites {
        check(&store, 0, name, Dtype::F32, &[16], tag, usize::MAX);
    }
    assert_eq!(store.checkpoints(0).count(), sites.len());
    assert!(record(&program, "quick_exit", folder, &[]).status.success());
    let store = Store::load(&folder.join("quick_exit.jsonl")).unwrap();
    check(&store, 0, "embd", Dtype::F32, &[16], 4, usize::MAX);
}

#[test]
fn the_rust_module() {
    let rustc = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned());
    if !is_there(&rustc, "the Rust module") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    for (from, to) in
        [("tests/loggers/host.rs", "host.rs"), ("assets/loggers/paritty_trace.rs", "paritty_trace.rs")]
    {
        fs::copy(root().join(from), folder.join(to)).unwrap();
    }
    let (source, program) = (folder.join("host.rs"), folder.join("host"));
    let [input, out] = [&source, &program].map(|p| p.to_str().unwrap());
    for edition in ["2024", "2021"] {
        compile(&rustc, &["--edition", edition, "-C", "opt-level=1", input, "-o", out]);
    }
    check_host(&program, folder);

    let output = record(&program, "panic", folder, &[]);
    assert!(!output.status.success());
    let store = check_run(&folder.join("panic.jsonl"), "host", usize::MAX);
    check(&store, 0, "result_norm", Dtype::F32, &[16], 2, usize::MAX);
    assert!(store.has_ended());
}

/// The Python that has the libraries, if another one than `python3` has them.
fn python_with_libraries() -> String {
    std::env::var("PARITTY_PYTHON").unwrap_or_else(|_| "python3".to_owned())
}

/// A program that hands its arguments to a Python script.
fn python_host(folder: &Path, python: &str) -> PathBuf {
    let (program, script) = (folder.join("host"), root().join("tests/loggers/host.py"));
    fs::write(&program, format!("#!/bin/sh\nexec '{python}' -B '{}' \"$@\"\n", script.display())).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    program
}

#[test]
fn the_python_module() {
    if !is_there("python3", "the Python module") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let program = python_host(folder, "python3");
    check_host(&program, folder);
    quiet(&record(&program, "fork", folder, &[]));
    check_fork(folder);

    let program = python_host(folder, &python_with_libraries());
    let output = record(&program, "kinds", folder, &[]);
    quiet(&output);
    let there = String::from_utf8(output.stdout).unwrap();
    let store = Store::load(&folder.join("kinds.jsonl")).unwrap();
    let rows: Vec<f32> = (0..24).map(|i| i as f32 / 4.0 - 2.0).collect();
    let mut groups = vec![(0, Dtype::F32)];
    for (library, first, dtypes) in [
        ("numpy", 1, &[Dtype::F32, Dtype::F16, Dtype::F32, Dtype::F32, Dtype::F32, Dtype::F32][..]),
        ("torch", 7, &[Dtype::F32, Dtype::F16, Dtype::Bf16, Dtype::F32]),
    ] {
        if there.contains(library) {
            groups.extend((first..).zip(dtypes.iter().copied()));
        } else {
            eprintln!("no {library} here: its arrays are left out");
        }
    }
    let at: Checkpoint = "Qcur_rope-0".parse().unwrap();
    for (position, dtype) in groups {
        let mut tensor = Tensor::default();
        assert!(store.read(position, at, &mut tensor).unwrap(), "{position}");
        let scale = if position == 5 { 4.0 } else { 1.0 };
        assert_eq!(tensor.values, rows.iter().map(|x| x * scale).collect::<Vec<_>>(), "{position}");
        assert_eq!((&*tensor.shape, store.cell(position, at).unwrap().dtype), (&[8, 3][..], dtype));
    }
    assert_eq!(store.notes().skipped_count, 0);
}

/// The hooks against our own engine in f64: every family, every checkpoint that hooks can have. Both compute in their
/// own way from the same weights, so that agreement says that names, shapes, order and positions are right.
#[test]
fn hugging_face_models() {
    let python = python_with_libraries();
    let script = root().join("tests/loggers/hugging_face.py");
    let has_libraries = Command::new(&python)
        .args(["-c", "import gguf, numpy, torch, transformers"])
        .output()
        .is_ok_and(|o| o.status.success());
    if !has_libraries {
        eprintln!(
            "{python} lacks gguf, torch or transformers (PARITTY_PYTHON names another): the hooks are left out"
        );
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let asset = |name: &str| root().join("assets/models").join(name);
    // What hooks cannot have, beside kq.
    let biased = ["Qcur_mm", "Kcur_mm", "Vcur_mm"];
    let models = [
        (asset("shakespeare-f16.gguf"), "step", &[][..]),
        (asset("shakespeare-llama3-q4_k_m.gguf"), "batch", &[]),
        (asset("shakespeare-qwen2-f16.gguf"), "generate", &biased),
        (asset("shakespeare-phi3-q4_k_m.gguf"), "batch", &["Qcur_scaled"]),
        (asset("shakespeare-gpt2-f32.gguf"), "step", &["wqkv"]),
        (folder.join("gemma2.gguf"), "batch", &["Qcur_scaled"]),
    ];
    let names = models.each_ref().map(|(model, ..)| model.file_stem().unwrap().to_str().unwrap());
    let traces = names.map(|name| folder.join(format!("{name}.theirs.jsonl")));
    let mut command = clean(&python);
    command.arg("-B").arg(&script).args(["1,20,31,44,55,60,71,84,93,104,115,126", "float32"]);
    for ((model, how, _), trace) in models.iter().zip(&traces) {
        command.args([model, trace]).arg(how);
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let fed = String::from_utf8(output.stdout).unwrap();
    assert_eq!(fed.lines().count(), models.len(), "{fed}");

    for ((((model, how, left_out), name), theirs), tokens) in
        models.iter().zip(names).zip(&traces).zip(fed.lines())
    {
        let ours = folder.join(format!("{name}.ours.jsonl"));
        let [model, ours_text] = [model, &ours].map(|p| p.to_str().unwrap());
        let traced = clean(env!("CARGO_BIN_EXE_paritty"))
            .args(["trace", model, "--engine", "oracle", "--tokens", tokens, "-o", ours_text])
            .output()
            .unwrap();
        assert!(traced.status.success(), "{}", String::from_utf8_lossy(&traced.stderr));
        let (ours, theirs) = (Store::load(&ours).unwrap(), Store::load(theirs).unwrap());
        assert_eq!(ours.positions().count(), if *how == "generate" { 16 } else { 12 }, "{name}");
        let mut compared = 0;
        for position in ours.positions() {
            assert_eq!(
                ours.token(position).map(|t| t.id),
                theirs.token(position).map(|t| t.id),
                "{name}, {position}"
            );
            for at in ours.checkpoints(position) {
                let site = at.site().name();
                if site == "kq" || left_out.contains(&site) {
                    continue;
                }
                let (mut a, mut b) = (Tensor::default(), Tensor::default());
                assert!(ours.read(position, at, &mut a).unwrap());
                assert!(theirs.read(position, at, &mut b).unwrap(), "{name}: {at} at {position} is missing");
                assert_eq!(a.shape, b.shape, "{name}: {at}");
                let (mut error, mut square) = (0.0, 0.0);
                for (a, b) in a.values.iter().zip(&b.values) {
                    error += f64::from(a - b).powi(2);
                    square += f64::from(*a).powi(2);
                }
                // f32 against f64: the worst of all cells was 1.6e-12; a wrong order of rows gives 1.8.
                assert!(error / square < 1e-10, "{name}: {at} at {position}: NMSE {:e}", error / square);
                compared += 1;
            }
        }
        assert!(compared > 400, "{name}: {compared} cells");
    }
}
