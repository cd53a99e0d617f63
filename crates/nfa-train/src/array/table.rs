//! Tables of numbers, and the columns that are targets.

use serde::{Deserialize, Serialize};

use crate::array::error::{counted, listing, quoted};
use crate::array::{Array, ArrayError};

/// A table of finite numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    /// Names of the columns; empty without a header.
    pub names: Vec<String>,
    /// Number of rows, without the header.
    pub rows: usize,
    /// Number of columns.
    pub columns: usize,
    /// Entries in row-major order.
    pub values: Vec<f64>,
    /// For each column, whether all its entries are written as integers (`3`, not `3.0`).
    pub integer: Vec<bool>,
}

/// A column of a table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Column {
    /// From 0; negative from the end, so that -1 is the last.
    Index(i64),
    /// As in the header.
    Name(String),
}

impl From<i64> for Column {
    fn from(index: i64) -> Self {
        Column::Index(index)
    }
}

impl From<&str> for Column {
    fn from(name: &str) -> Self {
        Column::Name(name.into())
    }
}

impl Table {
    /// The index of a column.
    ///
    /// # Errors
    /// There is none, or more than one of that name.
    pub fn position(&self, column: &Column) -> Result<usize, ArrayError> {
        match column {
            Column::Index(index) => {
                let from_start = if *index < 0 { self.columns as i64 + index } else { *index };
                usize::try_from(from_start).ok().filter(|&index| index < self.columns).ok_or_else(|| {
                    ArrayError::new(
                        format!("column index {index}"),
                        format!("the table has {}", counted(self.columns, "column")),
                    )
                    .next("indices start at 0; negative ones count from the end, -1 is the last")
                })
            }
            Column::Name(name) => {
                let mut found = (0..self.names.len()).filter(|&index| self.names[index] == *name);
                let wrong = |problem: &str| ArrayError::new(format!("column {}", quoted(name)), problem);
                match (found.next(), found.next()) {
                    (Some(index), None) => Ok(index),
                    (Some(_), Some(_)) => {
                        Err(wrong("the header has several of that name").next("give the index, from 0"))
                    }
                    (None, _) if self.names.is_empty() => Err(wrong("the file has no header")
                        .next(format!("give the index, 0 to {}", self.columns.saturating_sub(1)))),
                    (None, _) => Err(wrong("no such column")
                        .next(format!("there are {}", listing(self.names.iter().map(String::as_str))))),
                }
            }
        }
    }

    /// Some columns, by index from 0: `[rows]` for a single one, else `[rows, columns]`. Indices
    /// beyond the table are left out.
    pub fn select(&self, columns: &[usize]) -> Array {
        let columns: Vec<usize> = columns.iter().copied().filter(|&column| column < self.columns).collect();
        let rows = self.values.chunks_exact(self.columns.max(1));
        let values = rows.flat_map(|row| columns.iter().map(|&column| row[column])).collect();
        let shape = if columns.len() == 1 { vec![self.rows] } else { vec![self.rows, columns.len()] };
        Array {
            shape,
            values,
            integer: columns.iter().all(|&column| self.integer.get(column) == Some(&true)),
            eps: f64::EPSILON,
        }
    }

    /// All columns.
    pub fn into_array(self) -> Array {
        let shape = if self.columns == 1 { vec![self.rows] } else { vec![self.rows, self.columns] };
        Array { shape, values: self.values, integer: self.integer.iter().all(|&integer| integer), eps: f64::EPSILON }
    }

    /// `(inputs, targets)`: the columns that are no targets in the order of the file, and the
    /// targets in the order given.
    ///
    /// # Errors
    /// A column that is unknown or given twice; no column left on one of the sides.
    pub fn split(&self, targets: &[Column]) -> Result<(Array, Array), ArrayError> {
        let mut chosen = Vec::new();
        for target in targets {
            let index = self.position(target)?;
            if chosen.contains(&index) {
                return Err(ArrayError::new(format!("column index {index}"), "is a target twice").next("name it once"));
            }
            chosen.push(index);
        }
        let inputs: Vec<usize> = (0..self.columns).filter(|column| !chosen.contains(column)).collect();
        if inputs.is_empty() || chosen.is_empty() {
            let side = if inputs.is_empty() { "inputs" } else { "targets" };
            return Err(ArrayError::new(
                "columns",
                format!("none of {} is left for {side}", counted(self.columns, "column")),
            )
            .next("name some of the columns as targets, not all"));
        }
        Ok((self.select(&inputs), self.select(&chosen)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::array::csv::read;

    #[test]
    fn columns_by_name_and_index() {
        let table = read(b"a,b,c,b\n1,2,3,4\n5,6,7,8\n", None).expect("a table");
        let (inputs, targets) = table.split(&["c".into(), 0.into()]).expect("two targets");
        assert_eq!((inputs.shape, inputs.values), (vec![2, 2], vec![2.0, 4.0, 6.0, 8.0]));
        assert_eq!((targets.shape, targets.values), (vec![2, 2], vec![3.0, 1.0, 7.0, 5.0]));
        assert_eq!(table.position(&(-1).into()), Ok(3));
        for (targets, text) in [
            (&[Column::from("d")][..], "column \"d\": no such column; there are \"a\", \"b\", \"c\", \"b\""),
            (&["b".into()], "column \"b\": the header has several of that name; give the index, from 0"),
            (&[4.into()], "column index 4: the table has 4 columns; indices start at 0"),
            (&[(-5).into()], "column index -5: the table has 4 columns"),
            (&[i64::MIN.into()], "column index -9223372036854775808: the table has 4 columns"),
            (&["a".into(), (-4).into()], "column index 0: is a target twice"),
            (&[0.into(), 1.into(), 2.into(), 3.into()], "columns: none of 4 columns is left for inputs"),
            (&[], "columns: none of 4 columns is left for targets"),
        ] {
            let error = table.split(targets).expect_err(text).to_string();
            assert!(error.starts_with(text), "{error}");
        }
        let error = read(b"1,2\n", None).expect("no header").split(&["a".into()]).expect_err("a").to_string();
        assert_eq!(error, "column \"a\": the file has no header; give the index, 0 to 1");
    }

    #[test]
    fn columns_in_configuration_files() {
        let columns: Vec<Column> = serde_json::from_str("[\"a\", -1]").expect("columns");
        assert_eq!(columns, ["a".into(), (-1).into()]);
    }
}
