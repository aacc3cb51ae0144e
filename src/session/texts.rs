//! What both runs read so far, as text.

use super::TokenView;

/// The texts of both runs up to a position, and where they part.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Texts {
    /// The reference's tokens joined, safe to show.
    pub reference: String,
    /// The candidate's.
    pub candidate: String,
    /// The first position at which both runs read different tokens.
    pub part_at: Option<u32>,
    /// Bytes that both texts have in common before they part.
    pub common: usize,
}

/// Joins the tokens of positions up to and including `position`.
pub fn texts(tokens: &[TokenView], position: u32) -> Texts {
    let mut out = Texts::default();
    for token in tokens.iter().take_while(|t| t.position <= position) {
        if token.candidate.is_some() && out.part_at.is_none() {
            (out.part_at, out.common) = (Some(token.position), out.reference.len());
        }
        out.reference.push_str(&token.text);
        out.candidate.push_str(token.candidate.as_ref().map_or(&token.text, |(_, text)| text));
    }
    if out.part_at.is_none() {
        out.common = out.reference.len();
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_agree_up_to_where_they_part() {
        let token = |position, text: &str, candidate: Option<&str>| TokenView {
            position,
            text: text.to_owned(),
            candidate: candidate.map(|text| (7, text.to_owned())),
            ..TokenView::default()
        };
        let tokens = [token(0, "a", None), token(1, " b", Some(" cc")), token(2, " d", None)];
        let all = texts(&tokens, 2);
        assert_eq!((all.reference.as_str(), all.candidate.as_str()), ("a b d", "a cc d"));
        assert_eq!((all.part_at, all.common), (Some(1), 1));
        let before = texts(&tokens, 0);
        assert_eq!((before.part_at, before.common, before.candidate.as_str()), (None, 1, "a"));
    }
}
