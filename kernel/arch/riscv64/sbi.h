/* SPDX-License-Identifier: BSD-2-Clause */
/* Calls to the supervisor binary interface: firmware's services. */
#ifndef RISCV64_SBI_H
#define RISCV64_SBI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum sbi_extension {
	SBI_LEGACY_PUTCHAR = 0x01,
	SBI_BASE = 0x10,
	SBI_TIME = 0x54494d45,
	SBI_IPI = 0x735049,
	SBI_RFENCE = 0x52464e43,
	SBI_HSM = 0x48534d,
	SBI_SRST = 0x53525354,
	SBI_DBCN = 0x4442434e,
};

struct sbi_result {
	long error, value;
};

/* With a fourth argument of 0. */
struct sbi_result sbi_call(enum sbi_extension extension, unsigned function, uintptr_t a0,
			   uintptr_t a1, uintptr_t a2);
bool sbi_has(enum sbi_extension extension);
const char *sbi_error_name(long error);

/* A sink for console_set(): slow, but there before anything is known. */
void sbi_console_put(const char *text, size_t length);

#endif
