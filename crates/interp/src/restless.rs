//! Blocks whose bytes keep changing: what was decoded from bytes that stayed is used again. Code that
//! patches its own operands changes one instruction of many.

use crate::block::Op;
use cpu::Key;
use rustc_hash::FxHashMap;

/// Places remembered at most; one more forgets all.
const MOST: usize = 256;

/// What a block was decoded from, and to.
#[derive(Default)]
pub(crate) struct Decoded {
    ops: Box<[Op]>,
    text: Vec<u8>,
}

impl Decoded {
    /// The instruction at an offset, if its bytes are the first of `now`.
    pub(crate) fn same(&self, offset: u32, now: &[u8]) -> Option<Op> {
        let n = self.ops.binary_search_by_key(&offset, |op| u32::from(op.offset)).ok()?;
        let op = self.ops[n];
        let len = usize::from(op.insn.len);
        let then = self.text.get(offset as usize..offset as usize + len)?;
        (op.insn.code != isa::Code::INVALID && now.get(..len)? == then).then_some(op)
    }
}

/// See the module. Places are addresses in the arena.
#[derive(Default)]
pub(crate) struct Restless(FxHashMap<(u32, Key), Decoded>);

impl Restless {
    /// A block was dropped because its bytes were written.
    pub(crate) fn dropped(&mut self, place: (u32, Key), ops: Box<[Op]>) {
        if self.0.len() >= MOST && !self.0.contains_key(&place) {
            self.0.clear();
        }
        self.0.entry(place).or_default().ops = ops;
    }

    /// What is known of a place where a block was dropped.
    pub(crate) fn take(&mut self, place: (u32, Key)) -> Option<Decoded> {
        self.0.get_mut(&place).map(std::mem::take)
    }

    /// A block was decoded again from these bytes.
    pub(crate) fn decoded(&mut self, place: (u32, Key), text: Vec<u8>) {
        if let Some(known) = self.0.get_mut(&place) {
            known.text = text;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block::decode_block;
    use cpu::{CodeSize, CpuModel};
    use mem::Memory;

    const AT: u32 = 0x1000;

    fn random(state: &mut u64) -> u8 {
        *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (*state >> 56) as u8
    }

    fn decoded(mem: &Memory, before: Option<&Decoded>) -> Vec<(isa::Insn, u16, u16, bool)> {
        let (ops, _) = decode_block(mem, AT, CodeSize::Bits32, CpuModel::N270, before);
        ops.iter().map(|op| (op.insn, op.offset, op.index, op.branches)).collect()
    }

    #[test]
    fn bytes_that_changed_are_decoded_as_if_nothing_were_known() {
        let (mut mem, mut seed) = (Memory::new(0x4000).unwrap(), 1);
        let mut reused = 0;
        for _ in 0..2000 {
            let mut text: Vec<u8> = (0..96).map(|_| random(&mut seed)).collect();
            mem.load(AT, &text);
            let (ops, _) = decode_block(&mem, AT, CodeSize::Bits32, CpuModel::N270, None);
            let before = Decoded { ops: ops.into(), text: text.clone() };
            let at = usize::from(random(&mut seed)) % text.len();
            text[at] = random(&mut seed);
            mem.load(AT, &text);
            assert_eq!(decoded(&mem, Some(&before)), decoded(&mem, None), "{text:x?} changed at {at}");
            reused += usize::from(before.same(0, &text).is_some());
        }
        assert!(reused > 500, "only {reused} first instructions were used again");
    }
}
