//! kitty's graphics protocol (<https://sw.kovidgoyal.net/kitty/graphics-protocol/>): a PNG in pieces,
//! with a number by which it is taken away again. It is put where the cursor is; or it is only lent, and
//! characters of the text show its pieces, so that whatever moves text (tmux) moves the picture too.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ratatui::buffer::{Buffer, CellDiffOption};
use ratatui::layout::Rect;
use ratatui::style::{Color, Style};

use super::{Picture, png};

/// Bytes of base64 in one sequence at most, a multiple of four (the specification's limit).
const PIECE: usize = 4096;

/// The character that stands for a piece of a picture.
const PLACEHOLDER: char = '\u{10eeee}';

/// Marks over the placeholder that count its row and column from 0, as ranges of characters: the first of
/// the specification's `rowcolumn-diacritics.txt`.
const COUNTERS: [(u32, u32); 60] = [
    (0x305, 0x305),
    (0x30d, 0x30e),
    (0x310, 0x310),
    (0x312, 0x312),
    (0x33d, 0x33f),
    (0x346, 0x346),
    (0x34a, 0x34c),
    (0x350, 0x352),
    (0x357, 0x357),
    (0x35b, 0x35b),
    (0x363, 0x36f),
    (0x483, 0x487),
    (0x592, 0x595),
    (0x597, 0x599),
    (0x59c, 0x5a1),
    (0x5a8, 0x5a9),
    (0x5ab, 0x5ac),
    (0x5af, 0x5af),
    (0x5c4, 0x5c4),
    (0x610, 0x617),
    (0x657, 0x65b),
    (0x65d, 0x65e),
    (0x6d6, 0x6dc),
    (0x6df, 0x6e2),
    (0x6e4, 0x6e4),
    (0x6e7, 0x6e8),
    (0x6eb, 0x6ec),
    (0x730, 0x730),
    (0x732, 0x733),
    (0x735, 0x736),
    (0x73a, 0x73a),
    (0x73d, 0x73d),
    (0x73f, 0x741),
    (0x743, 0x743),
    (0x745, 0x745),
    (0x747, 0x747),
    (0x749, 0x74a),
    (0x7eb, 0x7f1),
    (0x7f3, 0x7f3),
    (0x816, 0x819),
    (0x81b, 0x823),
    (0x825, 0x827),
    (0x829, 0x82d),
    (0x951, 0x951),
    (0x953, 0x954),
    (0xf82, 0xf83),
    (0xf86, 0xf87),
    (0x135d, 0x135f),
    (0x17dd, 0x17dd),
    (0x193a, 0x193a),
    (0x1a17, 0x1a17),
    (0x1a75, 0x1a7c),
    (0x1b6b, 0x1b6b),
    (0x1b6d, 0x1b73),
    (0x1cd0, 0x1cd2),
    (0x1cda, 0x1cdb),
    (0x1ce0, 0x1ce0),
    (0x1dc0, 0x1dc1),
    (0x1dc3, 0x1dc9),
    (0x1dcb, 0x1dcc),
];

/// The mark that counts to `n`, if there is one.
fn counter(n: u16) -> Option<char> {
    COUNTERS.iter().flat_map(|&(first, last)| first..=last).nth(usize::from(n)).and_then(char::from_u32)
}

/// Sends a picture and puts it at the cursor, over so many columns and lines; the cursor stays.
pub fn show(picture: &Picture, id: u8, [columns, lines]: [u16; 2]) -> Vec<u8> {
    sequences(&format!("a=T,f=100,t=d,i={id},p=1,c={columns},r={lines},C=1,q=2"), &png::file(picture))
}

/// Sends a picture for placeholders of so many columns and lines to show.
pub fn lend(picture: &Picture, id: u8, [columns, lines]: [u16; 2]) -> Vec<u8> {
    sequences(&format!("a=T,U=1,f=100,t=d,i={id},c={columns},r={lines},q=2"), &png::file(picture))
}

/// Takes a picture away and forgets its data.
pub fn remove(id: u8) -> Vec<u8> {
    format!("\x1b_Ga=d,d=I,i={id},q=2\x1b\\").into_bytes()
}

/// Whether placeholders can count to the end of an area of this size.
pub fn can_count(area: Rect) -> bool {
    area.width.max(area.height).checked_sub(1).is_some_and(|last| counter(last).is_some())
}

/// Fills a picture's place with the characters that show it. The colour of the text says which picture.
pub fn write_placeholders(area: Rect, id: u8, buf: &mut Buffer) {
    let area = area.intersection(buf.area);
    for (row, y) in (0..).zip(area.top()..area.bottom()) {
        for (column, x) in (0..).zip(area.left()..area.right()) {
            let marks = [counter(row), counter(column)];
            let symbol: String = [Some(PLACEHOLDER)].into_iter().chain(marks).flatten().collect();
            let style = Style::reset().fg(Color::Indexed(id));
            buf[(x, y)].set_symbol(&symbol).set_style(style).set_diff_option(CellDiffOption::None);
        }
    }
}

/// A file in as many sequences as it takes; the first says what is to be done with it.
fn sequences(what: &str, file: &[u8]) -> Vec<u8> {
    let text = STANDARD.encode(file);
    let mut out = Vec::with_capacity(text.len() + text.len() / PIECE * 16 + 100);
    let mut pieces = text.as_bytes().chunks(PIECE).peekable();
    let mut keys = format!("{what},");
    while let Some(piece) = pieces.next() {
        let more = u8::from(pieces.peek().is_some());
        out.extend_from_slice(format!("\x1b_G{keys}m={more};").as_bytes());
        out.extend_from_slice(piece);
        out.extend_from_slice(b"\x1b\\");
        "q=2,".clone_into(&mut keys);
    }
    out
}

#[cfg(test)]
mod tests {
    use unicode_width::UnicodeWidthStr;

    use super::super::picture::tests_support::{checkered, decoded_png, noisy};
    use super::*;

    /// The keys of the first sequence, and the file that all of them carry.
    fn received(bytes: &[u8]) -> (String, Vec<u8>) {
        let text = std::str::from_utf8(bytes).unwrap();
        let mut sequences = text.split_terminator("\x1b\\").map(|s| s.strip_prefix("\x1b_G").unwrap());
        let (mut keys, mut body, mut more) = (None, String::new(), true);
        for sequence in &mut sequences {
            assert!(more, "something follows the last piece");
            let (these, piece) = sequence.split_once(';').unwrap();
            assert!(piece.len() <= 4096 && piece.len().is_multiple_of(4));
            more = these.split(',').any(|key| key == "m=1");
            body.push_str(piece);
            keys.get_or_insert_with(|| these.to_owned());
        }
        assert!(!more, "the last piece says so");
        (keys.unwrap(), STANDARD.decode(body).unwrap())
    }

    #[test]
    fn the_file_in_the_pieces_is_the_picture() {
        for picture in [checkered(5, 3), noisy(40, 20), noisy(90, 30)] {
            let (keys, file) = received(&show(&picture, 77, [40, 20]));
            assert_eq!(keys.split(",m=").next(), Some("a=T,f=100,t=d,i=77,p=1,c=40,r=20,C=1,q=2"));
            assert_eq!(decoded_png(&file), picture.rgb());
            let (keys, file) = received(&lend(&picture, 9, [1, 2]));
            assert!(keys.starts_with("a=T,U=1,") && keys.contains(",i=9,c=1,r=2,"), "{keys}");
            assert_eq!(decoded_png(&file), picture.rgb());
        }
        assert!(show(&noisy(40, 20), 1, [40, 20]).len() > 4 * PIECE, "several pieces were tried");
    }

    #[test]
    fn placeholders_count_rows_and_columns() {
        // The specification's own example: the first two rows and columns.
        assert_eq!([0, 1, 2].map(counter), [Some('\u{305}'), Some('\u{30d}'), Some('\u{30e}')]);
        let known: Vec<char> = (0..).map_while(counter).collect();
        let mut sorted = known.clone();
        sorted.dedup();
        assert_eq!(known, sorted);
        assert!(can_count(Rect::new(0, 0, known.len() as u16, 1)));
        assert!(!can_count(Rect::new(0, 0, 1, known.len() as u16 + 1)));
        let mut buf = Buffer::empty(Rect::new(0, 0, 6, 4));
        write_placeholders(Rect::new(2, 1, 3, 2), 200, &mut buf);
        let cell = &buf[(4, 2)];
        assert_eq!(cell.symbol(), "\u{10eeee}\u{30d}\u{30e}");
        assert_eq!((cell.fg, cell.symbol().width()), (Color::Indexed(200), 1));
        assert_eq!(buf[(1, 1)].symbol(), " ");
    }
}
