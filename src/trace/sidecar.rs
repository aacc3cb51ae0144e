//! The sidecar: raw values beside the text, which may appear and grow after the lines that name it.

use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::source::{Identity, identity, open_regular};
use super::{Dtype, Header};

/// The sidecar of one trace.
#[derive(Debug, Default)]
pub struct Sidecar {
    path: Option<PathBuf>,
    /// Why it cannot be used, although the header names it.
    refused: Option<String>,
    file: Option<(File, Identity)>,
    length: u64,
}

impl Sidecar {
    /// The sidecar that `header` names, beside the trace at `trace`.
    pub fn of(trace: &Path, header: &Header) -> Self {
        let mut sidecar = Self { refused: header.sidecar_problem(), ..Self::default() };
        if let Some(name) = &header.sidecar
            && sidecar.refused.is_none()
        {
            sidecar.path = Some(trace.with_file_name(name));
            sidecar.refresh();
        }
        sidecar
    }

    /// Why records that name sidecar bytes cannot be taken, if so.
    pub fn refusal(&self) -> Option<String> {
        match (&self.refused, &self.path) {
            (Some(problem), _) => Some(problem.clone()),
            (None, None) => Some("offset: the header names no sidecar".to_owned()),
            _ => None,
        }
    }

    /// Opens the file if it has come, and learns its length. True when it was cut or replaced, so
    /// that what was read from it no longer stands.
    pub fn refresh(&mut self) -> bool {
        let Some(path) = &self.path else { return false };
        let there = std::fs::metadata(path).ok().map(|m| identity(&m));
        let known = self.file.as_ref().map(|(_, id)| *id);
        let mut replaced = false;
        if there.is_some()
            && there != known
            && let Ok((file, metadata)) = open_regular(path)
        {
            replaced = known.is_some();
            self.file = Some((file, identity(&metadata)));
        }
        let before = self.length;
        self.measure();
        replaced || self.length < before
    }

    fn measure(&mut self) {
        if let Some(metadata) = self.file.as_ref().and_then(|(file, _)| file.metadata().ok()) {
            self.length = metadata.len();
        }
    }

    /// Length in bytes when last looked at.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Whether the bytes up to `end` are there.
    pub fn covers(&mut self, end: u64) -> bool {
        if end > self.length {
            self.measure();
        }
        end <= self.length
    }

    /// Reads `count` values of `dtype` at byte `offset` into `out`, replacing what it held. Nothing
    /// is allocated before the bytes are known to be there.
    pub fn read(&self, offset: u64, count: usize, dtype: Dtype, out: &mut Vec<f32>) -> Result<(), String> {
        if count == 0 {
            out.clear();
            return Ok(());
        }
        let path = self.path.as_deref().unwrap_or(Path::new(""));
        let name = || path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let opened;
        let file = if let Some((file, _)) = &self.file {
            file
        } else {
            opened = open_regular(path).map_err(|e| match (e.kind(), name()) {
                (ErrorKind::NotFound, name) => {
                    format!("its values are in `{name}`, which is not beside the trace; put it there")
                }
                (_, name) => format!("its values are in `{name}`: {e}"),
            })?;
            &opened.0
        };
        let end = offset + (count * dtype.size()) as u64;
        let too_short = || {
            let (name, length) = (name(), file.metadata().map(|m| m.len()));
            match length {
                Ok(length) if length < end => Some(format!(
                    "its values are bytes {offset} to {end} of `{name}`, which has {length}; the writer is not that far or died, or the file was not copied whole"
                )),
                Ok(_) => None,
                Err(e) => Some(format!("`{name}`: {e}")),
            }
        };
        // What was there at the last look need not be asked for again: one call less for each cell.
        if end > self.length
            && let Some(problem) = too_short()
        {
            return Err(problem);
        }
        let result = match dtype {
            Dtype::F32 => {
                out.resize(count, 0.0);
                let result = file.read_exact_at(bytemuck::cast_slice_mut(out), offset);
                if cfg!(target_endian = "big") {
                    for value in out.iter_mut() {
                        *value = f32::from_bits(value.to_bits().swap_bytes());
                    }
                }
                result
            }
            Dtype::F16 | Dtype::Bf16 => {
                out.clear();
                out.reserve(count);
                read_in_parts(file, offset, end, |part| dtype.widen(part, out))
            }
        };
        result
            .map_err(|e| too_short().unwrap_or_else(|| format!("`{}`, bytes {offset} to {end}: {e}", name())))
    }
}

fn read_in_parts(file: &File, mut at: u64, end: u64, mut part: impl FnMut(&[u8])) -> std::io::Result<()> {
    // Even, so that no two-byte value is torn.
    let mut buffer = [0; 16 << 10];
    while at < end {
        let n = buffer.len().min((end - at) as usize);
        file.read_exact_at(&mut buffer[..n], at)?;
        part(&buffer[..n]);
        at += n as u64;
    }
    Ok(())
}
