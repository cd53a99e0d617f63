//! Compressed bytes, up to a limit.

use std::borrow::Cow;
use std::io::Read;

use crate::array::ArrayError;

/// What compressed data may unpack to, in bytes: a small file can hold much more than any machine.
pub const MAX_UNPACKED: u64 = 1 << 30;

/// Whether bytes begin as a gzip file does.
pub fn is_packed(bytes: &[u8]) -> bool {
    bytes.starts_with(&[0x1f, 0x8b])
}

/// The bytes inside a gzip file (all of its members), or the bytes themselves where they are none.
///
/// # Errors
/// A damaged file, or one that unpacks to more than [`MAX_UNPACKED`].
pub fn unpack(bytes: &[u8]) -> Result<Cow<'_, [u8]>, ArrayError> {
    if is_packed(bytes) {
        let unpacked = bounded(flate2::read::MultiGzDecoder::new(bytes), MAX_UNPACKED);
        return unpacked.map(Cow::Owned).map_err(|error| error.within("gzip"));
    }
    Ok(Cow::Borrowed(bytes))
}

/// Everything of a decoder that gives at most `limit` bytes.
pub(super) fn bounded(decoder: impl Read, limit: u64) -> Result<Vec<u8>, ArrayError> {
    let mut out = Vec::new();
    let result = decoder.take(limit.saturating_add(1)).read_to_end(&mut out);
    let place = format!("unpacked byte {}", out.len());
    if let Err(error) = result {
        return Err(ArrayError::new(place, format!("the compressed data is cut short or damaged: {error}"))
            .next("copy or write the file again"));
    }
    if out.len() as u64 > limit {
        return Err(ArrayError::new(place, format!("unpacks to more than {limit} bytes"))
            .next("give the file unpacked if it is meant to be that large"));
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::array::testing::*;
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;
    use proptest::prelude::*;

    fn packed(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(bytes).expect("in memory");
        encoder.finish().expect("in memory")
    }

    #[test]
    fn every_member_is_unpacked() {
        let two = [packed(b"1,2\n"), packed(b"3,4\n")].concat();
        assert_eq!(unpack(&two).expect("two members").as_ref(), b"1,2\n3,4\n");
        assert!(matches!(unpack(b"1,2"), Ok(Cow::Borrowed(b"1,2"))));
    }

    #[test]
    fn a_bomb_is_cut_at_the_limit() {
        let bomb = packed(&vec![0; 1 << 20]);
        assert!(bomb.len() < 2000);
        let decoder = || flate2::read::MultiGzDecoder::new(bomb.as_slice());
        assert_eq!(bounded(decoder(), 1 << 20).expect("fits").len(), 1 << 20);
        let error = bounded(decoder(), 1000).expect_err("too large");
        assert!(error.to_string().contains("unpacks to more than 1000 bytes"), "{error}");
        assert_eq!(error.place(), "unpacked byte 1001");
    }

    #[test]
    fn damage_is_noticed() {
        let whole = packed(b"0123456789");
        for end in 2..whole.len() {
            let error = unpack(&whole[..end]).expect_err("cut");
            assert!(error.to_string().contains("cut short or damaged"), "{error}");
        }
        let mut checksum = whole.clone();
        let at = checksum.len() - 6;
        checksum[at] ^= 1;
        assert!(unpack(&checksum).is_err());
    }

    proptest! {
        #![proptest_config(config(300))]

        #[test]
        fn damaged_data_gives_bytes_or_a_place(damages in damages()) {
            let bytes = damaged(TABLE, &damages);
            if let Err(error) = unpack(&bytes) {
                prop_assert!(error.place().starts_with("gzip, unpacked byte"), "{}", error);
            }
        }
    }
}
