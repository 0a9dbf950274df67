//! The network card that the options ask for.

use crate::cli::Run;
use machine::{Image, Nic, NicKind, Pc};

/// What `--nic` says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum NicChoice {
    /// No network card.
    None,
    /// This one.
    Card(Nic),
}

/// Reads `pci`, `isa` or `none`, with `mac=ADDRESS` behind a comma.
pub(crate) fn parse(text: &str) -> Result<NicChoice, String> {
    let expected = || "expected pci, isa or none, and an address as in pci,mac=52:54:00:12:34:56".to_owned();
    let (kind, rest) = text.split_once(',').map_or((text, None), |(kind, rest)| (kind, Some(rest)));
    let kind = match kind {
        "pci" => NicKind::Pci,
        "isa" => NicKind::Isa,
        "none" if rest.is_none() => return Ok(NicChoice::None),
        _ => return Err(expected()),
    };
    let mac = match rest {
        None => Nic::MAC,
        Some(rest) => parse_mac(rest.strip_prefix("mac=").ok_or_else(expected)?)?,
    };
    Ok(NicChoice::Card(Nic { kind, mac }))
}

fn parse_mac(text: &str) -> Result<[u8; 6], String> {
    let byte = |s: &str| {
        let digits = s.len() == 2 && s.bytes().all(|b| b.is_ascii_hexdigit());
        if digits { u8::from_str_radix(s, 16).ok() } else { None }
    };
    let bytes: Option<Vec<u8>> = text.split(':').map(byte).collect();
    let mac: Option<[u8; 6]> = bytes.and_then(|b| b.try_into().ok());
    match mac {
        None => Err(format!("{text:?} is no Ethernet address such as 52:54:00:12:34:56")),
        Some(mac) if mac[0] & 1 != 0 || mac == [0; 6] => {
            Err(format!("{text} is no address of one card: it is a group's, or nobody's"))
        }
        Some(mac) => Ok(mac),
    }
}

/// Puts the card in: the one asked for, or one on PCI where a BIOS starts the machine.
pub(crate) fn attach(run: &Run, image: Option<&Image>, board: &mut Pc) {
    let usual = match image {
        Some(Image::Firmware(_)) => NicChoice::Card(Nic { kind: NicKind::Pci, mac: Nic::MAC }),
        _ => NicChoice::None,
    };
    if let NicChoice::Card(nic) = run.nic.unwrap_or(usual) {
        board.attach_nic(nic);
    }
}

/// A snapshot has its own card; one that was asked for has to be the same.
pub(crate) fn insist(run: &Run, board: &mut Pc) {
    match run.nic {
        None => {}
        Some(NicChoice::None) => board.detach_nic(),
        Some(NicChoice::Card(nic)) => board.attach_nic(nic),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_and_addresses() {
        let card = |kind, mac| Ok(NicChoice::Card(Nic { kind, mac }));
        assert_eq!(parse("none"), Ok(NicChoice::None));
        assert_eq!(parse("pci"), card(NicKind::Pci, Nic::MAC));
        assert_eq!(parse("isa,mac=02:00:00:aB:cd:01"), card(NicKind::Isa, [2, 0, 0, 0xab, 0xcd, 1]));
        for bad in [
            "",
            "usb",
            "pci,",
            "pci,mac=",
            "none,mac=02:00:00:00:00:01",
            "pci,mac=01:00:5e:00:00:01",
            "pci,mac=00:00:00:00:00:00",
            "pci,mac=2:0:0:0:0:1",
            "pci,mac=02:00:00:00:00:01:02",
            "pci,mac=+2:00:00:00:00:01",
            "pci,mac=é2:00:00:00:00:01",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
