//! Columns for people: numbers of a few digits, under headings.

/// Rows under headings, the first `left` columns flush left, the others right.
pub fn aligned(head: &[&str], rows: &[Vec<String>], left: usize) -> String {
    let wide = |column: usize| rows.iter().map(|row| row[column].len()).chain([head[column].len()]).max().unwrap_or(0);
    let widths: Vec<usize> = (0..head.len()).map(wide).collect();
    let line = |cells: &[&str]| {
        let cell = |(column, text): (usize, &&str)| match column < left {
            true => format!("{text:<width$}", width = widths[column]),
            false => format!("{text:>width$}", width = widths[column]),
        };
        let line = cells.iter().enumerate().map(cell).collect::<Vec<_>>().join("  ");
        format!("{}\n", line.trim_end())
    };
    let mut text = line(head);
    for row in rows {
        text.push_str(&line(&row.iter().map(String::as_str).collect::<Vec<_>>()));
    }
    text
}

/// Four digits, or whole numbers where there are more.
pub fn number(value: Option<f64>) -> String {
    match value {
        None => "-".into(),
        Some(0.0) => "0".into(),
        Some(v) if v.abs() >= 1e7 || v.abs() < 1e-3 => format!("{v:.2e}"),
        Some(v) if v.fract() == 0.0 => format!("{v}"),
        Some(v) => {
            let digits = 3 - v.abs().log10().floor().min(3.0) as i32;
            format!("{v:.0$}", digits.max(0) as usize)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_four_digits() {
        let shown = [0.012_346, 1.0, 1.5, 12.345, 187.3, 123_456.7, 2e9].map(|v| number(Some(v)));
        assert_eq!(shown, ["0.01235", "1", "1.500", "12.35", "187.3", "123457", "2.00e9"].map(String::from));
    }

    #[test]
    fn columns_line_up() {
        let rows = [vec!["a".to_string(), "10".into()], vec!["long".into(), "2".into()]];
        assert_eq!(aligned(&["x", "n"], &rows, 1), "x      n\na     10\nlong   2\n");
    }
}
