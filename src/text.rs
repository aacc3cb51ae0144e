//! Text that comes from files is data: it never reaches a terminal as control sequences.

use std::borrow::Cow;

/// `text` with everything that could move a cursor or change a terminal's state made visible:
/// newline as `⏎`, tab as `⇥`, other control, format and bidirectional characters as `\u{..}`.
pub fn safe(text: &str) -> Cow<'_, str> {
    if text.chars().all(is_plain) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match c {
            '\n' => out.push('⏎'),
            '\t' => out.push('⇥'),
            c if is_plain(c) => out.push(c),
            c => out.extend(c.escape_unicode()),
        }
    }
    Cow::Owned(out)
}

/// [`safe`], cut to `max` characters with an ellipsis.
pub fn safe_short(text: &str, max: usize) -> String {
    let cut: String = text.chars().take(max).collect();
    let more = cut.len() < text.len();
    let mut out = safe(&cut).into_owned();
    if more {
        out.push('…');
    }
    out
}

/// `json` with the same characters as JSON escapes: it reads as the same value. They occur in nothing but
/// its strings, and `json` must have no line breaks between its values.
pub fn safe_json(json: &str) -> Cow<'_, str> {
    if json.chars().all(is_plain) {
        return Cow::Borrowed(json);
    }
    let mut out = String::with_capacity(json.len() + 16);
    for c in json.chars() {
        if is_plain(c) {
            out.push(c);
        } else {
            out.extend(c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")));
        }
    }
    Cow::Owned(out)
}

fn is_plain(c: char) -> bool {
    let invisible = matches!(c,
        '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{FEFF}' | '\u{061C}' | '\u{FFF9}'..='\u{FFFB}' | '\u{E0000}'..='\u{E007F}');
    !c.is_control() && !invisible
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escaped_json_is_the_same_value() {
        let text = "\u{1b}\u{9b}31m\u{202e}\u{e0041}\n\"é🦙\u{7f}";
        let json = serde_json::to_string(text).unwrap();
        assert!(safe_json(&json).chars().all(is_plain));
        assert_eq!(serde_json::from_str::<String>(&safe_json(&json)).unwrap(), text);
    }

    #[test]
    fn escape_sequences_become_visible() {
        assert_eq!(safe("a\u{1b}[2Jb\n\u{9b}31m\u{202e}"), "a\\u{1b}[2Jb⏎\\u{9b}31m\\u{202e}");
        assert_eq!(safe("plain ▁text ü"), "plain ▁text ü");
        assert_eq!(safe_short("abcdef", 3), "abc…");
    }
}
