//! A weight type widened wrongly.

use std::sync::Arc;

use super::{Case, Hypothesis, Trial};
use crate::audit::arithmetic::minima;
use crate::audit::change::Change;
use crate::audit::product::Weights;
use crate::engine::cpu::weights::Matrix;
use crate::model::{Op, View, misread};

/// See the module.
pub struct Dequantisation;

type Alter = fn(&minima::Layout, &mut [u8]);

/// A matrix whose blocks are changed before they are widened.
struct Altered {
    matrix: Matrix,
    alter: Alter,
}

impl Weights for Altered {
    fn rows(&self) -> usize {
        Weights::rows(&self.matrix)
    }
    fn row_len(&self) -> usize {
        Weights::row_len(&self.matrix)
    }
    fn row(&self, row: usize, out: &mut [f32]) {
        let kind = self.matrix.info().weight_type;
        let (Some(layout), Some(widen)) = (minima::layout(kind), kind.format().dequantize) else { return };
        let Some(bytes) = self.matrix.row_bytes(row) else { return };
        let mut bytes = bytes.to_vec();
        for block in bytes.chunks_mut(layout.block) {
            (self.alter)(&layout, block);
        }
        widen(&bytes, out);
    }
}

/// A matrix without what its blocks subtract.
struct WithoutMinimum(Matrix);

impl Weights for WithoutMinimum {
    fn rows(&self) -> usize {
        Weights::rows(&self.0)
    }
    fn row_len(&self) -> usize {
        Weights::row_len(&self.0)
    }
    fn row(&self, row: usize, out: &mut [f32]) {
        Weights::row(&self.0, row, out);
        let mut least = vec![0.0; out.len()];
        let Some(bytes) = self.0.row_bytes(row) else { return };
        if minima::minima(self.0.info().weight_type, bytes, &mut least) {
            out.iter_mut().zip(least).for_each(|(w, m)| *w -= m);
        }
    }
}

fn swap_nibbles(layout: &minima::Layout, block: &mut [u8]) {
    for byte in &mut block[layout.nibbles.clone()] {
        *byte = byte.rotate_left(4);
    }
}

fn swap_factors(layout: &minima::Layout, block: &mut [u8]) {
    if layout.factor.len() == 2 {
        block.swap(0, 2);
        block.swap(1, 3);
    }
}

fn add_minimum(layout: &minima::Layout, block: &mut [u8]) {
    if let Some(last) = layout.factor.clone().next_back() {
        block[last] ^= 0x80;
    }
}

impl Hypothesis for Dequantisation {
    fn id(&self) -> &'static str {
        "dequantisation"
    }
    fn trials(&self, case: &Case<'_, '_>) -> Vec<Trial> {
        if !matches!(case.node.op, Op::MatMul) {
            return Vec::new();
        }
        let Ok(bound) = case.machine().bound(case.target) else { return Vec::new() };
        let Some(matrix) = bound.matrix() else { return Vec::new() };
        let kind = matrix.info().weight_type;
        let mut trials = Vec::new();
        if let Some(what) = misread::mistake(kind) {
            let change = case.with(|node| node.departure.views.push(View::Misread(kind)));
            trials.push(Trial::new(13, format!("{kind} is unpacked wrongly: {what}"), change));
        }
        if !minima::has(kind) {
            return trials;
        }
        let altered =
            |alter: Alter| -> Arc<dyn Weights> { Arc::new(Altered { matrix: matrix.clone(), alter }) };
        let variants: [(&str, Arc<dyn Weights>); 4] = [
            ("with the nibbles of each byte swapped", altered(swap_nibbles)),
            ("without its minimum (or zero point)", Arc::new(WithoutMinimum(matrix.clone()))),
            ("with scale and minimum exchanged", altered(swap_factors)),
            ("with the minimum added instead of subtracted", altered(add_minimum)),
        ];
        for (how, weights) in variants {
            let change = Change { weights: Some(weights), ..case.with(|_| {}) };
            trials.push(Trial::new(13, format!("{kind} is widened {how}"), change));
        }
        trials
    }
}
