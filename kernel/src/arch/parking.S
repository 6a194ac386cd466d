// What CPUs do while they do not use the kernel's tables: a CPU that starts, one that is parked and
// one that goes for good. It runs through the identity map, on registers alone, and touches the
// ground (ground.rs) and no other memory.
//
// A CPU in the identity map has its place in TPIDR_EL0.

.section .idmap.text, "ax"

// Where PSCI starts a CPU: MMU and caches off, at EL1 or EL2. x0 is the CPU's number.
// From here to its order x22 is its place and x21 the ground.
.global secondary_entry
secondary_entry:
    msr     daifset, #0xf
    mov     x20, x0
    mrs     x9, CurrentEL
    cmp     x9, #(2 << 2)
    b.ne    1f
    bl      leave_el2
1:  ldr     x9, =SCTLR_EL1_OFF
    msr     sctlr_el1, x9
    isb
    adrp    x21, GROUND
    add     x22, x21, #PLACES
    add     x22, x22, x20, lsl #PLACE_SHIFT
    msr     tpidr_el0, x22
    msr     tpidr_el1, xzr
    mrs     x9, id_aa64pfr0_el1     // CPACR_EL1.FPEN, as the boot CPU has it
    mov     x10, #(3 << 20)
    tst     x9, #(1 << 23)
    csel    x10, x10, xzr, eq
    msr     cpacr_el1, x10
    msr     mdscr_el1, xzr
    msr     spsel, #1
    adrp    x9, identity_vectors
    add     x9, x9, :lo12:identity_vectors
    msr     vbar_el1, x9
    isb
    // ID_AA64MMFR0_EL1.TGran4: tables of 4 KiB are there unless the signed field is negative.
    mrs     x9, id_aa64mmfr0_el1
    tbz     x9, #31, 3f
    mov     x9, #STAGE_UNFIT
    str     x9, [x22, #STAGE]
    dsb     sy
2:  wfi
    b       2b
3:  ldp     x0, x1, [x21]
    ldp     x2, x3, [x21, #16]
    ldr     x4, [x21, #32]
    adr     x5, put_on_disguise
    b       enable_mmu

    .ltorg

// Until a CPU is told where its seat is, what it is to say that it is stands there.
put_on_disguise:
    ldp     x1, x2, [x22, #SEAT]
    cbz     x2, 1f
    movz    x0, #DISGUISE_LOW
    movk    x0, #DISGUISE_HIGH, lsl #16
    hvc     #0

// If there is a referee, this CPU comes under it before it says anything: what enter.S passes, with a
// stack of its own.
1:  adrp    x21, GROUND
    add     x17, x21, #REFEREE
    ldp     x11, x12, [x17, #80]
    cbz     x12, report_and_wait
    ldp     x1, x2, [x17]
    ldp     x3, x4, [x17, #16]
    ldp     x5, x6, [x17, #32]
    ldp     x7, x8, [x17, #48]
    ldp     x9, x10, [x17, #64]
    add     x10, x10, x20, lsl #REFEREE_STACK_SHIFT
    mov     x16, x20
    movz    x0, #REFEREE_START_LOW
    movk    x0, #REFEREE_START_HIGH, lsl #16
    hvc     #0
    cbz     x0, report_and_wait
2:  wfi                             // it never reports
    b       2b

// The MMU is on, the upper half empty, and this CPU's TLB was invalidated before. Says what the CPU
// is, and waits until it is told to come or to go.
report_and_wait:
    str     xzr, [x22, #ORDER]
    add     x10, x22, #REPORT
    mrs     x11, midr_el1
    mrs     x12, revidr_el1
    stp     x11, x12, [x10], #16
    mrs     x11, id_aa64mmfr0_el1
    mrs     x12, id_aa64mmfr1_el1
    stp     x11, x12, [x10], #16
    mrs     x11, id_aa64mmfr2_el1
    mrs     x12, s3_0_c0_c7_3           // ID_AA64MMFR3_EL1
    stp     x11, x12, [x10], #16
    mrs     x11, id_aa64isar0_el1
    mrs     x12, id_aa64pfr1_el1
    stp     x11, x12, [x10], #16
    mrs     x11, mpidr_el1
    str     x11, [x10]
    mov     x11, #STAGE_REPORTED
    add     x10, x22, #STAGE
    stlr    x11, [x10]
    dsb     ish
    sev
    add     x10, x22, #ORDER
1:  ldar    x11, [x10]
    cmp     x11, #ORDER_WAIT
    b.ne    2f
    wfe
    b       1b
2:  cmp     x11, #ORDER_COME
    b.ne    turn_off
    ldp     x11, x12, [x22, #SEAT]
    ldp     x13, x14, [x22, #SEAT + 16]
    adrp    x21, GROUND
    ldr     x15, [x21, #24]
    // Nothing was ever cached of the upper half.
    msr     ttbr1_el1, x11
    isb
    ldr     x16, =secondary_at_link_address
    br      x16

    .ltorg

// Parks this CPU. Called where it was loaded, through the identity map, all exceptions masked.
// x0 its place, x1 the gate, x2 the empty root, x3 the generation, x4 what its ticket holds then
//
// The CPU holds nothing of the tables when it says that it is parked. [parked-holds-nothing]
.global park_here
park_here:
    mrs     x9, vbar_el1
    mrs     x11, ttbr1_el1
    adrp    x10, identity_vectors
    add     x10, x10, :lo12:identity_vectors
    msr     vbar_el1, x10
    msr     ttbr1_el1, x2
    isb
    tlbi    vmalle1
    dsb     nsh
    isb
    add     x12, x0, #TICKET
    stlr    x4, [x12]
    dsb     ish
    sev
1:  ldar    x13, [x1]
    cmp     x13, x3
    b.hs    2f
    wfe
    b       1b
2:  msr     ttbr1_el1, x11
    msr     vbar_el1, x9
    isb
    ret

// Stores entries of the kernel's root, which nobody walks meanwhile: all others are parked, and this
// CPU is as they are. Called as park_here.
// x0 the root, in a window of the identity map; x1 the list of what changes, on the ground, each the
// offset of an entry and its new word; x2 the empty root, x3 how many change, 1 or more.
.global exchange_here
exchange_here:
    mrs     x9, vbar_el1
    mrs     x11, ttbr1_el1
    adrp    x10, outside_vectors
    add     x10, x10, :lo12:outside_vectors
    msr     vbar_el1, x10
    msr     ttbr1_el1, x2
    isb
    tlbi    vmalle1
    dsb     nsh
    isb
1:  ldp     x12, x13, [x1], #16
    str     x13, [x0, x12]
    subs    x3, x3, #1
    b.ne    1b
    dsb     ishst
    msr     ttbr1_el1, x11
    msr     vbar_el1, x9
    isb
    ret

// Leaves the kernel's tables for good and turns this CPU off. As park_here; x0 its place, x2 the
// empty root. If PSCI does not turn it off, it waits as it did when it had started.
.global leave_here
leave_here:
    mov     x22, x0
    adrp    x10, identity_vectors
    add     x10, x10, :lo12:identity_vectors
    msr     vbar_el1, x10
    msr     tpidr_el1, xzr
    msr     ttbr1_el1, x2
    isb
    tlbi    vmalle1
    dsb     nsh
    isb
    mov     x11, #STAGE_LEFT
    add     x10, x22, #STAGE
    stlr    x11, [x10]
    dsb     ish
    sev
turn_off:
    adrp    x21, GROUND
    ldr     x9, [x21, #CONDUIT]
    movz    x0, #0x0002                 // PSCI CPU_OFF
    movk    x0, #0x8400, lsl #16
    cbnz    x9, 1f
    hvc     #0
    b       report_and_wait
1:  smc     #0
    b       report_and_wait

// What was the exception, into the place.
.macro note_fault
    mrs     x16, tpidr_el0
    mrs     x17, esr_el1
    str     x17, [x16, #SEAT]
    mrs     x17, elr_el1
    str     x17, [x16, #SEAT + 8]
    mrs     x17, far_el1
    str     x17, [x16, #SEAT + 16]
.endm

// An exception in the identity map. While this CPU is parked or on its way in, it goes on when the
// gate opens: to say what happened, on the kernel's tables. Otherwise it stands still: off the
// tables, which it may not have left yet, and with nothing of them in its TLB.
identity_fault:
    note_fault
    ldr     x17, [x16, #TICKET]
    cbnz    x17, 2f
    adrp    x2, GROUND
    ldr     x2, [x2, #24]
    msr     ttbr1_el1, x2
    isb
    tlbi    vmalle1
    dsb     nsh
    isb
    mov     x17, #STAGE_FAULTED
    add     x16, x16, #STAGE
    stlr    x17, [x16]
    dsb     ish
    sev
1:  wfi
    b       1b
2:  ldar    x17, [x1]
    cmp     x17, x3
    b.hs    3f
    wfe
    b       2b
go_back_and_say:
3:  msr     ttbr1_el1, x11
    msr     vbar_el1, x9
    isb
    ldr     x17, =fault_while_parked
    br      x17

// An exception while all others are parked: they wait for this CPU, so it says what happened at once.
outside_fault:
    note_fault
    b       go_back_and_say

    .ltorg

.balign 0x800
identity_vectors:
.rept 16
    b       identity_fault
    .balign 128
.endr

outside_vectors:
.rept 16
    b       outside_fault
    .balign 128
.endr

.text
// x11 the root, x12 stack, x13 exception stack, x14 per-CPU data, x15 the empty root, x20 number
secondary_at_link_address:
    // A CPU that left, and was not turned off, has the other stack selected.
    msr     spsel, #1
    mov     sp, x13
    msr     spsel, #0
    mov     sp, x12
    msr     tpidr_el1, x14
    adrp    x9, vectors
    add     x9, x9, :lo12:vectors
    msr     vbar_el1, x9
    // Nothing is left of the identity map. [root-through-empty-table]
    msr     ttbr0_el1, x15
    isb
    tlbi    vmalle1
    dsb     nsh
    isb
    // System errors are reported from here on; interrupts stay masked.
    msr     daifclr, #4
    mov     x29, xzr
    mov     x30, xzr
    b       secondary_main
