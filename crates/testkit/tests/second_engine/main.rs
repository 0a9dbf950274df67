//! The bodies read a second way: compiled into a block-structured form with merges, executed, and
//! compared with the interpreter. What the trait can say, a compiler can be made of.

mod compile;
mod ir;

use compile::{FLAT, compile};
use cpu::{CodeSize, CpuModel, Engine, Fault, Segment, State, StopReason, cr0, eflags};
use interp::Interpreter;
use ir::Machine;
use mem::Memory;
use testkit::flat::Flat;
use testkit::random::Random;

const MODEL: CpuModel = CpuModel::N270;
const SIZE: usize = 0x1_0000;
const CODE: u32 = 0x8000;

fn state(r: &mut Random) -> State {
    let mut cpu = State::new(MODEL);
    cpu.cr0 = cr0::PE;
    cpu.cpl = 3;
    for n in FLAT {
        let rights = if n == cpu::seg::CS { 0xc0fb } else { 0xc0f3 };
        let mut s = Segment { base: 0, limit: u32::MAX, rights, selector: 0x2b, ..Segment::default() };
        s.refresh();
        cpu.seg[usize::from(n)] = s;
    }
    cpu.eip = CODE;
    cpu.set_flags_image(r.bits() as u32 & (eflags::ARITHMETIC | eflags::DF));
    cpu.fpu = cpu::Fpu::default();
    cpu.fpu.occupied = 0xff;
    for n in 0..8 {
        cpu.fpu.registers[n].significand = r.bits() | 1 << 63;
        cpu.fpu.registers[n].exponent = (0x3fff + r.below(9)) as u16 | if r.once_in(2) { 0x8000 } else { 0 };
    }
    for n in 0..8 {
        cpu.set_r32(n, r.value());
    }
    // pointers: low memory, at times its end
    for n in [3, 4, 5, 6, 7] {
        cpu.set_r32(n, if r.once_in(16) { SIZE as u32 - 8 + r.below(12) } else { 0x1000 + r.below(0x5000) });
    }
    if r.once_in(2) {
        cpu.set_r32(1, r.below(100));
    }
    cpu
}

/// Runs one instruction both ways and compares everything.
fn compare(code: &[u8], r: &mut Random) {
    let insn = isa::decode(code, CodeSize::Bits32, MODEL).expect("an instruction");
    let program = compile(&insn, MODEL).expect("its body compiles");
    let mut start = state(r);
    if insn.prefix.repeated() {
        // not so far that it reaches its own code
        start.set_r32(1, r.below(100));
    }
    let mut memory: Vec<u8> = (0..SIZE).map(|_| r.bits() as u8).collect();
    memory[CODE as usize..][..code.len()].copy_from_slice(code);

    let mut machine = Machine { cpu: start.clone(), memory: memory.clone() };
    let theirs = machine.run(&program);

    let mut mem = Memory::new(SIZE as u64).expect("memory");
    mem.set_user(true);
    mem.write_physical(0, &memory);
    let mut cpu = start;
    let mut ours: Option<Fault> = None;
    let mut engine = Interpreter::default();
    while cpu.eip == CODE && ours.is_none() {
        let until = cpu.retired + 1;
        if let StopReason::Fault(f) = engine.run(&mut cpu, &mut mem, &mut Flat::default(), until) {
            ours = Some(f);
        }
    }
    assert_eq!(ours, theirs, "the fault of {code:02x?}");
    for n in 0..8 {
        assert_eq!(cpu.r32(n), machine.cpu.r32(n), "register {n} after {code:02x?}");
    }
    assert_eq!(cpu.flags_image(), machine.cpu.flags_image(), "flags after {code:02x?}");
    assert_eq!(cpu.eip, machine.cpu.eip, "EIP after {code:02x?}");
    assert_eq!(cpu.fpu, machine.cpu.fpu, "FPU after {code:02x?}");
    let mut after = vec![0; SIZE];
    mem.read_physical(0, &mut after);
    assert!(after == machine.memory, "memory after {code:02x?}");
}

/// Many runs of one instruction.
fn runs(code: &[u8]) {
    let mut r = Random::new(u64::from(code.iter().fold(7u32, |h, &b| h.wrapping_mul(31) + u32::from(b))));
    for _ in 0..300 {
        compare(code, &mut r);
    }
}

#[test]
fn shl_by_cl() {
    runs(&[0xd3, 0xe0]); // shl eax, cl
    runs(&[0x66, 0xd3, 0x23]); // shl word [ebx], cl
    runs(&[0xd2, 0xe4]); // shl ah, cl
}

#[test]
fn cmpxchg_to_memory() {
    runs(&[0x0f, 0xb1, 0x0b]); // cmpxchg [ebx], ecx
    runs(&[0x0f, 0xb0, 0x0e]); // cmpxchg [esi], cl
    runs(&[0x0f, 0xb1, 0xc8]); // cmpxchg eax, ecx: always equal
}

#[test]
fn div_and_its_fault() {
    runs(&[0xf7, 0xf1]); // div ecx
    runs(&[0xf6, 0x33]); // div byte [ebx]
    runs(&[0x66, 0xf7, 0xf9]); // idiv cx
}

#[test]
fn rep_movs() {
    runs(&[0xf3, 0xa4]); // rep movsb
    runs(&[0xf3, 0xa5]); // rep movsd
    runs(&[0xf2, 0xae]); // repne scasb
    runs(&[0xf3, 0xa6]); // repe cmpsb
    runs(&[0xa5]); // movsd
}

#[test]
fn fadd() {
    runs(&[0xd8, 0x03]); // fadd dword [ebx]
    runs(&[0xdc, 0x06]); // fadd qword [esi]
    runs(&[0xd8, 0xc3]); // fadd st0, st3
    runs(&[0xde, 0xc1]); // faddp st1, st0
}

#[test]
fn flags_that_stay() {
    runs(&[0x40]); // inc eax
    runs(&[0xd3, 0xd0]); // rcl eax, cl
    runs(&[0x11, 0xc8]); // adc eax, ecx
    runs(&[0x0f, 0xbc, 0xc1]); // bsf eax, ecx
    runs(&[0x27]); // daa
}
