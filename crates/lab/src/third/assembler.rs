//! An assembler for the third generation machine.
//!
//! A line is `label: OPERATION operand ; comment`, each part of which may be missing. An operand is a number, a label
//! or `label+number`. `.word n` is a word, `.space n` are so many, `.psw m p l b` is a PSW and `.rel l b` an R.

use super::{Format, Instruction, Mode, Op, Psw, Relocation, Word};
use std::collections::HashMap;

/// Why a line is none.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("line {line}: {what}: {text}")]
pub struct AssemblyError {
    /// The line.
    pub line: usize,
    /// What is wrong.
    pub what: &'static str,
    /// Its text.
    pub text: String,
}

/// Words, from address 0 on, and where the labels are.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Assembly {
    /// The words.
    pub words: Vec<Word>,
    /// The labels' addresses.
    pub labels: HashMap<String, Word>,
}

impl Assembly {
    /// A label's address.
    pub fn at(&self, label: &str) -> Option<usize> {
        self.labels.get(label).map(|&at| at as usize)
    }
}

/// A line without label and comment.
struct Line<'a> {
    number: usize,
    text: &'a str,
}

impl Line<'_> {
    fn error(&self, what: &'static str) -> AssemblyError {
        AssemblyError { line: self.number, what, text: self.text.to_owned() }
    }

    fn size(&self, known: &HashMap<String, Word>) -> Result<usize, AssemblyError> {
        let mut parts = self.text.split_whitespace();
        match parts.next() {
            None => Ok(0),
            Some(".space") => Ok(self.value(parts.next(), known)? as usize),
            Some(_) => Ok(1),
        }
    }

    /// A number, a label, or a label and a number.
    fn value(&self, text: Option<&str>, labels: &HashMap<String, Word>) -> Result<Word, AssemblyError> {
        let text = text.ok_or_else(|| self.error("an operand is missing"))?;
        let (base, offset) = text.split_once('+').unwrap_or((text, "0"));
        let number = |t: &str| match t.strip_prefix("0x") {
            Some(hex) => Word::from_str_radix(hex, 16).ok(),
            None => t.parse().ok(),
        };
        let base = number(base).or_else(|| labels.get(base).copied());
        let sum = base.zip(number(offset)).map(|(a, b)| a.wrapping_add(b));
        sum.ok_or_else(|| self.error("neither a number nor a label"))
    }

    fn words(&self, labels: &HashMap<String, Word>) -> Result<Vec<Word>, AssemblyError> {
        let mut parts = self.text.split_whitespace();
        let Some(name) = parts.next() else { return Ok(Vec::new()) };
        let mut next = || self.value(parts.next(), labels);
        let f = Format::FULL;
        Ok(match name {
            ".word" => vec![next()?],
            ".space" => vec![0; next()? as usize],
            ".rel" => vec![Relocation { l: next()?, b: next()? }.pack(f)],
            ".psw" => {
                let mode = if self.text.contains(" u ") { Mode::User } else { Mode::Supervisor };
                let mut rest = self.text.split_whitespace().skip(2);
                let mut next = || self.value(rest.next(), labels);
                let p = next()?;
                vec![Psw { mode, p, r: Relocation { l: next()?, b: next()? } }.pack(f, None)]
            }
            _ => {
                let op = Op::ALL.into_iter().find(|o| o.name() == name);
                let op = op.ok_or_else(|| self.error("no such operation"))?;
                let a = if op.has_operand() { next()? } else { 0 };
                vec![Instruction::new(op, a).encode()]
            }
        })
    }
}

/// Assembles a text; `given` are labels that it may use besides its own.
///
/// # Errors
/// The first line that is none.
pub fn assemble(text: &str, given: &[(&str, Word)]) -> Result<Assembly, AssemblyError> {
    let mut labels: HashMap<String, Word> = given.iter().map(|(n, v)| ((*n).to_owned(), *v)).collect();
    let mut lines = Vec::new();
    let mut at = 0;
    for (n, line) in text.lines().enumerate() {
        let code = line.split(';').next().unwrap_or("");
        let (label, text) = match code.split_once(':') {
            Some((label, rest)) => (Some(label.trim()), rest.trim()),
            None => (None, code.trim()),
        };
        let line = Line { number: n + 1, text };
        if let Some(label) = label
            && labels.insert(label.to_owned(), at).is_some()
        {
            return Err(line.error("the label is there already"));
        }
        at += line.size(&labels)? as Word;
        lines.push(line);
    }
    let mut words = Vec::with_capacity(at as usize);
    for line in &lines {
        words.extend(line.words(&labels)?);
    }
    Ok(Assembly { words, labels })
}
