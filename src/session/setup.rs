//! How the candidate is computed, and what changes of that mean.

use std::collections::BTreeSet;

use super::{Change, Config, Source};
use crate::engine::cpu::CpuOptions;
use crate::fault::Injections;
use crate::model::Checkpoint;

/// Everything that defines the candidate's run beside its tokens.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Setup {
    /// Who computes it.
    pub source: Source,
    /// How an engine of ours does.
    pub cpu: CpuOptions,
    /// The mistakes it makes.
    pub faults: Injections,
    /// Cells that take the reference's values.
    pub grafts: BTreeSet<(u32, Checkpoint)>,
}

impl Setup {
    /// As the session is started.
    pub fn new(config: &Config) -> Self {
        Self {
            source: config.candidate.clone(),
            cpu: config.cpu,
            faults: config.faults.clone(),
            grafts: BTreeSet::new(),
        }
    }

    /// Whether an engine of ours computes it.
    pub fn is_ours(&self) -> bool {
        matches!(self.source, Source::Cpu | Source::Oracle | Source::Cuda(_))
    }

    /// This with `change`; a sentence where that means nothing. `start` is what `undo` goes back to.
    pub fn with(&self, change: &Change, start: &Self) -> Result<Self, String> {
        let mut new = self.clone();
        match change {
            Change::Undo => new = start.clone(),
            Change::Source(source) => {
                new.source = source.clone();
                if !new.is_ours() {
                    // What others computed is as it is.
                    (new.faults, new.grafts) = (Injections::default(), BTreeSet::new());
                }
            }
            _ if !self.is_ours() => return Err(self.not_ours(change)),
            Change::Kv16(on) => new.cpu.kv_f16 = *on,
            Change::Threads(n) => new.cpu.threads = *n,
            Change::Faults(faults) => new.faults = faults.clone(),
            Change::Graft { position, checkpoint } => {
                new.grafts.insert((*position, *checkpoint));
            }
        }
        if let Some(fault) = new.faults.of_tokens() {
            return Err(format!("fault `{fault}` changes the prompt, which both sides share"));
        }
        match new == *self {
            true if *change == Change::Undo => Err("nothing is changed that could be undone".into()),
            true => Err(format!("`{change}`: it is so already")),
            false => Ok(new),
        }
    }

    fn not_ours(&self, change: &Change) -> String {
        let who = match &self.source {
            Source::Trace(_) => "a trace",
            Source::LlamaCpp => "llama.cpp",
            _ if matches!(change, Change::Graft { .. }) => "a program (cmd:), whose protocol has no grafts",
            _ => "a program (cmd:), which has its own settings",
        };
        format!("the candidate is {who}; `engine cpu` computes it with ours")
    }

    /// The changes that lead from `start` to this, as they are written.
    pub fn changes(&self, start: &Self) -> Vec<String> {
        let mut changes = Vec::new();
        if self.source != start.source {
            changes.push(Change::Source(self.source.clone()));
        }
        if self.cpu.kv_f16 != start.cpu.kv_f16 {
            changes.push(Change::Kv16(self.cpu.kv_f16));
        }
        if self.cpu.threads != start.cpu.threads {
            changes.push(Change::Threads(self.cpu.threads));
        }
        if self.faults != start.faults {
            changes.push(Change::Faults(self.faults.clone()));
        }
        let grafts = self.grafts.iter();
        changes.extend(grafts.map(|&(position, checkpoint)| Change::Graft { position, checkpoint }));
        changes.iter().map(Change::to_string).collect()
    }

    /// Where this begins to differ from `other`, if the same engine computes both.
    pub fn first_other_graft(&self, other: &Self) -> Option<u32> {
        let same = Self { grafts: BTreeSet::new(), ..self.clone() }
            == Self { grafts: BTreeSet::new(), ..other.clone() };
        let first = self.grafts.symmetric_difference(&other.grafts).next();
        first.filter(|_| same).map(|&(position, _)| position)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start() -> Setup {
        Setup {
            source: Source::Cpu,
            cpu: CpuOptions::default(),
            faults: Injections::default(),
            grafts: BTreeSet::new(),
        }
    }

    fn after(setup: &Setup, change: &str) -> Result<Setup, String> {
        setup.with(&change.parse().unwrap(), &start())
    }

    #[test]
    fn changes_add_up_and_are_undone() {
        let mut setup = start();
        let all = ["engine oracle", "kv f16", "threads 2", "fault norm-epsilon@1", "graft Qcur-1 at 7"];
        for change in all {
            setup = after(&setup, change).unwrap();
        }
        assert_eq!(setup.changes(&start()), all);
        assert!(after(&setup, "kv f16").unwrap_err().contains("so already"));
        let earlier = after(&setup, "graft Kcur-0 at 3").unwrap();
        assert_eq!(earlier.first_other_graft(&setup), Some(3));
        assert_eq!(setup.first_other_graft(&start()), None, "another engine");
        assert_eq!(after(&earlier, "undo"), Ok(start()));
        assert!(after(&start(), "undo").unwrap_err().contains("nothing is changed"));
    }

    #[test]
    fn what_others_computed_is_as_it_is() {
        let setup = after(&start(), "fault norm-epsilon").unwrap();
        let trace = after(&setup, "engine run.jsonl").unwrap();
        assert!(trace.faults.is_empty());
        let error = after(&trace, "graft Qcur-1 at 7").unwrap_err();
        assert_eq!(error, "the candidate is a trace; `engine cpu` computes it with ours");
        let program = after(&trace, "engine cmd:./engine").unwrap();
        assert!(after(&program, "graft Qcur-1 at 7").unwrap_err().contains("protocol has no grafts"));
        assert!(after(&program, "kv f16").unwrap_err().contains("its own settings"));
        assert!(after(&start(), "fault bos-missing").unwrap_err().contains("changes the prompt"));
    }
}
