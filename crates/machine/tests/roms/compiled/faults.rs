//! Faults in the midst of a loop: what was done before is done, the rest is not.

use super::*;

/// What faults; EBX walks into a page that is not there, EBP down to 0.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Load,
    Store,
    Push,
    Pop,
    Modify,
    Divide,
}

const KINDS: [Kind; 6] = [Kind::Load, Kind::Store, Kind::Push, Kind::Pop, Kind::Modify, Kind::Divide];
/// EBX is moved on by this; the iteration that meets the second page, counted from 1.
const STEP: u32 = 0x100;
const FAULTY: u32 = 13;
/// Where the handler writes down the general registers as PUSHAD does, and the exception's frame.
const FRAME: u32 = RESULT + 0x40;

fn faulting(a: &mut Asm, kind: Kind) -> Assembled {
    asm! { a => label "faulting"; }
    match kind {
        Kind::Load => a.mov(edx, dword_ptr(ebx)),
        Kind::Store => a.mov(dword_ptr(ebx), ecx),
        Kind::Push => a.push(ecx),
        Kind::Pop => a.pop(edx),
        Kind::Modify => a.add(dword_ptr(ebx), ecx),
        Kind::Divide => a.div(ebp),
    }
}

/// A program's loop of six instructions, the faulting one at `position`. Every other one adds to
/// EAX, ESI or EDI.
fn six(a: &mut Asm, kind: Kind, position: usize) -> Assembled {
    let others: [fn(&mut Asm) -> Assembled; 5] =
        [|a| a.inc(esi), |a| a.add(edi, 3), |a| a.xor(esi, 0x100), |a| a.sub(edi, 1), |a| a.stc()];
    for (n, other) in others.iter().enumerate() {
        if n == position {
            faulting(a, kind)?;
        }
        other(a)?;
    }
    if position == 5 { faulting(a, kind) } else { Ok(()) }
}

fn handler(a: &mut Asm) -> Assembled {
    asm! { a =>
        label "fault";
        pushad;
        inc dword_ptr(RESULT);
        mov esi, esp;
        mov edi, FRAME;
        mov ecx, 14;
    }
    a.rep().movsd()?;
    asm! { a =>
        or dword_ptr(ENTRY + 4), 1;
        invlpg byte_ptr(PAGE + 0x1000);
        popad;
        add esp, 4;
        iretd;
        label "divided";
        push 0;
        pushad;
        inc dword_ptr(RESULT);
        mov esi, esp;
        mov edi, FRAME;
        mov ecx, 14;
    }
    a.rep().movsd()?;
    asm! { a => popad; add esp, 4; mov ebp, 1000; iretd; }
    Ok(())
}

fn program(a: &mut Asm, kind: Kind, position: usize) -> Assembled {
    on(a, 14, "fault")?;
    on(a, 0, "divided")?;
    paging_on(a)?;
    asm! { a => mov dword_ptr(ENTRY + 4), (PAGE + 0x1000) | 6; }
    resume_at(a, "done")?;
    to_user(a, "user", 2)?;
    asm! { a =>
        label "user";
        mov ebx, PAGE + 0x1000 - FAULTY * STEP;
        mov ecx, 2 * TIMES;
        mov ebp, FAULTY;
        xor esi, esi;
        xor edi, edi;
        label "again";
        add ebx, STEP;
        dec ebp;
        lea esp, dword_ptr(ebx + if kind == Kind::Push { 4 } else { 0 });
        xor edx, edx;
        mov eax, ecx;
        cmp eax, 7; // flags for those that change none
    }
    six(a, kind, position)?;
    asm! { a =>
        dec ecx;
        jnz a.to("again");
        mov dword_ptr(RESULT + 4), esi;
        mov dword_ptr(RESULT + 8), edi;
        cli; // the end: a fault of its own
    }
    handler(a)
}

/// ESI and EDI when the first `position` instructions have been done besides all of `loops`.
fn counted(loops: u32, position: usize) -> (u32, u32) {
    let (mut source, mut destination) = (0u32, 0u32);
    for n in 0..=loops {
        let upto = if n < loops { 6 } else { position };
        source += u32::from(upto > 0);
        destination += if upto > 1 { 3 } else { 0 };
        source ^= if upto > 2 { 0x100 } else { 0 };
        destination -= u32::from(upto > 3);
    }
    (source, destination)
}

fn check(kind: Kind, position: usize) {
    let mut o = Rig::protected(move |a| program(a, kind, position)).paged().hot().run();
    let case = format!("{kind:?} at {position}");
    // the end by CLI, and one fault before
    assert_eq!((o.vectors(), o.result(0)), (vec![13], 1), "{case}");
    let frame: [u32; 14] = std::array::from_fn(|n| o.dword(FRAME + 4 * n as u32));
    let [destination, source, divisor, _, pointer, data, count, accumulator, frame @ ..] = frame;
    let [error, at, code, flags, stack, stack_segment] = frame;
    assert_eq!((at, code, stack_segment), (o.at("faulting"), UCODE.into(), UDATA.into()), "{case}");
    assert_eq!((source, destination), counted(FAULTY - 1, position), "{case}");
    assert_eq!((pointer, divisor, data), (PAGE + 0x1000, 0, 0), "{case}");
    let left = 2 * TIMES - FAULTY + 1;
    assert_eq!((count, accumulator), (left, left), "{case}");
    assert_eq!(stack, pointer + if kind == Kind::Push { 4 } else { 0 }, "{case}");
    let expected = match kind {
        Kind::Divide => 0,
        Kind::Load | Kind::Pop => 4,
        _ => 6,
    };
    assert_eq!(error, expected, "{case}");
    assert_eq!(flags & 1, u32::from(position == 5), "{case}: carry");
    assert_eq!((o.result(1), o.result(2)), counted(2 * TIMES, 0), "{case}: at the end");
}

#[test]
fn in_every_position_of_a_loop() {
    for kind in KINDS {
        for position in 0..6 {
            check(kind, position);
        }
    }
}
