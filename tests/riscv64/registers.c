/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The registers of riscv64: see tests/registers.h. x3 and x4 are the linker's and the hart's.
 *
 * @test timeout=60
 */
#include "registers.h"

/* x10 is the seed, xN holds seed + N, fN seed + 100 + N, x5 counts. */
__asm__(
	"	.text\n"
	"	.globl	hold_registers\n"
	"	.type	hold_registers, @function\n"
	"hold_registers:\n"
	"	addi	sp, sp, -224\n"
	"	sd	ra, 0(sp)\n"
	"	.irp	n, 8, 9, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27\n"
	"	sd	x\\n, (\\n * 8)(sp)\n"
	"	.endr\n"
	"	mv	x5, x11\n"
	"	.irp	n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31\n"
	"	addi	x31, x10, 100 + \\n\n"
	"	fmv.d.x	f\\n, x31\n"
	"	.endr\n"
	"	andi	x31, x10, 3\n"
	"	slli	x31, x31, 5\n"
	"	ori	x31, x31, 0x15\n"
	"	fscsr	x31\n"
	"	.irp	n, 1,6,7,8,9,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31\n"
	"	addi	x\\n, x10, \\n\n"
	"	.endr\n"
	"1:	addi	x5, x5, -1\n"
	"	bnez	x5, 1b\n"
	"	.irp	n, 1,6,7,8,9,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31\n"
	"	addi	x5, x10, \\n\n"
	"	bne	x5, x\\n, 2f\n"
	"	.endr\n"
	"	.irp	n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31\n"
	"	addi	x5, x10, 100 + \\n\n"
	"	fmv.x.d	x6, f\\n\n"
	"	bne	x5, x6, 2f\n"
	"	.endr\n"
	"	andi	x6, x10, 3\n"
	"	slli	x6, x6, 5\n"
	"	ori	x6, x6, 0x15\n"
	"	frcsr	x7\n"
	"	addi	x5, x10, 200\n"
	"	bne	x6, x7, 2f\n"
	"	mv	x5, x10\n"
	"2:	sub	x10, x5, x10\n"
	"	fscsr	x0\n"
	"	ld	ra, 0(sp)\n"
	"	.irp	n, 8, 9, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27\n"
	"	ld	x\\n, (\\n * 8)(sp)\n"
	"	.endr\n"
	"	addi	sp, sp, 224\n"
	"	ret\n"
	"	.size	hold_registers, . - hold_registers\n");

static void set_rounding(unsigned mode)
{
	__asm__ volatile("fsrm %0" ::"r"(mode) : "memory");
}

static unsigned get_rounding(void)
{
	unsigned long mode;
	__asm__ volatile("frrm %0" : "=r"(mode)::"memory");
	return (unsigned)mode;
}
