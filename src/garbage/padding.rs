//! The tail of a padded vocabulary.

use super::{Blame, Class, Finding, Sample};
use crate::model::Checkpoint;

pub(super) struct PaddedVocabulary;

/// Its id.
pub(super) const ID: &str = "padded-vocabulary";

/// Equal neighbours at the end of honest logits: two by chance, hardly three.
const SHORTEST: usize = 3;

impl Class for PaddedVocabulary {
    fn id(&self) -> &'static str {
        ID
    }

    fn glyph(&self) -> char {
        'v'
    }

    fn blame(&self) -> Blame {
        Blame::Nobody
    }

    fn explain(&self) -> &'static str {
        "The last logits all have the same value. Output matrices are padded to a round number of rows, and \
         the rows beyond the vocabulary are zero. This is legitimate; but whoever samples must not pick such \
         a token, and two engines may pad differently."
    }

    fn check(&self, sample: &Sample<'_>) -> Option<Finding> {
        let values = sample.values();
        let complete = sample.tensor.shape.iter().map(|&n| n as usize).product::<usize>() == values.len();
        let last = values.last()?.to_bits();
        let tail = values.iter().rev().take_while(|x| x.to_bits() == last).count();
        if sample.checkpoint != Checkpoint::LOGITS || !complete || tail < SHORTEST {
            return None;
        }
        let first = values.len() - tail;
        if first == 0 || values[..first].iter().any(|x| x.to_bits() == last) {
            return None;
        }
        let mut finding = sample.whole(
            self,
            0.9,
            format!("the last {tail} logits, from token {first}, are all {:e}", f32::from_bits(last)),
        );
        (finding.first_channel, finding.count) = (first as u32, tail as u32);
        Some(finding)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{classes, tensor};

    #[test]
    fn a_zero_tail_of_logits_is_padding_and_nobodys_fault() {
        let mut row: Vec<f32> = (1..100).map(|i| (i as f32).sin()).collect();
        row.extend([0.0; 29]);
        assert_eq!(classes("result_output", &tensor(row.clone())), ["padded-vocabulary"]);
        assert!(classes("l_out-0", &tensor(row)).is_empty());
    }
}
