//! Loads of segment registers.

use crate::fake::*;
use cpu::{CpuModel, Fault, InterruptShadow, Segment, reg, seg};
use vmm::interpreters::segments::mov_to_sreg;

/// SDM vol. 3A, 9.9.2: a load in real mode changes base and selector; limit and rights stay
/// ("unreal mode").
#[test]
fn unreal_mode_keeps_the_limit() {
    let mut f = Fake::real(CpuModel::N270);
    f.cpu.seg[3].limit = u32::MAX;
    f.cpu.set_r32(reg::AX, 0x1234);
    f.run(&[0x8e, 0xd8]).unwrap(); // mov ds, ax
    assert_eq!((f.cpu.seg[3].base, f.cpu.seg[3].limit, f.selector(seg::DS)), (0x1_2340, u32::MAX, 0x1234));
    assert!(!f.cpu.seg[3].flat_read);
    f.cpu.set_r32(reg::AX, 0);
    f.run(&[0x8e, 0xd8]).unwrap();
    assert!(f.cpu.seg[3].flat_read && f.cpu.seg[3].flat_write);
}

/// SDM vol. 3B, 20.2: V86 segments have 64 KiB and DPL 3.
#[test]
fn v86_segments_are_fixed() {
    let mut f = Fake::v86(0);
    f.cpu.seg[3].limit = u32::MAX;
    f.cpu.set_r32(reg::AX, 0x1234);
    f.run(&[0x8e, 0xd8]).unwrap();
    assert_eq!(f.cpu.seg[3], cpu::Segment::real(0x1234, 3));
}

/// SDM vol. 2, MOV: checks of a load of DS.
#[test]
fn data_segment_errors() {
    let mut f = Fake::protected(3);
    let mut load = |selector: u16| {
        f.cpu.set_r32(reg::AX, u32::from(selector));
        f.faults(&[0x8e, 0xd8])
    };
    assert_eq!(load(DATA0), Fault::gp(DATA0)); // DPL 0 at CPL 3
    assert_eq!(load(OUTSIDE | 3), Fault::gp(OUTSIDE));
    assert_eq!(load(TASK), Fault::gp(TASK)); // a system segment
    assert_eq!(load(0xc), Fault::gp(0xc)); // there is no LDT
    let mut f = Fake::protected(0);
    let mut load = |selector: u16| {
        f.cpu.set_r32(reg::AX, u32::from(selector));
        f.faults(&[0x8e, 0xd8])
    };
    assert_eq!(load(EXECUTE_ONLY), Fault::gp(EXECUTE_ONLY));
    assert_eq!(load(ABSENT_DATA), Fault::np(ABSENT_DATA));
    assert_eq!(load(DATA0 | 3), Fault::gp(DATA0)); // RPL 3 on DPL 0
}

/// SDM vol. 2, MOV: DS takes null (3.4.2) and sets the accessed bit (3.4.5.1); readable
/// conforming code fits every level.
#[test]
fn data_segment_loads() {
    let mut f = Fake::protected(3);
    f.cpu.set_r32(reg::AX, 3);
    f.run(&[0x8e, 0xd8]).unwrap();
    assert!(!f.cpu.seg[3].usable());
    assert_eq!(f.selector(seg::DS), 3);
    assert_eq!(f.access(DATA3), 0xf2);
    f.cpu.set_r32(reg::AX, u32::from(DATA3));
    f.run(&[0x8e, 0xd8]).unwrap();
    assert_eq!(f.access(DATA3), 0xf3);
    assert!(f.cpu.seg[3].flat_write && f.cpu.seg[3].rights & 1 != 0);
    f.cpu.set_r32(reg::AX, u32::from(CONFORMING | 3));
    f.run(&[0x8e, 0xd8]).unwrap();
    assert_eq!(f.selector(seg::DS), CONFORMING | 3);
}

/// SDM vol. 2, LLDT and MOV: a segment of the LDT.
#[test]
fn local_descriptors() {
    let mut f = Fake::protected(0);
    f.cpu.set_r32(reg::AX, u32::from(LOCAL));
    f.run(&[0x0f, 0x00, 0xd0]).unwrap(); // lldt ax
    f.cpu.set_r32(reg::AX, 0xc);
    f.run(&[0x8e, 0xc0]).unwrap(); // mov es, ax
    assert_eq!((f.cpu.seg[0].base, f.cpu.seg[0].limit), (0x1_0000, 0xfff));
    f.cpu.set_r32(reg::AX, 0x14);
    assert_eq!(f.faults(&[0x8e, 0xc0]), Fault::gp(0x14));
}

/// SDM vol. 2, MOV: checks of a load of SS; vol. 3A, 5.7.
#[test]
fn stack_segment_errors() {
    let mut f = Fake::protected(0);
    let mut load = |selector: u16| {
        f.cpu.set_r32(reg::AX, u32::from(selector));
        f.faults(&[0x8e, 0xd0])
    };
    assert_eq!(load(0), Fault::GP0);
    assert_eq!(load(DATA3), Fault::gp(0x20));
    assert_eq!(load(DATA0 | 1), Fault::gp(DATA0));
    assert_eq!(load(CODE0), Fault::gp(CODE0));
    assert_eq!(load(ABSENT_DATA), Fault::ss(ABSENT_DATA));
    assert_eq!(load(OUTSIDE), Fault::gp(OUTSIDE));
    let mut f = Fake::protected(3);
    f.cpu.set_r32(reg::AX, u32::from(READ_ONLY | 3));
    assert_eq!(f.faults(&[0x8e, 0xd0]), Fault::gp(READ_ONLY));
}

/// SDM vol. 3A, 6.8.3: MOV SS and POP SS hold interrupts off, the first of a run only; LSS
/// does not.
#[test]
fn stack_loads_cast_a_shadow() {
    let mut f = Fake::protected(0);
    f.cpu.set_r32(reg::AX, u32::from(DATA0));
    f.run(&[0x8e, 0xd0]).unwrap();
    assert_eq!(f.cpu.in_shadow(), InterruptShadow::MovSs);
    f.run(&[0x8e, 0xd0]).unwrap();
    assert_eq!(f.cpu.in_shadow(), InterruptShadow::None);
    f.push32(&[u32::from(DATA0)]);
    f.run(&[0x17]).unwrap(); // pop ss
    assert_eq!(f.cpu.in_shadow(), InterruptShadow::MovSs);
    f.cpu.retired += 1;
    assert_eq!(f.cpu.in_shadow(), InterruptShadow::None);
    (f.cpu.shadow, f.cpu.shadow_until) = (InterruptShadow::Sti, f.cpu.retired + 1);
    f.run(&[0x8e, 0xd0]).unwrap(); // after STI
    assert_eq!(f.cpu.in_shadow(), InterruptShadow::None);
    f.write(0x100, 6, u64::from(DATA0) << 32 | 0x1234_5678);
    f.run(&[0x0f, 0xb2, 0x25, 0, 1, 0, 0]).unwrap(); // lss esp, [100h]
    assert_eq!(f.cpu.in_shadow(), InterruptShadow::None);
    assert_eq!(f.cpu.r32(reg::SP), 0x1234_5678);
}

/// SDM vol. 2, MOV: CS cannot be loaded; MOV from a segment register zero-extends into a
/// 32-bit register and writes 16 bits to memory.
#[test]
fn moves_of_cs() {
    let mut f = Fake::protected(0);
    let mut mov_cs = isa::decode(&[0x8e, 0xd8], f.cpu.code_size(), f.cpu.model).unwrap();
    mov_cs.reg[0] = seg::CS;
    assert_eq!(f.watched("MovToSreg", |f| mov_to_sreg(f, &mov_cs)), Err(Fault::UD));
    f.cpu.set_r32(reg::AX, u32::MAX);
    f.run(&[0x8c, 0xc8]).unwrap(); // mov eax, cs
    assert_eq!(f.cpu.r32(reg::AX), u32::from(CODE0));
    f.write(0x100, 4, 0xffff_ffff);
    f.run(&[0x8c, 0x0d, 0, 1, 0, 0]).unwrap(); // mov [100h], cs
    assert_eq!(f.read(0x100, 4), 0xffff_0008);
}

/// SDM vol. 2, PUSH: a 32-bit push of a selector writes 16 bits and moves ESP by 4.
#[test]
fn push_and_pop() {
    let mut f = Fake::protected(0);
    f.push32(&[0xffff_ffff]);
    f.cpu.set_r32(reg::SP, STACK0 - 0x100);
    f.run(&[0x1e]).unwrap(); // push ds
    assert_eq!(f.cpu.r32(reg::SP), STACK0 - 0x104);
    assert_eq!(f.stack32(), [0xffff_0010]);
    f.run(&[0x66, 0x1e]).unwrap(); // push ds, 16 bits
    assert_eq!(f.cpu.r32(reg::SP), STACK0 - 0x106);
    f.run(&[0x66, 0x07]).unwrap(); // pop es
    f.run(&[0x0f, 0xa1]).unwrap(); // pop fs
    assert_eq!(f.cpu.r32(reg::SP), STACK0 - 0x100);
    assert_eq!(f.selector(seg::FS), DATA0);
}

/// On an 8086 0Fh is POP CS, a jump.
#[test]
fn pop_cs_on_an_8086() {
    let mut f = Fake::real(CpuModel::I8086);
    f.push16(&[0x4321]);
    f.run(&[0x0f]).unwrap();
    assert_eq!((f.selector(seg::CS), f.cpu.seg[1].base), (0x4321, 0x4_3210));
    assert_eq!(f.cpu.r16(reg::SP), 0x100);
}

/// SDM vol. 2, LDS: offset, then selector; nothing changes on a fault.
#[test]
fn far_pointers() {
    let mut f = Fake::protected(0);
    f.write(0x100, 6, u64::from(TASK) << 32 | 0x1234_5678);
    assert_eq!(f.faults(&[0xc5, 0x1d, 0, 1, 0, 0]), Fault::gp(TASK)); // lds ebx, [100h]
    f.write(0x104, 2, u64::from(CODE0));
    f.run(&[0xc5, 0x1d, 0, 1, 0, 0]).unwrap();
    assert_eq!((f.selector(seg::DS), f.cpu.r32(reg::BX)), (CODE0, 0x1234_5678));
    let mut f = Fake::real(CpuModel::N270);
    f.write(0x100, 4, 0x1234_5678);
    f.run(&[0xc4, 0x1e, 0, 1]).unwrap(); // les bx, [100h]
    assert_eq!((f.selector(seg::ES), f.cpu.r16(reg::BX)), (0x1234, 0x5678));
}

/// SDM vol. 2, BOUND: #BR outside the signed bounds.
#[test]
fn bound() {
    let mut f = Fake::real(CpuModel::N270);
    f.write(0x100, 4, 0x0005_fffe); // -2 to 5
    for (index, fits) in [(0xfffdu16, false), (0xfffe, true), (5, true), (6, false)] {
        f.cpu.set_r16(reg::AX, index);
        let bytes = [0x62, 0x06, 0, 1];
        assert_eq!(f.run(&bytes).err(), (!fits).then_some(Fault::BR), "{index:x}");
    }
}

/// SDM vol. 3B, 20.1.1: in real mode a register that held nothing gets a segment of real mode, whatever loads
/// it; one that held a segment keeps its limit.
#[test]
fn loads_in_real_mode() {
    let loads: [fn(&mut Fake); 3] = [
        |f| {
            f.cpu.set_r32(reg::AX, 0x10);
            f.run(&[0x8e, 0xd8]).unwrap();
        },
        |f| {
            f.push16(&[0x10]);
            f.run(&[0x1f]).unwrap();
        },
        |f| {
            f.write(f.cpu.seg[0].base + 0x102, 2, 0x10);
            f.run(&[0x26, 0xc5, 0x1e, 0, 1]).unwrap(); // lds bx, es:[100h]
        },
    ];
    for load in loads {
        let mut f = Fake::real(CpuModel::N270);
        f.cpu.seg[3] = Segment::null(0);
        load(&mut f);
        assert_eq!(f.cpu.seg[3], Segment::real(0x10, 0));
        f.cpu.seg[3].limit = u32::MAX;
        load(&mut f);
        assert_eq!((f.cpu.seg[3].limit, f.cpu.seg[3].base), (u32::MAX, 0x100));
        let mut f = Fake::v86(0);
        f.cpu.seg[3].limit = u32::MAX;
        load(&mut f);
        assert_eq!(f.cpu.seg[3], Segment::real(0x10, 3));
    }
}

/// The 8086 has MOV CS, which is a jump; the decoder does not give it to any chip.
#[test]
fn mov_cs_on_an_8086() {
    let mut f = Fake::real(CpuModel::I8086);
    f.cpu.set_r32(reg::AX, 0x4321);
    let mut mov_cs = isa::decode(&[0x8e, 0xd8], f.cpu.code_size(), f.cpu.model).unwrap();
    mov_cs.reg[0] = seg::CS;
    f.watched("MovToSreg", |f| mov_to_sreg(f, &mov_cs)).unwrap();
    assert_eq!((f.selector(seg::CS), f.cpu.seg[1].base), (0x4321, 0x4_3210));
}

/// SDM vol. 3A, 6.8.3: POP SS does not renew the shadow of a MOV SS or STI before it.
#[test]
fn pop_ss_in_a_shadow() {
    let mut f = Fake::protected(0);
    (f.cpu.shadow, f.cpu.shadow_until) = (InterruptShadow::Sti, f.cpu.retired + 1);
    f.push32(&[u32::from(DATA0)]);
    f.run(&[0x17]).unwrap();
    assert_eq!(f.cpu.in_shadow(), InterruptShadow::None);
}

/// SDM vol. 3A, 9.9.2, and vol. 3B, 20.2: CS in real mode keeps its limit, in V86 mode has 64 KiB and DPL 3.
#[test]
fn code_segments_without_descriptors() {
    for op in [0x9a, 0xea, 0xcb, 0xcf] {
        for (v86, limit) in [(false, 0xf_ffff), (true, 0xffff)] {
            let mut f = if v86 { Fake::v86(3) } else { Fake::real(CpuModel::N270) };
            f.cpu.seg[1].limit = 0xf_ffff;
            f.cpu.seg[1].refresh();
            match op {
                0xcb => f.push16(&[0x2000, 0x1234]),
                0xcf => f.push16(&[2, 0x2000, 0x1234]),
                _ => {}
            }
            match op {
                0x9a | 0xea => f.far(op, 0x2000, 0x1234).unwrap(),
                _ => _ = f.run(&[op]).unwrap(),
            }
            let cs = f.cpu.seg[1];
            assert_eq!(
                (cs.base, cs.limit, cs.dpl(), f.cpu.eip),
                (0x2_0000, limit, if v86 { 3 } else { 0 }, 0x1234)
            );
        }
    }
}
