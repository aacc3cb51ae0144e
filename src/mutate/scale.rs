//! A tensor is multiplied by a factor.

use super::{Edit, MutateError, Mutation, Settings};
use crate::model::view::{ValueChange, View};

/// See the module.
pub struct Scale;

impl Mutation for Scale {
    fn id(&self) -> &'static str {
        "scale"
    }
    fn title(&self) -> &'static str {
        "a tensor is multiplied by a factor"
    }
    fn settings(&self) -> &'static [(&'static str, &'static str, Option<&'static str>)] {
        &[("tensor", "its name", None), ("by", "the factor", Some("1.05"))]
    }
    fn apply(&self, edit: &mut Edit<'_>, given: &Settings) -> Result<(), MutateError> {
        let factor = View::Values(ValueChange::Scaled(given.number("by")?));
        Ok(edit.view(given.text("tensor")?, factor)?)
    }
}
