/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * microvm without ACPI tells of its virtio-mmio transports on the command line, behind the program's
 * own words: virtio_mmio.device=512@0xfeb00e00:12, as Linux reads them. They are taken out,
 * the rest stays the program's.
 */
#include <stdlib.h>
#include <string.h>

#include "boot.h"
#include "kernel/hart.h"
#include "kernel/machine.h"

static const char prefix[] = "virtio_mmio.device=";

/* SIZE[K|M]@BASE:IRQ[:ID], up to `end`. */
static bool parse(const char *text, const char *end, struct machine_virtio *virtio)
{
	char *at;

	virtio->size = strtoull(text, &at, 0);
	if (*at == 'K' || *at == 'k')
		virtio->size <<= 10, at++;
	else if (*at == 'M' || *at == 'm')
		virtio->size <<= 20, at++;
	if (*at++ != '@')
		return false;
	virtio->base = strtoull(at, &at, 0);
	if (*at++ != ':')
		return false;
	virtio->irq = strtoul(at, &at, 0);
	return (at == end || *at == ':') && virtio->base != 0 && virtio->base < UINT32_MAX &&
	       virtio->size >= 0x100 && virtio->size <= 0x10000;
}

void virtio_words_take(char *cmdline)
{
	char *word = cmdline;

	while ((word = strstr(word, prefix)) != NULL) {
		size_t length = strcspn(word, " \t\n");
		struct machine_virtio virtio;

		if (word != cmdline && word[-1] != ' ') { /* the end of some word of the program's */
			word += length;
			continue;
		}
		if (!parse(word + strlen(prefix), word + length, &virtio) ||
		    machine.virtio_count == MACHINE_VIRTIO)
			hart_print("boot: %.*s is not understood\n", (int)length, word);
		else
			machine.virtio[machine.virtio_count++] = virtio;
		memmove(word, word + length, strlen(word + length) + 1);
	}
}
