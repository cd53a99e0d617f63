//! What each column of the inputs contributes to the AGOP: for people who choose features by it.
//!
//! diag(AGOP)_j = mean over rows of Σ_k (∂f_k/∂x_j)² (Radhakrishnan, Beaglehole, Pandit and Belkin, 2024).

mod figure;

pub use figure::svg;

use nfa_metrics::{Diagonal, Interval, Share};
use serde_json::{Value, json};

use crate::measure::recorded::clean;
use crate::measure::samples::Samples;

/// Columns that the table shows at most.
const SHOWN: usize = 24;

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
    fn is_above(&self) -> Option<bool> {
        let part = self.deviation?;
        Some(part.own.interval?.low > part.shuffled?)
    }

    fn label(&self) -> String {
        self.name.as_deref().map_or_else(|| format!("column {}", self.column), clean)
    }
}

impl Columns {
    /// Of a network's diagonal and those of the same network trained on shuffled targets.
    pub(super) fn new(own: &Diagonal, controls: &[Diagonal], samples: &Samples) -> Self {
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
    fn sorted(&self, by: impl Fn(&Column) -> f64) -> Vec<&Column> {
        let mut rows: Vec<&Column> = self.rows.iter().collect();
        rows.sort_by(|a, b| by(b).total_cmp(&by(a)));
        rows
    }

    /// How many are above chance, and what that is of.
    fn finding(&self) -> String {
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

fn number(value: Option<f64>) -> String {
    match value {
        None => "-".into(),
        Some(0.0) => "0".into(),
        Some(value) if value < 1e-3 => format!("{value:.0e}"),
        Some(value) => format!("{value:.3}"),
    }
}

fn share(of: Option<Part>) -> String {
    let ends = of.and_then(|part| part.own.interval);
    let ends = ends.map(|Interval { low, high }| format!(" [{}, {}]", number(Some(low)), number(Some(high))));
    format!("{}{}", number(of.map(|part| part.own.share)), ends.unwrap_or_default())
}

/// For people: the largest first.
pub fn text(columns: &Columns) -> String {
    let cells = |row: &&Column| {
        let word = match row.is_above() {
            Some(true) => "above",
            Some(false) => "as chance",
            None => "",
        };
        let chance = number(row.deviation.and_then(|part| part.shuffled));
        [row.label(), format!("{:.3e}", row.value), share(row.unit), share(row.deviation), chance, word.into()]
    };
    let mut lines = vec![["column", "diag(AGOP)", "share", "per sd", "shuffled", ""].map(String::from)];
    lines.extend(columns.sorted(|row| row.value).iter().take(SHOWN).map(cells));
    let there = |i: usize| lines.iter().skip(1).any(|line| !matches!(line[i].as_str(), "-" | ""));
    let kept: Vec<usize> = (0..lines[0].len()).filter(|&i| i < 3 || there(i)).collect();
    let width = |i: usize| lines.iter().map(|line| line[i].chars().count()).max().unwrap_or(0);
    let mut text = String::new();
    for line in &lines {
        let mut row = String::new();
        for &i in &kept {
            let space = " ".repeat(width(i) - line[i].chars().count());
            // Words to the left, numbers to the right.
            let words = matches!(i, 0 | 5);
            row.push_str(&if words { format!("{}{space}  ", line[i]) } else { format!("{space}{}  ", line[i]) });
        }
        text.push_str(&format!("{}\n", row.trim_end()));
    }
    if columns.rows.len() > SHOWN {
        text.push_str(&format!("and {} more columns (--json)\n", columns.rows.len() - SHOWN));
    }
    text.push_str(&format!(
        "columns: {}\nshare: of tr(AGOP), per unit of each column; per sd: per standard deviation of each, which units don't \
         change\n",
        columns.finding()
    ));
    text
}

/// For programs: a list in the order of the columns.
pub fn json(columns: &Columns) -> Value {
    let part = |of: Option<Part>| {
        of.map(|part| {
            let interval = part.own.interval.map(|interval| [interval.low, interval.high]);
            json!({ "share": part.own.share, "interval": interval, "shuffled": part.shuffled })
        })
    };
    let row = |row: &Column| {
        json!({
            "column": row.column,
            "name": row.name,
            "value": row.value,
            "unit": part(row.unit),
            "deviation": part(row.deviation),
            "above_shuffled": row.is_above(),
        })
    };
    columns.rows.iter().map(row).collect()
}
