//! A step along a descent direction that satisfies the strong Wolfe conditions.

use crate::train::solver::StepError;
use crate::train::surface::penalised::{Point, Surface, along, dot};

/// Sufficient decrease: φ(t) <= φ(0) + c₁ t φ'(0).
const C1: f64 = 1e-4;
/// Curvature: |φ'(t)| <= c₂ |φ'(0)|.
const C2: f64 = 0.9;
/// Points that are tried.
const TRIALS: usize = 50;
/// Values this many machine epsilons apart are equal but for rounding.
const ROUNDING: f64 = 64.0;
/// A point between two ends keeps this share of their distance from both.
const MARGIN: f64 = 0.1;

/// A step t and φ' there.
#[derive(Clone, Copy)]
struct End {
    t: f64,
    slope: f64,
}

/// Searches φ(t) = F(x + t·d) from the step `first` on; `None` where no step lowers F.
///
/// The low end always decreases enough and still falls steeply, the high end decreases too little
/// or rises: between the two lies a step that satisfies both conditions (Nocedal and Wright,
/// Lemma 3.1). Without a high end the step doubles; with one it goes to the root of the secant of
/// φ', or to the middle where φ' does not change its sign.
///
/// Near a minimum the decrease drowns in the rounding of F, long before φ' does. Where F agrees with
/// its start to rounding, decrease is read off φ' instead: φ'(t) <= (2c₁ - 1) φ'(0), which for a
/// parabola is the same condition (Hager and Zhang 2005, section 2).
///
/// The network ends wherever it was evaluated last.
pub(super) fn strong_wolfe(
    surface: &mut Surface<'_>,
    start: &Point,
    direction: &[f64],
    first: f64,
) -> Result<Option<(f64, Point)>, StepError> {
    let origin = dot(&start.slope, direction);
    let rounding = ROUNDING * surface.epsilon() * start.value.abs();
    let (mut low, mut high) = (End { t: 0.0, slope: origin }, None::<End>);
    let mut best = None;
    let mut t = first;
    for _ in 0..TRIALS {
        let point = surface.at(&along(&start.x, t, direction))?;
        if point.x == start.x {
            break;
        }
        let slope = dot(&point.slope, direction);
        let falls = point.value <= start.value + C1 * t * origin
            || (point.value <= start.value + rounding && slope <= (2.0 * C1 - 1.0) * origin);
        let end = End { t, slope };
        if falls && slope.abs() <= -C2 * origin {
            return Ok(Some((t, point)));
        }
        if falls && slope < 0.0 {
            low = end;
            best = Some((t, point));
        } else {
            high = Some(end);
        }
        t = match high {
            None => 2.0 * t,
            Some(high) => between(low, high),
        };
    }
    Ok(best)
}

/// A step between two ends.
fn between(low: End, high: End) -> f64 {
    let width = high.t - low.t;
    // A slope that is not finite is none, and neither is that of a rise followed by a fall.
    if high.slope > 0.0 && high.slope.is_finite() {
        let root = low.t - low.slope * width / (high.slope - low.slope);
        root.clamp(low.t + MARGIN * width, high.t - MARGIN * width)
    } else {
        low.t + 0.5 * width
    }
}
