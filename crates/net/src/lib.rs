//! A small network behind a machine's network card, as a pure machine: frames in, frames out.
//!
//! The network is 10.0.2.0/24, with a gateway (10.0.2.2) that is DHCP server as well, and a name
//! server (10.0.2.3). Neither does host I/O: nothing beyond them is reached, and whoever tries is told so at
//! once, by ICMP or a TCP reset, instead of being left to wait.
//!
//! Frames are Ethernet II without frame check sequence. Whatever a guest sends, nothing panics; each frame has
//! at most one answer, and the state (who has which address) is bounded.
#![forbid(unsafe_code)]

mod arp;
mod datagram;
mod dhcp;
mod ip;
mod leases;
mod state;
#[cfg(test)]
mod tests;

use etherparse::{EtherType, Ethernet2Slice};
use leases::Leases;

pub use state::{LeaseStateV1, NetworkState, NetworkStateV1, StateError};

/// An IPv4 address.
type Ip = [u8; 4];
/// An Ethernet address.
type Mac = [u8; 6];

/// The gateway and DHCP server.
pub const GATEWAY: Ip = [10, 0, 2, 2];
/// The name server.
pub const NAME_SERVER: Ip = [10, 0, 2, 3];
/// The first address that the DHCP server gives.
pub const FIRST_GUEST: Ip = [10, 0, 2, 15];
/// The mask of the network.
pub const MASK: Ip = [255, 255, 255, 0];
const BROADCAST: Ip = [10, 0, 2, 255];
const EVERYBODY: Mac = [0xff; 6];

/// The network.
#[derive(Debug, Clone, Default)]
pub struct Network {
    leases: Leases,
}

impl Network {
    /// A network that has given no address yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes a frame that a guest has sent; gives the answer, if there is one.
    pub fn answer(&mut self, frame: &[u8]) -> Option<Vec<u8>> {
        let frame = Ethernet2Slice::from_slice_without_fcs(frame).ok()?;
        let sent_to_us = owned_by(&frame.destination()).is_some() || frame.destination()[0] & 1 != 0;
        if !sent_to_us || frame.source()[0] & 1 != 0 {
            return None;
        }
        match frame.ether_type() {
            EtherType::ARP => arp::answer(&frame),
            EtherType::IPV4 => ip::answer(&frame, &mut self.leases),
            _ => None,
        }
    }
}

/// The Ethernet address of a host of ours: locally administered, and ends in its IPv4 address.
fn mac_of(host: Ip) -> Mac {
    let [a, b, c, d] = host;
    [0x52, 0x55, a, b, c, d]
}

/// The host of ours that has an Ethernet address.
fn owned_by(mac: &Mac) -> Option<Ip> {
    [GATEWAY, NAME_SERVER].into_iter().find(|host| mac_of(*host) == *mac)
}

/// Whether an address is one of ours.
fn is_ours(host: Ip) -> bool {
    host == GATEWAY || host == NAME_SERVER
}
