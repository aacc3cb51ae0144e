//! Blocks of one weight type are unpacked wrongly.

use super::Fault;
use crate::gguf::WeightType;
use crate::model::{Graph, Node, Op, View, misread};

/// See the module.
pub struct Dequantisation(pub WeightType);

impl Fault for Dequantisation {
    fn id(&self) -> &'static str {
        match self.0 {
            WeightType::Q4K => "dequantise-q4_k",
            WeightType::Q5K => "dequantise-q5_k",
            WeightType::Q6K => "dequantise-q6_k",
            WeightType::Q8_0 => "dequantise-q8_0",
            _ => "dequantise-q4_0",
        }
    }
    fn catalogue(&self) -> u8 {
        13
    }
    fn title(&self) -> &'static str {
        misread::mistake(self.0).unwrap_or("weights are unpacked wrongly")
    }
    fn explain(&self) -> &'static str {
        "One weight type is unpacked wrongly: exactly the products with weights of that type are wrong, at every \
         position (candle#1569 with Q5_K, fak#3186)."
    }
    fn apply(&self, node: &mut Node, _: &Graph) -> bool {
        let made = matches!(node.op, Op::MatMul) && node.weight_type == Some(self.0);
        if made {
            node.departure.views.push(View::Misread(self.0));
        }
        made
    }
}
