//! `[model] kind = "function"`: a test problem whose unknowns are the parameters.

#[cfg(feature = "burn")]
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

#[cfg(feature = "burn")]
use burn::module::{Module, Param};
#[cfg(feature = "burn")]
use burn::tensor::{Tensor, TensorData};
use nfa_models::{AnyNetwork, Spec, SpecError};
#[cfg(feature = "burn")]
use nfa_models::{Context, Network, Sites};
use serde::{Deserialize, Serialize};

#[cfg(feature = "burn")]
use crate::minimise::Function;
#[cfg(feature = "burn")]
use crate::minimise::problems::Rotated;
use crate::minimise::problems::{PROBLEMS, problem};

/// A test problem g of `rank` variables as a function f(x) = g(Ax) of `size` unknowns.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FunctionSpec {
    /// Which: `"genrose"`, `"artif"`, …
    pub problem: String,
    /// r, its own number of variables.
    pub rank: usize,
    /// D; by default r, and A the identity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<usize>,
}

impl FunctionSpec {
    fn problem(&self) -> Result<&'static crate::minimise::problems::Problem, SpecError> {
        let known = || PROBLEMS.iter().map(|problem| problem.name);
        problem(&self.problem).ok_or_else(|| SpecError::unknown("problem", "problem", &self.problem, known()))
    }
}

impl Spec<dyn AnyNetwork> for FunctionSpec {
    const KIND: &'static str = "function";
    const DOC: &'static str = "A test problem of optimisation as a model: its parameters are the unknowns x, its output is f(x) = g(Ax) with r \
                               orthonormal rows A drawn from the seed, so that the Hessian has rank r at most. With [data] kind = \"none\" and \
                               [loss] kind = \"output\" every solver minimises it, and gap is (f - f*)/(f0 - f*).";
    const REFERENCE: &'static str =
        "CUTEst, doi:10.1007/s10589-014-9687-3; arXiv:2501.03718 (rotated into more dimensions)";
    const EXAMPLE: &'static str = "problem = \"genrose\"\nrank = 6\nsize = 20\n";
    const SHAPE: [usize; 2] = [1, 1];

    fn check(&self) -> Result<(), SpecError> {
        (self.problem()?.size)(self.rank).map_err(|why| SpecError::value("rank", why))?;
        match self.size {
            Some(size) if size < self.rank => {
                Err(SpecError::value("size", format!("must be at least rank = {}, not {size}", self.rank)))
            }
            _ => Ok(()),
        }
    }

    #[cfg(feature = "burn")]
    fn build(&self, context: &Context<'_>) -> Result<Box<dyn AnyNetwork>, SpecError> {
        if context.outputs != 1 {
            let message =
                format!("a function has one output and the data {}; use [data] kind = \"none\"", context.outputs);
            return Err(SpecError::value("problem", message));
        }
        let problem = self.problem()?;
        let function = match self.size {
            None => Rotated::plain(problem, self.rank),
            Some(size) => Rotated::new(problem, self.rank, size, &context.stream.fork("rotation")),
        };
        let function = function.map_err(|why| SpecError::value("rank", why))?;
        let start = context.vector(function.start());
        Ok(Box::new(FunctionNetwork {
            x: Param::from_tensor(start),
            function: Shared { function: Arc::new(Mutex::new(function)), least: Arc::default() },
        }))
    }
}

/// The unknowns as a module's parameter.
#[cfg(feature = "burn")]
#[derive(Module, Debug)]
pub struct FunctionNetwork {
    x: Param<Tensor<1>>,
    #[module(skip)]
    function: Shared,
}

#[cfg(feature = "burn")]
#[derive(Clone, Debug)]
struct Shared {
    function: Arc<Mutex<Rotated>>,
    least: Arc<OnceLock<f64>>,
}

#[cfg(feature = "burn")]
impl FunctionNetwork {
    /// The function.
    pub fn function(&self) -> Rotated {
        self.function.function.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Its least value: in closed form, else that of the minimum which ARC finds from the start in r variables.
    pub fn least(&self) -> f64 {
        *self.function.least.get_or_init(|| self.function().least())
    }
}

#[cfg(feature = "burn")]
impl Network for FunctionNetwork {
    /// f(x₀) + g(x₀)·(x - x₀) with x₀ = x a constant: value and derivative are the function's own.
    fn forward(&self, rows: Tensor<2>, _: &mut Sites) -> Tensor<2> {
        let [n, _] = rows.dims();
        let x = self.x.val();
        let at = x.clone().inner();
        let size = at.dims()[0];
        let place = (at.device(), at.dtype());
        let numbers = at.try_into_vec_as::<f64>().unwrap_or_else(|_| vec![f64::NAN; size]);
        let mut function = self.function.function.lock().unwrap_or_else(PoisonError::into_inner);
        let upload = |values: Vec<f64>| {
            let shape = [values.len()];
            Tensor::<1>::from_data(TensorData::new(values, shape), (&place.0, place.1))
        };
        let value = upload(vec![function.value(&numbers)]);
        let y = if x.is_autodiff() {
            let (gradient, constant) = (function.gradient(&numbers), x.clone().detach().set_require_grad(false));
            ((x - constant) * upload(gradient)).sum() + value
        } else {
            value
        };
        y.reshape([1, 1]).repeat_dim(0, n)
    }
}
