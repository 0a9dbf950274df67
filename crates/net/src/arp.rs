//! Address resolution (RFC 826).

use crate::{is_ours, mac_of};
use etherparse::{ArpEthIpv4Packet, ArpOperation, ArpPacket, Ethernet2Slice, PacketBuilder};

/// Who asks for an address of ours learns it. Nothing is learnt from those who ask: answers go where frames
/// come from.
pub(crate) fn answer(frame: &Ethernet2Slice) -> Option<Vec<u8>> {
    let asked = ArpPacket::from_slice(frame.payload_slice()).ok()?.try_eth_ipv4().ok()?;
    if asked.operation != ArpOperation::REQUEST || !is_ours(asked.target_ipv4) {
        return None;
    }
    let own = mac_of(asked.target_ipv4);
    let answer = ArpEthIpv4Packet {
        operation: ArpOperation::REPLY,
        sender_mac: own,
        sender_ipv4: asked.target_ipv4,
        target_mac: asked.sender_mac,
        target_ipv4: asked.sender_ipv4,
    };
    let mut out = Vec::new();
    PacketBuilder::ethernet2(own, frame.source()).arp(answer.into()).write(&mut out).ok()?;
    Some(out)
}
