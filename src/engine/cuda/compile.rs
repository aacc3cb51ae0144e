//! NVRTC: a source to machine code for one architecture.

use std::ffi::{CString, c_char};
use std::ptr;

use cudarc::nvrtc::sys;

use super::error::CudaError;
use super::library;
use super::sources::{HEADERS, OPTIONS, Source};

/// A program of NVRTC's, destroyed in the end.
struct Program(sys::nvrtcProgram);

impl Drop for Program {
    fn drop(&mut self) {
        // SAFETY: made by nvrtcCreateProgram and destroyed once.
        #[allow(unsafe_code)]
        let _ = unsafe { sys::nvrtcDestroyProgram(&raw mut self.0) };
    }
}

/// Compiles `source` to a cubin for `architecture` (`sm_90`).
pub fn compile(source: Source, architecture: &str) -> Result<Vec<u8>, CudaError> {
    library::nvrtc()?;
    let fail =
        |log: String| CudaError::Compile { kernel: source.name, architecture: architecture.to_owned(), log };
    let text = |s: &str| CString::new(s).map_err(|_| fail("a zero byte in the source".into()));
    let (code, name) = (text(source.text)?, text(source.name)?);
    let contents = HEADERS.iter().map(|h| text(h.text)).collect::<Result<Vec<_>, _>>()?;
    let names = HEADERS.iter().map(|h| text(h.name)).collect::<Result<Vec<_>, _>>()?;
    let options = OPTIONS
        .split_whitespace()
        .map(str::to_owned)
        .chain([format!("--gpu-architecture={architecture}")])
        .map(|option| text(&option))
        .collect::<Result<Vec<_>, _>>()?;
    let pointers = |texts: &[CString]| texts.iter().map(|t| t.as_ptr()).collect::<Vec<*const c_char>>();

    let mut program = Program(ptr::null_mut());
    // SAFETY: NVRTC is loaded; every pointer is to a C string that outlives the call, and the counts
    // are those of the lists.
    #[allow(unsafe_code)]
    let created = unsafe {
        sys::nvrtcCreateProgram(
            &raw mut program.0,
            code.as_ptr(),
            name.as_ptr(),
            HEADERS.len() as i32,
            pointers(&contents).as_ptr(),
            pointers(&names).as_ptr(),
        )
    };
    created.result().map_err(|e| fail(e.to_string()))?;
    // SAFETY: as above.
    #[allow(unsafe_code)]
    let compiled =
        unsafe { sys::nvrtcCompileProgram(program.0, options.len() as i32, pointers(&options).as_ptr()) };
    compiled.result().map_err(|e| fail(format!("{e}\n{}", log(&program))))?;
    cubin(&program).ok_or_else(|| fail("NVRTC gave no machine code".into()))
}

fn cubin(program: &Program) -> Option<Vec<u8>> {
    let mut size = 0;
    // SAFETY: the program was compiled; NVRTC writes as many bytes as it said.
    #[allow(unsafe_code)]
    unsafe {
        sys::nvrtcGetCUBINSize(program.0, &raw mut size).result().ok()?;
        let mut bytes = vec![0_u8; size];
        sys::nvrtcGetCUBIN(program.0, bytes.as_mut_ptr().cast()).result().ok()?;
        Some(bytes).filter(|bytes| !bytes.is_empty())
    }
}

fn log(program: &Program) -> String {
    let mut size = 0;
    // SAFETY: as above.
    #[allow(unsafe_code)]
    let bytes = unsafe {
        if sys::nvrtcGetProgramLogSize(program.0, &raw mut size).result().is_err() {
            return String::new();
        }
        let mut bytes = vec![0_u8; size];
        let _ = sys::nvrtcGetProgramLog(program.0, bytes.as_mut_ptr().cast());
        bytes
    };
    String::from_utf8_lossy(&bytes).trim_end_matches('\0').trim().to_owned()
}
