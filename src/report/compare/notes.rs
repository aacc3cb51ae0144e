//! What was odd about a trace, in sentences.

use crate::text::safe_short;
use crate::trace::{Notes, Store};

/// Reasons shown of skipped lines, and names of unknown checkpoints.
const SHOWN: usize = 5;

/// Who computed a trace, from what: one line.
pub(super) fn title(store: &Store) -> String {
    let mut out = safe_short(&store.path().display().to_string(), 200);
    let Some(header) = store.header() else { return out + ": no header" };
    let mut parts = vec![format!(
        "{}{}",
        safe_short(&header.team, 40),
        if header.backend.is_empty() {
            String::new()
        } else {
            format!(" ({})", safe_short(&header.backend, 40))
        }
    )];
    if !header.model.name.is_empty() {
        parts.push(safe_short(&header.model.name, 60));
    }
    parts.extend(header.model.weights.as_deref().map(|w| safe_short(w, 20)));
    parts.extend(header.settings.arithmetic.as_deref().map(|a| format!("arithmetic {}", safe_short(a, 20))));
    parts.extend(header.settings.kv.as_deref().map(|kv| format!("KV {}", safe_short(kv, 20))));
    parts.extend(header.settings.flash_attn.filter(|&on| on).map(|_| "flash attention".to_owned()));
    parts.extend(header.settings.fault.as_deref().map(|f| format!("fault {}", safe_short(f, 40))));
    out.push_str(": ");
    out.push_str(&parts.join(", "));
    out
}

/// Oddities of a trace, one sentence each.
pub fn sentences(notes: &Notes) -> Vec<String> {
    let Notes { skipped, skipped_count, duplicates, foreign, waiting, partial, restarts, earlier_runs } =
        notes;
    let mut out = Vec::new();
    if *skipped_count > 0 {
        let shown: Vec<String> = skipped
            .iter()
            .take(SHOWN)
            .map(|(line, reason)| format!("line {line} ({})", safe_short(reason, 100)))
            .collect();
        let more = if *skipped_count as usize > shown.len() { " …" } else { "" };
        out.push(format!("{skipped_count} line{} skipped: {}{more}", s(*skipped_count), shown.join(", ")));
    }
    if *duplicates > 0 {
        out.push(format!(
            "{duplicates} record{} for a cell that was there already; the last one counts",
            s(*duplicates)
        ));
    }
    if !foreign.is_empty() {
        let count: u64 = foreign.values().sum();
        let names: Vec<String> = foreign.keys().take(SHOWN).map(|name| safe_short(name, 60)).collect();
        let more = if foreign.len() > SHOWN { " …" } else { "" };
        out.push(format!(
            "{count} record{} of checkpoints that paritty does not know: {}{more}",
            s(count),
            names.join(", ")
        ));
    }
    if *waiting > 0 {
        out.push(format!(
            "{waiting} record{} whose values are not in the sidecar: it was cut, or not copied along",
            s(*waiting)
        ));
    }
    if *partial > 0 {
        out.push(format!("{partial} record{} with fewer values than the shape says", s(*partial)));
    }
    if *restarts > 0 {
        out.push(format!("replaced or cut {restarts} time{} while it was read", s(*restarts)));
    }
    if *earlier_runs > 0 {
        out.push(format!(
            "holds {earlier_runs} earlier run{} in the same file; the last one is compared",
            s(*earlier_runs)
        ));
    }
    out
}

fn s(n: u64) -> &'static str {
    if n == 1 { "" } else { "s" }
}
