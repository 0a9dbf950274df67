//! What becomes of a datagram: ICMP (RFC 792), UDP (RFC 768) and TCP (RFC 793).

use crate::datagram::Datagram;
use crate::dhcp;
use crate::leases::Leases;
use crate::{FIRST_GUEST, GATEWAY, is_ours};
use etherparse::icmpv4::{DestUnreachableHeader, TimeExceededCode};
use etherparse::{Ethernet2Slice, Icmpv4Slice, Icmpv4Type, IpNumber, TcpSlice, UdpSlice};

/// The DHCP server's port.
const DHCP: u16 = 67;

pub(crate) fn answer(frame: &Ethernet2Slice, leases: &mut Leases) -> Option<Vec<u8>> {
    let d = Datagram::of(frame)?;
    if d.protocol == IpNumber::UDP && !d.fragment {
        let (udp, sound) = udp(&d)?;
        let to_server = d.destination == GATEWAY || d.destination == [255; 4];
        if sound && to_server && udp.destination_port() == DHCP {
            return dhcp::answer(frame.source(), udp.payload(), leases);
        }
    }
    // nobody complains about what was sent to many, or about a later part
    if !d.is_between_hosts() || !d.first || frame.destination()[0] & 1 != 0 {
        return None;
    }
    if d.ttl <= 1 && !is_ours(d.destination) {
        let kind = Icmpv4Type::TimeExceeded(TimeExceededCode::TtlExceededInTransit);
        return complaint(&d, GATEWAY, kind);
    }
    match d.protocol {
        IpNumber::ICMP => icmp(&d),
        IpNumber::TCP => tcp(&d),
        IpNumber::UDP => refused(&d, DestUnreachableHeader::Port),
        _ => refused(&d, DestUnreachableHeader::Protocol),
    }
}

/// The UDP datagram, and whether its checksum is right.
fn udp<'a>(d: &Datagram<'a>) -> Option<(UdpSlice<'a>, bool)> {
    let udp = UdpSlice::from_slice(d.payload).ok()?;
    let sum = udp.to_header().calc_checksum_ipv4_raw(d.source, d.destination, udp.payload()).ok()?;
    let sound = udp.checksum() == 0 || udp.checksum() == sum;
    Some((udp, sound))
}

/// No message about a message about something that went wrong.
fn complaint(d: &Datagram, host: [u8; 4], kind: Icmpv4Type) -> Option<Vec<u8>> {
    let asks = matches!(d.payload.first(), Some(8 | 13 | 15 | 17));
    if d.protocol == IpNumber::ICMP && !asks { None } else { d.complaint(host, kind) }
}

/// A host of ours lacks what was asked of it; other hosts cannot be reached.
fn refused(d: &Datagram, lacks: DestUnreachableHeader) -> Option<Vec<u8>> {
    let (host, why) = match d.destination {
        to if is_ours(to) => (to, lacks),
        to if to[..3] == FIRST_GUEST[..3] => (GATEWAY, DestUnreachableHeader::Host),
        _ => (GATEWAY, DestUnreachableHeader::Network),
    };
    complaint(d, host, Icmpv4Type::DestinationUnreachable(why))
}

/// An echo from our hosts.
fn icmp(d: &Datagram) -> Option<Vec<u8>> {
    if !is_ours(d.destination) {
        return refused(d, DestUnreachableHeader::Host);
    }
    if d.fragment {
        return None;
    }
    let icmp = Icmpv4Slice::from_slice(d.payload).ok()?;
    let Icmpv4Type::EchoRequest(echo) = icmp.icmp_type() else { return None };
    if icmp.icmp_type().calc_checksum(icmp.payload()) != icmp.checksum() {
        return None;
    }
    let mut out = Vec::new();
    d.back().icmpv4(Icmpv4Type::EchoReply(echo)).write(&mut out, icmp.payload()).ok()?;
    Some(out)
}

/// A reset (RFC 793, section 3.4: as if every connection were closed), whoever was asked.
fn tcp(d: &Datagram) -> Option<Vec<u8>> {
    let tcp = TcpSlice::from_slice(d.payload).ok().filter(|_| !d.fragment)?;
    let sum = tcp.calc_checksum_ipv4(d.source, d.destination).ok()?;
    if sum != tcp.checksum() || tcp.rst() {
        return None;
    }
    let length = tcp.payload().len() as u32 + u32::from(tcp.syn()) + u32::from(tcp.fin());
    let (ours, theirs) = (tcp.destination_port(), tcp.source_port());
    let reset = match tcp.ack() {
        true => d.back().tcp(ours, theirs, tcp.acknowledgment_number(), 0),
        false => d.back().tcp(ours, theirs, 0, 0).ack(tcp.sequence_number().wrapping_add(length)),
    };
    let mut out = Vec::new();
    reset.rst().write(&mut out, &[]).ok()?;
    Some(out)
}
