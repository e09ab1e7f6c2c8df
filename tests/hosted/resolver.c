/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Many names at once: each gets its answer, by some threads that take turns.
 *
 * @test machines=hosted harts=1,4 timeout=60
 */
#include <dirent.h>
#include <errno.h>
#include <gump/net.h>
#include <netdb.h>
#include <poll.h>

#include "test.h"

enum { MANY = 300, THREADS = 32, OTHERS = 20 /* harts, the poller, a sanitizer's */ };

/* Without a network there are no names. Nothing is sent. */
static __attribute__((constructor)) void have_a_network(void)
{
	unsetenv("GUMP_NET");
}

static _Atomic(bool) may_answer;
static _Atomic(int) answered, unknown;

/*
 * In place of the C library's: nobody knows the name, and it takes a while to say so, until all threads are
 * there at least: the host may have the last ones begin when the first ones have done everything. On no hart.
 */
int getaddrinfo(const char *host, const char *service, const struct addrinfo *hints, struct addrinfo **list)
{
	do
		poll(NULL, 0, 5);
	while (!may_answer);
	return EAI_NONAME;
}

static void dial(void *unused)
{
	go_conn *conn = go_dial("nobody:1", GO_FOREVER);

	unknown += conn == NULL && errno == EHOSTUNREACH;
	answered++;
}

static int threads(void)
{
	DIR *tasks = opendir("/proc/self/task");
	int n = -2; /* . and .. */

	CHECK(tasks != NULL);
	while (readdir(tasks) != NULL)
		n++;
	closedir(tasks);
	return n;
}

static void many_names(void)
{
	int most = 0;

	for (int i = 0; i < MANY; i++)
		go(dial, NULL);
	for (int64_t end = go_now() + 10 * SECOND; answered < MANY;) {
		int n = threads();
		most = n > most ? n : most;
		may_answer = most >= THREADS || go_now() > end;
		go_yield();
	}
	CHECK_EQ(unknown, MANY);
	CHECK_IN(most, THREADS, THREADS + OTHERS);
	printf("\t%d threads at most\n", most);
}

int main(int argc, char **argv)
{
	TESTS(TEST(many_names));
	return test_main(argc, argv, tests);
}
