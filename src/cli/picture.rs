//! Pictures of a session's screen.

use std::path::{Path, PathBuf};

use crate::model::Checkpoint;
use crate::plot::{self, Cursor, View};
use crate::session::Snapshot;
use crate::session::headless::point_of_interest;
use crate::tui::views::{RowsOf, View as ScreenView};
use crate::tui::{ExportRequest, ExportWhat, PaneKind};

/// Writes the whole screen to `path` (PNG or SVG), with the cursor where it matters most.
pub fn screen(snapshot: &Snapshot, path: &Path) -> anyhow::Result<()> {
    let (position, checkpoint) = match &snapshot.focus {
        Some(focus) => (focus.position, focus.checkpoint),
        None => point_of_interest(snapshot).unwrap_or((0, Checkpoint::LOGITS)),
    };
    plot::render(View::Screen, snapshot, Cursor { position, checkpoint }, path, None)?;
    Ok(())
}

/// What `e` and `E` ask for: PNG, SVG and CSV in the current folder. Returns the PNG's path.
pub fn export(request: &ExportRequest) -> Result<PathBuf, String> {
    let view = match request.what {
        ExportWhat::Screen => View::Screen,
        ExportWhat::Pane(pane) => view_of(pane, request.view),
    };
    let folder = std::env::current_dir().map_err(|e| format!("the current folder: {e}"))?;
    let cursor = Cursor { position: request.cursor.position, checkpoint: request.cursor.checkpoint };
    let files = plot::export(view, &request.snapshot, cursor, &folder).map_err(|e| e.to_string())?;
    files.into_iter().next().ok_or_else(|| "nothing was drawn".to_owned())
}

/// The picture that shows what a pane shows.
fn view_of(pane: PaneKind, view: ScreenView) -> View {
    match pane {
        PaneKind::Map if view.info().rows == RowsOf::Layers => View::Map,
        PaneKind::Map => View::Layer,
        PaneKind::SideBySide | PaneKind::Elements => View::Heatmaps,
        PaneKind::Logits | PaneKind::Ranking | PaneKind::Texts | PaneKind::Kl => View::Logits,
        PaneKind::Diagnosis | PaneKind::Operations | PaneKind::Operation => View::Map,
        PaneKind::Tokens
        | PaneKind::Verdict
        | PaneKind::Garbage
        | PaneKind::Findings
        | PaneKind::Finding
        | PaneKind::Records => View::Tokens,
    }
}
