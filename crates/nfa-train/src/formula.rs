//! Formulas of expectations: numbers, + - * / ^, parentheses, exp, sqrt, and named variables.

use std::fmt;

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
    Function(Function, Box<Node>),
    Binary(char, Box<Node>, Box<Node>),
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Function {
    Exp,
    Sqrt,
}

/// The variables that a formula may name: depth, layer from 1, learning rate, weight decay, and the
/// step (under gradient flow the time).
pub const VARIABLES: [&str; 5] = ["L", "l", "lr", "lambda", "t"];

impl Formula {
    /// Reads a formula.
    ///
    /// # Errors
    /// What is wrong and at which character.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut parser = Parser { chars: text.chars().collect(), at: 0 };
        let root = parser.sum()?;
        parser.space();
        match parser.peek() {
            None => Ok(Formula { text: text.to_string(), root }),
            Some(c) => Err(format!("`{text}`: unexpected `{c}` at character {}", parser.at + 1)),
        }
    }

    /// Its value; `None` where a variable has none.
    pub fn value(&self, variable: &dyn Fn(&str) -> Option<f64>) -> Option<f64> {
        self.root.value(variable)
    }
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
            Node::Function(Function::Exp, node) => node.value(variable)?.exp(),
            Node::Function(Function::Sqrt, node) => node.value(variable)?.sqrt(),
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
}

struct Parser {
    chars: Vec<char>,
    at: usize,
}

impl Parser {
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

    fn sum(&mut self) -> Result<Node, String> {
        let mut left = self.product()?;
        while let Some(operator) = self.take(&['+', '-']) {
            left = Node::Binary(operator, Box::new(left), Box::new(self.product()?));
        }
        Ok(left)
    }

    fn product(&mut self) -> Result<Node, String> {
        let mut left = self.signed()?;
        while let Some(operator) = self.take(&['*', '/']) {
            left = Node::Binary(operator, Box::new(left), Box::new(self.signed()?));
        }
        Ok(left)
    }

    fn signed(&mut self) -> Result<Node, String> {
        match self.take(&['-', '+']) {
            Some('-') => Ok(Node::Negative(Box::new(self.signed()?))),
            Some(_) => self.signed(),
            None => self.power(),
        }
    }

    fn power(&mut self) -> Result<Node, String> {
        let base = self.atom()?;
        match self.take(&['^']) {
            Some(_) => Ok(Node::Binary('^', Box::new(base), Box::new(self.signed()?))),
            None => Ok(base),
        }
    }

    fn atom(&mut self) -> Result<Node, String> {
        if self.take(&['(']).is_some() {
            let inside = self.sum()?;
            return match self.take(&[')']) {
                Some(_) => Ok(inside),
                None => Err(format!("`{}`: a parenthesis is not closed", self.chars.iter().collect::<String>())),
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
            let text: String = self.chars.iter().collect();
            return Err(format!(
                "`{text}`: a number, a variable or a parenthesis is missing at character {}",
                start + 1
            ));
        }
        if let Ok(value) = word.parse::<f64>()
            && word.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        {
            return Ok(Node::Number(value));
        }
        let function = match word.as_str() {
            "exp" => Function::Exp,
            "sqrt" => Function::Sqrt,
            name if VARIABLES.contains(&name) => return Ok(Node::Variable(word)),
            _ => return Err(format!("unknown name `{word}`; known: {}, exp, sqrt", VARIABLES.join(", "))),
        };
        if self.take(&['(']).is_none() {
            return Err(format!("`{word}` takes its argument in parentheses"));
        }
        self.at -= 1;
        Ok(Node::Function(function, Box::new(self.atom()?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str) -> f64 {
        let variables = |name: &str| match name {
            "L" => Some(4.0),
            "lr" => Some(0.02),
            "lambda" => Some(0.5),
            "t" => Some(3.0),
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
    }

    #[test]
    fn mistakes_are_named() {
        for (text, part) in [
            ("1/M", "unknown name `M`"),
            ("(1", "not closed"),
            ("1 2", "unexpected `2`"),
            ("", "missing"),
            ("exp 2", "parentheses"),
        ] {
            let error = Formula::parse(text).expect_err("must be refused");
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
