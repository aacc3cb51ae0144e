//! Histogram: how the values of both sides are spread, over one axis; counts are logarithmic.
//!
//! ```text
//! ─ histogram ───────────────────────────── log counts, most 87 ─
//! reference  512 values
//!         ▁▃▅▇█▆▄▂▁    ▁
//! candidate  510 values  × 1 NaN  ∞ 1 Inf
//!         ▁▃▅▇█▆▄▂▁
//! -2.1        ▲           2.4
//! ```

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};

use super::{Context, frame, heading, put, span};
use crate::figures::figure;
use crate::session::Focus;
use crate::session::aligned;
use crate::tui::kinds::PaneKind;
use crate::tui::theme::Role;

/// Heights of a character.
const STEPS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// One side's values in bins.
#[derive(Clone, Debug, Default, PartialEq)]
struct Side {
    bins: Vec<u32>,
    finite: usize,
    nan: usize,
    infinite: usize,
}

/// Both sides over one axis.
#[derive(Clone, Debug, PartialEq)]
struct Bins {
    sides: [Option<Side>; 2],
    from: f32,
    to: f32,
    /// The fullest bin of either side.
    most: u32,
}

/// Least and largest finite value; a little apart where they are one.
pub(super) fn range<'a>(values: impl Iterator<Item = &'a f32>) -> (f32, f32) {
    let finite = values.copied().filter(|v| v.is_finite());
    let (from, to) = finite.fold((f32::INFINITY, f32::NEG_INFINITY), |(a, b), v| (a.min(v), b.max(v)));
    if from < to {
        (from, to)
    } else if from == to {
        let by = (from.abs() * 0.5).max(0.5);
        (from - by, to + by)
    } else {
        (-1.0, 1.0)
    }
}

/// The place of a finite value among this many from `from` to `to`.
pub(super) fn place(value: f32, from: f32, to: f32, places: usize) -> usize {
    // In f64, where the width of the axis cannot overflow.
    let t = (f64::from(value) - f64::from(from)) / (f64::from(to) - f64::from(from));
    ((t * places as f64) as usize).min(places.saturating_sub(1))
}

impl Bins {
    fn new(values: [Option<&[f32]>; 2], width: usize) -> Self {
        let (from, to) = range(values.iter().flatten().flat_map(|values| values.iter()));
        let sides = values.map(|values| {
            let mut side = Side { bins: vec![0; width.max(1)], ..Side::default() };
            for &value in values? {
                if value.is_finite() {
                    side.finite += 1;
                    side.bins[place(value, from, to, width.max(1))] += 1;
                } else if value.is_nan() {
                    side.nan += 1;
                } else {
                    side.infinite += 1;
                }
            }
            Some(side)
        });
        let most = sides.iter().flatten().flat_map(|side| &side.bins).copied().max().unwrap_or(0);
        Self { sides, from, to, most }
    }

    /// Height of a bin in eighths of a line, of `lines`: one value is always seen.
    fn height(&self, count: u32, lines: usize) -> usize {
        if count == 0 {
            return 0;
        }
        let share = f64::from(count).ln_1p() / f64::from(self.most).ln_1p();
        ((share * (lines * 8) as f64).round() as usize).max(1)
    }
}

fn prepare(focus: &Focus, width: usize) -> Bins {
    let (a, b) = aligned(focus);
    Bins::new([a.as_deref(), b.as_deref()].map(|t| t.map(|t| t.values.as_slice())), width)
}

/// Draws it.
pub fn draw(context: Context<'_>, area: Rect, buf: &mut Buffer) {
    let (app, theme) = (context.app, context.theme);
    let title = heading(context, PaneKind::Histogram, "histogram");
    let right = Line::from(span("log counts, one axis", theme.style(Role::Dim)));
    let inner = frame(context, PaneKind::Histogram, &title, Some(&right), area, buf);
    let shown = app.shown();
    let Some(focus) = shown.any().filter(|f| f.reference.is_some() || f.candidate.is_some()) else {
        return put(buf, inner, 0, &Line::from(span("no values here", theme.style(Role::Dim))));
    };
    if inner.height < 3 || inner.width < 8 {
        return;
    }
    let width = inner.width as usize - 1;
    let bins = app.prepared().of(PaneKind::Histogram, [width, 0], || prepare(focus, width));
    let (axis, tall) = (inner.height - 1, (inner.height - 1) / 2);
    for (i, (name, role)) in
        [("reference", Role::Reference), ("candidate", Role::Candidate)].into_iter().enumerate()
    {
        let top = inner.y + i as u16 * tall;
        let height = if i == 0 { tall } else { axis - tall };
        let place = Rect { y: top, height, width: inner.width - 1, ..inner };
        let titled = u16::from(height > 1);
        if titled > 0 {
            put(buf, place, 0, &counts(context, name, role, bins.sides[i].as_ref()));
        }
        let bars = Rect { y: place.y + titled, height: height - titled, ..place };
        if let Some(side) = &bins.sides[i] {
            bars_of(&bins, side, theme.style(role), bars, buf);
        }
    }
    put_axis(
        context,
        focus,
        &bins,
        Rect { y: inner.y + axis, height: 1, width: inner.width - 1, ..inner },
        buf,
    );
    if !shown.is_current() {
        buf.set_style(inner, Style::new().add_modifier(Modifier::DIM));
    }
}

fn counts(context: Context<'_>, name: &str, role: Role, side: Option<&Side>) -> Line<'static> {
    let theme = context.theme;
    let mut spans = vec![span(name, theme.bold(role))];
    let Some(side) = side else {
        spans.push(span("  not recorded", theme.style(Role::Missing)));
        return Line::from(spans);
    };
    spans.push(span(&format!("  {} values", side.finite), theme.style(Role::Dim)));
    for (count, text) in [(side.nan, "× NaN"), (side.infinite, "∞ Inf")] {
        if count > 0 {
            spans.push(span(&format!("  {count} {text}"), theme.bold(Role::Nonfinite)));
        }
    }
    Line::from(spans)
}

fn bars_of(bins: &Bins, side: &Side, style: Style, area: Rect, buf: &mut Buffer) {
    let area = area.intersection(buf.area);
    for (x, &count) in (area.left()..area.right()).zip(&side.bins) {
        let height = bins.height(count, area.height as usize);
        for line in 0..area.height {
            let filled = height.saturating_sub(line as usize * 8).min(8);
            if filled > 0 {
                buf[(x, area.bottom() - 1 - line)].set_char(STEPS[filled]).set_style(style);
            }
        }
    }
}

/// Both ends, zero, and the value under the cursor.
fn put_axis(context: Context<'_>, focus: &Focus, bins: &Bins, area: Rect, buf: &mut Buffer) {
    let theme = context.theme;
    let dim = theme.style(Role::Dim);
    let (left, right) = (figure(bins.from.into()), figure(bins.to.into()));
    let width = area.width as usize;
    let mut taken = vec![false; width];
    let mut write = |x: usize, text: &str, style: Style, force: bool, buf: &mut Buffer| {
        let end = x + text.chars().count();
        if end <= width && (force || taken[x.saturating_sub(1)..(end + 1).min(width)].iter().all(|t| !t)) {
            taken[x..end].fill(true);
            let place = Rect { x: area.x + x as u16, width: area.width - x as u16, ..area };
            put(buf, place, 0, &Line::from(Span::styled(text.to_owned(), style)));
        }
    };
    write(0, &left, dim, false, buf);
    write(width.saturating_sub(right.chars().count()), &right, dim, false, buf);
    if bins.from < 0.0 && bins.to > 0.0 {
        write(place(0.0, bins.from, bins.to, width), "0", dim, false, buf);
    }
    let channel = context.app.cursor().channel as usize;
    let (a, b) = aligned(focus);
    let value = |t: Option<&crate::trace::Tensor>| t.and_then(|t| t.values.get(channel)).copied();
    let marks = [(value(a.as_deref()), Role::Reference), (value(b.as_deref()), Role::Candidate)];
    let finite = |(value, role): (Option<f32>, Role)| value.filter(|v| v.is_finite()).map(|v| (v, role));
    for (value, role) in marks.into_iter().filter_map(finite) {
        write(place(value, bins.from, bins.to, width), "▲", theme.bold(role), true, buf);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_is_counted_once() {
        let a = [-1.0, -0.9, 0.0, 1.0, f32::NAN];
        let b = [2.0, f32::INFINITY, f32::NEG_INFINITY, f32::NAN, f32::MAX];
        let bins = Bins::new([Some(&a), Some(&b)], 10);
        for side in bins.sides.iter().flatten() {
            assert_eq!(side.bins.iter().sum::<u32>() as usize, side.finite);
            assert_eq!(side.finite + side.nan + side.infinite, 5);
        }
        let bins = Bins::new([Some(&a[..4]), None], 10);
        assert_eq!(bins.sides[0].as_ref().unwrap().bins, [2, 0, 0, 0, 0, 1, 0, 0, 0, 1]);
        assert_eq!((bins.height(0, 3), bins.height(2, 3), bins.most), (0, 24, 2));
    }

    #[test]
    fn one_value_and_none_have_an_axis_too() {
        for values in [&[][..], &[f32::NAN], &[3.0], &[0.0, 0.0], &[f32::MAX, f32::MIN], &[f32::MAX]] {
            let bins = Bins::new([Some(values), None], 7);
            assert!(bins.from < bins.to, "{values:?}");
            let most = bins.sides[0].as_ref().unwrap().bins.iter().sum::<u32>() as usize;
            assert_eq!(most, values.iter().filter(|v| v.is_finite()).count());
        }
    }
}
