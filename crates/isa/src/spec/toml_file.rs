//! A TOML file with its positions: each field is taken once, and what is left over is a fault.

use super::error::{SpecError, hint, nearest, shorten};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A specification file: its name in messages, and its text.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Source<'a> {
    pub(crate) file: &'a str,
    pub(crate) text: &'a str,
}

impl<'a> Source<'a> {
    /// The line, from 1, of a byte of the text.
    pub(crate) fn line(&self, at: usize) -> usize {
        let upto = self.text.as_bytes().get(..at).unwrap_or(self.text.as_bytes());
        1 + upto.iter().filter(|b| **b == b'\n').count()
    }

    pub(crate) fn fault(&self, at: usize, field: Option<&str>, message: String) -> SpecError {
        SpecError {
            file: self.file.to_owned(),
            line: self.line(at),
            field: field.map(str::to_owned),
            message,
        }
    }

    /// The file's top table.
    pub(crate) fn top(self) -> Result<Table<'a>, SpecError> {
        let parsed = DeTable::parse(self.text).map_err(|e| {
            let at = e.span().map_or(0, |s| s.start);
            self.fault(at, None, format!("the file is not TOML: {}", e.message().replace('\n', ", ")))
        })?;
        Ok(Table { source: self, at: 0, what: "file", taken: parsed.into_inner() })
    }
}

/// A table of which fields are taken.
pub(crate) struct Table<'a> {
    pub(crate) source: Source<'a>,
    /// Where it begins.
    pub(crate) at: usize,
    /// What it is, for messages: `form`, `case`.
    what: &'static str,
    taken: DeTable<'a>,
}

/// A value and where it stands.
#[derive(Clone, Debug)]
pub(crate) struct At<T> {
    pub(crate) value: T,
    pub(crate) at: usize,
}

impl<'a> Table<'a> {
    fn take(&mut self, field: &str) -> Option<Spanned<DeValue<'a>>> {
        let key = self.taken.keys().find(|k| k.get_ref() == field)?.clone();
        self.taken.remove(&key)
    }

    pub(crate) fn fault(&self, field: Option<&str>, message: String) -> SpecError {
        self.source.fault(self.at, field, message)
    }

    fn wrong(&self, at: usize, field: &str, expected: &str, found: &DeValue<'_>) -> SpecError {
        let message = format!("field `{field}`: {expected} is expected, not {}", kind(found));
        self.source.fault(at, Some(field), message)
    }

    /// A text that need not be there.
    pub(crate) fn text(&mut self, field: &str) -> Result<Option<At<String>>, SpecError> {
        let Some(v) = self.take(field) else { return Ok(None) };
        let at = v.span().start;
        match v.into_inner() {
            DeValue::String(s) if !s.trim().is_empty() => Ok(Some(At { value: s.into_owned(), at })),
            DeValue::String(_) => {
                let message = format!("field `{field}`: a text is expected, not an empty one");
                Err(self.source.fault(at, Some(field), message))
            }
            other => Err(self.wrong(at, field, "a text", &other)),
        }
    }

    /// A text that has to be there.
    pub(crate) fn needed(&mut self, field: &str) -> Result<At<String>, SpecError> {
        match self.text(field)? {
            Some(t) => Ok(t),
            None => Err(self.missing(field)),
        }
    }

    pub(crate) fn missing(&self, field: &str) -> SpecError {
        self.fault(Some(field), format!("field `{field}` is missing: every {} needs one", self.what))
    }

    /// true or false.
    pub(crate) fn flag(&mut self, field: &str) -> Result<Option<bool>, SpecError> {
        let Some(v) = self.take(field) else { return Ok(None) };
        let at = v.span().start;
        match v.into_inner() {
            DeValue::Boolean(b) => Ok(Some(b)),
            other => Err(self.wrong(at, field, "true or false", &other)),
        }
    }

    fn array(&mut self, field: &str, of: &str) -> Result<Vec<Spanned<DeValue<'a>>>, SpecError> {
        let Some(v) = self.take(field) else { return Ok(Vec::new()) };
        let at = v.span().start;
        match v.into_inner() {
            DeValue::Array(a) => Ok(a.into_iter().collect()),
            other => Err(self.wrong(at, field, of, &other)),
        }
    }

    /// A list of texts; an absent one is empty.
    pub(crate) fn texts(&mut self, field: &str) -> Result<Vec<At<String>>, SpecError> {
        let expected = "a list of texts";
        let all = self.array(field, expected)?;
        let mut out = Vec::with_capacity(all.len());
        for v in all {
            let at = v.span().start;
            match v.into_inner() {
                DeValue::String(s) => out.push(At { value: s.into_owned(), at }),
                other => return Err(self.wrong(at, field, expected, &other)),
            }
        }
        Ok(out)
    }

    /// The list is there, be it empty.
    pub(crate) fn has(&self, field: &str) -> bool {
        self.taken.keys().any(|k| k.get_ref() == field)
    }

    /// A list of small numbers.
    pub(crate) fn numbers(&mut self, field: &str) -> Result<Vec<At<u8>>, SpecError> {
        let expected = "a list of numbers from 0 to 255";
        let all = self.array(field, expected)?;
        let mut out = Vec::with_capacity(all.len());
        for v in all {
            let at = v.span().start;
            let number = match v.get_ref() {
                DeValue::Integer(i) if i.radix() == 10 => i.as_str().parse().ok(),
                _ => None,
            };
            match number {
                Some(value) => out.push(At { value, at }),
                None => return Err(self.wrong(at, field, expected, v.get_ref())),
            }
        }
        Ok(out)
    }

    /// The tables of `[[field]]`.
    pub(crate) fn tables(&mut self, field: &str, what: &'static str) -> Result<Vec<Table<'a>>, SpecError> {
        let expected = format!("a list of tables, `[[{field}]]`,");
        let all = self.array(field, &expected)?;
        let mut out = Vec::with_capacity(all.len());
        for v in all {
            let at = v.span().start;
            match v.into_inner() {
                DeValue::Table(taken) => out.push(Table { source: self.source, at, what, taken }),
                other => return Err(self.wrong(at, field, &expected, &other)),
            }
        }
        Ok(out)
    }

    /// The table of `[field]`.
    pub(crate) fn table(&mut self, field: &str, what: &'static str) -> Result<Option<Table<'a>>, SpecError> {
        let Some(v) = self.take(field) else { return Ok(None) };
        let at = v.span().start;
        match v.into_inner() {
            DeValue::Table(taken) => Ok(Some(Table { source: self.source, at, what, taken })),
            other => Err(self.wrong(at, field, "a table", &other)),
        }
    }

    /// Nothing may be left; `known` are the fields that there are.
    pub(crate) fn finish(self, known: &[&str]) -> Result<(), SpecError> {
        let Some(key) = self.taken.keys().min_by_key(|k| k.span().start) else { return Ok(()) };
        let name = key.get_ref();
        let near = nearest(name, known.iter().copied());
        let near =
            if near.is_empty() { format!("; one of {} is expected", known.join(", ")) } else { hint(&near) };
        let message = format!("field `{}` is not one of a {}{near}", shorten(name), self.what);
        Err(self.source.fault(key.span().start, Some(name), message))
    }
}

fn kind(v: &DeValue<'_>) -> &'static str {
    match v {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "a number",
        DeValue::Float(_) => "a fraction",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}
