//! Relocations: how R differs between the two states of a pair, as it does where a monitor puts its guest elsewhere.

use crate::layout as at;
use crate::tables::tables;
use crate::world::{Outside, Run, World};
use cpu::{State, cr0, cr4, eflags};

macro_rules! relocations {
    ($($(#[$doc:meta])* $name:ident $text:literal;)*) => {
        /// A change of R that a monitor makes when it puts its guest elsewhere or keeps a resource to itself: r + x.
        #[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, PartialOrd, Ord)]
        pub enum Relocation { $($(#[$doc])* $name),* }
        impl Relocation {
            /// All of them.
            pub const ALL: &'static [Relocation] = &[$(Relocation::$name),*];
            /// The name that witnesses use.
            pub fn name(self) -> &'static str {
                match self { $(Relocation::$name => $text),* }
            }
        }
    };
}

relocations! {
    /// The program's segments have another base, and its window lies there.
    Window "segment-base";
    /// The GDT, with equal contents, lies elsewhere.
    Gdt "gdt";
    /// The IDT likewise.
    Idt "idt";
    /// The LDT likewise, under another selector.
    Ldt "ldt";
    /// The TSS likewise.
    Tss "tss";
    /// The page tables likewise: another CR3.
    Pages "cr3";
    /// Descriptors that no register holds, and the interrupt redirection bitmap, have other contents.
    HostTable "host-table";
    /// EFLAGS.IF: whether interrupts are on is the monitor's.
    Interrupts "if";
    /// CR0.NE, AM.
    Control0 "cr0";
    /// CR4.MCE, PGE.
    Control4 "cr4";
    /// XCR0.
    Components "xcr0";
    /// Model-specific registers: SYSENTER's, EFER, IA32_TSC_AUX.
    Msrs "msrs";
    /// The time-stamp counter.
    Time "tsc";
    /// What devices answer.
    Devices "devices";
    /// Debug registers.
    Debug "dr";
    /// The local APIC is switched off.
    Apic "apic";
}

impl World {
    pub(crate) fn relocate(&mut self, x: Relocation, run: &mut Run, outside: &mut Outside) {
        let cpu = &mut run.before;
        match x {
            Relocation::Window => {
                self.move_window(cpu);
                run.window = at::WINDOW[1];
            }
            Relocation::Gdt => cpu.gdtr.base = at::GDT[1],
            Relocation::Idt => cpu.idtr.base = at::IDT[1],
            Relocation::Ldt if cpu.ldtr.usable() => {
                (cpu.ldtr.base, cpu.ldtr.selector) = (at::LDT[1], at::LOCAL_TABLE[1]);
            }
            Relocation::Ldt => {}
            Relocation::Tss if cpu.tr.usable() => (cpu.tr.base, cpu.tr.selector) = (at::TSS[1], at::TASK[1]),
            Relocation::Tss => {}
            Relocation::Pages => cpu.cr3 = at::TABLES[1],
            Relocation::HostTable => self.change_descriptors(),
            Relocation::Interrupts => cpu.eflags ^= eflags::IF,
            Relocation::Control0 => cpu.cr0 ^= cr0::NE | cr0::AM,
            Relocation::Control4 => cpu.cr4 ^= cr4::MCE | cr4::PGE,
            Relocation::Components => cpu.xcr0 ^= 2,
            Relocation::Msrs => {
                cpu.sysenter[1] ^= 0x40;
                cpu.sysenter[2] ^= 0x40;
                cpu.efer ^= 1 << 11;
                cpu.tsc_aux ^= 1;
            }
            Relocation::Time => cpu.tsc_offset = cpu.tsc_offset.wrapping_add(0x1_2345_6789),
            Relocation::Devices => outside.devices = !outside.devices,
            Relocation::Debug => {
                (0..4).for_each(|n| cpu.dr[n] ^= 0x10);
                cpu.dr[6] ^= 1;
                cpu.dr[7] ^= 0x1_0000;
            }
            Relocation::Apic => outside.apic_base ^= vmm::APIC_ENABLE,
        }
    }

    /// The window's bytes and everything that says where it is.
    fn move_window(&mut self, cpu: &mut State) {
        for from in [at::STACK, at::OPERAND] {
            for n in (0..64).step_by(8) {
                let bytes = self.memory.read(at::WINDOW[0] + from + n, 8);
                self.memory.write(at::WINDOW[1] + from + n, 8, bytes);
            }
        }
        for (table, end) in tables() {
            for n in (8..end).step_by(8) {
                let d = self.memory.read(table + n, 8);
                if d >> 44 & 1 == 1 && d >> 16 & 0xff_ffff == u64::from(at::WINDOW[0]) {
                    self.memory.write(table + n + 2, 3, at::WINDOW[1].into());
                }
            }
        }
        for s in cpu.seg.iter_mut().filter(|s| s.usable() && s.base == at::WINDOW[0]) {
            s.base = at::WINDOW[1];
            s.refresh();
        }
    }

    /// Another limit, another available bit, and data that is no longer writable or code no longer readable; vectors
    /// sent elsewhere.
    fn change_descriptors(&mut self) {
        let others = [at::OTHER_DATA3, at::OTHER_CODE3, at::OTHER_DATA0, at::OTHER_CODE0, at::CONFORMING];
        for table in at::GDT {
            for selector in others {
                let at = table + u32::from(selector & !7);
                let d = self.memory.read(at, 8);
                self.memory.write(at, 8, d ^ (1 << 52 | 1 << 41 | 0x1000));
            }
        }
        for at in at::TSS.iter().map(|t| t + 0x68) {
            let map = self.memory.read(at, 8);
            self.memory.write(at, 8, !map);
        }
    }
}
