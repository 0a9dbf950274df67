//! Runs of string elements equal the elements one by one, whatever the overlap.

use mem::{HostAddress, Memory, Rights};

fn memory() -> (Memory, HostAddress) {
    let mut m = Memory::new(1 << 16).expect("64 KiB");
    m.install(0, 0, Rights { read: true, write: true, execute: false });
    let at = m.lookup_write(0, 1).expect("installed");
    (m, at)
}

fn bytes(m: &Memory) -> Vec<u8> {
    let mut out = vec![0; 4096];
    m.read_physical(0, &mut out);
    out
}

#[test]
fn copies_are_element_by_element_and_upwards() {
    for size in [1, 2, 4] {
        for (from, to) in
            [(0, 512), (512, 0), (0, 1), (0, 2), (0, 3), (0, 4), (4, 0), (0, 8), (1, 6), (8, 11)]
        {
            for count in [0, 1, 2, 3, 7, 64, 100] {
                let (mut m, base) = memory();
                let image: Vec<u8> = (0..4096u32).map(|n| (n * 7 + n / 256) as u8).collect();
                m.load(0, &image);
                let mut want = image;
                for n in (0..count * size).step_by(size) {
                    let element = want[from + n..from + n + size].to_vec();
                    want[to + n..to + n + size].copy_from_slice(&element);
                }
                let at = |n: usize| HostAddress(base.0 + n as u64);
                m.copy_run(at(from), at(to), size as u64, count as u64);
                assert_eq!(bytes(&m), want, "{count} elements of {size} from {from} to {to}");
            }
        }
    }
}

#[test]
fn fills_repeat_the_element() {
    for (size, value) in [(1u64, 0xab_u64), (2, 0xabcd), (4, 0x1234_5678)] {
        let (mut m, base) = memory();
        m.fill_run(HostAddress(base.0 + 3), size, 9, value | 0xffff_ffff_0000_0000);
        let got = bytes(&m);
        let element = &value.to_le_bytes()[..size as usize];
        assert!(got[3..3 + 9 * size as usize].chunks(size as usize).all(|c| c == element));
        assert_eq!((got[2], got[3 + 9 * size as usize]), (0, 0));
    }
}

#[test]
fn scans_stop_at_the_element_that_decides() {
    let (mut m, base) = memory();
    m.load(0, &[5, 5, 5, 7, 5]);
    assert_eq!(m.scan_run(base, 1, 5, 7, true), 4);
    assert_eq!(m.scan_run(base, 1, 5, 5, false), 4);
    assert_eq!(m.scan_run(base, 1, 5, 9, true), 5);
    m.load(16, &[5, 5, 5, 6, 5]);
    let other = HostAddress(base.0 + 16);
    assert_eq!(m.compare_run(base, other, 1, 5, false), 4);
    assert_eq!(m.compare_run(base, other, 1, 5, true), 1);
}

#[test]
fn addresses_outside_the_arena_do_nothing() {
    let (mut m, _) = memory();
    let before = m.hash();
    m.write(HostAddress(0x1000), [1, 2, 3, 4]);
    m.fill_run(HostAddress(u64::MAX - 3), 4, 2, 1);
    assert_eq!(m.read::<4>(HostAddress(8)), [0; 4]);
    assert_eq!(m.hash(), before);
}
