//! Pictures of a session's screen.

use std::path::{Path, PathBuf};

use crate::export::{NamedArray, write_arrays};
use crate::model::Checkpoint;
use crate::plot::table::TableData;
use crate::plot::{self, Cursor, Format, View};
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

/// What `e` and `E` ask for, into the current folder: pictures (PNG, SVG), what the terminal shows as text
/// with colours, and the data behind it (CSV, and the values as a NumPy archive). Returns the files.
pub fn export(request: &ExportRequest) -> Result<Vec<PathBuf>, String> {
    let view = match request.what {
        ExportWhat::Screen => View::Screen,
        ExportWhat::Pane(pane) => view_of(pane, request.view),
    };
    // What has no richer picture of its own is drawn as the terminal shows it.
    let shown = request.shown.as_ref().filter(|_| match request.what {
        ExportWhat::Screen => true,
        ExportWhat::Pane(pane) => is_text(pane),
    });
    let what = match request.what {
        ExportWhat::Screen => format!("screen-{}", request.view.info().id),
        ExportWhat::Pane(pane) if shown.is_some() => pane.info().id.to_owned(),
        ExportWhat::Pane(_) => view.info().id.to_owned(),
    };
    let folder = std::env::current_dir().map_err(|e| format!("the current folder: {e}"))?;
    let (position, checkpoint) = (request.cursor.position, request.cursor.checkpoint);
    let cursor = Cursor { position, checkpoint };
    let name = |ext| folder.join(plot::file_name(&what, &request.snapshot.model, position, checkpoint, ext));
    let mut files = Vec::new();
    for (ext, format) in [("png", Format::Png), ("svg", Format::Svg), ("csv", Format::Csv)] {
        let path = name(ext);
        match shown.filter(|_| format != Format::Csv) {
            Some(shown) => shown.encode(format).and_then(|bytes| plot::write(&path, &bytes)),
            None => plot::render(view, &request.snapshot, cursor, &path, None),
        }
        .map_err(|e| e.to_string())?;
        files.push(path);
    }
    let text = name("txt");
    plot::write(&text, request.text.as_bytes()).map_err(|e| e.to_string())?;
    files.push(text);
    let focus =
        request.snapshot.focus.as_ref().filter(|f| (f.position, f.checkpoint) == (position, checkpoint));
    let table = plot::table(view, &request.snapshot, cursor).map(|table| Stacked::new(&table));
    let arrays: Vec<NamedArray<'_>> = match &table {
        Some(table) => table.arrays(),
        None => focus
            .into_iter()
            .flat_map(|f| [("reference", &f.reference), ("candidate", &f.candidate)])
            .filter_map(|(name, tensor)| {
                let tensor = tensor.as_ref()?;
                Some(NamedArray { name, shape: &tensor.shape, values: &tensor.values })
            })
            .collect(),
    };
    if !arrays.is_empty() {
        let path = name("npz");
        write_arrays(&path, &arrays).map_err(|e| e.to_string())?;
        files.push(path);
    }
    Ok(files)
}

/// A table's rows as one array a side.
struct Stacked {
    shape: [u32; 2],
    sides: [Vec<f32>; 2],
}

impl Stacked {
    fn new(table: &TableData<'_>) -> Self {
        let shape = [table.width() as u32, table.rows.len() as u32];
        Self { shape, sides: [0, 1].map(|side| table.values(side)) }
    }

    /// Those of the sides that have any value.
    fn arrays(&self) -> Vec<NamedArray<'_>> {
        let named = ["reference", "candidate"].into_iter().zip(&self.sides);
        named
            .filter(|(_, values)| values.iter().any(|value| !value.is_nan()))
            .map(|(name, values)| NamedArray { name, shape: &self.shape, values })
            .collect()
    }
}

/// Whether a pane is text, or signs, and nothing that a picture could show better.
fn is_text(pane: PaneKind) -> bool {
    matches!(
        pane,
        PaneKind::Pipeline
            | PaneKind::Elements
            | PaneKind::Ranking
            | PaneKind::Texts
            | PaneKind::Kl
            | PaneKind::Verdict
            | PaneKind::Garbage
            | PaneKind::Findings
            | PaneKind::Finding
            | PaneKind::Records
            | PaneKind::Diagnosis
            | PaneKind::Operations
            | PaneKind::Operation
    )
}

/// The picture that shows the data behind a pane.
fn view_of(pane: PaneKind, view: ScreenView) -> View {
    match pane {
        PaneKind::Map if view.info().rows == RowsOf::Layers => View::Map,
        PaneKind::Map | PaneKind::Pipeline => View::Layer,
        PaneKind::SideBySide | PaneKind::Elements => View::Heatmaps,
        PaneKind::Channels => View::Channels,
        PaneKind::Attention => View::Attention,
        PaneKind::Logits | PaneKind::Ranking | PaneKind::Texts | PaneKind::Kl => View::Logits,
        PaneKind::Diagnosis | PaneKind::Operations | PaneKind::Operation => View::Map,
        PaneKind::Tokens
        | PaneKind::Verdict
        | PaneKind::Garbage
        | PaneKind::Findings
        | PaneKind::Finding
        | PaneKind::Records => View::Tokens,
        PaneKind::Histogram => View::Histogram,
        PaneKind::Scatter => View::Scatter,
    }
}
