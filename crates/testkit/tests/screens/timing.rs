//! What changes with time: the cursor and blinking characters.

use libtest_mimic::Trial;

pub(crate) fn trials(_firmware: bool, _both: bool) -> Vec<Trial> {
    Vec::new()
}
