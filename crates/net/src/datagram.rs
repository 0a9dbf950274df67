//! IPv4 datagrams (RFC 791), as they come and as they are made.

use crate::{BROADCAST, Ip, Mac, is_ours, mac_of};
use etherparse::{
    Ethernet2Header, Ethernet2Slice, Icmpv4Type, IpHeaders, IpNumber, Ipv4Header, Ipv4Slice, PacketBuilder,
    PacketBuilderStep,
};

/// The time to live of what we send.
const TTL: u8 = 64;
/// Bytes of a datagram behind its header that an ICMP message about it quotes (RFC 792).
const QUOTED: usize = 8;

/// A datagram whose header is right.
pub(crate) struct Datagram<'a> {
    /// The Ethernet address that it came from.
    pub(crate) mac: Mac,
    pub(crate) source: Ip,
    pub(crate) destination: Ip,
    pub(crate) ttl: u8,
    pub(crate) protocol: IpNumber,
    /// It is a part of a larger one, which will not be put together.
    pub(crate) fragment: bool,
    /// Whether it is, or begins, at the start.
    pub(crate) first: bool,
    pub(crate) payload: &'a [u8],
    header: &'a [u8],
}

impl<'a> Datagram<'a> {
    /// The datagram in a frame; `None` if its header or its length is wrong.
    pub(crate) fn of(frame: &Ethernet2Slice<'a>) -> Option<Datagram<'a>> {
        let bytes = frame.payload_slice();
        let ip = Ipv4Slice::from_slice(bytes).ok()?;
        let header: Ipv4Header = ip.header().to_header();
        if header.calc_header_checksum() != header.header_checksum {
            return None;
        }
        Some(Datagram {
            mac: frame.source(),
            source: header.source,
            destination: header.destination,
            ttl: header.time_to_live,
            protocol: ip.payload().ip_number,
            fragment: header.is_fragmenting_payload(),
            first: header.fragment_offset.value() == 0,
            payload: ip.payload().payload,
            header: bytes.get(..header.header_len())?,
        })
    }

    /// Whether it may be answered: it is from one host that is not ours, and to one host (RFC 1122, 3.2.1.3).
    pub(crate) fn is_between_hosts(&self) -> bool {
        let host = |a: Ip| !matches!(a[0], 0 | 127 | 224..) && a != BROADCAST;
        host(self.source) && host(self.destination) && !is_ours(self.source)
    }

    /// The start of an answer from the host that it was sent to, or from the gateway in its name.
    pub(crate) fn back(&self) -> PacketBuilderStep<IpHeaders> {
        self.back_from(self.destination)
    }

    pub(crate) fn back_from(&self, host: Ip) -> PacketBuilderStep<IpHeaders> {
        from(host, self.mac).ipv4(host, self.source, TTL)
    }

    /// An ICMP message about it.
    pub(crate) fn complaint(&self, host: Ip, kind: Icmpv4Type) -> Option<Vec<u8>> {
        let quoted = &self.payload[..self.payload.len().min(QUOTED)];
        let mut out = Vec::new();
        self.back_from(host).icmpv4(kind).write(&mut out, &[self.header, quoted].concat()).ok()?;
        Some(out)
    }
}

/// The start of a frame from a host: our own Ethernet address, or the gateway's for all that lies behind it.
fn from(host: Ip, to: Mac) -> PacketBuilderStep<Ethernet2Header> {
    let mac = mac_of(if is_ours(host) { host } else { crate::GATEWAY });
    PacketBuilder::ethernet2(mac, to)
}

/// A UDP datagram from the gateway.
pub(crate) fn udp(mac: Mac, to: Ip, ports: (u16, u16), payload: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let builder = from(crate::GATEWAY, mac).ipv4(crate::GATEWAY, to, TTL).udp(ports.0, ports.1);
    builder.write(&mut out, payload).ok()?;
    Some(out)
}
