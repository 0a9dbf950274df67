//! Versioned device state.
//!
//! Each device lists the fields of each version of its state in a frozen struct of its own
//! (`XxxStateV1`), never derived from the live struct: a change of a live field that would change the format
//! does not compile until it is given a new version. `XxxState` is the enum over all versions.

use std::collections::VecDeque;

/// Why a saved state was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StateError {
    /// A field holds a value that the device can never hold.
    #[error("{device}: saved field {field} is out of range")]
    OutOfRange {
        /// The device's name.
        device: &'static str,
        /// The field at fault.
        field: &'static str,
    },
}

/// `Ok` if `ok` holds, else the error that names `field` of `device`.
pub(crate) fn ensure(ok: bool, device: &'static str, field: &'static str) -> Result<(), StateError> {
    if ok { Ok(()) } else { Err(StateError::OutOfRange { device, field }) }
}

/// Live state that has a frozen form.
pub(crate) trait Freeze {
    type Frozen;
    fn freeze(&self) -> Self::Frozen;
    fn thaw(&mut self, from: &Self::Frozen);
}

macro_rules! freeze_by_clone {
    ($($t:ty),*) => {$(
        impl Freeze for $t {
            type Frozen = $t;
            fn freeze(&self) -> $t { self.clone() }
            fn thaw(&mut self, from: &$t) { self.clone_from(from); }
        }
    )*};
}
freeze_by_clone!(bool, u8, u16, u32, u64, i32, i64, Vec<u8>, VecDeque<u8>, VecDeque<u16>);
freeze_by_clone!(VecDeque<Vec<u8>>);
freeze_by_clone!(Option<u8>, Option<u16>, Option<u64>, Option<i64>);

impl<T: Freeze, const N: usize> Freeze for [T; N] {
    type Frozen = [T::Frozen; N];
    fn freeze(&self) -> Self::Frozen {
        std::array::from_fn(|i| self[i].freeze())
    }
    fn thaw(&mut self, from: &Self::Frozen) {
        self.iter_mut().zip(from).for_each(|(live, frozen)| live.thaw(frozen));
    }
}

/// Declares a frozen struct and how the live struct of the same fields is copied to and from it.
macro_rules! frozen {
    ($(#[$meta:meta])* $frozen:ident of $live:ident { $($field:ident : $t:ty),* $(,)? }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
        pub struct $frozen {
            $(#[doc = concat!("The device's `", stringify!($field), "`.")] pub $field: $t,)*
        }
        impl $crate::state::Freeze for $live {
            type Frozen = $frozen;
            fn freeze(&self) -> $frozen {
                $frozen { $($field: $crate::state::Freeze::freeze(&self.$field)),* }
            }
            fn thaw(&mut self, from: &$frozen) {
                $($crate::state::Freeze::thaw(&mut self.$field, &from.$field);)*
            }
        }
    };
}

/// Declares the enum over a device's state versions, and its `save` and `restore`.
/// The device has a function `check(&V1) -> Result<(), StateError>`, and, if named, a method of the same shape
/// that asks whether a state fits this very device.
macro_rules! device_state {
    ($live:ident, $state:ident, $v1:ident $(, $fits:ident)?) => {
        #[doc = concat!("The saved state of a [`", stringify!($live), "`], by version.")]
        #[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
        pub enum $state {
            /// Version 1.
            V1($v1),
        }
        impl $live {
            /// The version that `save` writes.
            pub const VERSION: u16 = 1;

            /// All state of the device.
            pub fn save(&self) -> $state {
                $state::V1($crate::state::Freeze::freeze(self))
            }

            /// Puts back a saved state.
            ///
            /// # Errors
            /// [`StateError::OutOfRange`](crate::StateError::OutOfRange) if a field holds what the device cannot hold; the device is then unchanged.
            pub fn restore(&mut self, state: &$state) -> Result<(), $crate::StateError> {
                let $state::V1(v1) = state;
                Self::check(v1)?;
                $(self.$fits(v1)?;)?
                $crate::state::Freeze::thaw(self, v1);
                Ok(())
            }
        }
    };
}
pub(crate) use {device_state, frozen};
