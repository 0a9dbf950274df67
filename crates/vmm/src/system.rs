//! How interpreters reach system state: through named questions, never raw branches.

use cpu::{CpuModel, Fault, InterruptShadow, State, cr0, cr4, eflags};
use mem::Memory;

/// A question about system state with a finite answer. Every branch of an interpreter on
/// system state names one, so that an analysis can record the answers and fork on them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, PartialOrd, Ord)]
pub enum Atom {
    /// CR0.PE = 1.
    ProtectionEnabled,
    /// EFLAGS.VM = 1.
    Virtual8086,
    /// CPL > 0.
    CplAbove0,
    /// CPL = 3.
    CplIs3,
    /// IOPL < CPL.
    IoplBelowCpl,
    /// IOPL < 3 (asked in V86 mode).
    IoplBelow3,
    /// CR4.VME.
    Vme,
    /// CR4.PVI.
    Pvi,
    /// CR4.TSD.
    Tsd,
    /// CR4.PCE.
    Pce,
    /// CR4.UMIP.
    Umip,
    /// CR4.DE.
    DebugExtensions,
    /// EFLAGS.VIP.
    VirtualInterruptPending,
    /// EFLAGS.NT.
    NestedTask,
    /// The I/O permission bitmap allows the port.
    PortAllowed,
    /// The interrupt redirection bitmap sends INT n to the program.
    InterruptRedirected,
    /// A selector is null.
    SelectorNull,
    /// A selector lies inside its table's limit.
    SelectorInTable,
    /// A selector names the LDT.
    SelectorLocal,
    /// A descriptor is of the type asked for.
    DescriptorType,
    /// A descriptor is present.
    DescriptorPresent,
    /// A descriptor's DPL admits CPL and RPL.
    PrivilegeAdmits,
    /// Code is conforming.
    Conforming,
    /// A control transfer changes the privilege level.
    PrivilegeChanges,
    /// A limit covers an access.
    LimitCovers,
    /// A gate or task is 32 bits wide.
    Is32Bit,
    /// CR0.EM.
    Emulation,
    /// CR0.TS.
    TaskSwitched,
    /// CR0.MP.
    MonitorCoprocessor,
    /// CR0.NE.
    NumericError,
    /// CR4.OSFXSR.
    OsFxsr,
    /// A general condition on a value that an MSR, control or debug register would take.
    ValueLegal,
    /// DR7.GD.
    GeneralDetect,
    /// SYSENTER's selector is null.
    SysenterDisabled,
    /// CR0.PG.
    Paging,
    /// A descriptor's accessed bit is set.
    DescriptorAccessed,
    /// SS.B, of the running stack or of one about to be used.
    StackIs32,
    /// A segment register holds no segment.
    SegmentUnusable,
    /// A gate is an interrupt gate: it clears IF.
    InterruptGate,
    /// A flags image to be loaded has VM set, at CPL 0.
    ReturnsToVirtual8086,
    /// A flags image would let a pending virtual interrupt in, or set TF (V86 with VME).
    ImageNeedsMonitor,
    /// Interrupts are held off already by the instruction before.
    Shadowed,
    /// The T bit of a TSS.
    TaskTraps,
    /// The CPU is an 8086 (segment loads of CS).
    Is8086,
    /// The CPU is an 80286 (descriptors have 24-bit bases, no 32-bit types).
    Is286,
    /// IA32_APIC_BASE's global enable: the chip has a local APIC, and it is on.
    ApicEnabled,
    /// CR4.OSXSAVE.
    OsXsave,
    /// CPUID faulting is on.
    CpuidFaulting,
    /// XCR0 and EDX:EAX name a component of state.
    ComponentChosen,
    /// An XSAVE area holds a component of state; else it is to be as after reset.
    ComponentHeld,
}

/// Bits of IA32_APIC_BASE (SDM vol. 3A, 10.4.4): bootstrap processor, global enable, and the
/// address of the page of registers. There is no x2APIC mode, and no address beyond 4 GiB.
pub const APIC_BSP: u32 = 1 << 8;
/// See [`APIC_BSP`].
pub const APIC_ENABLE: u32 = 1 << 11;
/// See [`APIC_BSP`].
pub const APIC_BASE: u32 = 0xffff_f000;

/// In whose name memory is accessed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Privilege {
    /// Of the running program (CPL 3 is a user access).
    Current,
    /// A system structure: descriptor tables, TSS (always a supervisor access).
    Supervisor,
}

/// What an interpreter may see and change. One implementation runs the machine; another
/// records for the classifier.
///
/// An interpreter is called with EIP already past the instruction; when it returns a fault,
/// the dispatcher puts EIP back. Whatever else it changed before the fault stays, so it
/// checks everything first.
pub trait System {
    /// The architectural state.
    fn state(&self) -> &State;
    /// The architectural state, to be changed.
    fn state_mut(&mut self) -> &mut State;
    /// Answers an atom; `truth` is what the state says. The caller's place tells apart the questions of one atom:
    /// helpers that ask in another's name pass theirs on (`#[track_caller]`).
    #[track_caller]
    fn ask(&mut self, atom: Atom, truth: bool) -> bool;

    /// Reads up to 8 bytes at a linear address.
    ///
    /// # Errors
    /// The page fault.
    fn load(&mut self, linear: u32, size: u32, privilege: Privilege) -> Result<u64, Fault>;
    /// Writes up to 8 bytes at a linear address.
    ///
    /// # Errors
    /// The page fault; nothing was written.
    fn store(&mut self, linear: u32, size: u32, value: u64, privilege: Privilege) -> Result<(), Fault>;
    /// Finds whether bytes could be read or written.
    ///
    /// # Errors
    /// The page fault.
    fn probe(&mut self, linear: u32, size: u32, write: bool, privilege: Privilege) -> Result<(), Fault>;

    /// Reads 1, 2 or 4 bytes from a port.
    fn port_in(&mut self, port: u16, size: u32) -> u32;
    /// Writes 1, 2 or 4 bytes to a port.
    fn port_out(&mut self, port: u16, size: u32, value: u32);
    /// Reads up to `most` elements of `size` bytes from a port into memory at an offset of ES, where that is the same as
    /// one after the other and nothing of it can fault; how many were read.
    fn ports_in(&mut self, _port: u16, _size: u32, _offset: u32, _most: u32) -> u32 {
        0
    }
    /// Writes up to `most` elements of `size` bytes to a port from memory at an offset of a segment, likewise.
    fn ports_out(&mut self, _port: u16, _size: u32, _segment: u8, _offset: u32, _most: u32) -> u32 {
        0
    }
    /// The time-stamp counter.
    fn time_stamp(&mut self) -> u64;
    /// Reads an aligned dword at a physical address; ones where there is no memory.
    fn physical_dword(&mut self, at: u32) -> u32;

    /// IA32_APIC_BASE, a register of the local APIC; 0 where there is none.
    fn apic_base(&mut self) -> u32;
    /// Writes IA32_APIC_BASE, whose value was checked.
    fn set_apic_base(&mut self, value: u32);

    /// To be called after a change of CR0, CR3, CR4, EFER, A20, CPL or EFLAGS.VM: brings the
    /// shadow that engines use in line.
    fn address_space_changed(&mut self);
    /// As [`System::address_space_changed`], after a load of CR3.
    fn cr3_loaded(&mut self) {
        self.address_space_changed();
    }
    /// INVLPG: drops what is cached for one page.
    fn invalidate_page(&mut self, linear: u32);
    /// DR0-3 or DR7 changed.
    fn watchpoints_changed(&mut self);
    /// IF came on: asks for the dispatcher where an interrupt waits for that.
    fn interrupts_opened(&mut self) {
        self.leave();
    }
    /// Asks the engine to return to the dispatcher after this instruction.
    fn leave(&mut self) {
        self.state_mut().leave = true;
    }

    // ---- atoms ----

    /// CR0.PE.
    #[track_caller]
    fn protection_enabled(&mut self) -> bool {
        let t = self.state().cr0 & cr0::PE != 0;
        self.ask(Atom::ProtectionEnabled, t)
    }
    /// EFLAGS.VM.
    #[track_caller]
    fn virtual_8086(&mut self) -> bool {
        let t = self.state().eflags & eflags::VM != 0;
        self.ask(Atom::Virtual8086, t)
    }
    /// Selectors name descriptors: protected mode and not V86.
    #[track_caller]
    fn descriptors_rule(&mut self) -> bool {
        self.protection_enabled() && !self.virtual_8086()
    }
    /// CPL > 0.
    #[track_caller]
    fn cpl_above_0(&mut self) -> bool {
        let t = self.state().cpl > 0;
        self.ask(Atom::CplAbove0, t)
    }
    /// CPL = 3.
    #[track_caller]
    fn cpl_is_3(&mut self) -> bool {
        let t = self.state().cpl == 3;
        self.ask(Atom::CplIs3, t)
    }
    /// IOPL < CPL.
    #[track_caller]
    fn iopl_below_cpl(&mut self) -> bool {
        let s = self.state();
        let t = (s.eflags >> 12 & 3) < u32::from(s.cpl);
        self.ask(Atom::IoplBelowCpl, t)
    }
    /// IOPL < 3.
    #[track_caller]
    fn iopl_below_3(&mut self) -> bool {
        let t = self.state().eflags & eflags::IOPL != eflags::IOPL;
        self.ask(Atom::IoplBelow3, t)
    }
    /// A bit of CR4, by its atom.
    #[track_caller]
    fn cr4_has(&mut self, atom: Atom, bit: u32) -> bool {
        let t = self.state().cr4 & bit != 0;
        self.ask(atom, t)
    }
    /// A bit of CR0, by its atom.
    #[track_caller]
    fn cr0_has(&mut self, atom: Atom, bit: u32) -> bool {
        let t = self.state().cr0 & bit != 0;
        self.ask(atom, t)
    }
    /// CR4.VME.
    #[track_caller]
    fn vme(&mut self) -> bool {
        self.cr4_has(Atom::Vme, cr4::VME)
    }
    /// CR4.PVI.
    #[track_caller]
    fn pvi(&mut self) -> bool {
        self.cr4_has(Atom::Pvi, cr4::PVI)
    }
    /// EFLAGS.VIP.
    #[track_caller]
    fn virtual_interrupt_pending(&mut self) -> bool {
        let t = self.state().eflags & eflags::VIP != 0;
        self.ask(Atom::VirtualInterruptPending, t)
    }
    /// CR4.UMIP.
    #[track_caller]
    fn umip(&mut self) -> bool {
        self.cr4_has(Atom::Umip, cr4::UMIP)
    }
    /// CR4.OSXSAVE.
    #[track_caller]
    fn os_xsave(&mut self) -> bool {
        self.cr4_has(Atom::OsXsave, cr4::OSXSAVE)
    }
    /// CR0.PG.
    #[track_caller]
    fn paging(&mut self) -> bool {
        self.cr0_has(Atom::Paging, cr0::PG)
    }
    /// The chip is an 8086.
    #[track_caller]
    fn is_8086(&mut self) -> bool {
        let t = self.state().model == CpuModel::I8086;
        self.ask(Atom::Is8086, t)
    }
    /// The chip is an 80286.
    #[track_caller]
    fn is_286(&mut self) -> bool {
        let t = self.state().model == CpuModel::I286;
        self.ask(Atom::Is286, t)
    }
    /// IA32_APIC_BASE.E.
    #[track_caller]
    fn apic_enabled(&mut self) -> bool {
        let t = self.apic_base() & APIC_ENABLE != 0;
        self.ask(Atom::ApicEnabled, t)
    }
    /// A selector is null (SDM vol. 3A, 3.4.2).
    #[track_caller]
    fn null(&mut self, selector: u16) -> bool {
        self.ask(Atom::SelectorNull, selector & 0xfffc == 0)
    }
    /// The instruction before holds interrupts off.
    #[track_caller]
    fn shadowed(&mut self) -> bool {
        let t = self.state().in_shadow() != InterruptShadow::None;
        self.ask(Atom::Shadowed, t)
    }
    /// EFLAGS.NT.
    #[track_caller]
    fn nested_task(&mut self) -> bool {
        let t = self.state().eflags & eflags::NT != 0;
        self.ask(Atom::NestedTask, t)
    }
    /// Raises #GP(0) unless at CPL 0 (real mode counts as CPL 0, V86 as CPL 3).
    ///
    /// # Errors
    /// #GP(0).
    #[track_caller]
    fn require_cpl_0(&mut self) -> Result<(), Fault> {
        if self.cpl_above_0() { Err(Fault::GP0) } else { Ok(()) }
    }
}

/// The board that the CPU sits on: ports, MMIO, interrupts.
pub trait Board {
    /// Reads a port; `now` is the retired count.
    fn port_in(&mut self, mem: &mut Memory, now: u64, port: u16, size: u32) -> u32;
    /// Writes a port.
    fn port_out(&mut self, mem: &mut Memory, now: u64, port: u16, size: u32, value: u32);
    /// What reads of a port of data would give, `size` bytes each, up to `most` bytes in all, where they change nothing but
    /// which bytes come next.
    fn data_in(&mut self, _port: u16, _size: u32, _most: usize) -> &[u8] {
        &[]
    }
    /// Writes bytes to a port of data, `size` at a time, as far as that changes nothing else; how many.
    fn data_out(&mut self, _port: u16, _size: u32, _bytes: &[u8]) -> usize {
        0
    }
    /// Reads device memory.
    fn mmio_read(&mut self, mem: &mut Memory, now: u64, at: u64, size: u32) -> u64;
    /// Writes device memory.
    fn mmio_write(&mut self, mem: &mut Memory, now: u64, at: u64, size: u32, value: u64);
    /// The time-stamp counter at `now`.
    fn time_stamp(&mut self, now: u64) -> u64;
    /// IA32_APIC_BASE; 0: there is no local APIC.
    fn apic_base(&self) -> u32;
    /// Writes IA32_APIC_BASE.
    fn set_apic_base(&mut self, mem: &mut Memory, value: u32);
    /// INTR is raised.
    fn interrupt_pending(&self) -> bool;
    /// The interrupt acknowledge cycle.
    fn acknowledge(&mut self) -> Option<u8>;
    /// FERR#: an unmasked x87 exception with CR0.NE clear.
    fn numeric_error(&mut self);
    /// Something else wants the dispatcher to stop: reset, power-off, A20.
    fn attention(&self) -> bool;
}
