//! The total map from forms to their meaning: an innocuous body, a routine of the monitor, or
//! nothing.

use crate::alu::Op;
use crate::bits::BitOp;
use crate::shape::{Any, Immediate, Nullary, One, Picker, Shape, Two};
use crate::shifts::Shift;
use crate::{Emit, alu, bcd, bits, control, moves, muldiv, shifts, stack, strings};
use cpu::Width::{B8, B16, B32};
use cpu::{Insn, Width};
pub use isa::Routine;
use isa::{Code, Mnemonic, routine};

/// One innocuous instruction's semantics.
pub trait Body {
    /// The operand combinations worth routines of their own.
    type Shape: Shape;
    /// Reads the semantics with an implementation of [`Emit`].
    ///
    /// # Errors
    /// Stops where the instruction does not complete.
    fn run<E: Emit>(e: &mut E) -> Result<(), E::Stop>;
}

/// What a form means to Ringer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Binding {
    /// An innocuous instruction with a body in this crate.
    Innocuous,
    /// A sensitive instruction with an interpreter in the monitor.
    Sensitive(Routine),
    /// Not executed: #UD.
    Unimplemented,
}

/// The width that a const parameter names, in bytes.
const fn width(bytes: u8) -> Width {
    match bytes {
        1 => B8,
        2 => B16,
        4 => B32,
        _ => Width::B64,
    }
}

macro_rules! bodies {
    ($($name:ident: $shape:ident = |$e:ident $(, $w:ident)?| $body:expr;)*) => {
        $(bodies!(@one $name, $shape, $e, $($w)?, $body);)*
    };
    (@one $name:ident, $shape:ident, $e:ident, $w:ident, $body:expr) => {
        struct $name<const BYTES: u8>;
        impl<const BYTES: u8> Body for $name<BYTES> {
            type Shape = $shape;
            #[inline(always)]
            fn run<E: Emit>($e: &mut E) -> Result<(), E::Stop> { let $w = width(BYTES); $body }
        }
    };
    (@one $name:ident, $shape:ident, $e:ident, , $body:expr) => {
        struct $name;
        impl Body for $name {
            type Shape = $shape;
            #[inline(always)]
            fn run<E: Emit>($e: &mut E) -> Result<(), E::Stop> { $body }
        }
    };
}

bodies! {
    Add: Two = |e, w| alu::binary(e, Op::Add, w);
    Adc: Two = |e, w| alu::binary(e, Op::Adc, w);
    Sub: Two = |e, w| alu::binary(e, Op::Sub, w);
    Sbb: Two = |e, w| alu::binary(e, Op::Sbb, w);
    And: Two = |e, w| alu::binary(e, Op::And, w);
    Or: Two = |e, w| alu::binary(e, Op::Or, w);
    Xor: Two = |e, w| alu::binary(e, Op::Xor, w);
    Cmp: Two = |e, w| alu::cmp(e, w);
    Test: Two = |e, w| alu::test(e, w);
    Inc: One = |e, w| alu::inc(e, w);
    Dec: One = |e, w| alu::dec(e, w);
    Neg: One = |e, w| alu::neg(e, w);
    Not: One = |e, w| alu::not(e, w);
    Xadd: Any = |e, w| alu::xadd(e, w);
    Cmpxchg: Any = |e, w| alu::cmpxchg(e, w);
    Cmpxchg8b: Any = |e| alu::cmpxchg8b(e);
    Bswap: One = |e, w| alu::bswap(e, w);
    Clc: Nullary = |e| alu::set_carry(e, false);
    Stc: Nullary = |e| alu::set_carry(e, true);
    Cmc: Any = |e| alu::cmc(e);
    Lahf: Any = |e| alu::lahf(e);
    Sahf: Any = |e| alu::sahf(e);
    Cbw: Nullary = |e| alu::extend_accumulator(e, B8, B16);
    Cwde: Nullary = |e| alu::extend_accumulator(e, B16, B32);
    SpreadSign: Nullary = |e, w| alu::spread_sign(e, w);
    Daa: Any = |e| bcd::daa_das(e, false);
    Das: Any = |e| bcd::daa_das(e, true);
    Aaa: Any = |e| bcd::aaa_aas(e, false);
    Aas: Any = |e| bcd::aaa_aas(e, true);
    Aam: Any = |e| bcd::aam(e);
    Aad: Any = |e| bcd::aad(e);
    Salc: Any = |e| bcd::salc(e);
    Bt: Two = |e, w| bits::bit_test(e, BitOp::Test, w);
    Bts: Two = |e, w| bits::bit_test(e, BitOp::Set, w);
    Btr: Two = |e, w| bits::bit_test(e, BitOp::Reset, w);
    Btc: Two = |e, w| bits::bit_test(e, BitOp::Complement, w);
    Bsf: Two = |e, w| bits::bit_scan(e, w, false);
    Bsr: Two = |e, w| bits::bit_scan(e, w, true);
    Mov: Two = |e, w| moves::mov(e, w);
    Movzx8: Two = |e, w| moves::extend(e, B8, w, false);
    Movzx16: Two = |e, w| moves::extend(e, B16, w, false);
    Movsx8: Two = |e, w| moves::extend(e, B8, w, true);
    Movsx16: Two = |e, w| moves::extend(e, B16, w, true);
    Movbe: Any = |e, w| moves::movbe(e, w);
    Xchg: Two = |e, w| moves::xchg(e, w);
    Lea: Two = |e, w| moves::lea(e, w);
    Xlat: Any = |e| moves::xlat(e);
    Nothing: Any = |e| moves::nothing(e);
    Cld: Nullary = |e| moves::set_direction(e, false);
    Std: Any = |e| moves::set_direction(e, true);
    Mul: One = |e, w| muldiv::mul(e, w, false);
    Imul1: One = |e, w| muldiv::mul(e, w, true);
    Imul2: Two = |e, w| muldiv::imul(e, w, 0);
    Imul3: Two = |e, w| muldiv::imul(e, w, 2);
    Div: One = |e, w| muldiv::div(e, w, false);
    Idiv: One = |e, w| muldiv::div(e, w, true);
    Shl: Two = |e, w| shifts::shift(e, Shift::Shl, w);
    Shr: Two = |e, w| shifts::shift(e, Shift::Shr, w);
    Sar: Two = |e, w| shifts::shift(e, Shift::Sar, w);
    Rol: Two = |e, w| shifts::rotate(e, Shift::Rol, w);
    Ror: Two = |e, w| shifts::rotate(e, Shift::Ror, w);
    Rcl: Any = |e, w| shifts::rotate_carry(e, Shift::Rcl, w);
    Rcr: Any = |e, w| shifts::rotate_carry(e, Shift::Rcr, w);
    Shld: Any = |e, w| shifts::double(e, w, false);
    Shrd: Any = |e, w| shifts::double(e, w, true);
    PushReg: One = |e, w| stack::push(e, w);
    PushImm: Immediate = |e, w| stack::push(e, w);
    Pop: One = |e, w| stack::pop(e, w);
    Pusha: Any = |e, w| stack::pusha(e, w);
    Popa: Any = |e, w| stack::popa(e, w);
    Enter: Any = |e, w| stack::enter(e, w);
    Leave: Nullary = |e, w| stack::leave(e, w);
    JmpNear: Immediate = |e, w| control::jmp(e, w);
    CallNear: Immediate = |e, w| control::call(e, w);
    JmpIndirect: One = |e, w| control::jmp(e, w);
    CallIndirect: One = |e, w| control::call(e, w);
    RetNear: Immediate = |e, w| control::ret(e, w);
    Jcxz: Any = |e, w| control::jcxz(e, w);
    Loop: Any = |e, w| control::loop_(e, None, w);
    Loope: Any = |e, w| control::loop_(e, Some(true), w);
    Loopne: Any = |e, w| control::loop_(e, Some(false), w);
    Movs: Any = |e, w| strings::movs(e, w);
    Stos: Any = |e, w| strings::stos(e, w);
    Lods: Any = |e, w| strings::lods(e, w);
    Scas: Any = |e, w| strings::scas(e, w);
    Cmps: Any = |e, w| strings::cmps(e, w);
}

/// Jcc, SETcc and CMOVcc, a body a condition.
struct Jcc<const CC: u8, const BYTES: u8>;
impl<const CC: u8, const BYTES: u8> Body for Jcc<CC, BYTES> {
    type Shape = Immediate;
    #[inline(always)]
    fn run<E: Emit>(e: &mut E) -> Result<(), E::Stop> {
        control::jcc(e, CC, width(BYTES))
    }
}
struct Setcc<const CC: u8>;
impl<const CC: u8> Body for Setcc<CC> {
    type Shape = One;
    #[inline(always)]
    fn run<E: Emit>(e: &mut E) -> Result<(), E::Stop> {
        bits::set_condition(e, CC)
    }
}
struct Cmovcc<const CC: u8, const BYTES: u8>;
impl<const CC: u8, const BYTES: u8> Body for Cmovcc<CC, BYTES> {
    type Shape = Two;
    #[inline(always)]
    fn run<E: Emit>(e: &mut E) -> Result<(), E::Stop> {
        bits::cmov(e, CC, width(BYTES))
    }
}

pub(crate) fn pick<B: Body, P: Picker>(insn: &Insn, p: P) -> Option<P::Out> {
    Some(<B::Shape as Shape>::pick::<B, P>(insn, p))
}

/// A body for widths of 8, 16 and 32 bits.
macro_rules! sized {
    ($body:ident, $insn:ident, $p:ident) => {
        match operand_width($insn.code) {
            B8 => pick::<$body<1>, P>($insn, $p),
            B16 => pick::<$body<2>, P>($insn, $p),
            _ => pick::<$body<4>, P>($insn, $p),
        }
    };
}

/// A body for widths of 16 and 32 bits.
macro_rules! word {
    ($body:ident, $insn:ident, $p:ident) => {
        match operand_width($insn.code) {
            B16 => pick::<$body<2>, P>($insn, $p),
            _ => pick::<$body<4>, P>($insn, $p),
        }
    };
}

/// A body chosen by its condition code.
macro_rules! by_condition {
    ($cc:expr, $body:ident $(, $w:literal)?; $insn:ident, $p:ident) => {
        match $cc {
            0 => pick::<$body<0 $(, $w)?>, P>($insn, $p),
            1 => pick::<$body<1 $(, $w)?>, P>($insn, $p),
            2 => pick::<$body<2 $(, $w)?>, P>($insn, $p),
            3 => pick::<$body<3 $(, $w)?>, P>($insn, $p),
            4 => pick::<$body<4 $(, $w)?>, P>($insn, $p),
            5 => pick::<$body<5 $(, $w)?>, P>($insn, $p),
            6 => pick::<$body<6 $(, $w)?>, P>($insn, $p),
            7 => pick::<$body<7 $(, $w)?>, P>($insn, $p),
            8 => pick::<$body<8 $(, $w)?>, P>($insn, $p),
            9 => pick::<$body<9 $(, $w)?>, P>($insn, $p),
            10 => pick::<$body<10 $(, $w)?>, P>($insn, $p),
            11 => pick::<$body<11 $(, $w)?>, P>($insn, $p),
            12 => pick::<$body<12 $(, $w)?>, P>($insn, $p),
            13 => pick::<$body<13 $(, $w)?>, P>($insn, $p),
            14 => pick::<$body<14 $(, $w)?>, P>($insn, $p),
            _ => pick::<$body<15 $(, $w)?>, P>($insn, $p),
        }
    };
}

/// Hands the body of an innocuous form to an engine; `None` for all other forms.
pub fn bind<P: Picker>(insn: &Insn, p: P) -> Option<P::Out> {
    if routine(insn.code).is_some() || long_mode_only(insn.code) {
        return None;
    }
    bind_conditional(insn, p)
}

fn long_mode_only(code: Code) -> bool {
    let info = code.op_code();
    !info.mode16() && !info.mode32()
}

fn bind_conditional<P: Picker>(insn: &Insn, p: P) -> Option<P::Out> {
    use isa::OpCodeOperandKind as K;
    let code = insn.code;
    let info = code.op_code();
    // iced numbers conditions as the encoding does, from 1 (0 is none)
    let cc = (code.condition_code() as u8).wrapping_sub(1);
    if code.is_jcc_short() || code.is_jcc_near() {
        return match operand_width(code) {
            B16 => by_condition!(cc, Jcc, 2; insn, p),
            _ => by_condition!(cc, Jcc, 4; insn, p),
        };
    }
    match (info.op0_kind(), info.op1_kind()) {
        (K::r8_or_mem, _) if cc < 16 => by_condition!(cc, Setcc; insn, p),
        (_, K::r16_or_mem) if cc < 16 => by_condition!(cc, Cmovcc, 2; insn, p),
        (_, K::r32_or_mem) if cc < 16 => by_condition!(cc, Cmovcc, 4; insn, p),
        _ => bind_integer(insn, p),
    }
}

fn bind_integer<P: Picker>(insn: &Insn, p: P) -> Option<P::Out> {
    use Mnemonic as M;
    match insn.code.mnemonic() {
        M::Add => sized!(Add, insn, p),
        M::Adc => sized!(Adc, insn, p),
        M::Sub => sized!(Sub, insn, p),
        M::Sbb => sized!(Sbb, insn, p),
        M::And => sized!(And, insn, p),
        M::Or => sized!(Or, insn, p),
        M::Xor => sized!(Xor, insn, p),
        M::Cmp => sized!(Cmp, insn, p),
        M::Test => sized!(Test, insn, p),
        M::Inc => sized!(Inc, insn, p),
        M::Dec => sized!(Dec, insn, p),
        M::Neg => sized!(Neg, insn, p),
        M::Not => sized!(Not, insn, p),
        M::Xadd => sized!(Xadd, insn, p),
        M::Cmpxchg if insn.code.op_code().op_count() == 2 => sized!(Cmpxchg, insn, p),
        M::Cmpxchg8b => pick::<Cmpxchg8b, P>(insn, p),
        M::Bswap => word!(Bswap, insn, p),
        M::Clc => pick::<Clc, P>(insn, p),
        M::Stc => pick::<Stc, P>(insn, p),
        M::Cmc => pick::<Cmc, P>(insn, p),
        M::Lahf => pick::<Lahf, P>(insn, p),
        M::Sahf => pick::<Sahf, P>(insn, p),
        M::Cbw => pick::<Cbw, P>(insn, p),
        M::Cwde => pick::<Cwde, P>(insn, p),
        M::Cwd => pick::<SpreadSign<2>, P>(insn, p),
        M::Cdq => pick::<SpreadSign<4>, P>(insn, p),
        M::Daa => pick::<Daa, P>(insn, p),
        M::Das => pick::<Das, P>(insn, p),
        M::Aaa => pick::<Aaa, P>(insn, p),
        M::Aas => pick::<Aas, P>(insn, p),
        M::Aam => pick::<Aam, P>(insn, p),
        M::Aad => pick::<Aad, P>(insn, p),
        M::Salc => pick::<Salc, P>(insn, p),
        M::Cld => pick::<Cld, P>(insn, p),
        M::Std => pick::<Std, P>(insn, p),
        M::Xlatb => pick::<Xlat, P>(insn, p),
        _ => bind_moves(insn, p),
    }
}

fn bind_moves<P: Picker>(insn: &Insn, p: P) -> Option<P::Out> {
    use Mnemonic as M;
    match insn.code.mnemonic() {
        M::Mov => sized!(Mov, insn, p),
        M::Movzx if from_byte(insn.code) => word!(Movzx8, insn, p),
        M::Movzx => word!(Movzx16, insn, p),
        M::Movsx if from_byte(insn.code) => word!(Movsx8, insn, p),
        M::Movsx => word!(Movsx16, insn, p),
        M::Movbe => word!(Movbe, insn, p),
        M::Xchg => sized!(Xchg, insn, p),
        M::Lea => word!(Lea, insn, p),
        M::Nop | M::Pause | M::Prefetcht0 | M::Prefetcht1 | M::Prefetcht2 | M::Prefetchnta => {
            pick::<Nothing, P>(insn, p)
        }
        M::Prefetch | M::Prefetchw | M::Reservednop | M::Lfence | M::Mfence | M::Sfence => {
            pick::<Nothing, P>(insn, p)
        }
        M::Endbr32 => pick::<Nothing, P>(insn, p),
        M::Bt => word!(Bt, insn, p),
        M::Bts => word!(Bts, insn, p),
        M::Btr => word!(Btr, insn, p),
        M::Btc => word!(Btc, insn, p),
        M::Bsf => word!(Bsf, insn, p),
        M::Bsr => word!(Bsr, insn, p),
        M::Push if matches!(insn.kind[0], cpu::Kind::Imm) => word!(PushImm, insn, p),
        M::Push => word!(PushReg, insn, p),
        M::Pop => word!(Pop, insn, p),
        M::Pusha => pick::<Pusha<2>, P>(insn, p),
        M::Pushad => pick::<Pusha<4>, P>(insn, p),
        M::Popa => pick::<Popa<2>, P>(insn, p),
        M::Popad => pick::<Popa<4>, P>(insn, p),
        M::Enter => word!(Enter, insn, p),
        M::Leave => word!(Leave, insn, p),
        _ => bind_arithmetic(insn, p),
    }
}

fn bind_arithmetic<P: Picker>(insn: &Insn, p: P) -> Option<P::Out> {
    use Mnemonic as M;
    match insn.code.mnemonic() {
        M::Mul => sized!(Mul, insn, p),
        M::Imul => match insn.code.op_code().op_count() {
            1 => sized!(Imul1, insn, p),
            2 => {
                // destination and first source are one operand
                word!(Imul2, insn, p)
            }
            _ => word!(Imul3, insn, p),
        },
        M::Div => sized!(Div, insn, p),
        M::Idiv => sized!(Idiv, insn, p),
        M::Shl | M::Sal => sized!(Shl, insn, p),
        M::Shr => sized!(Shr, insn, p),
        M::Sar => sized!(Sar, insn, p),
        M::Rol => sized!(Rol, insn, p),
        M::Ror => sized!(Ror, insn, p),
        M::Rcl => sized!(Rcl, insn, p),
        M::Rcr => sized!(Rcr, insn, p),
        M::Shld => word!(Shld, insn, p),
        M::Shrd => word!(Shrd, insn, p),
        _ => bind_control(insn, p),
    }
}

fn bind_control<P: Picker>(insn: &Insn, p: P) -> Option<P::Out> {
    use Mnemonic as M;
    let direct = matches!(insn.kind[0], cpu::Kind::Imm);
    match insn.code.mnemonic() {
        M::Jmp if direct => word!(JmpNear, insn, p),
        M::Jmp => word!(JmpIndirect, insn, p),
        M::Call if direct => word!(CallNear, insn, p),
        M::Call => word!(CallIndirect, insn, p),
        M::Ret => word!(RetNear, insn, p),
        M::Jcxz | M::Jecxz => word!(Jcxz, insn, p),
        M::Loop => word!(Loop, insn, p),
        M::Loope => word!(Loope, insn, p),
        M::Loopne => word!(Loopne, insn, p),
        _ => bind_strings(insn, p),
    }
}

fn bind_strings<P: Picker>(insn: &Insn, p: P) -> Option<P::Out> {
    match insn.code {
        Code::Movsb_m8_m8 => pick::<Movs<1>, P>(insn, p),
        Code::Movsw_m16_m16 => pick::<Movs<2>, P>(insn, p),
        Code::Movsd_m32_m32 => pick::<Movs<4>, P>(insn, p),
        Code::Stosb_m8_AL => pick::<Stos<1>, P>(insn, p),
        Code::Stosw_m16_AX => pick::<Stos<2>, P>(insn, p),
        Code::Stosd_m32_EAX => pick::<Stos<4>, P>(insn, p),
        Code::Lodsb_AL_m8 => pick::<Lods<1>, P>(insn, p),
        Code::Lodsw_AX_m16 => pick::<Lods<2>, P>(insn, p),
        Code::Lodsd_EAX_m32 => pick::<Lods<4>, P>(insn, p),
        Code::Scasb_AL_m8 => pick::<Scas<1>, P>(insn, p),
        Code::Scasw_AX_m16 => pick::<Scas<2>, P>(insn, p),
        Code::Scasd_EAX_m32 => pick::<Scas<4>, P>(insn, p),
        Code::Cmpsb_m8_m8 => pick::<Cmps<1>, P>(insn, p),
        Code::Cmpsw_m16_m16 => pick::<Cmps<2>, P>(insn, p),
        Code::Cmpsd_m32_m32 => pick::<Cmps<4>, P>(insn, p),
        _ => crate::fp::bind(insn, p),
    }
}

/// The source of MOVZX or MOVSX is a byte.
fn from_byte(code: Code) -> bool {
    code.op_code().op1_kind() == isa::OpCodeOperandKind::r8_or_mem
}

/// The operand width of an integer form: that of its first sized operand, else the form's own.
fn operand_width(code: Code) -> Width {
    use isa::OpCodeOperandKind as K;
    let info = code.op_code();
    let width = |k| {
        Some(match k {
            K::r8_or_mem | K::r8_reg | K::r8_opcode | K::al => B8,
            K::r16_or_mem | K::r16_reg | K::r16_rm | K::r16_opcode | K::ax | K::imm8sex16 => B16,
            K::br16_1 | K::br16_2 => B16,
            K::r32_or_mem | K::r32_reg | K::r32_rm | K::r32_opcode | K::eax | K::imm8sex32 => B32,
            K::br32_1 | K::br32_4 => B32,
            _ => return None,
        })
    };
    let by_kind = width(info.op0_kind()).or_else(|| width(info.op1_kind()));
    by_kind.unwrap_or(if info.operand_size() == 16 { B16 } else { B32 })
}

struct Exists;
impl Picker for Exists {
    type Out = ();
    fn make<B: Body, K: crate::shape::Kinds>(self) {}
}

/// What a form means, whatever its operands.
pub fn binding(code: Code) -> Binding {
    if long_mode_only(code) {
        return Binding::Unimplemented;
    }
    if let Some(r) = routine(code) {
        return Binding::Sensitive(r);
    }
    let mut insn = Insn::blank(code);
    insn.kind[0] = match code.op_code().op0_kind() {
        isa::OpCodeOperandKind::None => cpu::Kind::None,
        k if is_immediate(k) => cpu::Kind::Imm,
        _ => cpu::Kind::Reg,
    };
    if bind(&insn, Exists).is_some() { Binding::Innocuous } else { Binding::Unimplemented }
}

fn is_immediate(k: isa::OpCodeOperandKind) -> bool {
    use isa::OpCodeOperandKind as K;
    matches!(
        k,
        K::imm8
            | K::imm8sex16
            | K::imm8sex32
            | K::imm16
            | K::imm32
            | K::br16_1
            | K::br16_2
            | K::br32_1
            | K::br32_4
    )
}
