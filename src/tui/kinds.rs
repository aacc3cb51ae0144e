//! The panes by name: what the state and the arrangements know of them. How each is drawn is in
//! [`panes`](super::panes).

/// What is known about a pane without drawing it.
#[derive(Debug)]
pub struct PaneInfo {
    /// Name in commands and in files of settings.
    pub id: &'static str,
    /// Name for titles and messages.
    pub title: &'static str,
    /// What ↑ and ↓ do in it.
    pub vertical: Vertical,
}

/// What moving up and down does while a pane has the focus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Vertical {
    /// It moves the cursor along the view's rows.
    Cursor,
    /// It scrolls the pane.
    Scroll,
    /// It moves the pane's own choice; Enter goes to what is chosen.
    List,
}

macro_rules! panes {
    ($($(#[$doc:meta])* $pane:ident, $id:literal, $title:literal, $vertical:ident;)*) => {
        /// The panes that can have the focus.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum PaneKind { $($(#[$doc])* $pane),* }

        /// Every pane.
        static PANES: &[PaneInfo] = &[$(PaneInfo { id: $id, title: $title, vertical: Vertical::$vertical }),*];

        impl PaneKind {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$pane),*];
        }
    };
}

panes! {
    /// The strip of tokens with flags.
    Tokens, "tokens", "tokens", Cursor;
    /// The parity map.
    Map, "map", "parity map", Cursor;
    /// Heatmaps of reference, candidate, difference.
    SideBySide, "values", "side by side", Cursor;
    /// The most likely tokens of both sides.
    Logits, "logits", "logits", Scroll;
    /// The worst elements of the tensor.
    Elements, "elements", "worst elements", Scroll;
    /// The verdict with its evidence.
    Verdict, "verdict", "verdict", Scroll;
    /// Findings of garbage.
    Garbage, "garbage", "garbage", Scroll;
    /// All findings of garbage.
    Findings, "findings", "all garbage", List;
    /// The chosen finding in full.
    Finding, "finding", "finding", Scroll;
    /// The diagnosis in sentences.
    Diagnosis, "diagnosis", "diagnosis", Scroll;
    /// Faulty operations.
    Operations, "operations", "faulty operations", List;
    /// The evidence of the chosen operation.
    Operation, "operation", "evidence", Scroll;
    /// The newest records.
    Records, "records", "records", List;
    /// The most likely tokens in one order, with both sides' figures.
    Ranking, "ranking", "tokens by rank", Scroll;
    /// The text of both sides.
    Texts, "texts", "text so far", Scroll;
    /// KL divergence over positions.
    Kl, "kl", "KL over positions", Cursor;
    /// The checkpoints of a layer, and which feeds which.
    Pipeline, "pipeline", "pipeline", Cursor;
    /// One site in every layer, by channels.
    Channels, "channels", "layer × channel", Cursor;
    /// Heads by positions.
    Attention, "attention", "attention", Cursor;
    /// How the values of both sides are spread.
    Histogram, "histogram", "histogram", Cursor;
    /// Reference against candidate, a dot a value.
    Scatter, "scatter", "scatter", Cursor;
}

impl PaneKind {
    /// What is known about it.
    pub fn info(self) -> &'static PaneInfo {
        &PANES[self as usize]
    }

    /// Name for titles and messages.
    pub fn name(self) -> &'static str {
        self.info().title
    }

    /// Whether ↑ and ↓ scroll it instead of moving the cursor.
    pub fn scrolls(self) -> bool {
        self.info().vertical == Vertical::Scroll
    }

    /// Whether it is a list with a choice of its own.
    pub fn chooses(self) -> bool {
        self.info().vertical == Vertical::List
    }

    /// Its place in [`PaneKind::ALL`].
    pub fn index(self) -> usize {
        self as usize
    }
}
