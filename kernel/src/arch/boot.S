// From the first instruction, wherever the image was loaded, to Rust at the link address.
//
// Entered as the arm64 Linux boot protocol says: x0 = device tree, MMU and data cache off, at EL1
// or EL2, interrupts masked. Nothing here depends on the load address: with the MMU off every
// symbol is taken relative to the program counter.
//
// x19 CurrentEL at entry   x20 device tree   x21 load address   x22 ticks at entry

.section .head.text, "ax"
.global _start
_start:
    b       boot                    // where a loader jumps to
    .long   0
    .quad   0                       // any multiple of 2 MiB will do
    .quad   __image_bytes           // zeroed data included
    .quad   0b1010                  // little-endian, 4 KiB pages, anywhere in memory
    .quad   0
    .quad   0
    .quad   0
    .ascii  "ARM\x64"
    .long   0

.section .boot.text, "ax"
boot:
    msr     daifset, #0xf
    msr     tpidr_el1, xzr
    mov     x20, x0
    adrp    x21, __image_start
    mrs     x19, CurrentEL
    cmp     x19, #(2 << 2)
    b.eq    1f
    mrs     x22, cntvct_el0
    b       2f
    // The virtual counter's offset means nothing yet; it is zeroed below, after which both
    // counters agree.
1:  mrs     x22, cntpct_el0
    bl      leave_el2
2:
    ldr     x9, =SCTLR_EL1_OFF
    msr     sctlr_el1, x9
    isb

    // What caches hold of the tables and stacks is from before this image: dirty lines would be
    // written back over what is stored with caches off, clean ones would hide it afterwards.
    // [tables-out-of-caches]
    bl      drop_boot_lines

    msr     spsel, #1
    adrp    x9, __exception_stack_end
    mov     sp, x9
    msr     spsel, #0
    adrp    x9, __boot_stack_end
    mov     sp, x9
    adrp    x9, vectors
    add     x9, x9, :lo12:vectors
    msr     vbar_el1, x9
    isb

    mov     x29, xzr
    sub     sp, sp, #48
    mov     x0, x21
    mov     x1, sp
    bl      paint_boot_tables
    ldp     x0, x1, [sp]
    ldp     x2, x3, [sp, #16]
    ldr     x4, [sp, #32]
    bl      drop_boot_lines
    ldr     x5, =start_at_link_address
    b       enable_mmu

// Invalidates the data cache lines of the boot tables and the stacks. Uses x9 to x12.
drop_boot_lines:
    // What was stored with caches off comes first: maintenance is ordered with such stores by a
    // barrier only.
    dsb     sy
    mrs     x9, ctr_el0
    ubfx    x9, x9, #16, #4
    mov     x10, #4
    lsl     x10, x10, x9
    adrp    x11, __boot_tables_start
    adrp    x12, __image_end
1:  dc      ivac, x11
    add     x11, x11, x10
    cmp     x11, x12
    b.lo    1b
    dsb     sy
    ret

    .ltorg

.text
start_at_link_address:
    mrs     x23, cntvct_el0
    msr     spsel, #1
    adrp    x9, __exception_stack_end
    mov     sp, x9
    msr     spsel, #0
    adrp    x9, __boot_stack_end
    mov     sp, x9
    adrp    x9, vectors
    add     x9, x9, :lo12:vectors
    msr     vbar_el1, x9
    // Whoever uses vector registers keeps what was in them. CPACR_EL1.FPEN: no trap of them where
    // there are any, which ID_AA64PFR0_EL1.AdvSIMD denies by a negative number.
    mrs     x9, id_aa64pfr0_el1
    mov     x10, #(3 << 20)
    tst     x9, #(1 << 23)
    csel    x10, x10, xzr, eq
    msr     cpacr_el1, x10
    msr     mdscr_el1, xzr
    isb

    adrp    x9, __bss_start
    add     x9, x9, :lo12:__bss_start
    adrp    x10, __bss_end
1:  stp     xzr, xzr, [x9], #16
    cmp     x9, x10
    b.lo    1b

    // The boot CPU is the first.
    adrp    x9, PER_CPU
    add     x9, x9, :lo12:PER_CPU
    adrp    x10, __last_stack_end
    str     x10, [x9, #LAST_STACK]
    msr     tpidr_el1, x9

    // System errors are reported from here on; interrupts stay masked.
    msr     daifclr, #4
    mov     x29, xzr
    mov     x30, xzr
    mov     x0, x20
    mov     x1, x21
    lsr     x2, x19, #2
    mov     x3, x22
    mov     x4, x23
    b       boot_main
