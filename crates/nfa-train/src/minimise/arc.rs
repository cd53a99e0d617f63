//! The iteration of ARC, R-ARC and R-ARC-D: one, since ARC is R-ARC along all directions.

use nfa_models::Stream;

use crate::minimise::certificate::{Certificate, lowest};
use crate::minimise::cubic::Minimiser;
use crate::minimise::function::Function;
use crate::minimise::iteration::{Iteration, Stop};
use crate::minimise::memory::Memory;
use crate::minimise::model::Model;
use crate::minimise::penalised::{penalty, slope};
use crate::minimise::settings::{Acceptance, Growth, Settings, Size, Unusable};
use crate::minimise::sketch::Sketch;
use crate::minimise::vector::{dot, norm};

/// Decreases below this many machine epsilons of the function are rounding: they are read off the slopes.
const ROUNDING: f64 = 64.0;
/// Iterations that rounding decides, and in which the gradient does not fall, after which nothing is left to do; where
/// a subspace shows the gradient by chance, more.
const PATIENCE: u64 = 10;
/// What counts as falling.
const FALLS: f64 = 0.9;
/// Very successful (Cartis, Gould, Toint 2011).
const VERY: f64 = 0.9;

/// Cubic regularisation at work.
#[derive(Debug)]
pub struct Arc {
    settings: Settings,
    stream: Stream,
    pub(crate) memory: Memory,
    /// The model where the point stands, after a failure that redraws nothing.
    kept: Option<Model>,
}

/// A trial point.
struct Trial {
    x: Vec<f64>,
    value: f64,
    ratio: f64,
    by_slopes: bool,
}

impl Arc {
    /// At its start.
    ///
    /// # Errors
    /// A setting outside of its range.
    pub fn new(settings: Settings) -> Result<Self, Unusable> {
        settings.check().map_err(|(name, why)| Unusable::Setting(format!("{name} {why}")))?;
        let stream = Stream::root(settings.seed).fork("sketch");
        Ok(Arc { settings, stream, memory: Memory::default(), kept: None })
    }

    /// How it is done.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Takes up a memory.
    #[cfg(feature = "burn")]
    pub(crate) fn restore(&mut self, memory: Memory) {
        self.memory = memory;
        self.kept = None;
    }

    /// One iteration from x, which it moves where the step is accepted.
    ///
    /// # Errors
    /// Something is not finite where x stands.
    pub fn step(&mut self, f: &mut dyn Function, x: &mut Vec<f64>) -> Result<Iteration, Unusable> {
        self.begin(f, x)?;
        let model = self.model(f, x)?;
        let rank = self.rank(f, &model);
        let sigma = self.memory.sigma;
        let value = self.memory.value.unwrap_or(f64::NAN);
        let mut iteration = Iteration {
            value,
            gradient: norm(&model.gradient),
            rows: model.rows,
            rank,
            curvature: model.spectrum.values().first().copied().unwrap_or(0.0),
            sigma,
            length: 0.0,
            ratio: f64::NAN,
            by_slopes: false,
            accepted: false,
            residual: 0.0,
            worst: 0.0,
            work: 0.0,
            hessians: 0.0,
            stop: None,
        };
        self.memory.iterations += 1;
        // With a direction of negative curvature at hand the question is answered.
        if self.memory.escape.is_none() && self.is_small(f, x, &model) {
            iteration.stop = self.conclude(f, x, &model, Stop::Gradient);
        }
        if iteration.stop.is_none() && (self.memory.escape.is_none() || model.escapes) {
            let solution = model.spectrum.minimise(&model.gradient, sigma);
            iteration.residual = solution.residual;
            iteration.length = norm(&solution.step);
            self.memory.worst = self.memory.worst.max(solution.residual);
            let trial = self.attempt(f, x, value, &model, &solution);
            (iteration.ratio, iteration.by_slopes) = (trial.ratio, trial.by_slopes);
            iteration.accepted = trial.ratio >= self.settings.theta;
            let stands = trial.x == *x;
            self.adapt(&iteration, &solution);
            if iteration.accepted {
                self.accept(f, x, trial);
            }
            if self.is_over(&iteration, &model, stands, x.len()) {
                iteration.stop = self.conclude(f, x, &model, Stop::Rounding);
            }
        }
        self.grow(&model, rank, x.len());
        let stays = !iteration.accepted && (model.basis.is_none() || !self.settings.redraw_on_failure);
        self.memory.reuse = stays && self.memory.escape.is_none();
        self.kept = Some(model).filter(|_| self.memory.reuse);
        self.memory.rests = iteration.stop;
        (iteration.work, iteration.hessians, iteration.worst) =
            (self.memory.work, self.memory.hessians, self.memory.worst);
        Ok(iteration)
    }

    /// What is known of x, where the iteration stopped.
    pub fn certify(&self, f: &mut dyn Function, x: &[f64], stop: Stop) -> Certificate {
        Certificate::of(f, x, &self.settings, stop, self.memory.worst)
    }

    /// What has to be known before the first step.
    fn begin(&mut self, f: &mut dyn Function, x: &mut [f64]) -> Result<(), Unusable> {
        let d = f.dimension();
        if x.len() != d || !(f.decay().is_empty() || f.decay().len() == d) {
            return Err(Unusable::Size(format!("a function of {d} numbers at a point of {}", x.len())));
        }
        if self.memory.value.is_some() {
            return Ok(());
        }
        f.round(x);
        let value = self.value(f, x);
        if !value.is_finite() {
            return Err(Unusable::NotFinite(format!("the function is {value} at the start")));
        }
        let rows = match self.settings.size {
            Size::Full => d,
            Size::Fixed(l) => l.min(d),
            Size::Adaptive { l0, .. } => l0.min(d),
        };
        self.memory.value = Some(value);
        self.memory.rows = rows;
        self.memory.sigma = self.settings.sigma0;
        if self.settings.sigma_scale {
            self.memory.sigma *= scale(rows, d);
        }
        if self.is_guided() {
            self.remember(f, x);
        }
        Ok(())
    }

    fn is_guided(&self) -> bool {
        self.settings.sketch == Sketch::Guided && self.settings.size != Size::Full
    }

    /// f(x) and the penalty.
    fn value(&mut self, f: &mut dyn Function, x: &[f64]) -> f64 {
        self.memory.work += f.costs().value;
        f.value(x) + penalty(f, x)
    }

    /// The gradient of f and the penalty.
    fn gradient(&mut self, f: &mut dyn Function, x: &[f64]) -> Vec<f64> {
        self.memory.work += 1.0;
        slope(f, x)
    }

    /// The model at x: the one that is kept, or one along new directions.
    fn model(&mut self, f: &mut dyn Function, x: &[f64]) -> Result<Model, Unusable> {
        if let Some(kept) = self.kept.take() {
            return Ok(kept);
        }
        // A run that was taken up draws the same again, for work that was counted.
        let again = std::mem::take(&mut self.memory.reuse);
        if !again {
            self.memory.drawn = self.memory.iterations;
        }
        let stream = self.stream.fork_index(self.memory.drawn);
        let (model, work) = Model::at(f, x, &self.settings, &self.memory, &stream)?;
        if !again {
            self.memory.work += work;
            let share = model.rows as f64 / x.len().max(1) as f64;
            self.memory.hessians += share * share;
        }
        Ok(model)
    }

    /// The numerical rank of f's Hessian along the directions that are random.
    fn rank(&self, f: &dyn Function, model: &Model) -> usize {
        let own = if f.epsilon() > 1e-10 { 1e-4 } else { 1e-9 };
        let floor = (16.0 * f.precision()).max(model.own as f64 * f.epsilon());
        model.rank(self.settings.rank_tol.unwrap_or(own).max(floor))
    }

    /// Whether |g| is at its tolerance: asked of the gradient itself where a subspace lets it seem so.
    fn is_small(&mut self, f: &mut dyn Function, x: &[f64], model: &Model) -> bool {
        let (tolerance, seen) = (self.settings.gradient_tol, norm(&model.gradient));
        if model.basis.is_none() {
            return seen <= tolerance;
        }
        let expected = (model.rows as f64 / x.len() as f64).sqrt();
        tolerance > 0.0 && seen <= 2.0 * tolerance * expected && norm(&self.gradient(f, x)) <= tolerance
    }

    /// Tries a step; its ratio of decrease to promise is not a number where there is none.
    fn attempt(&mut self, f: &mut dyn Function, x: &[f64], value: f64, model: &Model, solution: &Minimiser) -> Trial {
        let s = model.lift(&solution.step);
        let mut at: Vec<f64> = x.iter().zip(&s).map(|(x, s)| x + s).collect();
        f.round(&mut at);
        let length = norm(&solution.step);
        let cubic = match self.settings.acceptance {
            Acceptance::Taylor => 0.0,
            Acceptance::Model | Acceptance::Cgt => self.memory.sigma * length.powi(3) / 3.0,
        };
        let promised = -(solution.change + cubic);
        let mut trial = Trial { x: at, value, ratio: f64::NAN, by_slopes: false };
        if trial.x == x || promised <= 0.0 {
            return trial;
        }
        trial.value = self.value(f, &trial.x);
        if !trial.value.is_finite() {
            return trial;
        }
        // Of the sum, and of x itself: near a minimum of 0 the second is larger.
        let moves = f.epsilon() * norm(x);
        let noise = ROUNDING * f.epsilon() * value.abs() + model.spectrum.norm() * moves * moves;
        if promised > noise {
            trial.ratio = (value - trial.value) / promised;
        } else if trial.value <= value + noise {
            // The decrease drowns in rounding long before the slopes do: along s it is minus their mean.
            let moved: Vec<f64> = trial.x.iter().zip(x).map(|(to, from)| to - from).collect();
            let (before, after) = (dot(&model.gradient, &solution.step), dot(&self.gradient(f, &trial.x), &moved));
            trial.ratio = -0.5 * (before + after) / promised;
            trial.by_slopes = true;
        }
        trial
    }

    /// σ of the next iteration.
    fn adapt(&mut self, iteration: &Iteration, solution: &Minimiser) {
        let Settings { gamma, sigma_min, acceptance, .. } = self.settings;
        // Where the model promises nothing, its σ is as good as another.
        if solution.change == 0.0 && !iteration.accepted {
            return;
        }
        let sigma = &mut self.memory.sigma;
        *sigma = match (acceptance, iteration.accepted) {
            (_, false) => *sigma / gamma,
            (Acceptance::Cgt, true) if iteration.ratio <= VERY => *sigma,
            (Acceptance::Cgt, true) => sigma.min(iteration.gradient).max(f64::EPSILON),
            (_, true) => (*sigma * gamma).max(sigma_min),
        };
    }

    /// Moves to a trial point.
    fn accept(&mut self, f: &mut dyn Function, x: &mut Vec<f64>, trial: Trial) {
        *x = trial.x;
        self.memory.value = Some(trial.value);
        self.memory.escape = None;
        self.memory.tried = false;
        if self.is_guided() {
            self.remember(f, x);
        }
    }

    /// Adds the gradient at a point that was accepted to those that guide.
    fn remember(&mut self, f: &mut dyn Function, x: &[f64]) {
        let gradient = self.gradient(f, x);
        let keep = 2 * self.settings.guides(self.memory.rows);
        self.memory.history.push(&gradient, keep, f);
    }

    /// Whether rounding is all that decides: in so many iterations that it decided the gradient has not fallen.
    fn is_over(&mut self, iteration: &Iteration, model: &Model, stands: bool, d: usize) -> bool {
        let memory = &mut self.memory;
        let full = model.basis.is_none();
        let patience = if full { PATIENCE } else { PATIENCE + 3 * (d / model.rows.max(1)) as u64 };
        if iteration.gradient < FALLS * memory.low {
            (memory.low, memory.idle) = (iteration.gradient, 0);
        } else if stands && full {
            // Along all directions nothing else can come of it.
            memory.idle = patience;
        } else if stands || iteration.by_slopes {
            memory.idle += 1;
        } else if iteration.accepted {
            memory.idle = 0;
        }
        memory.idle >= patience
    }

    /// An end, unless the Hessian has negative curvature: then the next step looks along it too. Where that was
    /// tried from here before, it is an end that says so.
    fn conclude(&mut self, f: &mut dyn Function, x: &[f64], model: &Model, cause: Stop) -> Option<Stop> {
        let (value, norm, direction) = match &model.basis {
            None if f.models_itself() => {
                (model.spectrum.values().first().copied().unwrap_or(0.0), model.spectrum.norm(), None)
            }
            _ => {
                let found = lowest(f, x, &self.stream.fork("curvature"));
                self.memory.work += found.work;
                (found.value, found.norm, Some(found.direction))
            }
        };
        if value >= -self.settings.curvature_floor(f, norm) {
            return Some(cause);
        }
        // A model without negative curvature can make nothing of it.
        if !f.models_itself() || cause == Stop::Rounding && std::mem::replace(&mut self.memory.tried, true) {
            return Some(Stop::Curvature);
        }
        self.memory.escape = direction.map(|mut direction| {
            f.round(&mut direction);
            direction
        });
        self.memory.idle = 0;
        if cause == Stop::Rounding {
            self.memory.sigma = self.settings.sigma0;
        }
        None
    }

    /// l of the next iteration.
    fn grow(&mut self, model: &Model, rank: usize, dimension: usize) {
        let Size::Adaptive { c, d, rule, .. } = self.settings.size else { return };
        let memory = &mut self.memory;
        let before = memory.rows;
        memory.rank = memory.rank.max(rank);
        let for_rank = |rank: usize| (c * rank as f64).ceil() as usize + d;
        memory.rows = match rule {
            Growth::Additive => before.max(for_rank(memory.rank)),
            Growth::Double if rank >= model.own => 2 * before,
            Growth::Double => for_rank(rank),
        }
        .clamp(1, dimension);
        if self.settings.sigma_scale {
            memory.sigma *= scale(memory.rows, before);
        }
    }
}

/// How a cube of a length changes from `before` directions to `rows`.
fn scale(rows: usize, before: usize) -> f64 {
    (rows as f64 / before.max(1) as f64).powf(1.5)
}
