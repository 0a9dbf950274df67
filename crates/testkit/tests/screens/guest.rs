//! Boot programs: a floppy's first track, of which the boot sector loads the rest.

use iced_x86::code_asm::*;
use test_roms::asm;
use test_roms::asm::{Asm, Assembled, assemble, rom};

/// What a guest sends to the debug console when its picture stands.
pub(crate) const DONE: &[u8] = b"drawn";
/// Where a guest puts the font that its BIOS gives it.
pub(crate) const FONT: u32 = 0x2_0000;
/// Where programs lie, behind the boot sector.
const PROGRAM: u32 = 0x7e00;
/// Sectors of a program: the rest of the first track.
const SECTORS: u32 = 17;
/// A table of descriptors, in RAM.
const GDT: u32 = 0x600;
/// What INT 10h says about a mode, in RAM.
const INFORMATION: u32 = 0x1000;

/// The guest's noise: a linear congruential generator. Bytes are bits 16 to 23.
pub(crate) fn noise(seed: u32) -> impl Iterator<Item = u32> {
    std::iter::successors(Some(step(seed)), |&n| Some(step(n)))
}

fn step(n: u32) -> u32 {
    n.wrapping_mul(1_103_515_245).wrapping_add(12_345)
}

/// `count` bytes of noise.
pub(crate) fn noise_bytes(seed: u32, count: usize) -> Vec<u8> {
    noise(seed).take(count).map(|n| (n >> 16) as u8).collect()
}

/// A floppy image that runs `program` and then halts for good.
pub(crate) fn floppy(program: &dyn Fn(&mut Asm) -> Assembled) -> Result<Vec<u8>, String> {
    let assembly = assemble(|a| {
        loader(a)?;
        a.section(16, PROGRAM)?;
        program(a)?;
        for &byte in DONE {
            asm! { a => mov al, u32::from(byte); out 0xe9u32, al; }
        }
        // idle with interrupts on, for the time to go on
        asm! { a => sti; label "idle"; hlt; jmp a.to("idle"); }
        Ok(())
    })?;
    let mut image = rom(&assembly.pieces, 0x7c00, 0x200 * (1 + SECTORS as usize), |at| at)?;
    image[510..512].copy_from_slice(&[0x55, 0xaa]);
    image.resize(1_474_560, 0);
    Ok(image)
}

fn loader(a: &mut Asm) -> Assembled {
    a.section(16, 0x7c00)?;
    asm! { a =>
        cli;
        xor ax, ax;
        mov ds, ax;
        mov es, ax;
        mov ss, ax;
        mov sp, 0x7c00u32;
        sti;
        cld;
        mov ax, 0x200 | SECTORS;
        mov bx, PROGRAM;
        mov cx, 2u32;
        mov dh, 0u32;
        int 0x13;
        label "failed";
        jc a.to("failed");
        mov ax, PROGRAM;
        jmp ax;
    }
    Ok(())
}

/// INT 10h with AX.
pub(crate) fn bios(a: &mut Asm, function: u32) -> Assembled {
    asm! { a => mov ax, function; int 0x10; }
    Ok(())
}

/// INT 10h with AX and BX.
pub(crate) fn bios_bx(a: &mut Asm, function: u32, argument: u32) -> Assembled {
    asm! { a => mov bx, argument; }
    bios(a, function)
}

/// A byte to a port.
pub(crate) fn out(a: &mut Asm, port: u32, value: u32) -> Assembled {
    asm! { a => mov dx, port; mov al, value; out dx, al; }
    Ok(())
}

/// A value to a register behind an index port.
pub(crate) fn index(a: &mut Asm, port: u32, register: u32, value: u32) -> Assembled {
    asm! { a => mov dx, port; mov ax, register | value << 8; out dx, ax; }
    Ok(())
}

/// Values to the CRTC's registers, their protection taken away.
pub(crate) fn crtc(a: &mut Asm, values: &[(u32, u32)]) -> Assembled {
    index(a, 0x3d4, 0x11, 0x0e)?;
    values.iter().try_for_each(|&(register, value)| index(a, 0x3d4, register, value))
}

/// Values to attribute registers; the display stays on.
pub(crate) fn attributes(a: &mut Asm, values: &[(u32, u32)]) -> Assembled {
    // input status 1 is at one of two places
    asm! { a => mov dx, 0x3bau32; in_ al, dx; mov dl, 0xdau32; in_ al, dx; }
    for &(register, value) in values {
        out(a, 0x3c0, register)?;
        out(a, 0x3c0, value)?;
    }
    out(a, 0x3c0, 0x20)
}

/// Noise into the memory at a segment, from offset 0.
pub(crate) fn fill(a: &mut Asm, name: &str, segment: u32, seed: u32, count: u32) -> Assembled {
    asm! { a =>
        mov ax, segment;
        mov es, ax;
        xor di, di;
        mov cx, count & 0xffff;
        mov ebx, seed;
        label name;
        imul_3 ebx, ebx, 1_103_515_245;
        add ebx, 12_345;
        mov eax, ebx;
        shr eax, 16u32;
        stosb;
        dec cx;
        jnz a.to(name);
    }
    Ok(())
}

/// Noise into each plane, of seeds `seed` to `seed + 3`.
pub(crate) fn fill_planes(a: &mut Asm, seed: u32, count: u32) -> Assembled {
    for plane in 0..4 {
        index(a, 0x3c4, 2, 1 << plane)?;
        fill(a, &format!("plane {plane} of {seed}"), 0xa000, seed + plane, count)?;
    }
    index(a, 0x3c4, 2, 15)
}

/// The colours of the DAC, in noise of seed 99.
pub(crate) fn dac(a: &mut Asm) -> Assembled {
    out(a, 0x3c8, 0)?;
    asm! { a =>
        mov dx, 0x3c9u32;
        mov cx, 768u32;
        mov ebx, 99u32;
        label "dac";
        imul_3 ebx, ebx, 1_103_515_245;
        add ebx, 12_345;
        mov eax, ebx;
        shr eax, 16u32;
        out dx, al;
        dec cx;
        jnz a.to("dac");
    }
    Ok(())
}

/// Copies `count` bytes of the font that INT 10h, function 1130h names `which` to [`FONT`] + `to`.
pub(crate) fn keep_font(a: &mut Asm, which: u32, to: u32, count: u32) -> Assembled {
    bios_bx(a, 0x1130, which << 8)?;
    asm! { a =>
        push ds;
        mov ax, es;
        mov ds, ax;
        mov si, bp;
        mov ax, FONT >> 4;
        mov es, ax;
        mov di, to;
        mov cx, count;
        rep_movsb;
        pop ds;
    }
    Ok(())
}

/// Makes a font of noise and loads it: `height` lines, block `block`.
pub(crate) fn load_font(a: &mut Asm, seed: u32, height: u32, block: u32) -> Assembled {
    fill(a, &format!("font {seed}"), 0x3000, seed, 256 * height)?;
    asm! { a => xor bp, bp; mov cx, 256u32; xor dx, dx; }
    bios_bx(a, 0x1100, height << 8 | block)
}

/// A VBE register of Bochs's interface.
pub(crate) fn vbe(a: &mut Asm, register: u32, value: u32) -> Assembled {
    asm! { a =>
        mov dx, 0x1ceu32;
        mov ax, register;
        out dx, ax;
        inc dx;
        mov ax, value;
        out dx, ax;
    }
    Ok(())
}

/// ES gets a limit of 4 GiB ("unreal mode"), and EDI the linear frame buffer's address, as VBE's
/// function 01h tells it.
pub(crate) fn frame_buffer(a: &mut Asm) -> Assembled {
    asm! { a =>
        xor ax, ax;
        mov es, ax;
        mov di, INFORMATION;
        mov cx, 0x101u32;
        mov ax, 0x4f01u32;
        int 0x10;
        // the gate of A20
        in_ al, 0x92u32;
        or al, 2u32;
        out 0x92u32, al;
        mov dword_ptr(GDT + 8), 0x0000_ffffu32;
        mov dword_ptr(GDT + 12), 0x00cf_9200u32;
        mov word_ptr(GDT), 15u32;
        mov dword_ptr(GDT + 2), GDT;
        cli;
        lgdt fword_ptr(GDT);
        mov eax, cr0;
        or al, 1u32;
        mov cr0, eax;
        mov bx, 8u32;
        mov es, bx;
        and al, 0xfeu32;
        mov cr0, eax;
        xor bx, bx;
        mov es, bx;
        sti;
        mov edi, dword_ptr(INFORMATION + 0x28);
    }
    Ok(())
}

/// `count` doublewords of noise through ES:EDI.
pub(crate) fn fill_linear(a: &mut Asm, name: &str, seed: u32, count: u32) -> Assembled {
    asm! { a =>
        mov ecx, count;
        mov ebx, seed;
        label name;
        imul_3 ebx, ebx, 1_103_515_245;
        add ebx, 12_345;
        mov dword_ptr(edi).es(), ebx;
        add edi, 4u32;
        dec ecx;
        jnz a.to(name);
    }
    Ok(())
}
