//! Keyed randomness: what is drawn depends on a seed and a name, on nothing else.
//!
//! Device generators are process-wide and differ between backends, so weights, data and shuffles
//! are drawn here, on the host, from ChaCha20 (RFC 8439's block function as `rand_chacha` has it)
//! keyed by SHA-256 of the path of names. Logarithm, square root, sine and cosine come from `libm`
//! in Rust, so that the numbers don't depend on the system's C library.

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use sha2::{Digest, Sha256};

/// A place in the tree of random streams.
///
/// Forking by name is free of order: `root.fork("a")` is the same stream whether or not `"b"`
/// was forked before.
///
/// ```
/// use nfa_models::Stream;
/// let init = Stream::root(7).fork("init");
/// assert_eq!(init.fork("layers.0").normals(3), init.fork("layers.0").normals(3));
/// assert_ne!(init.fork("layers.0").normals(3), init.fork("layers.1").normals(3));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stream {
    key: [u8; 32],
}

impl Stream {
    /// The root stream of a seed.
    pub fn root(seed: u64) -> Self {
        let mut hash = Sha256::new();
        hash.update(b"nfa.stream/1");
        hash.update(seed.to_le_bytes());
        Stream { key: hash.finalize().into() }
    }

    /// The stream of this name below this one.
    pub fn fork(&self, name: &str) -> Self {
        let mut hash = Sha256::new();
        hash.update(self.key);
        hash.update(name.as_bytes());
        Stream { key: hash.finalize().into() }
    }

    /// The stream of this number below this one (an epoch, a replica).
    pub fn fork_index(&self, index: u64) -> Self {
        self.fork(&format!("#{index}"))
    }

    /// A generator at the start of the stream.
    pub fn draws(&self) -> Draws {
        Draws { rng: ChaCha20Rng::from_seed(self.key), spare: None }
    }

    /// The first `n` standard normals of the stream.
    pub fn normals(&self, n: usize) -> Vec<f64> {
        let mut draws = self.draws();
        (0..n).map(|_| draws.normal()).collect()
    }

    /// A uniformly random order of `0..n` (Fisher-Yates).
    pub fn permutation(&self, n: usize) -> Vec<usize> {
        let mut draws = self.draws();
        let mut order: Vec<usize> = (0..n).collect();
        for i in (1..n).rev() {
            order.swap(i, draws.below(i as u64 + 1) as usize);
        }
        order
    }
}

/// Numbers drawn one after the other from a [`Stream`].
#[derive(Clone, Debug)]
pub struct Draws {
    rng: ChaCha20Rng,
    spare: Option<f64>,
}

impl Draws {
    /// Uniform in the open interval (0, 1), on a grid of 2⁻⁵³ shifted by half a step.
    pub fn uniform(&mut self) -> f64 {
        ((self.rng.next_u64() >> 11) as f64 + 0.5) * (1.0 / (1u64 << 53) as f64)
    }

    /// Standard normal (Box-Muller; the pair's second half is kept for the next call).
    pub fn normal(&mut self) -> f64 {
        if let Some(value) = self.spare.take() {
            return value;
        }
        let radius = libm::sqrt(-2.0 * libm::log(self.uniform()));
        let angle = std::f64::consts::TAU * self.uniform();
        self.spare = Some(radius * libm::sin(angle));
        radius * libm::cos(angle)
    }

    /// Uniform in `0..n` without modulo bias. `n` must be positive.
    pub fn below(&mut self, n: u64) -> u64 {
        debug_assert!(n > 0);
        let zone = u64::MAX - u64::MAX % n;
        loop {
            let draw = self.rng.next_u64();
            if draw < zone {
                return draw % n;
            }
        }
    }

    /// A fair sign, +1 or -1.
    pub fn sign(&mut self) -> f64 {
        if self.rng.next_u32() & 1 == 0 { 1.0 } else { -1.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn golden_normals_never_change() {
        // A change here changes every seed's network: records of older versions stop being
        // reproducible.
        let got = Stream::root(0).fork("init").fork("layers.0").normals(4);
        assert_eq!(got.iter().map(|v| v.to_bits()).collect::<Vec<_>>(), GOLDEN, "{got:?}");
    }

    const GOLDEN: [u64; 4] =
        [0xbff4_709d_ae02_02fa, 0xbfe9_7fbc_666c_6f8d, 0x3f85_54ff_2c89_80fb, 0x3fcb_08b9_4412_b938];

    #[test]
    fn moments_of_the_normals() {
        let n = 200_000;
        let x = Stream::root(1).normals(n);
        let moment = |k: i32| x.iter().map(|v| v.powi(k)).sum::<f64>() / n as f64;
        // Five standard errors: sqrt(Var(x^k) / n).
        for (k, expected, variance) in [(1, 0.0, 1.0), (2, 1.0, 2.0), (3, 0.0, 15.0), (4, 3.0, 96.0)] {
            let tolerance = 5.0 * (variance / n as f64).sqrt();
            assert!((moment(k) - expected).abs() < tolerance, "moment {k}: {}", moment(k));
        }
    }

    #[test]
    fn permutations_are_permutations_and_fair() {
        let mut first = [0usize; 5];
        for i in 0..5000 {
            let p = Stream::root(3).fork_index(i).permutation(5);
            let mut sorted = p.clone();
            sorted.sort_unstable();
            assert_eq!(sorted, [0, 1, 2, 3, 4]);
            first[p[0]] += 1;
        }
        // Binomial(5000, 1/5): standard deviation 28.
        assert!(first.iter().all(|&count| count.abs_diff(1000) < 150), "{first:?}");
    }
}
