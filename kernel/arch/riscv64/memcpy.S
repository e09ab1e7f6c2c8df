/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * memcpy, in place of picolibc's, which copies bytes one by one when source and destination
 * are not aligned alike: 10 ns each under QEMU, and data from the network seldom is.
 *
 * The destination is aligned first. If the source is aligned then too, words are copied, eight at a time;
 * if not, each word is put together from two aligned ones, so that no access is ever
 * misaligned (which traps on some harts) and none touches a word that holds no wanted byte.
 */

	.section .text.memcpy, "ax", @progbits
	.globl memcpy
	.type memcpy, @function
memcpy:                         /* a0: to, a1: from, a2: length; answers a0 */
	mv	t6, a0
	li	t0, 16
	bltu	a2, t0, 8f      /* too short to be worth it */

1:	andi	t0, t6, 7       /* align the destination */
	beqz	t0, 2f
	lbu	t1, 0(a1)
	addi	a1, a1, 1
	addi	a2, a2, -1
	sb	t1, 0(t6)
	addi	t6, t6, 1
	j	1b

2:	andi	t0, a1, 7
	bnez	t0, 5f

	li	t5, 64          /* both aligned */
3:	bltu	a2, t5, 4f
	ld	t0, 0(a1)
	ld	t1, 8(a1)
	ld	t2, 16(a1)
	ld	t3, 24(a1)
	ld	a3, 32(a1)
	ld	a4, 40(a1)
	ld	a5, 48(a1)
	ld	a6, 56(a1)
	addi	a1, a1, 64
	addi	a2, a2, -64
	sd	t0, 0(t6)
	sd	t1, 8(t6)
	sd	t2, 16(t6)
	sd	t3, 24(t6)
	sd	a3, 32(t6)
	sd	a4, 40(t6)
	sd	a5, 48(t6)
	sd	a6, 56(t6)
	addi	t6, t6, 64
	j	3b

4:	li	t5, 8
	bltu	a2, t5, 8f
	ld	t0, 0(a1)
	addi	a1, a1, 8
	addi	a2, a2, -8
	sd	t0, 0(t6)
	addi	t6, t6, 8
	j	4b

5:	slli	t1, t0, 3       /* the source is t0 bytes off: shift right by t1, left by t2 */
	li	t2, 64
	sub	t2, t2, t1
	sub	a3, a1, t0
	ld	a4, 0(a3)       /* what was read already */
	li	t5, 16
6:	bltu	a2, t5, 7f
	ld	a5, 8(a3)
	ld	a6, 16(a3)
	srl	t3, a4, t1
	sll	t4, a5, t2
	or	t3, t3, t4
	sd	t3, 0(t6)
	srl	t3, a5, t1
	sll	t4, a6, t2
	or	t3, t3, t4
	sd	t3, 8(t6)
	mv	a4, a6
	addi	a3, a3, 16
	addi	a2, a2, -16
	addi	t6, t6, 16
	j	6b
7:	add	a1, a3, t0

8:	beqz	a2, 10f         /* what is left, byte by byte */
	add	a2, a2, t6
9:	lbu	t0, 0(a1)
	addi	a1, a1, 1
	sb	t0, 0(t6)
	addi	t6, t6, 1
	bltu	t6, a2, 9b
10:	ret
	.size memcpy, . - memcpy
