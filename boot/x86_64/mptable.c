/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The MP table, which microvm without ACPI has in place of the MADT. Its entry count is not to be
 * trusted (QEMU writes 0): entries are walked up to the table's length.
 */
#include <string.h>

#include "boot.h"
#include "kernel/acpi.h"
#include "kernel/hart.h"
#include "kernel/machine.h"

#define HEADER_SIZE 44

static bool sums_to_zero(const uint8_t *at, unsigned size)
{
	uint8_t sum = 0;

	while (size-- > 0)
		sum += *at++;
	return sum == 0;
}

static uint32_t get32(const uint8_t *at)
{
	return at[0] | at[1] << 8 | at[2] << 16 | (uint32_t)at[3] << 24;
}

static bool take_entries(const uint8_t *at, const uint8_t *end)
{
	uint32_t gsi = 0;

	while (at < end) {
		unsigned size = at[0] == 0 ? 20 : 8;

		if (at[0] > 4 || size > end - at)
			return false;
		if (at[0] == 0 && (at[3] & 1)) /* a processor, enabled */
			acpi_add_hart(at[1]);
		if (at[0] == 2 && (at[3] & 1)) { /* an I/O APIC, usable */
			acpi_add_ioapic(get32(at + 4), gsi);
			gsi += 24;
		}
		at += size;
	}
	return true;
}

/* `at` is a floating pointer. */
static bool take_table(const uint8_t *at)
{
	const uint8_t *table = (const uint8_t *)(uintptr_t)get32(at + 4);
	unsigned length = table != NULL ? table[4] | table[5] << 8 : 0;

	if (length < HEADER_SIZE || memcmp(table, "PCMP", 4) != 0 || !sums_to_zero(table, length)) {
		hart_print("mptable: no sound table at 0x%x, skipped\n", (unsigned)get32(at + 4));
		return false;
	}
	if (!take_entries(table + HEADER_SIZE, table + length))
		hart_print("mptable: a malformed entry, the rest is skipped\n");
	return true;
}

static bool search(uintptr_t from, uintptr_t to)
{
	for (; from + 16 <= to; from += 16) {
		const uint8_t *at = (const uint8_t *)from;
		if (memcmp(at, "_MP_", 4) == 0 && at[8] == 1 && sums_to_zero(at, 16))
			return take_table(at);
	}
	return false;
}

bool mptable_discover(void)
{
	return search(0x9f800, 0xa0000) || search(0xf0000, 0x100000);
}
