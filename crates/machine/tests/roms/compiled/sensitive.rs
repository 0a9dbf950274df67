//! Sensitive instructions in the midst of hot blocks, where registers and flags are at hand and memory is not.

use super::*;

/// PUSHFD and POPFD on a page that the shadow has forgotten: they are done again by the interpreter, which has to find
/// the registers as the block has left them.
#[test]
fn flags_pushed_and_popped_on_a_forgotten_page() {
    let mut o = Rig::protected(|a| {
        paging_on(a)?;
        asm! { a =>
            mov ebp, esp;
            mov ecx, TIMES;
            xor esi, esi;
            xor edi, edi;
            label "again";
            invlpg byte_ptr(PAGE);
            mov esp, PAGE + 0x800;
            add esi, ecx;
            cmp ecx, ecx;
            pushfd; // ZF and PF
            pop eax;
            and eax, 0x44u32;
            add dword_ptr(RESULT), eax;
            add edi, esp;
            invlpg byte_ptr(PAGE);
            push 0x43;
            lea esi, dword_ptr(esi + ecx);
            popfd; // CF and ZF
            adc dword_ptr(RESULT + 4), 0;
            add edi, esp;
            dec ecx;
            jnz a.to("again");
            mov esp, ebp;
            mov dword_ptr(RESULT + 8), esi;
            mov dword_ptr(RESULT + 12), edi;
        }
        Ok(())
    })
    .paged()
    .dwords(ENTRY, &[PAGE | 7])
    .hot()
    .run();
    let stack = TIMES.wrapping_mul(2 * (PAGE + 0x800));
    assert_eq!(o.results(), [TIMES * 0x44, TIMES, 2 * SUM, stack]);
}

/// What POPFD loads decides the branch behind it, and what PUSHFD stores is what was computed before it.
#[test]
fn flags_through_the_stack() {
    let mut o = Rig::protected(|a| {
        asm! { a =>
            mov ecx, 4 * TIMES;
            label "again";
            mov eax, ecx;
            and eax, 0x41u32;
            push eax;
            popfd;
            jnc a.to("no_carry");
            inc dword_ptr(RESULT);
            label "no_carry";
            push eax;
            popfd;
            jnz a.to("no_zero");
            inc dword_ptr(RESULT + 4);
            label "no_zero";
            mov eax, 0x7fff_ffffu32;
            add eax, 1;
            pushfd; // OF, SF, AF, PF
            pop edx;
            and edx, 0x8d5u32;
            add dword_ptr(RESULT + 8), edx;
            dec ecx;
            jnz a.to("again");
        }
        Ok(())
    })
    .hot()
    .run();
    let bit = |mask: u32| (1..=4 * TIMES).filter(|n| n & mask != 0).count() as u32;
    assert_eq!(o.results(), [bit(1), bit(0x40), 4 * TIMES * 0x894]);
}

/// A procedure that is entered with flags in whatever form its caller has left them, which it does not look at.
#[test]
fn flags_across_a_selector_in_a_procedure() {
    let mut o = Rig::protected(|a| {
        asm! { a =>
            mov ecx, TIMES;
            mov ebx, u32::from(KDATA);
            call a.to("start");
            label "procedure";
            mov fs, bx;
            ret;
            label "start";
            pop edx;
            label "again";
            mov eax, ecx;
            and eax, 1;
            cmp eax, 1; // CF where it is even
            call edx;
            adc dword_ptr(RESULT), 0;
            dec ecx;
            jnz a.to("again");
        }
        Ok(())
    })
    .hot()
    .run();
    assert_eq!(o.results(), [TIMES / 2]);
}

/// Selectors go through general registers, memory and the stack; a null one in DS makes it fault, and a flat one again
/// makes it flat.
#[test]
fn segment_registers_between_accesses() {
    let mut o = Rig::protected(|a| {
        resume_at(a, "null")?;
        asm! { a =>
            mov ecx, TIMES;
            label "again";
            mov eax, u32::from(OWN);
            mov fs, ax;
            push fs;
            pop gs;
            mov edx, gs;
            add dword_ptr(RESULT), edx;
            mov word_ptr(RESULT + 4), fs;
            mov eax, dword_ptr(0).fs();
            add dword_ptr(RESULT + 8), eax;
            xor eax, eax;
            mov ds, ax;
            add ecx, 0x1000;
            mov eax, dword_ptr(RESULT); // #GP
            label "null";
            mov eax, u32::from(KDATA);
            mov ds, ax;
            inc dword_ptr(RESULT + 12);
            sub ecx, 0x1001;
            jnz a.to("again");
        }
        Ok(())
    })
    .descriptor(OWN, segment(RESULT + 0x40, 0xf, 0x93, 4))
    .dwords(RESULT + 0x40, &[7])
    .hot()
    .run();
    assert_eq!(o.faults(), vec![(13, 0); TIMES as usize]);
    assert_eq!(o.results(), [TIMES * u32::from(OWN), u32::from(OWN), 7 * TIMES, TIMES]);
}

/// A selector beyond the table raises its fault at the load, with everything before it done and nothing behind it.
#[test]
fn a_load_that_faults_in_a_hot_block() {
    let mut o = Rig::protected(|a| {
        resume_at(a, "bad")?;
        asm! { a =>
            mov ecx, TIMES;
            mov edx, u32::from(KDATA);
            label "again";
            cmp ecx, 1;
            jne a.to("good");
            mov edx, 0xfff8u32;
            label "good";
            add dword_ptr(RESULT), 1;
            lea esi, dword_ptr(ecx + 1);
            mov es, dx;
            add dword_ptr(RESULT + 4), 1;
            dec ecx;
            jnz a.to("again");
            label "bad";
            mov dword_ptr(RESULT + 8), esi;
        }
        Ok(())
    })
    .hot()
    .run();
    assert_eq!(o.faults(), [(13, 0xfff8)]);
    assert_eq!(o.results(), [TIMES, TIMES - 1, 2]);
}

/// RDTSC in a block: it never goes back, and both halves are its own.
#[test]
fn the_time_in_a_hot_block() {
    let mut o = Rig::protected(|a| {
        asm! { a =>
            mov ecx, TIMES;
            xor ebx, ebx;
            xor edi, edi;
            label "again";
            rdtsc;
            mov esi, eax;
            sub eax, ebx;
            sbb edx, edi;
            jc a.to("back");
            mov ebx, esi;
            add edi, edx;
            dec ecx;
            jnz a.to("again");
            mov dword_ptr(RESULT), 1;
            label "back";
        }
        Ok(())
    })
    .hot()
    .run();
    assert_eq!(o.result(0), 1);
}
