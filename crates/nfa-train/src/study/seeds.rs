//! Runs that differ in their seed alone: what a number is between seeds, with its interval.

use nfa_metrics::judge::interval::t_quantile;

use crate::claim::columns::Columns;
use crate::record::{csv_line, decimal};
use crate::study::{Study, StudyRun, distinct, tally};

/// The key of the seed.
const SEED: &str = "seed";

/// Completed runs that differ in their seed alone, at least two.
#[derive(Clone, Debug)]
pub struct Seeds<'a> {
    /// The keys that they share.
    pub keys: Vec<(&'a str, &'a str)>,
    /// In the plan's order.
    pub runs: Vec<&'a StudyRun>,
    /// The ranges of columns.
    known: &'a Columns,
}

/// A number's mean over seeds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mean {
    /// Seeds.
    pub n: usize,
    /// Their mean.
    pub mean: f64,
    /// Standard deviation between seeds, of n - 1.
    pub deviation: f64,
    /// The mean's 95 % interval by Student's t, as far as the quantity's range goes.
    pub interval: [f64; 2],
    /// The smallest and the largest.
    pub range: [f64; 2],
}

impl Mean {
    /// Of at least two values of a quantity whose range has these ends.
    pub fn of(values: &[f64], [low, high]: [f64; 2]) -> Option<Self> {
        if values.len() < 2 {
            return None;
        }
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        let deviation = (values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (n - 1.0)).sqrt();
        let half = t_quantile(n - 1.0) * deviation / n.sqrt();
        let least = values.iter().copied().fold(f64::INFINITY, f64::min);
        let most = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        // Rounding may have put a value beside its range.
        let interval = [(mean - half).max(low.min(least)), (mean + half).min(high.max(most))];
        Some(Mean { n: values.len(), mean, deviation, interval, range: [least, most] })
    }
}

/// The groups of a study, in the order of their first run.
pub fn groups(study: &Study) -> Vec<Seeds<'_>> {
    let mut groups: Vec<Seeds<'_>> = Vec::new();
    for run in study.runs.iter().filter(|run| run.outcome == "completed" && run.keys.iter().any(|(k, _)| k == SEED)) {
        let keys: Vec<(&str, &str)> =
            run.keys.iter().filter(|(key, _)| key != SEED).map(|(key, value)| (key.as_str(), value.as_str())).collect();
        match groups.iter_mut().find(|group| group.keys == keys) {
            Some(group) => group.runs.push(run),
            None => groups.push(Seeds { keys, runs: vec![run], known: &study.known }),
        }
    }
    groups.retain(|group| group.runs.len() > 1);
    groups
}

impl Seeds<'_> {
    /// The value of a key; empty where the group has none.
    pub fn setting(&self, key: &str) -> &str {
        self.keys.iter().find(|(known, _)| *known == key).map_or("", |(_, value)| value)
    }

    /// A column's last values over the seeds; `None` where fewer than two have one.
    pub fn mean(&self, column: &str) -> Option<Mean> {
        let values: Vec<f64> = self.runs.iter().filter_map(|run| run.record.number(-1, column)).collect();
        Mean::of(&values, self.known.bounds(column))
    }

    /// How many seeds have which word in a text column, the most frequent first.
    pub fn words(&self, column: &str) -> Vec<(&str, usize)> {
        let mut counts = tally(self.runs.iter().filter_map(|run| run.record.text(-1, column)));
        counts.sort_by_key(|&(_, n)| std::cmp::Reverse(n));
        counts
    }
}

/// The keys of all groups, in order.
pub fn keys<'a>(groups: &[Seeds<'a>]) -> Vec<&'a str> {
    distinct(groups.iter().flat_map(|group| group.keys.iter().map(|&(key, _)| key)))
}

/// `seeds.csv`: one row per group and numeric column, at the last probe; `None` without groups.
pub fn csv(study: &Study) -> Option<String> {
    let groups = groups(study);
    if groups.is_empty() {
        return None;
    }
    let keys = keys(&groups);
    let head = ["metric", "n", "mean", "sd", "low", "high", "min", "max"];
    let mut csv = csv_line(keys.iter().copied().chain(head).map(String::from));
    for group in &groups {
        for column in study.columns() {
            let Some(mean) = group.mean(column) else { continue };
            let key = |key: &&str| group.setting(key).to_string();
            let numbers = [mean.mean, mean.deviation, mean.interval[0], mean.interval[1], mean.range[0], mean.range[1]]
                .map(decimal);
            let fields = keys.iter().map(key).chain([column.to_string(), mean.n.to_string()]).chain(numbers);
            csv.push_str(&csv_line(fields));
        }
    }
    Some(csv)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::record::{Cell, Record};
    use crate::study::sample;

    #[test]
    fn the_interval_of_a_mean_is_students() {
        // Mean 3, sd √2.5, t(4) = 2.776.
        let open = [f64::NEG_INFINITY, f64::INFINITY];
        let mean = Mean::of(&[1.0, 2.0, 3.0, 4.0, 5.0], open).unwrap();
        assert_eq!((mean.n, mean.mean, mean.range), (5, 3.0, [1.0, 5.0]));
        assert!((mean.deviation - 2.5f64.sqrt()).abs() < 1e-15);
        assert!((mean.interval[1] - 3.0 - 2.776 * (0.5f64).sqrt()).abs() < 2e-3);
        assert!(Mean::of(&[1.0], open).is_none());
    }

    #[test]
    fn intervals_keep_to_the_range_of_their_quantity() {
        let mut study = sample::study();
        study.runs.clear();
        // The widest that two seeds can be apart: without its range each interval would be some ten units wide.
        for (seed, low) in [(0, true), (1, false)] {
            let mut run = sample::run("a", 2);
            run.id = format!("seed={seed}");
            run.keys = vec![("seed".into(), seed.to_string())];
            run.config.insert("seed".into(), i64::from(seed).into());
            let ends = [
                ("nfa.alpha.layer0", [0.001, 4.0]),
                ("nfa.misfit.layer0", [0.0, 1.0]),
                ("balance.misfit.layer0", [0.0, 9.0]),
                ("nfa.cosine@0.5.layer0", [0.0, 1.0]),
                ("nfa.pearson.layer1", [-1.0, 1.0]),
                ("nfa.agop_rank.layer0", [1.0, 3.0]),
                ("accuracy.test", [0.0, 1.0]),
                ("loss", [0.0, 2.0]),
                ("nfa.loglog_slope.layer0", [0.0, 1.0]),
            ];
            run.record = Record::new(ends.iter().map(|(name, _)| name.to_string()).collect());
            run.record.push(ends.iter().map(|(_, ends)| Cell::number(ends[usize::from(!low)])).collect());
            study.runs.push(run);
        }
        let groups = groups(&study);
        let interval = |column: &str| groups[0].mean(column).unwrap().interval;
        assert_eq!(interval("nfa.alpha.layer0"), [0.001, 4.0]);
        for column in ["nfa.misfit.layer0", "nfa.cosine@0.5.layer0", "accuracy.test"] {
            assert_eq!(interval(column), [0.0, 1.0], "{column}");
        }
        assert_eq!(interval("nfa.pearson.layer1"), [-1.0, 1.0]);
        for column in ["balance.misfit.layer0", "loss", "nfa.agop_rank.layer0"] {
            let [low, high] = interval(column);
            assert!(low == 0.0 && high > 3.0, "{column}: {low} to {high}");
        }
        let [low, high] = interval("nfa.loglog_slope.layer0");
        assert!(low < -5.0 && high > 6.0, "a slope has no range: {low} to {high}");
    }
}
