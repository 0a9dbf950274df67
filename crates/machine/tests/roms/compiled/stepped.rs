//! Debug exceptions in loops that were hot before.

use super::*;

const TF: i32 = 0x100;
const RF: i32 = 0x1_0000;

/// After compiled iterations every instruction of two more ones traps, and then none.
#[test]
fn a_hot_loop_is_stepped() {
    let o = Rig::protected(|a| {
        asm! { a =>
            mov ecx, TIMES;
            call a.to("loop");
            mov ecx, 2;
            pushfd;
            or dword_ptr(esp), TF;
            popfd;
            call a.to("loop");
            pushfd;
            and dword_ptr(esp), !TF;
            popfd;
            label "last";
            mov ecx, TIMES;
            call a.to("loop");
            jmp a.to("done");
            label "loop";
            inc eax;
            label "second";
            add edx, eax;
            label "third";
            dec ecx;
            label "fourth";
            jnz a.to("loop");
            label "fifth";
            ret;
        }
        Ok(())
    })
    .hot()
    .run();
    let eips: Vec<u32> = o.log.iter().map(|r| r.eip).collect();
    let expected = ["loop", "second", "third", "fourth", "loop", "second", "third", "fourth", "fifth"];
    assert_eq!(eips[..9], expected.map(|l| o.at(l)));
    assert_eq!((eips.len(), eips.last().copied()), (9 + 4, Some(o.at("last"))));
    assert!(o.log.iter().all(|r| r.vector == 1 && r.dr6 & 0x4000 != 0));
}

fn breakpoint(a: &mut Asm, at: u32, kind_and_length: u32) -> Assembled {
    asm! { a => mov eax, at; mov dr0, eax; mov eax, 3 | kind_and_length << 16; mov dr7, eax; }
    Ok(())
}

/// On an instruction in the midst of a hot loop, with RF to get over it; and off again.
#[test]
fn an_instruction_breakpoint_in_a_hot_loop() {
    let mut o = Rig::protected(|a| {
        on(a, 1, "debug")?;
        asm! { a => mov ecx, TIMES; call a.to("loop"); }
        breakpoint(a, a.at("here"), 0)?;
        asm! { a => mov ecx, 5; call a.to("loop"); xor eax, eax; mov dr7, eax; mov ecx, TIMES; call a.to("loop"); }
        asm! { a =>
            jmp a.to("done");
            label "loop";
            inc dword_ptr(RESULT + 4);
            label "here";
            inc dword_ptr(RESULT);
            dec ecx;
            jnz a.to("loop");
            ret;
            label "debug";
            inc dword_ptr(RESULT + 8);
            // before the instruction, and behind the one in front of it
            mov eax, dword_ptr(RESULT + 4);
            sub eax, dword_ptr(RESULT);
            add dword_ptr(RESULT + 12), eax;
            or dword_ptr(esp + 8), RF;
            iretd;
        }
        Ok(())
    })
    .hot()
    .run();
    assert_eq!(o.results(), [2 * TIMES + 5, 2 * TIMES + 5, 5, 5]);
}

/// On data that a hot loop writes: a trap behind the store, one for each.
#[test]
fn a_data_breakpoint_in_a_hot_loop() {
    let mut o = Rig::protected(|a| {
        asm! { a => mov ecx, TIMES; call a.to("loop"); }
        breakpoint(a, RESULT, 0b1101)?;
        asm! { a => mov ecx, 5; call a.to("loop"); xor eax, eax; mov dr7, eax; mov ecx, TIMES; call a.to("loop"); }
        asm! { a =>
            jmp a.to("done");
            label "loop";
            mov eax, dword_ptr(RESULT);
            mov dword_ptr(RESULT + 4), eax;
            inc dword_ptr(RESULT);
            label "written";
            dec ecx;
            jnz a.to("loop");
            ret;
        }
        Ok(())
    })
    .hot()
    .run();
    assert_eq!(o.vectors(), [1; 5]);
    assert!(o.log.iter().all(|r| r.eip == o.at("written") && r.dr6 & 1 != 0));
    assert_eq!(o.result(0), 2 * TIMES + 5);
}
