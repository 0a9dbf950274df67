//! Order, loops, budget checks and liveness of a planned region.

use crate::clean::Elements;
use crate::effects::{ALL_FLAGS, MMX, Mask, XMM};
use crate::key::Key;
use crate::plan::{Block, End, FlagNeed, Page, Plan, Target, Tier, blocks_of};
use crate::unroll::{redirect, unroll};
use cpu::CpuModel;
use isa::Mnemonic;

/// Instructions that one check of the budget covers at most, beyond the longest block.
pub(crate) const COVERED: u64 = 96;

/// Puts blocks into reverse post-order and works out the rest.
pub(crate) fn finish(
    blocks: Vec<Block>,
    pages: Vec<Page>,
    (key, model): (Key, CpuModel),
    tier: Tier,
) -> Plan {
    let mut blocks = reorder(blocks);
    let unrolled = tier == Tier::Second && unroll(&mut blocks);
    if unrolled {
        blocks = reorder(blocks);
    }
    entries(&mut blocks);
    checks(&mut blocks);
    flags(&mut blocks);
    dirty(&mut blocks);
    clean(&mut blocks);
    let steps = || blocks.iter().flat_map(|b| &b.steps);
    let mentioned = steps().fold(0, |m, s| m | s.effects.reads | s.effects.writes);
    let written = steps().fold(0, |m, s| m | s.effects.writes);
    let first = steps().map(|s| s.off as i32).min().unwrap_or(0);
    let last = steps().map(|s| s.off as i32 + i32::from(s.insn.len) - 1).max().unwrap_or(0);
    let instructions = steps().count();
    Plan {
        key,
        model,
        pages,
        sensitive: Box::default(),
        repeated: Box::default(),
        links: Box::default(),
        span: (first, last),
        mentioned,
        written,
        instructions,
        blocks,
        tier,
        gains: unrolled,
        replaces: None,
        id: 0,
    }
}

/// Depth-first post-order from the head, then from what only indirect jumps reach.
fn reorder(blocks: Vec<Block>) -> Vec<Block> {
    let mut order = Vec::new();
    let mut state = vec![false; blocks.len()];
    // the head last: its post-order number is to be the highest
    for root in (0..blocks.len()).rev().filter(|&n| n == 0 || blocks_leading_to(&blocks, n) == 0) {
        visit(&blocks, root, &mut state, &mut order);
    }
    for root in (0..blocks.len()).rev() {
        visit(&blocks, root, &mut state, &mut order);
    }
    order.reverse();
    if let Some(head) = order.iter().position(|&n| n == 0) {
        let head = order.remove(head);
        order.insert(0, head);
    }
    let mut place = vec![0; blocks.len()];
    order.iter().enumerate().for_each(|(new, &old)| place[old] = new);
    let mut sorted: Vec<Option<Block>> = blocks.into_iter().map(Some).collect();
    let mut out: Vec<Block> = order.iter().filter_map(|&old| sorted[old].take()).collect();
    out.iter_mut().for_each(|b| redirect(&mut b.end, |n| place[n]));
    out
}

fn blocks_leading_to(blocks: &[Block], n: usize) -> usize {
    blocks.iter().filter(|b| blocks_of(&b.end).contains(&n)).count()
}

fn visit(blocks: &[Block], root: usize, seen: &mut [bool], order: &mut Vec<usize>) {
    if seen[root] {
        return;
    }
    seen[root] = true;
    let mut stack = vec![(root, blocks_of(&blocks[root].end))];
    while let Some((n, next)) = stack.last_mut() {
        match next.pop() {
            Some(t) if !seen[t] => {
                seen[t] = true;
                stack.push((t, blocks_of(&blocks[t].end)));
            }
            Some(_) => {}
            None => {
                order.push(*n);
                stack.pop();
            }
        }
    }
}

/// The head, return sites, and heads of loops can be entered from outside.
fn entries(blocks: &mut [Block]) {
    for n in 0..blocks.len() {
        for t in blocks_of(&blocks[n].end) {
            blocks[t].edges += 1;
            if t <= n {
                blocks[t].entry = true;
            }
        }
    }
    let sites: Vec<u32> = blocks.iter().filter_map(return_site).collect();
    for b in blocks.iter_mut() {
        b.entry |= !b.copy && sites.contains(&b.off) || b.edges == 0;
    }
    blocks[0].entry = true;
}

fn return_site(b: &Block) -> Option<u32> {
    let s = b.steps.last()?;
    let call = s.insn.code.mnemonic() == Mnemonic::Call || matches!(b.end, End::Callout(..));
    call.then(|| s.off.wrapping_add(u32::from(s.insn.len)))
}

/// Where the budget is checked: entries, heads of loops, behind callouts, and wherever the way from
/// the last check gets long. A check covers the longest way to the next one.
fn checks(blocks: &mut [Block]) {
    let mut cost = vec![0u64; blocks.len()];
    let after_callout: Vec<usize> =
        blocks.iter().filter(|b| matches!(b.end, End::Callout(..))).flat_map(|b| blocks_of(&b.end)).collect();
    for n in (0..blocks.len()).rev() {
        // what a callout retires it counts itself
        let callout = matches!(blocks[n].end, End::Callout(..));
        let own = blocks[n].steps.len() as u64 - u64::from(callout);
        let open = blocks_of(&blocks[n].end).into_iter().filter(|&t| t > n && blocks[t].check.is_none());
        let beyond = open.map(|t| cost[t]).max().unwrap_or(0);
        cost[n] = own + beyond;
        let head = blocks[n].entry || after_callout.contains(&n);
        if head || cost[n] > COVERED {
            blocks[n].check = Some(cost[n]);
            // where the budget ends the next one begins
            blocks[n].entry = true;
        }
    }
}

/// What each block needs of the flags, backwards until nothing changes.
fn flags(blocks: &mut [Block]) {
    blocks.iter_mut().for_each(|b| b.flags = FlagNeed::Dead);
    let mut reads = vec![0u8; blocks.len()];
    let mut exits = vec![0u8; blocks.len()];
    let mut changed = true;
    while changed {
        changed = false;
        for n in (0..blocks.len()).rev() {
            let (r, x) = flags_of(blocks, n, &reads, &exits);
            changed |= (r, x) != (reads[n], exits[n]);
            (reads[n], exits[n]) = (r, x);
        }
    }
    for (n, b) in blocks.iter_mut().enumerate() {
        b.flags = match (reads[n], exits[n]) {
            (0, 0) => FlagNeed::Dead,
            (0, _) => FlagNeed::Exits,
            _ => FlagNeed::Read,
        };
    }
}

/// Flags that a block reads, and flags that somebody outside may see, of those it starts with.
fn flags_of(blocks: &[Block], n: usize, reads: &[u8], exits: &[u8]) -> (u8, u8) {
    let b = &blocks[n];
    let (mut read, mut seen, mut set) = (0u8, 0u8, 0u8);
    if b.check.is_some() {
        seen = ALL_FLAGS;
    }
    let callout = matches!(b.end, End::Callout(..));
    for (n, s) in b.steps.iter().enumerate() {
        read |= s.effects.reads_flags & !set;
        if s.effects.stops || callout && n + 1 == b.steps.len() {
            seen |= ALL_FLAGS & !set;
        }
        set |= s.effects.sets_flags;
    }
    let leaves = match &b.end {
        End::Next(t) | End::Jump(t) => matches!(t, Target::Out(_)),
        End::Branch(t, f) => matches!(t, Target::Out(_)) || matches!(f, Target::Out(_)),
        End::Indirect(_) | End::Leave(_) => true,
        End::Callout(..) => return (read, seen | ALL_FLAGS & !set),
    };
    if leaves {
        seen |= ALL_FLAGS & !set;
    }
    for t in blocks_of(&b.end) {
        // where ways meet, flags that are read are handed over in canonical form, all of them
        let meets = blocks[t].edges > 1 || blocks[t].entry;
        read |= if meets && reads[t] != 0 { ALL_FLAGS } else { reads[t] } & !set;
        // an edge to another page is checked, and may leave
        let checked = blocks[t].pages.len() > 1 || blocks[t].pages.first() != b.pages.last();
        seen |= if checked { ALL_FLAGS } else { exits[t] } & !set;
    }
    (read, seen)
}

/// The numbers that a loop computes with, in its head and in what is reached from there alone: they are looked at on
/// the ways into the loop, and known within.
fn clean(blocks: &mut [Block]) {
    let mut wanted: Vec<Vec<(u32, Elements)>> = vec![vec![]; blocks.len()];
    for n in (0..blocks.len()).rev() {
        let mut written: Mask = 0;
        for e in blocks[n].steps.iter().map(|s| &s.effects) {
            let read = crate::lower::bits(e.reads & !written & XMMS);
            let numbers = e.numbers.iter().flat_map(|&e| read.clone().map(move |slot| (slot, e)));
            add(&mut wanted[n], numbers);
            written |= e.writes;
        }
        let callout = matches!(blocks[n].end, End::Callout(..));
        for t in blocks_of(&blocks[n].end).into_iter().filter(|&t| t > n && !callout) {
            if blocks[t].edges == 1 && !blocks[t].entry {
                let more = wanted[t].clone().into_iter().filter(|(slot, _)| written >> slot & 1 == 0);
                add(&mut wanted[n], more);
            }
        }
    }
    for n in 0..blocks.len() {
        for head in blocks_of(&blocks[n].end).into_iter().filter(|&t| t <= n) {
            blocks[head].clean = wanted[head].clone();
        }
    }
}

/// The XMM registers.
const XMMS: Mask = (1 << MMX) - (1 << XMM);

fn add(to: &mut Vec<(u32, Elements)>, more: impl Iterator<Item = (u32, Elements)>) {
    for m in more {
        if !to.contains(&m) {
            to.push(m);
        }
    }
}

/// Registers that may be dirty where each block starts, forwards until nothing changes.
fn dirty(blocks: &mut [Block]) {
    let mut changed = true;
    while changed {
        changed = false;
        for n in 0..blocks.len() {
            let callout = matches!(blocks[n].end, End::Callout(..));
            let written: Mask = blocks[n].steps.iter().fold(0, |m, s| m | s.effects.writes);
            let out = if callout { 0 } else { blocks[n].dirty | written };
            for t in blocks_of(&blocks[n].end) {
                changed |= out & !blocks[t].dirty != 0;
                blocks[t].dirty |= out;
            }
        }
    }
}
