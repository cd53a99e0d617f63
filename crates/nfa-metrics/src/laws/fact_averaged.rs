//! The Features at Convergence Theorem, averaged over the last steps of training.

use crate::judge::family::Family;
use crate::judge::pair::Pair;
use crate::judge::right::Square;
use crate::laws::absent::Absent;
use crate::laws::law::Law;
use crate::laws::needs::Needs;
use crate::laws::quantity::{Quantity, number};
use crate::laws::stationary;
use crate::matrix::psd::Psd;
use crate::observation::{Layer, Observation};

/// mean WᵀW = mean FACT over the last steps.
///
/// ReLU networks come to rest on kinks, where instantaneous gradients chatter and FACT at single steps stalls; averages
/// don't. But an average over a long time agrees on any bounded path, whatever the loss: 2λΣη and |M_K - M_0|/|M_K|,
/// which always stand beside it, say what it proves.
pub const LAW: Law = Law {
    name: "fact.averaged",
    left: "mean W^T W over the last steps",
    right: "mean FACT over the same steps",
    doc: "The Features at Convergence Theorem in the mean over the last steps of training ([probe] average): for \
          networks that come to rest on kinks. Look at 2 lambda sum eta first: where it is well above 1 the two agree \
          on any bounded path.",
    needs: Needs::LOSS_GRADIENT.and(Needs::DECAY).and(Needs::AVERAGE),
    axes: ["mean FACT", "mean weights"],
    asked: true,
    beside: &[WINDOW, DRIFT],
    unless,
    pair,
    family: Family::Equal,
    ..crate::laws::fact::LAW
};

/// 2λΣη.
const WINDOW: Quantity<Layer> = number(
    "window",
    "2 lambda sum eta",
    "How long the average is, in times in which decay acts: well above 1 it agrees on any bounded path.",
    |layer: &Layer| layer.averaged.as_ref().map(|averaged| averaged.window).into(),
)
.range(|_| "[0, inf)");

/// |M_K - M_0|/|M_K|.
const DRIFT: Quantity<Layer> = number(
    "drift",
    "|M_K - M_0| / |M_K|",
    "How far W^T W moved over the averaged steps; over the window's length it bounds what the average can show.",
    |layer: &Layer| layer.averaged.as_ref().map(|averaged| averaged.drift).into(),
)
.range(|_| "[0, inf)");

fn unless(observation: &Observation, layer: usize) -> Option<Absent> {
    stationary::unless(observation, layer).or_else(|| {
        let seen = observation.layers.get(layer)?;
        seen.loss.as_ref()?;
        let why = "no averages: [probe] average of a run makes them, once it has as many steps as are averaged";
        seen.averaged.is_none().then(|| Absent::Unknown(why.into()))
    })
}

fn pair(observation: &Observation, layer: usize) -> Option<Pair> {
    let (layer, ..) = stationary::known(observation, layer)?;
    let averaged = layer.averaged.as_ref()?;
    let right = Square::new(averaged.fact.clone(), observation.eps);
    Some(Pair::new(Psd::gram(averaged.nfm.clone()), right))
}
