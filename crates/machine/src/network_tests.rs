//! The card as the board wires it, and in snapshots.

use crate::snapshot::SnapshotError;
use crate::{Clock, Config, Machine, Nic, NicKind, Pc};
use cpu::CpuModel;
use dev::pic8259::PicState;

const PCI: Nic = Nic { kind: NicKind::Pci, mac: Nic::MAC };
const ISA: Nic = Nic { kind: NicKind::Isa, mac: [2, 0, 0, 0, 0, 1] };
/// Who has 10.0.2.2? With the card's address still to be put in.
const QUESTION: [u8; 42] = [
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 8, 6, 0, 1, 8, 0, 6, 4, 0, 1, 0, 0, 0, 0, 0, 0, 10,
    0, 2, 15, 0, 0, 0, 0, 0, 0, 10, 0, 2, 2,
];

fn board(nic: Nic) -> Pc {
    let mut pc = Pc::new(Clock::new(true), 0, 1 << 20, true);
    pc.attach_nic(nic);
    pc
}

fn lines(pc: &Pc) -> u16 {
    let PicState::V1(s) = pc.pic.save();
    u16::from_le_bytes([s.chips[0].lines, s.chips[1].lines])
}

/// Starts the card at `base` and transmits the question at time 0.
fn ask(pc: &mut Pc, base: u16, mac: [u8; 6]) {
    let setup = [(0, 0x21), (14, 0x49), (12, 4), (13, 0), (1, 0x46), (2, 0x80), (3, 0x46)];
    setup.iter().for_each(|&(port, v)| pc.write_port(base + port, 1, v, 0));
    pc.write_port(base, 1, 0x61, 0);
    mac.iter().zip(1..).for_each(|(&b, port)| pc.write_port(base + port, 1, b.into(), 0));
    pc.write_port(base + 7, 1, 0x47, 0);
    let [remote, start] = [[(10, 42), (11, 0), (8, 0), (9, 0x40)], [(15, 0x03), (4, 0x40), (5, 60), (6, 0)]];
    pc.write_port(base, 1, 0x22, 0);
    remote.iter().for_each(|&(port, v)| pc.write_port(base + port, 1, v, 0));
    pc.write_port(base, 1, 0x12, 0);
    let mut frame = QUESTION;
    [6, 22].iter().for_each(|&at| frame[at..at + 6].copy_from_slice(&mac));
    frame.chunks(2).for_each(|w| pc.write_port(base + 16, 2, u16::from_le_bytes([w[0], w[1]]).into(), 0));
    start.iter().for_each(|&(port, v)| pc.write_port(base + port, 1, v, 0));
    pc.write_port(base, 1, 0x26, 0);
}

/// Sends, is told so, and hears the answer.
fn converse(nic: Nic, base: u16, irq: u8) {
    let mut pc = board(nic);
    let mut mem = crate::pc_memory::memory(1 << 20).expect("memory");
    ask(&mut pc, base, nic.mac);
    let sent = pc.deadline().expect("a transmission");
    pc.advance(&mut mem, sent);
    assert_eq!(lines(&pc) >> irq & 1, 1);
    assert_eq!(pc.read_port(base + 7, 1, sent) & 3, 2, "sent, and nothing heard");
    pc.write_port(base + 7, 1, 2, sent);
    assert_eq!(lines(&pc) >> irq & 1, 0);
    let heard = pc.deadline().expect("an answer");
    assert_eq!(heard, sent + 100_000);
    pc.advance(&mut mem, heard);
    assert_eq!(lines(&pc) >> irq & 1, 1);
    assert_eq!(pc.read_port(base + 7, 1, heard) & 3, 1);
    [(0, 0x22), (10, 64), (11, 0), (8, 4), (9, 0x47), (0, 0x0a)]
        .iter()
        .for_each(|&(port, v)| pc.write_port(base + port, 1, v, heard));
    let words = (0..16).map(|_| pc.read_port(base + 16, 2, heard) as u16);
    let frame: Vec<u8> = words.flat_map(u16::to_le_bytes).collect();
    assert_eq!(frame[..6], nic.mac);
    assert_eq!(frame[20..22], [0, 2], "an ARP reply");
    assert_eq!(frame[28..32], [10, 0, 2, 2]);
}

#[test]
fn an_isa_card_converses() {
    converse(ISA, 0x300, 10);
}

#[test]
fn a_pci_card_converses_without_firmware() {
    converse(PCI, 0xc000, 11);
}

#[test]
fn lines_are_shared() {
    let mut pc = board(PCI);
    let mut mem = crate::pc_memory::memory(1 << 20).expect("memory");
    if let Some(f) = pc.pci.function_mut(dev::pci::ISA_BRIDGE) {
        f.set(0x62, &[4]);
    }
    // the serial port's transmitter is empty: it pulls IRQ 4 as well
    pc.write_port(0x3fc, 1, 0x08, 0);
    ask(&mut pc, 0xc000, PCI.mac);
    pc.advance(&mut mem, 1_000_000);
    assert_eq!(lines(&pc), 1 << 4);
    pc.write_port(0x3f9, 1, 0x02, 0);
    assert_eq!(lines(&pc), 1 << 4);
    pc.write_port(0xc00f, 1, 0, 1_000_000);
    assert_eq!(lines(&pc), 1 << 4, "the serial port still does");
    pc.write_port(0x3f9, 1, 0, 0);
    assert_eq!(lines(&pc), 0);
}

#[test]
fn ports_are_where_the_bar_says() {
    let mut pc = board(PCI);
    assert_eq!(pc.read_port(0xc000, 1, 0), 0x21);
    assert_eq!(pc.read_port(0xc00a, 2, 0), 0x4350);
    pc.write_port(0xcf8, 4, 0x8000_1810, 0);
    pc.write_port(0xcfc, 4, 0xd000, 0);
    assert_eq!((pc.read_port(0xc000, 1, 0), pc.read_port(0xd000, 1, 0)), (0xff, 0x21));
    pc.write_port(0xcf8, 4, 0x8000_1804, 0);
    pc.write_port(0xcfc, 2, 0, 0);
    assert_eq!(pc.read_port(0xd000, 1, 0), 0xff, "not enabled");
    pc.write_port(0xcf8, 4, 0x8000_1800, 0);
    assert_eq!(pc.read_port(0xcfc, 4, 0), 0x8029_10ec);
    pc.detach_nic();
    assert_eq!(pc.read_port(0xcfc, 4, 0), u32::MAX);
}

fn machine(nic: Option<Nic>) -> Machine {
    let config = Config { memory: 1 << 20, model: CpuModel::N270, deterministic: true, epoch: 0 };
    let mut machine = Machine::new(config, Box::<interp::Interpreter>::default()).expect("made");
    if let Some(nic) = nic {
        machine.board().attach_nic(nic);
    }
    machine
}

fn load(saved: &[u8], media: impl FnOnce(&mut Pc)) -> Result<Machine, SnapshotError> {
    Machine::load(saved, Box::<interp::Interpreter>::default(), media)
}

#[test]
fn a_reset_keeps_the_card() {
    for nic in [PCI, ISA] {
        let mut m = machine(Some(nic));
        let fresh = m.state_hash();
        let base = if nic == PCI { 0xc000 } else { 0x300 };
        ask(m.board(), base, nic.mac);
        assert_ne!(m.state_hash(), fresh);
        m.reset();
        assert_eq!((m.board().nic(), m.state_hash()), (Some(nic), fresh));
    }
}

#[test]
fn frames_under_way_are_saved() {
    for (nic, base) in [(PCI, 0xc000), (ISA, 0x300)] {
        let mut m = machine(Some(nic));
        ask(m.board(), base, nic.mac);
        // once while it is being sent, once while the answer is on its way, once after
        for at in [0, 100_000, 1_000_000] {
            m.vmm.board.advance(&mut m.mem, at);
            let saved = m.save(Vec::new()).expect("saved");
            let mut twin = load(&saved, |_| {}).expect("loads");
            assert_eq!((twin.board().nic(), twin.state_hash()), (Some(nic), m.state_hash()));
            assert_eq!(twin.save(Vec::new()).expect("saved"), saved);
            assert_eq!(twin.board().deadline(), m.board().deadline());
        }
    }
}

#[test]
fn another_card_is_named() {
    let cards = [None, Some(PCI), Some(ISA), Some(Nic { mac: [2; 6], ..PCI })];
    for saved_with in cards {
        let saved = machine(saved_with).save(Vec::new()).expect("saved");
        for found in cards {
            let insist = |board: &mut Pc| match found {
                Some(nic) => board.attach_nic(nic),
                None => board.detach_nic(),
            };
            let mut there = machine(found);
            let before = there.state_hash();
            let results = [
                load(&saved, insist).map(drop),
                there.load_in_place(&saved[..], Box::<interp::Interpreter>::default()),
            ];
            for result in results {
                match result {
                    Ok(()) => assert_eq!(saved_with, found),
                    Err(SnapshotError::Nic { .. }) => assert_ne!(saved_with, found),
                    Err(other) => panic!("{other}"),
                }
            }
            if saved_with != found {
                assert_eq!(there.state_hash(), before);
            }
        }
    }
    let saved = machine(Some(PCI)).save(Vec::new()).expect("saved");
    let error = load(&saved, Pc::detach_nic).map(drop).expect_err("another card");
    assert_eq!(
        error.to_string(),
        "it was made with another network card: it had a PCI RTL8029 with address 52:54:00:12:34:56, and the machine has none"
    );
}
