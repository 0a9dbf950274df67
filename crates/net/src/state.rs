//! The network's state, versioned: frozen structs, never derived from the live ones.

use crate::Network;
use crate::leases::{ADDRESSES, Lease, Leases, Use};
use serde::{Deserialize, Serialize};

/// The network's saved state, by version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum NetworkState {
    /// Version 1.
    V1(NetworkStateV1),
}

/// The network, version 1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkStateV1 {
    /// The addresses, from 10.0.2.15 to 10.0.2.30.
    pub leases: Vec<LeaseStateV1>,
    /// How much was said about addresses.
    pub turn: u64,
}

/// An address, version 1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseStateV1 {
    /// 0 free, 1 offered, 2 bound, 3 declined.
    pub state: u8,
    /// By or to whom.
    pub mac: [u8; 6],
    /// The turn in which it was last spoken of.
    pub used: u64,
}

/// A saved state that no network can have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("net: the saved {0} cannot be")]
pub struct StateError(&'static str);

impl LeaseStateV1 {
    fn of(l: &Lease) -> Self {
        let state = match l.state {
            Use::Free => 0,
            Use::Offered => 1,
            Use::Bound => 2,
            Use::Declined => 3,
        };
        LeaseStateV1 { state, mac: l.mac, used: l.used }
    }

    fn thaw(&self) -> Option<Lease> {
        let states = [Use::Free, Use::Offered, Use::Bound, Use::Declined];
        let state = *states.get(usize::from(self.state))?;
        Some(Lease { state, mac: self.mac, used: self.used })
    }
}

impl Network {
    /// All state of the network.
    pub fn save(&self) -> NetworkState {
        let leases = self.leases.leases.iter().map(LeaseStateV1::of).collect();
        NetworkState::V1(NetworkStateV1 { leases, turn: self.leases.turn })
    }

    /// Puts back a saved state.
    ///
    /// # Errors
    /// [`StateError`]; the network is then unchanged.
    pub fn restore(&mut self, state: &NetworkState) -> Result<(), StateError> {
        let NetworkState::V1(v1) = state;
        let leases: Option<Vec<Lease>> = v1.leases.iter().map(LeaseStateV1::thaw).collect();
        let leases: [Lease; ADDRESSES] =
            leases.and_then(|l| l.try_into().ok()).ok_or(StateError("list of addresses"))?;
        if leases.iter().any(|l| l.used > v1.turn) {
            return Err(StateError("turn"));
        }
        let held = |l: &&Lease| matches!(l.state, Use::Offered | Use::Bound);
        let mut macs: Vec<_> = leases.iter().filter(held).map(|l| l.mac).collect();
        let count = macs.len();
        macs.sort_unstable();
        macs.dedup();
        if macs.len() != count {
            return Err(StateError("owner of two addresses"));
        }
        self.leases = Leases { leases, turn: v1.turn };
        Ok(())
    }
}
