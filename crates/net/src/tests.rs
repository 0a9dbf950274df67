//! What guests send, well-formed and not.

use super::*;
use etherparse::*;
use proptest::prelude::*;

const GUEST: Mac = [0x52, 0x54, 0x00, 0x12, 0x34, 0x56];
const OWN: Ip = FIRST_GUEST;
const FAR: Ip = [192, 0, 2, 7];

fn to_gateway() -> PacketBuilderStep<Ethernet2Header> {
    PacketBuilder::ethernet2(GUEST, mac_of(GATEWAY))
}

/// The answer to a datagram to `host`, taken apart.
fn ask(
    host: Ip,
    ttl: u8,
    finish: impl FnOnce(PacketBuilderStep<IpHeaders>, &mut Vec<u8>),
) -> Option<Vec<u8>> {
    let mut frame = Vec::new();
    finish(to_gateway().ipv4(OWN, host, ttl), &mut frame);
    let answer = Network::new().answer(&frame)?;
    assert_sound(&answer);
    Some(answer)
}

/// Every checksum of a frame is right.
fn assert_sound(frame: &[u8]) {
    let p = PacketHeaders::from_ethernet_slice(frame).expect("a frame");
    let Some(NetHeaders::Ipv4(ip, _)) = p.net else { return };
    assert_eq!(ip.calc_header_checksum(), ip.header_checksum);
    let payload = p.payload.slice();
    match p.transport.expect("a transport header") {
        TransportHeader::Udp(u) => {
            assert_eq!(u.calc_checksum_ipv4(&ip, payload).expect("short"), u.checksum);
        }
        TransportHeader::Tcp(t) => {
            assert_eq!(t.calc_checksum_ipv4(&ip, payload).expect("short"), t.checksum);
        }
        TransportHeader::Icmpv4(i) => assert_eq!(i.icmp_type.calc_checksum(payload), i.checksum),
        other => panic!("{other:?}"),
    }
}

fn icmp(frame: &[u8]) -> (Ip, Icmpv4Type, Vec<u8>) {
    let p = PacketHeaders::from_ethernet_slice(frame).expect("a frame");
    match (p.net, p.transport) {
        (Some(NetHeaders::Ipv4(ip, _)), Some(TransportHeader::Icmpv4(i))) => {
            (ip.source, i.icmp_type, p.payload.slice().to_vec())
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn arp() {
    let request = |target_ipv4, sender_ipv4| {
        let packet = ArpEthIpv4Packet {
            operation: ArpOperation::REQUEST,
            sender_mac: GUEST,
            sender_ipv4,
            target_mac: [0; 6],
            target_ipv4,
        };
        let mut frame = Vec::new();
        PacketBuilder::ethernet2(GUEST, EVERYBODY).arp(packet.into()).write(&mut frame).expect("short");
        Network::new().answer(&frame)
    };
    for host in [GATEWAY, NAME_SERVER] {
        let frame = request(host, OWN).expect("an answer");
        let frame = Ethernet2Slice::from_slice_without_fcs(&frame).expect("a frame");
        let arp =
            ArpPacket::from_slice(frame.payload_slice()).expect("ARP").try_eth_ipv4().expect("Ethernet");
        assert_eq!((frame.destination(), frame.source()), (GUEST, mac_of(host)));
        assert_eq!((arp.sender_mac, arp.sender_ipv4), (mac_of(host), host));
        assert_eq!((arp.target_mac, arp.target_ipv4), (GUEST, OWN));
        assert_eq!(arp.operation, ArpOperation::REPLY);
    }
    assert_eq!(request(OWN, [0; 4]), None, "a guest that probes for its own address is alone");
    assert_eq!(request([10, 0, 2, 9], OWN), None);
}

#[test]
fn echo() {
    let ping = |host, ttl| {
        ask(host, ttl, |ip, out| ip.icmpv4_echo_request(7, 9).write(out, b"abcdefg").expect("short"))
    };
    for host in [GATEWAY, NAME_SERVER] {
        let (from, kind, body) = icmp(&ping(host, 1).expect("an answer"));
        assert_eq!((from, &body[..]), (host, &b"abcdefg"[..]));
        assert_eq!(kind, Icmpv4Type::EchoReply(IcmpEchoHeader { id: 7, seq: 9 }));
    }
    let (from, kind, _) = icmp(&ping(FAR, 64).expect("an answer"));
    assert_eq!(from, GATEWAY);
    assert_eq!(kind, Icmpv4Type::DestinationUnreachable(icmpv4::DestUnreachableHeader::Network));
    let (_, kind, _) = icmp(&ping([10, 0, 2, 77], 64).expect("an answer"));
    assert_eq!(kind, Icmpv4Type::DestinationUnreachable(icmpv4::DestUnreachableHeader::Host));
    let (from, kind, _) = icmp(&ping(FAR, 1).expect("an answer"));
    let exceeded = Icmpv4Type::TimeExceeded(icmpv4::TimeExceededCode::TtlExceededInTransit);
    assert_eq!((from, kind), (GATEWAY, exceeded));
}

#[test]
fn udp_is_refused_and_the_message_quotes_it() {
    let send =
        |host| ask(host, 64, |ip, out| ip.udp(1234, 53).write(out, b"what is my name").expect("short"));
    let (from, kind, body) = icmp(&send(NAME_SERVER).expect("an answer"));
    assert_eq!(from, NAME_SERVER);
    assert_eq!(kind, Icmpv4Type::DestinationUnreachable(icmpv4::DestUnreachableHeader::Port));
    assert_eq!(body.len(), 28);
    assert_eq!((&body[12..16], &body[16..20]), (&OWN[..], &NAME_SERVER[..]));
    assert_eq!(body[20..24], [4, 210, 0, 53]);
    let (from, kind, _) = icmp(&send(FAR).expect("an answer"));
    let network = Icmpv4Type::DestinationUnreachable(icmpv4::DestUnreachableHeader::Network);
    assert_eq!((from, kind), (GATEWAY, network));
    for many in [[255; 4], BROADCAST, [224, 0, 0, 251]] {
        assert_eq!(send(many), None);
    }
}

#[test]
fn messages_about_messages_are_not_made() {
    let kind = Icmpv4Type::DestinationUnreachable(icmpv4::DestUnreachableHeader::Port);
    let (near, far) = (kind.clone(), kind);
    assert_eq!(ask(GATEWAY, 64, |ip, out| ip.icmpv4(near).write(out, &[0; 28]).expect("short")), None);
    assert_eq!(ask(FAR, 64, |ip, out| ip.icmpv4(far).write(out, &[0; 28]).expect("short")), None);
}

#[test]
fn tcp_is_reset() {
    let reset =
        |host, build: fn(PacketBuilderStep<TcpHeader>) -> PacketBuilderStep<TcpHeader>, body: &[u8]| {
            let frame =
                ask(host, 64, |ip, out| build(ip.tcp(4000, 80, 1000, 512)).write(out, body).expect("short"))?;
            let p = PacketHeaders::from_ethernet_slice(&frame).expect("a frame");
            match (p.net, p.transport) {
                (Some(NetHeaders::Ipv4(ip, _)), Some(TransportHeader::Tcp(t))) => {
                    assert_eq!((ip.source, t.source_port, t.destination_port, t.rst), (host, 80, 4000, true));
                    Some((t.sequence_number, t.ack, t.acknowledgment_number))
                }
                other => panic!("{other:?}"),
            }
        };
    for host in [GATEWAY, NAME_SERVER, FAR] {
        assert_eq!(reset(host, |t| t.syn(), b""), Some((0, true, 1001)));
        assert_eq!(reset(host, |t| t.fin(), b"xyz"), Some((0, true, 1004)));
        assert_eq!(reset(host, |t| t.ack(77), b"xyz"), Some((77, false, 0)));
        assert_eq!(reset(host, |t| t.rst(), b""), None);
    }
}

#[test]
fn what_is_wrong_or_not_for_us_has_no_answer() {
    let mut good = Vec::new();
    to_gateway().ipv4(OWN, GATEWAY, 64).icmpv4_echo_request(1, 2).write(&mut good, b"data").expect("short");
    assert!(Network::new().answer(&good).is_some());
    // header checksum, ICMP checksum, our address, whose it is, IPv4's version, its source
    for at in [24, 36, 3, 6, 14, 26] {
        let mut bad = good.clone();
        bad[at] ^= if at == 26 { 0xe0 } else { 0x01 };
        assert_eq!(Network::new().answer(&bad), None, "byte {at}");
    }
}

/// A DHCP message with these options.
fn dhcp(ciaddr: Ip, flags: u8, options: &[&[u8]]) -> Vec<u8> {
    let mut m = vec![1, 1, 6, 0, 1, 2, 3, 4, 0, 0, flags, 0];
    m.extend(ciaddr);
    m.resize(28, 0);
    m.extend(GUEST);
    m.resize(236, 0);
    m.extend([99, 130, 83, 99]);
    options.iter().for_each(|o| m.extend(*o));
    m.push(255);
    m
}

struct Answer {
    to_mac: Mac,
    to: Ip,
    message: Vec<u8>,
}

impl Answer {
    fn yours(&self) -> Ip {
        self.message[16..20].try_into().expect("4 bytes")
    }

    fn option(&self, code: u8) -> Option<&[u8]> {
        let mut rest = &self.message[240..];
        while let [c, len, after @ ..] = rest {
            let (value, after) = after.split_at(usize::from(*len));
            match *c {
                255 => return None,
                c if c == code => return Some(value),
                _ => rest = after,
            }
        }
        None
    }
}

fn exchange(n: &mut Network, message: &[u8]) -> Option<Answer> {
    let mut frame = Vec::new();
    let ip = PacketBuilder::ethernet2(GUEST, EVERYBODY).ipv4([0; 4], [255; 4], 64);
    ip.udp(68, 67).write(&mut frame, message).expect("short");
    let answer = n.answer(&frame)?;
    assert_sound(&answer);
    let p = PacketHeaders::from_ethernet_slice(&answer).expect("a frame");
    let (Some(NetHeaders::Ipv4(ip, _)), Some(TransportHeader::Udp(udp))) = (p.net, p.transport) else {
        panic!("no UDP")
    };
    assert_eq!((udp.source_port, udp.destination_port, ip.source), (67, 68, GATEWAY));
    let message = p.payload.slice().to_vec();
    assert!(message.len() >= 300 && message[..8] == [2, 1, 6, 0, 1, 2, 3, 4] && message[28..34] == GUEST);
    Some(Answer { to_mac: answer[..6].try_into().expect("6 bytes"), to: ip.destination, message })
}

const DISCOVER: &[u8] = &[53, 1, 1];
const REQUEST: &[u8] = &[53, 1, 3];
const SERVER: &[u8] = &[54, 4, 10, 0, 2, 2];
const WANTED: &[u8] = &[55, 9, 6, 3, 1, 28, 58, 59, 6, 66, 67];

#[test]
fn discover_and_request() {
    let mut n = Network::new();
    let offer = exchange(&mut n, &dhcp([0; 4], 0, &[DISCOVER, WANTED])).expect("an offer");
    assert_eq!((offer.to_mac, offer.to, offer.yours()), (GUEST, OWN, OWN));
    let options: Vec<u8> = offer.message[240..].to_vec();
    let order = [53, 54, 51, 6, 3, 1, 28, 58, 59];
    let mut at = 0;
    for code in order {
        assert_eq!(options[at], code, "in the order in which they were asked for, each once");
        at += 2 + usize::from(options[at + 1]);
    }
    assert_eq!(options[at], 255, "no TFTP server and no boot file");
    assert_eq!(offer.option(53), Some(&[2][..]));
    assert_eq!(offer.option(51), Some(&86_400u32.to_be_bytes()[..]));
    assert_eq!(offer.option(6), Some(&NAME_SERVER[..]));
    let requested = &[50, 4, 10, 0, 2, 15][..];
    let ack = exchange(&mut n, &dhcp([0; 4], 0x80, &[REQUEST, SERVER, requested])).expect("an answer");
    assert_eq!((ack.to_mac, ack.to, ack.yours()), (EVERYBODY, [255; 4], OWN), "the broadcast flag");
    assert_eq!(ack.option(53), Some(&[5][..]));
    assert_eq!((ack.option(1), ack.option(3)), (Some(&MASK[..]), Some(&GATEWAY[..])));
    let again = exchange(&mut n, &dhcp([0; 4], 0, &[DISCOVER])).expect("an offer");
    assert_eq!(again.yours(), OWN, "the same client, the same address");
}

#[test]
fn renewal_restart_and_refusal() {
    let mut n = Network::new();
    let renewed = exchange(&mut n, &dhcp(OWN, 0, &[REQUEST, &[51, 4, 0, 0, 14, 16]])).expect("an answer");
    assert_eq!((renewed.option(53), renewed.to, renewed.yours()), (Some(&[5][..]), OWN, OWN));
    assert_eq!(renewed.option(51), Some(&3600u32.to_be_bytes()[..]), "as long as asked for");
    let elsewhere = &[50, 4, 192, 168, 0, 5][..];
    let nak = exchange(&mut n, &dhcp([0; 4], 0, &[REQUEST, elsewhere])).expect("an answer");
    assert_eq!((nak.option(53), nak.to, nak.yours()), (Some(&[6][..]), [255; 4], [0; 4]));
    assert_eq!(nak.option(1), None);
    let other: &[u8] = &[54, 4, 10, 0, 2, 9];
    assert!(exchange(&mut n, &dhcp([0; 4], 0, &[REQUEST, other, elsewhere])).is_none());
}

#[test]
fn decline_release_inform_and_bootp() {
    let mut n = Network::new();
    exchange(&mut n, &dhcp(OWN, 0, &[REQUEST])).expect("an answer");
    assert!(exchange(&mut n, &dhcp([0; 4], 0, &[&[53, 1, 4], SERVER, &[50, 4, 10, 0, 2, 15]])).is_none());
    let offer = exchange(&mut n, &dhcp([0; 4], 0, &[DISCOVER])).expect("an offer");
    assert_eq!(offer.yours(), [10, 0, 2, 16], "another one than the one declined");
    let mut n = Network::new();
    exchange(&mut n, &dhcp([10, 0, 2, 20], 0, &[REQUEST])).expect("an answer");
    assert!(exchange(&mut n, &dhcp([10, 0, 2, 20], 0, &[&[53, 1, 7], SERVER])).is_none());
    let offer = exchange(&mut n, &dhcp([0; 4], 0, &[DISCOVER])).expect("an offer");
    assert_eq!(offer.yours(), OWN);
    let inform = exchange(&mut n, &dhcp([10, 0, 2, 99], 0, &[&[53, 1, 8]])).expect("an answer");
    assert_eq!((inform.yours(), inform.to), ([0; 4], [10, 0, 2, 99]));
    assert_eq!((inform.option(51), inform.option(3)), (None, Some(&GATEWAY[..])));
    let bootp = exchange(&mut n, &dhcp([0; 4], 0, &[])).expect("an answer");
    assert_eq!((bootp.yours(), bootp.option(53), bootp.option(1)), (OWN, None, Some(&MASK[..])));
}

#[test]
fn many_clients_share_few_addresses() {
    let mut n = Network::new();
    let mut given = Vec::new();
    for k in 0..40u8 {
        let mut m = dhcp([0; 4], 0, &[DISCOVER]);
        m[28 + 5] = k;
        let mut frame = Vec::new();
        let ip = PacketBuilder::ethernet2(GUEST, EVERYBODY).ipv4([0; 4], [255; 4], 64);
        ip.udp(68, 67).write(&mut frame, &m).expect("short");
        let answer = n.answer(&frame).expect("an offer");
        given.push(answer[14 + 20 + 8 + 19]);
    }
    assert_eq!(given[..17], [15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 15]);
    assert!(given.iter().all(|last| (15..=30).contains(last)));
}

#[test]
fn state_comes_back_and_is_checked() {
    let mut n = Network::new();
    exchange(&mut n, &dhcp([10, 0, 2, 18], 0, &[REQUEST])).expect("an answer");
    let state = n.save();
    let bytes = postcard::to_stdvec(&state).expect("encodes");
    assert_eq!((bytes.len(), bytes[0]), (131, 0), "version 1");
    let mut other = Network::new();
    other.restore(&postcard::from_bytes(&bytes).expect("decodes")).expect("valid");
    assert_eq!(other.save(), state);
    let offer = exchange(&mut other, &dhcp([0; 4], 0, &[DISCOVER])).expect("an offer");
    assert_eq!(offer.yours(), [10, 0, 2, 18]);
    let NetworkState::V1(good) = state;
    let broken: [fn(&mut NetworkStateV1); 4] = [
        |s| s.leases.truncate(3),
        |s| s.leases[0].state = 4,
        |s| s.leases[0].used = 99,
        |s| s.leases[0] = s.leases[3].clone(),
    ];
    for (i, breaks) in broken.iter().enumerate() {
        let mut bad = good.clone();
        breaks(&mut bad);
        assert!(other.restore(&NetworkState::V1(bad)).is_err(), "{i}");
    }
}

/// Frames that get far: right ones to be cut and bent.
fn samples() -> Vec<Vec<u8>> {
    let ip = || to_gateway().ipv4(OWN, GATEWAY, 64);
    let mut out = vec![Vec::new(); 4];
    ip().icmpv4_echo_request(1, 2).write(&mut out[0], b"data").expect("short");
    ip().udp(68, 67).write(&mut out[1], &dhcp([0; 4], 0, &[DISCOVER, WANTED])).expect("short");
    ip().udp(68, 67).write(&mut out[2], &dhcp(OWN, 0, &[REQUEST, &[52, 1, 3]])).expect("short");
    ip().tcp(1, 2, 3, 4).syn().write(&mut out[3], b"").expect("short");
    out
}

/// Puts the checksums right again, so that what was bent is looked at.
fn repair(frame: &mut [u8]) {
    if let Ok((mut ip, rest)) = Ipv4Header::from_slice(frame.get(14..).unwrap_or_default()) {
        let udp = rest.get(..8).is_some() && ip.protocol == IpNumber::UDP;
        ip.header_checksum = ip.calc_header_checksum();
        let at = 14 + ip.header_len();
        frame[24..26].copy_from_slice(&ip.header_checksum.to_be_bytes());
        if udp {
            frame[at + 6..at + 8].fill(0);
        }
    }
}

proptest! {
    #[test]
    fn any_bytes(frame in proptest::collection::vec(any::<u8>(), 0..1600)) {
        let _ = Network::new().answer(&frame);
    }

    #[test]
    fn bent_and_cut_frames(
        which in 0usize..4,
        cut in 0usize..400,
        bends in proptest::collection::vec((0usize..400, any::<u8>()), 0..12),
        fix in any::<bool>(),
    ) {
        let mut n = Network::new();
        let mut frame = samples()[which].clone();
        frame.truncate(cut.max(bends.len() * 30));
        for (at, value) in bends {
            if let Some(byte) = frame.get_mut(at) {
                *byte = value;
            }
        }
        if fix {
            repair(&mut frame);
        }
        let once = n.answer(&frame);
        let state = n.save();
        prop_assert!(once.is_none_or(|f| f.len() <= 1518));
        prop_assert!(Network::new().restore(&state).is_ok());
    }

    #[test]
    fn any_dhcp_options(options in proptest::collection::vec(any::<u8>(), 0..300), kind in 0u8..10) {
        let mut n = Network::new();
        let message = dhcp([0; 4], 0, &[&[53, 1, kind], &options]);
        let first = exchange(&mut n, &message).map(|a| a.message);
        let state = n.save();
        prop_assert!(Network::new().restore(&state).is_ok());
        let again = exchange(&mut n, &message).map(|a| a.message);
        prop_assert_eq!(first, again);
    }
}
