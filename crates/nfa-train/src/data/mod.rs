//! Datasets: one file each, one line each in [`datasets`]; what is common to all is here.

use nfa_models::Registry;

use crate::data::source::Source;

pub mod csv;
pub mod digits;
pub mod idx;
pub mod linear_teacher;
pub mod multi_index;
pub mod none;
pub mod npy;
pub mod preparation;
pub mod red_wine;
pub mod source;
#[cfg(feature = "burn")]
pub mod split;
pub mod two_points;
pub mod written_rows;

/// Every built-in dataset: one line each.
pub fn datasets() -> Registry<dyn Source> {
    Registry::new("dataset")
        .with::<linear_teacher::LinearTeacher>()
        .with::<multi_index::MultiIndex>()
        .with::<two_points::TwoPoints>()
        .with::<digits::Digits>()
        .with::<red_wine::RedWine>()
        .with::<csv::Csv>()
        .with::<idx::Idx>()
        .with::<npy::Npy>()
        .with::<written_rows::WrittenRows>()
        .with::<none::None>()
}
