// The referee's exception vectors: EL2, each exception on an empty stack but for two words.
//
// A frame is x0-x30, a word of nothing, ELR, SPSR; above it, at the top of the stack, stand the fields
// of the CPU's disguise and its number: `Frame` in frame.rs.

.set REFEREE_FRAME_BYTES, 34 * 8

.macro referee_failure kind
    .balign 128
    mov     x0, #\kind
    b       referee_failed
.endm

.section .vectors, "ax"
.balign 0x800
.global referee_vectors
referee_vectors:
    referee_failure 0               // this level on SP_EL0
    referee_failure 1
    referee_failure 2
    referee_failure 3
    referee_failure 0               // this level: the referee itself
    referee_failure 1
    referee_failure 2
    referee_failure 3
    .balign 128                     // lower level, AArch64: synchronous
    stp     x12, x13, [sp, #-32]!
    stp     x14, x15, [sp, #16]
    b       take_trap
    referee_failure 1
    referee_failure 2
    referee_failure 3
    referee_failure 0               // lower level, AArch32
    referee_failure 1
    referee_failure 2
    referee_failure 3

take_trap:
    mrs     x13, esr_el2
    lsr     x12, x13, #26
    cmp     x12, #0x18              // MRS or MSR
    b.ne    1f
    // A read (bit 0) with op0 3, op1 0 and CRn 0: an identification register.
    tbz     x13, #0, 1f
    ubfx    x12, x13, #20, #2
    cmp     x12, #3
    b.ne    1f
    ubfx    x12, x13, #10, #7
    cbz     x12, identification
1:  ldp     x14, x15, [sp, #16]
    ldp     x12, x13, [sp], #32
    sub     sp, sp, #REFEREE_FRAME_BYTES
    stp     x0, x1, [sp]
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
    stp     x30, xzr, [sp, #240]
    mrs     x9, elr_el2
    mrs     x10, spsr_el2
    stp     x9, x10, [sp, #256]
    mov     x29, xzr
    mov     x0, sp
    bl      referee_taken

    ldp     x9, x10, [sp, #256]
    msr     elr_el2, x9
    msr     spsr_el2, x10
    ldr     x30, [sp, #240]
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
    ldp     x0, x1, [sp], #REFEREE_FRAME_BYTES
    eret
