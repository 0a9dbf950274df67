//! What a REP MOVS or REP STOS that is done whole may touch besides plain memory, and what stands around it.

use super::*;

/// A copy that now and then goes over the immediate of the instruction behind it, in the same block.
#[test]
fn over_the_next_instruction() {
    let mut o = Rig::protected(|a| {
        let at = a.at("patched");
        asm! { a =>
            mov ebp, 4 * TIMES;
            label "again";
            mov dword_ptr(PAGE + 0x40), ebp;
            mov edi, PAGE;
            test ebp, 0xf;
            jnz a.to("elsewhere");
            mov edi, at + 1;
            label "elsewhere";
            mov esi, PAGE + 0x40;
            mov ecx, 4;
        }
        a.rep().movsb()?;
        asm! { a =>
            label "patched";
            mov eax, 0;
            add dword_ptr(RESULT), eax;
            dec ebp;
            jnz a.to("again");
        }
        Ok(())
    })
    .hot()
    .run();
    // 80 is the first that is copied there, then 64 and so on
    assert_eq!(o.results(), [16 * (80 + 64 + 48 + 32 + 16)]);
}

/// A table that the walk reads, written by a string, with and without INVLPG.
#[test]
fn over_a_page_table() {
    let mut o = Rig::protected(|a| {
        paging_on(a)?;
        asm! { a =>
            mov dword_ptr(PAGE + 0x1000), 1;
            mov dword_ptr(PAGE + 0x2000), 0x100;
            mov ebp, TIMES;
            label "again";
            mov eax, ebp;
            and eax, 1;
            shl eax, 12;
            add eax, (PAGE + 0x1000) | 7;
            mov edi, ENTRY;
            mov ecx, 1;
        }
        a.rep().stosd()?;
        asm! { a =>
            invlpg byte_ptr(PAGE);
            mov eax, dword_ptr(PAGE);
            add dword_ptr(RESULT), eax;
            dec ebp;
            jnz a.to("again");
        }
        Ok(())
    })
    .paged()
    .hot()
    .run();
    assert_eq!(o.results(), [TIMES / 2 * 0x101]);
}

/// Text memory, and the ROM.
#[test]
fn outside_of_ram() {
    let mut o = Rig::protected(|a| {
        asm! { a => mov ebp, TIMES; label "again"; mov edi, 0xb_8000; mov ecx, 64; imul_3 eax, ebp, 0x0101_0101; }
        a.rep().stosd()?;
        asm! { a => mov esi, 0xb_7ff0; mov edi, PAGE; mov ecx, 64; }
        a.rep().movsd()?;
        asm! { a => mov esi, PAGE; mov edi, 0xf_0ff0; mov ecx, 16; }
        a.rep().movsd()?;
        asm! { a =>
            mov eax, dword_ptr(PAGE + 0x20);
            add dword_ptr(RESULT), eax;
            dec ebp;
            jnz a.to("again");
        }
        Ok(())
    })
    .hot()
    .run();
    assert_eq!(o.results(), [SUM * 0x0101_0101]);
}

/// A watchpoint in the midst of what a hot string writes, on from half of the turns on.
#[test]
fn over_a_watchpoint() {
    let o = Rig::protected(|a| {
        asm! { a =>
            mov ebp, TIMES;
            label "again";
            cmp ebp, 5;
            jne a.to("go");
            mov eax, PAGE + 0x22;
            mov dr0, eax;
            mov eax, 0x1_0001u32;
            mov dr7, eax;
            label "go";
            mov edi, PAGE;
            mov ecx, 0x20;
            mov eax, ebp;
        }
        a.rep().stosd()?;
        asm! { a => dec ebp; jnz a.to("again"); }
        Ok(())
    })
    .hot()
    .run();
    assert_eq!(o.vectors(), [1; 5]);
}

/// A source in CS, a destination in a segment that expands down.
#[test]
fn of_other_segments() {
    Rig::protected(|a| {
        asm! { a => mov eax, u32::from(OWN); mov es, ax; mov ebp, TIMES; label "again"; mov edi, 0x1000; lea esi, dword_ptr(ebp + CODE); mov ecx, ebp; }
        a.db(&[0xf3, 0x2e, 0xa4])?;
        asm! { a => add dword_ptr(RESULT), edi; mov ecx, 0x30; mov eax, ebp; }
        a.rep().stosw()?;
        asm! { a => add dword_ptr(RESULT + 4), edi; mov fs, dword_ptr(RESULT + 8); mov edi, 0x1100; mov ecx, ebp; push es; pop fs; mov esi, 0x1000; }
        a.db(&[0xf3, 0x64, 0xa5])?;
        asm! { a => add dword_ptr(RESULT), esi; dec ebp; jnz a.to("again"); }
        Ok(())
    })
    .descriptor(OWN, segment(PAGE, 0xfff, 0x97, 0xc - 8))
    .hot()
    .run();
}

/// Expand-down: a copy that comes from below its limit faults, with nothing done.
#[test]
fn below_a_segment() {
    let o = Rig::protected(|a| {
        on(a, 13, "fault")?;
        asm! { a => mov eax, u32::from(OWN); mov es, ax; mov ebp, TIMES; label "again"; mov edi, 0x1000; sub edi, ebp; add edi, 4; mov ecx, 5; }
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
    .descriptor(OWN, segment(PAGE, 0xfff, 0x97, 4))
    .hot()
    .run();
    let mut o = o;
    assert_eq!(o.result(0), 5 * (TIMES - 4));
}

/// 16-bit addresses in 32-bit code: the upper halves stay, and a count of 65536 is none.
#[test]
fn narrow_addresses() {
    Rig::protected(|a| {
        asm! { a =>
            mov eax, u32::from(OWN);
            mov es, ax;
            mov ds, ax;
            mov ebp, TIMES;
            label "again";
            mov edi, 0x1234_ffe8u32;
            mov esi, 0x4321_fff0u32;
            mov ecx, 0x5678_0000u32;
            mov cx, bp;
        }
        a.db(&[0x67, 0xf3, 0xa4])?;
        asm! { a => mov dword_ptr(RESULT).ss(), esi; add dword_ptr(RESULT + 4).ss(), edi; add dword_ptr(RESULT + 8).ss(), ecx; mov ecx, 0x1_0000; }
        a.db(&[0x67, 0xf3, 0xa5])?;
        asm! { a => add dword_ptr(RESULT).ss(), ecx; mov cx, 4; mov edi, 0xffff_fff0u32; mov eax, ebp; }
        a.db(&[0x67, 0xf3, 0xab])?;
        asm! { a => add dword_ptr(RESULT + 4).ss(), edi; mov cx, 1; mov edi, 0xff_ffffu32; }
        a.db(&[0x67, 0x66, 0xf3, 0xab])?;
        asm! { a => add dword_ptr(RESULT + 4).ss(), edi; dec ebp; jnz a.to("again"); }
        Ok(())
    })
    .descriptor(OWN, segment(PAGE, 0xf_ffff, 0x93, 0xc))
    .hot()
    .run();
}

/// 32-bit offsets go on at 0 behind the last one.
#[test]
fn around_4_gib() {
    Rig::protected(|a| {
        asm! { a => mov eax, u32::from(OWN); mov es, ax; mov ebp, TIMES; label "again"; mov edi, 0xffff_fff0u32; mov ecx, ebp; mov eax, ebp; }
        a.rep().stosd()?;
        asm! { a => add dword_ptr(RESULT), edi; mov esi, RESULT; mov edi, 0xffff_ffffu32; mov ecx, 3; }
        a.rep().movsw()?;
        asm! { a => add dword_ptr(RESULT + 4), edi; dec ebp; jnz a.to("again"); }
        Ok(())
    })
    .descriptor(OWN, segment(PAGE + 0x800, 0xf_ffff, 0x93, 0xc))
    .hot()
    .run();
}

/// Loads and stores of the same bytes before and behind, by the same registers and in the same group, in a loop that is
/// small enough to be unrolled.
#[test]
fn between_accesses_of_a_group() {
    let mut o = Rig::protected(|a| {
        asm! { a =>
            mov ebp, 3 * TIMES;
            mov ebx, PAGE + 0xff0;
            label "again";
            mov edx, dword_ptr(ebx + 8);
            mov dword_ptr(ebx + 4), ebp;
            mov edi, ebx;
            mov ecx, 5;
            mov eax, ebp;
        }
        a.rep().stosd()?;
        asm! { a =>
            add edx, dword_ptr(ebx + 4);
            add edx, dword_ptr(edi - 4);
            add dword_ptr(RESULT), edx;
            add dword_ptr(edi), 1;
            dec ebp;
            jnz a.to("again");
            mov eax, dword_ptr(ebx + 20);
            mov dword_ptr(RESULT + 4), eax;
        }
        Ok(())
    })
    .hot()
    .run();
    let n = 3 * TIMES;
    let sum = n * (n + 1) / 2;
    assert_eq!(o.results(), [2 * sum + sum - 1, n]);
}

/// Pages that a loop remembers, and a string that moves its register far.
#[test]
fn among_remembered_pages() {
    Rig::protected(|a| {
        asm! { a => mov ebp, TIMES; mov edi, PAGE + 0xf00; mov esi, PAGE + 0x4_0000; label "again"; inc dword_ptr(edi); mov ecx, 0x180; mov eax, ebp; }
        a.rep().stosd()?;
        asm! { a => add dword_ptr(edi), ebp; inc dword_ptr(esi); mov ecx, 0x300; }
        a.rep().movsw()?;
        asm! { a => add esi, dword_ptr(esi); sub dword_ptr(edi + 4), ecx; inc edi; dec ebp; jnz a.to("again"); }
        Ok(())
    })
    .hot()
    .run();
}

/// Flags in each form that they are kept in, behind a string and without one, asked for by PUSHFD and by conditions.
#[test]
fn flags_of_every_form() {
    type Say = fn(&mut Asm) -> Assembled;
    let forms: [Say; 14] = [
        |a| a.add(eax, edx),
        |a| a.sub(eax, edx),
        |a| a.adc(eax, edx),
        |a| a.sbb(eax, edx),
        |a| a.xor(eax, edx),
        |a| a.inc(eax),
        |a| a.dec(dx),
        |a| a.neg(eax),
        |a| a.shl(eax, cl),
        |a| a.rcr(edx, cl),
        |a| a.imul_2(eax, edx),
        |a| a.bt(eax, edx),
        |a| a.ucomisd(xmm0, xmm1),
        |a| a.sahf(),
    ];
    for strings in [0, 1, 2] {
        Rig::protected(move |a| {
            asm! { a => mov eax, cr4; or eax, 0x600; mov cr4, eax; mov eax, cr0; and eax, !4u32; or eax, 2; mov cr0, eax; mov ebp, 40; mov edx, 0x1234_5677; label "again"; mov esp, STACK; }
            for (n, form) in forms.iter().enumerate() {
                asm! { a => imul_3 eax, ebp, 0x1111_1111i32.wrapping_mul(n as i32 + 1); imul_3 edx, edx, 0x0101_4567; mov ecx, ebp; cvtsi2sd xmm0, ebp; cvtsi2sd xmm1, edx; }
                form(a)?;
                if n % 3 == 1 { a.inc(edx)? }
                match strings {
                    1 => {
                        asm! { a => mov edi, PAGE; mov ecx, 7; }
                        a.rep().stosb()?;
                    }
                    2 => {
                        asm! { a => mov edi, PAGE; mov esi, PAGE + 0x800; mov ecx, ebp; }
                        a.rep().movsd()?;
                    }
                    _ => {}
                }
                if n % 2 == 0 {
                    asm! { a => pushfd; pop ebx; rol dword_ptr(RESULT), 5; xor dword_ptr(RESULT), ebx; }
                } else {
                    let on = format!("{n}");
                    asm! { a => setg bl; adc dword_ptr(RESULT + 4), ebp; pushfd; jno a.to(&on); add byte_ptr(RESULT + 8), bl; label &on; pop ecx; xor dword_ptr(RESULT + 12), ecx; }
                }
            }
            asm! { a => dec ebp; jnz a.to("again"); }
            Ok(())
        })
        .hot()
        .run();
    }
}
