// The way from EL1 into the referee: what the kernel calls when it asks for one. Without that call
// nothing here ever runs.
//
// With the MMU of EL2 off this runs where it was loaded, in the page of idmap.S.

.section .idmap.text, "ax"

// x1 MAIR, x2 TCR, x3 TTBR0 for this page, x4 TTBR1, x5 SCTLR, x6 VTCR, x7 VTTBR,
// x8 bits to set in HCR, x9 TTBR0 for good, x10 stack, x11 state, x12 referee_entered, linked,
// x14 the disguise's fields, x16 the CPU's number
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
    stp     x14, x16, [sp, #-16]!
    msr     tpidr_el2, x11
    adrp    x13, referee_vectors
    add     x13, x13, :lo12:referee_vectors
    msr     vbar_el2, x13
    isb
    mov     x0, #0
    eret
