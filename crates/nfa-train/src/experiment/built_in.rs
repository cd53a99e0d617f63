//! Experiments that are part of the binary.

/// Name and text of each.
pub const BUILT_IN: [(&str, &str); 1] = [("depth_law", include_str!("../../experiments/depth_law.toml"))];
