//! Scatter: every value of the tensor as a dot, the reference's across and the candidate's upwards. What
//! agrees lies on the diagonal; an exchange of channels, a sign, a factor each has a shape of its own.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use ratatui::text::Line;

use super::histogram::{place, range};
use super::{Context, frame, heading, put, span};
use crate::compare::Severity;
use crate::figures::figure;
use crate::palette;
use crate::session::Focus;
use crate::session::aligned;
use crate::tui::kinds::PaneKind;
use crate::tui::theme::{Role, Theme};

/// Dots of a braille character, by column and by row from the top.
const DOTS: [[u8; 4]; 2] = [[0x01, 0x02, 0x04, 0x40], [0x08, 0x10, 0x20, 0x80]];

/// One character of the picture.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Cell {
    dots: u8,
    count: u32,
    /// Dots of the diagonal.
    diagonal: u8,
}

/// The values as dots.
#[derive(Clone, Debug, PartialEq)]
struct Dots {
    cells: Vec<Cell>,
    width: usize,
    height: usize,
    from: f32,
    to: f32,
    /// Values that are not finite on either side.
    not_finite: usize,
    /// Values in characters that the diagonal does not touch.
    off: usize,
    most: u32,
}

impl Dots {
    fn new(reference: &[f32], candidate: &[f32], width: usize, height: usize) -> Self {
        let (from, to) = range(reference.iter().chain(candidate));
        let mut dots = Self {
            cells: vec![Cell::default(); width * height],
            width,
            height,
            from,
            to,
            not_finite: 0,
            off: 0,
            most: 0,
        };
        let (across, up) = (width * 2, height * 4);
        // From dot to dot that the diagonal touches: on to whichever side it leaves this one by.
        let (mut x, mut y) = (0, 0);
        while x < across && y < up {
            let (cell, bit) = dots.at(x, y);
            dots.cells[cell].diagonal |= bit;
            let (right, above) = ((x + 1) * up, (y + 1) * across);
            x += usize::from(right <= above);
            y += usize::from(above <= right);
        }
        for (&a, &b) in reference.iter().zip(candidate) {
            if !(a.is_finite() && b.is_finite()) {
                dots.not_finite += 1;
                continue;
            }
            let (cell, bit) = dots.at(place(a, from, to, across), place(b, from, to, up));
            let cell = &mut dots.cells[cell];
            cell.dots |= bit;
            cell.count += 1;
            dots.off += usize::from(cell.diagonal == 0 && a != b);
        }
        dots.most = dots.cells.iter().map(|cell| cell.count).max().unwrap_or(0);
        dots
    }

    /// The character and the dot in it of a place counted from the lower left.
    fn at(&self, x: usize, y: usize) -> (usize, u8) {
        let y = self.height * 4 - 1 - y;
        (y / 4 * self.width + x / 2, DOTS[x % 2][y % 4])
    }

    fn look(&self, theme: Theme, cell: Cell, off: Role) -> (char, Style) {
        let braille = |dots: u8| char::from_u32(0x2800 + u32::from(dots)).unwrap_or(' ');
        if cell.dots == 0 {
            let glyph = if cell.diagonal == 0 { ' ' } else { braille(cell.diagonal) };
            return (glyph, theme.style(Role::Line));
        }
        let style = if cell.diagonal == 0 {
            theme.bold(off)
        } else if theme.paints() {
            // Away from the ends of the scale, where dots would not be seen on one of the grounds.
            let share = f64::from(cell.count).ln_1p() / f64::from(self.most).ln_1p();
            Style::new().fg(theme.color(palette::magnitude(0.45 + 0.45 * share as f32)))
        } else {
            theme.style(Role::Good)
        };
        (braille(cell.dots), style)
    }
}

fn prepare(focus: &Focus, width: usize, height: usize) -> Option<Dots> {
    let (a, b) = aligned(focus);
    Some(Dots::new(&a?.values, &b?.values, width, height))
}

/// Draws it.
pub fn draw(context: Context<'_>, area: Rect, buf: &mut Buffer) {
    let (app, theme) = (context.app, context.theme);
    let title = heading(context, PaneKind::Scatter, "scatter");
    let right = Line::from(vec![
        span("ref → ", theme.style(Role::Reference)),
        span("cand ↑", theme.style(Role::Candidate)),
    ]);
    let inner = frame(context, PaneKind::Scatter, &title, Some(&right), area, buf);
    let shown = app.shown();
    let dim = theme.style(Role::Dim);
    if inner.height < 3 || inner.width < 8 {
        return;
    }
    let picture = Rect { height: inner.height - 1, width: inner.width - 1, ..inner };
    let (width, height) = (picture.width as usize, picture.height as usize);
    let dots = shown
        .any()
        .map(|focus| app.prepared().of(PaneKind::Scatter, [width, height], || prepare(focus, width, height)));
    let Some(dots) = dots.as_deref().and_then(Option::as_ref) else {
        return put(buf, inner, 0, &Line::from(span("both sides are needed for this", dim)));
    };
    // How far is too far is for the noise to say, not for the size of the picture.
    let beyond = shown.any().and_then(|focus| focus.severity).is_none_or(Severity::is_beyond_noise);
    let off = if beyond { Role::Bad } else { Role::Caution };
    for (i, &cell) in dots.cells.iter().enumerate() {
        let (glyph, style) = dots.look(*theme, cell, off);
        let at = (picture.x + (i % width) as u16, picture.y + (i / width) as u16);
        if let Some(cell) = buf.cell_mut(at) {
            cell.set_char(glyph).set_style(style);
        }
    }
    if let Some((x, y)) = shown.any().and_then(|focus| pointed(context, focus, dots))
        && let Some(cell) = buf.cell_mut((picture.x + x, picture.y + y))
    {
        cell.set_char('+').set_style(theme.bar(Role::Accent));
    }
    let mut foot = vec![span(&format!("{} … {}", figure(dots.from.into()), figure(dots.to.into())), dim)];
    if dots.off > 0 {
        let what = if inner.width < 40 { "off" } else { "off the diagonal" };
        foot.push(span(&format!("  {} {what}", dots.off), theme.bold(off)));
    }
    if dots.not_finite > 0 {
        foot.push(span(&format!("  × {} not finite", dots.not_finite), theme.bold(Role::Nonfinite)));
    }
    put(buf, inner, inner.height - 1, &Line::from(foot));
    if !shown.is_current() {
        buf.set_style(inner, Style::new().add_modifier(Modifier::DIM));
    }
}

/// Where the cursor's channel is, counted from the upper left.
fn pointed(context: Context<'_>, focus: &Focus, dots: &Dots) -> Option<(u16, u16)> {
    let channel = context.app.cursor().channel as usize;
    let (a, b) = aligned(focus);
    let (a, b) = (*a?.values.get(channel)?, *b?.values.get(channel)?);
    if !(a.is_finite() && b.is_finite()) {
        return None;
    }
    let x = place(a, dots.from, dots.to, dots.width);
    let y = dots.height - 1 - place(b, dots.from, dots.to, dots.height);
    Some((x as u16, y as u16))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_values_lie_on_the_diagonal() {
        let values: Vec<f32> = (0..1000).map(|i| (i as f32 * 0.7).sin() * 3.0).collect();
        for (width, height) in [(1, 1), (20, 10), (7, 13), (60, 5)] {
            let dots = Dots::new(&values, &values, width, height);
            assert_eq!((dots.off, dots.not_finite), (0, 0), "{width}×{height}");
            assert_eq!(dots.cells.iter().map(|c| c.count).sum::<u32>(), 1000);
        }
    }

    #[test]
    fn what_differs_lies_off_it_and_what_is_not_finite_is_counted_apart() {
        let dots = Dots::new(&[-1.0, 1.0, f32::NAN, 0.0], &[-1.0, -1.0, 0.0, f32::INFINITY], 10, 10);
        assert_eq!((dots.off, dots.not_finite), (1, 2));
        assert_eq!(dots.cells[9 * 10 + 9].dots, DOTS[1][3], "reference across, candidate upwards");
        assert_eq!(Dots::new(&[], &[], 4, 4).most, 0);
    }
}
