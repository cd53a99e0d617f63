//! Arrays in files, read on the host: NumPy, CSV, IDX, safetensors.
//!
//! Each reader takes the bytes of a file and returns every number as `f64`, row-major; [`read`]
//! finds the reader for a name such as `x.npy` or `data.npz:images`. Malformed bytes give an
//! [`ArrayError`] that says where, never a panic, and memory stays within a small multiple of the
//! file (of what it unpacks to, at most [`gzip::MAX_UNPACKED`], if it is compressed).

use std::io;
use std::path::Path;

pub mod csv;
mod element;
pub mod error;
pub mod gzip;
pub mod idx;
pub mod natural;
pub mod npy;
pub mod npz;
pub mod safetensors;
pub mod save;
pub mod table;
pub mod tensor_reader;
#[cfg(test)]
pub(crate) mod testing;

pub use error::ArrayError;
use error::quoted;

/// Numbers of any rank.
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    /// Sizes, slowest axis first; empty for a single number.
    pub shape: Vec<usize>,
    /// Entries in row-major order. 64-bit integers beyond 2^53 are rounded.
    pub values: Vec<f64>,
    /// Whether the file stores integers or booleans.
    pub integer: bool,
    /// Machine epsilon of what the file stores; that of f64 for whole numbers and text.
    pub eps: f64,
}

impl Array {
    /// Size of the first axis; 1 for a single number.
    pub fn rows(&self) -> usize {
        self.shape.first().copied().unwrap_or(1)
    }

    /// Numbers per row: the product of the axes after the first, 1 if there are none.
    pub fn row_len(&self) -> usize {
        self.shape.iter().skip(1).fold(1, |product, &size| product.saturating_mul(size))
    }

    /// `(rows, columns)` with the axes after the first flattened.
    pub fn matrix(&self) -> (usize, usize) {
        (self.rows(), self.row_len())
    }
}

/// How a file is opened: its path to its bytes.
pub type Open<'a> = dyn Fn(&Path) -> io::Result<Vec<u8>> + 'a;

/// Reads the array that `spec` names; a relative path starts from `base`.
///
/// | spec | |
/// |---|---|
/// | `x.npy` | one NumPy array |
/// | `x.npz:key` | one of several; without `:key` the only one |
/// | `x.csv`, `x.tsv`, `x.txt` | numbers, with or without a header ([`csv::read`]) |
/// | `x-idx3-ubyte`, `x.idx` | IDX, as MNIST |
/// | `x.safetensors:key` | one tensor; without `:key` the only one |
///
/// Any of them may be gzipped, by content. A name without one of these endings is told by its
/// first bytes. An array without entries is an error; for NaN and infinity see [`check_finite`].
///
/// # Errors
/// The file, the place in it, what is wrong, and the next step.
pub fn read(spec: &str, base: &Path, open: &Open<'_>) -> Result<Array, ArrayError> {
    let (name, key) = split_spec(spec);
    let path = base.join(name);
    let array = match open(&path) {
        Ok(bytes) => decode(name, key, &bytes),
        Err(error) => Err(ArrayError::io(&error, name, base)),
    };
    array.map_err(|error| error.in_file(&path))
}

/// The names of the columns that [`read`] would give, where the file is a table with a header.
///
/// # Errors
/// As of [`read`].
pub fn names(spec: &str, base: &Path, open: &Open<'_>) -> Result<Vec<String>, ArrayError> {
    let (name, _) = split_spec(spec);
    let path = base.join(name);
    let found = || {
        let bytes = open(&path).map_err(|error| ArrayError::io(&error, name, base))?;
        let bytes = gzip::unpack(&bytes)?;
        match format(name, &bytes)? {
            Format::Csv { tabs } => Ok(csv::read(&bytes, tabs.then_some(b'\t'))?.names),
            _ => Ok(Vec::new()),
        }
    };
    found().map_err(|error: ArrayError| error.in_file(&path))
}

/// Path and key of a spec: `a.npz:x` is `("a.npz", Some("x"))`. Only `.npz` and `.safetensors`
/// have keys, so a colon elsewhere belongs to the path.
pub fn split_spec(spec: &str) -> (&str, Option<&str>) {
    let lower = spec.to_ascii_lowercase();
    let colon = [".npz:", ".safetensors:"].iter().filter_map(|end| Some(lower.find(end)? + end.len() - 1)).min();
    match colon {
        Some(colon) => (&spec[..colon], Some(&spec[colon + 1..])),
        None => (spec, None),
    }
}

enum Format {
    Npy,
    Npz,
    Csv { tabs: bool },
    Idx,
    Safetensors,
}

fn decode(name: &str, key: Option<&str>, bytes: &[u8]) -> Result<Array, ArrayError> {
    let bytes = gzip::unpack(bytes)?;
    let array = match format(name, &bytes)? {
        Format::Npy => npy::read(&bytes)?,
        Format::Npz => npz::Npz::open(&bytes)?.only(key)?,
        Format::Csv { tabs } => csv::read(&bytes, tabs.then_some(b'\t'))?.into_array(),
        Format::Idx => idx::read(&bytes)?,
        Format::Safetensors => safetensors::Tensors::open(&bytes)?.only(key)?,
    };
    if array.values.is_empty() {
        let error =
            ArrayError::new("shape", format!("{:?} has no entries", array.shape)).next("give a non-empty array");
        return Err(match key {
            Some(key) => error.within(format!("key {}", quoted(key))),
            None => error,
        });
    }
    Ok(array)
}

/// How many numbers a file of some length has, about: as its first bytes say, or as text and packed bytes usually do.
pub fn claimed(name: &str, start: &[u8], length: u64) -> u64 {
    let said = match format(name, start) {
        Ok(Format::Npy) => npy::claimed(start),
        Ok(Format::Idx) => idx::claimed(start),
        _ => None,
    };
    said.map_or(length / 4, |entries| entries as u64)
}

fn format(name: &str, bytes: &[u8]) -> Result<Format, ArrayError> {
    let name = name.to_ascii_lowercase();
    let name = name.strip_suffix(".gz").unwrap_or(&name);
    let ending = Path::new(name).extension().and_then(|ending| ending.to_str()).unwrap_or("");
    Ok(match ending {
        "npy" => Format::Npy,
        "npz" => Format::Npz,
        "csv" | "txt" => Format::Csv { tabs: false },
        "tsv" => Format::Csv { tabs: true },
        "safetensors" => Format::Safetensors,
        "pt" | "pth" | "ckpt" | "pkl" | "pickle" => return Err(pickle()),
        _ if ending.starts_with("idx") || name.contains("-idx") => Format::Idx,
        _ if bytes.starts_with(npy::MAGIC) => Format::Npy,
        _ if bytes.starts_with(b"PK\x03\x04") => Format::Npz,
        _ if safetensors::looks_like(bytes) => Format::Safetensors,
        _ if bytes.starts_with(&[0, 0]) => Format::Idx,
        _ => {
            return Err(ArrayError::new("byte 0", "neither its name nor its first bytes tell the format")
                .next("give a file that ends in .npy, .npz, .csv, .tsv, .txt, .idx or .safetensors, gzipped or not"));
        }
    })
}

/// What to say about a file that only Python can read.
fn pickle() -> ArrayError {
    ArrayError::new("byte 0", "PyTorch's and Python's pickle formats are not read")
        .next("write it with safetensors.torch.save_file or numpy.save")
}

/// Checks that every entry is a finite number.
///
/// # Errors
/// The first row and column (of [`Array::matrix`], from 0) that is not, and how many are not.
pub fn check_finite(array: &Array) -> Result<(), ArrayError> {
    let Some(first) = array.values.iter().position(|value| !value.is_finite()) else { return Ok(()) };
    let columns = array.row_len().max(1);
    let count = array.values.iter().filter(|value| !value.is_finite()).count();
    Err(ArrayError::new(
        format!("row {}, column {} (from 0)", first / columns, first % columns),
        format!("{} is not a finite number ({count} of {} entries are not)", array.values[first], array.values.len()),
    )
    .next("replace these entries or drop their rows"))
}

/// More axes than NumPy has; a longer shape is damage or malice.
const MAX_AXES: usize = 64;

/// Number of entries of a shape.
fn entries(shape: &[usize]) -> Result<usize, ArrayError> {
    if shape.len() > MAX_AXES {
        return Err(ArrayError::new("", format!("{} axes are more than {MAX_AXES}", shape.len())));
    }
    // An axis of length 0 must not hide that the others overflow.
    let product = shape.iter().try_fold(1usize, |product, &size| product.checked_mul(size.max(1)));
    match product {
        Some(_) if shape.contains(&0) => Ok(0),
        Some(product) => Ok(product),
        None => Err(ArrayError::new("", format!("the sizes {shape:?} overflow"))),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::array::testing::*;

    fn open(files: &'static [(&'static str, &'static [u8])]) -> impl Fn(&Path) -> io::Result<Vec<u8>> {
        move |path| {
            let name = path.strip_prefix("/data").ok().and_then(Path::to_str).unwrap_or("");
            match files.iter().find(|(file, _)| *file == name) {
                Some((_, bytes)) => Ok(bytes.to_vec()),
                None => Err(io::Error::new(io::ErrorKind::NotFound, "no such file")),
            }
        }
    }

    const FILES: &[(&str, &[u8])] = &[
        ("v1.npy", V1),
        ("plain", V1),
        ("many.npz", DEFLATED),
        ("zipped", DEFLATED),
        ("net.safetensors", TENSORS),
        ("tensors", TENSORS),
        ("cube-idx3-ubyte.gz", CUBE),
        ("CUBE.IDX", CUBE),
        ("cube", CUBE),
        ("table.csv.gz", TABLE),
        ("table", TABLE),
        ("model.pt", DEFLATED),
        ("one.tsv", b"1\t2\n3\t4\n"),
        ("c:d.csv", b"1;2\n3;4\n"),
        ("empty.npy", b""),
    ];

    fn get(spec: &str) -> Result<Array, ArrayError> {
        read(spec, Path::new("/data"), &open(FILES))
    }

    #[test]
    fn a_name_finds_its_reader() {
        for (spec, shape) in [
            ("v1.npy", &[2, 3][..]),
            ("/data/v1.npy", &[2, 3]),
            ("plain", &[2, 3]),
            ("many.npz:x", &[2, 3, 4]),
            ("many.npz:y.npy", &[2]),
            ("net.safetensors:layers.12.bf16", &[2, 3]),
            ("net.safetensors:scalar", &[]),
            ("cube-idx3-ubyte.gz", &[2, 3, 4]),
            ("CUBE.IDX", &[2, 3, 4]),
            ("cube", &[2, 3, 4]),
            ("table.csv.gz", &[2, 3]),
            ("one.tsv", &[2, 2]),
            ("c:d.csv", &[2, 2]),
        ] {
            assert_eq!(get(spec).expect(spec).shape, shape, "{spec}");
        }
        assert_eq!(get("many.npz:x").expect("x").matrix(), (2, 12));
        assert_eq!(get("many.npz:scalar").expect("scalar").matrix(), (1, 1));
        assert_eq!(get("many.npz:x").expect("x").values, get("cube").expect("cube").values);
    }

    #[test]
    fn errors_say_file_place_problem_and_next_step() {
        for (spec, text) in [
            ("gone.npy", "/data/gone.npy: no such file; relative paths start from /data"),
            ("/data/gone.npy", "/data/gone.npy: no such file; check the path and its permissions"),
            (
                "v1.npy:x",
                "/data/v1.npy:x: no such file; only .npz and .safetensors files have keys: leave out the colon and what \
                 follows",
            ),
            (
                "many.npz",
                "/data/many.npz: no key given: the archive holds 7 arrays; add one after a colon: \"x\", \"y\", \"scalar\", \"empty\", \"text\", \"record\", \"complex\"",
            ),
            (
                "many.npz:z",
                "/data/many.npz: key \"z\": no such array; it has \"x\", \"y\", \"scalar\", \"empty\", \"text\", \"record\", \"complex\"",
            ),
            ("many.npz:empty", "/data/many.npz: key \"empty\", shape: [0, 3] has no entries; give a non-empty array"),
            (
                "many.npz:text",
                "/data/many.npz: key \"text\", byte 20: type \"<U1\" is text, not numbers; save it as numbers, such as x.astype(\"float64\")",
            ),
            (
                "net.safetensors:layers.3",
                "/data/net.safetensors: key \"layers.3\": no such tensor; it has \"empty\", \"fp8\", \
                 \"layers.0.b1\", \"layers.1.u1\", \"layers.2.u2\", \"layers.3.u4\", \
                 \"layers.4.u8\", \"layers.5.i1\", \"layers.6.i2\", \"layers.7.i4\", \
                 \"layers.8.i8\", \"layers.9.f2\" and 4 more",
            ),
            (
                "net.safetensors:fp8",
                "/data/net.safetensors: key \"fp8\": type F8_E4M3 is not read; save it as f16, bf16, f32 or f64",
            ),
            (
                "model.pt",
                "/data/model.pt: byte 0: PyTorch's and Python's pickle formats are not read; write it with \
                 safetensors.torch.save_file or numpy.save",
            ),
            (
                "table",
                "/data/table: byte 0: neither its name nor its first bytes tell the format; give a file that ends in \
                 .npy, .npz, .csv, .tsv, .txt, .idx or .safetensors, gzipped or not",
            ),
            ("empty.npy", "/data/empty.npy: byte 0: does not start with NumPy's magic bytes; write it with numpy.save"),
        ] {
            assert_eq!(get(spec).expect_err(spec).to_string(), text, "{spec}");
        }
        assert_eq!(get("gone").expect_err("gone").io_kind(), Some(io::ErrorKind::NotFound));
        assert_eq!(get("table").expect_err("table").io_kind(), None);
        assert_eq!(get("table").expect_err("table").file(), Some(Path::new("/data/table")));
    }

    #[test]
    fn a_key_follows_the_ending() {
        assert_eq!(split_spec("a/b.npz:k:1"), ("a/b.npz", Some("k:1")));
        assert_eq!(split_spec("B.SafeTensors:é"), ("B.SafeTensors", Some("é")));
        assert_eq!(split_spec("C:\\x.npy"), ("C:\\x.npy", None));
        assert_eq!(split_spec("x.npz"), ("x.npz", None));
        assert_eq!(split_spec("x.npz:"), ("x.npz", Some("")));
    }

    #[test]
    fn non_finite_entries_are_found() {
        let array = |values: Vec<f64>| Array { shape: vec![2, 1, 2], values, integer: false, eps: f64::EPSILON };
        assert_eq!(check_finite(&array(vec![1.0, 2.0, 3.0, 4.0])), Ok(()));
        let error = check_finite(&array(vec![1.0, 2.0, 3.0, f64::NAN])).expect_err("NaN");
        assert_eq!(error.place(), "row 1, column 1 (from 0)");
        let error =
            check_finite(&array(vec![1.0, 2.0, f64::NEG_INFINITY, f64::NAN])).expect_err("infinity").in_file("x");
        assert_eq!(
            error.to_string(),
            "x: row 1, column 0 (from 0): -inf is not a finite number (2 of 4 entries are not); replace these entries or drop their rows"
        );
    }

    #[test]
    fn sizes_that_overflow_are_refused_even_beside_a_zero() {
        assert_eq!(entries(&[]), Ok(1));
        assert_eq!(entries(&[3, 0]), Ok(0));
        assert!(entries(&[0, 1 << 40, 1 << 40]).is_err());
        assert!(entries(&[usize::MAX, 2]).is_err());
        assert!(entries(&[1; 65]).is_err());
    }

    #[test]
    fn errors_cross_threads() {
        fn check<T: Send + Sync + 'static>() {}
        check::<Array>();
        check::<ArrayError>();
    }

    proptest! {
        #![proptest_config(config(400))]

        #[test]
        fn a_damaged_file_is_read_or_refused_under_any_name(
            file in 0..FILES.len(),
            name in prop::sample::select(vec!["x", "x.npy", "x.npz", "x.npz:x", "x.csv", "x.tsv", "x.idx", "x.safetensors", "x.safetensors:scalar"]),
            damages in damages(),
        ) {
            let bytes = damaged(FILES[file].1, &damages);
            let result = read(name, Path::new(""), &|_| Ok(bytes.clone()));
            if let Err(error) = &result {
                prop_assert!(error.file().is_some());
                // A missing key is a matter of the whole file.
                if error.place().is_empty() {
                    prop_assert!(error.to_string().contains("no key given"), "{}", error);
                    return Ok(());
                }
            }
            consistent(result)?;
        }
    }
}
