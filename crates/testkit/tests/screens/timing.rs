//! What changes with time: the cursor and blinking characters.

use crate::guest::{DONE, attributes, bios, crtc, dac, fill, load_font, noise_bytes};
use crate::picture::{Colours, Picture};
use crate::text::Screen;
use crate::{image, qemu, ringer};
use iced_x86::code_asm::*;
use libtest_mimic::{Failed, Trial};
use std::time::{Duration, Instant};
use test_roms::asm;
use test_roms::asm::{Asm, Assembled};

/// The cell of the cursor, of which lines 5 to 9 show.
const CELL: usize = 0x285;
/// Virtual nanoseconds of a picture of 449 lines of 900 dots at 28.322 MHz.
const FRAME: u64 = 449 * 900 * 1_000_000_000 / 28_322_000;
/// Instructions between looks: 5 ms.
const STEP: u64 = 1_000_000;
const LOOKS: usize = 160;
/// How much later than it happens a change may be seen.
const LATE: u64 = 6_000_000;

/// Mode 3 with blinking on and a cursor; then it spins, so that time goes on evenly.
fn program(a: &mut Asm) -> Assembled {
    bios(a, 3)?;
    dac(a)?;
    fill(a, "cells", 0xb800, 5, 0x8000)?;
    load_font(a, 70, 16, 0)?;
    attributes(a, &[(0x10, 0x0c)])?;
    crtc(a, &[(0x0a, 5), (0x0b, 9), (0x0e, CELL as u32 >> 8), (0x0f, CELL as u32 & 0xff)])?;
    for &byte in DONE {
        asm! { a => mov al, u32::from(byte); out 0xe9u32, al; }
    }
    asm! { a => cli; label "spin"; jmp a.to("spin"); }
    Ok(())
}

/// The picture with the cursor or not, and with blinking characters dark or not.
fn picture(screen: Screen, cursor: bool, dark: Option<bool>) -> Picture {
    let screen = Screen { dark, cursor: cursor.then_some((CELL, 5..=9)), ..screen };
    screen.draw(&noise_bytes(5, 0x8000), &|code, _| code.into(), &noise_bytes(70, 4096))
}

/// Holds the times of changes against a period.
fn even(what: &str, changes: &[u64], frames: u64) -> Result<(), Failed> {
    let wrong = changes.windows(2).find(|w| (w[1] - w[0]).abs_diff(frames * FRAME) > LATE);
    match (wrong, changes.len()) {
        (None, 3..) => Ok(()),
        (wrong, count) => {
            Err(format!("{what}: {count} changes, {wrong:?}, not {frames} frames apart").into())
        }
    }
}

/// The cursor changes every 8 frames, characters every 16 (IBM VGA Technical Reference, "Cursor Start
/// Register" and "Attribute Mode Control Register": a period of 16, and of 32 frames).
fn under_ringer() -> Result<(), Failed> {
    let (_directory, image) = image(&program)?;
    let mut machine = ringer::run(&image)?;
    let states = [(false, false), (false, true), (true, false), (true, true)];
    let pictures = states.map(|(cursor, dark)| picture(Screen::new(), cursor, Some(dark)));
    let (mut last, mut cursors, mut darks) = (None, Vec::new(), Vec::new());
    for _ in 0..LOOKS {
        machine.run(machine.cpu().retired + STEP);
        let frame = machine.frame();
        let state = pictures.iter().position(|p| p.pixels == frame.pixels).ok_or("none of the pictures")?;
        let (was, now) = (last.unwrap_or(state), machine.now());
        if states[was].0 != states[state].0 {
            cursors.push(now);
        }
        if states[was].1 != states[state].1 {
            darks.push(now);
        }
        last = Some(state);
    }
    even("the cursor", &cursors, 8)?;
    even("blinking characters", &darks, 16)
}

/// QEMU's cursor blinks at another rate, by real time, and its characters never do: bit 7 of attributes is
/// of the background ("flashing" is on its own list of what is missing).
fn under_qemu() -> Result<(), Failed> {
    let (directory, image) = image(&program)?;
    let mut qemu = qemu::Qemu::start(&image, directory.path())?;
    qemu.wait()?;
    let pictures =
        [false, true].map(|cursor| picture(Screen::new().by_qemu(), cursor, None).rounded(Colours::Dac));
    let mut seen = [false; 2];
    let until = Instant::now() + Duration::from_secs(20);
    while seen != [true; 2] {
        let theirs = qemu.picture()?.rounded(Colours::Dac);
        let which = pictures.iter().position(|p| *p == theirs);
        let Some(which) = which else {
            return Err(format!("QEMU differs: {:?}", pictures[1].differs(&theirs)).into());
        };
        seen[which] = true;
        if Instant::now() > until {
            return Err(format!("QEMU's cursor does not blink: {seen:?}").into());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

pub(crate) fn trials(firmware: bool, both: bool) -> Vec<Trial> {
    vec![
        Trial::test("ringer::text_cursor_and_blinking", under_ringer).with_ignored_flag(!firmware),
        Trial::test("qemu::text_cursor_and_blinking", under_qemu).with_ignored_flag(!both),
    ]
}
