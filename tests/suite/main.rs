//! End-to-end tests of the workspace, one noun per file.

#![allow(clippy::unwrap_used)] // a test that cannot go on has failed

mod calibration;
mod golden;
mod properties;
