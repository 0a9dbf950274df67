//! Mutants of a specification file: one condition, flag or kind of a case is another.

use isa::spec::{Expr, Kind};

/// A file with one change.
#[derive(Clone, Debug)]
pub(crate) struct Edit {
    /// The form's name in the file.
    pub(crate) form: String,
    /// The line of the form's head, from 1.
    pub(crate) line: usize,
    /// The number of the case, from 1; 0 for what is said of all of them.
    pub(crate) case: usize,
    pub(crate) change: String,
    pub(crate) text: String,
}

/// `key = value` of a line.
#[derive(Clone)]
struct Field {
    line: usize,
    key: String,
    value: String,
}

/// A form: its line, its own fields, and those of its cases.
struct Row {
    line: usize,
    own: Vec<Field>,
    cases: Vec<Vec<Field>>,
}

fn rows(text: &str) -> Vec<Row> {
    let mut all: Vec<Row> = Vec::new();
    let mut in_form = false;
    for (line, content) in text.lines().enumerate() {
        match content.trim() {
            "[[form]]" => {
                in_form = true;
                all.push(Row { line, own: Vec::new(), cases: Vec::new() });
            }
            "[[form.case]]" => all.last_mut().unwrap().cases.push(Vec::new()),
            head if head.starts_with("[[") => in_form = false,
            content if in_form && !content.starts_with('#') => {
                let Some((key, value)) = content.split_once(" = ") else { continue };
                let field = Field { line, key: key.to_owned(), value: value.to_owned() };
                let row = all.last_mut().unwrap();
                row.cases.last_mut().unwrap_or(&mut row.own).push(field);
            }
            _ => {}
        }
    }
    all
}

fn field<'a>(fields: &'a [Field], key: &str) -> Option<&'a Field> {
    fields.iter().find(|f| f.key == key)
}

fn quoted(value: &str) -> &str {
    value.trim_matches('"')
}

/// Every mutant of a file.
pub(crate) fn edits(text: &str) -> Vec<Edit> {
    let mut all = Vec::new();
    for row in rows(text) {
        let name = quoted(&field(&row.own, "name").unwrap().value).to_owned();
        let mut add = |case: usize, change: String, text: String| {
            all.push(Edit { form: name.clone(), line: row.line + 1, case, change, text });
        };
        if let Some(modified) = field(&row.own, "modified") {
            conditions(text, modified).into_iter().for_each(|(change, text)| add(0, change, text));
        }
        for (n, case) in row.cases.iter().enumerate() {
            if let Some(when) = field(case, "when") {
                conditions(text, when).into_iter().for_each(|(change, text)| add(n + 1, change, text));
            }
            verdicts(text, case).into_iter().for_each(|(change, text)| add(n + 1, change, text));
            if let Some(next) = row.cases.get(n + 1) {
                neighbours(text, case, next).into_iter().for_each(|(change, text)| add(n + 1, change, text));
            }
        }
    }
    all
}

/// The file with other lines in the place of some; an empty one is none.
fn with(text: &str, lines: &[(usize, String)]) -> String {
    let mut out = String::new();
    for (n, old) in text.lines().enumerate() {
        let new = lines.iter().find(|(line, _)| *line == n).map_or(old, |(_, new)| new.as_str());
        if !new.is_empty() || old.is_empty() {
            out += new;
            out.push('\n');
        }
    }
    out
}

/// A condition that always holds, the opposite, and each bit left out or turned.
fn conditions(text: &str, when: &Field) -> Vec<(String, String)> {
    let e = Expr::parse(quoted(&when.value)).unwrap();
    let mut all = vec![
        (format!("{}: always", when.key), format!("({e}) | !({e})")),
        (format!("{}: not", when.key), format!("!({e})")),
    ];
    for n in 0..e.names().len() {
        let bit = format!("{}{}", e.names()[n], if n == 0 { String::new() } else { format!("#{}", n + 1) });
        let turned = turn(&e, &mut n.clone());
        all.push((format!("{}: not {bit}", when.key), turned.to_string()));
        if let Some(rest) = leave_out(&e, &mut n.clone()) {
            all.push((format!("{}: without {bit}", when.key), rest.to_string()));
        }
    }
    let line = |e: &str| with(text, &[(when.line, format!("{} = \"{e}\"", when.key))]);
    all.into_iter().map(|(change, e)| (change, line(&e))).collect()
}

/// The `n`-th bit negated.
fn turn(e: &Expr, n: &mut usize) -> Expr {
    let boxed = |e: &Expr, n: &mut usize| Box::new(turn(e, n));
    match e {
        Expr::Bit(_) => {
            let hit = *n == 0;
            *n = n.wrapping_sub(1);
            if hit { Expr::Not(Box::new(e.clone())) } else { e.clone() }
        }
        Expr::Not(a) => Expr::Not(boxed(a, n)),
        Expr::And(a, b) => Expr::And(boxed(a, n), boxed(b, n)),
        Expr::Or(a, b) => Expr::Or(boxed(a, n), boxed(b, n)),
    }
}

/// The expression without the `n`-th bit; none is left if it was the only one.
fn leave_out(e: &Expr, n: &mut usize) -> Option<Expr> {
    match e {
        Expr::Bit(_) => {
            let hit = *n == 0;
            *n = n.wrapping_sub(1);
            (!hit).then(|| e.clone())
        }
        Expr::Not(a) => leave_out(a, n).map(|a| Expr::Not(Box::new(a))),
        Expr::And(a, b) | Expr::Or(a, b) => match (leave_out(a, n), leave_out(b, n)) {
            (Some(x), Some(y)) if matches!(e, Expr::And(..)) => Some(Expr::And(Box::new(x), Box::new(y))),
            (Some(x), Some(y)) => Some(Expr::Or(Box::new(x), Box::new(y))),
            (one, other) => one.or(other),
        },
    }
}

/// Privilege, kinds, and user sensitivity otherwise; what the loader asks for besides is there.
fn verdicts(text: &str, case: &[Field]) -> Vec<(String, String)> {
    let privileged = field(case, "privileged").unwrap();
    let is = privileged.value == "true";
    let user = field(case, "user_sensitive");
    let mut lines = vec![(privileged.line, format!("privileged = {}\n{}", !is, missing(case, is)))];
    if let Some(user) = user.filter(|_| !is) {
        lines.push((user.line, "user_sensitive = false".to_owned()));
    }
    let mut all = vec![("privileged".to_owned(), with(text, &lines))];
    all.extend(kinds(text, case));
    let turned = match user {
        Some(user) => (user.line, format!("user_sensitive = {}", user.value != "true")),
        None => (privileged.line, format!("privileged = {is}\nuser_sensitive = true")),
    };
    all.push(("user_sensitive".to_owned(), with(text, &[turned])));
    all
}

/// The field that a case needs once its privilege is the other.
fn missing(case: &[Field], was_privileged: bool) -> &'static str {
    if was_privileged {
        if field(case, "user_sensitive").is_none() { "user_sensitive = false" } else { "" }
    } else if field(case, "trap").is_none() {
        "trap = \"#GP(0)\""
    } else {
        ""
    }
}

fn kinds(text: &str, case: &[Field]) -> Vec<(String, String)> {
    let sensitive = field(case, "sensitive").unwrap();
    let has = |kind: &Kind| sensitive.value.contains(kind.name());
    let mut all = Vec::new();
    for changed in Kind::ALL {
        let kept = Kind::ALL.iter().filter(|k| has(k) ^ (**k == changed));
        let list: Vec<String> = kept.map(|k| format!("\"{}\"", k.name())).collect();
        let line = (sensitive.line, format!("sensitive = [{}]", list.join(", ")));
        let sign = if has(&changed) { "without" } else { "with" };
        all.push((format!("{sign} {}", changed.name()), with(text, &[line])));
    }
    all
}

/// The verdicts of two cases, or the cases themselves, change places.
fn neighbours(text: &str, case: &[Field], next: &[Field]) -> Vec<(String, String)> {
    let body = |fields: &[Field]| {
        let lines = fields.iter().filter(|f| f.key != "when").map(|f| format!("{} = {}", f.key, f.value));
        lines.collect::<Vec<_>>().join("\n")
    };
    let replace = |fields: &[Field], new: String| {
        let mut lines: Vec<(usize, String)> = Vec::new();
        for f in fields.iter().filter(|f| f.key != "when") {
            let first = lines.is_empty();
            lines.push((f.line, if first { new.clone() } else { String::new() }));
        }
        lines
    };
    let exchanged = [replace(case, body(next)), replace(next, body(case))].concat();
    let mut all = vec![("verdict of the next".to_owned(), with(text, &exchanged))];
    if let (Some(a), Some(b)) = (field(case, "when"), field(next, "when")) {
        let conditions = [(a.line, format!("when = {}", b.value)), (b.line, format!("when = {}", a.value))];
        all.push(("after the next".to_owned(), with(text, &[exchanged, conditions.to_vec()].concat())));
    }
    all
}
