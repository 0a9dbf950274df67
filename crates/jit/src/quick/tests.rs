//! The assembler against a disassembler.

use super::asm::*;
use cpu::Width::{B8, B16, B32, B64};
use iced_x86::{Decoder, DecoderOptions, Formatter, NasmFormatter};

const ALL: [Host; 13] = [RAX, RCX, RDX, RBX, Host(4), RBP, RSI, RDI, R8, R9, R11, R12, Host(13)];

fn text(code: &[u8]) -> Vec<String> {
    let mut formatter = NasmFormatter::new();
    formatter.options_mut().set_hex_prefix("0x");
    formatter.options_mut().set_hex_suffix("");
    let decoder = Decoder::with_ip(64, code, 0, DecoderOptions::NONE);
    decoder
        .into_iter()
        .map(|i| {
            assert!(!i.is_invalid(), "{code:02x?}");
            let mut s = String::new();
            formatter.format(&i, &mut s);
            s
        })
        .collect()
}

fn written(f: impl FnOnce(&mut Asm)) -> Vec<String> {
    let mut asm = Asm::default();
    f(&mut asm);
    text(&asm.finish().unwrap())
}

const NAMES: [[&str; 4]; 14] = [
    ["al", "ax", "eax", "rax"],
    ["cl", "cx", "ecx", "rcx"],
    ["dl", "dx", "edx", "rdx"],
    ["bl", "bx", "ebx", "rbx"],
    ["spl", "sp", "esp", "rsp"],
    ["bpl", "bp", "ebp", "rbp"],
    ["sil", "si", "esi", "rsi"],
    ["dil", "di", "edi", "rdi"],
    ["r8b", "r8w", "r8d", "r8"],
    ["r9b", "r9w", "r9d", "r9"],
    ["r10b", "r10w", "r10d", "r10"],
    ["r11b", "r11w", "r11d", "r11"],
    ["r12b", "r12w", "r12d", "r12"],
    ["r13b", "r13w", "r13d", "r13"],
];

fn name(h: Host, w: cpu::Width) -> &'static str {
    NAMES[usize::from(h.0)][w.bytes().trailing_zeros() as usize]
}

#[test]
fn registers_of_all_widths() {
    for a in ALL {
        for b in ALL {
            let code = written(|s| {
                s.load(B8, a, Rm::Reg(b));
                s.load(B16, a, Rm::Reg(b));
                s.load(B64, a, Rm::Reg(b));
                s.load_signed(B8, B64, a, Rm::Reg(b));
                s.load_signed(B32, B64, a, Rm::Reg(b));
                s.store(B8, Rm::Reg(a), b);
                s.store(B16, Rm::Reg(a), b);
                s.test(B8, a, b);
                s.alu(B32, Alu::Xor, a, Rm::Reg(b));
                s.move_if(B64, Cc::NoParity, a, Rm::Reg(b));
                s.multiply(B32, a, Rm::Reg(b));
                s.scan(B32, true, a, Rm::Reg(b));
            });
            let [a8, a16, a32, a64] = [B8, B16, B32, B64].map(|w| name(a, w));
            let [b8, b16, b32, b64] = [B8, B16, B32, B64].map(|w| name(b, w));
            let expected = [
                format!("movzx {a32},{b8}"),
                format!("movzx {a32},{b16}"),
                format!("mov {a64},{b64}"),
                format!("movsx {a64},{b8}"),
                format!("movsxd {a64},{b32}"),
                format!("mov {a8},{b8}"),
                format!("mov {a16},{b16}"),
                format!("test {b8},{a8}"),
                format!("xor {a32},{b32}"),
                format!("cmovnp {a64},{b64}"),
                format!("imul {a32},{b32}"),
                format!("bsr {a32},{b32}"),
            ];
            assert_eq!(code, expected);
        }
    }
}

#[test]
fn memory_at_all_bases_and_indexes() {
    for b in ALL {
        let at = |disp| written(|s| s.load(B32, RAX, Rm::At(b, disp)));
        let base = name(b, B64);
        assert_eq!(at(0), [format!("mov eax,[{base}]")]);
        assert_eq!(at(-8), [format!("mov eax,[{base}-8]")]);
        assert_eq!(at(0x1234), [format!("mov eax,[{base}+0x1234]")]);
        for x in ALL.into_iter().filter(|x| x.0 != 4) {
            let index = name(x, B64);
            let sum = written(|s| s.lea(B32, R9, Rm::Sum(b, x, 3, 5)));
            assert_eq!(sum, [format!("lea r9d,[{base}+{index}*8+5]")]);
            let scaled = written(|s| s.lea(B32, R9, Rm::Scaled(x, 2, -4)));
            assert_eq!(scaled, [format!("lea r9d,[{index}*4-4]")]);
            let plain = written(|s| s.store(B8, Rm::Sum(b, x, 0, 0), RSI));
            assert_eq!(plain, [format!("mov [{base}+{index}],sil")]);
        }
    }
}

#[test]
fn constants_of_all_sizes() {
    for h in ALL {
        let (r32, r64) = (name(h, B32), name(h, B64));
        let code = written(|s| {
            s.constant(h, 0x8000_0000);
            s.constant(h, u64::MAX);
            s.constant(h, 0x1234_5678_9abc);
            s.alu_constant(B32, Alu::And, Rm::Reg(h), 0x1000);
            s.alu_constant(B64, Alu::Cmp, Rm::Reg(h), -1);
            s.shift_constant(B64, Shift::Arithmetic, Rm::Reg(h), 12);
            s.bswap(B64, h);
            s.push(h);
            s.pop(h);
            s.call(h);
            s.jump_to(h);
        });
        let expected = [
            format!("mov {r32},0x80000000"),
            format!("mov {r64},0xFFFFFFFFFFFFFFFF"),
            format!("mov {r64},0x123456789ABC"),
            format!("and {r32},0x1000"),
            format!("cmp {r64},0xFFFFFFFFFFFFFFFF"),
            format!("sar {r64},0xC"),
            format!("bswap {r64}"),
            format!("push {r64}"),
            format!("pop {r64}"),
            format!("call {r64}"),
            format!("jmp {r64}"),
        ];
        assert_eq!(code, expected);
    }
}

#[test]
fn distances_go_both_ways() {
    let code = written(|s| {
        let (back, on) = (s.label(), s.label());
        s.bind(back);
        s.jump_if(Cc::Above, on);
        s.jump(back);
        s.bind(on);
        s.address(R9, back);
        s.ret();
    });
    let plain: Vec<String> = code.iter().map(|l| l.replace("near ", "").replace("short ", "")).collect();
    assert_eq!(plain, ["ja 0x000000000000000B", "jmp 0", "lea r9,[rel 0]", "ret"]);
}

#[test]
fn a_label_that_is_never_bound_is_no_code() {
    let mut asm = Asm::default();
    let l = asm.label();
    asm.jump(l);
    assert_eq!(asm.finish(), None);
}
