//! What the test targets share: `suite`, `devices` and `memory` beside this folder.

#![allow(clippy::unwrap_used)] // a test that cannot go on has failed

pub mod binary;
pub mod golden;
