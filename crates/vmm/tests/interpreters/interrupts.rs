//! Delivery of interrupts and exceptions.

use crate::fake::*;
use cpu::{Activity, CpuModel, Fault, PageFaultCode, eflags as e, reg, seg, vector};
use vmm::interpreters::interrupt::{Event, EventKind};

const INT_30: [u8; 2] = [0xcd, 0x30];

fn hardware(v: u8, f: &Fake) -> Event {
    Event::plain(v, EventKind::Hardware, f.cpu.eip)
}

/// SDM vol. 3B, 20.1.4: INT and IRET in real mode.
#[test]
fn real_mode_int_and_iret() {
    let mut f = Fake::real(CpuModel::N270);
    f.write(0x30 * 4, 4, 0x2000_1234);
    f.cpu.eflags |= e::IF | e::TF;
    f.run(&INT_30).unwrap();
    assert_eq!((f.selector(seg::CS), f.cpu.eip), (0x2000, 0x1234));
    assert_eq!(f.cpu.eflags & (e::IF | e::TF), 0);
    let flags = f.cpu.flags_image() as u16 | 0x300;
    assert_eq!(f.stack16(), [2, 0x700, flags]);
    f.run(&[0xcf]).unwrap();
    assert_eq!((f.selector(seg::CS), f.cpu.eip, f.cpu.r16(reg::SP)), (0x700, 2, 0x100));
    assert_eq!(f.cpu.eflags & (e::IF | e::TF), e::IF | e::TF);
}

/// SDM vol. 3B, chapter 22, "EFLAGS Pushed on the Stack": bits 12 to 15 are ones on an 8086,
/// zeros on an 80286.
#[test]
fn pushed_flags_by_model() {
    for (model, upper) in [(CpuModel::I8086, 0xf000), (CpuModel::I286, 0), (CpuModel::I386, 0x3000)] {
        let mut f = Fake::real(model);
        f.cpu.eflags |= e::IOPL;
        f.run(&INT_30).unwrap();
        assert_eq!(f.stack16::<3>()[2] & 0xf000, upper, "{model:?}");
    }
}

/// SDM vol. 2, INT: a vector beyond the IDTR's limit; exceptions push no code in real mode.
#[test]
fn real_mode_limits() {
    let mut f = Fake::real(CpuModel::N270);
    f.cpu.idtr.limit = 0xc2;
    assert_eq!(f.faults(&INT_30).vector, vector::GP);
    f.write(13 * 4, 4, 0x2000_1234);
    deliver_fault(&mut f, Fault::gp(0x182));
    assert_eq!(f.stack16(), [0, 0x700, 2]);
    assert_eq!(f.cpu.eip, 0x1234);
}

/// SDM vol. 3A, 6.12.1: an interrupt gate from CPL 3 changes stacks, and IRET goes back.
#[test]
fn interrupt_gate_from_cpl_3() {
    let mut f = Fake::protected(3);
    f.idt(0x30, gate(CODE0, 0x1_2345, 0xee, 0));
    f.cpu.eflags |= e::IF | e::TF | e::NT;
    let flags = f.cpu.flags_image();
    f.run(&INT_30).unwrap();
    assert_eq!((f.selector(seg::CS), f.cpu.eip, f.cpu.cpl), (CODE0, 0x1_2345, 0));
    assert_eq!(f.stack32(), [CODE + 2, u32::from(CODE3), flags, STACK, u32::from(DATA3)]);
    assert_eq!(f.cpu.eflags & (e::IF | e::TF | e::NT), 0);
    f.run(&[0xcf]).unwrap();
    assert_eq!((f.selector(seg::CS), f.cpu.eip, f.cpu.cpl), (CODE3, CODE + 2, 3));
    assert_eq!((f.selector(seg::SS), f.cpu.r32(reg::SP), f.cpu.flags_image()), (DATA3, STACK, flags));
}

/// SDM vol. 3A, 6.12.1.3: a trap gate leaves IF; a 16-bit gate pushes 16-bit items; a
/// conforming handler keeps the level.
#[test]
fn trap_gates_and_conforming_handlers() {
    let mut f = Fake::protected(0);
    f.cpu.eflags |= e::IF;
    f.idt(0x30, gate(CODE0, 0xffff_1234, 0x87, 0));
    f.run(&INT_30).unwrap();
    assert_eq!((f.cpu.eip, f.cpu.eflags & e::IF), (0x1234, e::IF));
    assert_eq!(f.stack16(), [CODE as u16 + 2, CODE0, 0x202]);
    let mut f = Fake::protected(3);
    f.idt(0x30, gate(CONFORMING, 0x1234, 0xee, 0));
    f.run(&INT_30).unwrap();
    assert_eq!((f.selector(seg::CS), f.cpu.cpl), (CONFORMING | 3, 3));
    assert_eq!(f.stack32(), [CODE + 2, u32::from(CODE3), 2]);
}

/// SDM vol. 3A, 7.6 and 6.12.1: the inner stack of a 16-bit TSS, through a 16-bit gate.
#[test]
fn inner_stack_of_a_16_bit_task() {
    let mut f = Fake::protected(3);
    f.cpu.tr = f.descriptor(TASK16).segment();
    f.write(TSS16 + 2, 2, 0x9000);
    f.write(TSS16 + 4, 2, u64::from(DATA16));
    f.idt(0x30, gate(CODE16, 0x1234, 0xe6, 0));
    f.cpu.set_r32(reg::SP, 0x1_8000);
    f.run(&INT_30).unwrap();
    assert_eq!((f.selector(seg::CS), f.cpu.eip, f.cpu.cpl), (CODE16, 0x1234, 0));
    assert_eq!(f.stack16(), [CODE as u16 + 2, CODE3, 2, 0x8000, DATA3]);
    assert_eq!(f.cpu.r32(reg::SP), 0x1_8ff6); // a 16-bit stack leaves the upper half of ESP
    f.run(&[0xcf]).unwrap();
    assert_eq!((f.cpu.eip, f.cpu.cpl, f.cpu.r32(reg::SP)), (CODE + 2, 3, 0x8000));
}

/// SDM vol. 3A, 6.12.1.2 and 6.13: the gate's DPL counts for INT n, not for hardware; error
/// codes name the IDT entry, with EXT for events from outside.
#[test]
fn gate_errors() {
    let mut f = Fake::protected(3);
    let entry = 0x30 << 3 | 2;
    assert_eq!(f.faults(&INT_30), Fault::gp(entry)); // type 0
    f.idt(0x30, gate(CODE0, 0x1234, 0x8e, 0)); // DPL 0
    assert_eq!(f.faults(&INT_30), Fault::gp(entry));
    f.idt(0x30, gate(CODE0, 0x1234, 0x6e, 0)); // absent
    assert_eq!(f.faults(&INT_30), Fault::np(entry));
    let event = hardware(0x30, &f);
    assert_eq!(deliver(&mut f, event), Err(Fault::np(entry | 1)));
    assert_eq!(f.faults(&[0xcd, 0x80]), Fault::gp(0x402)); // beyond the limit
    let event = hardware(0x80, &f);
    assert_eq!(deliver(&mut f, event), Err(Fault::gp(0x403)));
    for (target, fault) in [
        (0, Fault::gp(0)),
        (OUTSIDE, Fault::gp(OUTSIDE)),
        (DATA0, Fault::gp(DATA0)),
        (ABSENT_CODE, Fault::np(ABSENT_CODE)),
    ] {
        f.idt(0x30, gate(target, 0x1234, 0xee, 0));
        assert_eq!(f.faults(&INT_30), fault);
        let event = hardware(0x30, &f);
        let with_ext = Fault { code: fault.code.map(|c| c | 1), ..fault };
        assert_eq!(deliver(&mut f, event), Err(with_ext));
    }
    let mut f = Fake::protected(0);
    f.idt(0x30, gate(CODE3, 0x1234, 0xee, 0)); // outward
    assert_eq!(f.faults(&INT_30), Fault::gp(0x18));
}

/// SDM vol. 2, INT1: neither the gate's DPL nor EXT = 0; INT3 and INTO respect the DPL.
#[test]
fn short_forms() {
    let mut f = Fake::protected(3);
    for v in [1, 3, 4] {
        f.idt(v, gate(CODE0, 0x1000 * u32::from(v), 0x8e, 0));
    }
    assert_eq!(f.faults(&[0xcc]), Fault::gp(3 << 3 | 2));
    f.run(&[0xce]).unwrap(); // into, OF clear
    assert_eq!(f.cpu.eip, CODE + 1);
    f.cpu.set_arithmetic_flags(e::OF);
    assert_eq!(f.faults(&[0xce]), Fault::gp(4 << 3 | 2));
    f.run(&[0xf1]).unwrap();
    assert_eq!((f.cpu.eip, f.cpu.cpl), (0x1000, 0));
    assert_eq!(f.stack32::<1>(), [CODE + 2]);
    f.run(&[0xcc]).unwrap();
    assert_eq!(f.cpu.eip, 0x3000);
    f.cpu.set_arithmetic_flags(e::OF);
    f.run(&[0xce]).unwrap();
    assert_eq!(f.cpu.eip, 0x4000);
}

/// SDM vol. 3B, 17.3.1.1: RF is set in the flags that a fault pushes, not in a trap's; the
/// error code lies on top.
#[test]
fn exceptions_push_rf_and_code() {
    let mut f = Fake::protected(3);
    f.idt(vector::GP, gate(CODE0, 0x1234, 0x8e, 0));
    f.idt(vector::DB, gate(CODE0, 0x1234, 0x8e, 0));
    deliver_fault(&mut f, Fault::gp(0x1234));
    assert_eq!(f.stack32(), [0x1234, CODE, u32::from(CODE3), 2 | e::RF, STACK, u32::from(DATA3)]);
    let mut f = Fake { cpu: Fake::protected(3).cpu, ..f };
    deliver_fault(&mut f, Fault::DB);
    assert_eq!(f.stack32(), [CODE, u32::from(CODE3), 2]);
}

/// SDM vol. 3B, 20.3.1.1: from V86 mode the data segments are pushed and nulled.
#[test]
fn interrupt_from_v86() {
    let mut f = Fake::v86(3);
    f.idt(0x30, gate(CODE0, 0x1234, 0xee, 0));
    f.cpu.eflags |= e::IF;
    let flags = f.cpu.flags_image();
    f.run(&INT_30).unwrap();
    assert_eq!((f.cpu.cpl, f.cpu.eip, f.cpu.eflags & (e::VM | e::IF)), (0, 0x1234, 0));
    assert_eq!(f.stack32(), [2, 0x700, flags, 0x100, 0x800, 0x100, 0x400, 0x500, 0x600]);
    assert!([0, 3, 4, 5].iter().all(|&n| !f.cpu.seg[n].usable() && f.cpu.seg[n].selector == 0));
    f.run(&[0xcf]).unwrap();
    assert_eq!((f.cpu.cpl, f.cpu.eip, f.cpu.flags_image()), (3, 2, flags));
    assert_eq!([0, 1, 2, 3, 4, 5].map(|n| f.selector(n)), [0x100, 0x700, 0x800, 0x400, 0x500, 0x600]);
}

/// SDM vol. 3B, 20.2.7 and 20.3.1: INT n below IOPL 3 is #GP(0), INT3 is not; the handler must
/// be at level 0.
#[test]
fn v86_restrictions() {
    let mut f = Fake::v86(0);
    f.idt(3, gate(CODE0, 0x1234, 0xee, 0));
    assert_eq!(f.faults(&INT_30), Fault::GP0);
    f.idt(0x31, gate(CONFORMING, 0x1234, 0xee, 0));
    let event = hardware(0x31, &f);
    assert_eq!(deliver(&mut f, event), Err(Fault::gp(CONFORMING | 1)));
    f.run(&[0xcc]).unwrap();
    assert_eq!(f.cpu.cpl, 0);
}

/// SDM vol. 3B, 20.3.3: with CR4.VME the redirection bitmap decides; below IOPL 3 the pushed
/// IF is VIF and IOPL reads 3.
#[test]
fn v86_interrupt_redirection() {
    let mut f = Fake::v86(0);
    f.cpu.cr4 |= cpu::cr4::VME;
    f.write(TSS + 0x66, 2, 0x88);
    f.write(0x30 * 4, 4, 0x2000_1234);
    f.cpu.eflags |= e::VIF | e::IF;
    f.run(&INT_30).unwrap();
    assert_eq!((f.selector(seg::CS), f.cpu.eip, f.cpu.cpl), (0x2000, 0x1234, 3));
    assert_eq!(f.stack16(), [2, 0x700, 0x3202]);
    assert_eq!(f.cpu.eflags & (e::VIF | e::IF | e::VM), e::IF | e::VM);
    f.write(TSS + 0x68 + 6, 1, 1); // vector 30h to the monitor
    assert_eq!(f.faults(&INT_30), Fault::GP0);
    f.cpu.eflags |= e::IOPL;
    f.idt(0x30, gate(CODE0, 0x1234, 0xee, 0));
    f.run(&INT_30).unwrap();
    assert_eq!(f.cpu.cpl, 0);
}

/// SDM vol. 3A, table 6-5: contributory after contributory is a double fault, then shutdown.
#[test]
fn double_and_triple_fault() {
    let mut f = Fake::protected(3);
    f.idt(vector::DF, gate(CODE0, 0x1234, 0x8e, 0));
    deliver_fault(&mut f, Fault::GP0); // no handler: #GP again
    assert_eq!((f.cpu.eip, f.cpu.activity), (0x1234, Activity::Running));
    assert_eq!(f.stack32(), [0, CODE, u32::from(CODE3), 2]);
    let mut f = Fake::protected(3);
    deliver_fault(&mut f, Fault::GP0);
    assert_eq!((f.cpu.activity, f.cpu.leave), (Activity::Shutdown, true));
}

/// SDM vol. 3A, table 6-5: benign first events are followed by the second fault, a page fault
/// after a contributory one likewise; anything serious after a page fault is a double fault.
#[test]
fn serial_faults() {
    let mut f = Fake::protected(3);
    f.idt(vector::GP, gate(CODE0, 0x1234, 0x8e, 0));
    let event = hardware(0x30, &f);
    inject(&mut f, event); // #GP(30h * 8 + IDT + EXT)
    assert_eq!(f.stack32(), [0x183, CODE, u32::from(CODE3), 2 | e::RF]);
    let mut f = Fake::protected(0);
    f.hole = IDT + 13 * 8..IDT + 13 * 8 + 1;
    f.idt(vector::PF, gate(CODE0, 0x4321, 0x8e, 0));
    deliver_fault(&mut f, Fault::GP0);
    assert_eq!((f.cpu.eip, f.cpu.cr2), (0x4321, IDT + 13 * 8));
    let mut f = Fake::protected(0);
    f.idt(vector::DF, gate(CODE0, 0x1234, 0x8e, 0));
    deliver_fault(&mut f, Fault::page(PageFaultCode(2), 0x1_2345));
    assert_eq!((f.cpu.eip, f.cpu.cr2), (0x1234, 0x1_2345));
}

/// SDM vol. 3A, 6.7.1: an NMI blocks NMIs until IRET; any delivery ends HLT and the shadow.
#[test]
fn nmi_blocks_itself() {
    let mut f = Fake::protected(0);
    f.idt(2, gate(CODE0, 0x1234, 0x8e, 0));
    f.cpu.activity = Activity::Halted;
    f.cpu.shadow_until = 100;
    inject(&mut f, Event::plain(2, EventKind::Nmi, CODE));
    assert!(f.cpu.nmi_blocked);
    assert_eq!((f.cpu.activity, f.cpu.shadow_until), (Activity::Running, 0));
    f.run(&[0xcf]).unwrap();
    assert!(!f.cpu.nmi_blocked);
}
