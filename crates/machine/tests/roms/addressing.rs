//! Segments and their limits (SDM vol. 3A, chapter 5), and what an instruction may be.

use crate::rig::*;
use iced_x86::code_asm::*;
use isa::CpuModel;
use test_roms::asm;
use test_roms::asm::{Asm, Assembled};

const OK: u32 = 0xff;
const BASE: u32 = 0x10_0000;

/// Loads FS with [`OWN`], then reads `size` bytes at each offset.
fn reads(a: &mut Asm, size: u32, offsets: &[u32]) -> Assembled {
    asm! { a => mov ax, u32::from(OWN); mov fs, ax; }
    for (n, &offset) in offsets.iter().enumerate() {
        attempt(a, &format!("read {size} at {n}"), |a| {
            a.mov(ebx, offset)?;
            match size {
                1 => a.mov(al, byte_ptr(ebx).fs()),
                2 => a.mov(ax, word_ptr(ebx).fs()),
                4 => a.mov(eax, dword_ptr(ebx).fs()),
                _ => a.fld(qword_ptr(ebx).fs()),
            }
        })?;
    }
    Ok(())
}

/// What reading at offsets gives with a descriptor.
fn outcomes(descriptor: u64, size: u32, offsets: &'static [u32]) -> Vec<u32> {
    let rig = Rig::protected(move |a| {
        a.fninit()?;
        reads(a, size, offsets)
    });
    rig.descriptor(OWN, descriptor).run().vectors()
}

/// 5.3: an access is inside if its last byte is; wrapping past the top is outside.
#[test]
fn limits_of_expand_up_segments() {
    let d = segment(BASE, 0xfff, 0x93, 4);
    assert_eq!(outcomes(d, 1, &[0, 0xfff, 0x1000, 0xffff_ffff]), [OK, OK, 13, 13]);
    assert_eq!(outcomes(d, 2, &[0xffe, 0xfff, 0x1000, 0xffff_ffff]), [OK, 13, 13, 13]);
    let offsets = &[0, 0xffb, 0xffc, 0xffd, 0xffe, 0xfff, 0x1000, 0xffff_fffd, 0xffff_ffff];
    assert_eq!(outcomes(d, 4, offsets), [OK, OK, OK, 13, 13, 13, 13, 13, 13]);
    assert_eq!(outcomes(d, 8, &[0xff8, 0xff9, 0xfff, 0xffff_fffc]), [OK, 13, 13, 13]);
    // with G the low twelve bits of an offset are not checked
    let d = segment(BASE, 1, 0x93, 0xc);
    assert_eq!(outcomes(d, 4, &[0x1ffc, 0x1ffd, 0x2000]), [OK, 13, 13]);
}

/// 5.3: expand-down segments begin behind the limit and end at 64 KiB or, with B, 4 GiB.
#[test]
fn limits_of_expand_down_segments() {
    let small = segment(BASE, 0xfff, 0x97, 0);
    assert_eq!(outcomes(small, 1, &[0, 0xfff, 0x1000, 0xffff, 0x1_0000]), [13, 13, OK, OK, 13]);
    assert_eq!(outcomes(small, 4, &[0xffe, 0x1000, 0xfffc, 0xfffd, 0xffff]), [13, OK, OK, 13, 13]);
    let big = segment(BASE, 0xfff, 0x97, 4);
    let offsets = &[0xffd, 0x1000, 0x1_0000, 0xffff_fffc, 0xffff_fffd];
    assert_eq!(outcomes(big, 4, offsets), [13, OK, OK, OK, 13]);
}

/// 5.4 and 5.5: type checks of data accesses; a null selector.
#[test]
fn types_and_null_selectors() {
    let o = Rig::protected(|a| {
        let own = u32::from(OWN);
        for (n, (selector, write)) in
            [(own, false), (own, true), (own + 8, false), (own + 16, false), (own + 16, true), (0, false)]
                .into_iter()
                .enumerate()
        {
            asm! { a => mov ax, selector; }
            attempt(a, &format!("try {n}"), |a| {
                asm! { a => mov fs, ax; }
                if write { a.mov(byte_ptr(0).fs(), 1) } else { a.mov(al, byte_ptr(0).fs()) }
            })?;
        }
        Ok(())
    })
    // read-only data; execute-only code; readable code
    .descriptor(OWN, segment(BASE, 0xfff, 0x91, 4))
    .descriptor(OWN + 8, segment(BASE, 0xfff, 0x99, 4))
    .descriptor(OWN + 16, segment(BASE, 0xfff, 0x9b, 4))
    .run();
    assert_eq!(o.faults(), [(OK, 0), (13, 0), (13, u32::from(OWN) + 8), (OK, 0), (13, 0), (13, 0)]);
}

/// Vol. 3A, interrupt 12: through SS, the same is #SS(0).
#[test]
fn stack_limits_are_stack_faults() {
    let o = Rig::protected(|a| {
        asm! { a => mov ax, u32::from(OWN); mov ss, ax; mov esp, 0x800; }
        attempt(a, "read", |a| {
            asm! { a => mov ebp, 0xffd; mov eax, dword_ptr(ebp); }
            Ok(())
        })?;
        asm! { a => mov ax, u32::from(OWN); mov ss, ax; }
        attempt(a, "push", |a| {
            asm! { a => mov esp, 0x1001; push eax; }
            Ok(())
        })
    })
    .descriptor(OWN, segment(BASE, 0xfff, 0x93, 4))
    // the handler needs a stack of its own: a task gate would do, so does a fault from CPL 3;
    // here the stack segment is big enough for the frame below the try
    .run();
    assert_eq!(o.faults()[..1], [(12, 0)]);
}

/// Vol. 3B, 20.1.1 and 22.17: a word at FFFFh is #GP, through SS #SS; IP does not wrap.
#[test]
fn real_mode_segments_end_at_64_kib() {
    let o = Rig::real(|a| {
        attempt(a, "word", |a| {
            asm! { a => mov bx, 0xffffu32; mov ax, word_ptr(bx); }
            Ok(())
        })?;
        attempt(a, "stack", |a| {
            asm! { a => mov bp, 0xffffu32; mov ax, word_ptr(bp); }
            Ok(())
        })?;
        attempt(a, "dword", |a| {
            asm! { a => mov bx, 0xfffdu32; mov eax, dword_ptr(bx); }
            Ok(())
        })?;
        attempt(a, "fits", |a| {
            asm! { a => mov bx, 0xfffcu32; mov eax, dword_ptr(bx); }
            Ok(())
        })?;
        resume_at(a, "end")?;
        asm! { a => mov ax, 0x2000u32; mov es, ax; mov bx, 0xffffu32; mov byte_ptr(bx).es(), 0x90u32; }
        a.db(&[0xea, 0xff, 0xff, 0x00, 0x20])?;
        a.label("end")
    })
    .run();
    assert_eq!(o.vectors(), [13, 12, 13, OK, 13]);
    assert_eq!(o.log[4].cs, 0x2000);
}

/// Vol. 3A, 5.3: code that crosses the limit of CS.
#[test]
fn the_code_segment_has_a_limit() {
    let mut o = Rig::protected(|a| {
        asm! { a =>
            mov edi, BASE;
            mov al, 0x90u32;
            mov ecx, 0x20;
        }
        a.rep().stosb()?;
        asm! { a => mov byte_ptr(BASE + 0xe), 0xb8; }
        resume_at(a, "next")?;
        a.db(&[0xea, 0x0c, 0, 0, 0, OWN as u8, 0])?;
        asm! { a => label "next"; mov byte_ptr(BASE + 0xe), 0x90; }
        resume_at(a, "end")?;
        a.db(&[0xea, 0x0c, 0, 0, 0, OWN as u8, 0])?;
        asm! { a => label "end"; mov dword_ptr(RESULT), 1; }
        Ok(())
    })
    .descriptor(OWN, segment(BASE, 0x10, 0x9b, 4))
    .run();
    assert_eq!(o.faults(), [(13, 0), (13, 0)]);
    assert_eq!((o.log[0].eip, o.log[1].eip), (0xe, 0x11));
    assert_eq!(o.result(0), 1);
}

/// Vol. 2, 2.3.11, and vol. 3A, interrupt 13: more than 15 bytes are #GP(0), wherever they lie.
#[test]
fn instructions_have_at_most_15_bytes() {
    let mut o = Rig::protected(|a| {
        for (n, prefixes) in [13usize, 14, 20].into_iter().enumerate() {
            attempt(a, &format!("in a page {n}"), |a| {
                let mut bytes = vec![0x66; prefixes];
                bytes.extend([0x89, 0xc0]);
                a.db(&bytes)
            })?;
        }
        for (n, prefixes) in [13u32, 14].into_iter().enumerate() {
            for (m, before) in [1u32, 8, 14].into_iter().enumerate() {
                let start = 0x20_1000 - before;
                asm! { a =>
                    mov edi, start;
                    mov ecx, prefixes;
                    mov al, 0x66u32;
                }
                a.rep().stosb()?;
                asm! { a => mov dword_ptr(start + prefixes), 0xc3_c089u32; mov ebx, start; }
                attempt(a, &format!("across pages {n} {m}"), |a| a.call(ebx))?;
            }
        }
        Ok(())
    })
    .run();
    assert_eq!(o.vectors(), [OK, 13, 13, OK, OK, OK, 13, 13, 13]);
    assert!(o.log.iter().all(|r| r.error == 0));
    assert_eq!(o.log[8].eip, 0x20_1000 - 14);
    assert_eq!(o.exit, machine::Exit::Stuck);
    let _ = o.result(0);
}

/// Vol. 2, LOCK: #UD but on the read-modify-write instructions with a memory destination.
#[test]
fn lock_on_what_may_not_be_locked() {
    let at = RESULT.to_le_bytes();
    let with_address = |opcode: &[u8]| [&[0xf0], opcode, &at[..]].concat();
    let illegal = [
        vec![0xf0, 0x89, 0xc0],
        vec![0xf0, 0x01, 0xd8],
        vec![0xf0, 0x90],
        with_address(&[0x39, 0x05]),
        with_address(&[0x8b, 0x05]),
        with_address(&[0x03, 0x05]),
        with_address(&[0x0f, 0xa3, 0x05]),
        with_address(&[0x8d, 0x05]),
        vec![0xf0, 0x0f, 0xc8],
        vec![0xf0, 0xfa],
    ];
    let legal = [
        with_address(&[0x01, 0x05]),
        with_address(&[0xff, 0x05]),
        with_address(&[0x87, 0x05]),
        with_address(&[0x0f, 0xab, 0x05]),
        with_address(&[0x0f, 0xc1, 0x05]),
        with_address(&[0x0f, 0xb1, 0x05]),
        with_address(&[0x0f, 0xc7, 0x0d]),
        with_address(&[0xf7, 0x1d]),
    ];
    let expected: Vec<u32> = illegal.iter().map(|_| 6).chain(legal.iter().map(|_| OK)).collect();
    let o = Rig::protected(move |a| {
        for (n, bytes) in illegal.iter().chain(&legal).enumerate() {
            attempt(a, &format!("lock {n}"), |a| a.db(bytes))?;
        }
        Ok(())
    })
    .model(CpuModel::N270)
    .run();
    assert_eq!(o.vectors(), expected);
}
