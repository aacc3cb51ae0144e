//! llama.cpp's own quantiser.

use std::path::Path;

use llama_cpp_sys_2 as sys;

use super::model::path_string;
use super::{LlamaError, log};

/// llama.cpp's mixes of weight types, by the names its own tool uses.
pub const MIXES: &[(&str, sys::llama_ftype)] = &[
    ("F32", sys::LLAMA_FTYPE_ALL_F32),
    ("F16", sys::LLAMA_FTYPE_MOSTLY_F16),
    ("BF16", sys::LLAMA_FTYPE_MOSTLY_BF16),
    ("Q8_0", sys::LLAMA_FTYPE_MOSTLY_Q8_0),
    ("Q4_0", sys::LLAMA_FTYPE_MOSTLY_Q4_0),
    ("Q4_1", sys::LLAMA_FTYPE_MOSTLY_Q4_1),
    ("Q5_0", sys::LLAMA_FTYPE_MOSTLY_Q5_0),
    ("Q5_1", sys::LLAMA_FTYPE_MOSTLY_Q5_1),
    ("Q2_K", sys::LLAMA_FTYPE_MOSTLY_Q2_K),
    ("Q2_K_S", sys::LLAMA_FTYPE_MOSTLY_Q2_K_S),
    ("Q3_K_S", sys::LLAMA_FTYPE_MOSTLY_Q3_K_S),
    ("Q3_K_M", sys::LLAMA_FTYPE_MOSTLY_Q3_K_M),
    ("Q3_K_L", sys::LLAMA_FTYPE_MOSTLY_Q3_K_L),
    ("Q4_K_S", sys::LLAMA_FTYPE_MOSTLY_Q4_K_S),
    ("Q4_K_M", sys::LLAMA_FTYPE_MOSTLY_Q4_K_M),
    ("Q5_K_S", sys::LLAMA_FTYPE_MOSTLY_Q5_K_S),
    ("Q5_K_M", sys::LLAMA_FTYPE_MOSTLY_Q5_K_M),
    ("Q6_K", sys::LLAMA_FTYPE_MOSTLY_Q6_K),
    ("IQ4_NL", sys::LLAMA_FTYPE_MOSTLY_IQ4_NL),
    ("IQ4_XS", sys::LLAMA_FTYPE_MOSTLY_IQ4_XS),
    ("MXFP4_MOE", sys::LLAMA_FTYPE_MOSTLY_MXFP4_MOE),
];

/// Writes the model at `input` to `output` with the weight types of the mix `mix` (see [`MIXES`]).
/// `pure` gives every tensor the mix's main type. Already quantised files are accepted: F32 then
/// holds exactly their dequantised weights.
pub fn quantize(
    input: &Path,
    output: &Path,
    mix: &str,
    pure: bool,
    threads: usize,
) -> Result<(), LlamaError> {
    log::init();
    let refused = |path: &Path, reason: String| LlamaError::Quantize { path: path.to_owned(), reason };
    let (_, ftype) = MIXES.iter().find(|(name, _)| name.eq_ignore_ascii_case(mix)).ok_or_else(|| {
        let known: Vec<_> = MIXES.iter().map(|(name, _)| *name).collect();
        LlamaError::Request(format!(
            "`{mix}` is no weight type of llama.cpp's quantiser: use one of {}",
            known.join(", ")
        ))
    })?;
    if !input.is_file() {
        return Err(refused(input, "it is no file".into()));
    }
    // llama.cpp would map the file that it truncates.
    if output.exists() && input.canonicalize().ok() == output.canonicalize().ok() {
        return Err(refused(input, "output and input are the same file".into()));
    }
    if output.parent().is_some_and(|folder| !folder.as_os_str().is_empty() && !folder.is_dir()) {
        return Err(refused(output, "its folder does not exist, create it first".into()));
    }
    let name =
        |path: &Path| path_string(path).ok_or_else(|| refused(path, "its path is not UTF-8 text".into()));
    let (from, to) = (name(input)?, name(output)?);
    log::take_problems();
    // SAFETY: both paths end in NUL and outlive the call; the parameters are the defaults with plain
    // values changed.
    #[allow(unsafe_code)]
    let code = unsafe {
        let mut params = sys::llama_model_quantize_default_params();
        params.ftype = *ftype;
        params.nthread = i32::try_from(threads).unwrap_or(0);
        params.allow_requantize = true;
        params.pure_ = pure;
        sys::llama_model_quantize(from.as_ptr(), to.as_ptr(), &raw const params)
    };
    if code == 0 { Ok(()) } else { Err(refused(input, log::take_problems())) }
}
