//! Paging (SDM vol. 3A, chapter 4).

use crate::rig::*;
use iced_x86::code_asm::*;
use test_roms::asm;
use test_roms::asm::{Asm, Assembled};

const PT: u32 = TABLES + 0x1000;
/// A page for tries, and its entry.
const PAGE: u32 = 0x20_0000;
const ENTRY: u32 = PT + 0x200 * 4;

/// Entries count as they are at the next access: Ringer's shadows follow every store, although
/// the manual (4.10.4) asks for INVLPG after a change of rights.
#[test]
fn table_edits_are_seen_at_once() {
    let mut o = Rig::protected(|a| {
        paging_on(a)?;
        asm! { a =>
            mov dword_ptr(0x21_0000), 0x1111;
            mov dword_ptr(0x22_0000), 0x2222;
            mov dword_ptr(ENTRY), 0x21_0007;
            mov eax, dword_ptr(PAGE);
            mov dword_ptr(RESULT), eax;
            mov dword_ptr(ENTRY), 0x22_0007;
            mov eax, dword_ptr(PAGE);
            mov dword_ptr(RESULT + 4), eax;
        }
        attempt(a, "gone", |a| {
            asm! { a => mov dword_ptr(ENTRY), 0x22_0006; mov eax, dword_ptr(PAGE); }
            Ok(())
        })?;
        // a whole table goes and comes back
        attempt(a, "table gone", |a| {
            asm! { a => mov dword_ptr(TABLES + 4), 0x7000; mov eax, dword_ptr(0x40_0000); }
            Ok(())
        })?;
        asm! { a =>
            mov dword_ptr(TABLES + 4), PT | 7;
            mov eax, dword_ptr(0x40_0000 + 0x21_0000);
            mov dword_ptr(RESULT + 8), eax;
        }
        Ok(())
    })
    .paged()
    .run();
    assert_eq!(o.results(), [0x1111, 0x2222, 0x1111]);
    assert_eq!(o.faults(), [(14, 0), (14, 0)]);
    assert_eq!(o.log.iter().map(|r| r.cr2).collect::<Vec<_>>(), [PAGE, 0x40_0000]);
}

/// 4.8: accessed on use, dirty on write, in every level that has the bits.
#[test]
fn accessed_and_dirty() {
    let mut o = Rig::protected(|a| {
        paging_on(a)?;
        asm! { a =>
            mov eax, dword_ptr(PAGE);
            mov eax, dword_ptr(ENTRY);
            mov dword_ptr(RESULT), eax;
            mov dword_ptr(PAGE), 1;
            mov eax, dword_ptr(ENTRY);
            mov dword_ptr(RESULT + 4), eax;
            mov eax, dword_ptr(ENTRY + 4);
            mov dword_ptr(RESULT + 8), eax;
            mov eax, dword_ptr(TABLES);
            mov dword_ptr(RESULT + 12), eax;
            // D cleared by hand is set again by the next write
            mov dword_ptr(ENTRY), PAGE | 0x27;
            mov dword_ptr(PAGE), 2;
            mov eax, dword_ptr(ENTRY);
            mov dword_ptr(RESULT + 16), eax;
        }
        Ok(())
    })
    .paged()
    .run();
    let [read, written, unused, directory, again] = o.results();
    assert_eq!((read & 0x60, written & 0x60, unused & 0x60), (0x20, 0x60, 0));
    assert_eq!(directory & 0x60, 0x20, "a directory entry has no dirty bit");
    assert_eq!(again & 0x60, 0x60);
}

/// 4.6: user and supervisor, read-only, WP; the error codes of 4.7.
#[test]
fn rights_and_write_protection() {
    let mut o = Rig::protected(|a| {
        paging_on(a)?;
        asm! { a =>
            mov dword_ptr(ENTRY), PAGE | 5; // read-only
            mov dword_ptr(PAGE), 0x5a5a; // WP clear: the supervisor may
            mov eax, dword_ptr(PAGE);
            mov dword_ptr(RESULT), eax;
            mov eax, cr0;
            or eax, 0x1_0000;
            mov cr0, eax;
        }
        attempt(a, "wp", |a| {
            asm! { a => mov dword_ptr(PAGE), 1; }
            Ok(())
        })?;
        resume_at(a, "user wrote")?;
        to_user(a, "user", 2)?;
        asm! { a => label "user"; mov eax, dword_ptr(PAGE); mov dword_ptr(RESULT + 4), eax; mov dword_ptr(PAGE), 1; }
        asm! { a => label "user wrote"; mov dword_ptr(ENTRY), PAGE | 3; }
        resume_at(a, "user read")?;
        to_user(a, "user 2", 2)?;
        asm! { a => label "user 2"; mov eax, dword_ptr(PAGE); label "user read"; }
        // the directory's rights count as well
        asm! { a => mov dword_ptr(ENTRY), PAGE | 7; mov dword_ptr(TABLES + 4), PT | 5; }
        resume_at(a, "directory")?;
        to_user(a, "user 3", 2)?;
        asm! { a => label "user 3"; mov dword_ptr(PAGE + 0x40_0000), 1; label "directory"; }
        Ok(())
    })
    .paged()
    .run();
    assert_eq!(o.results(), [0x5a5a, 0x5a5a]);
    assert_eq!(o.faults(), [(14, 3), (14, 7), (14, 5), (14, 7)]);
}

/// 4.3: PSE makes 4 MiB pages.
#[test]
fn four_megabyte_pages() {
    let mut o = Rig::protected(|a| {
        asm! { a => mov eax, cr4; or eax, 0x10; mov cr4, eax; mov dword_ptr(0x12_3454), 0x7777; }
        paging_on(a)?;
        asm! { a =>
            mov eax, dword_ptr(0xc012_3454u32);
            mov dword_ptr(RESULT), eax;
            mov dword_ptr(0xc012_3458u32), 0x8888;
            mov eax, dword_ptr(TABLES + 0x300 * 4);
            mov dword_ptr(RESULT + 4), eax;
            mov eax, dword_ptr(0x12_3458);
            mov dword_ptr(RESULT + 8), eax;
        }
        // bits 21 to 13 beyond PSE-36's are reserved
        attempt(a, "reserved", |a| {
            asm! { a => mov dword_ptr(TABLES + 0x300 * 4), 0x20_0087; mov eax, dword_ptr(0xc000_0000u32); }
            Ok(())
        })
    })
    .paged()
    .dwords(TABLES + 0x300 * 4, &[0x87])
    .run();
    assert_eq!(o.results(), [0x7777, 0xe7, 0x8888]);
    assert_eq!(o.faults(), [(14, 9)]);
}

/// Tables for PAE: a pointer table at 3000h, a directory at 4000h that maps the first 4 MiB by
/// two large pages and the next 2 MiB by a table at 5000h.
fn pae(rig: Rig) -> Rig {
    let flat: Vec<u32> = (0..512u32).flat_map(|n| [(0x20_0000 + (n << 12)) | 7, 0]).collect();
    rig.dwords(TABLES, &[0x4001, 0, 0, 0, 0, 0, 0, 0])
        .dwords(0x4000, &[0x87, 0, 0x20_0087, 0, 0x5007, 0])
        .dwords(0x5000, &flat)
}

fn pae_on(a: &mut Asm) -> Assembled {
    asm! { a =>
        mov eax, cr4;
        or eax, 0x20;
        mov cr4, eax;
        mov ecx, 0xc000_0080u32;
        rdmsr;
        or eax, 0x800;
        wrmsr;
    }
    paging_on(a)
}

/// 4.4 and 4.6: PAE, and a fetch from a page with XD set.
#[test]
fn pae_and_execute_disable() {
    let mut o = pae(Rig::protected(|a| {
        pae_on(a)?;
        asm! { a =>
            mov byte_ptr(0x20_3000), 0xc3; // RET
            mov ebx, 0x40_3000; // the same frame
            movzx eax, byte_ptr(ebx);
            mov dword_ptr(RESULT), eax;
            call ebx;
            mov dword_ptr(RESULT + 4), 1;
            mov dword_ptr(0x5000 + 3 * 8 + 4), 0x8000_0000u32; // XD
            movzx eax, byte_ptr(ebx);
            mov dword_ptr(RESULT + 8), eax;
        }
        attempt(a, "nx", |a| a.call(ebx))?;
        // without NXE the bit is reserved
        asm! { a => mov ecx, 0xc000_0080u32; rdmsr; and eax, !0x800; wrmsr; }
        attempt(a, "reserved", |a| {
            asm! { a => movzx eax, byte_ptr(ebx); }
            Ok(())
        })
    }))
    .run();
    assert_eq!(o.results(), [0xc3, 1, 0xc3]);
    assert_eq!(o.faults(), [(14, 0x11), (14, 9)]);
    assert_eq!(o.log[0].eip, 0x40_3000);
}

/// 4.10.2.4 and 4.10.4.1: a change of CR3 shows the new tables, and global pages that differ
/// may or may not be cached; what must hold is what both tables say.
#[test]
fn another_address_space_and_global_pages() {
    const OTHER: u32 = 0x5000;
    let mut o = Rig::protected(|a| {
        asm! { a =>
            mov eax, cr4;
            or eax, 0x80;
            mov cr4, eax;
            // a second directory: as the first, but the page for tries is elsewhere
            mov esi, PT;
            mov edi, 0x7_0000;
            mov ecx, 0x400;
        }
        a.rep().movsd()?;
        asm! { a =>
            mov dword_ptr(0x7_0000 + 0x200 * 4), 0x22_0007;
            mov dword_ptr(OTHER), 0x7_0007;
            mov dword_ptr(0x21_0000), 0x1111;
            mov dword_ptr(0x22_0000), 0x2222;
            mov dword_ptr(ENTRY), 0x21_0007;
            mov dword_ptr(ENTRY + 4), 0x21_0107; // global, the same in both
            mov dword_ptr(0x7_0000 + 0x201 * 4), 0x21_0107;
        }
        paging_on(a)?;
        for n in 0..3 {
            let cr3_value = [TABLES, OTHER, TABLES][n as usize];
            asm! { a =>
                mov eax, cr3_value;
                mov cr3, eax;
                mov eax, dword_ptr(PAGE);
                mov dword_ptr(RESULT + n * 8), eax;
                mov eax, dword_ptr(PAGE + 0x1000);
                mov dword_ptr(RESULT + n * 8 + 4), eax;
            }
        }
        Ok(())
    })
    .paged()
    .run();
    assert_eq!(o.results(), [0x1111, 0x1111, 0x2222, 0x1111, 0x1111, 0x1111]);
}

/// 4.7 and 6.15: an access across two pages faults at the page that is not there, and a write
/// changes nothing of the other.
#[test]
fn an_access_across_pages_faults_whole() {
    let mut o = Rig::protected(|a| {
        paging_on(a)?;
        asm! { a => mov dword_ptr(ENTRY + 4), 0; mov dword_ptr(PAGE + 0xffc), 0x4444_4444; }
        attempt(a, "write", |a| {
            asm! { a => mov dword_ptr(PAGE + 0xffe), 0x5555_5555; }
            Ok(())
        })?;
        asm! { a => mov eax, dword_ptr(PAGE + 0xffc); mov dword_ptr(RESULT), eax; }
        attempt(a, "pop", |a| {
            asm! { a => push 0x99; pop dword_ptr(PAGE + 0xffd); }
            Ok(())
        })
    })
    .paged()
    .run();
    assert_eq!(o.result(0), 0x4444_4444);
    assert_eq!(o.faults(), [(14, 2); 2]);
    assert!(o.log.iter().all(|r| r.cr2 == PAGE + 0x1000));
}

/// 4.4.1: the PDPTEs are loaded with CR3, for whatever mode comes into use later.
#[test]
fn pointer_tables_are_loaded_for_each_mode_that_they_serve() {
    let mut o = pae(Rig::protected(|a| {
        asm! { a =>
            // a second directory: as the first, but its third entry shows the first frames
            mov dword_ptr(0x7_0000), 0x87;
            mov dword_ptr(0x7_0008), 0x20_0087;
            mov dword_ptr(0x7_0010), 0x87;
            mov dword_ptr(0x10_0000), 0x1111;
            mov dword_ptr(0x30_0000), 0x2222;
        }
        pae_on(a)?;
        asm! { a => mov eax, dword_ptr(0x50_0000); mov dword_ptr(RESULT), eax; }
        // WP set: another mode, in which the other directory comes in
        asm! { a =>
            mov eax, cr0;
            or eax, 0x1_0000;
            mov cr0, eax;
            mov eax, dword_ptr(0x50_0000);
            mov dword_ptr(RESULT + 4), eax;
            mov dword_ptr(TABLES), 0x7_0001;
            mov eax, cr3;
            mov cr3, eax;
            mov eax, dword_ptr(0x50_0000);
            mov dword_ptr(RESULT + 8), eax;
            mov eax, cr0;
            and eax, !0x1_0000;
            mov cr0, eax;
            mov eax, dword_ptr(0x50_0000);
            mov dword_ptr(RESULT + 12), eax;
        }
        Ok(())
    }))
    .run();
    assert_eq!(o.results(), [0x2222, 0x2222, 0x1111, 0x1111]);
}

/// 4.8 and 8.1.3: the bits that a walk sets in a table show where the table is executed.
#[test]
fn a_table_that_is_code_as_well() {
    let mut o = Rig::protected(|a| {
        paging_on(a)?;
        asm! { a =>
            mov byte_ptr(ENTRY - 1), 0xb8; // MOV EAX, the entry
            mov byte_ptr(ENTRY + 4), 0xc3; // RET
            mov esi, ENTRY - 1;
            call esi;
            mov dword_ptr(RESULT), eax;
            mov ebx, dword_ptr(PAGE);
            call esi;
            mov dword_ptr(RESULT + 4), eax;
            mov dword_ptr(PAGE), ebx;
            call esi;
            mov dword_ptr(RESULT + 8), eax;
        }
        Ok(())
    })
    .paged()
    .run();
    assert_eq!(o.results(), [PAGE | 7, PAGE | 0x27, PAGE | 0x67]);
}

/// 4.4.1: the PDPTEs are registers, loaded with CR3; reserved bits in them fault at MOV CR3, which
/// then changes nothing.
#[test]
fn pdptes_are_registers() {
    let mut o = pae(Rig::protected(|a| {
        pae_on(a)?;
        asm! { a =>
            // linear 3000h shows the frame of the pointer table itself
            mov dword_ptr(TABLES), 0; // not present, but the register still is
            mov eax, dword_ptr(0x40_3000);
            mov dword_ptr(RESULT), 1;
            mov dword_ptr(TABLES), 0x4003; // bit 1 is reserved
            mov eax, cr3;
        }
        attempt(a, "reserved", |a| {
            asm! { a => mov cr3, eax; }
            Ok(())
        })?;
        asm! { a =>
            mov eax, dword_ptr(0x40_3000);
            mov dword_ptr(RESULT + 4), 2;
        }
        Ok(())
    }))
    .run();
    assert_eq!(o.results(), [1, 2]);
    assert_eq!(o.faults(), [(13, 0)]);
}
