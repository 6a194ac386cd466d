// The vectors that EL2 is left with: calls from EL1, and the identification registers of a CPU in
// disguise. Without a call nothing here ever runs.
//
// EL2's MMU is off: this runs where it was loaded, on a stack that nobody else writes to, and keeps
// every register of EL1 but the results.
//
// From the top of a CPU's stack, downwards: the disguise (two words), room for four registers.

.set DISGUISE_STACK, 64
.set DISGUISE_BYTES, 16

.section .boot.text, "ax"

// Gives this CPU its stack at EL2, with no disguise on it. CPUs beyond the last stack get none, and
// no call is answered on them. Uses x9 to x11.
prepare_el2:
    mrs     x9, mpidr_el1
    // Sixteen CPUs to a cluster, as QEMU and GICs of version 3 count them.
    and     x10, x9, #0xf
    ubfx    x11, x9, #8, #8
    add     x10, x10, x11, lsl #4
    adrp    x9, unattended_el2
    add     x9, x9, :lo12:unattended_el2
    cmp     x10, #DISGUISE_CPUS
    b.hs    1f
    adrp    x11, __el2_stacks_start
    add     x11, x11, :lo12:__el2_stacks_start
    add     x10, x10, #1
    mov     x9, #DISGUISE_STACK
    madd    x11, x10, x9, x11
    stp     xzr, xzr, [x11, #-DISGUISE_BYTES]!
    mov     sp, x11
    adrp    x9, el2_vectors
    add     x9, x9, :lo12:el2_vectors
1:  msr     vbar_el2, x9
    ret

.balign 0x800
unattended_el2:
.rept 8
    b       .
    .balign 128
.endr
    mov     x0, #-1                 // no such call
    eret
    .balign 128
.rept 7
    b       .
    .balign 128
.endr

.global el2_vectors
el2_vectors:
.rept 8                             // this level: nothing runs here
    b       .
    .balign 128
.endr
    b       trapped                 // lower level, AArch64: synchronous
    .balign 128
.rept 7
    b       .
    .balign 128
.endr

trapped:
    stp     x12, x13, [sp, #-32]!
    stp     x14, x15, [sp, #16]
    mrs     x13, esr_el2
    lsr     x12, x13, #26
    cmp     x12, #0x18              // MRS or MSR
    b.eq    identification
    cmp     x12, #0x16              // HVC
    b.ne    .
    ldp     x14, x15, [sp, #16]
    ldp     x12, x13, [sp], #32
    movz    x13, #REFEREE_START_LOW
    movk    x13, #REFEREE_START_HIGH, lsl #16
    cmp     x0, x13
    b.eq    call_referee
    movz    x13, #DISGUISE_LOW
    movk    x13, #DISGUISE_HIGH, lsl #16
    cmp     x0, x13
    b.eq    put_on
    movz    x13, #ERROR_LOW
    movk    x13, #ERROR_HIGH, lsl #16
    cmp     x0, x13
    b.eq    raise_error
    mov     x0, #-1                 // no such call
    eret

// Source: "HCR_EL2.VSE", which counts only while HCR_EL2.AMO is set.
raise_error:
    mrs     x13, hcr_el2
    orr     x13, x13, #(1 << 5)
    orr     x13, x13, #(1 << 8)
    msr     hcr_el2, x13
    isb
    mov     x0, xzr
    eret
call_referee:
    ldp     x14, x15, [sp]          // the disguise goes along
    adrp    x13, enter_referee
    add     x13, x13, :lo12:enter_referee
    br      x13

// x1 what MIDR_EL1 reads as, or zero; x2 the fields of others: bits 3:0 ID_AA64MMFR2_EL1.BBM, if bit 4 is set;
// bits 11:8 ID_AA64ISAR0_EL1.TLB, if bit 12 is set.
//
// Source: "VPIDR_EL2", "HCR_EL2.TID3".
put_on:
    cbnz    x1, 1f
    mrs     x1, midr_el1            // the truth, here
1:  msr     vpidr_el2, x1
    str     x2, [sp]
    mrs     x13, hcr_el2
    orr     x13, x13, #(1 << 18)
    msr     hcr_el2, x13
    isb
    mov     x0, xzr
    eret

// EL1 reads an identification register: op0 3, op1 0, CRn 0, CRm 1 to 7. Nothing else traps.
// x13 ESR, and the syndrome's fields: "ISS encoding for an exception from MSR, MRS".
// The referee's vectors come here too, with as much on their stack.
.global identification
identification:
    ubfx    x12, x13, #1, #4        // CRm
    ubfx    x14, x13, #17, #3       // op2
    add     x12, x14, x12, lsl #3
    adr     x14, read_register - 8 * 8
    add     x14, x14, x12, lsl #3
    br      x14

read_register:
.irp crm, 1, 2, 3, 4, 5, 6, 7
.irp op2, 0, 1, 2, 3, 4, 5, 6, 7
    mrs     x15, s3_0_c0_c\crm\()_\op2
    b       disguised
.endr
.endr

disguised:
    ldr     x14, [sp, #32]
    cmp     x12, #(7 * 8 + 2)       // ID_AA64MMFR2_EL1
    b.eq    1f
    cmp     x12, #(6 * 8 + 0)       // ID_AA64ISAR0_EL1
    b.ne    2f
    tbz     x14, #12, 2f
    lsr     x14, x14, #8
    bfi     x15, x14, #56, #4
    b       2f
1:  tbz     x14, #4, 2f
    bfi     x15, x14, #52, #4
2:  ubfx    x12, x13, #5, #5        // the register that EL1 reads into
    adr     x14, answer
    add     x14, x14, x12, lsl #3
    br      x14

// Those that are in use here are answered where they are kept.
answer:
.irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11
    mov     x\n, x15
    b       answered
.endr
.irp n, 0, 8, 16, 24
    str     x15, [sp, #\n]
    b       answered
.endr
.irp n, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30
    mov     x\n, x15
    b       answered
.endr
answered:                           // also for XZR
    mrs     x13, elr_el2
    add     x13, x13, #4
    msr     elr_el2, x13
    ldp     x14, x15, [sp, #16]
    ldp     x12, x13, [sp], #32
    eret
