//! Convolutions on the CPU: patches of some samples side by side in a core's cache, a product, and back.
//!
//! With stride 1 a place of the kernel sees one run of the padded image. So rows keep the padded image's width: laying
//! out the patches is one copy for each place of the kernel, and what stands between two output rows is computed
//! and passed over.

use std::ops::Range;

use rayon::prelude::*;

use crate::host::gemm::{Into, View, product};
use crate::host::runs::{pairs, sum};
use crate::host::{Cores, Real, vectorised};

/// The sizes of a convolution (in the sense of neural networks: the kernel isn't turned) over two axes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Convolution {
    /// Channels in and out.
    pub channels: [usize; 2],
    /// Height and width of the images.
    pub image: [usize; 2],
    /// Height and width of the kernel.
    pub kernel: [usize; 2],
    /// Steps between output places, down and to the right.
    pub stride: [usize; 2],
    /// Steps between places of the kernel.
    pub dilation: [usize; 2],
    /// Zeros around: (above, below), (left, right).
    pub padding: [(usize, usize); 2],
}

/// Columns that a product has at least, where there are as many places.
const COLUMNS: usize = 512;
/// Sums of weight gradients that are added up at the end, whatever the number of cores.
const PARTS: usize = 8;

impl Convolution {
    /// Height and width of what comes out; `None` where the kernel is larger than the padded image.
    pub fn out(&self) -> Option<[usize; 2]> {
        let along = |axis: usize| {
            let reach = self.dilation[axis] * (self.kernel[axis].checked_sub(1)?) + 1;
            Some(self.padded()[axis].checked_sub(reach)? / self.stride[axis] + 1)
        };
        Some([along(0)?, along(1)?])
    }

    fn padded(&self) -> [usize; 2] {
        [0, 1].map(|axis| self.image[axis] + self.padding[axis].0 + self.padding[axis].1)
    }

    /// z = w * x + b.
    ///
    /// # Shapes
    /// x: `[n, c_in, h, w]`, w: `[c_out, c_in, kernel]`, b: `[c_out]` → `[n, c_out, h', w']`
    ///
    /// # Panics
    /// Where shapes don't fit.
    pub fn forward<T: Real>(&self, x: &[T], w: &[T], b: Option<&[T]>) -> Vec<T> {
        let form = Form::new(*self);
        let mut z = vec![T::from_f64(0.0); x.len() / form.from.max(1) * form.to];
        let work = |block: &mut Block<'_, T>, (z, x): (&mut [T], &[T])| {
            let width = z.len() / form.to * form.run;
            vectorised(
                #[inline(always)]
                || block.lay_out(x),
            );
            let to = &mut block.beside[..form.c_out * width];
            let how = match b {
                Some(b) => {
                    to.chunks_exact_mut(width).zip(b).for_each(|(row, b)| row.fill(*b));
                    Into::Add
                }
                None => Into::Set,
            };
            let patches = View::new(&block.patches, form.patch, width);
            product(to, width, how, View::new(w, form.c_out, form.patch), patches, Cores::One);
            block.gather(z);
        };
        z.par_chunks_mut(form.together * form.to)
            .zip(x.par_chunks(form.together * form.from))
            .for_each_init(|| Block::new(&form), work);
        z
    }

    /// ∂/∂x from ∂/∂z.
    ///
    /// # Shapes
    /// w: `[c_out, c_in, kernel]`, dz: `[n, c_out, h', w']` → `[n, c_in, h, w]`
    ///
    /// # Panics
    /// Where shapes don't fit.
    pub fn back_to_input<T: Real>(&self, w: &[T], dz: &[T]) -> Vec<T> {
        let form = Form::new(*self);
        let mut dx = vec![T::from_f64(0.0); dz.len() / form.to.max(1) * form.from];
        let work = |block: &mut Block<'_, T>, (dx, dz): (&mut [T], &[T])| {
            let width = dz.len() / form.to * form.run;
            vectorised(
                #[inline(always)]
                || block.spread(dz),
            );
            let (patches, from) = (&mut block.patches[..form.patch * width], &block.beside[..form.c_out * width]);
            let w = View::new(w, form.c_out, form.patch).t();
            product(patches, width, Into::Set, w, View::new(from, form.c_out, width), Cores::One);
            vectorised(
                #[inline(always)]
                || block.fold(dx),
            );
        };
        dx.par_chunks_mut(form.together * form.from)
            .zip(dz.par_chunks(form.together * form.to))
            .for_each_init(|| Block::new(&form), work);
        dx
    }

    /// ∂/∂w and ∂/∂b from ∂/∂z.
    ///
    /// # Shapes
    /// x: `[n, c_in, h, w]`, dz: `[n, c_out, h', w']` → `[c_out, c_in, kernel]`, `[c_out]`
    ///
    /// # Panics
    /// Where shapes don't fit.
    pub fn back_to_weights<T: Real>(&self, x: &[T], dz: &[T]) -> (Vec<T>, Vec<T>) {
        let form = Form::new(*self);
        let n = dz.len() / form.to.max(1);
        let blocks = n.div_ceil(form.together);
        let parts = PARTS.min(blocks).max(1);
        let part = |part: usize| {
            let mut block = Block::new(&form);
            let (mut turned, mut db) = (form.zeros::<T>(form.patch * form.c_out), form.zeros::<T>(form.c_out));
            for k in part * blocks / parts..(part + 1) * blocks / parts {
                let samples = k * form.together..((k + 1) * form.together).min(n);
                let width = samples.len() * form.run;
                block.lay_out(&x[samples.start * form.from..samples.end * form.from]);
                block.spread(&dz[samples.start * form.to..samples.end * form.to]);
                let patches = View::new(&block.patches, form.patch, width);
                let from = View::new(&block.beside, form.c_out, width);
                // The long side of the result first.
                product(&mut turned, form.c_out, Into::Add, patches, from.t(), Cores::One);
                from.row_slices().zip(&mut db).for_each(|(row, db)| *db += sum(row));
            }
            (turned, db)
        };
        let found: Vec<(Vec<T>, Vec<T>)> = (0..parts).into_par_iter().with_max_len(1).map(part).collect();
        let (mut turned, mut db) = (form.zeros::<T>(form.patch * form.c_out), form.zeros::<T>(form.c_out));
        for (own, bias) in found {
            turned.iter_mut().zip(own).for_each(|(all, own)| *all += own);
            db.iter_mut().zip(bias).for_each(|(all, own)| *all += own);
        }
        let mut dw = form.zeros::<T>(form.patch * form.c_out);
        for (k, row) in turned.chunks_exact(form.c_out).enumerate() {
            row.iter().enumerate().for_each(|(o, &value)| dw[o * form.patch + k] = value);
        }
        (dw, db)
    }
}

/// Everything that follows from the sizes.
#[derive(Clone, Debug)]
struct Form {
    of: Convolution,
    out: [usize; 2],
    c_out: usize,
    /// Numbers of an image, and of what comes out of it.
    from: usize,
    to: usize,
    /// Numbers that a place of the output reads.
    patch: usize,
    /// Columns of a sample, of which a row of the output has every `wide`-th run.
    run: usize,
    wide: usize,
    /// Samples whose columns stand side by side.
    together: usize,
    /// Where in a padded image each row of the patches begins.
    places: Vec<usize>,
}

impl Form {
    fn new(of: Convolution) -> Self {
        let [c_in, c_out] = of.channels;
        let ([rows, cols], [height, width]) = (of.kernel, of.padded());
        let out = of.out().unwrap_or([0, 0]);
        let runs = of.stride == [1, 1];
        let wide = if runs { width } else { out[1] };
        let run = if runs { out[0].saturating_sub(1) * wide + out[1] } else { out[0] * out[1] };
        let place = |k: usize| {
            let (c, y, x) = (k / (rows * cols), k / cols % rows, k % cols);
            c * height * width + y * of.dilation[0] * width + x * of.dilation[1]
        };
        Form {
            of,
            out,
            c_out,
            from: c_in * of.image[0] * of.image[1],
            to: c_out * out[0] * out[1],
            patch: c_in * rows * cols,
            run,
            wide,
            together: (COLUMNS / run.max(1)).max(1),
            places: (0..c_in * rows * cols).map(place).collect(),
        }
    }

    fn zeros<T: Real>(&self, count: usize) -> Vec<T> {
        vec![T::from_f64(0.0); count]
    }

    fn is_padded(&self) -> bool {
        self.of.padding != [(0, 0); 2]
    }

    /// Numbers of a padded image.
    fn size(&self) -> usize {
        self.of.channels[0] * self.of.padded().iter().product::<usize>()
    }

    /// The rows of so many numbers of images, each with its place in the padded ones.
    fn rows(&self, count: usize) -> impl Iterator<Item = (usize, Range<usize>)> {
        let ([height, width], [(top, _), (left, _)]) = (self.of.padded(), self.of.padding);
        let [h, w] = self.of.image;
        let place = move |row: usize| (row / h * height + row % h + top) * width + left;
        (0..count / w.max(1)).map(move |row| (place(row), row * w..(row + 1) * w))
    }
}

/// What some samples need on a core.
struct Block<'a, T> {
    form: &'a Form,
    /// `[patch, samples * run]`
    patches: Vec<T>,
    /// z or ∂/∂z, `[c_out, samples * run]`; zero between rows.
    beside: Vec<T>,
    /// Columns that gradients were spread over.
    spread: usize,
    /// The padded images, zero at their edges; empty without padding.
    padded: Vec<T>,
}

impl<'a, T: Real> Block<'a, T> {
    fn new(form: &'a Form) -> Self {
        let columns = form.together * form.run;
        let padded = if form.is_padded() { form.together * form.size() } else { 0 };
        let [patches, beside, padded] = [form.patch * columns, form.c_out * columns, padded].map(|n| form.zeros(n));
        Block { form, patches, beside, spread: 0, padded }
    }

    /// The patches of some images.
    #[inline(always)]
    fn lay_out(&mut self, images: &[T]) {
        let Block { form, patches, padded, .. } = self;
        let (width, size) = (images.len() / form.from * form.run, form.size());
        let images = match form.is_padded() {
            false => images,
            true => {
                for (at, row) in form.rows(images.len()) {
                    padded[at..at + row.len()].copy_from_slice(&images[row]);
                }
                &padded[..]
            }
        };
        // Row by row, which is how they are written.
        for (row, &from) in patches.chunks_exact_mut(width).zip(&form.places) {
            for (row, image) in row.chunks_exact_mut(form.run).zip(images.chunks_exact(size)) {
                match form.of.stride {
                    [1, 1] => pairs(row, &image[from..from + form.run], |to, from| *to = from),
                    [down, right] => {
                        for (y, row) in row.chunks_exact_mut(form.out[1]).enumerate() {
                            let line = &image[from + y * down * form.of.padded()[1]..];
                            row.iter_mut().zip(line.iter().step_by(right)).for_each(|(to, from)| *to = *from);
                        }
                    }
                }
            }
        }
    }

    /// The sum of patches where they overlap, onto images.
    #[inline(always)]
    fn fold(&mut self, images: &mut [T]) {
        let Block { form, patches, padded, .. } = self;
        let (width, size) = (images.len() / form.from * form.run, form.size());
        let count = images.len();
        padded.fill(T::from_f64(0.0));
        let all: &mut [T] = if form.is_padded() { padded } else { images };
        for (row, &at) in patches.chunks_exact(width).zip(&form.places) {
            for (row, image) in row.chunks_exact(form.run).zip(all.chunks_exact_mut(size)) {
                match form.of.stride {
                    [1, 1] => pairs(&mut image[at..at + form.run], row, |to, from| *to += from),
                    [down, right] => {
                        for (y, row) in row.chunks_exact(form.out[1]).enumerate() {
                            let line = &mut image[at + y * down * form.of.padded()[1]..];
                            line.iter_mut().step_by(right).zip(row).for_each(|(to, from)| *to += *from);
                        }
                    }
                }
            }
        }
        if form.is_padded() {
            form.rows(count).for_each(|(at, row)| images[row.clone()].copy_from_slice(&padded[at..at + row.len()]));
            // Edges took what fell on them.
            padded.fill(T::from_f64(0.0));
        }
    }

    /// `[samples, c_out, places]` → `[c_out, samples * run]`, zero between rows.
    #[inline(always)]
    fn spread(&mut self, stacked: &[T]) {
        let Block { form, beside, spread, .. } = self;
        let ([high, across], width) = (form.out, stacked.len() / form.to * form.run);
        // What lies between rows stays as it is from one time to the next.
        if *spread != width {
            beside.fill(T::from_f64(0.0));
            *spread = width;
        }
        for (j, sample) in stacked.chunks_exact(form.to).enumerate() {
            for (o, plane) in sample.chunks_exact(high * across).enumerate() {
                let to = &mut beside[o * width + j * form.run..o * width + (j + 1) * form.run];
                for (to, row) in to.chunks_mut(form.wide).zip(plane.chunks_exact(across)) {
                    pairs(&mut to[..across], row, |to, from| *to = from);
                }
            }
        }
    }

    /// `[c_out, samples * run]` → `[samples, c_out, places]`
    fn gather(&self, stacked: &mut [T]) {
        let form = self.form;
        let ([high, across], width) = (form.out, stacked.len() / form.to * form.run);
        for (j, sample) in stacked.chunks_exact_mut(form.to).enumerate() {
            for (o, plane) in sample.chunks_exact_mut(high * across).enumerate() {
                let from = &self.beside[o * width + j * form.run..o * width + (j + 1) * form.run];
                for (row, from) in plane.chunks_exact_mut(across).zip(from.chunks(form.wide)) {
                    row.copy_from_slice(&from[..across]);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(count: usize, salt: usize) -> Vec<f64> {
        (0..count).map(|i| (((i + salt) * 7919 % 1013) as f64 / 1013.0) - 0.5).collect()
    }

    /// z by the definition.
    fn by_hand(of: &Convolution, n: usize, x: &[f64], w: &[f64], b: &[f64]) -> Vec<f64> {
        let ([c_in, c_out], [h, width], [high, across]) = (of.channels, of.image, of.out().expect("fits"));
        let mut z = Vec::new();
        for (i, o) in (0..n).flat_map(|i| (0..c_out).map(move |o| (i, o))) {
            for (y, x_out) in (0..high).flat_map(|y| (0..across).map(move |x| (y, x))) {
                let mut sum = b[o];
                for k in 0..c_in * of.kernel[0] * of.kernel[1] {
                    let (c, ky, kx) =
                        (k / (of.kernel[0] * of.kernel[1]), k / of.kernel[1] % of.kernel[0], k % of.kernel[1]);
                    let row = (y * of.stride[0] + ky * of.dilation[0]).checked_sub(of.padding[0].0);
                    let col = (x_out * of.stride[1] + kx * of.dilation[1]).checked_sub(of.padding[1].0);
                    if let (Some(row), Some(col)) = (row, col)
                        && row < h
                        && col < width
                    {
                        sum +=
                            w[o * c_in * of.kernel[0] * of.kernel[1] + k] * x[((i * c_in + c) * h + row) * width + col];
                    }
                }
                z.push(sum);
            }
        }
        z
    }

    #[test]
    fn forward_is_the_definition_and_back_is_its_transpose() {
        let of = |channels, image, kernel, stride, dilation, padding| Convolution {
            channels,
            image,
            kernel,
            stride,
            dilation,
            padding,
        };
        let none = [(0, 0), (0, 0)];
        for (of, n) in [
            (of([1, 3], [8, 8], [3, 3], [1, 1], [1, 1], none), 70),
            (of([2, 4], [7, 5], [3, 2], [1, 1], [1, 1], [(1, 1), (1, 1)]), 9),
            (of([2, 3], [9, 6], [3, 3], [2, 2], [1, 1], [(1, 0), (0, 2)]), 40),
            (of([3, 2], [6, 7], [2, 3], [1, 1], [2, 2], [(0, 1), (2, 1)]), 5),
            (of([2, 2], [10, 9], [3, 2], [3, 1], [2, 3], [(1, 2), (0, 1)]), 6),
            (of([4, 5], [1, 12], [1, 3], [1, 2], [1, 1], [(0, 0), (1, 1)]), 11),
            (of([3, 2], [4, 4], [1, 1], [1, 1], [1, 1], none), 1),
            (of([2, 3], [40, 30], [5, 5], [1, 1], [1, 1], [(2, 2), (2, 2)]), 3),
        ] {
            let [high, across] = of.out().expect("fits");
            let (x, w) = (numbers(n * of.channels[0] * of.image[0] * of.image[1], 1), of.channels[0] * of.channels[1]);
            let (w, b) = (numbers(w * of.kernel[0] * of.kernel[1], 2), numbers(of.channels[1], 3));
            let z = of.forward(&x, &w, Some(&b));
            let expected = by_hand(&of, n, &x, &w, &b);
            assert_eq!(z.len(), n * of.channels[1] * high * across);
            assert!(z.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-12), "{of:?}");
            let dz = numbers(z.len(), 4);
            let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
            // ⟨dz, A x'⟩ = ⟨Aᵀ dz, x'⟩ for the parts of a map that is linear in x, in w and in b.
            let (dx, (dw, db)) = (of.back_to_input(&w, &dz), of.back_to_weights(&x, &dz));
            let other = numbers(x.len(), 5);
            let zero = vec![0.0; b.len()];
            let through = by_hand(&of, n, &other, &w, &zero);
            assert!((dot(&dz, &through) - dot(&dx, &other)).abs() < 1e-10, "{of:?}: to the input");
            let other = numbers(w.len(), 6);
            let through = by_hand(&of, n, &x, &other, &zero);
            assert!((dot(&dz, &through) - dot(&dw, &other)).abs() < 1e-10, "{of:?}: to the weights");
            let through = by_hand(&of, n, &x, &vec![0.0; w.len()], &b);
            assert!((dot(&dz, &through) - dot(&db, &b)).abs() < 1e-10, "{of:?}: to the biases");
        }
        assert_eq!(of([1, 1], [2, 2], [3, 3], [1, 1], [1, 1], none).out(), None);
    }

    #[test]
    fn the_bits_do_not_depend_on_the_number_of_cores() {
        let padding = [(1, 1), (1, 1)];
        let of =
            Convolution { channels: [3, 5], image: [11, 9], kernel: [3, 3], stride: [1, 1], dilation: [1, 1], padding };
        let (x, w) = (numbers(100 * 297, 1), numbers(135, 2));
        let narrow = |values: Vec<f64>| values.into_iter().map(|v| v as f32).collect::<Vec<f32>>();
        let (x, w) = (narrow(x), narrow(w));
        let on = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
            pool.install(|| {
                let z = of.forward(&x, &w, None);
                (of.back_to_input(&w, &z), of.back_to_weights(&x, &z), z)
            })
        };
        assert!(on(1) == on(5));
    }
}
