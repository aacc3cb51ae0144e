//! Each value of a tensor is changed a little at random.

use super::{Edit, MutateError, Mutation, Settings};
use crate::model::view::{ValueChange, View};

/// See the module.
pub struct Noise;

impl Mutation for Noise {
    fn id(&self) -> &'static str {
        "noise"
    }
    fn title(&self) -> &'static str {
        "each value of a tensor is changed a little at random"
    }
    fn settings(&self) -> &'static [(&'static str, &'static str, Option<&'static str>)] {
        &[
            ("tensor", "its name", None),
            ("share", "largest relative change", Some("0.01")),
            ("seed", "start of the random numbers", Some("1")),
        ]
    }
    fn apply(&self, edit: &mut Edit<'_>, given: &Settings) -> Result<(), MutateError> {
        let noise = ValueChange::Noise { share: given.number("share")?, seed: given.number("seed")? };
        Ok(edit.view(given.text("tensor")?, View::Values(noise))?)
    }
}
