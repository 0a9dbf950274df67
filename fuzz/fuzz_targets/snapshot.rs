//! Any file, and any damage to what a good one holds, is refused or gives a machine that runs on,
//! shows its screen and is saved again.
#![no_main]

use ringer_fuzz::{Devices, Input, Rig, Saved, damage, step, touch};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let mut input = Input::new(bytes);
    let kind = input.byte();
    let all = Saved::all();
    let mut saved = all[usize::from(kind & 7)].clone();
    let loaded = if kind & 0xf8 == 0xf8 {
        Rig::load(saved.make, saved.inside, input.bytes(usize::MAX))
    } else {
        damage(&mut saved, &mut input);
        Rig::load(saved.make, saved.inside, &saved.file())
    };
    let Ok(mut rig) = loaded else { return };
    if ringer_fuzz::hash(bytes) & 63 == 0 && rig.machine.board().clock.is_deterministic() {
        rig.round_trip();
    }
    touch(&mut rig);
    while !input.is_empty() {
        step(&mut rig, &mut input, Devices::Ports);
    }
    if ringer_fuzz::hash(bytes) & 31 == 1 {
        let saved = rig.save();
        let (make, inside) = rig.make();
        Rig::load(make, inside, &saved).expect("what was saved loads");
    }
});
