//! The console: text and numbers on the first serial port.

use crate::asm;
use crate::asm::{Asm, Assembled};
use iced_x86::code_asm::*;

/// First port of the UART.
const COM1: u32 = 0x3f8;

/// Emits a call that prints a text, which lies in the code right behind the call.
pub(crate) fn say(a: &mut Asm, text: &str) -> Assembled {
    asm! { a => call a.to("print what follows"); }
    a.db(&zero_ended(text))
}

/// A text as the console wants it: lines end in CR LF, the text in a zero byte.
pub(crate) fn zero_ended(text: &str) -> Vec<u8> {
    let mut bytes = text.replace('\n', "\r\n").into_bytes();
    bytes.push(0);
    bytes
}

/// The console's routines. They keep every register but EAX.
pub(crate) fn routines(a: &mut Asm) -> Assembled {
    asm! { a =>
        // 115200 bits a second, 8 data bits, no parity, FIFO
        label "serial on";
        mov dx, COM1 + 3;
        mov al, 0x80; // divisor latch
        out dx, al;
        mov dx, COM1;
        mov al, 1;
        out dx, al;
        mov dx, COM1 + 1;
        xor eax, eax;
        out dx, al;
        mov dx, COM1 + 3;
        mov al, 3;
        out dx, al;
        mov dx, COM1 + 2;
        mov al, 1;
        out dx, al;
        ret;

        // the character in AL
        label "print character";
        push edx;
        push eax;
        mov dx, COM1 + 5;
        label "transmitter busy";
        in_ al, dx;
        test al, 0x20;
        jz a.to("transmitter busy");
        pop eax;
        mov dx, COM1;
        out dx, al;
        pop edx;
        ret;

        // the text at the return address, which moves behind it
        label "print what follows";
        xchg dword_ptr(esp), esi;
        call a.to("print text");
        xchg dword_ptr(esp), esi;
        ret;

        // the text at ESI; ESI ends behind its zero
        label "print text";
        lodsb;
        test al, al;
        jz a.to("text printed");
        call a.to("print character");
        jmp a.to("print text");
        label "text printed";
        ret;

        // EAX in decimal
        label "print decimal";
        push ebx;
        push edx;
        mov ebx, 10;
        call a.to("print digits");
        pop edx;
        pop ebx;
        ret;
        // the digits above first, then the last
        label "print digits";
        xor edx, edx;
        div ebx;
        push edx;
        test eax, eax;
        jz a.to("highest digit");
        call a.to("print digits");
        label "highest digit";
        pop eax;
        add al, i32::from(b'0');
        jmp a.to("print character");

        // EAX in hexadecimal
        label "print hexadecimal";
        push ecx;
        push edx;
        mov ecx, 8;
        mov edx, eax;
        label "next nibble";
        rol edx, 4;
        mov al, dl;
        and al, 0xf;
        add al, i32::from(b'0');
        cmp al, i32::from(b'9');
        jbe a.to("nibble made");
        add al, 7;
        label "nibble made";
        call a.to("print character");
        dec ecx;
        jnz a.to("next nibble");
        pop edx;
        pop ecx;
        ret;

        // the letter of the running task
        label "print task";
        mov eax, dword_ptr(super::layout::CURRENT);
        add al, i32::from(b'A');
        jmp a.to("print character");
    }
    Ok(())
}
