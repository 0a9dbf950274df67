//! Two things wrong at once: the fault of the check that the manual has first.

use crate::fake::*;
use cpu::{CpuModel, Fault, reg};

const CALL: u8 = 0x9a;
const JMP: u8 = 0xea;

/// A code segment of one byte in the place of another.
fn shrink(f: &mut Fake, selector: u16, access: u8) {
    f.write(GDT + u32::from(selector & !7), 8, segment(0, 0, access, 4));
}

/// SDM vol. 2, CALL: room for the return address, then the offset, in real mode too.
#[test]
fn room_before_offset_of_a_call() {
    let full = |mut f: Fake| {
        f.cpu.seg[2].limit = 3;
        f.cpu.seg[2].refresh();
        f
    };
    let mut f = full(Fake::protected(0));
    assert_eq!(f.far(CALL, CONFORMING, 0x1_0000), Err(Fault::ss(0)));
    f.write(GDT + u32::from(CALL_GATE), 8, gate(CONFORMING, 0x1_0000, 0xec, 0));
    assert_eq!(f.far(CALL, CALL_GATE, 0), Err(Fault::ss(0)));
    assert_eq!(f.far(JMP, CALL_GATE, 0), Err(Fault::GP0)); // no stack is used
    let mut f = full(Fake::real(CpuModel::N270));
    let call = [0x66, 0x9a, 0, 0, 1, 0, 0, 7]; // call 700h:10000h
    assert_eq!(f.faults(&call), Fault::ss(0));
    let mut f = Fake::real(CpuModel::N270);
    assert_eq!(f.faults(&call), Fault::GP0);
}

/// SDM vol. 2, CALL, MORE-PRIVILEGE: the inner stack and its room, then the offset.
#[test]
fn inner_stack_before_offset() {
    let mut f = Fake::protected(3);
    shrink(&mut f, CODE0, 0x9a);
    assert_eq!(f.far(CALL, CALL_GATE, 0), Err(Fault::GP0));
    f.write(TSS + 8, 2, u64::from(ABSENT_DATA));
    assert_eq!(f.far(CALL, CALL_GATE, 0), Err(Fault::ss(ABSENT_DATA)));
    f.write(TSS + 8, 2, u64::from(DATA16));
    f.write(TSS + 4, 4, 18);
    assert_eq!(f.far(CALL, CALL_GATE, 0), Err(Fault::ss(DATA16)));
}

/// SDM vol. 2, RET and IRET, RETURN-TO-OUTER-PRIVILEGE-LEVEL: the outer stack, then the offset.
#[test]
fn outer_stack_before_offset() {
    for (ss, fault) in
        [(0, Fault::GP0), (0x53, Fault::ss(ABSENT_DATA)), (DATA0, Fault::gp(DATA0)), (DATA3, Fault::GP0)]
    {
        let mut f = Fake::protected(0);
        shrink(&mut f, CODE3, 0xfa);
        f.set_access(ABSENT_DATA, 0x72);
        f.push32(&[u32::from(ss), STACK, u32::from(CODE3), CODE]);
        assert_eq!(f.faults(&[0xcb]), fault);
        f.cpu.set_r32(reg::SP, STACK0 - 0x100);
        f.push32(&[u32::from(ss), STACK, 2, u32::from(CODE3), CODE]);
        assert_eq!(f.faults(&[0xcf]), fault);
    }
}

/// SDM vol. 2, CALL and JMP: a call gate's presence, then what it names; a task gate's and a TSS's presence,
/// then the TSS.
#[test]
fn presence_before_contents() {
    for op in [CALL, JMP] {
        for target in [0, OUTSIDE, DATA0, ABSENT_CODE] {
            let mut f = Fake::protected(3);
            f.write(GDT + u32::from(CALL_GATE), 8, gate(target, 0, 0x6c, 0));
            assert_eq!(f.far(op, CALL_GATE, 0), Err(Fault::np(CALL_GATE)));
            f.write(GDT + u32::from(TASK_GATE), 8, gate(target, 0, 0x65, 0));
            assert_eq!(f.far(op, TASK_GATE, 0), Err(Fault::np(TASK_GATE)));
        }
    }
}

/// SDM vol. 2, CALL, MORE-PRIVILEGE: the offset, then the parameters; the TSS's limit, then the stack that it names.
#[test]
fn parameters_come_last() {
    let mut f = Fake::protected(3);
    shrink(&mut f, CODE0, 0x9a);
    f.cpu.seg[2].limit = 3;
    f.cpu.seg[2].refresh();
    assert_eq!(f.far(CALL, CALL_GATE, 0), Err(Fault::GP0));
    f.write(TSS + 8, 2, u64::from(DATA3));
    f.cpu.tr.limit = 8;
    assert_eq!(f.far(CALL, CALL_GATE, 0), Err(Fault::ts(TASK)));
}
