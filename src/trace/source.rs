//! The text of a trace as a file that may not exist yet, grow, be cut or be replaced: bytes in,
//! whole lines out.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use memchr::memchr;

use super::TraceError;
use super::limits::MAX_LINE;

/// Bytes read at once: large enough to make calls cheap, small enough to stay in the cache.
pub const CHUNK: usize = 256 << 10;

/// Bytes before the place we stopped at that have to be the same when we come back: tells a file
/// that grew from one that was cut and has grown past that place again.
const TAIL: usize = 256;

/// What tells one file from another under the same name: device and inode.
pub type Identity = (u64, u64);

/// The file's identity.
pub fn identity(metadata: &Metadata) -> Identity {
    (metadata.dev(), metadata.ino())
}

/// Opens a regular file for reading. Never waits: a pipe without a writer opens at once and is
/// then refused, like everything else that has no positions to read at.
pub fn open_regular(path: &Path) -> io::Result<(File, Metadata)> {
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
    let metadata = file.metadata()?;
    if metadata.is_file() {
        Ok((file, metadata))
    } else {
        Err(io::Error::new(ErrorKind::InvalidInput, what_instead(&metadata)))
    }
}

fn what_instead(metadata: &Metadata) -> &'static str {
    if metadata.is_dir() {
        "is a directory; name the trace's .jsonl file in it"
    } else {
        "is no regular file; write the trace to a file and name that"
    }
}

/// What [`Source::refresh`] or [`Source::fill`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// There is no such file, and there never was.
    Absent,
    /// The file that was read so far; this many bytes are new.
    Same(usize),
    /// Another file, or another content: everything read so far is void.
    Replaced,
}

/// A line of the text.
#[derive(Clone, Copy, Debug)]
pub struct Line<'a> {
    /// From 1.
    pub number: u64,
    /// Offset of its first byte in the file.
    pub offset: u64,
    /// The line without its newline; `None` when it is longer than [`MAX_LINE`].
    pub text: Option<&'a [u8]>,
}

/// The text of a trace.
#[derive(Debug)]
pub struct Source {
    path: PathBuf,
    file: Option<(File, Identity)>,
    /// Length of the file at the last look.
    length: u64,
    /// Bytes of the file that were read.
    offset: u64,
    /// The last bytes before `offset`.
    tail: Vec<u8>,
    /// `buffer[begin..filled]` was read and not yet handed out; it starts at the start of a line.
    buffer: Vec<u8>,
    begin: usize,
    filled: usize,
    /// No newline before this index of `buffer`.
    searched: usize,
    /// Whether the rest of an over-long line is being passed over.
    skipping: bool,
    /// Lines handed out.
    lines: u64,
}

impl Source {
    /// Nothing is opened yet.
    pub fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            file: None,
            length: 0,
            offset: 0,
            tail: Vec::new(),
            buffer: Vec::new(),
            begin: 0,
            filled: 0,
            searched: 0,
            skipping: false,
            lines: 0,
        }
    }

    /// The file's path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The open file.
    pub fn file(&self) -> Option<&File> {
        self.file.as_ref().map(|(file, _)| file)
    }

    /// Bytes read so far.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Whether everything that was there at the last look has been read.
    pub fn at_end(&self) -> bool {
        self.offset >= self.length
    }

    /// The first bytes of the file, to recognise what it is.
    pub fn first_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![0; 16];
        let read = self.file().and_then(|file| file.read_at(&mut bytes, 0).ok()).unwrap_or(0);
        bytes.truncate(read);
        bytes
    }

    /// Looks whether the path still leads to the same, uncut file; opens it if it is new. A file
    /// that was unlinked and not replaced stays as it is.
    pub fn refresh(&mut self) -> Result<Found, TraceError> {
        let there = match fs::metadata(&self.path) {
            Ok(metadata) => Some(identity(&metadata)),
            Err(e) if is_absence(&e) => None,
            Err(e) => return Err(self.io(e)),
        };
        let known = self.file.as_ref().map(|(_, id)| *id);
        let mut replaced = false;
        if let Some(there) = there
            && Some(there) != known
        {
            match open_regular(&self.path) {
                Ok((file, metadata)) => {
                    replaced = self.offset > 0;
                    self.reset();
                    self.file = Some((file, identity(&metadata)));
                }
                // Gone between the two calls: the next look will tell.
                Err(e) if is_absence(&e) => {}
                Err(e) => return Err(open_error(&self.path, e)),
            }
        }
        let Some((file, _)) = &self.file else { return Ok(Found::Absent) };
        let length = file.metadata().map_err(|e| self.io(e))?.len();
        // The tail is compared at every look: times of change are too coarse to tell that nothing
        // happened.
        if length < self.offset || !self.tail_holds()? {
            self.reset();
            replaced = true;
        }
        self.length = length;
        Ok(if replaced { Found::Replaced } else { Found::Same(0) })
    }

    /// Reads up to `max` bytes more. Lines that are ready have to be taken first.
    pub fn fill(&mut self, max: usize) -> Result<Found, TraceError> {
        let Some((file, _)) = &self.file else { return Ok(Found::Absent) };
        self.buffer.copy_within(self.begin..self.filled, 0);
        self.filled -= self.begin;
        self.searched -= self.begin;
        self.begin = 0;
        let wanted = self.filled + max.min(CHUNK);
        if self.buffer.len() < wanted {
            self.buffer.resize(wanted.next_multiple_of(CHUNK), 0);
        } else if self.buffer.len() > 4 * CHUNK && wanted <= 2 * CHUNK {
            // A long line has passed: give its memory back.
            self.buffer.truncate(2 * CHUNK);
            self.buffer.shrink_to_fit();
        }
        let start = self.filled;
        let mut read = 0;
        while start + read < wanted {
            match file.read_at(&mut self.buffer[start + read..wanted], self.offset + read as u64) {
                Ok(0) => break,
                Ok(n) => read += n,
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Err(self.io(e)),
            }
        }
        // Looked at after reading, so that what was read is known to continue what we had.
        if read > 0 && !self.tail_holds()? {
            self.reset();
            // How long the new content is shows at the next look.
            self.length = u64::MAX;
            return Ok(Found::Replaced);
        }
        self.filled += read;
        self.offset += read as u64;
        let fresh = &self.buffer[start..start + read];
        self.tail.extend_from_slice(&fresh[fresh.len().saturating_sub(TAIL)..]);
        self.tail.drain(..self.tail.len().saturating_sub(TAIL));
        Ok(Found::Same(read))
    }

    /// The next whole line that was read.
    pub fn next_line(&mut self) -> Option<Line<'_>> {
        if let Some(found) = memchr(b'\n', &self.buffer[self.searched..self.filled]) {
            let end = self.searched + found;
            return Some(self.line_to(end, end + 1));
        }
        self.searched = self.filled;
        if self.skipping || self.filled - self.begin > MAX_LINE {
            self.skipping = true;
            self.begin = self.filled;
        }
        None
    }

    /// What stands after the last newline, taken as a line: for a file to which nothing is added.
    pub fn last_line(&mut self) -> Option<Line<'_>> {
        (self.filled > self.begin || self.skipping).then(|| self.line_to(self.filled, self.filled))
    }

    fn line_to(&mut self, end: usize, next: usize) -> Line<'_> {
        let begin = self.begin;
        let offset = self.offset - (self.filled - begin) as u64;
        let whole = !std::mem::take(&mut self.skipping) && end - begin <= MAX_LINE;
        self.begin = next;
        self.searched = next;
        self.lines += 1;
        Line { number: self.lines, offset, text: whole.then(|| &self.buffer[begin..end]) }
    }

    /// Starts again at the first byte of the same file.
    pub fn reset(&mut self) {
        self.offset = 0;
        self.tail.clear();
        (self.begin, self.filled, self.searched) = (0, 0, 0);
        self.skipping = false;
        self.lines = 0;
    }

    /// Whether the bytes before `offset` are still the ones that were read.
    fn tail_holds(&self) -> Result<bool, TraceError> {
        let Some((file, _)) = &self.file else { return Ok(true) };
        let mut now = [0; TAIL];
        let now = &mut now[..self.tail.len()];
        match file.read_exact_at(now, self.offset - self.tail.len() as u64) {
            Ok(()) => Ok(now == self.tail),
            Err(e) if e.kind() == ErrorKind::UnexpectedEof => Ok(false),
            Err(e) => Err(self.io(e)),
        }
    }

    fn io(&self, source: io::Error) -> TraceError {
        TraceError::Io { path: self.path.clone(), source }
    }
}

/// Fails when there is something at `path` that can never be read as a trace; a path to nothing is
/// fine.
pub fn probe(path: &Path) -> Result<(), TraceError> {
    match open_regular(path) {
        Err(e) if !is_absence(&e) => Err(open_error(path, e)),
        _ => Ok(()),
    }
}

fn is_absence(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

fn open_error(path: &Path, error: io::Error) -> TraceError {
    let path = path.to_owned();
    if error.kind() == ErrorKind::InvalidInput {
        TraceError::NotATrace { path, problem: error.to_string() }
    } else {
        TraceError::Io { path, source: error }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_memory_of_a_long_line_is_given_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t");
        let mut text = vec![b'x'; 5 << 20];
        text.push(b'\n');
        text.extend("short line\n".repeat(100_000).bytes());
        fs::write(&path, text).unwrap();
        let mut source = Source::new(&path);
        source.refresh().unwrap();
        let (mut lines, mut largest) = (0, 0);
        while source.fill(CHUNK).unwrap() != Found::Same(0) {
            largest = largest.max(source.buffer.capacity());
            while source.next_line().is_some() {
                lines += 1;
            }
        }
        assert_eq!(lines, 100_001);
        assert!(largest >= 5 << 20);
        assert!(source.buffer.capacity() <= 2 * CHUNK, "{}", source.buffer.capacity());
    }
}
