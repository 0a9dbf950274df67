//! Bit tests and scans (SDM vol. 2: BT, BTC, BTR, BTS, BSF, BSR, SETcc).

use crate::flags::{Flag, Flags};
use crate::{Access, Emit, alu};
use cpu::Width::{B8, B32, B64};
use cpu::{Kind, Width};

/// What happens to the tested bit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs)]
pub enum BitOp {
    Test,
    Set,
    Reset,
    Complement,
}

/// BT and its kin. A register offset on memory reaches beyond the operand: a bit string.
#[inline(always)]
pub fn bit_test<E: Emit>(e: &mut E, op: BitOp, w: Width) -> Result<(), E::Stop> {
    let access = if op == BitOp::Test { Access::Read } else { Access::Modify };
    let source = e.place(1, w, Access::Read)?;
    let offset = e.read(source, w);
    let dest = if e.insn().kind[0] == Kind::Mem && e.insn().kind[1] == Kind::Reg {
        bit_string(e, w, offset, access)?
    } else {
        e.place(0, w, access)?
    };
    let mask = e.imm(w, u64::from(w.bits() - 1));
    let n = e.and(w, offset, mask);
    let value = e.read(dest, w);
    let shifted = e.shr(w, value, n);
    let one = e.imm(w, 1);
    let bit = e.and(w, shifted, one);
    if op != BitOp::Test {
        let selected = e.shl(w, one, n);
        let changed = change(e, op, w, value, selected);
        e.write(dest, w, changed);
    }
    let bit = if w == B64 { e.trunc(B64, B32, bit) } else { bit };
    e.set_flags(Flags::one(Flag::CF, bit));
    Ok(())
}

#[inline(always)]
fn change<E: Emit>(e: &mut E, op: BitOp, w: Width, value: E::Val, selected: E::Val) -> E::Val {
    match op {
        BitOp::Set | BitOp::Test => e.or(w, value, selected),
        BitOp::Complement => e.xor(w, value, selected),
        BitOp::Reset => {
            let ones = e.imm(w, w.mask());
            let others = e.xor(w, selected, ones);
            e.and(w, value, others)
        }
    }
}

/// The operand-sized unit that holds a bit at a signed offset from the memory operand.
#[inline(always)]
fn bit_string<E: Emit>(e: &mut E, w: Width, offset: E::Val, access: Access) -> Result<E::Place, E::Stop> {
    let base = e.effective_address();
    let offset = e.sext(w, B32, offset);
    let log = e.imm(B32, u64::from(w.bits().trailing_zeros()));
    let units = e.sar(B32, offset, log);
    let size = e.imm(B32, u64::from(w.bytes()));
    let bytes = e.mul(B32, units, size);
    let at = e.add(B32, base, bytes);
    let mask = e.imm(B32, u64::from(e.insn().addr_mask()));
    let at = e.and(B32, at, mask);
    let segment = e.insn().seg;
    e.memory(segment, at, w, access)
}

/// BSF and BSR: the destination stays where the source is 0.
#[inline(always)]
pub fn bit_scan<E: Emit>(e: &mut E, w: Width, reverse: bool) -> Result<(), E::Stop> {
    let source = e.place(1, w, Access::Read)?;
    let dest = e.place(0, w, Access::Modify)?;
    let (a, old) = (e.read(source, w), e.read(dest, w));
    let zero = e.imm(w, 0);
    let empty = e.eq(w, a, zero);
    let found = if reverse {
        let top = e.imm(w, u64::from(w.bits() - 1));
        let n = e.clz(w, a);
        e.sub(w, top, n)
    } else {
        e.ctz(w, a)
    };
    let r = e.select(w, empty, old, found);
    e.write(dest, w, r);
    // CF, OF, SF, AF, PF are undefined: current AMD chips show the flags of the index
    let shown = e.select(w, empty, zero, found);
    e.set_flags(Flags::Logic { w, r: shown });
    alu::set_zero_flag(e, empty);
    Ok(())
}

/// SETcc.
#[inline(always)]
pub fn set_condition<E: Emit>(e: &mut E, cc: u8) -> Result<(), E::Stop> {
    let dest = e.place(0, B8, Access::Write)?;
    let c = e.condition(cc);
    let byte = e.trunc(B32, B8, c);
    e.write(dest, B8, byte);
    Ok(())
}

/// CMOVcc: the source is read in any case.
#[inline(always)]
pub fn cmov<E: Emit>(e: &mut E, cc: u8, w: Width) -> Result<(), E::Stop> {
    let source = e.place(1, w, Access::Read)?;
    let dest = e.place(0, w, Access::Modify)?;
    let (a, old) = (e.read(source, w), e.read(dest, w));
    let c = e.condition(cc);
    let r = e.select(w, c, a, old);
    e.write(dest, w, r);
    Ok(())
}
