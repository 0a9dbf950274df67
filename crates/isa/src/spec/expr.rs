//! Boolean expressions over configuration bits: names, `!`, `&`, `|`, parentheses.

use std::fmt;

/// A condition of a case.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Expr {
    /// The bit of that name is set.
    Bit(String),
    /// Not.
    Not(Box<Expr>),
    /// Both.
    And(Box<Expr>, Box<Expr>),
    /// At least one.
    Or(Box<Expr>, Box<Expr>),
}

/// Parentheses and negations may be nested so deep, that no file overflows the stack.
const DEEPEST: usize = 32;
/// The longest expression, in bytes; it also bounds the depth of a chain of `&`.
const LONGEST: usize = 500;

impl Expr {
    /// Reads an expression; `!` binds closest, then `&`, then `|`.
    ///
    /// # Errors
    /// What was expected where, as the end of a sentence.
    pub fn parse(text: &str) -> Result<Expr, String> {
        if text.len() > LONGEST {
            return Err(format!("an expression of at most {LONGEST} bytes is expected"));
        }
        let mut p = Parser { rest: text.trim_start(), depth: 0 };
        let e = p.either()?;
        if p.rest.is_empty() { Ok(e) } else { Err(p.expected("`&`, `|` or the end")) }
    }

    /// The value, where `set` tells whether a bit is set.
    pub fn eval(&self, set: &dyn Fn(&str) -> bool) -> bool {
        match self {
            Expr::Bit(name) => set(name),
            Expr::Not(e) => !e.eval(set),
            Expr::And(a, b) => a.eval(set) && b.eval(set),
            Expr::Or(a, b) => a.eval(set) || b.eval(set),
        }
    }

    /// Every name in the expression.
    pub fn names(&self) -> Vec<&str> {
        match self {
            Expr::Bit(name) => vec![name],
            Expr::Not(e) => e.names(),
            Expr::And(a, b) | Expr::Or(a, b) => {
                let mut all = a.names();
                all.extend(b.names());
                all
            }
        }
    }
}

/// As the files write it.
impl fmt::Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // `|` binds loosest
        let within = |e: &Expr| match e {
            Expr::Or(..) => format!("({e})"),
            _ => e.to_string(),
        };
        match self {
            Expr::Bit(name) => f.write_str(name),
            Expr::Not(e) if matches!(**e, Expr::And(..)) => write!(f, "!({e})"),
            Expr::Not(e) => write!(f, "!{}", within(e)),
            Expr::And(a, b) => write!(f, "{} & {}", within(a), within(b)),
            Expr::Or(a, b) => write!(f, "{a} | {b}"),
        }
    }
}

struct Parser<'a> {
    rest: &'a str,
    depth: usize,
}

impl Parser<'_> {
    fn expected(&self, what: &str) -> String {
        match self.rest.chars().next() {
            None => format!("{what} is expected where it ends"),
            Some(c) => format!("{what} is expected before `{c}`"),
        }
    }

    fn take(&mut self, c: char) -> bool {
        let Some(rest) = self.rest.strip_prefix(c) else { return false };
        self.rest = rest.trim_start();
        true
    }

    fn either(&mut self) -> Result<Expr, String> {
        let mut e = self.both()?;
        while self.take('|') {
            e = Expr::Or(Box::new(e), Box::new(self.both()?));
        }
        Ok(e)
    }

    fn both(&mut self) -> Result<Expr, String> {
        let mut e = self.one()?;
        while self.take('&') {
            e = Expr::And(Box::new(e), Box::new(self.one()?));
        }
        Ok(e)
    }

    fn one(&mut self) -> Result<Expr, String> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(format!(
                "at most {DEEPEST} parentheses and negations within each other are expected"
            ));
        }
        let e = if self.take('!') {
            Expr::Not(Box::new(self.one()?))
        } else if self.take('(') {
            let e = self.either()?;
            if !self.take(')') {
                return Err(self.expected("`)`"));
            }
            e
        } else {
            self.bit()?
        };
        self.depth -= 1;
        Ok(e)
    }

    fn bit(&mut self) -> Result<Expr, String> {
        let end = self.rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(self.rest.len());
        if end == 0 {
            return Err(self.expected("the name of a configuration bit"));
        }
        let (name, rest) = self.rest.split_at(end);
        self.rest = rest.trim_start();
        Ok(Expr::Bit(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str, set: &[&str]) -> bool {
        Expr::parse(text).expect(text).eval(&|n| set.contains(&n))
    }

    #[test]
    fn precedence() {
        assert!(value("A | B & C", &["A"]));
        assert!(!value("(A | B) & C", &["A"]));
        assert!(value("!A & B", &["B"]));
        assert!(!value("!(A | B)", &["B"]));
        assert!(value(" VM&IOPL3 ", &["VM", "IOPL3"]));
        assert!(value("!!A", &["A"]));
    }

    /// What is printed reads back as the same.
    #[test]
    fn printed() {
        for text in
            ["A", "!A", "A & B | C", "(A | B) & !C", "!(A | B)", "!(A & B) | C", "!!A", "A & (B | C & D)"]
        {
            let e = Expr::parse(text).expect(text);
            assert_eq!(e.to_string(), text);
            assert_eq!(Expr::parse(&e.to_string()), Ok(e));
        }
    }

    #[test]
    fn faults() {
        for (text, said) in [
            ("", "is expected where it ends"),
            ("A &", "configuration bit is expected where it ends"),
            ("A B", "expected before `B`"),
            ("(A", "`)`"),
            ("A ü", "expected before `ü`"),
            ("& A", "expected before `&`"),
        ] {
            let e = Expr::parse(text).expect_err(text);
            assert!(e.contains(said), "{text}: {e}");
        }
        assert!(Expr::parse(&"(".repeat(400)).is_err());
        assert!(Expr::parse(&"!".repeat(400)).is_err());
        assert!(Expr::parse(&"A|".repeat(4000)).is_err());
    }
}
