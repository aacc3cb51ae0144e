//! A folded tensor as pixels: every cell its colour, and signs drawn over it for what colour alone must not tell.

use std::collections::HashMap;

use ratatui::layout::Rect;

use super::grid::Grid;
use crate::palette;
use crate::tui::graphics::{Dots, Picture, Pictures};
use crate::tui::theme::Theme;

/// Places in the table of colours.
const GROUND: u8 = 0;
const NONFINITE: u8 = 1;
const ACCENT: u8 = 2;
const MISSING: u8 = 3;
/// Colours before those of the scale.
const OWN: usize = 4;

/// Signs, seven by seven: `×`.
const CROSS: [u8; 7] = [0b1000001, 0b0100010, 0b0010100, 0b0001000, 0b0010100, 0b0100010, 0b1000001];
/// `∞`.
const INFINITY: [u8; 7] = [0b0000000, 0b0110110, 0b1001001, 0b1001001, 0b1001001, 0b0110110, 0b0000000];
/// Pixels of a sign, and of the field around it.
const SIGN: usize = 7;
const FIELD: usize = SIGN + 2;

/// Pixels while they are painted.
struct Canvas {
    size: [usize; 2],
    pixels: Vec<u8>,
}

impl Canvas {
    /// Fills what of a rectangle is on the canvas.
    fn fill(&mut self, [x, y]: [i64; 2], [width, height]: [usize; 2], color: u8) {
        let clip = |from: i64, len: usize, most: usize| {
            let on = |at: i64| at.clamp(0, most as i64) as usize;
            on(from)..on(from + len as i64)
        };
        let columns = clip(x, width, self.size[0]);
        for row in clip(y, height, self.size[1]) {
            self.pixels[row * self.size[0]..][columns.clone()].fill(color);
        }
    }

    /// The outline of a rectangle, `thick` pixels wide, outside of it.
    fn outline(&mut self, [x, y]: [i64; 2], [width, height]: [usize; 2], thick: usize, color: u8) {
        let t = thick as i64;
        let (w, h) = (width as i64, height as i64);
        for (at, size) in [
            ([x - t, y - t], [width + 2 * thick, thick]),
            ([x - t, y + h], [width + 2 * thick, thick]),
            ([x - t, y], [thick, height]),
            ([x + w, y], [thick, height]),
        ] {
            self.fill(at, size, color);
        }
    }
}

/// Where the cells of a picture are, in pixels.
struct Lattice {
    /// Dots of the picture, across and down.
    dots: [usize; 2],
    /// Dots of a cell.
    zoom: [usize; 2],
    /// Pixels of the picture.
    size: [usize; 2],
}

impl Lattice {
    /// The cell that a pixel belongs to.
    fn cell(&self, axis: usize, pixel: usize) -> usize {
        pixel * self.dots[axis] / self.size[axis] / self.zoom[axis]
    }

    /// The pixels of a cell.
    fn pixels(&self, axis: usize, cell: usize) -> std::ops::Range<usize> {
        let first = |cell: usize| {
            (cell * self.zoom[axis] * self.size[axis]).div_ceil(self.dots[axis]).min(self.size[axis])
        };
        first(cell)..first(cell + 1)
    }

    fn rect(&self, (x, y): (usize, usize)) -> ([i64; 2], [usize; 2]) {
        let (across, down) = (self.pixels(0, x), self.pixels(1, y));
        ([across.start as i64, down.start as i64], [across.len().max(1), down.len().max(1)])
    }
}

/// The picture of a grid in `area`; `limit` is the magnitude at the ends of the scale, `pointed` the cell under the
/// cursor. Several values in a cell are folded already; every cell is a dot at least, so that none is lost.
pub(super) fn picture(
    grid: &Grid,
    theme: &Theme,
    limit: f32,
    pointed: Option<(usize, usize)>,
    area: Rect,
    pictures: &Pictures,
) -> Picture {
    let cell = pictures.cell();
    let size = [
        usize::from(area.width) * usize::from(cell.width),
        usize::from(area.height) * usize::from(cell.height),
    ];
    let Dots { across, down } = grid.plan().dots();
    let zoom = grid.zoom(area);
    let lattice = Lattice {
        dots: [usize::from(area.width) * across, usize::from(area.height) * down],
        zoom: [zoom.0, zoom.1],
        size,
    };
    // The scale has as many shades as there are colours for, and an odd number, so that zero has its own.
    let shades = (pictures.colors().saturating_sub(OWN + 1) | 1).clamp(3, 251);
    let roles = theme.roles;
    let table = palette::value_table(theme.ground);
    let mut colors = vec![roles.ground, roles.nonfinite, roles.accent, roles.missing];
    colors.extend((0..shades).map(|i| table[i * (palette::TABLE_LEN - 1) / (shades - 1)]));
    let shade = |value: f32| match palette::value_index(value, limit) {
        Some(i) => (OWN + (usize::from(i) * (shades - 1) + 127) / (palette::TABLE_LEN - 1)) as u8,
        None => NONFINITE,
    };
    let mut canvas = Canvas { size, pixels: Vec::with_capacity(size[0] * size[1]) };
    let columns: Vec<usize> = (0..size[0]).map(|x| lattice.cell(0, x)).collect();
    let mut row_before = None;
    for y in 0..size[1] {
        let row = lattice.cell(1, y);
        if row_before == Some(row) {
            // The same cells as one line of pixels higher.
            let start = canvas.pixels.len() - size[0];
            canvas.pixels.extend_from_within(start..);
            continue;
        }
        row_before = Some(row);
        canvas.pixels.extend(columns.iter().map(|&x| grid.at(x, row).map_or(GROUND, shade)));
    }
    missing(&mut canvas, grid, &lattice, pictures);
    signs(&mut canvas, grid, &lattice, usize::from(cell.width / 8).max(1));
    if let Some(at) = pointed {
        pointer(&mut canvas, lattice.rect(at), usize::from(cell.width / 8).max(1));
    }
    Picture { area, size: size.map(|n| n as u32), colors, pixels: canvas.pixels }
}

/// A dot in the middle of every character that stands for nothing.
fn missing(canvas: &mut Canvas, grid: &Grid, lattice: &Lattice, pictures: &Pictures) {
    let cell = pictures.cell();
    let (width, height) = (usize::from(cell.width), usize::from(cell.height));
    for y in (height / 2..canvas.size[1]).step_by(height) {
        for x in (width / 2..canvas.size[0]).step_by(width) {
            let at = (lattice.cell(0, x), lattice.cell(1, y));
            if at.0 < grid.columns && at.1 < grid.rows && grid.at(at.0, at.1).is_none() {
                canvas.fill([x as i64 - 1, y as i64 - 1], [2, 2], MISSING);
            }
        }
    }
}

/// A sign on every cell that is not finite, as large as can be read. Where they are dense, one stands for its
/// neighbours: all of them have the colour.
fn signs(canvas: &mut Canvas, grid: &Grid, lattice: &Lattice, scale: usize) {
    let field = FIELD * scale;
    let mut taken: HashMap<(i64, i64), [i64; 2]> = HashMap::new();
    for y in 0..grid.rows {
        for x in 0..grid.columns {
            let Some(glyph) = grid.at(x, y).and_then(palette::value_glyph) else { continue };
            let ([left, top], [width, height]) = lattice.rect((x, y));
            let within = |from: i64, len: usize, most: usize| {
                let middle = from + len as i64 / 2 - field as i64 / 2;
                middle.clamp(0, most.saturating_sub(field) as i64)
            };
            let at = [within(left, width, canvas.size[0]), within(top, height, canvas.size[1])];
            let tile = (at[0] / field as i64, at[1] / field as i64);
            let near = (-1..=1).flat_map(|dx| (-1..=1).map(move |dy| (tile.0 + dx, tile.1 + dy)));
            let overlaps = |other: &[i64; 2]| {
                (other[0] - at[0]).unsigned_abs() < field as u64
                    && (other[1] - at[1]).unsigned_abs() < field as u64
            };
            if near.filter_map(|tile| taken.get(&tile)).any(overlaps) {
                continue;
            }
            taken.insert(tile, at);
            canvas.fill(at, [field, field], NONFINITE);
            let bits = if glyph == '∞' { INFINITY } else { CROSS };
            for (row, bits) in bits.into_iter().enumerate() {
                for column in (0..SIGN).filter(|column| bits >> (SIGN - 1 - column) & 1 == 1) {
                    let pixel = |start: i64, n: usize| start + ((n + 1) * scale) as i64;
                    canvas.fill([pixel(at[0], column), pixel(at[1], row)], [scale, scale], GROUND);
                }
            }
        }
    }
}

/// A frame around the cell under the cursor, with a gap that sets it off from any colour.
fn pointer(canvas: &mut Canvas, ([x, y], [width, height]): ([i64; 2], [usize; 2]), scale: usize) {
    // Small cells get a frame that can be seen.
    let least = 5 * scale;
    let grown = |from: i64, len: usize| (from - (least.saturating_sub(len) / 2) as i64, len.max(least));
    let ((x, width), (y, height)) = (grown(x, width), grown(y, height));
    canvas.outline([x, y], [width, height], scale, GROUND);
    let gap = scale as i64;
    let [w, h] = [width + 2 * scale, height + 2 * scale];
    canvas.outline([x - gap, y - gap], [w, h], 2 * scale, ACCENT);
    canvas.outline([x - 3 * gap, y - 3 * gap], [w + 4 * scale, h + 4 * scale], scale, GROUND);
}

#[cfg(test)]
mod tests {
    use super::super::grid::{Plan, Room};
    use super::*;
    use crate::palette::Ground;
    use crate::tui::graphics::CellSize;
    use crate::tui::theme::Depth;

    const THEME: Theme = Theme::new(Depth::TrueColor, Ground::Dark);
    const AREA: Rect = Rect { x: 0, y: 0, width: 8, height: 4 };

    fn pictures() -> Pictures {
        Pictures::new(CellSize { width: 8, height: 16 }, 4, 256)
    }

    fn drawn(values: &[f32], columns: u32, pointed: Option<(usize, usize)>) -> (Grid, Picture) {
        let pictures = pictures();
        let room = Room { columns: 8, lines: 4, levels: pictures.levels(), dots: pictures.dots() };
        let shape = [columns, values.len() as u32 / columns];
        let plan = room.plan(|columns, rows| Plan::new(&shape, values.len(), columns, rows));
        let grid = Grid::new(plan, values.len(), |c| values[c]);
        let (width, height) = grid.extent(AREA);
        let area = Rect { width, height, ..AREA };
        let picture = picture(&grid, &THEME, 1.0, pointed, area, &pictures);
        assert!(picture.is_sound());
        (grid, picture)
    }

    /// Whether a sign's strokes are in the picture, with the field around them.
    fn has(picture: &Picture, sign: [u8; 7]) -> bool {
        let [width, height] = picture.size.map(|n| n as usize);
        let is_at = |x: usize, y: usize| {
            (0..FIELD * FIELD).all(|i| {
                let (row, column) = (i / FIELD, i % FIELD);
                let inside = (1..=SIGN).contains(&row) && (1..=SIGN).contains(&column);
                let set = inside && sign[row - 1] >> (SIGN - column) & 1 == 1;
                picture.pixels[(y + row) * width + x + column] == if set { GROUND } else { NONFINITE }
            })
        };
        (0..=height - FIELD).any(|y| (0..=width - FIELD).any(|x| is_at(x, y)))
    }

    #[test]
    fn what_is_not_finite_has_its_sign_however_small_its_cell_is() {
        for (columns, rows) in [(4, 2), (32, 32), (64, 256), (512, 512)] {
            for (odd, sign, other) in [(f32::NAN, CROSS, INFINITY), (f32::NEG_INFINITY, INFINITY, CROSS)] {
                let mut values = vec![0.5; columns * rows];
                assert!(!has(&drawn(&values, columns as u32, None).1, sign));
                // In the middle, and at the edge, where the sign does not fit around it.
                for place in [0, values.len() / 2 + columns / 2, values.len() - 1] {
                    values[place] = odd;
                    let (_, picture) = drawn(&values, columns as u32, None);
                    assert!(has(&picture, sign) && !has(&picture, other), "{columns}×{rows} at {place}");
                    values[place] = 0.5;
                }
            }
        }
        let (_, picture) = drawn(&vec![f32::NAN; 64 * 64], 64, None);
        assert!(has(&picture, CROSS), "signs that are dense do not hide each other");
    }

    #[test]
    fn the_worst_of_many_values_is_seen() {
        let mut values = vec![0.0; 512 * 512];
        values[300 * 512 + 77] = -1.0;
        let (grid, picture) = drawn(&values, 512, None);
        assert_eq!((grid.columns, grid.rows), (32, 32));
        let worst = picture.pixels.iter().filter(|&&pixel| usize::from(pixel) == OWN).count();
        assert_eq!(worst, 2 * 2, "a dot");
    }

    #[test]
    fn cells_are_as_wide_as_they_are_many_and_colours_are_those_of_the_scale() {
        let values: Vec<f32> = (0..8).map(|i| i as f32 / 4.0 - 1.0).collect();
        let (grid, picture) = drawn(&values, 4, None);
        assert_eq!(grid.extent(AREA), (8, 4));
        for (i, &value) in values.iter().enumerate() {
            let (x, y) = (i % 4 * 16 + 3, i / 4 * 32 + 3);
            let found = picture.colors[usize::from(picture.pixels[y * picture.size[0] as usize + x])];
            let exact = palette::value(value, 1.0, Ground::Dark);
            // 251 shades of 256: one step of the table off at most.
            let table = palette::value_table(Ground::Dark);
            let near = |place: usize| table[place.saturating_sub(1)..(place + 2).min(256)].contains(&found);
            assert!(table.iter().position(|&c| c == exact).is_some_and(near), "{value}: {found:?} {exact:?}");
        }
    }

    #[test]
    fn the_pointer_leaves_the_value_it_points_at() {
        let values = vec![0.25; 512 * 512];
        for at in [(0, 0), (31, 31), (9, 20)] {
            let (_, plain) = drawn(&values, 512, None);
            let (_, pointed) = drawn(&values, 512, Some(at));
            let place = (at.1 * 2 + 1) * 64 + at.0 * 2 + 1;
            assert_eq!(pointed.pixels[place], plain.pixels[place], "{at:?}");
            let accent = pointed.rgb().into_iter().filter(|&color| color == THEME.roles.accent).count();
            assert!(accent >= 10, "{at:?}: {accent}");
        }
    }
}
