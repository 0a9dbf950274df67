//! What drivers do, and what the data sheet says to it.

use super::*;
use crate::testing::{fuzz, round_trip};

const MAC: [u8; 6] = [0x52, 0x54, 0x00, 0x12, 0x34, 0x56];
const CR: u16 = 0;
const PSTART: u16 = 1;
const PSTOP: u16 = 2;
const BNRY: u16 = 3;
const TPSR: u16 = 4;
const TBCR: u16 = 5;
const ISR: u16 = 7;
const RSAR: u16 = 8;
const RBCR: u16 = 10;
const RCR: u16 = 12;
const TCR: u16 = 13;
const DCR: u16 = 14;
const IMR: u16 = 15;
const DATA: u16 = 16;
const RESET: u16 = 31;

fn out(n: &mut Ne2000, port: u16, value: u8) {
    n.write(port, 1, value.into(), 0);
}

fn inp(n: &mut Ne2000, port: u16) -> u8 {
    n.read(port, 1, 0) as u8
}

/// A remote operation: 1 reads, 2 writes.
fn remote(n: &mut Ne2000, operation: u8, at: u16, count: u16) {
    let ([al, ah], [cl, ch]) = (at.to_le_bytes(), count.to_le_bytes());
    out(n, CR, 0x22);
    [(RBCR, cl), (RBCR + 1, ch), (RSAR, al), (RSAR + 1, ah)].iter().for_each(|&(port, v)| out(n, port, v));
    out(n, CR, 0x02 | operation << 3);
}

fn fetch(n: &mut Ne2000, at: u16, count: u16) -> Vec<u8> {
    remote(n, 1, at, count);
    (0..count / 2).flat_map(|_| (n.read(DATA, 2, 0) as u16).to_le_bytes()).collect()
}

fn store(n: &mut Ne2000, at: u16, bytes: &[u8]) {
    remote(n, 2, at, bytes.len() as u16);
    bytes.chunks(2).for_each(|w| n.write(DATA, 2, u16::from_le_bytes([w[0], w[1]]).into(), 0));
}

/// A card as a driver leaves it: word transfers, transmission at 40h, a ring from 46h to 80h.
fn started(model: Model) -> Ne2000 {
    let mut n = Ne2000::new(model, MAC);
    let setup = [(CR, 0x21), (DCR, 0x49), (RCR, 0x04), (TCR, 0), (PSTART, 0x46), (BNRY, 0x46), (PSTOP, 0x80)];
    setup.iter().for_each(|&(port, v)| out(&mut n, port, v));
    out(&mut n, CR, 0x61);
    out(&mut n, 7, 0x47);
    out(&mut n, CR, 0x22);
    out(&mut n, IMR, 0x1f);
    n
}

fn frame(to: [u8; 6], len: usize) -> Vec<u8> {
    let mut f = [&to[..], &[2, 0, 0, 0, 0, 1], &[8, 0]].concat();
    f.extend((0..len - 14).map(|i| i as u8));
    f
}

// The order of Linux's and Etherboot's probes: registers that answer, the reset port, RST, the PROM.
#[test]
fn drivers_find_it() {
    let mut n = Ne2000::new(Model::Ne2000, MAC);
    assert_eq!(inp(&mut n, CR), 0x21);
    out(&mut n, CR, 0x61);
    out(&mut n, 13, 0xff);
    out(&mut n, CR, 0x20);
    inp(&mut n, 13);
    assert_eq!(inp(&mut n, 13), 0, "a tally counter is cleared by its reading");
    out(&mut n, ISR, 0xff);
    let byte = inp(&mut n, RESET);
    out(&mut n, RESET, byte);
    assert_eq!(inp(&mut n, ISR) & 0x80, 0x80);
    out(&mut n, DCR, 0x48);
    remote(&mut n, 1, 0, 32);
    let prom: Vec<u8> = (0..32).map(|_| inp(&mut n, DATA)).collect();
    assert!(prom.chunks(2).all(|p| p[0] == p[1]), "a 16-bit card in bytes: each twice");
    let halves: Vec<u8> = prom.chunks(2).map(|p| p[0]).collect();
    assert_eq!(halves[..6], MAC);
    assert_eq!(halves[14..], [0x57, 0x57]);
    assert_eq!(inp(&mut n, ISR) & 0x40, 0x40, "remote DMA complete");
    out(&mut n, DCR, 0x49);
    remote(&mut n, 1, 0, 32);
    let bytes: Vec<u8> = (0..6).map(|_| inp(&mut n, DATA)).collect();
    assert_eq!(bytes, MAC, "a byte access takes the low half of each word");
}

#[test]
fn realtek_names_itself() {
    let mut n = Ne2000::new(Model::Rtl8029, MAC);
    assert_eq!((inp(&mut n, 10), inp(&mut n, 11)), (0x50, 0x43));
    out(&mut n, CR, 0xe1);
    assert_eq!((inp(&mut n, 14), inp(&mut n, 15)), (0x29, 0x80));
    out(&mut n, 5, 0x40);
    assert_eq!(inp(&mut n, 5), 0, "locked");
    out(&mut n, 1, 0xc0);
    out(&mut n, 5, 0x40);
    assert_eq!(inp(&mut n, 5), 0x40);
    let mut isa = Ne2000::new(Model::Ne2000, MAC);
    assert_eq!((inp(&mut isa, 10), inp(&mut isa, 11)), (0xff, 0xff));
    let f = pci_function();
    assert_eq!((f.word(0), f.word(2), f.word(10), f.byte(0x3d)), (0x10ec, 0x8029, 0x0200, 1));
}

#[test]
fn memory_in_bytes_words_and_dwords() {
    let mut n = started(Model::Rtl8029);
    store(&mut n, 0x4000, b"abcdefgh");
    assert_eq!(fetch(&mut n, 0x4002, 4), b"cdef");
    remote(&mut n, 1, 0x4000, 8);
    assert_eq!((n.read(DATA, 4, 0), n.read(DATA, 4, 0)), (0x6463_6261, 0x6867_6665));
    assert_eq!(n.read(DATA, 4, 0), u32::MAX, "nothing is left");
    out(&mut n, DCR, 0x48);
    remote(&mut n, 1, 0x4001, 3);
    assert_eq!((n.read(DATA, 2, 0), inp(&mut n, DATA)), (0x6362, b'd'));
    out(&mut n, ISR, 0x40);
    assert_eq!(inp(&mut n, ISR) & 0x40, 0);
    store(&mut n, 0x8000, b"zz");
    store(&mut n, 0x2000, b"zz");
    out(&mut n, DCR, 0x49);
    assert_eq!(fetch(&mut n, 0x8000, 2), [0xff; 2], "no memory");
    assert_eq!(fetch(&mut n, 0x4000, 2), b"ab");
}

#[test]
fn page_2_shows_what_page_0_takes() {
    let mut n = started(Model::Ne2000);
    out(&mut n, TPSR, 0x40);
    out(&mut n, CR, 0xa2);
    let read: Vec<u8> = [1, 2, 4, 12, 13, 14, 15].iter().map(|&at| inp(&mut n, at)).collect();
    assert_eq!(read, [0x46, 0x80, 0x40, 0xc4, 0xe0, 0xc9, 0x9f]);
}

#[test]
fn transmission_takes_its_time() {
    let mut n = started(Model::Ne2000);
    let f = frame([0xff; 6], 100);
    store(&mut n, 0x4000, &f);
    [(TPSR, 0x40), (TBCR, 100), (TBCR + 1, 0), (CR, 0x26)].iter().for_each(|&(port, v)| out(&mut n, port, v));
    assert_eq!((inp(&mut n, CR), n.take_frame()), (0x26, None));
    let due = n.deadline().expect("under way");
    assert_eq!(due, 112 * 800);
    n.advance(due - 1);
    assert!(!n.irq());
    n.advance(due);
    assert!(n.irq());
    assert_eq!((n.take_frame(), n.deadline()), (Some(f), None));
    assert_eq!((inp(&mut n, CR), inp(&mut n, ISR) & 2, inp(&mut n, TPSR) & 1), (0x22, 2, 1));
    out(&mut n, CR, 0x21);
    out(&mut n, CR, 0x25);
    assert_eq!(n.deadline(), None, "stopped");
}

fn send(n: &mut Ne2000, f: &[u8]) {
    let mut even = f.to_vec();
    even.resize(f.len().next_multiple_of(2), 0);
    store(n, 0x4000, &even);
    let [low, high] = (f.len() as u16).to_le_bytes();
    [(TPSR, 0x40), (TBCR, low), (TBCR + 1, high), (CR, 0x26)].iter().for_each(|&(port, v)| out(n, port, v));
    n.advance(u64::MAX);
}

#[test]
fn own_check_sequences_and_long_frames() {
    let mut n = started(Model::Ne2000);
    let f = frame([0xff; 6], 60);
    out(&mut n, TCR, 0x01);
    send(&mut n, &[&f[..], &crc::fcs(&f)].concat());
    assert_eq!(n.take_frame(), Some(f.clone()));
    send(&mut n, &[&f[..], b"nope"].concat());
    assert_eq!(n.take_frame(), None);
    out(&mut n, TCR, 0);
    send(&mut n, &frame([0xff; 6], MAX_FRAME));
    assert_eq!(n.take_frame().map(|f| f.len()), Some(MAX_FRAME));
    send(&mut n, &frame([0xff; 6], MAX_FRAME + 1));
    assert_eq!(n.take_frame(), None);
    (0..OUTPUT_LIMIT + 3).for_each(|_| send(&mut n, &f));
    assert_eq!(std::iter::from_fn(|| n.take_frame()).count(), OUTPUT_LIMIT);
}

#[test]
fn a_packet_in_the_ring() {
    let mut n = started(Model::Ne2000);
    assert!(n.receive(&frame(MAC, 42)));
    assert!(n.irq());
    assert_eq!(fetch(&mut n, 0x4700, 4), [0x01, 0x48, 64, 0]);
    let body = fetch(&mut n, 0x4704, 64);
    let mut padded = frame(MAC, 42);
    padded.resize(60, 0);
    assert_eq!(body, [&padded[..], &crc::fcs(&padded)].concat());
    assert!(n.receive(&frame([0xff; 6], 249)));
    assert_eq!(fetch(&mut n, 0x4800, 4), [0x21, 0x4a, 253, 0], "with 4 + 249 + 4 bytes, two pages");
}

// From the last page of the ring to its first, and read back by remote DMA in one go.
#[test]
fn the_ring_wraps() {
    let mut n = started(Model::Ne2000);
    out(&mut n, CR, 0x62);
    out(&mut n, 7, 0x7f);
    out(&mut n, CR, 0x22);
    out(&mut n, BNRY, 0x7e);
    let f = frame(MAC, 600);
    assert!(n.receive(&f));
    assert_eq!(fetch(&mut n, 0x7f00, 4), [0x01, 0x48, 0x5c, 0x02]);
    assert_eq!(fetch(&mut n, 0x7f04, 600), f);
    out(&mut n, CR, 0x62);
    assert_eq!(inp(&mut n, 7), 0x48);
}

#[test]
fn send_packet_follows_the_boundary() {
    let mut n = started(Model::Ne2000);
    out(&mut n, BNRY, 0x47);
    let f = frame(MAC, 60);
    assert!(n.receive(&f));
    out(&mut n, CR, 0x1a);
    let read: Vec<u8> = (0..32).flat_map(|_| (n.read(DATA, 2, 0) as u16).to_le_bytes()).collect();
    assert_eq!(read[4..], f[..]);
    assert_eq!(inp(&mut n, BNRY), 0x48);
}

#[test]
fn overflow_keeps_what_is_there() {
    let mut n = started(Model::Ne2000);
    let long = frame(MAC, 1514);
    let mut taken = 0;
    while n.can_receive(long.len()) {
        assert!(n.receive(&long));
        taken += 1;
    }
    assert_eq!(taken, 9, "58 pages, of which one stays free and one was the boundary's: 9 times 6");
    assert!(!n.receive(&long));
    assert_eq!(inp(&mut n, ISR) & 0x90, 0x90);
    assert_eq!(inp(&mut n, 15), 1, "missed");
    assert_eq!(inp(&mut n, 12) & 0x11, 0x10);
    assert!(n.receive(&frame(MAC, 60)), "a short one fits");
    out(&mut n, BNRY, 0x4c);
    assert_eq!(inp(&mut n, ISR) & 0x80, 0);
    assert!(n.receive(&long));
}

#[test]
fn tally_counters_stop_and_interrupt() {
    let mut n = started(Model::Ne2000);
    out(&mut n, RCR, 0x24);
    out(&mut n, IMR, 0x20);
    (0..127).for_each(|_| assert!(!n.receive(&frame(MAC, 60))));
    assert!(!n.irq());
    (0..200).for_each(|_| assert!(!n.receive(&frame([0xff; 6], 60))));
    assert!(n.irq());
    assert_eq!(inp(&mut n, 12), 0x60, "monitor mode");
    assert_eq!((inp(&mut n, 15), inp(&mut n, 15)), (0xc0, 0));
}

#[test]
fn the_filter() {
    let mut n = started(Model::Ne2000);
    let group = [0x01, 0x00, 0x5e, 0x00, 0x00, 0x01];
    let mut taken = |rcr: u8, to: [u8; 6]| {
        out(&mut n, RCR, rcr);
        out(&mut n, BNRY, 0x46);
        out(&mut n, CR, 0x62);
        out(&mut n, 7, 0x47);
        // the group's filter bit is 31
        (8..16).for_each(|at| out(&mut n, at, if at == 11 { 0x80 } else { 0 }));
        out(&mut n, CR, 0x22);
        n.receive(&frame(to, 60))
    };
    let other = [0x52, 0x54, 0x00, 0x12, 0x34, 0x57];
    assert_eq!([0x00, 0x10].map(|rcr| taken(rcr, MAC)), [true, true]);
    assert_eq!([0x00, 0x04, 0x08, 0x10].map(|rcr| taken(rcr, other)), [false, false, false, true]);
    assert_eq!([0x00, 0x04, 0x08, 0x10].map(|rcr| taken(rcr, [0xff; 6])), [false, true, false, false]);
    assert_eq!([0x00, 0x04, 0x08, 0x10].map(|rcr| taken(rcr, group)), [false, false, true, false]);
    assert!(!taken(0x08, [0x01, 0x00, 0x5e, 0x00, 0x00, 0xfb]), "another bit");
}

// IEEE 802.3's CRC-32 of "123456789", and the filter bit of the all-hosts group as drivers compute it.
#[test]
fn check_sequences() {
    assert_eq!(crc::fcs(b"123456789"), 0xcbf4_3926_u32.to_le_bytes());
    let bitwise = |address: &[u8]| {
        let bits = address.iter().flat_map(|b| (0..8).map(move |n| u32::from(b >> n & 1)));
        bits.fold(u32::MAX, |crc, bit| if crc >> 31 != bit { crc << 1 ^ 0x04c1_1db7 } else { crc << 1 }) >> 26
    };
    for last in 0..=255 {
        let address = [0x01, 0x00, 0x5e, 0x7f, 0x00, last];
        assert_eq!(crc::hash(&address), bitwise(&address) as usize);
    }
}

// Data sheet, section 12: status after loopback through each of the three places.
#[test]
fn loopback() {
    let f = frame(MAC, 64);
    for (tcr, tsr) in [(0x02, 0x53), (0x04, 0x43), (0x06, 0x03)] {
        let mut n = started(Model::Ne2000);
        out(&mut n, DCR, 0x41);
        out(&mut n, TCR, tcr);
        send(&mut n, &f);
        assert_eq!((inp(&mut n, TPSR), inp(&mut n, RCR), inp(&mut n, ISR) & 0x0f), (tsr, 0x02, 0x02));
        assert_eq!(n.take_frame(), None);
        let fifo: Vec<u8> = (0..8).map(|_| inp(&mut n, 6)).collect();
        assert_eq!(fifo, [&[68, 0, 0, f[63]][..], &crc::fcs(&f)].concat());
        assert!(!n.receive(&f) && n.can_receive(60), "the network is not heard");
        let own = [&f[..], &crc::fcs(&f)].concat();
        out(&mut n, TCR, tcr | 1);
        send(&mut n, &own);
        assert_eq!(inp(&mut n, RCR), 0x01);
        send(&mut n, &[&f[..], b"nope"].concat());
        assert_eq!(inp(&mut n, RCR), 0x02);
    }
}

#[test]
fn rings_that_are_none() {
    for (start, stop, current, boundary) in [
        (0, 0, 0, 0),
        (0x80, 0x46, 0x60, 0x60),
        (0x46, 0x80, 0x10, 0x46),
        (0x46, 0x80, 0xf0, 0x46),
        (0x46, 0x47, 0x46, 0x46),
    ] {
        let mut n = started(Model::Ne2000);
        [(PSTART, start), (PSTOP, stop), (BNRY, boundary)].iter().for_each(|&(port, v)| out(&mut n, port, v));
        out(&mut n, CR, 0x62);
        out(&mut n, 7, current);
        assert!(n.can_receive(60), "waiting would be in vain");
        assert!(!n.receive(&frame(MAC, 60)));
    }
}

#[test]
fn state_round_trip() {
    let mut n = started(Model::Rtl8029);
    n.receive(&frame(MAC, 700));
    send(&mut n, &frame([0xff; 6], 77));
    out(&mut n, CR, 0x26);
    let state = n.save();
    let mut other = Ne2000::new(Model::Rtl8029, MAC);
    other.restore(&round_trip(&state)).expect("valid");
    assert_eq!(other.save(), state);
    other.advance(u64::MAX);
    assert!(other.take_frame().is_some() && other.take_frame().is_some());
    assert!(Ne2000::new(Model::Ne2000, MAC).restore(&state).is_err(), "another card");
    assert!(Ne2000::new(Model::Rtl8029, [2; 6]).restore(&state).is_err(), "another address");
    let Ne2000State::V1(good) = state;
    let broken: [fn(&mut Ne2000StateV1); 7] = [
        |s| s.memory.truncate(16),
        |s| s.imr = 0xff,
        |s| s.counters[1] = 0xc1,
        |s| s.fifo_at = 8,
        |s| s.sent_at = None,
        |s| s.sending = vec![0; 5000],
        |s| s.output.push_back(vec![0; 5000]),
    ];
    for (i, breaks) in broken.iter().enumerate() {
        let mut bad = good.clone();
        breaks(&mut bad);
        assert!(other.restore(&Ne2000State::V1(bad)).is_err(), "{i}");
    }
}

#[test]
fn random_accesses_never_panic() {
    for (seed, model) in [(12, Model::Ne2000), (13, Model::Rtl8029)] {
        let mut n = started(model);
        fuzz(seed, |r, now| {
            let (port, size) = (r.below(40) as u16, [1, 2, 4, 0, 3, 9][r.below(6) as usize]);
            match r.below(12) {
                0..5 => n.write(port, size, r.next() as u32, now),
                5..8 => _ = n.read(port, size, now),
                8 => n.write(0, 1, [0x22, 0x26, 0x0a, 0x12, 0x1a][r.below(5) as usize], now),
                9 | 10 => {
                    let len = r.below(1600) as usize;
                    let mut f = vec![r.byte(); len];
                    f.iter_mut()
                        .take(6)
                        .zip([&MAC, &[0xff; 6]][r.below(2) as usize])
                        .for_each(|(f, m)| *f = *m);
                    let _ = (n.can_receive(len), n.receive(&f));
                }
                _ => {
                    n.advance(now);
                    let _ = n.take_frame();
                }
            }
            let _ = (n.irq(), n.deadline());
        });
        let Ne2000State::V1(state) = n.save();
        assert_eq!(Ne2000::check(&state), Ok(()));
    }
}
