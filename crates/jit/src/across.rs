//! Accesses that reach into the next page (SDM vol. 3A, 8.1.1: they need not be atomic).
//!
//! Where the host's bytes follow one another as the guest's do, nothing is special about them; a load finds others
//! put together in the context, and a MOV is done here. What remains, other stores to pages that lie apart, and pages
//! without entries, is the interpreter's.

use crate::context::{Context, SPLIT};
use crate::engine::Call;
use cpu::{Monitor, State};
use mem::{HostAddress, Memory, PAGE};

/// Where an access's way is in its description; below are the bytes.
pub(crate) const HOW: u32 = 16;
/// The bit of stores.
pub(crate) const WRITE: u32 = 32;
/// The bit of accesses for which the shadow may be filled: nothing but themselves asks for these rights.
pub(crate) const FILLS: u32 = 33;
/// The way of accesses whose bytes must follow one another.
pub(crate) const TOGETHER: u64 = SPLIT as u64;
/// As [`TOGETHER`], for a group of accesses: single ones may do better.
pub(crate) const GROUP: u64 = TOGETHER + 1;

/// The way of a load, the `touch`th access of its instruction, whose bytes may be put together elsewhere. Others
/// of the same instruction may be read after it.
pub(crate) fn apart(touch: usize) -> u64 {
    (touch as u64).min(TOGETHER)
}

/// Puts what is to be added to the linear address of an access across pages, or to one that has no entry, into the
/// slot, or 0.
pub(crate) unsafe extern "C" fn across(context: *mut Context, linear: u64, kind: u64) {
    // SAFETY: compiled code passes on what `Jit::enter` gave it: valid, and used by nobody else now.
    let context = unsafe { &mut *context };
    // SAFETY: `call` is on `Jit::enter`'s stack, and its state, memory and monitor were borrowed for as long as that
    // runs.
    let (cpu, mem, monitor) = unsafe {
        let call = &*(context.call as *const Call);
        (&mut *call.cpu, &mut *call.mem, &mut *call.monitor)
    };
    let (linear, size, how) = (linear as u32, u32::from(kind as u16), usize::from((kind >> HOW) as u8));
    let (write, fills) = (kind >> WRITE & 1 != 0, kind >> FILLS & 1 != 0);
    let crosses = linear % PAGE + size > PAGE;
    let mut host = found(context, mem, linear, size, how, write);
    // of a group's second page nobody knows whether it will be asked for
    let fills = fills && !(crosses && how as u64 == GROUP);
    if host.is_none() && fills && shown(cpu, mem, monitor, linear, size, write) {
        host = found(context, mem, linear, size, how, write);
    }
    let linear = u64::from(linear);
    context.crossed = u32::from(host.is_none() && crosses && how as u64 != GROUP);
    context.slot = host.map_or(0, |h| u128::from(h.wrapping_sub(linear)));
}

/// Does a store across pages that are both plain memory; says in the slot whether it has.
pub(crate) unsafe extern "C" fn store_across(context: *mut Context, linear: u64, size: u64, value: u64) {
    // SAFETY: as in `across`.
    let context = unsafe { &mut *context };
    // SAFETY: as in `across`; the memory is used by nobody else now.
    let mem = unsafe { &mut *(*(context.call as *const Call)).mem };
    let (linear, size) = (linear as u32, size as u32);
    let done = stored(mem, linear, size, value).is_some();
    let crosses = linear % PAGE + size > PAGE;
    (context.slot, context.crossed) = (u128::from(done), u32::from(!done && crosses));
}

fn put(mem: &mut Memory, at: HostAddress, value: u64, size: u32) {
    for (n, byte) in (0..u64::from(size)).zip(value.to_le_bytes()) {
        mem.write(HostAddress(at.0 + n), [byte]);
    }
}

fn stored(mem: &mut Memory, linear: u32, size: u32, value: u64) -> Option<()> {
    let first = PAGE - linear % PAGE;
    let low = mem.lookup_write(linear, first.min(size))?;
    if first >= size {
        put(mem, low, value, size);
        return Some(());
    }
    let high = mem.lookup_write(linear.wrapping_add(first), size - first)?;
    put(mem, low, value, first);
    put(mem, high, value >> (8 * first), size - first);
    Some(())
}

/// Has the monitor show a page, as the interpreter would before the access; whether that is all that has happened.
/// Entries that compiled code has found before must still be good, and code that it runs unwritten.
fn shown(
    cpu: &mut State,
    mem: &mut Memory,
    monitor: &mut dyn Monitor,
    linear: u32,
    size: u32,
    write: bool,
) -> bool {
    let (narrowed, arrays) = (mem.narrowed, mem.arrays());
    monitor.probe(cpu, mem, linear, size, write).is_ok()
        && mem.narrowed == narrowed
        && mem.arrays() == arrays
        && !mem.has_traces()
}

fn found(c: &mut Context, mem: &Memory, linear: u32, size: u32, how: usize, write: bool) -> Option<u64> {
    let first = PAGE - linear % PAGE;
    let next = linear.wrapping_add(first);
    let find = |at, n| if write { mem.lookup_write(at, n) } else { mem.lookup_read(at, n) };
    if first >= size {
        // the last bytes of a page: compiled code does not look closely
        return find(linear, size).map(|at| at.0);
    }
    let (low, high) = (find(linear, first)?, find(next, size - first)?);
    if high.0 == low.0.wrapping_add(u64::from(first)) {
        return Some(low.0);
    }
    let bytes = c.split.get_mut(how)?.get_mut(..size as usize)?;
    if write {
        return None;
    }
    for (n, byte) in (0u64..).zip(bytes.iter_mut()) {
        let far = n >= u64::from(first);
        let at = if far { high.0 + (n - u64::from(first)) } else { low.0 + n };
        *byte = mem.read::<1>(HostAddress(at))[0];
    }
    Some(bytes.as_ptr() as u64)
}
