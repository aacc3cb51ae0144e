//! Greedy text: a prompt with a word that only this test knows, continued by both engines.

use std::path::Path;
use std::sync::Arc;

use paritty::engine::open::Kind;
use paritty::engine::record::argmax;
use paritty::engine::run::{KvType, Run};
use paritty::gguf::Gguf;
use paritty::model::CaptureSet;
use paritty::tokenizer::{Options, Tokenizer};

use super::relative;
use super::runs::{Cells, keep, open_llama_cpp, open_ours};

const PROMPT: &str = "KING HENRY:\nWhat says the lord of Quervantash-7719, that he";
const GENERATED: usize = 64;

/// What is fed, and the logits it gives; the next token is the likeliest.
fn continue_text(run: &mut dyn Run, prompt: &[u32]) -> (Vec<u32>, Vec<Vec<f32>>) {
    let mut tokens = prompt.to_vec();
    let mut logits: Vec<Vec<f32>> = Vec::new();
    while logits.len() < prompt.len() + GENERATED {
        let mut cells = Cells::default();
        run.feed(&tokens[logits.len()..=logits.len()], &mut keep(&mut cells)).unwrap();
        let (_, values) = cells.0.pop_first().unwrap();
        if logits.len() + 1 == tokens.len() {
            tokens.push(argmax(&values));
        }
        logits.push(values);
    }
    (tokens, logits)
}

fn same_text(path: &Path) {
    let gguf = Arc::new(Gguf::open(path).unwrap());
    let tokenizer = Tokenizer::from_gguf(&gguf).unwrap();
    let prompt = tokenizer.encode(PROMPT, Options { add_bos: None, parse_special: true });
    let logits_only = || CaptureSet::Logits;
    let positions = prompt.len() + GENERATED;
    let (theirs, reference) =
        continue_text(&mut open_llama_cpp(path, KvType::F16, positions, logits_only()), &prompt);
    let (ours, candidate) = continue_text(&mut open_ours(&gguf, Kind::Cpu, true, logits_only()), &prompt);
    let name = path.file_name().unwrap().to_string_lossy();
    let text: String = theirs.iter().map(|&t| tokenizer.piece_text(t)).collect();
    let Some(first) = theirs.iter().zip(&ours).position(|(a, b)| a != b) else {
        eprintln!("{name}: the same {GENERATED} tokens: {text:?}");
        return;
    };
    // Computed at the position before, by runs that had the same tokens so far.
    let [a, b] = [&reference[first - 1], &candidate[first - 1]];
    let margin = a[theirs[first] as usize] - a[ours[first] as usize];
    let rms = (b.iter().zip(a).map(|(b, a)| f64::from(b - a).powi(2)).sum::<f64>() / a.len() as f64).sqrt();
    // Two logits that each carry a noise of `rms`: their difference is off by 4 standard deviations at most.
    let noise = 4.0 * std::f64::consts::SQRT_2 * rms;
    let told = format!(
        "{name}: position {first}: llama.cpp takes {:?}, paritty {:?}; llama.cpp's margin is {margin:.4}, \
         4 standard deviations of the difference are {noise:.4}, the logits differ by {:.1e}",
        tokenizer.piece_text(theirs[first]),
        tokenizer.piece_text(ours[first]),
        relative(b, a)
    );
    assert!(f64::from(margin) <= noise && relative(b, a) < 0.1, "{told}");
    eprintln!("{told}");
}

#[test]
fn trained_models_go_on_alike() {
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/models");
    let mut tried = 0;
    for entry in std::fs::read_dir(models).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|e| e == "gguf") {
            same_text(&path);
            tried += 1;
        }
    }
    assert!(tried >= 2);
}
