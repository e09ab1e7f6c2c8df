/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Address space. RAM and devices are mapped one to one (a physical address is its own virtual address) in the
 * lower half, text read-only, data not executable, page 0 absent. The upper half [vm_stacks_start,
 * vm_stacks_end) holds the stacks of goroutines, mapped a page at a time. Tables of the lower half are never
 * freed, so that a walk needs no lock: entries are installed by compare-and-swap. In the upper half a page
 * can be hidden and taken away again, and the last table of a walk with it (kernel/trim.c).
 */
#ifndef KERNEL_VM_H
#define KERNEL_VM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernel/atomic.h"
#include "kernel/hart.h"
#include "kernel/trap.h"

#define PAGE_SHIFT 12
#define PAGE_SIZE ((size_t)1 << PAGE_SHIFT)
#define TABLE_SHIFT 21 /* a table of pages maps 2 MiB, on both architectures */

/* Set by arch_vm_init(): the upper half as this machine's page-table depth allows. */
extern uintptr_t vm_stacks_start, vm_stacks_end;
void stacks_init(void); /* divides it up; after arch_vm_init() */

enum vm_result { VM_MAPPED, VM_WAS_MAPPED, VM_NO_MEMORY };

/*
 * Maps one page of RAM read-write, not executable, at `va` in the stack area. Takes table pages from
 * table_page(), which may answer 0. For goroutines' stacks under the VM lock, also in a trap handler.
 * VM_WAS_MAPPED: another hart was faster, or the page is hidden; `pa` was not used. No TLB flush (invalid to
 * valid); the architecture's fault handler flushes `va` locally where the manual asks for it.
 */
enum vm_result arch_vm_map_page(uintptr_t va, uint64_t pa, uint64_t (*table_page)(void));

/* The physical address that `va` maps to in the current tables, or 0. */
uint64_t arch_vm_lookup(uintptr_t va);

/*
 * A page of the stack area can be hidden: its entry stays as it is but for the bit that makes
 * it valid, and whoever touches it faults. These change such a page's entry, under the
 * stacks' lock (kernel/stacks.h): kernel/vm.c.
 */
bool vm_hide(uintptr_t va);           /* false: none is there */
bool vm_is_hidden(uintptr_t va);
bool vm_show(uintptr_t va);           /* true: one is there now, which was hidden or not */
uint64_t vm_page(uintptr_t va);       /* the page that is there, hidden or not, or 0 */
uint64_t vm_take(uintptr_t va);       /* a hidden one is not there any more: its page. 0: none is hidden */
/* if the last table of the walk is empty it is left out: its page, else 0 */
uint64_t vm_take_table(uintptr_t va);

/*
 * What those need to know: an entry in the stack area, level 0 for a page, 1 for its table. NULL: no
 * table on the way.
 */
#define VM_VALID ((uint64_t)1)
_Atomic(uint64_t) *arch_vm_entry(uintptr_t va, int level);
uint64_t arch_vm_entry_page(uint64_t entry);

/*
 * From here on no hart uses a translation that was hidden or a table that was taken before. Waits for the
 * interrupt handlers of the other harts that do not sleep: interrupts on, no lock held. False: firmware
 * cannot do it.
 */
bool arch_vm_flush(void);
void arch_vm_flush_here(void); /* the calling hart forgets them: because it was asked to, or in vm_wake() */

/*
 * A hart that sleeps is not woken for a flush: where harts share a processor that takes until it runs again,
 * and whoever flushes waits for it. It forgets all translations as it wakes; before then it touches no stack
 * of a G's.
 */
enum vm_sleep { VM_AWAKE, VM_ASLEEP, VM_ASLEEP_STALE };

/* Around the sleep in hart_idle(), interrupts off. A handler that ends the sleep wakes the hart first. */
void vm_fall_asleep(struct hart *hart);
void vm_wake(struct hart *hart);
bool vm_will_flush(struct hart *hart);  /* for arch_vm_flush(). False: it is awake, and has to be asked */

/*
 * In the handlers of interrupts: flushes the calling hart's TLB, unless it did so in the last 100 ms. QEMU,
 * which gives it another size only then, is the reason.
 */
void vm_refresh(struct hart *hart, int64_t now);

/* Maps a device's registers one to one, uncached, not executable. At boot or later. 0 or -1. */
int arch_vm_map_device(uint64_t pa, size_t size);

/*
 * Called by the architecture's page fault handler, on the trap stack, interrupts off, for any
 * data access to [vm_stacks_start, vm_stacks_end). True: the page is there now, retry. Does
 * not return for an overflow or when memory is out: those end the machine with a report.
 */
bool stack_fault(uintptr_t va, const struct trap_point *at);
/* Does the calling hart hold a lock that it takes? locks > 0 or interrupts off. */
bool vm_fault_locked_here(void);

#endif
