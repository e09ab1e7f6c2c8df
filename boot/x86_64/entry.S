/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The first instructions. A boot loader that knows PVH (QEMU's -kernel) finds the note, loads
 * the image and jumps to _start: 32-bit protected mode, flat segments, no paging, interrupts
 * off, ebx = struct hvm_start_info. Other harts come from trampoline.S to ap_start32.
 *
 * Both go to 64-bit mode on boot_root, tables that map the first 4 GiB one to one by 2 MiB
 * pages; vm.c makes the real ones, which may lie where 32-bit code cannot reach.
 */
#include "asm.h"

#define XEN_ELFNOTE_PHYS32_ENTRY 18

#define CR0_PG_WP_PE 0x80010001
#define CR4_PAE 0x20
#define MSR_EFER 0xc0000080
#define MSR_GS_BASE 0xc0000101
#define EFER_LME_NXE 0x900
#define CPUID_EXT_EDX_NX_LM 0x20100000

#define BOOT_STACK_SIZE 16384
#define COM1 0x3f8

	.section .note.Xen, "a", @note
	.balign 4
	.long 4, 8, XEN_ELFNOTE_PHYS32_ENTRY
	.asciz "Xen"
	.quad _start

/* From 32-bit code with flat segments to 64-bit code at `target`. Changes eax, ecx, edx. */
	.macro LONG_MODE target
	mov $CR4_PAE, %eax
	mov %eax, %cr4
	mov $boot_root, %eax
	mov %eax, %cr3
	mov $MSR_EFER, %ecx
	rdmsr
	or $EFER_LME_NXE, %eax
	wrmsr
	mov $CR0_PG_WP_PE, %eax
	mov %eax, %cr0
	ljmp $CODE_SELECTOR, $\target
	.endm

	.section .text.boot, "ax"
	.code32
	.globl _start
_start:
	cli
	cld
	mov $__bss_start, %edi
	mov $__bss_end, %ecx
	sub %edi, %ecx
	shr $2, %ecx
	xor %eax, %eax
	rep stosl
	mov %ebx, %ebp

	/* Where there is no RAM, nothing stays written: the stack lies at the image's end too. */
	mov $too_big_message, %esi
	movl $_start, __bss_end - 4
	cmpl $_start, __bss_end - 4
	jne give_up
	movl $0, __bss_end - 4

	mov $no_long_mode_message, %esi
	mov $0x80000000, %eax
	cpuid
	cmp $0x80000001, %eax
	jb give_up
	mov $0x80000001, %eax
	cpuid
	and $CPUID_EXT_EDX_NX_LM, %edx
	cmp $CPUID_EXT_EDX_NX_LM, %edx
	jne give_up

	/* boot_directories: 2048 entries of 2 MiB, present, writable, large. */
	mov $boot_directories, %edi
	mov $0x83, %eax
1:	mov %eax, (%edi)
	add $8, %edi
	add $0x200000, %eax
	jnc 1b
	movl $boot_pointers + 3, boot_root
	movl $boot_directories + 0x0003, boot_pointers
	movl $boot_directories + 0x1003, boot_pointers + 8
	movl $boot_directories + 0x2003, boot_pointers + 16
	movl $boot_directories + 0x3003, boot_pointers + 24
	lgdt boot_gdtr
	LONG_MODE start64

/* Says what esi points to and ends the machine as kernel/arch/x86_64/power.c does. */
give_up:
	mov $COM1, %edx
1:	lodsb
	test %al, %al
	jz 2f
	out %al, %dx
	jmp 1b
2:	mov $2, %al
	out %al, $0xe9
	out %al, $0xf4
	hlt
	jmp 2b

	.globl ap_start32
ap_start32:
	mov $DATA_SELECTOR, %eax
	mov %eax, %ds
	mov %eax, %es
	mov %eax, %ss
	LONG_MODE ap_start64

	.code64
start64:
	mov $boot_stack_top, %esp
	mov $boot_hart_early, %eax
	xor %edx, %edx
	mov $MSR_GS_BASE, %ecx
	wrmsr
	mov %ebp, %edi
	xor %esi, %esi
	xor %ebp, %ebp
	call boot_main
	ud2

/* A hart knows itself by its APIC id only: that leads to its block, and so to its stack. */
ap_start64:
	mov $1, %eax
	cpuid
	shr $24, %ebx
	mov ap_harts(, %rbx, 8), %rdi
	test %rdi, %rdi
	jz 1f
	mov vm_root, %rax
	mov %rax, %cr3
	mov HART_G0_SP(%rdi), %rsp
	mov %rdi, %rax
	mov %rdi, %rdx
	shr $32, %rdx
	mov $MSR_GS_BASE, %ecx
	wrmsr
	xor %ebp, %ebp
	call ap_main
1:	cli
	hlt
	jmp 1b

	.section .rodata
	.balign 8
	.globl boot_gdt
boot_gdt:
	.quad 0, 0x00af9a000000ffff, 0x00cf92000000ffff
	.quad 0x00cf9a000000ffff        /* 32-bit code: AP_CODE32_SELECTOR */
boot_gdt_end:
boot_gdtr:
	.word boot_gdt_end - boot_gdt - 1
	.long boot_gdt
too_big_message:
	.asciz "gump: the image does not fit in this machine's memory; use a larger -m\n"
no_long_mode_message:
	.asciz "gump: this CPU has no 64-bit mode with NX; use -cpu qemu64 or better\n"

	.bss
	.balign 4096
boot_root:
	.skip 4096
boot_pointers:
	.skip 4096
boot_directories:
	.skip 4 * 4096
	.skip BOOT_STACK_SIZE
boot_stack_top:

	.section .note.GNU-stack, "", @progbits
