//! A reading of the bodies that computes nothing and notes what each instruction touches.
//!
//! Register values are symbols with a constant added, so that accesses through one register can be
//! told to lie near each other.

use crate::clean::Elements;
use crate::fold;
use cpu::Width::{B8, B16, B32};
use cpu::{CpuModel, Fault, Insn, Kind, Width, reg};
use sem::flags::{Flag, Flags};
use sem::fp::{PackedOp, SseOp, X87};
use sem::shape::{Kinds, Picker};
use sem::{Access, Body, Bulk, Emit, Guard, Memory16};

/// A value: a constant, a symbol plus a constant, or anything.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Sym {
    Const(u64),
    Plus(u32, u32),
    Any,
}

/// Registers in one mask: general 0 to 7, XMM 8 to 15, MMX 16 to 23.
pub(crate) type Mask = u32;
/// The first XMM register in a [`Mask`].
pub(crate) const XMM: u32 = 8;
/// The first MMX register in a [`Mask`].
pub(crate) const MMX: u32 = 16;

/// A memory access: symbol and offset (where they are known), segment, bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Touch {
    pub(crate) at: Option<(u32, u32)>,
    pub(crate) seg: u8,
    pub(crate) size: u32,
    pub(crate) write: bool,
}

/// What an instruction touches.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub(crate) struct Effects {
    /// Registers read, or written in part.
    pub(crate) reads: Mask,
    /// Registers written.
    pub(crate) writes: Mask,
    /// Arithmetic flags read, or kept on a condition, that it has not set before ([`bit`]).
    pub(crate) reads_flags: u8,
    /// Arithmetic flags written, whatever happens.
    pub(crate) sets_flags: u8,
    /// It may leave before it is done.
    pub(crate) stops: bool,
    /// Its memory accesses, in order.
    pub(crate) touches: Vec<Touch>,
    /// It uses the x87 unit's registers.
    pub(crate) x87: bool,
    /// It uses the MMX registers.
    pub(crate) mmx: bool,
    /// It uses SSE.
    pub(crate) sse: bool,
    /// It uses an operation that has no code.
    pub(crate) unsupported: bool,
    /// It computes with numbers that have to be clean: these elements of the XMM registers that it reads.
    pub(crate) numbers: Option<Elements>,
    /// It computes under MXCSR.
    pub(crate) raises: bool,
    /// What it repeats.
    pub(crate) repeats: Option<(Bulk, Width)>,
}

/// Registers that take what an instruction reads from memory, as it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Vectors {
    Xmm,
    Mmx,
}

impl Effects {
    /// The vector registers that it computes with.
    pub(crate) fn vectors(&self, insn: &Insn) -> Option<Vectors> {
        let integer = matches!(insn.code.mnemonic(), isa::Mnemonic::Cvtsi2ss | isa::Mnemonic::Cvtsi2sd);
        match self.reads | self.writes {
            m if m >> MMX != 0 => Some(Vectors::Mmx),
            m if m >> XMM != 0 && !integer => Some(Vectors::Xmm),
            _ => None,
        }
    }
}

/// All six arithmetic flags.
pub(crate) const ALL_FLAGS: u8 = 0x3f;

/// A flag in a mask of flags.
pub(crate) fn bit(f: Flag) -> u8 {
    1 << f as u8
}

/// The flags that a condition code reads (SDM vol. 2, table B-10).
pub(crate) fn read_by(cc: u8) -> u8 {
    let flags: &[Flag] = match cc >> 1 {
        0 => &[Flag::OF],
        1 => &[Flag::CF],
        2 => &[Flag::ZF],
        3 => &[Flag::CF, Flag::ZF],
        4 => &[Flag::SF],
        5 => &[Flag::PF],
        6 => &[Flag::SF, Flag::OF],
        _ => &[Flag::SF, Flag::OF, Flag::ZF],
    };
    flags.iter().fold(0, |m, &f| m | bit(f))
}

/// Symbolic register values along a block.
pub(crate) struct Tracker {
    registers: [Sym; 8],
    next: u32,
}

impl Tracker {
    /// Every register holds a value of its own.
    pub(crate) fn new() -> Tracker {
        Tracker { registers: std::array::from_fn(|n| Sym::Plus(n as u32, 0)), next: 8 }
    }

    fn fresh(&mut self) -> Sym {
        self.next += 1;
        Sym::Plus(self.next - 1, 0)
    }

    /// A register gets any value.
    pub(crate) fn anything(&mut self, r: u8) {
        self.registers[usize::from(r & 7)] = self.fresh();
    }

    /// A register gets its value plus a constant.
    pub(crate) fn moved(&mut self, r: u8, by: u32) {
        match &mut self.registers[usize::from(r & 7)] {
            Sym::Plus(_, k) => *k = k.wrapping_add(by),
            _ => self.anything(r),
        }
    }

    /// Reads one instruction; `None` where it has no body.
    pub(crate) fn read(&mut self, insn: &Insn, model: CpuModel, stack: Width) -> Option<Effects> {
        let run = sem::bind(insn, ToReading)?;
        let mut r = Reading { insn, model, stack, t: self, depth: 0, out: Effects::default() };
        run(&mut r);
        Some(r.out)
    }
}

struct ToReading;
impl Picker for ToReading {
    type Out = fn(&mut Reading<'_>);
    fn make<B: Body, K: Kinds>(self) -> Self::Out {
        |r| {
            // a reading never stops
            let _ = B::run(r);
        }
    }
}

struct Reading<'a> {
    insn: &'a Insn,
    model: CpuModel,
    stack: Width,
    t: &'a mut Tracker,
    /// Inside so many `when`.
    depth: u32,
    out: Effects,
}

#[derive(Clone, Copy)]
enum Place {
    Reg(u8),
    Imm,
    Memory,
}

impl Reading<'_> {
    fn touch(&mut self, seg: u8, offset: Sym, size: u32, access: Access) -> Place {
        self.out.stops = true;
        let at = match offset {
            Sym::Plus(id, k) => Some((id, k)),
            Sym::Const(k) => Some((u32::MAX, k as u32)),
            Sym::Any => None,
        };
        self.out.touches.push(Touch { at, seg, size, write: access.writes() });
        Place::Memory
    }

    fn address(&mut self) -> Sym {
        let i = *self.insn;
        let base = self.reg(B32, i.base);
        let disp = Sym::Const(u64::from(i.disp));
        let at = if i.index == reg::NONE {
            self.add(B32, base, disp)
        } else {
            self.reg(B32, i.index);
            Sym::Any
        };
        if i.addr32 { at } else { Sym::Any }
    }

    fn two(&mut self, w: Width, a: Sym, b: Sym, f: impl FnOnce(Width, u64, u64) -> u64) -> Sym {
        match (a, b) {
            (Sym::Const(a), Sym::Const(b)) => Sym::Const(f(w, a, b)),
            _ => Sym::Any,
        }
    }

    fn read_flags(&mut self, which: u8) {
        self.out.reads_flags |= which & !self.out.sets_flags;
    }
}

macro_rules! folded {
    ($($name:ident)*) => {
        $(fn $name(&mut self, w: Width, a: Sym, b: Sym) -> Sym {
            self.two(w, a, b, fold::$name)
        })*
    };
}

impl Emit for Reading<'_> {
    type Val = Sym;
    type Wide = ();
    type Place = Place;
    type Stop = std::convert::Infallible;

    fn insn(&self) -> &Insn {
        self.insn
    }
    fn model(&self) -> CpuModel {
        self.model
    }
    fn stack_width(&self) -> Width {
        self.stack
    }
    fn imm(&mut self, w: Width, k: u64) -> Sym {
        Sym::Const(k & w.mask())
    }
    fn known(&self, v: Sym) -> Option<u64> {
        if let Sym::Const(k) = v { Some(k) } else { None }
    }
    fn add(&mut self, w: Width, a: Sym, b: Sym) -> Sym {
        match (w, a, b) {
            (B32, Sym::Plus(id, k), Sym::Const(c)) | (B32, Sym::Const(c), Sym::Plus(id, k)) => {
                Sym::Plus(id, k.wrapping_add(c as u32))
            }
            _ => self.two(w, a, b, fold::add),
        }
    }
    fn sub(&mut self, w: Width, a: Sym, b: Sym) -> Sym {
        match (w, a, b) {
            (B32, Sym::Plus(id, k), Sym::Const(c)) => Sym::Plus(id, k.wrapping_sub(c as u32)),
            _ => self.two(w, a, b, fold::sub),
        }
    }
    folded! { mul udiv urem or xor shl shr sar eq ult slt }
    fn and(&mut self, w: Width, a: Sym, b: Sym) -> Sym {
        match (a, b) {
            (x, Sym::Const(m)) if m & w.mask() == w.mask() => x,
            _ => self.two(w, a, b, fold::and),
        }
    }
    fn sext(&mut self, from: Width, to: Width, a: Sym) -> Sym {
        self.two(from, a, Sym::Const(0), |_, a, _| fold::sext(from, to, a))
    }
    fn zext(&mut self, _: Width, _: Width, a: Sym) -> Sym {
        if let Sym::Const(_) = a { a } else { Sym::Any }
    }
    fn trunc(&mut self, _: Width, to: Width, a: Sym) -> Sym {
        self.two(to, a, Sym::Const(0), |_, a, _| a & to.mask())
    }
    fn select(&mut self, _: Width, c: Sym, a: Sym, b: Sym) -> Sym {
        match c {
            Sym::Const(0) => b,
            Sym::Const(_) => a,
            _ if a == b => a,
            _ => Sym::Any,
        }
    }
    fn ctz(&mut self, _: Width, _: Sym) -> Sym {
        Sym::Any
    }
    fn clz(&mut self, _: Width, _: Sym) -> Sym {
        Sym::Any
    }
    fn parity(&mut self, _: Sym) -> Sym {
        Sym::Any
    }
    fn bswap(&mut self, _: Width, _: Sym) -> Sym {
        Sym::Any
    }
    fn wide_imm(&mut self, _: u128) {}
    fn wide_join(&mut self, _: Sym, _: Sym) {}
    fn wide_half(&mut self, _: (), _: bool) -> Sym {
        Sym::Any
    }

    fn operand_kind(&self, n: usize) -> Kind {
        self.insn.kind[n]
    }
    fn place(&mut self, n: usize, w: Width, access: Access) -> Result<Place, Self::Stop> {
        Ok(match self.insn.kind[n] {
            Kind::Reg => Place::Reg(self.insn.reg[n]),
            Kind::Mem => {
                let at = self.address();
                self.touch(self.insn.seg, at, w.bytes(), access)
            }
            Kind::Imm | Kind::None => Place::Imm,
        })
    }
    fn memory(&mut self, seg: u8, offset: Sym, w: Width, access: Access) -> Result<Place, Self::Stop> {
        Ok(self.touch(seg, offset, w.bytes(), access))
    }
    fn wide_place(&mut self, bytes: u32, _: Memory16, access: Access) -> Result<Place, Self::Stop> {
        let at = self.address();
        Ok(self.touch(self.insn.seg, at, bytes, access))
    }
    fn read(&mut self, p: Place, w: Width) -> Sym {
        match p {
            Place::Reg(r) => self.reg(w, r),
            Place::Imm => Sym::Const(u64::from(self.insn.imm) & w.mask()),
            Place::Memory => self.t.fresh(),
        }
    }
    fn write(&mut self, p: Place, w: Width, v: Sym) {
        if let Place::Reg(r) = p {
            self.set_reg(w, r, v);
        }
    }
    fn wide_read(&mut self, _: Place, _: u32) {}
    fn wide_write(&mut self, _: Place, _: u32, (): ()) {}
    fn effective_address(&mut self) -> Sym {
        self.address()
    }
    fn reg(&mut self, w: Width, r: u8) -> Sym {
        if r == reg::NONE && w != B8 {
            return Sym::Const(0);
        }
        self.out.reads |= 1 << (r & 7);
        if w == B32 { self.t.registers[usize::from(r & 7)] } else { Sym::Any }
    }
    fn set_reg(&mut self, w: Width, r: u8, v: Sym) {
        let partial = matches!(w, B8 | B16) || self.depth > 0;
        self.out.reads |= u32::from(partial) << (r & 7);
        self.out.writes |= 1 << (r & 7);
        let v = if partial || v == Sym::Any { self.t.fresh() } else { v };
        self.t.registers[usize::from(r & 7)] = v;
    }
    fn mmx(&mut self, r: u8) -> Sym {
        self.out.reads |= 1 << (MMX + u32::from(r & 7));
        Sym::Any
    }
    fn set_mmx(&mut self, r: u8, _: Sym) {
        self.out.writes |= 1 << (MMX + u32::from(r & 7));
    }
    fn xmm(&mut self, r: u8) {
        self.out.reads |= 1 << (XMM + u32::from(r & 7));
    }
    fn set_xmm(&mut self, r: u8, (): ()) {
        self.out.writes |= 1 << (XMM + u32::from(r & 7));
    }
    fn x87(&mut self, _: X87, (): ()) {}
    fn note_fpu(&mut self) {
        if self.insn.kind[0] == Kind::Mem {
            self.address();
        }
    }
    fn packed(&mut self, op: PackedOp, _: u8, (): (), (): ()) {
        self.out.unsupported |= !crate::simd::packed_supported(op);
    }
    fn sse(&mut self, op: SseOp, _: u8, (): (), (): ()) -> Result<(), Self::Stop> {
        self.out.stops = true;
        self.out.unsupported |= !crate::sse::sse_supported(op);
        self.out.raises = true;
        self.out.numbers = crate::sse::numbers(op);
        Ok(())
    }
    fn mxcsr(&mut self) -> Sym {
        self.out.unsupported = true;
        Sym::Any
    }
    fn set_mxcsr(&mut self, _: Sym) {
        self.out.unsupported = true;
    }

    fn set_flags(&mut self, f: Flags<Sym>) {
        if self.depth > 0 {
            return self.read_flags(ALL_FLAGS);
        }
        self.out.sets_flags |= match f {
            Flags::Inc { .. } | Flags::Dec { .. } => ALL_FLAGS & !bit(Flag::CF),
            Flags::Given(given) => (0..6).fold(0, |m, n| m | u8::from(given[n].is_some()) << n),
            _ => ALL_FLAGS,
        };
    }
    fn set_flags_if(&mut self, c: Sym, f: Flags<Sym>) {
        match c {
            Sym::Const(0) => {}
            Sym::Const(_) => self.set_flags(f),
            // it is kept with its condition: nothing is read, and nothing is set for certain
            _ if self.depth == 0 => {}
            _ => self.read_flags(ALL_FLAGS),
        }
    }
    fn flag(&mut self, f: Flag) -> Sym {
        self.read_flags(bit(f));
        Sym::Any
    }
    fn condition(&mut self, cc: u8) -> Sym {
        self.read_flags(read_by(cc));
        Sym::Any
    }
    fn direction(&mut self) -> Sym {
        Sym::Any
    }
    fn set_direction(&mut self, _: bool) {}
    fn next_ip(&mut self) -> Sym {
        Sym::Any
    }
    fn this_ip(&mut self) -> Sym {
        Sym::Any
    }
    fn check_target(&mut self, _: Sym) -> Result<(), Self::Stop> {
        self.out.stops = true;
        Ok(())
    }
    fn jump(&mut self, _: Sym) {}
    fn jump_if(&mut self, _: Sym, _: Sym) -> Result<(), Self::Stop> {
        Ok(())
    }
    fn trap_if(&mut self, _: Sym, _: Fault) -> Result<(), Self::Stop> {
        self.out.stops = true;
        Ok(())
    }
    fn guard(&mut self, unit: Guard) -> Result<(), Self::Stop> {
        self.out.stops = true;
        match unit {
            Guard::Fpu | Guard::FpuNoWait => self.out.x87 = true,
            Guard::Mmx => self.out.mmx = true,
            Guard::Sse => self.out.sse = true,
        }
        Ok(())
    }
    fn when(&mut self, c: Sym, body: impl FnOnce(&mut Self)) {
        match c {
            Sym::Const(0) => {}
            Sym::Const(_) => body(self),
            _ => {
                self.depth += 1;
                body(self);
                self.depth -= 1;
            }
        }
    }
    fn repeat(
        &mut self,
        bulk: Bulk,
        w: Width,
        mut step: impl FnMut(&mut Self) -> Result<(), Self::Stop>,
    ) -> Result<(), Self::Stop> {
        self.out.repeats = self.insn.prefix.repeated().then_some((bulk, w));
        step(self)
    }
}
