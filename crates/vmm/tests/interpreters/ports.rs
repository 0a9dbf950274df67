//! IN, OUT, INS and OUTS: who may use a port.

use crate::fake::*;
use cpu::{CpuModel, Fault, reg};

const FORMS: [&[u8]; 8] =
    [&[0xe4, 0x40], &[0xe6, 0x40], &[0xec], &[0xee], &[0xed], &[0xef], &[0x6c], &[0x6e]];

fn ready(mut f: Fake) -> Fake {
    f.cpu.set_r32(reg::DX, 0x40);
    f.cpu.set_r32(reg::SI, 0x100);
    f.cpu.set_r32(reg::DI, 0x100);
    f.write(TSS + 0x66, 2, 0x88);
    f
}

/// SDM vol. 1, "I/O Permission Bit Map": a clear bit allows the port.
fn allow(f: &mut Fake, allowed: bool) {
    f.write(TSS + 0x88 + 8, 2, if allowed { 0 } else { 0xffff });
}

/// SDM vol. 1, chapter "Input/Output", "I/O Privilege Level" and "I/O Permission Bit Map": IOPL in protected
/// mode, else the map; in V86 mode the map alone.
#[test]
fn rights() {
    for bytes in FORMS {
        for allowed in [false, true] {
            let mut f = ready(Fake::real(CpuModel::N270));
            allow(&mut f, allowed);
            assert!(f.run(bytes).is_ok(), "{bytes:x?}");
            assert_eq!(f.ports.len(), 1);
            for (cpl, iopl, fits) in [(0, 0, true), (3, 0, allowed), (3, 2, allowed), (3, 3, true)] {
                let mut f = ready(Fake::protected(cpl));
                f.cpu.eflags |= iopl << 12;
                allow(&mut f, allowed);
                assert_eq!(f.run(bytes).err(), (!fits).then_some(Fault::GP0), "{bytes:x?} {cpl} {iopl}");
                assert_eq!(f.ports.len(), usize::from(fits));
            }
            for iopl in [0, 3] {
                let mut f = ready(Fake::v86(iopl));
                allow(&mut f, allowed);
                assert_eq!(f.run(bytes).err(), (!allowed).then_some(Fault::GP0), "{bytes:x?} V86 {iopl}");
            }
        }
    }
}

/// SDM vol. 1, "I/O Permission Bit Map": every byte's bit counts; beyond the TSS's limit, and without a 32-bit
/// TSS, no port is allowed.
#[test]
fn the_map() {
    for (bits, limit, rights, fits) in [
        (0u64, 0xa7, 0x8b, true),
        (1, 0xa7, 0x8b, false),
        (2, 0xa7, 0x8b, false),
        (8, 0xa7, 0x8b, false),
        (0x10, 0xa7, 0x8b, true),
        (0, 0x90, 0x8b, false),
        (0, 0x91, 0x8b, true),
        (0, 0x66, 0x8b, false),
        (0, 0xa7, 0x83, false),
    ] {
        let mut f = ready(Fake::protected(3));
        f.write(TSS + 0x90, 2, bits);
        (f.cpu.tr.limit, f.cpu.tr.rights) = (limit, rights);
        assert_eq!(f.run(&[0xed]).err(), (!fits).then_some(Fault::GP0), "{bits:x} {limit:x}");
    }
}

/// SDM vol. 2, INS and OUTS: segment limits and rights. The port is not touched where the memory cannot be.
#[test]
fn strings_beyond_a_limit() {
    for (bytes, n) in [(&[0x6c], 0), (&[0x6e], 3)] {
        for (limit, fits) in [(0xff, false), (0x100, true)] {
            let mut f = ready(Fake::protected(0));
            f.cpu.seg[n].limit = limit;
            f.cpu.seg[n].refresh();
            assert_eq!(f.run(bytes).err(), (!fits).then_some(Fault::GP0), "{bytes:x?}");
            assert_eq!(f.ports.len(), usize::from(fits));
        }
    }
}
