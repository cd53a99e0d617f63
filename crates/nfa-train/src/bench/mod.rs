//! `bench`: devices, paths and engines side by side.
//!
//! | module | holds |
//! |---|---|
//! | [`args`] | the command line |
//! | [`problem`], [`saved`] | what is computed, drawn and as a file for other programs |
//! | [`agop`], [`train`], [`spectra`], [`sites`], [`scale`] | what is timed |
//! | [`fidelity`] | what is held against f64 on the host |
//! | [`clock`], [`memory`], [`work`] | seconds, bytes, multiply-adds |
//! | [`row`], [`columns`], [`table`], [`machine`], [`compare`] | results, for programs and for people |

use std::cell::{Cell, RefCell};
use std::hint::black_box;
use std::io::BufRead;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use burn::tensor::{Device, Tensor, TensorData};
use serde_json::Value;

use crate::bench::args::{BenchArgs, Common};
use crate::bench::problem::Problem;
use crate::bench::row::Row;
use crate::error::{Error, Result};
use crate::machine::devices::{self, Dtype};
use crate::machine::disk::Store;
use crate::machine::progress::Progress;
use crate::registries::Registries;

pub mod agop;
pub mod args;
pub mod clock;
pub mod columns;
pub mod compare;
pub mod fidelity;
pub mod machine;
pub mod memory;

pub mod problem;
pub mod row;
pub mod saved;
pub mod scale;
pub mod sites;
pub mod spectra;
pub mod table;
pub mod train;
pub mod work;

/// A call of `bench`.
pub struct BenchCall<'a> {
    /// What was asked for.
    pub what: &'a BenchArgs,
    /// What options may name.
    pub registries: &'a Registries,
    /// The file system.
    pub store: &'a dyn Store,
    /// Set when the user asks to stop.
    pub interrupt: &'a AtomicBool,
    /// One JSON object per line instead of tables.
    pub json: bool,
    /// No progress.
    pub quiet: bool,
    /// Takes a line of results.
    pub out: &'a dyn Fn(&str),
}

impl BenchCall<'_> {
    /// Does it.
    ///
    /// # Errors
    /// Wrong input with its reason; devices that are not there; files that can't be read or
    /// written; an interruption.
    pub fn run(&self) -> Result<()> {
        let common = self.what.common();
        // Whatever can be refused is refused before anything takes its time.
        let old = common.compare.as_deref().map(|path| compare::read(self.store, path)).transpose()?;
        common.save.as_deref().map_or(Ok(()), |path| self.check_save(path))?;
        for name in &common.device {
            devices::check(name, common.dtype.first().copied().unwrap_or(Dtype::F32))?;
        }
        if env!("NFA_PROFILE") != "release" && !self.quiet && !matches!(self.what, BenchArgs::Fidelity(_)) {
            crate::machine::message::message(
                "note: this is a dev build; time one of `cargo build --release -p nfa-train`",
            );
        }
        let bench = Bench {
            call: self,
            rows: RefCell::new(Vec::new()),
            peaks: RefCell::new(Vec::new()),
            progress: RefCell::new(None),
            done: Cell::new(0),
            shown: Cell::new(0),
        };
        let measured = self.measure(&bench, common);
        // Where it was stopped, too: what was found so far.
        bench.show();
        measured?;
        self.leave(&bench, common, old)
    }

    fn measure(&self, bench: &Bench<'_>, common: &Common) -> Result<()> {
        match self.what {
            BenchArgs::Agop(args) => {
                let plan = agop::Plan::read(args)?;
                if let Some(path) = &args.problem.save_problem {
                    agop::save(bench, &plan, path)?;
                }
                match args.problem.on_demand {
                    true => agop::on_demand(bench, &plan),
                    false => agop::run(bench, &plan),
                }
            }
            BenchArgs::Train(args) => {
                let plan = train::Plan::read(args, bench)?;
                if let Some(path) = &args.problem.save_problem {
                    train::save(bench, &plan, path)?;
                }
                match args.problem.on_demand {
                    true => train::on_demand(bench, &plan),
                    false => train::run(bench, &plan),
                }
            }
            BenchArgs::Spectra(args) => {
                spectra::check(&args.dims)?;
                match args.on_demand {
                    true => spectra::on_demand(bench, args),
                    false => spectra::run(bench, &args.dims, args.jobs, common),
                }
            }
            BenchArgs::Sites(args) => {
                if let Some(path) = &args.save_problem {
                    sites::save(bench, args, path)?;
                }
                match args.on_demand {
                    true => sites::on_demand(bench, args),
                    false => sites::run(bench, args, common),
                }
            }
            BenchArgs::Fidelity(args) => fidelity::run(bench, args.operation.as_deref(), common),
            BenchArgs::Scale(args) => scale::run(bench, args),
            BenchArgs::All(_) => all(bench, common),
        }
    }

    /// Whether a file can be written in the end, as far as that can be known before.
    fn check_save(&self, path: &Path) -> Result<()> {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let wrong = |what: String| Err(Error::input(format!("--save {}: {what}", path.display())));
        match self.store.list(folder) {
            Err(error) => wrong(format!("there is no folder {}: {error}; create it", folder.display())),
            Ok(_) if self.store.list(path).is_ok() => wrong("is a folder; name a file".into()),
            Ok(_) => Ok(()),
        }
    }

    /// The saved file and the comparison.
    fn leave(&self, bench: &Bench<'_>, common: &Common, old: Option<compare::Old>) -> Result<()> {
        let rows: Vec<Value> = bench.rows.borrow().iter().map(Row::json).collect();
        let graphics = common.device.iter().any(|name| !["flex", "ndarray"].contains(&name.as_str()));
        let here = || machine::line(self.store, graphics);
        if let Some(path) = &common.save {
            let lines = std::iter::once(here()).chain(rows.iter().cloned());
            let text: String = lines.map(|line| format!("{line}\n")).collect();
            self.store.write(path, text.as_bytes()).map_err(|error| Error::io("cannot write", path, &error))?;
        }
        if let Some(old) = old {
            let found = compare::compare(&old, &rows, &here());
            if let Some(warning) = found.warning() {
                crate::machine::message::message(&format!("warning: {warning}"));
            }
            match self.json {
                true => found.json().iter().for_each(|line| (self.out)(&line.to_string())),
                false => (self.out)(found.text().trim_end()),
            }
        }
        Ok(())
    }
}

/// The standard problems of every kind.
fn all(bench: &Bench<'_>, common: &Common) -> Result<()> {
    for standard in &problem::AGOP {
        let problem = Problem::of(standard);
        let reference = args::Reference::Auto;
        agop::run(bench, &agop::Plan { problem, layers: vec![0], path: "all", reference, common })?;
    }
    for standard in &problem::TRAIN {
        train::run(bench, &train::Plan::standard(Problem::of(standard), bench, common))?;
    }
    spectra::run(bench, &[784, 3072], 1, common)?;
    fidelity::run(bench, None, common)
}

/// What the benches of one call share.
pub struct Bench<'a> {
    call: &'a BenchCall<'a>,
    rows: RefCell<Vec<Row>>,
    /// GFLOP/s by device and dtype.
    peaks: RefCell<Vec<(String, Dtype, f64)>>,
    progress: RefCell<Option<Progress>>,
    /// Pulses of the bench at hand.
    done: Cell<u64>,
    /// Rows that a table has shown.
    shown: Cell<usize>,
}

/// The peak is that of a product of square matrices of this size.
const PEAK: usize = 2048;

impl Bench<'_> {
    /// The file system.
    pub fn store(&self) -> &dyn Store {
        self.call.store
    }

    /// What options may name.
    pub fn registries(&self) -> &Registries {
        self.call.registries
    }

    /// Begins a bench of so many pulses; shows what the one before has found.
    pub fn begin(&self, pulses: u64, title: &str) {
        self.show();
        let progress = Progress::new(pulses, self.call.quiet);
        progress.at(0, title);
        *self.progress.borrow_mut() = Some(progress);
        self.done.set(0);
    }

    /// Whether the user lets it go on.
    ///
    /// # Errors
    /// Where they asked to stop.
    pub fn goes_on(&self) -> Result<()> {
        match self.call.interrupt.load(Ordering::Relaxed) {
            true => Err(Error::interrupted("stopped; nothing was saved")),
            false => Ok(()),
        }
    }

    /// Whether so many bytes are free, as far as the system says; `less` is the way out.
    ///
    /// # Errors
    /// Where they are not.
    pub fn fits(&self, bytes: f64, less: &str) -> Result<()> {
        let gibibytes = |bytes: f64| bytes / f64::from(1u32 << 30);
        match crate::machine::memory::available(self.store()) {
            Some(free) if bytes > free as f64 => Err(Error::input(format!(
                "this takes about {:.1} GiB of memory and {:.1} GiB are free: ask for {less}",
                gibibytes(bytes),
                gibibytes(free as f64)
            ))),
            _ => Ok(()),
        }
    }

    /// A sign of life before each repeat.
    ///
    /// # Errors
    /// Where the user asked to stop.
    pub fn pulse(&self, label: &str) -> Result<()> {
        self.goes_on()?;
        if let Some(progress) = &*self.progress.borrow() {
            progress.at(self.done.get(), label);
        }
        self.done.set(self.done.get() + 1);
        Ok(())
    }

    /// Whether results go to a program.
    pub fn json(&self) -> bool {
        self.call.json
    }

    /// A line for a person, on stderr, unless they want quiet.
    pub fn say(&self, line: &str) {
        if let Some(progress) = &*self.progress.borrow() {
            progress.say(line);
        }
    }

    /// Takes a row; as JSON it is printed at once.
    pub fn emit(&self, row: Row) {
        if self.call.json {
            let line = row.json().to_string();
            match &*self.progress.borrow() {
                Some(progress) => progress.aside(|| (self.call.out)(&line)),
                None => (self.call.out)(&line),
            }
        }
        self.rows.borrow_mut().push(row);
    }

    /// Prints the rows of the bench that has ended as a table.
    fn show(&self) {
        if let Some(progress) = self.progress.borrow_mut().take() {
            progress.finish();
        }
        let rows = self.rows.borrow();
        let new = &rows[self.shown.replace(rows.len())..];
        if !self.call.json && !new.is_empty() {
            (self.call.out)(table::text(new).trim_end());
            (self.call.out)("");
        }
    }

    /// Every device with every dtype that was asked for; `default` where none was.
    ///
    /// # Errors
    /// Devices that are not there, or that don't compute in a dtype.
    pub fn places(&self, common: &Common, default: &[Dtype]) -> Result<Vec<(String, Dtype)>> {
        let dtypes = if common.dtype.is_empty() { default } else { common.dtype.as_slice() };
        let mut places: Vec<(String, Dtype)> = Vec::new();
        for name in &common.device {
            for &dtype in dtypes {
                devices::check(name, dtype)?;
                if !places.iter().any(|(known, other)| known == name && *other == dtype) {
                    places.push((name.clone(), dtype));
                }
            }
        }
        Ok(places)
    }

    /// The one device and dtype of `--on-demand`.
    ///
    /// # Errors
    /// Where there are several.
    pub fn one_place(&self, common: &Common, default: Dtype) -> Result<(String, Dtype)> {
        match <[_; 1]>::try_from(self.places(common, &[default])?) {
            Ok([place]) => Ok(place),
            Err(_) => Err(Error::input("--on-demand times one thing: give one --device and one --dtype")),
        }
    }

    /// GFLOP/s of the best product of two square matrices, measured once per device and dtype.
    ///
    /// # Errors
    /// A device that fails; an interruption.
    pub fn peak(&self, name: &str, device: &Device, dtype: Dtype) -> Result<f64> {
        let known = self.peaks.borrow().iter().find(|(n, t, _)| n == name && *t == dtype).map(|(.., peak)| *peak);
        if let Some(peak) = known {
            return Ok(peak);
        }
        let data: Vec<f64> = (0..PEAK * PEAK).map(|k| (k % 7) as f64 - 3.0).collect();
        let a = Tensor::<2>::from_data(TensorData::new(data, [PEAK, PEAK]), (device, dtype.burn()));
        let mut work = |calls: u64| {
            for _ in 0..calls {
                black_box(a.clone().matmul(a.clone()));
            }
            device.sync().map_err(|error| Error::environment(format!("{name}: {error}")))
        };
        let (_, calls) = clock::warm_up(&mut work, 0.02)?;
        let (start, mut least) = (std::time::Instant::now(), f64::INFINITY);
        for _ in 0..5 {
            least = least.min(clock::seconds(&mut work, calls)? / calls as f64);
            // A machine that is slow, or not alone, is not held up for a better figure.
            if start.elapsed().as_secs_f64() > 1.0 {
                break;
            }
        }
        let peak = 2e-9 * (PEAK as f64).powi(3) / least;
        self.peaks.borrow_mut().push((name.to_string(), dtype, peak));
        Ok(peak)
    }

    /// For `--on-demand`: warms up, says so, then prints the seconds of a call for every line read.
    ///
    /// # Errors
    /// Those of the work.
    pub fn serve(&self, name: &str, auto: bool, work: &mut clock::Work<'_>, block: f64) -> Result<()> {
        self.serve_scaled(name, auto, work, block, 1.0)
    }

    /// As [`Bench::serve`], seconds times `scale`.
    ///
    /// # Errors
    /// Those of the work.
    pub fn serve_scaled(
        &self,
        name: &str,
        auto: bool,
        work: &mut clock::Work<'_>,
        block: f64,
        scale: f64,
    ) -> Result<()> {
        let (first, calls) = clock::warm_up(work, block)?;
        let ready = serde_json::json!({
            "schema": "nfa.ready/1", "name": name, "auto": auto, "first_call_s": first * scale, "calls": calls,
        });
        (self.call.out)(&ready.to_string());
        for line in std::io::stdin().lock().lines() {
            if line.is_err() || self.call.interrupt.load(Ordering::Relaxed) {
                break;
            }
            let seconds = clock::seconds(work, calls)? / calls as f64 * scale;
            (self.call.out)(&format!("{seconds:e}"));
        }
        Ok(())
    }
}
