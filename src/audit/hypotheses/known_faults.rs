//! The mistakes that our own engine can be told to make: the same rewrite explains a node and
//! breaks one.

use super::{Case, Hypothesis, Trial};
use crate::audit::machine::Change;
use crate::fault::FAULTS;

/// See the module.
pub struct KnownFaults;

impl Hypothesis for KnownFaults {
    fn id(&self) -> &'static str {
        "known-fault"
    }
    fn trials(&self, case: &Case<'_, '_>) -> Vec<Trial> {
        let made = |fault: &&&'static dyn crate::fault::Fault| {
            let mut node = case.node.clone();
            fault
                .apply(&mut node)
                .then(|| Trial { says: fault.title().to_owned(), change: Change::to(case.target, node) })
        };
        FAULTS.iter().filter_map(|fault| made(&fault)).collect()
    }
}

/// The id of the fault with this title.
pub fn id(title: &str) -> Option<String> {
    FAULTS.iter().find(|f| f.title() == title).map(|f| f.id().to_owned())
}
