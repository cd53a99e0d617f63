//! Running averages of WᵀW and FACT over the last steps before each probe.
//!
//! The gradient of all training rows is evaluated at every `every`-th step of a window, whatever the solver's own steps
//! read; the sums are part of a checkpoint, so a run that is continued has the same bits.

use nfa_metrics::laws::stationary::fact;
use nfa_metrics::{Averaged, Mat};
use serde::{Deserialize, Serialize};

use crate::array::save::matrix_entry;
use crate::observe::plan::AveragePlan;
use crate::train::rate::Rate;

/// What is summed up for the probes to come.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Averages {
    /// By the probe that they are for.
    pub windows: Vec<Window>,
    /// Steps before this one have been looked at.
    pub next: u64,
}

/// The sums of one probe's steps.
#[derive(Clone, Debug, PartialEq)]
pub struct Window {
    /// The probe that they are for.
    pub probe: u64,
    /// How many steps were added.
    pub count: u64,
    /// By layer.
    pub layers: Vec<LayerSums>,
}

/// Of one layer.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerSums {
    /// WᵀW where the window begins.
    pub first: Mat,
    /// Σ WᵀW.
    pub nfm: Mat,
    /// Σ FACT.
    pub fact: Mat,
}

/// What of a window is no matrix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WindowHead {
    /// See [`Window::probe`].
    pub probe: u64,
    /// See [`Window::count`].
    pub count: u64,
    /// Layers.
    pub layers: usize,
}

impl AveragePlan {
    /// The first step of a probe's window; none of probes with fewer steps before them.
    fn start(self, probe: u64) -> Option<u64> {
        probe.checked_sub(self.last)
    }

    /// The first step after `step` at which something is to be added, for these probes in order.
    pub fn next(self, step: u64, probes: &[u64]) -> Option<u64> {
        let first = |probe: u64| {
            let start = self.start(probe)?;
            let sampled = (step / self.every + 1) * self.every;
            // Where it begins, too: that is what it has moved from.
            if step < start { Some(start) } else { (sampled < probe).then_some(sampled) }
        };
        probes.iter().filter(|&&probe| probe > step).filter_map(|&probe| first(probe)).min()
    }

    /// Whether something is to be added at a step.
    pub fn wants(self, step: u64, probes: &[u64]) -> bool {
        step == 0 && self.opens(0, probes) || step > 0 && self.next(step - 1, probes) == Some(step)
    }

    fn opens(self, step: u64, probes: &[u64]) -> bool {
        probes.iter().any(|&probe| self.start(probe) == Some(step))
    }
}

/// Kinds of matrices of a layer, by name.
const SUMS: [&str; 3] = ["first", "nfm", "fact"];

impl LayerSums {
    fn all(&self) -> [&Mat; 3] {
        [&self.first, &self.nfm, &self.fact]
    }
}

/// The name of a matrix in a checkpoint.
fn name(probe: u64, layer: usize, sum: &str) -> String {
    format!("average/{probe}/{layer}/{sum}")
}

impl Averages {
    /// What of the windows is no matrix.
    pub fn heads(&self) -> Vec<WindowHead> {
        let head =
            |window: &Window| WindowHead { probe: window.probe, count: window.count, layers: window.layers.len() };
        self.windows.iter().map(head).collect()
    }

    /// Every matrix, by name.
    pub fn matrices(&self) -> impl Iterator<Item = (String, &Mat)> {
        self.windows.iter().flat_map(|window| {
            window.layers.iter().enumerate().flat_map(move |(layer, sums)| {
                let named = SUMS.iter().zip(sums.all());
                named.map(move |(sum, matrix)| (name(window.probe, layer, sum), matrix))
            })
        })
    }

    /// The matrices as entries of a file.
    pub fn entries(&self) -> Vec<(String, Vec<usize>, Vec<u8>)> {
        self.matrices().map(|(name, matrix)| matrix_entry(name, matrix)).collect()
    }

    /// From their heads and a file's matrices.
    ///
    /// # Errors
    /// What the reader says.
    pub fn read<E>(heads: &[WindowHead], next: u64, matrix: &dyn Fn(&str) -> Result<Mat, E>) -> Result<Self, E> {
        let window = |head: &WindowHead| {
            let layer = |layer: usize| {
                let [first, nfm, fact] = SUMS.map(|sum| matrix(&name(head.probe, layer, sum)));
                Ok(LayerSums { first: first?, nfm: nfm?, fact: fact? })
            };
            let layers = (0..head.layers).map(layer).collect::<Result<_, E>>()?;
            Ok(Window { probe: head.probe, count: head.count, layers })
        };
        Ok(Averages { windows: heads.iter().map(window).collect::<Result<_, E>>()?, next })
    }

    /// Looks at a step: weights and loss gradients, layer by layer.
    pub fn add(&mut self, plan: AveragePlan, step: u64, probes: &[u64], layers: &[(Mat, Mat)], lambda: f64) {
        let seen: Vec<(Mat, Mat)> = layers
            .iter()
            .map(|(weight, gradient)| (weight.transpose() * weight, fact(weight, gradient, lambda)))
            .collect();
        for &probe in probes.iter().filter(|&&probe| plan.start(probe) == Some(step)) {
            let new = |(nfm, _): &(Mat, Mat)| {
                let zeros = Mat::zeros(nfm.nrows(), nfm.ncols());
                LayerSums { first: nfm.clone(), nfm: zeros.clone(), fact: zeros }
            };
            self.windows.push(Window { probe, count: 0, layers: seen.iter().map(new).collect() });
        }
        let open = self.windows.iter_mut().filter(|window| step < window.probe && step.is_multiple_of(plan.every));
        for window in open {
            window.count += 1;
            for (sums, (nfm, fact)) in window.layers.iter_mut().zip(&seen) {
                sums.nfm += nfm;
                sums.fact += fact;
            }
        }
        self.next = step + 1;
    }

    /// The averages of a probe, whose window is closed: by layer, with its weights now.
    pub fn take(&mut self, plan: AveragePlan, probe: u64, weights: &[Mat], rate: &Rate, lambda: f64) -> Vec<Averaged> {
        let Some(at) = self.windows.iter().position(|window| window.probe == probe) else { return Vec::new() };
        let window = self.windows.remove(at);
        if window.count == 0 {
            return Vec::new();
        }
        let eta: f64 = (probe - plan.last..probe).map(|step| rate.at(step)).sum();
        let mean = 1.0 / window.count as f64;
        let layer = |(sums, weight): (LayerSums, &Mat)| {
            let now = weight.transpose() * weight;
            Averaged {
                drift: (&now - &sums.first).norm_l2() / now.norm_l2(),
                nfm: sums.nfm * mean,
                fact: sums.fact * mean,
                window: 2.0 * lambda * eta,
            }
        };
        window.layers.into_iter().zip(weights).map(layer).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Everything that is added over a run, by stepping as a run does.
    fn looked_at(plan: AveragePlan, probes: &[u64], last: u64) -> Vec<u64> {
        (0..=last).filter(|&step| plan.wants(step, probes)).collect()
    }

    #[test]
    fn windows_are_looked_at_where_they_begin_and_every_so_often() {
        let plan = AveragePlan { last: 5, every: 2 };
        // 0 is no probe with 5 steps before it; that of 12 begins at 7.
        assert_eq!(looked_at(plan, &[0, 3, 12], 12), [7, 8, 10]);
        // Windows that overlap are looked at once.
        assert_eq!(looked_at(plan, &[0, 5, 7], 7), [0, 2, 4, 6]);
        assert_eq!(looked_at(AveragePlan { last: 3, every: 1 }, &[0, 3], 5), [0, 1, 2]);
    }

    #[test]
    fn a_window_has_the_mean_of_its_own_steps() {
        let (plan, probes) = (AveragePlan { last: 4, every: 1 }, [0, 4, 6]);
        let at = |step: u64| vec![(Mat::full(1, 1, step as f64), Mat::full(1, 1, 1.0))];
        let mut sums = Averages::default();
        let mut found = Vec::new();
        for step in 0..=6 {
            if plan.wants(step, &probes) {
                sums.add(plan, step, &probes, &at(step), 0.5);
            }
            if probes.contains(&step) {
                found.push(sums.take(plan, step, &[at(step)[0].0.clone()], &Rate::Constant(0.1), 0.5));
            }
        }
        assert!(found[0].is_empty() && sums.windows.is_empty());
        // Steps 0 to 3: squares 0, 1, 4, 9; FACT = -step / λ.
        assert_eq!((found[1][0].nfm[(0, 0)], found[1][0].fact[(0, 0)]), (3.5, -3.0));
        assert!((found[1][0].window - 0.4).abs() < 1e-15 && found[1][0].drift == 1.0);
        // Steps 2 to 5: 4, 9, 16, 25, from 4 to 36.
        assert_eq!((found[2][0].nfm[(0, 0)], found[2][0].fact[(0, 0)]), (13.5, -7.0));
        assert!((found[2][0].drift - 32.0 / 36.0).abs() < 1e-15);
    }
}
