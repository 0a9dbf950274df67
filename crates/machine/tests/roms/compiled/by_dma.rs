//! Code that a device writes while it is hot: a bus master's transfer from the hard disk (PIIX3, IDE interface).

use super::*;

/// Ports of the disk and of its bus master.
const DISK: u32 = 0x1f0;
const MASTER: u32 = 0xe000;
/// The table of the transfer's pieces: one, of a sector.
const PIECES: u32 = PAGE + 0x1000;
const SECTOR: usize = 512;

/// Puts EAX's low byte to a port.
fn out(a: &mut Asm, port: u32, value: u32) -> Assembled {
    asm! { a => mov edx, port; mov eax, value; out dx, al; }
    Ok(())
}

fn configure(a: &mut Asm, register: u32, value: u32) -> Assembled {
    asm! { a =>
        mov dx, 0xcf8u32;
        mov eax, 0x8000_0900 | register;
        out dx, eax;
        mov dx, 0xcfcu32;
        mov eax, value;
        out dx, eax;
    }
    Ok(())
}

/// Switches the bus master on, and describes a transfer of a sector to [`PAGE`].
fn prepare(a: &mut Asm) -> Assembled {
    configure(a, 0x20, MASTER | 1)?;
    configure(a, 4, 5)?;
    asm! { a =>
        mov dword_ptr(PIECES), PAGE;
        mov dword_ptr(PIECES + 4), 0x8000_0000 | SECTOR as u32;
        mov edx, MASTER + 4;
        mov eax, PIECES;
        out dx, eax;
    }
    Ok(())
}

/// Starts the transfer of the sector whose number is in EBX: READ DMA.
fn start(a: &mut Asm) -> Assembled {
    out(a, MASTER + 2, 6)?;
    out(a, MASTER, 8)?;
    out(a, DISK + 2, 1)?;
    asm! { a => mov edx, DISK + 3; mov eax, ebx; out dx, al; }
    out(a, DISK + 4, 0)?;
    out(a, DISK + 5, 0)?;
    out(a, DISK + 6, 0xe0)?;
    out(a, DISK + 7, 0xc8)?;
    out(a, MASTER, 9)
}

/// Stops the bus master, and has the disk take its interrupt back.
fn finish(a: &mut Asm) -> Assembled {
    out(a, MASTER, 0)?;
    asm! { a => mov edx, DISK + 7; in_ al, dx; }
    Ok(())
}

fn disk(sectors: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = vec![0; 64 * SECTOR];
    for (place, code) in bytes.chunks_mut(SECTOR).zip(sectors) {
        place[..code.len()].copy_from_slice(code);
    }
    bytes
}

/// A routine that a loop calls is exchanged after every eighth call: a stale one gives another sum.
#[test]
fn a_routine_between_calls() {
    let mut o = Rig::protected(|a| {
        prepare(a)?;
        asm! { a =>
            mov ecx, 64;
            label "again";
            test cl, 7;
            jnz a.to("call");
            mov ebx, ecx;
            shr ebx, 3;
        }
        start(a)?;
        asm! { a =>
            mov edx, MASTER + 2;
            label "wait";
            in_ al, dx;
            test al, 4;
            jz a.to("wait");
        }
        finish(a)?;
        asm! { a =>
            label "call";
            mov ebx, PAGE;
            call ebx;
            add dword_ptr(RESULT), eax;
            dec ecx;
            jnz a.to("again");
        }
        Ok(())
    })
    .disk(disk(&(0..9u8).map(|k| vec![0xb8, k, 0, 0, 0, 0xc3]).collect::<Vec<_>>()))
    .hot()
    .run();
    assert_eq!(o.results(), [8 * (1..=8).sum::<u32>()]);
}

/// A loop that waits for its own end: the transfer puts another way on in the place of its jump back.
#[test]
fn the_loop_that_waits_for_it() {
    // inc esi; in al, dx; mov edi, 1; jmp back, and what becomes of it: mov edi, 2; ret in the jump's place
    let turns = [0x46u8, 0xec, 0xbf, 1, 0, 0, 0, 0xeb, 0xf7];
    let ends = vec![0x46, 0xec, 0xbf, 1, 0, 0, 0, 0xbf, 2, 0, 0, 0, 0xc3];
    let mut o = Rig::protected(move |a| {
        prepare(a)?;
        for (at, byte) in (PAGE..).zip(turns) {
            asm! { a => mov byte_ptr(at), u32::from(byte); }
        }
        asm! { a => xor ebx, ebx; xor esi, esi; }
        start(a)?;
        asm! { a =>
            mov edx, MASTER + 2;
            mov ebx, PAGE;
            call ebx; // comes back only if the jump was seen to have gone
            mov dword_ptr(RESULT), edi;
            mov dword_ptr(RESULT + 4), esi;
        }
        finish(a)
    })
    .disk(disk(&[ends]))
    .hot()
    .run();
    let [found, turns] = o.results();
    assert_eq!(found, 2);
    assert!(turns > TIMES, "the transfer was over after {turns} turns");
}
