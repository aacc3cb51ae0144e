//! Rows of a tensor are cleared or multiplied by a factor.

use super::{Edit, MutateError, Mutation, Settings};
use crate::model::view::{ValueChange, View};

/// See the module.
pub struct Rows;

impl Mutation for Rows {
    fn id(&self) -> &'static str {
        "rows"
    }
    fn title(&self) -> &'static str {
        "rows of a tensor are cleared or multiplied by a factor"
    }
    fn settings(&self) -> &'static [(&'static str, &'static str, Option<&'static str>)] {
        &[
            ("tensor", "its name", None),
            ("first", "first row", Some("0")),
            ("count", "how many", Some("1")),
            ("by", "the factor; 0 clears", Some("0")),
        ]
    }
    fn apply(&self, edit: &mut Edit<'_>, given: &Settings) -> Result<(), MutateError> {
        let name = given.text("tensor")?;
        let (first, count, factor) = (given.number("first")?, given.number("count")?, given.number("by")?);
        let rows = edit.tensor(name)?.rows().max(1);
        if first >= rows {
            return Err(given.error(format!("{name} has {rows} rows")));
        }
        Ok(edit.view(name, View::Values(ValueChange::Rows { first, count, factor }))?)
    }
}
