//! A column of the inputs, and its part of the AGOP's diagonal.

use nfa_metrics::{Diagonal, Share};

use crate::measure::recorded::clean;
use crate::measure::samples::Samples;

/// All columns of the inputs.
#[derive(Clone, Debug)]
pub struct Columns {
    /// In the order of the inputs.
    pub rows: Vec<Column>,
    /// How many networks trained on shuffled targets stand beside.
    pub controls: usize,
    /// Whether the columns' standard deviations are about the same, so that both shares are.
    pub alike: bool,
}

/// One column of the inputs.
#[derive(Clone, Debug)]
pub struct Column {
    /// From 0.
    pub column: usize,
    /// From the header.
    pub name: Option<String>,
    /// diag(AGOP), per unit of the column.
    pub value: f64,
    /// Its part of the trace; `None` where the outputs follow no column.
    pub unit: Option<Part>,
    /// The same where every column is measured in its own standard deviation: what units don't change.
    pub deviation: Option<Part>,
}

/// A column's part of the whole.
#[derive(Clone, Copy, Debug)]
pub struct Part {
    /// Of this network.
    pub own: Share,
    /// The largest share that a network trained on shuffled targets gives it, its own interval included.
    pub shuffled: Option<f64>,
}

impl Part {
    /// Of each column, with factors for the columns.
    fn of(own: &Diagonal, controls: &[Diagonal], factors: &[f64]) -> Vec<Option<Part>> {
        let Some(shares) = own.shares(factors) else { return vec![None; factors.len()] };
        let chance: Vec<Vec<Share>> = controls.iter().filter_map(|control| control.shares(factors)).collect();
        let most = |j: usize| {
            let high = |shares: &Vec<Share>| shares[j].interval.map_or(shares[j].share, |interval| interval.high);
            chance.iter().map(high).reduce(f64::max)
        };
        shares.into_iter().enumerate().map(|(j, own)| Some(Part { own, shuffled: most(j) })).collect()
    }
}

impl Column {
    /// Whether its share is more than chance gives, in standard deviations; `None` without a control or an interval.
    pub(super) fn is_above(&self) -> Option<bool> {
        let part = self.deviation?;
        Some(part.own.interval?.low > part.shuffled?)
    }

    pub(super) fn label(&self) -> String {
        self.name.as_deref().map_or_else(|| format!("column {}", self.column), clean)
    }
}

impl Columns {
    /// Of a network's diagonal and those of the same network trained on shuffled targets.
    pub(in crate::measure) fn new(own: &Diagonal, controls: &[Diagonal], samples: &Samples) -> Self {
        let variances = samples.variances();
        let least = variances.iter().copied().fold(f64::INFINITY, f64::min);
        let most = variances.iter().copied().fold(0.0, f64::max);
        let units = Part::of(own, controls, &vec![1.0; samples.dim]);
        let deviations = Part::of(own, controls, &variances);
        let row = |j: usize| Column {
            column: j,
            name: samples.names.get(j).cloned(),
            value: own.whole[j],
            unit: units[j],
            deviation: deviations[j],
        };
        let rows = (0..samples.dim).map(row).collect();
        Columns { rows, controls: controls.len(), alike: most.sqrt() <= 1.1 * least.sqrt() }
    }

    /// The largest first, by a part or by the diagonal itself.
    pub(super) fn sorted(&self, by: impl Fn(&Column) -> f64) -> Vec<&Column> {
        let mut rows: Vec<&Column> = self.rows.iter().collect();
        rows.sort_by(|a, b| by(b).total_cmp(&by(a)));
        rows
    }

    /// How many are above chance, and what that is of.
    pub(super) fn finding(&self) -> String {
        let above = self.rows.iter().filter(|row| row.is_above() == Some(true)).count();
        let networks = match self.controls {
            0 => {
                return "what chance gives is not known: train the same network on shuffled targets, for --shuffled"
                    .into();
            }
            1 => "a network".to_string(),
            n => format!("{n} networks"),
        };
        let have = if above == 1 { "has" } else { "have" };
        format!("{above} of {} {have} more, per sd, than {networks} trained on shuffled targets", self.rows.len())
    }
}
