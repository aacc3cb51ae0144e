//! The most likely tokens of both sides: probabilities as bars, ranks joined by lines.

use std::fmt::Write as _;

use super::canvas::{Area, Canvas};
use super::font::fit;
use super::style::Style;
use crate::csv;
use crate::figures::probability;
use crate::palette::Rgb;

/// One line of the table.
#[derive(Clone, Debug, PartialEq)]
pub struct TopRow {
    /// Token id.
    pub token: u32,
    /// Its text, safe to show.
    pub text: String,
    /// Its logit.
    pub logit: f32,
    /// Its probability.
    pub probability: f32,
    /// Its rank on the other side, from 0.
    pub other_rank: Option<u32>,
}

/// The data of the picture.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TopKData {
    /// By the reference, most likely first.
    pub reference: Vec<TopRow>,
    /// By the candidate.
    pub candidate: Vec<TopRow>,
    /// Whether there is no candidate at all.
    pub alone: bool,
}

/// The rank's change as the candidate sees it: `=`, `▲2`, `▼1`, `new`.
fn change(rank: usize, other: Option<u32>) -> String {
    match other.map(|o| i64::from(o) - rank as i64) {
        None => "new".to_owned(),
        Some(0) => "=".to_owned(),
        Some(up) if up > 0 => format!("▲{up}"),
        Some(down) => format!("▼{}", -down),
    }
}

/// A token as it stands in quotes, so that spaces show; its id if it has no text.
fn quoted(row: &TopRow, room: usize) -> String {
    if row.text.is_empty() {
        return fit(&format!("#{}", row.token), room);
    }
    let inner = fit(&row.text, room.saturating_sub(2));
    format!("‘{inner}’")
}

impl TopKData {
    /// The data as CSV.
    pub fn csv(&self) -> String {
        let mut out = String::from("side,rank,token,text,logit,probability,rank_on_other_side\n");
        for (side, rows) in [("reference", &self.reference), ("candidate", &self.candidate)] {
            for (rank, row) in rows.iter().enumerate() {
                let other = row.other_rank.map_or(String::new(), |r| r.to_string());
                let text = csv::field(&row.text);
                let _ = writeln!(
                    out,
                    "{side},{rank},{},{text},{},{},{other}",
                    row.token, row.logit, row.probability
                );
            }
        }
        out
    }

    /// Draws both tables.
    pub fn draw(&self, canvas: &mut Canvas<'_>, area: Area, style: &Style) {
        let roles = style.roles();
        if self.reference.is_empty() && self.candidate.is_empty() {
            style.nothing(canvas, area, "no logits at this position");
            return;
        }
        let unit = style.unit();
        let (head, body) = area.split_top(style.normal.line() + unit / 2);
        let most = self.reference.len().max(self.candidate.len()) as i32;
        let height = (body.h / most.max(1)).clamp(style.normal.line(), style.normal.line() * 2);
        let shown = (body.h / height.max(1)).clamp(0, most) as usize;
        let middle = (area.w / 10).clamp(unit * 3, unit * 14);
        let side = (area.w - middle) / 2;
        let left = Area::new(body.x, body.y, if self.alone { body.w } else { side }, body.h);
        let right = Area::new(body.right() - side, body.y, side, body.h);
        let finite = |rows: &[TopRow]| {
            rows.iter().map(|r| r.probability).filter(|p| p.is_finite()).fold(0.0, f32::max)
        };
        let scale = finite(&self.reference).max(finite(&self.candidate)).max(1e-6);
        canvas.text(left.x, head.y, "reference", style.ink(roles.reference));
        if !self.alone {
            canvas.text(right.x, head.y, "candidate", style.ink(roles.candidate));
        }
        let sides = [(left, &self.reference, roles.reference), (right, &self.candidate, roles.candidate)];
        for (part, rows, color) in sides.into_iter().take(if self.alone { 1 } else { 2 }) {
            if rows.is_empty() {
                style.nothing(canvas, part, "no logits");
            }
            for (rank, row) in rows.iter().take(shown).enumerate() {
                let line = Area::new(part.x, part.y + rank as i32 * height, part.w, height);
                let note = (color == roles.candidate).then(|| change(rank, row.other_rank));
                draw_row(canvas, line, row, scale, color, note, style);
            }
        }
        if self.candidate.is_empty() {
            return;
        }
        self.draw_links(canvas, (left.right(), right.x), body.y, height, shown, style);
    }

    /// A line from each of the reference's tokens to the same token of the candidate.
    fn draw_links(
        &self,
        canvas: &mut Canvas<'_>,
        (from, to): (i32, i32),
        top: i32,
        height: i32,
        shown: usize,
        style: &Style,
    ) {
        let roles = style.roles();
        let pad = style.unit() / 2;
        let y = |rank: usize| top + rank as i32 * height + height / 2;
        for (rank, row) in self.reference.iter().take(shown).enumerate() {
            let start = (from + pad, y(rank));
            let other = self.candidate.iter().take(shown).position(|c| c.token == row.token);
            if let Some(other) = other {
                let color = if other == rank { roles.line } else { roles.caution };
                let end = (to - pad, y(other));
                canvas.path(&[start, end], style.stroke(), color);
            } else {
                // Red: the candidate's list lacks it; grey: it stands below what is shown.
                let color = if row.other_rank.is_some() { roles.dim } else { roles.bad };
                canvas.circle(start, (style.unit() / 3).max(2) as u32, 0, color);
            }
        }
    }
}

fn draw_row(
    canvas: &mut Canvas<'_>,
    area: Area,
    row: &TopRow,
    scale: f32,
    color: Rgb,
    change: Option<String>,
    style: &Style,
) {
    let roles = style.roles();
    let unit = style.unit();
    let y = area.y + (area.h - style.normal.line()) / 2;
    let token_w = (area.w * 2 / 5).min(unit * 24);
    let figure_w = style.normal.width("<.000") + unit / 2;
    let change_w = if change.is_some() { style.normal.width("▲000") } else { 0 };
    let room = style.normal.columns_in(token_w - unit);
    canvas.text(area.x, y, &quoted(row, room), style.ink(roles.text));
    let bar_room = (area.w - token_w - figure_w - change_w - unit).max(0);
    let share = if row.probability.is_finite() { (row.probability / scale).clamp(0.0, 1.0) } else { 0.0 };
    let thick = (style.normal.line() * 3 / 5).min(area.h - 2);
    let bar = Area::new(area.x + token_w, area.y + (area.h - thick) / 2, bar_room, thick);
    canvas.fill(bar, roles.panel.mix(roles.line, 0.45));
    canvas.fill(Area { w: ((bar.w as f32 * share).round() as i32).max(1), ..bar }, color);
    let p = probability(row.probability);
    let ink = style.ink(if row.probability.is_finite() { roles.text } else { roles.nonfinite });
    canvas.text_right(bar.right() + figure_w + unit / 2, y, &p, ink);
    if let Some(change) = change {
        let color = if change == "=" { roles.dim } else { roles.caution };
        canvas.text_right(area.right(), y, &fit(&change, 4), style.ink(color));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rank_changes_are_seen_from_the_candidate() {
        assert_eq!(change(0, Some(0)), "=");
        assert_eq!(change(0, Some(2)), "▲2");
        assert_eq!(change(3, Some(1)), "▼2");
        assert_eq!(change(3, None), "new");
    }
}
