//! How figures, states and verdicts are put into words: one place for the terminal, pictures and
//! reports, so that they never say different things. Everything returned is plain text; sentences
//! that quote a file went through [`crate::text::safe`].

use crate::compare::verdict::Coverage;
use crate::compare::{CellMetrics, LogitMetrics, Severity, Verdict};
use crate::figures::{cosine, count, figure};
use crate::model::Checkpoint;
use crate::text::safe;

/// How a sentence should look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// All is well.
    Good,
    /// Nothing can be concluded, or not yet.
    Caution,
    /// Something is wrong.
    Bad,
    /// Figures and details.
    Plain,
}

/// A sentence with its tone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sentence {
    /// How it should look.
    pub tone: Tone,
    /// What it says; one line, unwrapped.
    pub text: String,
}

impl Sentence {
    fn new(tone: Tone, text: impl Into<String>) -> Self {
        Self { tone, text: text.into() }
    }
}

/// A severity: `0.31×`, `214×`, `1.2e5×`, `∞×`.
pub fn times(severity: Severity) -> String {
    let s = severity.0;
    if s.is_nan() {
        "∞×".to_owned()
    } else if s.is_finite() && s.abs() >= 9999.5 {
        format!("{s:.1e}×")
    } else if s != 0.0 && s.abs() < 0.001 {
        "<0.001×".to_owned()
    } else {
        format!("{}×", figure(s as f64))
    }
}

/// The figures of one cell, each with its unit: `nmse 3.10e-2`, `cos 0.984`, …
pub fn cell(metrics: &CellMetrics, severity: Option<Severity>) -> Vec<String> {
    let mut out = vec![
        format!("nmse {}", figure(metrics.nmse)),
        format!("cos {}", cosine(metrics.cosine)),
        format!("max |Δ| {} at channel {}", figure(metrics.max_abs as f64), metrics.max_at),
    ];
    if let Some(severity) = severity {
        out.push(format!("{} noise", times(severity)));
    }
    if metrics.compared < metrics.of {
        out.push(format!("{} of {} values", metrics.compared, metrics.of));
    }
    let (r, c) = (metrics.nonfinite_reference, metrics.nonfinite_candidate);
    if r + c > 0 {
        out.push(format!("not finite: {r} reference, {c} candidate"));
    }
    out
}

/// The figures of a pair of logit rows.
pub fn logits(metrics: &LogitMetrics) -> Vec<String> {
    vec![
        format!("KL {} nats", figure(metrics.kl)),
        (if metrics.top1_agrees { "same first token" } else { "first token differs" }).to_owned(),
        format!("{} of top {} shared", metrics.overlap, metrics.k),
        format!("margin {}", figure(metrics.margin as f64)),
    ]
}

/// Where: `position 5, layer 7, Kcur_rope-7`.
pub fn place(position: u32, checkpoint: Checkpoint) -> String {
    match checkpoint.layer_index() {
        Some(layer) => format!("position {position}, layer {layer}, {checkpoint}"),
        None => format!("position {position}, {checkpoint}"),
    }
}

/// What was compared and what could not be.
pub fn coverage(c: &Coverage) -> Vec<Sentence> {
    let mut out = vec![Sentence::new(
        Tone::Plain,
        format!(
            "{} compared at {}",
            count(c.cells as usize, "cell"),
            count(c.positions as usize, "position")
        ),
    )];
    let lacks = [
        (c.missing_in_candidate, "cells that the candidate lacks"),
        (c.missing_in_reference, "cells that the reference lacks"),
        (c.reference_only_positions.into(), "positions that only the reference has"),
        (c.candidate_only_positions.into(), "positions that only the candidate has"),
        (c.partial, "cells compared over a part of their values"),
        (c.unreadable, "cells of other shapes or without their values"),
    ];
    let text: Vec<String> = lacks.iter().filter(|l| l.0 > 0).map(|(n, what)| format!("{n} {what}")).collect();
    if !text.is_empty() {
        out.push(Sentence::new(Tone::Caution, format!("not compared in full: {}", text.join(", "))));
    }
    out
}

/// The verdict in a few words, for a title or a list.
pub fn headline(verdict: &Verdict) -> Sentence {
    match verdict {
        Verdict::Pending => Sentence::new(Tone::Caution, "nothing to compare yet"),
        Verdict::DifferentComputation { .. } => {
            Sentence::new(Tone::Caution, "the two runs are not the same computation")
        }
        Verdict::Instrument { side, .. } => {
            Sentence::new(Tone::Bad, format!("the {side}'s recorded values are not what an engine computed"))
        }
        Verdict::Inconclusive { .. } => Sentence::new(Tone::Caution, "inconclusive"),
        Verdict::WithinNoise { .. } => Sentence::new(Tone::Good, "within noise"),
        Verdict::Diverged { first, .. } => {
            Sentence::new(Tone::Bad, format!("first divergence: {}", place(first.position, first.checkpoint)))
        }
    }
}

/// The verdict with its evidence: headline first, then one sentence a line.
pub fn verdict(verdict: &Verdict) -> Vec<Sentence> {
    let mut out = vec![headline(verdict)];
    let mut plain = |text: String| out.push(Sentence::new(Tone::Plain, text));
    match verdict {
        Verdict::Pending => plain("the first position appears as soon as both sides have it".to_owned()),
        Verdict::DifferentComputation { evidence } => plain(safe(evidence).into_owned()),
        Verdict::Instrument { evidence, finding, .. } => {
            plain(safe(evidence).into_owned());
            plain(format!("{} at {}: {}", finding.class, finding.checkpoint, safe(&finding.evidence)));
        }
        Verdict::Inconclusive { reason, coverage: c } => {
            plain(safe(reason).into_owned());
            out.extend(coverage(c));
        }
        Verdict::WithinNoise { worst, coverage: c } => {
            if let Some((position, checkpoint, severity)) = worst {
                plain(format!("worst cell: {}, {} noise", place(*position, *checkpoint), times(*severity)));
            }
            out.extend(coverage(c));
        }
        Verdict::Diverged { first, beyond, coverage: c } => {
            plain(format!("{}: {}", first.checkpoint, first.checkpoint.site().info().meaning));
            let output = times(first.severity);
            plain(match first.worst_input {
                Some((input, severity)) => {
                    format!(
                        "output {output} noise; inputs agree, the worst is {input} with {}",
                        times(severity)
                    )
                }
                None => format!("output {output} noise; it has no inputs in the traces"),
            });
            if !first.evidence.is_empty() {
                plain(safe(&first.evidence).into_owned());
            }
            plain(cell(&first.metrics, None).join(", "));
            if !first.isolated {
                out.push(Sentence::new(
                    Tone::Caution,
                    "not every input was recorded: the mistake may lie in an operation just before",
                ));
            }
            out.push(Sentence::new(Tone::Plain, format!("{} beyond noise", count(*beyond as usize, "cell"))));
            out.extend(coverage(c));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::Divergence;

    #[test]
    fn a_severity_never_vanishes() {
        assert_eq!(times(Severity(214.2)), "214×");
        assert_eq!(times(Severity(1e-9)), "<0.001×");
        assert_eq!(times(Severity(f32::NAN)), "∞×");
        assert_eq!(times(Severity(f32::INFINITY)), "∞×");
    }

    #[test]
    fn a_divergence_names_place_operation_and_figures() {
        let metrics = CellMetrics {
            nmse: 0.031,
            cosine: 0.984,
            max_abs: 1.5,
            max_at: 17,
            nonfinite_reference: 0,
            nonfinite_candidate: 0,
            compared: 64,
            of: 64,
        };
        let at = "Kcur_rope-7".parse().expect("a name");
        let input = "Kcur-7".parse().expect("a name");
        let first = Divergence {
            position: 5,
            checkpoint: at,
            metrics,
            severity: Severity(214.0),
            worst_input: Some((input, Severity(0.4))),
            isolated: true,
            evidence: String::new(),
        };
        let all: Vec<String> = verdict(&Verdict::Diverged {
            first,
            beyond: 12,
            coverage: Coverage { cells: 1, positions: 1, ..Coverage::default() },
        })
        .into_iter()
        .map(|s| s.text)
        .collect();
        assert_eq!(
            all,
            [
                "first divergence: position 5, layer 7, Kcur_rope-7",
                "Kcur_rope-7: key after RoPE",
                "output 214× noise; inputs agree, the worst is Kcur-7 with 0.400×",
                "nmse 0.0310, cos 0.9840, max |Δ| 1.50 at channel 17",
                "12 cells beyond noise",
                "1 cell compared at 1 position",
            ]
        );
    }

    #[test]
    fn text_of_a_file_cannot_control_a_terminal() {
        let lines = verdict(&Verdict::DifferentComputation { evidence: "\u{1b}[2J".to_owned() });
        assert!(lines.iter().all(|s| !s.text.chars().any(char::is_control)));
    }
}
