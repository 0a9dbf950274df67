//! Which operation each form is (SDM vol. 2, appendix B.17; opcodes without a name there are the
//! aliases that processors have always had).

use super::Arith::{Add, Div, DivReverse, Mul, Sub, SubReverse};
use super::Format::{Bcd, F32, F64, F80, I16, I32, I64};
use super::Source::{Memory, Stack};
use super::{Constant, X87Op as Op, bodies};
use crate::shape::{Any, Picker};
use crate::{Body, Emit, map::pick};
use cpu::Insn;
use isa::Code;

macro_rules! forms {
    ($($code:ident: $body:ident($($argument:expr),*);)*) => {
        $(
            #[allow(non_camel_case_types, reason = "the decoder's name of the form")]
            struct $code;
            impl Body for $code {
                type Shape = Any;
                #[inline(always)]
                fn run<E: Emit>(e: &mut E) -> Result<(), E::Stop> {
                    bodies::$body(e, $($argument),*)
                }
            }
        )*

        /// Hands the body of an x87 form to an engine.
        pub(crate) fn bind<P: Picker>(insn: &Insn, p: P) -> Option<P::Out> {
            match insn.code {
                $(Code::$code => pick::<$code, P>(insn, p),)*
                _ => None,
            }
        }
    };
}

forms! {
    Fadd_m32fp: reads(Op::Arith(Add, Memory(F32)), F32, 0);
    Fadd_m64fp: reads(Op::Arith(Add, Memory(F64)), F64, 0);
    Fiadd_m32int: reads(Op::Arith(Add, Memory(I32)), I32, 0);
    Fiadd_m16int: reads(Op::Arith(Add, Memory(I16)), I16, 0);
    Fadd_st0_sti: registers(Op::Arith(Add, Stack), 0);
    Fadd_sti_st0: registers(Op::ArithTo(Add), 0);
    Faddp_sti_st0: registers(Op::ArithTo(Add), 1);
    Fmul_m32fp: reads(Op::Arith(Mul, Memory(F32)), F32, 0);
    Fmul_m64fp: reads(Op::Arith(Mul, Memory(F64)), F64, 0);
    Fimul_m32int: reads(Op::Arith(Mul, Memory(I32)), I32, 0);
    Fimul_m16int: reads(Op::Arith(Mul, Memory(I16)), I16, 0);
    Fmul_st0_sti: registers(Op::Arith(Mul, Stack), 0);
    Fmul_sti_st0: registers(Op::ArithTo(Mul), 0);
    Fmulp_sti_st0: registers(Op::ArithTo(Mul), 1);
    Fsub_m32fp: reads(Op::Arith(Sub, Memory(F32)), F32, 0);
    Fsub_m64fp: reads(Op::Arith(Sub, Memory(F64)), F64, 0);
    Fisub_m32int: reads(Op::Arith(Sub, Memory(I32)), I32, 0);
    Fisub_m16int: reads(Op::Arith(Sub, Memory(I16)), I16, 0);
    Fsub_st0_sti: registers(Op::Arith(Sub, Stack), 0);
    Fsub_sti_st0: registers(Op::ArithTo(Sub), 0);
    Fsubp_sti_st0: registers(Op::ArithTo(Sub), 1);
    Fsubr_m32fp: reads(Op::Arith(SubReverse, Memory(F32)), F32, 0);
    Fsubr_m64fp: reads(Op::Arith(SubReverse, Memory(F64)), F64, 0);
    Fisubr_m32int: reads(Op::Arith(SubReverse, Memory(I32)), I32, 0);
    Fisubr_m16int: reads(Op::Arith(SubReverse, Memory(I16)), I16, 0);
    Fsubr_st0_sti: registers(Op::Arith(SubReverse, Stack), 0);
    Fsubr_sti_st0: registers(Op::ArithTo(SubReverse), 0);
    Fsubrp_sti_st0: registers(Op::ArithTo(SubReverse), 1);
    Fdiv_m32fp: reads(Op::Arith(Div, Memory(F32)), F32, 0);
    Fdiv_m64fp: reads(Op::Arith(Div, Memory(F64)), F64, 0);
    Fidiv_m32int: reads(Op::Arith(Div, Memory(I32)), I32, 0);
    Fidiv_m16int: reads(Op::Arith(Div, Memory(I16)), I16, 0);
    Fdiv_st0_sti: registers(Op::Arith(Div, Stack), 0);
    Fdiv_sti_st0: registers(Op::ArithTo(Div), 0);
    Fdivp_sti_st0: registers(Op::ArithTo(Div), 1);
    Fdivr_m32fp: reads(Op::Arith(DivReverse, Memory(F32)), F32, 0);
    Fdivr_m64fp: reads(Op::Arith(DivReverse, Memory(F64)), F64, 0);
    Fidivr_m32int: reads(Op::Arith(DivReverse, Memory(I32)), I32, 0);
    Fidivr_m16int: reads(Op::Arith(DivReverse, Memory(I16)), I16, 0);
    Fdivr_st0_sti: registers(Op::Arith(DivReverse, Stack), 0);
    Fdivr_sti_st0: registers(Op::ArithTo(DivReverse), 0);
    Fdivrp_sti_st0: registers(Op::ArithTo(DivReverse), 1);
    Fcom_m32fp: reads(Op::Compare(Memory(F32)), F32, 0);
    Fcom_m64fp: reads(Op::Compare(Memory(F64)), F64, 0);
    Ficom_m32int: reads(Op::Compare(Memory(I32)), I32, 0);
    Ficom_m16int: reads(Op::Compare(Memory(I16)), I16, 0);
    Fcomp_m32fp: reads(Op::Compare(Memory(F32)), F32, 1);
    Fcomp_m64fp: reads(Op::Compare(Memory(F64)), F64, 1);
    Ficomp_m32int: reads(Op::Compare(Memory(I32)), I32, 1);
    Ficomp_m16int: reads(Op::Compare(Memory(I16)), I16, 1);
    Fcom_st0_sti: registers(Op::Compare(Stack), 0);
    Fcom_st0_sti_DCD0: registers(Op::Compare(Stack), 0);
    Fcomp_st0_sti: registers(Op::Compare(Stack), 1);
    Fcomp_st0_sti_DCD8: registers(Op::Compare(Stack), 1);
    Fcomp_st0_sti_DED0: registers(Op::Compare(Stack), 1);
    Fcompp: registers(Op::Compare(Stack), 2);
    Fucom_st0_sti: registers(Op::CompareQuiet, 0);
    Fucomp_st0_sti: registers(Op::CompareQuiet, 1);
    Fucompp: registers(Op::CompareQuiet, 2);
    Fcomi_st0_sti: sets_flags(Op::CompareFlags, 0);
    Fcomip_st0_sti: sets_flags(Op::CompareFlags, 1);
    Fucomi_st0_sti: sets_flags(Op::CompareFlagsQuiet, 0);
    Fucomip_st0_sti: sets_flags(Op::CompareFlagsQuiet, 1);
    Fld_m32fp: reads(Op::Load(F32), F32, 0);
    Fld_m64fp: reads(Op::Load(F64), F64, 0);
    Fld_m80fp: reads(Op::Load(F80), F80, 0);
    Fild_m16int: reads(Op::Load(I16), I16, 0);
    Fild_m32int: reads(Op::Load(I32), I32, 0);
    Fild_m64int: reads(Op::Load(I64), I64, 0);
    Fbld_m80bcd: reads(Op::Load(Bcd), Bcd, 0);
    Fst_m32fp: writes(Op::Store(F32), F32, 0);
    Fst_m64fp: writes(Op::Store(F64), F64, 0);
    Fist_m16int: writes(Op::Store(I16), I16, 0);
    Fist_m32int: writes(Op::Store(I32), I32, 0);
    Fstp_m32fp: writes(Op::Store(F32), F32, 1);
    Fstp_m64fp: writes(Op::Store(F64), F64, 1);
    Fstp_m80fp: writes(Op::Store(F80), F80, 1);
    Fistp_m16int: writes(Op::Store(I16), I16, 1);
    Fistp_m32int: writes(Op::Store(I32), I32, 1);
    Fistp_m64int: writes(Op::Store(I64), I64, 1);
    Fbstp_m80bcd: writes(Op::Store(Bcd), Bcd, 1);
    Fisttp_m16int: writes(Op::Truncate(I16), I16, 1);
    Fisttp_m32int: writes(Op::Truncate(I32), I32, 1);
    Fisttp_m64int: writes(Op::Truncate(I64), I64, 1);
    Fld_sti: registers(Op::LoadStack, 0);
    Fst_sti: registers(Op::StoreStack, 0);
    Fstp_sti: registers(Op::StoreStack, 1);
    Fstp_sti_DFD0: registers(Op::StoreStack, 1);
    Fstp_sti_DFD8: registers(Op::StoreStack, 1);
    Fstpnce_sti: registers(Op::StoreStackUnchecked, 1);
    Fxch_st0_sti: registers(Op::Exchange, 0);
    Fxch_st0_sti_DDC8: registers(Op::Exchange, 0);
    Fxch_st0_sti_DFC8: registers(Op::Exchange, 0);
    Fcmovb_st0_sti: moves_if(2);
    Fcmovnb_st0_sti: moves_if(3);
    Fcmove_st0_sti: moves_if(4);
    Fcmovne_st0_sti: moves_if(5);
    Fcmovbe_st0_sti: moves_if(6);
    Fcmovnbe_st0_sti: moves_if(7);
    Fcmovu_st0_sti: moves_if(10);
    Fcmovnu_st0_sti: moves_if(11);
    Fld1: registers(Op::LoadConstant(Constant::One), 0);
    Fldl2t: registers(Op::LoadConstant(Constant::Log2Of10), 0);
    Fldl2e: registers(Op::LoadConstant(Constant::Log2OfE), 0);
    Fldpi: registers(Op::LoadConstant(Constant::Pi), 0);
    Fldlg2: registers(Op::LoadConstant(Constant::Log10Of2), 0);
    Fldln2: registers(Op::LoadConstant(Constant::LnOf2), 0);
    Fldz: registers(Op::LoadConstant(Constant::Zero), 0);
    Fchs: registers(Op::ChangeSign, 0);
    Fabs: registers(Op::Absolute, 0);
    Ftst: registers(Op::Test, 0);
    Fxam: registers(Op::Examine, 0);
    Frndint: registers(Op::Round, 0);
    Fsqrt: registers(Op::Sqrt, 0);
    Fscale: registers(Op::Scale, 0);
    Fxtract: registers(Op::Extract, 0);
    Fprem: registers(Op::Remainder, 0);
    Fprem1: registers(Op::RemainderNearest, 0);
    F2xm1: registers(Op::Exp2Minus1, 0);
    Fyl2x: registers(Op::Log2, 1);
    Fyl2xp1: registers(Op::Log2Plus1, 1);
    Fpatan: registers(Op::ArcTangent, 1);
    Fsin: registers(Op::Sin, 0);
    Fcos: registers(Op::Cos, 0);
    Fsincos: registers(Op::SinCos, 0);
    Fptan: registers(Op::Tan, 0);
    Fincstp: control(Op::IncrementTop, true, 0);
    Fdecstp: control(Op::DecrementTop, true, 0);
    Ffree_sti: control(Op::Free, true, 0);
    Ffreep_sti: control(Op::Free, true, 1);
    Fnop: control(Op::Nop, true, 0);
    Fninit: control(Op::Init, false, 0);
    Finit: control(Op::Init, true, 0);
    Fnclex: control(Op::Clear, false, 0);
    Fclex: control(Op::Clear, true, 0);
    Fneni: control(Op::Nop, false, 0);
    Feni: control(Op::Nop, true, 0);
    Fndisi: control(Op::Nop, false, 0);
    Fdisi: control(Op::Nop, true, 0);
    Fnsetpm: control(Op::Nop, false, 0);
    Fsetpm: control(Op::Nop, true, 0);
    Fnstsw_m2byte: gives_word(Op::Status, false);
    Fstsw_m2byte: gives_word(Op::Status, true);
    Fnstsw_AX: gives_word(Op::Status, false);
    Fstsw_AX: gives_word(Op::Status, true);
    Fnstcw_m2byte: gives_word(Op::Control, false);
    Fstcw_m2byte: gives_word(Op::Control, true);
    Fldcw_m2byte: takes_word(Op::SetControl);
}
