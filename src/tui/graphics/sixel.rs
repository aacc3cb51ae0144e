//! Sixels (DEC STD 070, chapter 9): bands of six rows, one pass over the band a colour. Writing over
//! the cells takes the picture away.

use std::io::Write as _;

use super::Picture;

/// Rows of a band.
const BAND: usize = 6;

/// Shows a picture at the cursor. Colours have the number of their place in the picture's table, so that
/// terminals whose pictures share their registers keep the older ones right.
pub fn show(picture: &Picture) -> Vec<u8> {
    let [width, height] = picture.size.map(|n| n as usize);
    let mut out = Vec::with_capacity(width * height / 4 + 4096);
    // Pixels without a colour stay as they are: the last band may reach below the picture.
    let _ = write!(out, "\x1bP0;1;0q\"1;1;{width};{height}");
    let mut used = [false; super::picture::COLORS];
    for &pixel in &picture.pixels {
        used[usize::from(pixel)] = true;
    }
    let percent = |channel: u8| (u32::from(channel) * 100 + 127) / 255;
    for (i, color) in picture.colors.iter().enumerate().filter(|(i, _)| used[*i]) {
        let _ = write!(out, "#{i};2;{};{};{}", percent(color.0), percent(color.1), percent(color.2));
    }
    // Of every colour, which of the band's six pixels have it; columns from the first to the last that have any.
    let mut passes: Vec<Vec<u8>> = vec![Vec::new(); picture.colors.len()];
    for (i, band) in picture.pixels.chunks(width.max(1) * BAND).enumerate() {
        if i > 0 {
            out.push(b'-');
        }
        for (bit, row) in band.chunks(width.max(1)).enumerate() {
            for (x, &pixel) in row.iter().enumerate() {
                let Some(pass) = passes.get_mut(usize::from(pixel)) else { continue };
                if pass.len() <= x {
                    pass.resize(x + 1, 0);
                }
                pass[x] |= 1 << bit;
            }
        }
        let mut first = true;
        for (color, pass) in passes.iter_mut().enumerate().filter(|(_, pass)| !pass.is_empty()) {
            if !first {
                out.push(b'$');
            }
            first = false;
            let _ = write!(out, "#{color}");
            for run in pass.chunk_by(|a, b| a == b) {
                repeat(&mut out, b'?' + run[0], run.len());
            }
            pass.clear();
        }
    }
    out.extend_from_slice(b"\x1b\\");
    out
}

/// One sixel, so many times, in the shortest form.
fn repeat(out: &mut Vec<u8>, sixel: u8, times: usize) {
    if times > 3 {
        let _ = write!(out, "!{times}");
        out.push(sixel);
    } else {
        out.extend(std::iter::repeat_n(sixel, times));
    }
}

#[cfg(test)]
mod tests {
    use super::super::picture::tests_support::{checkered, noisy};
    use super::*;
    use crate::palette::Rgb;

    /// A decoder: width, height, and the colours in percent.
    fn decoded(bytes: &[u8]) -> (usize, usize, Vec<Option<[u32; 3]>>) {
        let text = std::str::from_utf8(bytes).unwrap();
        let body = text.strip_prefix("\x1bP0;1;0q\"").and_then(|s| s.strip_suffix("\x1b\\")).unwrap();
        let mut at = body.chars().peekable();
        let numbers = |at: &mut std::iter::Peekable<std::str::Chars<'_>>| {
            let mut all = vec![0u32];
            while let Some(c) = at.next_if(|c| c.is_ascii_digit() || *c == ';') {
                match c.to_digit(10) {
                    Some(digit) => *all.last_mut().unwrap() = all.last().unwrap() * 10 + digit,
                    None => all.push(0),
                }
            }
            all
        };
        let raster = numbers(&mut at);
        let (width, height) = (raster[2] as usize, raster[3] as usize);
        let (mut registers, mut color) = (vec![None; 256], 0);
        let mut pixels = vec![None; width * height];
        let (mut x, mut y) = (0, 0);
        while let Some(c) = at.next() {
            let (times, c) = match c {
                '!' => (numbers(&mut at)[0] as usize, at.next().unwrap()),
                c => (1, c),
            };
            match c {
                '#' => match numbers(&mut at)[..] {
                    [register] => color = register as usize,
                    [register, 2, r, g, b] => registers[register as usize] = Some([r, g, b]),
                    ref other => panic!("{other:?}"),
                },
                '$' => x = 0,
                '-' => (x, y) = (0, y + BAND),
                '?'..='~' => {
                    for _ in 0..times {
                        for bit in (0..BAND).filter(|bit| (c as u8 - b'?') >> bit & 1 == 1) {
                            assert!(x < width && y + bit < height, "outside of the picture");
                            pixels[(y + bit) * width + x] = registers[color];
                        }
                        x += 1;
                    }
                }
                other => panic!("{other:?}"),
            }
        }
        (width, height, pixels)
    }

    #[test]
    fn what_is_decoded_is_the_picture() {
        for picture in [checkered(5, 3), noisy(7, 2)] {
            let (width, height, pixels) = decoded(&show(&picture));
            assert_eq!([width as u32, height as u32], picture.size);
            for (found, wanted) in pixels.iter().zip(picture.rgb()) {
                // A percent of 255 is 2.55: what comes back is off by half of that at most.
                let found = found.expect("every pixel has a colour");
                let near = |percent: u32, channel: u8| (percent as f32 * 2.55 - channel as f32).abs() <= 1.3;
                assert!(
                    near(found[0], wanted.0) && near(found[1], wanted.1) && near(found[2], wanted.2),
                    "{found:?} for {wanted:?}"
                );
            }
        }
    }

    #[test]
    fn runs_are_short_and_unused_colours_are_left_out() {
        let picture = Picture {
            area: ratatui::layout::Rect::new(0, 0, 10, 1),
            size: [80, 7],
            colors: vec![Rgb(0, 0, 0), Rgb(255, 0, 128), Rgb(1, 1, 1)],
            pixels: vec![1; 560],
        };
        let text = String::from_utf8(show(&picture)).unwrap();
        assert_eq!(text, "\x1bP0;1;0q\"1;1;80;7#1;2;100;0;50#1!80~-#1!80@\x1b\\");
    }
}
