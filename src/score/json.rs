//! The score for programs: rates first, then every row behind them.

use serde_json::{Value, json};

use super::{JUDGES, Row, Score, Tally};

/// Everything, in one object. The rates at the top are those of the last judge.
pub fn json(score: &Score) -> Value {
    let tally = |judge: &str| Tally::of(score.rows.iter().filter(|r| r.judge == judge));
    let rates = |t: &Tally| {
        json!({
            "operation_rate": t.operation_rate(),
            "mistake_rate": t.mistake_rate(),
            "false_alarms": t.false_alarms,
            "faulty": t.faulty,
            "clean": t.clean,
            "undecided": t.undecided,
        })
    };
    let judges: serde_json::Map<String, Value> =
        JUDGES.iter().map(|j| (j.id().to_owned(), rates(&tally(j.id())))).collect();
    let last = tally(JUDGES.last().map_or("", |j| j.id()));
    json!({
        "operation_rate": last.operation_rate(),
        "mistake_rate": last.mistake_rate(),
        "false_alarms": last.false_alarms,
        "judges": judges,
        "not_counted": score.not_counted,
        "rows": score.rows.iter().map(row).collect::<Vec<_>>(),
    })
}

fn row(row: &Row) -> Value {
    json!({
        "model": row.subject,
        "arch": row.arch,
        "weights": row.weights,
        "trial": row.trial,
        "engine": row.engine,
        "mistake": row.mistake.as_ref().map(|m| &m.0),
        "catalogue": row.mistake.as_ref().map(|m| m.1),
        "judge": row.judge,
        "operation_right": row.operation_right,
        "mistake_right": row.mistake_right,
        "false_alarm": row.false_alarm,
        "undecided": row.undecided,
        "named": row.named,
        "named_mistakes": row.named_mistakes,
        "beside": row.beside,
        "seconds": row.seconds,
    })
}
