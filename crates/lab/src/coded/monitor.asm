; A virtual machine monitor as a program of the machine that it virtualizes (CACM 17(7), 1974, section 4).
; It has one guest of g words, at its end, and runs in supervisor mode over all memory that it finds.
; Traps lead to the dispatcher; enter: is the way back into the guest.

old:        .word 0                     ; E[0]: the PSW that a trap stores
            .psw s dispatch 0 32767     ; E[1]: the PSW that a trap loads
            JMP enter                   ; where a reset begins

; The virtual machine's registers.
vacc:       .word 0
vmode:      .word 0
vp:         .word 2
vl:         .word 0
vb:         .word g
vtimer:     .word 0
vmask:      .word 0

; What the monitor works with.
cause:      .word 0
instr:      .word 0
arg:        .word 0
value:      .word 0
pointer:    .word 0
link:       .word 0
link2:      .word 0
reall:      .word 0
realb:      .word 0
real:       .word 0
zero:       .word 0
one:        .word 1
privileged: .word 2
m8:         .word 0xff
m15:        .word 0x7fff
m16:        .word 0xffff
size:       .word g
place:      .word guest
first:      .word 19                    ; the number of LPSW
table:      .word interpreters

; D: the guest's registers into the tables, and who is to handle the trap.
dispatch:   ST vacc
            LD vmode
            BZ untimed                  ; a supervisor's instructions are not counted
            RTIM
            ST vtimer
untimed:    LD old
            SHR 1
            AND m15
            ST vp
            LD old
            SHR 47
            ST cause
            SUB privileged
            BNZ reflect
            LD vmode
            BNZ reflect

; A privileged instruction of a virtual supervisor: its interpreter.
            LD place
            ADD vl
            ADD vp
            ST pointer
            LDX pointer
            ST instr
            SHR 8
            AND m15
            ST arg
            LD instr
            AND m8
            SUB first
            ADD table
            ST pointer
            LDX pointer
            RET

interpreters: .word lpsw
            .word rmode
            .word rrel
            .word setr
            .word sett
            .word rtim
            .word popf
            .word halt
            .word out
            .word jrst

; {v_i}
lpsw:       CALL operand
            CALL unpack
            JMP enter
rmode:      LD vmode
            ST vacc
            JMP next
rrel:       LD vb
            SHL 15
            ADD vl
            ST vacc
            JMP next
setr:       CALL operand
            LD value
            AND m15
            ST vl
            LD value
            SHR 15
            AND m16
            ST vb
            JMP next
sett:       CALL operand
            LD value
            AND m15
            ST vtimer
            JMP next
rtim:       LD vtimer
            ST vacc
            JMP next
popf:       LD vacc
            AND one
            ST vmask
            JMP next
halt:       LD vp
            ADD one
            AND m15
            ST vp
            HALT
out:        LD vacc
            OUT
            JMP next
jrst:       LI 1
            ST vmode
            LD arg
            ST vp
            JMP enter

next:       LD vp
            ADD one
            AND m15
            ST vp
            JMP enter

; The word that an instruction's address names; or the guest has a memory trap.
operand:    ST link
            LD arg
            LT vb
            BZ outside
            LD arg
            ADD vl
            ST pointer
            LT size
            BZ outside
            LD pointer
            ADD place
            ST pointer
            LDX pointer
            ST value
            LD link
            RET
outside:    LI 1
            ST cause

; The trap is the guest's: its PSW to its E[0], its PSW from its E[1].
reflect:    LD cause
            SHL 16
            ADD vb
            SHL 15
            ADD vl
            SHL 15
            ADD vp
            SHL 1
            ADD vmode
            STX place
            LD place
            ADD one
            ST pointer
            LDX pointer
            ST value
            CALL unpack

; A: the guest's R, composed with its place; and into the guest.
enter:      LD size
            LT vl
            BNZ beyond
            LD vl
            JMP within
beyond:     LD size
within:     ST reall
            LD size
            SUB reall
            ST realb
            LT vb
            BNZ bounded
            LD vb
            ST realb
bounded:    LD reall
            ADD place
            ST reall
            LD realb
            SHL 15
            ADD reall
            SHL 15
            ADD vp
            SHL 1
            ADD one                     ; user mode
            ST real
            LD vmask
            POPF
            LD vmode
            BZ still
            SETT vtimer
            JMP go
still:      SETT zero
go:         LD vacc
            LPSW real

; A word as a PSW.
unpack:     ST link2
            LD value
            AND one
            ST vmode
            LD value
            SHR 1
            AND m15
            ST vp
            LD value
            SHR 16
            AND m15
            ST vl
            LD value
            SHR 31
            AND m16
            ST vb
            LD link2
            RET

guest:      .space g
