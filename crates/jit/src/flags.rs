//! Flags in compiled code: what was said of them is kept until somebody asks.

use crate::context;
use crate::lower::{Lower, Val};
use cpu::Width::{B32, B64};
use cpu::{State, eflags};
use cranelift_codegen::ir::InstBuilder;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::types::I64;
use sem::flags::{Flag, Flags, canonical, flag_of, replaced};
use sem::thunk;
use std::mem::offset_of;

/// What was said last of all flags.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum Base {
    /// In memory, in whatever form ([`context::Context::flags_kinds`]).
    Memory,
    /// The canonical pair, which is in memory as well.
    Loaded(Val, Val),
    /// The canonical pair, which is not in memory.
    Pair(Val, Val),
    /// A statement of this block, or of the one before.
    Said(Flags<Val>),
}

/// What was said after that of some flags, or under a condition.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum Change {
    /// INC or DEC: all but CF.
    Step(Flags<Val>),
    /// [`Flags::Given`].
    Given([Option<Val>; 6]),
    /// A statement that holds only where the value is not 0: of a shift or rotate by CL, whose count may be 0.
    If(Val, Flags<Val>),
}

/// The flags as they are at one point of a block.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct FlagState {
    pub(crate) base: Base,
    /// In order. Between conditional ones there is at most one step, and behind it one that gives.
    pub(crate) changes: Vec<Change>,
}

impl FlagState {
    pub(crate) const MEMORY: FlagState = FlagState { base: Base::Memory, changes: Vec::new() };

    pub(crate) fn of(base: Base) -> FlagState {
        FlagState { base, changes: Vec::new() }
    }

    /// The first change that is under a condition, or behind one.
    pub(crate) fn certain(&self) -> usize {
        self.changes.iter().position(|c| matches!(c, Change::If(..))).unwrap_or(self.changes.len())
    }

    fn say(&mut self, f: Flags<Val>) {
        match f {
            Flags::Inc { .. } | Flags::Dec { .. } => self.step(f),
            Flags::Given(given) => self.give(given),
            f => *self = FlagState::of(Base::Said(f)),
        }
    }

    /// What the step covers is forgotten; what it leaves alone, CF, may as well have been said after it.
    fn step(&mut self, f: Flags<Val>) {
        self.changes.retain_mut(|c| match c {
            Change::Step(_) => false,
            Change::Given(given) => {
                let cf = given[Flag::CF as usize];
                *given = [None; 6];
                given[Flag::CF as usize] = cf;
                cf.is_some()
            }
            Change::If(..) => true,
        });
        let behind = usize::from(matches!(self.changes.last(), Some(Change::Given(_))));
        self.changes.insert(self.changes.len() - behind, Change::Step(f));
    }

    fn give(&mut self, new: [Option<Val>; 6]) {
        if let Some(Change::Given(given)) = self.changes.last_mut() {
            (0..6).for_each(|n| given[n] = new[n].or(given[n]));
        } else {
            self.changes.push(Change::Given(new));
        }
    }

    /// Whether the changes say anything of some flag of a mask.
    fn changes_any(&self, mask: u8) -> bool {
        self.changes.iter().any(|c| match c {
            Change::Step(_) => mask & !crate::effects::bit(Flag::CF) != 0,
            Change::Given(given) | Change::If(_, Flags::Given(given)) => mask & mask_of(given) != 0,
            Change::If(..) => true,
        })
    }
}

/// The flags that are given, as a mask.
pub(crate) fn mask_of<V>(given: &[Option<V>; 6]) -> u8 {
    (0..6).fold(0, |m, n| m | u8::from(given[n].is_some()) << n)
}

impl Lower<'_, '_> {
    pub(crate) fn say(&mut self, f: Flags<Val>) {
        self.flags.say(f);
    }

    pub(crate) fn say_if(&mut self, c: Val, f: Flags<Val>) {
        match c {
            Val::Const(0) => {}
            Val::Const(_) => self.say(f),
            c => self.flags.changes.push(Change::If(c, f)),
        }
    }

    pub(crate) fn one_flag(&mut self, which: Flag) -> Val {
        self.flag_before(self.flags.changes.len(), which)
    }

    /// A flag as it is before the change of this number.
    fn flag_before(&mut self, end: usize, which: Flag) -> Val {
        for n in (0..end).rev() {
            match self.flags.changes[n] {
                Change::Step(step) if which != Flag::CF => return self.step_flag(step, which),
                Change::Step(_) => {}
                Change::Given(given) => {
                    if let Some(v) = given[which as usize] {
                        return v;
                    }
                }
                Change::If(_, Flags::Given(given)) if given[which as usize].is_none() => {}
                Change::If(c, f) => {
                    let new = thunk::flag(self, f, which);
                    let old = self.flag_before(n, which);
                    return self.chosen(B32, c, new, old);
                }
            }
        }
        match self.flags.base {
            Base::Said(f) => thunk::flag(self, f, which),
            Base::Loaded(result, aux) | Base::Pair(result, aux) => flag_of(self, (result, aux), which),
            Base::Memory => {
                let pair = self.load_flags();
                flag_of(self, pair, which)
            }
        }
    }

    pub(crate) fn one_condition(&mut self, cc: u8) -> Val {
        if let Base::Said(f) = self.flags.base
            && !self.flags.changes_any(crate::effects::read_by(cc))
        {
            let known = match f {
                Flags::Image(Val::Order(x, y)) if matches!(cc, 2..=7) => self.order_condition(x, y, cc),
                Flags::Image(image) => self.condition_in(image, cc),
                f => thunk::condition(self, f, cc),
            };
            if let Some(c) = known {
                return c;
            }
        }
        sem::flags::condition(self, cc)
    }

    /// A condition that holds, or does not hold, where one of some flags is set (SDM vol. 2, appendix B.1.4).
    fn condition_in(&mut self, image: Val, cc: u8) -> Option<Val> {
        let mask = match cc >> 1 {
            0 => eflags::OF,
            1 => eflags::CF,
            2 => eflags::ZF,
            3 => eflags::CF | eflags::ZF,
            4 => eflags::SF,
            5 => eflags::PF,
            _ => return None,
        };
        let some = self.conjunction(B32, image, Val::Const(mask.into()));
        let none = self.test(B32, IntCC::Equal, crate::fold::eq, some, Val::Const(0));
        Some(if cc & 1 != 0 {
            none
        } else {
            self.test(B32, IntCC::Equal, crate::fold::eq, none, Val::Const(0))
        })
    }

    /// Loads the canonical pair, which the blocks before have put into memory.
    pub(crate) fn load_flags(&mut self) -> (Val, Val) {
        let result = self.load_own(I64, offset_of!(State, flags_result) as i32);
        let aux = self.load_own(I64, offset_of!(State, flags_aux) as i32);
        let (result, aux) = (Val::Node(result), Val::Node(aux));
        self.flags.base = Base::Loaded(result, aux);
        (result, aux)
    }

    /// The canonical pair of what the flags are.
    pub(crate) fn pair(&mut self) -> (Val, Val) {
        let mut pair = match self.flags.base {
            Base::Memory => self.load_flags(),
            Base::Loaded(result, aux) | Base::Pair(result, aux) => (result, aux),
            Base::Said(f) => canonical(self, f),
        };
        for change in self.flags.changes.clone() {
            pair = self.changed(pair, change);
        }
        pair
    }

    fn changed(&mut self, pair: (Val, Val), change: Change) -> (Val, Val) {
        match change {
            Change::Step(step) => {
                let said = FlagState::of(Base::Loaded(pair.0, pair.1));
                let saved = std::mem::replace(&mut self.flags, said);
                let pair = canonical(self, step);
                self.flags = saved;
                pair
            }
            Change::Given(given) => replaced(self, pair, given),
            Change::If(c, f) => {
                let new = match f {
                    Flags::Given(given) => replaced(self, pair, given),
                    f => canonical(self, f),
                };
                (self.chosen(B64, c, new.0, pair.0), self.chosen(B64, c, new.1, pair.1))
            }
        }
    }

    /// Puts the canonical pair into memory.
    pub(crate) fn settle(&mut self) {
        if matches!(self.flags.base, Base::Loaded(..)) && self.flags.changes.is_empty() {
            return;
        }
        let (result, aux) = self.pair();
        self.store_pair(result, aux);
        let zero = self.b.ins().iconst(I64, 0);
        self.store_context(zero, context::FLAGS_KINDS);
    }

    fn step_flag(&mut self, step: Flags<Val>, which: Flag) -> Val {
        if which != Flag::AF {
            return thunk::flag(self, step, which);
        }
        // AF of INC and DEC has no use for CF: any will do for the canonical form's sake
        let any = FlagState::of(Base::Loaded(Val::Const(0), Val::Const(0)));
        let saved = std::mem::replace(&mut self.flags, any);
        let v = thunk::flag(self, step, which);
        self.flags = saved;
        v
    }
}
