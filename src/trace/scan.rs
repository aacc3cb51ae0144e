//! A scanner for one JSON object on one line: finds the raw text of each field without building
//! values. Long arrays are skipped by searching for brackets, not by reading numbers.
//!
//! It is lenient inside values (bare `NaN`, whatever stands in skipped arrays) and strict about the
//! object around them, so that a torn or foreign line is told from a record.

use memchr::{memchr2, memchr3};

use super::limits::{MAX_DEPTH, MAX_QUOTE};

/// Why a line is no JSON object.
pub type Problem = &'static str;

/// Bytes of a string that are looked at one by one before the search for its end begins.
const SHORT: usize = 16;

/// Calls `field` with each key (between its quotes, escapes untouched) and the raw text of its value.
pub fn object<'a>(line: &'a [u8], mut field: impl FnMut(&'a [u8], &'a [u8])) -> Result<(), Problem> {
    let mut at = blank(line, 0);
    if line.get(at) != Some(&b'{') {
        return Err("not a JSON object");
    }
    at = blank(line, at + 1);
    if line.get(at) == Some(&b'}') {
        return nothing_after(line, at + 1);
    }
    loop {
        if line.get(at) != Some(&b'"') {
            return Err("a key was expected");
        }
        let end = string(line, at)?;
        let key = &line[at + 1..end - 1];
        at = blank(line, end);
        if line.get(at) != Some(&b':') {
            return Err("a colon was expected after a key");
        }
        at = blank(line, at + 1);
        let end = value(line, at)?;
        field(key, &line[at..end]);
        at = blank(line, end);
        match line.get(at) {
            Some(b',') => at = blank(line, at + 1),
            Some(b'}') => return nothing_after(line, at + 1),
            Some(_) => return Err("a comma was expected after a value"),
            None => return Err("the line breaks off"),
        }
    }
}

fn nothing_after(line: &[u8], at: usize) -> Result<(), Problem> {
    if blank(line, at) == line.len() { Ok(()) } else { Err("text after the object") }
}

/// The first byte from `at` on that is no JSON white space.
pub fn blank(text: &[u8], mut at: usize) -> usize {
    while matches!(text.get(at), Some(b' ' | b'\t' | b'\r' | b'\n')) {
        at += 1;
    }
    at
}

/// End of the value that starts at `at`.
fn value(text: &[u8], at: usize) -> Result<usize, Problem> {
    match text.get(at) {
        Some(b'"') => string(text, at),
        Some(b'[') => nested(text, at, b'[', b']'),
        Some(b'{') => nested(text, at, b'{', b'}'),
        Some(_) => scalar(text, at),
        None => Err("the line breaks off"),
    }
}

/// End of the string whose opening quote is at `at`.
fn string(text: &[u8], at: usize) -> Result<usize, Problem> {
    let mut at = at + 1;
    // Keys and names are short: a call to the search costs more than they do.
    for _ in 0..SHORT {
        match text.get(at) {
            Some(b'"') => return Ok(at + 1),
            Some(b'\\') | None => break,
            Some(_) => at += 1,
        }
    }
    while let Some(found) = text.get(at..).and_then(|rest| memchr2(b'"', b'\\', rest)) {
        at += found;
        if text[at] == b'"' {
            return Ok(at + 1);
        }
        at += 2;
    }
    Err("the line breaks off in a string")
}

/// End of a number or a word (`true`, `NaN`, `-Infinity`).
fn scalar(text: &[u8], at: usize) -> Result<usize, Problem> {
    let length = text[at..]
        .iter()
        .take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'+' | b'.'))
        .count();
    if length == 0 { Err("a value was expected") } else { Ok(at + length) }
}

/// End of the array or object that opens at `at`. Only the same kind of bracket is matched: the
/// other kind is balanced in anything a program wrote.
fn nested(text: &[u8], at: usize, open: u8, close: u8) -> Result<usize, Problem> {
    let mut depth = 1;
    let mut at = at + 1;
    while let Some(found) = memchr3(b'"', open, close, &text[at..]) {
        at += found;
        match text[at] {
            b'"' => at = string(text, at)?,
            b if b == open => {
                depth += 1;
                if depth > MAX_DEPTH {
                    return Err("brackets are nested too deeply");
                }
                at += 1;
            }
            _ => {
                depth -= 1;
                at += 1;
                if depth == 0 {
                    return Ok(at);
                }
            }
        }
    }
    Err("the line breaks off in a list or an object")
}

/// The number that `raw` spells in decimal digits, if it is one and fits.
pub fn whole_number(raw: &[u8]) -> Option<u64> {
    if raw.is_empty() {
        return None;
    }
    raw.iter().try_fold(0_u64, |sum, b| {
        let digit = b.wrapping_sub(b'0');
        if digit > 9 { None } else { sum.checked_mul(10)?.checked_add(u64::from(digit)) }
    })
}

/// A short piece of foreign text for a message.
pub fn quote(raw: &[u8]) -> String {
    String::from_utf8_lossy(&raw[..raw.len().min(MAX_QUOTE)]).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(line: &str) -> Result<Vec<(String, String)>, Problem> {
        let mut out = Vec::new();
        object(line.as_bytes(), |key, value| {
            out.push((
                String::from_utf8_lossy(key).into_owned(),
                String::from_utf8_lossy(value).into_owned(),
            ));
        })?;
        Ok(out)
    }

    #[test]
    fn fields_are_found_whatever_their_values() {
        let line =
            r#" { "a" : [1, "]", [2]] ,"b":"x\"}","c":{"d":[{}], "e":"}"},"f":NaN,"g":-1.5e+3, "h":null } "#;
        let expected = [
            ("a", r#"[1, "]", [2]]"#),
            ("b", r#""x\"}""#),
            ("c", r#"{"d":[{}], "e":"}"}"#),
            ("f", "NaN"),
            ("g", "-1.5e+3"),
            ("h", "null"),
        ];
        let expected: Vec<_> = expected.map(|(k, v)| (k.to_owned(), v.to_owned())).into();
        assert_eq!(fields(line), Ok(expected));
        assert_eq!(fields("{}"), Ok(Vec::new()));
    }

    #[test]
    fn what_is_no_object_is_refused() {
        for line in [
            "",
            " ",
            "[1]",
            "hello",
            "{",
            "{\"a\"",
            "{\"a\":",
            "{\"a\":1",
            "{\"a\":1,",
            "{\"a\":1,}",
            "{\"a\" 1}",
            "{a:1}",
            "{\"a\":[1,2}",
            "{\"a\":\"x}",
            "{\"a\":1} x",
            "{\"a\":1}{\"b\":2}",
            "{\"a\":}",
            "{\"a\":\"\\",
            "{\"a\":1 2}",
        ] {
            assert!(fields(line).is_err(), "{line:?}");
        }
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(100), "]".repeat(100));
        assert!(fields(&deep).is_err());
    }

    #[test]
    fn every_torn_object_is_told_from_a_whole_one() {
        let line = r#"{"a":[1.5,"NaN"],"b":"x\\","c":{"d":1},"e":12}"#;
        for cut in 0..line.len() {
            assert!(fields(&line[..cut]).is_err(), "{}", &line[..cut]);
        }
        assert!(fields(line).is_ok());
    }
}
