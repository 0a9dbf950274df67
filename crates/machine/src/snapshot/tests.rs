//! What a file cannot do to the program that loads it.

use super::{Reader, Section, SnapshotError, Writer, pc_state};
use crate::Clock;
use crate::{Config, Machine};
use ::cpu::CpuModel;
use dev::block::MemoryBlock;
use disk::Overlay;
use interp::Interpreter;

fn machine() -> Machine {
    machine_of(CpuModel::N270)
}

fn machine_of(model: CpuModel) -> Machine {
    let config = Config { memory: 1 << 20, model, deterministic: true, epoch: 0 };
    let mut machine = Machine::new(config, Box::new(Interpreter::default())).expect("1 MiB");
    machine.board().insert_floppy(0, Box::new(MemoryBlock::new(vec![0; 320 * 512])));
    machine
}

fn sections() -> Vec<Section> {
    sections_of(&mut machine())
}

fn sections_of(machine: &mut Machine) -> Vec<Section> {
    let file = machine.save(Vec::new()).expect("written");
    let mut reader = Reader::new(&file[..]).expect("a snapshot");
    std::iter::from_fn(|| reader.next_section().expect("a section")).collect()
}

fn load(sections: &[Section]) -> Result<Machine, SnapshotError> {
    let mut w = Writer::new(Vec::new()).expect("a vector takes all");
    for s in sections {
        w.section(&s.name, s.version, &s.bytes).expect("a vector takes all");
    }
    let file = w.finish().expect("a vector takes all");
    Machine::load(&file[..], Box::new(Interpreter::default()), |pc| {
        pc.insert_floppy(0, Box::new(Overlay::new(Box::new(MemoryBlock::new(vec![0; 320 * 512])))));
    })
}

fn section(name: &str, len: usize) -> Section {
    Section { name: name.to_owned(), version: 1, bytes: vec![0; len] }
}

/// The error of a snapshot with one more section.
fn with(extra: Section) -> String {
    let mut all = sections();
    all.push(extra);
    load(&all).err().map_or_else(String::new, |e| e.to_string())
}

#[test]
fn sections_are_neither_endless_nor_there_twice() {
    assert!(load(&sections()).is_ok());
    let beyond = format!("memory.{}", usize::MAX);
    assert!(with(section(&beyond, 1)).contains("larger than the machine's memory"));
    assert!(with(section("memory.1", super::CHUNK + 1)).contains("larger than the machine's memory"));
    assert!(with(section("memory.01", 1)).contains("does not know"));
    assert!(with(section("vga", 1)).contains("twice"));
    assert!(with(section("ide0.0", 1)).contains("--snapshot takes it from there"));
    assert!(with(section("floppy0.1", 1)).contains("no medium can have written this"));
    assert!(with(section("floppy0.0", 640 * 512 + 1)).contains("no medium can have written this"));
}

#[test]
fn a_clock_stands_still_at_the_end_of_time() {
    let mut all = sections();
    let mut saved: super::MachineV1 = super::decode(&all[0]).expect("a machine");
    saved.clock = u64::MAX;
    all[0].bytes = pc_state::encode("machine", &saved).bytes;
    assert!(load(&all).is_err_and(|e| e.to_string().contains("its clock is out of range")));
    saved.clock = Clock::END;
    all[0].bytes = pc_state::encode("machine", &saved).bytes;
    let mut machine = load(&all).expect("a time");
    machine.pass(1_000_000);
    machine.run(1000);
    assert_eq!(machine.now(), Clock::END);
}

#[test]
fn an_empty_floppy_drive_outlasts_a_reset() {
    let mut machine = machine();
    machine.board().eject_floppy(0);
    machine.reset();
    let file = machine.save(Vec::new()).expect("written");
    let loaded = Machine::load(&file[..], Box::new(Interpreter::default()), |pc| {
        pc.insert_floppy(0, Box::new(MemoryBlock::new(vec![0; 320 * 512])));
        pc.eject_floppy(0);
    });
    assert!(loaded.is_ok(), "{:?}", loaded.err());
}

/// XCR0, CPUID faulting and IA32_TSC_AUX have a section where the model has them, and there only.
#[test]
fn registers_of_later_models() {
    assert!(sections().iter().all(|s| s.name != super::LATER));
    let mut later = machine_of(CpuModel::Newest);
    let cpu = later.cpu_mut();
    (cpu.xcr0, cpu.cpuid_faulting, cpu.tsc_aux) = (3, true, 0x1234_5678);
    let all = sections_of(&mut later);
    let loaded = load(&all).expect("as it was saved");
    let registers = |c: &::cpu::State| (c.xcr0, c.cpuid_faulting, c.tsc_aux);
    assert_eq!(registers(loaded.cpu()), (3, true, 0x1234_5678));
    let place = all.iter().position(|s| s.name == super::LATER).expect("a section");
    let without = |n: usize| all.iter().enumerate().filter(move |(i, _)| *i != n).map(|(_, s)| s.clone());
    assert!(load(&without(place).collect::<Vec<_>>()).is_err_and(|e| e.to_string().contains("cpu-later")));
    let mut none: Vec<_> = all.clone();
    none[place].bytes[0] = 2;
    assert!(load(&none).is_err_and(|e| e.to_string().contains("XCR0")));
    assert!(with(all[place].clone()).contains("does not know"), "an N270 has none");
}
