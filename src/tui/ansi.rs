//! A drawn screen as text with colours: what a terminal shows when the text is printed.

use std::fmt::Write as _;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier};

/// The lines of `area` with SGR sequences (ECMA-48, 8.3.117); spaces at the ends of lines that have
/// no ground are left out.
pub fn text(buf: &Buffer, area: Rect) -> String {
    let area = area.intersection(buf.area);
    let mut out = String::new();
    for y in area.top()..area.bottom() {
        let line: Vec<_> = (area.left()..area.right()).map(|x| &buf[(x, y)]).collect();
        let blank = |cell: &ratatui::buffer::Cell| cell.symbol() == " " && cell.bg == Color::Reset;
        let used = line.iter().rposition(|cell| !blank(cell)).map_or(0, |last| last + 1);
        let mut style = None;
        let mut covered = 0;
        for cell in &line[..used] {
            // What a wide character covers has no symbol of its own.
            if covered > 0 {
                covered -= 1;
                continue;
            }
            covered = unicode_width::UnicodeWidthStr::width(cell.symbol()).saturating_sub(1);
            let own = (cell.fg, cell.bg, cell.modifier);
            if style != Some(own) {
                sequence(&mut out, own);
                style = Some(own);
            }
            out.push_str(cell.symbol());
        }
        if style.is_some_and(|style| style != (Color::Reset, Color::Reset, Modifier::empty())) {
            out.push_str("\x1b[0m");
        }
        out.push('\n');
    }
    out
}

fn sequence(out: &mut String, (fg, bg, modifier): (Color, Color, Modifier)) {
    out.push_str("\x1b[0");
    for (flag, code) in [
        (Modifier::BOLD, 1),
        (Modifier::DIM, 2),
        (Modifier::ITALIC, 3),
        (Modifier::UNDERLINED, 4),
        (Modifier::REVERSED, 7),
        (Modifier::CROSSED_OUT, 9),
    ] {
        if modifier.contains(flag) {
            let _ = write!(out, ";{code}");
        }
    }
    for (color, base) in [(fg, 30), (bg, 40)] {
        let _ = match color {
            Color::Reset => Ok(()),
            Color::Rgb(r, g, b) => write!(out, ";{};2;{r};{g};{b}", base + 8),
            Color::Indexed(i) => write!(out, ";{};5;{i}", base + 8),
            named => write!(out, ";{}", base + offset(named)),
        };
    }
    out.push('m');
}

/// Of one of the 16 colours: from black on; the bright ones come 60 later.
fn offset(color: Color) -> u8 {
    match color {
        Color::Black => 0,
        Color::Red => 1,
        Color::Green => 2,
        Color::Yellow => 3,
        Color::Blue => 4,
        Color::Magenta => 5,
        Color::Cyan => 6,
        Color::Gray => 7,
        Color::DarkGray => 60,
        Color::LightRed => 61,
        Color::LightGreen => 62,
        Color::LightYellow => 63,
        Color::LightBlue => 64,
        Color::LightMagenta => 65,
        Color::LightCyan => 66,
        Color::White => 67,
        // The default colour; the others were written in full.
        Color::Reset | Color::Rgb(..) | Color::Indexed(_) => 9,
    }
}

#[cfg(test)]
mod tests {
    use ratatui::style::Style;

    use super::*;

    #[test]
    fn runs_of_equal_style_share_a_sequence() {
        let mut buf = Buffer::empty(Rect::new(0, 0, 8, 2));
        buf.set_string(1, 0, "ab", Style::new().fg(Color::Rgb(1, 2, 3)).add_modifier(Modifier::BOLD));
        buf.set_string(3, 0, "界", Style::new().bg(Color::LightRed));
        assert_eq!(text(&buf, buf.area), "\x1b[0m \x1b[0;1;38;2;1;2;3mab\x1b[0;101m界\x1b[0m\n\n");
        assert_eq!(text(&buf, Rect::new(2, 0, 1, 1)), "\x1b[0;1;38;2;1;2;3mb\x1b[0m\n");
    }
}
