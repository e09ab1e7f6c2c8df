/* SPDX-License-Identifier: BSD-2-Clause */
/* Connections that this side opens, and the names they are opened to. */
#include "net/dial.h"

#include <string.h>

#include "lwip/dns.h"
#include "net/address.h"
#include "net/conn.h"
#include "net/memory.h"

struct query { /* a name being resolved; freed by the last of caller and callback */
	struct netpoll_desc desc;
	bool done, found, abandoned;
	ip_addr_t ip;
};

static void on_found(const char *name, const ip_addr_t *ip, void *arg)
{
	struct query *query = arg;
	query->done = true;
	query->found = ip != NULL;
	if (ip)
		query->ip = *ip;
	if (query->abandoned)
		net_free(query);
	else
		net_wake(&query->desc, NETPOLL_READ);
}

static int ask(const char *host, ip_addr_t *ip, int64_t deadline)
{
	int error = 0;
	struct query *query = net_calloc(1, sizeof *query);
	if (!query)
		return ENOMEM;
	switch (dns_gethostbyname(host, &query->ip, on_found, query)) {
	case ERR_OK:
		query->done = query->found = true;
		break;
	case ERR_INPROGRESS:
		break;
	default:
		query->done = true;
	}
	while (!query->done && !error)
		error = net_wait(&query->desc, NETPOLL_READ, deadline);
	if (!query->done) {
		query->abandoned = true;
		return error;
	}
	if (query->found)
		*ip = query->ip;
	else
		error = EHOSTUNREACH;
	net_free(query);
	return error;
}

int net_resolve(struct address *address, int64_t deadline)
{
	ip_addr_t any_v4 = *IP4_ADDR_ANY;
	if (!address->literal && strcmp(address->host, "localhost") == 0) {
		IP_SET_TYPE(&address->ip, IPADDR_TYPE_V4);
		ip4_addr_set_loopback(ip_2_ip4(&address->ip));
	} else if (!address->literal) {
		/* The servers' addresses come with our own. */
		int error = interface_wait_address(&any_v4, deadline);
		if (!error)
			error = ask(address->host, &address->ip, deadline);
		if (error)
			return error;
	}
	return interface_wait_address(&address->ip, deadline);
}

static err_t on_connected(void *arg, struct tcp_pcb *pcb, err_t error)
{
	struct go_conn *conn = arg;
	conn->connecting = false;
	net_wake(&conn->desc, NETPOLL_WRITE);
	return ERR_OK;
}

static int connect(const struct address *address, int64_t deadline, struct go_conn **result)
{
	struct tcp_pcb *pcb = tcp_new_ip_type(IP_GET_TYPE(&address->ip));
	struct go_conn *conn = pcb ? conn_new(pcb) : NULL;
	if (!conn) {
		if (pcb)
			tcp_abort(pcb);
		return ENOMEM;
	}
	*result = conn;
	conn->connecting = true;
	err_t lwip = tcp_connect(pcb, &address->ip, address->port, on_connected);
	if (lwip != ERR_OK)
		return lwip == ERR_RTE ? EHOSTUNREACH : net_errno(lwip);
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
	struct go_conn *conn = NULL;
	int error = 0;
	if (!address_parse(addr, &address) || address.port == 0 || !address.host[0])
		error = EINVAL;
	else if (!net_up() && !address_is_local(&address))
		error = ENETDOWN;
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
		return conn;
	if (conn)
		go_conn_close(conn);
	errno = error;
	return NULL;
}
