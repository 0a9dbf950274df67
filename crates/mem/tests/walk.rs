//! The guest page walker against the manual (SDM vol. 3A, chapter 4).

use mem::{Access, PageError, Paging, Physical, walk};
use std::collections::HashMap;

#[derive(Default)]
struct Tables(HashMap<u32, u32>);

impl Physical for Tables {
    fn read(&mut self, at: u32) -> u32 {
        self.0.get(&at).copied().unwrap_or(0)
    }
    fn set_bits(&mut self, at: u32, bits: u32) {
        *self.0.entry(at).or_default() |= bits;
    }
}

const P: u32 = 1;
const RW: u32 = 2;
const US: u32 = 4;
const A: u32 = 0x20;
const D: u32 = 0x40;
const PS: u32 = 0x80;

const PAGING: Paging = Paging {
    root: 0x1000,
    pse: true,
    pae: false,
    nxe: false,
    wp: true,
    a20_mask: u32::MAX,
    pdptes: [0x3001, 0, 0, 0],
};
const READ: Access = Access { write: false, user: false, fetch: false };
const WRITE: Access = Access { write: true, ..READ };
const USER: Access = Access { user: true, ..READ };
const FETCH: Access = Access { fetch: true, ..USER };

/// One page at linear 00C0_3000h (PDE 3, PTE 3), with the given bits in both entries.
fn two_levels(pde: u32, pte: u32) -> Tables {
    Tables(HashMap::from([(0x100c, 0x2000 | pde), (0x200c, 0x8_9000 | pte)]))
}

const LINEAR: u32 = 0x00c0_3abc;

#[test]
fn a_walk_finds_the_frame_and_sets_accessed_and_dirty() {
    let mut t = two_levels(P | RW, P | RW);
    let w = walk(&mut t, &PAGING, LINEAR, READ).expect("present");
    assert_eq!((w.frame, w.tables), (0x8_9000, [Some((0x1000, 1024)), Some((0x2000, 1))]));
    assert!(!w.writable, "D is clear: the first store must be seen");
    assert_eq!((t.0[&0x100c] & (A | D), t.0[&0x200c] & (A | D)), (A, A));
    let w = walk(&mut t, &PAGING, LINEAR, WRITE).expect("writable");
    assert!(w.writable);
    // 4.8: "the dirty flag ... in the paging-structure entry that maps the page" only
    assert_eq!((t.0[&0x100c] & (A | D), t.0[&0x200c] & (A | D)), (A, A | D));
}

#[test]
fn rights_are_those_of_both_levels() {
    let denied = Err(PageError { present: true, reserved: false });
    for (pde, pte, access, permitted) in [
        (P | RW | US, P | RW | US, Access { write: true, ..USER }, true),
        (P | US, P | RW | US, Access { write: true, ..USER }, false),
        (P | RW | US, P | US, Access { write: true, ..USER }, false),
        (P | RW, P | RW | US, USER, false),
        (P | RW | US, P | RW, USER, false),
        (P, P, READ, true),
        (P, P, WRITE, false),
    ] {
        let mut t = two_levels(pde, pte);
        let got = walk(&mut t, &PAGING, LINEAR, access);
        assert_eq!(got.is_ok(), permitted, "{pde:x} {pte:x} {access:?}");
        if !permitted {
            assert_eq!(got, denied);
            assert_eq!(t.0[&0x200c] & (A | D), 0, "a fault sets neither A nor D");
        }
    }
}

#[test]
fn without_wp_the_supervisor_writes_to_read_only_pages() {
    let mut t = two_levels(P, P);
    let paging = Paging { wp: false, ..PAGING };
    assert!(walk(&mut t, &paging, LINEAR, WRITE).expect("CR0.WP = 0").writable);
    let user = Access { user: true, ..WRITE };
    let mut t = two_levels(P | US, P | US);
    assert!(walk(&mut t, &paging, LINEAR, user).is_err());
}

#[test]
fn absent_entries_fault_without_the_present_bit() {
    let absent = Err(PageError { present: false, reserved: false });
    assert_eq!(walk(&mut two_levels(0, P), &PAGING, LINEAR, READ), absent);
    assert_eq!(walk(&mut two_levels(P, 0), &PAGING, LINEAR, READ), absent);
}

#[test]
fn large_pages_need_pse_and_clear_reserved_bits() {
    let mut t = Tables(HashMap::from([(0x100c, 0x0140_0000 | P | RW | PS)]));
    let w = walk(&mut t, &PAGING, LINEAR, WRITE).expect("4 MiB page");
    assert_eq!((w.frame, w.tables[1]), (0x0140_3000, None));
    assert_eq!(t.0[&0x100c] & (A | D), A | D);
    let mut t = Tables(HashMap::from([(0x100c, 0x0140_2000 | P | RW | PS)]));
    assert_eq!(walk(&mut t, &PAGING, LINEAR, READ), Err(PageError { present: true, reserved: true }));
    // without CR4.PSE the bit is ignored, and the entry names a table
    let mut t = Tables(HashMap::from([(0x100c, 0x2000 | P | RW | PS), (0x200c, 0x9000 | P | RW)]));
    let w = walk(&mut t, &Paging { pse: false, ..PAGING }, LINEAR, READ).expect("a table");
    assert_eq!(w.frame, 0x9000);
}

/// PAE: linear 00C0_3000h is PDPTE 0, PDE 6, PTE 3.
fn pae(pde: u64, pte: u64) -> Tables {
    let mut t = HashMap::new();
    for (at, v) in [(0x3030, 0x4000 | pde), (0x4018, 0x8_9000 | pte)] {
        t.insert(at, v as u32);
        t.insert(at + 4, (v >> 32) as u32);
    }
    Tables(t)
}

const NX: u64 = 1 << 63;

#[test]
fn pae_has_eight_byte_entries_and_no_execute() {
    let p = Paging { pae: true, nxe: true, ..PAGING };
    let w = walk(&mut pae(7, 7), &p, LINEAR, FETCH).expect("executable");
    assert_eq!((w.frame, w.tables), (0x8_9000, [Some((0x3000, 512)), Some((0x4000, 1))]));
    for (pde, pte) in [(7 | NX, 7), (7, 7 | NX)] {
        assert_eq!(
            walk(&mut pae(pde, pte), &p, LINEAR, FETCH),
            Err(PageError { present: true, reserved: false })
        );
        assert!(!walk(&mut pae(pde, pte), &p, LINEAR, USER).expect("data").executable);
    }
    // with EFER.NXE = 0 the bit is reserved
    let p = Paging { nxe: false, ..p };
    assert_eq!(walk(&mut pae(7, 7 | NX), &p, LINEAR, USER), Err(PageError { present: true, reserved: true }));
    assert_eq!(
        walk(&mut pae(7, 7 | 1 << 40), &p, LINEAR, USER),
        Err(PageError { present: true, reserved: true })
    );
}

#[test]
fn pae_large_pages_are_2_mib() {
    let p = Paging { pae: true, nxe: true, ..PAGING };
    let mut t = pae(0, 0);
    t.0.insert(0x3030, 0x0140_0000 | P | RW | US | PS);
    let w = walk(&mut t, &p, LINEAR, USER).expect("2 MiB page");
    assert_eq!((w.frame, w.tables), (0x0140_3000, [Some((0x3000, 512)), None]));
}

#[test]
fn a20_masks_frames_and_tables() {
    let p = Paging { a20_mask: !0x10_0000, ..PAGING };
    let mut t = Tables(HashMap::from([(0x100c, 0x10_2000 | P), (0x200c, 0x10_9000 | P)]));
    assert_eq!(walk(&mut t, &p, LINEAR, READ).expect("wrapped").frame, 0x9000);
}
