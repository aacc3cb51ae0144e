//! GPT-2's alphabet: a printable character for every byte, so that a vocabulary is text.
//!
//! Bytes that are printable in Latin-1 (`!` to `~`, `¡` to `¬`, `®` to `ÿ`) are themselves, the others
//! are U+0100 and up, in order.

use std::sync::LazyLock;

fn is_printable(byte: u8) -> bool {
    matches!(byte, b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff)
}

/// The bytes without a character of their own, in order.
fn others() -> impl Iterator<Item = u8> {
    (0..=255).filter(|&byte| !is_printable(byte))
}

/// The character of each byte.
static ALPHABET: LazyLock<[char; 256]> = LazyLock::new(|| {
    let mut chars = std::array::from_fn(|byte| char::from(byte as u8));
    for (byte, c) in others().zip('\u{100}'..) {
        chars[usize::from(byte)] = c;
    }
    chars
});

pub(super) fn encode(text: &str) -> String {
    text.bytes().map(|byte| ALPHABET[usize::from(byte)]).collect()
}

/// The byte that a character of the alphabet stands for.
pub(super) fn decode(c: char) -> Option<u8> {
    match u8::try_from(c) {
        Ok(byte) => Some(byte).filter(|&byte| is_printable(byte)),
        Err(_) => others().nth((c as usize).checked_sub(0x100)?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_has_a_printable_character_of_its_own() {
        for byte in 0..=255 {
            let c = ALPHABET[usize::from(byte)];
            assert_eq!(decode(c), Some(byte));
            assert!(!c.is_control() && !c.is_whitespace());
        }
        // The well-known ones of GPT-2's vocabulary.
        assert_eq!(encode(" \n\t"), "ĠĊĉ");
        assert_eq!(encode("é"), "Ã©");
        assert_eq!(decode('\u{144}'), None);
        assert_eq!(decode(' '), None);
    }
}
