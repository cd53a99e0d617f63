//! One suite for every backend of the build, in every dtype that it computes in.
//!
//! `cargo test --workspace --test devices` has the backends of the processor; with `--features wgpu`
//! (or vulkan, cuda) there is one more. A backend that is compiled in and finds no card fails: it is
//! left out by name alone, `NFA_SKIP_DEVICES=wgpu`. With `-- --nocapture` the worst errors are told;
//! docs/devices.md has them.

#![allow(clippy::unwrap_used)] // a test that cannot go on has failed
#![allow(clippy::print_stdout)] // how close it came is a result, too

mod agop;
mod laws;
mod place;
mod refusals;
mod resume;
mod solvers;

use place::places;

#[test]
fn agops_are_those_of_numpy_on_both_paths() {
    places().iter().for_each(agop::numpy);
}

#[test]
fn agops_of_every_activation_and_option_are_those_of_flex_in_f64() {
    places().iter().filter(|place| !place.is_reference()).for_each(agop::flex);
}

#[test]
fn laws_are_judged_as_in_f64() {
    places().iter().for_each(laws::judged);
}

#[test]
fn losses_and_their_gradients_are_those_of_flex_in_f64() {
    places().iter().filter(|place| !place.is_reference()).for_each(solvers::losses_and_gradients);
}

#[test]
fn ten_steps_of_every_solver_are_those_of_numpy() {
    places().iter().for_each(solvers::ten_steps);
}

#[test]
fn a_run_that_died_ends_with_the_same_bytes() {
    places().iter().for_each(resume::after_death);
}
