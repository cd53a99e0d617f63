//! The interval over the inputs: how exponent and misfit would move with another draw of samples.

use nfa_models::Stream;
use nfa_models::host::Real;

use crate::judge::family::Family;
use crate::judge::interval::{FEWEST_BLOCKS, Jackknife, Spread};
use crate::judge::misfit::{Fit, Seen};
use crate::judge::pair::Pair;
use crate::judge::sensitivity::Sensitivity;
use crate::matrix::Mat;
use crate::matrix::psd::Psd;
use crate::observation::Observation;
use crate::observe::agop::options::AgopOptions;
use crate::observe::host_chain::HostChain;

/// Blocks that the intervals' centres are made of.
const BLOCKS: usize = 16;

/// The infinitesimal jackknife of a Power law whose B is a layer's AGOP: each input's influence on
/// exponent and misfit, from one more sweep; and their bias from leaving out blocks of inputs, from
/// another.
///
/// `None` below 8 inputs, and where the fit has no interval: no exponent, or one at an end of the
/// search.
///
/// # Shapes
/// x: `[n, d]`; weights: n
#[cfg(feature = "burn")]
pub fn over_inputs(
    network: &dyn nfa_models::AnyNetwork,
    x: &burn::tensor::Tensor<2>,
    weights: Option<&[f64]>,
    layer: usize,
    pair: &Pair,
    options: &AgopOptions,
) -> Option<Spread> {
    use crate::observe::agop::network::{contributions, observe_network};
    use burn::tensor::{Int, Tensor, TensorData};
    let each = |functionals: &[&Mat]| contributions(network, x, weights, layer, functionals, options);
    let observe = |rows: &[usize], weights: Option<&[f64]>, options: &AgopOptions| {
        let indices: Vec<i64> = rows.iter().map(|&row| row as i64).collect();
        let indices = Tensor::<1, Int>::from_data(TensorData::new(indices, [rows.len()]), &x.device());
        observe_network(network, &x.clone().select(0, indices), weights, options)
    };
    spread(x.dims()[0], weights, layer, pair, options, &each, &observe)
}

impl HostChain {
    /// The infinitesimal jackknife of a Power law whose B is a layer's AGOP, as
    /// `over_inputs` has it of a network on Burn.
    ///
    /// # Shapes
    /// x: `[n, d]`, row-major; weights: n
    pub fn over_inputs<T: Real>(
        &self,
        x: &[T],
        weights: Option<&[f64]>,
        layer: usize,
        pair: &Pair,
        options: &AgopOptions,
    ) -> Option<Spread> {
        let d = self.inputs();
        let each = |functionals: &[&Mat]| self.contributions(x, weights, layer, functionals, options);
        let observe = |rows: &[usize], weights: Option<&[f64]>, options: &AgopOptions| {
            let rows: Vec<T> = rows.iter().flat_map(|row| &x[row * d..(row + 1) * d]).copied().collect();
            self.observe(&rows, weights, options)
        };
        spread(x.len() / d.max(1), weights, layer, pair, options, &each, &observe)
    }
}

/// Of n inputs, from their contributions to functionals of the AGOP and what is observed on some of them.
fn spread(
    n: usize,
    weights: Option<&[f64]>,
    layer: usize,
    pair: &Pair,
    options: &AgopOptions,
    contributions: &dyn Fn(&[&Mat]) -> Vec<Vec<f64>>,
    observe: &dyn Fn(&[usize], Option<&[f64]>, &AgopOptions) -> Observation,
) -> Option<Spread> {
    if n < FEWEST_BLOCKS {
        return None;
    }
    let seen = pair.seen()?;
    let fit = Fit::new(seen, Family::Power)?;
    let sensitivity = Sensitivity::new(seen, &fit)?;
    let each = contributions(&[&sensitivity.alpha, &sensitivity.misfit]);
    // Drawn, as the order of a file may follow its classes.
    let order = Stream::root(0).fork("measure.blocks").permutation(n);
    let blocks = BLOCKS.min(n);
    let options = AgopOptions { layers: Some(vec![layer]), ..options.clone() };
    let mut sums = Vec::with_capacity(blocks);
    let mut counts = Vec::with_capacity(blocks);
    for b in 0..blocks {
        let rows = &order[b * n / blocks..(b + 1) * n / blocks];
        let own: Option<Vec<f64>> = weights.map(|weights| rows.iter().map(|&row| weights[row]).collect());
        let observation = observe(rows, own.as_deref(), &options);
        // In the frame of the whole: the weights are the same, and so is what they span.
        sums.push(observation.layers[layer].agop.as_ref()?.core() * rows.len() as f64);
        counts.push(rows.len() as f64);
    }
    // The whole once more, as the others: differences between them are multiplied by the blocks.
    let without = |skip: Option<usize>| {
        let kept = || (0..blocks).filter(|&b| Some(b) != skip);
        let mut sum = Mat::zeros(sums[0].nrows(), sums[0].ncols());
        kept().for_each(|b| sum += &sums[b]);
        let mean = sum * (1.0 / kept().map(|b| counts[b]).sum::<f64>());
        let b = Psd::gram_of(mean, seen.spectrum.eps).within(pair.b.frame().cloned());
        Fit::new(&Seen::new(&pair.a, &b)?, Family::Power)
    };
    let others = (0..blocks).map(|b| without(Some(b))).collect::<Option<Vec<Fit>>>()?;
    Jackknife::new(&without(None)?, &others, &counts)?.over_inputs(&each[0], &each[1])
}
