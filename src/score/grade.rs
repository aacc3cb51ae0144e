//! An answer held against the truth.

use super::judge::{Answer, Named};
use super::truth::Truth;

/// One trial under one judge.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// The model.
    pub subject: String,
    /// Its architecture.
    pub arch: String,
    /// Its weights.
    pub weights: String,
    /// What was tried: a fault with its layer, or who was paired with whom.
    pub trial: String,
    /// The engine that made the candidate.
    pub engine: &'static str,
    /// The mistake, if one was made, and its number in the catalogue (0: none there).
    pub mistake: Option<(String, u8)>,
    /// The judge.
    pub judge: &'static str,
    /// Whether the operation (or the instrument, or the tokens) was named right; `None` for clean pairs.
    pub operation_right: Option<bool>,
    /// Whether the mistake was named right; `None` for clean pairs.
    pub mistake_right: Option<bool>,
    /// Whether something was named although nothing is wrong.
    pub false_alarm: bool,
    /// Whether the judge said that it cannot tell.
    pub undecided: bool,
    /// What was named as wrong.
    pub named: String,
    /// What mistakes were named for it.
    pub named_mistakes: Vec<String>,
    /// Operations named besides the ones that are wrong.
    pub beside: usize,
    /// Seconds that the judge took.
    pub seconds: f64,
}

/// What an answer is worth.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Grade {
    /// See [`Row`].
    pub operation_right: Option<bool>,
    /// See [`Row`].
    pub mistake_right: Option<bool>,
    /// See [`Row`].
    pub false_alarm: bool,
    /// See [`Row`].
    pub undecided: bool,
    /// See [`Row`].
    pub beside: usize,
}

/// Holds `answer` against `truth`.
///
/// An operation is named right when the first one named is one of those that are wrong; a mistake when it
/// is among those that are named for that operation.
pub fn grade(truth: &Truth, answer: &Answer) -> Grade {
    let undecided = matches!(answer, Answer::Undecided(_));
    let right = |operation, mistake| Grade {
        operation_right: Some(operation),
        mistake_right: Some(mistake),
        undecided,
        ..Grade::default()
    };
    let says = |named: &Named, mistake: &str| named.mistakes.iter().any(|m| m == mistake);
    match (truth, answer) {
        (Truth::Clean, answer) => {
            Grade { false_alarm: !undecided && *answer != Answer::Clean, undecided, ..Grade::default() }
        }
        (Truth::Engine { mistake, nodes }, Answer::Faulty(named)) => {
            let first = named.first().filter(|n| nodes.contains(&n.checkpoint) && !n.instrument);
            let beside = named.iter().filter(|n| !nodes.contains(&n.checkpoint)).count();
            Grade { beside, ..right(first.is_some(), first.is_some_and(|n| says(n, mistake))) }
        }
        (Truth::Recorder { .. }, Answer::Instrument { class }) => {
            right(true, truth.garbage() == Some(class.as_str()))
        }
        // Nothing but the record is wrong, and nothing but the record is named.
        (Truth::Recorder { .. }, Answer::Noted { classes }) => {
            right(true, truth.garbage().is_some_and(|class| classes.iter().any(|c| c == class)))
        }
        (Truth::Recorder { mistake, nodes }, Answer::Faulty(named)) => {
            // To name a recorder's mistake is to blame the recorder.
            let blames = |n: &&Named| n.instrument || says(n, mistake);
            let first = named.first().filter(|n| nodes.contains(&n.checkpoint)).filter(blames);
            // Some are known by what they leave in the trace.
            let class = truth.garbage().unwrap_or(mistake);
            right(first.is_some(), first.is_some_and(|n| says(n, mistake) || says(n, class)))
        }
        // No operation is wrong, and none is named; only who sees the tokens says why.
        (Truth::Tokens { .. }, Answer::OtherTokens) | (Truth::Weights, Answer::OtherWeights) => {
            right(true, true)
        }
        (Truth::Tokens { .. }, Answer::Clean) => right(true, false),
        (Truth::Weights, Answer::Faulty(named)) => {
            right(!named.is_empty(), named.iter().all(|n| says(n, "weights-differ")))
        }
        _ => right(false, false),
    }
}

/// The answer in a few words, and the mistakes it names.
pub fn words(answer: &Answer) -> (String, Vec<String>) {
    match answer {
        Answer::Clean => ("nothing".into(), Vec::new()),
        Answer::OtherTokens => ("other tokens".into(), Vec::new()),
        Answer::OtherWeights => ("other weights".into(), vec!["weights-differ".into()]),
        Answer::Instrument { class } => ("the instrument".into(), vec![class.clone()]),
        Answer::Noted { classes } => ("only how it was recorded".into(), classes.clone()),
        Answer::Undecided(why) => (format!("undecided: {why}"), Vec::new()),
        Answer::Faulty(named) => {
            let Some(first) = named.first() else { return ("something".into(), Vec::new()) };
            let more = match named.len() {
                1 => String::new(),
                n => format!(" and {} more", n - 1),
            };
            (format!("{}{more}", first.checkpoint), first.mistakes.clone())
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn named(checkpoint: &str, mistakes: &[&str]) -> Named {
        Named {
            checkpoint: checkpoint.parse().unwrap(),
            mistakes: mistakes.iter().map(|&m| m.to_owned()).collect(),
            instrument: false,
        }
    }

    #[test]
    fn right_means_the_first_operation_and_its_mistake() {
        let truth =
            Truth::Engine { mistake: "rope-base".into(), nodes: ["Qcur_rope-1".parse().unwrap()].into() };
        let of = |answer: Answer| {
            let g = grade(&truth, &answer);
            (g.operation_right.unwrap(), g.mistake_right.unwrap(), g.beside)
        };
        assert_eq!(
            of(Answer::Faulty(vec![named("Qcur_rope-1", &["rope-pairing", "rope-base"])])),
            (true, true, 0)
        );
        assert_eq!(of(Answer::Faulty(vec![named("Qcur_rope-1", &["rope-pairing"])])), (true, false, 0));
        let wrong_first = vec![named("kq-1", &["rope-base"]), named("Qcur_rope-1", &["rope-base"])];
        assert_eq!(of(Answer::Faulty(wrong_first)), (false, false, 1));
        assert_eq!(of(Answer::Clean), (false, false, 0));
        assert_eq!(of(Answer::Instrument { class: "stale".into() }), (false, false, 0));
        assert!(grade(&truth, &Answer::Undecided("x".into())).undecided);
    }

    #[test]
    fn a_note_is_right_about_a_recorder_and_wrong_about_an_engine() {
        let noted = Answer::Noted { classes: vec!["truncated".into()] };
        let recorder = |mistake: &str| Truth::Recorder { mistake: mistake.into(), nodes: BTreeSet::new() };
        let of = |truth: &Truth| {
            let g = grade(truth, &noted);
            (g.operation_right, g.mistake_right, g.false_alarm)
        };
        assert_eq!(of(&recorder("ten-values")), (Some(true), Some(true), false));
        assert_eq!(of(&recorder("padded-logits")), (Some(true), Some(false), false));
        let engine = Truth::Engine { mistake: "rope-base".into(), nodes: BTreeSet::new() };
        assert_eq!(of(&engine), (Some(false), Some(false), false));
        // Clean runs are recorded in full.
        assert_eq!(of(&Truth::Clean), (None, None, true));
    }

    #[test]
    fn a_clean_pair_raises_an_alarm_unless_it_is_clean_or_undecided() {
        let alarm = |answer: Answer| grade(&Truth::Clean, &answer).false_alarm;
        assert!(!alarm(Answer::Clean) && !alarm(Answer::Undecided("x".into())));
        assert!(alarm(Answer::OtherTokens) && alarm(Answer::Faulty(vec![named("kq-0", &[])])));
        assert_eq!(grade(&Truth::Clean, &Answer::Clean).operation_right, None);
    }
}
