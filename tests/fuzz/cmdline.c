/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The kernel command line is any text: quotes that are not closed, nothing but blanks, bytes that are no
 * letters, microvm's words for its devices.
 */
#include "fuzz.h"

#include "../../boot/x86_64/virtio_words.c"
#include "../../kernel/cmdline.c"

struct machine machine;

noreturn void hart_fatal(const char *fmt, ...)
{
	abort(); /* there is memory */
}

static void one_line(void)
{
	char **environ_before = environ, **argv, *line = malloc(fuzz_left() + 1);
	size_t length = fuzz_left();
	int argc;

	memcpy(line, fuzz_at, length);
	line[length] = '\0';
	machine.virtio_count = 0;
	virtio_words_take(line);
	FUZZ_CHECK(machine.virtio_count <= MACHINE_VIRTIO);
	for (unsigned i = 0; i < machine.virtio_count; i++)
		FUZZ_CHECK(machine.virtio[i].base != 0 && machine.virtio[i].size >= 0x100);
	machine.cmdline = line;
	cmdline_parse(&argc, &argv);
	FUZZ_CHECK(argc >= 1 && argv[argc] == NULL);
	for (char **word = environ; *word; word++)
		FUZZ_CHECK(*word >= line && *word + strlen(*word) <= line + length && strchr(*word, '='));
	for (int i = 1; i < argc; i++)
		FUZZ_CHECK(argv[i] >= line && argv[i] + strlen(argv[i]) <= line + length);
	free(environ);
	environ = environ_before;
	free(line);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	fuzz_run(data, size, one_line);
	return 0;
}
