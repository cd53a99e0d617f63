//! AGOPs at hidden places of any model: a tap in its forward pass names the value.
//!
//! Burn keeps no gradients of intermediate tensors, so [`Tap::at`] adds a zero tensor that requires
//! gradients: its gradient is that of the value.

use std::cell::RefCell;
use std::fmt;

use burn::tensor::Tensor;

use crate::matrix::accumulator::Accumulator;
use crate::matrix::psd::Psd;
use crate::observe::agop::options::AgopOptions;
use crate::observe::jacobian::{epsilon, to_host};

/// Names values inside a forward pass.
///
/// Outside [`observe`] a default tap does nothing, so a model keeps one forward pass.
#[derive(Debug, Default)]
pub struct Tap {
    leaves: Option<RefCell<Vec<Leaf>>>,
}

/// A zero added to a named value, flat, with the value's shape.
#[derive(Debug)]
struct Leaf {
    name: String,
    shape: Vec<usize>,
    zero: Tensor<1>,
}

impl Tap {
    /// The value itself, named.
    ///
    /// # Shapes
    /// h: `[n, ..., d]` → the same; axes between are positions
    pub fn at<const D: usize>(&self, name: &str, h: Tensor<D>) -> Tensor<D> {
        let Some(leaves) = &self.leaves else { return h };
        let shape = h.dims();
        let count = shape.iter().product::<usize>();
        let zero = h.clone().inner().zeros_like().reshape([count]).autodiff().require_grad();
        leaves.borrow_mut().push(Leaf { name: name.into(), shape: shape.to_vec(), zero: zero.clone() });
        h.autodiff() + zero.reshape(shape)
    }
}

/// A model that can't be measured this way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TapError {
    /// Changing one sample changed another's outputs: batch normalisation in training mode, say.
    RowsCoupled {
        /// The row that changed although another was touched.
        row: usize,
    },
    /// The same name was tapped twice in one forward pass.
    Repeated(String),
    /// A tapped value has another first axis than the samples.
    NotRows(String),
}

impl fmt::Display for TapError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TapError::RowsCoupled { row } => write!(
                f,
                "row {row}'s outputs change with another row: a layer couples samples (batch normalisation while \
                 training, dropout); evaluate it in inference mode"
            ),
            TapError::Repeated(name) => write!(f, "the name {name} is tapped twice in one forward pass"),
            TapError::NotRows(name) => write!(f, "the value tapped as {name} does not have one row per sample first"),
        }
    }
}

impl std::error::Error for TapError {}

/// AGOPs of a model's outputs at every value that its forward pass taps, in order of appearance.
///
/// Exact: one forward and backward pass per output. AGOP = (1/n) Σ_i Σ_p J_ipᵀJ_ip over samples i and
/// positions p.
///
/// ```
/// use burn::tensor::{DType, Device, Tensor, activation};
/// let device = Device::flex();
/// let w = Tensor::<2>::from_data([[1.0, 2.0], [0.0, 1.0], [3.0, -1.0]], (&device, DType::F64));
/// let v = Tensor::<2>::from_data([[1.0, 0.0, 2.0]], (&device, DType::F64));
/// let x = Tensor::<2>::from_data([[0.3, 0.1], [1.0, 2.0]], (&device, DType::F64));
/// let sites = nfa_metrics::observe(&x, |x, tap| {
///     let h = tap.at("hidden", activation::tanh(tap.at("input", x).matmul(w.clone().transpose())));
///     h.matmul(v.clone().transpose())
/// })?;
/// assert_eq!(sites[1].0, "hidden");
/// assert!((sites[1].1.matrix()[(2, 2)] - 4.0).abs() < 1e-14); // VᵀV
/// # Ok::<(), nfa_metrics::TapError>(())
/// ```
///
/// # Shapes
/// x: `[n, d]`, f: `[n, d]` → `[n, c]`
///
/// # Errors
/// A model that couples rows, a name that is tapped twice, a value without one row per sample.
pub fn observe(x: &Tensor<2>, f: impl Fn(Tensor<2>, &Tap) -> Tensor<2>) -> Result<Vec<(String, Psd)>, TapError> {
    let x = x.clone().inner();
    let n = x.dims()[0];
    rows_are_independent(&x, &f)?;
    let options = AgopOptions::default();
    let mut sites: Vec<(String, Accumulator)> = Vec::new();
    let mut output = 0;
    loop {
        let tap = Tap { leaves: Some(RefCell::default()) };
        let y = f(x.clone(), &tap);
        let outputs = y.dims()[1];
        let leaves = tap.leaves.map(RefCell::into_inner).unwrap_or_default();
        let selected = y.slice([0..n, output..output + 1]).sum();
        let mut gradients = selected.is_tracked().then(|| selected.backward());
        for (index, leaf) in leaves.iter().enumerate() {
            let dim = leaf.shape.last().copied().unwrap_or(1);
            let count: usize = leaf.shape.iter().product();
            if leaf.shape.first() != Some(&n) {
                return Err(TapError::NotRows(leaf.name.clone()));
            }
            if output == 0 {
                if sites.iter().any(|(name, _)| *name == leaf.name) {
                    return Err(TapError::Repeated(leaf.name.clone()));
                }
                let (rows, eps) = (count / dim.max(1) * outputs, epsilon(leaf.zero.dtype()));
                sites.push((leaf.name.clone(), Accumulator::new(dim, rows, eps, options.factor_work)));
            }
            // A tap that the outputs don't depend on has Jacobian 0.
            let gradient = gradients.as_mut().and_then(|gradients| leaf.zero.grad_remove(gradients));
            if let (Some(gradient), Some((_, rows))) = (gradient, sites.get_mut(index)) {
                rows.push_tensor(gradient.reshape([count / dim.max(1), dim]));
            }
        }
        output += 1;
        if output >= outputs {
            break;
        }
    }
    Ok(sites.into_iter().map(|(name, rows)| (name, rows.finish(n, None))).collect())
}

/// Touches one row and looks whether another's outputs move.
fn rows_are_independent(x: &Tensor<2>, f: &impl Fn(Tensor<2>, &Tap) -> Tensor<2>) -> Result<(), TapError> {
    let [n, d] = x.dims();
    if n < 2 {
        return Ok(());
    }
    let tap = Tap::default();
    let before = to_host(f(x.clone(), &tap));
    let touched = x.clone().slice([0..1, 0..d]).mul_scalar(1.5).add_scalar(0.5);
    let after = to_host(f(Tensor::cat(vec![touched, x.clone().slice([1..n, 0..d])], 0), &tap));
    let moved = (1..n).find(|&i| (0..before.ncols()).any(|j| before[(i, j)] != after[(i, j)]));
    moved.map_or(Ok(()), |row| Err(TapError::RowsCoupled { row }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::agop::network::observe_network;
    use burn::tensor::{DType, Device, TensorData, activation};
    use nfa_models::{Activation, AnyNetwork, Mlp, Site, Stream};

    fn tensor(name: &str, rows: usize, cols: usize) -> Tensor<2> {
        let data = Stream::root(41).fork(name).normals(rows * cols);
        Tensor::from_data(TensorData::new(data, [rows, cols]), (&Device::flex(), DType::F64))
    }

    #[test]
    fn taps_see_what_the_networks_sites_see() {
        let weights = vec![tensor("0", 6, 4), tensor("1", 5, 6), tensor("2", 3, 5)];
        let network = Mlp::new(weights.clone(), vec![None, None, None], vec![Activation::Tanh; 2]).expect("chains");
        let x = tensor("x", 9, 4);
        let sites = observe(&x, |x, tap| {
            let mut h = tap.at("0", x);
            for (l, w) in weights.iter().enumerate() {
                h = h.matmul(w.clone().transpose());
                if l < 2 {
                    h = tap.at(&format!("{}", l + 1), activation::tanh(h));
                }
            }
            h
        })
        .expect("rows are independent");
        assert_eq!(sites.len(), AnyNetwork::sites(&network));
        let whole = observe_network(&network, &x, None, &AgopOptions::default());
        for ((name, agop), layer) in sites.iter().zip(&whole.layers) {
            let expected = layer.agop.as_ref().expect("observed").matrix();
            let error = crate::matrix::squared_norm(&(agop.matrix() - expected)).sqrt();
            assert!(error <= 1e-12 * crate::matrix::squared_norm(expected).sqrt(), "{name}: {error:e}");
        }
        assert!(network.weight(Site(0)).is_some());
    }

    #[test]
    fn positions_add_up_and_coupled_rows_are_refused() {
        // Two positions of width 2: f = sum of both through the same map.
        let w = tensor("w", 3, 2);
        let x = tensor("x", 5, 4);
        let sites = observe(&x, |x, tap| {
            let n = x.dims()[0];
            let h: Tensor<3> = tap.at("tokens", x.reshape([n, 2, 2]));
            h.sum_dim(1).reshape([n, 2]).matmul(w.clone().transpose())
        })
        .expect("rows are independent");
        let gram = to_host(w.clone().transpose().matmul(w.clone()));
        let doubled = &gram * 2.0;
        assert!(crate::matrix::squared_norm(&(sites[0].1.matrix() - doubled)).sqrt() < 1e-12);
        let coupled = observe(&x, |x, _| x.clone() - x.mean_dim(0));
        assert!(matches!(coupled, Err(TapError::RowsCoupled { .. })));
        let twice = observe(&x, |x, tap| tap.at("a", tap.at("a", x)));
        assert_eq!(twice.err(), Some(TapError::Repeated("a".into())));
    }
}
