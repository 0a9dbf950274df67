//! Any bytes are a witness or are not; what is one replays, and a replay of what was written is the same.
#![no_main]

use classify::Witness;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Ok(witness) = Witness::from_json(bytes) else { return };
    let Ok(replay) = witness.replay() else { return };
    let written = witness.to_json().expect("a witness can be written");
    let again = Witness::from_json(written.as_bytes()).and_then(|w| w.replay());
    assert_eq!(again, Ok(replay));
});
