//! Runs of denormals: integers or addresses read as floats.

use super::{Blame, Class, Finding, Sample};
use crate::model::Site;

pub(super) struct DenormalRun;

/// A run this long does not come from an exponential that underflows here and there.
const RUN: usize = 8;

impl Class for DenormalRun {
    fn id(&self) -> &'static str {
        "denormal-run"
    }

    fn glyph(&self) -> char {
        'd'
    }

    fn blame(&self) -> Blame {
        Blame::Instrument
    }

    fn explain(&self) -> &'static str {
        "Eight or more neighbours that are smaller than the smallest normal f32. Integers below eight \
         million look like this when their bits are read as floats: token ids, sizes, counters. The record \
         was taken from the wrong buffer, at the wrong offset, or with the wrong type. Attention \
         probabilities may underflow honestly and are not looked at."
    }

    fn check(&self, sample: &Sample<'_>) -> Option<Finding> {
        if (sample.profile.denormal as usize) < RUN || sample.checkpoint.site() == Site::KqSoftMax {
            return None;
        }
        let (mut longest, mut start, mut run) = (0, 0, 0);
        for (i, x) in sample.values().iter().enumerate() {
            run = if x.is_subnormal() { run + 1 } else { 0 };
            if run > longest {
                (longest, start) = (run, i + 1 - run);
            }
        }
        if longest < RUN {
            return None;
        }
        // silu of a gate below -87 is a denormal, so the activations may have a few honest ones.
        let activation = matches!(sample.checkpoint.site(), Site::FfnSwiglu | Site::FfnGelu);
        let confidence = if activation { 0.5 } else { 0.95 };
        let as_integer = sample.values()[start].to_bits() & 0x7fff_ffff;
        let mut finding = sample.whole(
            self,
            confidence,
            format!(
                "{longest} denormals in a row from channel {start}; as an integer the first is {as_integer}"
            ),
        );
        (finding.first_channel, finding.count) = (start as u32, longest as u32);
        Some(finding)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{classes, tensor};

    #[test]
    fn token_ids_read_as_floats() {
        let ids: Vec<f32> = (100..140).map(f32::from_bits).collect();
        assert!(classes("result_output", &tensor(ids.clone())).contains(&"denormal-run"));
        assert!(classes("kq_soft_max-2", &tensor(ids)).is_empty());
    }
}
