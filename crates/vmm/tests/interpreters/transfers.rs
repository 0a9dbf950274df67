//! Far CALL, JMP, RET, IRET, SYSENTER and SYSEXIT.

use crate::fake::*;
use cpu::{CpuModel, Fault, Flow, eflags as e, reg, seg};

fn far(op: u8, selector: u16, offset: u32) -> Vec<u8> {
    let mut out = vec![op];
    out.extend(offset.to_le_bytes());
    out.extend(selector.to_le_bytes());
    out
}

const CALL: u8 = 0x9a;
const JMP: u8 = 0xea;

/// SDM vol. 2, CALL and RET in real mode.
#[test]
fn real_mode_call_and_return() {
    let mut f = Fake::real(CpuModel::N270);
    f.run(&[CALL, 0x34, 0x12, 0, 0x20]).unwrap();
    assert_eq!((f.selector(seg::CS), f.cpu.eip, f.cpu.seg[1].base), (0x2000, 0x1234, 0x2_0000));
    assert_eq!(f.stack16(), [5, 0x700]);
    f.run(&[0xca, 2, 0]).unwrap(); // retf 2
    assert_eq!((f.selector(seg::CS), f.cpu.eip, f.cpu.r16(reg::SP)), (0x700, 5, 0x102));
}

/// SDM vol. 2, JMP: an offset beyond the limit of CS is #GP(0), in real mode too.
#[test]
fn target_beyond_the_limit() {
    let mut f = Fake::real(CpuModel::N270);
    let mut bytes = vec![0x66];
    bytes.extend(far(JMP, 0x700, 0x1_0000));
    assert_eq!(f.faults(&bytes), Fault::GP0);
    let mut f = Fake::protected(0);
    assert_eq!(f.faults(&far(JMP, CONFORMING, 0x1_0000)), Fault::GP0);
    assert_eq!(f.faults(&far(CALL, CONFORMING, 0x1_0000)), Fault::GP0);
}

/// SDM vol. 3A, 5.8.1: direct transfers to code segments.
#[test]
fn direct_transfers() {
    let mut f = Fake::protected(0);
    f.run(&far(JMP, CODE16, 0x100)).unwrap();
    assert_eq!((f.selector(seg::CS), f.cpu.eip), (CODE16, 0x100));
    assert_eq!(f.access(CODE16), 0x9b);
    let mut f = Fake::protected(3);
    f.run(&far(CALL, CONFORMING, 0x100)).unwrap(); // conforming: CPL stays, and CS.RPL is CPL
    assert_eq!((f.selector(seg::CS), f.cpu.cpl), (CONFORMING | 3, 3));
    assert_eq!(f.stack32(), [CODE + 7, u32::from(CODE3)]);
    f.run(&[0xcb]).unwrap();
    assert_eq!((f.selector(seg::CS), f.cpu.eip, f.cpu.r32(reg::SP)), (CODE3, CODE + 7, STACK));
}

/// SDM vol. 2, CALL and JMP: error codes of direct transfers.
#[test]
fn direct_transfer_errors() {
    for op in [CALL, JMP] {
        let mut f = Fake::protected(3);
        assert_eq!(f.faults(&far(op, 3, 0)), Fault::GP0);
        assert_eq!(f.faults(&far(op, OUTSIDE, 0)), Fault::gp(OUTSIDE));
        assert_eq!(f.faults(&far(op, CODE0, 0)), Fault::gp(CODE0));
        assert_eq!(f.faults(&far(op, DATA3, 0)), Fault::gp(0x20));
        let mut f = Fake::protected(0);
        assert_eq!(f.faults(&far(op, CODE3, 0)), Fault::gp(0x18));
        assert_eq!(f.faults(&far(op, ABSENT_CODE, 0)), Fault::np(ABSENT_CODE));
        assert_eq!(f.faults(&far(op, LOCAL, 0)), Fault::gp(LOCAL));
    }
}

/// SDM vol. 3A, 5.8.5 and 5.8.6: a call gate to an inner level copies parameters and RETF n
/// drops them from both stacks, and data segments of the inner level.
#[test]
fn call_gate_inward_and_back() {
    let mut f = Fake::protected(3);
    f.push32(&[0x1111, 0x2222]);
    f.run(&far(CALL, CALL_GATE, 0)).unwrap();
    assert_eq!((f.selector(seg::CS), f.cpu.eip, f.cpu.cpl), (CODE0, 0xabcd, 0));
    assert_eq!((f.selector(seg::SS), f.cpu.r32(reg::SP)), (DATA0, STACK0 - 24));
    let expected = [CODE + 7, u32::from(CODE3), 0x2222, 0x1111, STACK - 8, u32::from(DATA3)];
    assert_eq!(f.stack32(), expected);
    assert_eq!(f.space_changes, 1);
    f.put_segment(seg::DS, DATA0);
    f.put_segment(seg::ES, CONFORMING);
    f.run(&[0xca, 8, 0]).unwrap();
    assert_eq!((f.selector(seg::CS), f.cpu.eip, f.cpu.cpl), (CODE3, CODE + 7, 3));
    assert_eq!((f.selector(seg::SS), f.cpu.r32(reg::SP)), (DATA3, STACK));
    assert_eq!((f.selector(seg::DS), f.cpu.seg[3].usable()), (0, false));
    assert_eq!(f.selector(seg::ES), CONFORMING);
    assert_eq!(f.selector(seg::FS), DATA3);
    assert_eq!(f.space_changes, 2);
}

/// SDM vol. 2, CALL: a 16-bit gate pushes 16-bit items; same level: no stack switch.
#[test]
fn call_gate_of_16_bits() {
    let mut f = Fake::protected(3);
    f.push16(&[0x1111]);
    f.run(&far(CALL, CALL_GATE16, 0)).unwrap();
    assert_eq!((f.selector(seg::CS), f.cpu.eip), (CODE16, 0x4321));
    assert_eq!(f.stack16(), [CODE as u16 + 7, CODE3, 0x1111, STACK as u16 - 2, DATA3]);
    let mut f = Fake::protected(0);
    f.run(&far(CALL, CALL_GATE16, 0)).unwrap();
    assert_eq!(f.stack16(), [CODE as u16 + 7, CODE0]);
    f.run(&[0xcb]).unwrap();
    assert_eq!((f.selector(seg::CS), f.cpu.eip), (CODE0, CODE + 7));
}

/// SDM vol. 2, CALL and JMP: error codes of call gates.
#[test]
fn call_gate_errors() {
    let mut f = Fake::protected(3);
    assert_eq!(f.faults(&far(JMP, CALL_GATE, 0)), Fault::gp(CODE0)); // JMP cannot go inward
    f.set_access(CALL_GATE, 0x8c); // DPL 0
    assert_eq!(f.faults(&far(CALL, CALL_GATE, 0)), Fault::gp(CALL_GATE));
    f.set_access(CALL_GATE, 0x6c); // absent
    assert_eq!(f.faults(&far(CALL, CALL_GATE, 0)), Fault::np(CALL_GATE));
    for (target, fault) in [
        (0, Fault::GP0),
        (OUTSIDE, Fault::gp(OUTSIDE)),
        (DATA0, Fault::gp(DATA0)),
        (ABSENT_CODE, Fault::np(ABSENT_CODE)),
    ] {
        f.write(GDT + u32::from(CALL_GATE), 8, gate(target, 0, 0xec, 0));
        assert_eq!(f.faults(&far(CALL, CALL_GATE, 0)), fault);
    }
    let mut f = Fake::protected(0);
    f.run(&far(JMP, CALL_GATE, 0)).unwrap();
    assert_eq!((f.selector(seg::CS), f.cpu.eip), (CODE0, 0xabcd));
}

/// SDM vol. 2, CALL: error codes of the inner stack.
#[test]
fn inner_stack_errors() {
    let mut f = Fake::protected(3);
    for (selector, fault) in [
        (0, Fault::ts(0)),
        (OUTSIDE, Fault::ts(OUTSIDE)),
        (DATA3, Fault::ts(0x20)),
        (DATA0 | 3, Fault::ts(DATA0)),
        (CODE0, Fault::ts(CODE0)),
        (ABSENT_DATA, Fault::ss(ABSENT_DATA)),
    ] {
        f.write(TSS + 8, 2, u64::from(selector));
        assert_eq!(f.faults(&far(CALL, CALL_GATE, 0)), fault);
    }
    f.write(TSS + 8, 2, u64::from(DATA16));
    f.write(TSS + 4, 4, 18); // no room for 24 bytes: they wrap to FFFFh and misalign
    assert_eq!(f.faults(&far(CALL, CALL_GATE, 0)), Fault::ss(DATA16));
    f.cpu.tr.limit = 8;
    assert_eq!(f.faults(&far(CALL, CALL_GATE, 0)), Fault::ts(TASK));
}

/// A page fault while the frame is written leaves everything as it was.
#[test]
fn page_fault_on_the_inner_stack() {
    let mut f = Fake::protected(3);
    f.hole = STACK0 - 0x1000..STACK0 - 12;
    let fault = f.faults(&far(CALL, CALL_GATE, 0));
    assert_eq!((fault.vector, fault.address), (14, STACK0 - 16));
    assert_eq!(f.read(STACK0 - 4, 4), 0);
}

/// SDM vol. 2, RET: error codes.
#[test]
fn return_errors() {
    let mut f = Fake::protected(3);
    let mut ret = |selector: u16| {
        f.cpu.set_r32(reg::SP, STACK);
        f.push32(&[u32::from(selector), 0x100]);
        f.faults(&[0xcb])
    };
    assert_eq!(ret(0), Fault::GP0);
    assert_eq!(ret(OUTSIDE), Fault::gp(OUTSIDE));
    assert_eq!(ret(DATA3), Fault::gp(0x20));
    assert_eq!(ret(CODE0), Fault::gp(CODE0)); // inward
    assert_eq!(ret(CODE0 | 3), Fault::gp(CODE0)); // DPL is not RPL
    let mut f = Fake::protected(0);
    f.push32(&[u32::from(ABSENT_CODE), 0]);
    assert_eq!(f.faults(&[0xcb]), Fault::np(ABSENT_CODE));
    for (ss, fault) in [(0, Fault::GP0), (DATA0, Fault::gp(DATA0)), (READ_ONLY | 3, Fault::gp(READ_ONLY))] {
        f.push32(&[u32::from(ss), STACK, u32::from(CODE3), CODE]);
        assert_eq!(f.faults(&[0xcb]), fault);
    }
}

/// SDM vol. 2, IRET: which flags may change. IF needs CPL <= IOPL, IOPL needs CPL 0.
#[test]
fn iret_masks_flags() {
    let all = e::IF | e::IOPL | e::TF | e::DF | e::AC | e::ID | e::RF | e::VIF | e::VIP | e::CF;
    let mut f = Fake::protected(3);
    f.push32(&[all, u32::from(CODE3), 0x100]);
    f.run(&[0xcf]).unwrap();
    assert_eq!(f.cpu.flags_image(), 2 | e::TF | e::DF | e::AC | e::ID | e::RF | e::CF);
    let mut f = Fake::protected(3);
    f.cpu.eflags |= e::IOPL;
    f.push32(&[all & !e::IOPL, u32::from(CODE3), 0x100]);
    assert_eq!(f.run(&[0xcf]), Ok(Flow::Leave));
    assert_eq!(f.cpu.flags_image(), 2 | all & !(e::VIF | e::VIP) | e::IOPL);
    let mut f = Fake::protected(0);
    f.cpu.nmi_blocked = true;
    f.push32(&[all, u32::from(CODE0), 0x100]);
    f.run(&[0xcf]).unwrap();
    assert_eq!(f.cpu.flags_image(), 2 | all);
    assert!(!f.cpu.nmi_blocked);
    let mut f = Fake::protected(0);
    f.cpu.eflags |= e::AC | e::ID;
    f.push16(&[e::IF as u16, CODE0, 0x100]);
    f.run(&[0x66, 0xcf]).unwrap();
    assert_eq!(f.cpu.flags_image(), 2 | e::IF | e::AC | e::ID);
}

/// SDM vol. 2, IRET: to an outer level with a 16-bit stack the upper half of ESP stays.
#[test]
fn iret_outward() {
    let mut f = Fake::protected(0);
    f.push32(&[u32::from(DATA3), STACK, e::IF, u32::from(CODE3), 0x100]);
    f.run(&[0xcf]).unwrap();
    assert_eq!((f.cpu.cpl, f.selector(seg::SS), f.cpu.r32(reg::SP)), (3, DATA3, STACK));
    assert_eq!(f.cpu.eflags & e::IF, e::IF);
    assert!(!f.cpu.seg[3].usable()); // DS was of level 0
    let mut f = Fake::protected(0);
    f.write(GDT + 0x20, 8, segment(0, 0xffff, 0xf2, 0));
    f.cpu.set_r32(reg::SP, 0x1_1000);
    f.push32(&[u32::from(DATA3), 0x1234_8000, 0, u32::from(CODE3), 0x100]);
    f.run(&[0xcf]).unwrap();
    assert_eq!(f.cpu.r32(reg::SP), 0x1_8000);
}

/// SDM vol. 2, IRET: from CPL 0 to V86 mode.
#[test]
fn iret_to_v86() {
    let mut f = Fake::protected(0);
    f.push32(&[0x6666, 0x5555, 0x4444, 0x3333, 0x2222, 0x1_0100]);
    f.push32(&[e::VM | e::IOPL | e::IF, 0x1111, 0x9876]);
    f.run(&[0xcf]).unwrap();
    assert_eq!((f.cpu.cpl, f.cpu.eip, f.cpu.r32(reg::SP)), (3, 0x9876, 0x1_0100));
    assert_eq!([1, 2, 0, 3, 4, 5].map(|n| f.selector(n)), [0x1111, 0x2222, 0x3333, 0x4444, 0x5555, 0x6666]);
    assert_eq!(f.cpu.seg[1], cpu::Segment::real(0x1111, 3));
    assert_eq!(f.cpu.flags_image(), 2 | e::VM | e::IOPL | e::IF);
    let mut f = Fake::protected(3); // VM is ignored above CPL 0
    f.push32(&[e::VM, u32::from(CODE3), 0x100]);
    f.run(&[0xcf]).unwrap();
    assert_eq!(f.cpu.eflags & e::VM, 0);
}

/// SDM vol. 2, IRET, and vol. 3B, 20.2.7: IRET in V86 mode.
#[test]
fn iret_in_v86() {
    let mut f = Fake::v86(3);
    f.push16(&[e::IF as u16 | 1, 0x2000, 0x1234]);
    f.run(&[0xcf]).unwrap();
    assert_eq!((f.selector(seg::CS), f.cpu.eip, f.cpu.seg[1].base), (0x2000, 0x1234, 0x2_0000));
    assert_eq!(f.cpu.flags_image(), 3 | e::VM | e::IOPL | e::IF);
    let mut f = Fake::v86(0);
    f.push16(&[e::IF as u16, 0x2000, 0x1234]);
    assert_eq!(f.faults(&[0xcf]), Fault::GP0);
    f.cpu.cr4 |= cpu::cr4::VME;
    f.cpu.eflags |= e::VIP;
    assert_eq!(f.faults(&[0xcf]), Fault::GP0); // a virtual interrupt is pending
    f.cpu.eflags &= !e::VIP;
    f.run(&[0xcf]).unwrap();
    assert_eq!(f.cpu.flags_image(), 2 | e::VM | e::VIF);
}

/// SDM vol. 2, IRET in real mode.
#[test]
fn iret_in_real_mode() {
    let mut f = Fake::real(CpuModel::N270);
    f.push16(&[0x7fff, 0x2000, 0x1234]);
    f.run(&[0xcf]).unwrap();
    assert_eq!(f.cpu.flags_image(), 0x7fd7);
    let mut f = Fake::real(CpuModel::I286); // IOPL and NT stay clear
    f.push16(&[0x7fff, 0x2000, 0x1234]);
    f.run(&[0xcf]).unwrap();
    assert_eq!(f.cpu.flags_image(), 0x0fd7);
}

/// SDM vol. 2, SYSENTER and SYSEXIT.
#[test]
fn fast_system_calls() {
    let mut f = Fake::protected(3);
    assert_eq!(f.faults(&[0x0f, 0x34]), Fault::GP0);
    f.cpu.sysenter = [0x0b, 0x1234, 0x5678];
    f.cpu.eflags |= e::IF;
    f.run(&[0x0f, 0x34]).unwrap();
    assert_eq!((f.selector(seg::CS), f.selector(seg::SS), f.cpu.cpl), (0x08, 0x10, 0));
    assert_eq!((f.cpu.r32(reg::SP), f.cpu.eip, f.cpu.eflags & e::IF), (0x1234, 0x5678, 0));
    assert!(f.cpu.seg[2].flat_write && f.cpu.stack32());
    f.cpu.set_r32(reg::CX, 0x4000);
    f.cpu.set_r32(reg::DX, 0x5000);
    f.run(&[0x0f, 0x35]).unwrap();
    assert_eq!((f.selector(seg::CS), f.selector(seg::SS), f.cpu.cpl), (0x1b, 0x23, 3));
    assert_eq!((f.cpu.r32(reg::SP), f.cpu.eip), (0x4000, 0x5000));
    assert_eq!(f.faults(&[0x0f, 0x35]), Fault::GP0);
    let mut f = Fake::real(CpuModel::N270);
    f.cpu.sysenter[0] = 8;
    assert_eq!(f.faults(&[0x0f, 0x34]), Fault::GP0);
}

/// SDM vol. 3A, 5.8.4 and 5.8.5: through a gate conforming code runs at the caller's level, on its stack; a
/// 16-bit gate's offset has no upper half.
#[test]
fn conforming_code_behind_gates() {
    for op in [CALL, JMP] {
        let mut f = Fake::protected(3);
        f.write(GDT + u32::from(CALL_GATE), 8, gate(CONFORMING, 0x4000, 0xec, 0));
        f.far(op, CALL_GATE, 0).unwrap();
        assert_eq!((f.selector(seg::CS), f.selector(seg::SS), f.cpu.cpl), (CONFORMING | 3, DATA3, 3));
        let mut f = Fake::protected(0);
        f.write(GDT + u32::from(CALL_GATE), 8, gate(CODE0, 0x1_4000, 0xe4, 0));
        f.far(op, CALL_GATE, 0).unwrap();
        assert_eq!(f.cpu.eip, 0x4000);
        f.write(GDT + u32::from(CALL_GATE), 8, gate(CODE0, 0x1_4000, 0xec, 0));
        f.far(op, CALL_GATE, 0).unwrap();
        assert_eq!(f.cpu.eip, 0x1_4000);
    }
}

/// SDM vol. 2, RET and IRET: data segments that the outer level may use stay.
#[test]
fn segments_that_stay() {
    for op in [0xcb, 0xcf] {
        let mut f = Fake::protected(0);
        f.put_segment(seg::ES, DATA3);
        f.put_segment(seg::FS, CONFORMING);
        f.push32(&[u32::from(DATA3), STACK]);
        if op == 0xcf {
            f.push32(&[2]);
        }
        f.push32(&[u32::from(CODE3), 0x100]);
        f.run(&[op]).unwrap();
        assert_eq!([seg::ES, seg::FS].map(|n| f.selector(n)), [DATA3, CONFORMING]);
        assert_eq!([0, 3, 4, 5].map(|n| f.cpu.seg[n].usable()), [true, false, true, false]);
    }
}
