//! How results and messages are presented: options, lines on stdout, complaints on stderr.

use std::collections::BTreeMap;
use std::io::{IsTerminal, Write};
use std::sync::{Mutex, PoisonError};

use clap::{Args, ValueEnum};
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::error::Error;
use crate::machine::message::message;

/// How results and messages are presented.
#[derive(Clone, Copy, Debug, Default, Args)]
pub struct Voice {
    /// One JSON object per line on stdout
    #[arg(long, global = true, help_heading = "Presentation")]
    pub json: bool,
    /// Results and errors only
    #[arg(short, long, global = true, conflicts_with = "verbose", help_heading = "Presentation")]
    pub quiet: bool,
    /// Say more
    #[arg(short, long, global = true, help_heading = "Presentation")]
    pub verbose: bool,
    /// When to colour
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto", help_heading = "Presentation")]
    pub color: Color,
}

/// When to colour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal, unless NO_COLOR is set
    #[default]
    Auto,
    /// Also into a pipe
    Always,
    /// Not at all
    Never,
}

impl Voice {
    /// Whether stdout is coloured.
    pub fn colored(self) -> bool {
        match self.color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty()),
        }
    }
}

/// Columns of the terminal.
pub fn terminal_width() -> usize {
    std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok()).unwrap_or(110)
}

/// A line of results. A reader that has seen enough (`| head`) ends the process in peace.
pub fn out(line: &str) {
    let mut stdout = std::io::stdout().lock();
    if let Err(error) = writeln!(stdout, "{line}") {
        if error.kind() == std::io::ErrorKind::BrokenPipe {
            std::process::exit(0);
        }
        message(&format!("error: cannot write to stdout: {error}"));
        std::process::exit(3);
    }
}

/// A line with a JSON object, its schema in front.
pub fn out_json(schema: &str, fields: &impl Serialize) {
    out(&with_schema(schema, fields));
}

fn with_schema(schema: &str, fields: &impl Serialize) -> String {
    let mut object = Map::new();
    object.insert("schema".into(), schema.into());
    if let Ok(Value::Object(fields)) = serde_json::to_value(fields) {
        object.extend(fields);
    }
    Value::Object(object).to_string()
}

/// Why there is no result, on stderr.
pub fn complain(error: &Error, voice: Voice) {
    if voice.json {
        message(&with_schema("nfa.error/1", &json!({ "code": error.exit_code(), "message": error.to_string() })));
    } else {
        message(&format!("error: {error}"));
    }
}

/// Lines of results that may be ready in any order and are printed in theirs.
#[derive(Default)]
pub struct InOrder {
    waiting: Mutex<(usize, BTreeMap<usize, String>)>,
}

impl InOrder {
    /// Takes the line of this index; prints what is next.
    pub fn push(&self, index: usize, line: String) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let (next, lines) = &mut *waiting;
        lines.insert(index, line);
        while let Some(line) = lines.remove(next) {
            out(&line);
            *next += 1;
        }
    }
}
