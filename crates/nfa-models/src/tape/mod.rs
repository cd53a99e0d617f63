//! Operations of our own on Burn's tape: convolutions by host code, and maps whose value is known already.
//!
//! Where the build has no backend that they are written for, or a tensor lives elsewhere, Burn's own are taken.

#[cfg(feature = "flex")]
mod flex;
#[cfg(feature = "flex")]
mod ours;
#[cfg(feature = "flex")]
mod product;
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

/// Values with ways back of our own, of tensors that [are ours](is_ours).
#[cfg(feature = "flex")]
pub(crate) use steps::{known_conv2d, known_dense, known_entrywise, known_norm, known_product, known_softmax, product};

/// The same for builds in which no tensor is ours, where nobody comes to them.
#[cfg(not(feature = "flex"))]
pub(crate) use elsewhere::*;

#[cfg(not(feature = "flex"))]
mod elsewhere {
    use burn::tensor::Tensor;
    use burn::tensor::ops::ConvOptions;

    macro_rules! nowhere {
        ($($name:ident($($argument:ty),*);)*) => {
            $(pub(crate) fn $name<const D: usize>(_: Tensor<D>, z: Tensor<D> $(, _: $argument)*) -> Tensor<D> {
                z
            })*
        };
    }
    nowhere! {
        known_conv2d(Tensor<4>, ConvOptions<2>);
        known_dense(Tensor<2>);
        known_entrywise(Tensor<D>);
        known_softmax(Tensor<D>);
        known_product(Tensor<D>, Tensor<D>, Tensor<D>);
        known_norm(Tensor<D>, Tensor<D>, Tensor<1>);
    }

    pub(crate) fn product<const D: usize>(a: Tensor<D>, b: Tensor<D>) -> Tensor<D> {
        a.matmul(b)
    }
}
