/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where a startup IPI sends another hart: real mode, cs:ip = page:0000. harts.c copies
 * this to a page below 640 KiB. It needs no stack and no data of its own, so all harts may
 * run it at once.
 */
#include "asm.h"

#define AP_CODE32_SELECTOR 0x18

	.section .rodata
	.code16
	.globl ap_trampoline, ap_trampoline_end
ap_trampoline:
	cli
	mov %cs, %ax
	mov %ax, %ds
	lgdtl trampoline_gdtr - ap_trampoline
	mov %cr0, %eax
	or $1, %al
	mov %eax, %cr0
	ljmpl $AP_CODE32_SELECTOR, $ap_start32
	.balign 4
trampoline_gdtr:
	.word 4 * 8 - 1
	.long boot_gdt
ap_trampoline_end:

	.section .note.GNU-stack, "", @progbits
