//! Tokens that a trial is run over.

use crate::trace::Token;

/// Tokens without meaning, the same for the same seed.
pub fn random_tokens(seed: u32, n: usize, n_vocab: usize) -> Vec<Token> {
    let mut state = u64::from(seed).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        // Xorshift64*.
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        (state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize
    };
    (0..n).map(|_| token((next() % n_vocab.max(1)) as u32)).collect()
}

/// A token of a prompt, alone in its batch.
pub fn token(id: u32) -> Token {
    Token { id, piece: None, from_prompt: true, columns: Some(1) }
}
