//! `init`: a first experiment file.

use std::path::Path;

use nfa_models::spec::Component;
use nfa_models::{Registry, Spec};

use crate::cli::InitArgs;
use crate::cli::explain::{Resolve, table};
use crate::cli::session::Session;
use crate::data::none::None as NoData;
use crate::error::{Error, Result};
use crate::experiment::Experiment;
use crate::experiment::arm::Grid;
use crate::experiment::plan::plan;
use crate::registries::Registries;
use crate::run::manifest::Provenance;
use crate::train::second_order::function::FunctionSpec;
use crate::train::solvers;

/// A commented experiment file that runs as printed: its data is loaded and its network is built
/// before it is printed.
pub(crate) fn starter(session: &Session<'_>, args: &InitArgs) -> Result<String> {
    let text = text(session, args)?;
    let runs = |text: String| {
        let experiment = Experiment::parse(text, "init", Path::new("."), &[], &Grid::new(), session.registries)?;
        let runs = plan(&experiment, &[], session.registries)?.runs;
        let provenance = Provenance::collect();
        session.runner(&experiment, Path::new(""), &provenance, &|_| ()).preflight(&runs.iter().collect::<Vec<_>>())
    };
    runs(text.clone()).map_err(|error| {
        let InitArgs { model, solver, data } = args;
        let takes_files = session.registries.data.get(data).is_some_and(|entry| !entry.paths.is_empty());
        let next =
            if takes_files { format!("; it reads files of your own: see `explain {data}`") } else { String::new() };
        Error::input(format!("init --model {model} --solver {solver} --data {data} would not run: {error}{next}"))
    })?;
    Ok(text)
}

fn text(session: &Session<'_>, args: &InitArgs) -> Result<String> {
    fn check<T: ?Sized + Component>(
        option: &str,
        registry: &Registry<T>,
        kind: &str,
        resolve: Resolve<'_>,
    ) -> Result<String> {
        if registry.get(kind).is_some() {
            return Ok(table(registry, kind, resolve));
        }
        let known = registry.entries().iter().map(|entry| entry.kind);
        let error = nfa_models::SpecError::unknown("", "kind", kind, known);
        Err(Error::input(format!("init --{option}: {error}")))
    }
    let Registries { models, data, solvers: known, .. } = session.registries;
    let model = check("model", models, &args.model, &|table| models.resolve(table))?;
    let data = check("data", data, &args.data, &|table| data.resolve(table))?;
    let solver = check("solver", known, &args.solver, &|table| solvers::resolve(known, table))?;
    let lr = match args.solver.as_str() {
        // Finds the length of its steps by itself.
        kind if known.get(kind).is_some_and(|entry| entry.defaults.contains("lr =")) => "",
        // Test problems are steep.
        _ if args.model == FunctionSpec::KIND => "lr = 0.0001\n",
        "adam" | "adamw" | "rmsprop" => "lr = 0.001\n",
        "muon" => "lr = 0.02\n",
        "lbfgs" => "lr = 1\n",
        _ => "lr = 0.05\n",
    };
    let (is_function, has_data) = (args.model == FunctionSpec::KIND, args.data != NoData::KIND);
    if is_function && has_data {
        let message = format!("init --model {} reads no data: use --data {}", args.model, NoData::KIND);
        return Err(Error::input(message));
    }
    let (loss, metrics) = match is_function {
        true => ("output", "\"loss\", \"gap\", \"work\""),
        false => ("half_mse", "\"loss\", \"accuracy\", \"nfa\", \"balance\""),
    };
    let held_out = if has_data { "test = 0.2                # held out, drawn by the seed\n" } else { "" };
    Ok(format!(
        "name = \"first\"            # results go to out/first/\n\
         # claim = \"...\"           # one sentence that the [[expect]] blocks below check\n\
         seed = 0                  # everything random follows from it\n\n\
         [model]\n{model}\n\
         [data]\n{data}{held_out}\n\
         [loss]\nkind = \"{loss}\"\n\n\
         [solver]\n{solver}{lr}steps = 500\n\n\
         [probe]\n\
         at = {{ log = 30 }}         # also {{ every = 100 }} or {{ steps = [0, 10, 500] }}\n\
         metrics = [{metrics}]\n\n\
         # [grid]                  # every combination runs\n\
         # seed = [0, 1, 2]\n\n\
         # [[plot]]                # a figure of its own: the command `explain plot`\n\n\
         [[expect]]                # the command `check` holds the records against these (`explain expect`)\n\
         metric = \"outcome\"\n\
         equals = \"completed\"\n"
    ))
}
