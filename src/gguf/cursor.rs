//! Reads the head of a file; nothing is taken that the file does not have.

use std::path::Path;

use super::GgufError;

pub(super) struct Cursor<'a> {
    path: &'a Path,
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(path: &'a Path, bytes: &'a [u8]) -> Self {
        Self { path, bytes, at: 0 }
    }

    /// Bytes read so far.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// The next `len` bytes; `what` they are is for the error.
    pub(super) fn take(&mut self, len: u64, what: &str) -> Result<&'a [u8], GgufError> {
        let rest = &self.bytes[self.at..];
        match usize::try_from(len).ok().and_then(|len| rest.split_at_checked(len)) {
            Some((taken, _)) => {
                self.at += taken.len();
                Ok(taken)
            }
            None => Err(GgufError::file(
                self.path,
                format!(
                    "{what} at byte {} takes {len} bytes, but the file ends after {} more: it is truncated or damaged, fetch it again",
                    self.at,
                    rest.len()
                ),
            )),
        }
    }

    fn array<const N: usize>(&mut self, what: &str) -> Result<[u8; N], GgufError> {
        let mut out = [0; N];
        out.copy_from_slice(self.take(N as u64, what)?);
        Ok(out)
    }

    pub(super) fn u32(&mut self, what: &str) -> Result<u32, GgufError> {
        self.array(what).map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self, what: &str) -> Result<u64, GgufError> {
        self.array(what).map(u64::from_le_bytes)
    }

    /// A string with its length before it.
    pub(super) fn string(&mut self, what: &str) -> Result<&'a [u8], GgufError> {
        let len = self.u64(what)?;
        self.take(len, what)
    }

    /// A string that names something: UTF-8, not empty, of at most `max` bytes.
    pub(super) fn name(&mut self, what: &str, max: usize) -> Result<&'a str, GgufError> {
        let start = self.at;
        let bytes = self.string(what)?;
        let problem = match std::str::from_utf8(bytes) {
            Ok("") => "is empty".to_owned(),
            Ok(_) if bytes.len() > max => format!("has {} bytes, at most {max} are allowed", bytes.len()),
            Ok(name) => return Ok(name),
            Err(_) => "is not UTF-8".to_owned(),
        };
        Err(GgufError::file(self.path, format!("{what} at byte {start} {problem}: the file is damaged")))
    }
}
