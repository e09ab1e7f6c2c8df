/* SPDX-License-Identifier: BSD-2-Clause */
/* The supervisor binary interface: the call itself, and the console that works first. */
#include "sbi.h"

struct sbi_result sbi_call(enum sbi_extension extension, unsigned function, uintptr_t a0,
			   uintptr_t a1, uintptr_t a2)
{
	register uintptr_t r0 __asm__("a0") = a0;
	register uintptr_t r1 __asm__("a1") = a1;
	register uintptr_t r2 __asm__("a2") = a2;
	register uintptr_t r3 __asm__("a3") = 0;
	register uintptr_t r6 __asm__("a6") = function;
	register uintptr_t r7 __asm__("a7") = extension;

	__asm__ volatile("ecall" : "+r"(r0), "+r"(r1) : "r"(r2), "r"(r3), "r"(r6), "r"(r7) : "memory");
	return (struct sbi_result){ (long)r0, (long)r1 };
}

bool sbi_has(enum sbi_extension extension)
{
	struct sbi_result probe = sbi_call(SBI_BASE, 3, extension, 0, 0);
	return probe.error == 0 && probe.value != 0;
}

const char *sbi_error_name(long error)
{
	static const char *const names[] = {
		"no error", "failed", "not supported", "invalid parameter", "denied",
		"invalid address", "already available", "already started", "already stopped",
	};
	if (error > 0 || error <= -(long)(sizeof(names) / sizeof(names[0])))
		return "unknown error";
	return names[-error];
}

/*
 * A byte at a time, to firmware of SBI 2.0 (DBCN) and to older one. DBCN takes a whole text, too, but by its
 * physical address, and a report's lies on a stack.
 */
void sbi_console_put(const char *text, size_t length)
{
	static int has_dbcn = -1;

	if (has_dbcn < 0)
		has_dbcn = sbi_has(SBI_DBCN);
	for (; length > 0; text++, length--)
		if (has_dbcn)
			sbi_call(SBI_DBCN, 2, (uint8_t)*text, 0, 0); /* sbi_debug_console_write_byte */
		else
			sbi_call(SBI_LEGACY_PUTCHAR, 0, (uint8_t)*text, 0, 0);
}
