//! Operations of our own on Burn's tape: convolutions by host code, and maps whose value is known already.
//!
//! Where the build has no backend that they are written for, or a tensor lives elsewhere, Burn's own are taken.

#[cfg(feature = "flex")]
mod flex;
#[cfg(feature = "flex")]
mod ours;
#[cfg(feature = "flex")]
mod steps;

use burn::tensor::module;
use burn::tensor::ops::ConvOptions;
use burn::tensor::{DType, Tensor};

use crate::place::is_flex;

/// Whether a tensor's backend has these operations.
pub(crate) fn is_ours<const D: usize>(tensor: &Tensor<D>) -> bool {
    cfg!(feature = "flex") && matches!(tensor.dtype(), DType::F32 | DType::F64) && is_flex(&tensor.device())
}

/// A convolution.
///
/// # Shapes
/// x: `[n, c_in, h, w]`, w: `[c_out, c_in / groups, kernel]`, b: `[c_out]` → `[n, c_out, h', w']`
pub(crate) fn conv2d(x: Tensor<4>, w: Tensor<4>, b: Option<Tensor<1>>, options: ConvOptions<2>) -> Tensor<4> {
    #[cfg(feature = "flex")]
    if is_ours(&x) && flex::takes(&x, &w, &options) {
        return steps::conv2d(x, w, b, options);
    }
    module::conv2d(x, w, b, options)
}

/// z with the Jacobian of h ↦ h Wᵀ, of tensors that [are ours](is_ours).
///
/// # Shapes
/// h: `[.., d]`, z: `[.., k]`, weight: `[k, d]` → z's
pub(crate) fn known_dense<const D: usize>(h: Tensor<D>, z: Tensor<D>, weight: Tensor<2>) -> Tensor<D> {
    #[cfg(feature = "flex")]
    {
        let (shape, [k, d]) = (z.dims(), weight.dims());
        let rows: usize = shape[..D - 1].iter().product();
        steps::known_dense(h.reshape([rows, d]), z.reshape([rows, k]), weight).reshape(shape)
    }
    #[cfg(not(feature = "flex"))]
    unreachable!("no tensor is ours: {:?} {:?} {:?}", h.dims(), z.dims(), weight.dims())
}

/// z with the Jacobian of a convolution in x, of tensors that [are ours](is_ours).
///
/// # Shapes
/// As of [`conv2d`]
pub(crate) fn known_conv2d(x: Tensor<4>, z: Tensor<4>, w: Tensor<4>, options: ConvOptions<2>) -> Tensor<4> {
    #[cfg(feature = "flex")]
    {
        steps::known_conv2d(x, z, w, options)
    }
    #[cfg(not(feature = "flex"))]
    unreachable!("no tensor is ours: {:?} {:?} {:?} {options:?}", x.dims(), z.dims(), w.dims())
}

/// z, of all copies, with the Jacobian of a function of single numbers whose slopes are those of one copy; of tensors
/// that [are ours](is_ours), as those below.
pub(crate) fn known_entrywise<const D: usize>(h: Tensor<D>, z: Tensor<D>, slope: Tensor<D>) -> Tensor<D> {
    #[cfg(feature = "flex")]
    {
        steps::known_entrywise(h, z, slope)
    }
    #[cfg(not(feature = "flex"))]
    unreachable!("no tensor is ours: {:?} {:?} {:?}", h.dims(), z.dims(), slope.dims())
}

/// z, of all copies, with the Jacobian of a softmax over the last axis; `one` is that of one copy.
pub(crate) fn known_softmax<const D: usize>(h: Tensor<D>, z: Tensor<D>, one: Tensor<D>) -> Tensor<D> {
    #[cfg(feature = "flex")]
    {
        steps::known_softmax(h, z, one)
    }
    #[cfg(not(feature = "flex"))]
    unreachable!("no tensor is ours: {:?} {:?} {:?}", h.dims(), z.dims(), one.dims())
}

/// z, of all copies, with the Jacobian of a product whose factors are those of one copy.
pub(crate) fn known_product<const D: usize>(
    a: Tensor<D>,
    b: Tensor<D>,
    z: Tensor<D>,
    one_a: Tensor<D>,
    one_b: Tensor<D>,
) -> Tensor<D> {
    #[cfg(feature = "flex")]
    {
        steps::known_product(a, b, z, one_a, one_b)
    }
    #[cfg(not(feature = "flex"))]
    unreachable!("no tensor is ours: {:?} {:?} {:?} {:?}", a.dims(), b.dims(), z.dims(), (one_a.dims(), one_b.dims()))
}

/// z, of all copies, with the Jacobian of a layer norm: `unit` and `inverse` are the normalised values of one copy and
/// what they were multiplied by.
pub(crate) fn known_norm<const D: usize>(
    h: Tensor<D>,
    z: Tensor<D>,
    unit: Tensor<D>,
    inverse: Tensor<D>,
    gamma: Tensor<1>,
) -> Tensor<D> {
    #[cfg(feature = "flex")]
    {
        steps::known_norm(h, z, unit, inverse, gamma)
    }
    #[cfg(not(feature = "flex"))]
    unreachable!(
        "no tensor is ours: {:?} {:?} {:?} {:?}",
        h.dims(),
        z.dims(),
        unit.dims(),
        (inverse.dims(), gamma.dims())
    )
}
