//! The loss of a chain of dense layers with its second derivatives, in plain tensor operations on any device.

use burn::tensor::{DType, Device, Tensor, TensorData};
use nfa_metrics::Mat;
use nfa_models::Activation;

use crate::minimise::{Block, Costs, Function};
use crate::train::loss::criterion::Criterion;
use crate::train::objective::LossRows;
use crate::train::second_order::curvature::Curvature;

/// Numbers that the tangents of one chunk of rows may have in a layer.
const NUMBERS: usize = 1 << 23;

/// One layer's place in the flat vector.
#[derive(Clone, Copy, Debug)]
struct Layer {
    out: usize,
    into: usize,
    weights: usize,
    biases: Option<usize>,
}

/// The loss as a function of all parameters, of a chain that is its parameters, in order.
pub(super) struct TensorChain {
    layers: Vec<Layer>,
    activations: Vec<Activation>,
    rows: LossRows,
    criterion: Criterion,
    decay: Vec<f64>,
    curvature: Curvature,
    place: (Device, DType),
    /// Why a number could not be had.
    pub(super) fault: Option<String>,
}

/// What forward and backward of some rows leave: of each layer what it reads, and ∂loss/∂z.
struct Base {
    inputs: Vec<Tensor<2>>,
    deltas: Vec<Tensor<2>>,
    slopes: Vec<Option<Tensor<2>>>,
    bends: Vec<Option<Tensor<2>>>,
    /// The softmax times weight, mass and 1/n; or nothing.
    shares: Option<Tensor<2>>,
    /// Of a squared loss: what each row is multiplied by, `[n, 1]` or all by one number.
    scale: (f64, Option<Tensor<2>>),
    loss: Tensor<1>,
}

/// Weights `[out, in]` and biases `[out]` of each layer; or several of them.
struct Parts<const M: usize, const V: usize> {
    weights: Vec<Tensor<M>>,
    biases: Vec<Option<Tensor<V>>>,
}

impl TensorChain {
    /// Of layers of these widths.
    pub(super) fn new(
        chain: &nfa_models::Chain,
        rows: LossRows,
        criterion: Criterion,
        decay: Vec<f64>,
        curvature: Curvature,
    ) -> Self {
        let mut at = 0;
        let mut layers = Vec::new();
        for (weight, bias) in chain.weights.iter().zip(&chain.biases) {
            let [out, into] = weight.dims();
            let weights = at;
            at += out * into;
            let biases = bias.as_ref().map(|_| at);
            at += if bias.is_some() { out } else { 0 };
            layers.push(Layer { out, into, weights, biases });
        }
        let place = (rows.inputs.device(), rows.inputs.dtype());
        TensorChain {
            layers,
            activations: chain.activations.clone(),
            rows,
            criterion,
            decay,
            curvature,
            place,
            fault: None,
        }
    }

    fn upload(&self, values: &[f64]) -> Tensor<1> {
        Tensor::from_data(TensorData::new(values.to_vec(), [values.len()]), (&self.place.0, self.place.1))
    }

    fn read<const D: usize>(&mut self, tensor: Tensor<D>) -> Vec<f64> {
        let count = tensor.dims().iter().product();
        tensor.try_into_vec_as::<f64>().unwrap_or_else(|error| {
            self.fault = Some(error.to_string());
            vec![f64::NAN; count]
        })
    }

    fn parts(&self, x: &[f64]) -> Parts<2, 1> {
        let x = self.upload(x);
        let cut = |from: usize, count: usize| x.clone().slice([from..from + count]);
        Parts {
            weights: self
                .layers
                .iter()
                .map(|at| cut(at.weights, at.out * at.into).reshape([at.out, at.into]))
                .collect(),
            biases: self.layers.iter().map(|at| at.biases.map(|from| cut(from, at.out))).collect(),
        }
    }

    /// Of l rows: weights `[l, out, in]`, biases `[l, 1, out]`.
    fn directions(&self, rows: &[f64], d: usize) -> Parts<3, 3> {
        let l = rows.len() / d;
        let v = self.upload(rows).reshape([l, d]);
        let cut = |from: usize, count: usize| v.clone().slice([0..l, from..from + count]);
        let weights = |at: &Layer| cut(at.weights, at.out * at.into).reshape([l, at.out, at.into]);
        let biases = |at: &Layer| at.biases.map(|from| cut(from, at.out).reshape([l, 1, at.out]));
        Parts { weights: self.layers.iter().map(weights).collect(), biases: self.layers.iter().map(biases).collect() }
    }

    /// Chunks of rows for l tangents.
    fn chunks(&self, l: usize) -> Vec<LossRows> {
        let widest = self.layers.iter().map(|layer| layer.out.max(layer.into)).max().unwrap_or(1);
        let [n, _] = self.rows.inputs.dims();
        let each = (NUMBERS / (l * widest).max(1)).clamp(1, n.max(1));
        (0..n).step_by(each).map(|start| self.rows.only(start..(start + each).min(n))).collect()
    }

    fn base(&self, parts: &Parts<2, 1>, rows: &LossRows) -> Base {
        let last = self.layers.len() - 1;
        let mut inputs = vec![rows.inputs.clone()];
        let (mut slopes, mut zs) = (Vec::new(), Vec::new());
        let mut outputs = None;
        for l in 0..=last {
            let z = inputs[l].clone().matmul(parts.weights[l].clone().transpose());
            let z = match &parts.biases[l] {
                Some(biases) => z + biases.clone().unsqueeze(),
                None => z,
            };
            if l == last {
                outputs = Some(z);
                break;
            }
            let (a, slope) = self.activations[l].with_slope(z.clone());
            zs.push(z);
            inputs.push(a);
            slopes.push(slope);
        }
        let outputs = outputs.unwrap_or_else(|| rows.targets.clone());
        let (loss, delta, shares, scale) = self.outputs(outputs, rows);
        let mut deltas = vec![delta];
        let mut bends = Vec::new();
        for l in (0..last).rev() {
            let e = deltas[last - 1 - l].clone().matmul(parts.weights[l + 1].clone());
            bends.push(self.activations[l].bend(zs[l].clone()).map(|bend| bend * e.clone()));
            deltas.push(times(e, &slopes[l]));
        }
        deltas.reverse();
        bends.reverse();
        Base { inputs, deltas, slopes, bends, shares, scale, loss }
    }

    /// The loss of outputs, its gradient there, and what its second derivative is made of.
    #[allow(clippy::type_complexity)]
    fn outputs(
        &self,
        outputs: Tensor<2>,
        rows: &LossRows,
    ) -> (Tensor<1>, Tensor<2>, Option<Tensor<2>>, (f64, Option<Tensor<2>>)) {
        let [_, c] = outputs.dims();
        let weighted = |tensor: Tensor<2>| match &rows.weights {
            Some(weights) => tensor * weights.clone(),
            None => tensor,
        };
        let factor = match self.criterion {
            Criterion::HalfMse | Criterion::CrossEntropy => 1.0 / rows.count as f64,
            Criterion::Mse => 2.0 / (rows.count * c) as f64,
        };
        let scale = (factor, rows.weights.clone());
        if self.criterion != Criterion::CrossEntropy {
            let error = outputs - rows.targets.clone();
            let delta = weighted(error.clone()).mul_scalar(factor);
            return ((error * delta.clone()).sum().mul_scalar(0.5), delta, None, scale);
        }
        let log = burn::tensor::activation::log_softmax(outputs, 1);
        let loss = weighted(log.clone() * rows.targets.clone()).sum().mul_scalar(-factor);
        let mass = rows.targets.clone().sum_dim(1);
        let shares = weighted(log.exp() * mass).mul_scalar(factor);
        let delta = shares.clone() - weighted(rows.targets.clone()).mul_scalar(factor);
        (loss, delta, Some(shares), scale)
    }

    /// Rz of a layer for each direction: `[l, n, out]`.
    fn forward(
        &self,
        parts: &Parts<2, 1>,
        base: &Base,
        layer: usize,
        v: &Parts<3, 3>,
        below: Option<Tensor<3>>,
    ) -> Tensor<3> {
        let [l, ..] = v.weights[layer].dims();
        let (n, at) = (base.inputs[layer].dims()[0], self.layers[layer]);
        let h = base.inputs[layer].clone().unsqueeze::<3>().repeat_dim(0, l);
        let rz = h.matmul(v.weights[layer].clone().swap_dims(1, 2));
        let rz = match &v.biases[layer] {
            Some(biases) => rz + biases.clone(),
            None => rz,
        };
        match below {
            Some(ra) => {
                let through = ra.reshape([l * n, at.into]).matmul(parts.weights[layer].clone().transpose());
                rz + through.reshape([l, n, at.out])
            }
            None => rz,
        }
    }

    /// δ V of the layer above, `[l, n, out]`.
    fn above(&self, base: &Base, layer: usize, v: &Parts<3, 3>) -> Tensor<3> {
        let [l, ..] = v.weights[layer + 1].dims();
        base.deltas[layer + 1].clone().unsqueeze::<3>().repeat_dim(0, l).matmul(v.weights[layer + 1].clone())
    }

    /// The second derivative of the loss in the outputs, times each change of them.
    fn bend_outputs(&self, base: &Base, v: Tensor<3>) -> Tensor<3> {
        match (&base.shares, &base.scale) {
            (None, (factor, None)) => v.mul_scalar(*factor),
            (None, (factor, Some(weights))) => v.mul_scalar(*factor) * weights.clone().unsqueeze::<3>(),
            (Some(shares), _) => {
                let q = shares.clone().unsqueeze::<3>();
                // A row without weight has nothing but zeros.
                let total = q.clone().sum_dim(2).clamp_min(f64::MIN_POSITIVE.max(1e-37));
                let mean = (v.clone() * q.clone()).sum_dim(2) / total;
                (v - mean) * q
            }
        }
    }

    /// Vg and half of VHVᵀ of some rows: as on the host.
    fn forward_only(&self, parts: &Parts<2, 1>, v: &Parts<3, 3>, rows: &LossRows) -> (Tensor<1>, Tensor<2>) {
        let base = self.base(parts, rows);
        let last = self.layers.len() - 1;
        let [l, ..] = v.weights[0].dims();
        let flat = |tensor: Tensor<3>| {
            let [l, n, width] = tensor.dims();
            tensor.reshape([l, n * width])
        };
        let mut gram: Option<Tensor<2>> = None;
        let mut add = |rz: Tensor<3>, u: Tensor<3>| {
            let part = flat(rz).matmul(flat(u).transpose());
            gram = Some(match gram.take() {
                Some(sum) => sum + part,
                None => part,
            });
        };
        let mut below = None;
        for layer in 0..last {
            let rz = self.forward(parts, &base, layer, v, below.take());
            if self.curvature == Curvature::Hessian {
                let u = times3(self.above(&base, layer, v), &base.slopes[layer]);
                let u = match &base.bends[layer] {
                    Some(bend) => u + rz.clone() * bend.clone().unsqueeze::<3>().mul_scalar(0.5),
                    None => u,
                };
                add(rz.clone(), u);
            }
            below = Some(times3(rz, &base.slopes[layer]));
        }
        let rz = self.forward(parts, &base, last, v, below);
        let [_, n, width] = rz.dims();
        let delta = base.deltas[last].clone().reshape([n * width, 1]);
        let slopes = flat(rz.clone()).matmul(delta).reshape([l]);
        let u = self.bend_outputs(&base, rz.clone()).mul_scalar(0.5);
        add(rz, u);
        (slopes, gram.unwrap_or_else(|| Tensor::zeros([l, l], (&self.place.0, self.place.1))))
    }

    /// HVᵀ of some rows, `[l, D]`: as on the host.
    fn forward_and_back(
        &self,
        parts: &Parts<2, 1>,
        v: &Parts<3, 3>,
        rows: &LossRows,
        curvature: Curvature,
    ) -> Tensor<2> {
        let base = self.base(parts, rows);
        let last = self.layers.len() - 1;
        let [l, ..] = v.weights[0].dims();
        let is_exact = curvature == Curvature::Hessian;
        let (mut rzs, mut ras): (Vec<Tensor<3>>, Vec<Tensor<3>>) = (Vec::new(), Vec::new());
        for layer in 0..=last {
            let rz = self.forward(parts, &base, layer, v, ras.last().cloned());
            if layer < last {
                ras.push(times3(rz.clone(), &base.slopes[layer]));
            }
            rzs.push(rz);
        }
        let mut rdelta = self.bend_outputs(&base, rzs[last].clone());
        let mut found = Vec::new();
        for layer in (0..=last).rev() {
            let (at, n) = (self.layers[layer], base.inputs[layer].dims()[0]);
            if at.biases.is_some() {
                found.push(rdelta.clone().sum_dim(1).reshape([l, at.out]));
            }
            let h = base.inputs[layer].clone().unsqueeze::<3>().repeat_dim(0, l);
            let mut own = rdelta.clone().swap_dims(1, 2).matmul(h);
            if layer > 0 && is_exact {
                let delta = base.deltas[layer].clone().transpose().unsqueeze::<3>().repeat_dim(0, l);
                own = own + delta.matmul(ras[layer - 1].clone());
            }
            found.push(own.reshape([l, at.out * at.into]));
            if layer == 0 {
                break;
            }
            let through = rdelta.reshape([l * n, at.out]).matmul(parts.weights[layer].clone());
            let mut next = through.reshape([l, n, at.into]);
            if is_exact {
                next = next + self.above(&base, layer - 1, v);
            }
            next = times3(next, &base.slopes[layer - 1]);
            if let Some(bend) = base.bends[layer - 1].as_ref().filter(|_| is_exact) {
                next = next + rzs[layer - 1].clone() * bend.clone().unsqueeze::<3>();
            }
            rdelta = next;
        }
        found.reverse();
        Tensor::cat(found, 1)
    }
}

impl TensorChain {
    fn all_products(&mut self, x: &[f64], rows: &[f64], curvature: Curvature) -> Vec<f64> {
        let (parts, v) = (self.parts(x), self.directions(rows, x.len()));
        let mut total = vec![0.0; rows.len()];
        for chunk in self.chunks(rows.len() / x.len()) {
            let part = self.read(self.forward_and_back(&parts, &v, &chunk, curvature));
            total.iter_mut().zip(part).for_each(|(sum, term)| *sum += term);
        }
        total
    }
}

/// Entry by entry, where there are factors.
fn times(values: Tensor<2>, factors: &Option<Tensor<2>>) -> Tensor<2> {
    match factors {
        Some(factors) => values * factors.clone(),
        None => values,
    }
}

/// Each of several, entry by entry, where there are factors.
fn times3(values: Tensor<3>, factors: &Option<Tensor<2>>) -> Tensor<3> {
    match factors {
        Some(factors) => values * factors.clone().unsqueeze::<3>(),
        None => values,
    }
}

impl Function for TensorChain {
    fn dimension(&self) -> usize {
        self.layers.iter().map(|at| at.out * (at.into + usize::from(at.biases.is_some()))).sum()
    }

    fn value(&mut self, x: &[f64]) -> f64 {
        let parts = self.parts(x);
        let losses: Vec<Tensor<1>> = self.chunks(1).iter().map(|rows| self.base(&parts, rows).loss).collect();
        self.read(Tensor::cat(losses, 0)).iter().sum()
    }

    fn gradient(&mut self, x: &[f64]) -> Vec<f64> {
        let parts = self.parts(x);
        let mut total = vec![0.0; x.len()];
        for rows in self.chunks(1) {
            let base = self.base(&parts, &rows);
            let mut found = Vec::new();
            for (layer, at) in self.layers.iter().enumerate() {
                let delta = base.deltas[layer].clone();
                let weights = delta.clone().transpose().matmul(base.inputs[layer].clone());
                found.push(weights.reshape([at.out * at.into]));
                if at.biases.is_some() {
                    found.push(delta.sum_dim(0).reshape([at.out]));
                }
            }
            let part = self.read(Tensor::cat(found, 0));
            total.iter_mut().zip(part).for_each(|(sum, term)| *sum += term);
        }
        total
    }

    fn products(&mut self, x: &[f64], rows: &[f64]) -> Vec<f64> {
        self.all_products(x, rows, Curvature::Hessian)
    }

    fn model_products(&mut self, x: &[f64], rows: &[f64]) -> Vec<f64> {
        self.all_products(x, rows, self.curvature)
    }

    fn block(&mut self, x: &[f64], rows: &[f64]) -> Block {
        let (parts, v) = (self.parts(x), self.directions(rows, x.len()));
        let l = rows.len() / x.len();
        let (mut gradient, mut half) = (vec![0.0; l], vec![0.0; l * l]);
        for chunk in self.chunks(l) {
            let (slopes, gram) = self.forward_only(&parts, &v, &chunk);
            let part = self.read(slopes);
            gradient.iter_mut().zip(part).for_each(|(sum, term)| *sum += term);
            let part = self.read(gram);
            half.iter_mut().zip(part).for_each(|(sum, term)| *sum += term);
        }
        Block { gradient, hessian: Mat::from_fn(l, l, |i, j| half[i * l + j] + half[j * l + i]) }
    }

    fn models_itself(&self) -> bool {
        self.curvature == Curvature::Hessian
    }

    fn precision(&self) -> f64 {
        self.epsilon()
    }

    fn costs(&self) -> Costs {
        Costs::default()
    }

    fn decay(&self) -> &[f64] {
        &self.decay
    }

    fn epsilon(&self) -> f64 {
        nfa_metrics::epsilon(self.place.1)
    }

    fn round(&self, x: &mut [f64]) {
        if self.place.1 == DType::F32 {
            x.iter_mut().for_each(|x| *x = f64::from(*x as f32));
        }
    }

    fn least_curvature(&self) -> Option<f64> {
        let least = self.decay.iter().copied().fold(f64::INFINITY, f64::min);
        (self.layers.len() == 1).then_some(if least.is_finite() { least } else { 0.0 })
    }
}
