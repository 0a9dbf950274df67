//! What the user sees of the guest's screen, and what comes back from keyboard and mouse.

mod cp437;
pub(crate) mod text;

use dev::keys::Key;

/// What the user did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum UserEvent {
    /// A key went down or up.
    Key(Key, bool),
    /// The user wants the machine to end.
    Quit,
}
