//! The score for people.

use std::collections::BTreeMap;

use super::{JUDGES, Row, Score, Tally};
use crate::document::{Column, Document, Table, Value};
use crate::fault::FAULTS;
use crate::figures::{count, percent};
use crate::wording::Tone;

/// The score as a report: rates, a table by mistake, one by model, and every row that is wrong.
pub fn document(score: &Score, options: &str) -> Document {
    let mut document = Document::new("Score");
    for judge in JUDGES {
        let t = Tally::of(score.rows.iter().filter(|r| r.judge == judge.id()));
        let rate = |r: Option<f64>| r.map_or_else(|| "–".to_owned(), percent);
        let tone = if t.false_alarms == 0 { Tone::Plain } else { Tone::Bad };
        let text = format!(
            "{}: of {} the operation is named right in {}, the mistake in {}; {} on {}{}.",
            judge.title(),
            count(t.faulty, "mistake"),
            rate(t.operation_rate()),
            rate(t.mistake_rate()),
            count(t.false_alarms, "false alarm"),
            count(t.clean, "clean pair"),
            if t.undecided > 0 { format!(", {} undecided", t.undecided) } else { String::new() },
        );
        document.paragraph(tone, text);
    }
    document.paragraph(
        Tone::Plain,
        format!(
            "Tried: {options}. An operation is named right when the first one named is one of those that were changed; a \
             mistake when it is among those named for that operation. The audit explains by the same list of \
             mistakes that our engine makes here; what it says of mistakes made by others is a question for files \
             changed with `paritty mutate` and for foreign traces."
        ),
    );
    if !score.not_counted.is_empty() {
        document.paragraph(Tone::Plain, format!("Not counted: {}.", score.not_counted.join("; ")));
    }
    document.heading("By mistake").table(by_mistake(score));
    document.heading("By model").table(by_model(score));
    let wrong =
        |r: &&Row| r.operation_right == Some(false) || r.mistake_right == Some(false) || r.false_alarm;
    for judge in JUDGES {
        let rows: Vec<&Row> = score.rows.iter().filter(|r| r.judge == judge.id()).filter(wrong).collect();
        let mut table = Table::new(format!("wrong_{}", judge.id().replace('-', "_")), columns());
        for row in rows {
            table.row(cells(row));
        }
        if !table.rows.is_empty() {
            document.heading(format!("What is wrong or unnamed: {}", judge.title())).table(table);
        }
    }
    document
}

fn columns() -> Vec<Column> {
    vec![
        Column::new("model", "model"),
        Column::new("weights", "weights"),
        Column::new("trial", "tried"),
        Column::new("engine", "engine"),
        Column::new("operation", "operation"),
        Column::new("mistake", "mistake"),
        Column::new("named", "named"),
        Column::new("as", "as"),
    ]
}

fn cells(row: &Row) -> Vec<Value> {
    let verdict = |right: Option<bool>| match right {
        Some(true) => Value::Text("right".into()),
        Some(false) => Value::Text("wrong".into()).toned(Tone::Bad),
        None if row.false_alarm => Value::Text("false alarm".into()).toned(Tone::Bad),
        None => Value::Missing,
    };
    vec![
        Value::Text(row.subject.clone()),
        Value::Text(row.weights.clone()),
        Value::Text(row.trial.clone()),
        Value::Text(row.engine.into()),
        verdict(row.operation_right),
        verdict(row.mistake_right),
        Value::Text(row.named.clone()),
        if row.named_mistakes.is_empty() {
            Value::Missing
        } else {
            Value::Text(row.named_mistakes.join(", "))
        },
    ]
}

/// Rates of each judge over some rows.
fn rates(rows: &[&Row]) -> Vec<Value> {
    let mut values = Vec::new();
    for judge in JUDGES {
        let t = Tally::of(rows.iter().copied().filter(|r| r.judge == judge.id()));
        for rate in [t.operation_rate(), t.mistake_rate()] {
            values.push(rate.map_or(Value::Missing, Value::Percent));
        }
    }
    values
}

fn rate_columns() -> [Column; 4] {
    [
        Column::new("comparison_operation", "comparison: operation"),
        Column::new("comparison_mistake", "mistake"),
        Column::new("audit_operation", "audit: operation"),
        Column::new("audit_mistake", "mistake"),
    ]
}

fn by_mistake(score: &Score) -> Table {
    let mut groups: BTreeMap<(u8, &str), Vec<&Row>> = BTreeMap::new();
    for row in &score.rows {
        if let Some((mistake, number)) = &row.mistake {
            groups.entry((*number, mistake)).or_default().push(row);
        }
    }
    let mut columns =
        vec![Column::new("number", "no."), Column::new("fault", "mistake"), Column::new("runs", "runs")];
    columns.extend(rate_columns());
    let mut table = Table::new("mistakes", columns);
    // In the order in which faults are listed; what is none of them comes last.
    let order = |id: &str| FAULTS.iter().position(|f| f.id() == id).unwrap_or(usize::MAX);
    let mut groups: Vec<_> = groups.into_iter().collect();
    groups.sort_by_key(|((number, id), _)| (order(id), *number));
    for ((number, id), rows) in groups {
        let number = if number == 0 { Value::Missing } else { Value::Count(u64::from(number)) };
        let mut values =
            vec![number, Value::Text(id.into()), Value::Count((rows.len() / JUDGES.len()) as u64)];
        values.extend(rates(&rows));
        table.row(values);
    }
    table
}

fn by_model(score: &Score) -> Table {
    let mut groups: BTreeMap<(&str, &str, &str, &str), Vec<&Row>> = BTreeMap::new();
    for row in &score.rows {
        groups.entry((&row.arch, &row.weights, &row.subject, row.engine)).or_default().push(row);
    }
    let mut columns = vec![
        Column::new("arch", "architecture"),
        Column::new("weights", "weights"),
        Column::new("model", "model"),
        Column::new("engine", "engine"),
        Column::new("runs", "runs"),
    ];
    columns.extend(rate_columns());
    columns.push(Column::new("false_alarms", "false alarms"));
    let mut table = Table::new("models", columns);
    for ((arch, weights, subject, engine), rows) in groups {
        let mut values: Vec<Value> =
            [arch, weights, subject, engine].map(|t| Value::Text(t.to_owned())).into();
        values.push(Value::Count((rows.len() / JUDGES.len()) as u64));
        values.extend(rates(&rows));
        values.push(Value::Count(rows.iter().filter(|r| r.false_alarm).count() as u64));
        table.row(values);
    }
    table
}
