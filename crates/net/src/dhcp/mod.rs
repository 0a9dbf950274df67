//! The DHCP server (RFC 2131, with the options of RFC 2132), and BOOTP's (RFC 951) for clients that know no other.
//!
//! Clients are told apart by their hardware address, not by their client identifier, so that a machine keeps
//! its address from one boot loader or system to the next.

mod message;

use crate::datagram::udp;
use crate::leases::Leases;
use crate::{BROADCAST, EVERYBODY, GATEWAY, Ip, MASK, Mac, NAME_SERVER};
use message::{Message, Reply, kind, option};

/// Seconds for which an address is given at most, and at least where a client asks for fewer.
const LEASE: u32 = 86_400;
const LEAST_LEASE: u32 = 60;
const SERVER_PORT: u16 = 67;
const CLIENT_PORT: u16 = 68;
const NOWHERE: Ip = [0; 4];
/// What those get that name no options.
const USUAL: [u8; 3] = [option::MASK, option::ROUTER, option::NAME_SERVER];

/// The frame that answers a message that came from `mac`.
pub(crate) fn answer(mac: Mac, bytes: &[u8], leases: &mut Leases) -> Option<Vec<u8>> {
    let m = Message::parse(bytes)?;
    let reply = decide(&m, leases)?;
    let nak = reply.kind == Some(kind::NAK);
    // RFC 2131, section 4.1
    let (to_mac, to, port) = if m.relay != NOWHERE {
        (mac, m.relay, SERVER_PORT)
    } else if nak {
        (EVERYBODY, [255; 4], CLIENT_PORT)
    } else if m.client != NOWHERE {
        (mac, m.client, CLIENT_PORT)
    } else if m.broadcast {
        (EVERYBODY, [255; 4], CLIENT_PORT)
    } else {
        (m.mac, reply.address, CLIENT_PORT)
    };
    udp(to_mac, to, (SERVER_PORT, port), &reply.encode(&m))
}

fn decide(m: &Message, leases: &mut Leases) -> Option<Reply> {
    match m.kind {
        Some(kind::DISCOVER) => {
            let address = leases.offer(m.mac, m.requested);
            Some(with_lease(m, Reply::new(Some(kind::OFFER), NOWHERE, address)))
        }
        Some(kind::REQUEST) => request(m, leases),
        Some(kind::DECLINE) => {
            leases.decline(m.mac, m.requested?);
            None
        }
        Some(kind::RELEASE) => {
            leases.release(m.mac, m.client);
            None
        }
        Some(kind::INFORM) if m.client != NOWHERE => {
            Some(described(m, Reply::new(Some(kind::ACK), m.client, NOWHERE)))
        }
        Some(_) => None,
        None => {
            let address = leases.offer(m.mac, None);
            leases.bind(m.mac, address);
            Some(described(m, Reply::new(None, NOWHERE, address)))
        }
    }
}

/// RFC 2131, section 4.3.2: with a server's identifier after an offer, without one after a restart (the address
/// as an option) or to renew (the address as the client's own).
fn request(m: &Message, leases: &mut Leases) -> Option<Reply> {
    if m.server.is_some_and(|s| s != GATEWAY) {
        leases.withdraw(m.mac);
        return None;
    }
    let own = Some(m.client).filter(|&c| c != NOWHERE);
    let address = m.requested.or(own)?;
    // there is no other server: an address that is not ours to give is wrong
    if !leases.bind(m.mac, address) {
        return Some(Reply::new(Some(kind::NAK), NOWHERE, NOWHERE));
    }
    Some(with_lease(m, Reply::new(Some(kind::ACK), m.client, address)))
}

/// An address for a time, and what the client has to know of the network.
fn with_lease(m: &Message, mut r: Reply) -> Reply {
    let time = m.lease.map_or(LEASE, |t| t.clamp(LEAST_LEASE, LEASE));
    r.add(option::LEASE, &time.to_be_bytes());
    r.time = time;
    described(m, r)
}

/// Adds the options that the client wants, in its order.
fn described(m: &Message, mut r: Reply) -> Reply {
    let time = r.time;
    for &code in m.wanted.as_deref().unwrap_or(&USUAL) {
        match code {
            option::MASK => r.add(code, &MASK),
            option::ROUTER => r.add(code, &GATEWAY),
            option::NAME_SERVER => r.add(code, &NAME_SERVER),
            option::MTU => r.add(code, &1500u16.to_be_bytes()),
            option::BROADCAST => r.add(code, &BROADCAST),
            option::RENEWAL if time > 0 => r.add(code, &(time / 2).to_be_bytes()),
            option::REBINDING if time > 0 => r.add(code, &(time / 8 * 7).to_be_bytes()),
            _ => {}
        }
    }
    r
}
