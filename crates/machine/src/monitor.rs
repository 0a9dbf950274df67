//! What a monitor's `info` shows, in the form that QEMU's has.

use crate::Machine;
use cpu::{State, cr0, cr4, eflags, seg};
use dev::pic8259::PicState;
use mem::Memory;
use std::fmt::Write;

impl Machine {
    /// `info registers`.
    pub fn info_registers(&self) -> String {
        registers(&self.cpu)
    }

    /// `info pic`.
    pub fn info_pic(&self) -> String {
        let PicState::V1(state) = self.vmm.board.pic.save();
        let chips = state.chips.iter().enumerate().rev();
        chips
            .map(|(n, c)| {
                // requests: level inputs that are high, and edges that wait
                let irr = c.edges & !c.elcr | c.lines & c.elcr;
                format!(
                    "pic{n}: irr={irr:02x} imr={:02x} isr={:02x} hprio={} irq_base={:02x} rr_sel={} elcr={:02x} fnm={}\r\n",
                    c.imr,
                    c.isr,
                    (c.lowest + 1) & 7,
                    c.icw2 & 0xf8,
                    u8::from(c.read_isr),
                    c.elcr,
                    u8::from(c.icw4 & 0x10 != 0),
                )
            })
            .collect()
    }

    /// `info mem`: the pages that are mapped, and with which rights.
    pub fn info_mem(&self) -> String {
        if self.cpu.cr0 & cr0::PG == 0 {
            return "PG disabled\r\n".to_owned();
        }
        let mut ranges = Ranges::default();
        match self.cpu.cr4 & cr4::PAE != 0 {
            true => pae(&self.cpu, &self.mem, &mut ranges),
            false => two_levels(&self.cpu, &self.mem, &mut ranges),
        }
        ranges.finish()
    }
}

fn registers(c: &State) -> String {
    let r = |n| c.r32(n);
    let mut out = format!(
        "\r\nCPU#0\r\nEAX={:08x} EBX={:08x} ECX={:08x} EDX={:08x}\r\nESI={:08x} EDI={:08x} EBP={:08x} ESP={:08x}\r\n",
        r(0),
        r(3),
        r(1),
        r(2),
        r(6),
        r(7),
        r(5),
        r(4)
    );
    let flags = c.flags_image();
    let letters = [(eflags::DF, 'D'), (eflags::OF, 'O'), (eflags::SF, 'S'), (eflags::ZF, 'Z')];
    let letters = letters.into_iter().chain([(eflags::AF, 'A'), (eflags::PF, 'P'), (eflags::CF, 'C')]);
    let letters: String = letters.map(|(bit, l)| if flags & bit != 0 { l } else { '-' }).collect();
    let (a20, halted) = (c.a20_mask >> 20 & 1, u8::from(c.activity != cpu::Activity::Running));
    // a String takes every write
    let _ = write!(
        out,
        "EIP={:08x} EFL={flags:08x} [{letters}] CPL={} II=0 A20={a20} SMM=0 HLT={halted}\r\n",
        c.eip, c.cpl
    );
    let named = [
        ("ES", seg::ES),
        ("CS", seg::CS),
        ("SS", seg::SS),
        ("DS", seg::DS),
        ("FS", seg::FS),
        ("GS", seg::GS),
    ];
    let segments =
        named.iter().map(|(name, n)| (*name, c.segment(*n))).chain([("LDT", &c.ldtr), ("TR", &c.tr)]);
    for (name, s) in segments {
        let rights = u32::from(s.rights) << 8;
        let _ = write!(out, "{name:<3}={:04x} {:08x} {:08x} {rights:08x}\r\n", s.selector, s.base, s.limit);
    }
    let _ = write!(
        out,
        "GDT=     {:08x} {:08x}\r\nIDT=     {:08x} {:08x}\r\n",
        c.gdtr.base, c.gdtr.limit, c.idtr.base, c.idtr.limit
    );
    let _ = write!(out, "CR0={:08x} CR2={:08x} CR3={:08x} CR4={:08x}\r\n", c.cr0, c.cr2, c.cr3, c.cr4);
    let _ =
        write!(out, "DR0={:08x} DR1={:08x} DR2={:08x} DR3={:08x}\r\n", c.dr[0], c.dr[1], c.dr[2], c.dr[3]);
    let _ = write!(out, "DR6={:08x} DR7={:08x}\r\nEFER={:016x}\r\n", c.dr[6], c.dr[7], c.efer);
    out
}

/// Runs of pages with the same rights.
#[derive(Default)]
struct Ranges {
    out: String,
    open: Option<(u64, u64, u64)>,
}

const PRESENT: u64 = 1;
const RIGHTS: u64 = 6;

impl Ranges {
    /// `len` bytes at `at` with these entry bits, or unmapped.
    fn add(&mut self, at: u64, len: u64, entry: Option<u64>) {
        let rights = entry.map(|e| e & RIGHTS);
        match (self.open, rights) {
            (Some((start, end, r)), Some(new)) if r == new && end == at => {
                self.open = Some((start, at + len, r))
            }
            _ => {
                self.close();
                self.open = rights.map(|r| (at, at + len, r));
            }
        }
    }

    fn close(&mut self) {
        if let Some((start, end, rights)) = self.open.take() {
            let (user, write) =
                (if rights & 4 != 0 { 'u' } else { '-' }, if rights & 2 != 0 { 'w' } else { '-' });
            let size = end - start;
            // a String takes every write
            let _ = write!(self.out, "{start:016x}-{end:016x} {size:016x} {user}r{write}\r\n");
        }
    }

    fn finish(mut self) -> String {
        self.close();
        self.out
    }
}

fn entry(mem: &Memory, at: u32) -> u64 {
    u64::from(mem.dword(at).unwrap_or(0))
}

fn two_levels(c: &State, mem: &Memory, ranges: &mut Ranges) {
    let root = c.cr3 & 0xffff_f000;
    for n in 0..1024u32 {
        let (pde, base) = (entry(mem, root + 4 * n), u64::from(n) << 22);
        if pde & PRESENT == 0 {
            ranges.add(base, 1 << 22, None);
        } else if pde & 0x80 != 0 && c.cr4 & cr4::PSE != 0 {
            ranges.add(base, 1 << 22, Some(pde));
        } else {
            for m in 0..1024u32 {
                let pte = entry(mem, (pde as u32 & 0xffff_f000) + 4 * m);
                let both = (pte & PRESENT != 0).then_some(pte & pde);
                ranges.add(base + (u64::from(m) << 12), 1 << 12, both);
            }
        }
    }
}

fn pae(c: &State, mem: &Memory, ranges: &mut Ranges) {
    for (n, pdpte) in c.pdptes.iter().enumerate() {
        let base = (n as u64) << 30;
        if pdpte & PRESENT == 0 {
            ranges.add(base, 1 << 30, None);
            continue;
        }
        for m in 0..512u32 {
            let (pde, base) =
                (entry(mem, (*pdpte as u32 & 0xffff_f000) + 8 * m), base + (u64::from(m) << 21));
            if pde & PRESENT == 0 {
                ranges.add(base, 1 << 21, None);
            } else if pde & 0x80 != 0 {
                ranges.add(base, 1 << 21, Some(pde));
            } else {
                for k in 0..512u32 {
                    let pte = entry(mem, (pde as u32 & 0xffff_f000) + 8 * k);
                    let both = (pte & PRESENT != 0).then_some(pte & pde);
                    ranges.add(base + (u64::from(k) << 12), 1 << 12, both);
                }
            }
        }
    }
}
