//! The verdict as a block of text.

use super::canvas::{Area, Canvas};
use super::font::wrap;
use super::style::Style;
use crate::palette::Rgb;
use crate::wording::{Sentence, Tone};

/// Colour of a tone.
pub fn tone_color(tone: Tone, style: &Style) -> Rgb {
    let roles = style.roles();
    match tone {
        Tone::Good => roles.good,
        Tone::Caution => roles.caution,
        Tone::Bad => roles.bad,
        Tone::Plain => roles.text,
    }
}

/// Draws sentences, each on lines of its own, the first one bold. What does not fit is announced
/// by an ellipsis on the last line.
pub fn draw(canvas: &mut Canvas<'_>, area: Area, sentences: &[Sentence], style: &Style) {
    let columns = style.normal.columns_in(area.w);
    let line = style.normal.line();
    let fits = (area.h / line).max(0) as usize;
    if columns < 4 || fits == 0 {
        return;
    }
    let mut lines = Vec::new();
    for (i, sentence) in sentences.iter().enumerate() {
        for (part, text) in wrap(&sentence.text, columns.saturating_sub(2)).into_iter().enumerate() {
            let text = if part > 0 { format!("  {text}") } else { text };
            lines.push((text, tone_color(sentence.tone, style), i == 0));
        }
    }
    let cut = lines.len() > fits;
    lines.truncate(fits);
    if cut && let Some(last) = lines.last_mut() {
        last.0.push_str(" …");
    }
    for (row, (text, color, bold)) in lines.into_iter().enumerate() {
        let ink = style.ink(color);
        canvas.text(area.x, area.y + row as i32 * line, &text, if bold { ink.bold() } else { ink });
    }
}
