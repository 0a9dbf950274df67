//! Jumps whose target only the run tells.

use super::*;

/// Through a table, by a register and by memory, to one of four places in turn.
#[test]
fn through_a_table() {
    let mut o = Rig::protected(|a| {
        asm! { a => mov ecx, 2 * TIMES; }
        for n in 0..4 {
            asm! { a => mov dword_ptr(PAGE + 4 * n), a.at(&format!("place {n}")); }
        }
        asm! { a =>
            label "again";
            mov ebx, ecx;
            and ebx, 3;
            test ecx, 4;
            jz a.to("by memory");
            mov ebx, dword_ptr(PAGE + ebx * 4);
            jmp ebx;
            label "by memory";
            jmp dword_ptr(PAGE + ebx * 4);
        }
        for n in 0..4i32 {
            asm! { a => label &format!("place {n}"); inc dword_ptr(RESULT + 4 * n as u32); jmp a.to("end"); }
        }
        asm! { a => label "end"; dec ecx; jnz a.to("again"); }
        Ok(())
    })
    .hot()
    .run();
    assert_eq!(o.results(), [TIMES / 2; 4]);
}

/// A routine that returns behind the call, two bytes further, or to a place of its own.
#[test]
fn a_return_to_another_place_than_the_call() {
    let mut o = Rig::protected(|a| {
        asm! { a =>
            mov ecx, 3 * TIMES;
            xor edx, edx;
            jmp a.to("again");
            label "routine";
            inc edx;
            cmp edx, 3;
            je a.to("third");
            cmp edx, 1;
            je a.to("first");
            add dword_ptr(esp), 6; // over the INC
            ret;
            label "third";
            xor edx, edx;
            mov dword_ptr(esp), a.at("elsewhere");
            label "first";
            ret;
            label "elsewhere";
            inc dword_ptr(RESULT + 8);
            jmp a.to("end");
            label "again";
            call a.to("routine");
            inc dword_ptr(RESULT);
            inc dword_ptr(RESULT + 4);
            label "end";
            dec ecx;
            jnz a.to("again");
            mov dword_ptr(RESULT + 12), esp;
        }
        Ok(())
    })
    .hot()
    .run();
    assert_eq!(o.results(), [TIMES, 2 * TIMES, TIMES, STACK]);
}

/// The sum of the numbers to 200 by recursion, again and again.
#[test]
fn recursion() {
    let mut o = Rig::protected(|a| {
        asm! { a =>
            mov esi, TIMES;
            label "again";
            mov ecx, 200;
            call a.to("sum");
            add dword_ptr(RESULT), eax;
            dec esi;
            jnz a.to("again");
            mov dword_ptr(RESULT + 4), esp;
            jmp a.to("done");
            label "sum";
            test ecx, ecx;
            jz a.to("nothing");
            push ecx;
            dec ecx;
            call a.to("sum");
            pop ecx;
            add eax, ecx;
            ret;
            label "nothing";
            xor eax, eax;
            ret;
        }
        Ok(())
    })
    .hot()
    .run();
    assert_eq!(o.results(), [TIMES * 20_100, STACK]);
}

/// RET n, LEAVE, and a CALL through the very stack slot that it overwrites.
#[test]
fn stack_pointers_around_calls() {
    let mut o = Rig::protected(|a| {
        asm! { a =>
            mov ecx, TIMES;
            label "again";
            push ecx;
            push a.at("routine") as i32;
            call dword_ptr(esp);
            mov dword_ptr(RESULT + 4), esp;
            dec ecx;
            jnz a.to("again");
            jmp a.to("done");
            label "routine";
            push ebp;
            mov ebp, esp;
            sub esp, 0x20;
            mov eax, dword_ptr(ebp + 12);
            add dword_ptr(RESULT), eax;
            leave;
            ret_1 8;
        }
        Ok(())
    })
    .hot()
    .run();
    assert_eq!(o.results(), [SUM, STACK]);
}
