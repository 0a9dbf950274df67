//! What code that is written in one pass keeps to itself: flags that nobody has asked for, values that have no register.

use super::*;

/// Flags as they are on the stack.
const FLAGS: i32 = 0x8d5;

/// A DEC at the end of a turn is not said again behind flags that were made canonical in the next one.
#[test]
fn a_count_of_the_turn_before() {
    Rig::protected(|a| {
        asm! { a =>
            mov edi, TIMES;
            mov ecx, 1;
            label "again";
            mov eax, edi;
            mov edx, 0x4000_0000;
            add eax, 0x7fff_fff5u32;
            shl edx, cl;
            pushfd;
            pop esi;
            and esi, FLAGS;
            imul_3 ebx, dword_ptr(RESULT), 7;
            add ebx, esi;
            mov dword_ptr(RESULT), ebx;
            xor ecx, 1;
            dec edi;
            jnz a.to("again");
        }
        Ok(())
    })
    .hot()
    .run();
}

/// One flag is said, the others are in memory in some form, and a sensitive instruction comes before who asks.
#[test]
fn a_flag_said_before_an_attempt() {
    Rig::protected(|a| {
        asm! { a =>
            mov edi, TIMES;
            label "again";
            mov eax, edi;
            test edi, 2;
            jz a.to("other");
            add eax, -10i32;
            jmp a.to("said");
            label "other";
            sub eax, 3;
            jmp a.to("said");
            label "said";
            bt edi, 2;
            cli;
            jc a.to("carry");
            mov ecx, 5;
            label "carry";
            pushfd;
            pop esi;
            and esi, FLAGS;
            imul_3 ebx, dword_ptr(RESULT), 7;
            add ebx, esi;
            mov dword_ptr(RESULT), ebx;
            dec edi;
            jnz a.to("again");
        }
        Ok(())
    })
    .hot()
    .run();
}

/// Flags that are in memory in some form outlive a sensitive instruction before a RET, and the RET is done once, to
/// the next instruction as well.
#[test]
fn an_attempt_before_a_return() {
    Rig::protected(|a| {
        asm! { a =>
            mov edi, TIMES;
            label "again";
            mov eax, edi;
            mov ebx, a.at("site");
            push 0;
            push ebx;
            test edi, 2;
            jz a.to("other");
            add eax, -10i32;
            jmp a.to("said");
            label "other";
            sub eax, 3;
            jmp a.to("said");
            label "said";
            mov edx, edi;
            cli;
            ret;
            label "site";
            pushfd;
            pop esi;
            pop edx;
            and esi, FLAGS;
            imul_3 ebx, dword_ptr(RESULT), 7;
            add ebx, esi;
            mov dword_ptr(RESULT), ebx;
            dec edi;
            jnz a.to("again");
        }
        Ok(())
    })
    .hot()
    .run();
}

/// A comparison's operands, of which one has lost its register, when nobody wants the flags behind the branch.
#[test]
fn a_branch_that_is_the_last_to_look() {
    let mut o = Rig::protected(|a| {
        asm! { a =>
            mov dword_ptr(RESULT + 4), TIMES;
            mov esi, PAGE;
            xor edi, edi;
            mov ecx, 0x7fff_0000;
            mov ebp, 0x7fff_0000;
            jmp a.to("again");
            label "less";
            add edx, 1;
            mov dword_ptr(RESULT), edx;
            dec dword_ptr(RESULT + 4);
            jz a.to("done");
            label "again";
            mov eax, dword_ptr(RESULT + 4);
            mov ebx, 10;
            mov edx, dword_ptr(RESULT);
            cmp eax, ebx;
            mov byte_ptr(esi + edi), dh;
            xchg ecx, ebp;
            jl a.to("less");
            add edx, 0x100;
            jmp a.to("less");
        }
        Ok(())
    })
    .hot()
    .run();
    assert_eq!(o.result(0), TIMES + 0x100 * (TIMES - 9));
}

/// POPA reads its last doubleword at the end of a page, which stays clean.
#[test]
fn many_reads_make_nothing_dirty() {
    let mut o = Rig::protected(|a| {
        paging_on(a)?;
        asm! { a => mov dword_ptr(RESULT + 8), TIMES; mov dword_ptr(RESULT + 12), esp; label "again"; }
        for (end, inner) in [(0x1000, "to the end"), (0x0ffc, "and before")] {
            asm! { a =>
                and dword_ptr(ENTRY), !0x60i32;
                invlpg byte_ptr(PAGE);
                mov dword_ptr(RESULT + 16), 3;
                label inner;
                mov eax, dword_ptr(PAGE);
                mov esp, PAGE + end - 32;
                popad;
                dec dword_ptr(RESULT + 16);
                jnz a.to(inner);
                mov eax, dword_ptr(ENTRY);
                or dword_ptr(RESULT), eax;
            }
        }
        asm! { a =>
            mov esp, dword_ptr(RESULT + 12);
            dec dword_ptr(RESULT + 8);
            jnz a.to("again");
        }
        Ok(())
    })
    .paged()
    .hot()
    .run();
    assert_eq!(o.result(0) & 0x60, 0x20);
}

/// Procedures that call each other in no order and jump into each other's midst, so many times: how many regions that
/// took in all tiers.
fn regions_of(times: u32) -> u64 {
    const PROCEDURES: u32 = 24;
    let o = Rig::protected(move |a| {
        asm! { a => mov ebp, times; mov ebx, 12345; }
        for n in 0..PROCEDURES {
            let at = a.at(&format!("procedure {n}"));
            asm! { a => mov dword_ptr(PAGE + 8 * n), at; }
            let at = a.at(&format!("midst {n}"));
            asm! { a => mov dword_ptr(PAGE + 8 * n + 4), at; }
        }
        asm! { a =>
            label "again";
            imul_3 ebx, ebx, 0x1_0dcd;
            add ebx, 12345;
            mov eax, ebx;
            shr eax, 16;
            xor edx, edx;
            mov ecx, 2 * PROCEDURES;
            div ecx;
            mov edi, 3;
            mov eax, dword_ptr(edx * 4 + PAGE);
            call eax;
            dec ebp;
            jnz a.to("again");
            jmp a.to("done");
        }
        for n in 0..PROCEDURES {
            let (inner, out) = (format!("inner {n}"), format!("out {n}"));
            let other = a.to(&format!("procedure {}", (n * 7 + 3) % PROCEDURES));
            let midst = a.to(&format!("midst {}", (n * 5 + 1) % PROCEDURES));
            asm! { a =>
                label &format!("procedure {n}");
                add dword_ptr(RESULT), n;
                dec edi;
                jz a.to(&out);
                test bl, 1 << (n % 8);
                jz midst;
                label &inner;
                inc esi;
                test esi, 3;
                jnz a.to(&inner);
                call other;
                label &format!("midst {n}");
                xor dword_ptr(RESULT + 4), esi;
                test bh, 1 << (n % 8);
                jnz a.to(&out);
                inc esi;
                cmp edi, 0;
                jg other;
                label &out;
                ret;
            }
        }
        Ok(())
    })
    .limit(100_000_000)
    .hot()
    .run();
    let meter = o.meters.last().unwrap();
    meter.compiled_regions
}

#[test]
fn what_is_compiled_comes_to_an_end() {
    let few = regions_of(2_000);
    let many = regions_of(20_000);
    assert!(many <= few + few / 2, "{few} and then {many}");
}
