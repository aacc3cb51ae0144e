//! Figures as text and as JSON: one way for everything that prints one.

use serde_json::{Value, json};

/// A figure in three digits: `0.0123`, `12.3`, `1.23e-7`, `NaN`, `∞`.
pub fn figure(x: f64) -> String {
    let magnitude = x.abs();
    if x.is_nan() {
        "NaN".to_owned()
    } else if x.is_infinite() {
        if x > 0.0 { "∞".to_owned() } else { "-∞".to_owned() }
    } else if x == 0.0 {
        "0".to_owned()
    } else if !(0.001..9999.5).contains(&magnitude) {
        format!("{x:.2e}")
    } else {
        let before = magnitude.log10().floor() as i32;
        format!("{x:.*}", (2 - before).clamp(0, 5) as usize)
    }
}

/// How many of what: `1 cell`, `12 cells`.
pub fn count(n: usize, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

/// A share of 0 to 1: `62.0 %`, `<0.1 %`, `100 %`.
pub fn percent(share: f64) -> String {
    let percent = share * 100.0;
    if !percent.is_finite() {
        figure(percent)
    } else if percent > 0.0 && percent < 0.05 {
        "<0.1 %".to_owned()
    } else if percent > 99.95 && percent < 100.0 {
        ">99.9 %".to_owned()
    } else if percent == 0.0 || percent == 100.0 {
        format!("{percent:.0} %")
    } else {
        format!("{percent:.1} %")
    }
}

/// A probability: `.62`, `1.0`, `<.001`.
pub fn probability(p: f32) -> String {
    if p.is_nan() {
        "NaN".to_owned()
    } else if p > 0.0 && p < 0.0005 {
        "<.001".to_owned()
    } else if p >= 0.9995 {
        "1.00".to_owned()
    } else {
        format!("{p:.3}").trim_start_matches('0').to_owned()
    }
}

/// A cosine, with as many digits as its distance from 1 needs.
pub fn cosine(cosine: f64) -> String {
    let distance = (1.0 - cosine).abs();
    if !cosine.is_finite() {
        "NaN".to_owned()
    } else if distance > 0.0 && distance < 1e-4 {
        format!("1-{distance:.1e}")
    } else {
        format!("{cosine:.4}")
    }
}

/// A figure for JSON, which has no NaN and no infinity: they become strings.
pub fn number(value: f64) -> Value {
    serde_json::Number::from_f64(value).map_or_else(|| json!(value.to_string()), Value::Number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_three_digits_and_never_vanish() {
        let cases = [
            (0.0, "0"),
            (0.0123, "0.0123"),
            (1.0, "1.00"),
            (12.345, "12.3"),
            (214.4, "214"),
            (9999.0, "9999"),
            (1.2e5, "1.20e5"),
            (1.23e-7, "1.23e-7"),
            (-0.5, "-0.500"),
            (f64::NAN, "NaN"),
            (f64::NEG_INFINITY, "-∞"),
        ];
        for (x, text) in cases {
            assert_eq!(figure(x), text);
        }
        assert_eq!(probability(0.62), ".620");
        assert_eq!(probability(1e-9), "<.001");
        assert_eq!(probability(1.0), "1.00");
        for (share, text) in
            [(0.0, "0 %"), (0.624, "62.4 %"), (1e-9, "<0.1 %"), (1.0, "100 %"), (0.9999, ">99.9 %")]
        {
            assert_eq!(percent(share), text);
        }
        assert_eq!(cosine(0.984), "0.9840");
        assert_eq!(cosine(1.0 - 2e-9), "1-2.0e-9");
    }
}
