//! The packets of a CD-ROM drive (MMC-3, T10/1363-D; SPC-2 for the common ones).

use super::drive::Drive;

pub(super) const REQUEST_SENSE: u8 = 0x03;
/// Sectors of a medium in a sector of a CD.
const PER_SECTOR: u64 = 4;
/// Frames before the first sector: two seconds.
const LEAD_IN: u32 = 150;

/// Sense keys with their codes.
mod sense {
    pub(super) const NO_MEDIUM: [u8; 3] = [2, 0x3a, 0];
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
        return fail(d, if d.medium.is_some() { sense::MEDIUM_CHANGED } else { sense::NO_MEDIUM });
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
        0xbe => read_cd(d, p),
        0x2b => with_disc(d, |_| Reply::Done),
        0x42 => with_disc(d, |_| data(vec![0, 0x15, 0, 0], word(p, 7).into())),
        0x43 => read_toc(d, p),
        0x46 => get_configuration(d, p),
        0x4a => event_status(d, p),
        0x51 => with_disc(d, |_| data(disc_information(), word(p, 7).into())),
        0xbd => data(vec![0, 0, 0, 0, 0, 1, 0, 0], word(p, 8).into()),
        // there is no sound on a data track
        0x45 | 0x47 | 0x48 | 0xa5 | 0x4b => with_disc(d, |d| fail(d, sense::WRONG_TRACK)),
        0xbb => Reply::Done,
        _ => fail(d, sense::INVALID_COMMAND),
    }
}

fn with_disc(d: &mut Drive, f: impl FnOnce(&mut Drive) -> Reply) -> Reply {
    if d.medium.is_some() { f(d) } else { fail(d, sense::NO_MEDIUM) }
}

/// Sectors of 2048 bytes on the disc.
fn sectors(d: &Drive) -> u32 {
    u32::try_from(d.capacity.div_ceil(PER_SECTOR)).unwrap_or(u32::MAX)
}

fn request_sense(d: &mut Drive, p: &Packet) -> Reply {
    if d.attention {
        d.attention = false;
        d.sense = if d.medium.is_some() { sense::MEDIUM_CHANGED } else { sense::NO_MEDIUM };
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

/// START STOP UNIT with LoEj opens the tray; what is in it goes back to the board's shelf.
fn start_stop(d: &mut Drive, p: &Packet) -> Reply {
    if p[4] & 3 != 2 {
        return Reply::Done;
    }
    if d.prevented && d.medium.is_some() {
        return fail(d, sense::REMOVAL_PREVENTED);
    }
    drop(d.eject());
    d.attention = false;
    Reply::Done
}

fn capacity(d: &Drive) -> Vec<u8> {
    [sectors(d).saturating_sub(1).to_be_bytes(), 2048u32.to_be_bytes()].concat()
}

fn read(d: &mut Drive, first: u32, count: u32) -> Reply {
    with_disc(d, |d| {
        // the last sector is whole, or it is not there
        let whole = d.capacity / PER_SECTOR;
        if u64::from(first) + u64::from(count) > whole {
            return fail(d, sense::OUT_OF_RANGE);
        }
        Reply::Sectors { first: first.into(), count: count.min(0xffff) }
    })
}

/// READ CD: user data of mode 1 only.
fn read_cd(d: &mut Drive, p: &Packet) -> Reply {
    let count = u32::from_be_bytes([0, p[6], p[7], p[8]]);
    match p[9] & 0xf8 {
        0x10 => read(d, dword(p, 2), count),
        0 => Reply::Done,
        _ => fail(d, sense::INVALID_FIELD),
    }
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
    let kind = if d.medium.is_some() { 0x01 } else { 0x70 };
    let mut out = if long {
        let len = (body.len() as u16 + 6).to_be_bytes();
        vec![len[0], len[1], kind, 0, 0, 0, 0, 0]
    } else {
        vec![body.len() as u8 + 3, kind, 0, 0]
    };
    out.extend(body);
    data(out, most)
}

/// Profiles, and the features that every CD-ROM drive has.
fn get_configuration(d: &Drive, p: &Packet) -> Reply {
    const CD_ROM: u8 = 8;
    let current = d.medium.is_some();
    let now = u8::from(current);
    let mut features = vec![0, 0, 3, 4, 0, CD_ROM, now, 0];
    features.extend([0, 1, 3, 4, 0, 0, 0, 2]);
    features.extend([0, 3, 3, 4, 0x29, 0, 0, 0]);
    let mut out = vec![0; 6];
    out.extend([0, if current { CD_ROM } else { 0 }]);
    out.extend(features);
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
    let present = if d.medium.is_some() { 2 } else { 0 };
    let event = std::mem::take(&mut d.media_event);
    data(vec![0, 6, 0x04, 0x10, event, present, 0, 0], word(p, 7).into())
}

/// A finished disc with one session of one track.
fn disc_information() -> Vec<u8> {
    let mut out = vec![0; 34];
    (out[1], out[2], out[3], out[4], out[5], out[6]) = (32, 0x0e, 1, 1, 1, 1);
    out[7] = 0x20;
    out[16..24].fill(0xff);
    out
}
