//! Every layer's records are layer 0's.

use super::Fault;
use super::recorder::{Mislog, Shown};
use crate::engine::{EngineError, Tap};
use crate::model::Site;
use std::collections::HashMap;

/// See the module.
pub struct StaleDump;

impl Fault for StaleDump {
    fn id(&self) -> &'static str {
        "stale-dump"
    }
    fn catalogue(&self) -> u8 {
        27
    }
    fn title(&self) -> &'static str {
        "every layer's records are layer 0's"
    }
    fn explain(&self) -> &'static str {
        "A dump that was captured into a graph copies from one address for all layers: the same bits \
         again and again, and right logits (imp#1277)."
    }
    fn mislog(&self) -> Option<Box<dyn Mislog>> {
        Some(Box::<Log>::default())
    }
}

#[derive(Default)]
struct Log {
    first: HashMap<Site, Vec<f32>>,
}

impl Mislog for Log {
    fn tensor(&mut self, shown: Shown<'_>, tap: &mut dyn Tap) -> Result<(), EngineError> {
        let site = shown.checkpoint.site();
        match shown.checkpoint.layer_index() {
            Some(0) => {
                self.first.insert(site, shown.values.to_vec());
                shown.pass(shown.values, tap)
            }
            Some(_) => match self.first.get(&site) {
                Some(first) if first.len() == shown.values.len() => shown.pass(first, tap),
                _ => shown.pass(shown.values, tap),
            },
            None => shown.pass(shown.values, tap),
        }
    }
}
