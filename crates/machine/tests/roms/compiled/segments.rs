//! Segments that are not flat, in loops.

use super::*;

/// A loop that reads on through a segment register from `start` by `step` until it faults.
fn walk(descriptor: u64, start: u32, step: i32, fs_not_gs: bool) -> (u32, u32) {
    let mut o = Rig::protected(move |a| {
        resume_at(a, "fault")?;
        asm! { a => mov ax, u32::from(OWN); mov fs, ax; mov gs, ax; mov ebx, start; xor ecx, ecx; label "again"; inc ecx; }
        if fs_not_gs { a.add(eax, dword_ptr(ebx).fs())? } else { a.mov(dword_ptr(ebx).gs(), ecx)? }
        asm! { a =>
            add ebx, step;
            jmp a.to("again");
            label "fault";
            mov dword_ptr(RESULT), ebx;
            mov dword_ptr(RESULT + 4), ecx;
        }
        Ok(())
    })
    .descriptor(OWN, descriptor)
    .hot()
    .run();
    assert_eq!(o.faults(), [(13, 0)]);
    (o.result(0), o.result(1))
}

#[test]
fn a_walk_to_the_limit() {
    for fs_not_gs in [true, false] {
        assert_eq!(walk(segment(0x10_0000, 0x7f, 0x93, 4), 0, 4, fs_not_gs), (0x80, 33));
        assert_eq!(walk(segment(0x10_0003, 0x7e, 0x93, 4), 0, 4, fs_not_gs), (0x7c, 32));
        // expand-down: from above down to the limit, and up to the end of a small one
        assert_eq!(walk(segment(0x10_0000, 0xf7f, 0x97, 4), 0x1000, -4, fs_not_gs), (0xf7c, 34));
        assert_eq!(walk(segment(0x10_0000, 0xf7f, 0x97, 0), 0xff80, 4, fs_not_gs), (0x1_0000, 33));
    }
}

/// #SS where the stack's segment ends, for PUSH as for what EBP points at.
#[test]
fn a_walk_to_the_end_of_the_stack() {
    let mut o = Rig::protected(|a| {
        // from CPL 3, since the handler needs a stack
        resume_at(a, "done")?;
        asm! { a =>
            push u32::from(OWN | 3) as i32;
            push 0x1080;
            push 2;
            push u32::from(UCODE) as i32;
            push a.at("user") as i32;
            mov eax, u32::from(UDATA);
            mov ds, ax;
            iretd;
            label "user";
            xor ecx, ecx;
            label "again";
            inc ecx;
            mov dword_ptr(RESULT), ecx;
            mov dword_ptr(RESULT + 4), esp;
            push ecx;
            jmp a.to("again");
        }
        Ok(())
    })
    // valid above FFFh
    .descriptor(OWN, segment(0x10_0000, 0xfff, 0xf7, 4))
    .hot()
    .run();
    assert_eq!(o.faults(), [(12, 0)]);
    assert_eq!(o.results(), [33, 0x1000]);
}

/// The loop's rarely taken path leads over the end of CS.
#[test]
fn the_end_of_the_code_segment() {
    let mut o = Rig::protected(|a| {
        resume_at(a, "end")?;
        asm! { a => mov ecx, TIMES; xor edx, edx; }
        a.db(&[0xea, 0, 0, 0, 0, OWN as u8, 0])?;
        asm! { a => label "end"; mov dword_ptr(RESULT), edx; mov dword_ptr(RESULT + 4), ecx; }
        Ok(())
    })
    .also(|a| {
        a.section(32, ROOM)?;
        asm! { a => label "again"; inc edx; dec ecx; jnz a.to("again"); label "tail"; inc edx; label "last"; mov eax, 1; }
        Ok(())
    })
    // one byte of the last instruction is outside
    .descriptor(OWN, segment(ROOM, 4 + 1 + 3, 0x9b, 4))
    .hot()
    .run();
    assert_eq!((o.at("tail"), o.at("last")), (ROOM + 4, ROOM + 5));
    assert_eq!(o.faults(), [(13, 0)]);
    assert_eq!((o.log[0].eip, o.log[0].cs), (5, OWN.into()));
    assert_eq!(o.results(), [TIMES + 1, 0]);
}

/// A jump over FFFFh in 16-bit code is one within the segment.
#[test]
fn sixteen_bit_jumps_wrap() {
    let mut o = Rig::real(|a| {
        let pieces: [(u32, &[u8]); 2] =
            // INC AX; JMP 10h | DEC CX; JNZ FFF0h; JMP FAR 0:end
            [(0xfff0, &[0x40, 0xeb, 0x1d]), (0x10, &[0x49, 0x75, 0xdd, 0xea])];
        asm! { a => mov bx, 0x2000u32; mov es, bx; }
        for (at, bytes) in pieces {
            for (n, &b) in bytes.iter().enumerate() {
                asm! { a => mov byte_ptr(at + n as u32).es(), u32::from(b); }
            }
        }
        asm! { a =>
            mov word_ptr(0x14).es(), a.at("end");
            mov word_ptr(0x16).es(), 0;
            mov cx, TIMES;
            xor ax, ax;
        }
        a.db(&[0xea, 0xf0, 0xff, 0, 0x20])?;
        asm! { a => label "end"; mov word_ptr(RESULT), ax; mov word_ptr(RESULT + 4), cx; }
        Ok(())
    })
    .hot()
    .run();
    assert!(o.log.is_empty(), "{:?}", o.log);
    assert_eq!(o.results(), [TIMES, 0]);
}

/// Running on to FFFFh and over it is #GP, even if the loop has jumped around it before.
#[test]
fn sixteen_bit_code_does_not_run_over_the_end() {
    let mut o = Rig::real(|a| {
        // DEC CX; JNZ FFFBh; NOP; NOP, of which the last is at FFFFh
        asm! { a => mov bx, 0x2000u32; mov es, bx; }
        for (n, b) in [0x49u32, 0x75, 0xfd, 0x90, 0x90].into_iter().enumerate() {
            asm! { a => mov byte_ptr(0xfffb + n as u32).es(), b; }
        }
        resume_at(a, "end")?;
        asm! { a => mov cx, TIMES; }
        a.db(&[0xea, 0xfb, 0xff, 0, 0x20])?;
        asm! { a => label "end"; mov word_ptr(RESULT), cx; }
        Ok(())
    })
    .hot()
    .run();
    assert_eq!(o.vectors(), [13]);
    assert_eq!(o.log[0].cs, 0x2000);
    assert_eq!(o.result(0), 0);
}

/// SP wraps from 0 to FFFEh and back, for PUSH, CALL and POP.
#[test]
fn sixteen_bit_stacks_wrap() {
    let mut o = Rig::real(|a| {
        asm! { a =>
            mov bx, 0x3000u32;
            mov ss, bx;
            mov sp, 8;
            mov cx, TIMES;
            label "push";
            push cx;
            call a.to("routine");
            dec cx;
            jnz a.to("push");
            mov word_ptr(RESULT), sp;
            mov cx, TIMES;
            xor dx, dx;
            label "pop";
            pop ax;
            add dx, ax;
            dec cx;
            jnz a.to("pop");
            mov word_ptr(RESULT + 4), sp;
            mov word_ptr(RESULT + 8), dx;
            jmp a.to("done");
            label "routine";
            ret;
        }
        Ok(())
    })
    .hot()
    .run();
    assert_eq!(o.results(), [0x1_0008 - 2 * TIMES, 8, SUM]);
}

/// Bases that are neither 0 nor a multiple of anything, one of them changed within the loop.
#[test]
fn bases_that_change() {
    let mut o = Rig::protected(|a| {
        asm! { a =>
            mov ecx, TIMES;
            label "again";
            mov eax, ecx;
            and eax, 1;
            lea eax, dword_ptr(eax * 8 + i32::from(OWN));
            mov fs, ax;
            add dword_ptr(0x10).fs(), ecx;
            dec ecx;
            jnz a.to("again");
            mov eax, dword_ptr(PAGE + 0x13);
            mov dword_ptr(RESULT), eax;
            mov eax, dword_ptr(PAGE + 0x113);
            mov dword_ptr(RESULT + 4), eax;
        }
        Ok(())
    })
    .descriptor(OWN, segment(PAGE + 3, 0xfff, 0x93, 4))
    .descriptor(OWN + 8, segment(PAGE + 0x103, 0xfff, 0x93, 4))
    .hot()
    .run();
    let odd = TIMES * TIMES / 4;
    assert_eq!(o.results(), [SUM - odd, odd]);
}

/// ES is loaded within the loop and leads to another page each time; DS leads there as well, and the loop writes the
/// descriptor itself.
#[test]
fn segments_that_share_offsets_lie_on_pages_of_their_own() {
    let mut o = Rig::protected(|a| {
        asm! { a =>
            mov ecx, 4 * TIMES;
            mov ebx, 0x10;
            mov edi, GDT + u32::from(OWN) + 2;
            mov edx, u32::from(OWN);
            label "again";
            mov eax, ecx;
            and eax, 3;
            shl eax, 12;
            mov word_ptr(edi), ax; // the base's low half: 0, 1000h, 2000h, 3000h
            mov es, dx;
            add dword_ptr(ebx).es(), ecx;
            add dword_ptr(ebx + i32::try_from(PAGE).unwrap()), ecx;
            mov es, dx;
            inc dword_ptr(ebx + 4).es();
            dec ecx;
            jnz a.to("again");
        }
        for n in 0..4u32 {
            asm! { a =>
                mov eax, dword_ptr(PAGE + 0x10 + 0x1000 * n);
                mov dword_ptr(RESULT + 8 * n), eax;
                mov eax, dword_ptr(PAGE + 0x14 + 0x1000 * n);
                mov dword_ptr(RESULT + 8 * n + 4), eax;
            }
        }
        Ok(())
    })
    .descriptor(OWN, segment(PAGE, 0xfff, 0x93, 4))
    .hot()
    .run();
    let sum = |rest: u32| (1..=4 * TIMES).filter(|n| n % 4 == rest).sum::<u32>();
    let all: u32 = (1..=4 * TIMES).sum();
    let expected: [u32; 4] = std::array::from_fn(|n| sum(n as u32) + if n == 0 { all } else { 0 });
    assert_eq!([0, 2, 4, 6].map(|n| o.result(n)), expected);
    assert_eq!([1, 3, 5, 7].map(|n| o.result(n)), [TIMES; 4]);
}

/// POP CS of the 8086 (its manual has 0Fh among the POPs of segment registers) is a jump: what follows in memory is not
/// what follows in the program.
#[test]
fn pop_cs_goes_elsewhere() {
    let mut o = Rig::real(|a| {
        asm! { a =>
            mov cx, TIMES;
            mov ax, (ROOM - CODE16) >> 4;
            push ax;
        }
        a.db(&[0x0f])?;
        a.db(&[0x90; 0x40])?; // it comes back into these
        asm! { a =>
            inc word_ptr(RESULT + 4);
            dec cx;
        }
        a.db(&[0x75, 0xb4]) // JNZ back to MOV AX: the long form is POP CS as well
    })
    .also(|a| {
        a.section(16, ROOM)?;
        a.db(&[0x90; 0x20])?; // it goes into these
        asm! { a =>
            inc word_ptr(RESULT);
            xor ax, ax;
            push ax;
        }
        a.db(&[0x0f])
    })
    .model(isa::CpuModel::I8086)
    .hot()
    .run();
    assert_eq!(o.results(), [TIMES, TIMES]);
}

/// A far jump to the offset that follows, in another segment, as programs do that have copied themselves elsewhere: what
/// lies there need not be the same.
#[test]
fn a_far_jump_to_the_next_offset_of_another_segment() {
    let mut o = Rig::real(|a| {
        // mov cx, TIMES; jmp far to the next offset, 1000h higher
        let [low, high] = (CODE16 as u16 + 8).to_le_bytes();
        a.db(&[0xb9, TIMES as u8, 0, 0xea, low, high, 0, 1])?;
        a.db(&[0x90; 0x20])?; // it comes back behind these
        asm! { a =>
            inc word_ptr(RESULT + 4);
            dec cx;
        }
        a.db(&[0x75, 0xd4]) // JNZ back to the far jump
    })
    .also(|a| {
        a.section(16, CODE16 + 0x1000)?;
        a.db(&[0x90; 0x8 + 0x1b])?;
        a.db(&[0xff, 0x06])?; // inc word [RESULT]
        a.dw(&[RESULT as u16])?;
        let [low, high] = (CODE16 as u16 + 0x28).to_le_bytes();
        a.db(&[0xea, low, high, 0, 0])
    })
    .hot()
    .run();
    assert_eq!(o.results(), [TIMES, TIMES]);
}
