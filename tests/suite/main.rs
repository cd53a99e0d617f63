//! End-to-end tests of the workspace, one noun per file.

#![allow(clippy::unwrap_used)] // a test that cannot go on has failed

use nfa_tests::binary;

mod activations;
mod bench;
mod biases;
mod calibration;
mod captures;
mod chance;
mod claims;
mod command_line;
mod coverage;
mod crash;
mod datasets;
mod determinism;
mod engines;
mod equalities;
mod faults;
mod forecast;
mod golden;
mod grids;
mod headings;
mod hostile;
mod intervals;
mod layering;
mod measure;
mod pairs;
mod plots;
mod properties;
mod readings;
mod readme;
mod recurrence;
mod second_order;
mod sites;
mod solvers;
mod starts;
mod stationary;
mod trained;
