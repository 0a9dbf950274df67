//! Flags in the quick tier: statements are kept until somebody asks, or an exit stores them as [`crate::context`] says.

use super::asm::{Alu, RAX, Rm, Shift};
use super::temps::Set;
use super::writer::{Arg, Val, Writer, context, state};
use crate::context::{self, Kind, given_mask};
use crate::effects::{ALL_FLAGS, bit, read_by};
use crate::flags::mask_of;
use cpu::Width::{B32, B64};
use cpu::{State, Width};
use sem::flags::{Flag, Flags, canonical, flag_of, replaced};
use sem::thunk;
use std::mem::offset_of;

/// What is known of all flags.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Base {
    /// They are in memory in some form, and nobody reads them here.
    Memory,
    /// The canonical pair is in memory.
    Canonical,
    /// A statement.
    Said(Flags<Val>),
}

/// The flags at one point of the code: what was said of all, an INC or DEC after that, and single ones after both.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct FlagState {
    pub(super) base: Base,
    step: Option<Flags<Val>>,
    given: [Option<Val>; 6],
}

/// The half of the kinds with the step and the given flags.
const LATER: i32 = context::FLAGS_KINDS + 4;

impl FlagState {
    pub(super) fn of(base: Base) -> FlagState {
        FlagState { base, step: None, given: [None; 6] }
    }

    fn say(&mut self, f: Flags<Val>) {
        match f {
            Flags::Inc { .. } | Flags::Dec { .. } => {
                // all but CF is said anew
                let cf = self.given[Flag::CF as usize];
                (self.step, self.given) = (Some(f), [None; 6]);
                self.given[Flag::CF as usize] = cf;
            }
            Flags::Given(new) => (0..6).for_each(|n| self.given[n] = new[n].or(self.given[n])),
            f => *self = FlagState::of(Base::Said(f)),
        }
    }

    /// The values that are needed to tell them.
    pub(super) fn temps(&self) -> Set {
        let mut set = Set::default();
        let base = if let Base::Said(f) = self.base { Some(f) } else { None };
        for f in base.into_iter().chain(self.step) {
            values_of(f).into_iter().flatten().for_each(|v| add(&mut set, v));
        }
        self.given.iter().flatten().for_each(|&v| add(&mut set, v));
        set
    }
}

fn add(set: &mut Set, v: Val) {
    match v {
        Val::Temp(t) => set.add(t),
        Val::Test(_, _, a, b) => {
            set.add(a);
            if let Arg::Temp(b) = b {
                set.add(b);
            }
        }
        Val::Const(_) | Val::Ip(_) => {}
    }
}

fn values_of(f: Flags<Val>) -> [Option<Val>; 6] {
    let three = |a, b, r| [Some(a), Some(b), Some(r), None, None, None];
    match f {
        Flags::Add { a, b, r, .. }
        | Flags::AddCarry { a, b, r, .. }
        | Flags::Sub { a, b, r, .. }
        | Flags::SubBorrow { a, b, r, .. } => three(a, b, r),
        Flags::Logic { r, .. } | Flags::Image(r) => three(r, r, r),
        Flags::Inc { a, r, .. } | Flags::Dec { a, r, .. } | Flags::Shift { a, r, .. } => three(a, a, r),
        Flags::Parts { r, cf, of, af, .. } => [Some(r), Some(cf), Some(of), Some(af), None, None],
        Flags::Given(given) => given,
    }
}

impl Writer<'_> {
    pub(super) fn say(&mut self, f: Flags<Val>) {
        self.flags.say(f);
    }

    /// One flag, 0 or 1.
    pub(super) fn one_flag(&mut self, which: Flag) -> Val {
        if let Some(v) = self.flags.given[which as usize] {
            return v;
        }
        match (self.flags.step, self.flags.base) {
            (Some(step), _) if which == Flag::AF => self.with_any_carry(|w| thunk::flag(w, step, which)),
            (Some(step), _) if which != Flag::CF => thunk::flag(self, step, which),
            (_, Base::Said(f)) => thunk::flag(self, f, which),
            (_, Base::Canonical) => {
                let pair = self.load_pair();
                flag_of(self, pair, which)
            }
            (_, Base::Memory) => self.fail(),
        }
    }

    /// AF of INC and DEC has no use for CF: any will do for the canonical form's sake.
    fn with_any_carry(&mut self, f: impl FnOnce(&mut Self) -> Val) -> Val {
        self.hold_flags();
        let saved = std::mem::replace(&mut self.flags, FlagState::of(Base::Canonical));
        let v = f(self);
        self.flags = saved;
        v
    }

    pub(super) fn one_condition(&mut self, cc: u8) -> Val {
        let changed = mask_of(&self.flags.given) & read_by(cc) != 0 || self.flags.step.is_some();
        if let Base::Said(f) = self.flags.base
            && !changed
            && !matches!(f, Flags::Image(_))
            && let Some(c) = thunk::condition(self, f, cc)
        {
            return c;
        }
        sem::flags::condition(self, cc)
    }

    fn load_pair(&mut self) -> (Val, Val) {
        let mut load = |at: usize| {
            let (t, h) = self.fresh();
            self.asm.load(B64, h, state(at));
            Val::Temp(t)
        };
        (load(offset_of!(State, flags_result)), load(offset_of!(State, flags_aux)))
    }

    fn store_pair(&mut self, (result, aux): (Val, Val)) {
        for (v, at) in [(result, offset_of!(State, flags_result)), (aux, offset_of!(State, flags_aux))] {
            let h = self.in_host(v);
            self.asm.store(B64, state(at), h);
        }
    }

    /// Brings the flags to their canonical form, in memory.
    pub(super) fn settle(&mut self) {
        if self.flags == FlagState::of(Base::Canonical) {
            return;
        }
        self.hold_flags();
        let FlagState { base, step, given } = self.flags.clone();
        match base {
            Base::Said(f) => {
                let pair = canonical(self, f);
                self.store_pair(pair);
            }
            Base::Canonical => {}
            // in whatever form: nobody is to ask
            Base::Memory => {
                self.fail();
                return;
            }
        }
        if let Some(step) = step {
            // CF is that of the base
            self.flags = FlagState { base: Base::Canonical, step: None, given };
            let cf = self.flags.given[Flag::CF as usize].take();
            let pair = canonical(self, step);
            self.store_pair(pair);
            self.flags.given[Flag::CF as usize] = cf;
        }
        if mask_of(&given) != 0 {
            self.flags = FlagState { base: Base::Canonical, step: None, given };
            let pair = self.load_pair();
            let pair = replaced(self, pair, given);
            self.store_pair(pair);
        }
        self.asm.store_constant(B64, context(context::FLAGS_KINDS), 0);
        self.flags = FlagState::of(Base::Canonical);
    }

    /// Stores what is known of the flags, in the form that costs least.
    pub(super) fn store_flags(&mut self) {
        let FlagState { base, step, given } = self.flags.clone();
        let mask = mask_of(&given);
        let kind = match base {
            Base::Said(f) => Some(self.store_said(f)),
            Base::Memory | Base::Canonical => None,
        };
        let step = step.map_or(0, |s| self.store_step(s));
        let later = step | given_mask(mask);
        match kind {
            Some(kind) => {
                self.store_given(mask, &given, false);
                let whole = u64::from(kind.0) | u64::from(later) << 32;
                self.store_kinds(whole);
            }
            None => self.change_memory(step, mask, &given),
        }
        self.flags = FlagState::of(Base::Memory);
    }

    fn store_kinds(&mut self, kinds: u64) {
        self.asm.store_constant(B32, context(context::FLAGS_KINDS), kinds as u32);
        self.asm.store_constant(B32, context(LATER), (kinds >> 32) as u32);
    }

    /// A change to what is in memory, in whatever form that is.
    fn change_memory(&mut self, step: u32, mask: u8, given: &[Option<Val>; 6]) {
        let later = context(LATER);
        if step != 0 {
            let cf = given_mask(bit(Flag::CF));
            self.asm.alu_constant(B32, Alu::And, later, cf as i32);
            self.asm.alu_constant(B32, Alu::Or, later, step as i32);
        }
        if mask != 0 {
            self.store_given(mask, given, true);
            self.asm.alu_constant(B32, Alu::Or, later, given_mask(mask) as i32);
        }
    }

    /// Flags that are given, each at the bit of its number; others in memory stay where `keep` says so.
    fn store_given(&mut self, mask: u8, given: &[Option<Val>; 6], keep: bool) {
        if mask == 0 {
            return;
        }
        let at = context(context::FLAGS_GIVEN);
        let kept = if keep { i32::from(!mask & ALL_FLAGS) } else { 0 };
        self.asm.alu_constant(B32, Alu::And, at, kept);
        for (n, v) in given.iter().enumerate() {
            let Some(v) = *v else { continue };
            self.bring(RAX, v);
            if n != 0 {
                self.asm.shift_constant(B32, Shift::Left, Rm::Reg(RAX), n as u8);
            }
            self.asm.alu_memory(B32, Alu::Or, at, RAX);
        }
    }

    fn store_word(&mut self, at: i32, v: Val) {
        if let Val::Const(k) = v {
            return self.asm.store_constant(B32, context(at), k as u32);
        }
        let h = self.in_host(v);
        self.asm.store(B32, context(at), h);
    }

    fn store_said(&mut self, f: Flags<Val>) -> Kind {
        let two = |s: &mut Self, kind: u32, w: Width, a, b| {
            s.store_word(context::FLAGS_A, a);
            s.store_word(context::FLAGS_B, b);
            Kind::new(kind, w)
        };
        match f {
            Flags::Add { w, a, b, .. } => two(self, Kind::ADD, w, a, b),
            Flags::Sub { w, a, b, .. } => two(self, Kind::SUB, w, a, b),
            Flags::Logic { w, r } => {
                self.store_word(context::FLAGS_A, r);
                Kind::new(Kind::LOGIC, w)
            }
            Flags::Image(image) => {
                self.store_word(context::FLAGS_A, image);
                Kind::new(Kind::IMAGE, B32)
            }
            f => {
                let pair = canonical(self, f);
                self.store_pair(pair);
                Kind(0)
            }
        }
    }

    /// Stores the result of an INC or DEC; its kind.
    fn store_step(&mut self, step: Flags<Val>) -> u32 {
        let (kind, w, r) = match step {
            Flags::Dec { w, r, .. } => (Kind::DEC, w, r),
            Flags::Inc { w, r, .. } => (Kind::INC, w, r),
            _ => return 0,
        };
        self.store_word(context::FLAGS_STEP, r);
        Kind::new(kind, w).0
    }
}
