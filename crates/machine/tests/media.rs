//! What is in the drives, as the host sees it.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail their test")]

use dev::{Block, BlockError};
use interp::Interpreter;
use isa::CpuModel;
use machine::snapshot::SnapshotError;
use machine::{Config, Machine};

fn machine() -> Machine {
    let config = Config { memory: 1 << 20, model: CpuModel::I486, deterministic: true, epoch: 0 };
    Machine::new(config, Box::new(Interpreter::default())).unwrap()
}

/// A medium that cannot be flushed.
struct Broken;

impl Block for Broken {
    fn sectors(&self) -> u64 {
        2880
    }
    fn writable(&self) -> bool {
        true
    }
    fn read(&mut self, _: u64, _: &mut [u8]) -> Result<(), BlockError> {
        Ok(())
    }
    fn write(&mut self, _: u64, _: &[u8]) -> Result<(), BlockError> {
        Ok(())
    }
    fn flush(&mut self) -> Result<(), BlockError> {
        Err(BlockError::Host("no space".to_owned()))
    }
}

#[test]
fn no_snapshot_is_made_over_lost_writes() {
    let mut with_disk = machine();
    with_disk.board().attach_disk(1, Box::new(Broken));
    let e = with_disk.save(Vec::new()).expect_err("the disk has lost writes");
    assert!(matches!(&e, SnapshotError::Unflushed(u) if u.place == "IDE place 2"), "{e}");
    let mut with_floppy = machine();
    with_floppy.board().insert_floppy(0, Box::new(Broken));
    let e = with_floppy.save(Vec::new()).expect_err("the floppy has lost writes");
    assert!(matches!(&e, SnapshotError::Unflushed(u) if u.place == "floppy drive 1"), "{e}");
}
