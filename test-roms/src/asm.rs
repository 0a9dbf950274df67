//! A small assembler: `iced-x86`'s, with named labels, sections and a listing-like macro.

use iced_x86::code_asm::{CodeAssembler, CodeLabel};
use iced_x86::{BlockEncoderOptions, IcedError};
use std::collections::HashMap;
use std::ops::{Deref, DerefMut};

/// What every line of a listing may fail with.
pub type Assembled = Result<(), IcedError>;

/// A listing: `asm! { a => mov eax, 5; label "again"; dec eax; jnz a.to("again"); }`.
#[macro_export]
macro_rules! asm {
    ($a:expr => $($op:ident $($x:expr),* ;)*) => { $($crate::asm_line!($a, $op $(, $x)*);)* };
}

/// One line of a listing.
#[macro_export]
macro_rules! asm_line {
    ($a:expr, $op:ident) => {
        $a.$op()?
    };
    ($a:expr, $op:ident, $x:expr) => {
        match $x {
            x => $a.$op(x)?,
        }
    };
    ($a:expr, $op:ident, $x:expr, $y:expr) => {
        match ($x, $y) {
            (x, y) => $a.$op(x, y)?,
        }
    };
    ($a:expr, $op:ident, $x:expr, $y:expr, $z:expr) => {
        match ($x, $y, $z) {
            (x, y, z) => $a.$op(x, y, z)?,
        }
    };
}

/// Bytes that are to lie at one address.
struct Section {
    code: CodeAssembler,
    base: u32,
    labels: HashMap<String, (CodeLabel, bool)>,
}

/// An image in the making.
pub struct Asm {
    sections: Vec<Section>,
    /// Addresses from the pass before.
    known: HashMap<String, u32>,
}

/// A piece of an assembled image.
pub struct Piece {
    /// Where it was assembled for.
    pub base: u32,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

impl Deref for Asm {
    type Target = CodeAssembler;
    fn deref(&self) -> &CodeAssembler {
        &self.sections[self.sections.len() - 1].code
    }
}

impl DerefMut for Asm {
    fn deref_mut(&mut self) -> &mut CodeAssembler {
        let last = self.sections.len() - 1;
        &mut self.sections[last].code
    }
}

impl Asm {
    /// What follows is code of `bits` bits for address `base`.
    ///
    /// # Errors
    /// The assembler's.
    pub fn section(&mut self, bits: u32, base: u32) -> Assembled {
        let code = CodeAssembler::new(bits)?;
        self.sections.push(Section { code, base, labels: HashMap::new() });
        Ok(())
    }

    fn last(&mut self) -> &mut Section {
        let last = self.sections.len() - 1;
        &mut self.sections[last]
    }

    /// A label of this section, to jump to or call.
    pub fn to(&mut self, name: &str) -> CodeLabel {
        let s = self.last();
        if let Some((label, _)) = s.labels.get(name) {
            return *label;
        }
        let label = s.code.create_label();
        s.labels.insert(name.to_owned(), (label, false));
        label
    }

    /// Puts a label here.
    ///
    /// # Errors
    /// It is somewhere already.
    pub fn label(&mut self, name: &str) -> Assembled {
        let mut label = self.to(name);
        let s = self.last();
        s.code.set_label(&mut label)?;
        // something of no length that the label is of, since an instruction has one label at most
        s.code.zero_bytes()?;
        s.labels.insert(name.to_owned(), (label, true));
        Ok(())
    }

    /// The address of a label of any section, as a number.
    pub fn at(&self, name: &str) -> u32 {
        self.known.get(name).copied().unwrap_or(0x7f00)
    }

    /// REP STOSD.
    ///
    /// # Errors
    /// The assembler's.
    pub fn rep_stosd(&mut self) -> Assembled {
        self.rep().stosd()
    }

    /// REP MOVSB.
    ///
    /// # Errors
    /// The assembler's.
    pub fn rep_movsb(&mut self) -> Assembled {
        self.rep().movsb()
    }

    /// A far jump from 16-bit code to a 32-bit offset, which the assembler has no name for.
    ///
    /// # Errors
    /// The assembler's.
    pub fn jmp_far32(&mut self, selector: u16, offset: u32) -> Assembled {
        let mut bytes = vec![0x66, 0xea];
        bytes.extend(offset.to_le_bytes());
        bytes.extend(selector.to_le_bytes());
        self.db(&bytes)
    }
}

/// Assembles what `write` writes, as often as it takes until addresses stand still.
///
/// # Errors
/// The assembler's, with the name of a label that is nowhere.
pub fn assemble(write: impl Fn(&mut Asm) -> Assembled) -> Result<Assembly, String> {
    let mut known = HashMap::new();
    for _ in 0..8 {
        let mut a = Asm { sections: Vec::new(), known };
        write(&mut a).map_err(|e| e.to_string())?;
        let mut found = HashMap::new();
        let mut pieces = Vec::new();
        for mut s in a.sections {
            if let Some(name) = s.labels.iter().find_map(|(name, (_, set))| (!set).then_some(name)) {
                return Err(format!("label {name} is nowhere"));
            }
            let options = BlockEncoderOptions::RETURN_NEW_INSTRUCTION_OFFSETS;
            let result = s.code.assemble_options(u64::from(s.base), options).map_err(|e| e.to_string())?;
            for (name, (label, _)) in s.labels {
                let at = result.label_ip(&label).map_err(|e| format!("{name}: {e}"))?;
                found.insert(name, at as u32);
            }
            pieces.push(Piece { base: s.base, bytes: result.inner.code_buffer });
        }
        if found == a.known {
            return Ok(Assembly { pieces, labels: found });
        }
        known = found;
    }
    Err("addresses do not settle".to_owned())
}

/// An assembled image.
pub struct Assembly {
    /// Its sections.
    pub pieces: Vec<Piece>,
    /// The addresses of its labels.
    pub labels: HashMap<String, u32>,
}

/// Lays pieces into a ROM that starts at `base`; `place` says where a piece lies in it, where
/// that is not its address.
///
/// # Errors
/// A piece does not fit or covers another.
pub fn rom(pieces: &[Piece], base: u32, size: usize, place: impl Fn(u32) -> u32) -> Result<Vec<u8>, String> {
    let mut image = vec![0xff; size];
    let mut taken = vec![false; size];
    for p in pieces {
        let at = place(p.base).wrapping_sub(base) as usize;
        let end = at.saturating_add(p.bytes.len());
        if end > size || taken[at..end].iter().any(|&t| t) {
            return Err(format!("the piece at {:x}h, {} bytes, has no room", p.base, p.bytes.len()));
        }
        taken[at..end].fill(true);
        image[at..end].copy_from_slice(&p.bytes);
    }
    Ok(image)
}
