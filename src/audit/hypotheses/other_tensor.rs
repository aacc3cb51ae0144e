//! Another tensor of the same shape: a neighbour's, another layer's, the tied or untied output matrix.

use super::{Case, Hypothesis, Trial};
use crate::text::safe;

/// See the module.
pub struct OtherTensor;

/// Tensors that are tried.
const MOST: usize = 400;

impl Hypothesis for OtherTensor {
    fn id(&self) -> &'static str {
        "other-tensor"
    }
    fn trials(&self, case: &Case<'_, '_>) -> Vec<Trial> {
        let Some(own) = case.node.weight.as_deref() else { return Vec::new() };
        let Some(info) = case.gguf().tensor(own) else { return Vec::new() };
        let others = case.gguf().tensors().iter().filter(|t| {
            t.name != own && t.shape == info.shape && t.weight_type.format().dequantize.is_some()
        });
        others
            .take(MOST)
            .map(|other| {
                Trial::new(
                    0,
                    format!("it uses {} in place of {}", safe(&other.name), safe(own)),
                    case.with(|node| node.weight = Some(other.name.clone())),
                )
            })
            .collect()
    }
}
