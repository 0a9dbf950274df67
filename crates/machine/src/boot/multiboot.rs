//! The Multiboot specification, version 0.6.96.

use super::{BootError, flat_protected, memory_map, put};
use cpu::{State, reg};
use mem::Memory;
use std::io::Read;

const MAGIC: u32 = 0x1bad_b002;
const BOOTED: u32 = 0x2bad_b002;
/// Where the information structure goes: below the EBDA.
const INFO: u64 = 0x9_0000;
/// Unpacked kernels beyond this are refused.
const MOST: u64 = 256 << 20;

pub(super) struct Header {
    at: usize,
    flags: u32,
}

fn dword(file: &[u8], at: usize) -> Option<u32> {
    let b = file.get(at..at.checked_add(4)?)?;
    Some(u32::from_le_bytes([b[0], b[1], b[2], b[3]]))
}

fn word(file: &[u8], at: usize) -> Option<u16> {
    let b = file.get(at..at.checked_add(2)?)?;
    Some(u16::from_le_bytes([b[0], b[1]]))
}

fn format(why: &'static str) -> BootError {
    BootError::Format { expected: "a multiboot kernel", why }
}

/// Unpacks gzip, as GRUB does.
pub(super) fn unpack(file: Vec<u8>) -> Result<Vec<u8>, BootError> {
    if !file.starts_with(&[0x1f, 0x8b]) {
        return Ok(file);
    }
    let mut out = Vec::new();
    let read = flate2::read::MultiGzDecoder::new(&file[..]).take(MOST + 1).read_to_end(&mut out);
    match read {
        Ok(n) if n as u64 <= MOST => Ok(out),
        Ok(_) => Err(format("it unpacks to more than 256 MiB")),
        Err(_) => Err(format("its gzip data is damaged")),
    }
}

/// The header: aligned to 4 bytes within the first 8 KiB.
pub(super) fn find_header(file: &[u8]) -> Option<Header> {
    (0..8192.min(file.len())).step_by(4).find_map(|at| {
        let flags = dword(file, at + 4)?;
        let sum = MAGIC.wrapping_add(flags).wrapping_add(dword(file, at + 8)?);
        (dword(file, at)? == MAGIC && sum == 0).then_some(Header { at, flags })
    })
}

/// Loads kernel, module and information structure.
pub(super) fn load(
    kernel: &[u8],
    module: Option<&[u8]>,
    append: &str,
    cpu: &mut State,
    mem: &mut Memory,
) -> Result<(), BootError> {
    let header = find_header(kernel).ok_or(format("there is no header in its first 8 KiB"))?;
    if header.flags & 0xffff & !7 != 0 {
        return Err(format("it demands a feature that is not known"));
    }
    let (entry, end) = if header.flags & 0x1_0000 != 0 {
        load_by_addresses(kernel, &header, mem)?
    } else {
        load_elf(kernel, mem)?
    };
    let module = match module {
        Some(m) => {
            let at = end.next_multiple_of(4096);
            put(mem, "the module", at, m)?;
            Some((at as u32, at as u32 + m.len() as u32))
        }
        None => None,
    };
    information(module, append, mem)?;
    flat_protected(cpu, 0x08, 0x10, entry);
    cpu.set_r32(reg::AX, BOOTED);
    cpu.set_r32(reg::BX, INFO as u32);
    Ok(())
}

/// The address fields of the header (flag 16); returns entry and end.
fn load_by_addresses(kernel: &[u8], header: &Header, mem: &mut Memory) -> Result<(u32, u64), BootError> {
    let field = |n: usize| dword(kernel, header.at + 12 + 4 * n).ok_or(format("its header is cut off"));
    let (header_at, load, load_end, bss_end, entry) = (field(0)?, field(1)?, field(2)?, field(3)?, field(4)?);
    let back = header_at.checked_sub(load).ok_or(format("its load address lies behind its header"))?;
    let first = header.at.checked_sub(back as usize).ok_or(format("it starts before the file"))?;
    let len = if load_end == 0 { kernel.len() - first } else { load_end.saturating_sub(load) as usize };
    let body = kernel.get(first..).and_then(|b| b.get(..len)).ok_or(format("the file is truncated"))?;
    put(mem, "the kernel", u64::from(load), body)?;
    let end = u64::from(load) + len as u64;
    let bss = u64::from(bss_end).saturating_sub(end);
    clear(mem, end, bss)?;
    Ok((entry, end + bss))
}

fn clear(mem: &mut Memory, at: u64, len: u64) -> Result<(), BootError> {
    if at + len > mem.len() {
        return Err(BootError::Memory { what: "the kernel", needed: at + len, memory: mem.len() });
    }
    put(mem, "the kernel", at, &vec![0; len as usize])
}

/// The loadable segments of a 32-bit ELF file, at their physical addresses.
fn load_elf(kernel: &[u8], mem: &mut Memory) -> Result<(u32, u64), BootError> {
    let cut = || format("its ELF headers are cut off");
    if kernel.get(..5) != Some(&[0x7f, b'E', b'L', b'F', 1]) {
        return Err(format("it is no 32-bit ELF file and gives no addresses"));
    }
    let entry = dword(kernel, 24).ok_or_else(cut)?;
    let table = dword(kernel, 28).ok_or_else(cut)? as usize;
    let (size, count) = (word(kernel, 42).ok_or_else(cut)?, word(kernel, 44).ok_or_else(cut)?);
    let (mut end, mut start, mut total) = (0, entry, 0);
    for n in 0..usize::from(count) {
        let field = |k: usize| dword(kernel, table + n * usize::from(size) + 4 * k).ok_or_else(cut);
        if field(0)? != 1 {
            continue;
        }
        let (offset, virt, phys) = (field(1)? as usize, field(2)?, field(3)?);
        let (in_file, in_memory) = (field(4)? as usize, field(5)?);
        // segments may not overlap, so that together they fit as well
        total += u64::from(in_memory).max(in_file as u64);
        if total > mem.len() {
            return Err(BootError::Memory { what: "the kernel", needed: total, memory: mem.len() });
        }
        let body =
            kernel.get(offset..).and_then(|b| b.get(..in_file)).ok_or(format("the file is truncated"))?;
        put(mem, "the kernel", u64::from(phys), body)?;
        clear(mem, u64::from(phys) + in_file as u64, u64::from(in_memory).saturating_sub(in_file as u64))?;
        if entry.wrapping_sub(virt) < in_memory {
            start = entry.wrapping_sub(virt).wrapping_add(phys);
        }
        end = end.max(u64::from(phys) + u64::from(in_memory));
    }
    if end == 0 { Err(format("it has no segment to load")) } else { Ok((start, end)) }
}

/// The information structure: memory, command line, module, memory map, loader's name.
fn information(module: Option<(u32, u32)>, append: &str, mem: &mut Memory) -> Result<(), BootError> {
    let mut info = vec![0u8; 128];
    let set = |info: &mut Vec<u8>, at: usize, v: u32| info[at..at + 4].copy_from_slice(&v.to_le_bytes());
    let here = |info: &Vec<u8>| INFO as u32 + info.len() as u32;
    let upper = (mem.len().saturating_sub(0x10_0000) >> 10) as u32;
    let at = here(&info);
    set(&mut info, 16, at);
    info.extend(append.bytes().take(0x4000).chain([0]));
    let at = here(&info);
    set(&mut info, 64, at);
    info.extend(b"Ringer\0");
    info.resize(info.len().next_multiple_of(4), 0);
    let flags = 1 | 1 << 2 | 1 << 6 | 1 << 9 | if module.is_some() { 1 << 3 } else { 0 };
    set(&mut info, 0, flags);
    set(&mut info, 4, 639);
    set(&mut info, 8, upper);
    if let Some((start, end)) = module {
        let at = here(&info);
        set(&mut info, 20, 1);
        set(&mut info, 24, at);
        for v in [start, end, 0, 0] {
            info.extend(v.to_le_bytes());
        }
    }
    let map = memory_map(mem.len());
    let at = here(&info);
    set(&mut info, 44, 24 * map.len() as u32);
    set(&mut info, 48, at);
    for (base, len, usable) in map {
        info.extend(20u32.to_le_bytes());
        info.extend(base.to_le_bytes());
        info.extend(len.to_le_bytes());
        info.extend(if usable { 1u32 } else { 2 }.to_le_bytes());
    }
    put(mem, "the multiboot information", INFO, &info)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_that_together_exceed_memory_are_refused() {
        let mut file = vec![0u8; 0x100];
        let mut set = |at: usize, v: u32| file[at..at + 4].copy_from_slice(&v.to_le_bytes());
        set(0, 0x464c_457f);
        set(4, 1);
        set(28, 52);
        // one header, of no size, named 65,535 times
        set(44, 0xffff);
        set(52, 1);
        set(52 + 12, 0x10_0000);
        set(52 + 20, 0x20_0000);
        for (at, v) in [(0xc0, MAGIC), (0xc4, 0), (0xc8, 0u32.wrapping_sub(MAGIC))] {
            set(at, v);
        }
        let (mut cpu, mut mem) = (State::new(cpu::CpuModel::N270), Memory::new(8 << 20).unwrap());
        let refused = load(&file, None, "", &mut cpu, &mut mem);
        assert!(matches!(refused, Err(BootError::Memory { needed: 0xa0_0000, .. })), "{refused:?}");
    }
}
