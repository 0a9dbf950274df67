//! The host's floating-point units as an oracle: one instruction at a time under a given control word.

use core::arch::asm;

/// An 80-bit register image.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Host80 {
    /// Significand.
    pub sig: u64,
    /// Sign and exponent.
    pub se: u16,
}

/// What one x87 instruction works on and leaves behind.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct X87 {
    /// ST(0) before.
    pub a: Host80,
    /// ST(1) before.
    pub b: Host80,
    /// Memory operand, before and after.
    pub memory: [u8; 16],
    /// ST(0) after.
    pub st0: Host80,
    /// ST(1) after.
    pub st1: Host80,
    /// Control word.
    pub control: u16,
    /// Status word after.
    pub status: u16,
    quiet: u16,
}

macro_rules! x87_ops {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// The x87 instructions that the oracle runs. `a` is ST(0), `b` is ST(1).
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[allow(missing_docs, reason = "each is the instruction of its name")]
        pub enum X87Op { $($name,)* }

        impl X87 {
            /// Runs one instruction under `control` (exceptions need not be masked: the pending one is
            /// cleared before an instruction that would wait for it).
            pub fn run(op: X87Op, control: u16, a: Host80, b: Host80, memory: [u8; 16]) -> X87 {
                let mut frame = X87 { a, b, memory, control, quiet: 0x37f, ..X87::default() };
                let f = &raw mut frame;
                match op {
                    $(X87Op::$name => {
                        // SAFETY: the frame is live and exclusively ours, all addresses lie in it (its
                        // layout is fixed by repr(C)); the x87 state is reset afterwards and every
                        // register is declared clobbered.
                        unsafe {
                            asm!(
                                "fninit",
                                "fldcw word ptr [{f} + 80]",
                                "fld tbyte ptr [{f} + 16]",
                                "fld tbyte ptr [{f}]",
                                $text,
                                "fnstsw word ptr [{f} + 82]",
                                "fnclex",
                                "fldcw word ptr [{f} + 84]",
                                "fstp tbyte ptr [{f} + 48]",
                                "fstp tbyte ptr [{f} + 64]",
                                "fninit",
                                f = in(reg) f,
                                out("st(0)") _, out("st(1)") _, out("st(2)") _, out("st(3)") _,
                                out("st(4)") _, out("st(5)") _, out("st(6)") _, out("st(7)") _,
                                options(nostack),
                            );
                        }
                    })*
                }
                frame
            }
        }
    };
}

x87_ops! {
    Add = "fadd st(0), st(1)",
    Sub = "fsub st(0), st(1)",
    Mul = "fmul st(0), st(1)",
    Div = "fdiv st(0), st(1)",
    Sqrt = "fsqrt",
    Compare = "fcom st(1)",
    CompareQuiet = "fucom st(1)",
    Test = "ftst",
    Examine = "fxam",
    Scale = "fscale",
    Extract = "fxtract",
    RemTrunc = "fprem",
    RemNearest = "fprem1",
    RoundToInt = "frndint",
    Load32 = "fld dword ptr [{f} + 32]",
    Load64 = "fld qword ptr [{f} + 32]",
    LoadInt16 = "fild word ptr [{f} + 32]",
    LoadInt32 = "fild dword ptr [{f} + 32]",
    LoadInt64 = "fild qword ptr [{f} + 32]",
    LoadBcd = "fbld tbyte ptr [{f} + 32]",
    Store32 = "fst dword ptr [{f} + 32]",
    Store64 = "fst qword ptr [{f} + 32]",
    StoreInt16 = "fist word ptr [{f} + 32]",
    StoreInt32 = "fist dword ptr [{f} + 32]",
    StoreInt64 = "fistp qword ptr [{f} + 32]",
    TruncInt16 = "fisttp word ptr [{f} + 32]",
    TruncInt32 = "fisttp dword ptr [{f} + 32]",
    TruncInt64 = "fisttp qword ptr [{f} + 32]",
    StoreBcd = "fbstp tbyte ptr [{f} + 32]",
    LoadPi = "fldpi",
    LoadL2t = "fldl2t",
    LoadL2e = "fldl2e",
    LoadLg2 = "fldlg2",
    LoadLn2 = "fldln2",
    F2xm1 = "f2xm1",
    Yl2x = "fyl2x",
    Yl2xp1 = "fyl2xp1",
    Atan = "fpatan",
    Sin = "fsin",
    Cos = "fcos",
    SinCos = "fsincos",
    Tan = "fptan",
}

/// What one scalar SSE instruction works on and leaves behind.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Sse {
    /// First operand (XMM0 before).
    pub a: u64,
    /// Second operand.
    pub b: u64,
    /// Result, in as many low bits as it has.
    pub result: u64,
    /// MXCSR: before.
    pub mxcsr: u32,
    /// MXCSR: after.
    pub after: u32,
    saved: u32,
}

macro_rules! sse_ops {
    ($($name:ident = $text:expr,)*) => {
        /// The SSE instructions that the oracle runs, `XMM0 = a op b`; conversions read `b`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[allow(missing_docs, reason = "each is the instruction of its name")]
        pub enum SseOp { $($name,)* }

        impl Sse {
            /// Runs one instruction under `mxcsr`, whose exceptions must all be masked.
            pub fn run(op: SseOp, mxcsr: u32, a: u64, b: u64) -> Sse {
                assert_eq!(mxcsr & 0x1f80, 0x1f80, "an unmasked exception would end the test");
                Sse::execute(op, mxcsr, a, b)
            }

            pub(crate) fn execute(op: SseOp, mxcsr: u32, a: u64, b: u64) -> Sse {
                let mut frame = Sse { a, b, mxcsr, ..Sse::default() };
                let f = &raw mut frame;
                match op {
                    $(SseOp::$name => {
                        // SAFETY: the frame is live and exclusively ours, all addresses lie in it (its
                        // layout is fixed by repr(C)); MXCSR is restored, registers are declared.
                        unsafe {
                            asm!(
                                "stmxcsr dword ptr [{f} + 32]",
                                "ldmxcsr dword ptr [{f} + 24]",
                                "movq xmm0, qword ptr [{f}]",
                                "movq xmm1, qword ptr [{f} + 8]",
                                "xor eax, eax",
                                $text,
                                "stmxcsr dword ptr [{f} + 28]",
                                "ldmxcsr dword ptr [{f} + 32]",
                                f = in(reg) f, out("rax") _,
                                out("xmm0") _, out("xmm1") _,
                            );
                        }
                    })*
                }
                frame
            }
        }
    };
}

macro_rules! pairs {
    ($($name:literal)*) => { concat!($($name, "\n",)* "movq qword ptr [{f} + 16], xmm0") };
}

macro_rules! to_gpr {
    ($name:literal) => {
        concat!($name, "\nmov qword ptr [{f} + 16], rax")
    };
}

macro_rules! to_flags {
    ($name:literal) => {
        concat!($name, "\nlahf\nmovzx eax, ah\nmov qword ptr [{f} + 16], rax")
    };
}

sse_ops! {
    AddS = pairs!("addss xmm0, xmm1"),
    SubS = pairs!("subss xmm0, xmm1"),
    MulS = pairs!("mulss xmm0, xmm1"),
    DivS = pairs!("divss xmm0, xmm1"),
    SqrtS = pairs!("sqrtss xmm0, xmm1"),
    MinS = pairs!("minss xmm0, xmm1"),
    MaxS = pairs!("maxss xmm0, xmm1"),
    AddD = pairs!("addsd xmm0, xmm1"),
    SubD = pairs!("subsd xmm0, xmm1"),
    MulD = pairs!("mulsd xmm0, xmm1"),
    DivD = pairs!("divsd xmm0, xmm1"),
    SqrtD = pairs!("sqrtsd xmm0, xmm1"),
    MinD = pairs!("minsd xmm0, xmm1"),
    MaxD = pairs!("maxsd xmm0, xmm1"),
    Cmp0S = pairs!("cmpss xmm0, xmm1, 0"),
    Cmp1S = pairs!("cmpss xmm0, xmm1, 1"),
    Cmp2S = pairs!("cmpss xmm0, xmm1, 2"),
    Cmp3S = pairs!("cmpss xmm0, xmm1, 3"),
    Cmp4S = pairs!("cmpss xmm0, xmm1, 4"),
    Cmp5S = pairs!("cmpss xmm0, xmm1, 5"),
    Cmp6S = pairs!("cmpss xmm0, xmm1, 6"),
    Cmp7S = pairs!("cmpss xmm0, xmm1, 7"),
    Cmp0D = pairs!("cmpsd xmm0, xmm1, 0"),
    Cmp1D = pairs!("cmpsd xmm0, xmm1, 1"),
    Cmp2D = pairs!("cmpsd xmm0, xmm1, 2"),
    Cmp3D = pairs!("cmpsd xmm0, xmm1, 3"),
    Cmp4D = pairs!("cmpsd xmm0, xmm1, 4"),
    Cmp5D = pairs!("cmpsd xmm0, xmm1, 5"),
    Cmp6D = pairs!("cmpsd xmm0, xmm1, 6"),
    Cmp7D = pairs!("cmpsd xmm0, xmm1, 7"),
    ComiS = to_flags!("comiss xmm0, xmm1"),
    ComiD = to_flags!("comisd xmm0, xmm1"),
    UcomiS = to_flags!("ucomiss xmm0, xmm1"),
    UcomiD = to_flags!("ucomisd xmm0, xmm1"),
    Widen = pairs!("cvtss2sd xmm0, xmm1"),
    Narrow = pairs!("cvtsd2ss xmm0, xmm1"),
    FromI32S = pairs!("cvtsi2ss xmm0, dword ptr [{f} + 8]"),
    FromI64S = pairs!("cvtsi2ss xmm0, qword ptr [{f} + 8]"),
    FromI32D = pairs!("cvtsi2sd xmm0, dword ptr [{f} + 8]"),
    FromI64D = pairs!("cvtsi2sd xmm0, qword ptr [{f} + 8]"),
    ToI32S = to_gpr!("cvtss2si eax, xmm1"),
    ToI64S = to_gpr!("cvtss2si rax, xmm1"),
    ToI32D = to_gpr!("cvtsd2si eax, xmm1"),
    ToI64D = to_gpr!("cvtsd2si rax, xmm1"),
    TruncI32S = to_gpr!("cvttss2si eax, xmm1"),
    TruncI64S = to_gpr!("cvttss2si rax, xmm1"),
    TruncI32D = to_gpr!("cvttsd2si eax, xmm1"),
    TruncI64D = to_gpr!("cvttsd2si rax, xmm1"),
    AddPs = pairs!("addps xmm0, xmm1"),
    MulPs = pairs!("mulps xmm0, xmm1"),
    Rcp = pairs!("rcpss xmm0, xmm1"),
    Rsqrt = pairs!("rsqrtss xmm0, xmm1"),
}
