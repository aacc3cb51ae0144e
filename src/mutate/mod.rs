//! Model files with a mistake in them, for engines that are not ours: whoever runs the changed file
//! computes what an engine with that mistake would have computed from the right one.
//!
//! A change is either one of the [faults](crate::fault) that a file can express (translated from what
//! the fault does to the graph) or one of the [`MUTATIONS`] here. One mutation a file, one line that
//! registers it.

mod bf16;
pub mod convert;
mod edit;
mod element;
pub mod encode;
mod missing;
mod noise;
mod rows;
mod scale;
mod set;
mod swap;
mod translate;
mod zero;

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

pub use self::edit::Edit;
use crate::fault::{FAULTS, FaultError, Injection};
use crate::gguf::GgufError;
use crate::model::hparams::ModelError;

/// Why a file could not be changed.
#[derive(Debug, thiserror::Error)]
pub enum MutateError {
    /// No such change.
    #[error("no change is called `{id}`; `paritty mutate --list` names them")]
    Unknown {
        /// What was asked for.
        id: String,
    },
    /// A setting that is missing, unknown or no number.
    #[error("{id}: {problem}")]
    Setting {
        /// The change.
        id: String,
        /// What is wrong and what was expected.
        problem: String,
    },
    /// The fault is one that no file can express, or not this one.
    #[error("fault `{fault}` cannot be made in this file: {why}")]
    NotInFile {
        /// The fault.
        fault: String,
        /// Why not.
        why: String,
    },
    /// The fault has no place in this model.
    #[error(transparent)]
    Fault(#[from] FaultError),
    /// The model has no graph.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// Reading or writing a file.
    #[error(transparent)]
    File(#[from] GgufError),
}

/// A change to a model file that is no fault of the catalogue.
pub trait Mutation: Sync {
    /// Stable id, as `--change` takes it.
    fn id(&self) -> &'static str;
    /// One line: what is done.
    fn title(&self) -> &'static str;
    /// What it takes: name, meaning, value if none is given.
    fn settings(&self) -> &'static [(&'static str, &'static str, Option<&'static str>)];
    /// Makes the change.
    fn apply(&self, edit: &mut Edit<'_>, given: &Settings) -> Result<(), MutateError>;
}

/// Every mutation.
pub static MUTATIONS: &[&dyn Mutation] = &[
    &scale::Scale,
    &noise::Noise,
    &element::Element,
    &rows::Rows,
    &bf16::Bf16,
    &zero::Zero,
    &missing::Missing,
    &swap::Swap,
    &set::Set,
];

/// A change with what it was told: `ID`, `ID@LAYER` or `ID:name=value,name=value`.
#[derive(Clone, Debug)]
pub enum Change {
    /// A fault, made in the file.
    Fault(Injection),
    /// A mutation.
    Mutation(Settings),
}

/// What a mutation was told.
#[derive(Clone)]
pub struct Settings {
    mutation: &'static dyn Mutation,
    given: BTreeMap<String, String>,
}

impl Settings {
    /// The value of a setting, or its default.
    pub fn text(&self, name: &str) -> Result<&str, MutateError> {
        let default = self.mutation.settings().iter().find(|s| s.0 == name).and_then(|s| s.2);
        self.given
            .get(name)
            .map(String::as_str)
            .or(default)
            .ok_or_else(|| self.error(format!("give {name}=…")))
    }

    /// The value of a setting as a number.
    pub fn number<T: FromStr>(&self, name: &str) -> Result<T, MutateError> {
        let text = self.text(name)?;
        text.parse().map_err(|_| self.error(format!("{name}={text}: expected a number")))
    }

    /// Everything that was given, for a mutation that takes names of its own.
    pub fn all(&self) -> impl Iterator<Item = (&str, &str)> {
        self.given.iter().map(|(k, v)| (k.as_str(), v.as_str()))
    }

    /// An error about them.
    pub fn error(&self, problem: impl Into<String>) -> MutateError {
        MutateError::Setting { id: self.mutation.id().to_owned(), problem: problem.into() }
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Settings({} {:?})", self.mutation.id(), self.given)
    }
}

impl Change {
    /// Makes it.
    pub fn apply(&self, edit: &mut Edit<'_>) -> Result<(), MutateError> {
        match self {
            Self::Fault(fault) => translate::translate(edit, *fault),
            Self::Mutation(settings) => settings.mutation.apply(edit, settings),
        }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fault(fault) => fault.fmt(f),
            Self::Mutation(settings) => {
                f.write_str(settings.mutation.id())?;
                for (i, (name, value)) in settings.all().enumerate() {
                    write!(f, "{}{name}={value}", if i == 0 { ':' } else { ',' })?;
                }
                Ok(())
            }
        }
    }
}

impl FromStr for Change {
    type Err = MutateError;

    fn from_str(text: &str) -> Result<Self, MutateError> {
        let (id, settings) = text.split_once(':').unwrap_or((text, ""));
        let Some(mutation) = MUTATIONS.iter().find(|m| m.id() == id) else {
            let is_fault = FAULTS.iter().any(|f| f.id() == text.split('@').next().unwrap_or_default());
            return if is_fault {
                Ok(Self::Fault(text.parse()?))
            } else {
                Err(MutateError::Unknown { id: crate::text::safe_short(id, 40) })
            };
        };
        let mut all = Settings { mutation: *mutation, given: BTreeMap::new() };
        for setting in settings.split(',').filter(|s| !s.is_empty()) {
            let (name, value) = setting
                .split_once('=')
                .ok_or_else(|| all.error(format!("`{setting}`: expected name=value")))?;
            let known = mutation.settings();
            if !known.is_empty() && known.iter().all(|s| s.0 != name) {
                let names: Vec<_> = known.iter().map(|s| s.0).collect();
                return Err(all.error(format!("`{name}`: expected one of {}", names.join(", "))));
            }
            all.given.insert(name.to_owned(), value.to_owned());
        }
        Ok(Self::Mutation(all))
    }
}
