//! Ways through the IDT, each with what the manual says of all (SDM vol. 3A, 6.10 to 6.13; vol. 2, INT n).

use crate::fake::*;
use crate::ways::{WAYS, Way};
use cpu::{CpuModel, Fault, Segment, eflags as e, reg, seg};

/// An offset that a 16-bit gate does not hold.
const FAR: u32 = 0x1_4000;

fn with_gate(mut f: Fake, way: Way, gate: u64) -> Fake {
    f.idt(way.vector, gate);
    f
}

/// What comes of a gate; a fault leaves all as it was.
fn outcome(f: &mut Fake, way: Way) -> Result<(), Fault> {
    let before = f.clone();
    let result = (way.run)(f);
    if result.is_err() {
        // INTO needs OF
        f.cpu.set_flags_image(before.cpu.flags_image());
        let mut same = before;
        same.cpu.set_flags_image(same.cpu.flags_image());
        f.unchanged(&same);
    }
    result
}

fn from(way: Way, cpl: u8, gate: u64) -> Result<(), Fault> {
    outcome(&mut with_gate(Fake::protected(cpl), way, gate), way)
}

/// SDM vol. 3A, 6.12.1.1, and vol. 2, INT n: the entry within the limit, its type, for a program its DPL,
/// presence, and then what it names; error codes name the entry.
#[test]
fn entries() {
    for way in WAYS {
        let entry = way.entry();
        for access in [0xee, 0x6e, 0x60] {
            let mut f = with_gate(Fake::protected(3), way, gate(CODE0, 0x4000, access, 0));
            f.cpu.idtr.limit = u16::from(way.vector) * 8 + 6;
            assert_eq!(outcome(&mut f, way), Err(Fault::gp(entry)), "{}: limit", way.name);
        }
        let mut f = with_gate(Fake::protected(3), way, gate(CODE0, 0x4000, 0xee, 0));
        f.cpu.idtr.limit = u16::from(way.vector) * 8 + 7;
        assert_eq!(outcome(&mut f, way), Ok(()), "{}: limit", way.name);
        for kind in (0..32).filter(|k| *k != 5) {
            let fits = matches!(kind, 6 | 7 | 14 | 15);
            let expected = if fits { Ok(()) } else { Err(Fault::gp(entry)) };
            assert_eq!(from(way, 3, gate(CODE0, 0x4000, 0xe0 | kind, 0)), expected, "{}: {kind:x}", way.name);
            let expected = Err(if fits { Fault::np(entry) } else { Fault::gp(entry) });
            assert_eq!(from(way, 3, gate(CODE0, 0x4000, 0x60 | kind, 0)), expected, "{}: {kind:x}", way.name);
        }
        for (access, target) in
            [(0x8e, CODE0), (0xce, CODE0), (0x0e, CODE0), (0x8e, 0), (0x6e, 0), (0x6e, DATA0)]
        {
            let by_privilege = way.by_program && access & 0x60 != 0x60;
            let expected = match (by_privilege, access & 0x80 != 0) {
                (true, _) => Err(Fault::gp(entry)),
                (_, false) => Err(Fault::np(entry)),
                _ if target == 0 => Err(Fault::gp(way.ext)),
                _ => Ok(()),
            };
            assert_eq!(from(way, 3, gate(target, 0x4000, access, 0)), expected, "{}: {access:x}", way.name);
        }
    }
}

/// An 80286 has no 32-bit gates (SDM vol. 3B, 22.29).
#[test]
fn gates_of_an_80286() {
    for way in WAYS.into_iter().filter(|w| w.name != "INT1") {
        for (access, fits) in [(0xe6, true), (0xe7, true), (0xee, false), (0xef, false)] {
            let mut f = with_gate(Fake::protected(3).on_a_286(), way, gate(CODE0, 0x4000, access, 0));
            let expected = if fits { Ok(()) } else { Err(Fault::gp(way.entry())) };
            assert_eq!(outcome(&mut f, way), expected, "{}: {access:x}", way.name);
        }
    }
}

/// Where the event's program goes on.
fn next(way: Way, start: u32) -> u32 {
    match way.name {
        "INT n" => start + 2,
        "INTR" => start,
        _ => start + 1,
    }
}

/// SDM vol. 3A, figure 6-4 and 6.12.1.3: frames by the gate's size; interrupt gates clear IF.
#[test]
fn frames_at_the_same_level() {
    for way in WAYS {
        for (access, wide, masks) in
            [(0xee, true, true), (0xef, true, false), (0xe6, false, true), (0xe7, false, false)]
        {
            let mut f = with_gate(Fake::protected(0), way, gate(CODE0, FAR, access, 0));
            f.cpu.eflags |= e::IF | e::TF | e::NT;
            f.cpu.set_r32(reg::SP, 0x1_8000);
            outcome(&mut f, way).unwrap();
            let name = way.name;
            assert_eq!((f.cpu.eip, f.cpu.cpl), (if wide { FAR } else { 0x4000 }, 0), "{name}");
            assert_eq!(f.cpu.eflags & (e::IF | e::TF | e::NT), if masks { 0 } else { e::IF }, "{name}");
            let (ip, cs) = (next(way, CODE), u32::from(CODE0));
            if wide {
                assert_eq!(f.cpu.r32(reg::SP), 0x1_7ff4, "{name}");
                assert_eq!(f.stack32::<2>(), [ip, cs], "{name}");
            } else {
                assert_eq!(f.cpu.r32(reg::SP), 0x1_7ffa, "{name}");
                assert_eq!([0, 2].map(|n| f.read(0x1_7ffa + n, 2) as u32), [ip, cs], "{name}");
            }
        }
    }
}

fn narrow(f: &mut Fake, n: usize) {
    f.cpu.seg[n].rights &= !(cpu::rights::BIG | cpu::rights::GRANULAR);
    f.cpu.seg[n].limit = 0xffff;
    f.cpu.seg[n].refresh();
}

/// SDM vol. 1, 6.2.3: of a 16-bit stack SP counts; without room for the whole frame nothing is pushed (SDM vol.
/// 2, INT n).
#[test]
fn frames_on_16_bit_stacks() {
    for way in WAYS {
        for (sp, fits) in [(0x8000, true), (6, false), (2, false), (0xc, true)] {
            let mut f = with_gate(Fake::protected(0), way, gate(CODE0, 0x4000, 0xee, 0));
            narrow(&mut f, 2);
            f.cpu.set_r32(reg::SP, 0x1_0000 | sp);
            let expected = if fits { Ok(()) } else { Err(Fault::ss(way.ext)) };
            assert_eq!(outcome(&mut f, way), expected, "{}: {sp:x}", way.name);
            if fits {
                assert_eq!(f.read(sp - 12, 4), u64::from(next(way, CODE)), "{}", way.name);
                assert_eq!(f.cpu.r32(reg::SP), 0x1_0000 | (sp - 12), "{}", way.name);
            }
        }
    }
}

/// SDM vol. 3A, 5.8.5: inner stacks of 32 and 16 bits, from TSSs of 32 and 16 bits, and their room.
#[test]
fn frames_on_inner_stacks() {
    for way in WAYS {
        for (ss, sp, at) in
            [(DATA0, 0x1_9000, Some(0x1_9000)), (DATA16, 0x1_9000, Some(0x9000)), (DATA16, 6, None)]
        {
            let mut f = with_gate(Fake::protected(3), way, gate(CODE0, 0x4000, 0xee, 0));
            f.write(TSS + 4, 4, sp);
            f.write(TSS + 8, 2, ss.into());
            f.cpu.set_r32(reg::SP, 0x1234_8000);
            let expected = at.map(|_| ()).ok_or(Fault::ss(ss | way.ext));
            assert_eq!(outcome(&mut f, way), expected, "{}", way.name);
            if let Some(at) = at {
                let frame = [0, 4, 12, 16].map(|n| f.read(at - 20 + n, 4) as u32);
                assert_eq!(frame, [next(way, CODE), CODE3.into(), 0x1234_8000, DATA3.into()], "{}", way.name);
                assert_eq!(f.selector(seg::SS), ss, "{}", way.name);
            }
        }
        for (rights, least, offset) in [(0x8b, 9, 4), (0x83, 5, 2)] {
            for limit in [least - 1, least] {
                let mut f = with_gate(Fake::protected(3), way, gate(CODE0, 0x4000, 0xee, 0));
                f.write(TSS, 8, 0);
                f.write(TSS + offset, 2, STACK0.into());
                f.write(TSS + 2 * offset, 2, DATA0.into());
                (f.cpu.tr.rights, f.cpu.tr.limit) = (rights, limit);
                let expected = if limit < least { Err(Fault::ts(TASK | way.ext)) } else { Ok(()) };
                assert_eq!(outcome(&mut f.clone(), way), expected, "{}: {rights:x} {limit}", way.name);
                // the limit comes before the selector
                f.write(TSS + 2 * offset, 2, DATA3.into());
                let selector = Err(Fault::ts(if limit < least { TASK } else { DATA3 & !3 } | way.ext));
                assert_eq!(outcome(&mut f, way), selector, "{}: {rights:x} {limit}", way.name);
            }
        }
    }
}

/// SDM vol. 2, INT n: the stack, its presence and room, then the handler's offset.
#[test]
fn stacks_before_offsets() {
    for way in WAYS {
        let empty = |cpl| {
            let mut f = with_gate(Fake::protected(cpl), way, gate(CODE0, 0x4000, 0xee, 0));
            f.write(GDT + u32::from(CODE0), 8, segment(0, 0, 0x9a, 4));
            f
        };
        let mut f = empty(3);
        assert_eq!(outcome(&mut f, way), Err(Fault::gp(way.ext)), "{}", way.name);
        for (ss, sp) in [(ABSENT_DATA, STACK0), (DATA16, 6)] {
            let mut f = empty(3);
            f.write(TSS + 4, 4, sp.into());
            f.write(TSS + 8, 2, ss.into());
            assert_eq!(outcome(&mut f, way), Err(Fault::ss(ss | way.ext)), "{}", way.name);
        }
        let mut f = empty(0);
        narrow(&mut f, 2);
        f.cpu.set_r32(reg::SP, 6);
        assert_eq!(outcome(&mut f, way), Err(Fault::ss(way.ext)), "{}", way.name);
    }
}

/// SDM vol. 3A, 6.12.1: conforming handlers run at the program's level, on its stack.
#[test]
fn conforming_handlers() {
    for way in WAYS {
        let mut f = with_gate(Fake::protected(3), way, gate(CONFORMING, 0x4000, 0xee, 0));
        outcome(&mut f, way).unwrap();
        assert_eq!(
            (f.cpu.cpl, f.selector(seg::CS), f.selector(seg::SS)),
            (3, CONFORMING | 3, DATA3),
            "{}",
            way.name
        );
    }
}

/// SDM vol. 3B, 20.3.1: from V86 mode only handlers of level 0; the frame has the data segments, which are null
/// afterwards.
#[test]
fn from_v86_mode() {
    for way in WAYS {
        let to = |access: u8, target: u16| {
            let mut f = with_gate(Fake::v86(3), way, gate(target, 0x4000, 0xee, 0));
            f.set_access(CODE3, access);
            f
        };
        for access in [0x9e, 0xba, 0xfa, 0xfe, 0xda] {
            let result = outcome(&mut to(access, CODE3), way);
            assert_eq!(result, Err(Fault::gp(CODE3 & !3 | way.ext)), "{}: {access:x}", way.name);
            let mut f = to(access, CODE3);
            // whatever its inner stacks are
            (4..0x1c).step_by(4).for_each(|at| f.write(TSS + at, 4, 0));
            assert_eq!(
                outcome(&mut f, way),
                Err(Fault::gp(CODE3 & !3 | way.ext)),
                "{}: {access:x}",
                way.name
            );
        }
        let mut f = to(0xfa, CODE0);
        let flags = f.cpu.flags_image();
        outcome(&mut f, way).unwrap();
        assert_eq!((f.cpu.cpl, f.cpu.eflags & e::VM), (0, 0), "{}", way.name);
        let frame = f.stack32::<9>();
        assert_eq!(frame[..2], [next(way, 0), 0x700], "{}", way.name);
        assert_eq!(frame[2] & !e::OF, flags, "{}", way.name);
        assert_eq!(frame[3..], [0x100, 0x800, 0x100, 0x400, 0x500, 0x600], "{}", way.name);
        assert!([0, 3, 4, 5].iter().all(|&n| !f.cpu.seg[n].usable()), "{}", way.name);
    }
}

/// SDM vol. 3B, 20.1.4: real mode has a table of far pointers; its limit, the stack's room.
#[test]
fn in_real_mode() {
    for way in WAYS {
        let ready = || {
            let mut f = Fake::real(CpuModel::N270);
            f.write(u32::from(way.vector) * 4, 4, 0x2000_1234);
            f.cpu.seg[1].limit = 0xf_ffff;
            f.cpu.seg[1].refresh();
            f.cpu.eip = 0x10;
            f
        };
        let mut f = ready();
        f.cpu.idtr.limit = u16::from(way.vector) * 4 + 3;
        f.cpu.set_r32(reg::SP, 0x1_0100);
        outcome(&mut f, way).unwrap();
        let expected = Segment { base: 0x2_0000, selector: 0x2000, ..ready().cpu.seg[1] };
        assert_eq!((f.cpu.seg[1].base, f.cpu.seg[1].limit, f.cpu.eip), (0x2_0000, expected.limit, 0x1234));
        assert_eq!(
            (f.stack16::<2>(), f.cpu.r32(reg::SP)),
            ([next(way, 0x10) as u16, 0x700], 0x1_00fa),
            "{}",
            way.name
        );
        let mut f = ready();
        f.cpu.idtr.limit = u16::from(way.vector) * 4 + 2;
        assert_eq!(outcome(&mut f, way).unwrap_err().vector, cpu::vector::GP, "{}", way.name);
        f.cpu.set_r32(reg::SP, 3); // the table comes before the stack
        assert_eq!(outcome(&mut f, way).unwrap_err().vector, cpu::vector::GP, "{}", way.name);
        for sp in [1, 3, 5] {
            let mut f = ready();
            f.cpu.set_r32(reg::SP, sp);
            assert_eq!(outcome(&mut f, way), Err(Fault::ss(0)), "{}: {sp}", way.name);
        }
        // a stack of 32 bits, as protected mode may have left it
        let mut f = ready();
        f.cpu.seg[2].rights |= cpu::rights::BIG;
        f.cpu.seg[2].limit = u32::MAX;
        f.cpu.seg[2].refresh();
        f.cpu.set_r32(reg::SP, 0x1_0100);
        outcome(&mut f, way).unwrap();
        let at = f.cpu.seg[2].base + 0x1_00fa;
        assert_eq!(f.read(at, 2) as u32, next(way, 0x10), "{}", way.name);
    }
}

/// A V86 machine with VME, whose TSS sends vector 30h to the program.
fn redirecting(iopl: u32) -> Fake {
    let mut f = Fake::v86(iopl);
    f.cpu.cr4 |= cpu::cr4::VME;
    f.write(TSS + 0x66, 2, 0x88);
    f.write(0x30 * 4, 4, 0x2000_1234);
    f
}

/// SDM vol. 3B, 20.3.3: below IOPL 3 VIF stands for IF, at IOPL 3 IF is IF; the handler is the program's.
#[test]
fn redirected() {
    for (iopl, pushed, left) in [(0, 0x3202, e::IF), (3, 0x3202, e::VIF)] {
        let mut f = redirecting(iopl);
        f.cpu.eflags |= e::IF | e::VIF;
        f.cpu.set_r32(reg::SP, 0x1_0100);
        f.run(&[0xcd, 0x30]).unwrap();
        assert_eq!((f.selector(seg::CS), f.cpu.eip, f.cpu.cpl), (0x2000, 0x1234, 3));
        assert_eq!(f.cpu.seg[1], Segment::real(0x2000, 3));
        assert_eq!(f.stack16::<3>(), [2, 0x700, pushed]);
        assert_eq!(f.cpu.eflags & (e::IF | e::VIF), left, "{iopl}");
    }
    let mut f = redirecting(0);
    f.cpu.eflags |= e::IF;
    f.run(&[0xcd, 0x30]).unwrap();
    assert_eq!(f.stack16::<3>(), [2, 0x700, 0x3002]); // VIF was clear
    let mut f = redirecting(3);
    f.cpu.eflags |= e::VIF;
    f.run(&[0xcd, 0x30]).unwrap();
    assert_eq!(f.stack16::<3>(), [2, 0x700, 0x3002]); // IF was clear
    let mut f = redirecting(0);
    f.cpu.set_r32(reg::SP, 3);
    assert_eq!(f.faults(&[0xcd, 0x30]), Fault::ss(0));
}

/// SDM vol. 3B, 20.3.3: the map is in a 32-bit TSS, below the I/O map; beyond the limit there is none.
#[test]
fn redirection_map_beyond_the_limit() {
    for (rights, limit, fits) in [
        (0x8b, 0xa7, true),
        (0x8b, 0x66, false),
        (0x8b, 0x67, false),
        (0x8b, 0x6d, false),
        (0x8b, 0x6e, true),
    ] {
        for iopl in [0, 3] {
            let mut f = redirecting(iopl);
            (f.cpu.tr.rights, f.cpu.tr.limit) = (rights, limit);
            f.idt(0x30, gate(CODE0, 0x4000, 0xee, 0));
            let mut full = f.clone();
            full.cpu.set_r32(reg::SP, 3); // the map comes before the stack
            let fault = if fits { Fault::ss(0) } else { Fault::GP0 };
            assert_eq!(full.faults(&[0xcd, 0x30]), fault, "{limit:x}");
            assert_eq!(f.run(&[0xcd, 0x30]).err(), (!fits).then_some(Fault::GP0), "{limit:x}");
        }
    }
    for sp in [0x100, 3] {
        let mut f = redirecting(3);
        (f.cpu.tr.rights, f.cpu.tr.limit) = (0x83, 0xa7);
        f.cpu.set_r32(reg::SP, sp);
        assert_eq!(f.faults(&[0xcd, 0x30]), Fault::GP0);
    }
}
