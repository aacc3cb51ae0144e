//! Archives and tables read back.

use std::collections::BTreeMap;
use std::path::Path;

use paritty::analyze::{AnalyzeError, Analyzer, Options};
use paritty::export::{Layout, Npz, Parquet, Take};
use paritty::trace::Store;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::RowAccessor;
use tempfile::TempDir;

use super::asset;

/// Entries of a stored archive by name, read by its directory as any reader of archives does; checksums
/// are held against the contents.
fn entries(path: &Path) -> Option<BTreeMap<String, Vec<u8>>> {
    let file = std::fs::read(path).ok()?;
    let u16_at = |at: usize| u16::from_le_bytes(file[at..at + 2].try_into().unwrap());
    let u32_at = |at: usize| u32::from_le_bytes(file[at..at + 4].try_into().unwrap());
    let u64_at = |at: usize| u64::from_le_bytes(file[at..at + 8].try_into().unwrap()) as usize;
    let end = file.len().checked_sub(22)?;
    assert_eq!(&file[end..end + 4], b"PK\x05\x06");
    let (count, mut at) = (u16_at(end + 10), u32_at(end + 16) as usize);
    let mut out = BTreeMap::new();
    for _ in 0..count {
        assert_eq!(&file[at..at + 4], b"PK\x01\x02");
        let (name, extra) = (u16_at(at + 28) as usize, u16_at(at + 30) as usize);
        let sum = u32_at(at + 16);
        let title = String::from_utf8(file[at + 46..at + 46 + name].to_vec()).unwrap();
        let wide = at + 46 + name + 4;
        let (size, header) = (u64_at(wide), u64_at(wide + 16));
        assert_eq!(&file[header..header + 4], b"PK\x03\x04");
        let contents = header + 30 + u16_at(header + 26) as usize + u16_at(header + 28) as usize;
        let contents = file[contents..contents + size].to_vec();
        assert_eq!(crc32fast::hash(&contents), sum, "{title}");
        out.insert(title, contents);
        at += 46 + name + extra;
    }
    Some(out)
}

/// Whether an archive can be read to its end.
pub fn is_whole(path: &Path) -> bool {
    entries(path).is_some_and(|e| e.values().all(|v| v.starts_with(b"\x93NUMPY")))
}

/// Shape and values of an array.
fn array(entry: &[u8]) -> (String, Vec<f32>) {
    let length = u16::from_le_bytes([entry[8], entry[9]]) as usize;
    assert_eq!((10 + length) % 64, 0, "NumPy wants the values aligned");
    let head = String::from_utf8(entry[10..10 + length].to_vec()).unwrap();
    let shape = head.split('(').nth(1).unwrap().split(')').next().unwrap().to_owned();
    (shape, entry[10 + length..].as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect())
}

fn export(trace: &Path, out: &Path) {
    let layout = Layout::of(trace, &mut |_, _| true).unwrap();
    let take: Box<dyn Take> = Box::new(Npz::create(out, layout).unwrap());
    let mut take = vec![take];
    Analyzer::new(Options::default()).run(trace, &mut take, &mut |_, _| true).unwrap();
    take.pop().unwrap().finish().unwrap();
}

#[test]
fn an_archive_has_every_value_in_its_place() {
    let folder = TempDir::new().unwrap();
    let out = folder.path().join("out.npz");
    let trace = asset("traces/shakespeare-f16.jsonl");
    export(&trace, &out);
    let entries = entries(&out).unwrap();
    let store = Store::load(&trace).unwrap();
    let positions: Vec<u32> = store.positions().collect();
    let mut tensor = paritty::trace::Tensor::default();
    for name in ["result_output", "Kcur_rope-3", "l_out-5"] {
        let (shape, values) = array(&entries[&format!("{name}.npy")]);
        let checkpoint = name.parse().unwrap();
        let width = values.len() / positions.len();
        for (row, &position) in positions.iter().enumerate() {
            assert!(store.read(position, checkpoint, &mut tensor).unwrap());
            assert_eq!(values[row * width..][..width], tensor.values, "{name} at {position}");
        }
        let axes: Vec<String> = tensor.shape.iter().rev().map(|n| format!("{n},")).collect();
        assert_eq!(shape, format!("{}, {}", positions.len(), axes.join(" ")));
    }
    // Probabilities of position p: p + 1 values a head, NaN behind.
    let (_, values) = array(&entries["kq_soft_max-0.npy"]);
    let width = positions.len();
    assert!(
        (values[..1].iter().sum::<f32>() - 1.0).abs() < 1e-3 && values[1..width].iter().all(|x| x.is_nan())
    );
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing else is left");
}

#[test]
fn an_archive_holds_what_stands_in_the_end() {
    let folder = TempDir::new().unwrap();
    let (trace, out) = (folder.path().join("t.jsonl"), folder.path().join("t.npz"));
    let record =
        |p: u32, x: &str| format!("{{\"checkpoint\":\"logits\",\"token_idx\":{p},\"values\":[{x}]}}\n");
    let text = [
        "{\"paritty\":1}\n".to_owned(),
        record(0, "9,9"),
        record(7, "9,9"),
        "{\"paritty\":1}\n".to_owned(),
        record(5, "5,6"),
        record(2, "1"),
        "{\"checkpoint\":\"embd\",\"token_idx\":3,\"values\":[4]}\n".to_owned(),
        record(2, "3,4"),
        record(90, "7,8"),
        record(91, "7,8"),
        "{\"rewind\":90}\n".to_owned(),
        record(91, "1,2"),
        "{\"token_idx\":91,\"token\":17}\n".to_owned(),
    ];
    std::fs::write(&trace, text.concat()).unwrap();
    export(&trace, &out);
    let entries = entries(&out).unwrap();
    let (shape, values) = array(&entries["result_output.npy"]);
    assert_eq!(shape, "4, 2,");
    assert_eq!(values[..2], [3.0, 4.0], "the last record of a cell counts");
    assert!(values[2..4].iter().all(|x| x.is_nan()), "nothing was recorded at position 3");
    assert_eq!(values[4..], [5.0, 6.0, 1.0, 2.0]);
    let (_, positions) = array(&entries["positions.npy"]);
    assert_eq!(positions.iter().map(|x| x.to_bits()).collect::<Vec<_>>(), [2, 3, 5, 91]);
}

#[test]
fn a_table_has_a_line_a_value() {
    let folder = TempDir::new().unwrap();
    let out = folder.path().join("out.parquet");
    let trace = asset("traces/shakespeare-f16.jsonl");
    let mut take: Vec<Box<dyn Take>> = vec![Box::new(Parquet::create(&out).unwrap())];
    let analysis = Analyzer::new(Options::default()).run(&trace, &mut take, &mut |_, _| true).unwrap();
    take.pop().unwrap().finish().unwrap();
    let reader = SerializedFileReader::new(std::fs::File::open(&out).unwrap()).unwrap();
    assert_eq!(reader.metadata().file_metadata().num_rows() as u64, analysis.values);
    let store = Store::load(&trace).unwrap();
    let mut tensor = paritty::trace::Tensor::default();
    let mut seen = 0;
    for (i, row) in reader.get_row_iter(None).unwrap().enumerate() {
        // Every line would take long in a test; these fall on every checkpoint.
        if i % 997 != 0 {
            continue;
        }
        let row = row.unwrap();
        let (position, channel) = (row.get_uint(0).unwrap(), row.get_uint(4).unwrap() as usize);
        let checkpoint: paritty::model::Checkpoint = row.get_string(1).unwrap().parse().unwrap();
        assert_eq!(row.get_string(2).unwrap(), checkpoint.site().name());
        assert_eq!(row.get_int(3).ok().map(|l| l as usize), checkpoint.layer_index());
        if checkpoint.site().name().starts_with("kq") && checkpoint.site().name() != "kqv_out" {
            continue;
        }
        assert!(store.read(position, checkpoint, &mut tensor).unwrap());
        assert_eq!(row.get_float(5).unwrap().to_bits(), tensor.values[channel].to_bits());
        seen += 1;
    }
    assert!(seen > 100);
}

#[test]
fn what_is_not_finished_leaves_nothing_behind() {
    let folder = TempDir::new().unwrap();
    let out = folder.path().join("out.npz");
    std::fs::write(&out, "what was there before").unwrap();
    let trace = asset("traces/shakespeare-f16.jsonl");
    let layout = Layout::of(&trace, &mut |_, _| true).unwrap();
    let mut take: Vec<Box<dyn Take>> = vec![
        Box::new(Npz::create(&out, layout).unwrap()),
        Box::new(Parquet::create(&folder.path().join("out.parquet")).unwrap()),
    ];
    let result = Analyzer::new(Options::default()).run(&trace, &mut take, &mut |_, _| false);
    assert!(matches!(result, Err(AnalyzeError::Interrupted)));
    drop(take);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    assert_eq!(std::fs::read(&out).unwrap(), b"what was there before");
}

#[test]
fn what_cannot_be_written_is_an_error_that_says_what_to_do() {
    let trace = asset("traces/shakespeare-f16.jsonl");
    let trace = trace.to_str().unwrap();
    let folder = TempDir::new().unwrap();
    let absent = folder.path().join("absent/out.npz");
    for (option, out, says) in [
        ("--npz", absent.to_str().unwrap(), "create it first"),
        ("--parquet", folder.path().to_str().unwrap(), "not a folder"),
        ("--npz", trace, "the trace itself"),
    ] {
        let result = super::paritty(&["analyze", trace, option, out]).code(2);
        let text = String::from_utf8(result.get_output().stderr.clone()).unwrap();
        assert!(text.contains(says), "{text}");
    }
}
