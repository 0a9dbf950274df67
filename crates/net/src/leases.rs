//! Who has which address: 16 of them, from 10.0.2.15 on.

use crate::{FIRST_GUEST, Ip, Mac};

/// How many addresses there are to give.
pub(crate) const ADDRESSES: usize = 16;

/// What is known of an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Use {
    /// Nobody has it.
    #[default]
    Free,
    /// It was offered and not yet asked for.
    Offered,
    /// It is in use.
    Bound,
    /// A client found somebody else there.
    Declined,
}

/// An address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Lease {
    pub(crate) state: Use,
    pub(crate) mac: Mac,
    /// When it was last spoken of.
    pub(crate) used: u64,
}

impl Lease {
    fn is_of(&self, mac: Mac) -> bool {
        matches!(self.state, Use::Offered | Use::Bound) && self.mac == mac
    }
}

/// All addresses. There is no clock here: leases do not expire, but the one that was longest not spoken of is
/// given away when there is no other.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Leases {
    pub(crate) leases: [Lease; ADDRESSES],
    /// Counts what is said.
    pub(crate) turn: u64,
}

fn address(n: usize) -> Ip {
    let [a, b, c, d] = FIRST_GUEST;
    [a, b, c, d.wrapping_add(n as u8)]
}

fn place(at: Ip) -> Option<usize> {
    (0..ADDRESSES).find(|&n| address(n) == at)
}

impl Leases {
    fn of(&self, mac: Mac) -> Option<usize> {
        self.leases.iter().position(|l| l.is_of(mac))
    }

    fn set(&mut self, n: usize, state: Use, mac: Mac) {
        self.turn = self.turn.saturating_add(1);
        self.leases[n] = Lease { state, mac, used: self.turn };
    }

    /// An address for a client: its own, the one that it wants, or any.
    pub(crate) fn offer(&mut self, mac: Mac, wanted: Option<Ip>) -> Ip {
        let free = |n: &usize| self.leases[*n].state == Use::Free;
        let oldest = || (0..ADDRESSES).min_by_key(|&n| self.leases[n].used);
        let own = self.of(mac);
        let found = own.or_else(|| wanted.and_then(place).filter(free)).or_else(|| (0..ADDRESSES).find(free));
        let n = found.or_else(oldest).unwrap_or(0);
        let state = if own.is_some() { self.leases[n].state } else { Use::Offered };
        self.set(n, state, mac);
        address(n)
    }

    /// A client takes an address. `false`: it may not have that one.
    pub(crate) fn bind(&mut self, mac: Mac, at: Ip) -> bool {
        let Some(n) = place(at) else { return false };
        if !self.leases[n].is_of(mac) && self.leases[n].state != Use::Free {
            return false;
        }
        if let Some(other) = self.of(mac).filter(|&other| other != n) {
            self.leases[other].state = Use::Free;
        }
        self.set(n, Use::Bound, mac);
        true
    }

    /// A client does not want what was offered.
    pub(crate) fn withdraw(&mut self, mac: Mac) {
        if let Some(n) = self.of(mac).filter(|&n| self.leases[n].state == Use::Offered) {
            self.leases[n].state = Use::Free;
        }
    }

    /// A client gives its address back.
    pub(crate) fn release(&mut self, mac: Mac, at: Ip) {
        if let Some(n) = place(at).filter(|&n| self.leases[n].is_of(mac)) {
            self.leases[n].state = Use::Free;
        }
    }

    /// A client has found its address taken.
    pub(crate) fn decline(&mut self, mac: Mac, at: Ip) {
        if let Some(n) = place(at).filter(|&n| self.leases[n].is_of(mac)) {
            self.set(n, Use::Declined, mac);
        }
    }
}
