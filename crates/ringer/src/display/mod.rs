//! What the user sees of the guest's screen, and what comes back from keyboard and mouse.

mod cp437;
pub(crate) mod text;
pub(crate) mod window;
mod window_keys;

use dev::keys::Key;

/// What the user did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum UserEvent {
    /// A key went down or up.
    Key(Key, bool),
    /// The mouse moved, to the right and upwards, its wheel turned, or its buttons are others.
    Mouse { dx: i32, dy: i32, dz: i32, buttons: u8 },
    /// The user presses the power button.
    PowerButton,
    /// The user wants the machine to end.
    Quit,
}

/// The three keys that start a PC again.
fn ctrl_alt_delete() -> impl Iterator<Item = UserEvent> {
    let keys = ["ctrl", "alt", "delete"].into_iter().filter_map(Key::from_qcode);
    let released = keys.clone().collect::<Vec<_>>().into_iter().rev();
    keys.map(|k| UserEvent::Key(k, true)).chain(released.map(|k| UserEvent::Key(k, false)))
}
