//! Signs that another network was read than the one that was trained.

use crate::measure::samples::{Answers, Samples};

/// What a network's answers to rows say of how it was read.
pub(super) struct Seen<'a> {
    pub(super) samples: &'a Samples,
    pub(super) answers: &'a Answers,
    /// Share of rows that are wrong, or of the variance left over.
    pub(super) error: Option<f64>,
    /// Hidden layers.
    pub(super) hidden: usize,
}

impl Seen<'_> {
    /// What is odd, with what may be the cause; empty where nothing is.
    pub(super) fn doubts(&self) -> Vec<String> {
        let Some(error) = self.error else { return Vec::new() };
        let constant = self.constant();
        let mut found = Vec::new();
        let odd = if self.answers.classes && error == 1.0 && self.samples.count > 1 {
            "every row is classified wrong".to_string()
        } else if !error.is_finite() {
            "the loss overflows".to_string()
        } else if error > 0.0 && error >= constant {
            match self.answers.classes {
                true => format!(
                    "{:.1} % of the rows are classified wrong, no fewer than by always naming the most frequent class \
                     ({:.1} %)",
                    100.0 * error,
                    100.0 * constant
                ),
                false => {
                    format!("the loss is no better than that of a constant ({:.3} of the variance is left)", error)
                }
            }
        } else {
            return found;
        };
        found.push(format!(
            "{odd}: these answers are another network's, or the weights were read wrongly; {}",
            self.causes()
        ));
        found
    }

    /// The error of the best constant.
    fn constant(&self) -> f64 {
        if !self.answers.classes {
            return 1.0;
        }
        let c = self.answers.dim;
        let mut counts = vec![0.0; c];
        for row in self.answers.values.chunks_exact(c) {
            row.iter().zip(&mut counts).for_each(|(hot, count)| *count += hot);
        }
        1.0 - counts.iter().fold(0.0, |most: f64, &count| most.max(count)) / self.samples.count as f64
    }

    fn causes(&self) -> String {
        let mut causes = Vec::new();
        let largest = self.samples.inputs.iter().fold(0.0, |most: f64, v| most.max(v.abs()));
        let whole = self.samples.inputs.iter().all(|v| v.fract() == 0.0);
        if largest > 10.0 && whole && largest <= 255.0 {
            causes.push("pixels of 0 to 255 where it was trained on 0 to 1 (--scale 0.00392)".to_string());
        } else if largest > 100.0 {
            causes.push(format!("inputs up to {largest:.0e} where it was trained on scaled ones (--scale)"));
        }
        if self.hidden > 0 {
            causes.push("another activation (--activation)".into());
            causes.push("another order or choice of layers (--layers)".into());
        }
        let c = self.answers.dim;
        if self.answers.classes && self.answers.values.chunks_exact(c).all(|row| row[0] == 0.0) {
            causes.push("classes that count from 1 (here they count from 0)".into());
        }
        causes.push("a residual connection or a norm that a file of weights doesn't show (measure a capture)".into());
        causes.push("rows and targets in different orders".into());
        format!("likely causes: {}", causes.join("; "))
    }
}
