//! The interval over the inputs: how exponent and misfit would move with another draw of samples.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hasher};
use std::sync::Arc;

use nfa_models::Stream;
use nfa_models::host::Real;

use crate::judge::family::Family;
use crate::judge::interval::{FEWEST_BLOCKS, Jackknife, Spread};
use crate::judge::misfit::Fit;
use crate::judge::pair::Pair;
use crate::judge::sensitivity::Sensitivity;
use crate::laws::law::{Law, Over};
use crate::laws::needs::Needs;
use crate::matrix::Mat;
use crate::matrix::psd::Psd;
use crate::observation::{Layer, Observation};
use crate::observe::agop::options::AgopOptions;
use crate::observe::blocks::jackknife;
use crate::observe::diagonal::Diagonal;
use crate::observe::host_chain::HostChain;

/// Blocks that the intervals' centres are made of.
const BLOCKS: usize = 16;

/// A network on rows, any of which it can be observed on.
pub trait Sampled {
    /// How many rows.
    fn count(&self) -> usize;

    /// Of each row which of the distinct ones it is, counted in the order in which they come.
    fn distinct(&self) -> Vec<usize>;

    /// Each row's contribution tr(Γ G_i) to functionals Γ of a layer's AGOP, one list per functional.
    ///
    /// # Shapes
    /// each Γ: `[d_in, d_in]` symmetric; weights: n, of mean 1; returns n numbers per Γ
    fn contributions(
        &self,
        layer: usize,
        functionals: &[&Mat],
        weights: Option<&[f64]>,
        options: &AgopOptions,
    ) -> Option<Vec<Vec<f64>>>;

    /// The network on some of the rows, and their weights; `None` where it can't be measured on them.
    fn observe(&self, rows: &[usize], weights: Option<&[f64]>, options: &AgopOptions) -> Option<Observation>;
}

/// Of each row which of the distinct ones it is.
fn numbered<'a, T: Real>(rows: impl Iterator<Item = &'a [T]>) -> Vec<usize> {
    // By a hash of their bits, and rows of one hash by their numbers.
    let mut known: HashMap<u64, Vec<(usize, &[T])>> = HashMap::new();
    let mut count = 0;
    let number = |row: &'a [T]| {
        let mut hasher = DefaultHasher::new();
        // 0 and -0 are one number.
        row.iter().for_each(|v| hasher.write_u64((v.to_f64() + 0.0).to_bits()));
        let alike = known.entry(hasher.finish()).or_default();
        if let Some((draw, _)) = alike.iter().find(|(_, other)| *other == row) {
            return *draw;
        }
        alike.push((count, row));
        count += 1;
        count - 1
    };
    rows.map(number).collect()
}

/// A network on Burn.
#[cfg(feature = "burn")]
pub struct OnBurn<'a> {
    /// The network.
    pub network: &'a dyn nfa_models::AnyNetwork,
    /// The rows, `[n, d]`.
    pub x: &'a burn::tensor::Tensor<2>,
}

#[cfg(feature = "burn")]
impl Sampled for OnBurn<'_> {
    fn count(&self) -> usize {
        self.x.dims()[0]
    }

    fn distinct(&self) -> Vec<usize> {
        let rows = crate::observe::jacobian::numbers(self.x.clone());
        numbered(rows.chunks_exact(self.x.dims()[1].max(1)))
    }

    fn contributions(
        &self,
        layer: usize,
        functionals: &[&Mat],
        weights: Option<&[f64]>,
        options: &AgopOptions,
    ) -> Option<Vec<Vec<f64>>> {
        crate::observe::agop::network::contributions(self.network, self.x, weights, layer, functionals, options).ok()
    }

    fn observe(&self, rows: &[usize], weights: Option<&[f64]>, options: &AgopOptions) -> Option<Observation> {
        let x = select(self.x, rows);
        crate::observe::agop::network::observe_network(self.network, &x, weights, options).ok()
    }
}

/// Some rows of a tensor, in the order given.
#[cfg(feature = "burn")]
pub(crate) fn select(x: &burn::tensor::Tensor<2>, rows: &[usize]) -> burn::tensor::Tensor<2> {
    use burn::tensor::{Int, Tensor, TensorData};
    let indices: Vec<i64> = rows.iter().map(|&row| row as i64).collect();
    let indices = Tensor::<1, Int>::from_data(TensorData::new(indices, [rows.len()]), &x.device());
    x.clone().select(0, indices)
}

/// A chain on the host.
pub struct OnHost<'a, T> {
    /// The chain.
    pub chain: &'a HostChain,
    /// The rows, `[n, d]`, row-major.
    pub x: &'a [T],
}

impl<T: Real> Sampled for OnHost<'_, T> {
    fn count(&self) -> usize {
        self.x.len() / self.chain.inputs().max(1)
    }

    fn distinct(&self) -> Vec<usize> {
        numbered(self.x.chunks_exact(self.chain.inputs().max(1)))
    }

    fn contributions(
        &self,
        layer: usize,
        functionals: &[&Mat],
        weights: Option<&[f64]>,
        options: &AgopOptions,
    ) -> Option<Vec<Vec<f64>>> {
        Some(self.chain.contributions(self.x, weights, layer, functionals, options))
    }

    fn observe(&self, rows: &[usize], weights: Option<&[f64]>, options: &AgopOptions) -> Option<Observation> {
        let d = self.chain.inputs();
        let rows: Vec<T> = rows.iter().flat_map(|row| &self.x[row * d..(row + 1) * d]).copied().collect();
        Some(self.chain.observe(&rows, weights, options))
    }
}

/// The rows that a network was observed on, as draws from a distribution.
#[derive(Clone, Copy)]
pub struct Inputs<'a> {
    /// The network on them.
    pub rows: &'a dyn Sampled,
    /// Sample weights of mean 1, one per row.
    pub weights: Option<&'a [f64]>,
    /// How the network was observed.
    pub options: &'a AgopOptions,
    /// What was observed.
    pub observation: &'a Observation,
}

impl Inputs<'_> {
    /// What exponent and misfit of a law that [varies](Law::varies) would be on other rows.
    ///
    /// Of a power of the layer's AGOP by the infinitesimal jackknife: each input's influence, from one more sweep, and
    /// the bias from leaving out blocks of inputs, from another. Of any other law from the blocks alone.
    ///
    /// Rows that are repeated exactly are one draw: they stay in one block, and their influences are added up.
    ///
    /// `None` of a law that needs more of the rows than AGOPs, below 8 distinct inputs, and where the fit has no interval: no exponent, or one at an end of the search.
    pub fn spread(&self, law: &Law, layer: usize, pair: &Pair) -> Option<Spread> {
        // Blocks are observed for their AGOPs alone.
        if self.rows.count() < FEWEST_BLOCKS || !Needs::AGOP.contains(law.needs) {
            return None;
        }
        let draws = Draws::new(self.rows.distinct());
        if draws.members.len() < FEWEST_BLOCKS {
            return None;
        }
        let agop = self.observation.layers[layer].agop.as_ref()?;
        let of_agop = pair.b.psd().is_some_and(|b| same(b, agop));
        if law.family != Family::Power || !of_agop {
            return self.without_blocks(law, layer, &draws)?.over_blocks();
        }
        let seen = pair.seen()?;
        let fit = Fit::new(seen, Family::Power)?;
        let sensitivity = Sensitivity::new(seen, &fit)?;
        let gradients = [&sensitivity.alpha, &sensitivity.misfit];
        let each = self.rows.contributions(layer, &gradients, self.weights, self.options)?;
        let [of_alpha, of_misfit] = [0, 1].map(|k| draws.added_up(&each[k]));
        self.without_blocks(law, layer, &draws)?.over_inputs(&of_alpha, &of_misfit)
    }

    /// A law's fit to all rows and to those without each block, to set beside another network's on the same rows.
    pub fn jackknife(&self, law: &Law, layer: usize) -> Option<Jackknife> {
        if !Needs::AGOP.contains(law.needs) {
            return None;
        }
        self.without_blocks(law, layer, &Draws::new(self.rows.distinct()))
    }

    /// The diagonal of the AGOP at a layer's input, over all rows and in blocks; these only of 8 distinct inputs or more,
    /// and without sample weights.
    ///
    /// # Shapes
    /// d_in numbers each
    pub fn diagonal(&self, layer: usize) -> Option<Diagonal> {
        let whole = self.observation.layers[layer].agop.as_ref()?.diagonal();
        let draws = Draws::new(self.rows.distinct());
        if draws.members.len() < FEWEST_BLOCKS || self.weights.is_some() {
            return Some(Diagonal { whole, blocks: Vec::new(), counts: Vec::new() });
        }
        let (blocks, counts) = self.blocks(vec![layer], &draws)?;
        let blocks =
            blocks.iter().map(|layers| layers[layer].agop.as_ref().map(Psd::diagonal)).collect::<Option<_>>()?;
        Some(Diagonal { whole, blocks, counts })
    }

    /// The network on each of some blocks of the rows, all of one input in one, and the blocks' rows.
    fn blocks(&self, layers: Vec<usize>, draws: &Draws) -> Option<(Vec<Vec<Layer>>, Vec<f64>)> {
        let n = draws.members.len();
        // Drawn, as the order of a file may follow its classes.
        let order = Stream::root(0).fork("measure.blocks").permutation(n);
        let count = BLOCKS.min(n);
        let options = AgopOptions { layers: Some(layers), ..self.options.clone() };
        let mut blocks = Vec::with_capacity(count);
        let mut counts = Vec::with_capacity(count);
        for b in 0..count {
            let drawn = &order[b * n / count..(b + 1) * n / count];
            let rows: Vec<usize> = drawn.iter().flat_map(|&draw| draws.members[draw].iter().copied()).collect();
            let own: Option<Vec<f64>> = self.weights.map(|weights| rows.iter().map(|&row| weights[row]).collect());
            blocks.push(self.rows.observe(&rows, own.as_deref(), &options)?.layers);
            counts.push(rows.len() as f64);
        }
        Some((blocks, counts))
    }

    fn without_blocks(&self, law: &Law, layer: usize, draws: &Draws) -> Option<Jackknife> {
        let layers: Vec<usize> = match law.over {
            Over::Sites => vec![layer],
            Over::Neighbours => {
                let readers = self.observation.layers[layer].readers.iter().copied();
                std::iter::once(layer).chain(readers).collect()
            }
            Over::Pairs => vec![layer, layer + 1],
        };
        let (blocks, counts) = self.blocks(layers, draws)?;
        let count = blocks.len();
        // The whole once more, as the others: differences between them are multiplied by the blocks.
        let without = |skip: Option<usize>| {
            let kept = || (0..count).filter(|&b| Some(b) != skip);
            let total = kept().map(|b| counts[b]).sum::<f64>();
            let layers = self.observation.layers.iter().enumerate().map(|(l, whole)| {
                let of = |b: usize| blocks[b][l].agop.as_ref();
                let agop = of(0).zip(whole.agop.as_ref()).map(|(first, whole)| {
                    let r = first.core().nrows();
                    let mut sum = Mat::zeros(r, r);
                    // In the frame of the whole: the weights are the same, and so is what they span.
                    kept().filter_map(of).zip(kept()).for_each(|(agop, b)| sum += agop.core() * counts[b]);
                    Psd::gram_of(sum * (1.0 / total), whole.eps()).within(whole.frame().cloned())
                });
                Layer { agop, ..whole.clone() }
            });
            let &Observation { linear, eps, .. } = self.observation;
            Observation { layers: layers.collect(), linear, eps }
        };
        jackknife(law, layer, &counts, without)
    }
}

/// The distinct rows, each with all places where it stands.
struct Draws {
    members: Vec<Vec<usize>>,
    rows: usize,
}

impl Draws {
    fn new(distinct: Vec<usize>) -> Self {
        let mut members: Vec<Vec<usize>> = Vec::new();
        for (row, &draw) in distinct.iter().enumerate() {
            members.resize(members.len().max(draw + 1), Vec::new());
            members[draw].push(row);
        }
        Draws { members, rows: distinct.len() }
    }

    /// Values of rows as values of draws, with the same mean and the scatter that draws have.
    fn added_up(&self, each: &[f64]) -> Vec<f64> {
        if self.members.len() == self.rows {
            return each.to_vec();
        }
        let mean = each.iter().sum::<f64>() / each.len() as f64;
        let share = self.members.len() as f64 / self.rows as f64;
        let value = |rows: &Vec<usize>| mean + share * rows.iter().map(|&row| each[row] - mean).sum::<f64>();
        self.members.iter().map(value).collect()
    }
}

/// Whether two matrices are one.
fn same(a: &Psd, b: &Psd) -> bool {
    let frames = match (a.frame(), b.frame()) {
        (None, None) => true,
        (Some(a), Some(b)) => Arc::ptr_eq(a, b),
        _ => false,
    };
    frames && a.core() == b.core()
}
