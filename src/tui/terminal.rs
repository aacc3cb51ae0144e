//! The terminal while the screen is up, and how it is given back: on return, on error, on a panic,
//! on a signal, on suspension. Whatever happens, it is restored once and completely.

use std::io::{self, Write};
use std::panic;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, Once, PoisonError};
use std::thread::{self, ThreadId};

use crossterm::cursor::Show;
use crossterm::event::{
    DisableBracketedPaste, DisableMouseCapture, EnableBracketedPaste, EnableMouseCapture,
};
use crossterm::terminal::{
    BeginSynchronizedUpdate, EndSynchronizedUpdate, EnterAlternateScreen, LeaveAlternateScreen,
    disable_raw_mode, enable_raw_mode,
};
use crossterm::{execute, queue};
use ratatui::backend::{Backend, CrosstermBackend};
use ratatui::{Frame, Terminal};
use tokio::sync::Notify;

use super::graphics::{Display, Found, Pictures};
use super::output::{self, Output};

/// Whether the screen is up.
static ACTIVE: AtomicBool = AtomicBool::new(false);
/// The thread that draws.
static OWNER: Mutex<Option<ThreadId>> = Mutex::new(None);
/// What takes the pictures away that the terminal shows.
static FAREWELL: Mutex<Vec<u8>> = Mutex::new(Vec::new());
/// What other threads' panics said while nothing could be printed.
static HELD_BACK: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// The screen. Dropping it restores the terminal.
#[derive(Debug)]
pub struct Screen {
    terminal: Terminal<CrosstermBackend<Output>>,
    /// Told when a frame has arrived.
    arrived: Arc<Notify>,
    /// Shows pictures, where the terminal can.
    display: Option<Display>,
}

impl Screen {
    /// Takes the terminal over, for the calling thread.
    pub fn enter() -> io::Result<Self> {
        *OWNER.lock().unwrap_or_else(PoisonError::into_inner) = Some(thread::current().id());
        install_panic_hook();
        take()?;
        let made = Output::new().and_then(|out| {
            let arrived = out.arrived();
            Ok((Terminal::new(CrosstermBackend::new(out))?, arrived))
        });
        match made {
            Ok((terminal, arrived)) => Ok(Self { terminal, arrived, display: None }),
            Err(error) => {
                restore();
                Err(error)
            }
        }
    }

    /// Draws a frame as one synchronized update. What is rendered may ask for pictures, where the
    /// terminal shows any.
    pub fn draw(&mut self, render: impl FnOnce(&mut Frame<'_>, Option<&Pictures>)) -> io::Result<()> {
        frame(&mut self.terminal, self.display.as_mut(), render)
    }

    /// Whether the last frame has arrived at the terminal. Another one would only wait behind it.
    pub fn is_ready(&self) -> bool {
        output::is_idle()
    }

    /// Told when a frame has arrived.
    pub fn arrived(&self) -> Arc<Notify> {
        Arc::clone(&self.arrived)
    }

    /// Shows pictures from now on as `found` says, or none.
    pub fn show_pictures(&mut self, found: &Found) -> io::Result<()> {
        self.take_pictures_away()?;
        self.display = found.placing.map(|placing| Display::new(placing, std::process::id()));
        let farewell = self.display.as_ref().map(Display::farewell).unwrap_or_default();
        *FAREWELL.lock().unwrap_or_else(PoisonError::into_inner) = farewell;
        self.clear()
    }

    fn take_pictures_away(&mut self) -> io::Result<()> {
        if let Some(display) = &mut self.display {
            let farewell = display.farewell();
            display.forget();
            self.terminal.backend_mut().write_all(&farewell)?;
        }
        Ok(())
    }

    /// Forgets what the terminal shows, so that the next frame is drawn in full.
    pub fn clear(&mut self) -> io::Result<()> {
        self.take_pictures_away()?;
        // `Terminal::clear` asks the terminal where its cursor is and waits for the answer, which a
        // slow line delays. Nothing needs the cursor here.
        self.terminal.backend_mut().clear()?;
        // The buffer of the last frame becomes an empty one.
        self.terminal.swap_buffers();
        Ok(())
    }

    /// Columns and rows.
    pub fn size(&self) -> io::Result<(u16, u16)> {
        let size = self.terminal.size()?;
        Ok((size.width, size.height))
    }

    /// Gives the terminal to the shell, stops the process, and takes the terminal back when resumed.
    #[cfg(unix)]
    pub fn suspend(&mut self) -> io::Result<()> {
        restore();
        signal_hook::low_level::emulate_default_handler(signal_hook::consts::SIGTSTP)?;
        take()?;
        self.clear()
    }

    /// Takes the terminal as it was before the process was stopped unasked, and draws everything anew.
    pub fn resume(&mut self) -> io::Result<()> {
        // What the terminal's settings are by now, only the system knows: back to the first, and on from there.
        disable_raw_mode()?;
        enable_raw_mode()?;
        execute!(self.terminal.backend_mut(), EnableMouseCapture, EnableBracketedPaste)?;
        self.clear()
    }

    /// There is no such thing here.
    #[cfg(not(unix))]
    pub fn suspend(&mut self) -> io::Result<()> {
        self.clear()
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        restore();
    }
}

/// Draws a frame as one synchronized update: the text, then the pictures that are new.
pub fn frame<W: Write>(
    terminal: &mut Terminal<CrosstermBackend<W>>,
    mut display: Option<&mut Display>,
    render: impl FnOnce(&mut Frame<'_>, Option<&Pictures>),
) -> io::Result<()> {
    let before = terminal.current_buffer_mut().area;
    let mut pixels = Vec::new();
    queue!(terminal.backend_mut(), BeginSynchronizedUpdate)?;
    terminal.draw(|frame| {
        let Some(display) = &mut display else { return render(frame, None) };
        if frame.area() != before {
            // A terminal of another size is cleared; so are its pictures, and characters may be larger.
            pixels = display.farewell();
            display.forget();
            display.measure();
        }
        let pictures = display.pictures();
        render(frame, Some(&pictures));
        let buf = frame.buffer_mut();
        pixels.extend(display.change(pictures.settle(buf), buf));
    })?;
    terminal.backend_mut().write_all(&pixels)?;
    execute!(terminal.backend_mut(), EndSynchronizedUpdate)
}

fn take() -> io::Result<()> {
    enable_raw_mode()?;
    ACTIVE.store(true, Ordering::SeqCst);
    output::open();
    let taken = execute!(io::stdout(), EnterAlternateScreen, EnableMouseCapture, EnableBracketedPaste);
    if taken.is_err() {
        restore();
    }
    taken
}

/// Gives the terminal back; does nothing when that has been done. Then says what was held back.
pub fn restore() {
    if !ACTIVE.swap(false, Ordering::SeqCst) {
        return;
    }
    let farewell = FAREWELL.lock().unwrap_or_else(PoisonError::into_inner).clone();
    if output::give_up() {
        // What a slow line has not taken yet need not be seen any more, and a string in the middle of
        // which it was cut ends here.
        output::drop_unread();
        let _ = io::stdout().write_all(b"\x1b\\");
    }
    // Nothing can be done about a terminal that is gone.
    let _ = io::stdout().write_all(&farewell);
    let _ = execute!(
        io::stdout(),
        EndSynchronizedUpdate,
        DisableBracketedPaste,
        DisableMouseCapture,
        LeaveAlternateScreen,
        Show
    );
    let _ = disable_raw_mode();
    let held_back = std::mem::take(&mut *HELD_BACK.lock().unwrap_or_else(PoisonError::into_inner));
    for line in held_back {
        let _ = writeln!(io::stderr(), "{}", crate::text::safe(&line));
    }
}

/// A panic of the drawing thread restores the terminal before it is reported. One of another thread
/// is that thread's matter: it is caught there, the screen goes on, and the report waits.
fn install_panic_hook() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let report = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            let owner = *OWNER.lock().unwrap_or_else(PoisonError::into_inner);
            if ACTIVE.load(Ordering::SeqCst) && owner != Some(thread::current().id()) {
                let mut held_back = HELD_BACK.lock().unwrap_or_else(PoisonError::into_inner);
                if held_back.len() < 100 {
                    held_back.push(info.to_string());
                }
                return;
            }
            restore();
            report(info);
        }));
    });
}
