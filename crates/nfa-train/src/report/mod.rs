//! The report: one page that answers, shows and lets check; the same figures as files.
//!
//! A pure function of records: the page is complete without a network, without scripts and without
//! any other file. Grey is theory, colour is measurement, hollow is null.

mod answer;
mod definitions;
pub(crate) mod draw;
pub(crate) mod figures;
mod page;
mod reproduce;
pub(crate) mod tables;

pub use page::{figures, html};
pub use tables::checks::text as checks_text;
pub use tables::terminal::text;
