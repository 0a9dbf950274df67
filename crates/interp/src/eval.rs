//! [`Emit`] by evaluation: values are integers.

use crate::block::Op;
use cpu::Width::{B8, B16, B32, B64};
use cpu::{CpuModel, Fault, Insn, Kind, Monitor, Register, State, Width, cr0, cr4, eflags};
use mem::{HostAddress, Memory};
use sem::flags::{Flag, Flags, canonical, flag_of, replaced};
use sem::fp::{PackedOp, SseOp, X87};
use sem::shape::Kinds;
use sem::{Access, Bulk, Emit, Guard, Memory16};
use std::marker::PhantomData;

/// Why an instruction does not simply go on to the next.
pub(crate) enum Stop {
    /// It raised a fault and has changed nothing.
    Fault(Box<Fault>),
    /// A string instruction has more to do; it starts again from the present state.
    Again,
    /// It is complete, and the dispatcher is wanted.
    Done,
    /// The fast reading does not do; nothing has changed.
    Slow,
    /// The monitor has put EIP and the retired count where they belong.
    Elsewhere,
}

impl Stop {
    #[cold]
    pub(crate) fn fault(f: Fault) -> Stop {
        Stop::Fault(Box::new(f))
    }
}

pub(crate) type Status = Result<(), Stop>;

/// A found operand.
#[derive(Clone, Copy)]
pub(crate) enum Place {
    Reg(u8),
    Imm,
    Host(HostAddress),
    /// Probed; each access goes through the monitor.
    Slow(u32),
    /// A word at the end of an 8086's segment: its bytes' linear addresses.
    Wrapped(u32, u32),
}

/// One reading of an instruction. With `FAST`, whatever is not plain memory within its limits
/// stops with [`Stop::Slow`], before anything has changed; the routine then makes no calls.
pub(crate) struct Eval<'a, K, const FAST: bool> {
    pub(crate) cpu: &'a mut State,
    pub(crate) mem: &'a mut Memory,
    pub(crate) monitor: &'a mut dyn Monitor,
    pub(crate) op: &'a Op,
    pub(crate) kinds: PhantomData<K>,
}

impl<K: Kinds, const FAST: bool> Eval<'_, K, FAST> {
    #[inline(always)]
    fn kind(&self, n: usize) -> Kind {
        let fixed = match n {
            0 => K::OP0,
            1 => K::OP1,
            _ => None,
        };
        fixed.unwrap_or(self.op.insn.kind[n])
    }

    /// Calls the monitor with exact EIP and retired count.
    #[inline(never)]
    pub(crate) fn exactly<T>(&mut self, f: impl FnOnce(&mut State, &mut Memory, &mut dyn Monitor) -> T) -> T {
        let (offset, index) = (u32::from(self.op.offset), u64::from(self.op.index));
        self.cpu.eip = self.cpu.eip.wrapping_add(offset);
        self.cpu.retired += index;
        let result = f(self.cpu, self.mem, self.monitor);
        self.cpu.eip = self.cpu.eip.wrapping_sub(offset);
        self.cpu.retired -= index;
        result
    }

    /// The linear address of an offset that segmentation permits.
    #[inline(always)]
    fn linear(&self, segment: u8, offset: u32, size: u32, write: bool) -> Result<u32, Stop> {
        let s = self.cpu.segment(segment);
        let last = if write { s.write_last } else { s.read_last };
        let inside = last - i64::from(offset) >= i64::from(size) - 1;
        if !inside && (FAST || !s.permits(offset, size, write)) {
            return Err(if FAST { Stop::Slow } else { Stop::fault(self.cpu.limit_fault(segment)) });
        }
        let linear = s.base.wrapping_add(offset);
        // while alignment is checked, no offset is within `read_last` or `write_last`
        if !FAST && !self.cpu.permits_alignment(linear, size) {
            return Err(Stop::fault(Fault::AC));
        }
        Ok(linear)
    }

    #[inline(always)]
    fn locate(&mut self, segment: u8, offset: u32, size: u32, write: bool) -> Result<Place, Stop> {
        let linear = match self.linear(segment, offset, size, write) {
            Ok(l) => l,
            Err(stop) if FAST => return Err(stop),
            Err(stop) => return self.wrapped(segment, offset, size).ok_or(stop),
        };
        let found =
            if write { self.mem.lookup_write(linear, size) } else { self.mem.lookup_read(linear, size) };
        match found {
            Some(at) => Ok(Place::Host(at)),
            None if FAST => Err(Stop::Slow),
            None => self.probe(linear, size, write),
        }
    }

    /// The 8086 has no limits: the second byte of a word at FFFFh is at 0.
    #[cold]
    fn wrapped(&self, segment: u8, offset: u32, size: u32) -> Option<Place> {
        if self.cpu.model != CpuModel::I8086 || size != 2 {
            return None;
        }
        let base = self.cpu.segment(segment).base;
        Some(Place::Wrapped(base + (offset & 0xffff), base + ((offset + 1) & 0xffff)))
    }

    #[cold]
    #[inline(never)]
    fn probe(&mut self, linear: u32, size: u32, write: bool) -> Result<Place, Stop> {
        self.exactly(|cpu, mem, monitor| monitor.probe(cpu, mem, linear, size, write))
            .map_err(Stop::fault)?;
        let found =
            if write { self.mem.lookup_write(linear, size) } else { self.mem.lookup_read(linear, size) };
        Ok(found.map_or(Place::Slow(linear), Place::Host))
    }

    #[cold]
    #[inline(never)]
    fn slow_read(&mut self, linear: u32, size: u32) -> u64 {
        self.exactly(|cpu, mem, monitor| monitor.slow_read(cpu, mem, linear, size))
    }

    #[cold]
    #[inline(never)]
    fn slow_write(&mut self, linear: u32, size: u32, value: u64) {
        self.exactly(|cpu, mem, monitor| monitor.slow_write(cpu, mem, linear, size, value));
    }

    /// An unmasked SSE exception (SDM vol. 1, 11.5.1).
    #[cold]
    #[inline(never)]
    fn simd_exception(&self) -> Stop {
        let reported = self.cpu.cr4 & cr4::OSXMMEXCPT != 0;
        Stop::fault(if reported { Fault::XM } else { Fault::UD })
    }

    #[inline(always)]
    fn address(&self) -> u32 {
        let i = &self.op.insn;
        let index = self.cpu.r32(i.index) << i.scale;
        self.cpu.r32(i.base).wrapping_add(index).wrapping_add(i.disp) & i.addr_mask()
    }

    #[inline(always)]
    pub(crate) fn host_value(&self, at: HostAddress, w: Width) -> u64 {
        match w {
            B8 => u64::from(self.mem.read::<1>(at)[0]),
            B16 => u64::from(u16::from_le_bytes(self.mem.read(at))),
            B32 => u64::from(u32::from_le_bytes(self.mem.read(at))),
            B64 => u64::from_le_bytes(self.mem.read(at)),
        }
    }

    /// The host address of a string element that needs no slow path.
    pub(crate) fn plain(&mut self, segment: u8, offset: u32, size: u32, write: bool) -> Option<HostAddress> {
        let linear = self.linear(segment, offset, size, write).ok()?;
        if write { self.mem.lookup_write(linear, size) } else { self.mem.lookup_read(linear, size) }
    }
}

impl<K: Kinds, const FAST: bool> Emit for Eval<'_, K, FAST> {
    type Val = u64;
    type Wide = u128;
    type Place = Place;
    type Stop = Stop;

    #[inline(always)]
    fn insn(&self) -> &Insn {
        &self.op.insn
    }
    #[inline(always)]
    fn model(&self) -> CpuModel {
        self.cpu.model
    }
    #[inline(always)]
    fn stack_width(&self) -> Width {
        if self.cpu.stack32() { B32 } else { B16 }
    }

    #[inline(always)]
    fn imm(&mut self, w: Width, k: u64) -> u64 {
        k & w.mask()
    }
    #[inline(always)]
    fn add(&mut self, w: Width, a: u64, b: u64) -> u64 {
        a.wrapping_add(b) & w.mask()
    }
    #[inline(always)]
    fn sub(&mut self, w: Width, a: u64, b: u64) -> u64 {
        a.wrapping_sub(b) & w.mask()
    }
    #[inline(always)]
    fn mul(&mut self, w: Width, a: u64, b: u64) -> u64 {
        a.wrapping_mul(b) & w.mask()
    }
    #[inline(always)]
    fn udiv(&mut self, _: Width, a: u64, b: u64) -> u64 {
        a.checked_div(b).unwrap_or(0)
    }
    #[inline(always)]
    fn urem(&mut self, _: Width, a: u64, b: u64) -> u64 {
        a.checked_rem(b).unwrap_or(0)
    }
    #[inline(always)]
    fn and(&mut self, _: Width, a: u64, b: u64) -> u64 {
        a & b
    }
    #[inline(always)]
    fn or(&mut self, _: Width, a: u64, b: u64) -> u64 {
        a | b
    }
    #[inline(always)]
    fn xor(&mut self, _: Width, a: u64, b: u64) -> u64 {
        a ^ b
    }
    #[inline(always)]
    fn shl(&mut self, w: Width, a: u64, n: u64) -> u64 {
        a << (n & 63) & w.mask()
    }
    #[inline(always)]
    fn shr(&mut self, _: Width, a: u64, n: u64) -> u64 {
        a >> (n & 63)
    }
    #[inline(always)]
    fn sar(&mut self, w: Width, a: u64, n: u64) -> u64 {
        (self.sext(w, B64, a) as i64 >> (n & 63)) as u64 & w.mask()
    }
    #[inline(always)]
    fn sext(&mut self, from: Width, to: Width, a: u64) -> u64 {
        let n = 64 - from.bits();
        ((a << n) as i64 >> n) as u64 & to.mask()
    }
    #[inline(always)]
    fn zext(&mut self, _: Width, _: Width, a: u64) -> u64 {
        a
    }
    #[inline(always)]
    fn trunc(&mut self, _: Width, to: Width, a: u64) -> u64 {
        a & to.mask()
    }
    #[inline(always)]
    fn eq(&mut self, _: Width, a: u64, b: u64) -> u64 {
        u64::from(a == b)
    }
    #[inline(always)]
    fn ult(&mut self, _: Width, a: u64, b: u64) -> u64 {
        u64::from(a < b)
    }
    #[inline(always)]
    fn slt(&mut self, w: Width, a: u64, b: u64) -> u64 {
        u64::from((self.sext(w, B64, a) as i64) < self.sext(w, B64, b) as i64)
    }
    #[inline(always)]
    fn select(&mut self, _: Width, c: u64, a: u64, b: u64) -> u64 {
        if c != 0 { a } else { b }
    }
    #[inline(always)]
    fn ctz(&mut self, w: Width, a: u64) -> u64 {
        u64::from(a.trailing_zeros().min(w.bits()))
    }
    #[inline(always)]
    fn clz(&mut self, w: Width, a: u64) -> u64 {
        u64::from(a.leading_zeros() - (64 - w.bits()))
    }
    #[inline(always)]
    fn parity(&mut self, a: u64) -> u64 {
        u64::from((a as u8).count_ones() & 1 == 0)
    }
    #[inline(always)]
    fn bswap(&mut self, w: Width, a: u64) -> u64 {
        a.swap_bytes() >> (64 - w.bits())
    }

    #[inline(always)]
    fn wide_imm(&mut self, k: u128) -> u128 {
        k
    }
    #[inline(always)]
    fn wide_join(&mut self, low: u64, high: u64) -> u128 {
        u128::from(low) | u128::from(high) << 64
    }
    #[inline(always)]
    fn wide_half(&mut self, a: u128, high: bool) -> u64 {
        if high { (a >> 64) as u64 } else { a as u64 }
    }

    #[inline(always)]
    fn operand_kind(&self, n: usize) -> Kind {
        self.kind(n)
    }
    #[inline(always)]
    fn place(&mut self, n: usize, w: Width, access: Access) -> Result<Place, Stop> {
        match self.kind(n) {
            Kind::Reg => Ok(Place::Reg(self.op.insn.reg[n])),
            Kind::Mem => {
                let (segment, offset) = (self.op.insn.seg, self.address());
                self.locate(segment, offset, w.bytes(), access.writes())
            }
            Kind::Imm | Kind::None => Ok(Place::Imm),
        }
    }
    #[inline(always)]
    fn memory(&mut self, seg: u8, offset: u64, w: Width, access: Access) -> Result<Place, Stop> {
        self.locate(seg, offset as u32, w.bytes(), access.writes())
    }
    fn wide_place(&mut self, bytes: u32, align: Memory16, access: Access) -> Result<Place, Stop> {
        let (segment, offset) = (self.op.insn.seg, self.address());
        let linear = self.linear(segment, offset, bytes, access.writes())?;
        if align == Memory16::Aligned && linear & 15 != 0 {
            return Err(Stop::fault(Fault::GP0));
        }
        self.locate(segment, offset, bytes, access.writes())
    }
    #[inline(always)]
    fn read(&mut self, p: Place, w: Width) -> u64 {
        match p {
            Place::Reg(r) => self.reg(w, r),
            Place::Imm => u64::from(self.op.insn.imm) & w.mask(),
            Place::Host(at) => self.host_value(at, w),
            // no such place is made then
            _ if FAST => 0,
            Place::Slow(linear) => self.slow_read(linear, w.bytes()),
            Place::Wrapped(a, b) => self.slow_read(a, 1) | self.slow_read(b, 1) << 8,
        }
    }
    #[inline(always)]
    fn write(&mut self, p: Place, w: Width, v: u64) {
        match p {
            Place::Reg(r) => self.set_reg(w, r, v),
            Place::Imm => {}
            Place::Host(at) => match w {
                B8 => self.mem.write(at, (v as u8).to_le_bytes()),
                B16 => self.mem.write(at, (v as u16).to_le_bytes()),
                B32 => self.mem.write(at, (v as u32).to_le_bytes()),
                B64 => self.mem.write(at, v.to_le_bytes()),
            },
            _ if FAST => {}
            Place::Slow(linear) => self.slow_write(linear, w.bytes(), v),
            Place::Wrapped(a, b) => {
                self.slow_write(a, 1, v & 0xff);
                self.slow_write(b, 1, v >> 8);
            }
        }
    }
    fn wide_read(&mut self, p: Place, bytes: u32) -> u128 {
        let high_bytes = bytes - 8;
        let (low, high) = match p {
            Place::Host(at) => {
                let high = HostAddress(at.0 + 8);
                let w = if high_bytes == 2 { B16 } else { B64 };
                (self.host_value(at, B64), self.host_value(high, w))
            }
            Place::Slow(linear) => {
                (self.slow_read(linear, 8), self.slow_read(linear.wrapping_add(8), high_bytes))
            }
            _ => (0, 0),
        };
        u128::from(low) | u128::from(high) << 64
    }
    fn wide_write(&mut self, p: Place, bytes: u32, v: u128) {
        let (low, high) = (v as u64, (v >> 64) as u64);
        match p {
            Place::Host(at) => {
                self.mem.write(at, low.to_le_bytes());
                let rest = HostAddress(at.0 + 8);
                if bytes == 10 {
                    self.mem.write(rest, (high as u16).to_le_bytes());
                } else {
                    self.mem.write(rest, high.to_le_bytes());
                }
            }
            Place::Slow(linear) => {
                self.slow_write(linear, 8, low);
                self.slow_write(linear.wrapping_add(8), bytes - 8, high);
            }
            _ => {}
        }
    }
    #[inline(always)]
    fn effective_address(&mut self) -> u64 {
        u64::from(self.address())
    }
    #[inline(always)]
    fn reg(&mut self, w: Width, r: u8) -> u64 {
        let v = self.cpu.gpr[usize::from(r & 15)];
        if w == B8 { v >> (r >> 4 << 3) & 0xff } else { v & w.mask() }
    }
    #[inline(always)]
    fn set_reg(&mut self, w: Width, r: u8, v: u64) {
        let g = &mut self.cpu.gpr[usize::from(r & 15)];
        *g = match w {
            B8 => {
                let n = r >> 4 << 3;
                *g & !(0xff << n) | v << n
            }
            B16 => *g & !0xffff | v,
            B32 | B64 => v,
        };
    }
    fn mmx(&mut self, r: u8) -> u64 {
        self.cpu.fpu.registers[usize::from(r & 7)].significand
    }
    fn set_mmx(&mut self, r: u8, v: u64) {
        self.cpu.fpu.registers[usize::from(r & 7)] = Register { significand: v, exponent: 0xffff };
    }
    fn xmm(&mut self, r: u8) -> u128 {
        self.cpu.xmm[usize::from(r & 15)]
    }
    fn set_xmm(&mut self, r: u8, v: u128) {
        self.cpu.xmm[usize::from(r & 15)] = v;
    }

    #[inline(always)]
    fn x87(&mut self, op: X87, a: u128) -> u128 {
        op.eval(&mut self.cpu.fpu, a)
    }
    #[inline(always)]
    fn note_fpu(&mut self) {
        let i = &self.op.insn;
        if matches!(i.kind[0], Kind::Mem) {
            self.cpu.fpu.dp = self.address();
            self.cpu.fpu.ds = self.cpu.segment(i.seg).selector;
        }
        self.cpu.fpu.ip = self.this_ip() as u32;
        self.cpu.fpu.cs = self.cpu.segment(cpu::seg::CS).selector;
        self.cpu.fpu.opcode = i.imm as u16;
    }
    #[inline(always)]
    fn packed(&mut self, op: PackedOp, imm: u8, a: u128, b: u128) -> u128 {
        op.eval(imm, a, b)
    }
    #[inline(always)]
    fn sse(&mut self, op: SseOp, imm: u8, a: u128, b: u128) -> Result<u128, Stop> {
        op.eval(&mut self.cpu.mxcsr, imm, a, b).ok_or_else(|| self.simd_exception())
    }
    #[inline(always)]
    fn mxcsr(&mut self) -> u64 {
        u64::from(self.cpu.mxcsr)
    }
    #[inline(always)]
    fn set_mxcsr(&mut self, v: u64) {
        self.cpu.mxcsr = v as u32;
    }

    #[inline(always)]
    fn set_flags(&mut self, f: Flags<u64>) {
        let (result, aux) = match f {
            Flags::Given(given) => replaced(self, (self.cpu.flags_result, self.cpu.flags_aux), given),
            f => canonical(self, f),
        };
        self.cpu.flags_result = result;
        self.cpu.flags_aux = aux;
    }
    #[inline(always)]
    fn flag(&mut self, f: Flag) -> u64 {
        let form = (self.cpu.flags_result, self.cpu.flags_aux);
        flag_of(self, form, f)
    }
    #[inline(always)]
    fn direction(&mut self) -> u64 {
        u64::from(self.cpu.eflags & eflags::DF != 0)
    }
    fn set_direction(&mut self, down: bool) {
        self.cpu.eflags = self.cpu.eflags & !eflags::DF | (u32::from(down) * eflags::DF);
    }

    #[inline(always)]
    fn next_ip(&mut self) -> u64 {
        (self.this_ip() + u64::from(self.op.insn.len)) & B32.mask()
    }
    #[inline(always)]
    fn this_ip(&mut self) -> u64 {
        u64::from(self.cpu.eip.wrapping_add(u32::from(self.op.offset)))
    }
    #[inline(always)]
    fn check_target(&mut self, offset: u64) -> Result<(), Stop> {
        if offset as u32 > self.cpu.segment(cpu::seg::CS).limit {
            return Err(if FAST { Stop::Slow } else { Stop::fault(Fault::GP0) });
        }
        Ok(())
    }
    #[inline(always)]
    fn jump(&mut self, offset: u64) {
        self.cpu.eip = offset as u32;
    }
    #[inline(always)]
    fn jump_if(&mut self, c: u64, offset: u64) -> Result<(), Stop> {
        if c != 0 {
            self.check_target(offset)?;
            self.cpu.eip = offset as u32;
        } else {
            self.cpu.eip = self.next_ip() as u32;
        }
        Ok(())
    }
    #[inline(always)]
    fn trap_if(&mut self, c: u64, fault: Fault) -> Result<(), Stop> {
        match c {
            0 => Ok(()),
            _ if FAST => Err(Stop::Slow),
            _ => Err(Stop::fault(fault)),
        }
    }
    fn guard(&mut self, unit: Guard) -> Result<(), Stop> {
        let (c0, c4) = (self.cpu.cr0, self.cpu.cr4);
        let emulated = c0 & cr0::EM != 0;
        let absent = match unit {
            Guard::Fpu | Guard::FpuNoWait => false,
            Guard::Mmx => emulated,
            Guard::Sse => emulated || c4 & cr4::OSFXSR == 0,
        };
        if absent {
            return Err(Stop::fault(Fault::UD));
        }
        if emulated || c0 & cr0::TS != 0 {
            return Err(Stop::fault(Fault::NM));
        }
        let pending = self.cpu.fpu.status & 0x80 != 0;
        if pending && matches!(unit, Guard::Fpu | Guard::Mmx) {
            return Err(Stop::fault(Fault::MF));
        }
        Ok(())
    }
    #[inline(always)]
    fn when(&mut self, c: u64, body: impl FnOnce(&mut Self)) {
        if c != 0 {
            body(self);
        }
    }
    #[inline(always)]
    fn repeat(
        &mut self,
        bulk: Bulk,
        w: Width,
        step: impl FnMut(&mut Self) -> Result<(), Stop>,
    ) -> Result<(), Stop> {
        if !self.op.insn.prefix.repeated() {
            let mut step = step;
            return step(self);
        }
        crate::repeat::repeat(self, bulk, w, step)
    }
}
