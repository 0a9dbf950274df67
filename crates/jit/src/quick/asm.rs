//! The few forms of x86-64 instructions that the quick tier writes (SDM vol. 2, 2.1 and appendix B).

use cpu::Width;

/// A general register of the host.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Host(pub(super) u8);

pub(super) const RAX: Host = Host(0);
pub(super) const RCX: Host = Host(1);
pub(super) const RDX: Host = Host(2);
pub(super) const RBX: Host = Host(3);
pub(super) const RBP: Host = Host(5);
pub(super) const RSI: Host = Host(6);
pub(super) const RDI: Host = Host(7);
pub(super) const R8: Host = Host(8);
pub(super) const R9: Host = Host(9);
pub(super) const R10: Host = Host(10);
pub(super) const R11: Host = Host(11);
pub(super) const R12: Host = Host(12);

/// A register or memory operand.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Rm {
    Reg(Host),
    /// Base and displacement.
    At(Host, i32),
    /// Base, index shifted left by so much, and displacement.
    Sum(Host, Host, u8, i32),
    /// Index shifted left by so much, and displacement, without a base.
    Scaled(Host, u8, i32),
}

/// Two-operand arithmetic: the number in the opcode (SDM vol. 2, table B-13).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(super) enum Alu {
    Add = 0,
    Or = 1,
    And = 4,
    Sub = 5,
    Xor = 6,
    Cmp = 7,
}

/// A shift: the number in the ModR/M byte.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(super) enum Shift {
    Left = 4,
    Right = 5,
    Arithmetic = 7,
}

/// A condition code of the host (SDM vol. 2, table B-10).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(super) enum Cc {
    Below = 2,
    AboveEqual = 3,
    Equal = 4,
    NotEqual = 5,
    Above = 7,
    Sign = 8,
    Parity = 10,
    NoParity = 11,
    Less = 12,
    GreaterEqual = 13,
    LessEqual = 14,
    Greater = 15,
}

impl Cc {
    pub(super) fn inverted(self) -> Cc {
        match self {
            Cc::Below => Cc::AboveEqual,
            Cc::AboveEqual => Cc::Below,
            Cc::Equal => Cc::NotEqual,
            Cc::NotEqual => Cc::Equal,
            Cc::Less => Cc::GreaterEqual,
            Cc::GreaterEqual => Cc::Less,
            Cc::Parity => Cc::NoParity,
            Cc::NoParity => Cc::Parity,
            // nobody inverts the others
            other => other,
        }
    }
}

/// Somewhere in the code, bound or not.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Label(pub(super) usize);

/// Machine code as it grows.
#[derive(Default)]
pub(super) struct Asm {
    pub(super) code: Vec<u8>,
    labels: Vec<Option<usize>>,
    /// Where a distance of 32 bits to a label belongs.
    fixups: Vec<(usize, Label)>,
}

impl Asm {
    pub(super) fn label(&mut self) -> Label {
        self.labels.push(None);
        Label(self.labels.len() - 1)
    }

    pub(super) fn bind(&mut self, l: Label) {
        self.labels[l.0] = Some(self.code.len());
    }

    /// What is written so far, to come back to.
    pub(super) fn mark(&self) -> (usize, usize) {
        (self.code.len(), self.fixups.len())
    }

    /// Drops what was written since. No label that was bound since may be in use.
    pub(super) fn rewind(&mut self, (code, fixups): (usize, usize)) {
        self.code.truncate(code);
        self.fixups.truncate(fixups);
    }

    /// The code, with all distances filled in; `None` where a label was never bound.
    pub(super) fn finish(mut self) -> Option<Vec<u8>> {
        for (at, label) in self.fixups {
            let distance = self.labels[label.0]? as i64 - (at as i64 + 4);
            self.code.get_mut(at..at + 4)?.copy_from_slice(&i32::try_from(distance).ok()?.to_le_bytes());
        }
        Some(self.code)
    }

    fn byte(&mut self, b: u8) {
        self.code.push(b);
    }

    fn dword(&mut self, v: u32) {
        self.code.extend_from_slice(&v.to_le_bytes());
    }

    /// Prefixes, opcode and operands of an instruction of width `w`; `byte` says that `reg` and `rm` are byte registers.
    fn form(&mut self, w: Width, byte: bool, opcode: &[u8], reg: u8, rm: Rm) {
        if w == Width::B16 {
            self.byte(0x66);
        }
        let (index, base) = match rm {
            Rm::Reg(r) | Rm::At(r, _) => (0, r.0),
            Rm::Sum(b, i, ..) => (i.0, b.0),
            Rm::Scaled(i, ..) => (i.0, 0),
        };
        let rex = u8::from(w == Width::B64) << 3 | (reg >> 3) << 2 | (index >> 3) << 1 | base >> 3;
        let odd = |r: u8| (4..8).contains(&r);
        let spl = byte && (odd(reg) || matches!(rm, Rm::Reg(r) if odd(r.0)));
        if rex != 0 || spl {
            self.byte(0x40 | rex);
        }
        self.code.extend_from_slice(opcode);
        self.modrm(reg & 7, rm);
    }

    fn modrm(&mut self, reg: u8, rm: Rm) {
        let (low, disp, sib) = match rm {
            Rm::Reg(r) => return self.byte(0xc0 | reg << 3 | r.0 & 7),
            Rm::At(b, disp) if b.0 & 7 == 4 => (4, disp, Some(0x20 | b.0 & 7)),
            Rm::At(b, disp) => (b.0 & 7, disp, None),
            Rm::Sum(b, i, scale, disp) => (4, disp, Some(scale << 6 | (i.0 & 7) << 3 | b.0 & 7)),
            Rm::Scaled(i, scale, disp) => {
                // no base: always 32 bits of displacement
                self.byte(reg << 3 | 4);
                self.byte(scale << 6 | (i.0 & 7) << 3 | 5);
                return self.dword(disp as u32);
            }
        };
        // without a displacement, RBP and R13 as base mean something else
        let base = sib.map_or(low, |s| s & 7);
        let mode = match i8::try_from(disp) {
            Ok(0) if base != 5 => 0,
            Ok(_) => 1,
            Err(_) => 2,
        };
        self.byte(mode << 6 | reg << 3 | low);
        if let Some(sib) = sib {
            self.byte(sib);
        }
        match mode {
            0 => {}
            1 => self.byte(disp as u8),
            _ => self.dword(disp as u32),
        }
    }

    /// `reg = rm`, of 32 or 64 bits; narrower widths are extended with zeros.
    pub(super) fn load(&mut self, w: Width, reg: Host, rm: Rm) {
        match w {
            Width::B8 => self.form(Width::B32, true, &[0x0f, 0xb6], reg.0, rm),
            Width::B16 => self.form(Width::B32, false, &[0x0f, 0xb7], reg.0, rm),
            w => self.form(w, false, &[0x8b], reg.0, rm),
        }
    }

    /// `reg = rm` with its sign, from one width to 32 or 64 bits.
    pub(super) fn load_signed(&mut self, from: Width, to: Width, reg: Host, rm: Rm) {
        match from {
            Width::B8 => self.form(to, true, &[0x0f, 0xbe], reg.0, rm),
            Width::B16 => self.form(to, false, &[0x0f, 0xbf], reg.0, rm),
            Width::B32 => self.form(to, false, &[0x63], reg.0, rm),
            Width::B64 => self.form(to, false, &[0x8b], reg.0, rm),
        }
    }

    /// `rm = reg`: the rest of a register stays, but for 32 bits.
    pub(super) fn store(&mut self, w: Width, rm: Rm, reg: Host) {
        let byte = w == Width::B8;
        self.form(w, byte, &[if byte { 0x88 } else { 0x89 }], reg.0, rm);
    }

    /// `rm = k`, extended with its sign to 64 bits.
    pub(super) fn store_constant(&mut self, w: Width, rm: Rm, k: u32) {
        let byte = w == Width::B8;
        self.form(w, byte, &[if byte { 0xc6 } else { 0xc7 }], 0, rm);
        match w {
            Width::B8 => self.byte(k as u8),
            Width::B16 => self.code.extend_from_slice(&(k as u16).to_le_bytes()),
            _ => self.dword(k),
        }
    }

    /// `reg = k`. Flags stay.
    pub(super) fn constant(&mut self, reg: Host, k: u64) {
        match (u32::try_from(k), i32::try_from(k as i64)) {
            (Ok(k), _) => {
                if reg.0 >= 8 {
                    self.byte(0x41);
                }
                self.byte(0xb8 | reg.0 & 7);
                self.dword(k);
            }
            (_, Ok(k)) => self.store_constant(Width::B64, Rm::Reg(reg), k as u32),
            _ => {
                self.byte(0x48 | reg.0 >> 3);
                self.byte(0xb8 | reg.0 & 7);
                self.code.extend_from_slice(&k.to_le_bytes());
            }
        }
    }

    /// `a = a op rm`, of 32 or 64 bits.
    pub(super) fn alu(&mut self, w: Width, op: Alu, a: Host, rm: Rm) {
        self.form(w, false, &[(op as u8) << 3 | 3], a.0, rm);
    }

    /// `rm = rm op k`, of 32 or 64 bits.
    pub(super) fn alu_constant(&mut self, w: Width, op: Alu, rm: Rm, k: i32) {
        if let Ok(short) = i8::try_from(k) {
            self.form(w, false, &[0x83], op as u8, rm);
            return self.byte(short as u8);
        }
        self.form(w, false, &[0x81], op as u8, rm);
        self.dword(k as u32);
    }

    /// `rm = rm op reg`, of 32 or 64 bits.
    pub(super) fn alu_memory(&mut self, w: Width, op: Alu, rm: Rm, reg: Host) {
        self.form(w, false, &[(op as u8) << 3 | 1], reg.0, rm);
    }

    pub(super) fn test(&mut self, w: Width, a: Host, b: Host) {
        let byte = w == Width::B8;
        self.form(w, byte, &[if byte { 0x84 } else { 0x85 }], a.0, Rm::Reg(b));
    }

    pub(super) fn test_constant(&mut self, w: Width, a: Host, k: u32) {
        self.form(w, false, &[0xf7], 0, Rm::Reg(a));
        self.dword(k);
    }

    /// The address of `rm`, cut to 32 or 64 bits.
    pub(super) fn lea(&mut self, w: Width, reg: Host, rm: Rm) {
        self.form(w, false, &[0x8d], reg.0, rm);
    }

    pub(super) fn shift_constant(&mut self, w: Width, op: Shift, rm: Rm, n: u8) {
        self.form(w, false, &[0xc1], op as u8, rm);
        self.byte(n);
    }

    /// By CL.
    pub(super) fn shift(&mut self, w: Width, op: Shift, reg: Host) {
        self.form(w, false, &[0xd3], op as u8, Rm::Reg(reg));
    }

    pub(super) fn multiply(&mut self, w: Width, reg: Host, rm: Rm) {
        self.form(w, false, &[0x0f, 0xaf], reg.0, rm);
    }

    pub(super) fn bswap(&mut self, w: Width, reg: Host) {
        let rex = u8::from(w == Width::B64) << 3 | reg.0 >> 3;
        if rex != 0 {
            self.byte(0x40 | rex);
        }
        self.code.extend_from_slice(&[0x0f, 0xc8 | reg.0 & 7]);
    }

    /// BSF, or BSR.
    pub(super) fn scan(&mut self, w: Width, reverse: bool, reg: Host, rm: Rm) {
        self.form(w, false, &[0x0f, 0xbc + u8::from(reverse)], reg.0, rm);
    }

    pub(super) fn move_if(&mut self, w: Width, cc: Cc, reg: Host, rm: Rm) {
        self.form(w, false, &[0x0f, 0x40 | cc as u8], reg.0, rm);
    }

    /// `reg` is 0 or 1.
    pub(super) fn set_if(&mut self, cc: Cc, reg: Host) {
        self.form(Width::B8, true, &[0x0f, 0x90 | cc as u8], 0, Rm::Reg(reg));
        self.load(Width::B8, reg, Rm::Reg(reg));
    }

    /// `rm = rm - 1`, of 32 bits.
    pub(super) fn decrement(&mut self, rm: Rm) {
        self.form(Width::B32, false, &[0xff], 1, rm);
    }

    pub(super) fn jump(&mut self, to: Label) {
        self.byte(0xe9);
        self.distance(to);
    }

    pub(super) fn jump_if(&mut self, cc: Cc, to: Label) {
        self.code.extend_from_slice(&[0x0f, 0x80 | cc as u8]);
        self.distance(to);
    }

    fn distance(&mut self, to: Label) {
        self.fixups.push((self.code.len(), to));
        self.dword(0);
    }

    /// `reg` is the address of a label.
    pub(super) fn address(&mut self, reg: Host, of: Label) {
        self.code.extend_from_slice(&[0x48 | (reg.0 >> 3) << 2, 0x8d, 5 | (reg.0 & 7) << 3]);
        self.distance(of);
    }

    /// The distance from where this is to a label, as data: add the address behind it.
    pub(super) fn entry(&mut self, to: Label) {
        self.distance(to);
    }

    pub(super) fn jump_to(&mut self, reg: Host) {
        self.form(Width::B32, false, &[0xff], 4, Rm::Reg(reg));
    }

    pub(super) fn call(&mut self, reg: Host) {
        self.form(Width::B32, false, &[0xff], 2, Rm::Reg(reg));
    }

    pub(super) fn push(&mut self, reg: Host) {
        if reg.0 >= 8 {
            self.byte(0x41);
        }
        self.byte(0x50 | reg.0 & 7);
    }

    pub(super) fn pop(&mut self, reg: Host) {
        if reg.0 >= 8 {
            self.byte(0x41);
        }
        self.byte(0x58 | reg.0 & 7);
    }

    pub(super) fn ret(&mut self) {
        self.byte(0xc3);
    }
}
