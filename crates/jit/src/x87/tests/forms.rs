//! Forms: which are native, and that each does what the interpreter does.

use super::super::native::Stub;
use super::super::{load, native, save};
use super::guest::{Case, DATA, Guest};
use super::operands::{Report, Rng, seed};
use super::states;
use cpu::{CodeSize, CpuModel, Fpu, Insn};
use isa::Mnemonic as M;
use memmap2::{Mmap, MmapMut};
use std::collections::BTreeSet;

/// States a form, unless RINGER_FP_CASES says otherwise.
fn cases() -> u32 {
    std::env::var("RINGER_FP_CASES").ok().and_then(|s| s.parse().ok()).unwrap_or(3000)
}

/// A guest's instruction.
struct Form {
    bytes: Vec<u8>,
    insn: Insn,
}

impl Form {
    fn mnemonic(&self) -> M {
        self.insn.code.mnemonic()
    }
    fn is(&self, list: &[M]) -> bool {
        list.contains(&self.mnemonic())
    }
    fn gives_flags(&self) -> bool {
        self.is(&[M::Fcomi, M::Fcomip, M::Fucomi, M::Fucomip])
    }
}

/// Every opcode of the unit: eight escapes, registers and memory at [`DATA`].
fn forms() -> Vec<Form> {
    let mut all = Vec::new();
    for escape in 0xd8..=0xdfu8 {
        for modrm in (0..8).map(|digit| digit << 3 | 5).chain(0xc0..=0xff) {
            let mut bytes = vec![escape, modrm];
            if modrm < 0xc0 {
                bytes.extend(DATA.to_le_bytes());
            }
            if let Ok(insn) = isa::decode(&bytes, CodeSize::Bits32, CpuModel::N270) {
                all.push(Form { bytes, insn });
            }
        }
    }
    all
}

/// A stub where the host can execute it.
struct Code(Mmap);

impl Code {
    fn new(stub: &Stub) -> Code {
        let mut page = MmapMut::map_anon(4096).expect("a page");
        page[..stub.bytes().len()].copy_from_slice(stub.bytes());
        Code(page.make_exec().expect("an executable page"))
    }

    /// Calls the stub between `load` and `save`; `slots[at]` is its slot.
    fn run(&self, fpu: &mut Fpu, slots: &mut [[u8; 16]; 4]) {
        // SAFETY: the page holds a stub, which is called as this function type: it touches no register and
        // only the slot, which lies inside `slots` by the displacement that it was made with. The FPU is in
        // the host from `load` to `save`, with nothing but the call in between.
        unsafe {
            let stub: extern "sysv64" fn(*mut [u8; 16]) = std::mem::transmute(self.0.as_ptr());
            load(fpu);
            stub(slots.as_mut_ptr().add(2));
            save(fpu);
        }
    }
}

/// Displacements of the slots around the third, which RDI points to.
const SLOTS: [i32; 4] = [-32, -16, 0, 16];

/// An FCMOVcc's condition.
fn condition(m: M, flags: u32) -> bool {
    let (cf, pf, zf) = (flags & 1 != 0, flags & 4 != 0, flags & 0x40 != 0);
    match m {
        M::Fcmovb => cf,
        M::Fcmovnb => !cf,
        M::Fcmove => zf,
        M::Fcmovne => !zf,
        M::Fcmovbe => cf || zf,
        M::Fcmovnbe => !(cf || zf),
        M::Fcmovu => pf,
        _ => !pf,
    }
}

fn is_move_if(form: &Form) -> bool {
    format!("{:?}", form.mnemonic()).starts_with("Fcmov")
}

/// What the compiler does around the stub: the slot's content before, and what becomes of it.
fn host(form: &Form, code: &Code, at: usize, case: &mut Case) {
    let mut slots = [case.memory; 4];
    if is_move_if(form) {
        slots[at] = u128::from(condition(form.mnemonic(), case.flags)).to_le_bytes();
    }
    let others = slots;
    code.run(&mut case.fpu, &mut slots);
    assert!((0..4).all(|n| n == at || slots[n] == others[n]), "a stub writes to its slot alone");
    let low = u16::from_le_bytes([slots[at][0], slots[at][1]]);
    if form.gives_flags() {
        case.flags = case.flags & !0x8d5 | u32::from(low) & 0x45;
    } else if form.bytes == [0xdf, 0xe0] {
        case.ax = low;
    } else if !is_move_if(form) {
        case.memory = slots[at];
    }
}

fn random(form: &Form, rng: &mut Rng) -> Case {
    let mut case = Case {
        fpu: states::fpu(rng),
        flags: rng.next() as u32 & 0x8d5 | 2,
        ax: rng.next() as u16,
        memory: states::operand(rng),
    };
    if form.mnemonic() == M::Fldcw {
        case.memory[0] |= 0x3f;
    }
    case
}

/// All but the last instruction, which compiled code notes itself.
fn same(a: &Case, b: &Case) -> bool {
    let unit = |f: &Fpu| (f.registers, f.control, f.status, f.occupied);
    unit(&a.fpu) == unit(&b.fpu) && (a.flags, a.ax, a.memory) == (b.flags, b.ax, b.memory)
}

#[test]
fn native_forms_do_what_the_interpreter_does() {
    let mut guest = Guest::new();
    let (mut count, mut bad) = (0, Vec::new());
    for form in forms() {
        let Some(_) = native(&form.insn, 0) else { continue };
        let mut rng = Rng::new(u64::from(form.insn.imm));
        let mut report = Report::new(&format!("{:?} {:02x?}", form.insn.code, form.bytes));
        guest.load(&form.bytes);
        let at = rng.below(4) as usize;
        let code = Code::new(&native(&form.insn, SLOTS[at]).expect("native with any slot"));
        for _ in 0..cases() {
            let before = random(&form, &mut rng);
            let (mut expected, mut got) = (before, before);
            guest.run(&mut expected);
            host(&form, &code, at, &mut got);
            report.check(same(&expected, &got), || {
                format!("before {before:x?}\n  guest {expected:x?}\n   host {got:x?}")
            });
        }
        count += 1;
        bad.extend(std::panic::catch_unwind(|| report.finish()).err().map(|_| form.insn.code));
    }
    println!("{count} forms of {} states each, seed {}", cases(), seed());
    assert!(count > 400, "{count} forms are native");
    assert!(bad.is_empty(), "{bad:?}");
}

#[test]
fn what_is_not_native() {
    let expected = [
        "F2xm1", "Fbld", "Fcos", "Fldenv", "Fninit", "Fnsave", "Fnstenv", "Fpatan", "Fprem", "Fprem1",
        "Fptan", "Frstor", "Fsin", "Fsincos", "Fstpnce", "Fyl2x", "Fyl2xp1",
    ];
    let all = forms();
    let rest = all.iter().filter(|f| native(&f.insn, 0).is_none());
    let names: BTreeSet<String> = rest.map(|f| format!("{:?}", f.mnemonic())).collect();
    assert_eq!(names.into_iter().collect::<Vec<_>>(), expected);
}

#[test]
fn stubs_as_bytes() {
    let stub = |bytes: &[u8]| {
        let insn = isa::decode(bytes, CodeSize::Bits32, CpuModel::N270).expect("an instruction");
        native(&insn, 0x123).map(|s| s.bytes().to_vec())
    };
    // fadd st0, st3
    assert_eq!(stub(&[0xd8, 0xc3]), Some(vec![0xd8, 0xc3, 0xc3]));
    // es fstp qword [bx+si], 16-bit address: fstp qword [rdi+123h]
    assert_eq!(stub(&[0x26, 0x67, 0xdd, 0x18]), Some(vec![0xdd, 0x9f, 0x23, 1, 0, 0, 0xc3]));
    // fnstsw ax: fnstsw [rdi+123h]
    assert_eq!(stub(&[0xdf, 0xe0]), Some(vec![0xdd, 0xbf, 0x23, 1, 0, 0, 0xc3]));
    // fnop
    assert_eq!(stub(&[0xd9, 0xd0]), Some(vec![0xc3]));
    // not of this unit at all: nop, emms
    assert_eq!((stub(&[0x90]), stub(&[0x0f, 0x77])), (None, None));
}
