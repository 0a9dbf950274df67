//! What holds for every state that a guest can build: no panic, nothing changed by a fault,
//! consistent hidden state after a success.

use crate::fake::*;
use cpu::{CpuModel, eflags as e, reg, seg};
use vmm::Atom;
use vmm::interpreters::interrupt::{Event, EventKind};

/// A generator that needs no seed from outside (Marsaglia, 2003).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) as u32
    }
    fn below(&mut self, n: u32) -> u32 {
        self.next() % n
    }
    fn selector(&mut self) -> u16 {
        (self.below(0xa8) & !4) as u16
    }
}

/// Every sensitive form of the families, on registers or the stack; far pointers at DS:100h.
fn forms(selector: u16) -> Vec<Vec<u8>> {
    let [low, high] = selector.to_le_bytes();
    let mut out: Vec<Vec<u8>> = vec![vec![0x9a, 0, 1, 0, 0, low, high], vec![0xea, 0, 1, 0, 0, low, high]];
    let fixed: [&[u8]; 33] = [
        &[0x8e, 0xd8],
        &[0x8e, 0xd0],
        &[0x8e, 0xe0],
        &[0x8c, 0xd8],
        &[0x1e],
        &[0x1f],
        &[0x17],
        &[0x0f, 0xa9],
        &[0xc5, 0x1d, 0, 1, 0, 0],
        &[0x0f, 0xb2, 0x1d, 0, 1, 0, 0],
        &[0xff, 0x1d, 0, 1, 0, 0],
        &[0xff, 0x2d, 0, 1, 0, 0],
        &[0xcb],
        &[0xca, 4, 0],
        &[0xcf],
        &[0x66, 0xcf],
        &[0x66, 0xcb],
        &[0xcd, 0x30],
        &[0xcd, 0x31],
        &[0xf1],
        &[0xcc],
        &[0xce],
        &[0x62, 0x05, 0, 1, 0, 0],
        &[0x0f, 0x34],
        &[0x0f, 0x35],
        &[0x0f, 0x02, 0xc8],
        &[0x0f, 0x03, 0xc8],
        &[0x0f, 0x00, 0xe0],
        &[0x0f, 0x00, 0xe8],
        &[0x63, 0xc8],
        &[0x0f, 0x00, 0xd0],
        &[0x0f, 0x00, 0xd8],
        &[0x0f, 0x01, 0x05, 0, 1, 0, 0],
    ];
    out.extend(fixed.map(<[u8]>::to_vec));
    out
}

/// A machine of some mode whose tables and stack are partly random.
fn machine(r: &mut Random) -> Fake {
    let mut f = match r.below(3) {
        0 => Fake::protected(0),
        1 => Fake::protected(3),
        _ => Fake::v86(r.below(4)),
    };
    if f.cpu.eflags & e::VM != 0 {
        f.cpu.seg[1].rights |= cpu::rights::BIG; // so that the forms decode alike
    }
    for _ in 0..r.below(6) {
        let at = GDT + r.below(0xa0);
        let byte = u64::from(r.next() & 0xff);
        f.write(at, 1, byte);
    }
    for v in [1, 3, 4, 8, 10, 11, 12, 13, 14, 0x30, 0x31] {
        let access = 0x80 | (r.next() as u8 & 0x6f);
        let target = r.selector();
        f.idt(v, gate(target, 0x1234, access, 0));
    }
    for at in (0..0x68).step_by(2) {
        let value = u64::from(r.selector());
        f.write(TSS2 + at, 2, value);
    }
    f.write(TSS, 2, u64::from(TASK2));
    let top = f.cpu.seg[2].base + f.cpu.r32(reg::SP);
    for n in 0..12 {
        let value = u64::from(r.selector()) | u64::from(r.below(8) / 7 * e::VM);
        f.write(top + 4 * n, 4, value);
    }
    f.write(f.cpu.seg[3].base + 0x104, 2, u64::from(r.selector()));
    f.cpu.sysenter = [u32::from(r.selector()), 0x8000, 0x7000];
    f.cpu.eflags |= r.next() & (e::NT | e::IF);
    f.cpu.cr4 = r.next() & 1;
    f.cpu.set_r32(reg::AX, u32::from(r.selector()));
    if r.below(4) == 0 {
        let start = r.below(0x1_0000);
        f.hole = start..start + 0x1000;
    }
    f
}

/// CS.RPL is CPL where selectors name descriptors, and the flat bits say what they should.
fn check(f: &Fake, what: &[u8]) {
    let cs = f.cpu.segment(seg::CS);
    if f.cpu.protected() {
        assert_eq!(cs.rpl(), f.cpu.cpl, "{what:x?}");
    } else {
        assert_eq!(f.cpu.cpl, 3, "{what:x?}");
    }
    for segment in f.cpu.seg {
        let mut again = segment;
        again.refresh();
        assert_eq!(segment, again, "{what:x?}");
    }
}

/// SDM vol. 3A, 6.6: an instruction that faults has changed nothing; what succeeds leaves
/// consistent state.
#[test]
fn faults_change_nothing() {
    let mut r = Random(0x1234_5678_9abc_def1);
    let (mut done, mut faulted) = (0, 0);
    for _ in 0..3000 {
        let start = machine(&mut r);
        for bytes in forms(r.selector()) {
            let mut f = start_again(&start);
            let before = f.cpu.clone();
            match f.run(&bytes) {
                Ok(_) => {
                    done += 1;
                    check(&f, &bytes);
                }
                Err(_) => {
                    faulted += 1;
                    assert_eq!(before, f.cpu, "{bytes:x?}");
                }
            }
        }
    }
    assert!(done > 10_000 && faulted > 10_000, "{done} {faulted}");
}

/// SDM vol. 3A, 6.15: whatever the tables hold, delivery ends at a handler or in shutdown.
#[test]
fn delivery_ends() {
    let mut r = Random(0xfeed_beef_1234_5671);
    for _ in 0..3000 {
        let start = machine(&mut r);
        for kind in [EventKind::Hardware, EventKind::Nmi, EventKind::Exception] {
            let mut f = start_again(&start);
            let vector = if kind == EventKind::Exception { 13 } else { 0x30 };
            let code = (kind == EventKind::Exception).then_some(0x1234);
            inject(&mut f, Event { vector, kind, code, return_eip: CODE });
            check(&f, &[vector]);
        }
    }
}

fn start_again(f: &Fake) -> Fake {
    let (cpu, memory, hole) = (f.cpu.clone(), f.memory.clone(), f.hole.clone());
    Fake { cpu, memory, hole, ..Fake::real(CpuModel::N270) }
}

/// An analysis that answers atoms against the state must not meet a panic.
#[test]
fn wrong_answers_do_not_panic() {
    let mut r = Random(0x0ddb_a110_ddba_1101);
    let atoms = [
        Atom::ProtectionEnabled,
        Atom::Virtual8086,
        Atom::CplAbove0,
        Atom::IoplBelowCpl,
        Atom::IoplBelow3,
        Atom::Vme,
        Atom::VirtualInterruptPending,
        Atom::NestedTask,
        Atom::InterruptRedirected,
        Atom::SelectorNull,
        Atom::SelectorInTable,
        Atom::SelectorLocal,
        Atom::DescriptorType,
        Atom::DescriptorPresent,
        Atom::PrivilegeAdmits,
        Atom::Conforming,
        Atom::PrivilegeChanges,
        Atom::LimitCovers,
        Atom::Is32Bit,
        Atom::StackIs32,
        Atom::SegmentUnusable,
        Atom::ReturnsToVirtual8086,
        Atom::Is8086,
        Atom::Is286,
    ];
    for _ in 0..100 {
        let start = machine(&mut r);
        for bytes in forms(r.selector()) {
            for atom in atoms {
                let mut f = start_again(&start);
                f.lie = Some(atom);
                let _ = f.run(&bytes);
            }
        }
    }
}
