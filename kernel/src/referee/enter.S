// The way from EL1 into the referee: the vectors that EL2 is left with, and what takes the place of
// those when the kernel calls for the referee. Without that call nothing here ever runs.
//
// With the MMU of EL2 off this runs where it was loaded, in the page of idmap.S.

.section .idmap.text, "ax"

// x1 MAIR, x2 TCR, x3 TTBR0 for this page, x4 TTBR1, x5 SCTLR, x6 VTCR, x7 VTTBR,
// x8 bits to set in HCR, x9 TTBR0 for good, x10 stack, x11 state, x12 referee_entered, linked
//
// EL2 becomes EL2&0 (E2H), so that it has an upper half and the image can run in it.
// Source: "The Effective value of HCR_EL2.E2H", "CPTR_EL2", "CNTHCTL_EL2" when E2H is 1.
enter_referee:
    mrs     x13, hcr_el2
    orr     x13, x13, x8
    msr     hcr_el2, x13
    isb
    // As leave_el2 has it, in the other format: EL1 uses floating point and the counter.
    mov     x13, #(3 << 20)
    msr     cptr_el2, x13
    mov     x13, #(3 << 10)
    msr     cnthctl_el2, x13

    msr     mair_el2, x1
    msr     tcr_el2, x2
    msr     ttbr0_el2, x3
    msr     s3_4_c2_c0_1, x4        // TTBR1_EL2
    msr     vtcr_el2, x6
    msr     vttbr_el2, x7
    isb
    // Nothing is cached of either; what EL1's TLB entries were without stage 2, they are no more.
    tlbi    alle2
    tlbi    alle1
    ic      iallu
    dsb     nsh
    isb
    msr     sctlr_el2, x5
    isb
    br      x12

called_before_referee:
    mrs     x13, esr_el2
    lsr     x13, x13, #26
    cmp     x13, #0x16              // HVC
    b.ne    1f
    movz    x13, #REFEREE_START_LOW
    movk    x13, #REFEREE_START_HIGH, lsl #16
    cmp     x0, x13
    b.eq    enter_referee
    mov     x0, #-1                 // no such call
    eret
1:  wfi
    b       1b

.balign 0x800
.global referee_stub
referee_stub:
.rept 8                             // this level: nothing runs here
    b       1b
    .balign 128
.endr
    b       called_before_referee   // lower level, AArch64: synchronous
    .balign 128
.rept 7
    b       1b
    .balign 128
.endr

.text
.global referee_entered
referee_entered:
    // Nothing came from the lower half but this CPU's way here. [root-through-empty-table]
    msr     ttbr0_el2, x9
    isb
    tlbi    alle2
    dsb     nsh
    isb
    mov     sp, x10
    msr     tpidr_el2, x11
    adrp    x13, referee_vectors
    add     x13, x13, :lo12:referee_vectors
    msr     vbar_el2, x13
    isb
    mov     x0, #0
    eret
