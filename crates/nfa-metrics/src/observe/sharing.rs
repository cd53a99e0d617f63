//! Whether what passes through a site is all that the loss sees of its weights.
//!
//! FACT is about a parameter: at a stationary point of the penalised loss its decay meets the whole of its gradient. A
//! weight that is used elsewhere too (an embedding that is the head, transposed) has a gradient from each use; one that is
//! computed from parameters has a penalty of another form. Both are found by looking: at some rows the sites' gradients
//! of a random function of the outputs against the parameters' own.

use burn::tensor::{Tensor, TensorData};
use nfa_models::parameters::Parameter;
use nfa_models::{AnyNetwork, Sites, SitesError, Stream};

use crate::laws::needs::Needs;
use crate::matrix::Mat;
use crate::observation::Observation;
use crate::observe::agop::options::AgopOptions;
use crate::observe::jacobian::{beside, epsilon, to_host};
use crate::observe::layout::{Layout, Placed};
use crate::observe::moments::{LossOnRows, moments};

/// What else the loss sees of a site's weights.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sharing {
    /// Nothing, or what these other sites see of the same weights, transposed or not.
    Whole(Vec<(usize, bool)>),
    /// More than sites record: why their gradient is not the weights'.
    Part(String),
}

/// Rows that are looked at.
const FEW: usize = 16;

/// What each site with weights sees of them, in order.
///
/// # Shapes
/// x: `[n, d]`
///
/// # Errors
/// Sites that can't be measured: see [`SitesError`].
pub fn sharing(network: &dyn AnyNetwork, x: &Tensor<2>) -> Result<Vec<Sharing>, SitesError> {
    let few = x.clone().inner().slice([0..x.dims()[0].min(FEW)]);
    let forward = |x, at: &mut Sites| network.forward(x, at);
    let layout = Layout::new(&forward, &few)?.with_weights();
    let (n, c) = (few.dims()[0], layout.outputs);
    let drawn = Stream::root(0).fork("sites.sharing").normals(n * c);
    let drawn: Tensor<2> = beside(drawn, &few).reshape([n, c]);
    let (_, of_parameters) = network.gradient(&|net| (net.outputs(few.clone()) * drawn.clone()).sum());
    let losses = |y: Tensor<2>, samples: std::ops::Range<usize>, factors: &[f64]| {
        let factors = TensorData::new(factors.to_vec(), [factors.len(), 1]);
        let factors = Tensor::<2>::from_data(factors, (&few.device(), few.dtype()));
        (y * drawn.clone().slice([samples]) * factors).sum()
    };
    let asked = LossOnRows { loss: &losses, weights: None, targets: None, needs: Needs::LOSS_GRADIENT };
    let found = moments(&forward, &few, &asked, &AgopOptions::default())?;
    let gradients: Vec<Mat> = found.into_iter().map(|moments| moments.gradient * n as f64).collect();
    let values = network.parameters();
    let pairs: Vec<(Mat, Mat)> = values
        .iter()
        .zip(of_parameters.iter())
        .filter_map(|(value, slope)| Some((flat(value)?, flat(slope)?)))
        .collect();
    let places: Vec<Vec<Seat>> = layout.sites.iter().map(|placed| seats(placed, &pairs)).collect();
    let bound = epsilon(few.dtype()).powf(2.0 / 3.0);
    Ok((0..places.len()).map(|site| of_site(site, &layout, &places, &pairs, &gradients, bound)).collect())
}

/// Adds to each site's gradient what other sites see of the same weights, and says where there is more.
pub fn join(observation: &mut Observation, sharing: &[Sharing]) {
    let own: Vec<Option<Mat>> =
        observation.layers.iter().map(|layer| layer.loss.as_ref().map(|loss| loss.gradient.clone())).collect();
    for (layer, found) in observation.layers.iter_mut().zip(sharing) {
        match found {
            Sharing::Part(why) => layer.unsound = Some(why.clone()),
            Sharing::Whole(others) => {
                let Some(loss) = &mut layer.loss else { continue };
                for &(other, transposed) in others {
                    match (&own[other], transposed) {
                        (Some(gradient), false) => loss.gradient += gradient,
                        (Some(gradient), true) => loss.gradient += gradient.transpose(),
                        (None, _) => {}
                    }
                }
            }
        }
    }
}

/// Where a site's weights lie in a parameter.
#[derive(Clone, Copy)]
struct Seat {
    parameter: usize,
    /// Whether the parameter is `[d_in, d_out]`.
    transposed: bool,
    /// Whether they are all of it.
    whole: bool,
}

/// A parameter as a matrix: its first axis against all others.
fn flat(parameter: &Parameter) -> Option<Mat> {
    let (&rows, rest) = parameter.shape.split_first()?;
    let cols: usize = rest.iter().product();
    (!rest.is_empty()).then(|| to_host(parameter.value.clone().reshape([rows, cols])))
}

/// Rows of a parameter in paper layout.
fn cut(matrix: &Mat, placed: &Placed, transposed: bool) -> Option<Mat> {
    let rows = &placed.site.rows;
    let turned = if transposed { matrix.transpose() } else { matrix.as_ref() };
    (rows.end <= turned.nrows()).then(|| turned.subrows(rows.start, rows.len()).to_owned())
}

/// Every parameter that holds a site's weights.
fn seats(placed: &Placed, pairs: &[(Mat, Mat)]) -> Vec<Seat> {
    let Some(weight) = &placed.weight else { return Vec::new() };
    let at = |(parameter, (value, _)): (usize, &(Mat, Mat))| {
        let fits = |transposed: bool| {
            let own = cut(value, placed, transposed)?;
            let whole = own.nrows() * own.ncols() == value.nrows() * value.ncols();
            (own.shape() == weight.shape() && own == *weight).then_some(Seat { parameter, transposed, whole })
        };
        [fits(false), fits(true)].into_iter().flatten().collect::<Vec<_>>()
    };
    pairs.iter().enumerate().flat_map(at).collect()
}

fn of_site(
    site: usize,
    layout: &Layout,
    places: &[Vec<Seat>],
    pairs: &[(Mat, Mat)],
    gradients: &[Mat],
    bound: f64,
) -> Sharing {
    let placed = &layout.sites[site];
    if places[site].is_empty() {
        let why = "its weights are no parameter but computed from some, and the penalty is of those";
        return Sharing::Part(why.into());
    }
    let same = |a: &Mat, b: &Mat| (a - b).norm_l2() <= bound * a.norm_l2().max(b.norm_l2());
    for seat in &places[site] {
        let Some(expected) = cut(&pairs[seat.parameter].1, placed, seat.transposed) else { continue };
        if same(&gradients[site], &expected) {
            return Sharing::Whole(Vec::new());
        }
        // Other maps of the same parameter, as a whole each.
        let mut sum = gradients[site].clone();
        let mut others = Vec::new();
        for (other, seats) in places.iter().enumerate() {
            let there = seats.iter().find(|there| there.parameter == seat.parameter && there.whole && seat.whole);
            let Some(there) = there.filter(|_| layout.sites[other].site.map != placed.site.map) else { continue };
            let transposed = there.transposed != seat.transposed;
            match transposed {
                true => sum += gradients[other].transpose(),
                false => sum += &gradients[other],
            }
            others.push((other, transposed));
        }
        if !others.is_empty() && same(&sum, &expected) {
            return Sharing::Whole(others);
        }
    }
    Sharing::Part("its weights are shared and recorded in part: the loss sees them elsewhere too".into())
}
