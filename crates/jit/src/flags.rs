//! Flags in compiled code: what was said of them last is kept until somebody asks.

use crate::context::{self, Kind};
use crate::lower::{Lower, Val};
use cpu::{State, Width, eflags};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::types::{I32, I64};
use cranelift_codegen::ir::{InstBuilder, Value};
use sem::flags::{Flag, Flags, canonical, flag_of};
use sem::thunk;
use std::mem::offset_of;

/// What was said last, but for INC and DEC.
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

/// The flags as they are at one point of a block.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct FlagState {
    pub(crate) base: Base,
    /// An INC or DEC after that: all but CF.
    pub(crate) step: Option<Flags<Val>>,
}

impl FlagState {
    pub(crate) const MEMORY: FlagState = FlagState { base: Base::Memory, step: None };
}

impl Lower<'_, '_> {
    pub(crate) fn say(&mut self, f: Flags<Val>) {
        if matches!(f, Flags::Inc { .. } | Flags::Dec { .. }) {
            self.flags.step = Some(f);
        } else {
            self.flags = FlagState { base: Base::Said(f), step: None };
        }
    }

    pub(crate) fn one_flag(&mut self, which: Flag) -> Val {
        match (self.flags.step, which) {
            (Some(step), Flag::PF | Flag::AF | Flag::ZF | Flag::SF | Flag::OF) => {
                step_flag(self, step, which)
            }
            _ => match self.flags.base {
                Base::Said(f) => thunk::flag(self, f, which),
                Base::Loaded(result, aux) | Base::Pair(result, aux) => flag_of(self, (result, aux), which),
                Base::Memory => {
                    let pair = self.load_flags();
                    flag_of(self, pair, which)
                }
            },
        }
    }

    pub(crate) fn one_condition(&mut self, cc: u8) -> Val {
        if self.flags.step.is_none()
            && let Base::Said(f) = self.flags.base
        {
            let known = match f {
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
        let some = self.conjunction(Width::B32, image, Val::Const(mask.into()));
        let none = self.test(Width::B32, IntCC::Equal, crate::fold::eq, some, Val::Const(0));
        Some(if cc & 1 != 0 {
            none
        } else {
            self.test(Width::B32, IntCC::Equal, crate::fold::eq, none, Val::Const(0))
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
        let base = match self.flags.base {
            Base::Memory => self.load_flags(),
            Base::Loaded(result, aux) | Base::Pair(result, aux) => (result, aux),
            Base::Said(f) => canonical(self, f),
        };
        match self.flags.step {
            None => base,
            Some(step) => {
                let saved = self.flags;
                self.flags = FlagState { base: Base::Loaded(base.0, base.1), step: None };
                let pair = canonical(self, step);
                self.flags = saved;
                pair
            }
        }
    }

    /// Puts the canonical pair into memory.
    pub(crate) fn settle(&mut self) {
        if let FlagState { base: Base::Loaded(..), step: None } = self.flags {
            return;
        }
        let (result, aux) = self.pair();
        self.store_pair(result, aux);
        let zero = self.b.ins().iconst(I64, 0);
        self.store_context(zero, context::FLAGS_KINDS);
    }

    fn store_pair(&mut self, result: Val, aux: Val) {
        let (result, aux) = (self.node(Width::B64, result), self.node(Width::B64, aux));
        self.store_own(result, offset_of!(State, flags_result) as i32);
        self.store_own(aux, offset_of!(State, flags_aux) as i32);
    }

    /// Puts what is known of the flags into memory, in the cheapest form.
    pub(crate) fn store_flags(&mut self, f: FlagState) {
        let saved = std::mem::replace(&mut self.flags, f);
        match (f.base, f.step) {
            (Base::Memory | Base::Loaded(..), None) => {}
            (Base::Memory | Base::Loaded(..), Some(step)) => {
                let (kind, r) = step_kind(step);
                let kind = self.b.ins().iconst(I32, i64::from(kind.0));
                self.store_context(kind, context::FLAGS_KINDS + 4);
                self.store_word(step, r, context::FLAGS_STEP);
            }
            (Base::Pair(result, aux), step) => {
                self.store_pair(result, aux);
                self.store_kinds(Kind(0), step);
            }
            (Base::Said(said), step) => self.store_said(said, step),
        }
        self.flags = saved;
    }

    fn store_said(&mut self, said: Flags<Val>, step: Option<Flags<Val>>) {
        let kind = match said {
            Flags::Add { w, a, b, .. } => {
                self.store_operands(w, a, b);
                Kind::new(Kind::ADD, w)
            }
            Flags::Sub { w, a, b, .. } => {
                self.store_operands(w, a, b);
                Kind::new(Kind::SUB, w)
            }
            Flags::Logic { w, r } => {
                let r = self.node(w, r);
                self.store_context(r, context::FLAGS_A);
                Kind::new(Kind::LOGIC, w)
            }
            Flags::Image(image) => {
                let image = self.node(Width::B32, image);
                self.store_context(image, context::FLAGS_A);
                Kind::new(Kind::IMAGE, Width::B32)
            }
            said => {
                let (result, aux) = canonical(self, said);
                self.store_pair(result, aux);
                Kind(0)
            }
        };
        self.store_kinds(kind, step);
    }

    fn store_kinds(&mut self, kind: Kind, step: Option<Flags<Val>>) {
        let mut kinds = u64::from(kind.0);
        if let Some(step) = step {
            let (k, r) = step_kind(step);
            kinds |= u64::from(k.0) << 32;
            self.store_word(step, r, context::FLAGS_STEP);
        }
        let kinds = self.b.ins().iconst(I64, kinds as i64);
        self.store_context(kinds, context::FLAGS_KINDS);
    }

    fn store_word(&mut self, step: Flags<Val>, r: Val, at: i32) {
        let (Flags::Inc { w, .. } | Flags::Dec { w, .. }) = step else { return };
        let r = self.node(w, r);
        self.store_context(r, at);
    }

    fn store_operands(&mut self, w: Width, a: Val, b: Val) {
        let (a, b): (Value, Value) = (self.node(w, a), self.node(w, b));
        self.store_context(a, context::FLAGS_A);
        self.store_context(b, context::FLAGS_B);
    }
}

fn step_flag(l: &mut Lower<'_, '_>, step: Flags<Val>, which: Flag) -> Val {
    if which != Flag::AF {
        return thunk::flag(l, step, which);
    }
    // AF of INC and DEC has no use for CF: any will do for the canonical form's sake
    let saved = l.flags;
    l.flags = FlagState { base: Base::Loaded(Val::Const(0), Val::Const(0)), step: None };
    let v = thunk::flag(l, step, which);
    l.flags = saved;
    v
}

fn step_kind(step: Flags<Val>) -> (Kind, Val) {
    match step {
        Flags::Dec { w, r, .. } => (Kind::new(Kind::DEC, w), r),
        Flags::Inc { w, r, .. } => (Kind::new(Kind::INC, w), r),
        _ => (Kind(0), Val::Const(0)),
    }
}
