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
            if let Some(short) = short_decimal(text) {
                return Some(short);
            }
            let (value, length) = fast_float2::parse_partial::<f32, _>(text).ok()?;
            let payload = nan_payload(&text[length..]).filter(|_| value.is_nan()).unwrap_or(0);
            Some((value, length + payload))
        }
    }
}

/// A plain decimal of at most 18 digits in all, without exponent, followed by something that is no
/// part of a number: its value, rounded once to f32, and its length. Nearly every number of a trace
/// is one.
///
/// Digits and power of ten are exact in f64 then, so their quotient is rounded once, and rounding
/// it again to f32 is right unless it lies exactly in the middle between two f32; those, and what
/// is too small for a full mantissa, are left to the general way.
fn short_decimal(text: &[u8]) -> Option<(f32, usize)> {
    const POWERS: [f64; 19] = [
        1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17,
        1e18,
    ];
    /// The bits of an f64 mantissa that an f32 mantissa lacks, and what they are in the middle.
    const LOST: u64 = (1 << 29) - 1;
    const MIDDLE: u64 = 1 << 28;
    let negative = text.first() == Some(&b'-');
    let start = usize::from(negative);
    let (whole, at) = digits(text, start, 0);
    let (mantissa, end) = match text.get(at) {
        Some(b'.') => digits(text, at + 1, whole),
        _ => (whole, at),
    };
    let decimals = (end - at).saturating_sub(1);
    let has_exponent = matches!(text.get(end), Some(b'e' | b'E'));
    if at == start || at - start + decimals > 18 || has_exponent || mantissa >= 1 << 53 {
        return None;
    }
    let value = mantissa as f64 / POWERS.get(decimals)?;
    let normal = value == 0.0 || value >= f64::from(f32::MIN_POSITIVE);
    if !normal || value.to_bits() & LOST == MIDDLE {
        return None;
    }
    let value = value as f32;
    Some((if negative { -value } else { value }, end))
}

/// Adds the digits from `at` on to `number`; wraps beyond 19 digits in all.
fn digits(text: &[u8], mut at: usize, mut number: u64) -> (u64, usize) {
    while let Some(digit) = text.get(at).map(|b| b.wrapping_sub(b'0')).filter(|d| *d <= 9) {
        number = number.wrapping_mul(10).wrapping_add(u64::from(digit));
        at += 1;
    }
    (number, at)
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
    fn the_short_way_rounds_as_the_standard_library_does() {
        let check = |text: &str| {
            let expected = text.parse::<f32>().unwrap().to_bits();
            assert_eq!(read(&format!("[{text}]")).map(|v| v[0].to_bits()), Ok(expected), "{text}");
        };
        // The middle between two f32, a little beside it, limits of the short way, odd forms.
        for text in [
            "16777217",
            "16777219",
            "16777217.0000001",
            "16777216.9999999",
            "9007199254740993",
            "0.0",
            "-0",
            "999999999999999999",
            "9999999999999999999",
            "123456789.123456789",
            "0.000000000000000001",
            "1.",
            "007.50",
            "340282350000000000000000000000000000000",
            "1.17549435e-38",
            "3.4e38",
            "1e-46",
        ] {
            check(text);
        }
        let mut state = 1_u32;
        for _ in 0..20_000 {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let value = f32::from_bits(state);
            if value.is_finite() {
                check(&format!("{value:?}"));
                check(&format!("{value:.8e}"));
            }
            let small = f64::from(state as i32) / 1e8;
            check(&format!("{small:.6}"));
            check(&format!("{small:.9}"));
            // Exactly between two neighbours of 24 bits.
            check(&format!("{:.1}", f64::from(state | 0x0080_0000) + 0.5));
        }
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
            let minus = text.strip_prefix('"').map_or(format!("-{text}"), |rest| format!("\"-{rest}"));
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
