//! RoPE by other rules: angles are measured between input and output, and tell base, scale and position.

use std::f64::consts::{PI, TAU};
use std::sync::Arc;

use super::{Case, Hypothesis, Trial};
use crate::audit::change::Change;
use crate::engine::cpu::ops;
use crate::figures::figure;
use crate::model::Op;
use crate::model::graph::{Pairing, Rope};

/// See the module.
pub struct RopeRules;

/// Places of the two values of pair `i` in a head.
pub fn pair(rope: &Rope, i: usize) -> (usize, usize) {
    match rope.pairing {
        Pairing::Norm => (2 * i, 2 * i + 1),
        Pairing::Neox => (i, i + rope.n_rot / 2),
    }
}

/// Angle by which each pair was turned at `position`, over all heads; in (−π, π].
fn turned(case: &Case<'_, '_>, rope: &Rope, position: u32) -> Option<Vec<f64>> {
    let x = case.input(0, position)?;
    let table = case.traced().table(case.target).ok()?;
    let y = table.row(position)?;
    Some(
        (0..rope.n_rot / 2)
            .map(|i| {
                let (first, second) = pair(rope, i);
                let (mut re, mut im) = (0.0, 0.0);
                for head in 0..rope.heads {
                    let at = head * rope.head_dim;
                    let (a, b) = (x[at + first], x[at + second]);
                    let (c, d) = (f64::from(y[at + first]), f64::from(y[at + second]));
                    re += a * c + b * d;
                    im += a * d - b * c;
                }
                im.atan2(re)
            })
            .collect(),
    )
}

/// `x` brought to (−π, π].
pub fn wrapped(x: f64) -> f64 {
    let x = x.rem_euclid(TAU);
    if x > PI { x - TAU } else { x }
}

impl Hypothesis for RopeRules {
    fn id(&self) -> &'static str {
        "rope"
    }
    fn trials(&self, case: &Case<'_, '_>) -> Vec<Trial> {
        let Op::Rope(rope) = &case.node.op else { return Vec::new() };
        let mut trials = Vec::new();
        let change = |edit: &dyn Fn(&mut Rope)| -> Change {
            case.with(|node| {
                if let Op::Rope(rope) = &mut node.op {
                    edit(rope);
                }
            })
        };
        let mut add = |kin: u8, says: String, edit: &dyn Fn(&mut Rope)| {
            trials.push(Trial::new(kin, says, change(edit)));
        };
        let other = match rope.pairing {
            Pairing::Norm => (Pairing::Neox, "halves (NEOX)", "neighbours (NORM)"),
            Pairing::Neox => (Pairing::Norm, "neighbours (NORM)", "halves (NEOX)"),
        };
        add(1, format!("RoPE pairs {} where the model pairs {}", other.1, other.2), &|r| r.pairing = other.0);
        if rope.factors.is_some() {
            add(2, "RoPE ignores the model's frequency factors".into(), &|r| r.factors = None);
        }
        for name in ["rope_freqs.weight", "rope_factors_long.weight", "rope_factors_short.weight"] {
            let fits = case.gguf().tensor(name).is_some_and(|t| t.elements() as usize == rope.n_rot / 2);
            if fits && rope.factors.as_deref() != Some(name) {
                add(2, format!("RoPE divides its frequencies by {name}"), &|r| r.factors = Some(name.into()));
            }
        }
        for base in [10_000.0_f32, 500_000.0, 1_000_000.0, 100_000.0, 1000.0] {
            if base != rope.freq_base {
                let says = format!("RoPE's base is {base} where the model says {}", rope.freq_base);
                add(3, says, &|r| r.freq_base = base);
            }
        }
        for n_rot in [rope.head_dim, rope.head_dim / 2, rope.head_dim / 4] {
            if n_rot != rope.n_rot && n_rot >= 2 && n_rot % 2 == 0 && rope.factors.is_none() {
                let says =
                    format!("RoPE turns {n_rot} values of each head where the model says {}", rope.n_rot);
                add(3, says, &|r| r.n_rot = n_rot);
            }
        }
        for shift in [-1, 1, -2, 2] {
            let says = format!("RoPE's positions are {} {}", shift_size(shift), side(shift));
            add(9, says, &|r| r.position_shift = shift);
        }
        add(0, "RoPE turns the other way".into(), &|r| r.freq_scale = -r.freq_scale);
        add(9, "RoPE turns twice as far".into(), &|r| r.freq_scale *= 2.0);
        if rope.attn_factor != 1.0 {
            add(0, "RoPE leaves out its factor on length".into(), &|r| r.attn_factor = 1.0);
        }
        if case.is_direct() {
            measured(case, rope, &mut add);
        }
        let plain = |_: &_, _, inputs: &[&[f64]], out: &mut Vec<f64>| {
            out.clear();
            out.extend_from_slice(inputs[0]);
        };
        trials.push(Trial::new(0, "RoPE is not applied".into(), case.executed(Arc::new(plain))));
        trials
    }
}

fn shift_size(shift: i32) -> String {
    let n = shift.unsigned_abs();
    if n == 1 { "one".to_owned() } else { n.to_string() }
}

fn side(shift: i32) -> &'static str {
    if shift < 0 { "too early" } else { "too late" }
}

/// Adds a trial: what was done, as a change of the rules.
type Add<'t> = dyn FnMut(u8, String, &dyn Fn(&mut Rope)) + 't;

/// What the measured angles say.
fn measured(case: &Case<'_, '_>, rope: &Rope, add: &mut Add<'_>) {
    let Ok(bound) = case.machine().bound(case.target) else { return };
    let frequencies = bound.frequencies();
    let Some(&slowest) = frequencies.last() else { return };
    // The slowest pair turns least, so that its angle tells the position.
    if let Some(&position) = case.positions.first()
        && let Some(angles) = turned(case, rope, position)
        && let Some(&last) = angles.last()
    {
        let shift = (last / slowest - f64::from(position)).round();
        let fits = angles
            .iter()
            .zip(frequencies)
            .all(|(a, f)| wrapped(a - (f64::from(position) + shift) * f).abs() < 1e-2);
        if fits && shift != 0.0 && shift.abs() < 1e6 {
            let shift = shift as i32;
            add(9, format!("RoPE's positions are {} {}", shift_size(shift), side(shift)), &|r| {
                r.position_shift = shift;
            });
        }
    }
    // Early positions do not wrap: their angles are the frequencies.
    let Ok(table) = case.traced().table(case.target) else { return };
    let Some(&early) = table.rows.keys().find(|&&p| p > 0) else { return };
    let Some(angles) = turned(case, rope, early) else { return };
    let half = rope.n_rot / 2;
    let mut bases: Vec<f64> = Vec::new();
    let mut ratios: Vec<f64> = Vec::new();
    for i in 1..half {
        let found = angles[i] / f64::from(early);
        let right = frequencies[i];
        if found > 0.0 && found < 0.9 * PI / f64::from(early) {
            let plain = ops::rope_frequencies(&Rope { factors: None, ..rope.clone() }, None)[i];
            bases.push(
                (found * plain / right / f64::from(rope.freq_scale))
                    .powf(-(rope.n_rot as f64) / (2.0 * i as f64)),
            );
            ratios.push(found / right);
        }
    }
    let median = |mut values: Vec<f64>| {
        values.sort_by(f64::total_cmp);
        values.get(values.len() / 2).copied()
    };
    if let Some(base) = median(bases).filter(|b| b.is_finite() && *b > 1.0) {
        // Bases are round numbers.
        let power = 10f64.powf(base.log10().floor() - 2.0);
        let round = ((base / power).round() * power) as f32;
        for base in [round, base as f32] {
            let says = format!(
                "RoPE's base is {} where the model says {}",
                figure(base.into()),
                figure(rope.freq_base.into())
            );
            add(3, says, &|r| r.freq_base = base);
        }
    }
    if let Some(ratio) = median(ratios).filter(|r| r.is_finite() && (r - 1.0).abs() > 1e-4) {
        for ratio in [(1.0 / (1.0 / ratio).round()), ratio] {
            let says = format!("RoPE's angles are {} times the right ones", figure(ratio));
            add(0, says, &|r| r.freq_scale = (f64::from(r.freq_scale) * ratio) as f32);
        }
    }
}
