//! The token that begins a text is there twice.

use super::Fault;

/// See the module.
pub struct BosDoubled;

impl Fault for BosDoubled {
    fn id(&self) -> &'static str {
        "bos-doubled"
    }
    fn catalogue(&self) -> u8 {
        7
    }
    fn title(&self) -> &'static str {
        "the token that begins a text is there twice"
    }
    fn explain(&self) -> &'static str {
        "A chat template writes it and the tokeniser adds it again: everything is shifted by one \
         position, and no operation is wrong (llama.cpp#21500)."
    }
    fn tokens(&self, tokens: &mut Vec<u32>) -> bool {
        if let Some(&first) = tokens.first() {
            tokens.insert(0, first);
        }
        !tokens.is_empty()
    }
}
