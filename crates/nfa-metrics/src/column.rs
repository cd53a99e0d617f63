//! What the columns of a record mean: the words behind `list metrics` and `explain`.

/// Which way is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Better {
    /// Smaller is better.
    Lower,
    /// Larger is better.
    Higher,
    /// Neither: it describes.
    Neither,
}

/// What a column means.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct MetricInfo {
    /// The column, with `layer<i>` for each layer.
    pub name: String,
    /// In formulae.
    pub symbol: &'static str,
    /// Unit; "1" for pure numbers, "text" for words.
    pub unit: &'static str,
    /// Possible values: an interval as `[0, 1]` or `[0, inf)`, words otherwise.
    pub range: &'static str,
    /// Which way is good.
    pub better: Better,
    /// In a sentence.
    pub doc: &'static str,
    /// Where it is defined.
    pub reference: &'static str,
}

impl MetricInfo {
    /// The ends of its range as numbers; infinite where the range names none.
    pub fn bounds(&self) -> [f64; 2] {
        let end = |text: &str| text.trim().trim_matches(['[', ']', '(', ')']).parse::<f64>().ok();
        let (low, high) = self.range.split_once(',').unwrap_or((self.range, ""));
        // `0, 1, ...` is a count, and has no end.
        let high = end(high).filter(|_| self.range.starts_with(['[', '(']));
        [end(low).unwrap_or(f64::NEG_INFINITY), high.unwrap_or(f64::INFINITY)]
    }
}

/// Whether a column's name fits the pattern of an info.
pub fn describes(pattern: &str, column: &str) -> bool {
    match pattern.split_once('<') {
        None => pattern == column,
        Some((before, rest)) => {
            let Some(after) = column.strip_prefix(before) else { return false };
            let (_, pattern) = rest.split_once('>').unwrap_or(("", ""));
            // The placeholder is a number: digits, and what decimals are made of.
            let number = |c: char| c.is_ascii_digit() || matches!(c, '.' | 'e' | '-');
            let longest = after.find(|c| !number(c)).unwrap_or(after.len());
            (1..=longest).any(|length| describes(pattern, &after[length..]))
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::column::{Better, MetricInfo, describes};

    #[test]
    fn ranges_have_ends() {
        let bounds = |range| {
            let (name, symbol, unit, doc, reference) = (String::new(), "", "1", "", "");
            MetricInfo { name, symbol, unit, range, better: Better::Neither, doc, reference }.bounds()
        };
        let open = f64::INFINITY;
        assert_eq!(bounds("[0, 1]"), [0.0, 1.0]);
        assert_eq!(bounds("(0.001, 4]"), [0.001, 4.0]);
        assert_eq!(bounds("[0, inf)"), [0.0, open]);
        assert_eq!(bounds("(-inf, inf)"), [-open, open]);
        assert_eq!(bounds("[1, d]"), [1.0, open]);
        assert_eq!(bounds("0, 1, ..."), [0.0, open]);
        assert_eq!(bounds("holds | fails"), [-open, open]);
    }

    #[test]
    fn patterns_fit_numbers_only() {
        assert!(describes("nfa.alpha.layer<i>", "nfa.alpha.layer12"));
        assert!(describes("nfa.cosine@<alpha>.layer<i>", "nfa.cosine@0.25.layer3"));
        assert!(!describes("nfa.cosine@<alpha>.layer<i>", "nfa.cosine.layer3"));
        assert!(!describes("nfa.alpha.layer<i>", "nfa.alpha.layer"));
    }
}
