//! Data breakpoints (SDM vol. 3B, 17.2): which linear bytes the debug registers watch.

use cpu::State;

/// An enabled breakpoint: address, bytes, and what it watches.
#[derive(Clone, Copy, Debug)]
struct Breakpoint {
    at: u32,
    len: u32,
    kind: u32,
}

/// R/W field: instruction execution.
const EXECUTE: u32 = 0;
/// R/W field: I/O with CR4.DE.
const PORT: u32 = 2;
/// R/W field: writes only.
const WRITE: u32 = 1;

fn breakpoint(cpu: &State, n: usize) -> Option<Breakpoint> {
    let dr7 = cpu.dr[7];
    if dr7 >> (2 * n) & 3 == 0 {
        return None;
    }
    let kind = dr7 >> (16 + 4 * n) & 3;
    let len = [1, 2, 8, 4][(dr7 >> (18 + 4 * n) & 3) as usize];
    Some(Breakpoint { at: cpu.dr[n] & !(len - 1), len, kind })
}

fn enabled(cpu: &State) -> impl Iterator<Item = (usize, Breakpoint)> + '_ {
    (0..4).filter_map(|n| breakpoint(cpu, n).map(|b| (n, b)))
}

/// Whether any data breakpoint lies in the page of `linear`.
pub fn in_page(cpu: &State, linear: u32) -> bool {
    cpu.dr[7] & 0xff != 0
        && enabled(cpu).any(|(_, b)| b.kind != EXECUTE && b.kind != PORT && (b.at ^ linear) >> 12 == 0)
}

/// DR6 bits of the data breakpoints that an access meets.
pub fn data_hits(cpu: &State, linear: u32, size: u32, write: bool) -> u32 {
    if cpu.dr[7] & 0xff == 0 {
        return 0;
    }
    enabled(cpu)
        .filter(|(_, b)| b.kind != EXECUTE && b.kind != PORT && (write || b.kind != WRITE))
        .filter(|(_, b)| linear.wrapping_sub(b.at) < b.len || b.at.wrapping_sub(linear) < size)
        .fold(0, |bits, (n, _)| bits | 1 << n)
}

/// DR6 bits of the execution breakpoints at a linear address.
pub fn execution_hits(cpu: &State, linear: u32) -> u32 {
    enabled(cpu).filter(|(_, b)| b.kind == EXECUTE && b.at == linear).fold(0, |bits, (n, _)| bits | 1 << n)
}

/// Whether any execution breakpoint is enabled.
pub fn any_execution(cpu: &State) -> bool {
    cpu.dr[7] & 0xff != 0 && enabled(cpu).any(|(_, b)| b.kind == EXECUTE)
}
