//! Small guests whose cost is known by instruction: what the benchmarks run.
#![forbid(unsafe_code)]

pub mod flat;

use cpu::{CpuModel, Engine};
use iced_x86::IcedError;
use iced_x86::code_asm::{
    CodeAssembler, al, byte_ptr, dword_ptr, eax, ebp, ebx, ecx, edi, edx, esi, esp, st0, st1, xmm0, xmm1,
};
use machine::{Config, Image, Machine};

/// Where the code goes.
const CODE: u64 = 0x1_0000;
/// Data, a megabyte from the code.
const DATA: u32 = 0x20_0000;

/// A loop with a name.
pub struct Guest {
    /// What it is about.
    pub name: &'static str,
    write: fn(&mut CodeAssembler) -> Result<(), IcedError>,
}

/// All loops.
pub const GUESTS: [Guest; 8] = [
    Guest { name: "registers", write: registers },
    Guest { name: "memory", write: memory },
    Guest { name: "call and return", write: calls },
    Guest { name: "unpredictable branches", write: branches },
    Guest { name: "x87", write: x87 },
    Guest { name: "sse", write: sse },
    Guest { name: "stores beside code", write: beside_code },
    Guest { name: "stores into code", write: into_code },
];

impl Guest {
    /// A machine at the start of the loop: flat protected mode, no paging, no interrupts.
    ///
    /// # Errors
    /// The host's refusal, in words.
    pub fn machine(&self, engine: Box<dyn Engine + Send>) -> Result<Machine, String> {
        let mut a = CodeAssembler::new(32).map_err(|e| e.to_string())?;
        let written = prologue(&mut a).and_then(|()| (self.write)(&mut a)).and_then(|()| a.assemble(CODE));
        let loader = written.map_err(|e| e.to_string())?;
        let config = Config { memory: 4 << 20, model: CpuModel::N270, deterministic: true, epoch: 0 };
        let mut machine = Machine::new(config, engine).map_err(|e| e.to_string())?;
        let image = Image::Flat { loader, kernel: vec![0; 16], initrd: None, append: String::new() };
        machine.boot(&image).map_err(|e| e.to_string())?;
        Ok(machine)
    }
}

fn prologue(a: &mut CodeAssembler) -> Result<(), IcedError> {
    a.mov(esp, 0x30_0000)?;
    a.mov(esi, DATA)?;
    a.mov(edi, DATA + 0x1000)?;
    // the FPU and SSE are on
    a.mov(eax, iced_x86::code_asm::cr4)?;
    a.or(eax, 0x600)?;
    a.mov(iced_x86::code_asm::cr4, eax)?;
    a.fninit()?;
    a.fld1()?;
    a.fldpi()?;
    a.mov(eax, 12345)
}

fn registers(a: &mut CodeAssembler) -> Result<(), IcedError> {
    let mut again = a.create_label();
    a.set_label(&mut again)?;
    a.add(ebx, eax)?;
    a.xor(ecx, ebx)?;
    a.lea(edx, dword_ptr(ebx + ecx * 2 + 7))?;
    a.shr(ecx, 3)?;
    a.imul_2(ebp, edx)?;
    a.sub(eax, 1)?;
    a.test(eax, eax)?;
    a.jne(again)?;
    a.jmp(again)
}

fn memory(a: &mut CodeAssembler) -> Result<(), IcedError> {
    let mut again = a.create_label();
    a.set_label(&mut again)?;
    a.mov(eax, dword_ptr(esi + 16))?;
    a.add(dword_ptr(edi + 4), eax)?;
    a.mov(dword_ptr(esi + 20), ebx)?;
    a.movzx(ecx, byte_ptr(edi + 9))?;
    a.push(ecx)?;
    a.pop(edx)?;
    a.cmp(dword_ptr(esi), edx)?;
    a.jmp(again)
}

fn calls(a: &mut CodeAssembler) -> Result<(), IcedError> {
    let (mut again, mut callee) = (a.create_label(), a.create_label());
    a.set_label(&mut again)?;
    a.call(callee)?;
    a.jmp(again)?;
    a.set_label(&mut callee)?;
    a.inc(eax)?;
    a.ret()
}

/// Jumps by a bit of a linear congruence.
fn branches(a: &mut CodeAssembler) -> Result<(), IcedError> {
    let (mut again, mut odd) = (a.create_label(), a.create_label());
    a.set_label(&mut again)?;
    a.imul_3(eax, eax, 1_103_515_245)?;
    a.add(eax, 12345)?;
    a.test(eax, 0x1_0000)?;
    a.jne(odd)?;
    a.inc(ebx)?;
    a.jmp(again)?;
    a.set_label(&mut odd)?;
    a.inc(ecx)?;
    a.jmp(again)
}

fn x87(a: &mut CodeAssembler) -> Result<(), IcedError> {
    let mut again = a.create_label();
    a.set_label(&mut again)?;
    a.fmul_2(st0, st1)?;
    a.fadd_2(st0, st1)?;
    a.fdiv_2(st0, st1)?;
    a.fxch(st0, st1)?;
    a.jmp(again)
}

fn sse(a: &mut CodeAssembler) -> Result<(), IcedError> {
    let mut again = a.create_label();
    a.cvtsi2sd(xmm1, eax)?;
    a.set_label(&mut again)?;
    a.addsd(xmm0, xmm1)?;
    a.mulsd(xmm0, xmm1)?;
    a.divsd(xmm0, xmm1)?;
    a.paddd(xmm1, xmm0)?;
    a.jmp(again)
}

/// Stores into the page that holds the code, 2 KiB from it.
fn beside_code(a: &mut CodeAssembler) -> Result<(), IcedError> {
    let mut again = a.create_label();
    a.set_label(&mut again)?;
    a.mov(dword_ptr(CODE + 0x800), eax)?;
    a.jmp(again)
}

/// Stores into the running block, each time what was there.
fn into_code(a: &mut CodeAssembler) -> Result<(), IcedError> {
    let mut again = a.create_label();
    a.mov(al, byte_ptr(CODE))?;
    a.set_label(&mut again)?;
    a.mov(byte_ptr(CODE), al)?;
    a.jmp(again)
}

#[cfg(test)]
mod tests {
    use super::GUESTS;
    use interp::Interpreter;
    use machine::Exit;

    #[test]
    fn every_guest_loops() {
        for guest in GUESTS {
            let mut machine = guest.machine(Box::new(Interpreter::default())).unwrap();
            assert_eq!(machine.run(100_000), Exit::Limit, "{}", guest.name);
            assert_eq!(machine.cpu().retired, 100_000, "{}", guest.name);
            let faults: u64 = machine.stats().faults.iter().sum();
            assert_eq!(faults, 0, "{}", guest.name);
        }
    }
}
