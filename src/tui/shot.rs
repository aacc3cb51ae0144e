//! What is drawn on the screen as a picture's characters and colours.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier};
use unicode_width::UnicodeWidthStr as _;

use super::theme::Theme;
use crate::palette::Rgb;
use crate::plot::screenshot::{Cell, Screenshot};

/// The characters of `area`, drawn with `theme`, whose colours are exact.
pub fn screenshot(buf: &Buffer, area: Rect, theme: &Theme, title: String) -> Screenshot {
    let area = area.intersection(buf.area);
    let exact = |color: Color, other: Rgb| if let Color::Rgb(r, g, b) = color { Rgb(r, g, b) } else { other };
    let mut cells = Vec::with_capacity(usize::from(area.width) * usize::from(area.height));
    for y in area.top()..area.bottom() {
        let mut covered = 0;
        for x in area.left()..area.right() {
            let cell = &buf[(x, y)];
            let (mut ink, mut ground) =
                (exact(cell.fg, theme.roles.text), exact(cell.bg, theme.roles.ground));
            if cell.modifier.contains(Modifier::REVERSED) {
                (ink, ground) = (ground, ink);
            }
            if cell.modifier.contains(Modifier::DIM) {
                ink = ink.mix(ground, 0.4);
            }
            // What a wide character covers has no symbol of its own.
            let text = if covered > 0 { String::new() } else { cell.symbol().to_owned() };
            covered = if covered > 0 { covered - 1 } else { cell.symbol().width().saturating_sub(1) };
            let (bold, underlined) =
                (cell.modifier.contains(Modifier::BOLD), cell.modifier.contains(Modifier::UNDERLINED));
            cells.push(Cell { text, ink, ground, bold, underlined });
        }
    }
    Screenshot { title, ground: theme.ground, columns: area.width.into(), cells }
}
