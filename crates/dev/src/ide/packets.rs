//! The packets of a CD-ROM drive (MMC-3, T10/1363-D; SPC-2 for the common ones).

use super::drive::Drive;
use super::raw_sector;

pub(super) const REQUEST_SENSE: u8 = 0x03;
const READ_CD: u8 = 0xbe;
const READ_CD_MSF: u8 = 0xb9;
/// The profile of a CD-ROM drive.
const CD_ROM: u8 = 8;
/// Sectors of a medium in a sector of a CD.
const PER_SECTOR: u64 = 4;
/// Frames before the first sector: two seconds.
const LEAD_IN: u32 = 150;

/// Sense keys with their codes.
mod sense {
    pub(super) const NO_MEDIUM: [u8; 3] = [2, 0x3a, 0];
    pub(super) const TRAY_OPEN: [u8; 3] = [2, 0x3a, 2];
    pub(super) const INVALID_COMMAND: [u8; 3] = [5, 0x20, 0];
    pub(super) const OUT_OF_RANGE: [u8; 3] = [5, 0x21, 0];
    pub(super) const INVALID_FIELD: [u8; 3] = [5, 0x24, 0];
    pub(super) const REMOVAL_PREVENTED: [u8; 3] = [5, 0x53, 2];
    pub(super) const WRONG_TRACK: [u8; 3] = [5, 0x64, 0];
    pub(super) const MEDIUM_CHANGED: [u8; 3] = [6, 0x28, 0];
}

/// What a packet leads to.
pub(super) enum Reply {
    /// It is over.
    Done,
    /// It is over; the drive's sense data says what is wrong.
    Sense,
    /// Bytes for the host.
    Data(Vec<u8>),
    /// Sectors of the disc for the host.
    Sectors { first: u64, count: u32 },
    /// Bytes from the host.
    Parameters(u16),
}

type Packet = [u8; 12];

fn word(p: &Packet, at: usize) -> u16 {
    u16::from_be_bytes([p[at], p[at + 1]])
}

fn dword(p: &Packet, at: usize) -> u32 {
    u32::from_be_bytes([p[at], p[at + 1], p[at + 2], p[at + 3]])
}

fn fail(d: &mut Drive, what: [u8; 3]) -> Reply {
    d.sense = what;
    Reply::Sense
}

fn data(bytes: Vec<u8>, most: usize) -> Reply {
    let mut bytes = bytes;
    bytes.truncate(most);
    Reply::Data(bytes)
}

/// Carries a packet out.
pub(super) fn execute(d: &mut Drive, p: &Packet) -> Reply {
    // a changed disc is told of first, but for the packets that ask (MMC-3, 4.1.4)
    let asks = matches!(p[0], REQUEST_SENSE | 0x12 | 0x46 | 0x4a);
    if d.attention && !asks {
        d.attention = false;
        return fail(d, if d.has_disc() { sense::MEDIUM_CHANGED } else { no_disc(d) });
    }
    if p[0] != REQUEST_SENSE {
        d.sense = [0; 3];
    }
    match p[0] {
        0x00 => with_disc(d, |_| Reply::Done),
        REQUEST_SENSE => request_sense(d, p),
        0x12 => inquiry(d, p),
        0x1b => start_stop(d, p),
        0x1e => {
            d.prevented = p[4] & 1 != 0;
            Reply::Done
        }
        0x15 => Reply::Parameters(p[4].into()),
        0x55 => Reply::Parameters(word(p, 7)),
        0x1a => mode_sense(d, p, usize::from(p[4]), false),
        0x5a => mode_sense(d, p, word(p, 7).into(), true),
        0x25 => with_disc(d, |d| Reply::Data(capacity(d))),
        0x28 => read(d, dword(p, 2), word(p, 7).into()),
        0xa8 => read(d, dword(p, 2), dword(p, 6)),
        READ_CD => read_cd(d, p, dword(p, 2), u32::from_be_bytes([0, p[6], p[7], p[8]])),
        READ_CD_MSF => read_cd_msf(d, p),
        0x2b => with_disc(d, |_| Reply::Done),
        0x42 => with_disc(d, |d| answer(d, sub_channel(p), p)),
        0x52 => with_disc(d, |d| answer(d, track_information(d, p), p)),
        0x43 => read_toc(d, p),
        0x46 => get_configuration(d, p),
        0x4a => event_status(d, p),
        0x51 => with_disc(d, |_| data(disc_information(), word(p, 7).into())),
        0xbd => data(vec![0, u8::from(d.open) << 4, 0, 0, 0, 1, 0, 0], word(p, 8).into()),
        // there is no sound on a data track
        0x45 | 0x47 | 0x48 | 0xa5 | 0x4b => with_disc(d, |d| fail(d, sense::WRONG_TRACK)),
        0xbb => Reply::Done,
        _ => fail(d, sense::INVALID_COMMAND),
    }
}

/// Data for the host, or there are none of the kind.
fn answer(d: &mut Drive, bytes: Option<Vec<u8>>, p: &Packet) -> Reply {
    bytes.map_or_else(|| fail(d, sense::INVALID_FIELD), |bytes| data(bytes, word(p, 7).into()))
}

fn with_disc(d: &mut Drive, f: impl FnOnce(&mut Drive) -> Reply) -> Reply {
    if d.has_disc() { f(d) } else { fail(d, no_disc(d)) }
}

fn no_disc(d: &Drive) -> [u8; 3] {
    if d.open { sense::TRAY_OPEN } else { sense::NO_MEDIUM }
}

/// Sectors of 2048 bytes on the disc: the last one is whole, or it is not there.
fn sectors(d: &Drive) -> u32 {
    u32::try_from(d.capacity / PER_SECTOR).unwrap_or(u32::MAX)
}

fn request_sense(d: &mut Drive, p: &Packet) -> Reply {
    if d.attention {
        d.attention = false;
        d.sense = if d.has_disc() { sense::MEDIUM_CHANGED } else { no_disc(d) };
    }
    let [key, code, qualifier] = std::mem::take(&mut d.sense);
    let mut out = vec![0; 18];
    (out[0], out[2], out[7], out[12], out[13]) = (0x70, key, 10, code, qualifier);
    data(out, p[4].into())
}

fn inquiry(d: &Drive, p: &Packet) -> Reply {
    let mut out = vec![5, 0x80, 0, 0x21, 31, 0, 0, 0];
    let field = |text: &str, n: usize| format!("{text:<n$.n$}").into_bytes();
    out.extend(field("RINGER", 8));
    out.extend(field(&d.identity.model, 16));
    out.extend(field("1.0", 4));
    data(out, p[4].into())
}

/// START STOP UNIT with LoEj moves the tray (MMC-3, 6.41); what lies in it stays there.
fn start_stop(d: &mut Drive, p: &Packet) -> Reply {
    match p[4] & 3 {
        2 if d.prevented && !d.open => return fail(d, sense::REMOVAL_PREVENTED),
        2 => d.open_tray(),
        3 => d.close_tray(),
        _ => {}
    }
    Reply::Done
}

fn capacity(d: &Drive) -> Vec<u8> {
    [sectors(d).saturating_sub(1).to_be_bytes(), 2048u32.to_be_bytes()].concat()
}

fn read(d: &mut Drive, first: u32, count: u32) -> Reply {
    with_disc(d, |d| {
        if u64::from(first) + u64::from(count) > sectors(d).into() {
            return fail(d, sense::OUT_OF_RANGE);
        }
        Reply::Sectors { first: first.into(), count }
    })
}

/// READ CD: sectors of a data track, of mode 1, as a whole or in parts. There is no subcode, and no error.
fn read_cd(d: &mut Drive, p: &Packet, first: u32, count: u32) -> Reply {
    let (kind, parts) = (p[1] >> 2 & 7, part(p));
    if !matches!(kind, 0 | 2) {
        return with_disc(d, |d| fail(d, sense::WRONG_TRACK));
    }
    match parts {
        Some(_) if p[9] & 6 != 0 || p[10] & 7 != 0 => fail(d, sense::INVALID_FIELD),
        Some(part) if part.is_empty() => Reply::Done,
        Some(_) => read(d, first, count),
        None => fail(d, sense::INVALID_FIELD),
    }
}

/// READ CD MSF: the end is the first sector that is not read.
fn read_cd_msf(d: &mut Drive, p: &Packet) -> Reply {
    let at = |n: usize| (u32::from(p[n]) * 60 + u32::from(p[n + 1])) * 75 + u32::from(p[n + 2]);
    let fields = [4, 5, 7, 8].map(|n| p[n]);
    if fields[0] >= 60 || fields[1] >= 75 || fields[2] >= 60 || fields[3] >= 75 || at(6) < at(3) {
        return fail(d, sense::INVALID_FIELD);
    }
    match at(3).checked_sub(LEAD_IN) {
        Some(first) => read_cd(d, p, first, at(6) - at(3)),
        None => fail(d, sense::OUT_OF_RANGE),
    }
}

/// The part of each sector that a packet reads; `None`: it is not one piece.
pub(super) fn part(p: &Packet) -> Option<std::ops::Range<usize>> {
    raw_sector::part(if matches!(p[0], READ_CD | READ_CD_MSF) { p[9] } else { 0x10 })
}

/// READ SUB-CHANNEL (MMC-3, 6.28): nothing is played; the position is the track's start.
fn sub_channel(p: &Packet) -> Option<Vec<u8>> {
    let mut out = vec![0, 0x15, 0, 0];
    if p[2] & 0x40 != 0 {
        let at = address(0, p[1] & 2 != 0);
        match p[3] {
            1 => out.extend([&[1, 0x14, 1, 1][..], &at, &[0; 4]].concat()),
            // neither the disc nor the track has a number
            2 => out.extend([&[2][..], &[0; 19]].concat()),
            3 if p[6] == 1 => out.extend([&[3, 0x14, 1][..], &[0; 17]].concat()),
            _ => return None,
        }
    }
    let len = (out.len() as u16 - 4).to_be_bytes();
    out[2..4].copy_from_slice(&len);
    Some(out)
}

/// READ TRACK INFORMATION (MMC-3, 6.29): the one track, by an address in it, its number or its session's.
fn track_information(d: &Drive, p: &Packet) -> Option<Vec<u8>> {
    let inside = match p[1] & 3 {
        0 => dword(p, 2) < sectors(d),
        1 | 2 => dword(p, 2) == 1,
        _ => false,
    };
    let mut out = vec![0; 36];
    (out[1], out[2], out[3], out[5], out[6]) = (34, 1, 1, 4, 1);
    out[24..28].copy_from_slice(&sectors(d).to_be_bytes());
    inside.then_some(out)
}

/// An address as the host asked for it: sectors, or minutes, seconds and frames.
fn address(sector: u32, msf: bool) -> [u8; 4] {
    if !msf {
        return sector.to_be_bytes();
    }
    let n = sector.saturating_add(LEAD_IN);
    [0, (n / 75 / 60).min(255) as u8, (n / 75 % 60) as u8, (n % 75) as u8]
}

/// One session with one data track.
fn read_toc(d: &mut Drive, p: &Packet) -> Reply {
    let (msf, start) = (p[1] & 2 != 0, p[6]);
    let format = if p[2] & 15 == 0 { p[9] >> 6 } else { p[2] & 15 };
    with_disc(d, |d| {
        let end = sectors(d);
        let mut out = match format {
            0 if start > 1 && start != 0xaa => return fail(d, sense::INVALID_FIELD),
            0 => vec![0, 0, 1, 1],
            1 => [&[0, 0, 1, 1, 0, 0x14, 1, 0][..], &address(0, msf)].concat(),
            2 => full_toc(end),
            _ => return fail(d, sense::INVALID_FIELD),
        };
        if format == 0 {
            if start <= 1 {
                out.extend([0, 0x14, 1, 0]);
                out.extend(address(0, msf));
            }
            out.extend([0, 0x14, 0xaa, 0]);
            out.extend(address(end, msf));
        }
        let len = (out.len() as u16 - 2).to_be_bytes();
        out[..2].copy_from_slice(&len);
        data(out, word(p, 7).into())
    })
}

/// The raw table: points A0h, A1h, A2h and the track, each with its place.
fn full_toc(end: u32) -> Vec<u8> {
    let mut out = vec![0, 0, 1, 1];
    let places =
        [(0xa0, [0, 1, 0, 0]), (0xa1, [0, 1, 0, 0]), (0xa2, address(end, true)), (1, address(0, true))];
    for (point, at) in places {
        out.extend([1, 0x14, 0, point, 0, 0, 0, 0]);
        out.extend(&at[1..]);
    }
    out
}

/// Mode pages (MMC-3, 5.5): error recovery, CD device, audio, capabilities.
fn mode_sense(d: &mut Drive, p: &Packet, most: usize, long: bool) -> Reply {
    let mut capabilities = vec![0x2a, 0x12, 0x00, 0x00, 0x71, 0x60, 0x29, 0x00];
    capabilities[6] |= u8::from(d.prevented) << 1;
    capabilities.extend([0x02, 0xc2, 0, 2, 0x02, 0x00, 0x02, 0xc2, 0, 0, 0, 0]);
    let pages: [(u8, Vec<u8>); 4] = [
        (0x01, vec![0x01, 6, 0, 5, 0, 0, 0, 0]),
        (0x0d, vec![0x0d, 6, 0, 0, 0, 60, 0, 75]),
        (0x0e, [&[0x0e, 14, 4, 0, 0, 0, 0, 75, 1, 0xff, 2, 0xff][..], &[0; 4]].concat()),
        (0x2a, capabilities),
    ];
    let wanted = p[2] & 0x3f;
    if p[2] >> 6 == 3 {
        return fail(d, [5, 0x39, 0]);
    }
    let body: Vec<u8> = pages
        .into_iter()
        .filter(|(n, _)| wanted == 0x3f || wanted == *n)
        .flat_map(|(_, page)| page)
        .collect();
    if body.is_empty() {
        return fail(d, sense::INVALID_FIELD);
    }
    // a data disc; no disc; an open door
    let kind = if d.has_disc() { 0x01 } else { 0x70 | u8::from(d.open) };
    let mut out = if long {
        let len = (body.len() as u16 + 6).to_be_bytes();
        vec![len[0], len[1], kind, 0, 0, 0, 0, 0]
    } else {
        vec![body.len() as u8 + 3, kind, 0, 0]
    };
    out.extend(body);
    data(out, most)
}

/// Profiles, and the features of a CD-ROM drive (MMC-3, 5.4): number, version with Persistent and Current, data.
fn features(disc: bool) -> [(u16, u8, Vec<u8>); 7] {
    let now = u8::from(disc);
    [
        (0x000, 3, vec![0, CD_ROM, now, 0]),
        (0x001, 3, vec![0, 0, 0, 2]),               // core: ATAPI
        (0x002, 3, vec![0, 0, 0, 0]),               // morphing
        (0x003, 3, vec![0x29, 0, 0, 0]),            // removable medium: tray, eject, lock
        (0x010, now, vec![0, 0, 8, 0, 0, 1, 1, 0]), // random readable: 2048 bytes
        (0x01e, 1 << 2 | now, vec![0, 0, 0, 0]),    // CD read
        (0x100, 3, vec![]),                         // power management
    ]
}

/// GET CONFIGURATION: all features from a number on, the current ones, or that very one.
fn get_configuration(d: &mut Drive, p: &Packet) -> Reply {
    let (from, disc) = (word(p, 2), d.has_disc());
    let wanted = |number: u16, current: bool| match p[1] & 3 {
        0 => number >= from,
        1 => number >= from && current,
        _ => number == from,
    };
    if p[1] & 3 == 3 {
        return fail(d, sense::INVALID_FIELD);
    }
    let mut out = vec![0, 0, 0, 0, 0, 0, 0, if disc { CD_ROM } else { 0 }];
    for (number, version, bytes) in features(disc).into_iter().filter(|(n, v, _)| wanted(*n, v & 1 != 0)) {
        let [high, low] = number.to_be_bytes();
        out.extend([high, low, version, bytes.len() as u8]);
        out.extend(bytes);
    }
    let len = (out.len() as u32 - 4).to_be_bytes();
    out[..4].copy_from_slice(&len);
    data(out, word(p, 7).into())
}

/// Only polling, and only media events, are there.
fn event_status(d: &mut Drive, p: &Packet) -> Reply {
    if p[1] & 1 == 0 {
        return fail(d, sense::INVALID_FIELD);
    }
    if p[4] & 0x10 == 0 {
        return data(vec![0, 2, 0x80, 0x10], word(p, 7).into());
    }
    let state = u8::from(d.has_disc()) << 1 | u8::from(d.open);
    let event = std::mem::take(&mut d.media_event);
    data(vec![0, 6, 0x04, 0x10, event, state, 0, 0], word(p, 7).into())
}

/// A finished disc with one session of one track.
fn disc_information() -> Vec<u8> {
    let mut out = vec![0; 34];
    (out[1], out[2], out[3], out[4], out[5], out[6]) = (32, 0x0e, 1, 1, 1, 1);
    out[7] = 0x20;
    out[16..24].fill(0xff);
    out
}
