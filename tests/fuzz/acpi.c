/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ACPI's tables are any bytes, each with a length of its own behind which nothing may be read. The input is a
 * row of tables: two bytes for the size, one for what is put right, then the table. Signatures and all that
 * is inside are the input's. So that it gets past the first look, the RSDP's signature is put right,
 * checksums and lengths are if the third byte says so, and what should point at a table does: at one of the
 * input's, or out of reach.
 */
#include <sanitizer/asan_interface.h>
#include <sys/mman.h>

#include "fuzz.h"

#include "../../kernel/acpi.c"

#define TABLES 16
#define ROOM ((size_t)8192)
#define PLACE ((uint8_t *)0x20000000) /* pointers of 32 bits must reach it */
#define RSDP_SIZE 36

enum { FIX_SUM = 1, FIX_LENGTH = 2, KEEP_POINTERS = 4 };

struct machine machine;

static struct table {
	uint8_t *at;
	size_t size;
} tables[TABLES];
static unsigned count;

/* Where a pointer of the input leads: to a table, or to where none can be. */
static uint64_t place_of(uint64_t value)
{
	return value == 0 ? 0 : value % 17 == 16 ? REACHABLE : (uintptr_t)tables[value % count].at;
}

static void fix_sum(uint8_t *at, size_t size, unsigned where)
{
	uint8_t sum = 0;
	at[where] = 0;
	for (size_t i = 0; i < size; i++)
		sum = (uint8_t)(sum + at[i]);
	at[where] = (uint8_t)-sum;
}

static void fix_pointer(struct table *table, size_t offset, size_t width)
{
	uint64_t value = 0;
	if (offset + width > table->size)
		return;
	memcpy(&value, table->at + offset, width);
	value = place_of(value);
	memcpy(table->at + offset, &value, width);
}

static void fix(struct table *table, unsigned how)
{
	uint8_t *at = table->at;
	size_t root = memcmp(at, "RSDT", 4) == 0 ? 4 : memcmp(at, "XSDT", 4) == 0 ? 8 : 0;
	uint32_t length = get32(at + 4);

	for (size_t i = HEADER_SIZE; root != 0 && i < table->size; i += root)
		fix_pointer(table, i, root);
	if (memcmp(at, "FACP", 4) == 0) {
		fix_pointer(table, 40, 4);
		fix_pointer(table, 140, 8);
	}
	if (how & FIX_LENGTH || length > table->size)
		length = (uint32_t)table->size;
	memcpy(at + 4, &length, 4);
	if (how & FIX_SUM && length >= 10)
		fix_sum(at, length, 9);
	if (length >= 8) /* nothing behind it is the table's */
		ASAN_POISON_MEMORY_REGION(at + length, table->size - length);
}

static void fix_rsdp(uint8_t *at)
{
	uint64_t value;
	memcpy(at, "RSD PTR ", 8);
	for (unsigned offset = 16, width = 4; offset <= 24; offset += 8, width += 4) {
		value = get32(at + offset);
		value = count < 2 ? 0 : value == 0 && width == 8 ? 0 : (uintptr_t)tables[1 + value % (count - 1)].at;
		memcpy(at + offset, &value, width);
	}
	fix_sum(at, 20, 8);
	fix_sum(at, RSDP_SIZE, 32);
}

static void discover(void)
{
	unsigned how[TABLES];

	for (count = 0; count < TABLES && fuzz_left() > 3; count++) {
		struct table *table = &tables[count];
		size_t size = fuzz_16() % (ROOM / 2);
		how[count] = fuzz_8();
		size = size < 8 ? 8 : size;
		size = count == 0 ? RSDP_SIZE : size;
		table->at = PLACE + count * ROOM + ROOM / 4;
		table->size = size;
		ASAN_UNPOISON_MEMORY_REGION(table->at, size);
		memset(table->at, 0, size);
		size_t have = size < fuzz_left() ? size : fuzz_left();
		memcpy(table->at, fuzz_at, have);
		fuzz_at += have;
	}
	if (count == 0)
		return;
	for (unsigned i = 1; i < count; i++)
		fix(&tables[i], how[i]);
	fix_rsdp(tables[0].at);
	acpi_discover((uintptr_t)tables[0].at);
	FUZZ_CHECK(machine.hart_count >= 1 && machine.hart_count <= HARTS_MAX);
	FUZZ_CHECK(machine.virtio_count <= MACHINE_VIRTIO);
	FUZZ_CHECK(acpi.ioapic_count <= ACPI_IOAPICS && acpi.override_count <= ACPI_OVERRIDES);
	FUZZ_CHECK(machine.pci_ecam.size == 0 || machine.pci_bus_last < 256);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static bool mapped;

	if (!mapped)
		mapped = mmap(PLACE, TABLES * ROOM, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) == PLACE;
	FUZZ_CHECK(mapped);
	ASAN_POISON_MEMORY_REGION(PLACE, TABLES * ROOM);
	memset(&machine, 0, sizeof(machine));
	memset(&acpi, 0, sizeof(acpi));
	machine.hart_count = 1;
	fuzz_run(data, size, discover);
	return 0;
}
