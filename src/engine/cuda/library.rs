//! NVIDIA's libraries, found and loaded when they are first needed: one binary serves machines with
//! and without a GPU.

use std::ffi::c_int;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use cudarc::{driver, nvrtc};
use libloading::Library;

use super::error::CudaError;

/// Major versions of NVRTC that the bindings fit, newest first.
const NVRTC_MAJORS: [u32; 2] = [13, 12];

const GET_DRIVER: &str =
    "install NVIDIA's driver (on Debian `apt-get install nvidia-driver libcuda1`), or run where it is";
const GET_NVRTC: &str = "install NVIDIA's run-time compiler: `pip install nvidia-cuda-nvrtc`, or the CUDA toolkit, \
    or put the folder that holds libnvrtc.so into LD_LIBRARY_PATH";

/// The compiler of kernels, once it is loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nvrtc {
    /// Major and minor version.
    pub version: (i32, i32),
    /// The file, where it was not the system's loader that found it.
    pub path: Option<PathBuf>,
}

/// Whether the driver's library is there. Asked before anything else: the bindings panic without it.
pub fn driver() -> Result<(), CudaError> {
    // SAFETY: loading libcuda runs its initialisers, which it is made for.
    #[allow(unsafe_code)]
    let present = unsafe { driver::sys::is_culib_present() };
    if present {
        Ok(())
    } else {
        Err(CudaError::Missing {
            what: "no NVIDIA driver is installed (libcuda.so.1)".into(),
            remedy: GET_DRIVER,
        })
    }
}

/// Finds and loads NVRTC, once.
pub fn nvrtc() -> Result<&'static Nvrtc, CudaError> {
    static FOUND: OnceLock<Option<Nvrtc>> = OnceLock::new();
    FOUND.get_or_init(load_nvrtc).as_ref().ok_or_else(|| CudaError::Missing {
        what: "NVIDIA's run-time compiler was not found (libnvrtc.so.13 or .12)".into(),
        remedy: GET_NVRTC,
    })
}

fn load_nvrtc() -> Option<Nvrtc> {
    let path = folders().into_iter().find_map(|folder| load_from(&folder));
    // SAFETY: as above, for libnvrtc. What was loaded before is found again by its name.
    #[allow(unsafe_code)]
    let version = unsafe {
        if !nvrtc::sys::is_culib_present() {
            return None;
        }
        let (mut major, mut minor): (c_int, c_int) = (0, 0);
        nvrtc::sys::nvrtcVersion(&raw mut major, &raw mut minor).result().ok()?;
        (major, minor)
    };
    Some(Nvrtc { version, path })
}

/// Loads NVRTC from a folder. Its second half comes first: NVRTC looks for that by name alone and
/// would not find it there.
fn load_from(folder: &Path) -> Option<PathBuf> {
    NVRTC_MAJORS.iter().find_map(|major| {
        let path = folder.join(format!("libnvrtc.so.{major}"));
        if !path.is_file() {
            return None;
        }
        let second = std::fs::read_dir(folder).ok()?.flatten().map(|entry| entry.path()).find(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.starts_with(&format!("libnvrtc-builtins.so.{major}"))
        })?;
        for library in [&second, &path] {
            // SAFETY: the initialisers of NVIDIA's libraries do nothing but set up their own data.
            #[allow(unsafe_code)]
            let library = unsafe { Library::new(library) }.ok()?;
            // It is needed until the program ends.
            std::mem::forget(library);
        }
        Some(path)
    })
}

/// Where NVRTC may lie beside the system's own folders: the toolkit's, then those of Python packages.
pub fn folders() -> Vec<PathBuf> {
    let mut folders = Vec::new();
    let toolkits = ["CUDA_HOME", "CUDA_PATH"].iter().filter_map(std::env::var_os).map(PathBuf::from);
    for toolkit in toolkits
        .chain(["/usr/local/cuda".into(), "/opt/cuda".into()])
        .chain(matching(Path::new("/usr/local"), "cuda-"))
    {
        folders.push(toolkit.join("lib64"));
        folders.push(toolkit.join("lib"));
    }
    let mut prefixes: Vec<PathBuf> = std::env::var_os("VIRTUAL_ENV").map(PathBuf::from).into_iter().collect();
    let path = std::env::var_os("PATH").unwrap_or_default();
    prefixes.extend(
        std::env::split_paths(&path)
            .filter(|folder| folder.join("python3").exists())
            .filter_map(|folder| folder.parent().map(Path::to_owned)),
    );
    prefixes.extend(dirs::home_dir().map(|home| home.join(".local")));
    for python in prefixes.iter().flat_map(|prefix| matching(&prefix.join("lib"), "python3")) {
        for packages in ["site-packages", "dist-packages"] {
            for package in ["cu13/lib", "cuda_nvrtc/lib"] {
                folders.push(python.join(packages).join("nvidia").join(package));
            }
        }
    }
    folders.retain(|folder| folder.is_dir());
    folders.dedup();
    folders
}

/// Entries of a folder whose names begin so, the last in the alphabet (the newest) first.
fn matching(folder: &Path, start: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> =
        entries.filter(|e| e.file_name().to_string_lossy().starts_with(start)).map(|e| e.path()).collect();
    found.sort_unstable_by(|a, b| b.cmp(a));
    found
}
