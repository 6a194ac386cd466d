// Code that runs where it was loaded, through the identity map: it lies in a page of its own.

.section .idmap.text, "ax"

// Turns the MMU and caches on and goes on at x5.
// x0 MAIR, x1 TCR, x2 TTBR0, x3 TTBR1, x4 SCTLR
.global enable_mmu
enable_mmu:
    msr     mair_el1, x0
    msr     tcr_el1, x1
    msr     ttbr0_el1, x2
    msr     ttbr1_el1, x3
    isb
    // TLBs and instruction caches may hold anything at reset.
    tlbi    vmalle1
    ic      iallu
    dsb     nsh
    isb
    msr     sctlr_el1, x4
    isb
    br      x5

// Replaces the upper half's tables by those at x0, through the empty table at x1, and returns.
//
// In between, no translation of the upper half exists in the tables or, after the invalidation,
// in this CPU's TLB, so that no entry of the old tables meets one of the new.
// [root-through-empty-table]
.global replace_ttbr1
replace_ttbr1:
    msr     ttbr1_el1, x1
    isb
    tlbi    vmalle1
    dsb     nsh
    isb
    msr     ttbr1_el1, x0
    isb
    ret
