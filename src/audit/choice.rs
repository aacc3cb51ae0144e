//! Which arithmetic a stretch is evaluated in: one rule for the node that is judged, or, where several
//! operations lie inside, a whole engine's habits.

use std::collections::BTreeMap;

use super::arithmetic::{Circumstance, EXACT, RULES, Rule, candidates};
use super::kind::{Columns, Kind};
use super::machine::Machine;
use super::stretch::{Reach, Stretch};
use crate::model::{NodeId, Op};
use crate::trace::{Header, Settings};

/// The habits of an engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum House {
    /// What directly audited nodes of the same run showed, else what the header leads one to expect.
    AsRecorded,
    /// Nothing is rounded.
    Exact,
    /// llama.cpp on the CPU, with an f16 cache.
    LlamaCpu,
    /// All products with f16 operands.
    Half,
    /// All products with bf16 operands.
    Bfloat,
    /// llama.cpp on CUDA, with an f16 cache.
    LlamaCuda,
}

impl House {
    /// Every set of habits, in the order in which they are tried.
    pub const ALL: [Self; 6] =
        [Self::AsRecorded, Self::Exact, Self::LlamaCpu, Self::Half, Self::Bfloat, Self::LlamaCuda];

    fn title(self) -> &'static str {
        match self {
            Self::AsRecorded => "as the nodes recorded in full",
            Self::Exact => EXACT.title(),
            Self::LlamaCpu => "as llama.cpp on the CPU",
            Self::Half => "f16 operands",
            Self::Bfloat => "bf16 operands",
            Self::LlamaCuda => "as llama.cpp on CUDA",
        }
    }
}

/// Arithmetic for one stretch.
#[derive(Clone, Copy)]
pub enum Choice {
    /// For the node that is judged; attention as a whole takes it for scores and mix.
    Rule(&'static dyn Rule),
    /// For every node inside.
    House(House),
}

impl Choice {
    /// A few words.
    pub fn title(self) -> &'static str {
        match self {
            Self::Rule(rule) => rule.title(),
            Self::House(house) => house.title(),
        }
    }

    /// The rule, where there is one.
    pub fn rule(self) -> Option<&'static dyn Rule> {
        match self {
            Self::Rule(rule) => Some(rule),
            Self::House(_) => None,
        }
    }

    /// Whether both are the same.
    pub fn is(self, other: Self) -> bool {
        match (self, other) {
            (Self::Rule(a), Self::Rule(b)) => a.id() == b.id(),
            (Self::House(a), Self::House(b)) => a == b,
            _ => false,
        }
    }
}

/// What is known of a run's arithmetic so far.
#[derive(Default)]
pub struct Habits {
    /// The rule found for each kind of directly audited node.
    pub found: BTreeMap<Kind, &'static dyn Rule>,
}

impl Habits {
    /// The rule for node `id` in a stretch under `choice`.
    pub fn rule(
        &self,
        machine: &Machine<'_>,
        stretch: &Stretch,
        choice: Choice,
        columns: Option<u32>,
        id: NodeId,
    ) -> &'static dyn Rule {
        let node = machine.graph().node(id);
        let header = machine.traced().store().header();
        let fused = matches!(node.op, Op::Scores(_) | Op::Mix(_)) && stretch.reach != Reach::Direct;
        let weights = machine.weight_type(id);
        let at = Circumstance { weights, columns, header, fused };
        let house = match choice {
            Choice::Rule(rule) if id == stretch.output() => return rule,
            Choice::Rule(rule) if stretch.reach == Reach::Whole && rule.applies(node, &at) => {
                return if matches!(node.op, Op::SoftMax(_)) { &EXACT } else { rule };
            }
            Choice::Rule(_) => House::AsRecorded,
            Choice::House(house) => house,
        };
        let named = |id: &str| RULES.iter().copied().find(|r| r.id() == id && r.applies(node, &at));
        let as_header = |backend: &str| {
            let settings = Settings {
                arithmetic: Some("llama.cpp".into()),
                kv: Some("f16".into()),
                ..Settings::default()
            };
            let header = Header { backend: backend.into(), settings, ..Header::default() };
            let at = Circumstance { header: Some(&header), ..at };
            candidates(node, &at).into_iter().find(|r| r.is_expected(node, &at))
        };
        let rule = match house {
            House::AsRecorded => {
                let kind = Kind::of(node, weights, columns, Reach::Direct);
                let close = || {
                    self.found.iter().find(|(k, _)| {
                        Kind { columns: Columns::Unknown, ..**k }
                            == Kind { columns: Columns::Unknown, ..kind }
                    })
                };
                self.found
                    .get(&kind)
                    .copied()
                    .or_else(|| close().map(|(_, rule)| *rule))
                    .or_else(|| candidates(node, &at).into_iter().next())
            }
            House::Exact => None,
            House::LlamaCpu => as_header("CPU"),
            House::LlamaCuda => as_header("CUDA"),
            House::Half => named("f16"),
            House::Bfloat => named("bf16"),
        };
        rule.unwrap_or(&EXACT)
    }
}
