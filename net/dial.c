/* SPDX-License-Identifier: BSD-2-Clause */
/* Connections that this side opens, and the names they are opened to. */
#include "net/dial.h"

#include <string.h>
#include <strings.h>

#include "kernel/hart.h"
#include "lwip/dns.h"
#include "net/address.h"
#include "net/conn.h"
#include "net/memory.h"

/*
 * lwIP's resolver has room for so many names, and for so many who wait for one. Others wait for their turn,
 * in order: thousands may dial the same name at once, and find the answer of the first.
 */
#define ASKING_MAX DNS_TABLE_SIZE

struct query { /* a name being resolved; freed by the last of caller and callback */
	struct netpoll_desc desc;
	struct query *previous, *next; /* while it waits for its turn */
	bool done, found, abandoned;
	ip_addr_t ip;
};

static struct query *first_waits, *last_waits;
static unsigned asking; /* queries that lwIP has, also abandoned ones */

/*
 * After a query has left the queue, and after lwIP has let go of one. Who is woken stays the first until it
 * runs, and wakes the next then.
 */
static void let_next(void)
{
	if (first_waits && asking < ASKING_MAX)
		net_wake(&first_waits->desc, NETPOLL_READ);
}

static void leave_queue(struct query *query)
{
	if (query->previous)
		query->previous->next = query->next;
	else
		first_waits = query->next;
	if (query->next)
		query->next->previous = query->previous;
	else
		last_waits = query->previous;
	let_next();
}

static int wait_turn(struct query *query, int64_t deadline)
{
	int error = 0;
	if (!first_waits && asking < ASKING_MAX)
		return 0;
	query->previous = last_waits;
	if (last_waits)
		last_waits->next = query;
	else
		first_waits = query;
	last_waits = query;
	while (!error && !(query == first_waits && asking < ASKING_MAX))
		error = net_wait(&query->desc, NETPOLL_READ, deadline);
	leave_queue(query);
	return error;
}

static void on_found(const char *name, const ip_addr_t *ip, void *arg)
{
	struct query *query = arg;
	asking--;
	query->done = true;
	query->found = ip != NULL;
	if (ip)
		query->ip = *ip;
	if (query->abandoned)
		net_free(query);
	else
		net_wake(&query->desc, NETPOLL_READ);
	let_next();
}

/* 0: query->ip is the answer, or on_found() brings one. */
static int start_query(struct query *query, const char *host)
{
	asking++;
	err_t error = dns_gethostbyname_addrtype(host, &query->ip, on_found, query,
						 interface_reaches(IP4_ADDR_ANY)
							 ? LWIP_DNS_ADDRTYPE_IPV4_IPV6
							 : LWIP_DNS_ADDRTYPE_IPV6_IPV4);
	if (error == ERR_INPROGRESS)
		return 0;
	asking--;
	query->done = query->found = error == ERR_OK;
	return error == ERR_OK ? 0 : error == ERR_MEM ? ENOMEM : EHOSTUNREACH; /* no server, mostly */
}

static int ask(const char *host, ip_addr_t *ip, int64_t deadline)
{
	struct query *query = net_calloc(1, sizeof *query);
	if (!query)
		return ENOMEM;
	int error = wait_turn(query, deadline);
	if (!error)
		error = start_query(query, host);
	if (error) {
		net_free(query);
		return error;
	}
	while (!query->done && !error)
		error = net_wait(&query->desc, NETPOLL_READ, deadline);
	if (!query->done) {
		query->abandoned = true;
		return error;
	}
	error = query->found ? 0 : EHOSTUNREACH;
	*ip = query->ip;
	/* The DNS does not say on which link: on net0, as where an address does not say it. */
	if (!error && IP_IS_V6(ip) && ip6_addr_lacks_zone(ip_2_ip6(ip), IP6_UNKNOWN))
		ip6_addr_set_zone(ip_2_ip6(ip), interface_zone(0));
	net_free(query);
	return error;
}

int net_resolve(struct address *address, int64_t deadline)
{
	if (!address->literal && strcasecmp(address->host, "localhost") == 0) {
		IP_SET_TYPE(&address->ip, IPADDR_TYPE_V4);
		ip4_addr_set_loopback(ip_2_ip4(&address->ip));
	} else if (address->literal && ip_addr_isany_val(address->ip)) { /* whoever listens on all is here */
		ip_addr_set_loopback_val(IP_IS_V6_VAL(address->ip), address->ip);
	} else if (!address->literal) {
		int error = interface_wait_name_server(deadline);
		if (!error)
			error = ask(address->host, &address->ip, deadline);
		if (error)
			return error;
	}
	return interface_wait_address(&address->ip, deadline);
}

static err_t on_connected(void *arg, struct tcp_pcb *pcb, err_t error)
{
	struct conn *conn = arg;
	conn->connecting = false;
	net_wake(&conn->desc, NETPOLL_WRITE);
	return ERR_OK;
}

static int connect(const struct address *address, int64_t deadline, struct conn **result)
{
	struct tcp_pcb *pcb = tcp_new_ip_type(IP_GET_TYPE(&address->ip));
	struct conn *conn = pcb ? conn_new(pcb) : NULL;
	if (!conn) {
		if (pcb)
			tcp_abort(pcb);
		return ENOMEM;
	}
	*result = conn;
	conn->connecting = true;
	err_t lwip = tcp_connect(pcb, &address->ip, address->port, on_connected);
	if (lwip != ERR_OK)
		return lwip == ERR_BUF ? EADDRINUSE : net_errno(lwip); /* no port is left */
	conn->peer = pcb->remote_ip;
	conn->peer_port = pcb->remote_port;
	while (conn->connecting && !conn->error)
		if (net_wait(&conn->desc, NETPOLL_WRITE, deadline) && conn->connecting)
			return ETIMEDOUT;
	return conn->error;
}

go_conn *go_dial(const char *addr, int64_t deadline)
{
	struct address address;
	struct conn *conn = NULL;
	int error = 0;
	if (!address_parse(addr, &address) || address.port == 0 || !address.host[0])
		error = EINVAL;
	else if (!net_up() && !address_is_local(&address))
		error = ENETDOWN;
	else if (deadline <= hart_now()) /* even if nothing has to be waited for, as to this machine itself */
		error = ETIMEDOUT;
	if (error) {
		errno = error;
		return NULL;
	}
	net_lock();
	error = net_resolve(&address, deadline);
	if (!error)
		error = connect(&address, deadline, &conn);
	if (!error)
		conn_count(conn, &net_counts.dialled);
	if (error && conn && conn->pcb) {
		tcp_abort(conn->pcb); /* which tells the connection, as any end does */
	}
	net_unlock();
	if (!error)
		return conn->handle;
	if (conn)
		go_conn_close(conn->handle);
	errno = error;
	return NULL;
}
