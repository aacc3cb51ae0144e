//! The views, one a file: which panes each shows, where, and what moving up and down means there.
//! They share one cursor.

mod arrangement;
mod attention;
mod channels;
mod diagnosis;
mod garbage;
mod layer;
mod logits;
mod overview;
mod records;
mod tensor;

pub use arrangement::{Arrangement, Share, Tree};

use super::kinds::PaneKind;

/// What is known about a view.
#[derive(Debug)]
pub struct ViewInfo {
    /// Name in commands and in files of settings.
    pub id: &'static str,
    /// Title in the list of views.
    pub title: &'static str,
    /// What it answers: a sentence.
    pub about: &'static str,
    /// What there is to know while one looks at it: paragraphs for the help page.
    pub help: &'static [&'static str],
    /// Panes by room.
    pub arrangement: Arrangement,
    /// What ↑ and ↓ move along.
    pub rows: RowsOf,
    /// What it shows beside the cell under the cursor.
    pub shows: Shows,
}

/// What a view shows beside the cell under the cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shows {
    /// The cursor's channel: it is pointed at, and can be moved.
    pub channel: bool,
    /// The cursor's site in every layer.
    pub layers: bool,
    /// The attention scores of the cursor's layer.
    pub scores: bool,
}

impl Shows {
    /// Nothing more.
    pub const CELL: Self = Self { channel: false, layers: false, scores: false };
}

/// What a view's rows are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowsOf {
    /// Layers, and what comes before and after them.
    Layers,
    /// Every checkpoint.
    Checkpoints,
    /// The cursor's site in every layer.
    Site,
}

macro_rules! views {
    ($($(#[$doc:meta])* $view:ident => $file:ident;)*) => {
        /// What is looked at.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum View { $($(#[$doc])* $view),* }

        impl View {
            /// All of them; the n-th has the key n.
            pub const ALL: &[Self] = &[$(Self::$view),*];

            /// What is known about it.
            pub fn info(self) -> &'static ViewInfo {
                match self { $(Self::$view => &$file::VIEW),* }
            }
        }
    };
}

views! {
    /// Layers by positions.
    Overview => overview;
    /// The checkpoints of one layer by positions.
    Layer => layer;
    /// One tensor.
    Tensor => tensor;
    /// The most likely tokens.
    Logits => logits;
    /// Every finding of garbage.
    Garbage => garbage;
    /// Which operation is faulty.
    Diagnosis => diagnosis;
    /// Records as they arrive.
    Records => records;
    /// One site in every layer, by channels.
    Channels => channels;
    /// What each head looks at.
    Attention => attention;
}

impl View {
    /// The view of this id.
    pub fn named(id: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|view| view.info().id == id)
    }

    /// The panes that can have the focus in it, in the order of Tab.
    pub fn panes(self) -> Vec<PaneKind> {
        let mut panes = self.info().arrangement.large.panes();
        panes.push(PaneKind::Tokens);
        panes
    }

    /// The pane that has the focus when the view is entered: its list, if it has one.
    pub fn first_pane(self) -> PaneKind {
        let panes = self.panes();
        panes.iter().copied().find(|pane| pane.chooses()).unwrap_or(panes[0])
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn names_are_one_of_a_kind_and_every_size_shows_what_can_be_focused() {
        let ids: HashSet<&str> = View::ALL.iter().map(|v| v.info().id).collect();
        assert_eq!(ids.len(), View::ALL.len());
        let ids: HashSet<&str> = PaneKind::ALL.iter().map(|p| p.info().id).collect();
        assert_eq!(ids.len(), PaneKind::ALL.len());
        for &view in View::ALL {
            assert_eq!(View::named(view.info().id), Some(view));
            let all: HashSet<PaneKind> = view.info().arrangement.large.panes().into_iter().collect();
            let arrangement = &view.info().arrangement;
            for tree in [&arrangement.large, &arrangement.medium, &arrangement.small] {
                let panes = tree.panes();
                let set: HashSet<PaneKind> = panes.iter().copied().collect();
                assert_eq!(set, all, "{view:?}: every size can show the same panes");
                assert_eq!(set.len(), panes.len(), "{view:?}: no pane has two places");
            }
        }
    }
}
