//! Named tensors in a `.safetensors` file.
//!
//! Reference: <https://github.com/huggingface/safetensors>, "Format".

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

use ::safetensors::tensor::{Dtype, Metadata, TensorInfo};
use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, Visitor};

use crate::array::element::Element;
use crate::array::error::{counted, listing, quoted};
use crate::array::natural::natural_order;
use crate::array::{Array, ArrayError, entries, pickle};

/// The longest header the format allows.
const MAX_HEADER: usize = 100_000_000;

/// The longest name of a tensor, in bytes; frameworks' are paths of modules.
const MAX_NAME: usize = 1000;

/// What stands before a file's tensors.
#[derive(Clone, Debug)]
pub struct Head {
    /// In natural order.
    names: Vec<String>,
    header: Metadata,
    notes: BTreeMap<String, String>,
}

/// A file's header; tensors are read on demand.
#[derive(Clone, Debug)]
pub struct Tensors<'a> {
    head: Head,
    body: &'a [u8],
}

/// What the header says of a tensor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tensor<'a> {
    /// Its key.
    pub name: &'a str,
    /// Sizes, slowest axis first.
    pub shape: &'a [usize],
    /// As in the file: `F32`, `BF16`, `I64`...
    pub dtype: String,
}

/// Whether bytes start as a safetensors file does.
pub(super) fn looks_like(bytes: &[u8]) -> bool {
    bytes.get(8) == Some(&b'{') && header(bytes).is_ok()
}

/// The header's text and what follows it.
fn header(bytes: &[u8]) -> Result<(&[u8], &[u8]), ArrayError> {
    let at = |byte: usize, problem: String| {
        if bytes.starts_with(b"PK\x03\x04") || bytes.starts_with(&[0x80]) && bytes.get(8) != Some(&b'{') {
            return pickle();
        }
        ArrayError::new(format!("byte {byte}"), problem).next(AGAIN)
    };
    let Some((length, rest)) = bytes.split_first_chunk::<8>() else {
        return Err(at(bytes.len(), "ends inside its header length".into()));
    };
    let length = u64::from_le_bytes(*length);
    let Some(short) = usize::try_from(length).ok().filter(|&length| length <= MAX_HEADER) else {
        return Err(at(0, format!("a header of {length} bytes is more than the format allows: no safetensors file?")));
    };
    rest.split_at_checked(short)
        .ok_or_else(|| at(bytes.len(), format!("ends inside its header, which should have {length} bytes")))
}

/// Bytes in front of a header's text: its length.
pub(crate) const LENGTH: usize = 8;

/// How long a header's text is, from the bytes in front of it; `None` where that is no length of one.
pub(crate) fn head_length(bytes: &[u8]) -> Option<usize> {
    let length = u64::from_le_bytes(*bytes.first_chunk::<LENGTH>()?);
    usize::try_from(length).ok().filter(|&length| length <= MAX_HEADER)
}

impl Head {
    /// Reads and checks what `bytes` begin with, of a file in which so many bytes follow them.
    ///
    /// # Errors
    /// What is wrong, at which byte or tensor.
    pub fn open(bytes: &[u8], following: usize) -> Result<Self, ArrayError> {
        let (text, rest) = header(bytes)?;
        Head::parse(text, rest.len() + following)
    }

    fn parse(text: &[u8], available: usize) -> Result<Self, ArrayError> {
        let text = std::str::from_utf8(text).map_err(|error| {
            ArrayError::new(format!("byte {}", 8 + error.valid_up_to()), "the header is no UTF-8 text").next(AGAIN)
        })?;
        let Header { mut tensors, notes } = serde_json::from_str(text).map_err(|error| {
            let lines: usize = text.split_inclusive('\n').take(error.line().saturating_sub(1)).map(str::len).sum();
            let byte = 8 + lines + error.column().saturating_sub(1);
            let message = error.to_string();
            let message = message.rsplit_once(" at line ").map_or(message.as_str(), |(message, _)| message);
            ArrayError::new(format!("byte {byte}"), format!("the header is damaged: {message}")).next(AGAIN)
        })?;
        for (name, info) in &tensors {
            // Names are shown in tables and messages, and may not be orders to a terminal.
            let problem = match name {
                name if name.chars().any(char::is_control) => "the name has control characters".to_string(),
                name if name.len() > MAX_NAME => format!("a name of {} bytes; at most {MAX_NAME}", name.len()),
                _ => String::new(),
            };
            if !problem.is_empty() {
                return Err(ArrayError::new(format!("key {}", quoted(name)), problem).next("rename the tensor"));
            }
            check(info, available).map_err(|error| error.within(format!("key {}", quoted(name))).next(AGAIN))?;
        }
        tensors.sort_by_key(|(_, info)| info.data_offsets);
        let last = tensors.last().map(|(name, _)| name.clone());
        let mut names: Vec<String> = tensors.iter().map(|(name, _)| name.clone()).collect();
        let header = Metadata::new(None, tensors).map_err(|error| {
            ArrayError::new("byte 8", format!("the header is damaged: {error} (a gap or an overlap)")).next(AGAIN)
        })?;
        if header.data_len() != available {
            let place = last.map_or("byte 8".into(), |name| format!("key {}", quoted(&name)));
            let problem = format!("{} after the last tensor", counted(available - header.data_len(), "byte"));
            return Err(ArrayError::new(place, problem).next(AGAIN));
        }
        names.sort_by(|a, b| natural_order(a, b));
        Ok(Head { names, header, notes })
    }

    /// All tensors, in the natural order of the numbers in their names.
    pub fn list(&self) -> impl Iterator<Item = Tensor<'_>> {
        self.names.iter().filter_map(|name| {
            let info = self.header.info(name)?;
            Some(Tensor { name, shape: &info.shape, dtype: info.dtype.to_string() })
        })
    }

    /// Names of all tensors, in the natural order of their numbers.
    pub fn names(&self) -> impl ExactSizeIterator<Item = &str> {
        self.names.iter().map(String::as_str)
    }

    /// The file's `__metadata__`.
    pub fn notes(&self) -> &BTreeMap<String, String> {
        &self.notes
    }

    /// What the header says of a tensor.
    pub(crate) fn info(&self, name: &str) -> Option<&TensorInfo> {
        self.header.info(name)
    }

    /// Where a tensor's bytes lie behind the header, and what they are.
    ///
    /// # Errors
    /// An unknown name (the message lists those there are), or a type that is not read.
    pub(crate) fn place(&self, name: &str) -> Result<(Range<usize>, Element, Vec<usize>), ArrayError> {
        let wrong = |problem: String| ArrayError::new(format!("key {}", quoted(name)), problem);
        let Some(info) = self.header.info(name) else {
            return Err(wrong("no such tensor".into()).next(format!("it has {}", listing(self.names()))));
        };
        let Some(element) = element(info.dtype) else {
            return Err(wrong(format!("type {} is not read", info.dtype)).next("save it as f16, bf16, f32 or f64"));
        };
        let (start, end) = info.data_offsets;
        Ok((start..end, element, info.shape.clone()))
    }
}

impl<'a> Tensors<'a> {
    /// Reads and checks the header.
    ///
    /// # Errors
    /// What is wrong, at which byte or tensor.
    pub fn open(bytes: &'a [u8]) -> Result<Self, ArrayError> {
        let (text, body) = header(bytes)?;
        Ok(Tensors { head: Head::parse(text, body.len())?, body })
    }

    /// All tensors, in the natural order of the numbers in their names.
    pub fn list(&self) -> impl Iterator<Item = Tensor<'_>> {
        self.head.list()
    }

    /// Names of all tensors, in the natural order of their numbers.
    pub fn names(&self) -> impl ExactSizeIterator<Item = &str> {
        self.head.names()
    }

    /// The file's `__metadata__`.
    pub fn notes(&self) -> &BTreeMap<String, String> {
        self.head.notes()
    }

    /// Reads a tensor: booleans, integers, f16, bf16, f32, f64. NaN and infinity are kept.
    ///
    /// # Errors
    /// An unknown name (the message lists those there are), or a type that is not read.
    pub fn array(&self, name: &str) -> Result<Array, ArrayError> {
        let (place, element, shape) = self.head.place(name)?;
        let Some(bytes) = self.body.get(place) else {
            return Err(ArrayError::new(format!("key {}", quoted(name)), "its bytes are not in the file").next(AGAIN));
        };
        Ok(Array { shape, values: element.decode(bytes, false), integer: element.is_integer(), eps: element.eps() })
    }

    /// Reads the tensor of a key, or the only one where no key is given.
    ///
    /// # Errors
    /// As [`Tensors::array`]; no key although there are several.
    pub fn only(&self, key: Option<&str>) -> Result<Array, ArrayError> {
        match (key, self.head.names.as_slice()) {
            (Some(key), _) => self.array(key),
            (None, [name]) => self.array(name),
            (None, names) => {
                let problem = format!("no key given: the file holds {}", counted(names.len(), "tensor"));
                Err(ArrayError::new("", problem).next(format!("add one after a colon: {}", listing(self.names()))))
            }
        }
    }
}

const AGAIN: &str = "copy or write the file again with safetensors' save_file";

fn element(dtype: Dtype) -> Option<Element> {
    Some(match dtype {
        Dtype::BOOL => Element::Bool,
        Dtype::U8 => Element::U8,
        Dtype::U16 => Element::U16,
        Dtype::U32 => Element::U32,
        Dtype::U64 => Element::U64,
        Dtype::I8 => Element::I8,
        Dtype::I16 => Element::I16,
        Dtype::I32 => Element::I32,
        Dtype::I64 => Element::I64,
        Dtype::F16 => Element::F16,
        Dtype::BF16 => Element::Bf16,
        Dtype::F32 => Element::F32,
        Dtype::F64 => Element::F64,
        _ => return None,
    })
}

/// A tensor's own numbers, so that an error can name it: `Metadata::new` checks how they fit together.
fn check(info: &TensorInfo, available: usize) -> Result<(), ArrayError> {
    let wrong = |problem: String| Err(ArrayError::new("", problem));
    let (start, end) = info.data_offsets;
    let count = entries(&info.shape)?;
    if end > available {
        return wrong(format!("ends at byte {end} of the data, of which {available} are there: the file is cut short"));
    }
    let bits = end.checked_sub(start).and_then(|bytes| bytes.checked_mul(8));
    if bits.is_none() || bits != count.checked_mul(info.dtype.bitsize()) {
        return wrong(format!("shape {:?} of {} does not fill bytes {start} to {end}", info.shape, info.dtype));
    }
    Ok(())
}

/// The JSON header. Read straight into place: it may be long.
struct Header {
    tensors: Vec<(String, TensorInfo)>,
    notes: BTreeMap<String, String>,
}

impl<'de> Deserialize<'de> for Header {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = Header;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object of tensors")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Header, A::Error> {
                let mut tensors = BTreeMap::new();
                let mut notes = None;
                while let Some(name) = map.next_key::<String>()? {
                    let first = if name == "__metadata__" {
                        notes.replace(map.next_value::<Option<_>>()?.unwrap_or_default()).is_none()
                    } else {
                        let info = map.next_value().map_err(|error: A::Error| {
                            let text = error.to_string();
                            let what = text.rsplit_once(" at line ").map_or(text.as_str(), |(what, _)| what);
                            // What is no JSON at all keeps its place.
                            match ["unknown", "missing", "invalid"].iter().any(|word| what.starts_with(word)) {
                                true => A::Error::custom(format!("tensor {}: {what}", quoted(&name))),
                                false => error,
                            }
                        })?;
                        tensors.insert(name.clone(), info).is_none()
                    };
                    if !first {
                        return Err(A::Error::custom(format!("{} is there twice", quoted(&name))));
                    }
                }
                Ok(Header { tensors: tensors.into_iter().collect(), notes: notes.unwrap_or_default() })
            }
        }
        deserializer.deserialize_map(Entries)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::array::testing::*;
    use proptest::prelude::*;

    fn file(header: &str, body: &[u8]) -> Vec<u8> {
        [&(header.len() as u64).to_le_bytes(), header.as_bytes(), body].concat()
    }

    #[test]
    fn every_type_in_natural_order() {
        let tensors = Tensors::open(TENSORS).expect("tensors");
        let layers: Vec<&str> = tensors.names().filter(|name| name.starts_with("layers")).collect();
        for (layer, name) in layers.iter().enumerate() {
            let kind = name.strip_prefix(&format!("layers.{layer}.")).expect("in order");
            assert_numbers(&tensors.array(name).expect(name), kind, name);
        }
        assert_eq!(layers.len(), 13);
        assert_eq!(
            tensors.array("scalar"),
            Ok(Array { shape: vec![], values: vec![2.5], integer: false, eps: f64::EPSILON })
        );
        assert_eq!(
            tensors.array("empty"),
            Ok(Array { shape: vec![0, 3], values: vec![], integer: false, eps: f64::from(f32::EPSILON) })
        );
        assert!(tensors.array("fp8").is_err());
        assert_eq!(tensors.notes()["note"], "from make.py");
        let fp8 = Tensor { name: "fp8", shape: &[2, 2], dtype: "F8_E4M3".into() };
        assert!(tensors.list().any(|tensor| tensor == fp8));
        assert_eq!(tensors.list().count(), 16);
    }

    #[test]
    fn a_single_tensor_needs_no_key() {
        let bytes = file("{\"w\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]}}", &[3, 4]);
        let tensors = Tensors::open(&bytes).expect("one tensor");
        assert_eq!(tensors.only(None).expect("w").values, [3.0, 4.0]);
        assert!(tensors.notes().is_empty());
        let error = Tensors::open(TENSORS).expect("tensors").only(None).expect_err("several").to_string();
        assert!(
            error.starts_with("no key given: the file holds 16 tensors; add one after a colon: \"empty\""),
            "{error}"
        );
        let none = file("{}", b"");
        let error = Tensors::open(&none).expect("no tensors").only(Some("w")).expect_err("none").to_string();
        assert_eq!(error, "key \"w\": no such tensor; it has none");
    }

    #[test]
    fn what_is_wrong_is_said_at_its_byte_or_key() {
        let one = |shape: &str, offsets: &str| {
            format!("{{\"w\":{{\"dtype\":\"F32\",\"shape\":{shape},\"data_offsets\":{offsets}}}}}")
        };
        let two = |second: &str| {
            format!(
                "{{\"a\":{{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]}},\"b\":{{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":{second}}}}}"
            )
        };
        for (bytes, text) in [
            (b"".to_vec(), "byte 0: ends inside its header length"),
            (vec![1, 0, 0], "byte 3: ends inside its header length"),
            ([&[0xff; 8][..], b"{}"].concat(), "byte 0: a header of 18446744073709551615 bytes is more"),
            (
                [&100u64.to_le_bytes()[..], b"{}"].concat(),
                "byte 10: ends inside its header, which should have 100 bytes",
            ),
            (b"PK\x03\x04\0\0\0\0archive/data.pkl".to_vec(), "byte 0: PyTorch's and Python's pickle"),
            (b"\x80\x02}q\0".to_vec(), "byte 0: PyTorch's and Python's pickle"),
            ([&4u64.to_le_bytes()[..], b"{\"a\xff"].concat(), "byte 11: the header is no UTF-8"),
            (file("[]", b""), "byte 8: the header is damaged: invalid type"),
            (file("{\"w\": 1}", b""), "byte 15: the header is damaged: tensor \"w\": invalid type"),
            (file("{\n \"w\": x}", b""), "byte 16: the header is damaged: expected value"),
            (
                file(&one("[1]", "[0,4]").replace("F32", "F33"), &[0; 4]),
                "byte 26: the header is damaged: tensor \"w\": unknown variant `F33`",
            ),
            (file(&one("[2]", "[0,4]"), &[0; 4]), "key \"w\": shape [2] of F32 does not fill bytes 0 to 4"),
            (file(&one("[1]", "[4,0]"), &[0; 4]), "key \"w\": shape [1] of F32 does not fill bytes 4 to 0"),
            (file(&one("[2]", "[0,8]"), &[0; 4]), "key \"w\": ends at byte 8 of the data, of which 4 are there"),
            (file(&one("[1]", "[0,4]"), &[0; 5]), "key \"w\": 1 byte after the last tensor"),
            (file(&one("[4294967296,4294967296]", "[0,4]"), &[0; 4]), "key \"w\": the sizes"),
            (
                file(&one("[18446744073709551615]", "[0,18446744073709551615]"), &[0; 4]),
                "key \"w\": ends at byte 1844674",
            ),
            (file(&two("[2,6]"), &[0; 6]), "byte 8: the header is damaged: invalid offset for tensor `b`"),
            (file(&two("[5,9]"), &[0; 9]), "byte 8: the header is damaged: invalid offset for tensor `b`"),
            (file(&two("[4,8]").replace("\"b\"", "\"a\""), &[0; 8]), "byte "),
        ] {
            let error = Tensors::open(&bytes).expect_err(text).to_string();
            assert!(error.starts_with(text), "{error}\n{text}");
            assert!(error.contains("; "), "{error} has no next step");
        }
        let twice =
            Tensors::open(&file(&two("[4,8]").replace("\"b\"", "\"a\""), &[0; 8])).expect_err("twice").to_string();
        assert!(twice.contains("\"a\" is there twice"), "{twice}");
    }

    proptest! {
        #![proptest_config(config(1500))]

        #[test]
        fn a_damaged_file_is_read_or_refused(damages in damages()) {
            let bytes = damaged(TENSORS, &damages);
            match Tensors::open(&bytes) {
                Ok(tensors) => {
                    for name in tensors.names() {
                        consistent(tensors.array(name))?;
                    }
                }
                Err(error) => consistent(Err(error))?,
            }
        }
    }
}
