//! Where everything lies.

/// The ROM: 64 KiB below 1 MiB.
pub(crate) const ROM: u32 = 0xf_0000;
pub(crate) const ROM_SIZE: usize = 0x1_0000;
/// Within it: the kernel, the tasks' code (whole pages), the 16-bit start, the reset vector.
pub(crate) const KERNEL: u32 = ROM;
pub(crate) const USER_IN_ROM: u32 = ROM + 0x8000;
pub(crate) const USER_PAGES: u32 = 4;
pub(crate) const START: u32 = 0xff00;
pub(crate) const RESET: u32 = 0xfff0;

/// The kernel's tables, in RAM.
pub(crate) const IDT: u32 = 0x2000;
pub(crate) const GDT: u32 = 0x3000;
pub(crate) const TSS: u32 = 0x3800;

/// Variables.
pub(crate) const CURRENT: u32 = 0x4000;
pub(crate) const TICKS: u32 = 0x4004;
pub(crate) const SWITCHES: u32 = 0x4008;
pub(crate) const NEXT_FRAME: u32 = 0x400c;
pub(crate) const PAGE_FAULTS: u32 = 0x4010;
pub(crate) const ALIVE: u32 = 0x4014;
/// Per task 16 bytes: saved ESP, CR3, 1 while it lives, top of its kernel stack.
pub(crate) const TASKS: u32 = 0x4100;
pub(crate) const TASK_COUNT: u32 = 3;

/// The first task's kernel stack begins here; one page each.
pub(crate) const KERNEL_STACKS: u32 = 0x6000;
pub(crate) const BOOT_STACK: u32 = 0xa000;

/// Page directories of the tasks, the kernel's page table, the tasks' page tables.
pub(crate) const DIRECTORIES: u32 = 0x1_0000;
pub(crate) const KERNEL_TABLE: u32 = 0x1_4000;
pub(crate) const USER_TABLES: u32 = 0x1_8000;
pub(crate) const TABLES_END: u32 = 0x1_c000;
/// Frames of the tasks' stacks, and those that page faults take.
pub(crate) const STACK_FRAMES: u32 = 0x2_0000;
pub(crate) const FREE_FRAMES: u32 = 0x10_0000;

/// What a task sees: its code, the top of its stack, and the megabyte that is there on demand.
pub(crate) const USER: u32 = 0x4000_0000;
pub(crate) const USER_STACK_PAGE: u32 = USER + 0x1_0000;
pub(crate) const USER_HEAP: u32 = USER + 0x20_0000;
pub(crate) const USER_HEAP_SIZE: u32 = 0x10_0000;

/// Selectors.
pub(crate) const KERNEL_CODE: u16 = 0x08;
pub(crate) const KERNEL_DATA: u16 = 0x10;
pub(crate) const USER_CODE: u16 = 0x1b;
pub(crate) const USER_DATA: u16 = 0x23;
pub(crate) const TASK_STATE: u16 = 0x28;

/// What a handler finds at ESP: `enter` has pushed what lies below the error code.
pub(crate) const FRAME_EAX: i32 = 36;
pub(crate) const FRAME_ECX: i32 = 32;
pub(crate) const FRAME_EDX: i32 = 28;
pub(crate) const FRAME_EBX: i32 = 24;
pub(crate) const FRAME_ERROR: i32 = 40;
pub(crate) const FRAME_EIP: i32 = 44;
pub(crate) const FRAME_CS: i32 = 48;
/// Bytes from there to the end of the frame, with the outer stack.
pub(crate) const FRAME_SIZE: u32 = 64;
