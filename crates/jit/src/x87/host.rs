//! Between the guest's FPU and the host's.

use super::soft::{Last, Seen, Step};
use core::arch::asm;
use cpu::{Fpu, Register};
use float::F80;
use std::mem::MaybeUninit;

/// TOP's place in the status word.
const TOP: u16 = 11;

/// An FXSAVE image in 64-bit mode (SDM vol. 1, table 10-2), registers from ST(0).
#[repr(C, align(16))]
struct Image {
    control: u16,
    status: u16,
    /// Bit n set: physical register n is not empty.
    tags: u8,
    pointers: MaybeUninit<[u8; 27]>,
    stack: [Register; 8],
    vectors: MaybeUninit<[u8; 352]>,
}

const _: () = assert!(size_of::<Image>() == 512 && core::mem::offset_of!(Image, stack) == 32);
const _: () = assert!(size_of::<Register>() == 16 && core::mem::offset_of!(Register, exponent) == 8);

/// The full tag word (SDM vol. 1, 8.1.7): FLDENV tells empty registers from others only.
fn tag_word(occupied: u8) -> u32 {
    let mut x = u32::from(!occupied);
    for (shift, mask) in [(4, 0x0f0f), (2, 0x3333), (1, 0x5555)] {
        x = (x | x << shift) & mask;
    }
    x * 3
}

/// Brings the guest's FPU into the host's, every register's bits with it, whether empty or not.
///
/// The guest must mask all exceptions ([`may_live`](super::may_live)), and [`save`] must follow before
/// anything but compiled code runs.
pub(crate) fn load(fpu: &Fpu) {
    debug_assert!(super::may_live(fpu));
    let mut environment = [u32::from(fpu.control), u32::from(fpu.status), tag_word(fpu.occupied), 0, 0, 0, 0];
    // SAFETY: reads the eight registers and reads and writes the environment, all live and of the sizes that
    // the instructions expect. With all exceptions masked, in the host's control word by its ABI and in the
    // guest's by `may_live`, none of them can trap. The x87 registers are declared; that they stay full is
    // the point, and compiled code and `save`, which come next by this function's contract, expect it.
    unsafe {
        asm!(
            // an MMX instruction makes TOP zero, EMMS empties: physical register n is pushed to its place
            "movq qword ptr [{environment} + 12], mm0",
            "emms",
            "fld tbyte ptr [{registers} + 112]",
            "fld tbyte ptr [{registers} + 96]",
            "fld tbyte ptr [{registers} + 80]",
            "fld tbyte ptr [{registers} + 64]",
            "fld tbyte ptr [{registers} + 48]",
            "fld tbyte ptr [{registers} + 32]",
            "fld tbyte ptr [{registers} + 16]",
            "fld tbyte ptr [{registers}]",
            "fldenv [{environment}]",
            registers = in(reg) fpu.registers.as_ptr(),
            environment = in(reg) environment.as_mut_ptr(),
            out("st(0)") _, out("st(1)") _, out("st(2)") _, out("st(3)") _,
            out("st(4)") _, out("st(5)") _, out("st(6)") _, out("st(7)") _,
            options(nostack),
        );
    }
}

/// Takes the guest's FPU back, except for the last instruction's opcode and pointers, which the host does not
/// know. The host's unit is then as its ABI wants it: empty, with the control word of FNINIT. Sticky flags
/// and condition codes stay, as after any computation: FNCLEX would cost more than all the rest but FXSAVE.
pub(crate) fn save(fpu: &mut Fpu) {
    static DEFAULT_CONTROL: u16 = 0x37f;
    let mut image = MaybeUninit::<Image>::uninit();
    let mut scratch = 0u64;
    // SAFETY: FXSAVE writes 512 bytes to the image, which is as large and aligned; MOVQ and FLDCW touch the
    // two words. Neither traps, all exceptions being masked. The x87 registers are declared, and empty
    // afterwards.
    let image = unsafe {
        asm!(
            "fxsave64 [{image}]",
            // TOP becomes zero
            "movq qword ptr [{scratch}], mm0",
            "emms",
            "fldcw word ptr [{control}]",
            image = in(reg) image.as_mut_ptr(),
            scratch = in(reg) &raw mut scratch,
            control = in(reg) &raw const DEFAULT_CONTROL,
            out("st(0)") _, out("st(1)") _, out("st(2)") _, out("st(3)") _,
            out("st(4)") _, out("st(5)") _, out("st(6)") _, out("st(7)") _,
            options(nostack),
        );
        // what FXSAVE does not write is no initialized field
        image.assume_init_ref()
    };
    (fpu.control, fpu.status, fpu.occupied) = (image.control, image.status, image.tags);
    let top = usize::from(image.status >> TOP);
    for (i, r) in image.stack.iter().enumerate() {
        fpu.registers[(top + i) & 7] = *r;
    }
}

/// Looks at the guest's FPU in the host's, which stays as it is.
pub(crate) fn look() -> Seen {
    let mut image = MaybeUninit::<Image>::uninit();
    // SAFETY: FXSAVE writes 512 bytes to the image, which is as large and aligned, and changes nothing else.
    let image = unsafe {
        asm!("fxsave64 [{image}]", image = in(reg) image.as_mut_ptr(), options(nostack, preserves_flags));
        // what FXSAVE does not write is no initialized field
        image.assume_init_ref()
    };
    let number = |r: &Register| F80 { sig: r.significand, se: r.exponent };
    Seen {
        control: image.control,
        status: image.status,
        occupied: image.tags,
        st0: number(&image.stack[0]),
        st1: number(&image.stack[1]),
    }
}

/// Instructions between which the guest's FPU stays in the host's, with one pointer as their operand.
macro_rules! on_guest_fpu {
    ($pointer:expr, $($code:literal),*) => {
        // SAFETY: what is read at the pointer is live, by `apply`; all exceptions are masked, so that nothing
        // traps. The x87 registers are declared; that they stay full is the point, as with `load`: the compiler
        // makes no code that would touch them before `save`.
        unsafe {
            asm!(
                $($code,)*
                p = in(reg) $pointer,
                out("st(0)") _, out("st(1)") _, out("st(2)") _, out("st(3)") _,
                out("st(4)") _, out("st(5)") _, out("st(6)") _, out("st(7)") _,
                options(nostack),
            )
        }
    };
}

/// What a [`Last`] needs in memory.
#[repr(C)]
struct Terms {
    value: Register,
    /// The bits of a double.
    part: u64,
    full: u16,
    control: u16,
}

/// Does a step that was found for what [`look`] saw, so that no register of it is empty or full that should not be.
pub(crate) fn apply(step: &Step, control: u16) {
    match *step {
        Step::Replace(last) => {
            on_guest_fpu!(core::ptr::null::<u8>(), "/* {p} */ fstp st(0)");
            push(last, control);
        }
        Step::Join(last) => {
            on_guest_fpu!(core::ptr::null::<u8>(), "/* {p} */ fstp st(0)", "fstp st(0)");
            push(last, control);
        }
        Step::Extend(first, last) => {
            on_guest_fpu!(&raw const first, "fstp st(0)", "fld tbyte ptr [{p}]");
            push(last, control);
        }
        Step::Remainder(false) => on_guest_fpu!(core::ptr::null::<u8>(), "/* {p} */ fprem"),
        Step::Remainder(true) => on_guest_fpu!(core::ptr::null::<u8>(), "/* {p} */ fprem1"),
    }
}

fn push(last: Last, control: u16) {
    match last {
        Last::Load(value) => on_guest_fpu!(&raw const value, "fld tbyte ptr [{p}]"),
        Last::Sum(value, part) => {
            let terms = Terms { value, part, full: 0x37f, control };
            on_guest_fpu!(
                &raw const terms,
                "fldcw word ptr [{p} + 24]",
                "fld tbyte ptr [{p}]",
                "fadd qword ptr [{p} + 16]",
                "fldcw word ptr [{p} + 26]"
            );
        }
    }
}
