//! Logits: distributions, ranks, margins. Everything in f64, nothing assumes finite values.

/// One line of a top-k table.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TopEntry {
    /// Token id.
    pub token: u32,
    /// Its logit.
    pub logit: f32,
    /// Its probability (softmax at temperature 1).
    pub probability: f32,
    /// Its rank on the other side, from 0.
    pub other_rank: Option<u32>,
}

/// By what tokens are ordered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Ranking {
    /// By the reference's probability.
    #[default]
    Reference,
    /// By the candidate's.
    Candidate,
    /// By how far both probabilities are apart.
    Difference,
}

/// One token with what both sides say of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ranked {
    /// Token id.
    pub token: u32,
    /// Its logits: reference, candidate. `None` where a side has no logit for it.
    pub logits: [Option<f32>; 2],
    /// Its probabilities (softmax at temperature 1); NaN where a side's distribution does not exist.
    pub probabilities: [Option<f32>; 2],
    /// Its ranks, from 0; none for NaN.
    pub ranks: [Option<u32>; 2],
}

/// The k most likely tokens of both sides.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TopK {
    /// By the reference, most likely first. Empty if it has no logits here.
    pub reference: Vec<TopEntry>,
    /// By the candidate.
    pub candidate: Vec<TopEntry>,
    /// The first k by `ranking`, with what both sides say of each.
    pub rows: Vec<Ranked>,
    /// By what `rows` are ordered.
    pub ranking: Ranking,
}

/// Metrics of a pair of logit rows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LogitMetrics {
    /// KL(reference‖candidate) in nats.
    pub kl: f64,
    /// Whether both have the same most likely token.
    pub top1_agrees: bool,
    /// How many of the reference's first k are among the candidate's first k.
    pub overlap: u32,
    /// k.
    pub k: u32,
    /// Reference's first logit minus its second.
    pub margin: f32,
}

/// Metrics of a pair of full rows of logits, over the tokens that both have. `None` when a side has
/// none.
///
/// KL is NaN where a side's distribution does not exist (a NaN, +∞, or nothing finite), and
/// infinite where the candidate rules out a token that the reference allows.
pub fn logit_metrics(reference: &[f32], candidate: &[f32], k: usize) -> Option<LogitMetrics> {
    let n = reference.len().min(candidate.len());
    let (a, b) = (&reference[..n], &candidate[..n]);
    let first = top(a, k.max(2));
    let second = top(b, k.max(2));
    let best = *first.first()?;
    let k = k.min(n);
    let (first_k, second_k) = (&first[..k.min(first.len())], &second[..k.min(second.len())]);
    let overlap = first_k.iter().filter(|t| second_k.contains(t)).count();
    let value = |t: Option<&u32>| t.map_or(f32::NEG_INFINITY, |&t| a[t as usize]);
    Some(LogitMetrics {
        kl: kl(a, b),
        top1_agrees: second.first() == Some(&best),
        overlap: overlap as u32,
        k: k as u32,
        margin: value(Some(&best)) - value(first.get(1)),
    })
}

/// The `k` most likely tokens of both sides with their rank on the other, and the first `k` by `ranking`.
pub fn top_k(reference: &[f32], candidate: &[f32], k: usize, ranking: Ranking) -> TopK {
    TopK {
        reference: entries(reference, candidate, k),
        candidate: entries(candidate, reference, k),
        rows: ranked([reference, candidate], k, ranking),
        ranking,
    }
}

fn ranked(sides: [&[f32]; 2], k: usize, ranking: Ranking) -> Vec<Ranked> {
    let norms = sides.map(log_sum_exp);
    let probability =
        |side: usize, token: usize| Some((f64::from(*sides[side].get(token)?) - norms[side]).exp() as f32);
    let order = match ranking {
        Ranking::Reference => top(sides[0], k),
        Ranking::Candidate => top(sides[1], k),
        Ranking::Difference => top(&differences(sides, norms), k),
    };
    let row = |token: u32| {
        let at = token as usize;
        Ranked {
            token,
            logits: sides.map(|side| side.get(at).copied()),
            probabilities: [probability(0, at), probability(1, at)],
            ranks: sides.map(|side| rank(side, token)),
        }
    };
    order.into_iter().map(row).collect()
}

/// How far both probabilities of each token are apart. Where a distribution does not exist, how far the
/// logits are; a NaN on one side alone is further than anything.
fn differences(sides: [&[f32]; 2], norms: [f64; 2]) -> Vec<f32> {
    let exist = norms.iter().all(|norm| !norm.is_nan());
    let difference = |(&a, &b): (&f32, &f32)| {
        if exist {
            let p = |x: f32, norm: f64| (f64::from(x) - norm).exp();
            return (p(a, norms[0]) - p(b, norms[1])).abs() as f32;
        }
        if a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan()) {
            return 0.0;
        }
        let apart = (a - b).abs();
        if apart.is_nan() { f32::INFINITY } else { apart }
    };
    sides[0].iter().zip(sides[1]).map(difference).collect()
}

fn entries(own: &[f32], other: &[f32], k: usize) -> Vec<TopEntry> {
    let norm = log_sum_exp(own);
    top(own, k)
        .into_iter()
        .map(|token| {
            let logit = own[token as usize];
            TopEntry {
                token,
                logit,
                probability: (f64::from(logit) - norm).exp() as f32,
                other_rank: rank(other, token),
            }
        })
        .collect()
}

/// Rank of `token`, from 0: how many tokens come before it (larger, or equal with a smaller id).
fn rank(logits: &[f32], token: u32) -> Option<u32> {
    let own = *logits.get(token as usize)?;
    if own.is_nan() {
        return None;
    }
    let before =
        logits.iter().enumerate().filter(|&(i, &x)| x > own || (x == own && i < token as usize)).count();
    Some(before as u32)
}

/// The `k` largest, largest first, smaller ids first among equals; NaN is never among them.
fn top(logits: &[f32], k: usize) -> Vec<u32> {
    if k == 0 {
        return Vec::new();
    }
    // A short sorted list and one comparison per token: few tokens ever enter it.
    let mut best: Vec<u32> = Vec::with_capacity(k + 1);
    let mut bar = f32::NEG_INFINITY;
    for (i, &x) in logits.iter().enumerate() {
        if x.is_nan() || (best.len() == k && x <= bar) {
            continue;
        }
        let at = best.partition_point(|&t| logits[t as usize] >= x);
        best.insert(at, i as u32);
        best.truncate(k);
        if best.len() == k {
            bar = logits[best[k - 1] as usize];
        }
    }
    best
}

/// ln Σ exp(x); NaN if there is a NaN or +∞ or nothing finite.
fn log_sum_exp(logits: &[f32]) -> f64 {
    let mut max = f32::NEG_INFINITY;
    for &x in logits {
        if x.is_nan() {
            return f64::NAN;
        }
        max = max.max(x);
    }
    if !max.is_finite() {
        return f64::NAN;
    }
    let max = f64::from(max);
    max + logits.iter().map(|&x| (f64::from(x) - max).exp()).sum::<f64>().ln()
}

fn kl(a: &[f32], b: &[f32]) -> f64 {
    let (norm_a, norm_b) = (log_sum_exp(a), log_sum_exp(b));
    if norm_a.is_nan() || norm_b.is_nan() {
        return f64::NAN;
    }
    let sum: f64 = a
        .iter()
        .zip(b)
        .map(|(&x, &y)| {
            let log_p = f64::from(x) - norm_a;
            let p = log_p.exp();
            // A token that the reference rules out adds nothing, whatever the candidate says.
            if p == 0.0 { 0.0 } else { p * (log_p - (f64::from(y) - norm_b)) }
        })
        .sum();
    // Never negative in exact arithmetic.
    if sum < 0.0 { 0.0 } else { sum }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Noise;

    #[test]
    fn kl_of_a_hand_made_pair() {
        // P = (3/4, 1/4), Q = (1/2, 1/2): KL = 3/4 ln(3/2) + 1/4 ln(1/2).
        let m = logit_metrics(&[3.0_f32.ln(), 0.0], &[5.0, 5.0], 10).unwrap();
        let expected = 0.75 * 1.5_f64.ln() + 0.25 * 0.5_f64.ln();
        // The first logit is ln 3 rounded to f32.
        assert!((m.kl - expected).abs() < 1e-7, "{}", m.kl);
        assert!((m.margin - 3.0_f32.ln()).abs() < 1e-7);
        assert_eq!((m.overlap, m.k, m.top1_agrees), (2, 2, true));
    }

    #[test]
    fn top_agrees_with_a_full_sort() {
        let mut noise = Noise::new(7);
        for n in [1, 2, 19, 20, 21, 5000] {
            // Rounded, so that ties occur.
            let row: Vec<f32> = (0..n).map(|_| (noise.normal() * 20.0).round()).collect();
            let mut sorted: Vec<u32> = (0..n as u32).collect();
            sorted.sort_by(|&i, &j| row[j as usize].total_cmp(&row[i as usize]).then(i.cmp(&j)));
            sorted.truncate(20);
            assert_eq!(top(&row, 20), sorted);
            for (r, &token) in sorted.iter().enumerate() {
                assert_eq!(rank(&row, token), Some(r as u32));
            }
        }
    }

    #[test]
    fn ranks_and_probabilities_of_both_sides() {
        let t = top_k(&[0.0, 2.0, 1.0], &[2.0, 0.0, 1.0], 2, Ranking::Difference);
        let ranks = |e: &[TopEntry]| e.iter().map(|e| (e.token, e.other_rank)).collect::<Vec<_>>();
        assert_eq!(ranks(&t.reference), [(1, Some(2)), (2, Some(1))]);
        assert_eq!(ranks(&t.candidate), [(0, Some(2)), (2, Some(1))]);
        let p: f32 =
            top_k(&[0.0, 2.0, 1.0], &[], 3, Ranking::Reference).reference.iter().map(|e| e.probability).sum();
        assert!((p - 1.0).abs() < 1e-6);
    }

    #[test]
    fn non_finite_values_neither_panic_nor_pass() {
        let nan = logit_metrics(&[1.0, 2.0], &[f32::NAN, 2.0], 5).unwrap();
        assert!(nan.kl.is_nan());
        assert!(logit_metrics(&[1.0, 2.0], &[f32::INFINITY, 2.0], 5).unwrap().kl.is_nan());
        let ruled_out = logit_metrics(&[1.0, 2.0], &[f32::NEG_INFINITY, 2.0], 5).unwrap();
        assert_eq!(ruled_out.kl, f64::INFINITY);
        let both = logit_metrics(&[f32::NEG_INFINITY, 2.0], &[f32::NEG_INFINITY, 2.0], 5).unwrap();
        assert_eq!(both.kl, 0.0);
        assert!(logit_metrics(&[f32::NAN; 4], &[f32::NAN; 4], 5).is_none_or(|m| m.kl.is_nan()));
        assert_eq!(logit_metrics(&[], &[1.0], 5), None);
    }
}
