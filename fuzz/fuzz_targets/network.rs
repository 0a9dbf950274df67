//! Any frames to the network, and to a card whose registers are written in between: no panic, no
//! answer that is no frame, and a state that comes back.
#![no_main]

use dev::ne2000::{MAX_FRAME, Model, Ne2000};
use net::Network;
use ringer_fuzz::Input;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let mut input = Input::new(bytes);
    let kind = input.byte();
    let model = if kind & 1 == 0 { Model::Ne2000 } else { Model::Rtl8029 };
    let mac = [0x52, 0x54, 0, 0x12, 0x34, 0x56];
    let (mut card, mut network, mut now) = (Ne2000::new(model, mac), Network::new(), 0);
    if kind & 2 != 0 {
        // as a driver sets it up
        let registers = [
            (0, 0x21),
            (0xe, 0x49),
            (1, 0x46),
            (2, 0x80),
            (3, 0x46),
            (0xc, 0x1c),
            (0xd, 0),
            (0xf, 0x7f),
            (0, 0x61),
            (7, 0x47),
            (1, mac[0]),
            (2, mac[1]),
            (3, mac[2]),
            (4, mac[3]),
            (5, mac[4]),
            (6, mac[5]),
            (0, 0x22),
        ];
        registers.into_iter().for_each(|(at, value)| card.write(at, 1, value.into(), now));
    }
    while !input.is_empty() {
        match input.byte() % 16 {
            0..=3 => {
                let [offset, value] = input.array();
                card.write((offset & 31).into(), 1, value.into(), now);
            }
            4 => drop(card.read((input.byte() & 31).into(), 1, now)),
            5 => {
                let (offset, size) = (u16::from(input.byte() & 31), input.pick(&[1, 2, 4]));
                for chunk in input.string().chunks(size) {
                    let value = chunk.iter().rev().fold(0, |v, &b| v << 8 | u32::from(b));
                    card.write(offset, size as u32, value, now);
                }
            }
            6 => {
                let [offset, size, count] = input.array();
                for _ in 0..count {
                    card.read((offset & 31).into(), 1 << (size % 3), now);
                }
            }
            7 | 8 => answer(&mut network, &mut card, &frame(&mut input)),
            9 => {
                let frame = frame(&mut input);
                if card.can_receive(frame.len()) {
                    card.receive(&frame);
                }
            }
            10 => drop(card.receive(&frame(&mut input))),
            11 => {
                now += input.time();
                card.advance(now);
            }
            12 => {
                while let Some(frame) = card.take_frame() {
                    answer(&mut network, &mut card, &frame);
                }
            }
            13 => {
                // remote DMA, and a transmission of what it has put there
                let data = input.string();
                let [low, high] = (data.len() as u16).to_le_bytes();
                let registers = [(0, 0x22), (8, 0), (9, 0x40), (0xa, low), (0xb, high), (0, 0x12)];
                registers.into_iter().for_each(|(at, value)| card.write(at, 1, value.into(), now));
                data.iter().for_each(|&b| card.write(16, 1, b.into(), now));
                for (at, value) in [(4, 0x40), (5, low), (6, high), (0, 0x26)] {
                    card.write(at, 1, value.into(), now);
                }
            }
            14 => {
                let saved = card.save();
                let mut other = Ne2000::new(model, mac);
                other.restore(&saved).expect("what a card saves is a card's");
                assert_eq!(other.save(), saved);
                card = other;
            }
            _ => {
                let saved = network.save();
                let mut other = Network::new();
                other.restore(&saved).expect("what a network saves is a network's");
                assert_eq!(other.save(), saved);
                network = other;
            }
        }
    }
});

/// A frame: any bytes, or a start of one of the protocols that are answered.
fn frame(input: &mut Input) -> Vec<u8> {
    let kind = input.byte();
    let mut frame = Vec::new();
    if kind & 1 != 0 {
        frame.extend([0x52, 0x55, 10, 0, 2, 2, 0x52, 0x54, 0, 0x12, 0x34, 0x56]);
        let header: &[u8] = if kind & 2 != 0 { &[8, 6, 0, 1, 8, 0, 6, 4, 0, 1] } else { &[8, 0, 0x45, 0] };
        frame.extend(header);
    }
    let data = input.string();
    frame.extend(data);
    if kind & 8 != 0 {
        frame.resize(frame.len() + usize::from(kind) * 6, kind);
    }
    if kind & 5 == 5 && kind & 2 == 0 {
        sum(&mut frame);
    }
    frame
}

/// Puts the right length and checksum into an IPv4 header, so that what is behind it is looked at.
fn sum(frame: &mut [u8]) {
    if frame.len() < 34 {
        return;
    }
    let len = (frame.len() - 14) as u16;
    frame[16..18].copy_from_slice(&len.to_be_bytes());
    frame[24..26].fill(0);
    let sum: u32 = frame[14..34].chunks(2).map(|w| u32::from(w[0]) << 8 | u32::from(w[1])).sum();
    let sum = (sum & 0xffff) + (sum >> 16);
    let sum = !((sum & 0xffff) + (sum >> 16)) as u16;
    frame[24..26].copy_from_slice(&sum.to_be_bytes());
}

fn answer(network: &mut Network, card: &mut Ne2000, frame: &[u8]) {
    if let Some(answer) = network.answer(frame) {
        assert!((14..=MAX_FRAME).contains(&answer.len()), "an answer of {} bytes", answer.len());
        if card.can_receive(answer.len()) {
            card.receive(&answer);
        }
    }
}
