//! The token that begins a text is left out.

use super::Fault;

/// See the module.
pub struct BosMissing;

impl Fault for BosMissing {
    fn id(&self) -> &'static str {
        "bos-missing"
    }
    fn catalogue(&self) -> u8 {
        7
    }
    fn title(&self) -> &'static str {
        "the token that begins a text is left out"
    }
    fn explain(&self) -> &'static str {
        "The runs have different tokens and are shifted by one position. No operation is wrong (lm- \
         evaluation-harness#1465)."
    }
    fn tokens(&self, tokens: &mut Vec<u32>) -> bool {
        let possible = tokens.len() > 1;
        if possible {
            tokens.remove(0);
        }
        possible
    }
}
