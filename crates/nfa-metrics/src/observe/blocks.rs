//! What leaving out blocks of samples does to a law: the jackknife of any law whose B varies with them.

use crate::judge::interval::{FEWEST_BLOCKS, Jackknife};
use crate::judge::misfit::{Fit, Seen};
use crate::laws::law::Law;
use crate::observation::Observation;

/// The law's fit to all samples and to those without each block.
///
/// `without` observes the network on all samples but a block's (`None`: on all of them); `counts` are the blocks'
/// samples. `None` with fewer than [`FEWEST_BLOCKS`], and where a fit has no interval: no exponent, or one at an end
/// of the search.
pub fn jackknife(
    law: &Law,
    layer: usize,
    counts: &[f64],
    without: impl Fn(Option<usize>) -> Observation,
) -> Option<Jackknife> {
    if counts.len() < FEWEST_BLOCKS {
        return None;
    }
    let fit = |skip: Option<usize>| {
        let pair = law.at(&without(skip), layer)?;
        Fit::new(&Seen::against(&pair.a, &pair.b)?, law.family)
    };
    let others = (0..counts.len()).map(|b| fit(Some(b))).collect::<Option<Vec<Fit>>>()?;
    Jackknife::new(law.family, &fit(None)?, &others, counts)
}
