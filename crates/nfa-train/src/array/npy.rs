//! NumPy's `.npy` format, versions 1 to 3, of plain numbers.
//!
//! Reference: NumPy Enhancement Proposal 1, "A Simple File Format for NumPy Arrays", and
//! `numpy.lib.format`.

use crate::array::element::Element;
use crate::array::error::{counted, quoted};
use crate::array::{Array, ArrayError, entries};

/// The first bytes of every file.
pub(super) const MAGIC: &[u8] = b"\x93NUMPY";

/// Reads one array: booleans, integers of 8 to 64 bits, floats of 16 to 64, of either byte order,
/// in C or Fortran order. NaN and infinity are kept.
///
/// # Errors
/// What is wrong and at which byte.
pub fn read(bytes: &[u8]) -> Result<Array, ArrayError> {
    let (header, element, big, end) = head(bytes)?;
    let body = &bytes[end..];
    let place = format!("byte {}", header.shape_at);
    let count = entries(&header.shape).map_err(|error| error.within(place).next("write the file again"))?;
    let Some(expected) = count.checked_mul(element.width()) else {
        return Err(at(header.shape_at, format!("the sizes {:?} overflow", header.shape)).next("write the file again"));
    };
    if body.len() < expected {
        let (shape, kind) = (&header.shape, &header.kind);
        return Err(at(
            bytes.len(),
            format!("cut short: shape {shape:?} of type {kind:?} needs {expected} bytes, {} are there", body.len()),
        )
        .next("copy or write the file again"));
    }
    if body.len() > expected {
        return Err(at(end + expected, format!("{} more than the array", counted(body.len() - expected, "byte")))
            .next("save one array per file, or several with numpy.savez"));
    }
    let mut values = element.decode(body, big);
    if header.fortran {
        values = row_major(&values, &header.shape);
    }
    Ok(Array { shape: header.shape, values, integer: element.is_integer(), eps: element.eps() })
}

fn at(byte: usize, problem: impl Into<String>) -> ArrayError {
    ArrayError::new(format!("byte {byte}"), problem)
}

/// What stands before the numbers: the header, their type, whether its most significant byte comes first, and where they
/// begin.
fn head(bytes: &[u8]) -> Result<(Header, Element, bool, usize), ArrayError> {
    let Some(rest) = bytes.strip_prefix(MAGIC) else {
        return Err(at(0, "does not start with NumPy's magic bytes").next("write it with numpy.save"));
    };
    let (length, start): (usize, usize) = match rest {
        [1, _, a, b, ..] => (usize::from(u16::from_le_bytes([*a, *b])), 10),
        [2 | 3, _, a, b, c, d, ..] => (u32::from_le_bytes([*a, *b, *c, *d]) as usize, 12),
        [1..=3, ..] | [] => return Err(cut(bytes.len(), "its header length")),
        [other, ..] => {
            return Err(at(6, format!("unknown version {other} of the format")).next("write it with numpy.save"));
        }
    };
    let end = start.checked_add(length).filter(|&end| end <= bytes.len());
    let Some(end) = end else { return Err(cut(bytes.len(), "its header")) };
    let header = Parser { text: &bytes[start..end], at: 0, start }.header()?;
    let (element, big) = element(&header)?;
    Ok((header, element, big, end))
}

/// How many numbers a file claims to have, from its first bytes.
pub fn claimed(bytes: &[u8]) -> Option<usize> {
    entries(&head(bytes).ok()?.0.shape).ok()
}

fn cut(byte: usize, what: &str) -> ArrayError {
    at(byte, format!("ends inside {what}")).next("copy or write the file again")
}

/// The type, and whether its most significant byte comes first.
fn element(header: &Header) -> Result<(Element, bool), ArrayError> {
    let (order, kind) = header.kind.split_at_checked(1).unwrap_or(("", ""));
    let element = match kind {
        "b1" => Some(Element::Bool),
        "u1" => Some(Element::U8),
        "u2" => Some(Element::U16),
        "u4" => Some(Element::U32),
        "u8" => Some(Element::U64),
        "i1" => Some(Element::I8),
        "i2" => Some(Element::I16),
        "i4" => Some(Element::I32),
        "i8" => Some(Element::I64),
        "f2" => Some(Element::F16),
        "f4" => Some(Element::F32),
        "f8" => Some(Element::F64),
        _ => None,
    };
    match (order, element) {
        ("<" | ">", Some(element)) => return Ok((element, order == ">")),
        ("|", Some(element)) if element.width() == 1 => return Ok((element, false)),
        _ => {}
    }
    let what = match kind.bytes().next() {
        Some(b'O') => "is Python objects, not numbers",
        Some(b'U' | b'S' | b'a') => "is text, not numbers",
        Some(b'c') => "is complex",
        Some(b'V') => "is records, not numbers",
        Some(b'M' | b'm') => "is dates or times, not numbers",
        _ => "is not read",
    };
    Err(at(header.kind_at, format!("type {} {what}", quoted(&header.kind)))
        .next("save it as numbers, such as x.astype(\"float64\")"))
}

/// Column-major entries in row-major order.
fn row_major(values: &[f64], shape: &[usize]) -> Vec<f64> {
    let strides: Vec<usize> = shape
        .iter()
        .scan(1usize, |stride, &size| {
            let this = *stride;
            *stride = stride.saturating_mul(size);
            Some(this)
        })
        .collect();
    let mut index = vec![0; shape.len()];
    let mut from = 0;
    let mut out = Vec::with_capacity(values.len());
    for _ in 0..values.len() {
        out.push(values[from]);
        for axis in (0..shape.len()).rev() {
            index[axis] += 1;
            from += strides[axis];
            if index[axis] < shape[axis] {
                break;
            }
            from -= strides[axis] * shape[axis];
            index[axis] = 0;
        }
    }
    out
}

struct Header {
    kind: String,
    kind_at: usize,
    fortran: bool,
    shape: Vec<usize>,
    shape_at: usize,
}

/// A reader of the Python dictionary that NumPy writes:
/// `{'descr': '<f8', 'fortran_order': False, 'shape': (2, 3), }`.
struct Parser<'a> {
    text: &'a [u8],
    at: usize,
    /// Where the text starts in the file.
    start: usize,
}

impl Parser<'_> {
    fn header(mut self) -> Result<Header, ArrayError> {
        let (mut kind, mut fortran, mut shape) = (None, None, None);
        self.expect(b'{')?;
        while !self.take(b'}') {
            let (key, place) = (self.string()?, self.place());
            self.expect(b':')?;
            self.space();
            let value_at = self.place();
            let first = match key.as_str() {
                "descr" => kind.replace((self.kind()?, value_at)).is_none(),
                "fortran_order" => fortran.replace(self.boolean()?).is_none(),
                "shape" => shape.replace((self.shape()?, value_at)).is_none(),
                _ => return Err(at(place, format!("unknown key {} in the header", quoted(&key))).next(REWRITE)),
            };
            if !first {
                return Err(at(place, format!("the header has {key:?} twice")).next(REWRITE));
            }
            if !self.take(b',') {
                self.expect(b'}')?;
                break;
            }
        }
        self.space();
        if self.at < self.text.len() {
            return Err(self.wrong("the end of the header"));
        }
        let missing = |key: &str| at(self.start, format!("the header has no {key:?}")).next(REWRITE);
        let (kind, kind_at) = kind.ok_or_else(|| missing("descr"))?;
        let fortran = fortran.ok_or_else(|| missing("fortran_order"))?;
        let (shape, shape_at) = shape.ok_or_else(|| missing("shape"))?;
        Ok(Header { kind, kind_at, fortran, shape, shape_at })
    }

    fn place(&self) -> usize {
        self.start + self.at
    }

    fn wrong(&self, expected: &str) -> ArrayError {
        at(self.place(), format!("the header is damaged: expected {expected}")).next(REWRITE)
    }

    fn space(&mut self) {
        while self.text.get(self.at).is_some_and(u8::is_ascii_whitespace) {
            self.at += 1;
        }
    }

    /// Skips white space, then `byte` if it is next.
    fn take(&mut self, byte: u8) -> bool {
        self.space();
        let found = self.text.get(self.at) == Some(&byte);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, byte: u8) -> Result<(), ArrayError> {
        if self.take(byte) { Ok(()) } else { Err(self.wrong(&format!("`{}`", char::from(byte)))) }
    }

    fn string(&mut self) -> Result<String, ArrayError> {
        let quote = if self.take(b'"') {
            b'"'
        } else {
            self.expect(b'\'')?;
            b'\''
        };
        let rest = &self.text[self.at..];
        let Some(length) = rest.iter().position(|&byte| byte == quote) else {
            return Err(self.wrong("a closing quotation mark"));
        };
        self.at += length + 1;
        Ok(String::from_utf8_lossy(&rest[..length]).into_owned())
    }

    fn kind(&mut self) -> Result<String, ArrayError> {
        if self.take(b'[') {
            return Err(at(self.place() - 1, "the array has named fields, not plain numbers").next(
                "save its columns as one float array, such as numpy.lib.recfunctions.structured_to_unstructured(x)",
            ));
        }
        self.string()
    }

    fn boolean(&mut self) -> Result<bool, ArrayError> {
        let rest = &self.text[self.at..];
        for (word, value) in [(&b"True"[..], true), (b"False", false)] {
            if rest.starts_with(word) {
                self.at += word.len();
                return Ok(value);
            }
        }
        Err(self.wrong("True or False"))
    }

    fn shape(&mut self) -> Result<Vec<usize>, ArrayError> {
        let mut shape = Vec::new();
        self.expect(b'(')?;
        while !self.take(b')') {
            let digits = self.text[self.at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
            let text = std::str::from_utf8(&self.text[self.at..self.at + digits]).unwrap_or("");
            shape.push(text.parse().map_err(|_| self.wrong("a size that fits the machine"))?);
            self.at += digits;
            // Python 2 wrote long integers as 3L.
            self.take(b'L');
            if !self.take(b',') {
                self.expect(b')')?;
                break;
            }
        }
        Ok(shape)
    }
}

const REWRITE: &str = "write the file again with numpy.save";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::array::testing::*;
    use proptest::prelude::*;

    fn file(header: &str, body: &[u8]) -> Vec<u8> {
        [MAGIC, &[1, 0], &(header.len() as u16).to_le_bytes(), header.as_bytes(), body].concat()
    }

    #[test]
    fn every_version_of_the_header() {
        assert_numbers(&read(V1).expect("v1"), "f8", "v1");
        assert_numbers(&read(V2).expect("v2"), "i8", "v2");
        assert_numbers(&read(V3).expect("v3"), "f4", "v3");
    }

    #[test]
    fn what_numpy_allows_in_a_header() {
        for (header, shape) in [
            ("{'descr': '|u1', 'fortran_order': False, 'shape': (6,), }   \n", &[6][..]),
            ("{\"shape\":(3L,2L),\"fortran_order\":True,\"descr\":\"|u1\"}", &[3, 2]),
            ("{'descr': '<u1', 'fortran_order': False, 'shape': (1, 6, 1)}", &[1, 6, 1]),
        ] {
            assert_eq!(read(&file(header, &[0; 6])).expect(header).shape, shape);
        }
        let scalar = read(&file("{'descr': '<i2', 'fortran_order': False, 'shape': ()}", &[2, 1])).expect("scalar");
        assert_eq!(scalar, Array { shape: vec![], values: vec![258.0], integer: true, eps: f64::EPSILON });
    }

    #[test]
    fn what_is_wrong_is_said_at_its_byte() {
        let good = "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }";
        for (bytes, text) in [
            (b"\x93NUMPZ\x01\x00".to_vec(), "byte 0: does not start with NumPy's magic bytes"),
            (MAGIC.to_vec(), "byte 6: ends inside its header length"),
            ([MAGIC, &[2, 0, 1, 0, 0]].concat(), "byte 11: ends inside its header length"),
            ([MAGIC, &[9, 0]].concat(), "byte 6: unknown version 9"),
            ([MAGIC, &[3, 0, 255, 255, 255, 255, b'{']].concat(), "byte 13: ends inside its header"),
            (file(good, &[0; 7]), "byte 74: cut short: shape [2] of type \"<f4\" needs 8 bytes, 7 are there"),
            (file(good, &[0; 9]), "byte 75: 1 byte more than the array"),
            (
                file("{'descr': '|O', 'fortran_order': False, 'shape': (2,)}", b""),
                "byte 20: type \"|O\" is Python objects",
            ),
            (file("{'descr': '=f4', 'fortran_order': False, 'shape': (2,)}", b""), "byte 20: type \"=f4\" is not read"),
            (file("{'descr': 'é', 'fortran_order': False, 'shape': (2,)}", b""), "byte 20: type \"é\" is not read"),
            (
                file("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (2,)}", b""),
                "byte 20: the array has named",
            ),
            (
                file("{'descr': '<f4', 'fortran_order': 0, 'shape': (2,)}", b""),
                "byte 44: the header is damaged: expected True",
            ),
            (
                file("{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}", b""),
                "byte 61: the header is damaged: expected a size",
            ),
            (
                file("{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,)}", b""),
                "byte 61: the header is",
            ),
            (
                file("{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 4294967296)}", b""),
                "byte 60: the sizes",
            ),
            (
                file("{'descr': '<f8', 'fortran_order': False, 'shape': (4611686018427387904,)}", b""),
                "byte 60: the sizes",
            ),
            (file("{'descr': '<f4', 'fortran_order': False}", b""), "byte 10: the header has no \"shape\""),
            (file("{'descr': '<f4', 'descr': '<f4'}", b""), "byte 34: the header has \"descr\" twice"),
            (file("{'extra': 1}", b""), "byte 18: unknown key \"extra\""),
            (
                file("{'descr': '<f4', 'fortran_order': False, 'shape': (2,), } x", b""),
                "byte 68: the header is damaged: expected the end",
            ),
            (file("{'descr", b""), "byte 12: the header is damaged: expected a closing quotation mark"),
            (file("", b""), "byte 10: the header is damaged: expected `{`"),
        ] {
            let error = read(&bytes).expect_err(text).to_string();
            assert!(error.starts_with(text), "{error}\n{text}");
            assert!(error.contains("; "), "{error} has no next step");
        }
    }

    proptest! {
        #![proptest_config(config(1500))]

        #[test]
        fn a_damaged_file_is_read_or_refused(file in prop::sample::select(vec![V1, V2, V3]), damages in damages()) {
            consistent(read(&damaged(file, &damages)))?;
        }

        #[test]
        fn column_major_is_row_major_transposed(shape in prop::collection::vec(0usize..4, 0..5)) {
            let count: usize = shape.iter().product();
            // The value at (i, j, ...) is its row-major number; write them in column-major order.
            let mut column_major = vec![0.0; count];
            for number in 0..count {
                let (mut rest, mut index) = (number, vec![0; shape.len()]);
                for axis in (0..shape.len()).rev() {
                    index[axis] = rest % shape[axis];
                    rest /= shape[axis];
                }
                let place = index.iter().zip(&shape).rev().fold(0, |place, (i, size)| place * size + i);
                column_major[place] = number as f64;
            }
            prop_assert_eq!(row_major(&column_major, &shape), (0..count).map(|i| i as f64).collect::<Vec<_>>());
        }
    }
}
