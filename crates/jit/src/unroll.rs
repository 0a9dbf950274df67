//! Turns of small loops one behind the other, for the hottest regions.
//!
//! What a turn costs beyond its instructions, a look at the budget and flags and registers handed to the next one,
//! then comes once in several. Copies stand at the same addresses as the originals, and only these are entered.

use crate::plan::{Block, End, Target, blocks_of};

/// Turns.
const TURNS: usize = 4;
/// Instructions of all turns at most.
const LONGEST: usize = 96;
/// Blocks of a loop at most: measured, others gain nothing.
const BLOCKS: usize = 2;

/// Unrolls the innermost loops among blocks in reverse post-order; whether there was one.
pub(crate) fn unroll(blocks: &mut Vec<Block>) -> bool {
    let loops: Vec<Vec<usize>> = (0..blocks.len()).filter_map(|head| body(blocks, head)).collect();
    let innermost = |l: &&Vec<usize>| !loops.iter().any(|other| other[0] != l[0] && l.contains(&other[0]));
    let chosen: Vec<Vec<usize>> = loops.iter().filter(innermost).cloned().collect();
    let mut any = false;
    for members in chosen {
        let size: usize = members.iter().map(|&n| blocks[n].steps.len()).sum();
        if members.len() <= BLOCKS
            && size * TURNS <= LONGEST
            && members.iter().all(|&n| repeats(&blocks[n].end))
        {
            copy(blocks, &members);
            any = true;
        }
    }
    any
}

/// An end that is worth having several times.
fn repeats(end: &End) -> bool {
    !matches!(end, End::Callout(..) | End::Leave(_) | End::Indirect(_))
}

/// The natural loop of a head: all from which it is reached again without passing it. The head comes first.
fn body(blocks: &[Block], head: usize) -> Option<Vec<usize>> {
    let leads_to = |n: usize, t: usize| blocks_of(&blocks[n].end).contains(&t);
    let mut members = vec![head];
    members.extend((head..blocks.len()).filter(|&n| n != head && leads_to(n, head)));
    if members.len() == 1 && !leads_to(head, head) {
        return None;
    }
    let mut n = 1;
    while n < members.len() {
        let more = (0..blocks.len()).filter(|&b| leads_to(b, members[n]) && !members.contains(&b));
        members.extend(more.collect::<Vec<_>>());
        n += 1;
    }
    // a second way in makes it no loop of this head
    let entered = |n: usize| (0..blocks.len()).any(|b| !members.contains(&b) && leads_to(b, n));
    (!members[1..].iter().any(|&n| entered(n))).then_some(members)
}

/// Puts further turns behind a loop: each goes on to the next, the last to the first.
fn copy(blocks: &mut Vec<Block>, members: &[usize]) {
    let first = blocks.len();
    let place = |turn: usize, n: usize| match members.iter().position(|&m| m == n) {
        Some(_) if turn == 0 => n,
        Some(i) => first + (turn - 1) * members.len() + i,
        None => n,
    };
    let head = members[0];
    let target = |turn: usize, n: usize| match n {
        n if n == head => place((turn + 1) % TURNS, n),
        n => place(turn, n),
    };
    for turn in 1..TURNS {
        for &n in members {
            let mut b = Block { copy: true, ..blocks[n].clone() };
            redirect(&mut b.end, |t| target(turn, t));
            blocks.push(b);
        }
    }
    for &n in members {
        redirect(&mut blocks[n].end, |t| target(0, t));
    }
}

/// Leads an end to other blocks.
pub(crate) fn redirect(end: &mut End, to: impl Fn(usize) -> usize) {
    let fix = |t: &mut Target| {
        if let Target::Block(n) = t {
            *n = to(*n);
        }
    };
    match end {
        End::Next(t) | End::Jump(t) | End::Callout(t, _) => fix(t),
        End::Branch(t, f) => {
            fix(t);
            fix(f);
        }
        End::Indirect(blocks) => blocks.iter_mut().for_each(|n| *n = to(*n)),
        End::Leave(_) => {}
    }
}
