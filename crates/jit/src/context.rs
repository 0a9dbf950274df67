//! What compiled code has at hand besides the guest's state: one structure, addressed by offset.

use crate::config::{Arithmetic, Lookup};
use std::mem::offset_of;

/// Values that the quick tier may have to put away.
#[cfg(target_arch = "x86_64")]
const SPILLS: usize = 64;
/// Accesses of an instruction whose bytes can be taken from two pages.
pub(crate) const SPLIT: usize = 8;

/// Why compiled code came back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub(crate) enum Exit {
    /// The jump cache has nothing for EIP.
    Lookup = 0,
    /// What is left of the budget does not cover what comes.
    Budget = 1,
    /// The instruction at EIP is for the interpreter.
    Redo = 2,
    /// A routine outside has something for the dispatcher.
    Stopped = 3,
    /// A block of the quick tier has run often.
    Hot = 4,
}

/// See the module.
#[repr(C, align(64))]
pub(crate) struct Context {
    /// Arrays of the current space and privilege ([`mem::Arrays`]), or for loads and stores its tables
    /// ([`mem::Tables`]).
    pub(crate) read: u64,
    pub(crate) write: u64,
    pub(crate) execute: u64,
    /// [`mem::Memory::code_map`] and [`mem::Memory::arena_base`].
    pub(crate) code_map: u64,
    pub(crate) arena: u64,
    /// The jump cache.
    pub(crate) jumps: u64,
    /// The present key, in the upper half.
    pub(crate) key: u64,
    /// Instructions of the budget that have not retired.
    pub(crate) left: i64,
    /// [`Exit`].
    pub(crate) exit: u32,
    /// The region that was left so.
    pub(crate) region: u32,
    /// How the flags are kept: low half 0 for the state's canonical form, else a [`Kind`] of
    /// `flags_a` and `flags_b`; upper half the same for an INC or DEC after that, of `flags_step`, and
    /// the flags that were given after both, as [`given_mask`].
    pub(crate) flags_kinds: u64,
    pub(crate) flags_a: u64,
    pub(crate) flags_b: u64,
    pub(crate) flags_step: u64,
    /// The flags that were given, each at the bit of its number.
    pub(crate) flags_given: u64,
    /// Operands and results of routines outside, and of x87 instructions.
    pub(crate) slot: u128,
    /// Bytes from the end of one page and the start of the next, for each access of an instruction.
    pub(crate) split: [[u8; 16]; SPLIT],
    /// Not 0: code was left for an access across pages. No hint is made of it: the next one is not across.
    pub(crate) crossed: u32,
    /// The guest's x87 registers are in the host's unit.
    pub(crate) x87_live: u32,
    /// What a routine outside needs: see `engine::Call`.
    pub(crate) call: u64,
    /// Instructions that routines outside have retired for compiled code.
    pub(crate) called: u64,
    /// Of these, at CPL 3.
    pub(crate) called_user: u64,
    /// Sensitive instructions done in place.
    pub(crate) in_place: u64,
    /// Iterations of repeated instructions after the first, which are not among them.
    pub(crate) repeated: u64,
    /// Of these, at CPL 3.
    pub(crate) repeated_user: u64,
    /// What `read` and `write` are.
    pub(crate) lookup: Lookup,
    /// Whose MXCSR the host has.
    pub(crate) arithmetic: Arithmetic,
    /// Where results go that are computed for their flags.
    pub(crate) unread: u128,
    /// What the quick tier has no registers for.
    #[cfg(target_arch = "x86_64")]
    spilled: [u64; SPILLS],
}

macro_rules! offsets {
    ($($name:ident: $field:ident;)*) => {
        $(pub(crate) const $name: i32 = offset_of!(Context, $field) as i32;)*
    };
}

offsets! {
    READ: read; WRITE: write; EXECUTE: execute; CODE_MAP: code_map; ARENA: arena; JUMP_CACHE: jumps;
    KEY: key; LEFT: left; EXIT: exit; REGION: region; FLAGS_KINDS: flags_kinds;
    FLAGS_A: flags_a; FLAGS_B: flags_b; FLAGS_STEP: flags_step;
    FLAGS_GIVEN: flags_given; SLOT: slot; X87_LIVE: x87_live; UNREAD: unread;
    IN_PLACE: in_place;
}

#[cfg(target_arch = "x86_64")]
pub(crate) const SPILLED: i32 = offset_of!(Context, spilled) as i32;

/// A kind of kept flags in [`Context::flags_kinds`]: what was done, and the width in bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Kind(pub(crate) u32);

impl Kind {
    pub(crate) const ADD: u32 = 1;
    pub(crate) const SUB: u32 = 2;
    pub(crate) const LOGIC: u32 = 3;
    pub(crate) const INC: u32 = 4;
    pub(crate) const DEC: u32 = 5;
    /// All six in EFLAGS positions.
    pub(crate) const IMAGE: u32 = 6;

    pub(crate) fn new(operation: u32, w: cpu::Width) -> Kind {
        Kind(operation << 8 | w.bytes())
    }

    pub(crate) fn operation(self) -> u32 {
        self.0 >> 8
    }

    pub(crate) fn width(self) -> cpu::Width {
        match self.0 & 0xff {
            1 => cpu::Width::B8,
            2 => cpu::Width::B16,
            4 => cpu::Width::B32,
            _ => cpu::Width::B64,
        }
    }
}

/// A mask of flags that were given, in its place above the step's kind.
pub(crate) fn given_mask(flags: u8) -> u32 {
    u32::from(flags) << 16
}

impl Context {
    pub(crate) fn new(lookup: Lookup, arithmetic: Arithmetic) -> Context {
        Context {
            read: 0,
            write: 0,
            execute: 0,
            code_map: 0,
            arena: 0,
            jumps: 0,
            key: 0,
            left: 0,
            exit: 0,
            region: 0,
            flags_kinds: 0,
            flags_a: 0,
            flags_b: 0,
            flags_step: 0,
            flags_given: 0,
            slot: 0,
            split: [[0; 16]; SPLIT],
            crossed: 0,
            x87_live: 0,
            call: 0,
            called: 0,
            called_user: 0,
            in_place: 0,
            repeated: 0,
            repeated_user: 0,
            lookup,
            arithmetic,
            unread: 0,
            #[cfg(target_arch = "x86_64")]
            spilled: [0; SPILLS],
        }
    }
}
