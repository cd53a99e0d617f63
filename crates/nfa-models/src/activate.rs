//! Activations of tensors: through the host's kernels on a CPU, by Burn's operations elsewhere.

use burn::tensor::{DType, Tensor, TensorData, activation};

use crate::activation::Activation;
use crate::host::{Cores, Real, vector};
use crate::place::is_on_host;

const ROOT_HALF: f64 = std::f64::consts::FRAC_1_SQRT_2;
/// 1/√(2π)
const NORMAL: f64 = 0.398_942_280_401_432_7;

impl Activation {
    /// φ(z).
    ///
    /// # Shapes
    /// any → the same
    pub fn forward<const D: usize>(self, z: Tensor<D>) -> Tensor<D> {
        // Burn's own are as fast where one operation does it, and track less.
        let plain = matches!(self, Activation::Linear | Activation::Relu | Activation::Quadratic);
        if plain || !on_cpu(&z) {
            return self.by_burn(z);
        }
        if !z.is_autodiff() {
            return self.by_kernel(z, false).0;
        }
        // a + (z - z₀) s with a = φ(z₀) and s = φ'(z₀) constants and z₀ = z: the value is a to the bit,
        // the derivative s. Where z is infinite this is NaN and φ may not be: a run that has come there
        // has diverged, and is found to have.
        let constant = z.clone().detach().set_require_grad(false);
        let (a, slope) = self.by_kernel(z.clone(), true);
        match slope {
            Some(slope) => (z - constant) * slope + a,
            None => a,
        }
    }

    /// φ(z), and φ'(z) or `None` where that is 1 everywhere. Nothing is tracked.
    ///
    /// # Shapes
    /// any → the same, the same
    pub fn with_slope<const D: usize>(self, z: Tensor<D>) -> (Tensor<D>, Option<Tensor<D>>) {
        let z = z.inner();
        if self == Activation::Linear {
            (z, None)
        } else if on_cpu(&z) {
            self.by_kernel(z, true)
        } else {
            let a = self.by_burn(z.clone());
            let slope = self.derivative(z, &a);
            (a, slope)
        }
    }

    /// φ''(z) by Burn's operations, or `None` where it is 0 wherever there is one. Nothing is tracked.
    ///
    /// # Shapes
    /// any → the same
    pub fn bend<const D: usize>(self, z: Tensor<D>) -> Option<Tensor<D>> {
        let z = z.inner();
        let logistic = |z: Tensor<D>| {
            let s = sigmoid(z.clone());
            // σ(-z), which 1 - σ is not where that is small.
            (s, sigmoid(z.neg()))
        };
        match self {
            Activation::Linear | Activation::Relu | Activation::LeakyRelu(_) => None,
            Activation::Tanh => {
                let a = activation::tanh(z);
                Some(a.clone() * (a.clone() * a).sub_scalar(1.0).mul_scalar(2.0))
            }
            Activation::Gelu => {
                let square = z.clone() * z;
                let density = square.clone().mul_scalar(-0.5).exp().mul_scalar(NORMAL);
                Some(square.neg().add_scalar(2.0) * density)
            }
            Activation::Silu => {
                let (s, rest) = logistic(z.clone());
                let tilt = (rest.clone() - s.clone()) * z;
                Some(s * rest * tilt.add_scalar(2.0))
            }
            Activation::Sigmoid => {
                let (s, rest) = logistic(z);
                Some(s.clone() * rest.clone() * (rest - s))
            }
            Activation::Softplus => {
                let (s, rest) = logistic(z);
                Some(s * rest)
            }
            Activation::Quadratic => Some(z.zeros_like().add_scalar(2.0)),
        }
    }

    /// φ(z) and, where it is asked for, φ'(z) as constants, by the kernels for CPUs.
    fn by_kernel<const D: usize>(self, z: Tensor<D>, with_slope: bool) -> (Tensor<D>, Option<Tensor<D>>) {
        let (device, dtype) = (z.device(), z.dtype());
        // No copy where nobody else holds z.
        let data = z.inner().into_data();
        let (a, slope) = match dtype {
            DType::F32 => self.on_slices::<f32>(data, with_slope),
            _ => self.on_slices::<f64>(data, with_slope),
        };
        let tensor = |data: TensorData| Tensor::from_data(data, (&device, dtype));
        (tensor(a), slope.map(tensor))
    }

    fn on_slices<T: Real>(self, mut data: TensorData, with_slope: bool) -> (TensorData, Option<TensorData>) {
        let shape = data.shape().clone();
        let run = |z: &mut [T]| {
            let mut slope = with_slope.then(|| vec![T::from_f64(0.0); z.len()]);
            vector::activate(self, z, slope.as_deref_mut(), Cores::All);
            slope.map(|slope| TensorData::new(slope, shape.clone()))
        };
        match data.as_mut_slice::<T>() {
            Ok(z) => {
                let slope = run(z);
                (data, slope)
            }
            // Bytes that do not begin where a number may.
            Err(_) => {
                let mut z: Vec<T> = data.iter::<T>().collect();
                let slope = run(&mut z);
                (TensorData::new(z, shape.clone()), slope)
            }
        }
    }

    /// φ(z) by Burn's operations.
    fn by_burn<const D: usize>(self, z: Tensor<D>) -> Tensor<D> {
        match self {
            Activation::Linear => z,
            Activation::Relu => activation::relu(z),
            Activation::LeakyRelu(slope) => activation::relu(z.clone()).mul_scalar(1.0 - slope) + z.mul_scalar(slope),
            Activation::Tanh => activation::tanh(z),
            Activation::Gelu => z.clone() * normal_cdf(z),
            Activation::Silu => z.clone() * sigmoid(z),
            Activation::Sigmoid => sigmoid(z),
            // exp(-|z|) written so that the derivative at 0 comes out as 1/2.
            Activation::Softplus => {
                let positive = activation::relu(z.clone());
                positive.clone() + (z - positive.mul_scalar(2.0)).exp().log1p()
            }
            Activation::Quadratic => z.powi_scalar(2),
        }
    }

    /// φ'(z) from z and a = φ(z) by Burn's operations, or `None` where it is 1 everywhere.
    fn derivative<const D: usize>(self, z: Tensor<D>, a: &Tensor<D>) -> Option<Tensor<D>> {
        match self {
            Activation::Linear => None,
            Activation::Relu => Some(gate(z, 0.0)),
            Activation::LeakyRelu(slope) => Some(gate(z, slope)),
            Activation::Tanh => Some(a.clone().powi_scalar(2).neg().add_scalar(1.0)),
            Activation::Gelu => {
                let density = z.clone().powi_scalar(2).mul_scalar(-0.5).exp().mul_scalar(NORMAL);
                Some(normal_cdf(z.clone()) + z * density)
            }
            // σ + z σ (1 - σ) = σ + a (1 - σ)
            Activation::Silu => {
                let s = sigmoid(z);
                Some(s.clone() + a.clone() * s.neg().add_scalar(1.0))
            }
            Activation::Sigmoid => Some(a.clone() * a.clone().neg().add_scalar(1.0)),
            Activation::Softplus => Some(sigmoid(z)),
            Activation::Quadratic => Some(z.mul_scalar(2.0)),
        }
    }
}

/// Whether a tensor's numbers lie in the memory of this process, as the kernels' number types.
fn on_cpu<const D: usize>(z: &Tensor<D>) -> bool {
    matches!(z.dtype(), DType::F32 | DType::F64) && is_on_host(&z.device())
}

/// 1 where z > 0, else `low`, in the tensor's own dtype (`bool.float()` takes the device's).
fn gate<const D: usize>(z: Tensor<D>, low: f64) -> Tensor<D> {
    let open = z.clone().greater_elem(0.0);
    z.zeros_like().add_scalar(low).mask_fill(open, 1.0)
}

/// σ(z) = 1 / (1 + e^(-z)), in full precision: Burn 0.22's goes through `f32`, whatever the dtype, on
/// backends without one of their own (ndarray, wgpu, cuda).
fn sigmoid<const D: usize>(z: Tensor<D>) -> Tensor<D> {
    match z.dtype() {
        // Below, e^(-z) overflows and its derivative is no number; σ and σ' are 1e-304 there, and 0.
        DType::F64 => z.clamp_min(-700.0).neg().exp().add_scalar(1.0).recip(),
        _ => activation::sigmoid(z),
    }
}

/// Φ(z) = (1 + erf(z/√2)) / 2.
fn normal_cdf<const D: usize>(z: Tensor<D>) -> Tensor<D> {
    z.mul_scalar(ROOT_HALF).erf().add_scalar(1.0).mul_scalar(0.5)
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Device, TensorData};

    /// φ and φ' from the standard library and libm.
    fn oracle(activation: Activation, z: f64) -> (f64, f64) {
        let s = 1.0 / (1.0 + (-z).exp());
        let cdf = 0.5 * libm::erfc(-z * ROOT_HALF);
        match activation {
            Activation::Linear => (z, 1.0),
            Activation::Relu => (z.max(0.0), if z > 0.0 { 1.0 } else { 0.0 }),
            Activation::LeakyRelu(slope) => {
                if z > 0.0 {
                    (z, 1.0)
                } else {
                    (slope * z, slope)
                }
            }
            Activation::Tanh => (z.tanh(), 1.0 - z.tanh().powi(2)),
            Activation::Gelu => (z * cdf, cdf + z * NORMAL * (-0.5 * z * z).exp()),
            Activation::Silu => (z * s, s + z * s * (1.0 - s)),
            Activation::Sigmoid => (s, s * (1.0 - s)),
            Activation::Softplus => (z.max(0.0) + (-z.abs()).exp().ln_1p(), s),
            Activation::Quadratic => (z * z, 2.0 * z),
        }
    }

    #[test]
    fn values_and_derivatives_agree_with_the_host_and_with_autodiff() {
        let points: Vec<f64> = vec![-800.0, -40.0, -3.0, -0.7, -1e-9, 0.0, 1e-9, 0.4, 2.5, 40.0, 800.0];
        let n = points.len();
        let z = Tensor::<1>::from_data(TensorData::new(points.clone(), [n]), (&Device::flex(), DType::F64));
        for activation in Activation::ALL.into_iter().chain([Activation::LeakyRelu(0.2)]) {
            let read = |tensor: Tensor<1>| tensor.inner().try_into_vec_as::<f64>().expect("readable");
            let a = activation.forward(z.clone());
            let (same, slope) = activation.with_slope(z.clone());
            assert_eq!(read(same), read(a.clone()), "{activation}: the slope changes the value");
            let by_formula = slope.map_or(vec![1.0; n], read);
            let leaf = z.clone().autodiff().require_grad();
            let mut gradients = activation.forward(leaf.clone()).sum().backward();
            let by_autodiff = read(leaf.grad_remove(&mut gradients).expect("tracked"));
            let bends = activation.bend(z.clone()).map_or(vec![0.0; n], read);
            for (&point, bend) in points.iter().zip(bends) {
                let expected = activation.second_derivative(point);
                let near = (bend - expected).abs() <= 1e-14 * (1.0 + expected.abs());
                assert!(near, "{activation}''({point}) = {bend} on tensors, {expected} on the host");
            }
            for (i, (&point, value)) in points.iter().zip(read(a)).enumerate() {
                let (expected, slope) = oracle(activation, point);
                let near = |a: f64, b: f64| (a - b).abs() <= 1e-14 * (1.0 + b.abs());
                assert!(near(value, expected), "{activation}({point}) = {value}, expected {expected}");
                assert!(near(by_formula[i], slope), "{activation}'({point}) = {}, expected {slope}", by_formula[i]);
                assert!(
                    near(by_autodiff[i], slope),
                    "{activation}'({point}) by autodiff {}, expected {slope}",
                    by_autodiff[i]
                );
            }
        }
    }

    /// On a CPU the kernels stand in for Burn's operations: as near to them as rounding lets them be.
    #[test]
    fn kernels_are_burns_operations_to_rounding() {
        let device = Device::flex();
        for (dtype, eps) in [(DType::F64, f64::EPSILON), (DType::F32, f64::from(f32::EPSILON))] {
            let points: Vec<f64> = (0..3 * 700).map(|i| 9.0 * (i as f64 * 0.37).sin()).collect();
            let z = Tensor::<2>::from_data(TensorData::new(points, [700, 3]), (&device, dtype));
            let read = |tensor: Tensor<2>| {
                assert_eq!((tensor.dims(), tensor.dtype()), ([3, 700], dtype));
                assert!(!tensor.is_autodiff());
                tensor.try_into_vec_as::<f64>().expect("readable")
            };
            // Rows and columns exchanged: not in the order of memory.
            let z = z.transpose();
            assert!(on_cpu(&z) && on_cpu(&z.clone().autodiff()));
            let near = |what: &str, found: Vec<f64>, expected: Vec<f64>| {
                for (found, expected) in found.into_iter().zip(expected) {
                    let error = (found - expected).abs();
                    assert!(error <= 8.0 * eps * (1.0 + expected.abs()), "{what}: {found} and {expected}");
                }
            };
            for activation in Activation::ALL {
                let by_burn = activation.by_burn(z.clone());
                let (a, slope) = activation.with_slope(z.clone());
                if let Some(slope) = slope {
                    let expected = activation.derivative(z.clone(), &by_burn).expect("not 1 everywhere");
                    near(activation.name(), read(slope), read(expected));
                }
                near(activation.name(), read(a), read(by_burn));
                let gradient = |map: &dyn Fn(Tensor<2>) -> Tensor<2>| {
                    let leaf = z.clone().autodiff().require_grad();
                    let y = map(leaf.clone());
                    let value = read(y.clone().inner());
                    // A weight on each output, and a use of z beside: gradients add up as they should.
                    let mut gradients = (y * z.clone().autodiff() + leaf.clone()).sum().backward();
                    (value, read(leaf.grad_remove(&mut gradients).expect("tracked")))
                };
                let (value, by_kernel) = gradient(&|z| activation.forward(z));
                assert_eq!(value, read(activation.forward(z.clone())), "{activation}: tracking changes the value");
                near(activation.name(), by_kernel, gradient(&|z| activation.by_burn(z)).1);
            }
        }
    }

    #[test]
    fn what_has_diverged_is_not_finite_again() {
        for activation in [Activation::Tanh, Activation::Gelu, Activation::Silu, Activation::Sigmoid] {
            let z = Tensor::<1>::from_data([f64::NAN, f64::INFINITY, 0.5], (&Device::flex(), DType::F64)).autodiff();
            let a = activation.forward(z.require_grad()).inner().try_into_vec_as::<f64>().expect("readable");
            assert!(a[0].is_nan() && !a[1].is_finite() && a[2].is_finite(), "{activation}: {a:?}");
        }
    }
}
