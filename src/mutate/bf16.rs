//! A tensor is rounded to bf16.

use super::{Edit, MutateError, Mutation, Settings};
use crate::model::view::{ValueChange, View};

/// See the module.
pub struct Bf16;

impl Mutation for Bf16 {
    fn id(&self) -> &'static str {
        "bf16"
    }
    fn title(&self) -> &'static str {
        "a tensor is rounded to bf16"
    }
    fn settings(&self) -> &'static [(&'static str, &'static str, Option<&'static str>)] {
        &[("tensor", "its name", None)]
    }
    fn apply(&self, edit: &mut Edit<'_>, given: &Settings) -> Result<(), MutateError> {
        Ok(edit.view(given.text("tensor")?, View::Values(ValueChange::Bf16))?)
    }
}
