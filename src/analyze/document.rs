//! An analysis in words and tables.

use super::result::{Analysis, ClassTally, Judgement};
use crate::document::{Column, Document, Table, Value};
use crate::figures::{count, percent};
use crate::garbage::{self, Blame, CLASSES};
use crate::text::safe_short;
use crate::wording::Tone;

/// Rows of a table that a person reads; other formats have all that is kept.
const SHOWN: usize = 12;

/// One trace or several as a report. `full`: every finding that was kept, for programs.
pub fn document(analyses: &[Analysis], full: bool) -> Document {
    let title = match analyses {
        [one] => format!("Garbage in {}", safe_short(&name(one), 60)),
        many => format!("Garbage in {}", count(many.len(), "trace")),
    };
    let mut out = Document::new(title);
    for analysis in analyses {
        if analyses.len() > 1 {
            out.heading(safe_short(&name(analysis), 60));
        }
        headline(analysis, &mut out);
    }
    if analyses.len() > 1 || full {
        if !full {
            out.heading("All traces");
        }
        out.table(traces(analyses));
    }
    out.table(classes(analyses));
    out.table(places(analyses, full));
    if full {
        out.table(findings(analyses));
    }
    out.table(positions(analyses, full));
    out.table(statistics(analyses));
    out
}

/// The file's name, or the path where that is all there is.
fn name(analysis: &Analysis) -> String {
    let path = std::path::Path::new(&analysis.path);
    path.file_name().map_or_else(|| analysis.path.clone(), |n| n.to_string_lossy().into_owned())
}

fn headline(a: &Analysis, out: &mut Document) {
    let seen = format!(
        "{} at {}, {} values",
        count(a.records as usize, "record"),
        count(a.position_count() as usize, "position"),
        a.values
    );
    let share = |n: u64| {
        format!(
            "{n} of {} ({})",
            count(a.records as usize, "record"),
            percent(n as f64 / a.records.max(1) as f64)
        )
    };
    let (tone, text) = match a.judgement() {
        Judgement::Sound => (Tone::Good, format!("no garbage: {seen}")),
        Judgement::Instrument => (
            Tone::Bad,
            format!(
                "the instrument is at fault: {} hold what a logger wrote, not what an engine computed",
                share(a.instrument)
            ),
        ),
        Judgement::Engine => (Tone::Bad, format!("garbage from the engine: {}", share(a.engine))),
        Judgement::Partial if a.records == 0 => {
            (Tone::Caution, "inconclusive: no record's values could be read".to_owned())
        }
        Judgement::Partial => (
            Tone::Caution,
            format!(
                "inconclusive: nothing wrong in what was recorded ({seen}), but that is {} of {} values",
                a.values, a.promised
            ),
        ),
    };
    out.paragraph(tone, text);
    let mut items = Vec::new();
    if matches!(a.judgement(), Judgement::Instrument) && a.engine > 0 {
        items.push((Tone::Bad, format!("and garbage from the engine in {}", share(a.engine))));
    }
    let mut worst: Vec<(&&str, &ClassTally)> = a.classes.iter().collect();
    worst.sort_by_key(|(class, t)| (rank(t.blame), *class == &"truncated", std::cmp::Reverse(t.rows)));
    for (class, tally) in worst.into_iter().take(6) {
        let (position, finding) = &tally.best;
        let tone =
            if tally.blame == Blame::Nobody || *class == "truncated" { Tone::Plain } else { Tone::Bad };
        let at = if tally.rows > 1 {
            format!(", most clearly at position {position}")
        } else {
            format!(", at position {position}")
        };
        items.push((
            tone,
            format!(
                "{class} in {} of {}{at}: {}",
                count(tally.rows as usize, "record"),
                finding.checkpoint,
                finding.evidence
            ),
        ));
    }
    for (checkpoint, across) in a.across.iter().filter(|(_, across)| across.blame == Blame::Nobody) {
        items.push((Tone::Caution, format!("{checkpoint}: {}", across.evidence)));
    }
    for problem in a.unreadable.1.iter().take(3) {
        items.push((Tone::Caution, problem.clone()));
    }
    if a.rewinds > 0 {
        items.push((
            Tone::Plain,
            format!(
                "{} that void earlier records; those were looked at, too",
                count(a.rewinds as usize, "line")
            ),
        ));
    }
    items.extend(crate::report::compare::oddities(&a.notes).into_iter().map(|s| (Tone::Plain, s)));
    out.list(items);
}

fn rank(blame: Blame) -> u8 {
    match blame {
        Blame::Instrument => 0,
        Blame::Engine => 1,
        Blame::Nobody => 2,
    }
}

fn blame(blame: Blame) -> &'static str {
    match blame {
        Blame::Engine => "engine",
        Blame::Instrument => "instrument",
        Blame::Nobody => "nobody",
    }
}

fn traces(analyses: &[Analysis]) -> Table {
    let columns = vec![
        Column::new("trace", "trace"),
        Column::new("team", "engine"),
        Column::new("model", "model"),
        Column::new("positions", "positions"),
        Column::new("records", "records"),
        Column::new("values", "values"),
        Column::new("garbage", "garbage"),
        Column::new("rate", "rate"),
        Column::new("instrument", "instrument"),
        Column::new("engine", "engine's"),
        Column::new("verdict", "verdict"),
        Column::new("worst_class", "class"),
    ];
    let mut table = Table::new("traces", columns);
    for a in analyses {
        let (tone, verdict) = match a.judgement() {
            Judgement::Sound => (Tone::Good, "sound"),
            Judgement::Instrument => (Tone::Bad, "instrument"),
            Judgement::Engine => (Tone::Bad, "engine"),
            Judgement::Partial => (Tone::Caution, "inconclusive"),
        };
        let worst = a
            .classes
            .iter()
            .filter(|(class, t)| t.blame != Blame::Nobody && **class != "truncated")
            .max_by_key(|(_, t)| t.rows);
        let text = |s: &str| if s.is_empty() { Value::Missing } else { Value::Text(safe_short(s, 40)) };
        table.row(vec![
            Value::Text(safe_short(&name(a), 60)),
            text(&a.team),
            text(a.header.as_ref().map_or("", |h| h.model.name.as_str())),
            a.position_count().into(),
            a.records.into(),
            a.values.into(),
            a.garbage.into(),
            Value::Percent(a.rate()),
            a.instrument.into(),
            a.engine.into(),
            Value::from(verdict).toned(tone),
            Value::or_missing(worst.map(|(class, _)| *class)),
        ]);
    }
    table
}

fn trace_column(analyses: &[Analysis]) -> Vec<Column> {
    if analyses.len() > 1 { vec![Column::new("trace", "trace")] } else { Vec::new() }
}

fn trace_value(analyses: &[Analysis], a: &Analysis) -> Vec<Value> {
    if analyses.len() > 1 { vec![Value::Text(safe_short(&name(a), 40))] } else { Vec::new() }
}

fn classes(analyses: &[Analysis]) -> Table {
    let mut columns = trace_column(analyses);
    columns.extend([
        Column::new("class", "class"),
        Column::new("blame", "to blame"),
        Column::new("records", "records"),
        Column::new("rate", "rate"),
        Column::new("channels", "channels"),
        Column::new("first_position", "from"),
        Column::new("last_position", "to"),
        Column::new("confidence", "sure"),
    ]);
    let mut table = Table::new("classes", columns)
        .caption("Classes of garbage; `paritty analyze --explain CLASS` says more.");
    for a in analyses {
        for (class, tally) in &a.classes {
            let mut row = trace_value(analyses, a);
            let tone = match tally.blame {
                Blame::Nobody => Tone::Plain,
                _ if *class == "truncated" => Tone::Caution,
                _ => Tone::Bad,
            };
            row.extend([
                Value::from(*class).toned(tone),
                blame(tally.blame).into(),
                tally.rows.into(),
                Value::Percent(tally.rows as f64 / a.records.max(1) as f64),
                channels(tally).into(),
                tally.positions.0.into(),
                tally.positions.1.into(),
                Value::Percent(f64::from(tally.best.1.confidence)),
            ]);
            table.row(row);
        }
    }
    table
}

/// The commonest runs of channels.
fn channels(tally: &ClassTally) -> String {
    let mut spans: Vec<_> = tally.spans.iter().collect();
    spans.sort_by_key(|(span, rows)| (std::cmp::Reverse(**rows), **span));
    let shown: Vec<String> = spans
        .iter()
        .take(3)
        .map(|((first, n), _)| match n {
            0 => "all".to_owned(),
            1 => first.to_string(),
            n => format!("{first}–{}", u64::from(*first) + u64::from(*n) - 1),
        })
        .collect();
    shown.join(", ") + if spans.len() > 3 { " …" } else { "" }
}

fn places(analyses: &[Analysis], full: bool) -> Table {
    let mut columns = trace_column(analyses);
    columns.extend([
        Column::new("checkpoint", "checkpoint"),
        Column::new("records", "records"),
        Column::new("garbage", "garbage"),
        Column::new("rate", "rate"),
    ]);
    let mut table = Table::new("checkpoints", columns);
    for a in analyses {
        let bad = a.checkpoints.iter().filter(|(_, row)| full || row.1 > 0);
        for (checkpoint, (records, garbage)) in bad.take(if full { usize::MAX } else { SHOWN }) {
            let mut row = trace_value(analyses, a);
            row.extend([
                checkpoint.to_string().into(),
                (*records).into(),
                (*garbage).into(),
                Value::Percent(*garbage as f64 / (*records).max(1) as f64),
            ]);
            table.row(row);
        }
    }
    table
}

fn positions(analyses: &[Analysis], full: bool) -> Table {
    let mut columns = trace_column(analyses);
    columns.extend([Column::new("position", "position"), Column::new("garbage", "records with garbage")]);
    let mut table = Table::new("positions", columns);
    let shown = if full { usize::MAX } else { SHOWN };
    for a in analyses {
        for (position, garbage) in a.bad_positions.iter().take(shown) {
            let mut row = trace_value(analyses, a);
            row.extend([(*position).into(), (*garbage).into()]);
            table.row(row);
        }
        let more = a.bad_positions.len().saturating_sub(shown);
        if more > 0 {
            let mut row = trace_value(analyses, a);
            row.extend([Value::Text(format!("… and {more} more"))]);
            table.row(row);
        }
    }
    table
}

fn findings(analyses: &[Analysis]) -> Table {
    let mut columns = trace_column(analyses);
    columns.extend([
        Column::new("position", "position"),
        Column::new("checkpoint", "checkpoint"),
        Column::new("class", "class"),
        Column::new("blame", "to blame"),
        Column::new("first_channel", "first channel"),
        Column::new("channels", "channels"),
        Column::new("confidence", "sure"),
        Column::new("evidence", "evidence"),
    ]);
    let mut table = Table::new("findings", columns);
    for a in analyses {
        for (position, finding) in &a.findings {
            let mut row = trace_value(analyses, a);
            row.extend([
                (*position).into(),
                finding.checkpoint.to_string().into(),
                finding.class.into(),
                blame(finding.blame).into(),
                finding.first_channel.into(),
                finding.count.into(),
                // As many digits as it has.
                Value::Percent((f64::from(finding.confidence) * 1000.0).round() / 1000.0),
                finding.evidence.as_str().into(),
            ]);
            table.row(row);
        }
    }
    table
}

fn statistics(analyses: &[Analysis]) -> Table {
    let mut columns = trace_column(analyses);
    columns.extend([
        Column::new("checkpoint", "checkpoint"),
        Column::new("count", "values"),
        Column::new("nan", "NaN"),
        Column::new("infinite", "Inf"),
        Column::new("min", "min"),
        Column::new("p01", "1 %"),
        Column::new("p25", "25 %"),
        Column::new("median", "median"),
        Column::new("p75", "75 %"),
        Column::new("p99", "99 %"),
        Column::new("max", "max"),
        Column::new("mean", "mean"),
        Column::new("rms", "rms"),
        Column::new("top1_distinct", "top-1 channels"),
        Column::new("top1_mode", "commonest"),
        Column::new("top1_mode_share", "share"),
        Column::new("top1_stability", "kept"),
    ]);
    let mut table = Table::new("statistics", columns).caption(
        "Statistics of finite values; percentiles to within 0.8 %. Top-1: the largest channel of a row, how often the commonest is it, and how often it is that of the row before.",
    );
    for a in analyses {
        for (checkpoint, (summary, top)) in &a.stats {
            let m = &summary.moments;
            let quantile = |q| Value::or_missing(summary.histogram.quantile(q).map(f64::from));
            let any = m.finite() > 0;
            let end = |x: f32| if any { Value::Figure(f64::from(x)) } else { Value::Missing };
            let mut row = trace_value(analyses, a);
            row.extend([
                checkpoint.to_string().into(),
                m.count.into(),
                m.nan.into(),
                m.infinite.into(),
                end(m.min),
                quantile(0.01),
                quantile(0.25),
                quantile(0.5),
                quantile(0.75),
                quantile(0.99),
                end(m.max),
                Value::or_missing(m.mean()),
                Value::or_missing(m.rms()),
                top.distinct().into(),
                Value::or_missing(top.mode().map(|(channel, _)| channel)),
                top.mode().map_or(Value::Missing, |(_, n)| Value::Percent(n as f64 / top.rows.max(1) as f64)),
                top.stability().map_or(Value::Missing, Value::Percent),
            ]);
            table.row(row);
        }
    }
    table
}

/// What a class means (`list`: all of them in short); `None` if there is no such class.
pub fn explanation(id: &str) -> Option<Document> {
    if id == "list" {
        let mut out = Document::new("Classes of garbage");
        let columns = vec![
            Column::new("class", "class"),
            Column::new("sign", "sign"),
            Column::new("blame", "to blame"),
        ];
        let mut table = Table::new("classes", columns);
        for class in CLASSES {
            table.row(vec![class.id().into(), class.glyph().to_string().into(), blame(class.blame()).into()]);
        }
        out.table(table);
        return Some(out);
    }
    let class = garbage::class(id)?;
    let mut out = Document::new(class.id());
    out.paragraph(
        Tone::Plain,
        format!("{} ({}), to blame: {}", class.id(), class.glyph(), blame(class.blame())),
    );
    out.paragraph(Tone::Plain, class.explain());
    Some(out)
}
