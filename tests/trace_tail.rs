//! Following a trace while a writer does anything a writer may do, against a model that reads the
//! same bytes with `serde_json` from the start each time: nothing lost, nothing twice.

#![allow(clippy::unwrap_used, reason = "a test may stop at once")]

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::PathBuf;

use paritty::model::Checkpoint;
use paritty::trace::{Follow, Store, Tensor};
use proptest::prelude::*;
use serde_json::Value;
use tempfile::TempDir;

const NAMES: [&str; 5] = ["embd", "Qcur_rope-0", "l_out-0", "logits", "node_5"];

/// Bytes of a read: enough for everything, or so few that lines are torn.
type Budget = Option<u16>;

#[derive(Clone, Debug)]
enum Action {
    Header,
    Inline {
        position: u32,
        name: usize,
        values: usize,
    },
    Sidecar {
        position: u32,
        name: usize,
        values: usize,
        late: bool,
    },
    Token {
        position: u32,
    },
    Complete {
        position: u32,
    },
    Rewind {
        position: u32,
    },
    End,
    Junk,
    /// The next line is written up to here only; whatever comes next finishes it.
    Tear {
        permille: usize,
    },
    /// Bytes that lines promised come to the sidecar.
    CatchUp,
    /// The writer starts again in the same file.
    Restart,
    /// The file loses its end, perhaps in mid-line.
    Cut {
        permille: usize,
    },
    /// The sidecar loses its end; the bytes may come again.
    CutSidecar {
        permille: usize,
    },
    /// The file is moved away, and comes again with the next line.
    Rotate,
    /// Both files are deleted and come again with the next line.
    Delete,
    /// Another file takes the name at once.
    Replace,
    Poll(Budget),
}

fn actions() -> impl Strategy<Value = Vec<Action>> {
    let position = 0..5_u32;
    let record = (position.clone(), 0..NAMES.len(), 0..4_usize);
    let action = prop_oneof![
        2 => Just(Action::Header),
        8 => record.clone().prop_map(|(position, name, values)| Action::Inline { position, name, values }),
        10 => (record, any::<bool>()).prop_map(|((position, name, values), late)| Action::Sidecar { position, name, values, late }),
        3 => position.clone().prop_map(|position| Action::Token { position }),
        2 => position.clone().prop_map(|position| Action::Complete { position }),
        2 => position.prop_map(|position| Action::Rewind { position }),
        1 => Just(Action::End),
        2 => Just(Action::Junk),
        4 => (0..1000_usize).prop_map(|permille| Action::Tear { permille }),
        4 => Just(Action::CatchUp),
        1 => Just(Action::Restart),
        1 => (0..1000_usize).prop_map(|permille| Action::Cut { permille }),
        1 => (0..1000_usize).prop_map(|permille| Action::CutSidecar { permille }),
        1 => Just(Action::Rotate),
        1 => Just(Action::Delete),
        1 => Just(Action::Replace),
        12 => prop::option::of(0..600_u16).prop_map(Action::Poll),
    ];
    prop::collection::vec(action, 1..80)
}

/// The writer's side: two files, and what the next line must do first.
struct World {
    folder: TempDir,
    /// Bytes of the file that has the name.
    text: Vec<u8>,
    sidecar: Vec<u8>,
    /// Bytes that lines have promised; at least those written.
    promised: Vec<u8>,
    /// The rest of a torn line.
    rest: Vec<u8>,
    /// Where to tear the next line.
    tear: Option<usize>,
    sequence: u32,
}

impl World {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            text: Vec::new(),
            sidecar: Vec::new(),
            promised: Vec::new(),
            rest: Vec::new(),
            tear: None,
            sequence: 0,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn append(&mut self, bytes: &[u8]) {
        if !self.path("t.jsonl").exists() {
            self.text.clear();
        }
        self.text.extend_from_slice(bytes);
        let mut file = OpenOptions::new().create(true).append(true).open(self.path("t.jsonl")).unwrap();
        file.write_all(bytes).unwrap();
    }

    /// Every line differs from every other, as lines with values do.
    fn line(&mut self, fields: &str) {
        self.sequence += 1;
        let line = format!("{{\"seq\":{},{fields}}}\n", self.sequence);
        self.raw_line(line.as_bytes());
    }

    fn raw_line(&mut self, line: &[u8]) {
        let mut bytes = std::mem::take(&mut self.rest);
        bytes.extend_from_slice(line);
        if let Some(permille) = self.tear.take() {
            self.rest = bytes.split_off(bytes.len() * permille / 1000);
        }
        self.append(&bytes);
    }

    fn catch_up(&mut self) {
        let late = self.promised[self.sidecar.len()..].to_vec();
        if late.is_empty() {
            return;
        }
        let mut file = OpenOptions::new().create(true).append(true).open(self.path("s.bin")).unwrap();
        file.write_all(&late).unwrap();
        self.sidecar.extend(late);
    }

    fn forget(&mut self) {
        self.sidecar.clear();
        self.promised.clear();
        self.rest.clear();
    }

    fn values(&mut self, count: usize) -> Vec<f32> {
        (0..count).map(|n| (self.sequence * 8) as f32 + n as f32 + 0.5).collect()
    }

    fn act(&mut self, action: &Action) {
        match *action {
            Action::Header => self.line("\"paritty\":1,\"team\":\"w\",\"sidecar\":\"s.bin\""),
            Action::Inline { position, name, values } => {
                let values = self.values(values);
                let name = NAMES[name];
                self.line(&format!(
                    "\"checkpoint\":\"{name}\",\"token_idx\":{position},\"shape\":[3],\"values\":{values:?}"
                ));
            }
            Action::Sidecar { position, name, values, late } => {
                let values = self.values(values);
                let (offset, bytes) = (self.promised.len(), 4 * values.len());
                self.promised.extend(values.iter().flat_map(|v| v.to_le_bytes()));
                if !late {
                    self.catch_up();
                }
                let name = NAMES[name];
                self.line(&format!(
                    "\"checkpoint\":\"{name}\",\"token_idx\":{position},\"shape\":[3],\"offset\":{offset},\"bytes\":{bytes}"
                ));
            }
            Action::Token { position } => {
                let id = self.sequence;
                self.line(&format!("\"token_idx\":{position},\"token\":{id}"));
            }
            Action::Complete { position } => {
                self.line(&format!("\"token_idx\":{position},\"complete\":true"));
            }
            Action::Rewind { position } => self.line(&format!("\"rewind\":{position}")),
            Action::End => self.line("\"end\":true"),
            Action::Junk => {
                let line = format!("ggml_init: {} devices\n", self.sequence);
                self.raw_line(line.as_bytes());
            }
            Action::Tear { permille } => self.tear = Some(permille),
            Action::CatchUp => self.catch_up(),
            Action::Restart => {
                self.forget();
                if self.path("t.jsonl").exists() {
                    self.text.clear();
                    fs::write(self.path("t.jsonl"), "").unwrap();
                }
                if self.path("s.bin").exists() {
                    fs::write(self.path("s.bin"), "").unwrap();
                }
            }
            Action::Cut { permille } => {
                if self.path("t.jsonl").exists() {
                    self.rest.clear();
                    self.text.truncate(self.text.len() * permille / 1000);
                    let file = OpenOptions::new().write(true).open(self.path("t.jsonl")).unwrap();
                    file.set_len(self.text.len() as u64).unwrap();
                }
            }
            Action::CutSidecar { permille } => {
                if self.path("s.bin").exists() {
                    self.sidecar.truncate(self.sidecar.len() * permille / 1000);
                    let file = OpenOptions::new().write(true).open(self.path("s.bin")).unwrap();
                    file.set_len(self.sidecar.len() as u64).unwrap();
                }
            }
            Action::Rotate | Action::Delete | Action::Replace => {
                self.forget();
                for name in ["t.jsonl", "s.bin"] {
                    let path = self.path(name);
                    if !path.exists() {
                        continue;
                    }
                    match action {
                        Action::Rotate => fs::rename(&path, self.path(&format!("{name}.1"))).unwrap(),
                        Action::Delete => fs::remove_file(&path).unwrap(),
                        _ => {
                            let other = self.path("other");
                            fs::write(&other, "").unwrap();
                            fs::rename(&other, &path).unwrap();
                            self.text.clear();
                        }
                    }
                }
            }
            Action::Poll(_) => {}
        }
    }
}

/// What is known of one cell: its line, and its values if they can be read.
type Known = BTreeMap<(u32, Checkpoint), (u64, Option<Vec<f32>>)>;

#[derive(Debug, Default, PartialEq)]
struct State {
    cells: Known,
    tokens: BTreeMap<u32, u32>,
    ended: bool,
    skipped: u64,
    duplicates: u64,
    partial: u64,
    waiting: u64,
    foreign: u64,
}

/// The model: the whole lines of `text`, from the start.
fn model(text: &[u8], sidecar: &[u8]) -> State {
    let mut state = State::default();
    let mut has_header = false;
    let mut positions = std::collections::BTreeSet::new();
    let mut partials = BTreeMap::new();
    for (index, line) in text.split_inclusive(|b| *b == b'\n').enumerate() {
        if line.last() != Some(&b'\n') {
            continue;
        }
        let number = index as u64 + 1;
        let Ok(Value::Object(line)) = serde_json::from_slice::<Value>(line) else {
            state.skipped += 1;
            continue;
        };
        let integer = |key: &str| line.get(key).and_then(Value::as_u64);
        if line.contains_key("paritty") {
            let skipped = state.skipped;
            state = State { skipped, ..State::default() };
            positions.clear();
            partials.clear();
            has_header = true;
        } else if let Some(name) = line.get("checkpoint").and_then(Value::as_str) {
            let position = integer("token_idx").unwrap() as u32;
            let values: Option<Vec<f32>> = if let Some(offset) = integer("offset") {
                if !has_header {
                    state.skipped += 1;
                    continue;
                }
                let length = integer("bytes").unwrap();
                let end = (offset + length) as usize;
                let bytes = if length == 0 { Some(&[][..]) } else { sidecar.get(offset as usize..end) };
                bytes.map(|b| b.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect())
            } else {
                line["values"].as_array().map(|v| v.iter().map(|v| v.as_f64().unwrap() as f32).collect())
            };
            let Ok(checkpoint) = name.parse::<Checkpoint>() else {
                state.foreign += 1;
                continue;
            };
            let count =
                integer("bytes").map_or_else(|| line["values"].as_array().unwrap().len(), |b| b as usize / 4);
            positions.insert(position);
            partials.insert((position, checkpoint), count < 3);
            let old = state.cells.insert((position, checkpoint), (number, values));
            state.duplicates += u64::from(old.is_some());
        } else if let Some(position) = integer("rewind") {
            let keep = |p: u32| u64::from(p) < position;
            state.cells.retain(|(p, _), _| keep(*p));
            partials.retain(|(p, _), _| keep(*p));
            state.tokens.retain(|p, _| keep(*p));
            positions.retain(|p| keep(*p));
            state.ended = false;
        } else if let Some(id) = integer("token") {
            state.tokens.insert(integer("token_idx").unwrap() as u32, id as u32);
        } else if line.contains_key("end") {
            state.ended = true;
        }
    }
    state.partial = partials.values().filter(|partial| **partial).count() as u64;
    state.waiting = state.cells.values().filter(|(_, values)| values.is_none()).count() as u64;
    state
}

fn cells_at(store: &Store, position: u32, into: &mut Known) {
    for checkpoint in store.checkpoints(position) {
        let mut tensor = Tensor::default();
        let line = store.cell(position, checkpoint).unwrap().line;
        let values = store.read(position, checkpoint, &mut tensor).ok().map(|there| {
            assert!(there);
            tensor.values
        });
        into.insert((position, checkpoint), (line, values));
    }
}

fn state_of(store: &Store) -> State {
    let mut state = State::default();
    for position in store.positions() {
        cells_at(store, position, &mut state.cells);
        if let Some(token) = store.token(position) {
            state.tokens.insert(position, token.id);
        }
    }
    let notes = store.notes();
    state.ended = store.has_ended();
    (state.skipped, state.duplicates) = (notes.skipped_count, notes.duplicates);
    (state.partial, state.waiting) = (notes.partial, notes.waiting);
    state.foreign = notes.foreign.values().sum();
    state
}

/// Somebody who only looks at what [`Follow::poll`] says has changed.
#[derive(Default)]
struct Mirror(Known);

impl Mirror {
    fn poll(&mut self, follow: &mut Follow, budget: Budget) -> Result<bool, TestCaseError> {
        let before = follow.store().bytes();
        let progress = follow.poll(budget.map_or(u64::MAX, u64::from)).unwrap();
        if let Some(budget) = budget {
            prop_assert!(progress.bytes <= u64::from(budget));
        }
        if progress.restarted {
            self.0.clear();
        } else {
            prop_assert_eq!(follow.store().bytes(), before + progress.bytes, "bytes told are bytes read");
        }
        prop_assert!(progress.changed.is_sorted_by(|a, b| a < b));
        for position in progress.changed {
            self.0.retain(|(p, _), _| *p != position);
            cells_at(follow.store(), position, &mut self.0);
        }
        Ok(progress.at_end)
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_lost_and_nothing_comes_twice(actions in actions()) {
        let mut world = World::new();
        let mut follow = Follow::open(&world.path("t.jsonl"), || {}).unwrap();
        let mut mirror = Mirror::default();
        for action in actions.iter().chain([&Action::CatchUp, &Action::Poll(None)]) {
            world.act(action);
            let Action::Poll(budget) = action else { continue };
            let at_end = mirror.poll(&mut follow, *budget)?;
            let store = follow.store();
            let now = state_of(store);
            prop_assert_eq!(&mirror.0, &now.cells, "what changed was told");
            if !world.path("t.jsonl").exists() {
                // It reads on in the file that was moved away, if it had it; there is nothing to
                // hold this against.
                continue;
            }
            let read = store.bytes() as usize;
            prop_assert!(read <= world.text.len());
            prop_assert_eq!(at_end, read == world.text.len());
            if budget.is_none() {
                prop_assert!(at_end);
            }
            prop_assert_eq!(now, model(&world.text[..read], &world.sidecar));
        }
    }

    #[test]
    fn no_bytes_at_all_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..2000), newlines in any::<bool>()) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.jsonl");
        let bytes: Vec<u8> =
            bytes.into_iter().map(|b| if newlines && b % 16 == 0 { b'\n' } else { b }).collect();
        fs::write(&path, bytes).unwrap();
        let _ = Store::load(&path).map_err(|e| e.to_string());
    }

    /// Lines that are nearly records get further into the reader than plain noise.
    #[test]
    fn no_damage_to_a_record_makes_it_panic(
        damage in prop::collection::vec((0..2000_usize, any::<u8>()), 1..12),
        removed in prop::collection::vec(0..2000_usize, 0..4),
    ) {
        let mut bytes = concat!(
            r#"{"paritty":1,"team":"x","settings":{"threads":2},"sidecar":"s.bin"}"#, "\n",
            r#"{"token_idx":0,"token":1,"piece":"\u00e9\n","from":"prompt","columns":1}"#, "\n",
            r#"{"checkpoint":"Qcur_rope-0","token_idx":0,"dtype":"bf16","shape":[4,2],"offset":2,"bytes":16}"#, "\n",
            r#"{"checkpoint":"logits","token_idx":1,"dtype":"f32","shape":"[1,6]","values":[1.5,"NaN",-Infinity,1e308,null,0.1]}"#, "\n",
            r#"{"token_idx":0,"complete":true}"#, "\n", r#"{"rewind":1}"#, "\n", r#"{"end":true}"#,
        ).as_bytes().to_vec();
        for (at, byte) in damage {
            let length = bytes.len();
            bytes[at % length] = byte;
        }
        for at in removed {
            bytes.remove(at % bytes.len());
        }
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("s.bin"), [7; 18]).unwrap();
        let path = folder.path().join("t.jsonl");
        fs::write(&path, bytes).unwrap();
        if let Ok(store) = Store::load(&path) {
            let mut tensor = Tensor::default();
            for position in store.positions() {
                for checkpoint in store.checkpoints(position) {
                    if let Ok(there) = store.read(position, checkpoint, &mut tensor) {
                        let cell = store.cell(position, checkpoint).unwrap();
                        prop_assert!(there && tensor.values.len() == cell.len as usize);
                        prop_assert!(tensor.values.len() <= cell.full_len());
                    }
                }
            }
        }
    }
}
