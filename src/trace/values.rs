//! Values written as text: counting them without reading them, and reading them.

use memchr::{memchr, memchr_iter};

/// How many values the JSON array `array` (brackets included) holds. Counts commas; whether each
/// value is a number shows when it is read.
pub fn count(array: &[u8]) -> u64 {
    let empty = array.iter().all(|b| matches!(b, b'[' | b']' | b' ' | b'\t' | b'\r' | b'\n'));
    if empty { 0 } else { memchr_iter(b',', array).count() as u64 + 1 }
}

/// Reads a run of items divided by commas (the whole array, or a part of it that was cut at a
/// comma, without that comma), appending to `out`.
///
/// Numbers are rounded once, to the nearest f32; beyond its range they become infinite, so that
/// the ±1e308 some loggers write for infinities means that. NaN and infinities are taken bare, as
/// strings and in C's spellings; `null` is NaN, as JavaScript writes it. Brackets around items are
/// passed over: NumPy writes rows within rows.
///
/// `exact` becomes true when an item proves more precision than fixed decimals give: see
/// [`proves_precision`].
pub fn parse(text: &[u8], out: &mut Vec<f32>, exact: &mut bool) -> Result<(), String> {
    let mut at = 0;
    loop {
        at = opening(text, at);
        let (value, end) = item(&text[at..])
            .ok_or_else(|| format!("value {} is no number: `{}`", out.len(), excerpt(text, at)))?;
        if !*exact && value.is_finite() {
            *exact = proves_precision(&text[at..at + end]);
        }
        out.push(value);
        at = closing(text, at + end);
        match text.get(at) {
            None => return Ok(()),
            Some(b',') => at += 1,
            Some(_) => {
                return Err(format!(
                    "a comma was expected after value {}: `{}`",
                    out.len() - 1,
                    excerpt(text, at)
                ));
            }
        }
    }
}

fn opening(text: &[u8], mut at: usize) -> usize {
    while matches!(text.get(at), Some(b' ' | b'\t' | b'\r' | b'\n' | b'[')) {
        at += 1;
    }
    at
}

fn closing(text: &[u8], mut at: usize) -> usize {
    while matches!(text.get(at), Some(b' ' | b'\t' | b'\r' | b'\n' | b']')) {
        at += 1;
    }
    at
}

/// A few bytes for a message.
fn excerpt(text: &[u8], at: usize) -> String {
    let end = text.len().min(at + 16);
    String::from_utf8_lossy(&text[at..end]).into_owned()
}

/// One item at the start of `text`: its value and its length.
fn item(text: &[u8]) -> Option<(f32, usize)> {
    match text.first()? {
        b'"' => {
            let length = memchr(b'"', &text[1..])?;
            Some((word(text[1..=length].trim_ascii())?, length + 2))
        }
        b'n' if text.starts_with(b"null") => Some((f32::NAN, 4)),
        _ => {
            let (value, length) = fast_float2::parse_partial::<f32, _>(text).ok()?;
            let payload = nan_payload(&text[length..]).filter(|_| value.is_nan()).unwrap_or(0);
            Some((value, length + payload))
        }
    }
}

/// The inside of a string: a number or a spelling of NaN or infinity.
fn word(text: &[u8]) -> Option<f32> {
    match item(text)? {
        (value, length) if length == text.len() && text[0] != b'"' => Some(value),
        _ => None,
    }
}

/// Length of the `(ind)` or `(0x…)` that C libraries put after `nan`.
fn nan_payload(text: &[u8]) -> Option<usize> {
    if text.first() != Some(&b'(') {
        return None;
    }
    let length = memchr(b')', text.get(..text.len().min(32))?)?;
    text[1..length].iter().all(u8::is_ascii_alphanumeric).then_some(length + 1)
}

/// Whether a number's text is longer than `%.6f` or six-digit exponents can make it: at least
/// eight significant digits, and either an exponent or seven decimals. Eight, because the shortest
/// text that gives an f32 back has seven to nine digits; the decimals, because `123.456789` has
/// nine digits and was yet cut at six decimals. Text whose every number falls short of this counts
/// as rounded.
fn proves_precision(number: &[u8]) -> bool {
    // `0.1234567` and `1.234567e0` are the shortest that could pass.
    if number.len() < 9 {
        return false;
    }
    let mantissa = number.iter().position(|b| matches!(b, b'e' | b'E')).unwrap_or(number.len());
    let decimals = memchr(b'.', &number[..mantissa]).map_or(0, |point| mantissa - point - 1);
    if decimals < 7 && mantissa == number.len() {
        return false;
    }
    let significant =
        number[..mantissa].iter().filter(|b| b.is_ascii_digit()).skip_while(|b| **b == b'0').count();
    significant >= 8
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<f32>, String> {
        let mut out = Vec::new();
        parse(text.as_bytes(), &mut out, &mut false).map(|()| out)
    }

    fn is_exact(text: &str) -> bool {
        let mut exact = false;
        parse(text.as_bytes(), &mut Vec::new(), &mut exact).unwrap();
        exact
    }

    #[test]
    fn numbers_are_rounded_once_and_keep_their_sign() {
        assert_eq!(
            read("[1, -2.5,3e2 ,1.0E-3,0,16777217]"),
            Ok(vec![1.0, -2.5, 300.0, 1e-3, 0.0, 16777216.0])
        );
        // Halfway between two f32 when first rounded to f64; the true value lies above the middle.
        assert_eq!(read("[1.00000005960464477540]").unwrap()[0].to_bits(), 1.0_f32.to_bits() + 1);
        assert_eq!(read("[-0.0]").unwrap()[0].to_bits(), (-0.0_f32).to_bits());
        assert_eq!(read("[1e-45]").unwrap()[0].to_bits(), 1);
    }

    #[test]
    fn every_spelling_of_what_is_not_finite_is_read() {
        for text in [
            "NaN",
            "nan",
            "-nan",
            "\"NaN\"",
            "\"nan\"",
            "null",
            "\"null\"",
            "nan(ind)",
            "-nan(ind)",
            "\"-nan(0x1)\"",
        ] {
            let values = read(&format!("[1,{text},2]")).unwrap_or_else(|e| panic!("{text}: {e}"));
            assert!(values[1].is_nan() && values[0] == 1.0 && values[2] == 2.0, "{text}");
        }
        for text in
            ["Infinity", "inf", "Inf", "+inf", "\"Infinity\"", "\"inf\"", "1e308", "\"1e308\"", "1e999"]
        {
            assert_eq!(read(&format!("[{text}]")), Ok(vec![f32::INFINITY]), "{text}");
            let minus = if text.starts_with('"') { format!("\"-{}", &text[1..]) } else { format!("-{text}") };
            if !text.starts_with('+') {
                assert_eq!(read(&format!("[{minus}]")), Ok(vec![f32::NEG_INFINITY]), "{minus}");
            }
        }
    }

    #[test]
    fn rows_within_rows_are_one_row() {
        assert_eq!(read("[[1,2],[3,4]]"), Ok(vec![1.0, 2.0, 3.0, 4.0]));
        assert_eq!(count(b"[[1,2],[3,4]]"), 4);
        assert_eq!([count(b"[]"), count(b"[ [] ]"), count(b"[7]"), count(b"[7, 8]")], [0, 0, 1, 2]);
    }

    #[test]
    fn what_is_no_number_is_named() {
        for text in [
            "[1,,2]",
            "[1,2,]",
            "[1 2]",
            "[x]",
            "[\"\"]",
            "[\"1]",
            "[true]",
            "[1,\"a\"]",
            "[\"\"1\"\"]",
            "[0x10]",
        ] {
            assert!(read(text).is_err(), "{text}");
        }
        assert_eq!(read("[1,bogus]"), Err("value 1 is no number: `bogus]`".to_owned()));
    }

    #[test]
    fn fixed_decimals_are_told_from_full_precision() {
        assert!(!is_exact("[0.123457,-12.345678,123.456789,0.000000]"), "%.6f");
        assert!(!is_exact("[1.23457e-05,0.5,2]"), "%g");
        assert!(!is_exact("[1e-06,0.5]"), "rounded by Python");
        assert!(is_exact("[0.5,0.12345678]"), "shortest f32");
        assert!(is_exact("[1.2345678e-5]"), "shortest f32");
        assert!(is_exact("[1.23456789e+01]"), "%.8e");
        assert!(is_exact("[0.10000000149011612]"), "an f64");
    }
}
