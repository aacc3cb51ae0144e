//! What records lack, or hold too much of, as far as their index tells. Nothing is wrong among the values
//! that are there, so that nobody is blamed for any; whoever reads the trace has to know it all the same.

use super::{padding, truncated};
use crate::model::Checkpoint;
use crate::trace::{Store, Tensor};

/// What is to be known of how a run was recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// The class of garbage that it is akin to: `truncated`, `padded-vocabulary`.
    pub class: &'static str,
    /// Records that it is true of.
    pub records: usize,
    /// Of how many.
    pub of: usize,
    /// A sentence with the figures.
    pub says: String,
}

/// Looks through the records of a run. `n_vocab` is the number of tokens, if somebody knows it better than
/// the trace's header.
pub fn notes(store: &Store, n_vocab: Option<usize>) -> Vec<Note> {
    let named = store.header().map_or(0, |h| h.model.n_vocab as usize);
    let n_vocab = n_vocab.unwrap_or(named);
    truncated_records(store).into_iter().chain(padded_logits(store, n_vocab)).collect()
}

fn truncated_records(store: &Store) -> Option<Note> {
    let (mut records, mut of) = (0, 0);
    // The record that lacks most.
    let mut most: Option<(Checkpoint, usize, usize)> = None;
    for position in store.positions() {
        for checkpoint in store.checkpoints(position) {
            let Some(cell) = store.cell(position, checkpoint) else { continue };
            of += 1;
            if cell.len > 0 && cell.is_partial() {
                records += 1;
                let (there, full) = (cell.len as usize, cell.full_len());
                if most.is_none_or(|(_, t, f)| full - there > f - t) {
                    most = Some((checkpoint, there, full));
                }
            }
        }
    }
    let (checkpoint, there, full) = most?;
    Some(Note {
        class: truncated::ID,
        records,
        of,
        says: format!(
            "{records} of {of} records hold a part of their values only ({there} of {full} at {checkpoint}): \
             what was not recorded, nobody can judge"
        ),
    })
}

fn padded_logits(store: &Store, n_vocab: usize) -> Option<Note> {
    let (mut records, mut of, mut widest, mut constant) = (0, 0, 0, None);
    let mut row = Tensor::default();
    for position in store.positions() {
        let Some(cell) = store.cell(position, Checkpoint::LOGITS) else { continue };
        of += 1;
        if n_vocab == 0 || cell.full_len() <= n_vocab {
            continue;
        }
        records += 1;
        widest = widest.max(cell.full_len());
        let read = matches!(store.read(position, Checkpoint::LOGITS, &mut row), Ok(true));
        let tail = row.values.get(n_vocab..).filter(|tail| read && !tail.is_empty());
        if let Some((first, rest)) = tail.and_then(<[f32]>::split_first) {
            let same = rest.iter().all(|x| x.to_bits() == first.to_bits());
            constant = constant.or_else(|| same.then_some(*first));
        }
    }
    if records == 0 {
        return None;
    }
    let value = constant.map(|x| format!(", all {x:e}")).unwrap_or_default();
    Some(Note {
        class: padding::ID,
        records,
        of,
        says: format!(
            "{records} of {of} rows of logits hold {widest} values for {n_vocab} tokens: the last {} are padding{value}, \
             and no tokens",
            widest - n_vocab
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::{Header, TraceWriter};

    fn run(n_vocab: u32, values: &[f32], shape: u32) -> Vec<Note> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.jsonl");
        let mut header = Header::default();
        header.model.n_vocab = n_vocab;
        let mut writer = TraceWriter::create(&path, &header).unwrap();
        for position in 0..3 {
            writer.tensor(position, Checkpoint::LOGITS, None, "", &[shape], values).unwrap();
        }
        writer.end().unwrap();
        notes(&Store::load(&path).unwrap(), None)
    }

    #[test]
    fn what_is_whole_needs_no_note() {
        assert_eq!(run(4, &[1.0, 2.0, 3.0, 4.0], 4), []);
        assert_eq!(run(0, &[1.0, 2.0, 3.0, 4.0], 4), [], "the vocabulary is not known");
    }

    #[test]
    fn parts_and_padding_are_counted() {
        let short = run(4, &[1.0, 2.0], 4);
        assert_eq!((short[0].class, short[0].records, short[0].of), ("truncated", 3, 3));
        assert!(short[0].says.contains("2 of 4 at result_output"), "{}", short[0].says);
        let padded = run(2, &[1.0, 2.0, 0.0, 0.0], 4);
        assert_eq!((padded.len(), padded[0].class), (1, "padded-vocabulary"));
        assert!(padded[0].says.contains("the last 2 are padding, all 0e0"), "{}", padded[0].says);
        let other = run(2, &[1.0, 2.0, 0.0, 1.0], 4);
        assert!(other[0].says.contains("the last 2 are padding, and"), "{}", other[0].says);
    }
}
