//! The quadratic model of a function along some directions.

use nfa_metrics::Mat;
use nfa_models::Stream;
use nfa_models::host::Cores;
use nfa_models::host::gemm::{Into, View, product};

use crate::minimise::basis::Basis;
use crate::minimise::cubic::Spectrum;
use crate::minimise::function::{Block, Function};
use crate::minimise::hessian::{add_decay, dense};
use crate::minimise::memory::Memory;
use crate::minimise::penalised::slope;
use crate::minimise::settings::{Settings, Size, Unusable};
use crate::minimise::sketch::{Sketch, gaussian, hashing};
use crate::minimise::vector::dot;

/// Gradient and Hessian along orthonormal directions, penalty included.
#[derive(Debug)]
pub(super) struct Model {
    /// The directions; `None` for all, as they are.
    pub(super) basis: Option<Basis>,
    /// `[l]`
    pub(super) gradient: Vec<f64>,
    /// Of the Hessian, `[l, l]`.
    pub(super) spectrum: Spectrum,
    /// l
    pub(super) rows: usize,
    /// How many of them, the first, are random.
    pub(super) own: usize,
    /// Whether a direction of negative curvature that was found is among them.
    pub(super) escapes: bool,
    /// The eigenvalues of the function's own Hessian along those.
    values: Vec<f64>,
}

impl Model {
    /// At x, along what the settings draw; and its work.
    pub(super) fn at(
        f: &mut dyn Function,
        x: &[f64],
        settings: &Settings,
        memory: &Memory,
        stream: &Stream,
    ) -> Result<(Self, f64), Unusable> {
        let (costs, d) = (f.costs(), x.len());
        if settings.size == Size::Full {
            let gradient = slope(f, x);
            let hessian = dense(f, x, |f, x, rows| f.model_products(x, rows));
            let work = 1.0 + d as f64 * costs.product;
            return Ok((Model::new(f, None, gradient, hessian, d)?, work));
        }
        let basis = draw(settings, memory, stream, d);
        let Block { mut gradient, hessian } = f.block(x, &basis.rows);
        let pull: Vec<f64> = f.decay().iter().zip(x).map(|(decay, x)| decay * x).collect();
        if !pull.is_empty() {
            let rows = basis.rows.chunks_exact(d);
            gradient.iter_mut().zip(rows).for_each(|(g, row)| *g += dot(row, &pull));
        }
        let work = costs.block[0] + costs.block[1] * basis.count as f64;
        let own = basis.own;
        let model = Model::new(f, Some(basis), gradient, hessian, own)?;
        Ok((Model { escapes: memory.escape.is_some(), ..model }, work))
    }

    /// From the gradient, penalty included, and the function's own Hessian.
    fn new(
        f: &dyn Function,
        basis: Option<Basis>,
        gradient: Vec<f64>,
        own: Mat,
        first: usize,
    ) -> Result<Self, Unusable> {
        let rows = gradient.len();
        let not_finite = |what: &str| Unusable::NotFinite(format!("the {what} is not finite where the function is"));
        if gradient.iter().any(|g| !g.is_finite()) {
            return Err(not_finite("gradient"));
        }
        let mut hessian = own.clone();
        add_decay(&mut hessian, f.decay(), basis.as_ref().map(|basis| basis.rows.as_slice()));
        let spectrum = Spectrum::of(&hessian).ok_or_else(|| not_finite("Hessian"))?;
        let decay = f.decay();
        let lambda = decay.first().copied().unwrap_or(0.0);
        let values = if first == rows && decay.iter().all(|other| *other == lambda) {
            // The same directions, all of it shifted.
            spectrum.values().iter().map(|w| w - lambda).collect()
        } else {
            let block = own.as_ref().submatrix(0, 0, first, first).to_owned();
            Spectrum::of(&block).map(|spectrum| spectrum.values().to_vec()).unwrap_or_default()
        };
        Ok(Model { basis, gradient, spectrum, rows, own: first, escapes: false, values })
    }

    /// How many eigenvalues of the function's own Hessian count, along the random directions.
    pub(super) fn rank(&self, tolerance: f64) -> usize {
        let top = self.values.iter().fold(0.0, |top: f64, w| top.max(w.abs()));
        self.values.iter().filter(|w| w.abs() > tolerance * top).count()
    }

    /// A step along the directions as one of the unknowns.
    pub(super) fn lift(&self, step: &[f64]) -> Vec<f64> {
        let Some(basis) = &self.basis else { return step.to_vec() };
        let d = basis.rows.len() / step.len().max(1);
        let mut s = vec![0.0; d];
        product(
            &mut s,
            d,
            Into::Set,
            View::new(step, 1, step.len()),
            View::new(&basis.rows, step.len(), d),
            Cores::All,
        );
        s
    }
}

/// The directions of an iteration: random ones first, then those that guide, then one of negative curvature.
fn draw(settings: &Settings, memory: &Memory, stream: &Stream, d: usize) -> Basis {
    let is_guided = settings.sketch == Sketch::Guided;
    let guiding = if is_guided { memory.history.leading(settings.guides(memory.rows)) } else { Vec::new() };
    // Rows that guide stand instead of random ones where l is given.
    let own = match settings.size {
        Size::Fixed(l) => l.min(d) - guiding.len() / d,
        _ => memory.rows,
    };
    let mut rows = match settings.sketch {
        Sketch::Hashing => hashing(stream, own, d, settings.nonzeros),
        Sketch::Gaussian | Sketch::Guided => gaussian(stream, own, d),
    };
    rows.extend(guiding);
    rows.extend(memory.escape.iter().flatten());
    Basis::of(rows, d, own)
}
