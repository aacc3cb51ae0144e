//! A model loaded by llama.cpp, with its vocabulary.

use std::ffi::{CStr, CString, c_char};
use std::path::{Path, PathBuf};
use std::ptr::NonNull;

use llama_cpp_sys_2 as sys;

use super::{LlamaError, log};

/// What loading may change.
#[derive(Clone, Copy, Debug)]
pub struct LoadSettings {
    /// Layers kept on a GPU, if llama.cpp was built for one; 0 keeps everything on the CPU.
    pub gpu_layers: i32,
    /// Whether weights may be rearranged for speed. Changes sums in their last bits.
    pub repack: bool,
}

impl Default for LoadSettings {
    fn default() -> Self {
        Self { gpu_layers: 0, repack: true }
    }
}

/// A loaded model.
#[derive(Debug)]
pub struct Model {
    raw: NonNull<sys::llama_model>,
    path: PathBuf,
}

// SAFETY: llama.cpp's model is immutable once loaded and may be read from any thread.
#[allow(unsafe_code)]
unsafe impl Send for Model {}
// SAFETY: as above.
#[allow(unsafe_code)]
unsafe impl Sync for Model {}

impl Model {
    /// Loads the model at `path` (the first part, if it is split).
    pub fn load(path: &Path, settings: LoadSettings) -> Result<Self, LlamaError> {
        log::init();
        let refused = |reason: String| LlamaError::Load { path: path.to_owned(), reason };
        match std::fs::metadata(path) {
            Ok(found) if found.is_dir() => return Err(refused("it is a folder, give a GGUF file".into())),
            Ok(_) => {}
            Err(error) => return Err(refused(error.to_string())),
        }
        let name = path_string(path).ok_or_else(|| refused("its path is not UTF-8 text".into()))?;
        let mut no_devices = [std::ptr::null_mut()];
        log::take_problems();
        // SAFETY: `params` are the defaults with plain values changed; `no_devices` is a list that ends
        // in null and, like `name`, outlives the call, which copies what it keeps.
        #[allow(unsafe_code)]
        let raw = unsafe {
            let mut params = sys::llama_model_default_params();
            params.n_gpu_layers = settings.gpu_layers;
            params.use_extra_bufts = settings.repack;
            if settings.gpu_layers == 0 {
                params.devices = no_devices.as_mut_ptr();
            }
            sys::llama_model_load_from_file(name.as_ptr(), params)
        };
        let raw = NonNull::new(raw).ok_or_else(|| refused(log::take_problems()))?;
        let model = Self { raw, path: path.to_owned() };
        // SAFETY: the model is loaded.
        #[allow(unsafe_code)]
        if unsafe { !sys::llama_model_has_decoder(raw.as_ptr()) } {
            return Err(refused("it has no decoder".into()));
        }
        Ok(model)
    }

    pub(super) fn raw(&self) -> *mut sys::llama_model {
        self.raw.as_ptr()
    }

    pub(super) fn vocab(&self) -> *const sys::llama_vocab {
        // SAFETY: the model is loaded; its vocabulary lives as long.
        #[allow(unsafe_code)]
        unsafe {
            sys::llama_model_get_vocab(self.raw())
        }
    }

    /// The file it was loaded from.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A metadata value as text.
    pub fn metadata(&self, key: &str) -> Option<String> {
        let key = CString::new(key).ok()?;
        // SAFETY: the key ends in NUL and the buffer has the length that is said.
        #[allow(unsafe_code)]
        let read = |buffer: &mut [u8]| unsafe {
            sys::llama_model_meta_val_str(self.raw(), key.as_ptr(), buffer.as_mut_ptr().cast(), buffer.len())
        };
        let mut buffer = vec![0; 256];
        let len = usize::try_from(read(&mut buffer)).ok()?;
        if len >= buffer.len() {
            buffer.resize(len + 1, 0);
            read(&mut buffer);
        }
        let text = CStr::from_bytes_until_nul(&buffer).ok()?;
        Some(text.to_string_lossy().into_owned())
    }

    /// Layers.
    pub fn n_layer(&self) -> u32 {
        // SAFETY: the model is loaded.
        #[allow(unsafe_code)]
        unsafe {
            sys::llama_model_n_layer(self.raw()).max(0) as u32
        }
    }

    /// Positions the model was made for.
    pub fn n_ctx_train(&self) -> u32 {
        // SAFETY: the model is loaded.
        #[allow(unsafe_code)]
        unsafe {
            sys::llama_model_n_ctx_train(self.raw()).max(0) as u32
        }
    }

    /// Width of the residual stream.
    pub fn n_embd(&self) -> u32 {
        // SAFETY: the model is loaded.
        #[allow(unsafe_code)]
        unsafe {
            sys::llama_model_n_embd(self.raw()).max(0) as u32
        }
    }

    /// Logits per position.
    pub fn n_vocab(&self) -> u32 {
        // SAFETY: the vocabulary lives as long as the model.
        #[allow(unsafe_code)]
        unsafe {
            sys::llama_vocab_n_tokens(self.vocab()).max(0) as u32
        }
    }

    /// The ids of `text`; markers such as `<s>` in it become their special tokens.
    pub fn tokenize(&self, text: &str, add_special: bool) -> Result<Vec<u32>, LlamaError> {
        let too_long = || LlamaError::Request("the prompt is too long for llama.cpp's tokeniser".into());
        let len = i32::try_from(text.len()).map_err(|_| too_long())?;
        let mut ids = vec![0; text.len() + 8];
        // SAFETY: `text` has `len` bytes and `ids` room for as many ids as is said.
        #[allow(unsafe_code)]
        let read = |ids: &mut Vec<sys::llama_token>| unsafe {
            sys::llama_tokenize(
                self.vocab(),
                text.as_ptr().cast(),
                len,
                ids.as_mut_ptr(),
                ids.len() as i32,
                add_special,
                true,
            )
        };
        let mut count = read(&mut ids);
        if count < 0 && count != i32::MIN {
            ids.resize(count.unsigned_abs() as usize, 0);
            count = read(&mut ids);
        }
        ids.truncate(usize::try_from(count).map_err(|_| too_long())?);
        Ok(ids.into_iter().map(|id| id as u32).collect())
    }

    /// The text of one token. Bytes that are no UTF-8 on their own become U+FFFD.
    pub fn piece(&self, token: u32) -> String {
        let mut buffer = vec![0_u8; 64];
        // SAFETY: the token is checked by `feed` and `tokenize` to be in the vocabulary, and llama.cpp
        // checks it again; the buffer has the length that is said.
        #[allow(unsafe_code)]
        let read = |buffer: &mut Vec<u8>| unsafe {
            sys::llama_token_to_piece(
                self.vocab(),
                token as sys::llama_token,
                buffer.as_mut_ptr().cast::<c_char>(),
                buffer.len() as i32,
                0,
                true,
            )
        };
        let mut len = read(&mut buffer);
        if len < 0 {
            buffer.resize(len.unsigned_abs() as usize, 0);
            len = read(&mut buffer);
        }
        buffer.truncate(len.max(0) as usize);
        String::from_utf8_lossy(&buffer).into_owned()
    }

    /// Whether the token ends a text.
    pub fn is_end(&self, token: u32) -> bool {
        // SAFETY: the vocabulary lives as long as the model.
        #[allow(unsafe_code)]
        unsafe {
            token < self.n_vocab() && sys::llama_vocab_is_eog(self.vocab(), token as sys::llama_token)
        }
    }
}

impl Drop for Model {
    fn drop(&mut self) {
        // SAFETY: loaded by `load`, freed once; contexts hold a reference and go first.
        #[allow(unsafe_code)]
        unsafe {
            sys::llama_model_free(self.raw());
        }
    }
}

/// A path as C wants it.
pub(super) fn path_string(path: &Path) -> Option<CString> {
    CString::new(path.to_str()?).ok()
}
