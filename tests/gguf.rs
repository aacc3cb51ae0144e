//! Model files: what the writer writes the reader reads, and a broken file gets a message, never a panic.

#![allow(clippy::unwrap_used, clippy::float_cmp)]

use std::io::Write;
use std::path::{Path, PathBuf};

use paritty::gguf::{Gguf, GgufError, WeightType, Writer};
use proptest::prelude::*;

/// A small file with every kind of metadata, two tensors and the bytes that went into them.
fn sample() -> (Writer, Vec<Vec<u8>>) {
    let mut w = Writer::new();
    w.set("general.architecture", "llama")
        .set("int.u8", 200_u8)
        .set("int.i64", -5_i64)
        .set("float", 1e-5_f32)
        .set("double", 0.25_f64)
        .set("yes", true)
        .set("words", vec!["", "a", "▁the"])
        .set("raw", vec![&b"\xff\xfe"[..], b"ok"])
        .set("scores", vec![0.5_f32, f32::NEG_INFINITY])
        .set("types", vec![1_i32, -2, 3])
        .set("nested", vec![vec![1_u16, 2], vec![]]);
    w.tensor("a.weight", &[3, 2], WeightType::F32).unwrap();
    w.tensor("b.weight", &[32, 1], WeightType::Q8_0).unwrap();
    let a = (0..6_u8).flat_map(|i| f32::from(i).to_le_bytes()).collect();
    let mut b = half::f16::from_f32(0.5).to_le_bytes().to_vec();
    b.extend((0..32).map(|i| (i - 16_i8) as u8));
    (w, vec![a, b])
}

fn bytes_of(writer: &Writer, data: &[Vec<u8>]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut next = data.iter();
    writer.write(&mut out, |_, sink| sink.write_all(next.next().unwrap())).unwrap();
    out
}

fn open_bytes(bytes: &[u8]) -> Result<Gguf, GgufError> {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(bytes).unwrap();
    Gguf::open(file.path())
}

fn sample_bytes() -> Vec<u8> {
    let (w, data) = sample();
    bytes_of(&w, &data)
}

/// The message of the error that opening `bytes` gives.
fn complaint(bytes: &[u8]) -> String {
    open_bytes(bytes).map(|_| ()).unwrap_err().to_string()
}

#[test]
fn what_is_written_is_read() {
    let (_, data) = sample();
    let g = open_bytes(&sample_bytes()).unwrap();
    assert_eq!(g.version(), 3);
    assert_eq!(g.file_size() % 32, 0);
    assert_eq!(g.get_str("general.architecture").unwrap(), "llama");
    assert_eq!(g.get_u32("int.u8").unwrap(), 200);
    assert_eq!(g.meta("int.i64").unwrap().as_int(), Some(-5));
    assert_eq!(g.get_f32("float").unwrap(), 1e-5);
    assert_eq!(g.get_f32("double").unwrap(), 0.25);
    assert!(g.get_bool("yes").unwrap());
    assert_eq!(g.get_strs("words").unwrap().collect::<Vec<_>>(), [&b""[..], b"a", "▁the".as_bytes()]);
    assert_eq!(g.get_strs("raw").unwrap().next(), Some(&b"\xff\xfe"[..]));
    assert_eq!(g.get_f32s("scores").unwrap(), [0.5, f32::NEG_INFINITY]);
    assert_eq!(g.get_i32s("types").unwrap(), [1, -2, 3]);
    assert_eq!(g.meta("nested").unwrap().as_array().unwrap().len(), 2);
    assert_eq!(g.keys().count(), 11);
    assert_eq!(g.opt_u32("absent").unwrap(), None);

    let names: Vec<_> = g.tensors().iter().map(|t| t.name.as_str()).collect();
    assert_eq!(names, ["a.weight", "b.weight"]);
    let a = g.tensor("a.weight").unwrap();
    assert_eq!((a.row_len(), a.rows(), a.row_bytes(), a.elements()), (3, 2, 12, 6));
    assert_eq!(g.data(a), data[0]);
    assert_eq!(g.to_f32(a).unwrap(), [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
    let b = g.tensor("b.weight").unwrap();
    assert_eq!(g.to_f32(b).unwrap()[..3], [-8.0, -7.5, -7.0]);
    assert!(g.tensor("c.weight").is_none());
}

#[test]
fn copied_metadata_is_the_same_bytes() {
    let original = sample_bytes();
    let g = open_bytes(&original).unwrap();
    let mut w = Writer::new();
    w.copy_meta(&g);
    for t in g.tensors() {
        w.tensor(&t.name, &t.shape, t.weight_type).unwrap();
    }
    let mut copy = Vec::new();
    w.write(&mut copy, |t, sink| sink.write_all(g.data(g.tensor(&t.name).unwrap()))).unwrap();
    assert_eq!(copy, original);

    w.set("float", 2.0_f32).remove("words");
    let mut changed = Vec::new();
    w.write(&mut changed, |t, sink| sink.write_all(g.data(g.tensor(&t.name).unwrap()))).unwrap();
    let g = open_bytes(&changed).unwrap();
    assert_eq!(g.get_f32("float").unwrap(), 2.0);
    assert!(g.meta("words").is_none());
}

#[test]
fn writer_refuses_what_does_not_fit() {
    let mut w = Writer::new();
    let error = w.tensor("t", &[33], WeightType::Q8_0).map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("`t`") && error.contains("blocks of 32"), "{error}");
    w.tensor("t", &[4], WeightType::F32).unwrap();
    assert!(w.tensor("t", &[4], WeightType::F32).is_err());
    let error = w.write(&mut Vec::new(), |_, sink| sink.write_all(&[0; 15])).unwrap_err().to_string();
    assert!(error.contains("15 bytes were written, its shape takes 16"), "{error}");
}

#[test]
fn wrong_types_and_missing_keys_are_named() {
    let g = open_bytes(&sample_bytes()).unwrap();
    let text = |e: GgufError| e.to_string();
    let e = text(g.get_u32("float").unwrap_err());
    assert!(e.contains("key `float`") && e.contains("an integer"), "{e}");
    let e = text(g.get_u32("int.i64").unwrap_err());
    assert!(e.contains("the integer -5"), "{e}");
    let e = text(g.get_str("words").unwrap_err());
    assert!(e.contains("key `words`: is a list of 3 string; a text"), "{e}");
    let e = text(g.get_f32s("types").unwrap_err());
    assert!(e.contains("key `types`") && e.contains("list of floating-point"), "{e}");
    let e = text(g.get_f32("absent").unwrap_err());
    assert!(e.contains("key `absent`: is missing"), "{e}");
}

#[test]
fn every_truncation_is_refused_with_a_message() {
    let bytes = sample_bytes();
    // The last tensor's data ends before the file's padding does.
    let end = open_bytes(&bytes).map(|g| {
        let b = g.tensor("b.weight").unwrap();
        bytes.len() - (b.bytes.next_multiple_of(32) - b.bytes) as usize
    });
    let end = end.unwrap();
    for cut in 0..end {
        let message = complaint(&bytes[..cut]);
        assert!(message.contains("fetch it again"), "{cut}: {message}");
    }
    for cut in end..bytes.len() {
        open_bytes(&bytes[..cut]).unwrap();
    }
}

/// `bytes` with a number put at the place that `before` leads to.
fn patched(mut bytes: Vec<u8>, before: &[u8], number: &[u8]) -> Vec<u8> {
    let at = bytes.windows(before.len()).position(|w| w == before).unwrap() + before.len();
    bytes[at..at + number.len()].copy_from_slice(number);
    bytes
}

#[test]
fn hostile_counts_and_lengths_are_refused() {
    let bytes = sample_bytes();
    let huge = u64::MAX.to_le_bytes();
    let put = |at: usize, number: &[u8]| {
        let mut b = bytes.clone();
        b[at..at + number.len()].copy_from_slice(number);
        complaint(&b)
    };
    assert!(put(0, b"GGML").contains("no GGUF"), "magic");
    assert!(put(4, &1_u32.to_le_bytes()).contains("version 1"), "old");
    assert!(put(4, &3_u32.to_be_bytes()).contains("big-endian"), "endian");
    assert!(put(8, &huge).contains("18446744073709551615 tensors"), "tensors");
    assert!(put(16, &huge).contains("18446744073709551615 keys"), "keys");
    assert!(put(8, &1_000_000_u64.to_le_bytes()).contains("damaged"), "more tensors than there are");
    assert!(put(24, &huge).contains("the name of key 0"), "length of a key");

    let check = |before: &[u8], number: &[u8], expected: &[&str]| {
        let message = complaint(&patched(bytes.clone(), before, number));
        for e in expected {
            assert!(message.contains(e), "{message} lacks {e}");
        }
    };
    // The type of a value, the type and length of a list, the length of a string in it.
    check(b"float", &99_u32.to_le_bytes(), &["key `float`", "type 99"]);
    check(b"words", &[9, 0, 0, 0, 99, 0, 0, 0], &["key `words`", "a list of type 99"]);
    check(b"scores", &[&[9, 0, 0, 0, 6, 0, 0, 0], &huge[..]].concat(), &["key `scores`", "impossible"]);
    check(
        b"words",
        &[&[9, 0, 0, 0, 8, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0], &huge[..]].concat(),
        &["key `words`", "fetch it again"],
    );
    check(b"words", &[&[9, 0, 0, 0, 8, 0, 0, 0], &huge[..]].concat(), &["`words`"]);
    // A tensor's axes, shape, type, offset.
    let axes = |shape: [u64; 2]| {
        [2_u32.to_le_bytes().to_vec(), shape[0].to_le_bytes().to_vec(), shape[1].to_le_bytes().to_vec()]
            .concat()
    };
    check(b"a.weight", &9_u32.to_le_bytes(), &["`a.weight`", "9 axes"]);
    check(b"a.weight", &axes([1 << 40, 1 << 40]), &["`a.weight`", "more elements"]);
    check(b"a.weight", &axes([3, 1 << 40]), &["`a.weight`", "truncated"]);
    check(b"a.weight", &axes([0, 2]), &["`a.weight`", "length 0"]);
    check(b"b.weight", &axes([31, 1]), &["`b.weight`", "blocks of 32"]);
    let entry = |shape: [u64; 2], id: u32, offset: u64| {
        [axes(shape), id.to_le_bytes().to_vec(), offset.to_le_bytes().to_vec()].concat()
    };
    check(b"a.weight", &entry([3, 2], 4, 0), &["`a.weight`", "type 4,"]);
    check(b"b.weight", &entry([32, 1], 8, 33), &["`b.weight`", "multiple of 32"]);
    check(b"b.weight", &entry([32, 1], 8, u64::MAX - 31), &["`b.weight`", "truncated"]);
    check(b"b.weight", &entry([32, 1], 8, 0), &["`b.weight`", "overlaps tensor `a.weight`"]);
    // A name that would clear the screen arrives as text.
    let name = bytes.windows(8).position(|w| w == b"a.weight").unwrap();
    let mut b = bytes.clone();
    b[name..name + 4].copy_from_slice(b"\x1b[2J");
    b[name + 8] = 9;
    assert!(complaint(&b).contains(r"\u{1b}[2J"));
}

#[test]
fn duplicates_and_odd_alignments_are_refused() {
    let bytes = sample_bytes();
    let name = bytes.windows(8).position(|w| w == b"b.weight").unwrap();
    let mut b = bytes.clone();
    b[name] = b'a';
    assert!(complaint(&b).contains("`a.weight`: occurs twice"));
    let key = bytes.windows(5).position(|w| w == b"words").unwrap();
    let mut b = bytes;
    b[key..key + 5].copy_from_slice(b"float");
    assert!(complaint(&b).contains("key `float`: occurs twice"));

    // Misspelt, so that the writer lets it through, and put right in the bytes.
    let mut w = Writer::new();
    w.set("general.alignmenx", 24_u32);
    w.tensor("t", &[1], WeightType::F32).unwrap();
    let odd = bytes_of(&w, &[vec![0; 4]]);
    let odd = {
        let at = odd.windows(17).position(|w| w == b"general.alignmenx").unwrap() + 16;
        let mut odd = odd;
        odd[at] = b't';
        odd
    };
    assert!(complaint(&odd).contains("a power of two"));
}

#[test]
fn deep_nesting_is_refused() {
    let mut w = Writer::new();
    w.set("deep", vec![vec![vec![vec![vec![1_u8]]]]]);
    assert!(complaint(&bytes_of(&w, &[])).contains("nested more than 4"));
}

#[test]
fn a_type_without_arithmetic_is_refused_only_when_used() {
    let mut w = Writer::new();
    w.tensor("odd", &[256], WeightType::Iq1S).unwrap();
    w.tensor("fine", &[1], WeightType::F32).unwrap();
    let g = open_bytes(&bytes_of(&w, &[vec![0; 50], 1_f32.to_le_bytes().to_vec()])).unwrap();
    assert_eq!(g.to_f32(g.tensor("fine").unwrap()).unwrap(), [1.0]);
    let error = g.to_f32(g.tensor("odd").unwrap()).unwrap_err().to_string();
    assert!(error.contains("tensor `odd`: is stored as IQ1_S"), "{error}");
}

#[test]
fn other_things_than_files_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let message = |path: &Path| Gguf::open(path).map(|_| ()).unwrap_err().to_string();
    assert!(message(folder.path()).contains("not a regular file"));
    assert!(message(&folder.path().join("absent.gguf")).contains("absent.gguf"));
    let empty: PathBuf = folder.path().join("empty.gguf");
    std::fs::write(&empty, b"").unwrap();
    assert!(message(&empty).contains("has 0 bytes"));
}

/// Uses everything in a file, so that a mutation that opens is also survived when read.
fn read_all(g: &Gguf) {
    for key in g.keys() {
        let value = g.meta(key).unwrap();
        let _ = format!("{value:?}");
        if let Some(list) = value.as_array() {
            if let Some(strs) = list.strs() {
                assert_eq!(strs.count(), list.len());
            }
            if let Some(scalars) = list.scalars() {
                assert_eq!(scalars.count(), list.len());
            }
        }
    }
    for t in g.tensors() {
        assert_eq!(g.data(t).len() as u64, t.bytes);
        let _ = g.to_f32(t);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Up to four bytes changed, a piece cut out: opened or refused, never a panic or a huge allocation.
    #[test]
    fn mutations_never_panic(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..5),
        cut in prop::option::of((any::<prop::sample::Index>(), 1_usize..40)),
    ) {
        let mut bytes = sample_bytes();
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        if let Some((at, len)) = cut {
            let at = at.index(bytes.len());
            bytes.drain(at..(at + len).min(bytes.len()));
        }
        match open_bytes(&bytes) {
            Ok(g) => read_all(&g),
            Err(e) => prop_assert!(!e.to_string().is_empty()),
        }
    }
}
