//! Numbers as people read them.

use std::borrow::Borrow;

/// What stands for a value that is undefined.
pub(crate) const UNDEFINED: &str = "\u{2013}";

/// A number with `digits` significant digits; powers of ten (`3.4×10⁻⁵`) where decimals would be long.
pub(crate) fn sig(value: f64, digits: usize) -> String {
    scientific(value, digits).map_or_else(
        || plain(value, digits),
        |(mantissa, exponent)| format!("{mantissa}\u{d7}10{}", superscript(exponent)),
    )
}

/// The same in ASCII, for a terminal: `3.4e-5`.
pub(crate) fn ascii(value: f64, digits: usize) -> String {
    scientific(value, digits)
        .map_or_else(|| plain(value, digits), |(mantissa, exponent)| format!("{mantissa}e{exponent}"))
}

/// A misfit or one of its parts, to two digits: what is below 10⁻⁶ is rounding and is not spelled out.
pub(crate) fn misfit(value: f64) -> String {
    if value > 0.0 && value < 1e-6 { format!("< 10{}", superscript(-6)) } else { sig(value, 2) }
}

/// A misfit, or the mark of an undefined one.
pub(crate) fn maybe(value: Option<f64>) -> String {
    value.map_or_else(|| UNDEFINED.to_string(), misfit)
}

/// Fixed decimals, or the mark of an undefined value.
pub(crate) fn fixed(value: Option<f64>, decimals: usize) -> String {
    value.map_or_else(|| UNDEFINED.to_string(), |value| format!("{value:.decimals$}"))
}

/// Mantissa and exponent, where plain decimals would be long.
fn scientific(value: f64, digits: usize) -> Option<(String, i32)> {
    let magnitude = value.abs();
    if magnitude == 0.0 || (1e-4..1e5).contains(&magnitude) || !value.is_finite() {
        return None;
    }
    let text = format!("{value:.*e}", digits.saturating_sub(1));
    let (mantissa, exponent) = text.split_once('e')?;
    Some((mantissa.to_string(), exponent.parse().ok()?))
}

/// Plain decimals with `digits` significant digits.
fn plain(value: f64, digits: usize) -> String {
    if value == 0.0 {
        return "0".to_string();
    }
    if !value.is_finite() {
        return UNDEFINED.to_string();
    }
    #[allow(clippy::cast_possible_truncation)]
    let before = value.abs().log10().floor() as i32 + 1;
    let decimals = i32::try_from(digits).unwrap_or(3) - before;
    format!("{value:.*}", usize::try_from(decimals).unwrap_or(0))
}

/// An integer in superscript digits.
pub(crate) fn superscript(value: i32) -> String {
    const DIGITS: [char; 10] = ['⁰', '¹', '²', '³', '⁴', '⁵', '⁶', '⁷', '⁸', '⁹'];
    value
        .to_string()
        .chars()
        .map(|c| match c {
            '-' => '⁻',
            c => c.to_digit(10).and_then(|digit| DIGITS.get(digit as usize)).copied().unwrap_or(c),
        })
        .collect()
}

/// `1 run`, `2 runs`.
pub(crate) fn count(n: usize, noun: &str) -> String {
    if n == 1 { format!("1 {noun}") } else { format!("{n} {noun}s") }
}

/// `a`, `a and b`, `a, b and c`; beyond `most`, `a, b and 7 more`.
pub(crate) fn list<S: Borrow<str>>(items: &[S], most: usize) -> String {
    match items {
        [] => String::new(),
        [one] => one.borrow().to_string(),
        _ if items.len() > most && most > 0 => {
            format!("{} and {} more", items[..most].join(", "), items.len() - most)
        }
        [rest @ .., last] => format!("{} and {}", rest.join(", "), last.borrow()),
    }
}

/// A verdict as what a law does: `holds`, `is undetermined`.
pub(crate) fn verb(verdict: &str) -> String {
    let is = !["holds", "fails", "has "].iter().any(|start| verdict.starts_with(start));
    if is { format!("is {verdict}") } else { verdict.to_string() }
}

/// Verdicts with their counts: `holds in 3, is undetermined in 2 and fails in 1`.
pub(crate) fn verdicts(words: &[(&str, usize)]) -> String {
    let each: Vec<String> = words.iter().map(|(word, n)| format!("{} in {n}", verb(word))).collect();
    list(&each, 9)
}

/// Misfits as `0.0012`, or as `0.0012 to 0.4` where smallest and largest differ.
pub(crate) fn range(values: &[f64]) -> String {
    let lo = values.iter().copied().fold(f64::INFINITY, f64::min);
    let hi = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let (lo, hi) = (misfit(lo), misfit(hi));
    if lo == hi { lo } else { format!("{lo} to {hi}") }
}

/// The last part of a dotted key: `depth` of `model.depth`.
pub(crate) fn short(key: &str) -> &str {
    key.rsplit('.').next().unwrap_or(key)
}

/// A text of at most `most` characters.
pub(crate) fn clip(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_string();
    }
    let kept: String = text.chars().take(most.saturating_sub(1)).collect();
    format!("{kept}…")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_their_significant_digits() {
        assert_eq!(sig(0.333_333, 4), "0.3333");
        assert_eq!(sig(0.0, 3), "0");
        assert_eq!(sig(1234.5, 2), "1234");
        assert_eq!(sig(-3.4e-5, 2), "-3.4×10⁻⁵");
        assert_eq!(ascii(3.41e-5, 2), "3.4e-5");
        assert_eq!(sig(9.1e-4, 2), "0.00091");
        assert_eq!(sig(f64::NAN, 2), UNDEFINED);
    }

    #[test]
    fn lists_end_in_and() {
        let names: Vec<String> = ["a", "b", "c", "d"].map(String::from).to_vec();
        assert_eq!(list(&names, 9), "a, b, c and d");
        assert_eq!(list(&names, 2), "a, b and 2 more");
        assert_eq!(range(&[0.5, 1e-9]), "< 10⁻⁶ to 0.50");
    }
}
