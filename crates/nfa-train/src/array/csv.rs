//! Tables of numbers as text.

use ::csv::{ByteRecord, Position, ReaderBuilder, Trim};

use crate::array::ArrayError;
use crate::array::error::{counted, quoted};
use crate::array::table::Table;

/// Reads a table. The delimiter is the first of tab, `;`, `,` and space that cuts the first lines
/// into equally many fields, unless given.
///
/// The first row is a header if it has a word in it and is otherwise words, unsigned integers
/// (as pandas names columns) and blanks; one that counts 0, 1, 2, 3... could be either and is
/// refused. Blank lines, lines that start with `#` and a byte-order mark are skipped; lines end in
/// LF, CRLF or CR; fields may be in double quotes.
///
/// # Errors
/// The line (from 1), the column (from 1, with its name) and what is wrong: rows of different
/// lengths, missing values, text, NaN, infinity, numbers beyond `f64`.
pub fn read(bytes: &[u8], delimiter: Option<u8>) -> Result<Table, ArrayError> {
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        return Err(ArrayError::new("byte 0", "is text in UTF-16").next("save it as UTF-8"));
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut reader = ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .trim(Trim::All)
        .comment(Some(b'#'))
        .delimiter(delimiter.unwrap_or_else(|| sniff(bytes)))
        .from_reader(bytes);
    let mut table = Table { names: vec![], rows: 0, columns: 0, values: vec![], integer: vec![] };
    let mut record = ByteRecord::new();
    let mut first = true;
    loop {
        match reader.read_byte_record(&mut record) {
            Ok(true) => {}
            Ok(false) => break,
            Err(error) => {
                let place = format!("line {}", line(bytes, error.position()));
                return Err(ArrayError::new(place, error.to_string()).next("write the file again"));
            }
        }
        // A comment that ends with the file comes as a record without anything in it.
        if record.len() == 1 && record[0].is_empty() && start(bytes, record.position()) == bytes.len() {
            break;
        }
        if std::mem::take(&mut first) && begin(&mut table, &record, bytes)? {
            continue;
        }
        if record.len() != table.columns {
            return Err(ArrayError::new(
                format!("line {}", line(bytes, record.position())),
                format!("has {}, the lines before {}", counted(record.len(), "field"), table.columns),
            )
            .next("give every line the same number of fields"));
        }
        for (column, field) in record.iter().enumerate() {
            match number(field) {
                Ok((value, integer)) => {
                    table.values.push(value);
                    table.integer[column] &= integer;
                }
                Err((problem, step)) => {
                    let place = place(bytes, record.position(), column, &table);
                    return Err(ArrayError::new(place, problem).next(step));
                }
            }
        }
        table.rows += 1;
    }
    if table.rows == 0 {
        let problem = if table.names.is_empty() { "is empty" } else { "has a header but no rows" };
        return Err(ArrayError::new(format!("line {}", line(bytes, Some(reader.position()))), problem)
            .next("give at least one row of numbers"));
    }
    Ok(table)
}

/// Takes up the first row; whether it is a header.
fn begin(table: &mut Table, record: &ByteRecord, bytes: &[u8]) -> Result<bool, ArrayError> {
    table.columns = record.len();
    table.integer = vec![true; record.len()];
    if is_header(record) {
        table.names = record.iter().map(|name| String::from_utf8_lossy(name).into_owned()).collect();
        let Some(column) = table.names.iter().position(String::is_empty) else { return Ok(true) };
        let place = place(bytes, record.position(), column, table);
        return Err(ArrayError::new(place, "the column has no name in the header")
            .next("give it one; the row numbers that pandas adds are left out with to_csv(path, index=False)"));
    }
    if record.len() >= 4 && record.iter().enumerate().all(|(index, field)| field == index.to_string().as_bytes()) {
        let problem = "the first row counts from 0: names of columns, or data?";
        return Err(ArrayError::new(place(bytes, record.position(), 0, table), problem).next(
            "give the columns names with letters, or no header (to_csv(path, header=False)); as data, write 0.0",
        ));
    }
    Ok(false)
}

/// The value of a field and whether it is written as an integer; or what is wrong and what to do.
fn number(field: &[u8]) -> Result<(f64, bool), (String, &'static str)> {
    let text = std::str::from_utf8(field).map_err(|_| ("is no UTF-8 text".to_string(), "save the file as UTF-8"))?;
    if text.is_empty() {
        return Err(("missing value".into(), "fill it in or drop the row"));
    }
    match text.parse::<f64>() {
        Ok(value) if value.is_finite() => {
            let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
            Ok((value, digits.bytes().all(|byte| byte.is_ascii_digit())))
        }
        Ok(_) if text.bytes().any(|byte| byte.is_ascii_digit()) => {
            Err((format!("{} is too large for a 64-bit float", quoted(text)), "scale the column"))
        }
        Ok(_) => Err((format!("{} is not a finite number", quoted(text)), "fill it in or drop the row")),
        Err(_) if has_thousands(text) => Err((
            format!(
                "{} is {} with a separator of thousands, or {} with a decimal comma",
                quoted(text),
                text.replace(',', ""),
                text.replacen(',', ".", 1)
            ),
            "write numbers with a decimal point and without separators",
        )),
        Err(_) if text.replace(',', ".").parse::<f64>().is_ok() => {
            Err((format!("{} is not a number", quoted(text)), "write decimals with a point, not a comma"))
        }
        Err(_) => {
            Err((format!("{} is not a number", quoted(text)), "write classes as numbers, and drop columns of text"))
        }
    }
}

/// Whether commas stand where those of thousands would.
fn has_thousands(text: &str) -> bool {
    let mut groups = text.trim_start_matches(['-', '+']).split('.').next().unwrap_or("").split(',');
    let digits = |group: &str| group.bytes().all(|byte| byte.is_ascii_digit());
    let first = groups.next().is_some_and(|group| (1..=3).contains(&group.len()) && digits(group));
    let rest: Vec<&str> = groups.collect();
    first && !rest.is_empty() && rest.iter().all(|group| group.len() == 3 && digits(group))
}

fn is_header(record: &ByteRecord) -> bool {
    let mut words = 0;
    for field in record {
        let text = String::from_utf8_lossy(field);
        if number(field).is_ok() {
            if !field.iter().all(u8::is_ascii_digit) {
                return false;
            }
        } else if text.parse::<f64>().is_ok()
            || ["na", "n/a", "null", "none"].contains(&text.to_ascii_lowercase().as_str())
        {
            // A missing value, or a number that is too large.
            return false;
        } else if text.starts_with(|first: char| first.is_alphabetic() || first == '_') {
            words += 1;
        } else if text.starts_with(|first: char| first.is_ascii_digit() || ".+-".contains(first)) {
            // A number with a mistake in it is an error, not a name.
            return false;
        }
    }
    words > 0
}

/// The first of the usual delimiters that cuts the first lines into equally many fields, else the
/// most frequent one in the first line.
fn sniff(bytes: &[u8]) -> u8 {
    const CANDIDATES: [u8; 4] = *b"\t;, ";
    const LINES: usize = 16;
    let lines = bytes.split(|byte| *byte == b'\n' || *byte == b'\r').map(<[u8]>::trim_ascii);
    let lines: Vec<&[u8]> = lines.filter(|line| !line.is_empty() && line[0] != b'#').take(LINES).collect();
    let count = |line: &[u8], delimiter: u8| {
        let mut quotes = false;
        line.iter()
            .filter(|&&byte| {
                quotes ^= byte == b'"';
                byte == delimiter && !quotes
            })
            .count()
    };
    let Some(first) = lines.first() else { return b',' };
    let regular = |delimiter: &u8| {
        let expected = count(first, *delimiter);
        expected > 0 && lines.iter().all(|line| count(line, *delimiter) == expected)
    };
    CANDIDATES.into_iter().find(regular).unwrap_or_else(|| {
        // Of equally frequent ones the first, so that text without any has a comma.
        let mut best = b',';
        for candidate in CANDIDATES {
            if count(first, candidate) > count(first, best) {
                best = candidate;
            }
        }
        best
    })
}

fn place(bytes: &[u8], position: Option<&Position>, column: usize, table: &Table) -> String {
    let line = line(bytes, position);
    match table.names.get(column) {
        Some(name) if !name.is_empty() => format!("line {line}, column {} ({})", column + 1, quoted(name)),
        _ => format!("line {line}, column {}", column + 1),
    }
}

fn ends_line(byte: u8) -> bool {
    byte == b'\n' || byte == b'\r'
}

/// Where the record that is read from `position` on starts: after blank lines and comments.
fn start(bytes: &[u8], position: Option<&Position>) -> usize {
    let start = position.map_or(0, |position| usize::try_from(position.byte()).unwrap_or(usize::MAX));
    let mut start = start.min(bytes.len());
    while let Some(&byte) = bytes.get(start) {
        if byte == b'#' {
            start += bytes[start..].iter().position(|&byte| ends_line(byte)).unwrap_or(bytes.len() - start);
        } else if ends_line(byte) {
            start += 1;
        } else {
            break;
        }
    }
    start
}

/// The line of that record, from 1.
fn line(bytes: &[u8], position: Option<&Position>) -> usize {
    let before = &bytes[..start(bytes, position)];
    let pairs = before.windows(2).filter(|pair| pair == b"\r\n").count();
    1 + before.iter().filter(|&&byte| ends_line(byte)).count() - pairs
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::array::Array;
    use crate::array::gzip;
    use crate::array::testing::*;
    use proptest::prelude::*;

    fn table(text: &str) -> Table {
        read(text.as_bytes(), None).expect(text)
    }

    #[test]
    fn delimiters_headers_and_line_ends() {
        for (text, names, columns) in [
            ("a,b\n1,2\n3,4\n", &["a", "b"][..], 2),
            ("a;b\r\n1;2\r\n3;4", &["a", "b"], 2),
            ("a\tb\r1\t2\r3\t4\r", &["a", "b"], 2),
            ("\u{feff}\"a\",\"b\"\n1,2\n3,4\n", &["a", "b"], 2),
            ("\"a;x\",\"b\"\n1,2\n3,4\n", &["a;x", "b"], 2),
            ("# made by hand\n\n1 2\n\n3 4\n", &[], 2),
            ("1, 2\n3, 4\n# last", &[], 2),
            ("1,1,2,3\n3,5,6,7\n", &[], 4),
            (" a , b \n 1 , 2 \n 3 , 4 \n", &["a", "b"], 2),
            ("0,1,y\n1,2,3\n3,4,5\n", &["0", "1", "y"], 3),
            ("\"1\",\"2\"\n\"3\",\"4\"", &[], 2),
            ("y\n1\n3\n", &["y"], 1),
            ("größe,_b\n1,2\n3,4\n", &["größe", "_b"], 2),
        ] {
            let table = table(text);
            assert_eq!((table.rows, table.columns), (2, columns), "{text:?}");
            assert_eq!(table.names, names, "{text:?}");
            assert_eq!((table.values[0], table.values[columns]), (1.0, 3.0), "{text:?}");
            assert!(table.integer.iter().all(|&integer| integer), "{text:?}");
        }
        let spaces = read(b"1 2\t3 4\n", Some(b'\t')).expect_err("given");
        assert_eq!(spaces.place(), "line 1, column 1");
    }

    #[test]
    fn numbers_as_people_write_them() {
        let table = table("1e-3,-.5,+7,2.,007,1E5,-0\n");
        assert_eq!(table.values, [1e-3, -0.5, 7.0, 2.0, 7.0, 1e5, -0.0]);
        assert_eq!(table.integer, [false, false, true, false, true, false, true]);
    }

    #[test]
    fn a_gzipped_file_with_bom_quotes_and_crlf() {
        let table = read(&gzip::unpack(TABLE).expect("gzip"), None).expect("table");
        assert_eq!(table.names, ["acid", "sugar", "class"]);
        assert_eq!(table.values, [7.5, -1e-3, 1.0, 8.0, 2.25, 0.0]);
        let (inputs, targets) = table.split(&["class".into()]).expect("class");
        assert_eq!(
            inputs,
            Array { shape: vec![2, 2], values: vec![7.5, -1e-3, 8.0, 2.25], integer: false, eps: f64::EPSILON }
        );
        assert_eq!(targets, Array { shape: vec![2], values: vec![1.0, 0.0], integer: true, eps: f64::EPSILON });
    }

    #[test]
    fn what_is_wrong_is_said_at_its_line_and_column() {
        for (text, error) in [
            ("a,b\n1,2\n\n# note\n3,x\n", "line 5, column 2 (\"b\"): \"x\" is not a number; write classes"),
            ("a,b\r\n1,2\r\n\r\n3,nan\r\n", "line 4, column 2 (\"b\"): \"nan\" is not a finite number; fill"),
            ("1,2\r3,1e999\r", "line 2, column 2: \"1e999\" is too large for a 64-bit float; scale"),
            ("1,2\n3,\n", "line 2, column 2: missing value; fill"),
            ("1,2\n3,NA\n", "line 2, column 2: \"NA\" is not a number"),
            ("1,-inf\n", "line 1, column 2: \"-inf\" is not a finite number"),
            ("1,1e999\n3,4\n", "line 1, column 2: \"1e999\" is too large"),
            ("5.1,setosa\n4.9,setosa\n", "line 1, column 2: \"setosa\" is not a number"),
            ("1.0.2,3\n3,4\n", "line 1, column 1: \"1.0.2\" is not a number"),
            ("1,5;2,5\n3,5;4,5\n", "line 1, column 1: \"1,5\" is not a number; write decimals with a point"),
            ("a,b\n1,2\n3\n", "line 3: has 1 field, the lines before 2; give every line"),
            ("a,b\n\"1\n\",2\n3,4,5\n", "line 4: has 3 fields"),
            ("a,b\n1,2\n3,\"4\n5,6\n", "line 3, column 2 (\"b\"): \"4\\n5,6\" is not a number"),
            (",a,b\n0,1,2\n", "line 1, column 1: the column has no name in the header; give it one; the row numbers"),
            ("", "line 1: is empty; give"),
            ("\n# only a comment", "line 2: is empty"),
            ("1,2\n# note\n3\n# last", "line 3: has 1 field"),
            ("0,1,2,3\n4,5,6,7\n", "line 1, column 1: the first row counts from 0"),
            ("a,b\n", "line 2: has a header but no rows"),
        ] {
            let got = read(text.as_bytes(), None).expect_err(text).to_string();
            assert!(got.starts_with(error), "{text:?}: {got}");
        }
        let error = read(b"1,2\n\xff,3\n", None).expect_err("bytes").to_string();
        assert!(error.starts_with("line 2, column 1: is no UTF-8 text; save"), "{error}");
        let error = read(b"\xff\xfe1\x00", None).expect_err("UTF-16").to_string();
        assert!(error.starts_with("byte 0: is text in UTF-16; save"), "{error}");
    }

    proptest! {
        #![proptest_config(config(1500))]

        #[test]
        fn a_damaged_table_is_read_or_refused(
            text in prop::sample::select(vec!["a,b\n1,2\n3,4\n", "\u{feff}a;b\r\n1.5;2\r\n\r\n\"3\";4\r\n", "# c\n1 2\n3 4", "1\t2\r3\t4\r"]),
            damages in damages(),
        ) {
            let result = read(&damaged(text.as_bytes(), &damages), None);
            if let Ok(table) = &result {
                prop_assert!(table.values.iter().all(|value| value.is_finite()));
                prop_assert_eq!(table.integer.len(), table.columns);
                prop_assert!(table.names.is_empty() || table.names.len() == table.columns);
            }
            consistent(result.map(Table::into_array))?;
        }

        #[test]
        fn any_text_is_read_or_refused(text in "[0-9a-c.,;\t\r\n\"# \\-+einf]{0,60}") {
            consistent(read(text.as_bytes(), None).map(Table::into_array))?;
        }

        /// What is written is read back to the bit, and an error names the line of the fault.
        #[test]
        fn written_and_read_back(
            rows in (1usize..5).prop_flat_map(|columns| prop::collection::vec(
                prop::collection::vec(any::<f64>().prop_filter("finite", |value| value.is_finite()), columns), 1..8)),
            delimiter in prop::sample::select(vec![",", ";", "\t", " "]),
            end in prop::sample::select(vec!["\n", "\r\n", "\r", "\n\n"]),
            fault in any::<prop::sample::Index>(),
        ) {
            let text = |rows: &[Vec<String>]| rows.iter().map(|row| row.join(delimiter) + end).collect::<String>();
            let mut fields: Vec<Vec<String>> =
                rows.iter().map(|row| row.iter().map(f64::to_string).collect()).collect();
            let array = read(text(&fields).as_bytes(), None).expect("a table").into_array();
            prop_assert_eq!(array.matrix(), (rows.len(), rows[0].len()));
            let bits = |values: &[f64]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
            prop_assert_eq!(bits(&array.values), bits(&rows.concat()));

            let (row, column) = (fault.index(rows.len()), fault.index(rows[0].len()));
            fields[row][column] = "0x1".into();
            let error = read(text(&fields).as_bytes(), None).expect_err("0x1 is no number");
            let line = 1 + row * if end == "\n\n" { 2 } else { 1 };
            prop_assert_eq!(error.place(), format!("line {line}, column {}", column + 1));
        }
    }
}
