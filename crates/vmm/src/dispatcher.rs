//! The dispatcher.
/// A virtual machine monitor.
#[derive(Debug)]
pub struct Vmm;
/// What ended a run.
#[derive(Debug)]
pub struct Event;
