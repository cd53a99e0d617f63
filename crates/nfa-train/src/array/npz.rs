//! NumPy's `.npz` archives: a ZIP file with one `.npy` file per array, stored or deflated.
//!
//! Reference: PKWARE, APPNOTE.TXT - .ZIP File Format Specification, sections 4.3 and 4.4.

use std::borrow::Cow;

use flate2::Crc;
use flate2::read::DeflateDecoder;

use crate::array::error::{counted, listing, quoted};
use crate::array::gzip::{MAX_UNPACKED, bounded};
use crate::array::{Array, ArrayError, npy};

/// An archive's table of contents; arrays are read on demand.
#[derive(Clone, Debug)]
pub struct Npz<'a> {
    bytes: &'a [u8],
    entries: Vec<Entry>,
}

#[derive(Clone, Debug)]
struct Entry {
    key: String,
    flags: usize,
    method: usize,
    checksum: usize,
    packed: usize,
    unpacked: usize,
    /// Of the local header.
    offset: usize,
}

impl<'a> Npz<'a> {
    /// Reads the table of contents.
    ///
    /// # Errors
    /// What is wrong and at which byte.
    pub fn open(bytes: &'a [u8]) -> Result<Self, ArrayError> {
        let Some(end) = end_record(bytes) else {
            return Err(at(bytes.len(), "the archive's directory is missing: no ZIP file, or cut short")
                .next("copy the file again, or write it with numpy.savez"));
        };
        let field = |offset, width| number(bytes, end + offset, width);
        let (disk, count, size, start) = (field(4, 2)?, field(10, 2)?, field(12, 4)?, field(16, 4)?);
        if count == 0xffff || size == 0xffff_ffff || start == 0xffff_ffff {
            return Err(zip64(end));
        }
        if disk != 0 || start.checked_add(size).is_none_or(|stop| stop > end) {
            return Err(at(end, "the archive's directory is not where it should be").next(AGAIN));
        }
        let mut entries = Vec::new();
        let mut place = start;
        for _ in 0..count {
            if !bytes.get(place..).is_some_and(|rest| rest.starts_with(b"PK\x01\x02")) {
                return Err(at(place, "the archive's directory is damaged").next(AGAIN));
            }
            let field = |offset, width| number(bytes, place + offset, width);
            let (name, extra, comment) = (field(28, 2)?, field(30, 2)?, field(32, 2)?);
            let Some(name) = bytes.get(place + 46..place + 46 + name) else {
                return Err(at(place, "the archive's directory is damaged").next(AGAIN));
            };
            let entry = Entry {
                key: String::new(),
                flags: field(8, 2)?,
                method: field(10, 2)?,
                checksum: field(16, 4)?,
                packed: field(20, 4)?,
                unpacked: field(24, 4)?,
                offset: field(42, 4)?,
            };
            // Anything else in the archive is no array.
            if let Some(key) = String::from_utf8_lossy(name).strip_suffix(".npy") {
                if [entry.packed, entry.unpacked, entry.offset].contains(&0xffff_ffff) {
                    return Err(zip64(place));
                }
                entries.push(Entry { key: key.into(), ..entry });
            }
            place += 46 + name.len() + extra + comment;
        }
        if entries.is_empty() {
            return Err(at(start, "the archive holds no .npy files")
                .next("write arrays with numpy.savez; for a PyTorch file use safetensors.torch.save_file"));
        }
        Ok(Npz { bytes, entries })
    }

    /// Names of the arrays, in the order of the file.
    pub fn keys(&self) -> impl ExactSizeIterator<Item = &str> {
        self.entries.iter().map(|entry| entry.key.as_str())
    }

    /// Reads the array of a key.
    ///
    /// # Errors
    /// An unknown key (the message lists those there are), or a damaged array.
    pub fn array(&self, key: &str) -> Result<Array, ArrayError> {
        let name = key.strip_suffix(".npy").unwrap_or(key);
        // Python's zipfile takes the last of several entries of one name.
        let Some(entry) = self.entries.iter().rev().find(|entry| entry.key == name) else {
            return Err(ArrayError::new(format!("key {}", quoted(key)), "no such array")
                .next(format!("it has {}", listing(self.keys()))));
        };
        self.unpack(entry)
            .and_then(|bytes| npy::read(&bytes))
            .map_err(|error| error.within(format!("key {}", quoted(name))))
    }

    /// Reads the array of a key, or the only one where no key is given.
    ///
    /// # Errors
    /// As [`Npz::array`]; no key although there are several.
    pub fn only(&self, key: Option<&str>) -> Result<Array, ArrayError> {
        match (key, self.entries.as_slice()) {
            (Some(key), _) => self.array(key),
            (None, [entry]) => self.array(&entry.key),
            (None, entries) => {
                Err(ArrayError::new("", format!("no key given: the archive holds {}", counted(entries.len(), "array")))
                    .next(format!("add one after a colon: {}", listing(self.keys()))))
            }
        }
    }

    fn unpack(&self, entry: &Entry) -> Result<Cow<'a, [u8]>, ArrayError> {
        if entry.flags & 1 == 1 {
            return Err(at(entry.offset, "is encrypted").next("write it without a password"));
        }
        let local = self.bytes.get(entry.offset..).unwrap_or_default();
        if !local.starts_with(b"PK\x03\x04") {
            return Err(at(entry.offset, "the directory points to something that is no entry").next(AGAIN));
        }
        // The local header repeats the sizes, but they may be elsewhere in it; the directory's count.
        let header = 30 + number(local, 26, 2)? + number(local, 28, 2)?;
        let Some(packed) = local.get(header..).and_then(|rest| rest.get(..entry.packed)) else {
            return Err(at(self.bytes.len(), "ends inside the array").next(AGAIN));
        };
        let start = entry.offset + header;
        let bytes = match entry.method {
            0 => Cow::Borrowed(packed),
            8 if entry.unpacked as u64 > MAX_UNPACKED => {
                return Err(at(start, format!("unpacks to {} bytes, more than {MAX_UNPACKED}", entry.unpacked))
                    .next("write it uncompressed with numpy.save or numpy.savez"));
            }
            8 => Cow::Owned(
                bounded(DeflateDecoder::new(packed), entry.unpacked as u64)
                    .map_err(|error| error.within(format!("byte {start}")).next(AGAIN))?,
            ),
            other => {
                return Err(at(entry.offset, format!("is packed by ZIP's method {other}"))
                    .next("write it with numpy.savez or numpy.savez_compressed"));
            }
        };
        let mut crc = Crc::new();
        crc.update(&bytes);
        if bytes.len() != entry.unpacked || crc.sum() as usize != entry.checksum {
            return Err(at(start, "length or checksum disagree with the directory: the array is damaged").next(AGAIN));
        }
        Ok(bytes)
    }
}

const AGAIN: &str = "copy or write the file again";

fn at(byte: usize, problem: impl Into<String>) -> ArrayError {
    ArrayError::new(format!("byte {byte}"), problem)
}

fn zip64(byte: usize) -> ArrayError {
    at(byte, "ZIP64 archives, of more than 4 GiB or 65,534 arrays, are not read").next("save the array alone as .npy")
}

/// A little-endian number of up to four bytes.
fn number(bytes: &[u8], start: usize, width: usize) -> Result<usize, ArrayError> {
    let Some(bytes) = bytes.get(start..).and_then(|rest| rest.get(..width)) else {
        return Err(at(bytes.len(), "ends inside the archive's directory").next(AGAIN));
    };
    Ok(bytes.iter().rev().fold(0, |number, &byte| number << 8 | usize::from(byte)))
}

/// Where the end record starts: the last one whose comment ends with the file.
fn end_record(bytes: &[u8]) -> Option<usize> {
    let last = bytes.len().checked_sub(22)?;
    (last.saturating_sub(0xffff)..=last).rev().find(|&place| {
        bytes[place..].starts_with(b"PK\x05\x06")
            && usize::from(u16::from_le_bytes([bytes[place + 20], bytes[place + 21]])) == last - place
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::array::testing::*;
    use proptest::prelude::*;

    #[test]
    fn every_type_in_both_byte_and_memory_orders() {
        let npz = Npz::open(STORED).expect("stored.npz");
        assert_eq!(npz.keys().len(), 42);
        for key in npz.keys() {
            assert_numbers(&npz.array(key).expect(key), &key[..2], key);
        }
    }

    #[test]
    fn deflated_arrays_of_any_rank() {
        let npz = Npz::open(DEFLATED).expect("deflated.npz");
        let x = npz.array("x").expect("x");
        assert_eq!((x.shape.as_slice(), x.integer), (&[2, 3, 4][..], false));
        assert_eq!(x.values, (0..24).map(f64::from).collect::<Vec<_>>());
        assert_eq!(
            npz.array("y.npy"),
            Ok(Array { shape: vec![2], values: vec![0.0, 1.0], integer: true, eps: f64::EPSILON })
        );
        assert_eq!(
            npz.array("scalar"),
            Ok(Array { shape: vec![], values: vec![2.5], integer: false, eps: f64::EPSILON })
        );
        assert_eq!(
            npz.array("empty"),
            Ok(Array { shape: vec![0, 3], values: vec![], integer: false, eps: f64::EPSILON })
        );
        for key in ["text", "record", "complex"] {
            let error = npz.array(key).expect_err(key);
            assert!(error.place().starts_with(&format!("key {key:?}, byte ")), "{error}");
        }
    }

    /// The fixture with the field of the directory's first entry at `offset` overwritten.
    fn patched(offset: usize, bytes: &[u8]) -> Vec<u8> {
        let end = end_record(DEFLATED).expect("end");
        let start = number(DEFLATED, end + 16, 4).expect("start");
        let mut file = DEFLATED.to_vec();
        file[start + offset..start + offset + bytes.len()].copy_from_slice(bytes);
        file
    }

    #[test]
    fn what_is_wrong_is_said_at_its_byte() {
        let x = |bytes: &[u8]| Npz::open(bytes).and_then(|npz| npz.array("x")).map_err(|error| error.to_string());
        for (bytes, text) in [
            (patched(8, &[1, 0]), "key \"x\", byte 0: is encrypted"),
            (patched(10, &[12, 0]), "key \"x\", byte 0: is packed by ZIP's method 12"),
            (patched(16, &[0; 4]), "length or checksum disagree"),
            (patched(20, &[0xfe, 0xff, 0xff, 0xff]), "ends inside the array"),
            (patched(24, &[0, 0, 0, 0xff]), "unpacks to 4278190080 bytes, more than 1073741824"),
            (patched(24, &[1, 0, 0, 0]), "unpacks to more than 1 bytes"),
            (patched(24, &[0xff, 0xff, 0, 0]), "length or checksum disagree"),
            (patched(24, &[0xff; 4]), "ZIP64"),
            (patched(42, &[1, 0, 0, 0]), "byte 1: the directory points to something that is no entry"),
            (patched(0, b"PX"), "the archive's directory is damaged"),
            (patched(28, &[0xff, 0xff]), "the archive's directory is damaged"),
            (b"PK\x05\x06\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0".to_vec(), "byte 0: the archive holds no .npy files"),
            (DEFLATED[..DEFLATED.len() - 1].to_vec(), "the archive's directory is missing"),
            (b"".to_vec(), "byte 0: the archive's directory is missing"),
        ] {
            let error = x(&bytes).expect_err(text);
            assert!(error.contains(text), "{error}\n{text}");
            assert!(error.contains("; "), "{error} has no next step");
        }
        assert!(x(&[DEFLATED, b""].concat()).is_ok());
    }

    #[test]
    fn a_comment_at_the_end_is_skipped() {
        let mut file = DEFLATED.to_vec();
        let length = file.len();
        file[length - 2] = 5;
        file.extend(b"hello");
        assert!(Npz::open(&file).expect("comment").array("x").is_ok());
    }

    proptest! {
        #![proptest_config(config(800))]

        #[test]
        fn a_damaged_archive_is_read_or_refused(
            (file, back) in prop::sample::select(vec![(STORED, false), (DEFLATED, false), (DEFLATED, true)]),
            damages in damages(),
        ) {
            let bytes = if back {
                // The directory is at the end: damage the file from there.
                let mut reversed: Vec<u8> = file.iter().rev().copied().collect();
                reversed = damaged(&reversed, &damages);
                reversed.reverse();
                reversed
            } else {
                damaged(file, &damages)
            };
            match Npz::open(&bytes) {
                Ok(npz) => {
                    for key in npz.keys().take(8) {
                        consistent(npz.array(key))?;
                    }
                }
                Err(error) => consistent(Err(error))?,
            }
        }
    }
}
