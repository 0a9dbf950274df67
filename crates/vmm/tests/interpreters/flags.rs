//! PUSHF, POPF, CLI and STI in every mode and with every right.

use crate::fake::*;
use cpu::{CpuModel, Fault, cr4, eflags as e};

/// What the four instructions look at.
#[derive(Clone, Copy, Debug)]
struct Rights {
    mode: Mode,
    iopl: u32,
    vme: bool,
    pvi: bool,
    vip: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Mode {
    Real,
    Protected(u8),
    V86,
}

fn every() -> Vec<Rights> {
    let modes = [Mode::Real, Mode::Protected(0), Mode::Protected(1), Mode::Protected(3), Mode::V86];
    let mut all = Vec::new();
    for mode in modes {
        for n in 0..32u32 {
            let bit = |b: u32| n >> b & 1 != 0;
            all.push(Rights { mode, iopl: n & 3, vme: bit(2), pvi: bit(3), vip: bit(4) });
        }
    }
    all
}

impl Rights {
    fn machine(self) -> Fake {
        let mut f = match self.mode {
            Mode::Real => Fake::real(CpuModel::N270),
            Mode::Protected(cpl) => Fake::protected(if cpl == 3 { 3 } else { 0 }),
            Mode::V86 => Fake::v86(0),
        };
        if let Mode::Protected(cpl) = self.mode {
            f.cpu.cpl = cpl;
        }
        let cr4 = [(self.vme, cr4::VME), (self.pvi, cr4::PVI)];
        f.cpu.cr4 |= cr4.iter().filter(|c| c.0).fold(0, |all, c| all | c.1);
        f.cpu.eflags |= self.iopl << 12 | if self.vip { e::VIP } else { 0 };
        f
    }

    fn cpl(self) -> u32 {
        match self.mode {
            Mode::Real => 0,
            Mode::Protected(cpl) => cpl.into(),
            Mode::V86 => 3,
        }
    }

    /// Which flag CLI and STI change (SDM vol. 2, CLI, table "Decision Table for CLI Results").
    fn interrupt_flag(self) -> Option<u32> {
        match self.mode {
            Mode::Real => Some(e::IF),
            _ if self.iopl >= self.cpl() => Some(e::IF),
            Mode::V86 if self.vme => Some(e::VIF),
            Mode::Protected(3) if self.pvi => Some(e::VIF),
            _ => None,
        }
    }
}

#[test]
fn cli() {
    for rights in every() {
        let mut f = rights.machine();
        f.cpu.eflags |= e::IF | e::VIF;
        let before = f.cpu.eflags;
        match rights.interrupt_flag() {
            Some(flag) => {
                f.run(&[0xfa]).unwrap();
                assert_eq!(f.cpu.eflags, before & !flag, "{rights:?}");
            }
            None => assert_eq!(f.faults(&[0xfa]), Fault::GP0, "{rights:?}"),
        }
    }
}

/// SDM vol. 2, STI: as CLI, but that VIF is not set while VIP is.
#[test]
fn sti() {
    for rights in every() {
        let mut f = rights.machine();
        let before = f.cpu.eflags;
        match rights.interrupt_flag() {
            Some(flag) if flag == e::IF || !rights.vip => {
                f.run(&[0xfb]).unwrap();
                assert_eq!(f.cpu.eflags, before | flag, "{rights:?}");
            }
            _ => assert_eq!(f.faults(&[0xfb]), Fault::GP0, "{rights:?}"),
        }
    }
}

/// PUSHF with an operand of 2 or 4 bytes, whatever the code's size is.
fn prefixed(f: &Fake, bytes: u32, op: u8) -> Vec<u8> {
    let wide = f.cpu.code_size() == cpu::CodeSize::Bits32;
    if wide == (bytes == 4) { vec![op] } else { vec![0x66, op] }
}

/// SDM vol. 2, PUSHF: VM and RF are not pushed; in V86 mode below IOPL 3 VME shows VIF as IF, and IOPL 3.
#[test]
fn pushf() {
    for rights in every() {
        for bytes in [2, 4] {
            let mut f = rights.machine();
            f.cpu.eflags |= e::IF | e::RF | e::NT;
            let op = prefixed(&f, bytes, 0x9c);
            let image = f.cpu.flags_image() & !(e::VM | e::RF);
            let below = rights.mode == Mode::V86 && rights.iopl < 3;
            if below && (bytes == 4 || !rights.vme) {
                assert_eq!(f.faults(&op), Fault::GP0, "{rights:?}");
                continue;
            }
            f.run(&op).unwrap();
            let expected = if below { image & !e::IF | e::IOPL } else { image };
            let pushed = if bytes == 4 { f.stack32::<1>()[0] } else { f.stack16::<1>()[0].into() };
            assert_eq!(pushed, if bytes == 4 { expected } else { expected & 0xffff }, "{rights:?}");
        }
    }
}

/// The flags that a load changes (SDM vol. 2, POPF, operation); none: it is #GP(0).
fn changed(rights: Rights, bytes: u32) -> Option<u32> {
    let free = e::ARITHMETIC | e::TF | e::DF | e::NT | if bytes == 4 { e::AC | e::ID } else { 0 };
    match rights.mode {
        Mode::V86 if rights.iopl < 3 => None,
        Mode::V86 => Some(free | e::IF),
        _ if rights.cpl() == 0 => Some(free | e::IF | e::IOPL),
        _ if rights.cpl() <= rights.iopl => Some(free | e::IF),
        _ => Some(free),
    }
}

fn with_image(rights: Rights, bytes: u32, image: u32) -> Fake {
    let mut f = rights.machine();
    if bytes == 4 {
        f.cpu.set_r32(cpu::reg::SP, f.cpu.r32(cpu::reg::SP) & 0xffff);
        f.push32(&[image]);
    } else {
        f.push16(&[image as u16]);
    }
    f
}

#[test]
fn popf() {
    let all = e::ARITHMETIC
        | e::TF
        | e::DF
        | e::NT
        | e::IF
        | e::IOPL
        | e::AC
        | e::ID
        | e::VIF
        | e::VIP
        | e::VM
        | e::RF;
    for rights in every() {
        for (bytes, image) in [(2, 0), (2, all), (4, 0), (4, all)] {
            let mut f = with_image(rights, bytes, image);
            let (before, op) = (f.cpu.flags_image(), prefixed(&f, bytes, 0x9d));
            if let Some(mask) = changed(rights, bytes) {
                f.run(&op).unwrap();
                let expected = before & !mask | image & mask;
                assert_eq!(f.cpu.flags_image(), expected, "{rights:?} {bytes} {image:x}");
            } else if bytes == 4 || !rights.vme || image == all {
                // TF cannot be set there, nor VIF while VIP is
                assert_eq!(f.faults(&op), Fault::GP0, "{rights:?} {bytes} {image:x}");
            }
        }
    }
}

/// SDM vol. 2, POPF, and vol. 3B, 20.3.3: V86 mode below IOPL 3 with VME has VIF for IF, and #GP(0) where TF
/// would be set, or VIF while VIP is.
#[test]
fn popf_with_vme() {
    for (image, vip, fits) in [
        (e::IF, false, true),
        (e::IF, true, false),
        (e::CF, true, true),
        (e::TF, false, false),
        (e::IOPL, false, true),
    ] {
        let rights = Rights { mode: Mode::V86, iopl: 0, vme: true, pvi: false, vip };
        let mut f = with_image(rights, 2, image);
        if fits {
            f.cpu.eflags |= e::IF;
            f.run(&[0x9d]).unwrap();
            assert_eq!(f.cpu.eflags & e::IF, e::IF);
            assert_eq!(f.cpu.eflags & e::VIF != 0, image & e::IF != 0);
            assert_eq!(f.cpu.flags_image() & (e::CF | e::IOPL), image & e::CF);
        } else {
            assert_eq!(f.faults(&[0x9d]), Fault::GP0, "{image:x} {vip}");
        }
    }
}

/// SDM vol. 3B, 22.15: in real mode an 80286 keeps IOPL and NT clear.
#[test]
fn popf_of_an_80286_in_real_mode() {
    let mut f = Fake::real(CpuModel::I286);
    f.push16(&[0x7fff]);
    f.run(&[0x9d]).unwrap();
    assert_eq!(f.cpu.flags_image(), 0x0fd7);
}
