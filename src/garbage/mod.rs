//! Garbage: values that no correct forward pass produces, each with its class and its evidence.
//! One class a file; adding one means a file and a line in [`CLASSES`].

mod ascii;
mod clamped;
mod constant;
mod denormal;
mod fill;
mod heap;
mod history;
mod huge;
mod inf;
mod nan;
mod nan_as_zero;
mod padding;
mod profile;
pub mod recording;
mod rows;
mod saturated;
mod stale;
mod truncated;
mod visible;
mod watch;
mod zero;

use crate::model::{Checkpoint, Site};
use crate::trace::Tensor;

pub use history::{History, Repeat};
pub use profile::Profile;
pub use rows::Rows;
pub use stale::ID as STALE;
pub use visible::visible;
pub use watch::{Look, Watch};

/// Who is at fault when a class is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blame {
    /// The values were computed like this.
    Engine,
    /// The logger recorded something else than what was computed.
    Instrument,
    /// Nobody: legitimate, worth knowing (a padded vocabulary).
    Nobody,
}

/// One finding.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// The class's id: `nan`, `inf`, `heap-pointer` …
    pub class: &'static str,
    /// A single letter or sign for flags.
    pub glyph: char,
    /// Who is at fault.
    pub blame: Blame,
    /// Where.
    pub checkpoint: Checkpoint,
    /// Channels concerned: first and how many.
    pub first_channel: u32,
    /// How many channels.
    pub count: u32,
    /// 0 to 1.
    pub confidence: f32,
    /// A sentence with the figures.
    pub evidence: String,
}

/// What a class sees of one tensor.
pub struct Sample<'a> {
    /// Where the values come from.
    pub checkpoint: Checkpoint,
    /// The values; of attention scores and probabilities only those of visible positions.
    pub tensor: &'a Tensor,
    /// Counts over the values.
    pub profile: Profile,
    /// Values whose text was a finite number beyond the range of f32.
    pub beyond_range: u32,
}

impl<'a> Sample<'a> {
    /// Looks at every value once.
    pub fn new(checkpoint: Checkpoint, tensor: &'a Tensor) -> Self {
        Self { checkpoint, tensor, profile: Profile::of(&tensor.values), beyond_range: 0 }
    }

    fn values(&self) -> &[f32] {
        &self.tensor.values
    }

    /// A finding over the channels that `hit` picks; `None` if it picks none.
    fn finding(
        &self,
        class: &dyn Class,
        hit: impl Fn(f32) -> bool,
        evidence: impl FnOnce(u32, u32) -> (f32, String),
    ) -> Option<Finding> {
        let first = self.values().iter().position(|&x| hit(x))? as u32;
        let count = self.values().iter().filter(|&&x| hit(x)).count() as u32;
        let (confidence, evidence) = evidence(first, count);
        Some(Finding {
            class: class.id(),
            glyph: class.glyph(),
            blame: class.blame(),
            checkpoint: self.checkpoint,
            first_channel: first,
            count,
            confidence,
            evidence,
        })
    }

    /// A finding over the whole row.
    fn whole(&self, class: &dyn Class, confidence: f32, evidence: String) -> Finding {
        Finding {
            class: class.id(),
            glyph: class.glyph(),
            blame: class.blame(),
            checkpoint: self.checkpoint,
            first_channel: 0,
            count: self.values().len() as u32,
            confidence,
            evidence,
        }
    }
}

/// One class of garbage.
pub trait Class: Sync {
    /// Stable id.
    fn id(&self) -> &'static str;
    /// A single letter or sign for flags.
    fn glyph(&self) -> char;
    /// Who is at fault.
    fn blame(&self) -> Blame;
    /// What it is, how it comes about and what to do: a paragraph.
    fn explain(&self) -> &'static str;
    /// The finding, if the sample shows it.
    fn check(&self, sample: &Sample<'_>) -> Option<Finding>;
    /// What many rows of one checkpoint show together, if they do.
    fn across(&self, _: &Rows) -> Option<Across> {
        None
    }
    /// Whether [`Class::across`] means anything there.
    fn concerns(&self, checkpoint: Checkpoint) -> bool {
        checkpoint.site() != Site::KqSoftMax
    }
}

/// What rows of one checkpoint show together.
#[derive(Clone, Debug, PartialEq)]
pub struct Across {
    /// The class's id.
    pub class: &'static str,
    /// Rows that show it.
    pub rows: u32,
    /// Rows seen.
    pub of: u32,
    /// How many of them show it by themselves, with a finding of their own.
    pub by_themselves: u32,
    /// How many of them some class calls garbage by themselves.
    pub marked: u32,
    /// How many of those only for what was blamed on the engine.
    pub blamed_on_engine: u32,
    /// Classes that this explains, with the rows that had them.
    pub excused: Vec<(&'static str, u32)>,
    /// Positions of the first of those that do not show it by themselves.
    pub positions: Vec<u32>,
    /// Who is at fault.
    pub blame: Blame,
    /// 0 to 1.
    pub confidence: f32,
    /// Channels concerned of each row, from 0; 0 means the whole row.
    pub channels: u32,
    /// A sentence with the figures.
    pub evidence: String,
}

impl Across {
    /// The same as a finding of one row, at `checkpoint`.
    pub fn finding(&self, checkpoint: Checkpoint) -> Finding {
        let class = class(self.class);
        Finding {
            class: self.class,
            glyph: class.map_or('?', Class::glyph),
            blame: self.blame,
            checkpoint,
            first_channel: 0,
            count: self.channels,
            confidence: self.confidence,
            evidence: self.evidence.clone(),
        }
    }
}

/// The class called `id`.
pub fn class(id: &str) -> Option<&'static dyn Class> {
    CLASSES.iter().copied().find(|class| class.id() == id)
}

/// Every class, in the order in which they are tried.
pub static CLASSES: &[&dyn Class] = &[
    &heap::HeapPointer,
    &fill::FillPattern,
    &ascii::TextBytes,
    &stale::Stale,
    &denormal::DenormalRun,
    &nan::NotANumber,
    &clamped::ClampedInfinity,
    &nan_as_zero::NanAsZero,
    &inf::Infinite,
    &saturated::F16Saturated,
    &huge::Huge,
    &zero::AllZero,
    &constant::ConstantRow,
    &padding::PaddedVocabulary,
    &truncated::Truncated,
];

/// All findings for one sample.
pub fn inspect(sample: &Sample<'_>) -> Vec<Finding> {
    let mut found: Vec<Finding> = CLASSES.iter().filter_map(|class| class.check(sample)).collect();
    if found.len() > 1 {
        // What memory holds that is not the engine's says nothing about the engine.
        let foreign = |f: &Finding| matches!(f.class, heap::ID | fill::ID | ascii::ID) && f.confidence >= 0.9;
        let taken: Vec<std::ops::Range<u32>> = found
            .iter()
            .filter(|f| foreign(f))
            // An allocator writes sizes behind its links, too.
            .map(|f| {
                if f.class == heap::ID {
                    0..(f.first_channel + f.count).max(10)
                } else {
                    f.first_channel..f.first_channel + f.count
                }
            })
            .collect();
        let inside =
            |f: &Finding| taken.iter().any(|t| t.contains(&f.first_channel) && (f.count <= t.len() as u32));
        found.retain(|f| {
            foreign(f)
                || f.blame == Blame::Nobody
                || f.class == truncated::ID
                || f.class == "stale"
                || !inside(f)
        });
    }
    found
}

/// What all rows of `checkpoint` show together.
pub fn across(checkpoint: Checkpoint, rows: &Rows) -> Vec<Across> {
    CLASSES.iter().filter(|class| class.concerns(checkpoint)).filter_map(|class| class.across(rows)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Noise;

    pub(super) fn tensor(values: Vec<f32>) -> Tensor {
        Tensor { shape: vec![values.len() as u32], values, exact: true }
    }

    pub(super) fn classes(checkpoint: &str, tensor: &Tensor) -> Vec<&'static str> {
        let checkpoint = checkpoint.parse().expect("a checkpoint");
        inspect(&Sample::new(checkpoint, tensor)).iter().map(|f| f.class).collect()
    }

    #[test]
    fn ids_and_glyphs_are_unique_and_explained() {
        for (i, a) in CLASSES.iter().enumerate() {
            assert!(a.explain().len() > 80, "{}", a.id());
            for b in &CLASSES[..i] {
                assert!(a.id() != b.id() && a.glyph() != b.glyph(), "{} {}", a.id(), b.id());
            }
        }
    }

    /// Rows as honest engines make them: none may be called garbage.
    fn honest_row(noise: &mut Noise, kind: usize) -> Vec<f32> {
        let n = [10, 64, 257, 2000][noise.below(4)];
        let mut row = noise.row(n);
        match kind {
            0 => {}
            // Logits of a trained model: shifted and wide.
            1 => row.iter_mut().for_each(|x| *x = *x * 3.0 - 4.0),
            // After a rectifier, or a mixture of experts: half exact zeros.
            2 => row.iter_mut().for_each(|x| *x = x.max(0.0)),
            // Massive activations in a few channels.
            3 => row[n / 3] = 9_000.0,
            // Heavy tails.
            4 => row.iter_mut().for_each(|x| *x = x.powi(5) * 40.0),
            // Rounded to f16 and to bf16.
            5 => row.iter_mut().for_each(|x| *x = half::f16::from_f32(*x).to_f32()),
            6 => row.iter_mut().for_each(|x| *x = half::bf16::from_f32(*x).to_f32()),
            // Tiny, as embeddings before the first norm.
            7 => row.iter_mut().for_each(|x| *x *= 1e-6),
            // A few values only: quantised embeddings.
            8 => row.iter_mut().for_each(|x| *x = (*x * 4.0).round() * 0.013),
            // Negative everywhere: log-probabilities.
            _ => row.iter_mut().for_each(|x| *x = -x.abs() * 8.0),
        }
        row
    }

    #[test]
    fn ten_thousand_honest_rows_raise_nothing() {
        let mut noise = Noise::new(11);
        for i in 0..10_000 {
            let mut t = tensor(honest_row(&mut noise, i % 10));
            if i % 3 == 0 && i % 10 != 7 {
                // As a logger prints them, six decimals.
                t.exact = false;
                for x in &mut t.values {
                    *x = format!("{x:.6}").parse().expect("a number");
                }
            }
            for name in ["l_out-3", "ffn_swiglu-0", "result_output"] {
                // No engine rectifies its logits; a row that ends in zeros would be padding.
                if name == "result_output" && i % 10 == 2 {
                    continue;
                }
                assert_eq!(classes(name, &t), [""; 0], "row {i}: {:?}", &t.values[..10]);
            }
        }
    }

    #[test]
    fn ten_thousand_honest_probability_rows_raise_nothing() {
        let mut noise = Noise::new(12);
        for _ in 0..10_000 {
            let n = 1 + noise.below(40);
            // Scores so far apart that small probabilities underflow to denormals and to zero.
            let scores: Vec<f32> = (0..n).map(|_| noise.normal() * 30.0).collect();
            let max = scores.iter().copied().fold(f32::MIN, f32::max);
            let mut p: Vec<f32> = scores.iter().map(|s| (s - max).exp()).collect();
            let sum: f32 = p.iter().sum();
            for x in &mut p {
                *x /= sum;
            }
            assert_eq!(classes("kq_soft_max-0", &tensor(p)), [""; 0]);
        }
    }

    #[test]
    fn every_site_takes_an_empty_row() {
        for info in crate::model::checkpoint::SITES {
            let sample = Tensor { shape: vec![0], values: Vec::new(), exact: true };
            assert!(inspect(&Sample::new(Checkpoint::layer(info.site, 0), &sample)).is_empty());
        }
    }
}
