/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * net/demux.c on this host: connections that come, go, rest, are roused, end in TIME_WAIT, at random, and
 * after each step what it says and its lists are those of a plain array.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/demux.c"

#define PCBS 3000
#define STEPS 60000
#define KEEP_MS 60000

static struct tcp_pcb pcbs[PCBS];
static enum where { OUT, ACTIVE, RESTS, WAITS } where[PCBS];

struct tcp_pcb *tcp_active_pcbs, *tcp_tw_pcbs, *tcp_bound_pcbs;
union tcp_listen_pcbs_t tcp_listen_pcbs;
u32_t tcp_ticks;

void *net_calloc(size_t count_, size_t size)
{
	return rand() % 4 ? calloc(count_, size) : NULL; /* without memory chains grow longer, that is all */
}

void net_free(void *memory)
{
	free(memory);
}

u32_t net_random(void)
{
	return (u32_t)rand() * 2654435761u;
}

void timewait_collect(void)
{
}

bool timewait_has(const struct tcp_pcb *pcb, uint16_t local_port)
{
	return false;
}

void net_assert_failed(const char *message, const char *file, int line)
{
	printf("assertion: %s (%s:%d)\n", message, file, line);
	exit(1);
}

static void fail(const char *what, int i)
{
	printf("FAIL %s: connection %d, in %d\n", what, i, i >= 0 ? (int)where[i] : -1);
	exit(1);
}

static void expect_length(struct tcp_pcb *list, enum where which, const char *what)
{
	unsigned expected = 0, found_ = 0;
	for (int i = 0; i < PCBS; i++)
		expected += where[i] == which;
	for (struct tcp_pcb *pcb = list, *before = NULL; pcb; before = pcb, pcb = pcb->next, found_++)
		if (pcb->prev != before || where[pcb - pcbs] != which || found_ > PCBS)
			fail(what, (int)(pcb - pcbs));
	if (found_ != expected)
		fail(what, -1);
}

static void check(void)
{
	expect_length(tcp_active_pcbs, ACTIVE, "the active list");
	expect_length(resting, RESTS, "the list of those at rest");
	expect_length(tcp_tw_pcbs, WAITS, "the list of TIME_WAIT");
	for (int i = 0; i < PCBS; i++) {
		const struct tcp_pcb *pcb = &pcbs[i];
		struct tcp_pcb *found_ = find(&pcb->remote_ip, pcb->remote_port, &pcb->local_ip, pcb->local_port);
		if (found_ != (where[i] == OUT ? NULL : pcb))
			fail("find", i);
	}
}

static void make(int i)
{
	struct tcp_pcb *pcb = &pcbs[i];
	if (i % 3 == 0) {
		IP_ADDR6_HOST(&pcb->remote_ip, 0xfe800000, 0, (u32_t)i / 7, 1);
		IP_ADDR6_HOST(&pcb->local_ip, 0xfe800000, 0, 0, 2);
	} else {
		IP_ADDR4(&pcb->remote_ip, 10, 0, (u8_t)(i / 500), 1);
		IP_ADDR4(&pcb->local_ip, 10, 0, 0, 2);
	}
	pcb->remote_port = (u16_t)(1024 + i);
	pcb->local_port = i % 2 ? 80 : 81;
	pcb->keep_idle = KEEP_MS;
}

static void step(int i)
{
	struct tcp_pcb *pcb = &pcbs[i];
	switch (rand() % 5) {
	case 0:
		if (where[i] == OUT) {
			pcb->state = ESTABLISHED;
			pcb->tmr = tcp_ticks;
			demux_add(&tcp_active_pcbs, pcb);
			where[i] = ACTIVE;
		} else if (rand() % 4 == 0) {
			demux_remove(where[i] == WAITS ? &tcp_tw_pcbs : &tcp_active_pcbs, pcb);
			where[i] = OUT;
		}
		break;
	case 1:
		if (where[i] == ACTIVE && rand() % 8 == 0) {
			demux_remove(&tcp_active_pcbs, pcb);
			pcb->state = TIME_WAIT;
			demux_add(&tcp_tw_pcbs, pcb);
			where[i] = WAITS;
		}
		break;
	case 2: /* something arrives */
		if (where[i] != OUT) {
			demux_find(&pcb->remote_ip, pcb->remote_port, &pcb->local_ip, pcb->local_port);
			pcb->tmr = tcp_ticks;
			if (where[i] == RESTS)
				where[i] = ACTIVE;
		}
		break;
	default:
		if (where[i] == ACTIVE) {
			bool busy = rand() % 4 == 0;
			pcb->flags = busy ? TF_ACK_DELAY : 0;
			demux_rest(pcb);
			if (!busy && pcb->state == ESTABLISHED && (tcp_ticks - pcb->tmr + 2) * TCP_SLOW_INTERVAL < KEEP_MS)
				where[i] = RESTS;
		}
	}
}

/* Who was silent for a minute is active in time for lwIP to ask, and nobody long before. */
static void expect_silent_are_roused(void)
{
	struct tcp_pcb *pcb = &pcbs[1];
	demux_rouse_all();
	while (tcp_active_pcbs)
		demux_remove(&tcp_active_pcbs, tcp_active_pcbs);
	pcb->state = ESTABLISHED;
	pcb->flags = 0;
	pcb->tmr = tcp_ticks;
	demux_add(&tcp_active_pcbs, pcb);
	demux_rest(pcb);
	for (int tick = 1; tick <= KEEP_MS / TCP_SLOW_INTERVAL; tick++) {
		tcp_ticks++;
		demux_rouse_silent();
		if (tick < KEEP_MS / TCP_SLOW_INTERVAL - 4 && !pcb->rests)
			fail("roused too soon", 1);
	}
	if (pcb->rests || tcp_active_pcbs != pcb)
		fail("silent and not roused", 1);
}

/* All ports to one peer, each once, then none; another peer's are all free. */
static void expect_all_ports(void)
{
	static struct tcp_pcb dialled[PORTS + 1];
	for (int i = 0; i <= PORTS; i++) {
		struct tcp_pcb *pcb = &dialled[i];
		IP_ADDR4(&pcb->remote_ip, 10, 0, 0, 1);
		IP_ADDR4(&pcb->local_ip, 10, 0, 0, 2);
		pcb->remote_port = 7;
		pcb->state = SYN_SENT;
		pcb->local_port = demux_new_port(pcb);
		if ((pcb->local_port == 0) != (i == PORTS))
			fail("ports", i);
		if (i > 0 && i < PORTS && pcb->local_port != dialled[i - 1].local_port + 1 &&
		    (pcb->local_port != PORT_FIRST || dialled[i - 1].local_port != PORT_FIRST + PORTS - 1))
			fail("ports that are not in a row come back too soon", i);
		if (i < PORTS && find(&pcb->remote_ip, 7, &pcb->local_ip, pcb->local_port))
			fail("a port twice", i);
		if (i < PORTS)
			demux_add(&tcp_active_pcbs, pcb);
	}
	dialled[PORTS].remote_port = 8;
	if (demux_new_port(&dialled[PORTS]) == 0)
		fail("another peer's ports", PORTS);
}

int main(void)
{
	srand(1);
	for (int i = 0; i < PCBS; i++)
		make(i);
	for (int n = 0; n < STEPS; n++) {
		step(rand() % PCBS);
		if (n % 100 == 0)
			tcp_ticks++;
		if (n % 1000 == 0)
			check();
	}
	check();
	if (bucket_count < 1024)
		fail("the table did not grow", -1);
	expect_silent_are_roused();
	expect_all_ports();
	printf("PASS\n");
	return 0;
}
