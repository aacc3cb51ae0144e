//! Colours and signs that every picture and the terminal share.
//!
//! Two scales of [`TABLE_LEN`] entries, perceptual and safe for colour-blind readers: *severity*
//! (calm blues within noise, then a jump in lightness to warm hues) and *values* (diverging around
//! zero). What is not a finite number has one fixed hue of its own and a sign, so that it is never
//! told by colour alone; what is missing is grey and has a sign too.

use std::sync::LazyLock;

use colorous::{BLUES, Color, Gradient, INFERNO, ORANGES, VIRIDIS, YELLOW_ORANGE_RED};

use crate::compare::{CellState, Severity};

/// Entries of each scale.
pub const TABLE_LEN: usize = 256;

/// Severity at the lower end of the scale; anything below looks the same.
pub const SEVERITY_FLOOR: f32 = 0.01;
/// Severity at the upper end of the scale; anything above, but finite, looks the same.
pub const SEVERITY_CEILING: f32 = 1000.0;
/// First entry of the severity scale that is beyond noise. Entries below are for severities up to
/// [`Severity::LIMIT`]: two of the scale's five decades.
pub const FIRST_BEYOND: u8 = 102;
/// Severities that a legend names.
pub const SEVERITY_TICKS: [(f32, &str); 6] =
    [(0.01, "0.01"), (0.1, "0.1"), (1.0, "1"), (10.0, "10"), (100.0, "100"), (1000.0, "1000")];

/// Exponent of the value scale: half the scale's length is spent on the lowest quarter of the
/// magnitudes, because activations have heavy tails.
pub const VALUE_EXPONENT: f32 = 0.5;

/// A colour, 8 bits a channel, sRGB.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Rgb(pub u8, pub u8, pub u8);

impl Rgb {
    /// `self` and `other` mixed: 0 gives `self`, 1 gives `other`.
    #[must_use]
    pub fn mix(self, other: Self, t: f32) -> Self {
        let t = if t.is_nan() { 0.0 } else { t.clamp(0.0, 1.0) };
        let channel = |a: u8, b: u8| (a as f32 + (b as f32 - a as f32) * t).round() as u8;
        Self(channel(self.0, other.0), channel(self.1, other.1), channel(self.2, other.2))
    }

    /// CIE lightness L* of the colour, 0 (black) to 100 (white).
    pub fn lightness(self) -> f32 {
        let [r, g, b] = self.linear();
        let y = 0.2126 * r + 0.7152 * g + 0.0722 * b;
        if y <= 216.0 / 24389.0 { y * 24389.0 / 27.0 } else { 116.0 * y.cbrt() - 16.0 }
    }

    /// Red, green and blue light, 0 to 1 (IEC 61966-2-1).
    pub fn linear(self) -> [f32; 3] {
        [self.0, self.1, self.2].map(|c| {
            let c = f32::from(c) / 255.0;
            if c <= 0.04045 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) }
        })
    }
}

impl From<Color> for Rgb {
    fn from(c: Color) -> Self {
        Self(c.r, c.g, c.b)
    }
}

/// Whether the picture's ground is dark or light.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Ground {
    /// Light on dark.
    #[default]
    Dark,
    /// Dark on light.
    Light,
}

/// Colours that have a job rather than a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Roles {
    /// Behind everything.
    pub ground: Rgb,
    /// Behind a pane.
    pub panel: Rgb,
    /// Lines around panes, axes, ticks.
    pub line: Rgb,
    /// Text.
    pub text: Rgb,
    /// Labels, units, what matters less.
    pub dim: Rgb,
    /// Titles, the cursor.
    pub accent: Rgb,
    /// Within noise, agreement.
    pub good: Rgb,
    /// Waiting, inconclusive.
    pub caution: Rgb,
    /// Beyond noise, failed.
    pub bad: Rgb,
    /// The reference, as a line or a bar.
    pub reference: Rgb,
    /// The candidate, as a line or a bar.
    pub candidate: Rgb,
    /// NaN and infinities, in maps, heatmaps and text.
    pub nonfinite: Rgb,
    /// What one side lacks.
    pub missing: Rgb,
    /// What cannot be compared: other shapes, values that are not there.
    pub mismatch: Rgb,
}

const DARK: Roles = Roles {
    ground: Rgb(0x0f, 0x12, 0x17),
    panel: Rgb(0x16, 0x1a, 0x21),
    line: Rgb(0x3a, 0x42, 0x4e),
    text: Rgb(0xe2, 0xe6, 0xec),
    dim: Rgb(0x93, 0x9c, 0xaa),
    accent: Rgb(0x7c, 0xc4, 0xff),
    good: Rgb(0x56, 0xc2, 0xb0),
    caution: Rgb(0xf2, 0xc1, 0x4e),
    bad: Rgb(0xff, 0x7a, 0x45),
    reference: Rgb(0x5a, 0xa9, 0xe6),
    candidate: Rgb(0xf0, 0x9a, 0x3e),
    nonfinite: Rgb(0xff, 0x4d, 0xe0),
    missing: Rgb(0x4a, 0x4f, 0x58),
    mismatch: Rgb(0x8c, 0x8f, 0x98),
};

const LIGHT: Roles = Roles {
    ground: Rgb(0xff, 0xff, 0xff),
    panel: Rgb(0xf6, 0xf8, 0xfa),
    line: Rgb(0xc2, 0xc8, 0xd0),
    text: Rgb(0x1b, 0x1f, 0x26),
    dim: Rgb(0x5c, 0x65, 0x72),
    accent: Rgb(0x0a, 0x5c, 0xb8),
    good: Rgb(0x0b, 0x76, 0x68),
    caution: Rgb(0x8a, 0x5a, 0x00),
    bad: Rgb(0xb9, 0x2a, 0x10),
    reference: Rgb(0x1f, 0x6f, 0xb5),
    candidate: Rgb(0xc8, 0x66, 0x0a),
    nonfinite: Rgb(0xc4, 0x00, 0xb0),
    missing: Rgb(0xb4, 0xb9, 0xc0),
    mismatch: Rgb(0x77, 0x7c, 0x86),
};

impl Roles {
    /// The colour of this name, to be changed: `text`, `accent` …
    pub fn named_mut(&mut self, name: &str) -> Option<&mut Rgb> {
        let colors = self.entries_mut();
        colors.into_iter().find(|(known, _)| *known == name).map(|(_, color)| color)
    }

    /// Every colour with its name.
    fn entries_mut(&mut self) -> [(&'static str, &mut Rgb); 14] {
        [
            ("ground", &mut self.ground),
            ("panel", &mut self.panel),
            ("line", &mut self.line),
            ("text", &mut self.text),
            ("dim", &mut self.dim),
            ("accent", &mut self.accent),
            ("good", &mut self.good),
            ("caution", &mut self.caution),
            ("bad", &mut self.bad),
            ("reference", &mut self.reference),
            ("candidate", &mut self.candidate),
            ("nonfinite", &mut self.nonfinite),
            ("missing", &mut self.missing),
            ("mismatch", &mut self.mismatch),
        ]
    }

    /// Names of the colours.
    pub fn names() -> Vec<&'static str> {
        let mut any = DARK;
        any.entries_mut().map(|(name, _)| name).to_vec()
    }
}

/// A text that is no colour.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no colour; write it like #7cc4ff")]
pub struct NoColor(String);

impl std::str::FromStr for Rgb {
    type Err = NoColor;

    fn from_str(text: &str) -> Result<Self, NoColor> {
        let digits =
            text.strip_prefix('#').filter(|d| d.len() == 6 && d.bytes().all(|b| b.is_ascii_hexdigit()));
        let value = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok());
        let value = value.ok_or_else(|| NoColor(crate::text::safe_short(text, 20)))?;
        let [_, r, g, b] = value.to_be_bytes();
        Ok(Self(r, g, b))
    }
}

/// The colours of the jobs on this ground.
pub const fn roles(ground: Ground) -> &'static Roles {
    match ground {
        Ground::Dark => &DARK,
        Ground::Light => &LIGHT,
    }
}

/// Series that have a colour of their own.
pub const SERIES: usize = 6;

/// Colour of the `index`-th of several series, told apart by colour-blind readers too: blue, orange,
/// then hues after Okabe and Ito, darkened or lightened for the ground.
pub fn series(index: usize, ground: Ground) -> Rgb {
    let roles = roles(ground);
    match (index % SERIES, ground) {
        (0, _) => roles.reference,
        (1, _) => roles.candidate,
        (2, Ground::Dark) => Rgb(0x2f, 0xc4, 0x9b),
        (2, Ground::Light) => Rgb(0x00, 0x7d, 0x5f),
        (3, Ground::Dark) => Rgb(0xd8, 0x93, 0xbf),
        (3, Ground::Light) => Rgb(0xa8, 0x4d, 0x86),
        (4, Ground::Dark) => Rgb(0xf0, 0xe4, 0x42),
        (4, Ground::Light) => Rgb(0x8f, 0x82, 0x00),
        (_, Ground::Dark) => Rgb(0x9a, 0xd2, 0xf5),
        (_, Ground::Light) => Rgb(0x3f, 0x46, 0x50),
    }
}

struct Tables {
    severity: [Rgb; TABLE_LEN],
    values: [Rgb; TABLE_LEN],
}

fn stretch(gradient: &Gradient, from: f64, to: f64, t: f64) -> Rgb {
    gradient.eval_continuous(from + (to - from) * t).into()
}

fn severity_entry(index: usize, ground: Ground) -> Rgb {
    let first = FIRST_BEYOND as usize;
    let last = TABLE_LEN - 1;
    // The ends are cut so that the two halves never meet in lightness: grey prints keep the jump.
    if index < first {
        let t = index as f64 / (first - 1) as f64;
        match ground {
            Ground::Dark => stretch(&VIRIDIS, 0.14, 0.34, t),
            Ground::Light => stretch(&BLUES, 0.08, 0.36, t),
        }
    } else {
        let t = (index - first) as f64 / (last - first) as f64;
        match ground {
            Ground::Dark => stretch(&INFERNO, 0.64, 1.0, t),
            Ground::Light => stretch(&YELLOW_ORANGE_RED, 0.52, 1.0, t),
        }
    }
}

fn value_entry(index: usize, ground: Ground) -> Rgb {
    let half = (TABLE_LEN - 1) as f64 / 2.0;
    let x = (index as f64 - half) / half;
    let t = x.abs();
    let arm = if x < 0.0 { &BLUES } else { &ORANGES };
    match ground {
        // Zero is the ground, both arms grow lighter.
        Ground::Dark => DARK.ground.mix(stretch(arm, 0.95, 0.22, t), (t * 2.2) as f32),
        Ground::Light => LIGHT.ground.mix(stretch(arm, 0.15, 0.95, t), (t * 4.0) as f32),
    }
}

fn tables(ground: Ground) -> &'static Tables {
    fn build(ground: Ground) -> Tables {
        Tables {
            severity: std::array::from_fn(|i| severity_entry(i, ground)),
            values: std::array::from_fn(|i| value_entry(i, ground)),
        }
    }
    static DARK: LazyLock<Tables> = LazyLock::new(|| build(Ground::Dark));
    static LIGHT: LazyLock<Tables> = LazyLock::new(|| build(Ground::Light));
    match ground {
        Ground::Dark => &DARK,
        Ground::Light => &LIGHT,
    }
}

/// Place of a finite severity on the scale (logarithmic); none for NaN and infinity, which have a
/// colour of their own.
pub fn severity_index(severity: Severity) -> Option<u8> {
    let s = severity.0;
    if !s.is_finite() {
        return None;
    }
    let (floor, limit, ceiling) = (SEVERITY_FLOOR.log10(), Severity::LIMIT.log10(), SEVERITY_CEILING.log10());
    let x = s.max(SEVERITY_FLOOR).log10();
    let first = FIRST_BEYOND as f32;
    Some(if severity.is_beyond_noise() {
        let t = ((x - limit) / (ceiling - limit)).clamp(0.0, 1.0);
        (first + t * (TABLE_LEN as f32 - 1.0 - first)).round() as u8
    } else {
        let t = ((x - floor) / (limit - floor)).clamp(0.0, 1.0);
        (t * (first - 1.0)).round() as u8
    })
}

/// Colour of a severity: calm within noise, warm beyond, [`Roles::nonfinite`] for NaN and infinity.
pub fn severity(severity: Severity, ground: Ground) -> Rgb {
    severity_index(severity).map_or(roles(ground).nonfinite, |i| tables(ground).severity[i as usize])
}

/// The whole severity scale, for legends.
pub fn severity_table(ground: Ground) -> &'static [Rgb; TABLE_LEN] {
    &tables(ground).severity
}

/// Place of a value on the diverging scale from `-limit` to `limit` (see [`VALUE_EXPONENT`]);
/// none for NaN and infinities. A limit of zero, or none, puts everything at the centre.
pub fn value_index(value: f32, limit: f32) -> Option<u8> {
    if !value.is_finite() {
        return None;
    }
    let ratio = if limit > 0.0 { (value.abs() / limit).min(1.0) } else { 0.0 };
    let half = (TABLE_LEN - 1) as f32 / 2.0;
    Some((half + half * ratio.powf(VALUE_EXPONENT).copysign(value)).round() as u8)
}

/// Colour of a value on the diverging scale, [`Roles::nonfinite`] for NaN and infinities.
pub fn value(value: f32, limit: f32, ground: Ground) -> Rgb {
    value_index(value, limit).map_or(roles(ground).nonfinite, |i| tables(ground).values[i as usize])
}

/// The whole value scale, for legends.
pub fn value_table(ground: Ground) -> &'static [Rgb; TABLE_LEN] {
    &tables(ground).values
}

/// Colour of a magnitude, 0 (small, dark) to 1 (large, light): perceptual, the same on any ground.
pub fn magnitude(t: f32) -> Rgb {
    VIRIDIS.eval_continuous(t.clamp(0.0, 1.0).into()).into()
}

/// Black or white, whichever is read better on `color`.
pub fn ink_on(color: Rgb) -> Rgb {
    if color.lightness() > 55.0 { Rgb(0, 0, 0) } else { Rgb(255, 255, 255) }
}

/// Sign of a value that is not a finite number.
pub fn value_glyph(value: f32) -> Option<char> {
    if value.is_nan() {
        Some('×')
    } else if value.is_infinite() {
        Some('∞')
    } else {
        None
    }
}

/// How a cell of a map looks. The order is the one in which many cells fold into one: the worst
/// wins, a missing cell is worse than one within noise and never hides one beyond.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Shade {
    /// Nothing there (yet) on either side.
    #[default]
    Empty,
    /// Within noise; place on the severity scale.
    Within(u8),
    /// One side lacks it.
    Missing,
    /// Shapes differ, or values are not there.
    Mismatch,
    /// Beyond noise; place on the severity scale.
    Beyond(u8),
    /// Infinite or NaN severity.
    Infinite,
}

impl Shade {
    /// The look of a severity.
    pub fn of_severity(severity: Severity) -> Self {
        match severity_index(severity) {
            None => Self::Infinite,
            Some(i) if severity.is_beyond_noise() => Self::Beyond(i),
            Some(i) => Self::Within(i),
        }
    }

    /// The look of a cell.
    pub fn of(state: &CellState) -> Self {
        match state {
            CellState::Compared { severity, .. } => Self::of_severity(*severity),
            CellState::ReferenceOnly | CellState::CandidateOnly => Self::Missing,
            CellState::ShapeMismatch | CellState::Unreadable => Self::Mismatch,
        }
    }

    /// Its colour; none when there is nothing to draw.
    pub fn color(self, ground: Ground) -> Option<Rgb> {
        let roles = roles(ground);
        match self {
            Self::Empty => None,
            Self::Within(i) | Self::Beyond(i) => Some(tables(ground).severity[i as usize]),
            Self::Missing => Some(roles.missing),
            Self::Mismatch => Some(roles.mismatch),
            Self::Infinite => Some(roles.nonfinite),
        }
    }

    /// Its sign, for those that must not be told by colour alone.
    pub fn glyph(self) -> Option<char> {
        match self {
            Self::Empty | Self::Within(_) | Self::Beyond(_) => None,
            Self::Missing => Some('·'),
            Self::Mismatch => Some('≠'),
            Self::Infinite => Some('×'),
        }
    }
}

/// Candidate minus reference; equal infinities do not differ.
pub fn difference(reference: f32, candidate: f32) -> f32 {
    if reference == candidate { 0.0 } else { candidate - reference }
}

/// The largest power of ten by which the difference can be enlarged within the scale; at most 10⁶.
pub fn enlargement(worst: f32, limit: f32) -> u32 {
    if worst > 0.0 && limit > 0.0 { (limit / worst).log10().floor().clamp(0.0, 6.0) as u32 } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn severity_scale_is_logarithmic_and_splits_at_the_limit() {
        let index = |s: f32| severity_index(Severity(s));
        assert_eq!(index(0.0), Some(0));
        assert_eq!(index(-1.0), Some(0));
        assert_eq!(index(0.01), Some(0));
        assert_eq!(index(1.0), Some(FIRST_BEYOND - 1));
        assert_eq!(index(1.0f32.next_up()), Some(FIRST_BEYOND));
        assert_eq!(index(1000.0), Some(255));
        assert_eq!(index(1e30), Some(255));
        assert_eq!(index(f32::NAN), None);
        assert_eq!(index(f32::INFINITY), None);
        // Equal ratios are equal steps.
        assert_eq!(index(10.0), Some(FIRST_BEYOND + 51));
        assert_eq!(index(100.0), Some(FIRST_BEYOND + 102));
    }

    #[test]
    fn lightness_alone_tells_noise_from_divergence() {
        // 8 L* is several times the just noticeable difference (about 1 to 2 for neighbouring patches).
        for (ground, sign) in [(Ground::Dark, 1.0), (Ground::Light, -1.0)] {
            let lightness: Vec<f32> = severity_table(ground).iter().map(|c| sign * c.lightness()).collect();
            let (calm, warm) = lightness.split_at(FIRST_BEYOND as usize);
            let worst_calm = calm.iter().copied().fold(f32::MIN, f32::max);
            let best_warm = warm.iter().copied().fold(f32::MAX, f32::min);
            assert!(best_warm - worst_calm > 8.0, "{ground:?}: {worst_calm} {best_warm}");
            // Further from noise never looks nearer to it (half an L*: rounding to 8 bits).
            assert!(calm.windows(2).all(|w| w[1] > w[0] - 0.5), "{ground:?}");
            assert!(warm.windows(2).all(|w| w[1] > w[0] - 0.5), "{ground:?}");
        }
    }

    #[test]
    fn value_scale_is_symmetric_and_monotonic() {
        assert_eq!(value_index(0.0, 1.0), Some(128));
        assert_eq!(value_index(5.0, 1.0), Some(255));
        assert_eq!(value_index(-5.0, 1.0), Some(0));
        assert_eq!(value_index(0.25, 1.0), Some(191));
        assert_eq!(value_index(f32::NAN, 1.0), None);
        assert_eq!(value_index(1.0, 0.0), Some(255 / 2 + 1));
        assert_eq!(value_index(1.0, f32::NAN), Some(128));
        for (ground, sign) in [(Ground::Dark, 1.0), (Ground::Light, -1.0)] {
            let l: Vec<f32> = value_table(ground).iter().map(|c| sign * c.lightness()).collect();
            assert!(l[128..].windows(2).all(|w| w[1] > w[0] - 0.5), "{ground:?} {:?}", &l[128..]);
            assert!(l[..128].windows(2).all(|w| w[0] > w[1] - 0.5), "{ground:?} {:?}", &l[..128]);
        }
    }

    #[test]
    fn folding_keeps_the_worst() {
        let order = [
            Shade::Empty,
            Shade::Within(0),
            Shade::Within(101),
            Shade::Missing,
            Shade::Mismatch,
            Shade::Beyond(102),
            Shade::Beyond(255),
            Shade::Infinite,
        ];
        assert!(order.is_sorted());
        assert_eq!(Shade::of_severity(Severity(f32::NAN)), Shade::Infinite);
        assert_eq!(Shade::of_severity(Severity(1.0)), Shade::Within(101));
        assert!(Shade::of(&CellState::ReferenceOnly).glyph().is_some());
    }

    #[test]
    fn differences_are_enlarged_within_the_scale() {
        assert_eq!(enlargement(0.0, 1.0), 0);
        assert_eq!(enlargement(2.0, 1.0), 0);
        assert_eq!(enlargement(0.05, 1.0), 1);
        assert_eq!(enlargement(1e-12, 1.0), 6);
        assert_eq!(enlargement(f32::NAN, 1.0), 0);
        assert!(difference(f32::INFINITY, f32::INFINITY) == 0.0);
        assert!(difference(f32::INFINITY, 1.0) == f32::NEG_INFINITY);
        assert!(difference(1.0, f32::NAN).is_nan());
    }
}
