//! Flags that leave a block unread: they are put into memory in the cheapest form ([`crate::context`]),
//! of which `settle.rs` makes the canonical one when somebody asks.

use crate::context::{self, Kind};
use crate::flags::{Base, Change, FlagState, mask_of};
use crate::lower::{Lower, Val};
use cpu::Width::{B32, B64};
use cpu::{State, Width};
use cranelift_codegen::ir::types::{I32, I64};
use cranelift_codegen::ir::{InstBuilder, Value};
use sem::flags::{Flag, Flags, canonical};
use std::mem::offset_of;

/// The half of [`context::Context::flags_kinds`] with the step and the given flags.
const LATER: i32 = context::FLAGS_KINDS + 4;

impl Lower<'_, '_> {
    /// Puts what is known of the flags into memory.
    pub(crate) fn store_flags(&mut self, f: FlagState) {
        let certain = match f.base {
            Base::Memory => 0,
            Base::Loaded(..) if f.changes.is_empty() => 0,
            base => {
                let n = f.certain();
                self.store_base(base, &f.changes[..n]);
                n
            }
        };
        f.changes[certain..].iter().for_each(|&c| self.store_change(c));
    }

    /// All of the flags: nothing of what is in memory matters.
    fn store_base(&mut self, base: Base, changes: &[Change]) {
        let kind = match base {
            Base::Said(said) => self.store_said(said),
            Base::Pair(result, aux) => {
                self.store_pair(result, aux);
                Kind(0)
            }
            Base::Memory | Base::Loaded(..) => Kind(0),
        };
        let mut kinds = u64::from(kind.0);
        for &change in changes {
            match change {
                Change::Step(step) => kinds |= u64::from(self.store_step(step)) << 32,
                Change::Given(given) => {
                    let bits = self.given_bits(&given);
                    self.store_context(bits, context::FLAGS_GIVEN);
                    kinds |= u64::from(context::given_mask(mask_of(&given))) << 32;
                }
                Change::If(..) => {}
            }
        }
        let kinds = self.b.ins().iconst(I64, kinds as i64);
        self.store_context(kinds, context::FLAGS_KINDS);
    }

    fn store_said(&mut self, said: Flags<Val>) -> Kind {
        match said {
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
                let image = self.node(B32, image);
                self.store_context(image, context::FLAGS_A);
                Kind::new(Kind::IMAGE, B32)
            }
            said => {
                let (result, aux) = canonical(self, said);
                self.store_pair(result, aux);
                Kind(0)
            }
        }
    }

    /// A change to what is in memory, in whatever form that is.
    fn store_change(&mut self, change: Change) {
        match change {
            Change::Step(step) => {
                let kind = self.store_step(step);
                let later = self.load_context(I32, LATER);
                let cf = context::given_mask(crate::effects::bit(Flag::CF));
                let later = self.b.ins().band_imm_u(later, i64::from(cf));
                let later = self.b.ins().bor_imm_u(later, i64::from(kind));
                self.store_context(later, LATER);
            }
            Change::Given(given) | Change::If(_, Flags::Given(given)) => {
                let c = if let Change::If(c, _) = change { c } else { Val::Const(1) };
                self.store_given(c, &given);
            }
            Change::If(c, f) => self.store_pair_if(c, f),
        }
    }

    fn store_given(&mut self, c: Val, given: &[Option<Val>; 6]) {
        let mask = mask_of(given);
        let bits = self.given_bits(given);
        let old = self.load_context(I32, context::FLAGS_GIVEN);
        let kept = self.b.ins().band_imm_u(old, i64::from(!mask & crate::effects::ALL_FLAGS));
        let bits = self.b.ins().bor(kept, bits);
        let later = self.load_context(I32, LATER);
        let more = self.b.ins().bor_imm_u(later, i64::from(context::given_mask(mask)));
        let bits = self.chosen(B32, c, Val::Node(bits), Val::Node(old));
        let later = self.chosen(B32, c, Val::Node(more), Val::Node(later));
        let (bits, later) = (self.node(B32, bits), self.node(B32, later));
        self.store_context(bits, context::FLAGS_GIVEN);
        self.store_context(later, LATER);
    }

    fn store_pair_if(&mut self, c: Val, f: Flags<Val>) {
        let (result, aux) = canonical(self, f);
        let words = [
            (self.state, offset_of!(State, flags_result) as i32, result),
            (self.state, offset_of!(State, flags_aux) as i32, aux),
            (self.ctx, context::FLAGS_KINDS, Val::Const(0)),
        ];
        for (base, at, new) in words {
            let old = self.b.ins().load(I64, crate::lower::own(), base, at);
            let v = self.chosen(B64, c, new, Val::Node(old));
            let v = self.node(B64, v);
            self.b.ins().store(crate::lower::own(), v, base, at);
        }
    }

    /// Flags that are given, each at the bit of its number.
    fn given_bits(&mut self, given: &[Option<Val>; 6]) -> Value {
        let mut all = Val::Const(0);
        for (n, v) in given.iter().enumerate() {
            let Some(v) = *v else { continue };
            let v = self.shifted(v, n as u8);
            all = self.disjunction(B32, all, v);
        }
        self.node(B32, all)
    }

    pub(crate) fn store_pair(&mut self, result: Val, aux: Val) {
        let (result, aux) = (self.node(Width::B64, result), self.node(Width::B64, aux));
        self.store_own(result, offset_of!(State, flags_result) as i32);
        self.store_own(aux, offset_of!(State, flags_aux) as i32);
    }

    /// Stores the result of an INC or DEC; its kind.
    fn store_step(&mut self, step: Flags<Val>) -> u32 {
        let (kind, w, r) = match step {
            Flags::Dec { w, r, .. } => (Kind::DEC, w, r),
            Flags::Inc { w, r, .. } => (Kind::INC, w, r),
            _ => return 0,
        };
        let r = self.node(w, r);
        self.store_context(r, context::FLAGS_STEP);
        Kind::new(kind, w).0
    }

    fn store_operands(&mut self, w: Width, a: Val, b: Val) {
        debug_assert!(w != B64, "settle.rs looks at 32 bits");
        let (a, b): (Value, Value) = (self.node(w, a), self.node(w, b));
        self.store_context(a, context::FLAGS_A);
        self.store_context(b, context::FLAGS_B);
    }
}
