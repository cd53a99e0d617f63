//! A rule on numbers of the host.

use burn::tensor::{Device, Tensor, TensorData};
use nfa_models::host::{Real, vectorised};

use crate::train::first_order::entry::Entry;
use crate::train::first_order::rule::{Rule, Turn};

/// Applies a rule to some numbers of one parameter, in place; to all of them where it is
/// [`Rule::WHOLE`].
pub(crate) fn update<T: Real + Entry, R: Rule<N>, const N: usize>(
    rule: R,
    turn: Turn,
    device: &Device,
    value: &mut [T],
    gradient: &[T],
    memory: [&mut [T]; N],
) {
    if R::WHOLE {
        return whole(rule, turn, device, value, gradient, memory);
    }
    vectorised(
        #[inline(always)]
        move || {
            // Copied once: behind a reference they would be read, and combined, anew for every entry.
            let (rule, turn) = (rule, turn);
            let gradient = &gradient[..value.len()];
            let mut memory = memory.map(|slot| &mut slot[..value.len()]);
            for (k, value) in value.iter_mut().enumerate() {
                let held = std::array::from_fn(|slot| memory[slot][k]);
                let (next, held) = rule.update(&turn, *value, gradient[k], held);
                *value = next;
                for (slot, held) in memory.iter_mut().zip(held) {
                    slot[k] = held;
                }
            }
        },
    );
}

/// Through tensors: what such rules do with a matrix takes far longer.
fn whole<T: Real, R: Rule<N>, const N: usize>(
    rule: R,
    turn: Turn,
    device: &Device,
    value: &mut [T],
    gradient: &[T],
    memory: [&mut [T]; N],
) {
    let tensor = |numbers: &[T]| -> Tensor<1> {
        Tensor::from_data(TensorData::new(numbers.to_vec(), [numbers.len()]), (device, T::DTYPE))
    };
    // Numbers that the device does not hand out are NaN, which ends the run.
    let read = |to: &mut [T], from: Tensor<1>| match from.try_into_vec_as::<T>() {
        Ok(numbers) => to.copy_from_slice(&numbers),
        Err(_) => to.fill(T::from_f64(f64::NAN)),
    };
    let held = std::array::from_fn(|slot| tensor(memory[slot]));
    let (next, held) = rule.update(&turn, tensor(value), tensor(gradient), held);
    read(value, next);
    memory.into_iter().zip(held).for_each(|(slot, held)| read(slot, held));
}
