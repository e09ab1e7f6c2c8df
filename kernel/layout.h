/* SPDX-License-Identifier: BSD-2-Clause */
/* Where linker/ARCH.ld put the image. Each part starts on a page of its own. */
#ifndef KERNEL_LAYOUT_H
#define KERNEL_LAYOUT_H

extern char __image_start[], __image_end[]; /* everything, bss included */
extern char __text_start[], __text_end[];
extern char __rodata_start[], __rodata_end[];
extern char __data_start[], __data_end[];
extern char __bss_start[], __bss_end[];

/*
 * Parts of the system that are linked only when a program uses them (the network) start
 * themselves: KERNEL_INIT(fn) has fn() called in the first goroutine before main(). A failure is the
 * part's own to report; main() runs in any case.
 */
typedef void kernel_init_fn(void);
extern kernel_init_fn *const __init_start[], *const __init_end[];
#define KERNEL_INIT(fn) \
	static kernel_init_fn *const init_##fn \
		__attribute__((used, section("gump_init"))) = (fn)

#endif
