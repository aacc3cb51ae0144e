//! One value of a tensor is changed.

use super::{Edit, MutateError, Mutation, Settings};
use crate::model::view::{ValueChange, View};

/// See the module.
pub struct Element;

impl Mutation for Element {
    fn id(&self) -> &'static str {
        "element"
    }
    fn title(&self) -> &'static str {
        "one value of a tensor is changed"
    }
    fn settings(&self) -> &'static [(&'static str, &'static str, Option<&'static str>)] {
        &[
            ("tensor", "its name", None),
            ("row", "row", Some("0")),
            ("channel", "index in the row", Some("0")),
            ("by", "what is added", Some("1")),
        ]
    }
    fn apply(&self, edit: &mut Edit<'_>, given: &Settings) -> Result<(), MutateError> {
        let name = given.text("tensor")?;
        let (row, channel, by) = (given.number("row")?, given.number("channel")?, given.number("by")?);
        let info = edit.tensor(name)?;
        if row >= info.rows().max(1) || channel >= info.row_len() {
            return Err(given.error(format!(
                "{name} has {} rows of {} values",
                info.rows().max(1),
                info.row_len()
            )));
        }
        Ok(edit.view(name, View::Values(ValueChange::Element { row, channel, by }))?)
    }
}
