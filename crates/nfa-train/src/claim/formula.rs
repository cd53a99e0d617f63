//! Formulas of expectations and plots: numbers, + - * / ^, parentheses, functions, variables, keys.

use std::f64::consts::PI;
use std::fmt;

use nfa_models::spec_error::closest;

use crate::keys::RUN_KEYS;

/// A parsed formula.
#[derive(Clone, Debug, PartialEq)]
pub struct Formula {
    text: String,
    root: Node,
}

#[derive(Clone, Debug, PartialEq)]
enum Node {
    Number(f64),
    Variable(String),
    Negative(Box<Node>),
    Call(Function, Vec<Node>),
    Binary(char, Box<Node>, Box<Node>),
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Function {
    Exp,
    Log,
    Sqrt,
    Abs,
    Min,
    Max,
}

/// Name, function, number of arguments.
const FUNCTIONS: [(&str, Function, usize); 6] = [
    ("exp", Function::Exp, 1),
    ("log", Function::Log, 1),
    ("sqrt", Function::Sqrt, 1),
    ("abs", Function::Abs, 1),
    ("min", Function::Min, 2),
    ("max", Function::Max, 2),
];

/// The variables that a formula may name, beside the keys of a run: depth, layer from 1, learning
/// rate, weight decay, and the step (under gradient flow the time).
pub const VARIABLES: [&str; 5] = ["L", "l", "lr", "lambda", "t"];

impl Formula {
    /// Reads a formula of [`VARIABLES`] and keys.
    ///
    /// # Errors
    /// What is wrong and at which character.
    pub fn parse(text: &str) -> Result<Self, FormulaError> {
        Formula::parse_with(text, &[])
    }

    /// The same with more variables, such as a plot's `x`.
    ///
    /// # Errors
    /// As [`Formula::parse`].
    pub fn parse_with(text: &str, more: &[&str]) -> Result<Self, FormulaError> {
        let mut parser = Parser { chars: text.chars().collect(), at: 0, more };
        let root = parser.sum()?;
        parser.space();
        match parser.peek() {
            None => Ok(Formula { text: text.to_string(), root }),
            Some(c) => Err(FormulaError::Unexpected(text.to_string(), c, parser.at + 1)),
        }
    }

    /// Its value; `None` where a variable has none.
    pub fn value(&self, variable: &dyn Fn(&str) -> Option<f64>) -> Option<f64> {
        self.root.value(variable)
    }

    /// Every variable and key that it names, each once.
    pub fn names(&self) -> Vec<&str> {
        let mut names = Vec::new();
        self.root.names(&mut names);
        names
    }

    /// The keys of a run among its names.
    pub fn keys(&self) -> Vec<&str> {
        self.names().into_iter().filter(|name| is_key(name)).collect()
    }
}

/// Whether a name is a key of a run's configuration, as far as its form tells.
fn is_key(name: &str) -> bool {
    let section = name.split('.').next().unwrap_or(name);
    name == "seed" || (name.contains('.') && RUN_KEYS.contains(&section))
}

impl fmt::Display for Formula {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Node {
    fn value(&self, variable: &dyn Fn(&str) -> Option<f64>) -> Option<f64> {
        Some(match self {
            Node::Number(value) => *value,
            Node::Variable(name) => variable(name)?,
            Node::Negative(node) => -node.value(variable)?,
            Node::Call(function, arguments) => {
                let values: Vec<f64> = arguments.iter().map(|node| node.value(variable)).collect::<Option<_>>()?;
                function.of(&values)
            }
            Node::Binary(operator, left, right) => {
                let (a, b) = (left.value(variable)?, right.value(variable)?);
                match operator {
                    '+' => a + b,
                    '-' => a - b,
                    '*' => a * b,
                    '/' => a / b,
                    _ => a.powf(b),
                }
            }
        })
    }

    fn names<'a>(&'a self, names: &mut Vec<&'a str>) {
        match self {
            Node::Number(_) => {}
            Node::Variable(name) if names.contains(&name.as_str()) => {}
            Node::Variable(name) => names.push(name),
            Node::Negative(node) => node.names(names),
            Node::Call(_, arguments) => arguments.iter().for_each(|node| node.names(names)),
            Node::Binary(_, left, right) => {
                left.names(names);
                right.names(names);
            }
        }
    }
}

impl Function {
    fn of(self, values: &[f64]) -> f64 {
        // What is undefined stays so: f64::min would drop a NaN.
        let pick = |choose: fn(f64, f64) -> f64| match values {
            [a, b] if !a.is_nan() && !b.is_nan() => choose(*a, *b),
            _ => f64::NAN,
        };
        let only = values.first().copied().unwrap_or(f64::NAN);
        match self {
            Function::Exp => only.exp(),
            Function::Log => only.ln(),
            Function::Sqrt => only.sqrt(),
            Function::Abs => only.abs(),
            Function::Min => pick(f64::min),
            Function::Max => pick(f64::max),
        }
    }
}

struct Parser<'a> {
    chars: Vec<char>,
    at: usize,
    more: &'a [&'a str],
}

impl Parser<'_> {
    fn peek(&self) -> Option<char> {
        self.chars.get(self.at).copied()
    }

    fn space(&mut self) {
        while self.peek().is_some_and(char::is_whitespace) {
            self.at += 1;
        }
    }

    fn take(&mut self, any: &[char]) -> Option<char> {
        self.space();
        let c = self.peek().filter(|c| any.contains(c))?;
        self.at += 1;
        Some(c)
    }

    fn sum(&mut self) -> Result<Node, FormulaError> {
        let mut left = self.product()?;
        while let Some(operator) = self.take(&['+', '-']) {
            left = Node::Binary(operator, Box::new(left), Box::new(self.product()?));
        }
        Ok(left)
    }

    fn product(&mut self) -> Result<Node, FormulaError> {
        let mut left = self.signed()?;
        while let Some(operator) = self.take(&['*', '/']) {
            left = Node::Binary(operator, Box::new(left), Box::new(self.signed()?));
        }
        Ok(left)
    }

    fn signed(&mut self) -> Result<Node, FormulaError> {
        match self.take(&['-', '+']) {
            Some('-') => Ok(Node::Negative(Box::new(self.signed()?))),
            Some(_) => self.signed(),
            None => self.power(),
        }
    }

    fn power(&mut self) -> Result<Node, FormulaError> {
        let base = self.atom()?;
        match self.take(&['^']) {
            Some(_) => Ok(Node::Binary('^', Box::new(base), Box::new(self.signed()?))),
            None => Ok(base),
        }
    }

    fn atom(&mut self) -> Result<Node, FormulaError> {
        if self.take(&['(']).is_some() {
            let inside = self.sum()?;
            return match self.take(&[')']) {
                Some(_) => Ok(inside),
                None => Err(FormulaError::Open(self.text())),
            };
        }
        self.space();
        let start = self.at;
        while self.peek().is_some_and(|c| {
            let exponent_sign = matches!(c, '+' | '-')
                && self.at > start
                && matches!(self.chars[self.at - 1], 'e' | 'E')
                && self.chars[start].is_ascii_digit();
            c.is_alphanumeric() || c == '.' || c == '_' || exponent_sign
        }) {
            self.at += 1;
        }
        let word: String = self.chars[start..self.at].iter().collect();
        if word.is_empty() {
            return Err(FormulaError::Missing(self.text(), start + 1));
        }
        if let Ok(value) = word.parse::<f64>()
            && word.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        {
            return Ok(Node::Number(value));
        }
        if word == "pi" {
            return Ok(Node::Number(PI));
        }
        if VARIABLES.contains(&word.as_str()) || self.more.contains(&word.as_str()) || is_key(&word) {
            return Ok(Node::Variable(word));
        }
        match FUNCTIONS.iter().find(|(name, ..)| *name == word) {
            Some((name, function, arity)) => self.call(name, *function, *arity),
            None => Err(self.unknown(word)),
        }
    }

    fn call(&mut self, name: &'static str, function: Function, arity: usize) -> Result<Node, FormulaError> {
        if self.take(&['(']).is_none() {
            return Err(FormulaError::Bare(name, arity));
        }
        let mut arguments = vec![self.sum()?];
        while self.take(&[',']).is_some() {
            arguments.push(self.sum()?);
        }
        if self.take(&[')']).is_none() {
            return Err(FormulaError::Open(self.text()));
        }
        if arguments.len() != arity {
            return Err(FormulaError::Arguments(name, arity, arguments.len()));
        }
        Ok(Node::Call(function, arguments))
    }

    fn text(&self) -> String {
        self.chars.iter().collect()
    }

    fn unknown(&self, word: String) -> FormulaError {
        if let Some((section, rest)) = word.split_once('.') {
            let meant = closest(section, RUN_KEYS).map(|section| format!("{section}.{rest}"));
            return FormulaError::UnknownKey(word, meant);
        }
        let functions = FUNCTIONS.iter().map(|(name, ..)| *name);
        let known: Vec<&str> =
            VARIABLES.into_iter().chain(self.more.iter().copied()).chain(["pi"]).chain(functions).collect();
        let meant = closest(&word, known.iter().copied());
        FormulaError::UnknownName(word, known.join(", "), meant)
    }
}

/// Why a text is no formula.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FormulaError {
    /// The text, and a character that cannot stand at this place of it, counted from 1.
    Unexpected(String, char, usize),
    /// The text, and the place at which nothing stands.
    Missing(String, usize),
    /// The text, in which a parenthesis is not closed.
    Open(String),
    /// A function without parentheses, and how many arguments it takes.
    Bare(&'static str, usize),
    /// A function, how many arguments it takes, and how many it was given.
    Arguments(&'static str, usize, usize),
    /// A key of no section, and what may have been meant.
    UnknownKey(String, Option<String>),
    /// A name, the known ones, and what may have been meant.
    UnknownName(String, String, Option<String>),
}

impl fmt::Display for FormulaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let s = |arity: &usize| if *arity == 1 { "" } else { "s" };
        let meant = |meant: &Option<String>| {
            meant.as_ref().map_or_else(String::new, |meant| format!("; did you mean `{meant}`?"))
        };
        match self {
            Self::Unexpected(text, c, at) => write!(f, "`{text}`: unexpected `{c}` at character {at}"),
            Self::Missing(text, at) => {
                write!(f, "`{text}`: a number, a variable or a parenthesis is missing at character {at}")
            }
            Self::Open(text) => write!(f, "`{text}`: a parenthesis is not closed"),
            Self::Bare(name, arity) => write!(f, "`{name}` takes its argument{} in parentheses", s(arity)),
            Self::Arguments(name, arity, given) => {
                write!(f, "`{name}` takes {arity} argument{}, not {given}", s(arity))
            }
            Self::UnknownKey(key, near) => {
                let section = key.split('.').next().unwrap_or_default();
                write!(f, "unknown key `{key}`: no section `{section}`{}", meant(near))
            }
            Self::UnknownName(name, known, near) => {
                write!(f, "unknown name `{name}`; known: {known}, and keys like model.width{}", meant(near))
            }
        }
    }
}

impl std::error::Error for FormulaError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str) -> f64 {
        let variables = |name: &str| match name {
            "L" => Some(4.0),
            "lr" => Some(0.02),
            "lambda" => Some(0.5),
            "t" => Some(3.0),
            "data.ratio" => Some(2.0),
            _ => None,
        };
        Formula::parse(text).expect("a formula").value(&variables).expect("every variable has a value")
    }

    #[test]
    fn precedence_and_functions() {
        assert_eq!(value("1/L"), 0.25);
        assert_eq!(value("2+3*4^2^0.5"), 2.0 + 3.0 * 4f64.powf(2f64.powf(0.5)));
        assert_eq!(value("-2^2"), -4.0);
        assert_eq!(value("8/4/2 - 1 - 1"), -1.0);
        assert_eq!(value("(1-lr*lambda)^(2*t)"), 0.99f64.powf(6.0));
        assert_eq!(value("exp(-2*lambda*t) * sqrt(4)"), (-3f64).exp() * 2.0);
        assert_eq!(value("1e-3 + 2E+1"), 20.001);
        assert_eq!(value("abs(1 - 3) + log(exp(2)) + min(1, 2) * max(L, 1/L)"), 8.0);
        assert_eq!(value("2*pi*data.ratio"), 4.0 * PI);
        assert!(value("min(log(-1), 1)").is_nan());
    }

    #[test]
    fn mistakes_are_named() {
        for (text, part) in [
            ("1/M", "unknown name `M`"),
            ("(1", "not closed"),
            ("1 2", "unexpected `2`"),
            ("", "missing"),
            ("exp 2", "parentheses"),
            ("min(1)", "takes 2 arguments, not 1"),
            ("max(1, 2", "not closed"),
            ("lambdaa", "did you mean `lambda`?"),
            ("dta.ratio", "did you mean `data.ratio`?"),
            ("x", "unknown name `x`"),
        ] {
            let error = Formula::parse(text).expect_err("must be refused").to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
