/* SPDX-License-Identifier: BSD-2-Clause */
/* For tests of the network calls: the two ends of a connection of the machine to itself, and its listener. */
#ifndef TESTS_PAIR_H
#define TESTS_PAIR_H

#include <gump/net.h>

#include "test.h"

#define HERE "127.0.0.1:7"

static go_listener *listener;

struct pair {
	go_conn *client, *server;
};

TEST_FN struct pair connect_to(const char *addr)
{
	struct pair pair;
	listener = go_listen(addr);
	CHECK(listener);
	pair.client = go_dial(addr, GO_FOREVER);
	CHECK(pair.client);
	pair.server = go_accept(listener);
	CHECK(pair.server);
	return pair;
}

TEST_FN void close_pair(struct pair pair)
{
	go_conn_close(pair.client);
	go_conn_close(pair.server);
	go_listener_close(listener);
}

#endif
