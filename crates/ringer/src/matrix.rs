//! `ringer classify --html`: the matrix of forms by configuration, one page that needs nothing else.

use crate::classify::specification;
use anyhow::Context;
use classify::Class;
use classify::catalogue::catalogue;
use isa::spec::Configuration;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{IsTerminal, Write as _};
use std::path::Path;

const PAGE: &str = include_str!("matrix.html");

/// The columns: what changes verdicts.
const COLUMNS: [&str; 12] = [
    "",
    "IOPL3",
    "UMIP",
    "TSD",
    "PCE",
    "PVI",
    "IOBITMAP",
    "CPUIDFAULT",
    "!OSXSAVE",
    "VM",
    "VM,IOPL3",
    "VM,VME",
];

/// Writes the page.
///
/// # Errors
/// The file cannot be written, or a specification not be used.
pub(crate) fn write(file: &Path, mode: u8) -> anyhow::Result<()> {
    let data = data(mode)?.to_string();
    // a string may not end the script that holds it
    let page = PAGE.replace("@DATA@", &data.replace("</", "<\\/"));
    std::fs::write(file, page).with_context(|| format!("the report's file {}", file.display()))
}

/// A form's row in the making.
#[derive(Default)]
struct Row {
    name: String,
    basis: &'static str,
    cells: Vec<Value>,
}

/// Reasons, each once.
#[derive(Default)]
struct Reasons {
    all: Vec<String>,
    places: BTreeMap<String, usize>,
}

impl Reasons {
    fn place(&mut self, reason: &str) -> usize {
        let Reasons { all, places } = self;
        *places.entry(reason.to_owned()).or_insert_with(|| {
            all.push(reason.to_owned());
            all.len() - 1
        })
    }
}

fn data(mode: u8) -> anyhow::Result<Value> {
    let isa = specification(mode)?;
    let columns: Vec<&str> = COLUMNS.into_iter().filter(|c| mode == 16 || !c.contains("VM")).collect();
    let mut rows: BTreeMap<usize, Row> = BTreeMap::new();
    let mut codes: BTreeMap<usize, String> = BTreeMap::new();
    let mut reasons = Reasons::default();
    for (n, column) in columns.iter().enumerate() {
        progress(n, columns.len());
        let configuration = Configuration::parse(&isa, column).map_err(anyhow::Error::new)?;
        for entry in catalogue(&isa, &configuration, mode, &|_| true) {
            let key = entry.code as usize;
            codes.entry(key).or_insert_with(|| format!("{:?}", entry.code));
            let row = rows.entry(key).or_default();
            (row.name, row.basis) = (entry.form.name.clone(), entry.basis.name());
            row.cells.push(cell(entry.class, &entry.case.reason, &mut reasons));
        }
    }
    progress(columns.len(), columns.len());
    let row = |(key, r): (usize, Row)| json!({"code": codes.get(&key), "name": r.name, "basis": r.basis, "cells": r.cells});
    let titles: Vec<&str> = columns.iter().map(|c| if c.is_empty() { "plain" } else { c }).collect();
    let rows: Vec<Value> = rows.into_iter().map(row).collect();
    Ok(json!({"mode": mode, "columns": titles, "rows": rows, "reasons": reasons.all}))
}

/// Class letter, what is shown, and the reason's place.
fn cell(class: Class, reason: &str, reasons: &mut Reasons) -> Value {
    let letter = match (class.privileged, class.sensitive()) {
        (true, _) => "p",
        (false, true) => "s",
        (false, false) => "i",
    };
    let kinds = [("C", class.control), ("L", class.location), ("M", class.mode), ("u", class.user)];
    let text: String = kinds.iter().filter(|(_, has)| *has).map(|(name, _)| *name).collect();
    let why = if letter == "i" { Value::Null } else { reasons.place(reason).into() };
    json!([letter, text, why])
}

/// Tells on a terminal how far it is.
fn progress(done: usize, of: usize) {
    let mut err = std::io::stderr();
    if err.is_terminal() {
        let end = if done == of { "\r\x1b[K".to_owned() } else { format!("\r{done} of {of} configurations") };
        // a terminal that has gone does not matter
        let _ = write!(err, "{end}");
    }
}
