//! What is tried: every fault in every model that has a place for it, and pairs that are clean.

use super::places::places;
use super::{Options, ScoreError, Subject};
use crate::engine::open::Kind;
use crate::fault::{FAULTS, Injection};

/// How a candidate comes to be.
#[derive(Clone, Debug)]
pub enum Candidate {
    /// Our engine with a fault.
    Faulty(Injection),
    /// Our engine as it is, with keys and values in f16 or not, over the reference's tokens or, with a
    /// seed, over others (then against the oracle).
    Clean {
        /// f32 or f64.
        kind: Kind,
        /// Cache in f16.
        kv_f16: bool,
        /// Start of the random tokens.
        seed: Option<u32>,
    },
    /// The reference itself, against our engine.
    Reference,
    /// The real llama.cpp (see [`super::llama`]).
    #[cfg(feature = "llama-cpp")]
    Llama(super::llama::Setting),
}

/// One candidate of one subject.
pub struct Trial<'a> {
    /// The model.
    pub subject: &'a Subject,
    /// The candidate.
    pub candidate: Candidate,
}

/// Other token sequences tried with clean engines, a model: quick and in full.
const SEEDS: [u32; 2] = [1, 8];

/// Everything that is tried with `subjects`.
pub fn trials<'a>(subjects: &'a [Subject], options: &Options) -> Result<Vec<Trial<'a>>, ScoreError> {
    let mut trials = Vec::new();
    let wanted = |s: &&Subject| options.models.as_ref().is_none_or(|r| r.is_match(&s.name));
    for (turn, subject) in subjects.iter().filter(wanted).enumerate() {
        let mut add = |candidate| trials.push(Trial { subject, candidate });
        if options.faults.is_none() {
            for (kind, kv_f16) in [(Kind::Cpu, false), (Kind::Cpu, true), (Kind::Oracle, false)] {
                add(Candidate::Clean { kind, kv_f16, seed: None });
                for seed in 1..=SEEDS[usize::from(!options.quick)] {
                    add(Candidate::Clean { kind, kv_f16, seed: Some(seed) });
                }
            }
            add(Candidate::Reference);
        }
        for (number, fault) in FAULTS.iter().enumerate() {
            if options.faults.as_ref().is_none_or(|r| r.is_match(fault.id())) {
                let turn = options.quick.then_some(turn + number);
                for injection in places(*fault, &subject.graph, turn)? {
                    add(Candidate::Faulty(injection));
                }
            }
        }
        #[cfg(feature = "llama-cpp")]
        for setting in super::llama::settings(subject, options, turn)? {
            add(Candidate::Llama(setting));
        }
    }
    Ok(trials)
}
