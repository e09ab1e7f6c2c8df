/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ACPI's static tables. Firmware wrote them, so nothing in them is believed before it is
 * checked: signature, length, checksum, and each entry's length against its table's end. A table
 * that fails is named once and skipped.
 *
 * Runs at boot, on tables that map the first 4 GiB one to one.
 */
#include <string.h>

#include "kernel/acpi.h"
#include "kernel/hart.h"
#include "kernel/machine.h"
#include "kernel/vm.h"

#define HEADER_SIZE 36
#define TABLE_MAX (1u << 20)
#define REACHABLE ((uint64_t)1 << 32)

#define FADT_HARDWARE_REDUCED (1u << 20)
#define GAS_MEMORY 0
#define GAS_PORT 1

struct acpi acpi;

static uint16_t get16(const uint8_t *at)
{
	return at[0] | at[1] << 8;
}

static uint32_t get32(const uint8_t *at)
{
	return get16(at) | (uint32_t)get16(at + 2) << 16;
}

static uint64_t get64(const uint8_t *at)
{
	return get32(at) | (uint64_t)get32(at + 4) << 32;
}

static bool sums_to_zero(const uint8_t *at, size_t size)
{
	uint8_t sum = 0;

	for (size_t i = 0; i < size; i++)
		sum += at[i];
	return sum == 0;
}

/* The table there, whole and well summed, or NULL. */
static const uint8_t *table_at(uint64_t address)
{
	const uint8_t *table = (const uint8_t *)address;

	if (address == 0 || address >= REACHABLE - TABLE_MAX) {
		hart_print("acpi: a table at 0x%llx is out of reach, skipped\n",
			   (unsigned long long)address);
		return NULL;
	}
	uint32_t length = get32(table + 4);
	if (length < HEADER_SIZE || length > TABLE_MAX || !sums_to_zero(table, length)) {
		hart_print("acpi: the table at 0x%llx (%u bytes) has a bad length or checksum, skipped\n",
			   (unsigned long long)address, (unsigned)length);
		return NULL;
	}
	return table;
}

void acpi_add_hart(uint32_t hwid)
{
	if (hwid == machine.hart_hwid[0])
		return;
	for (unsigned i = 1; i < machine.hart_count; i++)
		if (machine.hart_hwid[i] == hwid)
			return;
	if (hwid >= 0xff || machine.hart_count == HARTS_MAX) {
		hart_print("harts: the one with APIC id %u is not used: %s\n", (unsigned)hwid,
			   hwid >= 0xff ? "its id needs an x2APIC" : "there are too many");
		return;
	}
	machine.hart_hwid[machine.hart_count++] = hwid;
}

void acpi_add_ioapic(uint64_t base, uint32_t gsi_base)
{
	if (base == 0 || acpi.ioapic_count == ACPI_IOAPICS) {
		hart_print("acpi: an I/O APIC at 0x%llx is not used\n", (unsigned long long)base);
		return;
	}
	acpi.ioapic[acpi.ioapic_count++] = (struct acpi_ioapic){ base, gsi_base };
}

static void madt_entry(const uint8_t *entry, unsigned length)
{
	switch (entry[0]) {
	case 0: /* local APIC */
		if (length >= 8 && (get32(entry + 4) & 1))
			acpi_add_hart(entry[3]);
		break;
	case 1:
		if (length >= 12)
			acpi_add_ioapic(get32(entry + 4), get32(entry + 8));
		break;
	case 2: /* interrupt source override */
		if (length >= 10 && acpi.override_count < ACPI_OVERRIDES)
			acpi.override[acpi.override_count++] =
				(struct acpi_override){ entry[3], get32(entry + 4) };
		break;
	case 9: /* local x2APIC */
		if (length >= 16 && (get32(entry + 8) & 1))
			acpi_add_hart(get32(entry + 4));
		break;
	}
}

static void madt(const uint8_t *table, uint32_t length)
{
	for (uint32_t at = 44; at + 2 <= length;) {
		unsigned size = table[at + 1];
		if (size < 2 || size > length - at) {
			hart_print("acpi: MADT: an entry of %u bytes at offset %u, the rest is skipped\n",
				   size, (unsigned)at);
			return;
		}
		madt_entry(table + at, size);
		at += size;
	}
}

static void mcfg(const uint8_t *table, uint32_t length)
{
	for (uint32_t at = 44; at + 16 <= length; at += 16) {
		uint64_t base = get64(table + at);
		unsigned first = table[at + 10], last = table[at + 11];

		if (get16(table + at + 8) != 0 || machine.pci_ecam.size != 0)
			continue; /* another segment group: no machine here has one */
		if (base == 0 || (base & 0xfffff) != 0 || last < first) {
			hart_print("acpi: MCFG: no ECAM at 0x%llx\n", (unsigned long long)base);
			continue;
		}
		machine.pci_bus_first = first;
		machine.pci_bus_last = last;
		machine.pci_ecam.base = base; /* of bus 0, whatever the first bus is */
		machine.pci_ecam.size = (uint64_t)(last + 1) << 20;
	}
}

/* The byte sequence in AML at or behind `from`; length when there is none. */
static uint32_t find(const uint8_t *table, uint32_t length, uint32_t from, const char *what,
		     uint32_t size)
{
	for (; from + size <= length; from++)
		if (table[from] == (uint8_t)what[0] && memcmp(table + from, what, size) == 0)
			return from;
	return length;
}

/* Name (_S5, Package (n) { type, ... }) */
static void find_s5(const uint8_t *aml, uint32_t length)
{
	uint32_t at = find(aml, length, HEADER_SIZE, "_S5_\x12", 5);

	if (at + 6 > length)
		return;
	at += 5;
	at += 1 + (aml[at] >> 6); /* the package's length, one to four bytes */
	at += 1;                  /* its number of elements */
	if (at + 2 > length)      /* it may be the last thing of all */
		return;
	acpi.s5_type = aml[at] == 0x0a ? aml[at + 1] : aml[at] == 1;
}

/* Device { Name (_HID, "LNRO0005") ... _CRS: Memory32Fixed, Interrupt }, one for each transport. */
static void find_virtio(const uint8_t *aml, uint32_t length)
{
	static const char hid[] = "LNRO0005";
	uint32_t at = find(aml, length, HEADER_SIZE, hid, sizeof(hid));

	while (at < length) {
		uint32_t next = find(aml, length, at + 1, hid, sizeof(hid));
		uint32_t memory = find(aml, next, at, "\x86\x09\x00", 3);
		uint32_t line = find(aml, next, memory, "\x89\x06\x00", 3);

		at = next;
		if (memory + 12 > next || line + 9 > next)
			continue;
		struct machine_virtio virtio = { get32(aml + memory + 4), get32(aml + memory + 8),
						 get32(aml + line + 5) };
		if (virtio.base == 0 || virtio.size < 0x100 || machine.virtio_count == MACHINE_VIRTIO)
			hart_print("acpi: a virtio transport at 0x%llx is not used\n",
				   (unsigned long long)virtio.base);
		else
			machine.virtio[machine.virtio_count++] = virtio;
	}
}

static void fadt(const uint8_t *table, uint32_t length)
{
	if (length < 116) {
		hart_print("acpi: FADT: %u bytes are too short, skipped\n", (unsigned)length);
		return;
	}
	acpi.pm1a_control = get32(table + 64);
	acpi.pm_timer = table[91] == 4 ? get32(table + 76) : 0;
	acpi.hardware_reduced = get32(table + 112) & FADT_HARDWARE_REDUCED;
	if (acpi.pm1a_control == 0 && length >= 184 && table[172] == GAS_PORT)
		acpi.pm1a_control = get64(table + 176);
	if (length >= 256 && table[244] == GAS_MEMORY)
		acpi.sleep_control = get64(table + 248);

	uint64_t address = length >= 148 && get64(table + 140) != 0 ? get64(table + 140)
								    : get32(table + 40);
	const uint8_t *dsdt = table_at(address);
	if (dsdt != NULL && memcmp(dsdt, "DSDT", 4) == 0) {
		find_s5(dsdt, get32(dsdt + 4));
		find_virtio(dsdt, get32(dsdt + 4));
	}
}

static void take_table(uint64_t address)
{
	const uint8_t *table = table_at(address);

	if (table == NULL)
		return;
	uint32_t length = get32(table + 4);
	if (memcmp(table, "APIC", 4) == 0)
		madt(table, length);
	else if (memcmp(table, "MCFG", 4) == 0)
		mcfg(table, length);
	else if (memcmp(table, "FACP", 4) == 0)
		fadt(table, length);
}

bool acpi_discover(uint64_t rsdp)
{
	const uint8_t *root = (const uint8_t *)rsdp;

	if (rsdp == 0 || rsdp >= REACHABLE - PAGE_SIZE)
		return false;
	if (memcmp(root, "RSD PTR ", 8) != 0 || !sums_to_zero(root, 20)) {
		hart_print("acpi: no RSDP at 0x%llx, where the boot loader says\n",
			   (unsigned long long)rsdp);
		return false;
	}
	/* Revision 2 has 64-bit pointers; a zero there means the old table. */
	bool wide = root[15] >= 2 && get32(root + 20) >= 36 && sums_to_zero(root, 36) &&
		    get64(root + 24) != 0;
	const uint8_t *table = table_at(wide ? get64(root + 24) : get32(root + 16));
	if (table == NULL || memcmp(table, wide ? "XSDT" : "RSDT", 4) != 0)
		return false;

	uint32_t length = get32(table + 4), step = wide ? 8 : 4;
	for (uint32_t at = HEADER_SIZE; at + step <= length; at += step)
		take_table(wide ? get64(table + at) : get32(table + at));
	return true;
}
