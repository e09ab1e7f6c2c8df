/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * TIME_WAIT (RFC 9293, 3.6): the side that closed first remembers the connection for a minute,
 * so that the peer's last FIN can be acknowledged again and old segments do not end up in a
 * new connection.
 *
 * lwIP keeps a whole pcb for each in a list that its timer walks. A busy server has tens of thousands of
 * them, and so has who dials as often, so they move here: 64 bytes each, in a hash table and in a queue, the
 * oldest first but for one whose FIN came again. A hook sees each segment that lwIP found no connection for,
 * before a listener does.
 *
 * A client may open a new connection with the addresses and ports of one that is remembered: a
 * SYN beyond the old one's last sequence number ends it (RFC 9293, 3.6.1). Its FIN again starts the minute
 * anew (3.10.7.4). Resets are ignored (RFC 1337).
 */
#include "net/timewait.h"

#include <string.h>

#include "kernel/hart.h"
#include "lwip/ip.h"
#include "lwip/priv/tcp_priv.h"
#include "lwip/sys.h"
#include "lwip_hooks.h"
#include "net/limits.h"
#include "net/memory.h"
#include "net/random.h"

#define BUCKETS 4096 /* a power of two */

struct entry {
	struct entry *next;          /* in its bucket */
	struct entry *younger;       /* in the queue */
	uint32_t local[4], remote[4];
	uint16_t local_port, remote_port;
	uint32_t snd_nxt, rcv_nxt;
	uint32_t since_ms;
};

_Static_assert(sizeof(struct entry) == 64, "as much as a class of net/memory.c has");

static struct entry **buckets; /* NULL before the first */
static struct entry *oldest, *youngest;
static unsigned count;
static uint32_t key;

static void put_address(uint32_t words[4], const ip_addr_t *address)
{
	memset(words, 0, 16);
	if (IP_IS_V6(address)) {
		memcpy(words, ip_2_ip6(address)->addr, 16);
	} else { /* as ::ffff:a.b.c.d, which does not come from a network */
		words[2] = 0xffff;
		words[3] = ip_2_ip4(address)->addr;
	}
}

static struct entry **bucket(const struct entry *entry)
{
	uint64_t hash = key;
	for (unsigned i = 0; i < 4; i++)
		hash = (hash ^ entry->remote[i]) * UINT64_C(0x9e3779b97f4a7c15);
	hash = (hash ^ ((uint32_t)entry->remote_port << 16 | entry->local_port)) *
	       UINT64_C(0x9e3779b97f4a7c15);
	return &buckets[(hash >> 40) & (BUCKETS - 1)];
}

static bool same(const struct entry *a, const struct entry *b)
{
	return a->remote_port == b->remote_port && a->local_port == b->local_port &&
	       memcmp(a->remote, b->remote, sizeof a->remote) == 0 &&
	       memcmp(a->local, b->local, sizeof a->local) == 0;
}

static struct entry **find(const struct entry *wanted)
{
	struct entry **at = bucket(wanted);
	while (*at && !same(*at, wanted))
		at = &(*at)->next;
	return at;
}

static void remove_oldest(void)
{
	struct entry *entry = oldest, **at = bucket(entry);
	while (*at && *at != entry)
		at = &(*at)->next;
	if (*at) /* else a new connection took its place */
		*at = entry->next;
	oldest = entry->younger;
	if (!oldest)
		youngest = NULL;
	count--;
	net_free(entry);
}

static void to_the_end(struct entry *entry)
{
	entry->younger = NULL;
	if (youngest)
		youngest->younger = entry;
	else
		oldest = entry;
	youngest = entry;
}

static void add(const struct tcp_pcb *pcb)
{
	if (count == limit_time_waits || (count && net_memory_tight()))
		remove_oldest();
	struct entry *entry = net_calloc(1, sizeof *entry);
	if (!entry)
		return;
	put_address(entry->local, &pcb->local_ip);
	put_address(entry->remote, &pcb->remote_ip);
	entry->local_port = pcb->local_port;
	entry->remote_port = pcb->remote_port;
	entry->snd_nxt = pcb->snd_nxt;
	entry->rcv_nxt = pcb->rcv_nxt;
	entry->since_ms = sys_now();
	struct entry **at = bucket(entry);
	entry->next = *at;
	*at = entry;
	to_the_end(entry);
	count++;
}

/* One whose FIN came again since goes behind the others: those wait for it no longer, it perhaps for them. */
static void queue_again(void)
{
	struct entry *entry = oldest;
	if (!entry || !entry->younger || (int32_t)(entry->since_ms - entry->younger->since_ms) <= 0)
		return;
	oldest = entry->younger;
	to_the_end(entry);
}

void timewait_collect(void)
{
	while (oldest && sys_now() - oldest->since_ms > limit_time_wait * 1000)
		remove_oldest();
	queue_again();
	if (!tcp_tw_pcbs)
		return;
	if (!buckets) {
		buckets = net_calloc(BUCKETS, sizeof *buckets);
		key = net_random();
		if (!buckets)
			return; /* lwIP goes on as it would */
	}
	while (tcp_tw_pcbs) {
		add(tcp_tw_pcbs);
		tcp_abort(tcp_tw_pcbs); /* in this state it sends nothing */
	}
}

bool timewait_has(const struct tcp_pcb *pcb, uint16_t local_port)
{
	struct entry wanted;
	if (count == 0)
		return false;
	put_address(wanted.local, &pcb->local_ip);
	put_address(wanted.remote, &pcb->remote_ip);
	wanted.local_port = local_port;
	wanted.remote_port = pcb->remote_port;
	return *find(&wanted);
}

/* What the old connection's pcb would say. */
static void acknowledge(const struct entry *entry)
{
	struct tcp_pcb pcb = { 0 };
	pcb.local_ip = *ip_current_dest_addr();
	pcb.remote_ip = *ip_current_src_addr();
	pcb.local_port = entry->local_port;
	pcb.remote_port = entry->remote_port;
	pcb.snd_nxt = entry->snd_nxt;
	pcb.rcv_nxt = entry->rcv_nxt;
	pcb.rcv_wnd = pcb.rcv_ann_wnd = TCP_MSS;
	pcb.ttl = TCP_TTL;
	tcp_send_empty_ack(&pcb);
}

bool net_timewait_admit(const struct tcp_hdr *header, const struct pbuf *p)
{
	struct entry wanted;
	if (count == 0)
		return true;
	put_address(wanted.local, ip_current_dest_addr());
	put_address(wanted.remote, ip_current_src_addr());
	wanted.local_port = header->dest;
	wanted.remote_port = header->src;
	struct entry **at = find(&wanted), *entry = *at;
	if (!entry)
		return true;
	uint8_t flags = TCPH_FLAGS(header);
	if ((flags & (TCP_SYN | TCP_ACK | TCP_RST)) == TCP_SYN &&
	    TCP_SEQ_GT(header->seqno, entry->rcv_nxt)) {
		*at = entry->next; /* out of the table; the queue lets it go in its time */
		return true;
	}
	if ((flags & (TCP_FIN | TCP_RST)) == TCP_FIN && header->seqno + p->tot_len + 1 == entry->rcv_nxt)
		entry->since_ms = sys_now();
	if (!(flags & TCP_RST) && (p->tot_len > 0 || flags & (TCP_SYN | TCP_FIN)))
		acknowledge(entry);
	return false;
}
