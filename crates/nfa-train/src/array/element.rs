//! The number types of array files.

/// A type of numbers; its bytes become `f64`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Element {
    Bool,
    U8,
    U16,
    U32,
    U64,
    I8,
    I16,
    I32,
    I64,
    F16,
    Bf16,
    F32,
    F64,
}

impl Element {
    /// Bytes of one number.
    pub(crate) fn width(self) -> usize {
        match self {
            Element::Bool | Element::U8 | Element::I8 => 1,
            Element::U16 | Element::I16 | Element::F16 | Element::Bf16 => 2,
            Element::U32 | Element::I32 | Element::F32 => 4,
            Element::U64 | Element::I64 | Element::F64 => 8,
        }
    }

    /// Machine epsilon; that of f64 for whole numbers.
    pub(crate) fn eps(self) -> f64 {
        match self {
            Element::F16 => 2f64.powi(-10),
            Element::Bf16 => 2f64.powi(-7),
            Element::F32 => f64::from(f32::EPSILON),
            _ => f64::EPSILON,
        }
    }

    pub(crate) fn is_integer(self) -> bool {
        !matches!(self, Element::F16 | Element::Bf16 | Element::F32 | Element::F64)
    }

    /// The numbers of `bytes`, most significant byte first if `big`; a rest shorter than one
    /// number is left out.
    pub(crate) fn decode(self, bytes: &[u8], big: bool) -> Vec<f64> {
        match self {
            Element::Bool => each(bytes, big, |[byte]| f64::from(u8::from(byte != 0))),
            Element::U8 => each(bytes, big, |[byte]| f64::from(byte)),
            Element::U16 => each(bytes, big, |bytes| f64::from(u16::from_le_bytes(bytes))),
            Element::U32 => each(bytes, big, |bytes| f64::from(u32::from_le_bytes(bytes))),
            Element::U64 => each(bytes, big, |bytes| u64::from_le_bytes(bytes) as f64),
            Element::I8 => each(bytes, big, |bytes| f64::from(i8::from_le_bytes(bytes))),
            Element::I16 => each(bytes, big, |bytes| f64::from(i16::from_le_bytes(bytes))),
            Element::I32 => each(bytes, big, |bytes| f64::from(i32::from_le_bytes(bytes))),
            Element::I64 => each(bytes, big, |bytes| i64::from_le_bytes(bytes) as f64),
            Element::F16 => each(bytes, big, |bytes| half(u16::from_le_bytes(bytes))),
            Element::Bf16 => {
                each(bytes, big, |bytes| f64::from(f32::from_bits(u32::from(u16::from_le_bytes(bytes)) << 16)))
            }
            Element::F32 => each(bytes, big, |bytes| f64::from(f32::from_le_bytes(bytes))),
            Element::F64 => each(bytes, big, f64::from_le_bytes),
        }
    }
}

fn each<const N: usize>(bytes: &[u8], big: bool, number: impl Fn([u8; N]) -> f64) -> Vec<f64> {
    let (chunks, _) = bytes.as_chunks::<N>();
    if big {
        chunks
            .iter()
            .map(|&(mut chunk)| {
                chunk.reverse();
                number(chunk)
            })
            .collect()
    } else {
        chunks.iter().map(|&chunk| number(chunk)).collect()
    }
}

/// IEEE 754 binary16, exactly.
fn half(bits: u16) -> f64 {
    let exponent = u64::from(bits >> 10 & 0x1f);
    let fraction = u64::from(bits & 0x3ff);
    let size = match exponent {
        0 => fraction as f64 / f64::from(1 << 24),
        0x1f if fraction == 0 => f64::INFINITY,
        0x1f => f64::NAN,
        // The bias is 15 here and 1023 in f64.
        _ => f64::from_bits((exponent + 1023 - 15) << 52 | fraction << 42),
    };
    if bits >> 15 == 1 { -size } else { size }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Against the definition: (-1)^s 2^(e-15) (1 + f/1024), and 2^-14 f/1024 for e = 0.
    #[test]
    fn every_half_is_exact() {
        for bits in 0..=u16::MAX {
            let (sign, exponent, fraction) = (bits >> 15, i32::from(bits >> 10 & 31), f64::from(bits & 1023) / 1024.0);
            let expected = match exponent {
                0 => 2f64.powi(-14) * fraction,
                31 if fraction == 0.0 => f64::INFINITY,
                31 => f64::NAN,
                _ => 2f64.powi(exponent - 15) * (1.0 + fraction),
            };
            let expected = if sign == 1 { -expected } else { expected };
            let got = Element::F16.decode(&bits.to_be_bytes(), true)[0];
            assert!(got.to_bits() == expected.to_bits() || got.is_nan() && expected.is_nan(), "{bits:#06x}: {got}");
        }
    }

    #[test]
    fn a_rest_is_left_out() {
        assert_eq!(Element::U16.decode(&[1, 0, 2], false), [1.0]);
        assert_eq!(Element::Bool.decode(&[0, 1, 2], false), [0.0, 1.0, 1.0]);
    }
}
