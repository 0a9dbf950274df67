//! The decoded instruction, small enough to be copied into code caches.

use iced_x86::{Code, Instruction, OpKind, Register};

/// Numbers of general registers in [`Insn`] and in the register file.
pub mod reg {
    #![allow(missing_docs)]
    pub const AX: u8 = 0;
    pub const CX: u8 = 1;
    pub const DX: u8 = 2;
    pub const BX: u8 = 3;
    pub const SP: u8 = 4;
    pub const BP: u8 = 5;
    pub const SI: u8 = 6;
    pub const DI: u8 = 7;
    /// Always reads as zero: an absent base or index.
    pub const NONE: u8 = 16;
    /// Added to a byte register's number 0-3 to name AH, CH, DH, BH.
    pub const HIGH: u8 = 0x10;
    /// AH as a byte operand.
    pub const AH: u8 = HIGH;
}

/// Numbers of segment registers, in the encoding's order.
pub mod seg {
    #![allow(missing_docs)]
    pub const ES: u8 = 0;
    pub const CS: u8 = 1;
    pub const SS: u8 = 2;
    pub const DS: u8 = 3;
    pub const FS: u8 = 4;
    pub const GS: u8 = 5;
}

/// What an explicit operand is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Kind {
    /// There is no such operand.
    None,
    /// A register; which file is a matter of the instruction.
    Reg,
    /// The memory operand of base, index, scale and displacement.
    Mem,
    /// An immediate, or a branch displacement from the instruction's start.
    Imm,
}

/// Prefixes that change what an instruction does.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Prefix(pub u8);

impl Prefix {
    /// F3.
    pub const REP: u8 = 1;
    /// F2.
    pub const REPNE: u8 = 2;
    /// F0.
    pub const LOCK: u8 = 4;
    /// F2 or F3.
    pub fn repeated(self) -> bool {
        self.0 & (Self::REP | Self::REPNE) != 0
    }
    /// The bit is set.
    pub fn has(self, bit: u8) -> bool {
        self.0 & bit != 0
    }
}

/// One decoded instruction: form, operands, length. Independent of where it stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Insn {
    /// The form, as iced names it.
    pub code: Code,
    /// Bytes, 1 to 15.
    pub len: u8,
    /// REP, REPNE, LOCK.
    pub prefix: Prefix,
    /// Kinds of the first three operands.
    pub kind: [Kind; 3],
    /// Register numbers of the first three operands ([`reg`], [`seg`], or the file's own).
    pub reg: [u8; 3],
    /// Base register of the memory operand, or [`reg::NONE`].
    pub base: u8,
    /// Index register, or [`reg::NONE`].
    pub index: u8,
    /// Index is shifted left by this.
    pub scale: u8,
    /// Segment of the memory operand (also of implicit ones: strings, XLAT).
    pub seg: u8,
    /// Effective addresses and string counters are 32 bits wide, else 16.
    pub addr32: bool,
    /// The mask that effective addresses are cut with: FFFFh, or all ones.
    mask: u32,
    /// The operand size is 32 bits, else 16, where the form alone does not say it.
    pub op32: bool,
    /// Displacement of the memory operand.
    pub disp: u32,
    /// Sign-extended immediate; branch target relative to the instruction's first byte; offset of a far
    /// pointer; the last opcode (11 bits) of an x87 instruction.
    pub imm: u32,
    /// Second immediate (ENTER's level), or the selector of a far pointer.
    pub imm2: u16,
}

impl Insn {
    /// The compact form of a decoded instruction (decoded at address 0).
    pub fn new(i: &Instruction) -> Insn {
        let mut out = Insn::blank(i.code());
        out.len = i.len() as u8;
        out.prefix = Prefix(u8::from(i.has_lock_prefix()) * Prefix::LOCK);
        let mut immediates = 0;
        for n in 0..i.op_count().min(4) {
            out.operand(i, n, &mut immediates);
        }
        out
    }

    /// A form without operands.
    pub fn blank(code: Code) -> Insn {
        Insn {
            code,
            len: 1,
            prefix: Prefix::default(),
            kind: [Kind::None; 3],
            reg: [0; 3],
            base: reg::NONE,
            index: reg::NONE,
            scale: 0,
            seg: seg::DS,
            addr32: false,
            mask: 0xffff,
            op32: false,
            disp: 0,
            imm: 0,
            imm2: 0,
        }
    }

    fn operand(&mut self, i: &Instruction, n: u32, immediates: &mut u32) {
        let kind = match i.op_kind(n) {
            OpKind::Register => {
                if let Some(r) = self.reg.get_mut(n as usize) {
                    *r = number(i.op_register(n));
                }
                Kind::Reg
            }
            OpKind::Memory => self.memory(i),
            OpKind::FarBranch16 | OpKind::FarBranch32 => {
                self.imm = if i.op_kind(n) == OpKind::FarBranch16 {
                    u32::from(i.far_branch16())
                } else {
                    i.far_branch32()
                };
                self.imm2 = i.far_branch_selector();
                self.op32 = i.op_kind(n) == OpKind::FarBranch32;
                Kind::Imm
            }
            OpKind::NearBranch16 | OpKind::NearBranch32 => {
                self.imm = i.near_branch_target() as u32;
                Kind::Imm
            }
            OpKind::MemorySegSI
            | OpKind::MemorySegESI
            | OpKind::MemorySegDI
            | OpKind::MemorySegEDI
            | OpKind::MemoryESDI
            | OpKind::MemoryESEDI => {
                self.seg = number(i.memory_segment());
                Kind::None
            }
            _ => {
                let value = i.immediate(n) as u32;
                if *immediates == 0 {
                    self.imm = value
                } else {
                    self.imm2 = value as u16
                }
                *immediates += 1;
                Kind::Imm
            }
        };
        if let Some(k) = self.kind.get_mut(n as usize) {
            *k = kind;
        }
    }

    fn memory(&mut self, i: &Instruction) -> Kind {
        let gpr = |r: Register| if r == Register::None { reg::NONE } else { number(r) };
        self.base = gpr(i.memory_base());
        self.index = gpr(i.memory_index());
        self.scale = i.memory_index_scale().trailing_zeros() as u8;
        self.seg = number(i.memory_segment());
        self.disp = i.memory_displacement32();
        Kind::Mem
    }

    /// Reads what iced folds into the form: repeat prefixes and the sizes in force.
    pub(crate) fn scan_prefixes(&mut self, bytes: &[u8]) {
        for b in bytes.iter().take(usize::from(self.len)) {
            match b {
                0xf3 => self.prefix.0 = self.prefix.0 & !Prefix::REPNE | Prefix::REP,
                0xf2 => self.prefix.0 = self.prefix.0 & !Prefix::REP | Prefix::REPNE,
                0x26 | 0x2e | 0x36 | 0x3e | 0x64 | 0x65 | 0x66 | 0x67 | 0xf0 => {}
                _ => break,
            }
        }
    }

    /// Keeps the last opcode of an x87 instruction, as FNSTENV shows it (SDM vol. 1, 8.1.9).
    pub(crate) fn note_escape(&mut self, bytes: &[u8]) {
        let is_prefix = |b: &&u8| matches!(b, 0x26 | 0x2e | 0x36 | 0x3e | 0x64..=0x67 | 0xf0 | 0xf2 | 0xf3);
        let prefixes = bytes.iter().take_while(is_prefix).count();
        if let Some(&[escape @ 0xd8..=0xdf, modrm]) = bytes.get(prefixes..prefixes + 2) {
            self.imm = u32::from(escape & 7) << 8 | u32::from(modrm);
        }
    }

    /// Sets the sizes that the prefixes and the code segment give.
    pub(crate) fn set_sizes(&mut self, bytes: &[u8], code32: bool) {
        let (mut op, mut addr) = (code32, code32);
        for b in bytes.iter().take(usize::from(self.len)) {
            match b {
                0x66 => op = !code32,
                0x67 => addr = !code32,
                0x26 | 0x2e | 0x36 | 0x3e | 0x64 | 0x65 | 0xf0 | 0xf2 | 0xf3 => {}
                _ => break,
            }
        }
        self.op32 = op;
        self.addr32 = addr;
        self.mask = if addr { u32::MAX } else { 0xffff };
    }

    /// The mask of effective addresses.
    #[inline(always)]
    pub fn addr_mask(&self) -> u32 {
        self.mask
    }
}

/// The number of a register within its file; byte registers AH to BH get [`reg::HIGH`].
fn number(r: Register) -> u8 {
    if r.is_gpr8() {
        let n = r as u32 - Register::AL as u32;
        return match n {
            0..=3 => n as u8,
            4..=7 => reg::HIGH | (n - 4) as u8,
            _ => (n - 4) as u8,
        };
    }
    r.number() as u8
}
