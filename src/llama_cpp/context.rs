//! A running llama.cpp: its cache, its callbacks, its logits.

use std::any::Any;
use std::ffi::c_void;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use llama_cpp_sys_2 as sys;

use super::model::Model;
use super::node::{Node, NodeSink};
use super::{LlamaError, log};
use crate::engine::run::KvType;

fn raw_type(kv: KvType) -> sys::ggml_type {
    match kv {
        KvType::F32 => sys::GGML_TYPE_F32,
        KvType::F16 => sys::GGML_TYPE_F16,
        KvType::Bf16 => sys::GGML_TYPE_BF16,
        KvType::Q8_0 => sys::GGML_TYPE_Q8_0,
        KvType::Q5_1 => sys::GGML_TYPE_Q5_1,
        KvType::Q5_0 => sys::GGML_TYPE_Q5_0,
        KvType::Q4_1 => sys::GGML_TYPE_Q4_1,
        KvType::Q4_0 => sys::GGML_TYPE_Q4_0,
        KvType::Iq4Nl => sys::GGML_TYPE_IQ4_NL,
    }
}

/// What a context is made with; all of it but `tapped` may change numbers.
#[derive(Clone, Copy, Debug)]
pub struct ContextSettings {
    /// Positions that fit.
    pub positions: usize,
    /// Tokens that are computed together at most.
    pub columns: usize,
    /// Threads that compute.
    pub threads: usize,
    /// Whether attention is fused.
    pub flash_attn: bool,
    /// Type of the cache.
    pub kv: KvType,
    /// Whether nodes are shown. Off, llama.cpp runs with no callback at all.
    pub tapped: bool,
}

/// What the callbacks see.
struct Hook {
    /// Where nodes go during a decode.
    sink: Option<NonNull<dyn NodeSink>>,
    /// A panic of the sink, to be raised again outside C.
    panic: Option<Box<dyn Any + Send>>,
    /// The sink has ended the pass.
    ended: bool,
}

/// A llama.cpp context over one sequence.
pub struct Context {
    raw: NonNull<sys::llama_context>,
    hook: NonNull<Hook>,
    stop: Arc<AtomicBool>,
    model: Arc<Model>,
    position: usize,
    columns: usize,
    last: usize,
}

// SAFETY: a context is used by one thread at a time (`&mut self`), which need not be the same one.
#[allow(unsafe_code)]
unsafe impl Send for Context {}

impl Context {
    /// A context for `model`. When `stop` becomes true, a running batch is given up.
    pub fn new(
        model: Arc<Model>,
        settings: ContextSettings,
        stop: Arc<AtomicBool>,
    ) -> Result<Self, LlamaError> {
        let count = |n: usize, what: &str| {
            u32::try_from(n).ok().filter(|&n| n > 0 && i32::try_from(n).is_ok()).ok_or_else(|| {
                LlamaError::Request(format!("{what} should be from 1 to {}, not {n}", i32::MAX))
            })
        };
        let columns = count(settings.columns, "the batch size")?;
        let positions = count(settings.positions, "the number of positions")?;
        let threads = count(settings.threads, "the number of threads")? as i32;
        let hook = NonNull::from(Box::leak(Box::new(Hook { sink: None, panic: None, ended: false })));
        log::take_problems();
        // SAFETY: the parameters are the defaults with plain values changed. The hook and the flag are
        // freed only after the context (see `drop`).
        #[allow(unsafe_code)]
        let raw = unsafe {
            let mut params = sys::llama_context_default_params();
            params.n_ctx = positions;
            params.n_batch = columns;
            params.n_ubatch = columns;
            params.n_threads = threads;
            params.n_threads_batch = threads;
            params.flash_attn_type = if settings.flash_attn {
                sys::LLAMA_FLASH_ATTN_TYPE_ENABLED
            } else {
                sys::LLAMA_FLASH_ATTN_TYPE_DISABLED
            };
            params.type_k = raw_type(settings.kv);
            params.type_v = raw_type(settings.kv);
            // A cache that holds every position, so that a score's column is its position.
            params.swa_full = true;
            if settings.tapped {
                params.cb_eval = Some(on_node);
                params.cb_eval_user_data = hook.as_ptr().cast();
            }
            params.abort_callback = Some(should_stop);
            params.abort_callback_data = Arc::as_ptr(&stop).cast_mut().cast();
            sys::llama_init_from_model(model.raw(), params)
        };
        let Some(raw) = NonNull::new(raw) else {
            // SAFETY: leaked above, and no context knows it.
            #[allow(unsafe_code)]
            drop(unsafe { Box::from_raw(hook.as_ptr()) });
            return Err(LlamaError::Context(log::take_problems()));
        };
        Ok(Self { raw, hook, stop, model, position: 0, columns: settings.columns, last: 0 })
    }

    pub(super) fn raw(&self) -> *mut sys::llama_context {
        self.raw.as_ptr()
    }

    /// The model it runs.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// Positions that fit; llama.cpp rounds up what it was asked for.
    pub fn n_ctx(&self) -> u32 {
        // SAFETY: the context is alive.
        #[allow(unsafe_code)]
        unsafe {
            sys::llama_n_ctx(self.raw())
        }
    }

    /// Positions computed so far.
    pub fn position(&self) -> usize {
        self.position
    }

    /// Computes the next `tokens` in one batch, every one with its logits, and shows the nodes to
    /// `sink` (if the context is tapped).
    pub fn decode(&mut self, tokens: &[u32], sink: &mut dyn NodeSink) -> Result<(), LlamaError> {
        if tokens.is_empty() || tokens.len() > self.columns {
            let columns = self.columns;
            return Err(LlamaError::Request(format!(
                "a batch holds 1 to {columns} tokens, not {}",
                tokens.len()
            )));
        }
        if let Some(token) = tokens.iter().find(|&&token| token >= self.model.n_vocab()) {
            return Err(LlamaError::Request(format!(
                "token {token} is not in the vocabulary of {} tokens",
                self.model.n_vocab()
            )));
        }
        let mut ids: Vec<_> = tokens.iter().map(|&token| token as sys::llama_token).collect();
        let mut positions: Vec<_> =
            (self.position..).take(tokens.len()).map(|p| p as sys::llama_pos).collect();
        let mut wanted = vec![1_i8; tokens.len()];
        let batch = sys::llama_batch {
            n_tokens: tokens.len() as i32,
            token: ids.as_mut_ptr(),
            embd: std::ptr::null_mut(),
            pos: positions.as_mut_ptr(),
            n_seq_id: std::ptr::null_mut(),
            seq_id: std::ptr::null_mut(),
            logits: wanted.as_mut_ptr(),
        };
        log::take_problems();
        // SAFETY: the hook is alive and only used by this thread. The sink's lifetime is hidden for the
        // length of the call and the pointer removed after it; the batch's arrays outlive the call.
        #[allow(unsafe_code)]
        let (code, panic, ended) = unsafe {
            let sink: NonNull<dyn NodeSink + '_> = NonNull::from(sink);
            (*self.hook.as_ptr()).sink = Some(std::mem::transmute::<
                NonNull<dyn NodeSink + '_>,
                NonNull<dyn NodeSink + 'static>,
            >(sink));
            let code = sys::llama_decode(self.raw(), batch);
            let hook = &mut *self.hook.as_ptr();
            hook.sink = None;
            (code, hook.panic.take(), std::mem::take(&mut hook.ended))
        };
        if let Some(panic) = panic {
            resume_unwind(panic);
        }
        if self.stop.load(Ordering::Relaxed) {
            return Err(LlamaError::Interrupted);
        }
        if code != 0 {
            return Err(LlamaError::Decode { position: self.position, code, reason: log::take_problems() });
        }
        if !ended {
            self.position += tokens.len();
            self.last = tokens.len() - 1;
        }
        Ok(())
    }

    /// Logits of token `index` of the last batch.
    pub fn logits(&mut self, index: usize) -> Option<&[f32]> {
        let index = i32::try_from(index).ok()?;
        // SAFETY: llama.cpp checks the index and returns null or n_vocab values that stay until the
        // next decode, which needs `&mut self`.
        #[allow(unsafe_code)]
        unsafe {
            let values = sys::llama_get_logits_ith(self.raw(), index);
            (!values.is_null()).then(|| std::slice::from_raw_parts(values, self.model.n_vocab() as usize))
        }
    }

    /// Index, within the last batch, of its last token.
    pub fn last_index(&self) -> usize {
        self.last
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        // SAFETY: the context goes first and takes the callbacks with it; then the hook, leaked by
        // `new`, is freed once. The model and the flag are fields and go after this.
        #[allow(unsafe_code)]
        unsafe {
            sys::llama_free(self.raw());
            drop(Box::from_raw(self.hook.as_ptr()));
        }
    }
}

/// Called for every node: first to ask whether it is wanted, then, if so, with its data.
// SAFETY: ggml passes a live tensor and the hook that `new` gave it.
#[allow(unsafe_code)]
unsafe extern "C" fn on_node(tensor: *mut sys::ggml_tensor, ask: bool, hook: *mut c_void) -> bool {
    // SAFETY: see above; nobody else holds a reference while llama_decode runs.
    let (Some(node), Some(hook)) = (unsafe { Node::new(tensor) }, unsafe { hook.cast::<Hook>().as_mut() })
    else {
        return !ask;
    };
    let Some(mut sink) = hook.sink.filter(|_| !hook.ended) else { return false };
    // SAFETY: set by the running `decode`, whose borrow lasts.
    let sink = unsafe { sink.as_mut() };
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        if ask { sink.wants(node) } else { sink.computed(node).is_continue() }
    }));
    match outcome {
        Ok(answer) => {
            hook.ended |= !ask && !answer;
            answer
        }
        Err(panic) => {
            hook.panic = Some(panic);
            hook.ended = true;
            false
        }
    }
}

/// Called by the computing threads between nodes.
// SAFETY: ggml passes the flag that `new` gave it, which outlives the context.
#[allow(unsafe_code)]
unsafe extern "C" fn should_stop(flag: *mut c_void) -> bool {
    // SAFETY: see above.
    unsafe { flag.cast::<AtomicBool>().as_ref() }.is_some_and(|flag| flag.load(Ordering::Relaxed))
}
