//! Where things are in the model's memory.

/// Bytes of memory.
pub(crate) const SIZE: usize = 0x4_0000;
/// Descriptor tables and TSSs, each with a copy elsewhere that relocation moves the registers to.
pub(crate) const GDT: [u32; 2] = [0x1000, 0x1800];
pub(crate) const IDT: [u32; 2] = [0x2000, 0x2800];
pub(crate) const LDT: [u32; 2] = [0x3000, 0x3100];
pub(crate) const TSS: [u32; 2] = [0x4000, 0x4400];
/// Tasks to switch to.
pub(crate) const TSS2: u32 = 0x4800;
pub(crate) const TSS16: u32 = 0x4a00;
/// Values of CR3.
pub(crate) const TABLES: [u32; 2] = [0x6000, 0x7000];
/// The program's window: 64 KiB that its segments show.
pub(crate) const WINDOW: [u32; 2] = [0x1_0000, 0x2_0000];
pub(crate) const WINDOW_SIZE: u32 = 0x1_0000;

/// Offsets within the window.
pub(crate) const CODE: u32 = 0x8000;
pub(crate) const TARGET: u32 = 0x8100;
pub(crate) const STACK: u32 = 0x9000;
pub(crate) const INNER_STACK: u32 = 0x9800;
pub(crate) const OPERAND: u32 = 0xa000;
pub(crate) const SOURCE: u32 = 0xa400;
pub(crate) const DESTINATION: u32 = 0xa800;

/// Selectors.
pub(crate) const CODE0: u16 = 0x08;
pub(crate) const DATA0: u16 = 0x10;
pub(crate) const CODE3: u16 = 0x1b;
pub(crate) const DATA3: u16 = 0x23;
pub(crate) const TASK: [u16; 2] = [0x28, 0xb0];
pub(crate) const LOCAL_TABLE: [u16; 2] = [0x30, 0xa8];
pub(crate) const CONFORMING: u16 = 0x38;
pub(crate) const EXECUTE_ONLY: u16 = 0x43;
pub(crate) const READ_ONLY: u16 = 0x4b;
pub(crate) const ABSENT_DATA: u16 = 0x53;
pub(crate) const ABSENT_CODE: u16 = 0x5b;
pub(crate) const TASK2: u16 = 0x60;
pub(crate) const TASK16: u16 = 0x68;
pub(crate) const GATE_INWARD: u16 = 0x73;
pub(crate) const GATE_LEVEL: u16 = 0x7b;
pub(crate) const GATE16: u16 = 0x83;
pub(crate) const GATE0: u16 = 0x88;
pub(crate) const TASK_GATE: u16 = 0x93;
pub(crate) const ABSENT_GATE: u16 = 0x9b;
pub(crate) const EXPAND_DOWN: u16 = 0xa3;
pub(crate) const BUSY_TASK: u16 = 0xb8;
/// Data and code of CPL 3 that no register holds: what a relocation of host tables changes.
pub(crate) const OTHER_DATA3: u16 = 0xc3;
pub(crate) const OTHER_CODE3: u16 = 0xcb;
pub(crate) const SHORT_TASK: u16 = 0xd0;
pub(crate) const OTHER_DATA0: u16 = 0xd8;
pub(crate) const OTHER_CODE0: u16 = 0xe0;
pub(crate) const GATE_CONFORMING: u16 = 0xeb;
pub(crate) const GATE_NULL: u16 = 0xf3;
/// Bytes of the GDT less one; what lies beyond is outside.
pub(crate) const GDT_LIMIT: u16 = 0xf7;
pub(crate) const OUTSIDE: u16 = 0xfb;
/// In the LDT.
pub(crate) const LOCAL_DATA: u16 = 0x0f;
pub(crate) const LOCAL_DATA0: u16 = 0x14;
pub(crate) const LOCAL_CODE3: u16 = 0x1f;
pub(crate) const LOCAL_CODE0: u16 = 0x24;
pub(crate) const LOCAL_ABSENT: u16 = 0x2f;
pub(crate) const LOCAL_CONFORMING: u16 = 0x34;
pub(crate) const LOCAL_READ_ONLY: u16 = 0x3f;
/// Bytes of the LDT less one.
pub(crate) const LDT_LIMIT: u32 = 0x3f;
pub(crate) const LOCAL_OUTSIDE: u16 = 0x47;
