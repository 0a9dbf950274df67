//! The CPU's section: every architectural register, and what interrupts and time depend on.

use cpu::{Activity, CpuModel, DescriptorTable, Fpu, InterruptShadow, Register, Segment, State};
use serde::{Deserialize, Serialize};

/// Selector, base, limit and rights of a segment register.
type SegmentV1 = (u16, u32, u32, u16);
/// Base and limit of a descriptor table.
type TableV1 = (u32, u16);

/// No machine has retired so many: 30 years at 80 million a second.
const MOST_RETIRED: u64 = 1 << 56;

/// The CPU, version 1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CpuV1 {
    model: String,
    gpr: [u64; 16],
    eip: u32,
    flags: u32,
    retired: u64,
    cpl: u8,
    activity: u8,
    shadow: u8,
    shadow_until: u64,
    seg: [SegmentV1; 6],
    ldtr: SegmentV1,
    tr: SegmentV1,
    gdtr: TableV1,
    idtr: TableV1,
    control: [u32; 4],
    pdptes: [u64; 4],
    efer: u64,
    dr: [u32; 8],
    debug_hits: u32,
    fpu: FpuV1,
    xmm: [u128; 16],
    mxcsr: u32,
    sysenter: [u32; 3],
    tsc_offset: u64,
    a20_mask: u32,
    nmi_blocked: bool,
    nmi_pending: bool,
}

/// What models from the newest on have besides, version 1: a section of its own, so that those of the others stay as they
/// are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LaterV1 {
    xcr0: u32,
    cpuid_faulting: bool,
    tsc_aux: u32,
}

impl LaterV1 {
    /// Whether a model has these registers.
    pub(crate) fn belongs(model: CpuModel) -> bool {
        model >= CpuModel::Newest
    }

    /// The registers of a CPU that has them.
    pub(crate) fn of(c: &State) -> Option<LaterV1> {
        let all = LaterV1 { xcr0: c.xcr0, cpuid_faulting: c.cpuid_faulting, tsc_aux: c.tsc_aux };
        LaterV1::belongs(c.model).then_some(all)
    }

    /// Puts them into the CPU; `Err` names the one that no CPU can have so.
    pub(crate) fn thaw(&self, c: &mut State) -> Result<(), &'static str> {
        if !matches!(self.xcr0, 1 | 3) {
            return Err("XCR0");
        }
        (c.xcr0, c.cpuid_faulting, c.tsc_aux) = (self.xcr0, self.cpuid_faulting, self.tsc_aux);
        Ok(())
    }
}

/// The FPU, version 1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct FpuV1 {
    significand: [u64; 8],
    exponent: [u16; 8],
    control: u16,
    status: u16,
    occupied: u8,
    opcode: u16,
    ip: u32,
    cs: u16,
    dp: u32,
    ds: u16,
}

fn segment(s: &Segment) -> SegmentV1 {
    (s.selector, s.base, s.limit, s.rights)
}

fn thaw_segment(&(selector, base, limit, rights): &SegmentV1) -> Segment {
    let mut s = Segment { base, limit, rights, selector, ..Segment::default() };
    s.refresh();
    s
}

fn thaw_table(&(base, limit): &TableV1) -> DescriptorTable {
    DescriptorTable { base, limit }
}

impl FpuV1 {
    fn of(f: &Fpu) -> FpuV1 {
        FpuV1 {
            significand: f.registers.map(|r| r.significand),
            exponent: f.registers.map(|r| r.exponent),
            control: f.control,
            status: f.status,
            occupied: f.occupied,
            opcode: f.opcode,
            ip: f.ip,
            cs: f.cs,
            dp: f.dp,
            ds: f.ds,
        }
    }

    fn thaw(&self) -> Fpu {
        Fpu {
            registers: std::array::from_fn(|n| Register {
                significand: self.significand[n],
                exponent: self.exponent[n],
            }),
            control: self.control,
            status: self.status,
            occupied: self.occupied,
            opcode: self.opcode,
            ip: self.ip,
            cs: self.cs,
            dp: self.dp,
            ds: self.ds,
        }
    }
}

impl CpuV1 {
    /// Everything of a CPU between two instructions.
    pub(crate) fn of(c: &State) -> CpuV1 {
        let shadow = c.in_shadow();
        CpuV1 {
            model: c.model.name().to_owned(),
            gpr: std::array::from_fn(|n| c.gpr[n]),
            eip: c.eip,
            flags: c.flags_image(),
            retired: c.retired,
            cpl: c.cpl,
            activity: c.activity as u8,
            shadow: shadow as u8,
            shadow_until: if shadow == InterruptShadow::None { 0 } else { c.shadow_until },
            seg: std::array::from_fn(|n| segment(&c.seg[n])),
            ldtr: segment(&c.ldtr),
            tr: segment(&c.tr),
            gdtr: (c.gdtr.base, c.gdtr.limit),
            idtr: (c.idtr.base, c.idtr.limit),
            control: [c.cr0, c.cr2, c.cr3, c.cr4],
            pdptes: c.pdptes,
            efer: c.efer,
            dr: c.dr,
            debug_hits: c.debug_hits,
            fpu: FpuV1::of(&c.fpu),
            xmm: c.xmm,
            mxcsr: c.mxcsr,
            sysenter: c.sysenter,
            tsc_offset: c.tsc_offset,
            a20_mask: c.a20_mask,
            nmi_blocked: c.nmi_blocked,
            nmi_pending: c.nmi_pending,
        }
    }

    /// The CPU that was saved; `Err` names the field that no CPU can have so.
    pub(crate) fn thaw(&self, model: CpuModel) -> Result<State, &'static str> {
        self.check(model)?;
        let mut c = State::new(model);
        c.gpr[..16].copy_from_slice(&self.gpr);
        c.eip = self.eip;
        c.set_flags_image(self.flags);
        c.retired = self.retired;
        c.cpl = self.cpl;
        c.activity = [Activity::Running, Activity::Halted, Activity::Shutdown][usize::from(self.activity)];
        c.shadow =
            [InterruptShadow::None, InterruptShadow::Sti, InterruptShadow::MovSs][usize::from(self.shadow)];
        c.shadow_until = self.shadow_until;
        c.seg.iter_mut().zip(&self.seg).for_each(|(s, v)| *s = thaw_segment(v));
        (c.ldtr, c.tr) = (thaw_segment(&self.ldtr), thaw_segment(&self.tr));
        (c.gdtr, c.idtr) = (thaw_table(&self.gdtr), thaw_table(&self.idtr));
        [c.cr0, c.cr2, c.cr3, c.cr4] = self.control;
        (c.pdptes, c.efer, c.dr, c.debug_hits) = (self.pdptes, self.efer, self.dr, self.debug_hits);
        (c.fpu, c.xmm, c.mxcsr) = (self.fpu.thaw(), self.xmm, self.mxcsr);
        (c.sysenter, c.tsc_offset, c.a20_mask) = (self.sysenter, self.tsc_offset, self.a20_mask);
        (c.nmi_blocked, c.nmi_pending) = (self.nmi_blocked, self.nmi_pending);
        Ok(c)
    }

    fn check(&self, model: CpuModel) -> Result<(), &'static str> {
        let check = |ok: bool, field| if ok { Ok(()) } else { Err(field) };
        check(self.model == model.name(), "the CPU's model")?;
        check(self.cpl < 4, "CPL")?;
        check(self.activity < 3, "the activity")?;
        check(self.shadow < 3, "the interrupt shadow")?;
        check(self.shadow_until <= self.retired.saturating_add(2), "the interrupt shadow's end")?;
        check(self.retired < MOST_RETIRED, "the count of instructions")?;
        check(self.gpr.iter().all(|&r| r <= u64::from(u32::MAX)), "a general register")?;
        check(self.control[0] & 0x8000_0001 != 0x8000_0000, "CR0")?;
        let gates = [u32::MAX, !0x10_0000, 0xff_ffff, 0xef_ffff, 0xf_ffff];
        check(gates.contains(&self.a20_mask), "the A20 mask")
    }
}
