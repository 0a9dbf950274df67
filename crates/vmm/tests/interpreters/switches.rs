//! Task switches by every way there is (SDM vol. 3A, 7.3).

use crate::fake::*;
use crate::ways::{Field, ToTask, WAYS, begun_with, set_field, write_task};
use cpu::{CpuModel, Fault, Segment, cr0, cr4, eflags as e, reg, vector};
use vmm::interpreters::interrupt::Event;

fn every() -> Vec<(ToTask, u8)> {
    let mut all = vec![
        (ToTask::Jmp, 0),
        (ToTask::Call, 0),
        (ToTask::JmpGate, 0),
        (ToTask::CallGate, 0),
        (ToTask::Iret, 0),
    ];
    all.extend(WAYS.map(|way| (ToTask::Gate(way), 3)));
    all
}

fn ready(cpl: u8) -> Fake {
    let mut f = Fake::protected(cpl);
    write_task(&mut f);
    f
}

/// Switches to a task, with its TSS available or busy as the way wants it.
fn switch(f: &mut Fake, to: ToTask, selector: u16) -> Result<(), Fault> {
    if !to.takes_available() {
        let access = f.access(selector);
        f.set_access(selector, access | 2);
    }
    to.run(f, selector)
}

/// The task with a TSS of 16 bits, on a chip that has both.
fn write_narrow_task(f: &mut Fake) {
    f.cpu.model = CpuModel::I286;
    write_task(f);
    f.cpu.model = CpuModel::N270;
}

/// SDM vol. 3A, 7.3: the limit of the new TSS; it comes before the old one's.
#[test]
fn limits_of_the_new_task() {
    for (to, cpl) in every() {
        let ext = to.ext();
        for (access, limit, fits) in
            [(0x89, 0x66, false), (0x89, 0x67, true), (0x81, 0x2a, false), (0x81, 0x2b, true)]
        {
            for old in [0xa7, 0x5c] {
                let (selector, base) = if access == 0x89 { (TASK2, TSS2) } else { (TASK16, TSS16) };
                let mut f = ready(cpl);
                write_narrow_task(&mut f);
                f.write(GDT + u32::from(selector), 8, segment(base, limit, access, 0));
                f.cpu.tr.limit = old;
                let expected = match (fits, old) {
                    (false, _) => Err(Fault::ts(selector | ext)),
                    (true, 0x5c) => Err(Fault::ts(TASK | ext)),
                    _ => Ok(()),
                };
                assert_eq!(switch(&mut f, to, selector), expected, "{access:x} {limit:x} {old:x}");
                if expected.is_ok() {
                    assert_eq!((f.cpu.tr.selector, f.cpu.eip), (selector, 0x5555));
                    assert_eq!(f.cpu.r32(reg::SP) & 0xffff, 0x1000);
                }
            }
        }
    }
}

/// SDM vol. 3A, 7.2.1 and 7.6: the old task is saved as its own TSS is, which has to have the room.
#[test]
fn limits_of_the_old_task() {
    for (to, cpl) in every() {
        for (rights, limit, fits, saved) in [
            (0x8b, 0x5d, true, 0x4c),
            (0x8b, 0x5c, false, 0),
            (0x8b, 0x2b, false, 0),
            (0x83, 0x2b, true, 0x24),
            (0x83, 0x29, true, 0x24),
            (0x83, 0x28, false, 0),
        ] {
            let mut f = ready(cpl);
            (f.cpu.tr.rights, f.cpu.tr.limit) = (rights, limit);
            let code = f.cpu.seg[1].selector;
            if !fits {
                set_field(&mut f, Field::Ss, DATA0.into()); // the new task's segments come later
            }
            let expected = if fits { Ok(()) } else { Err(Fault::ts(TASK | to.ext())) };
            assert_eq!(switch(&mut f, to, TASK2), expected, "{rights:x} {limit:x}");
            if fits {
                assert_eq!(f.read(TSS + saved, 2) as u16, code, "{rights:x}");
            }
        }
    }
}

/// SDM vol. 3A, 7.3 and 4.4.1: CR3 and the PDPTEs are loaded where paging is on.
#[test]
fn paging() {
    for (to, cpl) in every() {
        for (bits, pae, entry) in
            [(0, 0, 1u64), (cr0::PG, 0, 1), (cr0::PG, cr4::PAE, 1), (cr0::PG, cr4::PAE, 3)]
        {
            let mut f = ready(cpl);
            f.cpu.cr0 |= bits;
            f.cpu.cr4 |= pae;
            f.cpu.cr3 = 0xb000;
            f.write(TSS2 + 0x1c, 4, 0xa000);
            f.write(0xa000, 8, entry);
            assert_eq!(switch(&mut f, to, TASK2), Ok(()));
            assert_eq!(f.cpu.cr3, if bits == 0 { 0xb000 } else { 0xa000 });
            let loads = pae != 0 && entry == 1;
            assert_eq!(f.cpu.pdptes[0], if loads { entry } else { 0 }, "{pae:x} {entry:x}");
        }
    }
}

/// SDM vol. 3A, 17.3.1.5: the T bit.
#[test]
fn trap_bit() {
    for (to, cpl) in every() {
        for t in [0, 1] {
            let mut f = ready(cpl);
            f.write(TSS2 + 0x64, 2, t);
            assert_eq!(switch(&mut f, to, TASK2), Ok(()));
            assert_eq!(f.cpu.debug_hits, if t == 1 { 0x8000 } else { 0 });
        }
    }
}

/// SDM vol. 3B, 20.2: a task in V86 mode, whose selectors are an 8086's.
#[test]
fn tasks_of_v86_mode() {
    for (to, cpl) in every() {
        let mut f = ready(cpl);
        set_field(&mut f, Field::Flags, e::VM | 2);
        for (field, selector) in
            [(Field::Cs, 0x1110), (Field::Ss, 0x2220), (Field::Ds, 0x3330), (Field::Es, 0x4440)]
        {
            set_field(&mut f, field, selector);
        }
        assert_eq!(switch(&mut f, to, TASK2), Ok(()));
        let selectors = [(1, 0x1110), (2, 0x2220), (3, 0x3330), (0, 0x4440)];
        assert!(selectors.iter().all(|(n, s)| f.cpu.seg[*n] == Segment::real(*s, 3)));
        assert_eq!((f.cpu.cpl, f.cpu.eflags & e::VM), (3, e::VM));
    }
}

/// SDM vol. 2, CALL, JMP, INT n, IRET: a TSS's presence, then its limit.
#[test]
fn presence_before_limits() {
    for (to, cpl) in every() {
        let mut f = ready(cpl);
        f.write(GDT + u32::from(TASK2), 8, segment(TSS2, 0x66, 0x09, 0));
        assert_eq!(switch(&mut f, to, TASK2), Err(Fault::np(TASK2 | to.ext())));
    }
}

/// SDM vol. 3A, 7.3: the new task's level is its CS's.
#[test]
fn tasks_of_level_0() {
    for (to, cpl) in every() {
        let mut f = ready(cpl);
        for (field, selector) in
            [(Field::Cs, CODE0), (Field::Ss, DATA0), (Field::Ds, DATA0), (Field::Es, DATA0)]
        {
            set_field(&mut f, field, selector.into());
        }
        assert_eq!(switch(&mut f, to, TASK2), Ok(()));
        assert_eq!((f.cpu.cpl, f.cpu.eip, f.cpu.seg[3].usable()), (0, 0x5555, true));
    }
}

/// SDM vol. 2, CALL and JMP: a TSS or task gate by its DPL, then presence.
#[test]
fn privilege() {
    for (op, cpl) in [(0xea, 3), (0x9a, 3)] {
        for access in [0x89, 0x09] {
            let mut f = ready(cpl);
            f.set_access(TASK2, access);
            assert_eq!(f.far(op, TASK2, 0), Err(Fault::gp(TASK2)));
            f.set_access(TASK2, access | 0x60);
            assert_eq!(f.far(op, TASK2, 0), if access == 0x89 { Ok(()) } else { Err(Fault::np(TASK2)) });
        }
        for (access, fault) in [
            (0x85, Some(Fault::gp(TASK_GATE))),
            (0x05, Some(Fault::gp(TASK_GATE))),
            (0x65, Some(Fault::np(TASK_GATE))),
            (0xe5, None),
        ] {
            let mut f = ready(cpl);
            f.set_access(TASK_GATE, access);
            assert_eq!(f.far(op, TASK_GATE, 0).err(), fault, "{access:x}");
        }
        let mut f = ready(0); // RPL 3
        assert_eq!(f.far(op, TASK2 | 3, 0), Err(Fault::gp(TASK2)));
    }
}

/// SDM vol. 3A, 6.13 and 7.3: the error code goes to the new task's stack, as wide as the TSS, and needs room there.
#[test]
fn error_codes() {
    for (sp, wide_stack, fits) in [(0x1_1000, true, true), (0x1_1000, false, true), (2, false, false)] {
        let mut f = ready(3);
        f.write(GDT + u32::from(ABSENT_DATA), 8, segment(0, 0xffff, 0xf2, if wide_stack { 0xc } else { 0 }));
        set_field(&mut f, Field::Ss, u32::from(ABSENT_DATA | 3));
        set_field(&mut f, Field::Sp, sp);
        f.idt(vector::PF, gate(TASK2, 0, 0x85, 0));
        let fault = Fault::page(cpu::PageFaultCode(2), 0x1_2345);
        let event = Event::exception(fault, CODE);
        assert_eq!(
            deliver(&mut f, event).and_then(|()| begun_with(&f)),
            if fits { Ok(()) } else { Err(Fault::ss(1)) }
        );
        if fits {
            let at = if wide_stack { sp - 4 } else { (sp - 4) & 0xffff };
            assert_eq!(f.read(at, 4), 2);
        }
    }
}
