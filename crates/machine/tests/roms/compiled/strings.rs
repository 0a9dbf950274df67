//! REP MOVS and REP STOS within a region: done whole where they can be, left to the interpreter where not.

use super::*;

/// Notes the index registers and the count after a string instruction.
fn note(a: &mut Asm) -> Assembled {
    asm! { a =>
        imul_3 ebx, dword_ptr(RESULT), 7;
        add ebx, esi;
        add ebx, edi;
        add ebx, ecx;
        mov dword_ptr(RESULT), ebx;
    }
    Ok(())
}

/// A loop that fills and copies `count` elements, so many more each turn; EBP counts down.
fn fills_and_copies(a: &mut Asm, count: u32, from: u32, to: u32) -> Assembled {
    asm! { a =>
        mov ebp, TIMES;
        label "again";
        imul_3 ecx, ebp, count;
        imul_3 eax, ebp, 0x0305_0709;
        mov edi, from;
    }
    a.rep().stosd()?;
    note(a)?;
    asm! { a => imul_3 ecx, ebp, count; mov esi, from; mov edi, to; }
    a.rep().movsb()?;
    note(a)?;
    asm! { a => imul_3 ecx, ebp, count; mov esi, from + 2; mov edi, to + 0x40; }
    a.rep().movsw()?;
    note(a)?;
    asm! { a => dec ebp; jnz a.to("again"); }
    Ok(())
}

#[test]
fn of_any_length() {
    for count in [0, 1, 2, 90, 900] {
        Rig::protected(move |a| fills_and_copies(a, count, PAGE + 0x20, PAGE + 0x4_0080)).hot().run();
    }
}

/// Elements that lie across pages, and pages that follow each other.
#[test]
fn at_odd_places() {
    Rig::protected(|a| fills_and_copies(a, 77, PAGE + 0xfe1, PAGE + 0x4_0ffd)).hot().run();
    Rig::protected(|a| fills_and_copies(a, 77, PAGE + 0xfe1, PAGE + 0x4_0ffd)).paged().hot().run();
}

/// What has just been written is read again.
#[test]
fn over_itself() {
    for distance in [1, 2, 3, 4, 5, 0x1000] {
        Rig::protected(move |a| fills_and_copies(a, 70, PAGE, PAGE + distance)).hot().run();
    }
}

/// More iterations than any budget has, and more pages than are looked at.
#[test]
fn longer_than_the_budget() {
    let far = PAGE + 0x30_0000;
    Rig::protected(move |a| fills_and_copies(a, 2_000, PAGE + 0x20, far)).limit(20_000_000).hot().run();
}

#[test]
fn downwards() {
    Rig::protected(|a| {
        asm! { a => mov ebp, TIMES; label "again"; mov edi, PAGE + 0x1010; imul_3 ecx, ebp, 9; mov eax, ebp; std; }
        a.rep().stosd()?;
        asm! { a => mov esi, PAGE + 0x1010; mov edi, PAGE + 0x1800; imul_3 ecx, ebp, 9; }
        a.rep().movsd()?;
        asm! { a => cld; }
        note(a)?;
        asm! { a => dec ebp; jnz a.to("again"); }
        Ok(())
    })
    .hot()
    .run();
}

/// With 16-bit addresses the index registers wrap, and their upper halves stay.
#[test]
fn around_64_kib() {
    Rig::real(|a| {
        asm! { a =>
            mov ax, 0x3000u32;
            mov es, ax;
            mov ds, ax;
            mov ebp, TIMES;
            label "again";
            mov edi, 0x1234_fff8u32;
            mov esi, 0x4321_fff1u32;
            mov ecx, 0x5678_0000u32;
            mov cx, bp;
        }
        a.rep().movsb()?;
        asm! { a => mov eax, ebp; mov cx, bp; }
        a.rep().stosw()?;
        asm! { a =>
            mov ebx, edi;
            xor ebx, esi;
            add ebx, ecx;
            mov dword_ptr(RESULT), ebx;
            dec ebp;
            jnz a.to("again");
        }
        Ok(())
    })
    .hot()
    .run();
}

/// A segment that ends before the string does: what lies within is done, and the fault says where.
#[test]
fn beyond_a_limit() {
    let short = segment(PAGE, 0x0fff, 0x93, 4);
    let outcome = Rig::protected(|a| {
        on(a, 13, "fault")?;
        asm! { a => mov eax, u32::from(OWN); mov es, ax; mov ebp, TIMES; label "again"; xor edi, edi; mov ecx, 0x3ff; add ecx, ebp; mov eax, ebp; }
        a.rep().stosd()?;
        asm! { a =>
            label "on";
            add dword_ptr(RESULT), ecx;
            add dword_ptr(RESULT + 4), edi;
            dec ebp;
            jnz a.to("again");
            jmp a.to("done");
            label "fault";
            add esp, 4;
            mov dword_ptr(esp), a.at("on");
            iretd;
        }
        Ok(())
    })
    .descriptor(OWN, short)
    .hot()
    .run();
    let mut outcome = outcome;
    // ECX is what did not fit: 1 to TIMES less one
    assert_eq!(outcome.results::<2>(), [SUM - TIMES, TIMES * 0x1000]);
}

/// Flags that an instruction before has said are there behind it.
#[test]
fn flags_are_kept() {
    Rig::protected(|a| {
        asm! { a => mov ebp, TIMES; label "again"; mov edi, PAGE; mov ecx, ebp; mov eax, ebp; add eax, 0x7fff_fff0u32; }
        a.rep().stosd()?;
        asm! { a =>
            jno a.to("none");
            inc dword_ptr(RESULT + 4);
            label "none";
            pushfd;
            pop eax;
            and eax, 0x8d5;
            add dword_ptr(RESULT), eax;
            dec ebp;
            jnz a.to("again");
        }
        Ok(())
    })
    .hot()
    .run();
}
