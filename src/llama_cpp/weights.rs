//! The tensors of a model file, through llama.cpp's own GGUF reader: names and types, no data.

use std::collections::BTreeMap;
use std::ffi::{CStr, CString, c_char};
use std::path::{Path, PathBuf};

use llama_cpp_sys_2 as sys;

/// One tensor of a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WeightInfo {
    /// Its name in the file.
    pub name: String,
    /// ggml's name of its type, in capitals: `F16`, `Q4_K`.
    pub kind: String,
    /// Number of parameters.
    pub parameters: u64,
    /// Whether it has two axes or more.
    pub is_matrix: bool,
}

/// The tensors of the model that starts at `path`, over all of its parts. `None` if a part cannot be read.
pub fn weights(path: &Path) -> Option<Vec<WeightInfo>> {
    let first = File::open(path)?;
    let mut all = first.tensors();
    for number in 1..first.parts() {
        all.extend(File::open(&part(path, number, first.parts())?)?.tensors());
    }
    Some(all)
}

/// How many tensors there are of each type.
pub fn histogram(weights: &[WeightInfo]) -> BTreeMap<&str, u64> {
    let mut counts = BTreeMap::new();
    for weight in weights {
        *counts.entry(weight.kind.as_str()).or_insert(0) += 1;
    }
    counts
}

/// The type that holds most of the matrices' parameters.
pub fn main_type(weights: &[WeightInfo]) -> Option<&str> {
    let mut parameters: BTreeMap<&str, u64> = BTreeMap::new();
    for weight in weights.iter().filter(|w| w.is_matrix) {
        *parameters.entry(&weight.kind).or_default() += weight.parameters;
    }
    parameters.into_iter().max_by_key(|&(_, count)| count).map(|(kind, _)| kind)
}

/// Path of part `number` (from 0) of a model split into `parts` files.
fn part(first: &Path, number: i32, parts: i32) -> Option<PathBuf> {
    const ROOM: usize = 4096;
    let path = CString::new(first.to_str()?).ok()?;
    let mut prefix: [c_char; ROOM] = [0; ROOM];
    let mut name: [c_char; ROOM] = [0; ROOM];
    // SAFETY: both buffers have ROOM bytes and the strings end in NUL.
    #[allow(unsafe_code)]
    unsafe {
        if sys::llama_split_prefix(prefix.as_mut_ptr(), ROOM, path.as_ptr(), 0, parts) <= 0 {
            return None;
        }
        sys::llama_split_path(name.as_mut_ptr(), ROOM, prefix.as_ptr(), number, parts);
    }
    let name = CStr::from_bytes_until_nul(bytemuck::cast_slice(&name)).ok()?;
    Some(PathBuf::from(name.to_str().ok()?))
}

/// An open GGUF file without its data.
struct File(*mut sys::gguf_context);

impl File {
    fn open(path: &Path) -> Option<Self> {
        super::log::init();
        let path = CString::new(path.to_str()?).ok()?;
        let params = sys::gguf_init_params { no_alloc: true, ctx: std::ptr::null_mut() };
        // SAFETY: the path ends in NUL; no ggml context is asked for.
        #[allow(unsafe_code)]
        let file = unsafe { sys::gguf_init_from_file(path.as_ptr(), params) };
        (!file.is_null()).then_some(Self(file))
    }

    fn parts(&self) -> i32 {
        // SAFETY: the file is open; the key is looked up, and its type checked, before it is read.
        #[allow(unsafe_code)]
        unsafe {
            let key = sys::gguf_find_key(self.0, c"split.count".as_ptr());
            if key < 0 || sys::gguf_get_kv_type(self.0, key) != sys::GGUF_TYPE_UINT16 {
                return 1;
            }
            i32::from(sys::gguf_get_val_u16(self.0, key)).max(1)
        }
    }

    fn tensors(&self) -> Vec<WeightInfo> {
        // SAFETY: indices stay below the count; the strings and extents belong to the open file.
        #[allow(unsafe_code)]
        unsafe {
            (0..sys::gguf_get_n_tensors(self.0))
                .map(|index| {
                    let name = CStr::from_ptr(sys::gguf_get_tensor_name(self.0, index));
                    let kind = CStr::from_ptr(sys::ggml_type_name(sys::gguf_get_tensor_type(self.0, index)));
                    let extents = std::slice::from_raw_parts(sys::gguf_get_tensor_ne(self.0, index), 4);
                    WeightInfo {
                        name: name.to_string_lossy().into_owned(),
                        kind: kind.to_string_lossy().to_uppercase(),
                        parameters: extents.iter().map(|&n| n.max(0) as u64).product(),
                        is_matrix: extents[1] > 1,
                    }
                })
                .collect()
        }
    }
}

impl Drop for File {
    fn drop(&mut self) {
        // SAFETY: opened by `open`, freed once.
        #[allow(unsafe_code)]
        unsafe {
            sys::gguf_free(self.0);
        }
    }
}
