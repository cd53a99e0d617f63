//! Lines for a person.

use std::io::Write;

/// A line on stderr. Where no one reads it any more, the work goes on (`eprintln!` would panic).
pub fn message(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}
