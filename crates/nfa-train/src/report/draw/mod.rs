//! Drawing: scales, marks, type and colours. It knows no study.

pub(crate) mod figure;
pub(crate) mod format;
pub(crate) mod style;
pub(crate) mod svg;
