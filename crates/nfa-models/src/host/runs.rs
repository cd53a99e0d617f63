//! Short runs of numbers, of which there are many.

use crate::host::Real;

/// `f` of each two numbers; short runs have no loops and calls of their own.
#[inline(always)]
pub(super) fn pairs<T: Copy>(to: &mut [T], from: &[T], f: impl Fn(&mut T, T) + Copy) {
    let (to, from) = whole::<T, 16>(to, from, f);
    let (to, from) = whole::<T, 8>(to, from, f);
    let (to, from) = whole::<T, 4>(to, from, f);
    let (to, from) = whole::<T, 2>(to, from, f);
    whole::<T, 1>(to, from, f);
}

/// As many at a time as fit; what is left.
#[inline(always)]
fn whole<'a, T: Copy, const N: usize>(
    mut to: &'a mut [T],
    mut from: &'a [T],
    f: impl Fn(&mut T, T),
) -> (&'a mut [T], &'a [T]) {
    while to.len() >= N && from.len() >= N {
        let ((to_n, to_rest), (from_n, from_rest)) = (to.split_at_mut(N), from.split_at(N));
        to_n.iter_mut().zip(from_n).for_each(|(to, from)| f(to, *from));
        (to, from) = (to_rest, from_rest);
    }
    (to, from)
}

/// In sixteen running sums, which fill a register.
pub(super) fn sum<T: Real>(row: &[T]) -> T {
    let mut sums = [T::from_f64(0.0); 16];
    let (chunks, rest) = row.as_chunks::<16>();
    for chunk in chunks {
        sums.iter_mut().zip(chunk).for_each(|(sum, value)| *sum += *value);
    }
    sums.into_iter().chain(rest.iter().copied()).sum()
}
