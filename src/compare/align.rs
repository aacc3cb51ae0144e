//! Are the two runs the same computation? Same model, same tokens at the same positions; where
//! tokens are not recorded, what the values themselves say.

use std::collections::BTreeMap;

use super::correlate::{Correlation, Fingerprints, MIN_POSITIONS, fisher};
use crate::text::safe_short;
use crate::trace::{Header, Store};

/// How two runs lie to each other.
#[derive(Clone, Debug, PartialEq)]
pub enum Alignment {
    /// Position by position, as far as can be known so far.
    Same {
        /// What a reader should know nevertheless.
        remark: Option<String>,
    },
    /// The same up to this position, where two sampled tokens differ.
    Fork {
        /// First position with another token; nothing from here on is compared.
        position: u32,
    },
    /// Not the same computation.
    Different {
        /// A sentence with the evidence.
        evidence: String,
    },
}

/// What is kept of a token.
#[derive(Clone, Debug, PartialEq)]
pub struct TokenInfo {
    /// Id in the vocabulary.
    pub id: u32,
    /// Whether it belongs to the prompt.
    pub from_prompt: bool,
    /// Text, safe to show.
    pub piece: Option<String>,
}

/// Tokens of one run, by position.
pub type Tokens = BTreeMap<u32, TokenInfo>;

/// The token at `position`, if the trace has it.
pub fn token_info(store: &Store, position: u32) -> Option<TokenInfo> {
    let token = store.token(position)?;
    let n_prompt = store.header().and_then(|h| h.n_prompt);
    Some(TokenInfo {
        id: token.id,
        from_prompt: n_prompt.map_or(token.from_prompt, |n| position < n),
        piece: token.piece.as_deref().map(|p| safe_short(p, 20)),
    })
}

/// What two headers say about the models: a sentence if these are two.
pub fn different_models(reference: Option<&Header>, candidate: Option<&Header>) -> Option<String> {
    let (a, b) = (&reference?.model, &candidate?.model);
    let padded = super::cell::VOCABULARY_PADDING as u32;
    let differ = |x: u32, y: u32| x != 0 && y != 0 && x != y;
    let mut facts = Vec::new();
    if !a.arch.is_empty() && !b.arch.is_empty() && a.arch != b.arch {
        facts.push(format!("architecture {} and {}", safe_short(&a.arch, 20), safe_short(&b.arch, 20)));
    }
    for (what, x, y, slack) in [
        ("layers", a.n_layer, b.n_layer, 0),
        ("values wide", a.n_embd, b.n_embd, 0),
        ("logits", a.n_vocab, b.n_vocab, padded),
    ] {
        if differ(x, y) && x.abs_diff(y) > slack {
            facts.push(format!("{x} and {y} {what}"));
        }
    }
    if facts.is_empty() {
        return None;
    }
    let name = |name: &str| if name.is_empty() { "unnamed".to_owned() } else { safe_short(name, 40) };
    Some(format!(
        "these are traces of two models: {} (reference {}, candidate {})",
        facts.join(", "),
        name(&a.name),
        name(&b.name)
    ))
}

/// Aligns by tokens where both runs have them, by values where not.
pub fn align(reference: &Tokens, candidate: &Tokens, values: &Fingerprints) -> Alignment {
    if reference.is_empty() || candidate.is_empty() {
        return by_values(values, reference.is_empty(), candidate.is_empty());
    }
    let common = || reference.iter().filter_map(|(p, a)| candidate.get(p).map(|b| (*p, a, b)));
    let Some((position, a, b)) = common().find(|(_, a, b)| a.id != b.id) else {
        return Alignment::Same { remark: None };
    };
    let agreeing = common().filter(|(_, a, b)| a.id == b.id).count();
    if position > 0 && !a.from_prompt && !b.from_prompt {
        return Alignment::Fork { position };
    }
    let at = format!("at position {position} the reference has {} and the candidate {}", show(a), show(b));
    if let Some((shift, matched, of)) = token_shift(reference, candidate) {
        return Alignment::Different { evidence: shifted(shift, matched, of, &at, reference, candidate) };
    }
    Alignment::Different {
        evidence: format!(
            "these are not runs of the same prompt: {at}; {agreeing} of {} tokens agree",
            common().count()
        ),
    }
}

fn show(token: &TokenInfo) -> String {
    match &token.piece {
        Some(piece) => format!("token {} ‘{piece}’", token.id),
        None => format!("token {}", token.id),
    }
}

/// Offset k such that the candidate's token at p + k is the reference's at p nearly everywhere.
fn token_shift(a: &Tokens, b: &Tokens) -> Option<(i64, usize, usize)> {
    let longest = 1 + a.keys().chain(b.keys()).max().copied().unwrap_or(0).min(100_000) as i64;
    let at = |tokens: &Tokens, p: i64| u32::try_from(p).ok().and_then(|p| tokens.get(&p)).map(|t| t.id);
    // Long runs are told by their first tokens.
    let head: Vec<(i64, u32)> = a.iter().take(512).map(|(p, t)| (i64::from(*p), t.id)).collect();
    let score = |k: i64| {
        let pairs = head.iter().filter_map(|&(p, id)| at(b, p + k).map(|other| id == other));
        pairs.fold((0, 0), |(hit, of), same| (hit + usize::from(same), of + 1))
    };
    (1..longest)
        .flat_map(|k| [k, -k])
        .map(|k| (k, score(k)))
        // Three tokens in a row do not agree by chance; after the prompt, sampled ones may differ.
        .find(|&(_, (hit, of))| hit >= 3 && hit * 10 >= of * 8)
        .map(|(k, (hit, of))| (k, hit, of))
}

fn shifted(shift: i64, matched: usize, of: usize, at: &str, a: &Tokens, b: &Tokens) -> String {
    let count = shift.unsigned_abs();
    let s = if count == 1 { "" } else { "s" };
    let (longer, shorter, first) =
        if shift > 0 { ("candidate", "reference", b) } else { ("reference", "candidate", a) };
    let extra: Vec<String> = first.values().take(count.min(3) as usize).map(show).collect();
    format!(
        "the candidate is shifted by {shift:+} position{s}: {matched} of {of} tokens agree then; the {longer} begins with {} that the {shorter} lacks ({at})",
        extra.join(", ")
    )
}

/// Below this the best agreement of two runs is none.
const UNRELATED: f64 = 0.5;
/// Above this two rows of values tell of the same tokens.
const RELATED: f64 = 0.9;

/// How sure a shift is: how far its correlation stands out of those at all other offsets.
fn above_chance(values: &Fingerprints, best: &Correlation) -> String {
    let Some(chance) = values.chance(best.offset) else { return String::new() };
    let away = fisher(best.r) / chance.max(1e-3);
    format!(
        "; {} (at other offsets it is {:.2} typically, this is {away:.1} times that)",
        sure(away),
        chance.tanh()
    )
}

/// How sure it is that rows are not related: how far their correlation lies below that of runs of one prompt.
fn below_related(values: &Fingerprints, here: &Correlation) -> String {
    let Some(chance) = values.chance(0) else { return String::new() };
    let away = (fisher(RELATED) - fisher(here.r)) / chance.max(1e-3);
    format!("; runs of one prompt have {RELATED} or more, chance makes {:.2}: {}", chance.tanh(), sure(away))
}

/// In words, by standard deviations: two happen by chance once in twenty times, three once in some
/// hundred, five hardly ever.
fn sure(deviations: f64) -> &'static str {
    match deviations {
        d if d >= 5.0 => "practically certain",
        d if d >= 3.0 => "very likely",
        d if d >= 2.0 => "likely",
        _ => "not sure",
    }
}

fn by_values(values: &Fingerprints, no_a: bool, no_b: bool) -> Alignment {
    let who = match (no_a, no_b) {
        (true, true) => "neither trace records its tokens",
        (true, false) => "the reference does not record its tokens",
        _ => "the candidate does not record its tokens",
    };
    let Some(here) = values.correlation(0) else {
        let remark = (values.common() > 0)
            .then(|| format!("{who}, and fewer than {MIN_POSITIONS} positions are too few to tell by the values whether both runs had the same"));
        return Alignment::Same { remark };
    };
    let percent = |r: f64| format!("{r:.2}");
    if here.r >= RELATED || values.nearly_equal() {
        let remark = format!(
            "{who}; positions are taken to correspond because the values of {} do (correlation {})",
            here.checkpoint,
            percent(here.r)
        );
        return Alignment::Same { remark: Some(remark) };
    }
    if let Some(best) = values.best_shift()
        && best.r >= RELATED
        && best.r > here.r + 0.2
    {
        let k = best.offset;
        return Alignment::Different {
            evidence: format!(
                "the candidate is shifted by {k:+} position{}: {who}, but {} correlates with {} there over {} positions, and with {} unshifted{}",
                if k.abs() == 1 { "" } else { "s" },
                best.checkpoint,
                percent(best.r),
                best.positions,
                percent(here.r),
                above_chance(values, &best)
            ),
        };
    }
    if here.r < UNRELATED {
        let best = values.best_shift().unwrap_or(here);
        return Alignment::Different {
            evidence: format!(
                "these are not runs of the same prompt: {who}, and {} does not follow the reference's at any offset (correlation {} unshifted over {} positions, {} at best, at {:+}{}); if the prompts were the same, the candidate's values have nothing to do with the reference's",
                here.checkpoint,
                percent(here.r),
                here.positions,
                percent(best.r),
                best.offset,
                below_related(values, &here)
            ),
        };
    }
    Alignment::Same {
        remark: Some(format!(
            "{who}; the values of {} correlate with {} only, so the prompts may differ",
            here.checkpoint,
            percent(here.r)
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Noise;
    use crate::trace::ModelInfo;

    fn tokens(ids: &[u32], n_prompt: usize) -> Tokens {
        ids.iter()
            .enumerate()
            .map(|(p, &id)| (p as u32, TokenInfo { id, from_prompt: p < n_prompt, piece: None }))
            .collect()
    }

    fn by_tokens(a: &Tokens, b: &Tokens) -> Alignment {
        align(a, b, &Fingerprints::default())
    }

    #[test]
    fn equal_tokens_are_the_same_computation_however_far_each_has_come() {
        let a = tokens(&[1, 5, 6, 7], 3);
        assert_eq!(by_tokens(&a, &tokens(&[1, 5], 2)), Alignment::Same { remark: None });
    }

    #[test]
    fn sampled_tokens_that_part_are_a_fork_and_prompts_that_part_are_not() {
        let a = tokens(&[1, 5, 6, 7, 8], 3);
        assert_eq!(by_tokens(&a, &tokens(&[1, 5, 6, 9, 8], 3)), Alignment::Fork { position: 3 });
        let Alignment::Different { evidence } = by_tokens(&a, &tokens(&[1, 4, 9, 2, 3], 3)) else { panic!() };
        assert!(
            evidence.contains("not runs of the same prompt") && evidence.contains("position 1"),
            "{evidence}"
        );
    }

    #[test]
    fn a_missing_or_doubled_bos_is_a_shift() {
        let a = tokens(&[1, 5, 6, 7, 8], 4);
        for (b, shift) in [(vec![5, 6, 7, 8], "-1"), (vec![1, 1, 5, 6, 7, 8], "+1")] {
            let Alignment::Different { evidence } = by_tokens(&a, &tokens(&b, b.len() - 1)) else { panic!() };
            assert!(evidence.contains(&format!("shifted by {shift} position")), "{evidence}");
            assert!(evidence.contains("token 1"), "{evidence}");
        }
    }

    #[test]
    fn another_model_is_named_and_padding_is_not_another_model() {
        let header = |n_layer, n_vocab| Header {
            model: ModelInfo { n_layer, n_vocab, n_embd: 64, ..ModelInfo::default() },
            ..Header::default()
        };
        let a = header(4, 32_000);
        assert!(
            different_models(Some(&a), Some(&header(8, 32_000)))
                .is_some_and(|t| t.contains("4 and 8 layers"))
        );
        assert_eq!(different_models(Some(&a), Some(&header(4, 32_064))), None);
        assert_eq!(different_models(Some(&a), Some(&header(0, 0))), None, "not said is not different");
        assert_eq!(different_models(Some(&a), None), None);
    }

    /// Rows of logits as two runs of the study record them: a bias common to all positions, and ten
    /// values only.
    fn rows(seed: u64, n: usize) -> Vec<Vec<f32>> {
        let mut noise = Noise::new(99);
        let bias = noise.row(10);
        let mut noise = Noise::new(seed);
        (0..n).map(|_| bias.iter().map(|b| 3.0 * b + noise.normal()).collect()).collect()
    }

    fn fingerprints(a: &[Vec<f32>], b: &[Vec<f32>]) -> Fingerprints {
        let mut f = Fingerprints::default();
        let at = crate::model::Checkpoint::LOGITS;
        for (side, rows) in [(0, a), (1, b)] {
            for (p, row) in rows.iter().enumerate() {
                f.insert(side, at, p as u32, 10, row, &[]);
            }
        }
        f
    }

    fn evidence(a: &[Vec<f32>], b: &[Vec<f32>]) -> Alignment {
        align(&Tokens::new(), &Tokens::new(), &fingerprints(a, b))
    }

    #[test]
    fn without_tokens_values_tell() {
        let a = rows(1, 14);
        let mut noise = Noise::new(3);
        let near = |rows: &[Vec<f32>], noise: &mut Noise| -> Vec<Vec<f32>> {
            rows.iter().map(|r| r.iter().map(|x| x + 0.05 * noise.normal()).collect()).collect()
        };
        assert!(matches!(evidence(&a, &near(&a, &mut noise)), Alignment::Same { remark: Some(_) }));
        let Alignment::Different { evidence: text } = evidence(&a, &rows(2, 108)) else { panic!() };
        assert!(text.contains("not runs of the same prompt"), "{text}");
        let Alignment::Different { evidence: text } = evidence(&a, &near(&a[3..], &mut noise)) else {
            panic!()
        };
        assert!(text.contains("shifted by -3 positions"), "{text}");
        assert!(matches!(evidence(&a[..2], &a[..2]), Alignment::Same { .. }), "too few positions to refuse");
    }
}
