//! Every form of a trace that has to be read, through the library's public face.

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
