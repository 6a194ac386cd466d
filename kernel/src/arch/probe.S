// Calls code that may fault; see probe.rs.
//
// x0 the code's address, x1 where to put two words, x2 what the code gets in x0. Returns 0, with the code's x0 in the first
// word, or 1, with the syndrome and the fault's address.
//
// While the per-CPU EXECUTE_STACK is not zero, a fault of the code is turned into a jump to
// `execute_faulted` with that stack pointer, the syndrome in x0 and the address in x1.

.text
.global execute_guarded
execute_guarded:
    stp     x29, x30, [sp, #-112]!
    mov     x29, sp
    stp     x19, x20, [sp, #16]
    stp     x21, x22, [sp, #32]
    stp     x23, x24, [sp, #48]
    stp     x25, x26, [sp, #64]
    stp     x27, x28, [sp, #80]
    str     x1, [sp, #96]
    mrs     x9, tpidr_el1
    mov     x10, sp
    str     x10, [x9, #EXECUTE_STACK]
    mov     x9, x0
    mov     x0, x2
    blr     x9
.global execute_returned
execute_returned:
    mov     x1, xzr
    mov     x2, #0
    b       1f
.global execute_faulted
execute_faulted:
    mov     x2, #1
1:  mrs     x9, tpidr_el1
    str     xzr, [x9, #EXECUTE_STACK]
    ldr     x9, [sp, #96]
    stp     x0, x1, [x9]
    mov     x0, x2
    ldp     x19, x20, [sp, #16]
    ldp     x21, x22, [sp, #32]
    ldp     x23, x24, [sp, #48]
    ldp     x25, x26, [sp, #64]
    ldp     x27, x28, [sp, #80]
    ldp     x29, x30, [sp], #112
    ret
