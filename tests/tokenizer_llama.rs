//! Token ids and pieces against the real llama.cpp: on the demo model's vocabulary, and on those named
//! in the environment variable `PARITTY_TEST_VOCABS` (paths, colon between them).
#![cfg(feature = "llama-cpp")]
#![allow(unsafe_code, clippy::unwrap_used)]

mod tokenizer_texts;

use std::ffi::CString;
use std::path::{Path, PathBuf};
use std::ptr;
use std::sync::Once;

use llama_cpp_sys_2 as sys;
use paritty::gguf::Gguf;
use paritty::tokenizer::{Options, Tokenizer};

/// A vocabulary that llama.cpp loaded, without weights.
struct Theirs(*mut sys::llama_model);

impl Theirs {
    fn load(path: &Path) -> Self {
        static INIT: Once = Once::new();
        // SAFETY: plain calls with values that live long enough; a null model is refused.
        unsafe {
            INIT.call_once(|| {
                sys::llama_log_set(Some(quiet), ptr::null_mut());
                sys::llama_backend_init();
            });
            let mut params = sys::llama_model_default_params();
            params.vocab_only = true;
            let path = CString::new(path.to_str().unwrap()).unwrap();
            let model = sys::llama_model_load_from_file(path.as_ptr(), params);
            assert!(!model.is_null(), "llama.cpp refuses {}", path.to_string_lossy());
            Self(model)
        }
    }

    fn vocab(&self) -> *const sys::llama_vocab {
        // SAFETY: the model lives as long as `self`.
        unsafe { sys::llama_model_get_vocab(self.0) }
    }

    fn encode(&self, text: &str, add_special: bool, parse_special: bool) -> Vec<u32> {
        let mut ids = vec![0; text.len() + 8];
        // SAFETY: both buffers are passed with their lengths.
        let n = unsafe {
            sys::llama_tokenize(
                self.vocab(),
                text.as_ptr().cast(),
                text.len() as i32,
                ids.as_mut_ptr(),
                ids.len() as i32,
                add_special,
                parse_special,
            )
        };
        ids[..usize::try_from(n).unwrap()].iter().map(|&id| id as u32).collect()
    }

    fn piece(&self, id: u32) -> Vec<u8> {
        let mut bytes = vec![0_u8; 4096];
        // SAFETY: the buffer is passed with its length.
        let n = unsafe {
            let buffer = bytes.as_mut_ptr().cast();
            sys::llama_token_to_piece(self.vocab(), id as i32, buffer, bytes.len() as i32, 0, true)
        };
        bytes.truncate(usize::try_from(n).unwrap());
        bytes
    }
}

impl Drop for Theirs {
    fn drop(&mut self) {
        // SAFETY: the model was loaded and is freed once.
        unsafe { sys::llama_model_free(self.0) }
    }
}

unsafe extern "C" fn quiet(_: sys::ggml_log_level, _: *const std::ffi::c_char, _: *mut std::ffi::c_void) {}

fn vocabularies() -> Vec<PathBuf> {
    let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/models/shakespeare-f16.gguf");
    let more = std::env::var_os("PARITTY_TEST_VOCABS").unwrap_or_default();
    let more = std::env::split_paths(&more).filter(|path| !path.as_os_str().is_empty());
    [demo].into_iter().chain(more).collect()
}

#[test]
fn ids_are_llama_cpps() {
    for path in vocabularies() {
        let name = path.display();
        let ours = Tokenizer::from_gguf(&Gguf::open(&path).unwrap()).unwrap();
        let theirs = Theirs::load(&path);
        let texts = tokenizer_texts::all();
        for text in &texts {
            for (add_special, parse_special) in [(true, true), (true, false), (false, true), (false, false)] {
                let options = Options { add_bos: (!add_special).then_some(false), parse_special };
                assert_eq!(
                    ours.encode(text, options),
                    theirs.encode(text, add_special, parse_special),
                    "{name}: {text:?}, {options:?}"
                );
            }
        }
    }
}

/// Every character there is, after a letter, a digit, a space and itself: this compares what counts as
/// letter, number and white space.
#[test]
fn every_character_is_cut_as_llama_cpp_cuts_it() {
    for path in vocabularies() {
        let ours = Tokenizer::from_gguf(&Gguf::open(&path).unwrap()).unwrap();
        let theirs = Theirs::load(&path);
        let chars: Vec<char> = ('\0'..=char::MAX).collect();
        let mut different: Vec<char> = Vec::new();
        for chunk in chars.chunks(1024) {
            let text = |chars: &[char]| -> String {
                let around = |&c: &char| ['a', c, 'b', '1', c, '2', ' ', c, c, 'c'];
                chars.iter().flat_map(around).collect()
            };
            let same = |chars: &[char]| {
                let text = text(chars);
                ours.encode(&text, Options::default()) == theirs.encode(&text, true, true)
            };
            if !same(chunk) {
                different.extend(chunk.iter().copied().filter(|&c| !same(&[c])));
            }
        }
        assert!(
            different.is_empty(),
            "{}: {} characters, such as {:?}",
            path.display(),
            different.len(),
            &different[..different.len().min(50)]
        );
    }
}

#[test]
fn pieces_and_special_tokens_are_llama_cpps() {
    for path in vocabularies() {
        let name = path.display();
        let ours = Tokenizer::from_gguf(&Gguf::open(&path).unwrap()).unwrap();
        let theirs = Theirs::load(&path);
        // SAFETY: plain questions about a vocabulary that lives long enough.
        unsafe {
            let vocab = theirs.vocab();
            assert_eq!(ours.n_vocab(), sys::llama_vocab_n_tokens(vocab) as usize, "{name}");
            let id = |id: i32| u32::try_from(id).ok();
            assert_eq!(ours.bos(), id(sys::llama_vocab_bos(vocab)), "{name}");
            assert_eq!(ours.eos(), id(sys::llama_vocab_eos(vocab)), "{name}");
            for id in 0..ours.n_vocab() as u32 {
                assert_eq!(ours.piece(id), theirs.piece(id), "{name}: token {id}");
                assert_eq!(ours.is_eog(id), sys::llama_vocab_is_eog(vocab, id as i32), "{name}: token {id}");
            }
        }
    }
}
