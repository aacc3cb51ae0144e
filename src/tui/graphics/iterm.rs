//! iTerm2's inline images (<https://iterm2.com/documentation-images.html>): a file in one sequence,
//! spread over cells. Writing over the cells takes it away.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{Picture, png};

/// Shows a picture at the cursor, over so many columns and lines; the cursor stays where it is.
pub fn show(picture: &Picture, [columns, lines]: [u16; 2]) -> Vec<u8> {
    let file = png::file(picture);
    format!(
        "\x1b]1337;File=size={};width={columns};height={lines};preserveAspectRatio=0;doNotMoveCursor=1;inline=1:{}\x07",
        file.len(),
        STANDARD.encode(&file)
    )
    .into_bytes()
}

#[cfg(test)]
mod tests {
    use super::super::picture::tests_support::{checkered, decoded_png};
    use super::*;

    #[test]
    fn the_file_in_the_sequence_is_the_picture() {
        let picture = checkered(5, 3);
        let sequence = String::from_utf8(show(&picture, [5, 3])).unwrap();
        let body = sequence.strip_prefix("\x1b]1337;File=").and_then(|s| s.strip_suffix('\x07')).unwrap();
        let (arguments, file) = body.split_once(':').unwrap();
        let file = STANDARD.decode(file).unwrap();
        let arguments: Vec<&str> = arguments.split(';').collect();
        for wanted in
            [&*format!("size={}", file.len()), "width=5", "height=3", "inline=1", "doNotMoveCursor=1"]
        {
            assert!(arguments.contains(&wanted), "{wanted} in {arguments:?}");
        }
        assert_eq!(decoded_png(&file), picture.rgb());
    }
}
