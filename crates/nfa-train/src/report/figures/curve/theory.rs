//! What theory says of a series.

use crate::claim::at::At;
use crate::claim::formula::Formula;
use crate::claim::plot::Plot;
use crate::claim::plot::curve::{Axis, Curve};
use crate::report::draw::svg::Scale;
use crate::report::figures::curve::series::{Point, Series};
use crate::study::decay::Decay;

/// Values of x at which theory is drawn.
const SAMPLES: usize = 241;

impl Series<'_> {
    /// Theory at a value of x, with a factor `c`; `step` where a probe says which it is.
    fn theory(&self, curve: &Curve, formula: &Formula, plot: &Plot, x: f64, step: Option<f64>, c: f64) -> Option<f64> {
        let run = self.runs[0].variables();
        let here = |name: &str| match &curve.x {
            Axis::Key(key) if run.follows(name, key) => Some(x),
            _ => run.value(name),
        };
        let variable = |name: &str| match name {
            "x" => Some(x),
            "c" => Some(c),
            "l" => self.layer,
            "t" => {
                let step = step.or_else(|| self.step_at(curve, plot.at, x, &here))?;
                run.clock(step)
            }
            name => here(name),
        };
        formula.value(&variable).filter(|value| value.is_finite())
    }

    /// The step that a value of x stands for, between probes too.
    fn step_at(&self, curve: &Curve, at: Option<At>, x: f64, here: &dyn Fn(&str) -> Option<f64>) -> Option<f64> {
        let decay = Decay::of(self.runs[0]);
        match (&curve.x, at) {
            (Axis::Step, _) => Some(x),
            (Axis::Time, _) => decay?.step_at(x),
            (Axis::LambdaT, _) => decay.filter(|decay| decay.lambda > 0.0).and_then(|d| d.step_at(x / d.lambda)),
            (Axis::Column(_), _) => None,
            (_, Some(At::First)) => Some(0.0),
            (_, Some(At::Step(step))) => Some(step as f64),
            _ => here("solver.steps").or_else(|| Some(here("solver.time")? / here("solver.lr")?)),
        }
    }

    /// Fits the factor of theory, where it has one: least squares, of logarithms on a logarithmic axis.
    pub(super) fn fit(&mut self, curve: &Curve, formula: &Formula, plot: &Plot) {
        if !formula.names().contains(&"c") {
            return;
        }
        let with_unit = |point: &Point| {
            Some((point.y, self.theory(curve, formula, plot, point.x, Some(point.step), 1.0).filter(|f| *f != 0.0)?))
        };
        let pairs: Vec<(f64, f64)> = self.points.iter().filter_map(with_unit).collect();
        let c = if plot.log.y && pairs.iter().all(|(y, f)| y / f > 0.0) {
            (pairs.iter().map(|(y, f)| (y / f).ln()).sum::<f64>() / pairs.len() as f64).exp()
        } else {
            pairs.iter().map(|(y, f)| y * f).sum::<f64>() / pairs.iter().map(|(_, f)| f * f).sum::<f64>()
        };
        self.c = Some(c).filter(|c| c.is_finite());
    }

    /// |measured / theory - 1| at every point where theory has a value other than 0: of the mean over seeds, and the
    /// largest of a seed.
    pub(super) fn deviations(&self, curve: &Curve, plot: &Plot) -> Vec<(f64, f64)> {
        let Some(formula) = &curve.theory else { return Vec::new() };
        let off = |point: &Point| {
            let theory = self.theory(curve, formula, plot, point.x, Some(point.step), self.c.unwrap_or(1.0))?;
            let off = |y: f64| (y / theory - 1.0).abs();
            let worst = point.values.iter().map(|y| off(*y)).fold(0.0, f64::max);
            Some((off(point.y), worst)).filter(|(mean, worst)| mean.is_finite() && worst.is_finite())
        };
        self.points.iter().filter_map(off).collect()
    }

    /// Theory as a line over the x axis.
    pub(super) fn line(&self, curve: &Curve, plot: &Plot, x: &Scale) -> Vec<(f64, f64)> {
        let Some(formula) = &curve.theory else { return Vec::new() };
        let c = self.c.unwrap_or(1.0);
        let at = |x: f64| Some((x, self.theory(curve, formula, plot, x, None, c)?));
        x.spread(SAMPLES).into_iter().filter_map(at).collect()
    }
}
