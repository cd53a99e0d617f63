//! What a network's sites are, found by letting a few rows through, and whether they can be measured at all.

use burn::tensor::{Tensor, TensorData};
use nfa_models::sites::{Record, Site};
use nfa_models::{Sites, SitesError, Stream};

use crate::matrix::Mat;
use crate::observe::jacobian::{epsilon, numbers, to_host};

/// A forward pass that hands its maps to sites.
pub type Forward<'a> = dyn Fn(Tensor<2>, &mut Sites) -> Tensor<2> + Sync + 'a;

/// What a network's sites are.
#[derive(Clone, Debug)]
pub struct Layout {
    /// c.
    pub outputs: usize,
    /// In the order of their first appearance.
    pub sites: Vec<Placed>,
    /// Pairs of sites, the second of which reads what the first writes.
    pub follows: Vec<(usize, usize)>,
    /// Maps that are no sites, and why.
    pub skipped: Vec<(String, String)>,
    /// The maps as they pass, each use.
    pub(crate) uses: Vec<String>,
    /// Numbers that the sites put out for one sample.
    pub(crate) numbers: usize,
}

/// A site of a network.
#[derive(Clone, Debug)]
pub struct Placed {
    /// Its name, its map, its rows there.
    pub site: Site,
    /// Its weights, `[d_out, d_in]`; a value has none.
    pub weight: Option<Mat>,
    /// Outputs of its map.
    pub outputs: usize,
    /// Positions of a sample, of all the map's uses.
    pub positions: usize,
    /// Where its outputs are the network's, whatever they are: how many positions they have. Then K is that number
    /// times the identity, and the AGOP times WᵀW.
    pub last: Option<usize>,
}

/// Rows that are let through.
const FEW: usize = 3;
/// Rows that are looked at for one that differs from the first.
const TRIED: usize = 16;

impl Layout {
    /// Of a model without any map.
    pub fn empty() -> Self {
        Layout { outputs: 0, sites: Vec::new(), follows: Vec::new(), skipped: Vec::new(), uses: Vec::new(), numbers: 0 }
    }

    /// Lets some of the rows through and looks at what passes.
    ///
    /// # Shapes
    /// x: `[n, d]`
    ///
    /// # Errors
    /// No site; names that stand for two weights; a map whose input is not one row per sample; rows that depend on
    /// each other, or on how often they come.
    pub fn new(forward: &Forward<'_>, x: &Tensor<2>) -> Result<Self, SitesError> {
        let [n, _] = x.dims();
        let few = x.clone().inner().slice([0..n.min(FEW)]);
        // No leaves: off the tape other kernels may run, which round otherwise.
        let (y, record) = pass(forward, few.clone(), Sites::recording(1).only(&[]).with_weights())?;
        let mut layout = Layout::of(&record, y.dims())?;
        layout.rows_are_independent(forward, x, &few, &y)?;
        layout.copies_are_equal(forward, &few, &y, &record)?;
        layout.find_last(forward, &few, &record);
        Ok(layout)
    }

    /// Of a map that has one site, its input.
    pub(crate) fn of_input(f: &(dyn Fn(Tensor<2>) -> Tensor<2> + Sync), x: &Tensor<2>) -> Self {
        let [n, d] = x.dims();
        let outputs = f(x.clone().inner().slice([0..n.min(1)])).dims()[1];
        let site = Site { name: "input".into(), map: "input".into(), rows: 0..d, group: 0 };
        let placed = Placed { site, weight: None, outputs: d, positions: 1, last: None };
        Layout {
            outputs,
            sites: vec![placed],
            follows: Vec::new(),
            skipped: Vec::new(),
            uses: vec!["input".into()],
            numbers: d,
        }
    }

    /// Sites with weights alone.
    #[must_use]
    pub fn with_weights(mut self) -> Self {
        let places: Vec<usize> = (0..self.sites.len()).filter(|&i| self.sites[i].weight.is_some()).collect();
        let place = |old: usize| places.iter().position(|&kept| kept == old);
        self.follows = self.follows.iter().filter_map(|&(a, b)| Some((place(a)?, place(b)?))).collect();
        self.sites.retain(|placed| placed.weight.is_some());
        self
    }

    fn of(record: &Record, [rows, outputs]: [usize; 2]) -> Result<Self, SitesError> {
        if record.sites.is_empty() {
            return Err(SitesError::NoSite);
        }
        let mut weights: Vec<(&str, Option<Mat>, usize)> = Vec::new();
        for used in &record.uses {
            if !used.first().is_multiple_of(rows) {
                return Err(SitesError::NotRows(used.name.clone()));
            }
            let weight = used.weight.clone().map(to_host);
            match weights.iter().find(|(name, ..)| *name == used.name) {
                Some((_, known, k)) if *known != weight || *k != used.outputs() => {
                    return Err(SitesError::Repeated(used.name.clone()));
                }
                Some(_) => {}
                None => weights.push((&used.name, weight, used.outputs())),
            }
        }
        let placed = |site: &Site| {
            let (_, weight, outputs) = weights.iter().find(|(name, ..)| *name == site.map)?;
            let uses = record.uses.iter().filter(|used| used.name == site.map);
            let positions = uses.map(|used| used.positions() / rows).sum();
            let own = |w: &Mat| w.subrows(site.rows.start, site.rows.len()).to_owned();
            let weight = weight.as_ref().map(own);
            Some(Placed { site: site.clone(), weight, outputs: *outputs, positions, last: None })
        };
        let sites: Vec<Placed> = record.sites.iter().filter_map(placed).collect();
        for &(before, after) in &record.follows {
            let reads = sites[after].weight.as_ref().map(Mat::ncols);
            if reads.is_some_and(|reads| reads != sites[before].site.rows.len()) {
                let name = |place: usize| sites[place].site.name.clone();
                let [writes, reads] = [sites[before].site.rows.len(), reads.unwrap_or(0)];
                return Err(SitesError::Misfit { before: name(before), writes, after: name(after), reads });
            }
        }
        let numbers = record.uses.iter().map(|used| used.positions() / rows * used.outputs()).sum();
        let (follows, skipped) = (record.follows.clone(), record.skipped.clone());
        let uses = record.uses.iter().map(|used| used.name.clone()).collect();
        Ok(Layout { outputs, sites, follows, skipped, uses, numbers })
    }

    /// Another row in the first one's place, and the others' outputs must be what they were.
    fn rows_are_independent(
        &self,
        forward: &Forward<'_>,
        x: &Tensor<2>,
        few: &Tensor<2>,
        y: &Tensor<2>,
    ) -> Result<(), SitesError> {
        let ([n, _], [b, _]) = (x.dims(), few.dims());
        let first = numbers(few.clone().slice([0..1]));
        let row = |i: usize| x.clone().inner().slice([i..i + 1]);
        let other = (1..n).rev().take(TRIED).map(row).find(|row| numbers(row.clone()) != first);
        let Some(other) = other.filter(|_| b > 1) else { return Ok(()) };
        let touched = Tensor::cat(vec![other, few.clone().slice([1..b])], 0);
        let (before, after) = (to_host(y.clone()), to_host(forward(touched, &mut Sites::off())));
        let same = |a: f64, b: f64| a == b || (a.is_nan() && b.is_nan());
        let moved = (1..b).find(|&i| (0..before.ncols()).any(|j| !same(before[(i, j)], after[(i, j)])));
        moved.map_or(Ok(()), |row| Err(SitesError::RowsCoupled { row }))
    }

    /// The rows twice in a batch must have the outputs that they have once, and the same sites.
    fn copies_are_equal(
        &self,
        forward: &Forward<'_>,
        few: &Tensor<2>,
        y: &Tensor<2>,
        record: &Record,
    ) -> Result<(), SitesError> {
        let twice = few.clone().repeat(&[2, 1]);
        // On the tape, as they will be: there dropout and batch normalisation may be at work.
        let (copied, found) = pass(forward, twice, Sites::recording(2).checking())?;
        let (once, twice) = (numbers(y.clone()), numbers(copied));
        let most = once.iter().fold(0.0, |most: f64, v| most.max(v.abs()));
        // Blocks of other sizes are summed in other orders.
        let bound = epsilon(y.dtype()).sqrt() * most;
        let same = |(i, &v): (usize, &f64)| (v - once[i % once.len()]).abs() <= bound || !v.is_finite();
        if twice.len() != 2 * once.len() || !twice.iter().enumerate().all(same) {
            return Err(SitesError::CopiesDiffer);
        }
        let name = |record: &Record, i: usize| record.sites.get(i).map(|site| site.name.clone());
        match (0..record.sites.len().max(found.sites.len())).find(|&i| record.sites.get(i) != found.sites.get(i)) {
            Some(i) => Err(SitesError::Changing(name(record, i).or_else(|| name(&found, i)).unwrap_or_default())),
            None => Ok(()),
        }
    }

    /// Sites whose outputs are the network's: other numbers in their place come out as they are.
    fn find_last(&mut self, forward: &Forward<'_>, few: &Tensor<2>, record: &Record) {
        let [rows, _] = few.dims();
        for placed in &mut self.sites {
            let map = &placed.site.map;
            let mut uses = record.uses.iter().filter(|used| used.name == *map);
            let (Some(used), None) = (uses.next(), uses.next()) else { continue };
            let (positions, k) = (used.positions() / rows, used.outputs());
            if positions * k != self.outputs || placed.site.rows != (0..k) || placed.weight.is_none() {
                continue;
            }
            let drawn = Stream::root(0).fork("sites.last").normals(rows * self.outputs);
            let drawn = TensorData::new(drawn, [rows * self.outputs]);
            let drawn = Tensor::<1>::from_data(drawn, (&few.device(), few.dtype()));
            let mut at = Sites::recording(1).only(&[]).replacing(map, drawn.clone());
            let y = forward(few.clone(), &mut at).inner();
            if numbers(y) == numbers(drawn) {
                placed.last = Some(positions);
            }
        }
    }

    /// The places of the sites that read what this one writes.
    pub fn readers(&self, site: usize) -> Vec<usize> {
        self.follows.iter().filter(|(before, _)| *before == site).map(|(_, after)| *after).collect()
    }
}

/// The outputs, and what passed.
fn pass(forward: &Forward<'_>, x: Tensor<2>, mut at: Sites) -> Result<(Tensor<2>, Record), SitesError> {
    let y = forward(x, &mut at).inner();
    Ok((y, at.finish()?))
}
