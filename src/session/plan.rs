//! Which token comes at which position, and how far engines are to go.

use super::words::Words;
use crate::trace::{Store, Token};

/// How far driven engines are to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Goal {
    /// To this number of positions.
    Positions(u32),
    /// As far as there are tokens.
    Unlimited,
}

impl Goal {
    /// Whether position `position` is to be computed.
    pub fn includes(self, position: u32) -> bool {
        match self {
            Self::Positions(n) => position < n,
            Self::Unlimited => true,
        }
    }
}

/// Tokens that no trace gives: the prompt, and what was generated after it.
#[derive(Debug, Default)]
pub struct Plan {
    tokens: Vec<u32>,
    n_prompt: u32,
    limit: u32,
}

impl Plan {
    /// A prompt, and how many tokens may be generated after it.
    pub fn new(prompt: Vec<u32>, generate: u32) -> Self {
        let n_prompt = prompt.len() as u32;
        Self { tokens: prompt, n_prompt, limit: n_prompt.saturating_add(generate) }
    }

    /// Whether there is a prompt at all.
    pub fn is_empty(&self) -> bool {
        self.tokens.is_empty()
    }

    /// Positions that will be computed if nothing stops the generation.
    pub fn limit(&self) -> u32 {
        self.limit
    }

    /// Whether the token at `position` is the next one to be generated.
    pub fn wants(&self, position: u32) -> bool {
        position as usize == self.tokens.len() && position < self.limit
    }

    /// Takes a generated token in, if it is the next one and there is room for it.
    pub fn extend(&mut self, position: u32, token: u32) {
        if self.wants(position) {
            self.tokens.push(token);
        }
    }

    /// Forgets what was generated: somebody else generates from now on.
    pub fn forget_generated(&mut self) {
        self.tokens.truncate(self.n_prompt as usize);
    }

    /// The token at `position`: from the first trace that has it, else from the plan.
    pub fn token(&self, position: u32, traces: &[&Store], words: &Words) -> Option<Token> {
        let token = traces.iter().find_map(|t| t.token(position).cloned()).or_else(|| {
            let id = *self.tokens.get(position as usize)?;
            Some(Token { id, piece: None, from_prompt: position < self.n_prompt, columns: None })
        })?;
        Some(alone(token, words))
    }

    /// The token at `position` of a side that continues the prompt by itself; `choice` is what it
    /// chooses. As far as the traces or the plan go.
    pub fn own_token(
        &self,
        position: u32,
        traces: &[&Store],
        words: &Words,
        choice: impl FnOnce() -> Option<u32>,
    ) -> Option<Token> {
        let of_traces = traces.iter().find_map(|t| t.token(position));
        if position < self.n_prompt || of_traces.is_some_and(|t| t.from_prompt) {
            return self.token(position, traces, words);
        }
        if position >= self.limit && of_traces.is_none() {
            return None;
        }
        let token = Token { id: choice()?, piece: None, from_prompt: false, columns: None };
        Some(alone(token, words))
    }
}

/// As a token that is computed by itself.
fn alone(mut token: Token, words: &Words) -> Token {
    token.columns = Some(1);
    token.piece = token.piece.or_else(|| words.piece(token.id));
    token
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generation_stops_at_the_limit_and_keeps_its_order() {
        let mut plan = Plan::new(vec![5, 6], 2);
        plan.extend(3, 99);
        plan.extend(2, 7);
        plan.extend(2, 99);
        plan.extend(3, 8);
        plan.extend(4, 99);
        assert_eq!((plan.tokens.as_slice(), plan.limit()), ([5, 6, 7, 8].as_slice(), 4));
        assert!(
            Goal::Positions(2).includes(1) && !Goal::Positions(2).includes(2) && Goal::Unlimited.includes(9)
        );
    }
}
