//! What varies from state to state: the finite domain that a derivation is exhaustive over.
//!
//! Each axis has some named values, the first of which is the usual one. A state is the base state of its
//! configuration with a value of each axis.

macro_rules! axes {
    ($($(#[$doc:meta])* $name:ident $text:literal: $($value:literal)*;)*) => {
        /// One thing that varies.
        #[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, PartialOrd, Ord)]
        pub enum Axis { $($(#[$doc])* $name),* }

        impl Axis {
            /// All of them.
            pub const ALL: &'static [Axis] = &[$(Axis::$name),*];
            /// The name that witnesses use.
            pub fn name(self) -> &'static str {
                match self { $(Axis::$name => $text),* }
            }
            /// Names of its values; the first is the usual one.
            pub fn values(self) -> &'static [&'static str] {
                match self { $(Axis::$name => &[$($value),*]),* }
            }
        }
    };
}

axes! {
    /// The selector in the operand, on the stack or in the instruction.
    Selector "selector":
        "other-code3" "null" "other-data3" "code0" "data0" "conforming" "execute-only" "read-only" "absent-data"
        "absent-code" "local-data" "outside" "local-outside" "local-table" "task" "busy-task" "task16" "short-task"
        "gate-inward" "gate-level" "gate16" "gate0" "task-gate" "absent-gate" "gate-conforming" "gate-null"
        "expand-down" "code3" "data3" "other-data0" "other-code0" "other-data3-rpl0" "other-code0-rpl3" "null-rpl3"
        "local-data0" "local-code3" "local-code0" "local-absent" "local-conforming" "local-read-only";
    /// What the gate of the instruction's vector in the IDT is.
    Gate "gate":
        "interrupt-inward" "trap-inward" "dpl0" "interrupt-level" "task" "absent" "none" "interrupt16" "conforming"
        "null-target" "data-target" "outside-target" "absent-target" "far-target";
    /// SS that follows on the stack (RET, IRET to an outer level).
    OuterStack "outer-stack": "data3" "null" "other-data0" "absent-data" "read-only" "outside";
    /// SS0 of the task.
    InnerStack "inner-stack": "data0" "null" "data3" "absent-data" "outside";
    /// Flags in an image that is loaded.
    Image "image":
        "none" "if" "iopl" "tf" "nt" "ac-id" "vif-vip" "vm" "arithmetic" "all";
    /// The offset in an operand or on the stack.
    Offset "offset": "within" "beyond";
    /// EAX.
    Value "eax": "1" "0" "80000000" "80000011" "20000000" "60000031" "ffffffff" "fee00800" "20" "80000002" "2" "40000"
        "3";
    /// ECX.
    Index "ecx": "1" "0" "2" "10" "17" "1b" "8b" "174" "175" "176" "1a0" "c0000080" "dead" "ce" "140"
        "c0000103";
    /// EDX.
    Port "edx": "60" "0" "3f8";
    /// EFLAGS.IF.
    InterruptFlag "if": "1" "0";
    /// EFLAGS.VIF and VIP.
    Virtual "vif-vip": "0" "vif" "vip" "both";
    /// EFLAGS.NT.
    NestedTask "nt": "0" "1";
    /// The arithmetic flags.
    Arithmetic "arithmetic": "0" "of" "all";
    /// EFLAGS.TF and AC.
    Trap "tf-ac": "0" "tf" "ac";
    /// The instruction before has held interrupts off.
    Shadow "shadow": "none" "sti" "mov-ss";
    /// CR0.MP, EM, TS.
    Coprocessor "cr0": "0" "ts" "em" "mp-ts" "mp";
    /// CR4.DE and DR7.GD.
    Debug "debug": "0" "de" "gd";
    /// CR4.PAE with CR0.PG: control registers are then loaded with PDPTEs, whose reserved bits may be set.
    Pae "pae": "0" "legal" "reserved";
    /// The task register's limit and type.
    Task "task": "whole" "no-map" "16-bit" "null";
    /// The back link of the task.
    Link "link": "busy-task" "task" "null" "data3" "outside";
    /// The T bit of the task switched to, and what its segments are.
    NewTask "new-task": "plain" "t-bit" "bad-stack" "bad-code" "bad-local";
    /// The interrupt redirection bitmap.
    Redirection "redirection": "to-program" "to-monitor";
    /// Limit of the IDT.
    Table "idt-limit": "whole" "0";
    /// LDTR.
    Local "ldtr": "loaded" "null";
    /// IA32_SYSENTER_CS.
    Sysenter "sysenter-cs": "code0" "null";
    /// DS, ES, FS, GS.
    Data "data-segments": "data3" "null" "data0" "conforming";
    /// SS.B.
    Stack "ss-b": "usual" "other";
    /// Accessed bits of descriptors.
    Accessed "accessed": "set" "clear";
    /// x87: an exception that is not masked.
    Fpu "fpu": "plain" "pending";
    /// CR4.OSFXSR.
    Fxsr "osfxsr": "1" "0";
    /// XCR0: x87 and SSE, or x87 alone.
    Components "xcr0": "3" "1";
    /// What an XSAVE area holds: nothing, both components, or what no chip has.
    Area "xsave-area": "empty" "both" "reserved";
    /// IA32_APIC_BASE.E.
    Apic "apic": "on" "off";
}

/// How many there are.
pub const AXES: usize = Axis::ALL.len();

/// A value of each axis.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, PartialOrd, Ord)]
pub struct Choice([u8; AXES]);

impl Default for Choice {
    fn default() -> Choice {
        Choice([0; AXES])
    }
}

impl Choice {
    /// The number of an axis's value.
    #[inline]
    pub fn get(&self, axis: Axis) -> u8 {
        self.0[axis as usize]
    }

    /// The name of an axis's value.
    pub fn name(&self, axis: Axis) -> &'static str {
        axis.values().get(usize::from(self.get(axis))).copied().unwrap_or("")
    }

    /// The same with another value of one axis.
    pub fn with(mut self, axis: Axis, value: u8) -> Choice {
        self.0[axis as usize] = value;
        self
    }

    /// The axes that do not have their usual value.
    pub fn unusual(&self) -> impl Iterator<Item = Axis> + '_ {
        Axis::ALL.iter().copied().filter(|a| self.get(*a) != 0)
    }

    /// All that differ from this in one axis.
    pub fn neighbours(self) -> impl Iterator<Item = Choice> {
        Axis::ALL.iter().copied().flat_map(move |axis| {
            let values = 0..axis.values().len() as u8;
            values.filter(move |v| *v != self.get(axis)).map(move |v| self.with(axis, v))
        })
    }
}
