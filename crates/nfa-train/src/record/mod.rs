//! What one run leaves for programs to read: rows of named values, one per probe.
//!
//! The bytes are deterministic: no clock, shortest decimals that read back to the same `f64`,
//! an empty cell for what is undefined.

use std::collections::HashMap;
use std::fmt;

pub mod direction;
pub mod layout;
pub mod status;
pub mod theory;

/// One value of a row.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    /// Undefined there (a cosine of a zero matrix, a residual at step 0).
    Empty,
    /// A number, always finite.
    Number(f64),
    /// A word: a verdict, a reason, a rank rule.
    Text(String),
}

impl Cell {
    /// A number if it is finite, else [`Cell::Empty`]: a record holds no NaN.
    pub fn number(value: f64) -> Self {
        if value.is_finite() { Cell::Number(value) } else { Cell::Empty }
    }

    /// The number, if it is one.
    pub fn as_number(&self) -> Option<f64> {
        match self {
            Cell::Number(value) => Some(*value),
            _ => None,
        }
    }

    /// The text, if it is one.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Cell::Text(value) => Some(value),
            _ => None,
        }
    }

    fn parse(field: &str) -> Self {
        if field.is_empty() {
            return Cell::Empty;
        }
        match field.parse::<f64>() {
            Ok(value) if value.is_finite() => Cell::Number(value),
            _ => Cell::Text(field.to_string()),
        }
    }
}

impl From<Option<f64>> for Cell {
    fn from(value: Option<f64>) -> Self {
        value.map_or(Cell::Empty, Cell::number)
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cell::Empty => Ok(()),
            Cell::Number(value) => write!(f, "{}", decimal(*value)),
            Cell::Text(text) => f.write_str(text),
        }
    }
}

/// The shortest decimal that reads back to the same `f64`, with an exponent where plain digits
/// would be long.
pub fn decimal(value: f64) -> String {
    let magnitude = value.abs();
    if value != 0.0 && !(1e-4..1e16).contains(&magnitude) { format!("{value:e}") } else { format!("{value}") }
}

/// The rows of one run, in order of steps.
///
/// The first column is always `step`.
#[derive(Clone, Debug, Default)]
pub struct Record {
    columns: Vec<String>,
    index: HashMap<String, usize>,
    rows: Vec<Vec<Cell>>,
}

impl Record {
    /// An empty record with these columns.
    pub fn new(columns: Vec<String>) -> Self {
        let index = columns.iter().cloned().enumerate().map(|(i, name)| (name, i)).collect();
        Record { columns, index, rows: Vec::new() }
    }

    /// Reads the text of a `metrics.csv`.
    ///
    /// # Errors
    /// A ragged or unreadable row, with its line.
    pub fn from_csv(text: &str) -> Result<Self, csv::Error> {
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        let columns = reader.headers()?.iter().map(str::to_string).collect();
        let mut record = Record::new(columns);
        for row in reader.records() {
            record.rows.push(row?.iter().map(Cell::parse).collect());
        }
        Ok(record)
    }

    /// The names of the columns.
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// The number of rows.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are no rows yet.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Adds a row; it must have one cell a column.
    pub fn push(&mut self, row: Vec<Cell>) {
        debug_assert_eq!(row.len(), self.columns.len());
        self.rows.push(row);
    }

    /// The cell of a row (negative counts from the end) in a named column.
    pub fn cell(&self, row: isize, column: &str) -> Option<&Cell> {
        let row = if row < 0 { self.rows.len().checked_sub(row.unsigned_abs())? } else { row.unsigned_abs() };
        self.rows.get(row)?.get(*self.index.get(column)?)
    }

    /// The number there, if it is one.
    pub fn number(&self, row: isize, column: &str) -> Option<f64> {
        self.cell(row, column)?.as_number()
    }

    /// The text there, if it is one.
    pub fn text(&self, row: isize, column: &str) -> Option<&str> {
        self.cell(row, column)?.as_text()
    }

    /// The steps of the rows.
    pub fn steps(&self) -> Vec<f64> {
        (0..self.rows.len()).filter_map(|i| self.number(i.cast_signed(), "step")).collect()
    }

    /// (step, value) wherever a numeric column is defined.
    pub fn series(&self, column: &str) -> Vec<(f64, f64)> {
        (0..self.rows.len())
            .map(usize::cast_signed)
            .filter_map(|i| Some((self.number(i, "step")?, self.number(i, column)?)))
            .collect()
    }

    /// A CSV line (no header) of one row, with its line end.
    pub fn csv_row(cells: &[Cell]) -> String {
        csv_line(cells.iter().map(Cell::to_string))
    }

    /// The header line, with its line end.
    pub fn csv_header(&self) -> String {
        csv_line(self.columns.iter().cloned())
    }
}

/// One CSV line, quoted where needed, with its line end.
pub fn csv_line(fields: impl Iterator<Item = String>) -> String {
    let mut writer = csv::WriterBuilder::new().from_writer(Vec::new());
    // Writing to memory cannot fail.
    let _ = writer.write_record(fields);
    String::from_utf8(writer.into_inner().unwrap_or_default()).unwrap_or_default()
}
