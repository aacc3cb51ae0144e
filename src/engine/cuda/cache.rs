//! Compiled kernels on disk, so that they are compiled once a machine.
//!
//! An entry is named by everything it was made from (source, headers, options, architecture, version
//! of the compiler) and holds that name and a checksum. What does not match is built again.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::error::CudaError;
use super::sources::{HEADERS, OPTIONS, Source};

const MAGIC: &[u8; 8] = b"PARITTY1";
const HASH: usize = 32;

/// Far above any kernel file (they take some hundred kB).
const MAX_ENTRY: u64 = 64 << 20;

type Hash = [u8; HASH];

/// A folder of compiled kernels.
#[derive(Clone, Debug)]
pub struct Cache {
    folder: Option<PathBuf>,
}

impl Cache {
    /// The user's: `$XDG_CACHE_HOME/paritty/kernels`. Without a home nothing is kept.
    pub fn of_user() -> Self {
        Self { folder: dirs::cache_dir().map(|cache| cache.join("paritty").join("kernels")) }
    }

    /// A folder of the caller's.
    pub fn at(folder: PathBuf) -> Self {
        Self { folder: Some(folder) }
    }

    /// Where it is.
    pub fn folder(&self) -> Option<&Path> {
        self.folder.as_deref()
    }

    /// The machine code of `source`: from the folder if it is there and sound, from `build` otherwise.
    /// A folder that cannot be written costs time on the next start, and nothing else.
    pub fn fetch(
        &self,
        source: Source,
        architecture: &str,
        compiler: (i32, i32),
        build: impl FnOnce() -> Result<Vec<u8>, CudaError>,
    ) -> Result<Vec<u8>, CudaError> {
        let key = key(source, architecture, compiler);
        let path = self.folder.as_ref().map(|folder| folder.join(format!("{}.cubin", hex(&key))));
        if let Some(code) = path.as_ref().and_then(|path| read(path, &key)) {
            return Ok(code);
        }
        let code = build()?;
        if let Some(path) = path {
            let _ = write(&path, &key, &code);
        }
        Ok(code)
    }
}

/// What an entry is known by.
fn key(source: Source, architecture: &str, compiler: (i32, i32)) -> Hash {
    let mut hash = Sha256::new();
    let mut add = |part: &[u8]| {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    };
    for file in std::iter::once(&source).chain(HEADERS) {
        add(file.name.as_bytes());
        add(file.text.as_bytes());
    }
    add(OPTIONS.as_bytes());
    add(architecture.as_bytes());
    add(format!("{}.{}", compiler.0, compiler.1).as_bytes());
    hash.finalize().into()
}

fn hex(hash: &Hash) -> String {
    use std::fmt::Write as _;
    hash.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The entry's code, if the entry is whole, unaltered and made from the same.
fn read(path: &Path, key: &Hash) -> Option<Vec<u8>> {
    if std::fs::metadata(path).ok()?.len() > MAX_ENTRY {
        return None;
    }
    let bytes = std::fs::read(path).ok()?;
    let (magic, rest) = bytes.split_at_checked(MAGIC.len())?;
    let (stored_key, rest) = rest.split_at_checked(HASH)?;
    let (checksum, code) = rest.split_at_checked(HASH)?;
    let sound = magic == MAGIC && stored_key == key && checksum == Sha256::digest(code).as_slice();
    sound.then(|| code.to_vec())
}

/// Writes beside the entry and renames: no reader ever sees half of one.
fn write(path: &Path, key: &Hash, code: &[u8]) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder)?;
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    for part in [MAGIC.as_slice(), key, Sha256::digest(code).as_slice(), code] {
        file.write_all(part)?;
    }
    file.persist(path).map_err(|e| e.error)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::sources::FAMILIES;
    use super::*;

    fn fetch(cache: &Cache, architecture: &str, code: &[u8]) -> (Vec<u8>, bool) {
        let mut built = false;
        let found = cache
            .fetch(FAMILIES[0], architecture, (13, 0), || {
                built = true;
                Ok(code.to_vec())
            })
            .unwrap();
        (found, built)
    }

    #[test]
    fn an_entry_serves_only_what_it_was_made_for_and_only_while_it_is_sound() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::at(folder.path().join("kernels"));
        assert_eq!(fetch(&cache, "sm_90", b"code"), (b"code".to_vec(), true));
        assert_eq!(fetch(&cache, "sm_90", b"other"), (b"code".to_vec(), false));
        assert_eq!(fetch(&cache, "sm_80", b"other"), (b"other".to_vec(), true));
        let compiled_anew = cache.fetch(FAMILIES[0], "sm_90", (13, 1), || Ok(b"new".to_vec())).unwrap();
        assert_eq!(compiled_anew, b"new");

        let path =
            cache.folder().unwrap().join(format!("{}.cubin", hex(&key(FAMILIES[0], "sm_90", (13, 0)))));
        let whole = std::fs::read(&path).unwrap();
        let foreign =
            cache.folder().unwrap().join(format!("{}.cubin", hex(&key(FAMILIES[0], "sm_80", (13, 0)))));
        let mut altered = whole.clone();
        *altered.last_mut().unwrap() ^= 1;
        let mut headless = whole.clone();
        headless[0] = b'X';
        for bad in
            [altered, headless, whole[..whole.len() - 1].to_vec(), vec![], std::fs::read(foreign).unwrap()]
        {
            std::fs::write(&path, &bad).unwrap();
            assert_eq!(fetch(&cache, "sm_90", b"code"), (b"code".to_vec(), true), "{bad:?} was trusted");
            assert_eq!(std::fs::read(&path).unwrap(), whole, "and was not replaced");
        }
    }

    #[test]
    fn a_folder_that_cannot_be_written_is_no_error() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, "").unwrap();
        assert_eq!(fetch(&Cache::at(file), "sm_90", b"code"), (b"code".to_vec(), true));
        assert_eq!(fetch(&Cache { folder: None }, "sm_90", b"code"), (b"code".to_vec(), true));
    }
}
