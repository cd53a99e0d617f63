//! Which laws are measured: those asked for, or those that what was given is enough for.

use nfa_metrics::{Law, Laws, Needs, Penalty};

use crate::error::{Error, Result};

/// What a needs is made from, and how a person gives it.
const GIVEN: [(Needs, &str); 5] = [
    (Needs::AVERAGE, "a run: averages are over steps of training ([probe] average)"),
    (Needs::DECAY, "--weight-decay, with --targets and --loss (in a capture weight_decay, decay and loss)"),
    (Needs::LOSS_GRADIENT, "--targets and --loss (in a capture loss)"),
    (Needs::INPUT_MOMENTS.and(Needs::GRADIENT_MOMENTS), "--targets and --loss (in a capture loss and moments=True)"),
    (Needs::START, "--init (in a capture init)"),
];

/// The laws to measure: those named, else all that are shown unasked and have what they need among `there`.
///
/// # Errors
/// A name that is no law's, or a law that needs more than was given.
pub fn laws<'a>(known: &'a Laws, named: &[String], there: Needs) -> Result<Vec<&'a Law>> {
    let rows = || known.rows().iter();
    if named.is_empty() {
        return Ok(rows().filter(|law| !law.asked && there.contains(law.needs)).collect());
    }
    if named.iter().any(|name| name == "all") {
        return Ok(rows().filter(|law| there.contains(law.needs)).collect());
    }
    for name in named {
        let Some(law) = known.get(name.trim()) else {
            let names: Vec<&str> = rows().map(|law| law.name).collect();
            return Err(Error::input(format!("--law {name}: the laws are {}", names.join(", "))));
        };
        if let Some((_, what)) = GIVEN.iter().find(|(need, _)| law.needs.meets(*need) && !there.meets(*need)) {
            return Err(Error::input(format!("--law {name} needs {what}")));
        }
    }
    Ok(rows().filter(|law| named.iter().any(|name| name.trim() == law.name)).collect())
}

/// What some laws need together.
pub fn needs(laws: &[&Law]) -> Needs {
    laws.iter().map(|law| law.needs).collect()
}

/// The penalty that a person names.
///
/// # Errors
/// A λ that is none; none at all, with the reason that runs give.
pub fn penalty(lambda: f64) -> Result<Penalty> {
    if !(lambda.is_finite() && lambda >= 0.0) {
        return Err(Error::input(format!("--weight-decay {lambda}: must be positive and finite")));
    }
    let penalty = Penalty::Coupled(lambda);
    match penalty.lambda() {
        Ok(_) => Ok(penalty),
        Err(why) => Err(Error::input(format!("--weight-decay {lambda}: refused: {why}"))),
    }
}
