//! The host mapping that holds guest RAM and ROM.

use crate::MemoryError;
use memmap2::MmapMut;

/// The address of guest bytes in the host, taken from a shadow entry.
///
/// It is a number, not a pointer: each use checks that it lies in the arena, and does nothing
/// where it does not.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HostAddress(pub u64);

/// Guest RAM as one anonymous host mapping, indexed by guest-physical address.
pub struct Arena {
    map: MmapMut,
    base: u64,
    len: u64,
}

impl Arena {
    /// Maps `len` zeroed bytes.
    ///
    /// # Errors
    /// The host has not that much address space.
    pub fn new(len: u64) -> Result<Arena, MemoryError> {
        let bytes = usize::try_from(len).map_err(|_| MemoryError::Map { bytes: len })?;
        let mut map = memmap2::MmapOptions::new()
            .len(bytes)
            .no_reserve_swap()
            .map_anon()
            .map_err(|_| MemoryError::Map { bytes: len })?;
        // guests touch what they touch in large pieces; that the host declines is no error
        let _ = map.advise(memmap2::Advice::HugePage);
        let base = map.as_mut_ptr() as u64;
        // shadow entries are differences between this and 32-bit addresses: positive, and not 0
        if base <= u64::from(u32::MAX) || base >> 62 != 0 {
            return Err(MemoryError::Map { bytes: len });
        }
        Ok(Arena { map, base, len })
    }

    /// Bytes.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Host address of guest-physical 0.
    pub fn base(&self) -> u64 {
        self.base
    }

    /// The offset of `size` bytes, if they lie in the arena.
    #[inline(always)]
    fn check(&self, at: HostAddress, size: u64) -> Option<usize> {
        let offset = at.0.wrapping_sub(self.base);
        (size <= self.len && offset <= self.len - size).then_some(offset as usize)
    }

    /// Reads bytes; zeroes where the address is not of this arena.
    #[inline(always)]
    pub fn read<const N: usize>(&self, at: HostAddress) -> [u8; N] {
        let Some(offset) = self.check(at, N as u64) else { return [0; N] };
        // SAFETY: `check` has shown that the N bytes at `offset` lie inside the mapping, which
        // lives as long as `self`; bytes have no invalid values and the copy needs no alignment.
        unsafe { std::ptr::read_unaligned(self.map.as_ptr().add(offset).cast::<[u8; N]>()) }
    }

    /// Writes bytes; does nothing where the address is not of this arena.
    #[inline(always)]
    pub fn write<const N: usize>(&mut self, at: HostAddress, value: [u8; N]) {
        let Some(offset) = self.check(at, N as u64) else { return };
        // SAFETY: as in `read`; `&mut self` excludes other access from this program.
        unsafe { std::ptr::write_unaligned(self.map.as_mut_ptr().add(offset).cast::<[u8; N]>(), value) }
    }

    /// The host address of a guest-physical one.
    pub fn host(&self, physical: u64) -> HostAddress {
        HostAddress(self.base.wrapping_add(physical))
    }

    /// Copies bytes out.
    pub fn copy_out(&self, at: HostAddress, out: &mut [u8]) {
        let Some(offset) = self.check(at, out.len() as u64) else { return };
        // SAFETY: `check` has shown that the range lies inside the mapping, and `out` is memory
        // of this program that cannot overlap it.
        unsafe { std::ptr::copy_nonoverlapping(self.map.as_ptr().add(offset), out.as_mut_ptr(), out.len()) }
    }

    /// Copies bytes in.
    pub fn copy_in(&mut self, at: HostAddress, bytes: &[u8]) {
        let Some(offset) = self.check(at, bytes.len() as u64) else { return };
        // SAFETY: as in `copy_out`.
        unsafe {
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), self.map.as_mut_ptr().add(offset), bytes.len())
        }
    }

    /// Fills `len` bytes with a pattern of 8 bytes, the least significant first.
    pub fn fill(&mut self, at: HostAddress, len: u64, pattern: u64) {
        let Some(offset) = self.check(at, len) else { return };
        let bytes = pattern.to_le_bytes();
        // SAFETY: `check` has shown that the range lies inside the mapping, which `&mut self` owns; whole
        // words and then single bytes are written within `len`, without need of alignment.
        unsafe {
            let start = self.map.as_mut_ptr().add(offset);
            if bytes.iter().all(|&b| b == bytes[0]) {
                return std::ptr::write_bytes(start, bytes[0], len as usize);
            }
            let words = len as usize / 8;
            (0..words).for_each(|n| start.add(8 * n).cast::<u64>().write_unaligned(u64::from_le(pattern)));
            (8 * words..len as usize).for_each(|n| start.add(n).write(bytes[n % 8]));
        }
    }

    /// Copies within the arena as `memmove` does.
    pub fn copy_within(&mut self, from: HostAddress, to: HostAddress, len: u64) {
        let (Some(from), Some(to)) = (self.check(from, len), self.check(to, len)) else { return };
        let base = self.map.as_mut_ptr();
        // SAFETY: `check` has shown that both ranges lie inside the mapping; `copy` allows overlap.
        unsafe { std::ptr::copy(base.add(from), base.add(to), len as usize) }
    }
}
