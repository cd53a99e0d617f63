//! Files that lie, through `measure`: a finite table, or a refusal that names the file and the
//! reason; never a panic, never more memory than the files account for.
//!
//! The readers have such tests of their own, beside them. Here files stay whole enough to get past
//! the readers: numbers at the ends of `f64`, shapes that don't fit each other, names and notes.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use nfa_metrics::Laws;
use nfa_models::Registry;
use nfa_train::Result;
use nfa_train::measure::args::{MeasureArgs, MeasureDtype};
use nfa_train::measure::command::Call;
use nfa_train::testing::files::Files;
use nfa_train::train::loss::Loss;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::RngSeed;
use serde_json::{Map, Value, json};

fn config(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, rng_seed: RngSeed::Fixed(1), ..ProptestConfig::default() }
}

// ---- memory ----------------------------------------------------------------------------------

thread_local! {
    /// Bytes held by what this thread allocated, and the most there were.
    static HELD: Cell<(isize, isize)> = const { Cell::new((0, 0)) };
}

/// The system's allocator, counting per thread. One request beyond [`REFUSED`] is turned down, which
/// ends the process: better than the machine's memory.
struct Counting;

const REFUSED: usize = 4 << 30;

fn count(bytes: isize) {
    // A thread that ends has no counter any more, and nothing to count.
    let _ = HELD.try_with(|held| {
        let (now, most) = held.get();
        held.set((now + bytes, most.max(now + bytes)));
    });
}

// SAFETY: every call goes to the system's allocator as it came, or is refused with null; the
// counter neither allocates nor has a destructor.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if layout.size() > REFUSED {
            return std::ptr::null_mut();
        }
        count(layout.size() as isize);
        // SAFETY: the caller's contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        // SAFETY: the caller's contract.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if layout.size() > REFUSED {
            return std::ptr::null_mut();
        }
        count(layout.size() as isize);
        // SAFETY: the caller's contract.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if size > REFUSED {
            return std::ptr::null_mut();
        }
        count(size as isize - layout.size() as isize);
        // SAFETY: the caller's contract.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// What a function returns, and how much more memory it held at its height than before.
fn height<T>(f: impl FnOnce() -> T) -> (T, usize) {
    let before = HELD.get().0;
    HELD.set((before, before));
    let result = f();
    (result, (HELD.get().1 - before).max(0) as usize)
}

// ---- calls -----------------------------------------------------------------------------------

/// The defaults of the command line.
fn arguments() -> MeasureArgs {
    MeasureArgs {
        layer: "all".into(),
        scale: 1.0,
        device: "flex".into(),
        estimator: "exact".into(),
        ..MeasureArgs::default()
    }
}

/// `measure` of a capture `c.safetensors`.
fn of_capture() -> MeasureArgs {
    MeasureArgs { capture: vec!["c.safetensors".into()], ..arguments() }
}

/// `measure` of weights `w.safetensors` on the rows of a file.
fn of_weights(inputs: &str) -> MeasureArgs {
    MeasureArgs {
        weights: vec!["w.safetensors".into()],
        inputs: Some(inputs.into()),
        activation: vec!["tanh".into()],
        ..arguments()
    }
}

fn call(files: &Files, args: &MeasureArgs, json: bool) -> Result<Vec<String>> {
    let laws: Laws = nfa_metrics::laws();
    let losses: Registry<dyn Loss> = nfa_train::train::losses::losses();
    Call { args, laws: &laws, losses: &losses, store: files, tell: &|_, _, _| () }
        .run(json, false)
        .map(|said| said.lines)
}

/// Memory for a network of the sizes used here, whatever its files say.
const ROOM: usize = 8 << 20;

/// Calls `measure` and checks what it owes to any files.
fn survives(given: &[(&str, &[u8])], args: &MeasureArgs, json: bool) -> std::result::Result<bool, TestCaseError> {
    let size: usize = given.iter().map(|(_, bytes)| bytes.len()).sum();
    let files = Files::of(given);
    let (result, height) = height(|| call(&files, args, json));
    prop_assert!(height <= ROOM + 64 * size, "{height} bytes for files of {size}");
    match result {
        Ok(lines) => {
            for line in &lines {
                if json {
                    let value: Value =
                        serde_json::from_str(line).map_err(|e| TestCaseError::fail(format!("{e}: {line}")))?;
                    sound(&value)?;
                } else {
                    plain(line)?;
                }
            }
            for (path, bytes) in files.written().iter().filter(|(path, _)| path.ends_with("fan.svg")) {
                let svg = String::from_utf8_lossy(bytes);
                let wrong = ["NaN", "inf"].iter().any(|word| svg.contains(word));
                prop_assert!(!wrong, "{}: {svg}", path.display());
            }
            Ok(true)
        }
        Err(error) => {
            let message = error.to_string();
            prop_assert_eq!(error.exit_code(), 2, "{}", message);
            let named = given.iter().any(|(name, _)| message.contains(name)) || message.starts_with("--");
            prop_assert!(named, "names no file: {message}");
            prop_assert!(!message.chars().any(char::is_control), "{message:?}");
            prop_assert!(message.len() < 4000, "{} bytes: {:.300}", message.len(), message);
            Ok(false)
        }
    }
}

/// A table for people: no number that is none, nothing that a terminal would obey.
fn plain(text: &str) -> std::result::Result<(), TestCaseError> {
    prop_assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "{text:?}");
    let wrong = text.split(|c: char| !c.is_alphanumeric()).find(|word| ["NaN", "inf"].contains(word));
    prop_assert!(wrong.is_none(), "{text}");
    Ok(())
}

/// `nfa.measure/1` or `nfa.compare/1` whose numbers can be.
fn sound(report: &Value) -> std::result::Result<(), TestCaseError> {
    for layer in report["layers"].as_array().into_iter().flatten() {
        for (law, found) in layer["laws"].as_object().into_iter().flatten() {
            let what = format!("{law} of {}: {found}", layer["name"]);
            let verdict = found["verdict"].as_str().unwrap_or("");
            let verdicts = ["holds", "approximate", "fails", "undetermined", "not applicable"];
            prop_assert!(verdicts.contains(&verdict), "{what}");
            prop_assert!(found["reason"].as_str().is_some_and(|reason| !reason.is_empty()), "{what}");
            let misfit = found["misfit"].as_f64();
            prop_assert!(misfit.is_some() || ["undetermined", "not applicable"].contains(&verdict), "{what}");
            prop_assert!(misfit.is_none_or(|misfit| misfit >= 0.0), "{what}");
            prop_assert_eq!(misfit.is_some(), found["parts"].is_object(), "{}", what);
            if let (Some(misfit), Some(parts)) = (misfit, found["parts"].as_object()) {
                let squares: f64 = parts.values().map(|part| part.as_f64().unwrap_or(f64::NAN).powi(2)).sum();
                prop_assert!((squares - misfit * misfit).abs() <= 1e-9 * (1.0 + misfit * misfit), "{what}");
            }
            for interval in ["alpha_interval", "misfit_interval"] {
                let Some(ends) = found[interval].as_array() else { continue };
                let ends: Option<Vec<f64>> = ends.iter().map(Value::as_f64).collect();
                prop_assert!(ends.is_some_and(|ends| ends[0] <= ends[1]), "{what}");
            }
            let range = |value: &Value, low: f64, high: f64| value.as_f64().is_none_or(|v| (low..=high).contains(&v));
            prop_assert!(range(&found["alpha"], 0.0, 4.0) && range(&found["null"]["haar"], 0.0, 1.0), "{what}");
            for certificate in found["certificates"].as_array().into_iter().flatten() {
                prop_assert!(certificate["margin"].is_number() || certificate["kind"] == "tie", "{what}");
            }
        }
        for key in ["cosine", "traceless_cosine", "pearson", "pearson_offdiag", "cosine_sorted", "haar"] {
            for value in layer["details"][key].as_object().into_iter().flat_map(Map::values) {
                let size = value.as_f64().unwrap_or(0.0).abs();
                prop_assert!(size <= 1.0 + 1e-9, "{key} of {}: {}", layer["name"], layer["details"]);
            }
        }
    }
    Ok(())
}

// ---- safetensors, taken apart ----------------------------------------------------------------

/// One tensor of a file as its header tells it; nothing is checked.
#[derive(Clone, Debug)]
struct Entry {
    name: String,
    dtype: String,
    shape: Vec<u64>,
    offsets: [u64; 2],
}

/// A safetensors file in pieces.
#[derive(Clone, Debug)]
struct Pieces {
    notes: Map<String, Value>,
    entries: Vec<Entry>,
    body: Vec<u8>,
}

impl Pieces {
    fn of(bytes: &[u8]) -> Self {
        let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
        let header: Map<String, Value> = serde_json::from_slice(&bytes[8..8 + length]).unwrap();
        let numbers = |value: &Value| value.as_array().unwrap().iter().map(|n| n.as_u64().unwrap()).collect::<Vec<_>>();
        let entries = header.iter().filter(|(name, _)| *name != "__metadata__").map(|(name, entry)| Entry {
            name: name.clone(),
            dtype: entry["dtype"].as_str().unwrap().into(),
            shape: numbers(&entry["shape"]),
            offsets: numbers(&entry["data_offsets"]).try_into().unwrap(),
        });
        Pieces {
            notes: header.get("__metadata__").and_then(Value::as_object).cloned().unwrap_or_default(),
            entries: entries.collect(),
            body: bytes[8 + length..].to_vec(),
        }
    }

    /// From `f64` tensors.
    fn with(tensors: &[(&str, &[u64], Vec<f64>)]) -> Self {
        let mut pieces = Pieces { notes: Map::new(), entries: Vec::new(), body: Vec::new() };
        for (name, shape, values) in tensors {
            let start = pieces.body.len() as u64;
            pieces.body.extend(values.iter().flat_map(|v| v.to_le_bytes()));
            let offsets = [start, pieces.body.len() as u64];
            let entry = Entry { name: (*name).into(), dtype: "F64".into(), shape: shape.to_vec(), offsets };
            pieces.entries.push(entry);
        }
        pieces
    }

    /// The same as a capture.
    fn noted(mut self) -> Self {
        self.notes.insert("format".into(), "nfa.capture/1".into());
        self
    }

    /// The header by hand, so that a key may be there twice.
    fn bytes(&self) -> Vec<u8> {
        let mut parts = Vec::new();
        if !self.notes.is_empty() {
            parts.push(format!("\"__metadata__\":{}", Value::from(self.notes.clone())));
        }
        for entry in &self.entries {
            let about = json!({"dtype": entry.dtype, "shape": entry.shape, "data_offsets": entry.offsets});
            parts.push(format!("{}:{about}", Value::from(entry.name.as_str())));
        }
        let header = format!("{{{}}}", parts.join(","));
        [&(header.len() as u64).to_le_bytes(), header.as_bytes(), &self.body].concat()
    }

    /// The numbers of an entry, changed one by one (its position and value) where its type is known.
    fn edit(&mut self, entry: usize, change: impl Fn(usize, f64) -> f64) {
        let Entry { dtype, offsets: [start, end], .. } = &self.entries[entry];
        let Some(bytes) = self.body.get_mut(*start as usize..*end as usize) else { return };
        match dtype.as_str() {
            "F64" => {
                for (i, bytes) in bytes.as_chunks_mut::<8>().0.iter_mut().enumerate() {
                    *bytes = change(i, f64::from_le_bytes(*bytes)).to_le_bytes();
                }
            }
            "F32" => {
                for (i, bytes) in bytes.as_chunks_mut::<4>().0.iter_mut().enumerate() {
                    *bytes = (change(i, f32::from_le_bytes(*bytes).into()) as f32).to_le_bytes();
                }
            }
            _ => {}
        }
    }
}

/// A lie about a safetensors file.
#[derive(Clone, Debug)]
enum Lie {
    /// One number of a tensor.
    Value(Index, Index, f64),
    /// A tensor's diagonal: what keeps K symmetric.
    Diagonal(Index, f64),
    /// Every number of a tensor.
    All(Index, f64),
    Scale(Index, f64),
    Size(Index, Index, u64),
    Reversed(Index),
    MoreAxes(Index, u64),
    Flat(Index),
    Type(Index, &'static str),
    Offset(Index, usize, u64),
    Name(Index, String),
    NameOf(Index, Index),
    Drop(Index),
    Twice(Index),
    Note(&'static str, String),
    OrderTwice,
    Longer(Vec<u8>),
    Shorter(usize),
    /// A byte anywhere.
    Byte(Index, u8),
    Cut(Index),
}

const SIZES: [u64; 12] =
    [0, 1, 2, 3, 7, 1000, 1_000_000_000, 1 << 31, 1 << 32, (1 << 53) + 1, i64::MAX as u64, u64::MAX];

/// Numbers at the ends of `f64`, of its squares, and of `f32`.
const NUMBERS: [f64; 22] = [
    f64::NAN,
    f64::INFINITY,
    f64::NEG_INFINITY,
    0.0,
    -0.0,
    1.0,
    -1.0,
    f64::MAX,
    -f64::MAX,
    1e300,
    1e200,
    2e154,
    1e100,
    1e77,
    4e38,
    1e16,
    1e-39,
    1e-77,
    1e-154,
    1e-200,
    f64::MIN_POSITIVE,
    5e-324,
];

fn words() -> impl Strategy<Value = String> {
    const WORDS: [&str; 21] = [
        "",
        ".",
        ".k",
        "k",
        "weight",
        "fc.weight",
        "0.weight",
        "0.k",
        "0.count",
        "a.k.k",
        "__metadata__",
        "\u{1b}[31mx.k",
        "a\nb.weight",
        "\u{feff}",
        "é.k",
        ",",
        ",,",
        "1e400",
        "\0",
        "..",
        "18446744073709551616.k",
    ];
    prop_oneof![select(&WORDS[..]).prop_map(String::from), (1usize..40).prop_map(|n| "long.".repeat(n * n) + "k")]
}

fn lies() -> impl Strategy<Value = Vec<Lie>> {
    let at = any::<Index>;
    let number = || select(&NUMBERS[..]);
    let size = || select(&SIZES[..]);
    let types =
        ["F64", "F32", "F16", "BF16", "I64", "I32", "I8", "U8", "U64", "BOOL", "F8_E4M3", "F4", "C64", "f64", ""];
    let notes = ["format", "order", "framework", "n", "skipped", "mode", "estimator", "last", "outputs"];
    let lie = prop_oneof![
        3 => (at(), at(), number()).prop_map(|(e, i, v)| Lie::Value(e, i, v)),
        3 => (at(), number()).prop_map(|(e, v)| Lie::Diagonal(e, v)),
        3 => (at(), number()).prop_map(|(e, v)| Lie::All(e, v)),
        3 => (at(), number()).prop_map(|(e, v)| Lie::Scale(e, v)),
        2 => (at(), at(), size()).prop_map(|(e, i, n)| Lie::Size(e, i, n)),
        1 => at().prop_map(Lie::Reversed),
        1 => (at(), size()).prop_map(|(e, n)| Lie::MoreAxes(e, n)),
        1 => at().prop_map(Lie::Flat),
        1 => (at(), select(types.to_vec())).prop_map(|(e, t)| Lie::Type(e, t)),
        1 => (at(), 0usize..2, size()).prop_map(|(e, k, n)| Lie::Offset(e, k, n)),
        2 => (at(), words()).prop_map(|(e, w)| Lie::Name(e, w)),
        1 => (at(), at()).prop_map(|(e, o)| Lie::NameOf(e, o)),
        2 => at().prop_map(Lie::Drop),
        1 => at().prop_map(Lie::Twice),
        2 => (select(notes.to_vec()), words()).prop_map(|(k, w)| Lie::Note(k, w)),
        1 => Just(Lie::OrderTwice),
        1 => prop::collection::vec(any::<u8>(), 1..20).prop_map(Lie::Longer),
        1 => (1usize..40).prop_map(Lie::Shorter),
        2 => (at(), any::<u8>()).prop_map(|(i, b)| Lie::Byte(i, b)),
        1 => at().prop_map(Lie::Cut),
    ];
    prop::collection::vec(lie, 1..4)
}

/// The file with the lies told.
fn told(bytes: &[u8], lies: &[Lie]) -> Vec<u8> {
    let mut pieces = Pieces::of(bytes);
    for lie in lies {
        let count = pieces.entries.len();
        if count == 0 {
            break;
        }
        match lie {
            Lie::Value(entry, at, value) => {
                let entry = entry.index(count);
                let sizes = pieces.entries[entry].shape.iter();
                let count = sizes.fold(1, |product: u64, &size| product.saturating_mul(size)) as usize;
                let at = at.index(count.clamp(1, 1 << 20));
                pieces.edit(entry, |i, old| if i == at { *value } else { old });
            }
            Lie::Diagonal(entry, value) => {
                let entry = entry.index(count);
                let side = pieces.entries[entry].shape.last().map_or(1, |side| (*side as usize).clamp(1, 1 << 20));
                pieces.edit(entry, |i, old| if i % side == i / side % side { *value } else { old });
            }
            Lie::All(entry, value) => pieces.edit(entry.index(count), |_, _| *value),
            Lie::Scale(entry, factor) => pieces.edit(entry.index(count), |_, old| old * factor),
            Lie::Size(entry, axis, size) => {
                let shape = &mut pieces.entries[entry.index(count)].shape;
                if !shape.is_empty() {
                    let axis = axis.index(shape.len());
                    shape[axis] = *size;
                }
            }
            Lie::Reversed(entry) => pieces.entries[entry.index(count)].shape.reverse(),
            Lie::MoreAxes(entry, size) => pieces.entries[entry.index(count)].shape.push(*size),
            Lie::Flat(entry) => {
                let shape = &mut pieces.entries[entry.index(count)].shape;
                *shape = vec![shape.iter().fold(1, |product: u64, &size| product.saturating_mul(size))];
            }
            Lie::Type(entry, dtype) => pieces.entries[entry.index(count)].dtype = (*dtype).into(),
            Lie::Offset(entry, end, offset) => pieces.entries[entry.index(count)].offsets[*end] = *offset,
            Lie::Name(entry, name) => pieces.entries[entry.index(count)].name.clone_from(name),
            Lie::NameOf(entry, other) => {
                pieces.entries[entry.index(count)].name = pieces.entries[other.index(count)].name.clone();
            }
            Lie::Drop(entry) => drop(pieces.entries.remove(entry.index(count))),
            Lie::Twice(entry) => {
                let again = pieces.entries[entry.index(count)].clone();
                pieces.entries.push(again);
            }
            Lie::Note(key, value) => drop(pieces.notes.insert((*key).into(), value.as_str().into())),
            Lie::OrderTwice => {
                let order = pieces.notes.get("order").and_then(Value::as_str).unwrap_or("0").to_string();
                pieces.notes.insert("order".into(), format!("{order},{order}").into());
            }
            Lie::Longer(more) => pieces.body.extend(more),
            Lie::Shorter(less) => pieces.body.truncate(pieces.body.len().saturating_sub(*less)),
            Lie::Byte(..) | Lie::Cut(_) => {}
        }
    }
    let mut bytes = pieces.bytes();
    for lie in lies {
        match lie {
            Lie::Byte(at, byte) if !bytes.is_empty() => {
                let at = at.index(bytes.len());
                bytes[at] = *byte;
            }
            Lie::Cut(at) => bytes.truncate(at.index(bytes.len() + 1)),
            _ => {}
        }
    }
    bytes
}

// ---- seeds -----------------------------------------------------------------------------------

const CAPTURES: [&[u8]; 4] = [
    include_bytes!("../golden/captures/mlp.safetensors"),
    include_bytes!("../golden/captures/twice.safetensors"),
    include_bytes!("../golden/captures/cnn.safetensors"),
    include_bytes!("../golden/captures/resnet.safetensors"),
];
const WEIGHTS: &[u8] = include_bytes!("../golden/captures/mlp_weights.safetensors");
const INIT: &[u8] = include_bytes!("../golden/captures/mlp_init.safetensors");
const INPUTS: &[u8] = include_bytes!("../golden/captures/mlp_inputs.npy");
const TARGETS: &[u8] = include_bytes!("../golden/captures/mlp_targets.npy");

/// Of the readers' own tests: `[2, 3, 4]` twice, and a table of two rows.
const DEFLATED: &[u8] = include_bytes!("../../crates/nfa-train/src/array/fixtures/deflated.npz");
const CUBE: &[u8] = include_bytes!("../../crates/nfa-train/src/array/fixtures/cube-idx3-ubyte.gz");
const TABLE: &[u8] = include_bytes!("../../crates/nfa-train/src/array/fixtures/table.csv.gz");

/// What may have got into a file of rows.
const TEXTS: [&str; 12] = ["\u{feff}", "\r\n", "1e999", ",", "\"", "\0", "nan", "#", ";", "1e-320", "0x1", "\u{1b}[2J"];

/// Numbers without a pattern, in -1..1.
fn numbers(count: usize) -> Vec<f64> {
    (0..count).map(|i| (12.9898 * (i as f64 + 1.0)).sin()).collect()
}

/// Two layers on twelve inputs.
fn twelve() -> Pieces {
    Pieces::with(&[
        ("0.weight", &[4, 12], numbers(48)),
        ("0.bias", &[4], numbers(4)),
        ("1.weight", &[3, 4], numbers(12)),
    ])
}

fn npy(kind: &str, shape: &str, body: &[u8]) -> Vec<u8> {
    let header = format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}");
    let mut header = header.into_bytes();
    header.resize(header.len().next_multiple_of(64) + 53, b' ');
    header.push(b'\n');
    [b"\x93NUMPY\x01\0".as_slice(), &(header.len() as u16).to_le_bytes(), &header, body].concat()
}

fn csv(values: &[f64], columns: usize) -> String {
    let rows = values.chunks(columns).map(|row| row.iter().map(|v| format!("{v:e}")).collect::<Vec<_>>().join(","));
    rows.collect::<Vec<_>>().join("\n") + "\n"
}

// ---- properties ------------------------------------------------------------------------------

proptest! {
    #![proptest_config(config(500))]

    #[test]
    fn a_capture_that_lies(seed in 0..CAPTURES.len(), lies in lies(), json in any::<bool>(), plot in any::<bool>()) {
        let bytes = told(CAPTURES[seed], &lies);
        let args = MeasureArgs { plot: plot.then(|| "fan.svg".into()), ..of_capture() };
        survives(&[("c.safetensors", &bytes)], &args, json)?;
    }
}

proptest! {
    #![proptest_config(config(1500))]

    #[test]
    fn weights_that_lie(
        of in 0usize..3,
        lies in lies(),
        json in any::<bool>(),
        single in any::<bool>(),
        estimator in select(vec!["exact", "sketch:2"]),
        activation in select(vec!["relu", "tanh", "quadratic", "gelu", "linear", "softplus"]),
        scale in select(vec![1.0, 1.0, 1.0, 1e300, 1e-300]),
    ) {
        let weights = match of {
            0 => told(WEIGHTS, &lies),
            1 => WEIGHTS.to_vec(),
            _ => twelve().bytes(),
        };
        let init = if of == 1 { told(INIT, &lies) } else { INIT.to_vec() };
        // The inputs as a tensor of a safetensors file.
        let rows = Pieces::with(&[("x", &[20, 12], numbers(240))]).bytes();
        let files: [(&str, &[u8]); 5] = [
            ("w.safetensors", &weights),
            ("init.safetensors", &init),
            ("x.npy", INPUTS),
            ("y.npy", TARGETS),
            ("x.safetensors", &if of == 2 { told(&rows, &lies) } else { rows }),
        ];
        let inputs = if of == 2 { "x.safetensors" } else { "x.npy" };
        let args = MeasureArgs {
            init: (of == 1).then(|| "init.safetensors".into()),
            targets: (of != 2).then(|| "y.npy".into()),
            loss: (of != 2).then(|| "half_mse".into()),
            activation: vec![activation.into()],
            estimator: estimator.into(),
            dtype: if single { MeasureDtype::F32 } else { MeasureDtype::F64 },
            plot: Some("fan.svg".into()),
            save: Some("saved.safetensors".into()),
            scale,
            ..of_weights(inputs)
        };
        survives(&files, &args, json)?;
    }

    /// Rows in every container, with numbers, sizes and bytes that are wrong.
    #[test]
    fn rows_that_lie(
        container in select(vec!["npy", "csv", "idx", "npz", "gz", "table"]),
        at in any::<Index>(),
        value in select(&NUMBERS[..]),
        columns in 1usize..16,
        damage in prop::collection::vec((any::<Index>(), any::<u8>()), 0..3),
        cut in prop_oneof![4 => Just(None), 1 => any::<Index>().prop_map(Some)],
        text in prop_oneof![6 => Just(""), 1 => select(&TEXTS[..])],
        json in any::<bool>(),
    ) {
        let mut values = numbers(12 * columns);
        let place = at.index(values.len());
        values[place] = value;
        let shape = format!("(12, {columns})");
        let body: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        let big: Vec<u8> = values.iter().flat_map(|v| v.to_be_bytes()).collect();
        let (name, mut bytes) = match container {
            "npy" => ("x.npy", npy("<f8", &shape, &body)),
            "csv" => ("x.csv", csv(&values, columns).into_bytes()),
            "idx" => ("x.idx", [&[0, 0, 0x0e, 2, 0, 0, 0, 12, 0, 0, 0, columns as u8][..], &big].concat()),
            "npz" => ("x.npz:x", DEFLATED.to_vec()),
            "gz" => ("x.idx.gz", CUBE.to_vec()),
            _ => ("x.csv.gz", TABLE.to_vec()),
        };
        if !text.is_empty() {
            let at = at.index(bytes.len());
            bytes.splice(at..at, text.bytes());
        }
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Some(at) = cut {
            bytes.truncate(at.index(bytes.len()));
        }
        let weights = match columns {
            12 => twelve(),
            d => Pieces::with(&[("w", &[2, d as u64], numbers(2 * d))]),
        };
        let weights = if matches!(container, "npz" | "gz") { twelve() } else { weights };
        let file = name.split(':').next().unwrap_or(name);
        survives(&[("w.safetensors", &weights.bytes()), (file, &bytes)], &of_weights(name), json)?;
    }

    /// Two matrices with extreme numbers.
    #[test]
    fn matrices_that_lie(
        a in prop::collection::vec(select(&NUMBERS[..]), 3),
        b in prop::collection::vec(select(&NUMBERS[..]), 3),
        correlations in (select(vec![0.0, 0.5, 0.9]), select(vec![0.0, 0.5, 0.9])),
        depth in select(vec![None, Some(1), Some(3), Some(usize::MAX)]),
        plot in any::<bool>(),
        json in any::<bool>(),
    ) {
        // Gram matrices as long as the diagonal is positive: others are refused.
        let square = |diagonal: &[f64], correlation: f64| {
            let root = |i: usize| diagonal[i].abs().sqrt();
            let entry = |i: usize, j: usize| if i == j { diagonal[i] } else { correlation * root(i) * root(j) };
            let bytes: Vec<u8> = (0..9).flat_map(|k| entry(k / 3, k % 3).to_le_bytes()).collect();
            npy("<f8", "(3, 3)", &bytes)
        };
        let (a, b) = (square(&a, correlations.0), square(&b, correlations.1));
        let args = MeasureArgs {
            nfm: Some("a.npy".into()),
            agop: Some("b.npy".into()),
            depth,
            plot: plot.then(|| "fan.svg".into()),
            ..arguments()
        };
        survives(&[("a.npy", &a), ("b.npy", &b)], &args, json)?;
    }
}

/// Asserts that a call is refused with these words, within memory.
#[track_caller]
fn refused(given: &[(&str, &[u8])], args: &MeasureArgs, words: &[&str]) {
    let files = Files::of(given);
    let error = call(&files, args, true).expect_err("must be refused").to_string();
    assert!(words.iter().all(|word| error.contains(word)), "{error}");
    survives(given, args, true).unwrap();
}

/// `[1, d]` as one site of a capture.
fn wide(d: u64) -> Pieces {
    Pieces::with(&[
        ("fc.weight", &[1, d], vec![1.0; d as usize]),
        ("fc.k", &[1, 1, 1], vec![1.0]),
        ("fc.count", &[1], vec![10.0]),
    ])
    .noted()
}

#[test]
fn small_files_that_ask_for_much_are_refused() {
    // 800 kB of weights, whose Gram matrix would take 75 GiB.
    let capture = wide(100_000).bytes();
    refused(&[("c.safetensors", &capture)], &of_capture(), &["c.safetensors", "`fc`'s inputs", "75 GiB", "max_size"]);
    let weights = Pieces::with(&[("fc.weight", &[1, 100_000], vec![1.0; 100_000])]).bytes();
    let x = npy("|u1", "(2, 100000)", &[1; 200_000]);
    let files: [(&str, &[u8]); 2] = [("w.safetensors", &weights), ("x.npy", &x)];
    refused(&files, &of_weights("x.npy"), &["w.safetensors", "`fc.weight`'s inputs", "GiB", "--layer"]);
    // The Gram matrix of the outputs; and, with targets, all rows at once.
    let tall = Pieces::with(&[("0", &[20_000, 1], vec![1.0; 20_000]), ("1", &[1, 20_000], vec![1.0; 20_000])]).bytes();
    let x = npy("|u1", "(20000, 1)", &[1; 20_000]);
    refused(&[("w.safetensors", &tall), ("x.npy", &x)], &of_weights("x.npy"), &["`0`'s outputs", "GiB"]);
    let classes = Pieces::with(&[("w", &[16_000, 1], vec![1.0; 16_000])]).bytes();
    let args = MeasureArgs { targets: Some("x.npy".into()), ..of_weights("x.npy") };
    refused(&[("w.safetensors", &classes), ("x.npy", &x)], &args, &["--targets", "one-hot", "fewer rows"]);

    // A note that repeats a site would copy it as often.
    let mut again = wide(3);
    again.notes.insert("order".into(), "fc,".repeat(100_000).into());
    refused(&[("c.safetensors", &again.bytes())], &of_capture(), &["order names \"fc\" twice"]);
}

#[test]
fn shapes_of_nothing_are_refused() {
    for shape in [[1_000_000_000, 0], [0, 1_000_000_000], [0, 0], [1 << 62, 0]] {
        let mut capture = wide(3);
        capture.entries[0].shape = shape.to_vec();
        capture.entries[0].offsets = [0, 0];
        capture.body.drain(..24);
        for entry in &mut capture.entries[1..] {
            entry.offsets = entry.offsets.map(|offset| offset - 24);
        }
        refused(&[("c.safetensors", &capture.bytes())], &of_capture(), &["fc.weight", "empty"]);
        let weights = Pieces::with(&[("w", &shape, vec![])]).bytes();
        let x = npy("<f8", &format!("({}, {})", shape[0], shape[1]), b"");
        let files: [(&str, &[u8]); 2] = [("w.safetensors", &weights), ("x.npy", &x)];
        refused(&files, &of_weights("x.npy"), &["x.npy", "has no entries"]);
        let one = npy("<f8", "(1, 1)", &1f64.to_le_bytes());
        refused(
            &[("w.safetensors", &weights), ("x.npy", &one)],
            &of_weights("x.npy"),
            &["w.safetensors", "w has shape"],
        );
    }
}

#[test]
fn long_headers_are_read_and_told_in_short() {
    // Quadratic work on these names would take minutes.
    let mut many = Pieces { notes: Map::new(), entries: Vec::new(), body: Vec::new() }.noted();
    for i in 0..30_000 {
        let name = format!("site{i}.weight");
        many.entries.push(Entry { name, dtype: "F64".into(), shape: vec![0, 0, 0], offsets: [0, 0] });
    }
    refused(&[("c.safetensors", &many.bytes())], &of_capture(), &["site0.weight", "expected a matrix"]);
    many.notes.clear();
    let x = npy("<f8", "(1, 1)", &1f64.to_le_bytes());
    let files: [(&str, &[u8]); 2] = [("w.safetensors", &many.bytes()), ("x.npy", &x)];
    refused(&files, &of_weights("x.npy"), &["not a plain MLP", "29992 more", "--capture"]);
    let deep = format!("{{\"a\":{}", "[".repeat(100_000));
    let bytes = [&(deep.len() as u64).to_le_bytes()[..], deep.as_bytes()].concat();
    refused(&[("c.safetensors", &bytes)], &of_capture(), &["c.safetensors", "the header is damaged"]);
    let digits = format!("1,{}\n", "9".repeat(1 << 20));
    let weights = twelve().bytes();
    let files: [(&str, &[u8]); 2] = [("w.safetensors", &weights), ("x.csv", digits.as_bytes())];
    refused(&files, &of_weights("x.csv"), &["x.csv: line 1, column 2", "too large"]);
}

#[test]
fn files_given_for_others_are_told_apart() {
    let capture = CAPTURES[0];
    let x = npy("<f8", "(1, 6)", &[0; 48]);
    let files: [(&str, &[u8]); 2] = [("w.safetensors", capture), ("x.npy", &x)];
    refused(&files, &of_weights("x.npy"), &["w.safetensors", "is a capture", "--capture"]);
    refused(&[("c.safetensors", WEIGHTS)], &of_capture(), &["c.safetensors", "goes with --weights"]);
    refused(&[("c.safetensors", TABLE)], &of_capture(), &["c.safetensors", "no safetensors file"]);
    refused(&[("c.safetensors", b"PK\x03\x04\0\0\0\0archive/data.pkl")], &of_capture(), &["pickle"]);
    for (args, option) in [
        (MeasureArgs { inputs: Some("x.npy".into()), ..of_capture() }, "--inputs"),
        (MeasureArgs { activation: vec!["relu".into()], ..of_capture() }, "--activation"),
        (MeasureArgs { dtype: MeasureDtype::F32, ..of_capture() }, "--dtype"),
        (MeasureArgs { scale: 2.0, ..of_capture() }, "--scale"),
    ] {
        refused(&[("c.safetensors", capture)], &args, &[option, "goes with --weights"]);
    }
}

/// What the properties found, and what stands between them and finding it again.
#[test]
fn numbers_at_the_ends_are_refused_or_undetermined() {
    let mut counted = wide(3);
    counted.edit(2, |_, _| f64::MAX);
    refused(&[("c.safetensors", &counted.bytes())], &of_capture(), &["fc.count", "adds up to more"]);
    let skewed = Pieces::with(&[
        ("fc.weight", &[2, 3], numbers(6)),
        ("fc.k", &[1, 2, 2], vec![1e200, 5e199, 0.0, 1e200]),
        ("fc.count", &[1], vec![10.0]),
    ]);
    refused(&[("c.safetensors", &skewed.noted().bytes())], &of_capture(), &["fc.k", "not symmetric"]);

    let square = |diagonal: [f64; 2], off: f64| {
        let entries = [diagonal[0], off, off, diagonal[1]];
        npy("<f8", "(2, 2)", &entries.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>())
    };
    let args = MeasureArgs {
        nfm: Some("a.npy".into()),
        agop: Some("b.npy".into()),
        plot: Some("fan.svg".into()),
        ..arguments()
    };
    let (plain, indefinite) = (square([2.0, 1.0], 0.0), square([1.0, 1.0], 2.0));
    let nan = square([f64::NAN, 1.0], 0.0);
    refused(&[("a.npy", &nan), ("b.npy", &plain)], &args, &["--nfm a.npy: row 0, column 0", "NaN"]);
    for files in [[("a.npy", &indefinite[..]), ("b.npy", &plain)], [("a.npy", &plain), ("b.npy", &indefinite)]] {
        refused(&files, &args, &["the eigenvalue -1.000e0"]);
    }
    // A ratio of weights that overflows is no place on an axis, which had no end.
    let steep = square([5e-324, 1.0], 0.0);
    assert!(survives(&[("a.npy", &steep), ("b.npy", &plain)], &args, true).unwrap());

    // W W^T and distances to it that overflow, and a loss that does.
    let x = npy("<f8", "(20, 12)", &numbers(240).iter().flat_map(|v| (1e200 * v).to_le_bytes()).collect::<Vec<u8>>());
    for size in [2e154, 1e120, 1e-200] {
        let mut huge = twelve();
        huge.edit(0, |_, v| size * v);
        let weights = huge.bytes();
        let args = MeasureArgs {
            targets: Some("y.csv".into()),
            loss: Some("mse".into()),
            activation: vec!["linear".into()],
            ..of_weights("x.npy")
        };
        let targets = csv(&numbers(60), 3);
        let given: [(&str, &[u8]); 3] = [("w.safetensors", &weights), ("x.npy", &x), ("y.csv", targets.as_bytes())];
        for json in [true, false] {
            assert!(survives(&given, &args, json).unwrap(), "{size}");
        }
        let text = call(&Files::of(&given), &args, false).unwrap().concat();
        assert!(text.contains("undetermined"), "{text}");
        assert_eq!(text.contains("loss overflows"), size > 1.0, "{text}");
    }
}

/// A byte-order mark, other line ends and blank lines change nothing.
#[test]
fn how_a_table_is_written_does_not_matter() {
    let text = csv(&numbers(240), 12);
    let weights = twelve().bytes();
    let measured = |text: &str| {
        let files = Files::of(&[("w.safetensors", &weights), ("x.csv", text.as_bytes())]);
        call(&files, &of_weights("x.csv"), true).unwrap()
    };
    let plain = measured(&text);
    for other in
        [format!("\u{feff}{text}"), text.replace('\n', "\r\n"), text.replace(',', ";"), format!("# x\n\n{text}\n")]
    {
        assert_eq!(measured(&other), plain);
    }
}

#[test]
fn the_seeds_themselves_are_measured() {
    for seed in CAPTURES {
        assert!(survives(&[("c.safetensors", &Pieces::of(seed).bytes())], &of_capture(), true).unwrap());
    }
    let twelve = twelve().bytes();
    let x = npy("<f8", "(20, 12)", &numbers(240).iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>());
    assert!(survives(&[("w.safetensors", &twelve), ("x.npy", &x)], &of_weights("x.npy"), true).unwrap());
}
