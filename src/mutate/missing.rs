//! A tensor is left out of the file.

use super::{Edit, MutateError, Mutation, Settings};

/// See the module.
pub struct Missing;

impl Mutation for Missing {
    fn id(&self) -> &'static str {
        "missing"
    }
    fn title(&self) -> &'static str {
        "a tensor is left out of the file"
    }
    fn settings(&self) -> &'static [(&'static str, &'static str, Option<&'static str>)] {
        &[("tensor", "its name", None)]
    }
    fn apply(&self, edit: &mut Edit<'_>, given: &Settings) -> Result<(), MutateError> {
        Ok(edit.remove(given.text("tensor")?)?)
    }
}
