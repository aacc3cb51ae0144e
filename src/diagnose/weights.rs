//! A run with other weights than the file's: the same model, quantised otherwise. A true difference, and
//! nobody's mistake.
//!
//! It shows in every operation that multiplies by a matrix, and in no other. What the weights were rounded
//! to is proven by rounding the file's own likewise: against those, every cell is explained again.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use super::DiagnoseError;
use crate::audit::kind::Family;
use crate::audit::{Audit, FaultyNode, Options, audit};
use crate::engine::describe::main_weight_type;
use crate::figures::{figure, percent};
use crate::gguf::{Gguf, WeightType};
use crate::model::arch;
use crate::mutate::convert::{WRITTEN, convert};
use crate::text::safe_short;
use crate::trace::Store;

/// A mistake is in some products; other weights are in nearly all.
const MOST: f64 = 0.9;
/// And leave nearly all else alone.
const FEW: f64 = 0.02;
/// In so many operations at least: the mistake of one is its own.
const SEVERAL: usize = 3;
/// Larger files are not rounded for a proof: it takes as much room on the disk.
const LARGEST: u64 = 2 << 30;
/// Positions that a proof is tried on.
const SAMPLE: usize = 3;

/// What is said of such a run.
#[derive(Clone, Debug)]
pub struct OtherWeights {
    /// The type that the file's weights were rounded to, where that explains the run.
    pub proven: Option<WeightType>,
    /// The type that the trace's header names.
    pub named: Option<String>,
    /// The type of most of the file's weights.
    pub file: String,
    /// Share of the cells of products that are off.
    pub products: f64,
    /// Whether nothing else is off.
    pub alone: bool,
    /// Median of how far faulty products are off, as a share of a row's norm.
    pub by: f64,
    /// What is found against the rounded weights, where they explain the run: faults beside the rounding.
    pub audit: Option<Audit>,
}

impl OtherWeights {
    /// A sentence with the figures.
    pub fn says(&self) -> String {
        let off = format!(
            "{} of the products' cells are off, by {} of a row's norm in the middle{}",
            percent(self.products),
            figure(self.by),
            if self.alone { ", and nothing else is" } else { "" }
        );
        match (&self.proven, &self.named) {
            (Some(to), _) => format!(
                "the weights that were used are the file's ({}) rounded to {to}: against those every product is \
                 explained; against the file's own {off}",
                self.file
            ),
            (None, Some(named)) => format!(
                "the weights that were used are not the file's: the trace says {named}, the file holds {}; {off}",
                self.file
            ),
            (None, None) => format!(
                "the weights that were used are not the file's ({}), but quantised otherwise, or another model's: {off}",
                self.file
            ),
        }
    }
}

/// How a run looks from here: cells of products and of all else, with how many of each are faulty.
struct Pattern {
    products: (usize, usize),
    others: (usize, usize),
    bridged: (usize, usize),
    /// Whether most faulty products hold a mistake that is known, and is another.
    known: bool,
    /// Faulty operations.
    operations: usize,
    by: f64,
}

impl Pattern {
    fn of(audit: &Audit) -> Self {
        let mut pattern = Self {
            products: (0, 0),
            others: (0, 0),
            bridged: (0, 0),
            known: false,
            operations: audit.faulty.len(),
            by: f64::NAN,
        };
        for kind in &audit.kinds {
            let counts = if kind.kind.bridged {
                &mut pattern.bridged
            } else if matches!(kind.kind.family, Family::Product | Family::Embedding) {
                &mut pattern.products
            } else {
                &mut pattern.others
            };
            counts.0 += kind.cells;
            counts.1 += kind.faulty;
        }
        let products: Vec<_> = audit.faulty.iter().filter(|f| f.weight.is_some()).collect();
        let is_named = |f: &&&FaultyNode| f.diagnoses.first().is_some_and(|d| d.mistake != "weights-differ");
        pattern.known = products.iter().filter(is_named).count() * 2 > products.len();
        let mut off: Vec<f64> = products.iter().map(|f| f.worst.relative).filter(|x| x.is_finite()).collect();
        off.sort_by(f64::total_cmp);
        if let Some(middle) = off.get(off.len() / 2) {
            pattern.by = *middle;
        }
        pattern
    }

    /// Whether all products are wrong, whatever else is: a fault may lie beside other weights.
    fn is_of_products(&self) -> bool {
        share(self.products) >= MOST && !self.known
    }

    /// Whether nothing else is wrong, and they are so many that it stands without a proof.
    fn is_clear(&self) -> bool {
        let alone = self.others.0 > 0 && share(self.others) <= FEW;
        self.is_of_products() && alone && self.operations >= SEVERAL
    }

    /// Whether it may be so, as far as a trace with few checkpoints tells.
    fn is_possible(&self) -> bool {
        self.is_of_products() || (self.bridged.0 > self.others.0 && share(self.bridged) >= MOST)
    }
}

fn share((cells, faulty): (usize, usize)) -> f64 {
    if cells == 0 { 0.0 } else { faulty as f64 / cells as f64 }
}

/// Whether the run in `store`, whose audit against `gguf` is given, was made with other weights. `folder`
/// takes the file that proves it. `progress` is told cells done and of how many.
pub fn other_weights(
    gguf: &Arc<Gguf>,
    store: &Store,
    audited: &Audit,
    options: &Options,
    folder: &Path,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<Option<OtherWeights>, DiagnoseError> {
    let pattern = Pattern::of(audited);
    let file = main_weight_type(gguf).unwrap_or_default();
    let header = store.header().and_then(|h| h.model.weights.clone()).filter(|w| !w.is_empty());
    let named = header.filter(|w| *w != file).map(|w| safe_short(&w, 20));
    if !pattern.is_possible() {
        return Ok(None);
    }
    let mut found = OtherWeights {
        proven: None,
        named,
        file,
        products: share(if pattern.products.0 > 0 { pattern.products } else { pattern.bridged }),
        alone: share(pattern.others) <= FEW,
        by: pattern.by,
        audit: None,
    };
    // To round to a wider type changes nothing.
    let bits = |t: WeightType| t.format().block_bytes * 8 / t.format().block_len;
    let own = WeightType::ALL.into_iter().find(|t| t.format().name == found.file);
    let narrower = |t: &WeightType| own.is_some_and(|own| *t != own && bits(*t) <= bits(own));
    let mut types: Vec<WeightType> = WRITTEN.into_iter().filter(narrower).collect();
    // The one that the trace names first.
    types.sort_by_key(|t| found.named.as_deref() != Some(t.format().name));
    if gguf.file_size() <= LARGEST {
        for to in types {
            let path = folder.join(format!("rounded-{}.gguf", to.format().name));
            let explained = explained(gguf, store, to, &path, options, progress);
            // Nobody needs it any more.
            let _ = std::fs::remove_file(&path);
            if let Some(audit) = explained? {
                found.proven = Some(to);
                found.audit = Some(audit);
                return Ok(Some(found));
            }
        }
    }
    // Unproven, it needs the clear pattern.
    Ok(pattern.is_clear().then_some(found))
}

/// The audit against the weights rounded to `to`, if these explain nearly all products.
fn explained(
    gguf: &Arc<Gguf>,
    store: &Store,
    to: WeightType,
    path: &Path,
    options: &Options,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<Option<Audit>, DiagnoseError> {
    convert(gguf, to, path)?;
    let rounded = Arc::new(Gguf::open(path)?);
    let context = store.header().and_then(|h| h.settings.n_ctx).map(|n| n as usize);
    let graph = arch::graph_for(&rounded, arch::Context(context))?;
    let positions: BTreeSet<u32> = store.positions().take(SAMPLE).collect();
    let sample = Options { positions: Some(positions), ..options.clone() };
    let fits = |audit: &Audit| {
        let pattern = Pattern::of(audit);
        let cells = if pattern.products.0 > 0 { pattern.products } else { pattern.bridged };
        // A fault beside the rounding may be in a product, too, but not in most of them.
        cells.0 > 0 && share(cells) <= 1.0 - MOST
    };
    if !fits(&audit(&rounded, &graph, store, &sample, &mut |_, _| {})?) {
        return Ok(None);
    }
    let all = audit(&rounded, &graph, store, options, progress)?;
    Ok(fits(&all).then_some(all))
}
