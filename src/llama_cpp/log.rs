//! llama.cpp's log: kept for error messages, shown on stderr only on request, never on stdout.

use std::ffi::{CStr, c_char, c_void};
use std::io::Write as _;
use std::sync::{Mutex, MutexGuard, Once, PoisonError};

use llama_cpp_sys_2 as sys;

/// Bytes of warnings and of errors that are kept; the newest win.
const KEPT: usize = 4096;

static LOG: Mutex<Log> =
    Mutex::new(Log { verbose: false, level: 0, errors: String::new(), warnings: String::new() });

struct Log {
    verbose: bool,
    level: sys::ggml_log_level,
    errors: String,
    warnings: String,
}

fn log() -> MutexGuard<'static, Log> {
    LOG.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Starts llama.cpp's library once and takes over its log. Called before anything else of it.
pub(super) fn init() {
    static INIT: Once = Once::new();
    INIT.call_once(|| {
        // SAFETY: `on_message` has the signature that is asked for, needs no user data and lives as
        // long as the program.
        #[allow(unsafe_code)]
        unsafe {
            sys::llama_log_set(Some(on_message), std::ptr::null_mut());
            sys::llama_backend_init();
        }
    });
}

/// Whether everything that llama.cpp logs is shown on stderr.
pub fn set_verbose(verbose: bool) {
    log().verbose = verbose;
}

/// The errors since the last call, or the warnings if there were none, on one line, newest last.
pub fn take_problems() -> String {
    let mut log = log();
    let (errors, warnings) = (std::mem::take(&mut log.errors), std::mem::take(&mut log.warnings));
    let text = if errors.trim().is_empty() { warnings } else { errors };
    let lines: Vec<_> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    if lines.is_empty() { "it gave no reason (try --verbose)".to_owned() } else { lines.join("; ") }
}

/// Receives a piece of a message; pieces with level CONT continue the one before.
// SAFETY: llama.cpp passes a NUL-terminated string that is valid during the call.
#[allow(unsafe_code)]
unsafe extern "C" fn on_message(level: sys::ggml_log_level, text: *const c_char, _: *mut c_void) {
    if text.is_null() {
        return;
    }
    // SAFETY: see above.
    let text = unsafe { CStr::from_ptr(text) }.to_string_lossy();
    let mut log = log();
    if level != sys::GGML_LOG_LEVEL_CONT {
        log.level = level;
    }
    if log.verbose {
        let mut err = std::io::stderr().lock();
        for line in text.split_inclusive('\n') {
            // Nothing is left to do when stderr is closed.
            let _ = err.write_all(crate::text::safe(line.trim_end_matches('\n')).as_bytes());
            if line.ends_with('\n') {
                let _ = err.write_all(b"\n");
            }
        }
    }
    let log = &mut *log;
    let kept = match log.level {
        sys::GGML_LOG_LEVEL_ERROR => &mut log.errors,
        sys::GGML_LOG_LEVEL_WARN => &mut log.warnings,
        _ => return,
    };
    kept.push_str(&text);
    let surplus = kept.len().saturating_sub(KEPT);
    kept.drain(..kept.ceil_char_boundary(surplus));
}
