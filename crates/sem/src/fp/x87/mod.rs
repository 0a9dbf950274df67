//! The x87 FPU (SDM vol. 1, chapter 8; vol. 2 for each instruction).

mod arith;
mod bodies;
mod convert;
mod forms;
mod registers;
mod stack;
mod unary;

pub(crate) use forms::bind;

use cpu::Fpu;
use stack::Outcome;

/// What a number in memory or a register looks like.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    /// Single precision.
    F32,
    /// Double precision.
    F64,
    /// A register's 80 bits.
    F80,
    /// 16-bit integer.
    I16,
    /// 32-bit integer.
    I32,
    /// 64-bit integer.
    I64,
    /// Eighteen packed decimal digits and a sign.
    Bcd,
}

/// Where an operation with ST(0) has its other operand.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Source {
    /// ST(i).
    Stack,
    /// Memory; its bits are the operation's operand.
    Memory(Format),
}

/// The four operations, two of them in both orders.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Arith {
    /// `a + b`
    Add,
    /// `a * b`
    Mul,
    /// `a - b`
    Sub,
    /// `b - a`
    SubReverse,
    /// `a / b`
    Div,
    /// `b / a`
    DivReverse,
}

/// The constants of FLD1 and its like.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Constant {
    /// 1
    One,
    /// log2(10)
    Log2Of10,
    /// log2(e)
    Log2OfE,
    /// pi
    Pi,
    /// log10(2)
    Log10Of2,
    /// ln(2)
    LnOf2,
    /// 0
    Zero,
}

/// An operation on the FPU's state.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum X87Op {
    /// FLD, FILD, FBLD: pushes the operand.
    Load(Format),
    /// FLD ST(i).
    LoadStack,
    /// FLD1 and its like.
    LoadConstant(Constant),
    /// FST, FIST, FBSTP: gives the bits of ST(0).
    Store(Format),
    /// FISTTP.
    Truncate(Format),
    /// FST ST(i).
    StoreStack,
    /// FSTPNCE: as FSTP ST(i), but an empty ST(0) is no exception.
    StoreStackUnchecked,
    /// FXCH.
    Exchange,
    /// FCMOVcc; the operand is the condition.
    MoveIf,
    /// `ST(0) = ST(0) op source`.
    Arith(Arith, Source),
    /// `ST(i) = ST(i) op ST(0)`.
    ArithTo(Arith),
    /// FCOM, FICOM: sets C0, C2, C3.
    Compare(Source),
    /// FUCOM.
    CompareQuiet,
    /// FCOMI: gives CF, PF, ZF in EFLAGS positions.
    CompareFlags,
    /// FUCOMI.
    CompareFlagsQuiet,
    /// FTST.
    Test,
    /// FXAM.
    Examine,
    /// FCHS.
    ChangeSign,
    /// FABS.
    Absolute,
    /// FSQRT.
    Sqrt,
    /// FRNDINT.
    Round,
    /// FSCALE.
    Scale,
    /// FXTRACT.
    Extract,
    /// FPREM.
    Remainder,
    /// FPREM1.
    RemainderNearest,
    /// F2XM1.
    Exp2Minus1,
    /// FYL2X.
    Log2,
    /// FYL2XP1.
    Log2Plus1,
    /// FPATAN.
    ArcTangent,
    /// FSIN.
    Sin,
    /// FCOS.
    Cos,
    /// FSINCOS.
    SinCos,
    /// FPTAN.
    Tan,
    /// FINCSTP.
    IncrementTop,
    /// FDECSTP.
    DecrementTop,
    /// FFREE.
    Free,
    /// FNOP, and what later chips make of FENI, FDISI and FSETPM.
    Nop,
    /// FNINIT.
    Init,
    /// FNCLEX.
    Clear,
    /// FNSTSW: gives the status word.
    Status,
    /// FNSTCW: gives the control word.
    Control,
    /// FLDCW.
    SetControl,
    /// Every MMX instruction but EMMS: TOP is 0 and no register is empty (SDM vol. 1, 9.5.1).
    EnterMmx,
    /// EMMS.
    LeaveMmx,
}

/// An operation with its register and the pops that follow it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct X87 {
    /// What is done.
    pub op: X87Op,
    /// `i` of ST(i).
    pub i: u8,
    /// How often the stack is popped, unless an unmasked exception prevents it.
    pub pops: u8,
}

/// The bit of a result that says that nothing is to be written.
pub const BLOCKED: u128 = 1 << 127;

impl X87 {
    /// Performs the operation; what it gives counts where [`X87Op`] says so, unless [`BLOCKED`] is set.
    /// Unmasked exceptions become pending in the status word, where the next waiting instruction finds them.
    #[inline(always)]
    pub fn eval(self, fpu: &mut Fpu, a: u128) -> u128 {
        let outcome = self.perform(fpu, a);
        match outcome {
            Outcome::Blocked => return BLOCKED,
            Outcome::Done => {}
            Outcome::Value(v) => {
                stack::pop(fpu, self.pops);
                return v;
            }
        }
        stack::pop(fpu, self.pops);
        0
    }

    #[inline(always)]
    fn perform(self, fpu: &mut Fpu, a: u128) -> Outcome {
        use X87Op as Op;
        match self.op {
            Op::Load(f) => convert::load(fpu, f, a),
            Op::Store(f) => convert::store(fpu, f, false),
            Op::Truncate(f) => convert::store(fpu, f, true),
            Op::Arith(op, Source::Stack) => arith::registers(fpu, op, 0, self.i),
            Op::Arith(op, Source::Memory(f)) => arith::memory(fpu, op, f, a),
            Op::ArithTo(op) => arith::registers(fpu, op, self.i, 0),
            Op::Compare(Source::Stack) => arith::compare(fpu, self.i, false),
            Op::Compare(Source::Memory(f)) => arith::compare_memory(fpu, f, a),
            Op::CompareQuiet => arith::compare(fpu, self.i, true),
            Op::CompareFlags => arith::compare_flags(fpu, self.i, false),
            Op::CompareFlagsQuiet => arith::compare_flags(fpu, self.i, true),
            Op::Test => arith::test(fpu),
            Op::LoadStack => registers::load(fpu, self.i),
            Op::LoadConstant(c) => registers::constant(fpu, c),
            Op::StoreStack => registers::store(fpu, self.i),
            Op::StoreStackUnchecked => registers::store_unchecked(fpu, self.i),
            Op::Exchange => registers::exchange(fpu, self.i),
            Op::MoveIf => registers::move_if(fpu, self.i, a != 0),
            op => self.perform_rest(op, fpu, a),
        }
    }

    #[inline(always)]
    fn perform_rest(self, op: X87Op, fpu: &mut Fpu, a: u128) -> Outcome {
        use X87Op as Op;
        match op {
            Op::Examine => registers::examine(fpu),
            Op::ChangeSign => registers::sign(fpu, true),
            Op::Absolute => registers::sign(fpu, false),
            Op::Sqrt => unary::simple(fpu, float::x87::sqrt),
            Op::Round => unary::simple(fpu, float::x87::round_to_int),
            Op::Exp2Minus1 => unary::simple(fpu, float::x87::two_to_x_minus_1),
            Op::Scale => unary::scale(fpu),
            Op::Remainder => unary::remainder(fpu, float::x87::rem_trunc),
            Op::RemainderNearest => unary::remainder(fpu, float::x87::rem_nearest),
            Op::Log2 => unary::into_st1(fpu, float::x87::y_log2_x),
            Op::Log2Plus1 => unary::into_st1(fpu, float::x87::y_log2_x_plus_1),
            Op::ArcTangent => unary::into_st1(fpu, float::x87::atan),
            Op::Sin => unary::partial(fpu, float::x87::sin),
            Op::Cos => unary::partial(fpu, float::x87::cos),
            Op::SinCos => unary::pushing(fpu, float::x87::sin_cos),
            Op::Tan => unary::pushing(fpu, float::x87::tan),
            Op::Extract => unary::pair(fpu, |env, x| Some(float::x87::extract(env, x))),
            Op::IncrementTop => registers::turn(fpu, 1),
            Op::DecrementTop => registers::turn(fpu, 7),
            Op::Free => registers::free(fpu, self.i),
            Op::Init => registers::init(fpu),
            Op::Clear => registers::clear(fpu),
            Op::Status => Outcome::Value(u128::from(fpu.status)),
            Op::Control => Outcome::Value(u128::from(fpu.control)),
            Op::SetControl => registers::set_control(fpu, a as u16),
            Op::EnterMmx => registers::set_mmx_mode(fpu, 0xff),
            Op::LeaveMmx => registers::set_mmx_mode(fpu, 0),
            _ => Outcome::Done,
        }
    }
}
