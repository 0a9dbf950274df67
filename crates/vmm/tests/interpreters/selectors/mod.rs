//! Selectors, wherever an instruction or an event takes one from: tables and their limits, types, privilege,
//! presence, in the manual's order (SDM vol. 2, the operations of each instruction; vol. 3A, 5.5 to 5.8, 6.12,
//! 7.2 and table 7-1).

mod questions;
mod segments;
mod tables;
mod tasks;
mod transfers;

use crate::fake::*;
use cpu::{CpuModel, Fault, Segment};

/// An entry of the GDT, and of the LDT, that is free.
const SLOT: u16 = 0xa8;
/// Descriptors have bases that reach above 16 MiB, where the machine's memory repeats.
const HIGH: u32 = 0x5600_0000;

/// Makes a fault of an error code.
type Raise = fn(u16) -> Fault;

/// A descriptor and the RPL of the selector that names it.
type Named = (u64, u16);

/// Puts a selector where it is taken from, and does what takes it.
type Run = dyn Fn(&mut Fake, u16) -> Result<(), Fault>;

/// A place that a selector is taken from.
struct Use {
    name: String,
    /// The level of the program.
    cpl: u8,
    /// Puts the selector there, and does it.
    run: Box<Run>,
    good: Vec<Named>,
    /// One that an 80286 has.
    good_286: Named,
    /// Wrong by type or privilege.
    wrong: Vec<Named>,
    bad: Raise,
    /// What an absent one raises; none: presence does not matter.
    absent: Option<Raise>,
    /// What a null selector gives; none: it is like any other.
    null: Option<Result<(), Fault>>,
    /// It may be in the LDT.
    local: bool,
    /// What was loaded; none: nothing is.
    loaded: Option<fn(&Fake) -> Segment>,
    /// What an offset beyond a code segment's limit raises.
    beyond: Option<Fault>,
    ext: u16,
}

impl Use {
    fn new(name: &str, cpl: u8, run: impl Fn(&mut Fake, u16) -> Result<(), Fault> + 'static) -> Use {
        Use {
            name: name.to_owned(),
            cpl,
            run: Box::new(run),
            good: Vec::new(),
            good_286: (0, 0),
            wrong: Vec::new(),
            bad: Fault::gp,
            absent: Some(Fault::np),
            null: Some(Err(Fault::GP0)),
            local: true,
            loaded: None,
            beyond: None,
            ext: 0,
        }
    }

    /// The machine, with an LDT as large as the GDT.
    fn machine(&self) -> Fake {
        let mut f = Fake::protected(self.cpl);
        f.cpu.gdtr.limit = 0xb7;
        set_ldt(&mut f, SLOT + 7);
        f
    }

    /// What comes of a descriptor in the GDT.
    fn with(&self, f: &mut Fake, (descriptor, rpl): Named) -> Result<(), Fault> {
        f.write(GDT + u32::from(SLOT), 8, descriptor);
        self.outcome(f, SLOT | rpl)
    }

    /// What comes of a selector; a fault leaves all as it was, if it is not the new task's.
    fn outcome(&self, f: &mut Fake, selector: u16) -> Result<(), Fault> {
        (self.run)(f, selector)
    }

    fn fault(&self, raise: Raise, selector: u16) -> Result<(), Fault> {
        Err(raise(selector & !3 | self.ext))
    }

    fn check(&self) {
        self.types();
        self.presence();
        self.limits();
        self.local_table();
        self.null();
        self.accessed();
        self.chip();
    }

    fn types(&self) {
        for (n, good) in self.good.iter().enumerate() {
            let mut f = self.machine();
            assert_eq!(self.with(&mut f, *good), Ok(()), "{}: {n}", self.name);
            if let Some(loaded) = self.loaded {
                let (segment, base) = (loaded(&f), base_of(good.0));
                assert_eq!((segment.selector & !3, segment.base), (SLOT, base), "{}: {n}", self.name);
                assert_eq!(segment.limit, limit_of(good.0), "{}: {n}", self.name);
            }
        }
        for (n, wrong) in self.wrong.iter().enumerate() {
            let result = self.with(&mut self.machine(), *wrong);
            assert_eq!(result, self.fault(self.bad, SLOT), "{}: wrong {n}", self.name);
            // type and privilege are checked before presence
            let result = self.with(&mut self.machine(), absent(*wrong));
            assert_eq!(result, self.fault(self.bad, SLOT), "{}: wrong {n}, absent", self.name);
        }
    }

    fn presence(&self) {
        for good in &self.good {
            let result = self.with(&mut self.machine(), absent(*good));
            let expected = self.absent.map_or(Ok(()), |raise| self.fault(raise, SLOT));
            assert_eq!(result, expected, "{}: absent", self.name);
            let Some(beyond) = self.beyond else { continue };
            let result = self.with(&mut self.machine(), empty(*good));
            assert_eq!(result, Err(beyond), "{}: beyond the limit", self.name);
            // the offset is checked last
            let result = self.with(&mut self.machine(), absent(empty(*good)));
            assert_eq!(result, expected, "{}: absent, and beyond the limit", self.name);
            for wrong in self.wrong.iter().filter(|(d, _)| d >> 40 & 0x18 == 0x18) {
                let result = self.with(&mut self.machine(), empty(*wrong));
                assert_eq!(result, self.fault(self.bad, SLOT), "{}: wrong, and beyond the limit", self.name);
            }
        }
    }

    /// SDM vol. 3A, 5.3: the whole descriptor lies within its table.
    fn limits(&self) {
        for descriptor in [self.good[0], absent(self.good[0])] {
            let mut f = self.machine();
            f.cpu.gdtr.limit = SLOT + 6;
            assert_eq!(self.with(&mut f, descriptor), self.fault(self.bad, SLOT), "{}: limit", self.name);
        }
        let mut f = self.machine();
        f.cpu.gdtr.limit = SLOT + 7;
        assert_eq!(self.with(&mut f, self.good[0]), Ok(()), "{}: the last one", self.name);
    }

    /// SDM vol. 3A, 3.4.2: bit 2 of a selector says which table it is of.
    fn local_table(&self) {
        let (good, rpl) = self.good[0];
        let local = SLOT | 4 | rpl;
        let entries = |global: u64, in_ldt: u64| {
            let mut f = self.machine();
            f.write(GDT + u32::from(SLOT), 8, global);
            f.write(LDT + u32::from(SLOT), 8, in_ldt);
            f
        };
        let bad = self.fault(self.bad, local);
        if !self.local {
            assert_eq!(self.outcome(&mut entries(good, good), local), bad, "{}: local", self.name);
            assert_eq!(
                self.outcome(&mut entries(absent((good, 0)).0, absent((good, 0)).0), local),
                bad,
                "{}: local",
                self.name
            );
            return;
        }
        assert_eq!(self.outcome(&mut entries(0, good), local), Ok(()), "{}: local", self.name);
        assert_eq!(self.outcome(&mut entries(good, 0), local), bad, "{}: not local", self.name);
        let mut f = entries(good, good);
        set_ldt(&mut f, SLOT + 6);
        assert_eq!(self.outcome(&mut f, local), bad, "{}: beyond the LDT", self.name);
    }

    /// SDM vol. 3A, 3.4.2: the first entry of the GDT is not used.
    fn null(&self) {
        let Some(expected) = self.null else { return };
        for (good, rpl) in [self.good[0], absent(self.good[0]), empty(self.good[0])] {
            let mut f = self.machine();
            f.write(GDT, 8, good);
            assert_eq!(self.outcome(&mut f, rpl), expected, "{}: null", self.name);
        }
    }

    /// SDM vol. 3A, 3.4.5.1: the accessed bit is set when the selector is loaded; a table whose bits are set
    /// may be in read-only memory.
    fn accessed(&self) {
        if self.loaded.is_none() {
            return;
        }
        for (good, rpl) in self.good.iter().filter(|(d, _)| d >> 44 & 1 != 0) {
            let mut f = self.machine();
            assert_eq!(self.with(&mut f, (*good, *rpl)), Ok(()));
            assert_eq!(f.access(SLOT) & 1, 1, "{}: accessed", self.name);
            let mut f = self.machine();
            f.read_only = GDT + u32::from(SLOT)..GDT + u32::from(SLOT) + 8;
            assert_eq!(self.with(&mut f, (good | 1 << 40, *rpl)), Ok(()), "{}: read-only", self.name);
        }
    }

    /// An 80286 has bases of 24 bits, and no 32-bit types; the last two bytes are reserved (SDM vol. 3B, 22.29).
    fn chip(&self) {
        // LSS and INT1 came with the 80386
        if self.good_286.0 == 0 || matches!(self.name.split(',').next(), Some("INT1" | "LSS")) {
            return;
        }
        let mut f = self.machine().on_a_286();
        assert_eq!(self.with(&mut f, self.good_286), Ok(()), "{}: on an 80286", self.name);
        if let Some(loaded) = self.loaded {
            let segment = loaded(&f);
            assert_eq!(segment.base, base_of(self.good_286.0) & 0xff_ffff, "{}: on an 80286", self.name);
            assert!(segment.limit <= 0xffff && !segment.big(), "{}: on an 80286", self.name);
        }
        for (n, good) in self.good.iter().enumerate().filter(|(_, (d, _))| d >> 40 & 0x18 == 8) {
            let mut f = self.machine().on_a_286();
            let result = self.with(&mut f, *good);
            assert_eq!(result, self.fault(self.bad, SLOT), "{}: {n} on an 80286", self.name);
        }
    }
}

fn absent((descriptor, rpl): Named) -> Named {
    (descriptor & !(1 << 47), rpl)
}

/// The segment has one byte.
fn empty((descriptor, rpl): Named) -> Named {
    (descriptor & !0x008f_0000_0000_ffff, rpl)
}

fn base_of(d: u64) -> u32 {
    (d >> 16 & 0xff_ffff) as u32 | (d >> 32) as u32 & 0xff00_0000
}

fn limit_of(d: u64) -> u32 {
    let raw = (d & 0xffff) as u32 | (d >> 32) as u32 & 0xf_0000;
    if d >> 55 & 1 != 0 { raw << 12 | 0xfff } else { raw }
}

/// The LDT, of the running task and of the next one.
fn set_ldt(f: &mut Fake, limit: u16) {
    f.write(GDT + u32::from(LOCAL), 8, segment(LDT, limit.into(), 0x82, 0));
    let model = std::mem::replace(&mut f.cpu.model, CpuModel::N270);
    f.cpu.ldtr = f.descriptor(LOCAL).segment();
    f.cpu.model = model;
}

/// A large segment.
fn flat(access: u8) -> u64 {
    segment(HIGH + 0x1000, 0xf_ffff, access, 0xc)
}
