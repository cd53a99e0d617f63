//! `measure` as it is called: files in, lines of text or JSON out.

use std::path::Path;

use nfa_metrics::{AgopOptions, Laws, Mat, Path as Way, Penalty, Recording, Thresholds};
use nfa_models::spec::{Registry, read};
use nfa_models::{Activation, SpecError};

use crate::array::tensor_reader::TensorReader;
use crate::array::{self, Array};
use crate::error::{Error, Result};
use crate::keys::parse_value;
use crate::machine::devices::Dtype;
use crate::machine::disk::Store;
use crate::machine::memory;
use crate::measure::args::{HeadsArg, MeasureArgs, MeasureDtype};
use crate::measure::capture::from_capture;
use crate::measure::matrices::{Given, from_matrices};
use crate::measure::measurement::{Measurement, matrices};
use crate::measure::network::{Beside, Ground, from_weights};
use crate::measure::options::{self, Source};
use crate::measure::pairs::{self, Heads, Pairs};
use crate::measure::samples::{Answers, Job, Samples};
use crate::measure::settings::{Settings, Tell, check_size, title_of};
use crate::measure::{chosen, columns, compare, depth, fan, json, summary, table, trained};
use crate::observe::layers::Layers;
use crate::train::loss::Loss;
use crate::weights::layers::Chosen;
use crate::weights::{Checkpoint, Weights};

/// Memory that a number of the rows takes at the height of a measurement, in bytes (measured, and rounded up).
const BYTES_PER_ENTRY: u64 = 40;

/// What a call has to say.
#[derive(Debug)]
pub struct Said {
    /// For stdout: a text or a JSON object each.
    pub lines: Vec<String>,
    /// Whether the loss says that another network was read, and that was asked.
    pub doubtful: bool,
}

/// A call of `measure`.
pub struct Call<'a> {
    /// What was asked for.
    pub args: &'a MeasureArgs,
    /// The known laws.
    pub laws: &'a Laws,
    /// The known losses.
    pub losses: &'a Registry<dyn Loss>,
    /// The file system.
    pub store: &'a dyn Store,
    /// Told how many rows of a table are done, of how many, and of what.
    pub tell: Tell<'a>,
}

impl Call<'_> {
    /// Does it.
    ///
    /// # Errors
    /// Wrong input with its place and reason; files that can't be written.
    pub fn run(&self, json: bool, color: bool) -> Result<Said> {
        let source = options::source(self.args)?;
        let settings = self.settings()?;
        let weights = self.args.weights.as_slice();
        let measurements = match source {
            Source::Matrices => vec![self.matrices(&settings)?],
            Source::Pairs => weights.iter().map(|path| self.pairs(path, &settings)).collect::<Result<_>>()?,
            Source::Network => self.networks(weights, &settings)?,
            Source::Capture => self.captures(&self.args.capture, &settings)?,
        };
        if let Some(message) = self.args.compare.then(|| compare::refusal(&measurements)).flatten() {
            return Err(Error::input(format!("--compare {message}")));
        }
        if let Some(message) = compare::strangers(&measurements) {
            return Err(Error::input(message));
        }
        // A network of one layer has nothing else.
        let chosen = source == Source::Capture || (source == Source::Network && self.args.layer != "all");
        let empty = |measured: &&Measurement| chosen && summary::is_by_definition(measured);
        if let Some(measured) = measurements.iter().find(empty) {
            return Err(Error::input(format!(
                "{}: nothing is measured but maps whose outputs are the network's, where the AGOP is W^T W by definition; \
                 measure the layers before them",
                measured.title
            )));
        }
        self.leave_files(&measurements)?;
        let last = measurements.len() - 1;
        let said = |(i, m): (usize, &Measurement)| match json {
            true => json::measurement(m).to_string(),
            false => table::text(m, color, i == last),
        };
        let mut lines: Vec<String> = measurements.iter().enumerate().map(said).collect();
        if let ([a, b], true) = (measurements.as_slice(), self.args.compare) {
            lines.push(if json { compare::json(a, b).to_string() } else { compare::text(a, b) });
        }
        let doubtful = self.args.strict && measurements.iter().any(|measured| !measured.task.doubts.is_empty());
        Ok(Said { lines, doubtful })
    }

    fn settings(&self) -> Result<Settings> {
        let args = self.args;
        let mut verdict = toml::Table::new();
        for text in &args.set {
            let parsed = text.split_once('=').and_then(|(key, value)| Some((key.strip_prefix("verdict.")?, value)));
            let (key, value) = parsed.ok_or_else(|| {
                Error::input(format!("--set {text}: write --set verdict.KEY=V, as in verdict.holds=0.1"))
            })?;
            verdict.insert(key.to_string(), parse_value(value));
        }
        let thresholds: Thresholds =
            read(verdict).map_err(|error: SpecError| Error::input(format!("--set {}", error.under("verdict"))))?;
        if let Some(bad) = args.alpha.iter().find(|alpha| !(alpha.is_finite() && **alpha > 0.0)) {
            return Err(Error::input(format!("--alpha {bad}: exponents are positive")));
        }
        if !(args.scale.is_finite() && args.scale != 0.0) {
            return Err(Error::input(format!("--scale {}: must be finite and not 0", args.scale)));
        }
        if args.batch == Some(0) {
            return Err(Error::input("--batch 0: at least one row"));
        }
        let sketch = match args.estimator.split_once(':') {
            None if args.estimator == "exact" => None,
            Some(("sketch", draws)) if draws.parse::<usize>().is_ok_and(|draws| draws > 0) => draws.parse().ok(),
            _ => {
                return Err(Error::input(format!(
                    "--estimator {}: write exact, or sketch:K with K draws",
                    args.estimator
                )));
            }
        };
        let dtype = match args.dtype {
            MeasureDtype::F32 => Dtype::F32,
            MeasureDtype::F64 => Dtype::F64,
        };
        crate::machine::devices::check(&args.device, dtype)?;
        Ok(Settings {
            thresholds,
            alphas: args.alpha.clone(),
            layers: Layers::from_word(&args.layer),
            agop: AgopOptions {
                path: Way::Auto,
                centered: args.centered,
                sketch,
                batch: args.batch,
                ..AgopOptions::default()
            },
            dtype,
            device: args.device.clone(),
            laws: args.law.clone(),
            penalty: args.weight_decay.map_or(Ok(Penalty::Unknown), chosen::penalty)?,
            compares: args.compare || args.init.is_some(),
            saves: args.save.is_some(),
            columns: args.columns,
        })
    }

    fn array(&self, option: &str, spec: &str) -> Result<Array> {
        let found = array::read(spec, Path::new(""), &|path| self.store.read(path)).and_then(|found| {
            array::check_finite(&found).map_err(|error| error.in_file(array::split_spec(spec).0))?;
            Ok(found)
        });
        found.map_err(|error| Error::input(format!("{option} {error}")))
    }

    /// Refuses rows that memory doesn't hold, before they are read.
    fn check_room(&self, option: &str, spec: &str) -> Result<()> {
        let path = Path::new(array::split_spec(spec).0);
        // A file that isn't there is named by its reader.
        let Ok(size) = self.store.size(path) else { return Ok(()) };
        let start = self.store.section(path, 0..size.min(4096)).unwrap_or_default();
        let entries = array::claimed(&path.display().to_string(), &start, size);
        let needed = size.saturating_add(entries.saturating_mul(BYTES_PER_ENTRY));
        match memory::available(self.store) {
            Some(free) if needed > free => {
                let gibibytes = |bytes: u64| bytes as f64 / f64::from(1 << 30);
                Err(Error::input(format!(
                    "{option} {spec}: {entries} numbers take {:.1} GiB while they are measured, and {:.1} GiB are free; give \
                     fewer rows: the intervals say how many are enough",
                    gibibytes(needed),
                    gibibytes(free)
                )))
            }
            _ => Ok(()),
        }
    }

    /// A matrix, and machine epsilon of its numbers.
    fn matrix(&self, option: &str, spec: &str) -> Result<(Mat, f64)> {
        let found = self.array(option, spec)?;
        let [rows, cols] = found.shape[..] else {
            return Err(Error::input(format!("{option} {spec} has shape {:?}; a matrix is [d, d]", found.shape)));
        };
        Ok((Mat::from_fn(rows, cols, |i, j| found.values[i * cols + j]), found.eps))
    }

    fn capture(&self, path: &Path, settings: &Settings) -> Result<Measurement> {
        let file = TensorReader::open(path, self.store);
        let file = file.map_err(|error| Error::input(format!("{}: {error}", path.display())))?;
        let recording = Recording::open(&file, file.head().notes().clone());
        let recording = recording.map_err(|error| Error::input(format!("{}: {error}", path.display())))?;
        from_capture(self.laws, &recording, path, settings, self.tell)
    }

    fn captures(&self, files: &[std::path::PathBuf], settings: &Settings) -> Result<Vec<Measurement>> {
        let start = self.args.init.as_deref().map(|path| Ok::<_, Error>((path, self.capture(path, settings)?)));
        let start = start.transpose()?;
        let measure = |path: &std::path::PathBuf| {
            let mut measurement = self.capture(path, settings)?;
            if self.args.heads == Some(HeadsArg::Hide) {
                measurement = measurement.without_parts();
            }
            if let Some((path, start)) = &start {
                measurement
                    .compare_with_start(start)
                    .map_err(|error| Error::input(format!("--init {}: {error}", path.display())))?;
            }
            Ok(measurement)
        };
        files.iter().map(measure).collect()
    }

    fn matrices(&self, settings: &Settings) -> Result<Measurement> {
        let (nfm, agop) = (self.args.nfm.as_deref().unwrap_or_default(), self.args.agop.as_deref().unwrap_or_default());
        if self.args.depth == Some(0) {
            return Err(Error::input(
                "--depth 0: at least one weight matrix lies between a layer's input and the outputs",
            ));
        }
        if self.args.rank == Some(0) {
            return Err(Error::input("--rank 0: a matrix without directions has no exponent"));
        }
        let given = Given {
            nfm: self.matrix("--nfm", nfm)?,
            agop: self.matrix("--agop", agop)?,
            depth: self.args.depth,
            rank: self.args.rank,
        };
        from_matrices(given, &title_of(Path::new(nfm)), settings)
    }

    fn pairs(&self, path: &Path, settings: &Settings) -> Result<Measurement> {
        let mut checkpoint = Checkpoint::open(path, self.store)?;
        if let Some(prefix) = &self.args.prefix {
            checkpoint.only(prefix)?;
        }
        // Beside the weights, as Hugging Face keeps it; whatever else lies there is no configuration.
        let given = match self.args.heads {
            Some(HeadsArg::Count(heads)) => Some(heads),
            _ => None,
        };
        let heads = Heads { given, config: checkpoint.beside("config.json") };
        let found = Pairs::find(&checkpoint, &heads)?;
        if !found.is_empty() && !self.args.activation.is_empty() {
            return Err(checkpoint.wrong(
                "--activation pairs the layers of a plain MLP, and this file has attention or adapters; leave it out",
            ));
        }
        let row = |pair| pairs::row(&pair, &settings.thresholds);
        let (rows, notes) = if found.is_empty() {
            let activations = self.activations()?;
            if activations.is_empty() {
                return Err(checkpoint.wrong(
                    "--pairs auto knows none of its names (attention of gpt2, llama, neox, falcon, phi, bert, vit, opt, t5, \
                     torch ...; adapters of peft, kohya, diffusers); for the layers of an MLP add --activation linear or relu",
                ));
            }
            let weights = self.load(path)?;
            let found = pairs::of_layers(&weights, &activations)?;
            (found.into_iter().map(row).collect(), weights.notes)
        } else {
            found.each(row, self.tell)?
        };
        let mut measured = pairs::measurement(rows, notes, &title_of(path), settings.thresholds);
        let wanted = settings.places(&measured.layers.iter().map(|layer| layer.name.clone()).collect::<Vec<_>>())?;
        measured.layers.retain(|layer| wanted.contains(&layer.layer));
        Ok(measured)
    }

    fn load(&self, path: &Path) -> Result<Weights> {
        let names = (!self.args.layers.is_empty()).then_some(self.args.layers.as_slice());
        let chosen = Chosen { names, prefix: self.args.prefix.as_deref(), naming: "--layers NAME,NAME" };
        Weights::open(path, self.store, chosen)
    }

    fn activations(&self) -> Result<Vec<Activation>> {
        let parse = |word: &String| {
            word.trim().parse::<Activation>().map_err(|error| Error::input(format!("--activation {error}")))
        };
        self.args.activation.iter().map(parse).collect()
    }

    fn networks(&self, files: &[std::path::PathBuf], settings: &Settings) -> Result<Vec<Measurement>> {
        let args = self.args;
        let Some(inputs) = &args.inputs else {
            return Err(Error::input("--weights needs --inputs FILE: the AGOP is an average over samples"));
        };
        self.check_room("--inputs", inputs)?;
        let found = self.array("--inputs", inputs)?;
        let (count, dim) = found.matrix();
        let mut scaled = found.values;
        if args.scale != 1.0 {
            scaled.iter_mut().for_each(|v| *v *= args.scale);
        }
        if let Some(at) = scaled.iter().position(|v| !v.is_finite()) {
            let message = format!("--scale {}: row {}, column {} overflows (from 0)", args.scale, at / dim, at % dim);
            return Err(Error::input(message));
        }
        let names = match args.columns {
            true => array::names(inputs, Path::new(""), &|path| self.store.read(path)),
            false => Ok(Vec::new()),
        };
        let names = names.map_err(|error| Error::input(format!("--inputs {error}")))?;
        let samples = Samples { inputs: scaled, count, dim, names };
        let init = args.init.as_deref().map(|path| self.load(path)).transpose()?;
        let shuffled = args.shuffled.iter().map(|path| self.load(path)).collect::<Result<Vec<_>>>()?;
        let activations = self.activations()?;
        let loss = match &args.loss {
            None => None,
            Some(kind) => {
                let table = toml::Table::from_iter([("kind".to_string(), toml::Value::String(kind.clone()))]);
                let built = self.losses.build(table, &());
                Some(built.map_err(|error| Error::input(format!("--loss {error}")))?)
            }
        };
        files
            .iter()
            .map(|path| {
                if let (Some(loss), Some(lambda)) = (&args.loss, args.weight_decay) {
                    trained::check(path, loss, lambda, self.store)?;
                }
                let weights = self.load(path)?;
                if activations.is_empty() && weights.layers.len() > 1 {
                    return Err(Error::input(
                        "--activation is missing: what stands between the layers (relu, tanh, linear, ...); a file of weights doesn't say",
                    ));
                }
                let outputs = weights.layers.last().map_or(0, |layer| layer.weight.nrows());
                let answers = args.targets.as_deref().map(|spec| self.answers(spec, count, outputs)).transpose()?;
                let ground = Ground { weights: &weights, activations: &activations, samples: &samples, settings };
                let beside = Beside { init: init.as_ref(), shuffled: &shuffled };
                let job = answers.as_ref().map(|answers| Job { answers, loss: loss.as_deref() });
                from_weights(self.laws, ground, beside, job.as_ref(), self.tell)
            })
            .collect()
    }

    /// `[n]` integers are classes, `[n]` floats one output, `[n, c]` as they are.
    fn answers(&self, spec: &str, rows: usize, outputs: usize) -> Result<Answers> {
        let found = self.array("--targets", spec)?;
        let (count, dim) = found.matrix();
        if count != rows {
            return Err(Error::input(format!("--targets has {count} rows and --inputs {rows}")));
        }
        if !(dim == 1 && found.integer && outputs > 1) {
            if dim == 1 && outputs > 1 && found.values.iter().all(|v| v.fract() == 0.0) {
                return Err(Error::input(format!(
                    "--targets {spec}: whole numbers stored as floats, and the network has {outputs} outputs: if they are \
                     classes, store them as integers (y.astype(\"int64\"))"
                )));
            }
            // One 1 in each row: classes, however they are stored.
            let is_hot = |row: &[f64]| row.iter().all(|v| *v == 0.0 || *v == 1.0) && row.iter().sum::<f64>() == 1.0;
            let classes = dim > 1 && dim == outputs && found.values.chunks_exact(dim).all(is_hot);
            return Ok(Answers { values: found.values, dim, classes, hot: classes });
        }
        if let Some(row) = found.values.iter().position(|&k| !(k >= 0.0 && k < outputs as f64)) {
            let class = found.values[row];
            let least = found.values.iter().copied().fold(f64::INFINITY, f64::min);
            let hint = match least >= 1.0 && class == outputs as f64 {
                true => "; they count from 1: subtract 1",
                false => "; classes count from 0",
            };
            return Err(Error::input(format!(
                "--targets row {row}: class {class} of a network with {outputs} outputs{hint}"
            )));
        }
        check_size("--targets as one-hot rows", count, outputs, "give fewer rows")?;
        let hot = |class: f64| (0..outputs).map(move |k| if k as f64 == class { 1.0 } else { 0.0 });
        Ok(Answers {
            values: found.values.iter().flat_map(|&class| hot(class)).collect(),
            dim: outputs,
            classes: true,
            hot: false,
        })
    }

    fn leave_files(&self, measurements: &[Measurement]) -> Result<()> {
        let many = measurements.len() > 1;
        let write = |option: &str, path: &Path, bytes: &[u8]| {
            if many {
                return Err(Error::input(format!("{option} takes one network, not {}", measurements.len())));
            }
            self.store.write(path, bytes).map_err(|error| Error::io("cannot write", path, &error))
        };
        if let Some(path) = &self.args.save {
            if measurements.iter().all(|measured| measured.layers.iter().all(|layer| layer.matrices.is_none())) {
                return Err(Error::input("--save: no layer has an AGOP to write"));
            }
            write("--save", path, &matrices(&measurements[0])?)?;
        }
        if let Some(path) = &self.args.plot_depth {
            let svg = depth::svg(&measurements[0])
                .ok_or_else(|| Error::input("--plot-depth: fewer than two layers have a misfit; --plot draws one"))?;
            write("--plot-depth", path, svg.as_bytes())?;
        }
        if let (Some(path), Some(found)) = (&self.args.plot_columns, &measurements[0].columns) {
            let svg = columns::svg(found, &measurements[0].title)
                .ok_or_else(|| Error::input("--plot-columns: the outputs follow no column"))?;
            write("--plot-columns", path, svg.as_bytes())?;
        }
        if let Some(path) = &self.args.plot {
            let svg = fan::svg(&measurements[0], self.laws)
                .ok_or_else(|| Error::input("--plot: no layer has anything to draw"))?;
            write("--plot", path, svg.as_bytes())?;
        }
        Ok(())
    }
}
