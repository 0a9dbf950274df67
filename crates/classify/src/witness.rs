//! Witnesses: states in which an instruction shows what it is accused of, small enough to be mailed.

use crate::axes::{Axis, Choice};
use crate::config::Configuration;
use crate::derive::holds;
use crate::predicates::{changed, differences};
use crate::relocation::Relocation;
use crate::world::{Level, Run, World};
use crate::{CodeMode, Form};
use cpu::CpuModel;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What a witness shows.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Claim {
    /// A state in which M or R changes without a trap.
    Control,
    /// Two states of one mode that differ in R, and whose results differ.
    Location,
    /// Two states that differ in M, and whose results differ.
    Mode,
}

/// The format's number.
const VERSION: u32 = 1;
/// Bytes of a witness file, at most.
pub const MOST_BYTES: usize = 1024;

/// States and an instruction: complete, as differences from the base state of the configuration.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Witness {
    version: u32,
    /// The form, as the decoder names it.
    pub code: String,
    /// The instruction, in hexadecimal.
    pub bytes: String,
    /// 16 or 32.
    pub mode: u32,
    /// The configuration's bits.
    pub configuration: String,
    /// What it shows.
    pub claim: Claim,
    /// The mode of the states; of a pair that differs in it, the first.
    pub level: String,
    /// How the second state's R differs.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub relocation: Option<String>,
    /// What is not as in the base state.
    pub state: BTreeMap<String, String>,
}

/// Why a witness cannot be replayed.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum WitnessError {
    /// It is no JSON of a witness's shape.
    #[error("it is no witness: {0}")]
    Shape(String),
    /// It is longer than a witness can be.
    #[error("it has {0} bytes, and a witness has {MOST_BYTES} at most")]
    Long(usize),
    /// A field has a value that there is not.
    #[error("{field} is {value:?}, and should be {expected}")]
    Field {
        /// Which.
        field: &'static str,
        /// What it has.
        value: String,
        /// What it could have.
        expected: String,
    },
}

fn wrong(field: &'static str, value: &str, expected: impl Into<String>) -> WitnessError {
    WitnessError::Field { field, value: value.to_owned(), expected: expected.into() }
}

/// What a replay has shown.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Replay {
    /// The claim holds.
    pub holds: bool,
    /// The first and the second run, in words.
    pub runs: [String; 2],
    /// What shows it.
    pub shown: Vec<String>,
}

/// What [`World::pose`] makes a state of.
pub type Posing = (Choice, Level, Option<Relocation>);

impl Witness {
    pub(crate) fn new(
        form: &Form,
        configuration: Configuration,
        claim: Claim,
        level: Level,
        relocation: Option<Relocation>,
        choice: &Choice,
    ) -> Witness {
        Witness {
            version: VERSION,
            code: format!("{:?}", form.code()),
            bytes: form.bytes.iter().map(|b| format!("{b:02x}")).collect(),
            mode: form.mode.bits(),
            configuration: configuration.names(),
            claim,
            level: level_name(level).to_owned(),
            relocation: relocation.map(|x| x.name().to_owned()),
            state: choice.unusual().map(|a| (a.name().to_owned(), choice.name(a).to_owned())).collect(),
        }
    }

    /// The file that holds it.
    ///
    /// # Errors
    /// None that the fields could give.
    pub fn to_json(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string(self)
    }

    /// Reads a file.
    ///
    /// # Errors
    /// It is no witness; [`Witness::replay`] looks at the values of its fields.
    pub fn from_json(text: &[u8]) -> Result<Witness, WitnessError> {
        if text.len() > MOST_BYTES {
            return Err(WitnessError::Long(text.len()));
        }
        let witness: Witness =
            serde_json::from_slice(text).map_err(|e| WitnessError::Shape(e.to_string()))?;
        match witness.version {
            VERSION => Ok(witness),
            other => Err(wrong("version", &other.to_string(), VERSION.to_string())),
        }
    }

    /// Runs it again.
    ///
    /// # Errors
    /// A field has a value that there is not.
    pub fn replay(&self) -> Result<Replay, WitnessError> {
        let (form, choice, level, x) = (self.form()?, self.choice()?, self.level()?, self.relocation()?);
        let configuration = Configuration::parse(&self.configuration)
            .map_err(|e| wrong("configuration", &self.configuration, e.to_string()))?;
        if !crate::derive::applies(form.mode, configuration) {
            return Err(wrong("mode", &self.mode.to_string(), "16 with VM"));
        }
        let mut world = World::new(&form, configuration);
        let holds = holds(&mut world, self.claim, &choice, level, x);
        Ok(self.show(&mut world, &choice, level, x, holds))
    }

    /// The instruction and its run in the first state, where that is one of user mode: what a machine can be asked of
    /// on which the asker is no supervisor.
    ///
    /// # Errors
    /// As [`Witness::replay`].
    pub fn user_half(&self) -> Result<Option<(Form, Run)>, WitnessError> {
        self.replay()?;
        let (form, choice, level) = (self.form()?, self.choice()?, self.level()?);
        let configuration = Configuration::parse(&self.configuration).unwrap_or_default();
        if level == Level::Supervisor {
            return Ok(None);
        }
        let mut run = Run::new(CpuModel::Newest);
        World::new(&form, configuration).run(&choice, level, None, &mut run);
        Ok(Some((form, run)))
    }

    /// Its states, for another machine to be put in: the first, and the second where it has one.
    ///
    /// # Errors
    /// As [`Witness::replay`].
    pub fn states(&self) -> Result<(World, Vec<Posing>), WitnessError> {
        self.replay()?;
        let (form, choice, level, x) = (self.form()?, self.choice()?, self.level()?, self.relocation()?);
        let configuration = Configuration::parse(&self.configuration).unwrap_or_default();
        let second = match self.claim {
            Claim::Control => None,
            Claim::Location => Some((choice, level, x)),
            Claim::Mode => Some((choice, Level::Supervisor, x)),
        };
        let all = [(choice, level, None)].into_iter().chain(second).collect();
        Ok((World::new(&form, configuration), all))
    }

    fn show(
        &self,
        world: &mut World,
        choice: &Choice,
        level: Level,
        x: Option<Relocation>,
        holds: bool,
    ) -> Replay {
        let mut runs = [Run::new(CpuModel::Newest), Run::new(CpuModel::Newest)];
        let second = if self.claim == Claim::Mode { Level::Supervisor } else { level };
        world.run(choice, level, None, &mut runs[0]);
        world.run(choice, second, x, &mut runs[1]);
        let shown = match self.claim {
            Claim::Control => changed(&runs[0]).into_iter().map(str::to_owned).collect(),
            _ => differences(&runs[0], &runs[1]),
        };
        let after = |run: &Run, level: Level, x: Option<Relocation>| {
            let moved = x.map_or_else(String::new, |x| format!(", {} moved or changed", x.name()));
            let end = run.trap.map_or("completes".to_owned(), |v| format!("traps, vector {v}"));
            format!("{}{moved}: {end}", level_name(level))
        };
        Replay { holds, runs: [after(&runs[0], level, None), after(&runs[1], second, x)], shown }
    }

    /// The instruction.
    ///
    /// # Errors
    /// The bytes are none that has a witness, or not of the form named.
    pub fn form(&self) -> Result<Form, WitnessError> {
        let mode = match self.mode {
            16 => CodeMode::Bits16,
            32 => CodeMode::Bits32,
            other => return Err(wrong("mode", &other.to_string(), "16 or 32")),
        };
        let expected = "the bytes of one instruction that Ringer executes";
        let bytes = hexadecimal(&self.bytes).ok_or_else(|| wrong("bytes", &self.bytes, expected))?;
        let form = Form::decode(&bytes, mode, CpuModel::Newest).filter(|f| f.bytes == bytes);
        let form = form.ok_or_else(|| wrong("bytes", &self.bytes, expected))?;
        let code = format!("{:?}", form.code());
        if code != self.code {
            return Err(wrong("code", &self.code, format!("{code}, as the bytes are")));
        }
        if form.routine.is_none() {
            return Err(wrong(
                "code",
                &self.code,
                "a form with an interpreter in the monitor: this one is innocuous",
            ));
        }
        Ok(form)
    }

    fn choice(&self) -> Result<Choice, WitnessError> {
        self.state.iter().try_fold(Choice::default(), |choice, (name, value)| {
            let axis = Axis::ALL.iter().find(|a| a.name() == name);
            let names = || Axis::ALL.iter().map(|a| a.name()).collect::<Vec<_>>().join(", ");
            let axis = axis.ok_or_else(|| wrong("state", name, names()))?;
            let n = axis.values().iter().position(|v| v == value);
            let n = n.ok_or_else(|| wrong("state", value, axis.values().join(", ")))?;
            Ok(choice.with(*axis, n as u8))
        })
    }

    fn level(&self) -> Result<Level, WitnessError> {
        let found = Level::ALL.into_iter().find(|l| level_name(*l) == self.level);
        found.ok_or_else(|| wrong("level", &self.level, "user or supervisor"))
    }

    fn relocation(&self) -> Result<Option<Relocation>, WitnessError> {
        let Some(name) = &self.relocation else { return Ok(None) };
        let found = Relocation::ALL.iter().find(|x| x.name() == name);
        let names = || Relocation::ALL.iter().map(|x| x.name()).collect::<Vec<_>>().join(", ");
        found.copied().map(Some).ok_or_else(|| wrong("relocation", name, names()))
    }
}

fn level_name(level: Level) -> &'static str {
    match level {
        Level::User => "user",
        Level::Supervisor => "supervisor",
    }
}

/// Bytes written as pairs of hexadecimal digits: one instruction's at most.
pub fn hexadecimal(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes();
    if digits.is_empty() || !digits.len().is_multiple_of(2) || digits.len() > 30 {
        return None;
    }
    let pair = |p: &[u8]| u8::from_str_radix(std::str::from_utf8(p).ok()?, 16).ok();
    digits.chunks(2).map(pair).collect()
}
