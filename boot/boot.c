/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The order in which the system comes up, on the boot hart, from the architecture's entry code to
 * main(). The boot hart becomes hart 0, the boot stack is left for its g0 stack, and main() runs in
 * the first goroutine.
 */
#include <stdlib.h>
#include <string.h>

#include "kernel/cmdline.h"
#include "kernel/hart.h"
#include "kernel/heap.h"
#include "kernel/layout.h"
#include "kernel/machine.h"
#include "kernel/memory.h"
#include "kernel/pages.h"
#include "kernel/vm.h"

int main(int argc, char **argv);

static struct hart *harts[HARTS_MAX];

unsigned hart_count(void)
{
	return machine.hart_count;
}

struct hart *hart_get(unsigned id)
{
	return harts[id];
}

/*
 * A block of memory for each hart, in pages that no other hart's data share: the scheduler's part, then the
 * heap's. And a g0 stack, which is a goroutine's stack: it has a guard, and takes the pages that it needs.
 */
static void harts_alloc(void)
{
	size_t size = (sched_hart_size + CACHE_LINE - 1) & ~((size_t)CACHE_LINE - 1);
	size_t pages = (size + heap_hart_size() + PAGE_SIZE - 1) >> PAGE_SHIFT;
	for (unsigned id = 0; id < machine.hart_count; id++) {
		struct hart *hart = pages_alloc_run(pages, 1, PAGES_HARTS);
		struct hart_stack g0;
		if (hart == NULL || hart_stack_alloc(&g0, 0) != 0)
			hart_fatal("no memory for hart %u", id);
		memset(hart, 0, pages << PAGE_SHIFT);
		heap_hart_init(hart, (char *)hart + size);
		hart->self = hart;
		hart->id = id;
		hart->mark = id + 1;
		hart->hwid = machine.hart_hwid[id];
		hart->locks = 1;
		hart->g0_sp = g0.top;
		harts[id] = hart;
	}
}

void __libc_init_array(void);

static int main_argc;
static char **main_argv;

/* The first goroutine. */
static void run_main(void)
{
	for (kernel_init_fn *const *init = __init_start; init < __init_end; init++)
		(*init)();
	__libc_init_array(); /* the program's constructors; exit() calls the destructors */
	if (hart_debug_word("memory"))
		memory_map_print();
	int status = main(main_argc, main_argv);
	sched_run_deferred();
	exit(status);
}

static void start_scheduler(void *unused)
{
	(void)unused;
	cmdline_parse(&main_argc, &main_argv);
	heap_debug_init();
	sched_init();
	arch_harts_start();
	sched_start(run_main);
}

/*
 * Before the page tables are on and a hart's block is installed, hart_self() points to `early`
 * (each architecture's entry code loads it), so that locks and reports work from the start.
 */
struct hart boot_hart_early = { .self = &boot_hart_early, .mark = 1, .locks = 1 };

void boot_main(uintptr_t a0, uintptr_t a1)
{
	arch_console_early();
	arch_discover(a0, a1);
	pages_init();
	arch_vm_init();
	stacks_init();
	harts_alloc();
	arch_hart_install(harts[0]);
	arch_clock_init();
	arch_irq_init();

	uintptr_t boot_sp; /* never resumed: the boot stack ends here */
	hart_mcall(&boot_sp, start_scheduler, NULL);
	__builtin_unreachable();
}
