/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What bench/net links examples/http.c with (-Wl,--wrap=main): port 81 answers how many bytes of the
 * machine's memory are in use, and by whom.
 */
#include <gump.h>
#include <gump/net.h>
#include <stdio.h>

int __real_main(int argc, char **argv);
int __wrap_main(int argc, char **argv);

static void tell_memory(void *unused)
{
	go_listener *listener = go_listen(":81");
	for (go_conn *conn; listener && (conn = go_accept(listener)); go_conn_close(conn)) {
		struct go_memory memory;
		char text[200];
		go_memory(&memory);
		int length = snprintf(text, sizeof text, "%zu goroutines %zu stacks %zu tables %zu heap %zu other %zu\n",
				      memory.total - memory.free, memory.goroutines, memory.stacks, memory.tables,
				      memory.heap, memory.other);
		go_write(conn, text, (size_t)length);
	}
}

int __wrap_main(int argc, char **argv)
{
	go(tell_memory, NULL);
	return __real_main(argc, argv);
}
