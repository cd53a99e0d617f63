//! `init`: a first experiment file.

use nfa_models::Registry;
use nfa_models::spec::Component;

use crate::cli::InitArgs;
use crate::cli::explain::table;
use crate::error::{Error, Result};
use crate::registries::Registries;

/// A commented experiment file that runs as printed.
///
/// # Errors
/// An unknown kind, with what it may have meant.
pub fn starter(args: &InitArgs, registries: &Registries) -> Result<String> {
    let InitArgs { model, solver, data } = args;
    fn check<T: ?Sized + Component>(option: &str, registry: &Registry<T>, kind: &str) -> Result<String> {
        let known = || registry.entries().iter().map(|entry| entry.kind);
        if known().any(|known| known == kind) {
            return Ok(table(registry, kind));
        }
        let error = nfa_models::SpecError::unknown("", "kind", kind, known());
        Err(Error::input(format!("init --{option}: {error}")))
    }
    let (model, data) = (check("model", &registries.models, model)?, check("data", &registries.data, data)?);
    let lr = match solver.as_str() {
        "adam" | "adamw" | "rmsprop" => 0.001,
        "muon" => 0.02,
        "lbfgs" => 1.0,
        _ => 0.05,
    };
    let solver = check("solver", &registries.solvers, solver)?;
    Ok(format!(
        "name = \"first\"            # results go to out/first/\n\
         # claim = \"...\"           # one sentence that the [[expect]] blocks below check\n\
         seed = 0                  # everything random follows from it\n\n\
         [model]\n{model}\n\
         [data]\n{data}test = 0.2                # held out, drawn by the seed\n\n\
         [loss]\nkind = \"half_mse\"\n\n\
         [solver]\n{solver}lr = {lr}\nsteps = 500\n\n\
         [probe]\n\
         at = {{ log = 30 }}         # also {{ every = 100 }} or {{ steps = [0, 10, 500] }}\n\
         metrics = [\"loss\", \"accuracy\", \"nfa\", \"balance\"]\n\n\
         # [grid]                  # every combination runs\n\
         # seed = [0, 1, 2]\n\n\
         # [[plot]]                # a figure of its own: the command `explain plot`\n\n\
         [[expect]]                # the command `check` holds the records against these\n\
         metric = \"outcome\"\n\
         equals = \"completed\"\n"
    ))
}
