//! A ROM that runs instructions at CPL 3, one after the other, and says at port E9h how each ended: two hexadecimal
//! digits, the vector of its exception, or of the INT behind it.

use cpu::descriptor::{gate, segment};
use iced_x86::code_asm::*;
use test_roms::asm;
use test_roms::asm::{Asm, Assembled, Assembly, assemble, rom};

/// The vector that says that an instruction was completed.
pub(crate) const COMPLETED: u8 = 0x30;
/// What comes before the first.
pub(crate) const BEGIN: u8 = b'{';
/// What comes behind the last.
pub(crate) const END: u8 = b'.';

const GDT: u32 = 0x1000;
const IDT: u32 = 0x2000;
const TSS: u32 = 0x3000;
/// Where the table of instructions is read next.
const NEXT: u32 = 0x3800;
/// The instruction that runs, its data and its stack.
const CODE: u32 = 0x8000;
const DATA: u32 = 0xa000;
const STACK: u32 = 0xc000;
const AREA: u32 = 0x1000;
/// What two of those words are together.
const FAR_TARGET: u32 = (UDATA as u32) << 16 | UDATA as u32;
const KERNEL_STACK: u32 = 0x7000;

const KCODE: u16 = 0x08;
const KDATA: u16 = 0x10;
const UCODE: u16 = 0x1b;
const UDATA: u16 = 0x23;
const TASK: u16 = 0x28;

/// Where the parts of the ROM are assembled for.
const BASE: u32 = 0xf_0000;
const TABLE: u32 = BASE;
const TABLES: u32 = 0xf_c000;
const PROGRAM: u32 = 0xf_e000;
const START: u32 = 0xf_f000;

fn gdt() -> [u64; 6] {
    let tss = segment(TSS, 0x67, 0x89, 0);
    let code = segment(0, 0xf_ffff, 0x9b, 0xc);
    [
        0,
        code,
        segment(0, 0xf_ffff, 0x93, 0xc),
        segment(0, 0xf_ffff, 0xfb, 0xc),
        segment(0, 0xf_ffff, 0xf3, 0xc),
        tss,
    ]
}

/// Vectors that push an error code.
fn has_code(v: u32) -> bool {
    matches!(v, 8 | 10..=14 | 17)
}

/// The 64 KiB for a table of instructions; all are of 32-bit code and have their memory operand at EBX.
pub(crate) fn build(instructions: &[Vec<u8>]) -> Result<Vec<u8>, String> {
    let mut table = Vec::new();
    for i in instructions {
        table.push(i.len() as u8);
        table.extend(i);
    }
    table.push(0);
    if table.len() > (TABLES - TABLE) as usize {
        return Err(format!("{} bytes of instructions do not fit", table.len()));
    }
    let Assembly { pieces, labels } = assemble(|a| {
        start(a)?;
        program(a)
    })?;
    let mut image = rom(&pieces, BASE, 0x1_0000, |base| base)?;
    image[..table.len()].copy_from_slice(&table);
    let tables = (TABLES - BASE) as usize;
    for (n, d) in gdt().into_iter().enumerate() {
        image[tables + 8 * n..][..8].copy_from_slice(&d.to_le_bytes());
    }
    for v in 0..=u32::from(COMPLETED) {
        let dpl = if v == u32::from(COMPLETED) { 3 } else { 0 };
        let handler = labels[&format!("vector {v}")];
        image[tables + 0x100 + 8 * v as usize..][..8]
            .copy_from_slice(&gate(KCODE, handler, 0x8e | dpl << 5, 0).to_le_bytes());
    }
    Ok(image)
}

/// From the reset vector into protected mode.
fn start(a: &mut Asm) -> Assembled {
    a.section(16, 0xf_fff0)?;
    a.db(&[0xea, 0x00, 0xf0, 0x00, 0xf0])?;
    a.section(16, START)?;
    asm! { a =>
        cli;
        lgdt ptr(a.at("rom gdtr") & 0xffff).cs();
        mov eax, 0x11u32;
        mov cr0, eax;
        jmp_far32 KCODE, a.at("protected");
        label "rom gdtr";
    }
    a.dw(&[0x2f])?;
    a.dd(&[TABLES])
}

fn program(a: &mut Asm) -> Assembled {
    a.section(32, PROGRAM)?;
    asm! { a =>
        label "protected";
        mov eax, u32::from(KDATA);
        mov ds, ax;
        mov es, ax;
        mov ss, ax;
        mov esp, KERNEL_STACK;
        cld;
        mov esi, TABLES;
        mov edi, GDT;
        mov ecx, 12;
    }
    a.rep().movsd()?;
    asm! { a =>
        mov esi, TABLES + 0x100;
        mov edi, IDT;
        mov ecx, 2 * 0x31;
    }
    a.rep().movsd()?;
    asm! { a =>
        lgdt ptr(a.at("gdtr"));
        lidt ptr(a.at("idtr"));
        mov dword_ptr(TSS + 4), KERNEL_STACK;
        mov dword_ptr(TSS + 8), u32::from(KDATA);
        mov dword_ptr(TSS + 0x64), 0x68_0000;
        mov eax, u32::from(TASK);
        ltr ax;
        mov eax, 0x600;
        mov cr4, eax;
        mov dword_ptr(NEXT), TABLE;
        mov al, u32::from(BEGIN);
        out 0xe9, al;
        jmp a.to("next");
        label "gdtr";
    }
    a.dw(&[0x2f])?;
    a.dd(&[GDT])?;
    a.label("idtr")?;
    a.dw(&[0x31 * 8 - 1])?;
    a.dd(&[IDT])?;
    handlers(a)?;
    next(a)
}

/// Puts the next instruction in its place and goes there.
fn next(a: &mut Asm) -> Assembled {
    asm! { a =>
        label "next";
        mov esi, dword_ptr(NEXT);
        movzx ecx, byte_ptr(esi);
        inc esi;
        test ecx, ecx;
        jz a.to("end");
        mov edi, CODE;
    }
    a.rep().movsb()?;
    asm! { a =>
        mov word_ptr(edi), 0xcdu32 | u32::from(COMPLETED) << 8;
        mov dword_ptr(NEXT), esi;
        // where the words of data and stack lead as offsets, of 16 and of 32 bits
        mov word_ptr(u32::from(UDATA)), 0xcdu32 | u32::from(COMPLETED) << 8;
        mov word_ptr(FAR_TARGET), 0xcdu32 | u32::from(COMPLETED) << 8;
        mov eax, u32::from(UDATA) << 16 | u32::from(UDATA);
        mov edi, DATA;
        mov ecx, (STACK + AREA - DATA) / 4;
    }
    a.rep().stosd()?;
    asm! { a =>
        lgdt ptr(a.at("gdtr"));
        lidt ptr(a.at("idtr"));
        xor eax, eax;
        lldt ax;
        mov eax, 0x31u32;
        mov cr0, eax;
        fninit;
        mov eax, u32::from(UDATA);
        mov ds, ax;
        mov es, ax;
        mov fs, ax;
        mov gs, ax;
        push u32::from(UDATA);
        push STACK + AREA / 2;
        push 2;
        push u32::from(UCODE);
        push CODE;
        mov ecx, 1;
        xor edx, edx;
        mov ebx, DATA + AREA / 2;
        mov ebp, DATA + AREA / 2 + 0x100;
        mov esi, DATA + AREA / 2 + 0x200;
        mov edi, DATA + AREA / 2 + 0x300;
        iretd;
        label "end";
        mov al, u32::from(END);
        out 0xe9, al;
        label "halt";
        cli;
        hlt;
        jmp a.to("halt");
    }
    Ok(())
}

fn handlers(a: &mut Asm) -> Assembled {
    for v in 0..=u32::from(COMPLETED) {
        a.label(&format!("vector {v}"))?;
        if !has_code(v) {
            asm! { a => push 0; }
        }
        asm! { a => push v as i32; jmp a.to("handler"); }
    }
    asm! { a =>
        label "handler";
        mov ax, u32::from(KDATA);
        mov ds, ax;
        mov es, ax;
        pop ebx;
        cld;
        mov al, bl;
        shr al, 4;
        call a.to("digit");
        mov al, bl;
        and al, 0xf;
        call a.to("digit");
        mov esp, KERNEL_STACK;
        jmp a.to("next");
        label "digit";
        add al, u32::from(b'0');
        cmp al, u32::from(b'9');
        jbe a.to("out");
        add al, u32::from(b'a' - b'9' - 1);
        label "out";
        out 0xe9, al;
        ret;
    }
    Ok(())
}
