//! Limits of segments: operands in memory, items on the stack, and what lies on both sides of the last byte.

use crate::fake::*;
use cpu::{CpuModel, Fault, Segment, eflags as e, reg, seg};

/// An instruction with an operand in memory.
struct Form {
    name: &'static str,
    op: &'static [u8],
    reg: u8,
    /// Bytes of the operand with 32-bit operands, and of what is read or written first.
    size: u32,
    first: u32,
    writes: bool,
    /// What is in memory, so that nothing else is wrong with it.
    content: u64,
}

impl Form {
    /// The same with a selector, or an index, that would be refused later.
    fn worse(&self) -> u64 {
        match self.size {
            2 => OUTSIDE.into(),
            6 => (self.content & 0xffff_ffff) | u64::from(OUTSIDE) << 32,
            _ => 0,
        }
    }
}

const fn read(name: &'static str, op: &'static [u8], reg: u8, content: u64) -> Form {
    Form { name, op, reg, size: 2, first: 2, writes: false, content }
}

const fn write(name: &'static str, op: &'static [u8], reg: u8) -> Form {
    Form { name, op, reg, size: 2, first: 2, writes: true, content: 0 }
}

const FORMS: [Form; 24] = [
    read("LAR", &[0x0f, 0x02], 1, DATA0 as u64),
    read("LSL", &[0x0f, 0x03], 1, DATA0 as u64),
    read("VERR", &[0x0f, 0x00], 4, DATA0 as u64),
    read("VERW", &[0x0f, 0x00], 5, DATA0 as u64),
    read("LLDT", &[0x0f, 0x00], 2, LOCAL as u64),
    read("LTR", &[0x0f, 0x00], 3, TASK2 as u64),
    read("LMSW", &[0x0f, 0x01], 6, 1),
    read("MOV ES", &[0x8e], 0, DATA0 as u64),
    write("SLDT", &[0x0f, 0x00], 0),
    write("STR", &[0x0f, 0x00], 1),
    write("SMSW", &[0x0f, 0x01], 4),
    write("MOV from DS", &[0x8c], 3),
    write("ARPL", &[0x63], 3),
    Form { size: 6, first: 2, ..read("LGDT", &[0x0f, 0x01], 2, 0x1000_009f) },
    Form { size: 6, first: 2, ..read("LIDT", &[0x0f, 0x01], 3, 0x2000_03ff) },
    Form { size: 6, first: 2, ..write("SGDT", &[0x0f, 0x01], 0) },
    Form { size: 6, first: 2, ..write("SIDT", &[0x0f, 0x01], 1) },
    Form { size: 8, first: 4, ..read("BOUND", &[0x62], 0, 0x7fff_ffff_0000_0000) },
    Form { size: 6, first: 4, ..read("LES", &[0xc4], 3, (DATA0 as u64) << 32) },
    Form { size: 6, first: 4, ..read("LDS", &[0xc5], 3, (DATA0 as u64) << 32) },
    Form { size: 6, first: 4, ..read("LFS", &[0x0f, 0xb4], 3, (DATA0 as u64) << 32) },
    Form { size: 6, first: 4, ..read("LSS", &[0x0f, 0xb2], 3, (DATA0 as u64) << 32) },
    Form { size: 6, first: 4, ..read("CALL", &[0xff], 3, (CODE0 as u64) << 32) },
    Form { size: 6, first: 4, ..read("JMP", &[0xff], 5, (CODE0 as u64) << 32) },
];

fn ready(form: &Form) -> Fake {
    let mut f = Fake::protected(0);
    f.cpu.set_r32(reg::BX, 3); // ARPL has something to raise
    f.write(0x100, 8, form.content);
    f
}

fn with_limit(mut f: Fake, n: usize, limit: u32) -> Fake {
    f.cpu.seg[n].limit = limit;
    f.cpu.seg[n].refresh();
    f
}

/// A fault that leaves all as it was.
fn refused(mut f: Fake, run: impl Fn(&mut Fake) -> Result<(), Fault>) -> Option<Fault> {
    let before = f.clone();
    let fault = run(&mut f).err()?;
    f.unchanged(&before);
    Some(fault)
}

/// As [`ready`], with something wrong that is looked at after the operand.
fn ready_and_wrong(form: &Form) -> Fake {
    let mut f = ready(form);
    f.write(0x100, 8, form.worse());
    f.cpu.set_r32(reg::AX, u32::MAX); // outside of all bounds
    f
}

/// SDM vol. 3A, 5.3: every byte of an operand lies within the segment, or it is #GP(0), whatever else is wrong.
#[test]
fn operands() {
    for form in FORMS {
        let run = |f: &mut Fake| f.at_100(form.op, form.reg);
        let last = 0x100 + form.size - 1;
        assert_eq!(run(&mut with_limit(ready(&form), 3, last)), Ok(()), "{}", form.name);
        for limit in [last - 1, 0x100, 0xff] {
            assert_eq!(refused(with_limit(ready(&form), 3, limit), run), Some(Fault::GP0), "{}", form.name);
            let f = with_limit(ready_and_wrong(&form), 3, limit);
            assert_eq!(refused(f, run), Some(Fault::GP0), "{}", form.name);
        }
        if form.first < form.size {
            let limit = 0x100 + form.first - 1;
            assert_eq!(refused(with_limit(ready(&form), 3, limit), run), Some(Fault::GP0), "{}", form.name);
        }
    }
}

/// The first part of an operand is beyond the limit, and the rest goes on at offset 0.
#[test]
fn operands_that_wrap() {
    for form in FORMS.iter().filter(|f| f.first < f.size) {
        for (start, content) in [(ready(form), form.content), (ready_and_wrong(form), form.worse())] {
            let mut f = with_limit(start, 3, 0xffff);
            f.write(0, 8, content >> (8 * form.first));
            f.write(0u32.wrapping_sub(form.first), form.first, content);
            f.cpu.set_r32(reg::CX, 0u32.wrapping_sub(form.first));
            let mut bytes = form.op.to_vec();
            bytes.push(form.reg << 3 | 1); // [ecx]
            assert_eq!(refused(f, |f| f.run(&bytes).map(|_| ())), Some(Fault::GP0), "{}", form.name);
        }
    }
}

/// SDM vol. 2, ARPL: the selector is read even if nothing is to be raised.
#[test]
fn arpl_reads_first() {
    for rpl in [0, 3] {
        let mut f = with_limit(Fake::protected(0), 3, 0x100);
        f.cpu.set_r32(reg::BX, rpl);
        assert_eq!(refused(f, |f| f.at_100(&[0x63], reg::BX)), Some(Fault::GP0));
    }
}

/// SDM vol. 2, ARPL, LAR, LSL, VERR, VERW: #UD in real and V86 mode, before the operand is looked at.
#[test]
fn undefined_before_operands() {
    for start in [Fake::real(CpuModel::N270), Fake::v86(3)] {
        for (op, field) in
            [(&[0x63][..], 0), (&[0x0f, 0x02], 0), (&[0x0f, 0x03], 0), (&[0x0f, 0x00], 4), (&[0x0f, 0x00], 5)]
        {
            let mut f = with_limit(start.clone(), 3, 0xff);
            assert_eq!(f.at_100(op, field), Err(Fault::UD), "{op:x?} {field}");
        }
    }
}

/// SDM vol. 3A, 5.5.1: a segment that cannot be written.
#[test]
fn operands_that_cannot_be_written() {
    for form in FORMS.iter().filter(|f| f.writes) {
        let mut f = ready(form);
        f.cpu.seg[3].rights &= !cpu::rights::WRITABLE;
        f.cpu.seg[3].refresh();
        assert_eq!(refused(f, |f| f.at_100(form.op, form.reg)), Some(Fault::GP0), "{}", form.name);
    }
}

/// A stack of 16 bits, in protected mode, with the pointer and garbage above it.
fn narrow_stack(sp: u16) -> Fake {
    let mut f = Fake::protected(0);
    f.cpu.seg[2] = Segment { limit: 0xffff, ..f.cpu.seg[2] };
    f.cpu.seg[2].rights &= !(cpu::rights::BIG | cpu::rights::GRANULAR);
    f.cpu.seg[2].refresh();
    f.cpu.set_r32(reg::SP, 0x1_0000 | u32::from(sp));
    f
}

/// SDM vol. 2, PUSH, POP, PUSHF, POPF: #SS(0) where the item crosses the limit.
#[test]
fn single_items() {
    for (bytes, push) in
        [(&[0x66, 0x1e], true), (&[0x66, 0x9c], true), (&[0x66, 0x1f], false), (&[0x66, 0x9d], false)]
    {
        let sp = if push { 1 } else { 0xffff };
        let mut f = narrow_stack(sp);
        f.write(0xffff, 2, OUTSIDE.into());
        assert_eq!(f.faults(bytes), Fault::ss(0), "{bytes:x?}");
        assert!(narrow_stack(2).run(bytes).is_ok(), "{bytes:x?}");
    }
    // in V86 mode the right comes first
    for (vme, fault) in [(0, Fault::GP0), (cpu::cr4::VME, Fault::ss(0))] {
        let mut f = Fake::v86(0);
        f.cpu.cr4 |= vme;
        for (op, sp) in [(0x9c, 1), (0x9d, 0xffff)] {
            f.cpu.set_r32(reg::SP, sp);
            assert_eq!(f.faults(&[op]), fault, "{op:x}");
            f.cpu.set_r32(reg::SP, if op == 0x9c { 2 } else { 0xfffd });
            assert_eq!(f.faults(&[0x66, op]), Fault::GP0, "{op:x}");
        }
    }
}

/// Items of a return, the first on top, such that only the item `n` crosses the limit: those behind it are at
/// the bottom.
fn crossing(items: &[u32], size: u32, n: u32) -> Fake {
    let start = 0x1_0000 - size / 2 - n * size;
    let mut f = narrow_stack(start as u16);
    for (n, item) in (0..).zip(items) {
        f.write((start + n * size) & 0xffff, size, u64::from(*item));
    }
    f
}

/// SDM vol. 2, RET and IRET: the top bytes of the stack are within its limit, or it is #SS(0).
#[test]
fn items_of_returns() {
    let (code, data) = (u32::from(CODE3), u32::from(DATA3));
    let returns: [(&[u8], u32, &[u32]); 5] = [
        (&[0x66, 0xcb], 2, &[0x100, code, 0x8000, data]),
        (&[0x66, 0xcf], 2, &[0x100, code, 2, 0x8000, data]),
        (&[0xcb], 4, &[0x100, code, 0x8000, data]),
        (&[0xcf], 4, &[0x100, code, 2, 0x8000, data]),
        (&[0xcf], 4, &[0x100, 0x700, e::VM | 2, 0x8000, 0x800, 0x900, 0xa00, 0xb00, 0xc00]),
    ];
    for (bytes, size, items) in returns {
        for n in 0..items.len() as u32 {
            assert_eq!(crossing(items, size, n).faults(bytes), Fault::ss(0), "{bytes:x?} {n}");
            // whatever the items are
            let mut bad = items.to_vec();
            let selectors = [1, items.len() - 1];
            let outer = n as usize + 1 > items.len() - 2;
            selectors.into_iter().skip(usize::from(outer)).for_each(|s| bad[s] = OUTSIDE.into());
            assert_eq!(crossing(&bad, size, n).faults(bytes), Fault::ss(0), "{bytes:x?} {n}");
        }
        let mut f = crossing(items, size, items.len() as u32);
        assert!(f.run(bytes).is_ok(), "{bytes:x?}");
        assert_eq!((f.cpu.cpl, f.cpu.eip), (3, 0x100));
    }
}

/// The same in real and V86 mode (SDM vol. 3B, 20.1.4).
#[test]
fn items_of_returns_without_descriptors() {
    for (bytes, items) in [(&[0xcb], 2), (&[0xcf], 3)] {
        for start in [Fake::real(CpuModel::N270), Fake::v86(3)] {
            for n in 0..items {
                let mut f = start.clone();
                f.cpu.set_r32(reg::SP, 0xffff - 2 * n);
                assert_eq!(f.faults(bytes), Fault::ss(0), "{bytes:x?} {n}");
            }
        }
    }
}

/// SDM vol. 2, CALL: room for the whole return address, or nothing is pushed; parameters within the outer stack.
#[test]
fn items_of_calls() {
    for sp in [1, 2, 5, 6] {
        let run = |f: &mut Fake| f.far(0x9a, CODE0, 0x4000);
        assert_eq!(refused(narrow_stack(sp), run), Some(Fault::ss(0)), "{sp}");
    }
    let mut f = narrow_stack(8);
    assert_eq!(f.far(0x9a, CODE0, 0x4000), Ok(()));
    assert_eq!(f.read(0, 4), u64::from(CODE + 7));
    for n in [0xfffe, 0xfffa] {
        let mut f = narrow_stack(n);
        f.cpu.cpl = 3;
        assert_eq!(refused(f, |f| f.far(0x9a, CALL_GATE, 0)), Some(Fault::ss(0)), "{n:x}");
    }
    let mut f = narrow_stack(0x8000);
    f.cpu.cpl = 3;
    f.write(0x8000, 8, 0x2222_2222_1111_1111);
    assert_eq!(f.far(0x9a, CALL_GATE, 0), Ok(()));
    assert_eq!(f.stack32::<4>()[2..], [0x1111_1111, 0x2222_2222]);
    let mut f = Fake::real(CpuModel::N270);
    f.cpu.set_r32(reg::SP, 3);
    assert_eq!(refused(f, |f| f.far(0x9a, 0x1234, 0)), Some(Fault::ss(0)));
}

/// SDM vol. 1, 6.2.3: ESP of a 32-bit stack is whole, of a 16-bit stack only SP counts.
#[test]
fn widths_of_stacks() {
    let wide = |cpl| {
        let mut f = Fake::protected(cpl);
        f.cpu.set_r32(reg::SP, 0x1_8000);
        f
    };
    let mut f = wide(0);
    f.far(0x9a, CODE0, 0x4000).unwrap();
    assert_eq!((f.cpu.r32(reg::SP), f.read(0x1_7ff8, 4)), (0x1_7ff8, u64::from(CODE + 7)));
    f.run(&[0xcb]).unwrap();
    assert_eq!((f.cpu.r32(reg::SP), f.cpu.eip), (0x1_8000, CODE + 7));
    let mut f = narrow_stack(0x8000);
    f.far(0x9a, CODE0, 0x4000).unwrap();
    assert_eq!((f.cpu.r32(reg::SP), f.read(0x7ff8, 4)), (0x1_7ff8, u64::from(CODE + 7)));
    f.run(&[0xcb]).unwrap();
    assert_eq!((f.cpu.r32(reg::SP), f.cpu.eip), (0x1_8000, CODE + 7));
    let mut f = wide(3);
    f.write(0x1_8000, 8, 0x2222_2222_1111_1111);
    f.far(0x9a, CALL_GATE, 0).unwrap();
    assert_eq!(f.stack32::<4>()[2..], [0x1111_1111, 0x2222_2222]);
    for op in [0xcb, 0xcf] {
        let mut f = Fake::protected(0);
        f.push32(&[u32::from(DATA3), 0x1_8000]);
        if op == 0xcf {
            f.push32(&[2]);
        }
        f.push32(&[u32::from(CODE3), 0x100]);
        f.run(&[op]).unwrap();
        assert_eq!((f.cpu.r32(reg::SP), f.cpu.eip), (0x1_8000, 0x100));
    }
}

/// SDM vol. 3A, 5.8.5: the inner stack's own width.
#[test]
fn widths_of_inner_stacks() {
    let mut f = Fake::protected(3);
    f.write(TSS + 4, 4, 0x1_9000);
    f.far(0x9a, CALL_GATE, 0).unwrap();
    assert_eq!((f.cpu.r32(reg::SP), f.read(0x1_8fe8, 4)), (0x1_8fe8, u64::from(CODE + 7)));
    let mut f = Fake::protected(3);
    f.write(TSS + 4, 4, 0x1_9000);
    f.write(TSS + 8, 2, DATA16.into());
    f.cpu.set_r32(reg::SP, 0xabcd_8000);
    f.write(0x8000, 8, 0x2222_2222_1111_1111);
    f.far(0x9a, CALL_GATE, 0).unwrap();
    assert_eq!((f.cpu.r32(reg::SP) & 0xffff, f.read(0x8fe8, 4)), (0x8fe8, u64::from(CODE + 7)));
}

/// SDM vol. 3A, 5.8.5 and 7.2.1: inner stacks lie within the TSS, of either size.
#[test]
fn inner_stacks_in_the_task_state() {
    for (rights, least, offset) in [(0x8b, 9, 4), (0x83, 5, 2)] {
        for limit in [least - 1, least] {
            let mut f = Fake::protected(3);
            f.write(TSS, 8, 0);
            f.write(TSS + offset, 2, STACK0.into());
            f.write(TSS + 2 * offset, 2, DATA0.into());
            (f.cpu.tr.rights, f.cpu.tr.limit) = (rights, limit);
            let expected = if limit < least { Err(Fault::ts(TASK)) } else { Ok(()) };
            assert_eq!(f.far(0x9a, CALL_GATE, 0), expected, "{rights:x} {limit}");
        }
    }
}

/// SDM vol. 2, CALL, JMP, RET, IRET: the offset lies within the code segment, in every mode.
#[test]
fn offsets() {
    for mut f in [Fake::real(CpuModel::N270), Fake::v86(3)] {
        f.cpu.set_r32(reg::SP, 0x100);
        let before = f.clone();
        assert_eq!(f.faults(&[0x66, 0x9a, 0, 0, 1, 0, 0, 7]), Fault::GP0);
        assert_eq!(f.faults(&[0x66, 0xea, 0, 0, 1, 0, 0, 7]), Fault::GP0);
        f.push32(&[2, 0x700, 0x1_0000]);
        assert_eq!(f.faults(&[0x66, 0xcb]), Fault::GP0);
        assert_eq!(f.faults(&[0x66, 0xcf]), Fault::GP0);
        for (op, expected) in [(0x9a, 0x1234), (0xea, 0x1234)] {
            let mut f = before.clone();
            assert_eq!(f.far(op, 0x2000, expected), Ok(()));
            assert_eq!((f.selector(seg::CS), f.cpu.eip), (0x2000, expected));
        }
    }
    let mut f = Fake::protected(0);
    f.push32(&[0x6666, 0x5555, 0x4444, 0x3333, 0x2222, 0x1_0100, e::VM, 0x1111, 0x1_0000]);
    assert_eq!(f.faults(&[0xcf]), Fault::GP0);
    // the offset, then the rest of the frame
    let mut f = crossing(&[0x1_0000, 0x700, e::VM | 2, 0x8000, 0x800, 0x900, 0xa00, 0xb00, 0xc00], 4, 4);
    assert_eq!(f.faults(&[0xcf]), Fault::GP0);
}

/// The 8086 has no limits: a far pointer at FFFEh has its selector at 0.
#[test]
fn far_pointers_at_the_end_of_a_segment() {
    let les = [0xc4, 0x1e, 0xfe, 0xff];
    let (call, jmp) = ([0xff, 0x1e, 0xfe, 0xff], [0xff, 0x2e, 0xfe, 0xff]);
    for bytes in [les, call, jmp] {
        let mut f = Fake::real(CpuModel::I8086);
        f.write(0xfffe, 2, 0x1234);
        f.write(0, 2, 0x2000);
        f.run(&bytes).unwrap();
        let n = if bytes == les { seg::ES } else { seg::CS };
        assert_eq!(f.selector(n), 0x2000, "{bytes:x?}");
        // others take it from 10000h, which is beyond the limit
        let mut f = Fake::real(CpuModel::N270);
        f.write(0xfffe, 2, 0x1234);
        f.write(0, 2, 0x2000);
        assert_eq!(f.faults(&bytes), Fault::GP0, "{bytes:x?}");
    }
}
