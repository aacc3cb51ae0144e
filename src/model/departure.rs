//! Departures of a node from the right computation that its operation's own attributes cannot say.
//!
//! A right model has none. Backends execute them beside their fast path, or refuse them by name; a
//! backend that does not know one must never compute as if it were not there.

use super::view::View;

/// A function other than the operation's own, for `SwiGlu` and `Gelu`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// x / (1 + e^−x)
    Silu,
    /// GELU, tanh approximation.
    Gelu,
    /// GELU by the error function: ½x(1 + erf(x/√2)).
    GeluErf,
    /// max(x, 0)
    Relu,
}

/// What sums are accumulated and results kept in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precision {
    /// As the backend does.
    #[default]
    Full,
    /// Every partial sum is rounded to f16; beyond 65504 it is infinite.
    F16,
    /// Every partial sum is rounded to bf16.
    Bf16,
}

/// Which key and value head a query head uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Grouping {
    /// Query head h uses h / (n_head / n_head_kv): each key head serves neighbours.
    #[default]
    Repeat,
    /// Query head h uses h mod n_head_kv.
    Tile,
}

/// How a node departs from what its operation says. The default is not at all.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Departure {
    /// First position at which the node departs, shifts of RoPE and cache included.
    pub from: usize,
    /// The weight is read through these, the first one innermost.
    pub views: Vec<View>,
    /// Another activation function.
    pub activation: Option<Activation>,
    /// Sums and results are kept in this.
    pub precision: Precision,
    /// Which key head a query head uses (scores and mix).
    pub grouping: Grouping,
    /// So many of the newest positions, its own among them, are hidden by the mask (softmax). One is
    /// always left.
    pub hidden: usize,
    /// Keys and values of this position are never written to the cache (scores and mix): whoever attends
    /// to it reads zeros.
    pub unwritten: Option<usize>,
    /// The first input is read as it was so many positions before, the first position's at least.
    pub lag: usize,
    /// The operation is applied to its own result once more (operations of one input).
    pub repeated: bool,
}

impl Departure {
    /// Whether the node computes what its operation says.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// Whether the first input is an earlier position's at `position`.
    pub fn lags_at(&self, position: usize) -> bool {
        self.lag > 0 && position >= self.from
    }

    /// Names of what is not as it should be, for a backend that refuses it.
    pub fn names(&self) -> Vec<&'static str> {
        let right = Self::default();
        [
            (self.from != right.from, "from a later position on"),
            (self.views != right.views, "weight read otherwise"),
            (self.activation != right.activation, "other activation"),
            (self.precision != right.precision, "low precision"),
            (self.grouping != right.grouping, "other head mapping"),
            (self.hidden != right.hidden, "mask shifted"),
            (self.unwritten != right.unwritten, "cache slot unwritten"),
            (self.lag != right.lag, "input of an earlier position"),
            (self.repeated != right.repeated, "applied twice"),
        ]
        .into_iter()
        .filter_map(|(off, name)| off.then_some(name))
        .collect()
    }
}
