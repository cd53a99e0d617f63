//! Conformance suites for kinds of one's own: what each must satisfy, checked in one's own tests.

pub mod dataset;
pub mod files;
