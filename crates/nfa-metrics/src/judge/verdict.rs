//! holds, approximate, fails or undetermined, and why.

use serde::{Deserialize, Serialize};

use crate::judge::certificate::{CLEARLY, Certificate, carriers};
use crate::judge::family::Family;
use crate::judge::interval::Interval;
use crate::judge::misfit::{End, Fit, Seen};

/// What is said of a law at a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// A is a power of B within the threshold, closer than chance.
    Holds,
    /// Within the wider threshold.
    Approximate,
    /// No power is near.
    Fails,
    /// The data can't tell.
    Undetermined,
}

impl Verdict {
    /// Its name in records.
    pub fn name(self) -> &'static str {
        match self {
            Verdict::Holds => "holds",
            Verdict::Approximate => "approximate",
            Verdict::Fails => "fails",
            Verdict::Undetermined => "undetermined",
        }
    }
}

/// The thresholds of the verdict; options, printed with every verdict.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Thresholds {
    /// A certificate with more margin than this refutes.
    pub certificate: f64,
    /// A misfit up to this holds.
    pub holds: f64,
    /// A misfit up to this is approximate.
    pub approximate: f64,
    /// An exact exponent agrees with theory's within this.
    pub exponent: f64,
    /// The traceless cosine must exceed its null by this many standard deviations (d >= 6).
    pub z: f64,
}

impl Default for Thresholds {
    fn default() -> Self {
        Thresholds { certificate: 0.2, holds: 0.05, approximate: 0.2, exponent: 0.01, z: 3.0 }
    }
}

/// Below this size the traceless cosine's z cannot exceed 3 by enough to ask for it.
const SMALLEST_FOR_Z: usize = 6;

/// Which share of the random rotation's misfit a law's must stay below.
///
/// From [`SMALLEST_FOR_Z`] on z guards against chance. Below, a random pair falls under the mean
/// itself every other time, but under these shares less than once in a hundred (in the plane the
/// traceless parts enclose one uniform angle, and asin(1/32)/π = 1 %).
fn clear_of_chance(d: usize) -> f64 {
    match d {
        0..=2 => 1.0 / 32.0,
        3..SMALLEST_FOR_Z => 0.25,
        _ => 1.0,
    }
}

/// Everything that the verdict is drawn from.
#[derive(Clone, Debug)]
pub(crate) struct Evidence<'a> {
    pub family: Family,
    pub seen: &'a Seen,
    pub fit: &'a Fit,
    pub certificates: &'a [Certificate],
    pub alpha: Option<Interval>,
    pub misfit: Interval,
    pub haar: f64,
    pub z: Option<f64>,
}

/// The first rule that applies, with its reason.
pub(crate) fn judge(evidence: &Evidence<'_>, thresholds: &Thresholds) -> (Verdict, String) {
    let Evidence { family, seen, fit, certificates, alpha, misfit, haar, z } = evidence;
    if let Some(Certificate { kind, margin: Some(margin) }) = certificates.first()
        && *margin > thresholds.certificate
    {
        let every = if *family == Family::Power { " for every exponent" } else { "" };
        let reason = format!(
            "{}: {}, misfit at least {margin:.3}{every} (threshold {})",
            kind.name(),
            kind.statement(),
            thresholds.certificate
        );
        return (Verdict::Fails, reason);
    }
    if *family == Family::Power {
        if fit.at_end == Some(End::Lower) && clearly_distinct(seen) {
            let tie = certificates.iter().find(|c| c.margin.is_none());
            let why = tie.map_or(String::new(), |c| format!("{}: {}; ", c.kind.name(), c.kind.statement()));
            return (
                Verdict::Fails,
                format!("{why}no positive exponent: the fit runs to 0 although B's eigenvalues differ"),
            );
        }
        match alpha {
            None => {
                let reason = "B has fewer than 2 distinct non-zero eigenvalues: every exponent fits alike";
                return (Verdict::Undetermined, reason.into());
            }
            Some(_) if fit.at_end == Some(End::Upper) => {
                return (Verdict::Undetermined, "the exponent runs to the upper end of the search".into());
            }
            Some(_) if fit.at_end == Some(End::Lower) => {
                return (
                    Verdict::Undetermined,
                    "the exponent runs to 0 and B's eigenvalues are too close to tell".into(),
                );
            }
            Some(interval) if interval.width() > 0.5 * fit.alpha.unwrap_or(0.0) => {
                let reason = format!(
                    "the exponent's interval [{:.3}, {:.3}] is wider than half of it",
                    interval.low, interval.high
                );
                return (Verdict::Undetermined, reason);
            }
            Some(_) => {}
        }
    }
    let d = seen.dim();
    if misfit.high <= thresholds.holds {
        if *family == Family::Equal {
            return (Verdict::Holds, format!("{} <= {}", size(fit, misfit.high), thresholds.holds));
        }
        let beyond_chance = d < SMALLEST_FOR_Z || z.is_some_and(|z| z > thresholds.z);
        if misfit.high < clear_of_chance(d) * haar && beyond_chance {
            let z = z.filter(|_| d >= SMALLEST_FOR_Z).map_or(String::new(), |z| format!(", traceless z {z:.1}"));
            let reason =
                format!("{} <= {}; a random rotation gives {haar:.2}{z}", size(fit, misfit.high), thresholds.holds);
            return (Verdict::Holds, reason);
        }
    }
    if misfit.high <= thresholds.approximate {
        let reason = if misfit.high > thresholds.holds {
            format!("{} <= {}", size(fit, misfit.high), thresholds.approximate)
        } else {
            format!(
                "{} is small, but no smaller than chance would give (a random rotation: {haar:.2e})",
                size(fit, misfit.high)
            )
        };
        return (Verdict::Approximate, reason);
    }
    if misfit.low > thresholds.approximate {
        let Some(cause) = largest_part(fit) else { return (Verdict::Fails, String::new()) };
        return (Verdict::Fails, format!("{} > {}, mostly {cause}", size(fit, misfit.low), thresholds.approximate));
    }
    let reason =
        format!("the misfit's interval [{:.3}, {:.3}] straddles {}", misfit.low, misfit.high, thresholds.approximate);
    (Verdict::Undetermined, reason)
}

/// The misfit, and the end of its interval that a rule was held against, where that is another number.
fn size(fit: &Fit, end: f64) -> String {
    let number = |value: f64| if value < 1e-2 { format!("{value:.2e}") } else { format!("{value:.3}") };
    if number(end) == number(fit.misfit) {
        return format!("misfit {}", number(end));
    }
    let bound = if end > fit.misfit { "at most" } else { "at least" };
    format!("misfit {} ({bound} {})", number(fit.misfit), number(end))
}

/// Whether some eigenvalues among the directions that carry A are clearly distinct.
fn clearly_distinct(seen: &Seen) -> bool {
    let carriers = carriers(seen);
    carriers.iter().any(|&(g, _)| carriers.iter().any(|&(other, _)| g > CLEARLY * other))
}

fn largest_part(fit: &Fit) -> Option<&'static str> {
    [("directions", fit.parts.directions), ("order", fit.parts.order), ("shape", fit.parts.shape)]
        .into_iter()
        .max_by(|a, b| a.1.total_cmp(&b.1))
        .map(|(name, _)| name)
}
