//! What each column of the inputs contributes to the AGOP: for people who choose features by it.
//!
//! diag(AGOP)_j = mean over rows of Σ_k (∂f_k/∂x_j)² (Radhakrishnan, Beaglehole, Pandit and Belkin, 2024).

mod column;
mod figure;
mod words;

pub use column::{Column, Columns, Part};
pub use figure::svg;
pub use words::{json, text};
