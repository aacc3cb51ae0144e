//! The screen: state ([`app`]), keys ([`keymap`]), panes ([`panes`]), and the loop that joins them
//! to a session. It shows snapshots and sends commands; it computes nothing.

pub mod ansi;
pub mod app;
pub mod command;
mod event_loop;
pub mod graphics;
pub mod hints;
mod indexed;
pub mod key;
pub mod keymap;
pub mod kinds;
pub mod layout;
mod output;
pub mod panes;
pub mod plain;
pub mod settings;
mod shot;
pub mod terminal;
pub mod theme;
mod typing;
pub mod view;
pub mod views;
pub mod words;
mod worst;

use std::fmt;
use std::io::{self, IsTerminal};
use std::path::PathBuf;
use std::sync::Arc;

pub use app::{App, Cursor, ExportRequest, ExportWhat, SavedScreen};
pub use keymap::Keymap;
pub use kinds::PaneKind;
pub use theme::Theme;

use crate::session::Link;

/// Draws a picture and says which files hold it, or why not. Called on a thread of its own.
pub type Exporter = Arc<dyn Fn(ExportRequest) -> Result<Vec<PathBuf>, String> + Send + Sync>;

/// What a screen can be given.
#[derive(Clone, Default)]
pub struct TuiOptions {
    /// Draws pictures for `e` and `E`.
    pub exporter: Option<Exporter>,
    /// Colours; what the environment says otherwise.
    pub theme: Option<Theme>,
    /// Keys.
    pub keymap: Keymap,
    /// How heatmaps are shown.
    pub graphics: graphics::Choice,
    /// Where the user was when the session was left.
    pub screen: Option<SavedScreen>,
    /// Lines that were typed on the command line of earlier screens, the newest last.
    pub typed: Vec<String>,
}

impl fmt::Debug for TuiOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TuiOptions").field("theme", &self.theme).finish_non_exhaustive()
    }
}

/// How the screen was left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Left {
    /// Why.
    pub ended: Ended,
    /// Where the user was.
    pub screen: SavedScreen,
    /// Lines that were typed on the command line, the newest last.
    pub typed: Vec<String>,
}

/// Why the screen was left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The user quit.
    Quit,
    /// This signal asked for it.
    Signal(i32),
}

/// Why there is no screen.
#[derive(Debug, thiserror::Error)]
pub enum TuiError {
    /// Stdin or stdout lead elsewhere.
    #[error("the screen needs a terminal on stdin and stdout; use --headless or --plain without one")]
    NoTerminal,
    /// The terminal refused.
    #[error("the terminal: {0}")]
    Terminal(#[source] io::Error),
}

/// Shows a session until the user quits or a signal ends it. Takes the calling thread. The terminal
/// is as it was before when this returns, and when it panics.
pub fn run(link: Link, options: TuiOptions) -> Result<Left, TuiError> {
    if !io::stdin().is_terminal() || !io::stdout().is_terminal() {
        return Err(TuiError::NoTerminal);
    }
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(TuiError::Terminal)?;
    let ended = runtime.block_on(async { event_loop::EventLoop::new(link, options)?.run().await });
    // An export that hangs must not keep the program.
    runtime.shutdown_background();
    ended
}
