//! AGOPs at the sites of any network.

use std::ops::Range;

use burn::tensor::{DType, Tensor, TensorData};
use nfa_models::SitesError;
use nfa_models::host::gemm::{Into, View, product};
use nfa_models::host::{Cores, Real};
use nfa_models::place::is_on_host;

use crate::matrix::Mat;
use crate::matrix::accumulator::Accumulator;
use crate::matrix::psd::{Psd, RankRule, frame};
use crate::matrix::sandwich::row_major;
use crate::observe::agop::options::AgopOptions;
use crate::observe::agop::sum::Sum;
use crate::observe::agop::sweep::{Means, Select, Sweep, of_outputs, of_sketches};
use crate::observe::jacobian::{epsilon, numbers};
use crate::observe::layout::{Forward, Layout, Placed};
use crate::parallel;

/// A network's sites, on rows.
pub(crate) struct SitesOnRows<'a> {
    pub(crate) forward: &'a Forward<'a>,
    pub(crate) layout: &'a Layout,
    /// `[n, d]`
    pub(crate) x: &'a Tensor<2>,
    /// Sample weights of mean 1.
    pub(crate) weights: Option<&'a [f64]>,
    pub(crate) options: &'a AgopOptions,
}

/// Sums that are added up at the end, at most.
const PARTS: usize = 8;

impl SitesOnRows<'_> {
    /// The AGOPs at those sites that the options ask for.
    ///
    /// # Errors
    /// What the network says of its maps does not add up.
    pub(crate) fn agops(&self) -> Result<Vec<Option<Psd>>, SitesError> {
        let count = self.layout.sites.len();
        let swept: Vec<usize> =
            (0..count).filter(|&site| self.options.wants(site) && self.layout.sites[site].last.is_none()).collect();
        let rows = |site: &usize| Rows::of(&self.layout.sites[*site]);
        let mut sums = self.sums(&swept.iter().map(rows).collect::<Vec<_>>(), &swept)?.into_iter();
        let agop = |site: usize| {
            let placed = &self.layout.sites[site];
            if let (Some(positions), Some(w)) = (placed.last, &placed.weight) {
                return self.options.wants(site).then(|| self.at_the_end(w, positions));
            }
            let sum = swept.contains(&site).then(|| sums.next()).flatten()?;
            let (frame, map) = match (&placed.weight, Rows::of(placed)) {
                (Some(w), Rows::Before) => {
                    let frame = self.options.frames.then(|| frame(w)).flatten();
                    let map = frame.as_ref().map_or_else(|| w.clone(), |q| w * &**q);
                    (frame, Some(map))
                }
                _ => (None, None),
            };
            Some(sum.finish(self.x.dims()[0], map.as_ref()).within(frame))
        };
        Ok((0..count).map(agop).collect())
    }

    /// Where the outputs are the network's: so many times WᵀW.
    fn at_the_end(&self, w: &Mat, positions: usize) -> Psd {
        let frame = self.options.frames.then(|| frame(w)).flatten();
        let mut factor = frame.as_ref().map_or_else(|| w.clone(), |q| w * &**q) * (positions as f64).sqrt();
        if self.options.centered {
            factor = Mat::zeros(1, factor.ncols());
        }
        let rows = self.x.dims()[0] * w.nrows() * positions;
        Psd::factor(factor, rows, RankRule::Product, epsilon(self.x.dtype())).within(frame)
    }

    /// K = mean Σ_p δᵀδ at every site.
    ///
    /// # Errors
    /// As of [`SitesOnRows::agops`].
    pub(crate) fn ks(&self) -> Result<Vec<Mat>, SitesError> {
        let all: Vec<usize> = (0..self.layout.sites.len()).collect();
        let sums = self.sums(&vec![Rows::Before; all.len()], &all)?;
        Ok(sums.into_iter().map(|sum| sum.finish(self.x.dims()[0], None).matrix().clone()).collect())
    }

    /// What each sample contributes to functionals of a site's AGOP.
    ///
    /// # Errors
    /// As of [`SitesOnRows::agops`].
    pub(crate) fn contributions(&self, site: usize, functionals: &[&Mat]) -> Result<Vec<Vec<f64>>, SitesError> {
        let (placed, n) = (&self.layout.sites[site], self.x.dims()[0]);
        // On the map's outputs: tr(Γ WᵀKW) = tr(WΓWᵀ K).
        let onto = |functional: &&Mat| match &placed.weight {
            Some(w) => w * *functional * w.transpose(),
            None => (*functional).clone(),
        };
        let mapped: Vec<Mat> = functionals.iter().map(onto).collect();
        if let Some(positions) = placed.last {
            let value = |m: &Mat| (0..m.nrows()).map(|i| m[(i, i)]).sum::<f64>() * positions as f64;
            let each = |m: &Mat| (0..n).map(|i| self.weights.map_or(1.0, |w| w[i]) * value(m)).collect();
            return Ok(mapped.iter().map(each).collect());
        }
        self.sweeping(&[site], |sweep| {
            let mut found = vec![vec![0.0; n]; functionals.len()];
            for samples in sweep.parts(1).into_iter().flatten() {
                sweep.visit(&samples, &mut |delta| {
                    let (p, k) = (delta.positions(), delta.used.outputs());
                    let rows = numbers(delta.rows());
                    let (own, b) = (&placed.site.rows, delta.samples.len());
                    let rows = Mat::from_fn(rows.len() / k, own.len(), |i, j| rows[i * k + own.start + j]);
                    for (functional, found) in mapped.iter().zip(&mut found) {
                        let image = &rows * functional;
                        for r in 0..rows.nrows() {
                            let value: f64 = (0..rows.ncols()).map(|j| rows[(r, j)] * image[(r, j)]).sum();
                            found[delta.samples.start + r / p % b] += value;
                        }
                    }
                })?;
            }
            Ok(found)
        })
    }

    /// What `f` makes of a sweep with δ at the maps of some sites.
    fn sweeping<R>(&self, sites: &[usize], f: impl FnOnce(&Sweep<'_>) -> R) -> R {
        let mut maps: Vec<String> = Vec::new();
        for &site in sites {
            let map = &self.layout.sites[site].site.map;
            if !maps.contains(map) {
                maps.push(map.clone());
            }
        }
        let (outputs, sketches) =
            (of_outputs(self.weights), of_sketches(self.weights, self.options.sketch.unwrap_or(1)));
        let select: &Select<'_> = if self.options.sketch.is_some() { &sketches } else { &outputs };
        let rows = Sweep::rows_within(self.options.memory, self.layout, self.x.dtype());
        f(&Sweep {
            forward: self.forward,
            x: self.x,
            maps,
            select,
            outputs: self.options.sketch.unwrap_or(self.layout.outputs),
            rows,
            batch: self.options.batch,
            inputs: false,
            uses: &self.layout.uses,
        })
    }

    fn sums(&self, rows: &[Rows], sites: &[usize]) -> Result<Vec<Accumulator>, SitesError> {
        if sites.is_empty() {
            return Ok(Vec::new());
        }
        match (is_on_host(&self.x.device()), self.x.dtype()) {
            (true, DType::F32) => self.on_host::<f32>(rows, sites),
            (true, DType::F64) => self.on_host::<f64>(rows, sites),
            _ => self.on_device(rows, sites),
        }
    }

    /// An empty sum for a site's rows.
    fn accumulator(&self, placed: &Placed, rows: Rows) -> Accumulator {
        let outputs = self.options.sketch.unwrap_or(self.layout.outputs);
        let count = self.x.dims()[0] * outputs * placed.positions;
        Accumulator::new(rows.length(placed), count, epsilon(self.x.dtype()), self.options.factor_work)
    }

    /// Parts of the samples on a core each, in a number that depends on the problem alone: so the bits don't depend on
    /// how many cores there are.
    fn on_host<T: Real>(&self, rows: &[Rows], sites: &[usize]) -> Result<Vec<Accumulator>, SitesError> {
        let sizes = sites.iter().zip(rows).map(|(&site, rows)| 8 * rows.length(&self.layout.sites[site]).pow(2));
        let most = (4 * self.options.memory / sizes.sum::<usize>().max(1)).clamp(1, PARTS);
        self.sweeping(sites, |sweep| {
            let means = self.options.centered.then(|| Means::of(sweep, self.weights)).transpose()?;
            let parts = sweep.parts(1 << most.ilog2());
            let part = |p: usize| self.part::<T>(sweep, &parts[p], rows, sites, means.as_ref());
            // In a pool of one thread each Burn's kernels stay on the core of their part.
            let alone = |p: usize| match rayon::ThreadPoolBuilder::new().num_threads(1).build() {
                Ok(pool) => pool.install(|| part(p)),
                Err(_) => part(p),
            };
            let found = parallel::map_on(rayon::current_num_threads(), parts.len(), alone);
            let mut all: Option<Vec<Sum<T>>> = None;
            for part in found {
                let part = part?;
                match &mut all {
                    None => all = Some(part),
                    Some(all) => all.iter_mut().zip(&part).for_each(|(all, part)| all.merge(part)),
                }
            }
            Ok(all.into_iter().flatten().map(Sum::finish).collect())
        })
    }

    fn part<T: Real>(
        &self,
        sweep: &Sweep<'_>,
        samples: &[Range<usize>],
        rows: &[Rows],
        sites: &[usize],
        means: Option<&Means>,
    ) -> Result<Vec<Sum<T>>, SitesError> {
        let new = |(&site, &rows): (&usize, &Rows)| {
            let placed = &self.layout.sites[site];
            HostSum::<T>::new(placed, rows, self.accumulator(placed, rows))
        };
        let mut sums: Vec<HostSum<'_, T>> = sites.iter().zip(rows).map(new).collect();
        for samples in samples {
            sweep.visit(samples, &mut |delta| {
                let map = &sweep.maps[delta.map];
                let rows = delta.read::<T>(means, self.weights);
                let own = |sum: &&mut HostSum<'_, T>| sum.placed.site.map == *map;
                sums.iter_mut().filter(own).for_each(|sum| sum.push(rows.view()));
            })?;
        }
        Ok(sums.into_iter().map(|sum| sum.sum).collect())
    }

    /// Gram matrices by the device's own products.
    fn on_device(&self, rows: &[Rows], sites: &[usize]) -> Result<Vec<Accumulator>, SitesError> {
        let place = (self.x.device().inner(), self.x.dtype());
        let weight = |&site: &usize| {
            let w = self.layout.sites[site].weight.as_ref()?;
            let data = TensorData::new(row_major::<f64>(w), [w.nrows(), w.ncols()]);
            Some(Tensor::<2>::from_data(data, (&place.0, place.1)))
        };
        let weights: Vec<Option<Tensor<2>>> = sites.iter().map(weight).collect();
        let new = |(&site, &rows): (&usize, &Rows)| self.accumulator(&self.layout.sites[site], rows);
        let mut sums: Vec<Accumulator> = sites.iter().zip(rows).map(new).collect();
        self.sweeping(sites, |sweep| {
            let means = self.options.centered.then(|| Means::of(sweep, self.weights)).transpose()?;
            for samples in sweep.parts(1).into_iter().flatten() {
                sweep.visit(&samples, &mut |delta| {
                    let mut block = delta.rows();
                    if let Some(means) = &means {
                        let mut values = numbers(block.clone());
                        means.take_from(&delta, &mut values, self.weights);
                        block = Tensor::from_data(TensorData::new(values, block.dims()), (&place.0, place.1));
                    }
                    for (i, &site) in sites.iter().enumerate() {
                        let own = &self.layout.sites[site].site;
                        if own.map == sweep.maps[delta.map] {
                            let part = block.clone().slice([0..block.dims()[0], own.rows.clone()]);
                            sums[i].push_tensor(match (rows[i], &weights[i]) {
                                (Rows::Behind, Some(w)) => part.matmul(w.clone()),
                                _ => part,
                            });
                        }
                    }
                })?;
            }
            Ok(())
        })?;
        Ok(sums)
    }
}

/// Which rows are summed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rows {
    /// δ, before the multiplication by W.
    Before,
    /// δW, behind it.
    Behind,
}

impl Rows {
    /// The shorter ones.
    fn of(placed: &Placed) -> Self {
        match &placed.weight {
            Some(w) if w.nrows() > w.ncols() => Rows::Behind,
            _ => Rows::Before,
        }
    }

    fn length(self, placed: &Placed) -> usize {
        match (self, &placed.weight) {
            (Rows::Behind, Some(w)) => w.ncols(),
            _ => placed.site.rows.len(),
        }
    }
}

/// The sum of a site's rows in host memory.
struct HostSum<'a, T> {
    placed: &'a Placed,
    /// Where rows are summed behind them.
    weights: Option<(Vec<T>, usize, usize)>,
    through: Vec<T>,
    sum: Sum<T>,
}

impl<'a, T: Real> HostSum<'a, T> {
    fn new(placed: &'a Placed, rows: Rows, total: Accumulator) -> Self {
        let weights = placed.weight.as_ref().filter(|_| rows == Rows::Behind);
        HostSum {
            placed,
            weights: weights.map(|w| (row_major(w), w.nrows(), w.ncols())),
            through: Vec::new(),
            sum: Sum::new(total, rows.length(placed)),
        }
    }

    fn push(&mut self, delta: View<'_, T>) {
        let own = delta.columns(self.placed.site.rows.clone());
        let Some((weights, k, d)) = &self.weights else { return self.sum.push(own, Cores::One) };
        let count = delta.size()[0];
        self.through.resize(count * d, T::from_f64(0.0));
        product(&mut self.through, *d, Into::Set, own, View::new(weights, *k, *d), Cores::One);
        self.sum.push(View::new(&self.through, count, *d), Cores::One);
    }
}
