//! A picture as PNG with a table of colours.

use super::Picture;

/// Pixels that are compressed well within a frame's time. The quick way takes a hundredth of the time and about
/// half as many bytes again.
const SMALL: usize = 1 << 18;

/// The file. A picture that [is sound](Picture::is_sound) can always be written.
pub(super) fn file(picture: &Picture) -> Vec<u8> {
    let mut out = Vec::new();
    let [width, height] = picture.size;
    let mut encoder = png::Encoder::new(&mut out, width, height);
    encoder.set_color(png::ColorType::Indexed);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_palette(picture.colors.iter().flat_map(|c| [c.0, c.1, c.2]).collect::<Vec<u8>>());
    // Rows repeat: against the one above, most of them are zeros.
    encoder.set_filter(png::FilterType::Up);
    let small = picture.pixels.len() <= SMALL;
    encoder.set_compression(if small { png::Compression::Default } else { png::Compression::Fast });
    let written = encoder.write_header().and_then(|mut writer| writer.write_image_data(&picture.pixels));
    debug_assert!(written.is_ok(), "{written:?}");
    out
}
