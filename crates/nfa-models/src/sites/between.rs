//! What stands between maps, computed once for all outputs: no sites, and no other numbers.

use burn::module::Param;
use burn::nn::LayerNorm;
use burn::tensor::{DType, Tensor, TensorData, activation};

use crate::rng::Stream;
use crate::sites::recording::Recording;
use crate::sites::{Sites, SitesError};
use crate::tape;

/// The same functions as Burn's. A sweep passes the same samples once for each output; handed to `at`, what stands
/// between two maps is computed in the first pass alone, and differentiated in all. Computed without `at` the numbers are
/// the same, and the sweep takes longer.
impl Sites {
    /// A function of single numbers: `at.activation(h, relu)`.
    ///
    /// # Shapes
    /// h: `[n, ..]` → the same
    pub fn activation<const D: usize>(&mut self, h: Tensor<D>, f: impl Fn(Tensor<D>) -> Tensor<D>) -> Tensor<D> {
        let one = |recording: &mut Box<Recording>| {
            let (copies, one) = recording.one_of(&h)?;
            if recording.checks && !is_entrywise(&f, &one) {
                recording.fail(SitesError::NotEntrywise);
            }
            let computed = recording.keep(|| {
                let leaf = one.autodiff().require_grad();
                let value = f(leaf.clone());
                // Of single numbers: the gradient of the sum is the slope at each.
                let slope = value.clone().sum();
                let slope = slope.is_tracked().then(|| leaf.grad(&slope.backward())).flatten();
                (value.inner(), slope)
            });
            Some((copies, computed))
        };
        let Some((copies, (value, slope))) = self.0.as_mut().and_then(one) else { return f(h) };
        let value = Tensor::cat(vec![value; copies], 0);
        match slope {
            Some(slope) if h.is_tracked() => tape::known_entrywise(h, value, slope),
            _ => value,
        }
    }

    /// Softmax over the last axis.
    ///
    /// # Shapes
    /// h: `[n, .., t]` → the same
    pub fn softmax<const D: usize>(&mut self, h: Tensor<D>) -> Tensor<D> {
        let one = |recording: &mut Box<Recording>| {
            let (copies, one) = recording.one_of(&h)?;
            Some((copies, recording.keep(|| activation::softmax(one, D - 1))))
        };
        let Some((copies, value)) = self.0.as_mut().and_then(one) else { return activation::softmax(h, D - 1) };
        let all = Tensor::cat(vec![value.clone(); copies], 0);
        if h.is_tracked() { tape::known_softmax(h, all, value) } else { all }
    }

    /// The product of two values, such as attention's scores.
    ///
    /// # Shapes
    /// a: `[n, .., m, k]`, b: `[n, .., k, l]` → `[n, .., m, l]`
    pub fn matmul<const D: usize>(&mut self, a: Tensor<D>, b: Tensor<D>) -> Tensor<D> {
        // A product of matrices has no axis of samples, and what is broadcast is summed on the way back.
        let alike = D > 2 && a.dims()[..D - 2] == b.dims()[..D - 2];
        let one = |recording: &mut Box<Recording>| {
            let ((copies, a), (_, b)) = recording.one_of(&a).zip(recording.one_of(&b))?;
            let value = recording.keep(|| tape::product(a.clone(), b.clone()));
            Some((copies, a, b, value))
        };
        let Some((copies, one_a, one_b, value)) = self.0.as_mut().filter(|_| alike).and_then(one) else {
            return a.matmul(b);
        };
        let all = Tensor::cat(vec![value; copies], 0);
        if a.is_tracked() || b.is_tracked() { tape::known_product(a, b, all, one_a, one_b) } else { all }
    }

    /// Burn's layer norm.
    ///
    /// # Shapes
    /// h: `[n, .., d]` → the same
    pub fn layer_norm<const D: usize>(&mut self, h: Tensor<D>, layer: &LayerNorm) -> Tensor<D> {
        let d = h.dims()[D - 1];
        let one = |recording: &mut Box<Recording>| {
            let (copies, one) = recording.one_of(&h)?;
            let computed = recording.keep(|| {
                let apart = one.clone() - one.mean_dim(D - 1);
                let variance = apart.clone().powi_scalar(2).mean_dim(D - 1);
                let inverse = (variance + epsilon(layer, d)).sqrt().recip();
                let (unit, gamma) = (apart * inverse.clone(), layer.gamma.val().inner());
                let value = unit.clone() * gamma.clone().unsqueeze();
                let value = match &layer.beta {
                    Some(beta) => value + beta.val().inner().unsqueeze(),
                    None => value,
                };
                (value, unit, inverse, gamma)
            });
            Some((copies, computed))
        };
        let Some((copies, (value, unit, inverse, gamma))) = self.0.as_mut().filter(|_| d > 1).and_then(one) else {
            return layer.forward(h);
        };
        let all = Tensor::cat(vec![value; copies], 0);
        if h.is_tracked() { tape::known_norm(h, all, unit, inverse, gamma) } else { all }
    }
}

impl Recording {
    /// How many copies there are, and one of them off the tape; `None` where each is to be computed.
    fn one_of<const D: usize>(&self, h: &Tensor<D>) -> Option<(usize, Tensor<D>)> {
        let (copies, rows) = (self.copies, h.dims()[0]);
        let once = copies > 1 || self.kept.is_some();
        let apart = once && rows.is_multiple_of(copies) && tape::is_ours(h);
        apart.then(|| (copies, h.clone().inner().slice([0..rows / copies])))
    }
}

/// Whether a function takes each number by itself: some numbers are changed, and the others' values must stay.
fn is_entrywise<const D: usize>(f: &impl Fn(Tensor<D>) -> Tensor<D>, h: &Tensor<D>) -> bool {
    let (shape, count) = (h.dims(), h.dims().iter().product::<usize>());
    // At random, so that none of the axes is spared.
    let changed: Vec<f64> =
        Stream::root(0).fork("sites.entrywise").normals(count).into_iter().map(|v| v.max(0.0)).collect();
    let moved = h.clone() + Tensor::from_data(TensorData::new(changed.clone(), shape), (&h.device(), h.dtype()));
    let [before, after] = [h.clone(), moved].map(f);
    if before.dims() != shape {
        return false;
    }
    let eps = if h.dtype() == DType::F64 { f64::EPSILON } else { f64::from(f32::EPSILON) };
    let [before, after] = [before, after].map(|y| y.inner().try_into_vec_as::<f64>().unwrap_or_default());
    // Of a number that stays all but rounding does.
    let same = |a: f64, b: f64| (a - b).abs() <= 1e3 * eps * a.abs().max(1.0) || !a.is_finite();
    (0..count).all(|i| changed[i] > 0.0 || same(before[i], after[i]))
}

/// What a layer adds to the variance, which it keeps to itself: from a row whose variance is small beside it.
fn epsilon(layer: &LayerNorm, d: usize) -> f64 {
    let gamma = layer.gamma.val().inner();
    let mut plain = layer.clone();
    (plain.gamma, plain.beta) = (Param::from_tensor(gamma.ones_like()), None);
    let s = 1e-6;
    let mut row = vec![0.0; d];
    (row[0], row[1]) = (s, -s);
    let row = Tensor::<2>::from_data(TensorData::new(row, [1, d]), (&gamma.device(), gamma.dtype()));
    let first = plain.forward(row).slice([0..1, 0..1]).try_into_vec_as::<f64>().unwrap_or_default();
    let first = first.first().copied().unwrap_or(1.0);
    ((s / first).powi(2) - 2.0 * s * s / d as f64).max(0.0)
}
