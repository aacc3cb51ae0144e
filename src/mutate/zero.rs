//! A tensor is cleared.

use super::{Edit, MutateError, Mutation, Settings};
use crate::model::view::{ValueChange, View};

/// See the module.
pub struct Zero;

impl Mutation for Zero {
    fn id(&self) -> &'static str {
        "zero"
    }
    fn title(&self) -> &'static str {
        "a tensor is cleared"
    }
    fn settings(&self) -> &'static [(&'static str, &'static str, Option<&'static str>)] {
        &[("tensor", "its name", None)]
    }
    fn apply(&self, edit: &mut Edit<'_>, given: &Settings) -> Result<(), MutateError> {
        Ok(edit.view(given.text("tensor")?, View::Values(ValueChange::Scaled(0.0)))?)
    }
}
