// The exception vectors.
//
// The kernel runs at EL1 on SP_EL0, so that exceptions, which switch to SP_EL1, always have a good
// stack: a kernel stack that ran out is reported like any other fault. An exception taken while
// one is being handled (at EL1 on SP_EL1) is the last: it goes to a third stack and ends the
// machine.
//
// A frame is x0-x30, SP_EL0, ELR, SPSR, ESR, FAR: `Frame` in exceptions.rs.

.set FRAME_BYTES, 36 * 8

// Numbered by `Origin` and `Kind` in exceptions.rs.
.macro vector origin, kind
    .balign 128
    sub     sp, sp, #FRAME_BYTES
    stp     x0, x1, [sp]
    mov     x0, #(\origin << 2 | \kind)
    b       take_exception
.endm

.macro last_vector kind
    .balign 128
    mov     x0, #\kind
    b       take_last_exception
.endm

.section .vectors, "ax"
.balign 0x800
.global vectors
vectors:
    vector  0, 0            // this level on SP_EL0: synchronous
    vector  0, 1            // IRQ
    vector  0, 2            // FIQ
    vector  0, 3            // SError
    last_vector 0           // this level on SP_EL1
    last_vector 1
    last_vector 2
    last_vector 3
    vector  1, 0            // lower level, AArch64
    vector  1, 1
    vector  1, 2
    vector  1, 3
    vector  2, 0            // lower level, AArch32
    vector  2, 1
    vector  2, 2
    vector  2, 3

take_exception:
    stp     x2, x3, [sp, #16]
    stp     x4, x5, [sp, #32]
    stp     x6, x7, [sp, #48]
    stp     x8, x9, [sp, #64]
    stp     x10, x11, [sp, #80]
    stp     x12, x13, [sp, #96]
    stp     x14, x15, [sp, #112]
    stp     x16, x17, [sp, #128]
    stp     x18, x19, [sp, #144]
    stp     x20, x21, [sp, #160]
    stp     x22, x23, [sp, #176]
    stp     x24, x25, [sp, #192]
    stp     x26, x27, [sp, #208]
    stp     x28, x29, [sp, #224]
    mrs     x9, sp_el0
    stp     x30, x9, [sp, #240]
    mrs     x9, elr_el1
    mrs     x10, spsr_el1
    stp     x9, x10, [sp, #256]
    mrs     x9, esr_el1
    mrs     x10, far_el1
    stp     x9, x10, [sp, #272]
    mov     x1, sp
    bl      exception_taken

    ldp     x9, x10, [sp, #256]
    msr     elr_el1, x9
    msr     spsr_el1, x10
    ldp     x30, x9, [sp, #240]
    msr     sp_el0, x9
    ldp     x2, x3, [sp, #16]
    ldp     x4, x5, [sp, #32]
    ldp     x6, x7, [sp, #48]
    ldp     x8, x9, [sp, #64]
    ldp     x10, x11, [sp, #80]
    ldp     x12, x13, [sp, #96]
    ldp     x14, x15, [sp, #112]
    ldp     x16, x17, [sp, #128]
    ldp     x18, x19, [sp, #144]
    ldp     x20, x21, [sp, #160]
    ldp     x22, x23, [sp, #176]
    ldp     x24, x25, [sp, #192]
    ldp     x26, x27, [sp, #208]
    ldp     x28, x29, [sp, #224]
    ldp     x0, x1, [sp], #FRAME_BYTES
    eret

take_last_exception:
    mrs     x1, tpidr_el1
    cbz     x1, 1f                      // the boot CPU, before it has per-CPU data
    ldr     x1, [x1, #LAST_STACK]
    b       2f
1:  adrp    x1, __last_stack_end
2:  mov     sp, x1
    mov     x29, xzr
    mrs     x1, esr_el1
    mrs     x2, elr_el1
    mrs     x3, far_el1
    b       last_exception_taken
