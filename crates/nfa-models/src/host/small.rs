//! Products of small matrices that lie as they please, of which there are many.

use crate::host::Real;

/// Where a matrix lies: its first number, and the steps to the next row and column.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// Of the first number.
    pub start: usize,
    /// To the next row, and to the next column.
    pub steps: [usize; 2],
}

impl Place {
    fn turned(self) -> Self {
        Place { steps: [self.steps[1], self.steps[0]], ..self }
    }

    fn at(self, row: usize, col: usize) -> usize {
        self.start + row * self.steps[0] + col * self.steps[1]
    }
}

/// C ← AB; called within [`vectorised`](crate::host::vectorised). `room` is for B in lanes.
///
/// # Shapes
/// sizes: m, n, k; a: `[m, k]`, b: `[k, n]`, c: `[m, n]`
///
/// # Panics
/// Where a matrix reaches beyond its slice.
#[inline(always)]
pub fn product<T: Real>(
    room: &mut Vec<T>,
    sizes: [usize; 3],
    (c, to): (&mut [T], Place),
    (a, left): (&[T], Place),
    (b, right): (&[T], Place),
) {
    // Lanes along the columns where they lie side by side; else the transposed product.
    let turned = to.steps[1] != 1 && to.steps[0] == 1;
    let [m, n, k] = sizes;
    let ([m, n], to, (a, left), (b, right)) = match turned {
        false => ([m, n], to, (a, left), (b, right)),
        true => ([n, m], to.turned(), (b, right.turned()), (a, left.turned())),
    };
    match n <= 8 {
        true => in_lanes::<T, 8>(room, [m, n, k], (c, to), (a, left), (b, right)),
        false => in_lanes::<T, 16>(room, [m, n, k], (c, to), (a, left), (b, right)),
    }
}

/// With so many columns summed side by side: a register or two.
#[inline(always)]
fn in_lanes<T: Real, const LANES: usize>(
    room: &mut Vec<T>,
    [m, n, k]: [usize; 3],
    (c, to): (&mut [T], Place),
    (a, left): (&[T], Place),
    (b, right): (&[T], Place),
) {
    for first in (0..n).step_by(LANES) {
        let wide = (n - first).min(LANES);
        room.clear();
        for l in 0..k {
            let from = &b[right.at(l, first)..];
            let mut lanes = [T::ZERO; LANES];
            match (right.steps[1], from.first_chunk::<LANES>()) {
                (1, Some(whole)) if wide == LANES => lanes = *whole,
                (step, _) => lanes[..wide].iter_mut().zip(from.iter().step_by(step)).for_each(|(to, from)| *to = *from),
            }
            room.extend_from_slice(&lanes);
        }
        for i in 0..m {
            let (row, to_row) = (&a[left.at(i, 0)..], &mut c[to.at(i, first)..]);
            let mut sums = [T::ZERO; LANES];
            for (l, lanes) in room.as_chunks::<LANES>().0.iter().enumerate() {
                let factor = row[l * left.steps[1]];
                sums.iter_mut().zip(lanes).for_each(|(sum, value)| *sum = value.fma(factor, *sum));
            }
            match (to.steps[1], to_row.first_chunk_mut::<LANES>()) {
                (1, Some(whole)) if wide == LANES => *whole = sums,
                (step, _) => to_row.iter_mut().step_by(step).zip(&sums[..wide]).for_each(|(to, from)| *to = *from),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::vectorised;

    #[test]
    fn products_of_every_layout_are_what_their_definition_says() {
        let numbers = |count: usize, salt: usize| -> Vec<f64> {
            (0..count).map(|i| (((i + salt) * 7919 % 1013) as f64 / 1013.0) - 0.5).collect()
        };
        // Rows or columns side by side, or neither.
        let lie = |rows: usize, cols: usize, how: usize| match how {
            0 => Place { start: 2, steps: [cols + 3, 1] },
            1 => Place { start: 1, steps: [1, rows + 2] },
            _ => Place { start: 0, steps: [2 * cols, 2] },
        };
        for (m, n, k) in [(1, 1, 1), (16, 16, 8), (5, 33, 7), (18, 3, 2), (4, 16, 0), (9, 8, 16), (8, 9, 3)] {
            for how in 0..27 {
                let [left, right, to] = [lie(m, k, how % 3), lie(k, n, how / 3 % 3), lie(m, n, how / 9)];
                let (a, b) = (numbers(4 * (m + 3) * (k + 3), 1), numbers(4 * (k + 3) * (n + 3), 2));
                let mut c = vec![9.0; 4 * (m + 3) * (n + 3)];
                vectorised(|| product(&mut Vec::new(), [m, n, k], (&mut c, to), (&a, left), (&b, right)));
                let mut written = vec![false; c.len()];
                for (i, j) in (0..m).flat_map(|i| (0..n).map(move |j| (i, j))) {
                    let expected: f64 = (0..k).map(|l| a[left.at(i, l)] * b[right.at(l, j)]).sum();
                    assert!((c[to.at(i, j)] - expected).abs() < 1e-14 * (1.0 + k as f64), "{m} {n} {k}, {how}");
                    written[to.at(i, j)] = true;
                }
                assert!(c.iter().zip(written).all(|(value, written)| written || *value == 9.0), "{m} {n} {k}, {how}");
            }
        }
    }
}
