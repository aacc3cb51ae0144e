//! Pictures: the same renderers for the terminal's export, screenshots, `plot` and reports.
//!
//! Every picture is plain data first (`map`, `heatmap`, `topk`, `tokens`, `growth`), drawn by the
//! same calls on a bitmap or an SVG; `adapt` takes the data from a session's snapshot, `views`
//! lists the pictures. Nothing here knows a terminal.

mod adapt;
pub mod axis;
pub mod bars;
pub mod canvas;
mod chart;
pub mod fold;
pub mod font;
mod garbage;
pub mod growth;
pub mod heatmap;
pub mod histogram;
pub mod map;
pub mod output;
pub mod positions;
pub mod scatter;
pub mod screenshot;
pub mod style;
pub mod table;
pub mod tokens;
pub mod topk;
pub mod verdict;
mod views;

use std::path::{Path, PathBuf};

pub use bars::{BarGroup, BarsData, bars, bars_svg};
pub use garbage::{RunGarbage, garbage_bars};
pub use output::{Format, write};
pub use style::Style;
pub use views::{VIEWS, View, ViewInfo};

use crate::model::Checkpoint;
use crate::palette::Ground;
use crate::session::Snapshot;

/// Where the reader looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// Position.
    pub position: u32,
    /// Checkpoint.
    pub checkpoint: Checkpoint,
}

/// What a picture is made from.
#[derive(Clone, Copy, Debug)]
pub struct Scene<'a> {
    /// The session.
    pub snapshot: &'a Snapshot,
    /// Where the reader looks.
    pub cursor: Cursor,
}

/// Why there is no picture.
#[derive(Debug, thiserror::Error)]
pub enum PlotError {
    /// The extension says nothing about the format.
    #[error("{path}: the extension decides the format; name the file .png, .svg or .csv")]
    Extension {
        /// The file asked for.
        path: PathBuf,
    },
    /// No such size.
    #[error(
        "a picture of {width} × {height} pixels cannot be drawn; both sides must be 64 to 16384, and the area at most 67 million pixels"
    )]
    Size {
        /// Width asked for.
        width: u32,
        /// Height asked for.
        height: u32,
    },
    /// The file could not be written.
    #[error("{path}: {source}; check that the folder exists and can be written")]
    Write {
        /// The file asked for.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A backend failed.
    #[error("drawing `{view}`: {problem}")]
    Draw {
        /// The picture's id.
        view: &'static str,
        /// What the backend said.
        problem: String,
    },
}

/// The table that a picture of rows and columns shows, where it is one.
pub fn table(view: View, snapshot: &Snapshot, cursor: Cursor) -> Option<table::TableData<'_>> {
    let scene = Scene { snapshot, cursor };
    match view {
        View::Channels => Some(adapt::channels(&scene)),
        View::Attention => Some(adapt::attention(&scene)),
        _ => None,
    }
}

/// Renders a picture into memory.
pub fn encode(
    view: View,
    scene: &Scene<'_>,
    format: Format,
    size: Option<(u32, u32)>,
    ground: Ground,
) -> Result<Vec<u8>, PlotError> {
    let info = view.info();
    let size = size.unwrap_or(info.size);
    let style = Style::fitting(size, info.text.0, info.text.1, ground);
    let picture = output::Picture { id: info.id, title: info.title, size, style: &style };
    let paint = |canvas: &mut canvas::Canvas<'_>, area| (info.draw)(scene, canvas, area, &style);
    output::draw(&picture, format, &paint, &|| (info.data)(scene))
}

/// A picture as one SVG that is light or dark as its reader prefers.
pub fn adaptive_svg(view: View, scene: &Scene<'_>) -> Result<String, PlotError> {
    let [light, dark] = [Ground::Light, Ground::Dark].map(|ground| {
        let bytes = encode(view, scene, Format::Svg, None, ground)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    });
    Ok(output::adaptive(&light?, &dark?))
}

/// Renders a picture on a dark ground into `target`, whose extension (`.png`, `.svg`, `.csv` for
/// the data behind it) decides the format. The file appears complete or not at all.
pub fn render(
    view: View,
    snapshot: &Snapshot,
    cursor: Cursor,
    target: &Path,
    size: Option<(u32, u32)>,
) -> Result<(), PlotError> {
    render_on(Ground::Dark, view, snapshot, cursor, target, size)
}

/// [`render`], on a ground of choice.
pub fn render_on(
    ground: Ground,
    view: View,
    snapshot: &Snapshot,
    cursor: Cursor,
    target: &Path,
    size: Option<(u32, u32)>,
) -> Result<(), PlotError> {
    let format = Format::of(target)?;
    let bytes = encode(view, &Scene { snapshot, cursor }, format, size, ground)?;
    write(target, &bytes)
}

/// A file name that says what is in it, made of letters, digits, `.`, `_` and `-` only:
/// `paritty-tinyllama-map-p5-Kcur_rope-7.png`; `what` is a picture's or a pane's id.
pub fn file_name(what: &str, model: &str, position: u32, checkpoint: Checkpoint, ext: &str) -> String {
    /// Keeps names short enough for every file system.
    const MAX_MODEL: usize = 48;
    let clean = |text: &str| -> String {
        let kept: String = text
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-') { c } else { '-' })
            .collect();
        let parts: Vec<&str> = kept.split('-').filter(|p| p.contains(|c| c != '.')).collect();
        parts.join("-").trim_matches('.').chars().take(MAX_MODEL).collect()
    };
    let model = match clean(model) {
        m if m.is_empty() => "model".to_owned(),
        m => m,
    };
    format!("paritty-{model}-{}-p{position}-{}.{}", clean(what), clean(&checkpoint.to_string()), clean(ext))
}

#[cfg(test)]
mod tests;
