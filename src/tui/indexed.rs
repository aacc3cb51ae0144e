//! Colours of a terminal that has 256 of them.

use std::cell::RefCell;
use std::collections::HashMap;

use crate::palette::Rgb;

/// Steps of a channel in xterm's cube of 6 × 6 × 6 colours, its colours 16 to 231.
const LEVELS: [u8; 6] = [0, 95, 135, 175, 215, 255];
/// How much more a difference of hue counts than one of lightness or chroma. With 1, ramps of a single hue
/// wander off through teal and olive; from about 3 on they do not, and from about 6 on they fall to grey.
const HUE: f32 = 4.0;
/// Colours that are remembered: both scales, all roles, and what lies between.
const REMEMBERED: usize = 4096;

/// The one of xterm's colours 16 to 255 that looks most like `rgb`.
pub fn nearest(rgb: Rgb) -> u8 {
    thread_local! {
        static KNOWN: RefCell<HashMap<Rgb, u8>> = RefCell::default();
        static ALL: Vec<Lab> = (16..=255).map(|index| Lab::from(colour(index))).collect();
    }
    KNOWN.with_borrow_mut(|known| {
        if known.len() > REMEMBERED {
            known.clear();
        }
        *known.entry(rgb).or_insert_with(|| {
            let wanted = Lab::from(rgb);
            let distances = ALL.with(|all| all.iter().map(|c| wanted.distance(c)).collect::<Vec<f32>>());
            let (at, _) = distances.iter().enumerate().min_by(|a, b| a.1.total_cmp(b.1)).unwrap_or((0, &0.0));
            16 + at as u8
        })
    })
}

/// xterm's colour `index`, 16 to 255.
fn colour(index: u8) -> Rgb {
    match usize::from(index.saturating_sub(16)) {
        cube @ 0..216 => Rgb(LEVELS[cube / 36], LEVELS[cube / 6 % 6], LEVELS[cube % 6]),
        grey => {
            let level = 8 + 10 * (grey - 216) as u8;
            Rgb(level, level, level)
        }
    }
}

/// A colour in OKLab (Ottosson 2020), in which distances are those that are seen.
#[derive(Clone, Copy)]
struct Lab {
    lightness: f32,
    a: f32,
    b: f32,
}

impl Lab {
    fn distance(&self, other: &Self) -> f32 {
        let (a, b) = (self.a - other.a, self.b - other.b);
        let chroma = self.a.hypot(self.b) - other.a.hypot(other.b);
        let hue = (a * a + b * b - chroma * chroma).max(0.0);
        (self.lightness - other.lightness).powi(2) + chroma * chroma + HUE * hue
    }
}

impl From<Rgb> for Lab {
    fn from(rgb: Rgb) -> Self {
        let [r, g, b] = rgb.linear();
        let l = (0.412_221_47 * r + 0.536_332_55 * g + 0.051_445_995 * b).cbrt();
        let m = (0.211_903_5 * r + 0.680_699_5 * g + 0.107_396_96 * b).cbrt();
        let s = (0.088_302_46 * r + 0.281_718_85 * g + 0.629_978_7 * b).cbrt();
        Self {
            lightness: 0.210_454_26 * l + 0.793_617_8 * m - 0.004_072_047 * s,
            a: 1.977_998_5 * l - 2.428_592_2 * m + 0.450_593_7 * s,
            b: 0.025_904_037 * l + 0.782_771_77 * m - 0.808_675_77 * s,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::palette::{Ground, value_table};

    #[test]
    fn colours_of_the_cube_and_greys_map_to_themselves() {
        assert_eq!(nearest(Rgb(0, 0, 0)), 16);
        assert_eq!(nearest(Rgb(255, 255, 255)), 231);
        assert_eq!(nearest(Rgb(95, 135, 215)), 16 + 36 + 12 + 4);
        assert_eq!(nearest(Rgb(8, 8, 8)), 232);
        assert_eq!(nearest(Rgb(238, 238, 238)), 255);
        assert!((16..=255).all(|index| colour(nearest(colour(index))) == colour(index)));
    }

    #[test]
    fn the_scale_of_values_stays_blue_on_one_side_and_orange_on_the_other() {
        for ground in [Ground::Dark, Ground::Light] {
            let table = value_table(ground);
            for (at, &rgb) in table.iter().enumerate() {
                let Rgb(r, g, b) = colour(nearest(rgb));
                let grey = r == g && g == b;
                let fits = if at < table.len() / 2 { b > r && b >= g } else { r > b && r >= g };
                assert!(grey || fits, "{ground:?} {at}: {rgb:?} became {:?}", Rgb(r, g, b));
            }
        }
    }
}
