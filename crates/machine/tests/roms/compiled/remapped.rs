//! Paging under hot code.

use super::*;

/// Code on one frame at two addresses, with calls and returns of its own, and its EIP.
#[test]
fn one_frame_at_two_addresses() {
    let mut o = Rig::protected(|a| {
        paging_on(a)?;
        asm! { a =>
            mov ecx, TIMES;
            label "again";
            mov ebx, ROOM;
            call ebx;
            add dword_ptr(RESULT), eax;
            mov ebx, 0x30_0000;
            call ebx;
            add dword_ptr(RESULT + 4), eax;
            dec ecx;
            jnz a.to("again");
        }
        Ok(())
    })
    .also(|a| {
        a.section(32, ROOM)?;
        asm! { a =>
            call a.to("inner");
            label "site";
            sub eax, 5;
            ret;
            label "inner";
            mov eax, dword_ptr(esp);
            ret;
        }
        Ok(())
    })
    .paged()
    .dwords(PT + 0x300 * 4, &[ROOM | 7])
    .hot()
    .run();
    assert_eq!(o.results(), [TIMES * ROOM, TIMES * 0x30_0000]);
}

/// A hot routine's page shows two frames in turn; it is flushed, or a new CR3 does it.
#[test]
fn another_frame_under_a_hot_routine() {
    for by_cr3 in [false, true] {
        let mut o = Rig::protected(move |a| {
            write_routine(a, 0x21_0000, 1)?;
            write_routine(a, 0x22_0000, 0x1_0000)?;
            paging_on(a)?;
            asm! { a =>
                mov ecx, 4 * TIMES;
                mov ebx, PAGE;
                label "again";
                mov eax, 0x21_0007;
                test cl, 4;
                jz a.to("chosen");
                mov eax, 0x22_0007;
                label "chosen";
                mov dword_ptr(ENTRY), eax;
            }
            if by_cr3 {
                asm! { a => mov eax, cr3; mov cr3, eax; }
            } else {
                asm! { a => invlpg byte_ptr(PAGE); }
            }
            asm! { a => call ebx; add dword_ptr(RESULT), eax; dec ecx; jnz a.to("again"); }
            Ok(())
        })
        .paged()
        .hot()
        .run();
        assert_eq!(o.result(0), 2 * TIMES * 0x1_0001, "{by_cr3}");
    }
}

/// An instruction on two pages, of which the second shows two frames in turn.
#[test]
fn another_frame_under_the_second_half() {
    let mut o = Rig::protected(|a| {
        write_routine(a, PAGE + 0xffd, 0)?;
        // bits 31 to 16, and RET
        asm! { a => mov dword_ptr(0x21_0000), 0xc3_0001; mov dword_ptr(0x22_0000), 0xc3_0100; }
        paging_on(a)?;
        asm! { a =>
            mov ecx, 4 * TIMES;
            mov ebx, PAGE + 0xffd;
            label "again";
            mov eax, 0x21_0007;
            test cl, 4;
            jz a.to("chosen");
            mov eax, 0x22_0007;
            label "chosen";
            mov dword_ptr(ENTRY + 4), eax;
            invlpg byte_ptr(PAGE + 0x1000);
            call ebx;
            shr eax, 16;
            add dword_ptr(RESULT), eax;
            dec ecx;
            jnz a.to("again");
        }
        Ok(())
    })
    .paged()
    .hot()
    .run();
    assert_eq!(o.result(0), 2 * TIMES * 0x101);
}

/// The second page of a hot loop goes away: the fault is at the instruction that needs it, and the
/// handler brings the page back.
#[test]
fn the_second_page_goes_away() {
    let mut o = Rig::protected(|a| {
        write_routine(a, PAGE + 0xffd, 7)?;
        on(a, 14, "fault")?;
        paging_on(a)?;
        asm! { a =>
            mov ecx, 4 * TIMES;
            mov ebx, PAGE + 0xffd;
            label "again";
            test cl, 7;
            jnz a.to("call");
            and dword_ptr(ENTRY + 4), !1;
            invlpg byte_ptr(PAGE + 0x1000);
            label "call";
            call ebx;
            add dword_ptr(RESULT), eax;
            dec ecx;
            jnz a.to("again");
            jmp a.to("done");
            label "fault";
            inc dword_ptr(RESULT + 4);
            pop edx;
            mov dword_ptr(RESULT + 8), edx;
            mov edx, dword_ptr(esp);
            mov dword_ptr(RESULT + 12), edx;
            mov edx, cr2;
            mov dword_ptr(RESULT + 16), edx;
            or dword_ptr(ENTRY + 4), 1;
            iretd;
        }
        Ok(())
    })
    .paged()
    .hot()
    .run();
    assert_eq!(o.results(), [4 * TIMES * 7, TIMES / 2, 0, PAGE + 0xffd, PAGE + 0x1000]);
}

/// CR3 changes within a hot loop whose own page is global, and the data's is not.
#[test]
fn address_spaces_in_turn() {
    const OTHER: u32 = 0x5000;
    const OTHER_PT: u32 = 0x7_0000;
    let mut o = Rig::protected(|a| {
        asm! { a =>
            mov eax, cr4;
            or eax, 0x80;
            mov cr4, eax;
            or dword_ptr(PT + (CODE >> 12) * 4), 0x100;
            mov esi, PT;
            mov edi, OTHER_PT;
            mov ecx, 0x400;
        }
        a.rep().movsd()?;
        asm! { a =>
            mov dword_ptr(OTHER), OTHER_PT | 7;
            mov dword_ptr(ENTRY), 0x21_0007;
            mov dword_ptr(OTHER_PT + 0x200 * 4), 0x22_0007;
        }
        write_routine(a, 0x21_0000, 1)?;
        write_routine(a, 0x22_0000, 2)?;
        paging_on(a)?;
        asm! { a =>
            mov ecx, 4 * TIMES;
            mov ebx, PAGE;
            mov esi, TABLES;
            mov edi, OTHER;
            label "again";
            xchg esi, edi;
            mov cr3, esi;
            add dword_ptr(PAGE + 0x800), ecx;
            call ebx;
            add dword_ptr(RESULT), eax;
            dec ecx;
            jnz a.to("again");
            mov eax, dword_ptr(0x21_0800);
            mov dword_ptr(RESULT + 4), eax;
            mov eax, dword_ptr(0x22_0800);
            mov dword_ptr(RESULT + 8), eax;
        }
        Ok(())
    })
    .paged()
    .hot()
    .run();
    let odd = (4 * TIMES / 2) * (4 * TIMES / 2);
    assert_eq!(o.results(), [2 * TIMES * 3, odd, odd + 2 * TIMES]);
}

/// A program's hot loop finds its code's page made the supervisor's, or its data's read-only.
#[test]
fn rights_that_go_away() {
    for code in [true, false] {
        let mut o = Rig::protected(move |a| {
            on(a, 14, "fault")?;
            on(a, 3, "breakpoint")?;
            asm! { a => mov eax, a.at("breakpoint"); mov byte_ptr(IDT + 3 * 8 + 5), 0xee; }
            paging_on(a)?;
            resume_at(a, "done")?;
            to_user(a, "user", 2)?;
            asm! { a =>
                // the kernel's part: takes the rights away
                label "breakpoint";
                and dword_ptr(if code { PT + (ROOM >> 12) * 4 } else { ENTRY }), if code { !4 } else { !2 };
                invlpg byte_ptr(if code { ROOM } else { PAGE });
                iretd;
                label "fault";
                inc dword_ptr(RESULT);
                pop edx;
                mov dword_ptr(RESULT + 4), edx;
                mov edx, dword_ptr(esp);
                mov dword_ptr(RESULT + 8), edx;
                or dword_ptr(if code { PT + (ROOM >> 12) * 4 } else { ENTRY }), 7;
                iretd;
            }
            Ok(())
        })
        .also(|a| {
            a.section(32, ROOM)?;
            asm! { a =>
                label "user";
                mov ecx, 4 * TIMES;
                label "again";
                test cl, 7;
                jnz a.to("on");
                int3;
                label "on";
                add dword_ptr(PAGE), ecx;
                dec ecx;
                jnz a.to("again");
                mov eax, dword_ptr(PAGE);
                mov dword_ptr(RESULT + 12), eax;
                cli;
            }
            Ok(())
        })
        .paged()
        .hot()
        .run();
        assert_eq!(o.vectors(), [13]);
        let sum = (4 * TIMES) * (4 * TIMES + 1) / 2;
        assert_eq!(o.results(), [TIMES / 2, if code { 5 } else { 7 }, o.at("on"), sum], "{code}");
    }
}

/// As above, with a direct call: both pages may be compiled as one.
#[test]
fn another_frame_under_a_direct_call() {
    let mut o = Rig::protected(|a| {
        write_routine(a, ROOM + 0x100, 1)?;
        write_routine(a, 0x22_0100, 0x1_0000)?;
        paging_on(a)?;
        asm! { a =>
            mov ecx, 4 * TIMES;
            label "again";
            mov eax, ROOM | 7;
            test cl, 4;
            jz a.to("chosen");
            mov eax, 0x22_0007;
            label "chosen";
            mov dword_ptr(PT + (ROOM >> 12) * 4), eax;
            invlpg byte_ptr(ROOM);
        }
        a.call(u64::from(ROOM + 0x100))?;
        asm! { a => add dword_ptr(RESULT), eax; dec ecx; jnz a.to("again"); }
        Ok(())
    })
    .paged()
    .hot()
    .run();
    assert_eq!(o.result(0), 2 * TIMES * 0x1_0001);
}

/// Nothing is flushed: whether the change is seen is left open by the manual, but not that it is
/// seen alike by every engine, in data as in code.
#[test]
fn without_a_flush_all_engines_see_the_same() {
    let mut o = Rig::protected(|a| {
        write_routine(a, ROOM + 0x100, 1)?;
        write_routine(a, 0x22_0100, 0x1_0000)?;
        paging_on(a)?;
        asm! { a =>
            mov ecx, 4 * TIMES;
            label "again";
            mov eax, ROOM | 7;
            test cl, 4;
            jz a.to("chosen");
            mov eax, 0x22_0007;
            label "chosen";
            add edx, dword_ptr(ROOM + 0x101);
            mov dword_ptr(PT + (ROOM >> 12) * 4), eax;
            add edx, dword_ptr(ROOM + 0x101);
        }
        a.call(u64::from(ROOM + 0x100))?;
        asm! { a =>
            add dword_ptr(RESULT), eax;
            dec ecx;
            jnz a.to("again");
            mov dword_ptr(RESULT + 4), edx;
        }
        Ok(())
    })
    .paged()
    .hot()
    .run();
    assert!(o.log.is_empty(), "{:?}", o.log);
    assert_ne!(o.result(0), 0);
}

/// A block changes the mapping of the page that its own next instruction lies on.
#[test]
fn the_ground_under_the_next_instruction() {
    let mut o = Rig::protected(|a| {
        // MOV [ENTRY], EAX; MOV EAX, imm32; RET on both frames, with other numbers
        for (frame, n) in [(0x21_0000u32, 1u32), (0x22_0000, 0x1_0000)] {
            asm! { a => mov byte_ptr(frame), 0xa3; mov dword_ptr(frame + 1), ENTRY; }
            write_routine(a, frame + 5, n)?;
        }
        paging_on(a)?;
        asm! { a =>
            mov dword_ptr(ENTRY), 0x21_0007;
            mov ecx, 4 * TIMES;
            mov ebx, PAGE;
            label "again";
            mov eax, 0x21_0007;
            test cl, 4;
            jz a.to("chosen");
            mov eax, 0x22_0007;
            label "chosen";
            call ebx;
            add dword_ptr(RESULT), eax;
            dec ecx;
            jnz a.to("again");
        }
        Ok(())
    })
    .paged()
    .hot()
    .run();
    assert!(o.log.is_empty(), "{:?}", o.log);
    assert_eq!(o.result(0), 2 * TIMES * 0x1_0001);
}

/// Two pages 16 MiB apart, which have one place in a tagged table, and whose frames change places under a hot loop.
#[test]
fn frames_that_change_places_under_hot_accesses() {
    const FAR: u32 = 0x100_0000;
    const FAR_ENTRY: u32 = TABLES + 0x2000 + (ENTRY - PT);
    let mut o = Rig::protected(|a| {
        paging_on(a)?;
        asm! { a =>
            mov ecx, 8 * TIMES;
            mov ebx, PAGE;
            mov esi, PAGE + FAR;
            xor edi, edi;
            label "again";
            inc dword_ptr(ebx);
            add edi, dword_ptr(esi); // alone: else it would be looked up as a store is
            test cl, 7;
            jnz a.to("on");
            mov eax, dword_ptr(ENTRY);
            mov edx, dword_ptr(FAR_ENTRY);
            mov dword_ptr(ENTRY), edx;
            mov dword_ptr(FAR_ENTRY), eax;
            label "on";
            add dword_ptr(esi), ecx;
            dec ecx;
            jnz a.to("again");
            mov eax, dword_ptr(0x21_0000);
            mov dword_ptr(RESULT), eax;
            mov eax, dword_ptr(0x22_0000);
            mov dword_ptr(RESULT + 4), eax;
            mov dword_ptr(RESULT + 8), edi;
        }
        Ok(())
    })
    .paged()
    .dwords(ENTRY, &[0x21_0007])
    .dwords(TABLES + 4 * (FAR >> 22), &[(TABLES + 0x2000) | 7])
    .dwords(FAR_ENTRY, &[0x22_0007])
    .hot()
    .run();
    // what the near page shows, then the far one; they change places an even number of times
    let (mut frames, mut sum) = ([0, 0], 0);
    for n in (1..=8 * TIMES).rev() {
        (frames[0], sum) = (frames[0] + 1, sum + frames[1]);
        if n % 8 == 0 {
            frames.swap(0, 1);
        }
        frames[1] += n;
    }
    assert_eq!(o.results(), [frames[0], frames[1], sum]);
}

/// A loop takes away the right to store to the page that its own stores go to, and a bit of an entry is all that says so:
/// nothing but plain stores in the loop, no flush. What the manual leaves open has to be alike everywhere, and here a
/// change of a table is seen at once.
#[test]
fn a_loop_that_makes_its_own_page_read_only() {
    let mut o = Rig::protected(|a| {
        on(a, 14, "fault")?;
        paging_on(a)?;
        asm! { a =>
            mov eax, cr0;
            or eax, 0x1_0000; // WP
            mov cr0, eax;
            mov ecx, 8 * TIMES;
            mov edi, PAGE;
            mov esi, ENTRY;
            label "again";
            mov eax, ecx;
            and eax, 7;
            dec eax;
            shr eax, 30;
            and eax, 2; // every eighth turn
            xor dword_ptr(esi), eax;
            mov dword_ptr(edi), ecx;
            add dword_ptr(edi + 4), ecx;
            dec ecx;
            jnz a.to("again");
            mov eax, dword_ptr(PAGE + 4);
            mov dword_ptr(RESULT), eax;
            jmp a.to("done");
            label "fault";
            add esp, 4;
            or dword_ptr(ENTRY), 2;
            inc dword_ptr(RESULT + 4);
            iretd;
        }
        Ok(())
    })
    .paged()
    .hot()
    .run();
    assert_eq!(o.results(), [8 * TIMES * (8 * TIMES + 1) / 2, TIMES]);
}

/// A loop whose loads remember a page, within one that shows them another frame there.
#[test]
fn another_frame_between_the_turns_of_an_inner_loop() {
    for by_cr3 in [false, true] {
        let mut o = Rig::protected(move |a| {
            asm! { a => mov dword_ptr(0x21_0000), 1; mov dword_ptr(0x22_0000), 0x1_0000; }
            paging_on(a)?;
            asm! { a =>
                mov ecx, 4 * TIMES;
                mov ebx, PAGE;
                xor edi, edi;
                label "again";
                xor dword_ptr(ENTRY), 0x3_0000; // 210007h, 220007h
            }
            if by_cr3 {
                asm! { a => mov eax, cr3; mov cr3, eax; }
            } else {
                asm! { a => invlpg byte_ptr(PAGE); }
            }
            asm! { a =>
                mov edx, 10;
                label "inner";
                add edi, dword_ptr(ebx);
                inc dword_ptr(ebx + 4);
                dec edx;
                jnz a.to("inner");
                dec ecx;
                jnz a.to("again");
                mov dword_ptr(RESULT), edi;
                mov eax, dword_ptr(0x21_0004);
                mov dword_ptr(RESULT + 4), eax;
                mov eax, dword_ptr(0x22_0004);
                mov dword_ptr(RESULT + 8), eax;
            }
            Ok(())
        })
        .paged()
        .dwords(ENTRY, &[0x22_0007])
        .hot()
        .run();
        assert_eq!(o.results(), [20 * TIMES * 0x1_0001, 20 * TIMES, 20 * TIMES], "{by_cr3}");
    }
}

/// A page that a loop fills with entries until it is no longer watched as a table, and then reads through.
#[test]
fn a_table_that_a_loop_fills_and_reads_through() {
    const TABLE: u32 = 0x25_0000;
    const SHOWN: u32 = 0x80_0000;
    const COUNT: u32 = 64;
    let mut o = Rig::protected(|a| {
        paging_on(a)?;
        asm! { a =>
            mov dword_ptr(0x21_0000), 1;
            mov dword_ptr(0x22_0000), 0x1_0000;
            xor ebp, ebp;
            mov ebx, 0x21_0007;
            mov edx, 6;
            label "round";
            mov ecx, COUNT;
            mov edi, TABLE;
            mov esi, SHOWN;
            label "fill";
            mov dword_ptr(edi), ebx;
            add edi, 4;
            dec ecx;
            jnz a.to("fill");
            mov ecx, COUNT;
            mov edi, TABLE;
            label "read";
            add ebp, dword_ptr(esi);
            mov dword_ptr(edi), ebx; // one that was just walked
            add ebp, dword_ptr(esi);
            add esi, 0x1000;
            add edi, 4;
            dec ecx;
            jnz a.to("read");
            xor ebx, 0x3_0000;
            dec edx;
            jnz a.to("round");
            mov dword_ptr(RESULT), ebp;
        }
        Ok(())
    })
    .paged()
    .dwords(TABLES + 4 * (SHOWN >> 22), &[TABLE | 7])
    .hot()
    .run();
    assert!(o.log.is_empty(), "{:?}", o.log);
    assert_eq!(o.result(0), 6 * COUNT * 0x1_0001);
}

/// The same by REP STOSD, which is done outside of compiled code and is no reason to leave it; nothing is flushed.
#[test]
fn another_frame_by_a_repeated_store() {
    let mut o = Rig::protected(|a| {
        asm! { a => mov dword_ptr(0x21_0000), 1; mov dword_ptr(0x22_0000), 0x1_0000; }
        paging_on(a)?;
        asm! { a =>
            mov esi, 4 * TIMES;
            mov ebx, PAGE;
            mov eax, 0x22_0007;
            xor ebp, ebp;
            label "again";
            xor eax, 0x3_0000;
            mov edi, ENTRY;
            mov ecx, 1;
            rep_stosd;
            mov edx, 10;
            label "inner";
            add ebp, dword_ptr(ebx);
            dec edx;
            jnz a.to("inner");
            dec esi;
            jnz a.to("again");
            mov dword_ptr(RESULT), ebp;
        }
        Ok(())
    })
    .paged()
    .hot()
    .run();
    assert_eq!(o.result(0), 20 * TIMES * 0x1_0001);
}
