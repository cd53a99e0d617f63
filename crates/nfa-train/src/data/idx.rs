//! The IDX format of MNIST and its kin, plain or gzipped.

use std::io::Read;

/// An array of any rank.
#[derive(Clone, Debug, PartialEq)]
pub struct Idx {
    /// Sizes, slowest axis first.
    pub shape: Vec<usize>,
    /// Entries in row-major order.
    pub values: Vec<f64>,
}

/// A file that unpacks to more than this is refused.
const MAX_BYTES: u64 = 4 << 30;

/// Reads an IDX array from bytes, gzipped or not.
///
/// # Errors
/// What is wrong and at which byte. Never allocates more than the bytes given unpack to.
pub fn read(bytes: &[u8]) -> Result<Idx, String> {
    let unpacked;
    let bytes = if bytes.starts_with(&[0x1f, 0x8b]) {
        let mut out = Vec::new();
        let mut gzip = flate2::read::GzDecoder::new(bytes).take(MAX_BYTES + 1);
        gzip.read_to_end(&mut out).map_err(|error| format!("not a gzip file: {error}"))?;
        if out.len() as u64 > MAX_BYTES {
            return Err(format!("unpacks to more than {} GiB", MAX_BYTES >> 30));
        }
        unpacked = out;
        unpacked.as_slice()
    } else {
        bytes
    };
    let [0, 0, kind, rank, rest @ ..] = bytes else {
        return Err("does not start with an IDX magic number (two zero bytes, type, rank)".into());
    };
    let width = match kind {
        0x08 | 0x09 => 1,
        0x0b => 2,
        0x0c | 0x0d => 4,
        0x0e => 8,
        other => return Err(format!("byte 2: unknown IDX type 0x{other:02x}")),
    };
    let rank = usize::from(*rank);
    if rest.len() < 4 * rank {
        return Err(format!("ends inside its {rank} sizes"));
    }
    let (sizes, body) = rest.split_at(4 * rank);
    let shape: Vec<usize> =
        sizes.chunks_exact(4).map(|size| u32::from_be_bytes([size[0], size[1], size[2], size[3]]) as usize).collect();
    let expected = shape.iter().try_fold(width, |product: usize, &size| product.checked_mul(size));
    if expected != Some(body.len()) {
        return Err(format!(
            "sizes {shape:?} of {width}-byte entries don't match the {} bytes that follow",
            body.len()
        ));
    }
    let values = body
        .chunks_exact(width)
        .map(|entry| match (kind, entry) {
            (0x08, [a]) => f64::from(*a),
            (0x09, [a]) => f64::from(a.cast_signed()),
            (0x0b, [a, b]) => f64::from(i16::from_be_bytes([*a, *b])),
            (0x0c, [a, b, c, d]) => f64::from(i32::from_be_bytes([*a, *b, *c, *d])),
            (0x0d, [a, b, c, d]) => f64::from(f32::from_be_bytes([*a, *b, *c, *d])),
            (_, entry) => f64::from_be_bytes(entry.try_into().unwrap_or([0; 8])),
        })
        .collect();
    Ok(Idx { shape, values })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_type_and_refuses_what_does_not_add_up() {
        assert_eq!(read(&[0, 0, 8, 1, 0, 0, 0, 2, 7, 9]), Ok(Idx { shape: vec![2], values: vec![7.0, 9.0] }));
        assert_eq!(read(&[0, 0, 0x0b, 1, 0, 0, 0, 1, 0xff, 0xfe]), Ok(Idx { shape: vec![1], values: vec![-2.0] }));
        let mut double = vec![0, 0, 0x0e, 1, 0, 0, 0, 1];
        double.extend(1.5f64.to_be_bytes());
        assert_eq!(read(&double), Ok(Idx { shape: vec![1], values: vec![1.5] }));
        for bad in [
            &b""[..],
            &[1, 0, 8, 1],
            &[0, 0, 8, 1, 0, 0, 0, 3, 1],
            &[0, 0, 7, 0],
            &[0, 0, 8, 3, 0xff, 0xff, 0xff, 0xff],
            &[0x1f, 0x8b, 0],
        ] {
            assert!(read(bad).is_err(), "{bad:?}");
        }
        let huge = [[0, 0, 8, 3].as_slice(), &[0xff; 12], &[0; 8]].concat();
        assert!(read(&huge).is_err());
    }
}
