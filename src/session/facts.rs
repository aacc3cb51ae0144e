//! A snapshot as JSON, for scripts.

use serde_json::{Value, json};

use super::{SideStatus, Snapshot, SourceState, Stepping, Stop};
use crate::compare::{CellMetrics, CellState, Column, Severity, Verdict};
use crate::figures::number;
use crate::model::Checkpoint;
use crate::wording;

/// Everything a script may want to know of a session: both sides, the verdict with its figures, and
/// one row per position. Non-finite figures are strings (`"NaN"`, `"inf"`).
pub fn json(snapshot: &Snapshot) -> Value {
    json!({
        "model": snapshot.model,
        "reference": side(&snapshot.reference),
        "candidate": side(&snapshot.candidate),
        "verdict": verdict(&snapshot.verdict),
        "stepping": stepping(&snapshot.stepping),
        "positions": snapshot.columns.iter().map(|c| column(c, snapshot)).collect::<Vec<_>>(),
    })
}

fn stepping(stepping: &Stepping) -> Value {
    let texts = |stops: &[Stop]| stops.iter().map(Stop::to_string).collect::<Vec<_>>();
    json!({
        "breakpoints": texts(&stepping.breakpoints),
        "feed": stepping.feed.to_string(),
        "stopped": stepping.stopped.as_ref().map(|(position, why)| json!({ "position": position, "why": why })),
        "fork": stepping.fork,
        "changes": stepping.changes,
    })
}

fn side(side: &SideStatus) -> Value {
    let state = match &side.state {
        SourceState::Waiting => "waiting",
        SourceState::Live => "live",
        SourceState::Ready => "ready",
        SourceState::Stalled(_) => "stalled",
        SourceState::Ended => "ended",
        SourceState::Failed(_) => "failed",
    };
    json!({
        "team": side.team,
        "backend": side.backend,
        "remark": side.remark,
        "state": state,
        "positions": side.positions,
        "expected": side.expected,
        "skipped_lines": side.notes.skipped_count,
        "duplicates": side.notes.duplicates,
        "unknown_checkpoints": side.notes.foreign,
        "missing_values": side.notes.waiting,
        "partial": side.notes.partial,
        "restarts": side.notes.restarts,
    })
}

/// The verdict: kind, exit code, sentences, figures.
pub(crate) fn verdict(verdict: &Verdict) -> Value {
    let kind = match verdict {
        Verdict::Pending => "pending",
        Verdict::DifferentComputation { .. } => "different-computation",
        Verdict::Instrument { .. } => "instrument",
        Verdict::Inconclusive { .. } => "inconclusive",
        Verdict::WithinNoise { .. } => "within-noise",
        Verdict::Diverged { .. } => "diverged",
    };
    let sentences: Vec<String> = wording::verdict(verdict).into_iter().map(|s| s.text).collect();
    let mut out = json!({ "kind": kind, "exit_code": verdict.exit_code(), "text": sentences });
    match verdict {
        Verdict::Diverged { first, beyond, .. } => {
            out["position"] = json!(first.position);
            out["cells_beyond_noise"] = json!(beyond);
            out["isolated"] = json!(first.isolated);
            place(&mut out, first.checkpoint, first.severity, Some(&first.metrics));
            if let Some((checkpoint, severity)) = first.worst_input {
                out["worst_input"] =
                    json!({ "checkpoint": checkpoint.to_string(), "severity": number(severity.0 as f64) });
            }
        }
        Verdict::WithinNoise { worst: Some((position, checkpoint, severity)), .. } => {
            out["position"] = json!(position);
            place(&mut out, *checkpoint, *severity, None);
        }
        Verdict::Instrument { side, finding, .. } => {
            out["side"] = json!(side);
            out["class"] = json!(finding.class);
        }
        _ => {}
    }
    out
}

fn place(out: &mut Value, checkpoint: Checkpoint, severity: Severity, metrics: Option<&CellMetrics>) {
    out["checkpoint"] = json!(checkpoint.to_string());
    out["site"] = json!(checkpoint.site().name());
    out["layer"] = json!(checkpoint.layer_index());
    out["severity"] = number(severity.0 as f64);
    if let Some(m) = metrics {
        out["nmse"] = number(m.nmse);
        out["cosine"] = number(m.cosine);
        out["max_abs"] = number(m.max_abs as f64);
        out["channel"] = json!(m.max_at);
    }
}

fn column(column: &Column, snapshot: &Snapshot) -> Value {
    let token = snapshot.tokens.iter().find(|t| t.position == column.position);
    let worst = column
        .cells
        .iter()
        .filter_map(|cell| match cell.state {
            CellState::Compared { severity, .. } => Some((cell.checkpoint, severity)),
            _ => None,
        })
        .max_by(|a, b| rank(a.1).total_cmp(&rank(b.1)));
    let garbage = |findings: &[crate::garbage::Finding]| -> Vec<Value> {
        findings
            .iter()
            .map(|f| json!({ "class": f.class, "checkpoint": f.checkpoint.to_string(), "evidence": f.evidence }))
            .collect()
    };
    json!({
        "position": column.position,
        "token": token.and_then(|t| t.id),
        "text": token.map(|t| &t.text),
        "candidate_token": token.and_then(|t| t.candidate.as_ref()).map(|(id, _)| id),
        "candidate_text": token.and_then(|t| t.candidate.as_ref()).map(|(_, text)| text),
        "complete": column.complete,
        "worst": worst.map(|(c, s)| json!({ "checkpoint": c.to_string(), "severity": number(s.0 as f64) })),
        "kl": column.logits.map(|l| number(l.kl)),
        "top1_agrees": column.logits.map(|l| l.top1_agrees),
        "garbage_reference": garbage(&column.garbage_reference),
        "garbage_candidate": garbage(&column.garbage_candidate),
    })
}

/// NaN ranks above everything: it is the worst there can be.
fn rank(severity: Severity) -> f32 {
    if severity.0.is_nan() { f32::INFINITY } else { severity.0 }
}
