//! Shadows, traces and the dirty log: what an engine finds, and when it must ask again.

use mem::{Memory, PAGE, PageKind, Rights, Role, TableUse, Trace, Window};

const ALL: Rights = Rights { read: true, write: true, execute: true };

fn memory() -> Memory {
    Memory::new(1 << 20).expect("1 MiB")
}

#[test]
fn an_entry_shows_its_frame_until_it_is_dropped() {
    let mut m = memory();
    assert_eq!(m.lookup_read(0x5000, 4), None);
    m.install(0x5000, 0x9000, ALL);
    let at = m.lookup_write(0x5ffc, 4).expect("installed");
    m.write(at, 0x1234_5678_u32.to_le_bytes());
    assert_eq!(m.dword(0x9ffc), Some(0x1234_5678));
    assert_eq!(m.physical_of(m.lookup_execute(0x5123), 0x5123), 0x9123);
    m.drop_pages(m.current(), 5, 1);
    assert_eq!(
        (m.lookup_read(0x5000, 1), m.lookup_write(0x5000, 1), m.lookup_execute(0x5000)),
        (None, None, 0)
    );
}

#[test]
fn an_access_across_the_page_is_never_plain() {
    let mut m = memory();
    m.install(0x5000, 0x9000, ALL);
    m.install(0x6000, 0xa000, ALL);
    assert!(m.lookup_read(0x5ffc, 4).is_some());
    assert_eq!(m.lookup_read(0x5ffd, 4), None);
    assert_eq!(m.lookup_write(0x5fff, 2), None);
}

#[test]
fn rights_are_kept_by_kind_of_access_and_privilege() {
    let mut m = memory();
    m.install(0x5000, 0x9000, Rights { read: true, write: false, execute: false });
    assert!(m.lookup_read(0x5000, 4).is_some() && m.lookup_write(0x5000, 4).is_none());
    assert_eq!(m.lookup_execute(0x5000), 0);
    m.set_user(true);
    assert_eq!(m.lookup_read(0x5000, 4), None);
    m.set_user(false);
    assert!(m.lookup_read(0x5000, 4).is_some());
}

#[test]
fn rom_and_devices_take_no_stores() {
    let mut m = memory();
    m.set_kind(0xf_0000, 0x1_0000, PageKind::Rom);
    m.set_kind(0xa_0000, 0x2_0000, PageKind::Mmio);
    m.install(0xf_0000, 0xf_0000, ALL);
    m.install(0xa_0000, 0xa_0000, ALL);
    assert!(m.lookup_read(0xf_0000, 4).is_some() && m.lookup_write(0xf_0000, 4).is_none());
    assert_eq!(m.lookup_read(0xa_0000, 4), None);
    m.write_physical(0xf_0000, &[1]);
    assert_eq!(m.dword(0xf_0000), Some(0));
    let mut bytes = [0; 2];
    m.read_physical(0xb_ffff, &mut bytes);
    assert_eq!(bytes, [0xff, 0]);
}

#[test]
fn a_switch_of_spaces_keeps_both() {
    let mut m = memory();
    assert!(m.activate(0x1000, Role(1), false));
    m.install(0x5000, 0x9000, ALL);
    assert!(m.activate(0x2000, Role(1), false));
    assert_eq!(m.lookup_read(0x5000, 4), None);
    m.install(0x5000, 0xa000, ALL);
    assert!(!m.activate(0x1000, Role(1), false));
    assert_eq!(m.physical_of(m.lookup_execute(0x5000), 0x5000), 0x9000);
    assert!(!m.activate(0x2000, Role(1), false));
    assert_eq!(m.physical_of(m.lookup_execute(0x5000), 0x5000), 0xa000);
    // another role of the same table is another space
    assert!(m.activate(0x2000, Role(3), false));
}

#[test]
fn tracing_a_table_takes_stores_away_in_every_space() {
    let mut m = memory();
    m.install(0x5000, 0x9000, ALL);
    let first = m.current();
    m.activate(0x1000, Role(1), false);
    m.install(0x7000, 0x9000, ALL);
    let table_use = TableUse { space: first, first_page: 0x400, pages_per_entry: 1, entry_size: 4 };
    m.trace_table(9, table_use);
    assert!(m.lookup_write(0x7000, 4).is_none() && m.lookup_read(0x7000, 4).is_some());
    m.activate(0, Role(0), false);
    assert!(m.lookup_write(0x5000, 4).is_none());
    m.install(0x5000, 0x9000, ALL);
    assert!(m.lookup_write(0x5000, 4).is_none(), "still traced");

    m.write_physical(0x9008, &[1, 2]);
    assert_eq!(m.take_table_write(), Some(Trace::Table { frame: 9, offset: 8, len: 2 }));
    assert!(!m.has_traces());

    m.install(0x40_1000, 0x3000, ALL);
    m.unshadow(9);
    assert_eq!(m.lookup_read(0x40_1000, 4), None, "what the table showed is gone");
    m.install(0x5000, 0x9000, ALL);
    assert!(m.lookup_write(0x5000, 4).is_some(), "and its trace");
}

#[test]
fn code_is_traced_by_grains_of_64_bytes() {
    let mut m = memory();
    m.install(0x5000, 0x9000, ALL);
    m.set_code(9, 1 << 2);
    m.install(0x5000, 0x9000, ALL);
    assert!(m.lookup_write(0x507c, 4).is_some(), "the grain before");
    assert_eq!(m.lookup_write(0x507d, 4), None, "one byte into the grain");
    assert_eq!(m.lookup_write(0x50bf, 1), None);
    assert!(m.lookup_write(0x50c0, 4).is_some(), "the grain after");
    m.write_physical(0x9080, &[0]);
    assert_eq!(m.take_code_writes(), [Trace::Code { frame: 9, grains: 1 << 2 }]);
    m.write_physical(0x90c0, &[0]);
    assert!(!m.has_traces());
    m.set_code(9, 0);
    m.install(0x5000, 0x9000, ALL);
    assert!(m.lookup_write(0x5080, 4).is_some());
}

#[test]
fn the_dirty_log_names_each_written_frame_once() {
    let mut m = memory();
    m.install(0x5000, 0x9000, ALL);
    m.start_dirty_log();
    assert_eq!(m.lookup_write(0x5000, 4), None, "the first store must be seen");
    assert_eq!(m.take_dirty(), []);
    m.write_physical(0x9000, &[1]);
    m.set_bits(0x4000, 0x20);
    assert_eq!(m.take_dirty(), [4, 9]);
    assert_eq!(m.take_dirty(), []);
    [0x9000, 0, 0x9000, 0x5000].iter().for_each(|&at| m.write_physical(at, &[1]));
    assert_eq!(m.take_dirty(), [0, 5, 9], "frame 0 as well");
    assert_eq!(m.take_dirty(), []);
    m.write_physical(0x9000, &[1]);
    m.install(0x5000, 0x9000, ALL);
    assert!(m.lookup_write(0x5000, 4).is_some(), "dirty already: stores are plain again");
    m.stop_dirty_log();
    m.install(0x6000, 0xa000, ALL);
    assert!(m.lookup_write(0x6000, 4).is_some());
}

#[test]
fn watched_frames_are_never_plain() {
    let mut m = memory();
    m.install(0x5000, 0x9000, ALL);
    m.watch(9, true);
    assert_eq!(m.lookup_read(0x5000, 4), None);
    m.install(0x5000, 0x9000, ALL);
    assert_eq!(m.lookup_read(0x5000, 4), None);
    m.watch(9, false);
    m.install(0x5000, 0x9000, ALL);
    assert!(m.lookup_read(0x5000, 4).is_some());
}

#[test]
fn an_alias_shows_memory_elsewhere_and_takes_no_stores() {
    let mut m = memory();
    m.load(0xf_fff0, &[0xea]);
    m.open_window(Window::rom(0xffff_0000, 0x1_0000, 0xf_0000));
    let mut byte = [0];
    m.read_physical(0xffff_fff0, &mut byte);
    assert_eq!(byte, [0xea]);
    m.install(0xffff_f000, 0xffff_f000, ALL);
    assert!(m.lookup_read(0xffff_fff0, 1).is_some() && m.lookup_write(0xffff_fff0, 1).is_none());
    // in the last page, too, an access that would leave the linear space is not plain
    assert_eq!(m.lookup_read(0xffff_fffe, 4), None);
}

#[test]
fn spaces_and_their_arrays_are_bounded() {
    let mut m = memory();
    for table in 0..500 {
        m.activate(table * PAGE, Role(1), false);
        m.install(0x5000, 0x9000, ALL);
    }
    assert!(m.space_count() < 200, "{} spaces", m.space_count());
    // a hostile guest touches every host page of the arrays of many spaces
    for table in 0..8 {
        m.activate(table * PAGE, Role(1), false);
        for user in [false, true] {
            m.set_user(user);
            (0..2048).for_each(|n| m.install(n << 21, 0x9000, ALL));
        }
    }
    let resident = resident_bytes();
    assert!(resident < 600 << 20, "{resident} bytes resident");
}

fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|l| l.starts_with("VmRSS:")).unwrap_or("VmRSS: 0 kB");
    line.split_whitespace().nth(1).and_then(|n| n.parse::<u64>().ok()).unwrap_or(0) << 10
}

#[test]
fn dropping_everything_leaves_memory_as_it_was() {
    let mut m = memory();
    m.load(0x9000, b"primary");
    let before = m.hash();
    for table in 0..5 {
        m.activate(table * PAGE, Role(1), false);
        m.install(0x5000, 0x9000, ALL);
    }
    m.drop_all();
    assert_eq!((m.lookup_read(0x5000, 4), m.hash()), (None, before));
    assert_eq!(m.space_count(), 1);
}

#[test]
fn one_frame_in_every_linear_page_goes_in_time_linear_in_the_pages() {
    let mut m = memory();
    let pages = || (0..1u32 << 20).map(|page| page << 12);
    pages().for_each(|at| m.install(at, 0x9000, ALL));
    assert!(pages().all(|at| m.lookup_write(at, 4).is_some()));
    m.drop_pages(m.current(), 0, 1 << 20);
    assert!(pages().all(|at| m.lookup_read(at, 4).is_none()));
    // the emptied list is in order
    m.install(0x5000, 0x9000, ALL);
    m.install(0x6000, 0x9000, ALL);
    m.drop_pages(m.current(), 5, 1);
    m.trace_table(9, table_use(&m, 0));
    assert_eq!(m.lookup_write(0x6000, 4), None);
    assert!(m.lookup_read(0x6000, 4).is_some());
}

fn table_use(m: &Memory, first_page: u32) -> TableUse {
    TableUse { space: m.current(), first_page, pages_per_entry: 1, entry_size: 4 }
}

#[test]
fn one_use_too_many_takes_the_oldest_away_and_no_other() {
    let mut m = memory();
    for n in 0..256 {
        m.trace_table(9, table_use(&m, n << 10));
        m.install(n << 22, 0xa000, ALL);
    }
    // one that is known takes nothing away
    m.trace_table(9, table_use(&m, 0));
    assert!(m.lookup_read(0, 4).is_some());
    m.trace_table(9, table_use(&m, 256 << 10));
    assert_eq!(m.table_uses(9).len(), 256);
    assert_eq!(m.lookup_read(0, 4), None);
    assert!((1..256u32).all(|n| m.lookup_read(n << 22, 4).is_some()));
}
