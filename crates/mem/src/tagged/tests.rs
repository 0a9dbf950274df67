#![allow(clippy::unwrap_used, reason = "helpers of tests fail their test")]

use super::*;
use crate::{PAGE, PageKind, Rights, Role, SpaceId, TableUse};

const ALL: Rights = Rights { read: true, write: true, execute: true };
const FINE: u64 = 1 << 63;
/// Linear addresses from one page to the next of the same place in a table.
const APART: u32 = TAGGED_ENTRIES * PAGE;

fn memory() -> Memory {
    let mut m = Memory::new(1 << 20).unwrap();
    m.tables();
    m
}

/// What compiled code finds in a table, by its own way to it.
fn found(m: &mut Memory, linear: u32, write: bool) -> Option<u64> {
    let Tables { read, write: stores } = m.tables();
    let table = if write { stores } else { read } as *const Slot;
    let index = (linear >> PAGE_SHIFT) % TAGGED_ENTRIES;
    // SAFETY: a table has so many entries, and lives as long as its space, the current one.
    let [tag, entry] = unsafe { table.add(index as usize).read() };
    (tag == u64::from(linear | (PAGE - 1))).then_some(entry)
}

/// Whether there is an entry once it was asked for.
fn asked(m: &mut Memory, linear: u32, write: bool) -> bool {
    m.refill(linear, write);
    found(m, linear, write).is_some()
}

/// A page shown for loads and stores, in both tables.
fn show(m: &mut Memory, linear: u32, at: u64) {
    m.install(linear, at, ALL);
    assert!(asked(m, linear, false) && asked(m, linear, true), "{linear:x}");
}

/// The entries for loads and for stores that are there.
fn both(m: &mut Memory, linear: u32) -> (bool, bool) {
    (found(m, linear, false).is_some(), found(m, linear, true).is_some())
}

/// How many entries the tables have; they are what the arrays have.
fn agreeing(m: &Memory) -> usize {
    let mut count = 0;
    for space in m.spaces.iter().flatten() {
        for (n, &[tag, entry]) in space.tagged.as_ref().unwrap().slots.iter().enumerate() {
            if tag != 0 {
                let array = [0, 1, 3, 4][n / TAGGED_ENTRIES as usize];
                assert_eq!(space.get(array, (tag >> PAGE_SHIFT) as u32), entry, "array {array}, tag {tag:x}");
                assert_ne!(entry, 0);
                count += 1;
            }
        }
    }
    count
}

fn use_of(m: &Memory) -> TableUse {
    TableUse { space: m.current(), first_page: 0, pages_per_entry: 1, entry_size: 4 }
}

#[test]
fn an_entry_is_there_once_it_was_missed() {
    let mut m = memory();
    m.install(0x5000, 0x9000, ALL);
    assert_eq!(both(&mut m, 0x5000), (false, false));
    show(&mut m, 0x5000, 0x9000);
    let entry = found(&mut m, 0x5abc, true).unwrap();
    assert_eq!(Some(entry + 0x5abc), m.lookup_write(0x5abc, 1).map(|h| h.0));
    assert_eq!(found(&mut m, 0x5abc, false), Some(entry));
    // what is not permitted is not there either
    assert!(!asked(&mut m, 0x6000, false));
    m.install(0x6000, 0xa000, Rights { read: true, write: false, execute: true });
    assert!(asked(&mut m, 0x6000, false) && !asked(&mut m, 0x6000, true));
    assert_eq!(agreeing(&m), 3);
}

#[test]
fn an_empty_entry_is_no_pages() {
    let mut m = memory();
    for at in [0, PAGE, APART, u32::MAX] {
        assert_eq!(both(&mut m, at), (false, false), "{at:x}");
    }
    show(&mut m, 0, 0x3000);
    show(&mut m, u32::MAX, 0x3000);
    // pages of 64-bit spaces: not 0, and all different
    let pages = [0, 1, 1 << 20, 1 << 32, (1 << 52) - 1];
    let mut tags = pages.map(tag);
    assert_eq!((tags[0], tags[4]), (0xfff, u64::MAX));
    tags.sort_unstable();
    assert!(tags.windows(2).all(|t| t[0] < t[1]));
}

#[test]
fn pages_of_one_place_take_turns() {
    let mut m = memory();
    show(&mut m, 0x5000, 0x9000);
    show(&mut m, 0x5000 + APART, 0xa000);
    assert_eq!(both(&mut m, 0x5000), (false, false));
    m.drop_pages(m.current(), 5, 1);
    assert_eq!(both(&mut m, 0x5000 + APART), (true, true), "the page that went has no entry there");
    assert_eq!(agreeing(&m), 2);
}

#[test]
fn privileges_and_spaces_have_tables_of_their_own() {
    let mut m = memory();
    show(&mut m, 0x5000, 0x9000);
    m.set_user(true);
    assert!(!asked(&mut m, 0x5000, false) && !asked(&mut m, 0x5000, true));
    m.install(0x5000, 0x9000, Rights { write: false, ..ALL });
    assert!(asked(&mut m, 0x5000, false) && !asked(&mut m, 0x5000, true));
    m.activate(0x1000, Role(1), true);
    assert!(!asked(&mut m, 0x5000, false));
    m.set_user(false);
    show(&mut m, 0x5000, 0xa000);
    m.activate(0, Role(0), false);
    assert_eq!(both(&mut m, 0x5000), (true, true));
    let entry = found(&mut m, 0x5000, false).unwrap();
    assert_eq!(entry + 0x5000, m.arena_base() + 0x9000);
    m.set_user(true);
    assert_eq!(both(&mut m, 0x5000), (true, false));
}

#[test]
fn a_trace_of_a_table_takes_the_entries_for_stores() {
    let mut m = memory();
    show(&mut m, 0x5000, 0x9000);
    m.activate(0x1000, Role(1), true);
    show(&mut m, 0x7000, 0x9000);
    m.trace_table(9, TableUse { first_page: 0x400, ..use_of(&m) });
    assert_eq!(both(&mut m, 0x7000), (true, false));
    assert!(!asked(&mut m, 0x7000, true), "it is not to be had again");
    m.activate(0, Role(0), false);
    assert_eq!(both(&mut m, 0x5000), (true, false));
}

#[test]
fn what_a_table_showed_goes_with_it() {
    let mut m = memory();
    m.trace_table(9, use_of(&m));
    show(&mut m, 0x5000, 0xa000);
    m.unshadow(9);
    assert_eq!(both(&mut m, 0x5000), (false, false));
}

#[test]
fn dropped_pages_and_frames_go() {
    let mut m = memory();
    show(&mut m, 0x5000, 0x9000);
    m.drop_pages(m.current(), 0, 16);
    assert_eq!(both(&mut m, 0x5000), (false, false));
    show(&mut m, 0x5000, 0x9000);
    m.drop_frame(9);
    assert_eq!(both(&mut m, 0x5000), (false, false));
    show(&mut m, 0x5000, 0x9000);
    m.watch(9, true);
    assert_eq!(both(&mut m, 0x5000), (false, false));
    m.watch(9, false);
    show(&mut m, 0x5000, 0x9000);
    m.set_kind(0x9000, PAGE, PageKind::Rom);
    assert_eq!(both(&mut m, 0x5000), (false, false));
}

#[test]
fn another_frame_at_the_same_page_is_seen() {
    let mut m = memory();
    show(&mut m, 0x5000, 0x9000);
    m.install(0x5000, 0xa000, Rights { write: false, ..ALL });
    assert_eq!(both(&mut m, 0x5000), (false, false));
    assert!(asked(&mut m, 0x5000, false) && !asked(&mut m, 0x5000, true));
    let entry = found(&mut m, 0x5000, false).unwrap();
    assert_eq!(entry + 0x5000, m.arena_base() + 0xa000);
}

#[test]
fn code_that_comes_and_goes_is_seen() {
    let mut m = memory();
    show(&mut m, 0x5000, 0x9000);
    assert_eq!(found(&mut m, 0x5000, true).map(|e| e & FINE), Some(0));
    m.add_code(9, 4);
    assert_eq!(both(&mut m, 0x5000), (true, false));
    show(&mut m, 0x5000, 0x9000);
    assert_eq!(found(&mut m, 0x5000, true).map(|e| e & FINE), Some(FINE));
    m.set_code(9, 0);
    assert_eq!(both(&mut m, 0x5000), (true, false));
    show(&mut m, 0x5000, 0x9000);
    assert_eq!(found(&mut m, 0x5000, true).map(|e| e & FINE), Some(0));
}

#[test]
fn logs_see_the_first_store() {
    let mut m = memory();
    show(&mut m, 0x5000, 0x9000);
    m.start_dirty_log();
    assert_eq!(both(&mut m, 0x5000), (true, false));
    assert!(!asked(&mut m, 0x5000, true));
    m.write_physical(0x9000, &[1]);
    show(&mut m, 0x5000, 0x9000);
    assert_eq!(m.take_dirty(), [9]);
    assert_eq!(both(&mut m, 0x5000), (true, false));
    m.write_physical(0x9000, &[1]);
    show(&mut m, 0x5000, 0x9000);
    assert_eq!(m.take_screen_writes(0x8000, 0x4000).len(), 4);
    assert_eq!(both(&mut m, 0x5000), (true, false));
}

#[test]
fn dropping_everything_empties_them() {
    let mut m = memory();
    show(&mut m, 0x5000, 0x9000);
    m.activate(0x1000, Role(1), false);
    show(&mut m, 0x5000, 0x9000);
    m.drop_all();
    assert_eq!((both(&mut m, 0x5000), agreeing(&m)), ((false, false), 0));
    m.activate(0, Role(0), false);
    assert_eq!(both(&mut m, 0x5000), (false, false));
}

#[test]
fn a_space_that_takes_the_place_of_another_has_none_of_its_entries() {
    let mut m = memory();
    show(&mut m, 0x5000, 0x9000);
    // more than are kept: numbers are used again
    for table in 1..300 {
        m.activate(table * PAGE, Role(1), false);
        assert_eq!(both(&mut m, 0x5000), (false, false), "{table}");
        show(&mut m, 0x5000, 0x9000);
    }
    m.reuse_current(0x9_0000, Role(2));
    assert_eq!(both(&mut m, 0x5000), (false, false));
    assert!(!asked(&mut m, 0x5000, false));
}

#[test]
fn arrays_that_are_given_back_leave_nothing_behind() {
    let mut m = memory();
    show(&mut m, 0x5000, 0x9000);
    let id = m.current();
    let space = m.spaces[usize::from(id.0)].as_mut().unwrap();
    space.wipe();
    assert_eq!((both(&mut m, 0x5000), agreeing(&m)), ((false, false), 0));
}

/// All that changes memory, traces and spaces, in some order: never does a table have what its array has not.
#[test]
fn tables_never_have_what_arrays_have_not() {
    let mut m = memory();
    let mut seed = 0x1234_5678_9abc_def1_u64;
    let mut below = move |n: u32| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        ((seed >> 20) % u64::from(n)) as u32
    };
    let mut most = 0;
    for step in 0..20_000 {
        let (linear, frame) = (below(12) * PAGE + below(3) * APART, below(12));
        let at = u64::from(frame * PAGE);
        let rights = Rights { read: below(4) != 0, write: below(2) == 0, execute: below(2) == 0 };
        match below(160) {
            0 => drop(m.activate(below(5) * PAGE, Role(below(2)), below(2) == 0)),
            1 | 2 => m.set_user(below(2) == 0),
            3 => m.set_code(frame, u64::from(below(3))),
            4 => m.add_code(frame, u64::from(below(3))),
            5 => m.trace_table(frame, TableUse { first_page: below(2) * 8, ..use_of(&m) }),
            6 | 7 => m.unshadow(frame),
            8 | 9 => m.watch(frame, below(8) == 0),
            10 if below(8) == 0 => m.start_dirty_log(),
            11 => m.stop_dirty_log(),
            12 => drop(m.take_dirty()),
            13 => drop(m.take_screen_writes(frame * PAGE, 2 * PAGE)),
            14 => m.drop_pages(SpaceId(below(4) as u16), linear >> PAGE_SHIFT, below(3)),
            15 => m.drop_frame(frame),
            16 if below(8) == 0 => m.drop_all(),
            17 => {
                let kind = [PageKind::Rom, PageKind::Mmio, PageKind::Ram][below(9).min(2) as usize];
                m.set_kind(frame * PAGE, PAGE, kind);
            }
            18 => m.set_bits(frame * PAGE, 0x20),
            19..40 => m.write_physical(at, &[1]),
            40..90 => m.install(linear, at, rights),
            90..96 => m.install_as(below(2) == 0, linear, at, rights),
            _ => m.refill(linear, below(2) == 0),
        }
        m.take_code_writes();
        while m.take_table_write().is_some() {}
        if step % 8 == 0 {
            most = most.max(agreeing(&m));
        }
    }
    assert!(most > 20, "{most}");
}
