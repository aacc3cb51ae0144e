//! Two tensors of one shape and type change places.

use super::{Edit, MutateError, Mutation, Settings};

/// See the module.
pub struct Swap;

impl Mutation for Swap {
    fn id(&self) -> &'static str {
        "swap"
    }
    fn title(&self) -> &'static str {
        "two tensors of one shape and type change places"
    }
    fn settings(&self) -> &'static [(&'static str, &'static str, Option<&'static str>)] {
        &[("a", "one", None), ("b", "the other", None)]
    }
    fn apply(&self, edit: &mut Edit<'_>, given: &Settings) -> Result<(), MutateError> {
        let (a, b) = (given.text("a")?, given.text("b")?);
        edit.take(a, b)?;
        Ok(edit.take(b, a)?)
    }
}
