//! What an instruction left behind that was done at CPL 0 or in real mode, where no exception comes after it.

use classify::world::Posed;
use cpu::{DescriptorTable, Segment, State, eflags as f};
use isa::Routine as R;
use kvm_bindings::{kvm_dtable, kvm_regs, kvm_segment, kvm_sregs};

/// Flags that are compared.
const FLAGS: u32 =
    f::ARITHMETIC | f::TF | f::IF | f::DF | f::IOPL | f::NT | f::VM | f::AC | f::VIF | f::VIP | f::ID;

/// The first thing in which KVM's result is not the model's; `before` is memory as it was.
pub(super) fn difference(
    posed: &Posed,
    (general, system): (&kvm_regs, &kvm_sregs),
    (before, memory): (&[u8], &[u8]),
) -> Option<&'static str> {
    let after = &posed.run.after;
    let own_halt = isa::routine(posed.insn.code) == Some(R::Hlt);
    let behind = (system.cs.base as u32).wrapping_add(general.rip as u32);
    let halted = behind.wrapping_sub(if own_halt { 0 } else { 1 });
    let differ = [
        (halted != after.segment(cpu::seg::CS).base.wrapping_add(after.eip), "EIP"),
        (!shows_the_machine(posed) && registers(general) != own_registers(after), "general registers"),
        ((general.rflags as u32 ^ after.flags_image()) & FLAGS != 0, "flags"),
        (system.cr0 as u32 != after.cr0, "CR0"),
        (system.cr3 as u32 != after.cr3, "CR3"),
        (system.cr4 as u32 != after.cr4, "CR4"),
        (!same_table(after.gdtr, system.gdt), "GDTR"),
        (!same_table(after.idtr, system.idt), "IDTR"),
        (!same_segment(&after.ldtr, &system.ldt), "LDTR"),
        (!same_segment(&after.tr, &system.tr), "TR"),
        (
            segments(system).iter().zip(0..).any(|(s, n)| !same_segment(after.segment(n), s)),
            "segment registers",
        ),
        (!shows_the_machine(posed) && !same_memory(posed, before, memory), "memory"),
    ];
    differ.into_iter().find(|(differs, _)| *differs).map(|(_, what)| what)
}

/// It gives what is the machine's own: clocks, identity, devices, the x87 unit's image.
fn shows_the_machine(posed: &Posed) -> bool {
    let routine = isa::routine(posed.insn.code);
    matches!(
        routine,
        Some(
            R::Rdtsc
                | R::Rdtscp
                | R::Rdpmc
                | R::Rdmsr
                | R::Rdpid
                | R::Cpuid
                | R::In
                | R::Ins
                | R::Fnstenv
                | R::Fnsave
                | R::Fxsave
                | R::Xsave
                | R::Xsavec
        )
    )
}

fn registers(r: &kvm_regs) -> [u32; 8] {
    [r.rax, r.rcx, r.rdx, r.rbx, r.rsp, r.rbp, r.rsi, r.rdi].map(|v| v as u32)
}

fn own_registers(cpu: &State) -> [u32; 8] {
    [0, 1, 2, 3, 4, 5, 6, 7].map(|n| cpu.r32(n))
}

fn segments(s: &kvm_sregs) -> [&kvm_segment; 6] {
    [&s.es, &s.cs, &s.ss, &s.ds, &s.fs, &s.gs]
}

fn same_table(own: DescriptorTable, theirs: kvm_dtable) -> bool {
    u64::from(own.base) == theirs.base && own.limit == theirs.limit
}

/// The hidden part of a register that holds no segment says nothing.
fn same_segment(own: &Segment, theirs: &kvm_segment) -> bool {
    let hidden = || u64::from(own.base) == theirs.base && own.limit == theirs.limit;
    own.selector == theirs.selector && (!own.usable() || hidden())
}

fn same_memory(posed: &Posed, before: &[u8], memory: &[u8]) -> bool {
    let mut expected = before.to_vec();
    for (at, byte) in &posed.run.changes {
        if let Some(slot) = expected.get_mut(*at as usize) {
            *slot = *byte;
        }
    }
    expected == memory
}
