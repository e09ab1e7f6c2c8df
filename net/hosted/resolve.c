/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Names. The C library's getaddrinfo() may wait for seconds, and knows no deadline; so it runs on threads of
 * its own, which are no harts: one for each name that is to be looked up, up to THREADS_MAX, beyond which
 * names wait for their turn. A blocking section (go_block_enter) would take a hart out of use each time, and
 * with one hart everything.
 */
#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "socket.h"

#define STACK ((size_t)256 << 10)
#define THREADS_MAX 32

struct query {
	struct source source;         /* first */
	struct query *next;           /* of those that wait */
	_Atomic(int) references;      /* of who asks, and of the answer: the last one frees it */
	char host[HOST_MAX];
	bool found;                   /* written before the event */
	union endpoint answer;
};

static void release(struct query *query)
{
	if (atomic_fetch_sub_explicit(&query->references, 1, memory_order_acq_rel) == 1)
		free(query);
}

static void handled(struct source *source)
{
	release((struct query *)source);
}

/* Of the addresses that a name has the first of version 4, or else the first, as the host orders them. */
static const struct addrinfo *choose(const struct addrinfo *list)
{
	const struct addrinfo *info = list;

	while (info != NULL && info->ai_family != AF_INET)
		info = info->ai_next;
	return info != NULL ? info : list;
}

static void look_up(struct query *query)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG }, *list;

	if (getaddrinfo(query->host, NULL, &hints, &list) == 0) {
		const struct addrinfo *info = choose(list);
		query->found = info->ai_addrlen <= sizeof(query->answer);
		if (query->found)
			memcpy(&query->answer, info->ai_addr, info->ai_addrlen);
		freeaddrinfo(list);
	}
	source_event(&query->source, 1u << NETPOLL_READ);
}

/* ---- The threads, and the names that wait for one ---- */

/* A goroutine takes it in a critical section, so that none waits whose holder is preempted. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct query *first, **last = &first;
static unsigned threads;

/* The next one; NULL: none, and this thread ends. */
static struct query *next_query(void)
{
	pthread_mutex_lock(&lock);
	struct query *query = first;
	if (query == NULL)
		threads--;
	else if ((first = query->next) == NULL)
		last = &first;
	pthread_mutex_unlock(&lock);
	return query;
}

static void *look_all_up(void *unused)
{
	struct query *query;

	(void)unused;
	while ((query = next_query()) != NULL)
		look_up(query);
	return NULL;
}

static bool thread_start(void)
{
	pthread_attr_t attr;
	pthread_t thread;
	sigset_t all;

	sigfillset(&all);
	pthread_attr_init(&attr);
	pthread_attr_setsigmask_np(&attr, &all); /* signals are the harts' */
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attr, STACK);
	bool started = pthread_create(&thread, &attr, look_all_up, NULL) == 0;
	pthread_attr_destroy(&attr);
	return started;
}

/* False: there is no thread for it, now or later. */
static bool ask(struct query *query)
{
	hart_lock();
	pthread_mutex_lock(&lock);
	if (threads < THREADS_MAX && thread_start())
		threads++;
	bool asked = threads != 0;
	if (asked) {
		*last = query;
		last = &query->next;
	}
	pthread_mutex_unlock(&lock);
	hart_unlock();
	return asked;
}

static void unlock_parked(void *held)
{
	spin_release(held);
}

/* False: the deadline passed. */
static bool answered(struct query *query, int64_t deadline)
{
	for (int late = 0;;) {
		spin_lock(&query->source.lock);
		if (query->source.ready[NETPOLL_READ] || late != 0) {
			bool ready = query->source.ready[NETPOLL_READ];
			spin_unlock(&query->source.lock);
			return ready;
		}
		late = netpoll_wait(&query->source.desc, NETPOLL_READ, deadline, unlock_parked,
				    &query->source.lock);
	}
}

/* Whoever listens on all addresses is here. */
static void any_is_loopback(union endpoint *to)
{
	if (!endpoint_is_any(to))
		return;
	if (to->any.sa_family == AF_INET6)
		to->v6.sin6_addr = in6addr_loopback;
	else
		to->v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
}

int net_resolve(struct address *address, int64_t deadline)
{
	uint16_t port = endpoint_port(&address->to);
	int error = 0;

	if (address->to.any.sa_family != AF_UNSPEC) {
		any_is_loopback(&address->to);
		return 0;
	}
	if (ports_closed())
		return ENETDOWN;
	struct query *query = calloc(1, sizeof(*query));
	if (query == NULL)
		return ENOMEM;
	lockrank_set(&query->source.lock, LOCK_NET);
	query->source.handled = handled;
	atomic_store_explicit(&query->references, 2, memory_order_relaxed);
	strcpy(query->host, address->host);
	if (!ask(query)) {
		free(query);
		return ENOMEM;
	}
	if (!answered(query, deadline))
		error = ETIMEDOUT;
	else if (!query->found)
		error = EHOSTUNREACH;
	else
		address->to = query->answer;
	endpoint_set_port(&address->to, port);
	release(query);
	return error;
}
