//! Faults: real mistakes of real engines, injected on purpose by rewriting the graph that our
//! engine executes. One fault a file, one line in [`FAULTS`] that registers it.

mod attention_scale;
mod ffn_activation;
mod final_norm_weight;
mod kv_off_by_one;
mod norm_epsilon;
mod rope_base;
mod rope_pairing;

use std::fmt;
use std::str::FromStr;

use crate::model::{Checkpoint, Graph, Node};

/// A mistake that can be injected.
pub trait Fault: Sync {
    /// Stable id, as `--fault` takes it.
    fn id(&self) -> &'static str;
    /// One line: what is done wrong.
    fn title(&self) -> &'static str;
    /// Where it was seen and what it looks like.
    fn explain(&self) -> &'static str;
    /// Makes the mistake in `node` if it can be made there.
    fn apply(&self, node: &mut Node) -> bool;
}

/// Every fault.
pub static FAULTS: &[&dyn Fault] = &[
    &rope_pairing::RopePairing,
    &rope_base::RopeBase,
    &norm_epsilon::NormEpsilon,
    &final_norm_weight::FinalNormWeight,
    &kv_off_by_one::KvOffByOne,
    &attention_scale::AttentionScale,
    &ffn_activation::FfnActivation,
];

/// A fault and where to make it: `ID` or `ID@LAYER`.
#[derive(Clone, Copy)]
pub struct Injection {
    fault: &'static dyn Fault,
    layer: Option<usize>,
}

/// An argument of `--fault` that names no fault, or a place where it cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FaultError {
    /// No such id.
    #[error("no fault is called `{id}`; known are: {known}")]
    Unknown {
        /// What was asked for.
        id: String,
        /// The ids there are.
        known: String,
    },
    /// The part behind `@` is no layer.
    #[error("`{0}`: expected ID or ID@LAYER, LAYER a number from 0")]
    Layer(String),
    /// The model has no operation in which this mistake can be made.
    #[error("fault `{fault}` cannot be made in this model: it has no such operation{at}")]
    Nowhere {
        /// The fault.
        fault: String,
        /// ` in layer N`, or nothing.
        at: String,
    },
}

impl Injection {
    /// The fault.
    pub fn fault(&self) -> &'static dyn Fault {
        self.fault
    }

    /// Rewrites `graph`. Fails where the mistake can be made nowhere.
    pub fn apply(&self, graph: &mut Graph) -> Result<(), FaultError> {
        let mut made = false;
        for node in &mut graph.nodes {
            let layer = node.checkpoint.and_then(Checkpoint::layer_index);
            if self.layer.is_none_or(|wanted| layer == Some(wanted)) {
                made |= self.fault.apply(node);
            }
        }
        if made {
            return Ok(());
        }
        let at = self.layer.map(|l| format!(" in layer {l}")).unwrap_or_default();
        Err(FaultError::Nowhere { fault: self.fault.id().into(), at })
    }
}

impl FromStr for Injection {
    type Err = FaultError;

    fn from_str(text: &str) -> Result<Self, FaultError> {
        let (id, layer) = match text.split_once('@') {
            Some((id, layer)) => (id, Some(layer.parse().map_err(|_| FaultError::Layer(text.into()))?)),
            None => (text, None),
        };
        let fault = FAULTS.iter().find(|f| f.id() == id).ok_or_else(|| FaultError::Unknown {
            id: id.into(),
            known: FAULTS.iter().map(|f| f.id()).collect::<Vec<_>>().join(", "),
        })?;
        Ok(Self { fault: *fault, layer })
    }
}

impl fmt::Display for Injection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.layer {
            Some(layer) => write!(f, "{}@{layer}", self.fault.id()),
            None => f.write_str(self.fault.id()),
        }
    }
}

impl fmt::Debug for Injection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Injection({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_unique_and_read_back() {
        for (i, fault) in FAULTS.iter().enumerate() {
            assert!(FAULTS[..i].iter().all(|f| f.id() != fault.id()), "{} twice", fault.id());
            let text = format!("{}@3", fault.id());
            assert_eq!(text.parse::<Injection>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn unknown_faults_and_layers_are_refused() {
        let error = "rope".parse::<Injection>().unwrap_err();
        assert!(error.to_string().contains("rope-pairing"), "{error}");
        assert_eq!(
            "rope-pairing@x".parse::<Injection>().unwrap_err(),
            FaultError::Layer("rope-pairing@x".into())
        );
    }
}
