//! Pictures of a session's screen.

use std::path::Path;

use crate::plot::{self, Cursor, View};
use crate::session::Snapshot;
use crate::session::headless::point_of_interest;

/// Writes the whole screen to `path` (PNG or SVG), with the cursor where it matters most.
pub fn screen(snapshot: &Snapshot, path: &Path) -> anyhow::Result<()> {
    let (position, checkpoint) = match &snapshot.focus {
        Some(focus) => (focus.position, focus.checkpoint),
        None => point_of_interest(snapshot).unwrap_or((0, crate::model::Checkpoint::LOGITS)),
    };
    plot::render(View::Screen, snapshot, Cursor { position, checkpoint }, path, None)?;
    Ok(())
}
