/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What leads nowhere is unreachable, as on the machines: the host's kernel calls some of it invalid.
 *
 * @test machines=hosted harts=1
 */
#include <errno.h>
#include <gump/net.h>

#include "test.h"

/* Without a network nothing but this process can be reached. Nothing is sent. */
static __attribute__((constructor)) void have_a_network(void)
{
	unsetenv("GUMP_NET");
}

static void dials(void)
{
	CHECK(go_dial("[fe80::1]:80", GO_FOREVER) == NULL); /* of which link */
	CHECK_EQ(errno, EHOSTUNREACH);
}

static void datagrams(void)
{
	go_udp *udp = go_udp_open("127.0.0.1:0");
	CHECK(udp != NULL);
	CHECK_EQ(go_udp_send(udp, "hello", 5, "203.0.113.1:9"), -1);
	CHECK_EQ(errno, EHOSTUNREACH);
	go_udp_close(udp);
}

int main(int argc, char **argv)
{
	TESTS(TEST(dials), TEST(datagrams));
	return test_main(argc, argv, tests);
}
