//! Logits are recorded after their buffer was freed.

use super::Fault;
use super::recorder::{Mislog, Shown};
use crate::engine::{EngineError, Tap};
use crate::model::Checkpoint;

/// See the module.
pub struct FreedMemory;

impl Fault for FreedMemory {
    fn id(&self) -> &'static str {
        "freed-memory"
    }
    fn catalogue(&self) -> u8 {
        28
    }
    fn title(&self) -> &'static str {
        "logits are recorded after their buffer was freed"
    }
    fn explain(&self) -> &'static str {
        "The allocator has written its list's links over the first 16 bytes: channels 0 and 2 are the \
         low halves of pointers, 1 and 3 the high ones. The engine is right."
    }
    fn mislog(&self) -> Option<Box<dyn Mislog>> {
        Some(Box::<Log>::default())
    }
}

#[derive(Default)]
struct Log;

impl Mislog for Log {
    fn tensor(&mut self, shown: Shown<'_>, tap: &mut dyn Tap) -> Result<(), EngineError> {
        // Two links into one heap region, as glibc leaves them in a freed block.
        const HEAP: u64 = 0x0000_5581_3c2a_0000;
        if shown.checkpoint != Checkpoint::LOGITS {
            return shown.pass(shown.values, tap);
        }
        let mut values = shown.values.to_vec();
        let links = [
            HEAP + 0x1_0480 * shown.position as u64 + 0x2f0,
            HEAP + 0x1_0480 * shown.position as u64 + 0x9a10,
        ];
        let words = links.into_iter().flat_map(|link| [link as u32, (link >> 32) as u32]);
        for (value, word) in values.iter_mut().zip(words) {
            *value = f32::from_bits(word);
        }
        shown.pass(&values, tap)
    }
}
