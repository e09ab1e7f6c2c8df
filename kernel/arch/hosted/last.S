/* SPDX-License-Identifier: BSD-2-Clause */
/* Where the program and gump end: behind that comes clang's ThreadSanitizer, which is not preempted. */
	.text
	.globl text_last
text_last:
	.section .note.GNU-stack, "", @progbits
