/* SPDX-License-Identifier: BSD-2-Clause */
/* For test programs that serve several ports: a goroutine for each connection of each listener. */
#ifndef TESTS_SERVICE_H
#define TESTS_SERVICE_H

#include <gump/net.h>

#include "test.h"

struct service {
	go_listener *listener;
	void (*serve)(void *conn);
};

/*
 * A struct service's; returns when its listener is closed. Memory for a goroutine is never missing: the network
 * turns a connection away before that.
 */
TEST_FN void accept_all(void *arg)
{
	struct service *service = arg;
	for (go_conn *conn; (conn = go_accept(service->listener));)
		CHECK_EQ(go_try(service->serve, conn, NULL), 0);
}

#endif
