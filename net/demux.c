/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * lwIP's connections, found and put aside in constant time. lwIP finds the connection of a segment in a
 * list, unlinks one by walking to it, and has its timers look at each four times a second: with 10,000
 * connections that is most of what the machine does. subprojects/packagefiles/lwip-demux.patch makes it
 * call this file instead.
 *
 * All that are in lwIP's lists of active connections and of those in TIME_WAIT are in a hash table, too,
 * which doubles when there are as many as buckets. The two lists know their predecessors.
 *
 * A connection that has nothing to send, to acknowledge or to put in order rests: lwIP's slow timer takes it
 * out of the active list, and the next segment or the program's next call puts it back (rouses it). What
 * lwIP's timers cost is then a matter of those that do something. Those at rest are in the order in which
 * they began, which is that of their last segment, give or take a second: so the ones that were silent for
 * too long are the first. They are roused, and lwIP asks their peers whether they are still there. (Whom the
 * program has roused meanwhile, by a read, is asked as late as if a segment had come then.)
 *
 * Ports: a connection that is opened from here takes one that no other one to the same peer has, nor has had
 * not long ago; lwIP looks through all connections for one that nobody has. They go in a row from a start
 * that differs from peer to peer and that nobody can foresee (RFC 6056, algorithm 3): a random one would
 * often be one that the peer still has in TIME_WAIT.
 */
#include "net/demux.h"

#include <string.h>

#include "lwip/priv/tcp_priv.h"
#include "net/memory.h"
#include "net/random.h"
#include "net/timewait.h"

#define FIRST_BUCKETS 64
#define BUCKETS_MAX (1u << 20)
#define PORT_FIRST 0xc000 /* for connections from here, up to the last */
#define PORTS 0x4000
#define UNFINISHED (TF_ACK_DELAY | TF_ACK_NOW | TF_CLOSEPEND | TF_NAGLEMEMERR | TF_RTO)

static struct tcp_pcb *first_buckets[FIRST_BUCKETS];
static struct tcp_pcb **buckets = first_buckets;
static uint32_t bucket_count = FIRST_BUCKETS; /* a power of two */
static unsigned count;
static struct tcp_pcb *resting, *rests_shortest; /* the one that rests longest, and the last */
static uint64_t key;                             /* 0: not made yet */

static uint64_t mix(uint64_t hash, uint64_t word)
{
	hash = (hash ^ word) * UINT64_C(0x9e3779b97f4a7c15);
	return hash ^ hash >> 32;
}

static uint64_t mix_address(uint64_t hash, const ip_addr_t *address)
{
	uint64_t words[2];
	if (!IP_IS_V6(address))
		return mix(hash, ip_2_ip4(address)->addr);
	memcpy(words, ip_2_ip6(address)->addr, sizeof words);
	return mix(mix(hash, words[0]), words[1]);
}

/* That peers cannot foresee. */
static uint32_t hash_of(const ip_addr_t *remote, u16_t remote_port, const ip_addr_t *local, u16_t local_port)
{
	while (key == 0)
		key = (uint64_t)net_random() << 32 | net_random();
	uint64_t hash = mix_address(mix_address(key, remote), local);
	return (uint32_t)(mix(hash, (uint32_t)remote_port << 16 | local_port) >> 24);
}

static struct tcp_pcb **bucket_of(const struct tcp_pcb *pcb)
{
	uint32_t hash = hash_of(&pcb->remote_ip, pcb->remote_port, &pcb->local_ip, pcb->local_port);
	return &buckets[hash & (bucket_count - 1)];
}

static void grow(void)
{
	struct tcp_pcb **old = buckets;
	uint32_t old_count = bucket_count;
	struct tcp_pcb **more = net_calloc(old_count * 2, sizeof *more);

	if (!more)
		return; /* longer chains */
	buckets = more;
	bucket_count = old_count * 2;
	for (uint32_t i = 0; i < old_count; i++) {
		for (struct tcp_pcb *pcb = old[i], *next; pcb; pcb = next) {
			struct tcp_pcb **bucket = bucket_of(pcb);
			next = pcb->same_bucket;
			pcb->same_bucket = *bucket;
			*bucket = pcb;
		}
	}
	if (old != first_buckets)
		net_free(old);
}

static struct tcp_pcb *find(const ip_addr_t *remote, u16_t remote_port, const ip_addr_t *local,
			    u16_t local_port)
{
	uint32_t hash = hash_of(remote, remote_port, local, local_port);
	struct tcp_pcb *pcb = buckets[hash & (bucket_count - 1)];

	while (pcb && !(pcb->remote_port == remote_port && pcb->local_port == local_port &&
			ip_addr_eq(&pcb->remote_ip, remote) && ip_addr_eq(&pcb->local_ip, local)))
		pcb = pcb->same_bucket;
	return pcb;
}

unsigned demux_count(void)
{
	return count;
}

/* ---- Lists ---- */

static void link_first(struct tcp_pcb **list, struct tcp_pcb *pcb)
{
	pcb->prev = NULL;
	pcb->next = *list;
	if (*list)
		(*list)->prev = pcb;
	*list = pcb;
}

static void unlink(struct tcp_pcb **list, struct tcp_pcb *pcb)
{
	if (pcb->rests)
		list = &resting;
	if (pcb == rests_shortest)
		rests_shortest = pcb->prev;
	if (pcb->prev)
		pcb->prev->next = pcb->next;
	else
		*list = pcb->next;
	if (pcb->next)
		pcb->next->prev = pcb->prev;
	pcb->next = pcb->prev = NULL;
	pcb->rests = 0;
}

/* lwIP's lists of listeners and of what is only bound are short, and go without the predecessor. */
static bool is_ours(struct tcp_pcb **list)
{
	return list == &tcp_active_pcbs || list == &tcp_tw_pcbs;
}

void demux_add(struct tcp_pcb **list, struct tcp_pcb *pcb)
{
	if (!is_ours(list)) {
		pcb->next = *list;
		*list = pcb;
		return;
	}
	link_first(list, pcb);
	if (count++ >= bucket_count && bucket_count < BUCKETS_MAX)
		grow();
	struct tcp_pcb **bucket = bucket_of(pcb);
	pcb->same_bucket = *bucket;
	*bucket = pcb;
}

void demux_remove(struct tcp_pcb **list, struct tcp_pcb *pcb)
{
	struct tcp_pcb **at = is_ours(list) ? bucket_of(pcb) : list;

	while (*at && *at != pcb)
		at = is_ours(list) ? &(*at)->same_bucket : &(*at)->next;
	LWIP_ASSERT("removed from where it is", *at == pcb);
	if (!is_ours(list)) {
		*at = pcb->next;
		pcb->next = NULL;
		return;
	}
	*at = pcb->same_bucket;
	count--;
	unlink(list, pcb);
}

/* ---- Rest ---- */

void demux_rouse(struct tcp_pcb *pcb)
{
	if (!pcb->rests)
		return;
	unlink(&resting, pcb);
	link_first(&tcp_active_pcbs, pcb);
}

struct tcp_pcb *demux_find(const ip_addr_t *remote, u16_t remote_port, const ip_addr_t *local,
			   u16_t local_port)
{
	struct tcp_pcb *pcb = find(remote, remote_port, local, local_port);
	/* it goes where a new connection may take its place */
	if (pcb && pcb->state == TIME_WAIT) {
		timewait_collect();
		pcb = find(remote, remote_port, local, local_port);
	}
	if (pcb)
		demux_rouse(pcb);
	return pcb;
}

/* No peer is asked before that: not a tick too soon. */
static bool is_silent(const struct tcp_pcb *pcb)
{
	return (tcp_ticks - pcb->tmr + 2) * TCP_SLOW_INTERVAL >= pcb->keep_idle;
}

static bool may_rest(const struct tcp_pcb *pcb)
{
	return (pcb->state == ESTABLISHED || pcb->state == CLOSE_WAIT) && !pcb->unsent && !pcb->unacked &&
	       !pcb->ooseq && !pcb->refused_data && pcb->persist_backoff == 0 && !(pcb->flags & UNFINISHED) &&
	       pcb->keep_cnt_sent == 0 && !pcb->poll && !is_silent(pcb);
}

void demux_rest(struct tcp_pcb *pcb)
{
	if (pcb->rests || !may_rest(pcb))
		return;
	unlink(&tcp_active_pcbs, pcb);
	pcb->rests = 1;
	pcb->prev = rests_shortest;
	if (rests_shortest)
		rests_shortest->next = pcb;
	else
		resting = pcb;
	rests_shortest = pcb;
}

void demux_rouse_silent(void)
{
	while (resting && is_silent(resting))
		demux_rouse(resting);
}

void demux_rouse_all(void)
{
	while (resting)
		demux_rouse(resting);
}

/* ---- Ports ---- */

static bool is_taken(const struct tcp_pcb *pcb, u16_t port)
{
	const struct tcp_pcb_listen *listener = tcp_listen_pcbs.listen_pcbs;
	const struct tcp_pcb *bound = tcp_bound_pcbs;

	/* It would be the other end of itself: both SYNs cross. */
	if (port == pcb->remote_port && ip_addr_eq(&pcb->local_ip, &pcb->remote_ip))
		return true;
	while (listener && listener->local_port != port)
		listener = listener->next;
	while (bound && bound->local_port != port)
		bound = bound->next;
	return listener || bound || find(&pcb->remote_ip, pcb->remote_port, &pcb->local_ip, port) ||
	       timewait_has(pcb, port);
}

u16_t demux_new_port(const struct tcp_pcb *pcb)
{
	static uint32_t dialled;
	uint32_t first = hash_of(&pcb->remote_ip, pcb->remote_port, &pcb->local_ip, 0) + dialled++;

	for (unsigned i = 0; i < PORTS; i++) {
		u16_t port = (u16_t)(PORT_FIRST + (first + i) % PORTS);
		if (!is_taken(pcb, port))
			return port;
	}
	return 0;
}
