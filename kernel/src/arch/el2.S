// Leaves EL2 for EL1, with nothing of EL1's trapped.
//
// Returns to its caller, at EL1 and with interrupts masked. Uses x9 to x12.
// Source: the "…_EL2" register descriptions; every field whose reset value is unknown is written.

.section .boot.text, "ax"
leave_el2:
    // EL1 is AArch64 (RW); pointer authentication is EL1's own (APK, API).
    mov     x9, #(1 << 31)
    orr     x9, x9, #(1 << 40)
    orr     x9, x9, #(1 << 41)
    // With memory tagging, so are tags (ATA): without it tagged memory is plain memory.
    mrs     x10, id_aa64pfr1_el1
    ubfx    x10, x10, #8, #4
    cmp     x10, #2
    b.lo    1f
    orr     x9, x9, #(1 << 56)
1:  msr     hcr_el2, x9
    isb

    mrs     x9, midr_el1
    msr     vpidr_el2, x9
    mrs     x9, mpidr_el1
    msr     vmpidr_el2, x9

    // EL1 may read the physical counter and timer; the virtual counter is the physical one.
    mov     x9, #3
    msr     cnthctl_el2, x9
    msr     cntvoff_el2, xzr

    // No trap of floating point or of CPACR_EL1; the rest is RES1 or not there to be used.
    mov     x9, #0x33ff
    msr     cptr_el2, x9
    msr     hstr_el2, xzr
    msr     vttbr_el2, xzr

    // Every event counter is EL1's, where there are any.
    mrs     x9, id_aa64dfr0_el1
    ubfx    x9, x9, #8, #4
    mov     x10, xzr
    cbz     x9, 2f
    cmp     x9, #0xf
    b.eq    2f
    mrs     x10, pmcr_el0
    ubfx    x10, x10, #11, #5
2:  msr     mdcr_el2, x10

    // The interrupt controller's register interface, where there is one: SRE and Enable of
    // ICC_SRE_EL2, then ICH_HCR_EL2, which exists only if SRE stuck.
    mrs     x9, id_aa64pfr0_el1
    ubfx    x9, x9, #24, #4
    cbz     x9, 3f
    mrs     x9, s3_4_c12_c9_5
    orr     x9, x9, #1
    orr     x9, x9, #8
    msr     s3_4_c12_c9_5, x9
    isb
    mrs     x9, s3_4_c12_c9_5
    tbz     x9, #0, 3f
    msr     s3_4_c12_c11_0, xzr

    // No fine-grained traps: HFGRTR, HFGWTR, HFGITR, HDFGRTR, HDFGWTR.
3:  mrs     x9, id_aa64mmfr0_el1
    ubfx    x9, x9, #56, #4
    cbz     x9, 4f
    msr     s3_4_c1_c1_4, xzr
    msr     s3_4_c1_c1_5, xzr
    msr     s3_4_c1_c1_6, xzr
    msr     s3_4_c3_c1_4, xzr
    msr     s3_4_c3_c1_5, xzr

    // HCRX_EL2, where it exists: nothing it enables is used.
4:  mrs     x9, id_aa64mmfr1_el1
    ubfx    x9, x9, #40, #4
    cbz     x9, 5f
    msr     s3_4_c1_c2_2, xzr

    // What EL1 may call from here on; see vectors.S of the disguise.
5:  mov     x12, x30
    bl      prepare_el2
    mov     x30, x12

    ldr     x9, =SCTLR_EL1_OFF
    msr     sctlr_el1, x9
    // EL1 with its own stack pointer, everything masked.
    mov     x9, #0x3c5
    msr     spsr_el2, x9
    msr     elr_el2, x30
    eret

    .ltorg
