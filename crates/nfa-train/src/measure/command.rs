//! `measure` as it is called: files in, lines of text or JSON out.

use std::path::Path;

use nfa_metrics::{AgopOptions, Capture, Laws, Mat, Path as Way, Thresholds};
use nfa_models::spec::{Registry, read};
use nfa_models::{Activation, SpecError};

use super::pairs::{self, Heads};
use super::{Job, Measurement, Rows, Settings, Targets, Weights, from_capture, from_matrices, from_weights, title_of};
use crate::array::{self, Array};
use crate::cli::{MeasureArgs, MeasureDtype};
use crate::device::Dtype;
use crate::error::{Error, Result};
use crate::loss::Loss;
use crate::store::Store;
use crate::toml_text::parse_value;

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
}

impl Call<'_> {
    /// Does it; returns what goes to stdout, a text or a JSON object each.
    ///
    /// # Errors
    /// Wrong input with its place and reason; files that can't be written.
    pub fn run(&self, json: bool, color: bool) -> Result<Vec<String>> {
        let settings = self.settings()?;
        let measurements = match (&self.args.capture, &self.args.nfm, self.args.weights.as_slice()) {
            (Some(capture), ..) => vec![self.capture(capture, &settings)?],
            (None, Some(nfm), _) => vec![self.matrices(nfm, &settings)?],
            (None, None, []) => {
                let message = "measure what? Give --weights FILE --inputs FILE --activation NAME, or --capture FILE, or --nfm FILE --agop FILE";
                return Err(Error::input(message));
            }
            (None, None, files) if self.args.pairs.is_some() => {
                files.iter().map(|path| self.pairs(path, &settings)).collect::<Result<_>>()?
            }
            (None, None, files) => self.networks(files, &settings)?,
        };
        if self.args.compare && measurements.len() != 2 {
            return Err(Error::input(format!("--compare takes two --weights files, not {}", measurements.len())));
        }
        self.leave_files(&measurements)?;
        let mut lines: Vec<String> = measurements
            .iter()
            .map(|m| if json { super::json::measurement(m).to_string() } else { super::table::text(m, color) })
            .collect();
        if let ([a, b], true) = (measurements.as_slice(), self.args.compare) {
            lines.push(if json { super::compare::json(a, b).to_string() } else { super::compare::text(a, b) });
        }
        Ok(lines)
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
        let layers = match args.layer.as_str() {
            "all" => None,
            list => {
                let layer = |word: &str| {
                    word.trim()
                        .parse()
                        .map_err(|_| Error::input(format!("--layer {list}: write all, or numbers from 0 as in 0,1")))
                };
                Some(list.split(',').map(layer).collect::<Result<Vec<usize>>>()?)
            }
        };
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
        if sketch.is_some() && args.centered {
            return Err(Error::input("--centered takes every output's own mean, so it goes with --estimator exact"));
        }
        let dtype = match args.dtype {
            MeasureDtype::F32 => Dtype::F32,
            MeasureDtype::F64 => Dtype::F64,
        };
        crate::device::check(&args.device, dtype)?;
        Ok(Settings {
            thresholds,
            alphas: args.alpha.clone(),
            layers,
            agop: AgopOptions {
                path: Way::Auto,
                centered: args.centered,
                sketch,
                batch: args.batch,
                ..AgopOptions::default()
            },
            dtype,
            device: args.device.clone(),
        })
    }

    fn open(&self, path: &Path) -> Result<Vec<u8>> {
        self.store.read(path).map_err(|error| Error::input(format!("{}: {error}", path.display())))
    }

    fn array(&self, option: &str, spec: &str) -> Result<Array> {
        let found = array::read(spec, Path::new(""), &|path| self.store.read(path)).and_then(|found| {
            array::check_finite(&found)?;
            Ok(found)
        });
        found.map_err(|error| Error::input(format!("{option} {error}")))
    }

    fn matrix(&self, option: &str, spec: &str) -> Result<Mat> {
        let found = self.array(option, spec)?;
        let [rows, cols] = found.shape[..] else {
            return Err(Error::input(format!("{option} {spec} has shape {:?}; a matrix is [d, d]", found.shape)));
        };
        Ok(Mat::from_fn(rows, cols, |i, j| found.values[i * cols + j]))
    }

    fn capture(&self, path: &Path, settings: &Settings) -> Result<Measurement> {
        let bytes = self.open(path)?;
        // Hostile offsets are refused here: the reader behind `Capture` adds them up unchecked.
        array::safetensors::Tensors::open(&bytes)
            .map_err(|error| Error::input(format!("{}: {error}", path.display())))?;
        let capture =
            Capture::from_bytes(&bytes).map_err(|error| Error::input(format!("{}: {error}", path.display())))?;
        from_capture(self.laws, &capture, &title_of(path), settings)
    }

    fn matrices(&self, nfm: &str, settings: &Settings) -> Result<Measurement> {
        let agop = self.args.agop.as_deref().unwrap_or_default();
        if self.args.depth == Some(0) {
            return Err(Error::input(
                "--depth 0: at least one weight matrix lies between a layer's input and the outputs",
            ));
        }
        let title = title_of(Path::new(nfm));
        from_matrices(self.matrix("--nfm", nfm)?, self.matrix("--agop", agop)?, self.args.depth, &title, settings)
    }

    fn pairs(&self, path: &Path, settings: &Settings) -> Result<Measurement> {
        let title = path.display().to_string();
        let bytes = self.open(path)?;
        let bytes = array::gzip::unpack(&bytes).map_err(|error| Error::input(format!("{title}: {error}")))?;
        let tensors =
            array::safetensors::Tensors::open(&bytes).map_err(|error| Error::input(format!("{title}: {error}")))?;
        // Beside the weights, as Hugging Face keeps it; whatever else lies there is no configuration.
        let config = self.store.read(&path.with_file_name("config.json")).ok();
        let config = config.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        let mut found = pairs::find(&tensors, &title, &Heads { given: self.args.heads, config })?;
        if found.is_empty() {
            let activations = self.activations()?;
            if activations.is_empty() {
                return Err(Error::input(format!(
                    "{title}: --pairs auto knows none of its names (gpt2, llama, bert, vit, opt, t5, torch's attention, peft's \
                     adapters); for the layers of an MLP add --activation linear or relu"
                )));
            }
            found = pairs::of_layers(&self.load(path)?, &activations)?;
        }
        settings.check_layers(found.len())?;
        let mut measured = pairs::measure(self.laws, found, &title_of(path), "f64", settings.thresholds);
        measured.layers.retain(|layer| settings.wants(layer.layer));
        Ok(measured)
    }

    fn load(&self, path: &Path) -> Result<Weights> {
        let names = (!self.args.layers.is_empty()).then_some(self.args.layers.as_slice());
        Weights::from_bytes(&self.open(path)?, &path.display().to_string(), names, "--layers NAME,NAME")
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
        let found = self.array("--inputs", inputs)?;
        let (count, dim) = found.matrix();
        let scaled = found.values.iter().map(|v| v * args.scale).collect();
        let rows = Rows { inputs: scaled, count, dim };
        let init = args.init.as_deref().map(|path| self.load(path)).transpose()?;
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
                let weights = self.load(path)?;
                if activations.is_empty() && weights.layers.len() > 1 {
                    return Err(Error::input(
                        "--activation is missing: what stands between the layers (relu, tanh, linear, ...); a file of weights doesn't say",
                    ));
                }
                let outputs = weights.layers.last().map_or(0, |layer| layer.weight.nrows());
                let targets = args.targets.as_deref().map(|spec| self.targets(spec, count, outputs)).transpose()?;
                from_weights(
                    self.laws,
                    &weights,
                    init.as_ref(),
                    &activations,
                    &rows,
                    targets.as_ref().map(|targets| Job { targets, loss: loss.as_deref() }).as_ref(),
                    settings,
                )
            })
            .collect()
    }

    /// `[n]` integers are classes, `[n]` floats one output, `[n, c]` as they are.
    fn targets(&self, spec: &str, rows: usize, outputs: usize) -> Result<Targets> {
        let found = self.array("--targets", spec)?;
        let (count, dim) = found.matrix();
        if count != rows {
            return Err(Error::input(format!("--targets has {count} rows and --inputs {rows}")));
        }
        if !(dim == 1 && found.integer && outputs > 1) {
            return Ok(Targets { values: found.values, dim, classes: false });
        }
        if let Some(row) = found.values.iter().position(|&k| !(k >= 0.0 && k < outputs as f64)) {
            let class = found.values[row];
            return Err(Error::input(format!(
                "--targets row {row}: class {class} of a network with {outputs} outputs"
            )));
        }
        let hot = |class: f64| (0..outputs).map(move |k| if k as f64 == class { 1.0 } else { 0.0 });
        Ok(Targets { values: found.values.iter().flat_map(|&class| hot(class)).collect(), dim: outputs, classes: true })
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
            write("--save", path, &super::matrices(&measurements[0])?)?;
        }
        if let Some(path) = &self.args.plot {
            let svg = super::fan::svg(&measurements[0])
                .ok_or_else(|| Error::input("--plot: no layer has anything to draw"))?;
            write("--plot", path, svg.as_bytes())?;
        }
        Ok(())
    }
}
