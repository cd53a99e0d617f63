//! Stacks of small matrices on Burn's CPU backend `flex`: multiplied where they lie, without copies in between.
//!
//! Attention moves its axes about before and after each product. Results lie in memory as what they are the
//! gradient of, so that moving the axes back costs nothing.

use burn::tensor::{Bytes, DType, Element, Shape};
use burn_flex::{FlexTensor, Layout};
use bytemuck::Pod;

use crate::host::small::{self, Place};
use crate::host::{Real, vectorised};

/// Multiplications of one product up to which these win over Burn's own.
const SMALL: usize = 64 * 64 * 64;

/// ab; `None` where the matrices are large.
pub(super) fn forward(a: &FlexTensor, b: &FlexTensor) -> Option<FlexTensor> {
    let (left, right) = (Stack::of(a)?, Stack::of(b)?);
    // What is moved back after the product lies as its values did.
    let order = if a.is_contiguous() { right.order() } else { (0..left.shape.len()).collect() };
    product(a, &left, b, &right, &order)
}

/// δ bᵀ, lying as `like`; `None` where the matrices are large.
pub(super) fn to_first(delta: &FlexTensor, b: &FlexTensor, like: &FlexTensor) -> Option<FlexTensor> {
    product(delta, &Stack::of(delta)?, b, &Stack::of(b)?.turned(), &Stack::of(like)?.order())
}

/// aᵀ δ, lying as `like`; `None` where the matrices are large.
pub(super) fn to_second(delta: &FlexTensor, a: &FlexTensor, like: &FlexTensor) -> Option<FlexTensor> {
    product(a, &Stack::of(a)?.turned(), delta, &Stack::of(delta)?, &Stack::of(like)?.order())
}

/// Where the matrices of a tensor's last two axes lie.
struct Stack {
    shape: Vec<usize>,
    steps: Vec<usize>,
    start: usize,
}

impl Stack {
    /// `None` where axes run backwards.
    fn of(tensor: &FlexTensor) -> Option<Self> {
        let layout = tensor.layout();
        let steps: Option<Vec<usize>> = layout.strides().iter().map(|&step| usize::try_from(step).ok()).collect();
        Some(Stack { shape: layout.shape().to_vec(), steps: steps?, start: layout.start_offset() })
    }

    /// Its axes from the largest steps to the smallest.
    fn order(&self) -> Vec<usize> {
        let mut axes: Vec<usize> = (0..self.shape.len()).collect();
        axes.sort_by_key(|&axis| std::cmp::Reverse(self.steps[axis]));
        axes
    }

    /// A new one whose axes lie in an order.
    fn lying(shape: Vec<usize>, order: &[usize]) -> Self {
        let (mut steps, mut step) = (vec![0; shape.len()], 1);
        for &axis in order.iter().rev() {
            steps[axis] = step;
            step *= shape[axis];
        }
        Stack { shape, steps, start: 0 }
    }

    fn turned(mut self) -> Self {
        let last = self.shape.len() - 1;
        self.shape.swap(last - 1, last);
        self.steps.swap(last - 1, last);
        self
    }

    fn size(&self) -> [usize; 2] {
        let last = self.shape.len() - 1;
        [self.shape[last - 1], self.shape[last]]
    }

    /// Every matrix, in the order of the outer axes.
    fn places(&self) -> Vec<Place> {
        let last = self.shape.len() - 1;
        let steps = [self.steps[last - 1], self.steps[last]];
        let mut starts = vec![self.start];
        for (&count, &step) in self.shape[..last - 1].iter().zip(&self.steps) {
            starts = starts.iter().flat_map(|start| (0..count).map(move |i| start + i * step)).collect();
        }
        starts.into_iter().map(|start| Place { start, steps }).collect()
    }
}

/// The products of two stacks, of which one may hold several copies of the other's outer axes.
fn product(a: &FlexTensor, left: &Stack, b: &FlexTensor, right: &Stack, order: &[usize]) -> Option<FlexTensor> {
    let ([m, k], [_, n]) = (left.size(), right.size());
    if m * n * k > SMALL {
        return None;
    }
    let axes = left.shape.len() - 2;
    let more = if left.shape[0] > right.shape[0] { left } else { right };
    let to = Stack::lying([&more.shape[..axes], &[m, n]].concat(), order);
    let sizes = [m, n, k];
    Some(match a.dtype() {
        DType::F64 => multiplied::<f64>(sizes, to, (a, left), (b, right)),
        _ => multiplied::<f32>(sizes, to, (a, left), (b, right)),
    })
}

fn multiplied<T: Real + Pod + Element>(
    sizes: [usize; 3],
    to: Stack,
    (a, left): (&FlexTensor, &Stack),
    (b, right): (&FlexTensor, &Stack),
) -> FlexTensor {
    let (a, b): (&[T], &[T]) = (a.storage(), b.storage());
    let mut values = vec![T::ZERO; to.shape.iter().product()];
    let (places, left, right) = (to.places(), left.places(), right.places());
    let mut room = Vec::new();
    vectorised(
        #[inline(always)]
        || {
            for (i, &place) in places.iter().enumerate() {
                let factors = (left[i % left.len()], right[i % right.len()]);
                small::product(&mut room, sizes, (&mut values, place), (a, factors.0), (b, factors.1));
            }
        },
    );
    let steps = to.steps.iter().map(|&step| step as isize).collect();
    FlexTensor::new(Bytes::from_elems(values), Layout::new(Shape::from(to.shape), steps, 0), T::DTYPE)
}
