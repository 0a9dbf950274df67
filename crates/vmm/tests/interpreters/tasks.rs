//! Task switches.

use crate::fake::*;
use cpu::{Fault, Flow, cr0, eflags as e, reg, seg, vector};
use vmm::interpreters::interrupt::{Event, EventKind};

const CALL_TASK2: [u8; 7] = [0x9a, 0, 0, 0, 0, TASK2 as u8, 0];
const JMP_TASK2: [u8; 7] = [0xea, 0, 0, 0, 0, TASK2 as u8, 0];
const CALL_TASK16: [u8; 7] = [0x9a, 0, 0, 0, 0, TASK16 as u8, 0];

/// A 32-bit task at level 3.
fn write_task(f: &mut Fake) {
    for (offset, value) in [
        (0x1c, 0x0012_3000),
        (0x20, 0x1_0000),
        (0x24, e::IF | 2),
        (0x28, 0xaaaa_0000),
        (0x38, 0x1_1000),
        (0x48, u32::from(DATA3)),
        (0x4c, u32::from(CODE3)),
        (0x50, u32::from(DATA3)),
        (0x54, u32::from(DATA3)),
        (0x58, 0),
        (0x5c, 0),
        (0x60, u32::from(LOCAL)),
        (0x64, 0),
    ] {
        f.write(TSS2 + offset, 4, u64::from(value));
    }
}

/// SDM vol. 3A, 7.3 and table 7-2: CALL nests, IRET goes back.
#[test]
fn call_and_iret() {
    let mut f = Fake::protected(0);
    write_task(&mut f);
    f.cpu.set_r32(reg::BX, 0xbbbb);
    f.cpu.dr[7] = 0x5ff;
    assert_eq!(f.run(&CALL_TASK2), Ok(Flow::Leave));
    assert_eq!((f.selector(seg::CS), f.cpu.eip, f.cpu.cpl), (CODE3, 0x1_0000, 3));
    assert_eq!((f.cpu.r32(reg::AX), f.cpu.r32(reg::SP)), (0xaaaa_0000, 0x1_1000));
    assert_eq!(f.cpu.flags_image(), 2 | e::IF | e::NT);
    assert_eq!((f.cpu.tr.selector, f.cpu.ldtr.base), (TASK2, LDT));
    assert!(f.cpu.seg[3].flat_write && !f.cpu.seg[4].usable());
    assert_eq!((f.cpu.cr0 & cr0::TS, f.cpu.dr[7]), (cr0::TS, 0x4aa));
    assert_eq!(f.cpu.cr3, 0); // paging is off
    assert_eq!((f.access(TASK), f.access(TASK2)), (0x8b, 0x8b));
    assert_eq!(f.read(TSS2, 2), u64::from(TASK)); // back link
    assert_eq!([0x20, 0x34, 0x4c, 0x50].map(|o| f.read(TSS + o, 4)), [u64::from(CODE + 7), 0xbbbb, 8, 16]);
    f.run(&[0xcf]).unwrap();
    assert_eq!((f.selector(seg::CS), f.cpu.eip, f.cpu.cpl), (CODE0, CODE + 7, 0));
    assert_eq!((f.cpu.r32(reg::BX), f.cpu.flags_image() & e::NT), (0xbbbb, 0));
    assert_eq!((f.access(TASK), f.access(TASK2)), (0x8b, 0x89));
    assert_eq!(f.read(TSS2 + 0x24, 4) as u32 & e::NT, 0); // cleared in the saved flags
}

/// SDM vol. 3A, table 7-2: JMP frees the old task and leaves no link; CR3 changes with paging.
#[test]
fn jump() {
    let mut f = Fake::protected(0);
    write_task(&mut f);
    f.cpu.cr0 |= cr0::PG;
    f.run(&JMP_TASK2).unwrap();
    assert_eq!((f.access(TASK), f.access(TASK2)), (0x89, 0x8b));
    assert_eq!((f.read(TSS2, 2), f.cpu.flags_image() & e::NT), (0, 0));
    assert_eq!(f.cpu.cr3, 0x0012_3000);
}

/// SDM vol. 3A, 7.6: a 16-bit TSS.
#[test]
fn task_of_16_bits() {
    let mut f = Fake::protected(0);
    for (offset, value) in [
        (0x0e, 0x1234),
        (0x10, 2),
        (0x12, 0x5555),
        (0x1a, 0x7fff),
        (0x22, 0),
        (0x24, CODE16),
        (0x26, DATA16),
        (0x28, DATA16),
        (0x2a, 0),
    ] {
        f.write(TSS16 + offset, 2, u64::from(value));
    }
    f.run(&CALL_TASK16).unwrap();
    assert_eq!((f.selector(seg::CS), f.cpu.eip, f.cpu.r16(reg::AX)), (CODE16, 0x1234, 0x5555));
    assert_eq!(f.access(TASK16), 0x83);
    f.cpu.set_r16(reg::AX, 0x6666);
    f.run(&[0xcf]).unwrap();
    assert_eq!((f.selector(seg::CS), f.cpu.eip), (CODE0, CODE + 7));
    assert_eq!((f.read(TSS16 + 0x12, 2), f.read(TSS16 + 0x0e, 2)), (0x6666, 0x1235));
    assert_eq!(f.access(TASK16), 0x81);
}

/// SDM vol. 2, CALL and JMP: error codes before the commit point.
#[test]
fn errors_before_the_switch() {
    let mut f = Fake::protected(0);
    let call = |selector: u16| [0x9a, 0, 0, 0, 0, selector as u8, 0];
    assert_eq!(f.faults(&call(TASK)), Fault::gp(TASK)); // busy
    assert_eq!(f.faults(&call(SHORT_TASK)), Fault::ts(SHORT_TASK));
    f.set_access(TASK2, 9);
    assert_eq!(f.faults(&call(TASK2)), Fault::np(TASK2));
    assert_eq!(f.faults(&call(TASK_GATE)), Fault::np(TASK2));
    f.set_access(TASK_GATE, 0x65);
    assert_eq!(f.faults(&call(TASK_GATE)), Fault::np(TASK_GATE));
    f.write(GDT + u32::from(TASK_GATE), 8, gate(0x0c, 0, 0xe5, 0)); // local
    assert_eq!(f.faults(&call(TASK_GATE)), Fault::gp(0x0c));
    let mut f = Fake::protected(3);
    assert_eq!(f.faults(&call(TASK2)), Fault::gp(TASK2)); // DPL 0
    f.cpu.eflags |= e::NT;
    f.write(TSS, 2, u64::from(TASK2));
    f.cpu.nmi_blocked = false;
    assert_eq!(f.faults(&[0xcf]), Fault::ts(TASK2)); // not busy
}

/// SDM vol. 3A, 7.3: a fault after the commit point is raised in the new task.
#[test]
fn errors_after_the_switch() {
    for (offset, selector, v, code) in [
        (0x4c, CODE0 | 3, vector::TS, CODE0),
        (0x4c, ABSENT_CODE, vector::NP, ABSENT_CODE),
        (0x50, ABSENT_DATA | 3, vector::TS, ABSENT_DATA),
        (0x50, DATA0, vector::TS, DATA0),
        (0x54, DATA0, vector::TS, DATA0),
        (0x54, OUTSIDE, vector::TS, OUTSIDE),
        (0x60, TASK, vector::TS, TASK),
    ] {
        let mut f = Fake::protected(0);
        write_task(&mut f);
        f.write(TSS2 + 4, 4, u64::from(STACK0));
        f.write(TSS2 + 8, 4, u64::from(DATA0));
        f.idt(v, gate(CODE0, 0x1234, 0x8e, 0));
        f.idt(vector::DF, gate(CODE0, 0xdddd, 0x8e, 0));
        f.write(TSS2 + offset, 2, u64::from(selector));
        if selector == ABSENT_CODE {
            f.write(TSS2 + 0x50, 2, u64::from(DATA0)); // a task of level 0
            f.write(TSS2 + 0x54, 2, 0);
        }
        f.run(&JMP_TASK2).unwrap();
        assert_eq!((f.cpu.tr.selector, f.cpu.eip), (TASK2, 0x1234), "{selector:x}");
        assert_eq!(f.stack32::<2>(), [u32::from(code), 0x1_0000]);
    }
}

/// SDM vol. 2, INT, and vol. 3A, 6.12.2: a task gate in the IDT; the error code goes to the new
/// stack, RF into the saved flags.
#[test]
fn exception_through_a_task_gate() {
    let mut f = Fake::protected(3);
    write_task(&mut f);
    f.idt(vector::GP, gate(TASK2, 0, 0x85, 0));
    deliver_fault(&mut f, Fault::gp(0x1234));
    assert_eq!((f.cpu.tr.selector, f.cpu.eip, f.cpu.r32(reg::SP)), (TASK2, 0x1_0000, 0x1_0ffc));
    assert_eq!(f.stack32(), [0x1234]);
    assert_eq!(f.read(TSS + 0x20, 4) as u32, CODE);
    assert_eq!(f.read(TSS + 0x24, 4) as u32, 2 | e::RF);
    assert_eq!(f.cpu.flags_image() & e::NT, e::NT);
    let mut f = Fake::protected(3);
    write_task(&mut f);
    f.idt(0x30, gate(SHORT_TASK, 0, 0x85, 0));
    let event = Event::plain(0x30, EventKind::Hardware, CODE);
    assert_eq!(deliver(&mut f, event), Err(Fault::ts(SHORT_TASK | 1)));
    assert_eq!(f.faults(&[0xcd, 0x30]), Fault::gp(0x182)); // DPL 0
}

/// SDM vol. 3A, 7.2.1 and 17.3.1.5: the T bit raises #DB after the switch. A V86 task.
#[test]
fn trap_bit_and_v86_task() {
    let mut f = Fake::protected(0);
    write_task(&mut f);
    f.write(TSS2 + 0x64, 2, 1);
    f.write(TSS2 + 0x20, 4, 0x100);
    f.write(TSS2 + 0x24, 4, u64::from(e::VM | 2));
    f.run(&JMP_TASK2).unwrap();
    assert_eq!(f.cpu.debug_hits, 0x8000);
    assert_eq!((f.cpu.cpl, f.cpu.seg[1]), (3, cpu::Segment::real(CODE3, 3)));
}

/// A page fault on either TSS leaves the old task as it was.
#[test]
fn page_fault_before_the_switch() {
    for hole in [TSS2 + 0x40..TSS2 + 0x41, TSS + 0x5c..TSS + 0x5d] {
        let mut f = Fake::protected(0);
        write_task(&mut f);
        f.hole = hole;
        assert_eq!(f.faults(&CALL_TASK2).vector, vector::PF);
        assert_eq!((f.access(TASK2), f.read(TSS + 0x20, 4)), (0x89, 0));
    }
}
