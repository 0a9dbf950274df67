//! The files of instructions: `[[form]]`, `[[rule]]`, `[[exit]]`.

use super::cover::{Selector, select};
use super::error::{SpecError, hint, nearest, shorten};
use super::expr::Expr;
use super::form::{Case, Exit, Form, Kind};
use super::manifest::{Manifest, modes};
use super::toml_file::{At, Source, Table};

/// What a file of instructions holds.
#[derive(Default)]
pub(crate) struct Rows {
    pub(crate) forms: Vec<Form>,
    pub(crate) exits: Vec<Exit>,
}

const FORM: [&str; 11] = [
    "name",
    "codes",
    "mnemonics",
    "except",
    "modes",
    "operands",
    "reads",
    "writes",
    "features",
    "modified",
    "case",
];
const CASE: [&str; 8] =
    ["when", "privileged", "sensitive", "user_sensitive", "trap", "reason", "source", "checked"];

/// What a file gives where its rows do not.
struct Defaults<'a> {
    manifest: &'a Manifest,
    source: Option<String>,
}

/// Reads a file of instructions of an ISA.
pub(crate) fn read(source: Source<'_>, manifest: &Manifest) -> Result<Rows, SpecError> {
    let mut t = source.top()?;
    let defaults = Defaults { manifest, source: t.text("source")?.map(|s| s.value) };
    let mut rows = Rows::default();
    for form in t.tables("form", "form")? {
        rows.forms.push(defaults.form(form)?);
    }
    for rule in t.tables("rule", "rule")? {
        rows.forms.push(defaults.rule(rule)?);
    }
    for exit in t.tables("exit", "exit")? {
        rows.exits.push(defaults.exit(exit)?);
    }
    t.finish(&["source", "form", "rule", "exit"])?;
    Ok(rows)
}

impl Defaults<'_> {
    fn form(&self, mut t: Table<'_>) -> Result<Form, SpecError> {
        let mut form = self.head(&mut t)?;
        let modified = t.text("modified")?.map(|w| self.condition(t.source, "modified", &w)).transpose()?;
        for c in t.tables("case", "case")? {
            let case = self.case(c)?;
            form.cases.extend(modified.as_ref().and_then(|m| trapping(&case, m)));
            form.cases.push(case);
        }
        match form.cases.iter().position(|c| c.when.is_none()) {
            Some(n) if n + 1 == form.cases.len() => {}
            _ => {
                let message = format!(
                    "field `case`: exactly the last case of `{}` is expected to have no `when`",
                    shorten(&form.name)
                );
                return Err(t.fault(Some("case"), message));
            }
        }
        t.finish(&FORM)?;
        Ok(form)
    }

    /// Name, selector and remarks.
    fn head(&self, t: &mut Table<'_>) -> Result<Form, SpecError> {
        let name = t.needed("name")?.value;
        let selector = Selector {
            codes: t.texts("codes")?,
            mnemonics: t.texts("mnemonics")?,
            features: t.texts("features")?,
            except: t.texts("except")?,
            modes: modes(t)?,
        };
        let pairs = match (self.manifest.decoded, selector.is_empty()) {
            (true, false) => select(t.source, &selector)?,
            (false, true) => Vec::new(),
            (true, true) => return Err(t.missing("codes")),
            (false, false) => {
                let message = "field `codes`: only the forms of a decoded ISA have one".to_owned();
                return Err(t.fault(Some("codes"), message));
            }
        };
        Ok(Form {
            name,
            pairs,
            operands: t.text("operands")?.map(|x| x.value),
            reads: t.text("reads")?.map(|x| x.value),
            writes: t.text("writes")?.map(|x| x.value),
            cases: Vec::new(),
            rule: false,
            place: format!("{}:{}", t.source.file, t.source.line(t.at)),
        })
    }

    fn source(&self, t: &mut Table<'_>) -> Result<String, SpecError> {
        match (t.text("source")?, &self.source) {
            (Some(s), _) => Ok(s.value),
            (None, Some(s)) => Ok(s.clone()),
            (None, None) => Err(t.missing("source")),
        }
    }

    fn case(&self, mut t: Table<'_>) -> Result<Case, SpecError> {
        let when = t.text("when")?.map(|w| self.condition(t.source, "when", &w)).transpose()?;
        let privileged = t.flag("privileged")?;
        if !t.has("sensitive") {
            return Err(t.missing("sensitive"));
        }
        let sensitive = kinds(&mut t)?;
        let user = t.flag("user_sensitive")?;
        let case = Case {
            when,
            privileged: privileged.ok_or_else(|| t.missing("privileged"))?,
            user_sensitive: user.unwrap_or(false),
            trap: t.text("trap")?.map(|x| x.value),
            reason: t.needed("reason")?.value,
            source: self.source(&mut t)?,
            checked: t.flag("checked")?.unwrap_or(true),
            sensitive,
        };
        if let Some((field, expected)) = contradiction(&case, user) {
            return Err(t.fault(Some(field), format!("field `{field}`: {expected}")));
        }
        t.finish(&CASE)?;
        Ok(case)
    }

    fn condition(&self, source: Source<'_>, field: &str, when: &At<String>) -> Result<Expr, SpecError> {
        let wrong = |message: String| source.fault(when.at, Some(field), message);
        let e = Expr::parse(&when.value).map_err(|e| wrong(format!("field `{field}`: {e}")))?;
        for name in e.names() {
            if !self.manifest.bits.iter().any(|b| b.name == name) {
                return Err(wrong(self.manifest.no_such_bit(field, name)));
            }
        }
        Ok(e)
    }

    /// Many instructions that are innocuous for one reason.
    fn rule(&self, mut t: Table<'_>) -> Result<Form, SpecError> {
        let mut form = self.head(&mut t)?;
        form.rule = true;
        form.cases.push(Case {
            when: None,
            privileged: false,
            sensitive: Vec::new(),
            user_sensitive: false,
            trap: None,
            reason: t.needed("reason")?.value,
            source: self.source(&mut t)?,
            checked: true,
        });
        t.finish(&["name", "codes", "mnemonics", "features", "except", "modes", "reason", "source"])?;
        Ok(form)
    }

    fn exit(&self, mut t: Table<'_>) -> Result<Exit, SpecError> {
        let exit = Exit {
            name: t.needed("name")?.value,
            control: t.text("control")?.map(|c| c.value),
            reason: t.needed("reason")?.value,
            source: self.source(&mut t)?,
        };
        t.finish(&["name", "control", "reason", "source"])?;
        Ok(exit)
    }
}

/// The same case on the machine that was modified to have it trap.
fn trapping(case: &Case, modified: &Expr) -> Option<Case> {
    if case.privileged || case.sensitive.is_empty() {
        return None;
    }
    let when = match &case.when {
        Some(w) => Expr::And(Box::new(modified.clone()), Box::new(w.clone())),
        None => modified.clone(),
    };
    let mut sensitive = case.sensitive.clone();
    if !sensitive.contains(&Kind::Mode) {
        sensitive.push(Kind::Mode);
    }
    Some(Case {
        when: Some(when),
        privileged: true,
        sensitive,
        user_sensitive: false,
        trap: Some("the modified machine's trap".to_owned()),
        ..case.clone()
    })
}

fn kinds(t: &mut Table<'_>) -> Result<Vec<Kind>, SpecError> {
    let mut out = Vec::new();
    for k in t.texts("sensitive")? {
        match Kind::ALL.iter().find(|x| x.name() == k.value) {
            Some(kind) if !out.contains(kind) => out.push(*kind),
            Some(_) => {
                let message = "field `sensitive`: each class at most once is expected".to_owned();
                return Err(t.source.fault(k.at, Some("sensitive"), message));
            }
            None => {
                let near = hint(&nearest(&k.value, Kind::ALL.iter().map(|x| x.name())));
                let found = shorten(&k.value);
                let message =
                    format!("field `sensitive`: control, location or mode is expected, not `{found}`{near}");
                return Err(t.source.fault(k.at, Some("sensitive"), message));
            }
        }
    }
    Ok(out)
}

/// What cannot be true of an instruction by the definitions, and in which field.
fn contradiction(case: &Case, user: Option<bool>) -> Option<(&'static str, &'static str)> {
    let by_user = case.sensitive.iter().any(|k| *k != Kind::Mode);
    match case {
        c if c.privileged && c.trap.is_none() => {
            Some(("trap", "what user mode gets is expected of a privileged one"))
        }
        c if c.privileged && !c.sensitive.contains(&Kind::Mode) => {
            Some(("sensitive", "mode is expected of a privileged one, which traps in one mode only"))
        }
        c if c.privileged && c.user_sensitive => {
            Some(("user_sensitive", "false is expected of a privileged one, which user mode never completes"))
        }
        c if c.user_sensitive && !by_user => Some((
            "user_sensitive",
            "control or location is expected among the kinds of a user sensitive one",
        )),
        c if by_user && !c.privileged && user.is_none() => {
            Some(("user_sensitive", "true or false is expected of one that is sensitive and not privileged"))
        }
        _ => None,
    }
}
