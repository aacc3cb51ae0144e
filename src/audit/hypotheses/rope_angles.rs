//! RoPE by angles of its own, read off what was recorded: heads that are not turned, positions
//! in another order, pairs that lie otherwise, frequencies in reverse.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::rope::{pair, wrapped};
use super::{Case, Hypothesis, Trial};
use crate::engine::cpu::kernel::Moment;
use crate::model::Op;
use crate::model::graph::{Pairing, Rope};

/// See the module.
pub struct RopeAngles;

/// Positions whose angles are read.
const MOST: usize = 256;
/// Angles that are as near as this are the same; those measured are good to about 1e-6.
const NEAR: f64 = 1e-4;

impl Hypothesis for RopeAngles {
    fn id(&self) -> &'static str {
        "rope-angles"
    }
    fn is_general(&self) -> bool {
        true
    }
    fn trials(&self, case: &Case<'_, '_>) -> Vec<Trial> {
        let Op::Rope(rope) = &case.node.op else { return Vec::new() };
        let (true, Ok(bound)) = (case.is_direct(), case.machine().bound(case.target)) else {
            return Vec::new();
        };
        let frequencies = bound.frequencies().to_vec();
        let mut trials = vec![shifted_pairs(case, rope, frequencies.clone())];
        // One head has as many angles as values that they explain, or half of them.
        if rope.heads > 1
            && let Some(trial) = measured(case, rope, &frequencies)
        {
            trials.push(trial);
        }
        trials
    }
}

/// Neighbours are paired from the second value on.
fn shifted_pairs(case: &Case<'_, '_>, rope: &Rope, frequencies: Vec<f64>) -> Trial {
    let rope = rope.clone();
    let execute = move |_: &_, at: Moment, inputs: &[&[f64]], out: &mut Vec<f64>| {
        out.clear();
        out.extend_from_slice(inputs[0]);
        for head in 0..rope.heads {
            let base = head * rope.head_dim;
            for (i, frequency) in frequencies.iter().enumerate() {
                let places = (base + (2 * i + 1) % rope.n_rot, base + (2 * i + 2) % rope.n_rot);
                turn(inputs[0], out, places, at.position as f64 * frequency, f64::from(rope.attn_factor));
            }
        }
    };
    let says = "RoPE pairs each second value with the one after it, one place too far".to_owned();
    Trial::new(1, says, case.executed(Arc::new(execute)))
}

fn turn(x: &[f64], out: &mut [f64], (first, second): (usize, usize), angle: f64, factor: f64) {
    let (sin, cos) = (angle.sin() * factor, angle.cos() * factor);
    out[first] = x[first] * cos - x[second] * sin;
    out[second] = x[second] * cos + x[first] * sin;
}

fn measured(case: &Case<'_, '_>, rope: &Rope, frequencies: &[f64]) -> Option<Trial> {
    let (table, inputs) =
        (case.traced().table(case.target).ok()?, case.traced().table(*case.node.inputs.first()?).ok()?);
    let half = rope.n_rot / 2;
    // Heads that came out as they went in.
    let mut still: BTreeSet<usize> = (0..rope.heads).collect();
    let positions: Vec<u32> = table.rows.keys().copied().take(MOST).collect();
    for &p in positions.iter().filter(|p| **p > 0) {
        let (x, y) = (inputs.row(p)?, table.row(p)?);
        still.retain(|head| {
            let at = head * rope.head_dim..(head + 1) * rope.head_dim;
            x[at.clone()].iter().zip(&y[at]).all(|(a, b)| (a - b).abs() <= 1e-6 * a.abs())
        });
    }
    if still.len() + 1 >= rope.heads {
        still.clear();
    }
    let mut angles: BTreeMap<u32, Vec<f64>> = BTreeMap::new();
    for &p in &positions {
        let (x, y) = (inputs.row(p)?, table.row(p)?);
        let mut of_pairs = Vec::with_capacity(half);
        for i in 0..half {
            let (first, second) = pair(rope, i);
            let (mut re, mut im) = (0.0, 0.0);
            for head in (0..rope.heads).filter(|h| !still.contains(h)) {
                let at = head * rope.head_dim;
                let [a, b, c, d] =
                    [x[at + first], x[at + second], y[at + first], y[at + second]].map(f64::from);
                re += a * c + b * d;
                im += a * d - b * c;
            }
            of_pairs.push(im.atan2(re));
        }
        angles.insert(p, of_pairs);
    }
    let says = describe(&angles, frequencies, &still, rope)?;
    let rope = rope.clone();
    let execute = move |_: &_, at: Moment, inputs: &[&[f64]], out: &mut Vec<f64>| {
        out.clear();
        out.extend_from_slice(inputs[0]);
        let Some(angles) = angles.get(&(at.position as u32)) else { return };
        for head in (0..rope.heads).filter(|h| !still.contains(h)) {
            for (i, angle) in angles.iter().enumerate() {
                let (first, second) = pair(&rope, i);
                let places = (head * rope.head_dim + first, head * rope.head_dim + second);
                turn(inputs[0], out, places, *angle, f64::from(rope.attn_factor));
            }
        }
    };
    Some(Trial::new(0, says, case.executed(Arc::new(execute))))
}

/// What the angles are, if not the right ones.
fn describe(
    angles: &BTreeMap<u32, Vec<f64>>,
    frequencies: &[f64],
    still: &BTreeSet<usize>,
    rope: &Rope,
) -> Option<String> {
    let off = |p: u32, i: usize, angle: f64| wrapped(angle - f64::from(p) * frequencies[i]).abs();
    let all = |rule: &dyn Fn(u32, usize, f64) -> bool| {
        angles.iter().all(|(p, row)| row.iter().enumerate().all(|(i, angle)| rule(*p, i, *angle)))
    };
    if all(&|p, i, angle| off(p, i, angle) < NEAR) {
        if still.is_empty() {
            return None;
        }
        let shown: Vec<String> = still.iter().take(8).map(ToString::to_string).collect();
        return Some(format!("RoPE is not applied to heads {}", shown.join(", ")));
    }
    let reversed = |p: u32, i: usize| f64::from(p) * frequencies[frequencies.len() - 1 - i];
    if all(&|p, i, angle| wrapped(angle - reversed(p, i)).abs() < NEAR) {
        return Some("RoPE's frequencies are in reverse order".into());
    }
    // Pairs that are never turned.
    let turned = frequencies.len()
        - (0..frequencies.len())
            .rev()
            .take_while(|&i| angles.values().all(|row| row[i].abs() < NEAR / 100.0))
            .count();
    if turned < frequencies.len() && turned > 0 {
        let first = all(&|p, i, angle| i >= turned || off(p, i, angle) < NEAR);
        let with = if first { "" } else { ", by other angles than the model's" };
        let (n, of) = (2 * turned, rope.n_rot);
        return Some(format!("RoPE turns {n} values of each head where the model says {of}{with}"));
    }
    let others = |places: &BTreeMap<u32, i64>| places.iter().any(|(p, q)| i64::from(*p) != *q);
    if let Some(places) = positions(angles, frequencies).filter(others) {
        let shown: Vec<String> = places
            .iter()
            .filter(|(p, q)| i64::from(**p) != **q)
            .take(4)
            .map(|(p, q)| format!("{q} for {p}"))
            .collect();
        return Some(format!("RoPE's positions are others than the run's: {}", shown.join(", ")));
    }
    let rounded = |p: u32, i: usize| half::f16::from_f64(f64::from(p) * frequencies[i]).to_f64();
    if all(&|p, i, angle| wrapped(angle - rounded(p, i)).abs() < 1e-5) {
        return Some("RoPE's angles are rounded to f16".into());
    }
    let rounded = |p: u32, i: usize| half::bf16::from_f64(f64::from(p) * frequencies[i]).to_f64();
    if all(&|p, i, angle| wrapped(angle - rounded(p, i)).abs() < 1e-5) {
        return Some("RoPE's angles are rounded to bf16".into());
    }
    let way = if rope.pairing == Pairing::Norm { "neighbours" } else { "halves" };
    Some(format!("RoPE turns the right pairs ({way}) by other angles than the model's"))
}

/// The position that all pairs' angles agree on, for each row.
fn positions(angles: &BTreeMap<u32, Vec<f64>>, frequencies: &[f64]) -> Option<BTreeMap<u32, i64>> {
    // The slowest pair turns by less than half a turn over as many positions as this.
    let slowest = *frequencies.last()?;
    let mut places = BTreeMap::new();
    for (&p, row) in angles {
        let near = |q: f64| row.iter().zip(frequencies).all(|(a, f)| wrapped(a - q * f).abs() < NEAR * 100.0);
        let q = (row.last()? / slowest).round();
        // Where the slowest pair is too slow to tell, its neighbours are.
        let q = (-2..=2).map(|d| q + f64::from(d)).find(|q| near(*q))?;
        places.insert(p, q as i64);
    }
    Some(places)
}
