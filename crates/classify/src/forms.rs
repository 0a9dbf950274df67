//! The forms of the decoder and bytes that are such an instruction.

use isa::{Code, CodeSize, CpuModel, Insn, Routine, decode, routine};
use rustc_hash::FxHashSet;

/// The size of code: one half of what the specifications call a pair.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, PartialOrd, Ord)]
pub enum CodeMode {
    /// Real mode, V86 mode, and 16-bit segments.
    Bits16,
    /// 32-bit segments.
    Bits32,
}

impl CodeMode {
    /// Both.
    pub const ALL: [CodeMode; 2] = [CodeMode::Bits16, CodeMode::Bits32];

    /// 16 or 32.
    pub fn bits(self) -> u32 {
        match self {
            CodeMode::Bits16 => 16,
            CodeMode::Bits32 => 32,
        }
    }

    pub(crate) fn size(self) -> CodeSize {
        match self {
            CodeMode::Bits16 => CodeSize::Bits16,
            CodeMode::Bits32 => CodeSize::Bits32,
        }
    }
}

/// One instruction of a form: bytes, and what they decode to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Form {
    /// The size of code that it is decoded in.
    pub mode: CodeMode,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// The instruction.
    pub insn: Insn,
    /// The monitor's interpreter of it; `None`: innocuous.
    pub routine: Option<Routine>,
}

impl Form {
    /// Decodes bytes; `None` where they are no instruction of the model, or Ringer does not execute it.
    pub fn decode(bytes: &[u8], mode: CodeMode, model: CpuModel) -> Option<Form> {
        let insn = decode(bytes, mode.size(), model).ok()?;
        let executed = sem::binding(insn.code) != sem::Binding::Unimplemented;
        let bytes = bytes[..usize::from(insn.len)].to_vec();
        executed.then(|| Form { mode, bytes, routine: routine(insn.code), insn })
    }

    /// The form's name.
    pub fn code(&self) -> Code {
        self.insn.code
    }

    /// What tells instructions of one form apart that may behave differently: kinds of operands, and numbers of
    /// registers that are not general ones.
    fn key(&self) -> (Code, [u8; 3], [u8; 2], bool) {
        let i = &self.insn;
        let special = matches!(
            self.routine,
            Some(
                Routine::MovToSreg
                    | Routine::MovFromSreg
                    | Routine::MovToCr
                    | Routine::MovFromCr
                    | Routine::MovToDr
                    | Routine::MovFromDr
            )
        );
        let number = |n: usize| if special && i.kind[n] == cpu::Kind::Reg { i.reg[n] } else { 0 };
        let own = match self.routine {
            Some(Routine::MovFromSreg | Routine::MovFromCr | Routine::MovFromDr) => [0, number(1)],
            _ => [number(0), 0],
        };
        (i.code, i.kind.map(|k| k as u8), own, self.repeats())
    }

    /// A string instruction with a repeat prefix: with others the prefix means nothing.
    fn repeats(&self) -> bool {
        use isa::Mnemonic as M;
        let m = self.insn.code.mnemonic();
        let string = matches!(
            m,
            M::Insb
                | M::Insw
                | M::Insd
                | M::Outsb
                | M::Outsw
                | M::Outsd
                | M::Movsb
                | M::Movsw
                | M::Stosb
                | M::Stosw
                | M::Stosd
                | M::Lodsb
                | M::Lodsw
                | M::Lodsd
                | M::Scasb
                | M::Scasw
                | M::Scasd
                | M::Cmpsb
                | M::Cmpsw
        );
        let double = matches!(m, M::Movsd | M::Cmpsd) && !self.insn.kind.contains(&cpu::Kind::Reg);
        self.insn.prefix.repeated() && (string || double)
    }

    /// The memory operand is at (E)BX, or there is none: the one whose place the model fills.
    fn plain(&self) -> bool {
        let i = &self.insn;
        i.kind.iter().all(|k| *k != cpu::Kind::Mem)
            || i.base == cpu::reg::BX && i.index == cpu::reg::NONE && i.disp == 0
    }
}

/// Prefixes that select forms.
const PREFIXES: [&[u8]; 5] = [&[], &[0x66], &[0xf3], &[0xf2], &[0x66, 0xf3]];
/// Opcode maps.
const MAPS: [&[u8]; 4] = [&[], &[0x0f], &[0x0f, 0x38], &[0x0f, 0x3a]];

/// One instruction of every form that Ringer executes in a mode, for each combination of operand kinds and each
/// segment, control or debug register.
pub fn all(mode: CodeMode, model: CpuModel) -> Vec<Form> {
    let mut seen = FxHashSet::default();
    let mut forms = Vec::new();
    for prefix in PREFIXES {
        for map in MAPS {
            for opcode in (0..=0xff).filter(|o| !map.is_empty() || !is_prefix(*o)) {
                add(prefix, map, opcode, mode, model, &mut seen, &mut forms);
            }
        }
    }
    forms
}

fn is_prefix(byte: u8) -> bool {
    matches!(byte, 0x26 | 0x2e | 0x36 | 0x3e | 0x64..=0x67 | 0xf0 | 0xf2 | 0xf3)
}

type Key = (Code, [u8; 3], [u8; 2], bool);

fn add(
    prefix: &[u8],
    map: &[u8],
    opcode: u8,
    mode: CodeMode,
    model: CpuModel,
    seen: &mut FxHashSet<Key>,
    forms: &mut Vec<Form>,
) {
    let mut bytes = [prefix, map, &[opcode]].concat();
    let at = bytes.len();
    bytes.resize(15, 0);
    for second in 0..=0xff {
        bytes[at] = second;
        let Some(form) = Form::decode(&bytes, mode, model) else { continue };
        if form.plain() && seen.insert(form.key()) {
            forms.push(form);
        }
    }
}
