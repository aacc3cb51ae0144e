//! What is kept of the rows of one checkpoint, so that they can be judged together: a row alone may
//! look honest where many rows are alike in a way that no engine makes them.

use super::{Blame, Finding, Sample};
use crate::model::{Checkpoint, Phase, Site};

/// The class whose rows are explained together (see [`super::heap`]).
pub(super) const HEAP: &str = "heap-pointer";

/// Leading channels that are kept: what loggers print that print a few, and where an allocator
/// writes into a block.
pub const LEAD: usize = 10;

/// Rows whose leading values are kept as they are.
const KEPT: usize = 64;

/// Positions that are remembered of rows that only together show something; the rest is counted.
const REMEMBERED: usize = 4096;

/// Sums over the rows of one checkpoint.
#[derive(Clone, Debug, Default)]
pub struct Rows {
    /// Rows seen.
    pub rows: u32,
    /// Rows without any zero in the lead.
    pub clean: u32,
    /// Rows with zeros (or, with exact bits, small denormals) where the upper halves of an
    /// allocator's links would be, and nowhere else.
    pub linked: u32,
    /// Rows with zeros elsewhere.
    pub sparse: u32,
    /// Zeros in the lead of rows that are not linked.
    pub stray: u32,
    /// Linked rows that show freed memory by themselves.
    pub named: u32,
    /// Linked rows that some class calls garbage.
    pub marked: u32,
    /// Those of them that only the engine is blamed for.
    pub blamed_on_engine: u32,
    /// What it is blamed for, by class.
    pub excused: Vec<(&'static str, u32)>,
    /// Linked rows by `Links::mask`.
    pub masks: [u32; 8],
    /// Linked rows with a negative zero in a lower half.
    pub negative: u32,
    /// Leading values of the first linked rows, with their number.
    pub kept: Vec<([f32; LEAD], usize)>,
    /// Positions of the first linked rows that do not show it by themselves.
    pub positions: Vec<u32>,
    /// Rows with two or more zeros that neither their scale nor their place explains.
    pub holed: u32,
    /// Rows of nothing but zeros.
    pub blank: u32,
    /// Positions of the first of them.
    pub blanks: Vec<u32>,
    /// Whether a row that is not blank came after a blank one.
    pub recovered: bool,
}

/// Which words of a row have the shape of an allocator's links.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Links {
    /// Channels 2 and 3: the second link.
    pub second: bool,
    /// Channels 4 to 7: the links of large blocks.
    pub large: bool,
    /// Channels 8 and 9: the size of the block before the next one.
    pub size: bool,
}

impl Links {
    /// A number below 8.
    pub fn mask(self) -> usize {
        usize::from(self.second) | usize::from(self.large) << 1 | usize::from(self.size) << 2
    }

    /// The links of a row, from its leading values: channel 1 must be the upper half of an address
    /// (as six decimals: exactly zero), and no other channel may be zero but those of further links
    /// and sizes.
    pub fn of(values: &[f32], exact: bool) -> Option<Self> {
        let lead = &values[..values.len().min(LEAD)];
        let high = |i: usize| lead.get(i).is_some_and(|x| is_upper_half(*x, exact));
        if lead.len() < 6 || !high(1) {
            return None;
        }
        let links = Self {
            second: high(3) || high(2),
            large: high(5) && (lead.len() < 8 || high(7)),
            size: high(8) && high(9),
        };
        // A block that was used anew and cleared in part has zeros behind its links.
        let third = links.second && high(4) && high(5);
        let explained = |i: usize| match i {
            0 | 1 => true,
            2 | 3 => links.second,
            4 | 5 => links.large || third,
            6 | 7 => links.large,
            _ => links.size,
        };
        (0..lead.len()).all(|i| explained(i) || !high(i)).then_some(links)
    }

    /// The channels concerned, in words.
    pub fn channels(self) -> String {
        let mut out = if self.large {
            "0 to 7".to_owned()
        } else if self.second {
            "0 to 3".to_owned()
        } else {
            "0 and 1".to_owned()
        };
        if self.size {
            out.push_str(", 8 and 9");
        }
        out
    }
}

/// Whether a value may be the upper half of a user-space address or of a block's size: below 2¹⁶ as an
/// integer, which prints as 0.000000.
pub fn is_upper_half(value: f32, exact: bool) -> bool {
    if exact { value.to_bits() <= 0xffff } else { value == 0.0 && value.is_sign_positive() }
}

/// Whether exact zeros are nothing unusual there: what underflows, what is rectified, what is looked up
/// in a quantised table and what is computed from that element by element.
pub fn may_hold_zeros(checkpoint: Checkpoint) -> bool {
    let site = checkpoint.site();
    matches!(site, Site::Kq | Site::KqSoftMax | Site::FfnSwiglu | Site::FfnGelu)
        || site.phase() == Phase::Input
        || (site == Site::AttnNorm && checkpoint.layer_index() == Some(0))
}

/// What one row adds to [`Rows`].
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    kind: Kind,
    lead: [f32; LEAD],
    /// Values in `lead`.
    n: usize,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    /// Too short to say anything.
    Short,
    /// Nothing but zeros.
    Blank,
    /// No zero in the lead.
    Clean,
    /// Zeros where links would have them; whether a lower half is −0.
    Linked(Links, bool),
    /// Zeros elsewhere: in the lead, and whether more than scale and place explain.
    Sparse(u32, bool),
}

impl Shape {
    pub fn of(sample: &Sample<'_>) -> Self {
        let values = sample.values();
        let n = values.len().min(LEAD);
        let mut lead = [0.0; LEAD];
        lead[..n].copy_from_slice(&values[..n]);
        Self { kind: kind(sample, &lead[..n]), lead, n }
    }
}

fn kind(sample: &Sample<'_>, lead: &[f32]) -> Kind {
    let (values, exact) = (sample.values(), sample.tensor.exact);
    if values.len() < 2 {
        return Kind::Short;
    }
    if sample.profile.zero as usize == values.len() {
        return Kind::Blank;
    }
    let small = sample.profile.zero + if exact { sample.profile.denormal } else { 0 };
    if small == 0 {
        return Kind::Clean;
    }
    let in_lead = lead.iter().filter(|x| **x == 0.0 || (exact && x.is_subnormal())).count() as u32;
    // The end of a vocabulary may be padded.
    let tail = values[lead.len()..].iter().rev().take_while(|x| **x == 0.0).count() as u32;
    let behind = small.saturating_sub(in_lead + tail);
    // Rounded to six decimals, one in a thousand may vanish.
    let dense = behind as usize * 1000 <= values.len();
    if let Some(links) = Links::of(values, exact).filter(|_| dense) {
        let is_negative = |i: usize| lead[i] == 0.0 && lead[i].is_sign_negative();
        return Kind::Linked(links, is_negative(0) || (links.second && is_negative(2)));
    }
    if in_lead == 0 && dense {
        return Kind::Clean;
    }
    // Of values around `rms`, this share prints as zero with six decimals.
    let squares: f64 = values.iter().map(|&x| f64::from(x) * f64::from(x)).sum();
    let rms = (squares / values.len() as f64).sqrt();
    let chance = if exact { 0.0 } else { values.len() as f64 * 1e-6 / (2.5 * rms) };
    let holes = small - tail.min(small);
    Kind::Sparse(in_lead, holes >= 2 && f64::from(holes) > 1.0 + 20.0 * chance)
}

/// Whether a finding of one row says that its memory holds somebody else's data.
fn is_memory_of_others(finding: &Finding) -> bool {
    finding.blame == Blame::Instrument && matches!(finding.class, super::fill::ID | super::ascii::ID)
}

/// Upper halves that a mask says are zero.
fn highs(mask: usize) -> u32 {
    1 + (mask & 1) as u32 + 2 * (mask >> 1 & 1) as u32 + 2 * (mask >> 2 & 1) as u32
}

impl Rows {
    /// Takes in one row with what it shows by itself.
    pub(super) fn add(&mut self, row: &Shape, position: u32, findings: &[Finding]) {
        if matches!(row.kind, Kind::Short) {
            return;
        }
        self.rows += 1;
        if matches!(row.kind, Kind::Blank) {
            self.blank += 1;
            if self.blanks.len() < REMEMBERED {
                self.blanks.push(position);
            }
            return;
        }
        self.recovered |= self.blank > 0;
        match row.kind {
            Kind::Linked(links, negative) => {
                self.linked += 1;
                self.masks[links.mask()] += 1;
                self.negative += u32::from(negative);
                if self.kept.len() < KEPT {
                    self.kept.push((row.lead, row.n));
                }
                self.explain(findings);
                if findings.iter().any(|f| f.class == HEAP) {
                    self.named += 1;
                } else if self.positions.len() < REMEMBERED {
                    self.positions.push(position);
                }
            }
            // Memory that somebody else filled says nothing of where an engine's own zeros are.
            Kind::Sparse(..) if findings.iter().any(is_memory_of_others) => {}
            Kind::Sparse(in_lead, holed) => {
                self.sparse += 1;
                self.stray += in_lead;
                self.holed += u32::from(holed);
            }
            Kind::Short | Kind::Blank | Kind::Clean => self.clean += 1,
        }
    }

    /// Notes of a linked row what an allocator's links explain.
    fn explain(&mut self, findings: &[Finding]) {
        let counts = |f: &&Finding| f.class != "truncated" && f.blame != Blame::Nobody;
        let mut garbage = findings.iter().filter(counts).peekable();
        self.marked += u32::from(garbage.peek().is_some());
        let within = |f: &Finding| (f.first_channel + f.count) as usize <= LEAD;
        if findings.iter().any(|f| counts(&f) && (f.blame != Blame::Engine || !within(f))) {
            return;
        }
        self.blamed_on_engine += u32::from(garbage.peek().is_some());
        for finding in garbage {
            match self.excused.iter_mut().find(|(class, _)| *class == finding.class) {
                Some((_, rows)) => *rows += 1,
                None => self.excused.push((finding.class, 1)),
            }
        }
    }

    /// Whether so many zeros at the places of links would come about by chance if zeros fell anywhere.
    pub fn is_chance(&self) -> bool {
        // Zeros per channel where no link is, and never less than a quarter of one in all rows.
        let share = (f64::from(self.stray) + 0.25) / (6.0 * f64::from(self.rows.max(1)));
        let expected = share * f64::from(self.rows);
        let expected = 4.0 * expected;
        let n: u32 = self.masks.iter().enumerate().map(|(mask, rows)| rows * highs(mask)).sum();
        let n = f64::from(n);
        // Chernoff's bound of a Poisson tail.
        if n <= expected {
            return true;
        }
        let log_tail = n - expected - n * (n / expected).ln();
        log_tail > 1e-4_f64.ln()
    }
}
