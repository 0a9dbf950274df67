//! What a device that is master of the bus reaches: guest-physical memory, and video memory.

/// Guest-physical memory as a bus master sees it. What is no memory reads as FFh and ignores writes.
pub trait DmaMemory {
    /// Copies bytes out.
    fn read(&self, at: u32, out: &mut [u8]);
    /// Copies bytes in, through whatever traces the memory has.
    fn write(&mut self, at: u32, bytes: &[u8]);
}

/// The memory of a display adapter, from its first byte.
pub trait VideoMemory {
    /// Bytes, a power of two of at least 256 KiB.
    fn size(&self) -> u32;
    /// Copies bytes out; what lies beyond the end reads as 0.
    fn read(&self, at: u32, out: &mut [u8]);
    /// Copies bytes in; what lies beyond the end is ignored.
    fn write(&mut self, at: u32, bytes: &[u8]);
}

/// Plain bytes, for tests.
impl DmaMemory for Vec<u8> {
    fn read(&self, at: u32, out: &mut [u8]) {
        out.fill(0xff);
        let from = self.get(at as usize..).unwrap_or(&[]);
        out.iter_mut().zip(from).for_each(|(o, b)| *o = *b);
    }
    fn write(&mut self, at: u32, bytes: &[u8]) {
        let to = self.get_mut(at as usize..).unwrap_or(&mut []);
        to.iter_mut().zip(bytes).for_each(|(o, b)| *o = *b);
    }
}

/// Plain bytes, for tests.
impl VideoMemory for Vec<u8> {
    fn size(&self) -> u32 {
        self.len() as u32
    }
    fn read(&self, at: u32, out: &mut [u8]) {
        out.fill(0);
        let from = self.get(at as usize..).unwrap_or(&[]);
        out.iter_mut().zip(from).for_each(|(o, b)| *o = *b);
    }
    fn write(&mut self, at: u32, bytes: &[u8]) {
        DmaMemory::write(self, at, bytes);
    }
}
