/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A machine for net/ and lwIP: memory from malloc, a clock that the input moves, and a
 * program of one goroutine.
 *
 * While the program waits for the network, the world goes on: netpoll_wait() calls world(), which lets the
 * input do one thing and polls. When there is no input left, the run is over, wherever the program is.
 *
 * Runs must not depend on earlier ones, so all variables of net/, the drivers and lwIP are put into sections
 * of their own (sections.h), which are written back before each run, and what was allocated is freed.
 */
#ifndef FUZZ_NET_H
#define FUZZ_NET_H

#include <asm/prctl.h>
#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "fuzz.h"

#include <gump.h>
#include <gump/net.h>

#include "kernel/layout.h"
#include "kernel/machine.h"
#include "kernel/pages.h"
#include "net/memory.h"
#include "net/net.h"
#include "sched/netpoll.h"

#define MS INT64_C(1000000)

static void world(void);   /* one thing happens; the target's */

struct machine machine;
static struct hart hart;
static int64_t now;
static void (*poll)(struct glist *ready);
static bool polling_is_due;
static int64_t deadline_of_poll;

/* ---- Memory ---- */

struct block {
	struct block *next, **link;
	size_t size;
	uint64_t bytes[];
};

static struct block *blocks;
static size_t taken;
static bool memory_is_scarce; /* the input says so: and then each fourth time there is none */
static unsigned times_asked;

void net_memory_init(void) {}
void net_memory_promise(ssize_t bytes) {}
size_t net_memory_used(void) { return taken; }
size_t net_memory_max(void) { return 16 << 20; }
size_t net_memory_share(void) { return memory_is_scarce ? 8192 : 65536; }
bool net_memory_tight(void) { return memory_is_scarce; }
bool net_memory_scarce(void) { return memory_is_scarce; }
bool net_memory_serves(size_t connections) { return !memory_is_scarce; }
bool sched_reclaim_soon(void) { return false; }

void *net_malloc(size_t size)
{
	if (size > (1 << 20) || taken > (16 << 20) || (memory_is_scarce && ++times_asked % 4 == 0))
		return NULL;
	struct block *block = malloc(sizeof(*block) + size);
	block->next = blocks;
	block->link = &blocks;
	block->size = size;
	if (blocks)
		blocks->link = &block->next;
	blocks = block;
	taken += size;
	memset(block->bytes, 0xa5, size); /* nothing is zero by chance */
	return block->bytes;
}

void *net_calloc(size_t count, size_t size)
{
	void *memory = net_malloc(count * size);
	return memory ? memset(memory, 0, count * size) : NULL;
}

void *handle_memory(size_t size)
{
	return net_calloc(1, size);
}

void net_free(void *memory)
{
	if (!memory)
		return;
	struct block *block = (void *)((char *)memory - offsetof(struct block, bytes));
	*block->link = block->next;
	if (block->next)
		block->next->link = block->link;
	taken -= block->size;
	free(block);
}

/* Pages are for the device's rings and buffers; the last of them ends where the block does. */
static void *pages[16];

size_t pages_total(void) { return (64 << 20) / PAGE_SIZE; }

void *pages_alloc(unsigned order, enum pages_owner owner)
{
	for (unsigned i = 0; i < 16; i++)
		if (pages[i] == NULL)
			return pages[i] = aligned_alloc(PAGE_SIZE, PAGE_SIZE << order);
	return NULL;
}

void *pages_alloc_zeroed(unsigned order, enum pages_owner owner)
{
	void *block = pages_alloc(order, owner);
	return block ? memset(block, 0, PAGE_SIZE << order) : NULL;
}

void pages_free(void *block, unsigned order)
{
	for (unsigned i = 0; i < 16; i++)
		if (pages[i] == block)
			pages[i] = NULL;
	free(block);
}

/* ---- The scheduler, of which there is little ---- */

int64_t hart_now(void) { return now; }
noreturn void hart_fatal(const char *fmt, ...) { abort(); } /* an assertion of lwIP's or net/'s */
void hart_relax_slow(void) { abort(); }                     /* a lock is taken twice */
void sched_preempt(void) {}
void sched_netpoll_ready(void) { polling_is_due = true; }
void go_mutex_lock(go_mutex *m) {}
void go_mutex_unlock(go_mutex *m) {}

void netpoll_register(void (*fn)(struct glist *ready)) { poll = fn; }
void netpoll_set_deadline(int64_t deadline) { deadline_of_poll = deadline; }
void netpoll_inject(struct glist *ready) { *ready = (struct glist){ 0 }; }

void netpoll_wake(struct netpoll_desc *desc, enum netpoll_mode mode, struct glist *ready)
{
	if (desc->waiter[mode])
		ready->head = (void *)1; /* somebody: netpoll_inject() is called then */
	desc->waiter[mode] = NULL;
}

static void poll_if_due(void)
{
	struct glist ready = { 0 };
	if (!polling_is_due && deadline_of_poll > now)
		return;
	polling_is_due = false;
	poll(&ready);
}

int netpoll_wait(struct netpoll_desc *desc, enum netpoll_mode mode, int64_t deadline, void (*unlock)(void *lock),
		 void *lock)
{
	FUZZ_CHECK(desc->waiter[mode] == NULL);
	desc->waiter[mode] = (void *)desc;
	unlock(lock);
	hart_unlock();
	while (desc->waiter[mode]) {
		if (deadline <= now) {
			desc->waiter[mode] = NULL;
			return ETIMEDOUT;
		}
		if (fuzz_left() == 0)
			longjmp(fuzz_over, 1);
		world();
		poll_if_due();
	}
	return 0;
}

/* ---- The same beginning for each run ---- */

extern char __start_fuzz_data[], __stop_fuzz_data[], __start_fuzz_bss[], __stop_fuzz_bss[];
extern kernel_init_fn *const __start_gump_init[];

/* Not memcpy(): between variables lies what AddressSanitizer forbids. */
static __attribute__((no_sanitize("address", "undefined"))) void copy(char *to, const char *from, size_t size)
{
	for (size_t i = 0; i < size; i++)
		((volatile char *)to)[i] = from ? from[i] : 0;
}

static void begin_again(void)
{
	static char *data;
	size_t size = (size_t)(__stop_fuzz_data - __start_fuzz_data);

	if (!data) {
		data = malloc(size);
		copy(data, __start_fuzz_data, size);
		syscall(SYS_arch_prctl, ARCH_SET_GS, &hart);
		setenv("ip", "10.0.2.15/24,10.0.2.2", 1);
	}
	copy(__start_fuzz_data, data, size);
	copy(__start_fuzz_bss, NULL, (size_t)(__stop_fuzz_bss - __start_fuzz_bss));
	while (blocks)
		net_free(blocks->bytes);
	for (unsigned i = 0; i < 16; i++) {
		free(pages[i]);
		pages[i] = NULL;
	}
	hart = (struct hart){ .self = &hart, .mark = 1 };
	now = 1000 * MS;
	poll = NULL;
	polling_is_due = memory_is_scarce = false;
	times_asked = 0;
	deadline_of_poll = INT64_MAX;
	(*__start_gump_init)(); /* net/net.c's start() */
}

/* ---- The program: what it does with the network is the first byte of the input ---- */

static void look_at(const char *bytes, ssize_t n)
{
	volatile char sum = 0;
	for (ssize_t i = 0; i < n; i++)
		sum = (char)(sum + bytes[i]);
}

static void talk(go_conn *conn, size_t most)
{
	static char buf[3000];
	ssize_t n;

	if (!conn)
		return;
	go_conn_deadline(conn, now + 100000 * MS, now + 100000 * MS);
	while ((n = go_read(conn, buf, most)) > 0) {
		look_at(buf, n);
		if (go_write(conn, buf, (size_t)n) < 0)
			break;
	}
	if (n == 0)
		go_shutdown(conn);
	go_conn_close(conn);
}

static void datagrams(void)
{
	static char buf[2000], from[80];
	go_udp *udp = go_udp_open(":7");
	ssize_t n;

	FUZZ_CHECK(udp != NULL);
	while ((n = go_udp_recv(udp, buf, sizeof(buf), from, sizeof(from))) >= 0) {
		look_at(buf, n);
		go_udp_send(udp, buf, (size_t)n, from);
	}
}

static void serve(size_t most)
{
	go_listener *listener = go_listen(":80");

	FUZZ_CHECK(listener != NULL);
	for (go_conn *conn; (conn = go_accept(listener));)
		talk(conn, most);
}

static void dial(const char *to)
{
	while (fuzz_left() > 0) {
		talk(go_dial(to, now + 60000 * MS), 1000);
		world(); /* it may have failed at once */
		poll_if_due();
	}
}

static void program(void)
{
	begin_again();
	if (!net_up()) /* the device was not started */
		return;
	switch (fuzz_8() % 5) {
	case 0: return serve(sizeof(int64_t) * 300);
	case 1: return serve(10);
	case 2: return datagrams();
	case 3: return dial("10.0.2.2:80");
	default: return dial("some.name.example:80");
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	fuzz_run(data, size, program);
	return 0;
}

#endif
