//! The memory of the iteration as a solver's state, and back.

use nfa_models::Parameters;

use crate::minimise::Stop;
use crate::minimise::columns::COLUMNS;
use crate::minimise::memory::Memory;
use crate::train::solver::{State, StateError};
use crate::train::surface::penalised::{flatten, spread};

/// Why an iteration rests, as a number.
const STOPS: [Stop; 4] = [Stop::Gradient, Stop::Curvature, Stop::Rounding, Stop::Budget];
const NUMBERS: [&str; 15] = [
    "iterations",
    "drawn",
    "sigma",
    "rows",
    "rank",
    "value",
    "low",
    "idle",
    "reuse",
    "tried",
    "worst",
    "work",
    "hessians",
    "rests",
    "since",
];

/// What a solver remembers.
#[derive(Clone, Debug, Default)]
pub(super) struct Remembered {
    pub(super) memory: Memory,
    /// The last iteration's columns.
    pub(super) last: [Option<f64>; COLUMNS.len()],
    /// The step from which on it rests.
    pub(super) since: Option<u64>,
}

/// As a state after so many steps, with vectors in the form of `like`.
pub(super) fn to_state(steps: u64, kept: &Remembered, like: &Parameters) -> State {
    if steps == 0 {
        return State::default();
    }
    let memory = &kept.memory;
    let flag = |yes: bool| f64::from(u8::from(yes));
    let stop = memory.rests.and_then(|stop| STOPS.iter().position(|other| *other == stop));
    let values = [
        Some(memory.iterations as f64),
        Some(memory.drawn as f64),
        Some(memory.sigma),
        Some(memory.rows as f64),
        Some(memory.rank as f64),
        memory.value,
        Some(memory.low),
        Some(memory.idle as f64),
        Some(flag(memory.reuse)),
        Some(flag(memory.tried)),
        Some(memory.worst),
        Some(memory.work),
        Some(memory.hessians),
        stop.map(|at| at as f64),
        kept.since.map(|step| step as f64),
    ];
    let own = NUMBERS.into_iter().map(String::from).zip(values);
    let last = COLUMNS.iter().map(|(name, ..)| format!("last.{name}")).zip(kept.last);
    let numbers = own.chain(last).filter_map(|(name, value)| Some((name, value.filter(|v| v.is_finite())?)));
    let guides = memory.history.gradients.iter().enumerate().map(|(k, g)| (format!("g.{k}"), spread(like, g)));
    let escape = memory.escape.iter().map(|direction| ("escape".to_string(), spread(like, direction)));
    State { steps, numbers: numbers.collect(), slots: guides.chain(escape).collect() }
}

/// Back from a state.
pub(super) fn of_state(state: &State) -> Result<Remembered, StateError> {
    let lasts: Vec<String> = COLUMNS.iter().map(|(name, ..)| format!("last.{name}")).collect();
    let known: Vec<&str> = NUMBERS.into_iter().chain(lasts.iter().map(String::as_str)).collect();
    state.expect_numbers(&known)?;
    let mut kept = Remembered::default();
    for (k, (name, values)) in state.slots.iter().enumerate() {
        if name == "escape" {
            kept.memory.escape = Some(flatten(values)?);
        } else if *name == format!("g.{k}") {
            kept.memory.history.gradients.push_back(flatten(values)?);
        } else {
            return Err(StateError::Unexpected(format!("entry {name}")));
        }
    }
    if state.steps == 0 {
        return Ok(kept);
    }
    let need = |name: &str| state.number(name).ok_or_else(|| StateError::Missing(format!("number for {name}")));
    let memory = &mut kept.memory;
    memory.iterations = need("iterations")? as u64;
    memory.drawn = need("drawn")? as u64;
    memory.sigma = need("sigma")?;
    memory.rows = need("rows")? as usize;
    memory.rank = need("rank")? as usize;
    memory.value = Some(need("value")?);
    memory.low = state.number("low").unwrap_or(f64::INFINITY);
    memory.idle = need("idle")? as u64;
    memory.reuse = need("reuse")? != 0.0;
    memory.tried = need("tried")? != 0.0;
    memory.worst = need("worst")?;
    memory.work = need("work")?;
    memory.hessians = need("hessians")?;
    memory.rests = state.number("rests").and_then(|at| STOPS.get(at as usize).copied());
    kept.since = state.number("since").map(|step| step as u64);
    kept.last = std::array::from_fn(|i| state.number(&lasts[i]));
    Ok(kept)
}
