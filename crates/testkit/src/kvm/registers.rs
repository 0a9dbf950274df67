//! The model's registers, as KVM takes them.

use cpu::{Segment, State, cr0, eflags};
use kvm_bindings::{
    KVM_VCPUEVENT_VALID_SHADOW, Msrs, kvm_debugregs, kvm_dtable, kvm_fpu, kvm_mp_state, kvm_msr_entry,
    kvm_regs, kvm_segment, kvm_sregs, kvm_vcpu_events, kvm_xcr, kvm_xcrs,
};
use kvm_ioctls::VcpuFd;

const SYSENTER: [u32; 3] = [0x174, 0x175, 0x176];
const PLATFORM_INFO: u32 = 0xce;
/// Bit 31 of [`PLATFORM_INFO`]: there is CPUID faulting.
const HAS_CPUID_FAULTING: u64 = 1 << 31;
const MISC_FEATURES_ENABLES: u32 = 0x140;

fn segment(s: &Segment) -> kvm_segment {
    let bits = |from: u16, mask: u16| (s.rights >> from & mask) as u8;
    kvm_segment {
        base: s.base.into(),
        limit: s.limit,
        selector: s.selector,
        type_: bits(0, 15),
        s: bits(4, 1),
        dpl: bits(5, 3),
        present: bits(7, 1),
        avl: bits(12, 1),
        db: bits(14, 1),
        g: bits(15, 1),
        unusable: (!s.usable()).into(),
        ..Default::default()
    }
}

fn table(t: cpu::DescriptorTable) -> kvm_dtable {
    kvm_dtable { base: t.base.into(), limit: t.limit, ..Default::default() }
}

fn system(usual: &kvm_sregs, cpu: &State) -> kvm_sregs {
    let [es, cs, ss, ds, fs, gs] = [0, 1, 2, 3, 4, 5].map(|n| segment(cpu.segment(n)));
    kvm_sregs {
        es,
        cs,
        ss,
        ds,
        fs,
        gs,
        tr: segment(&cpu.tr),
        ldt: segment(&cpu.ldtr),
        gdt: table(cpu.gdtr),
        idt: table(cpu.idtr),
        cr0: cpu.cr0.into(),
        cr2: cpu.cr2.into(),
        cr3: cpu.cr3.into(),
        cr4: cpu.cr4.into(),
        efer: cpu.efer,
        cr8: 0,
        interrupt_bitmap: [0; 4],
        apic_base: usual.apic_base,
    }
}

fn general(cpu: &State) -> kvm_regs {
    let [rax, rcx, rdx, rbx, rsp, rbp, rsi, rdi] = [0, 1, 2, 3, 4, 5, 6, 7].map(|n| u64::from(cpu.r32(n)));
    let (rip, rflags) = (cpu.eip.into(), cpu.flags_image().into());
    kvm_regs { rax, rcx, rdx, rbx, rsp, rbp, rsi, rdi, rip, rflags, ..Default::default() }
}

fn debug(cpu: &State) -> kvm_debugregs {
    let db = [0, 1, 2, 3].map(|n| u64::from(cpu.dr[n]));
    kvm_debugregs { db, dr6: cpu.dr[6].into(), dr7: cpu.dr[7].into(), ..Default::default() }
}

fn model_specific(cpu: &State) -> Vec<kvm_msr_entry> {
    let mut all: Vec<(u32, u64)> =
        SYSENTER.into_iter().zip(cpu.sysenter).map(|(n, v)| (n, v.into())).collect();
    all.push((PLATFORM_INFO, HAS_CPUID_FAULTING));
    all.push((MISC_FEATURES_ENABLES, cpu.cpuid_faulting.into()));
    all.into_iter().map(|(index, data)| kvm_msr_entry { index, data, ..Default::default() }).collect()
}

/// Puts a processor into a state, with nothing left of the one before.
pub(super) fn set(vcpu: &VcpuFd, usual: &kvm_sregs, cpu: &State) -> Result<(), &'static str> {
    fn refused<T, E>(result: Result<T, E>, why: &'static str) -> Result<T, &'static str> {
        result.map_err(|_| why)
    }
    let events = kvm_vcpu_events { flags: KVM_VCPUEVENT_VALID_SHADOW, ..Default::default() };
    refused(vcpu.set_vcpu_events(&events), "the kernel refuses to drop events")?;
    refused(vcpu.set_mp_state(kvm_mp_state::default()), "the kernel refuses to wake it")?;
    refused(vcpu.set_sregs(&system(usual, cpu)), "the kernel refuses the system registers")?;
    refused(vcpu.set_regs(&general(cpu)), "the kernel refuses the registers")?;
    refused(vcpu.set_debug_regs(&debug(cpu)), "the kernel refuses the debug registers")?;
    let fpu = kvm_fpu { fcw: 0x37f, mxcsr: 0x1f80, ..Default::default() };
    refused(vcpu.set_fpu(&fpu), "the kernel refuses the x87 state")?;
    let mut components = kvm_xcrs { nr_xcrs: 1, ..Default::default() };
    components.xcrs[0] = kvm_xcr { xcr: 0, value: cpu.xcr0.into(), ..Default::default() };
    refused(vcpu.set_xcrs(&components), "the kernel refuses XCR0")?;
    let wanted = model_specific(cpu);
    let entries = refused(Msrs::from_entries(&wanted), "too many MSRs")?;
    match vcpu.set_msrs(&entries) {
        Ok(n) if n == wanted.len() => taken(vcpu, cpu),
        _ => Err("the kernel refuses the MSRs"),
    }
}

/// A kernel may take a state and keep another: Linux 6.18, where it has no hardware for V86 mode, drops EFLAGS.VM.
fn taken(vcpu: &VcpuFd, cpu: &State) -> Result<(), &'static str> {
    let (Ok(general), Ok(system)) = (vcpu.get_regs(), vcpu.get_sregs()) else {
        return Err("KVM does not show its registers");
    };
    let flags = cpu.flags_image() ^ general.rflags as u32;
    let kept = [
        (flags & eflags::VM == 0, "the kernel drops EFLAGS.VM, so that this is no V86 mode"),
        (flags == 0, "the kernel does not take the flags"),
        (system.cr0 as u32 & cr0::PE == cpu.cr0 & cr0::PE, "the kernel does not take CR0"),
        (system.cr4 as u32 == cpu.cr4, "the kernel does not take CR4"),
        (system.ss.dpl == cpu.cpl || cpu.cr0 & cr0::PE == 0, "the kernel does not take the level"),
    ];
    kept.into_iter().find(|(as_asked, _)| !as_asked).map_or(Ok(()), |(_, why)| Err(why))
}
