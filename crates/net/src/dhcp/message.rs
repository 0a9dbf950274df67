//! The form of the messages (RFC 2131, section 2).

use crate::{GATEWAY, Ip, Mac};

/// Where options begin, behind the cookie.
const OPTIONS: usize = 240;
const COOKIE: [u8; 4] = [99, 130, 83, 99];
const SNAME: std::ops::Range<usize> = 44..108;
const FILE: std::ops::Range<usize> = 108..236;
/// Bytes of a BOOTP message; clients may take no shorter one.
const LEAST: usize = 300;
const BROADCAST_FLAG: u8 = 0x80;
/// An option is not taken twice into a reply, and an address takes 6 bytes: all fit into a message.
const MOST_WANTED: usize = 255;

/// Values of the message type.
pub(super) mod kind {
    pub(crate) const DISCOVER: u8 = 1;
    pub(crate) const OFFER: u8 = 2;
    pub(crate) const REQUEST: u8 = 3;
    pub(crate) const DECLINE: u8 = 4;
    pub(crate) const ACK: u8 = 5;
    pub(crate) const NAK: u8 = 6;
    pub(crate) const RELEASE: u8 = 7;
    pub(crate) const INFORM: u8 = 8;
}

/// Codes of options (RFC 2132).
pub(super) mod option {
    pub(crate) const PAD: u8 = 0;
    pub(crate) const MASK: u8 = 1;
    pub(crate) const ROUTER: u8 = 3;
    pub(crate) const NAME_SERVER: u8 = 6;
    pub(crate) const MTU: u8 = 26;
    pub(crate) const BROADCAST: u8 = 28;
    pub(crate) const REQUESTED: u8 = 50;
    pub(crate) const LEASE: u8 = 51;
    pub(crate) const OVERLOAD: u8 = 52;
    pub(crate) const KIND: u8 = 53;
    pub(crate) const SERVER: u8 = 54;
    pub(crate) const WANTED: u8 = 55;
    pub(crate) const RENEWAL: u8 = 58;
    pub(crate) const REBINDING: u8 = 59;
    pub(crate) const END: u8 = 255;
}

/// What a client says.
#[derive(Debug, Default)]
pub(super) struct Message {
    pub(super) transaction: [u8; 4],
    pub(super) broadcast: bool,
    /// ciaddr: the address that the client has.
    pub(super) client: Ip,
    /// giaddr.
    pub(super) relay: Ip,
    /// chaddr.
    pub(super) mac: Mac,
    /// `None`: it is BOOTP.
    pub(super) kind: Option<u8>,
    pub(super) requested: Option<Ip>,
    pub(super) server: Option<Ip>,
    pub(super) lease: Option<u32>,
    pub(super) wanted: Option<Vec<u8>>,
    /// Which of file and sname hold options as well.
    overload: u8,
}

/// Four bytes at a place.
fn four(bytes: &[u8], at: usize) -> Option<[u8; 4]> {
    bytes.get(at..)?.first_chunk().copied()
}

impl Message {
    /// Reads a request of an Ethernet client.
    pub(super) fn parse(bytes: &[u8]) -> Option<Message> {
        let request_over_ethernet = bytes.get(..3)? == [1, 1, 6];
        let mac: Mac = *bytes.get(28..)?.first_chunk()?;
        let unicast = mac[0] & 1 == 0 && mac != [0; 6];
        if !request_over_ethernet || !unicast || bytes.len() < FILE.end {
            return None;
        }
        let mut m = Message {
            transaction: four(bytes, 4)?,
            broadcast: bytes[10] & BROADCAST_FLAG != 0,
            client: four(bytes, 12)?,
            relay: four(bytes, 24)?,
            mac,
            ..Message::default()
        };
        if four(bytes, FILE.end) == Some(COOKIE) {
            m.options(&bytes[OPTIONS..]);
            if m.overload & 1 != 0 {
                m.options(&bytes[FILE]);
            }
            if m.overload & 2 != 0 {
                m.options(&bytes[SNAME]);
            }
        }
        Some(m)
    }

    /// Reads options up to the end mark, or to where they are cut off.
    fn options(&mut self, mut rest: &[u8]) {
        while let [code, after @ ..] = rest {
            match *code {
                option::PAD => {
                    rest = after;
                    continue;
                }
                option::END => return,
                _ => {}
            }
            let [length, after @ ..] = after else { return };
            let Some((value, after)) = after.split_at_checked(usize::from(*length)) else { return };
            self.option(*code, value);
            rest = after;
        }
    }

    fn option(&mut self, code: u8, value: &[u8]) {
        match (code, value) {
            (option::REQUESTED, _) => self.requested = value.try_into().ok(),
            (option::LEASE, _) => self.lease = value.try_into().ok().map(u32::from_be_bytes),
            (option::OVERLOAD, [which]) => self.overload = *which,
            (option::KIND, [kind]) => self.kind = Some(*kind),
            (option::SERVER, _) => self.server = value.try_into().ok(),
            (option::WANTED, _) => {
                let list = self.wanted.get_or_insert_default();
                // a long list may come in parts (RFC 3396)
                list.extend(value.iter().take(MOST_WANTED.saturating_sub(list.len())));
            }
            _ => {}
        }
    }
}

/// What the server says.
pub(super) struct Reply {
    pub(super) kind: Option<u8>,
    /// ciaddr.
    pub(super) client: Ip,
    /// yiaddr.
    pub(super) address: Ip,
    /// Seconds of the lease; 0: there is none.
    pub(super) time: u32,
    options: Vec<u8>,
    there: Vec<u8>,
}

impl Reply {
    /// A reply with its type and who says it, the address that the client has and the one that it gets.
    pub(super) fn new(kind: Option<u8>, client: Ip, address: Ip) -> Reply {
        let mut r = Reply { kind, client, address, time: 0, options: Vec::new(), there: Vec::new() };
        if let Some(kind) = kind {
            r.add(option::KIND, &[kind]);
            r.add(option::SERVER, &GATEWAY);
        }
        r
    }

    /// Adds an option, unless it is there.
    pub(super) fn add(&mut self, code: u8, value: &[u8]) {
        if !self.there.contains(&code) {
            self.there.push(code);
            self.options.extend([code, value.len() as u8]);
            self.options.extend(value);
        }
    }

    /// The reply to a message.
    pub(super) fn encode(&self, to: &Message) -> Vec<u8> {
        let mut out = vec![2, 1, 6, 0];
        out.extend(to.transaction);
        out.extend([0, 0, if to.broadcast { BROADCAST_FLAG } else { 0 }, 0]);
        out.extend(self.client);
        out.extend(self.address);
        // siaddr: there is nothing to boot from
        out.extend([0; 4]);
        out.extend(to.relay);
        out.extend(to.mac);
        out.resize(FILE.end, 0);
        out.extend(COOKIE);
        out.extend(&self.options);
        out.push(option::END);
        out.resize(out.len().max(LEAST), 0);
        out
    }
}
