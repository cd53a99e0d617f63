//! The interval over the inputs: how exponent and misfit would move with another draw of samples.

use burn::tensor::{Int, Tensor, TensorData};
use nfa_models::{AnyNetwork, Stream};

use crate::Mat;
use crate::judge::family::Family;
use crate::judge::interval::{FEWEST_BLOCKS, Jackknife, Spread};
use crate::judge::misfit::{Fit, Seen};
use crate::judge::pair::Pair;
use crate::judge::sensitivity::Sensitivity;
use crate::matrix::psd::Psd;
use crate::observe::agop::options::AgopOptions;
use crate::observe::agop::{contributions, observe_network};

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
pub fn over_inputs(
    network: &dyn AnyNetwork,
    x: &Tensor<2>,
    weights: Option<&[f64]>,
    layer: usize,
    pair: &Pair,
    options: &AgopOptions,
) -> Option<Spread> {
    let n = x.dims()[0];
    if n < FEWEST_BLOCKS {
        return None;
    }
    let seen = pair.seen()?;
    let fit = Fit::new(seen, Family::Power)?;
    let sensitivity = Sensitivity::new(seen, &fit)?;
    let each = contributions(network, x, weights, layer, &[&sensitivity.alpha, &sensitivity.misfit], options);
    // Drawn, as the order of a file may follow its classes.
    let order = Stream::root(0).fork("measure.blocks").permutation(n);
    let blocks = BLOCKS.min(n);
    let options = AgopOptions { layers: Some(vec![layer]), ..options.clone() };
    let mut sums = Vec::with_capacity(blocks);
    let mut counts = Vec::with_capacity(blocks);
    for b in 0..blocks {
        let rows = &order[b * n / blocks..(b + 1) * n / blocks];
        let own: Option<Vec<f64>> = weights.map(|weights| rows.iter().map(|&row| weights[row]).collect());
        let indices: Vec<i64> = rows.iter().map(|&row| row as i64).collect();
        let indices = Tensor::<1, Int>::from_data(TensorData::new(indices, [rows.len()]), &x.device());
        let observation = observe_network(network, &x.clone().select(0, indices), own.as_deref(), &options);
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
