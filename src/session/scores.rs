//! The attention scores of one layer at one position, or why there are none.

use crate::garbage::visible;
use crate::model::{Checkpoint, Site};
use crate::trace::{Store, Tensor};

/// What attention looked at, on both sides.
#[derive(Clone, Debug, PartialEq)]
pub struct Scores {
    /// The reference's, or why it has none: a plain phrase.
    pub reference: Result<Attention, String>,
    /// The candidate's.
    pub candidate: Result<Attention, String>,
}

/// Scores or probabilities of one layer at one position.
#[derive(Clone, Debug, PartialEq)]
pub struct Attention {
    /// `kq_soft_max-N`, or `kq-N` where that was not recorded.
    pub checkpoint: Checkpoint,
    /// `[positions, heads]`, the positions fastest: the visible ones only, without padding.
    pub tensor: Tensor,
}

/// Reads the scores of the cursor's layer. Both sides show the same site where they have one in common.
pub(super) fn scores(stores: [&Store; 2], position: u32, checkpoint: Checkpoint) -> Scores {
    let Some(layer) = checkpoint.layer_index() else {
        let reason = || Err(format!("{checkpoint} belongs to no layer: choose one"));
        return Scores { reference: reason(), candidate: reason() };
    };
    let sites = [Site::KqSoftMax, Site::Kq].map(|site| Checkpoint::layer(site, layer));
    let has = |store: &Store, site: Checkpoint| store.cell(position, site).is_some();
    let common = sites.into_iter().find(|&site| stores.iter().all(|store| has(store, site)));
    let of = |store: &Store| {
        let site = common.or_else(|| sites.into_iter().find(|&site| has(store, site)));
        site.ok_or_else(|| why_none(store, position)).and_then(|site| read(store, position, site))
    };
    Scores { reference: of(stores[0]), candidate: of(stores[1]) }
}

fn read(store: &Store, position: u32, checkpoint: Checkpoint) -> Result<Attention, String> {
    let mut tensor = Tensor::default();
    store
        .read(position, checkpoint, &mut tensor)
        .map_err(|error| crate::text::safe(&error.to_string()).into_owned())?;
    let mut shown = Tensor::default();
    visible(&tensor, position, &mut shown);
    Ok(Attention { checkpoint, tensor: shown })
}

fn why_none(store: &Store, position: u32) -> String {
    let flash = store.header().is_some_and(|h| h.settings.flash_attn == Some(true));
    if flash {
        "flash attention keeps no scores".to_owned()
    } else if store.checkpoints(position).next().is_none() {
        "nothing is recorded at this position".to_owned()
    } else {
        "neither kq nor kq_soft_max is recorded here: record all checkpoints".to_owned()
    }
}
