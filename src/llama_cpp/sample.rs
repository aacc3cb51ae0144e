//! Choosing the next token with llama.cpp's own samplers.

use std::ptr::NonNull;

use llama_cpp_sys_2 as sys;

use super::LlamaError;
use super::context::Context;

/// How the next token is chosen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sampling {
    /// 0 takes the most probable token; above, logits are divided by it and a token is drawn.
    pub temperature: f32,
    /// Only the `top_k` most probable tokens; 0 for all.
    pub top_k: u32,
    /// Only the most probable tokens that make up this much; 1 for all.
    pub top_p: f32,
    /// Start of the random numbers.
    pub seed: u32,
}

impl Default for Sampling {
    fn default() -> Self {
        Self { temperature: 0.0, top_k: 0, top_p: 1.0, seed: 1 }
    }
}

/// A chain of llama.cpp's samplers.
pub struct Sampler(NonNull<sys::llama_sampler>);

// SAFETY: a sampler is used by one thread at a time (`&mut self`).
#[allow(unsafe_code)]
unsafe impl Send for Sampler {}

impl Sampler {
    /// The chain top-k, top-p, temperature, draw; or the most probable token.
    pub fn new(sampling: Sampling) -> Result<Self, LlamaError> {
        // SAFETY: plain values in; the chain owns what is added to it.
        #[allow(unsafe_code)]
        let chain = unsafe {
            let chain = sys::llama_sampler_chain_init(sys::llama_sampler_chain_default_params());
            if chain.is_null() {
                return Err(LlamaError::Request("llama.cpp makes no sampler".into()));
            }
            if sampling.temperature > 0.0 {
                if sampling.top_k > 0 {
                    let k = i32::try_from(sampling.top_k).unwrap_or(i32::MAX);
                    sys::llama_sampler_chain_add(chain, sys::llama_sampler_init_top_k(k));
                }
                if sampling.top_p < 1.0 {
                    sys::llama_sampler_chain_add(chain, sys::llama_sampler_init_top_p(sampling.top_p, 1));
                }
                sys::llama_sampler_chain_add(chain, sys::llama_sampler_init_temp(sampling.temperature));
                sys::llama_sampler_chain_add(chain, sys::llama_sampler_init_dist(sampling.seed));
            } else {
                sys::llama_sampler_chain_add(chain, sys::llama_sampler_init_greedy());
            }
            chain
        };
        NonNull::new(chain).map(Self).ok_or_else(|| LlamaError::Request("llama.cpp makes no sampler".into()))
    }

    /// The token that follows the last one computed.
    pub fn next(&mut self, context: &mut Context) -> Result<u32, LlamaError> {
        let nothing = || LlamaError::Request("nothing has been computed that a token could follow".into());
        let index = context.last_index();
        context.logits(index).ok_or_else(nothing)?;
        // SAFETY: the logits of this index are there; sampler and context are alive.
        #[allow(unsafe_code)]
        let token = unsafe { sys::llama_sampler_sample(self.0.as_ptr(), context.raw(), index as i32) };
        u32::try_from(token).map_err(|_| nothing())
    }
}

impl Drop for Sampler {
    fn drop(&mut self) {
        // SAFETY: made by `new`, freed once with everything in the chain.
        #[allow(unsafe_code)]
        unsafe {
            sys::llama_sampler_free(self.0.as_ptr());
        }
    }
}
