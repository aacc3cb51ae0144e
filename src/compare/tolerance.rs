//! A team's own limits, from a small TOML file, beside the built-in noise floor.
//!
//! ```toml
//! [[rule]]
//! checkpoint = "^l_out-"      # regular expression over checkpoint names
//! metric = "nmse"             # nmse, cosine, max_abs, kl, top1 or severity
//! limit = 1e-4
//! ```
//!
//! A checkpoint that some rule matches is judged by all rules that match it and by nothing else; all
//! other checkpoints are judged by the noise floor. `cosine` and `top1` (the share of positions with the same
//! most likely token) must be at least their limit, everything else at most. What is NaN fails.

use regex::Regex;
use serde::Deserialize;

use super::evaluate::MARGIN;
use super::metrics::worse;
use super::{CellState, Comparison, Severity};
use crate::model::Checkpoint;

/// What a rule limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// Σ(a−b)²/Σa² of a cell.
    Nmse,
    /// Cosine of a cell, at least the limit.
    Cosine,
    /// Largest |a−b| of a cell.
    MaxAbs,
    /// KL(reference‖candidate) of a position's logits, nats.
    Kl,
    /// Share of positions whose logits have the same largest token, at least the limit.
    Top1,
    /// Divergence over the noise floor.
    Severity,
}

impl Metric {
    /// As a rule names it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Nmse => "nmse",
            Self::Cosine => "cosine",
            Self::MaxAbs => "max_abs",
            Self::Kl => "kl",
            Self::Top1 => "top1",
            Self::Severity => "severity",
        }
    }

    /// Whether more is better.
    fn is_floor(self) -> bool {
        matches!(self, Self::Cosine | Self::Top1)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    rule: Vec<RuleText>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleText {
    checkpoint: String,
    metric: Metric,
    limit: f64,
}

#[derive(Debug)]
struct Rule {
    checkpoint: Regex,
    metric: Metric,
    limit: f64,
}

/// The rules of a file.
#[derive(Debug, Default)]
pub struct Tolerances {
    rules: Vec<Rule>,
}

/// What one rule, or the noise floor, says of one checkpoint.
#[derive(Clone, Debug, PartialEq)]
pub struct Judged {
    /// The checkpoint; none for a rule that matches nothing that was compared.
    pub checkpoint: Option<Checkpoint>,
    /// What is limited.
    pub metric: Metric,
    /// The limit.
    pub limit: f64,
    /// The worst figure, and the position that has it.
    pub worst: Option<(f64, u32)>,
    /// Cells, or positions, looked at.
    pub cells: usize,
    /// Whether the limit holds. Nothing to look at does not pass.
    pub passes: bool,
    /// Where the limit comes from.
    pub source: String,
}

impl Tolerances {
    /// Reads the text of a file. The error names the line, or the rule by its number.
    pub fn parse(text: &str) -> Result<Self, String> {
        let file: File = toml::from_str(text).map_err(|e| e.to_string().trim_end().to_owned())?;
        if file.rule.is_empty() {
            return Err("no [[rule]] in it; a rule has `checkpoint`, `metric` and `limit`".to_owned());
        }
        let mut rules = Vec::new();
        for (i, rule) in file.rule.into_iter().enumerate() {
            if rule.limit.is_nan() || (rule.limit < 0.0 && rule.metric != Metric::Cosine) {
                return Err(format!("rule {}: limit: a number of 0 or more was expected", i + 1));
            }
            let checkpoint =
                Regex::new(&rule.checkpoint).map_err(|e| format!("rule {}: checkpoint: {e}", i + 1))?;
            rules.push(Rule { checkpoint, metric: rule.metric, limit: rule.limit });
        }
        Ok(Self { rules })
    }

    /// What every rule says of every checkpoint that it matches, and the noise floor of the others.
    pub fn judge(&self, comparison: &Comparison) -> Vec<Judged> {
        let mut out = Vec::new();
        let mut used = vec![false; self.rules.len()];
        for &checkpoint in comparison.rows().iter() {
            let name = checkpoint.to_string();
            let compared = comparison.columns().iter().any(|c| {
                c.cell(checkpoint).is_some_and(|cell| matches!(cell.state, CellState::Compared { .. }))
            });
            if !compared {
                continue;
            }
            let before = out.len();
            for (i, rule) in self.rules.iter().enumerate().filter(|(_, r)| r.checkpoint.is_match(&name)) {
                used[i] = true;
                let source = format!("rule {}: {}", i + 1, rule.checkpoint.as_str());
                out.push(judged(comparison, checkpoint, rule.metric, rule.limit, source));
            }
            if out.len() == before {
                let limit = f64::from(Severity::LIMIT);
                out.push(judged(
                    comparison,
                    checkpoint,
                    Metric::Severity,
                    limit,
                    floor(comparison, checkpoint),
                ));
            }
        }
        for (i, rule) in self.rules.iter().enumerate().filter(|(i, _)| !used[*i]) {
            out.push(Judged {
                checkpoint: None,
                metric: rule.metric,
                limit: rule.limit,
                worst: None,
                cells: 0,
                passes: false,
                source: format!(
                    "rule {}: {} matches nothing that was compared",
                    i + 1,
                    rule.checkpoint.as_str()
                ),
            });
        }
        out
    }
}

/// Where the built-in limit of a checkpoint comes from, in words.
fn floor(comparison: &Comparison, checkpoint: Checkpoint) -> String {
    let Some(rules) = comparison.rules() else { return "built-in".to_owned() };
    let floor = rules.noise.floor(checkpoint, rules.lineage.layers());
    let scale =
        if rules.scale > 1.0 { format!(" × {:.1} of this pair", rules.scale) } else { String::new() };
    format!(
        "built-in: measured noise of class {}, relative error {floor:.1e} × margin {MARGIN}{scale}",
        rules.noise.class().name()
    )
}

fn judged(
    comparison: &Comparison,
    checkpoint: Checkpoint,
    metric: Metric,
    limit: f64,
    source: String,
) -> Judged {
    let mut worst: Option<(f64, u32)> = None;
    let (mut cells, mut agreeing) = (0, 0);
    for column in comparison.columns() {
        let Some(cell) = column.cell(checkpoint) else { continue };
        let CellState::Compared { metrics, severity, .. } = &cell.state else { continue };
        let logits = column.logits.filter(|_| checkpoint == Checkpoint::LOGITS);
        let figure = match metric {
            Metric::Nmse => metrics.nmse,
            Metric::Cosine => metrics.cosine,
            Metric::MaxAbs => f64::from(metrics.max_abs),
            Metric::Severity => f64::from(severity.0),
            // Known of whole rows of logits only.
            Metric::Kl => match logits {
                Some(logits) => logits.kl,
                None => continue,
            },
            Metric::Top1 => match logits {
                Some(logits) => f64::from(u8::from(logits.top1_agrees)),
                None => continue,
            },
        };
        cells += 1;
        agreeing += usize::from(figure == 1.0);
        let is_worse = worst.is_none_or(|(w, _)| {
            let (w, f) = if metric.is_floor() { (-w, -figure) } else { (w, figure) };
            !w.is_nan() && worse(w, f) != w
        });
        if is_worse {
            worst = Some((figure, column.position));
        }
    }
    if metric == Metric::Top1 {
        worst = worst.map(|(_, at)| (agreeing as f64 / f64::from(cells as u32), at));
    }
    let passes = worst.is_some_and(|(w, _)| if metric.is_floor() { w >= limit } else { w <= limit });
    Judged { checkpoint: Some(checkpoint), metric, limit, worst, cells, passes, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mistakes_in_a_file_are_named() {
        for (text, part) in [
            ("", "no [[rule]]"),
            ("[[rule]]\ncheckpoint = \"(\"\nmetric = \"nmse\"\nlimit = 1\n", "rule 1"),
            ("[[rule]]\ncheckpoint = \".\"\nmetric = \"speed\"\nlimit = 1\n", "line 3"),
            ("[[rule]]\ncheckpoint = \".\"\nmetric = \"nmse\"\nlimit = -1\n", "limit"),
            ("[[rule]]\ncheckpoint = \".\"\nmetric = \"nmse\"\nlimits = 1\n", "limits"),
            ("[[rule]]\ncheckpoint = \".\"\nlimit = nan\nmetric = \"kl\"\n", "limit"),
        ] {
            let problem = Tolerances::parse(text).unwrap_err();
            assert!(problem.contains(part), "{text}: {problem}");
        }
        let text = "[[rule]]\ncheckpoint = \"^l_out-\"\nmetric = \"max_abs\"\nlimit = 1e-3\n";
        assert_eq!(Tolerances::parse(text).unwrap().rules[0].metric, Metric::MaxAbs);
    }
}
