//! Model files of random weights: a named model's true shape, keys and weight types, with the
//! vocabulary of a given file. Blocks are random bits with sane scales, so nothing is quantised and
//! a file larger than memory is written piece by piece.

mod blocks;
mod family;
pub mod mix;
mod random;
pub mod shape;

use std::path::{Path, PathBuf};

use crate::gguf::{Gguf, GgufError, Writer};
use family::Tensor;
use mix::Mix;
use random::Random;
use shape::Shape;

/// Why a model could not be made.
#[derive(Debug, thiserror::Error)]
pub enum SynthError {
    /// No such shape.
    #[error("`{name}` is no shape that paritty knows; known are: {known}")]
    UnknownShape {
        /// The name asked for.
        name: String,
        /// The names there are.
        known: String,
    },
    /// Counts that do not go together.
    #[error("{name}: {problem}")]
    Shape {
        /// The shape.
        name: &'static str,
        /// What does not go together.
        problem: String,
    },
    /// The model would take the place of the file its vocabulary comes from.
    #[error("{}: is the file that the vocabulary comes from; write the model to another", .0.display())]
    SameFile(PathBuf),
    /// Reading the vocabulary or writing the model failed.
    #[error(transparent)]
    File(#[from] GgufError),
}

/// A model that is ready to be written.
pub struct Synth {
    writer: Writer,
    tensors: Vec<Tensor>,
    seed: u64,
    vocab: PathBuf,
}

impl Synth {
    /// A model of this shape and these types. Keys that begin with `tokenizer.` come from `vocab`.
    pub fn new(shape: &Shape, mix: &Mix, vocab: &Gguf, seed: u64) -> Result<Self, SynthError> {
        shape.check()?;
        let n_vocab = vocab.get_strs("tokenizer.ggml.tokens")?.len();
        let mut writer = Writer::new();
        writer.copy_meta(vocab);
        for key in vocab.keys().filter(|key| !key.starts_with("tokenizer.")) {
            writer.remove(key);
        }
        let title = title(shape, vocab.opt_str("general.name")?.unwrap_or_default(), seed);
        family::set_keys(&mut writer, shape, mix, n_vocab, &title);
        let tensors = family::tensors(shape, mix, n_vocab);
        for tensor in &tensors {
            writer.tensor(&tensor.name, &tensor.shape, tensor.weight_type)?;
        }
        Ok(Self { writer, tensors, seed, vocab: vocab.path().to_owned() })
    }

    /// Bytes of all tensors.
    pub fn bytes(&self) -> u64 {
        self.writer.tensors().iter().map(|t| t.bytes).sum()
    }

    /// Writes the file; `written` is told how many bytes each piece had. A file that could not be
    /// finished is removed.
    pub fn save(&self, path: &Path, mut written: impl FnMut(u64)) -> Result<(), SynthError> {
        let real = |path: &Path| path.canonicalize().ok();
        if real(path).is_some() && real(path) == real(&self.vocab) {
            return Err(SynthError::SameFile(path.to_owned()));
        }
        let mut tensors = self.tensors.iter();
        let done = self.writer.save(path, |info, out| {
            let tensor =
                tensors.next().ok_or_else(|| std::io::Error::other("more tensors than were named"))?;
            let mut random = Random::new(self.seed, &info.name);
            tensor.values.write(info.weight_type, info.bytes, &mut random, out, &mut written)
        });
        if done.is_err() && path.is_file() {
            // The error says what happened; a leftover is no further news.
            let _ = std::fs::remove_file(path);
        }
        Ok(done?)
    }
}

/// The model's name. llama.cpp tokenises by it: a name with Phi-3 in it changes how special tokens are
/// read and asks for some of Phi-3's own, so it has to be there if and only if the vocabulary is Phi-3's.
fn title(shape: &Shape, vocab: &str, seed: u64) -> String {
    let is_phi3 = |name: &str| ["phi-3", "phi3"].iter().any(|n| name.to_lowercase().contains(n));
    let kind = match (is_phi3(shape.name), is_phi3(vocab)) {
        (true, false) => shape.arch.replace("phi3", "phi"),
        (false, true) => format!("{} with Phi-3's vocabulary", shape.name),
        _ => shape.name.to_owned(),
    };
    format!("{kind} of random weights, seed {seed}")
}
