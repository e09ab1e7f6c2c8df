/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A server that takes much memory for each connection, for tests/lib/crowded.py: port 7 is an echo whose
 * goroutine has that many KiB of stack in use and as many of the heap. Port 13 tells figures, as often as a
 * byte comes. Neither a goroutine nor memory may be missing for who was accepted: the network has to turn
 * others away.
 *
 *     crowded STACK HEAP
 */
#include <errno.h>
#include <gump/net.h>
#include <stdatomic.h>

#include "service.h"

static size_t stack, heap;
static _Atomic(unsigned) served;

static void fill(char *bytes, size_t size, char what)
{
	for (size_t i = 0; i < size; i++)
		bytes[i] = (char)(what + (char)i);
}

static void check_filled(const char *bytes, size_t size, char what)
{
	for (size_t i = 0; i < size; i++)
		CHECK(bytes[i] == (char)(what + (char)i));
}

static void echo(void *conn)
{
	char deep[stack + 1], buf[100];
	char *mine = malloc(heap + 1), what = (char)atomic_fetch_add(&served, 1);
	ssize_t n;
	CHECK(mine);
	fill(deep, stack, what);
	fill(mine, heap, what);
	while ((n = go_read(conn, buf, sizeof(buf))) > 0) {
		check_filled(deep, stack, what);
		check_filled(mine, heap, what);
		if (go_write(conn, buf, (size_t)n) != n)
			break;
	}
	free(mine);
	go_conn_close(conn);
}

static void tell(void *conn)
{
	struct go_net_stats net;
	struct go_memory memory;
	char text[200], asked;
	while (go_read(conn, &asked, 1) == 1) {
		go_net_stats(&net);
		go_memory(&memory);
		int length = snprintf(text, sizeof(text),
				      "connections=%zu turned_away=%llu network=%zu free=%zu pools=%zu heap=%zu goroutines=%d\n",
				      net.connections, (unsigned long long)net.turned_away, net.memory, memory.free,
				      memory.stacks + memory.goroutines + memory.tables, memory.heap_used, go_count());
		go_write(conn, text, (size_t)length);
	}
	go_conn_close(conn);
}

int main(int argc, char **argv)
{
	struct service services[] = { { go_listen(":7"), echo }, { go_listen(":13"), tell } };
	CHECK(argc == 3 && services[0].listener && services[1].listener);
	stack = (size_t)atoi(argv[1]) * 1024;
	heap = (size_t)atoi(argv[2]) * 1024;
	go(accept_all, &services[0]);
	printf("listening\n");
	accept_all(&services[1]);
	return 1;
}
