//! The network card, the network behind it, and the wire between them.

use crate::Pc;
use crate::pc_apic::PIRQ_ROUTES;
use crate::pc_state::PartError;
use dev::Nanos;
use dev::ne2000::{self, MAX_FRAME, Model, Ne2000};
use dev::pci::PciBus;
use dev::time::earlier;
use net::{Network, NetworkState};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::fmt;

/// The PCI card's place.
pub(crate) const PLACE: u8 = dev::pci::devfn(3, 0);
/// Ports of the ISA card.
const ISA_PORTS: u16 = 0x300;
/// Interrupt of the ISA card. (9, which many were set to, is the SCI's here.)
const ISA_IRQ: u8 = 10;
/// Where firmware would have put the PCI card's ports.
const PCI_PORTS: u16 = 0xc000;
/// Time from the end of a frame to the answer: a driver sees that it has sent before it hears.
const DELAY: Nanos = 100_000;
/// Answers that wait at most.
const MOST_WAITING: usize = 64;

/// How a network card is connected.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NicKind {
    /// An NE2000 at ports 300h to 31Fh with IRQ 10.
    Isa,
    /// An RTL8029, device 3 of the PCI bus.
    Pci,
}

/// A network card.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Nic {
    /// How it is connected.
    pub kind: NicKind,
    /// Its Ethernet address.
    pub mac: [u8; 6],
}

impl Nic {
    /// The address of a card for which nobody chose one.
    pub const MAC: [u8; 6] = [0x52, 0x54, 0x00, 0x12, 0x34, 0x56];
}

impl fmt::Display for Nic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let card = match self.kind {
            NicKind::Isa => "an ISA NE2000",
            NicKind::Pci => "a PCI RTL8029",
        };
        let [a, b, c, d, e, g] = self.mac;
        write!(f, "{card} with address {a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

/// Card, network and wire.
#[derive(Debug)]
pub(crate) struct Link {
    nic: Nic,
    card: Ne2000,
    network: Network,
    /// Frames on their way to the card, and when they are there.
    inbound: VecDeque<(Nanos, Vec<u8>)>,
}

/// The network and the wire, version 1.
#[derive(Serialize, Deserialize)]
pub(crate) struct WireV1 {
    network: NetworkState,
    inbound: Vec<(u64, Vec<u8>)>,
}

impl Link {
    fn new(nic: Nic) -> Link {
        let model = match nic.kind {
            NicKind::Isa => Model::Ne2000,
            NicKind::Pci => Model::Rtl8029,
        };
        let card = Ne2000::new(model, nic.mac);
        Link { nic, card, network: Network::new(), inbound: VecDeque::new() }
    }

    /// When something happens by itself. A frame for which the ring has no room waits for the driver.
    fn deadline(&self) -> Option<Nanos> {
        let next = self.inbound.front().filter(|(_, f)| self.card.can_receive(f.len()));
        earlier(self.card.deadline(), next.map(|(at, _)| *at))
    }

    /// Moves frames both ways.
    fn advance(&mut self, now: Nanos) {
        self.card.advance(now);
        while let Some(frame) = self.card.take_frame() {
            let answer = self.network.answer(&frame).filter(|_| self.inbound.len() < MOST_WAITING);
            self.inbound.extend(answer.map(|a| (now.saturating_add(DELAY), a)));
        }
        while let Some((_, frame)) =
            self.inbound.pop_front_if(|(at, f)| *at <= now && self.card.can_receive(f.len()))
        {
            self.card.receive(&frame);
        }
    }

    pub(crate) fn card(&self) -> &Ne2000 {
        &self.card
    }

    pub(crate) fn card_mut(&mut self) -> &mut Ne2000 {
        &mut self.card
    }

    pub(crate) fn wire(&self) -> WireV1 {
        WireV1 { network: self.network.save(), inbound: self.inbound.iter().cloned().collect() }
    }

    pub(crate) fn restore_wire(&mut self, wire: WireV1) -> Result<(), PartError> {
        let lengths = wire.inbound.iter().all(|(_, f)| f.len() <= MAX_FRAME);
        if !lengths || wire.inbound.len() > MOST_WAITING {
            return Err(PartError::State(dev::StateError::OutOfRange { device: "net", field: "inbound" }));
        }
        self.network.restore(&wire.network)?;
        self.inbound = wire.inbound.into();
        Ok(())
    }
}

impl Pc {
    /// Puts a network card in, with a network of its own behind it; it replaces the one that was there.
    pub fn attach_nic(&mut self, nic: Nic) {
        self.detach_nic();
        self.link = Some(Box::new(Link::new(nic)));
        if nic.kind == NicKind::Pci {
            self.pci.add(PLACE, ne2000::pci_function());
            if self.flash == 0 {
                self.nic_without_firmware();
            }
        }
    }

    /// Takes the network card out.
    pub fn detach_nic(&mut self) {
        self.link = None;
        self.pci.remove(PLACE);
    }

    /// The network card.
    pub fn nic(&self) -> Option<Nic> {
        self.link.as_ref().map(|l| l.nic)
    }

    /// The same card in a board after reset; the network has not noticed.
    pub(crate) fn take_nic(&mut self, from: &mut Pc) {
        let Some(old) = from.link.take() else { return };
        self.attach_nic(old.nic);
        if let Some(link) = &mut self.link {
            link.network = old.network;
        }
    }

    /// What firmware does for a PCI card: ports, and the interrupt to which the board routes its pin.
    fn nic_without_firmware(&mut self) {
        let irq = PIRQ_ROUTES[usize::from(PciBus::pirq_of(PLACE, 1) & 3)];
        if let Some(f) = self.pci.function_mut(PLACE) {
            f.set(0x04, &[0x01]);
            f.set(0x10, &(u32::from(PCI_PORTS) | 1).to_le_bytes());
            f.set(0x3c, &[irq]);
        }
    }

    /// Takes back what was done in firmware's place.
    pub(crate) fn nic_by_firmware(&mut self) {
        if self.nic().is_some_and(|n| n.kind == NicKind::Pci) {
            self.pci.add(PLACE, ne2000::pci_function());
        }
    }

    /// The offset of a port in the network card.
    fn nic_port(&self, port: u16) -> Option<u16> {
        let base = match self.link.as_ref()?.nic.kind {
            NicKind::Isa => ISA_PORTS.into(),
            NicKind::Pci => self.pci.function(PLACE)?.bar(0).filter(|&base| base != 0)?,
        };
        let offset = u32::from(port).wrapping_sub(base);
        u16::try_from(offset).ok().filter(|&offset| offset < ne2000::PORTS)
    }

    /// Reads a port, if the network card has it.
    pub(crate) fn read_nic(&mut self, port: u16, size: u32, now: Nanos) -> Option<u32> {
        let offset = self.nic_port(port)?;
        let link = self.link.as_mut()?;
        let value = link.card.read(offset, size, now);
        link.advance(now);
        Some(value)
    }

    /// Writes a port, if the network card has it.
    pub(crate) fn write_nic(&mut self, port: u16, size: u32, value: u32, now: Nanos) -> bool {
        let (Some(offset), Some(link)) = (self.nic_port(port), &mut self.link) else { return false };
        link.card.write(offset, size, value, now);
        link.advance(now);
        true
    }

    pub(crate) fn advance_nic(&mut self, now: Nanos) {
        if let Some(link) = &mut self.link {
            link.advance(now);
        }
    }

    pub(crate) fn nic_deadline(&self) -> Option<Nanos> {
        self.link.as_ref().and_then(|l| l.deadline())
    }

    /// Drives the card's interrupt: INTA#, or the ISA line, which comes back as a bit.
    pub(crate) fn nic_line(&mut self) -> u16 {
        let Some(link) = &self.link else { return 0 };
        let level = link.card.irq();
        match link.nic.kind {
            NicKind::Isa => u16::from(level) << ISA_IRQ,
            NicKind::Pci => {
                self.pci.set_pirq(PciBus::pirq_of(PLACE, 1), level);
                0
            }
        }
    }
}
