//! What guards, alignment and pending exceptions do, by the manual.

use crate::guest::Guest;
use cpu::{Fault, cr0, cr4};
use testkit::host_runner::Frame;

fn frame() -> Frame {
    let mut f = Frame::default();
    f.fx[0..2].copy_from_slice(&0x37fu16.to_le_bytes());
    f.fx[24..28].copy_from_slice(&0x1f80u32.to_le_bytes());
    f
}

fn run_with(bytes: &[u8], set: impl Fn(&mut Guest), f: &mut Frame) -> Option<Fault> {
    let mut g = Guest::new();
    g.load(bytes);
    set(&mut g);
    g.run(f, Some(0))
}

fn fault_of(bytes: &[u8], set: impl Fn(&mut Guest)) -> Option<Fault> {
    run_with(bytes, set, &mut frame())
}

const FLD1: &[u8] = &[0xd9, 0xe8];
const FNSTCW: &[u8] = &[0xd9, 0x38];
const FNINIT: &[u8] = &[0xdb, 0xe3];
const PADDB: &[u8] = &[0x0f, 0xfc, 0xc1];
const PADDB_XMM: &[u8] = &[0x66, 0x0f, 0xfc, 0xc1];
const MOVQ2DQ: &[u8] = &[0xf3, 0x0f, 0xd6, 0xc1];
const MOVNTI: &[u8] = &[0x0f, 0xc3, 0x08];

#[test]
fn units_that_are_switched_off() {
    let emulated = |g: &mut Guest| g.cpu.cr0 |= cr0::EM;
    let switched = |g: &mut Guest| g.cpu.cr0 |= cr0::TS;
    let no_sse = |g: &mut Guest| g.cpu.cr4 &= !cr4::OSFXSR;
    for x87 in [FLD1, FNSTCW, FNINIT] {
        assert_eq!(fault_of(x87, emulated), Some(Fault::NM));
        assert_eq!(fault_of(x87, switched), Some(Fault::NM));
        assert_eq!(fault_of(x87, no_sse), None);
    }
    for packed in [PADDB, PADDB_XMM, MOVQ2DQ] {
        assert_eq!(fault_of(packed, emulated), Some(Fault::UD));
        assert_eq!(fault_of(packed, switched), Some(Fault::NM));
    }
    assert_eq!(fault_of(PADDB, no_sse), None);
    assert_eq!(fault_of(PADDB_XMM, no_sse), Some(Fault::UD));
    assert_eq!(fault_of(MOVQ2DQ, no_sse), Some(Fault::UD));
    assert_eq!(fault_of(MOVNTI, |g| g.cpu.cr0 |= cr0::TS | cr0::EM), None);
}

/// An unmasked exception waits for the next instruction that looks.
#[test]
fn pending_exceptions() {
    let pending = || {
        let mut f = frame();
        f.fx[0..2].copy_from_slice(&0x37eu16.to_le_bytes());
        f.fx[2..4].copy_from_slice(&0x8081u16.to_le_bytes());
        f
    };
    let run = |bytes: &[u8]| run_with(bytes, |_| {}, &mut pending());
    for waiting in [FLD1, PADDB, MOVQ2DQ, &[0xd9, 0x28], &[0xd9, 0xd0], &[0x0f, 0x77]] {
        assert_eq!(run(waiting), Some(Fault::MF), "{waiting:02x?}");
    }
    for quiet in [FNINIT, FNSTCW, PADDB_XMM, &[0xdb, 0xe2], &[0xdf, 0xe0], &[0xdd, 0x38]] {
        assert_eq!(run(quiet), None, "{quiet:02x?}");
    }
    let mut f = pending();
    assert_eq!(run_with(&[0xdb, 0xe2], |_| {}, &mut f), None);
    assert_eq!(f.fx[2..4], [0, 0]);
    // FLDCW that unmasks a flag makes it pending, one that masks it takes it back
    let mut f = frame();
    f.fx[2] = 1;
    f.memory[..2].copy_from_slice(&0x37eu16.to_le_bytes());
    assert_eq!(run_with(&[0xd9, 0x28], |_| {}, &mut f), None);
    assert_eq!(f.fx[2..4], [0x81, 0x80]);
}

#[test]
fn alignment_of_sixteen_bytes() {
    let misaligned = |bytes: &[u8]| {
        let mut g = Guest::new();
        g.load(bytes);
        let mut f = frame();
        f.gpr[0] = u64::from(crate::guest::DATA) + 4;
        g.run(&mut f, None)
    };
    // MOVAPS, MOVDQA, MOVNTPS, ADDPS, PXOR
    let aligned: [&[u8]; 6] = [
        &[0x0f, 0x28, 0x00],
        &[0x0f, 0x29, 0x00],
        &[0x66, 0x0f, 0x6f, 0x00],
        &[0x0f, 0x2b, 0x00],
        &[0x0f, 0x58, 0x00],
        &[0x66, 0x0f, 0xef, 0x00],
    ];
    for bytes in aligned {
        assert_eq!(misaligned(bytes), Some(Fault::GP0), "{bytes:02x?}");
    }
    // MOVUPS, MOVDQU, LDDQU, ADDSS, CVTPS2PD, MOVQ
    let loose: [&[u8]; 6] = [
        &[0x0f, 0x10, 0x00],
        &[0xf3, 0x0f, 0x7f, 0x00],
        &[0xf2, 0x0f, 0xf0, 0x00],
        &[0xf3, 0x0f, 0x58, 0x00],
        &[0x0f, 0x5a, 0x00],
        &[0xf3, 0x0f, 0x7e, 0x00],
    ];
    for bytes in loose {
        assert_eq!(misaligned(bytes), None, "{bytes:02x?}");
    }
}

#[test]
fn mxcsr_and_its_exceptions() {
    let load = |value: u32| {
        let mut f = frame();
        f.memory[..4].copy_from_slice(&value.to_le_bytes());
        (run_with(&[0x0f, 0xae, 0x10], |_| {}, &mut f), f.fx[24..28].to_vec())
    };
    assert_eq!(load(0xffff), (None, vec![0xff, 0xff, 0, 0]));
    assert_eq!(load(0x1_0000), (Some(Fault::GP0), vec![0x80, 0x1f, 0, 0]));
    // DIVSS of zero by zero, IE not masked
    let divide = |set: fn(&mut Guest)| {
        let mut f = frame();
        f.fx[24..28].copy_from_slice(&0x1f00u32.to_le_bytes());
        let fault = run_with(&[0xf3, 0x0f, 0x5e, 0xc1], set, &mut f);
        (fault, f.fx[24])
    };
    assert_eq!(divide(|_| {}), (Some(Fault::XM), 1));
    assert_eq!(divide(|g| g.cpu.cr4 &= !cr4::OSXMMEXCPT), (Some(Fault::UD), 1));
}

/// The pointers of the last instruction: recorded for all but control instructions.
#[test]
fn last_instruction_pointers() {
    let mut g = Guest::new();
    let mut f = frame();
    g.load(&[0xd8, 0x00]);
    assert_eq!(g.run(&mut f, Some(0)), None);
    let fpu = &g.cpu.fpu;
    assert_eq!((fpu.opcode, fpu.ip, fpu.cs), (0, 0x1000, 8));
    assert_eq!((fpu.dp, fpu.ds), (crate::guest::DATA, 8));
    g.load(&[0x3e, 0xdc, 0xc9]);
    assert_eq!(g.run(&mut f, Some(0)), None);
    assert_eq!(g.cpu.fpu.opcode, 0x4c9);
}

/// A memory operand outside of its segment: #GP(0), and nothing has happened.
#[test]
fn faults_change_nothing() {
    use crate::encode::{Choice, encode, forms};
    let mut g = Guest::new();
    let mut rng = crate::operands::Rng::new(77);
    let ds = usize::from(cpu::seg::DS);
    g.cpu.seg[ds].limit = 0xfff;
    g.cpu.seg[ds].refresh();
    let mut count = 0;
    for code in forms() {
        let choice = Choice { reg: 1, rm: 2, memory: true, imm: 3 };
        let Some(e) = encode(code, choice).filter(|_| !format!("{code:?}").starts_with("Prefetch")) else {
            continue;
        };
        g.load(&e.bytes);
        for _ in 0..20 {
            let mut before = crate::state::random(&mut rng, crate::state::Kind::X87);
            before.flags &= 0x8d7;
            let mut f = before.clone();
            assert_eq!(g.run(&mut f, Some(if e.by_edi { 5 } else { 0 })), Some(Fault::GP0), "{code:?}");
            assert_eq!((g.cpu.fpu.ip, g.cpu.fpu.dp), (0, 0), "{code:?}");
            crate::state::normalize(&mut before);
            crate::state::normalize(&mut f);
            assert!(
                crate::state::same(&before, &f),
                "{code:?}: {:?}",
                crate::state::differences(&before, &f)
            );
            count += 1;
        }
    }
    println!("faults: {count} cases");
}

/// MASKMOVDQU with an address size of 16 bits and a segment override; nothing but chosen bytes changes.
#[test]
fn masked_store_wraps_with_its_address_size() {
    let mut g = Guest::new();
    let mut f = frame();
    f.gpr[5] = 0xabcd_2000;
    f.fx[160..176].fill(0x5a);
    for n in (0..16).step_by(2) {
        f.fx[176 + n] = 0x80;
    }
    g.load(&[0x67, 0x66, 0x0f, 0xf7, 0xc1]);
    assert_eq!(g.run(&mut f, None), None);
    let expected: Vec<u8> = (0..16).map(|n| if n % 2 == 0 { 0x5a } else { 0 }).collect();
    assert_eq!(f.memory[..16], expected[..]);
}

/// What an instruction costs: run with `--ignored --nocapture`.
#[test]
#[ignore = "a measurement"]
fn cost_of_an_instruction() {
    let rows: [(&str, &[u8]); 14] = [
        ("nop", &[0x90]),
        ("fld m64; fstp m64", &[0xdd, 0x00, 0xdd, 0x58, 0x08]),
        ("fld st0; fstp st0", &[0xd9, 0xc0, 0xdd, 0xd8]),
        ("fadd m64", &[0xdc, 0x00]),
        ("fadd st0, st1", &[0xd8, 0xc1]),
        ("fmul st0, st1", &[0xd8, 0xc9]),
        ("fdiv st0, st1", &[0xd8, 0xf1]),
        ("fxch; fcom", &[0xd9, 0xc9, 0xd8, 0xd1]),
        ("movaps xmm0, m", &[0x0f, 0x28, 0x00]),
        ("movaps xmm0, xmm1", &[0x0f, 0x28, 0xc1]),
        ("addsd xmm0, m64", &[0xf2, 0x0f, 0x58, 0x00]),
        ("mulps xmm0, xmm1", &[0x0f, 0x59, 0xc1]),
        ("paddd xmm0, xmm1", &[0x66, 0x0f, 0xfe, 0xc1]),
        ("pxor mm0, mm1", &[0x0f, 0xef, 0xc1]),
    ];
    for (name, bytes) in rows {
        let mut f = frame();
        f.fx[24..28].copy_from_slice(&0x1fa0u32.to_le_bytes());
        f.fx[4] = 3;
        for st in [32, 48] {
            f.fx[st..st + 10]
                .copy_from_slice(&float::F80 { sig: 0xc000_0000_1234_5678, se: 0x3fff }.to_bytes());
        }
        for n in 0..16 {
            f.fx[160 + 8 * n..][..8].copy_from_slice(&1.0f64.to_le_bytes());
        }
        f.memory[..8].copy_from_slice(&1.5f64.to_le_bytes());
        let mut code = bytes.repeat(60 / bytes.len());
        code.extend([0xeb, (-(code.len() as i32) - 2) as u8]);
        let mut g = Guest::new();
        g.load(&code);
        let (start, count) = (std::time::Instant::now(), 5_000_000);
        g.spin(&f, count);
        println!("{name:20} {:6.1} ns", start.elapsed().as_nanos() as f64 / count as f64);
    }
}
