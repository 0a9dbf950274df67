//! XED's data as a voter: which instructions Intel's decoder marks as ring 0's.
//!
//! The data are records in braces, a line for each property. `ICLASS` is the name of the instruction, and `CPL` is 0 where it
//! is for that level alone, and 3 else; the attribute `RING0` is on some of the former (XED's documentation of the
//! instruction database).

use crate::ledger::{Disagreement, Voter, privilege_against};
use isa::spec::Isa;
use isa::{Code, Mnemonic};
use std::collections::BTreeMap;
use std::path::Path;

/// What some XED says of instructions by their names: whether they are ring 0's.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Xed(BTreeMap<String, bool>);

impl Xed {
    /// Reads all files of a directory of data, and of those within.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn read(directory: &Path) -> std::io::Result<Xed> {
        let mut xed = Xed::default();
        for entry in std::fs::read_dir(directory)? {
            let path = entry?.path();
            if path.is_dir() {
                xed.0.extend(Xed::read(&path)?.0);
            } else if path.extension().is_some_and(|e| e == "txt") {
                xed.note(&String::from_utf8_lossy(&std::fs::read(&path)?));
            }
        }
        Ok(xed)
    }

    /// Notes the records of one file. One record that is not ring 0's makes its instruction everybody's.
    fn note(&mut self, text: &str) {
        for record in text.split('{').skip(1) {
            let record = record.split('}').next().unwrap_or_default();
            let Some(name) = property(record, "ICLASS") else { continue };
            let ring_0 = property(record, "CPL") == Some("0");
            self.0.entry(name.to_owned()).and_modify(|all| *all &= ring_0).or_insert(ring_0);
        }
    }

    /// Whether a form is ring 0's; `None` where the name says nothing.
    pub fn ring_0(&self, code: Code) -> Option<bool> {
        self.0.get(&name(code)).copied()
    }

    /// How many instructions it knows.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// It knows none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Where it differs from a specification in its default configuration, and of how many pairs it has spoken.
    pub fn against(&self, isa: &Isa) -> (Vec<Disagreement>, usize) {
        privilege_against(isa, Voter::Xed, |code| self.ring_0(code))
    }
}

/// The value of a property of a record.
fn property<'a>(record: &'a str, name: &str) -> Option<&'a str> {
    record.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        (key.trim() == name).then(|| value.trim())
    })
}

/// XED's name for the instruction of a form: the mnemonic, but where one mnemonic is several instructions.
fn name(code: Code) -> String {
    let form = format!("{code:?}");
    match code.mnemonic() {
        Mnemonic::Mov if form.contains("_cr") => "MOV_CR".to_owned(),
        Mnemonic::Mov if form.contains("_dr") => "MOV_DR".to_owned(),
        Mnemonic::Mov if form.contains("_tr") => "MOV_TR".to_owned(),
        Mnemonic::Sysret if form == "Sysretq" => "SYSRET64".to_owned(),
        Mnemonic::Sysexit => "SYSEXIT".to_owned(),
        mnemonic => format!("{mnemonic:?}").to_uppercase(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "INSTRUCTIONS()::\n{\nICLASS    : HLT\nCPL : 0\nATTRIBUTES: RING0 NOTSX\nPATTERN : 0xF4\n}\n\
        {\nICLASS : MOV_CR\nCPL: 0\n}\n{\nICLASS: NOP\nCPL : 3\nPATTERN: 0x90\n}\n\
        {\nICLASS: SYSRET\nCPL       :  0\n}\n{\nICLASS: SYSRET\nCPL : 3\n}\n";

    #[test]
    fn records_are_read_by_their_names() {
        let mut xed = Xed::default();
        xed.note(TEXT);
        let said = [Code::Hlt, Code::Mov_cr_r32, Code::Nopd, Code::Sysretd, Code::Cli].map(|c| xed.ring_0(c));
        assert_eq!(said, [Some(true), Some(true), Some(false), Some(false), None]);
        assert_eq!(xed.len(), 4);
    }
}
