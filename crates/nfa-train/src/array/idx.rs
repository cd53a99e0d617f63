//! The IDX format of MNIST and its kin, plain or gzipped.

use crate::array::element::Element;
use crate::array::{Array, ArrayError, entries, gzip};

/// Reads an IDX array from bytes, gzipped or not.
///
/// # Errors
/// What is wrong and at which byte.
pub fn read(bytes: &[u8]) -> Result<Array, ArrayError> {
    let bytes = gzip::unpack(bytes)?;
    let [0, 0, kind, rank, rest @ ..] = bytes.as_ref() else {
        return Err(ArrayError::new("byte 0", "does not start with an IDX magic number (two zero bytes, type, rank)")
            .next("check that it is the file you mean"));
    };
    let element = match kind {
        0x08 => Element::U8,
        0x09 => Element::I8,
        0x0b => Element::I16,
        0x0c => Element::I32,
        0x0d => Element::F32,
        0x0e => Element::F64,
        other => {
            return Err(ArrayError::new("byte 2", format!("unknown IDX type 0x{other:02x}"))
                .next("known are 08 (u8), 09 (i8), 0b (i16), 0c (i32), 0d (f32) and 0e (f64)"));
        }
    };
    let start = 4 * usize::from(*rank);
    let Some((sizes, body)) = rest.split_at_checked(start) else {
        return Err(ArrayError::new(format!("byte {}", bytes.len()), format!("ends inside its {rank} sizes"))
            .next("copy the file again"));
    };
    let (sizes, _) = sizes.as_chunks::<4>();
    let shape: Vec<usize> = sizes.iter().map(|&size| u32::from_be_bytes(size) as usize).collect();
    let width = element.width();
    let count = entries(&shape).map_err(|error| error.within("byte 4").next("copy the file again"))?;
    if count.checked_mul(width) != Some(body.len()) {
        return Err(ArrayError::new(
            format!("byte {}", 4 + start),
            format!("sizes {shape:?} of {width}-byte entries don't match the {} bytes that follow", body.len()),
        )
        .next("copy the file again"));
    }
    Ok(Array { shape, values: element.decode(body, true), integer: element.is_integer(), eps: element.eps() })
}

/// How many numbers a file claims to have, from its first bytes.
pub fn claimed(bytes: &[u8]) -> Option<usize> {
    let [0, 0, _, rank, rest @ ..] = bytes else { return None };
    let (sizes, _) = rest.get(..4 * usize::from(*rank))?.as_chunks::<4>();
    entries(&sizes.iter().map(|&size| u32::from_be_bytes(size) as usize).collect::<Vec<_>>()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::array::testing::*;
    use proptest::prelude::*;

    #[test]
    fn reads_every_type_and_refuses_what_does_not_add_up() {
        let file = |kind: u8, body: &[u8]| [&[0, 0, kind, 1, 0, 0, 0, 2], body].concat();
        let single = f64::from(f32::EPSILON);
        for (bytes, values, integer) in [
            (file(0x08, &[7, 255]), [7.0, 255.0], true),
            (file(0x09, &[7, 255]), [7.0, -1.0], true),
            (file(0x0b, &[1, 2, 0xff, 0xfe]), [258.0, -2.0], true),
            (file(0x0c, &[0, 0, 1, 0, 0xff, 0xff, 0xff, 0xfe]), [256.0, -2.0], true),
            (file(0x0d, &[1.5f32.to_be_bytes(), (-0.1f32).to_be_bytes()].concat()), [1.5, f64::from(-0.1f32)], false),
            (file(0x0e, &[1.5f64.to_be_bytes(), (-0.1f64).to_be_bytes()].concat()), [1.5, -0.1], false),
        ] {
            assert_eq!(
                read(&bytes),
                Ok(Array {
                    shape: vec![2],
                    values: values.to_vec(),
                    integer,
                    eps: if bytes[2] == 0x0d { single } else { f64::EPSILON }
                })
            );
        }
        let huge = [[0, 0, 8, 3].as_slice(), &[0xff; 12], &[0; 8]].concat();
        let hidden = [[0, 0, 8, 4].as_slice(), &[0xff; 12], &[0; 4]].concat();
        for (bad, place) in [
            (&b""[..], "byte 0"),
            (&[1, 0, 8, 1], "byte 0"),
            (&[0, 0, 8, 1, 0, 0, 0, 3, 1], "byte 8"),
            (&[0, 0, 8, 1, 0, 0, 0, 1, 1, 1], "byte 8"),
            (&[0, 0, 7, 0], "byte 2"),
            (&[0, 0, 8, 3, 0xff, 0xff, 0xff, 0xff], "byte 8"),
            (&[0x1f, 0x8b, 0], "gzip, unpacked byte 0"),
            (&huge, "byte 4"),
            (&hidden, "byte 4"),
        ] {
            assert_eq!(read(bad).expect_err("malformed").place(), place, "{bad:?}");
        }
    }

    #[test]
    fn a_file_of_numpys_making() {
        let cube = read(CUBE).expect("cube");
        assert_eq!(cube.shape, [2, 3, 4]);
        assert_eq!(cube.values, (0..24).map(f64::from).collect::<Vec<_>>());
    }

    proptest! {
        #![proptest_config(config(500))]

        #[test]
        fn a_damaged_file_is_read_or_refused(kind in 7u8..16, damages in damages()) {
            let bytes = [&[0, 0, kind, 2, 0, 0, 0, 2, 0, 0, 0, 3][..], &[1; 48]].concat();
            let body = Element::F64.width() * 6;
            consistent(read(&bytes[..12 + body]))?;
            consistent(read(&damaged(&bytes, &damages)))?;
        }
    }
}
