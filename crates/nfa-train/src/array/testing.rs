//! What the tests of all readers share.

use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use crate::array::{Array, ArrayError};

pub const STORED: &[u8] = include_bytes!("fixtures/stored.npz");
pub const DEFLATED: &[u8] = include_bytes!("fixtures/deflated.npz");
pub const TENSORS: &[u8] = include_bytes!("fixtures/tensors.safetensors");
pub const CUBE: &[u8] = include_bytes!("fixtures/cube-idx3-ubyte.gz");
pub const TABLE: &[u8] = include_bytes!("fixtures/table.csv.gz");
pub const V1: &[u8] = include_bytes!("fixtures/v1.npy");
pub const V2: &[u8] = include_bytes!("fixtures/v2.npy");
pub const V3: &[u8] = include_bytes!("fixtures/v3.npy");

/// `NUMBERS` of fixtures/make.py.
pub fn numbers(kind: &str) -> [f64; 6] {
    let two = |power: i32| 2f64.powi(power);
    match kind {
        "b1" => [1.0, 0.0, 0.0, 1.0, 1.0, 0.0],
        "u1" => [0.0, 1.0, 2.0, 127.0, 128.0, 255.0],
        "u2" => [0.0, 1.0, 2.0, 255.0, 256.0, 65535.0],
        "u4" => [0.0, 1.0, 2.0, 65536.0, 16909060.0, two(32) - 1.0],
        "u8" => [0.0, 1.0, 2.0, two(32), two(53) - 1.0, two(63)],
        "i1" => [0.0, 1.0, -1.0, 127.0, -2.0, -128.0],
        "i2" => [0.0, 1.0, -1.0, 32767.0, 258.0, -32768.0],
        "i4" => [0.0, 1.0, -1.0, two(31) - 1.0, 16909060.0, -two(31)],
        "i8" => [0.0, 1.0, -1.0, two(53) - 1.0, two(40), -two(63)],
        "f2" => [0.5, -1.25, 65504.0, two(-24), -two(-14), f64::INFINITY],
        "f4" => [0.5, -1.25, f64::from(3.0e38f32), two(-149), f64::from(0.1f32), f64::NEG_INFINITY],
        "f8" => [0.5, -1.25, 1.7e308, 5e-324, 0.1, f64::NAN],
        "bf16" => [0.5, -1.25, two(127), two(-133), f64::NEG_INFINITY, 3.140625],
        other => panic!("{other}"),
    }
}

/// Asserts shape [2, 3] and the numbers of a kind, to the bit but for the payload of a NaN.
#[track_caller]
pub fn assert_numbers(array: &Array, kind: &str, what: &str) {
    assert_eq!(array.shape, [2, 3], "{what}");
    for (value, expected) in array.values.iter().zip(numbers(kind)) {
        let same = value.to_bits() == expected.to_bits() || value.is_nan() && expected.is_nan();
        assert!(same, "{what}: {value:e} instead of {expected:e}");
    }
    assert_eq!(array.values.len(), 6, "{what}");
    assert_eq!(array.integer, !kind.contains('f'), "{what}");
}

/// The same cases on every run, as in the suite of the workspace.
pub fn config(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, rng_seed: RngSeed::Fixed(1), ..ProptestConfig::default() }
}

/// One way to damage a file; positions are taken modulo its length.
#[derive(Clone, Debug)]
pub enum Damage {
    Cut(usize),
    Set(usize, u8),
    Flip(usize, u8),
    Number(usize, Vec<u8>),
    Insert(usize, Vec<u8>),
    Remove(usize, usize),
}

/// One to four damages. Small positions are frequent: that is where headers are.
pub fn damages() -> impl Strategy<Value = Vec<Damage>> {
    let at = || prop_oneof![0usize..32, 0usize..160, any::<usize>()];
    let extreme = prop_oneof![
        Just(0u64),
        Just(1),
        Just(0xffff),
        Just(0x7fff_ffff),
        Just(0xffff_ffff),
        Just(u64::MAX),
        Just(u64::MAX - 8),
        Just(1 << 40),
        any::<u64>(),
    ];
    let number = (extreme, prop::sample::select(vec![2usize, 4, 8]), any::<bool>()).prop_map(|(number, width, big)| {
        if big { number.to_be_bytes()[8 - width..].to_vec() } else { number.to_le_bytes()[..width].to_vec() }
    });
    let text = prop::sample::select(vec![
        "(",
        ")",
        "'",
        "\"",
        "{",
        "[",
        ",",
        "9",
        "99999999999999999999",
        "-1",
        "\n",
        "nan",
        "\u{feff}",
        "\0",
    ]);
    let bytes = prop_oneof![prop::collection::vec(any::<u8>(), 1..9), text.prop_map(|text| text.as_bytes().to_vec())];
    let damage = prop_oneof![
        any::<usize>().prop_map(Damage::Cut),
        (at(), any::<u8>()).prop_map(|(at, byte)| Damage::Set(at, byte)),
        (at(), 0u8..8).prop_map(|(at, bit)| Damage::Flip(at, bit)),
        (at(), number).prop_map(|(at, bytes)| Damage::Number(at, bytes)),
        (at(), bytes).prop_map(|(at, bytes)| Damage::Insert(at, bytes)),
        (at(), 1usize..20).prop_map(|(at, length)| Damage::Remove(at, length)),
    ];
    prop::collection::vec(damage, 1..5)
}

pub fn damaged(bytes: &[u8], damages: &[Damage]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for damage in damages {
        let length = bytes.len();
        if length == 0 {
            break;
        }
        match damage {
            Damage::Cut(at) => bytes.truncate(at % length),
            Damage::Set(at, byte) => bytes[at % length] = *byte,
            Damage::Flip(at, bit) => bytes[at % length] ^= 1 << bit,
            Damage::Number(at, number) => {
                for (byte, number) in bytes.iter_mut().skip(at % length).zip(number) {
                    *byte = *number;
                }
            }
            Damage::Insert(at, more) => {
                let at = at % (length + 1);
                bytes.splice(at..at, more.iter().copied());
            }
            Damage::Remove(at, count) => {
                let at = at % length;
                bytes.drain(at..length.min(at + count));
            }
        }
    }
    bytes
}

/// What every reader owes: entries that fill the shape, or an error that says where.
pub fn consistent(result: Result<Array, ArrayError>) -> Result<(), TestCaseError> {
    match result {
        Ok(array) => {
            prop_assert_eq!(crate::array::entries(&array.shape), Ok(array.values.len()));
            let (rows, columns) = array.matrix();
            prop_assert_eq!(rows.checked_mul(columns), Some(array.values.len()));
        }
        Err(error) => {
            prop_assert!(!error.place().is_empty(), "{:?} has no place", error);
            prop_assert!(error.to_string().len() < 4000, "{} characters", error.to_string().len());
        }
    }
    Ok(())
}
