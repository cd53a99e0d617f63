//! Which options go with which source: one table, for the refusals and for the help.

use crate::error::{Error, Result};
use crate::measure::args::{HeadsArg, MeasureArgs, MeasureDtype};

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// Weights on rows.
    Network,
    /// Pairs of weights.
    Pairs,
    /// A capture.
    Capture,
    /// Two matrices.
    Matrices,
}

use Source::{Capture, Matrices, Network, Pairs};

impl Source {
    /// Of a call; `None` where it names none.
    pub fn of(args: &MeasureArgs) -> Option<Source> {
        match args {
            MeasureArgs { weights, pairs: Some(_), .. } if !weights.is_empty() => Some(Pairs),
            MeasureArgs { weights, .. } if !weights.is_empty() => Some(Network),
            MeasureArgs { capture, .. } if !capture.is_empty() => Some(Capture),
            MeasureArgs { nfm: Some(_), .. } => Some(Matrices),
            _ => None,
        }
    }

    /// As a person names it.
    fn name(self) -> &'static str {
        match self {
            Network => "--weights with --inputs",
            Pairs => "--weights with --pairs",
            Capture => "--capture",
            Matrices => "--nfm with --agop",
        }
    }
}

/// An option and the sources for which it does something.
struct Use {
    option: &'static str,
    given: fn(&MeasureArgs) -> bool,
    with: &'static [Source],
}

const fn of(option: &'static str, given: fn(&MeasureArgs) -> bool, with: &'static [Source]) -> Use {
    Use { option, given, with }
}

const USES: [Use; 34] = [
    of("--inputs", |args| args.inputs.is_some(), &[Network]),
    of("--targets", |args| args.targets.is_some(), &[Network]),
    of("--loss", |args| args.loss.is_some(), &[Network]),
    of("--weight-decay", |args| args.weight_decay.is_some(), &[Network]),
    of("--law", |args| !args.law.is_empty(), &[Network, Capture]),
    of("--strict", |args| args.strict, &[Network]),
    of("--scale", |args| args.scale != 1.0, &[Network]),
    of("--batch", |args| args.batch.is_some(), &[Network]),
    of("--centered", |args| args.centered, &[Network]),
    of("--estimator", |args| args.estimator != "exact", &[Network]),
    of("--dtype", |args| args.dtype != MeasureDtype::default(), &[Network]),
    of("--device", |args| args.device != "flex", &[Network]),
    of("--activation", |args| !args.activation.is_empty(), &[Network, Pairs]),
    of("--layers", |args| !args.layers.is_empty(), &[Network, Pairs]),
    of("--prefix", |args| args.prefix.is_some(), &[Network, Pairs]),
    of("--pairs", |args| args.pairs.is_some(), &[Pairs]),
    of("--heads", |args| matches!(args.heads, Some(HeadsArg::Count(_))), &[Pairs]),
    of("--heads hide", |args| args.heads == Some(HeadsArg::Hide), &[Capture]),
    of("--columns", |args| args.columns, &[Network]),
    of("--shuffled", |args| !args.shuffled.is_empty(), &[Network]),
    of("--plot-columns", |args| args.plot_columns.is_some(), &[Network]),
    of("--plot-depth", |args| args.plot_depth.is_some(), &[Network, Pairs, Capture]),
    of("--layer", |args| args.layer != "all", &[Network, Pairs, Capture]),
    of("--init", |args| args.init.is_some(), &[Network, Capture]),
    of("--compare", |args| args.compare, &[Network, Pairs, Capture]),
    of("--alpha", |args| !args.alpha.is_empty(), &[Network, Capture, Matrices]),
    of("--save", |args| args.save.is_some(), &[Network, Capture, Matrices]),
    of("--plot", |args| args.plot.is_some(), &[Network, Pairs, Capture, Matrices]),
    of("--set", |args| !args.set.is_empty(), &[Network, Pairs, Capture, Matrices]),
    of("--agop", |args| args.agop.is_some(), &[Matrices]),
    of("--depth", |args| args.depth.is_some(), &[Matrices]),
    of("--rank", |args| args.rank.is_some(), &[Matrices]),
    of("--weights", |args| !args.weights.is_empty(), &[Network, Pairs]),
    of("--capture", |args| !args.capture.is_empty(), &[Capture]),
];

/// An option, when it does nothing, and what it goes with.
type Idle = (&'static str, fn(&MeasureArgs) -> bool, &'static str);

/// Options that do nothing beside others that do.
const TOGETHER: [Idle; 7] = [
    ("--loss", |args| args.loss.is_some() && args.targets.is_none(), "--targets: a loss is of answers"),
    (
        "--weight-decay",
        |args| args.weight_decay.is_some() && (args.targets.is_none() || args.loss.is_none()),
        "--targets and --loss: FACT is of the loss that was trained",
    ),
    ("--strict", |args| args.strict && args.targets.is_none(), "--targets: the loss is what is strict"),
    (
        "--centered",
        |args| args.centered && args.estimator != "exact",
        "--estimator exact: it takes every output's own mean",
    ),
    ("--shuffled", |args| !args.shuffled.is_empty() && !args.columns, "--columns: it says what chance gives them"),
    ("--plot-columns", |args| args.plot_columns.is_some() && !args.columns, "--columns: it draws them"),
    (
        "--heads",
        |args| args.heads.is_some() && !args.activation.is_empty(),
        "attention; --activation is of a plain MLP: leave one out",
    ),
];

fn listed(sources: &[Source]) -> String {
    sources.iter().map(|source| source.name()).collect::<Vec<_>>().join(", or ")
}

/// The source of a call whose options all do something.
///
/// # Errors
/// No source; the first option that would do nothing, with what it goes with.
pub fn source(args: &MeasureArgs) -> Result<Source> {
    let Some(source) = Source::of(args) else {
        return Err(Error::input(
            "measure what? Give --weights FILE --inputs FILE --activation NAME, or --capture FILE, or --nfm FILE --agop FILE",
        ));
    };
    if let Some(idle) = USES.iter().find(|used| (used.given)(args) && !used.with.contains(&source)) {
        let why = match (source, idle.with) {
            (Capture, [Network]) => "; a capture holds what its own samples gave: record another for others",
            (Matrices, _) => "; two matrices are all there is",
            _ => "",
        };
        return Err(Error::input(format!(
            "{} does nothing with {}: it goes with {}{why}",
            idle.option,
            source.name(),
            listed(idle.with)
        )));
    }
    match TOGETHER.iter().find(|(_, idle, _)| idle(args)) {
        Some((option, _, with)) => Err(Error::input(format!("{option} goes with {with}"))),
        None => Ok(source),
    }
}

/// What goes with what, for the help.
pub fn help() -> String {
    let mut text = String::from("What goes with what:\n");
    for source in [Network, Pairs, Capture, Matrices] {
        let options = USES.iter().filter(|used| used.with.contains(&source) && !source.name().contains(used.option));
        let options: Vec<&str> = options.map(|used| used.option).collect();
        text.push_str(&format!("  {}: {}\n", source.name(), options.join(" ")));
    }
    text
}

#[cfg(test)]
mod tests {
    use clap::{Args, Command};

    use super::*;

    /// Without a value that makes it another.
    fn long(used: &Use) -> &'static str {
        used.option.split(' ').next().unwrap_or_default()
    }

    #[test]
    fn every_option_is_in_the_table() {
        let command = MeasureArgs::augment_args(Command::new("measure"));
        let known: Vec<String> =
            command.get_arguments().filter_map(|arg| arg.get_long()).map(|l| format!("--{l}")).collect();
        for name in known.iter().filter(|name| *name != "--nfm") {
            assert!(USES.iter().any(|used| long(used) == name), "{name} is in no row");
        }
        for used in &USES {
            assert!(known.iter().any(|name| name == long(used)), "{} is no option", used.option);
        }
    }
}
