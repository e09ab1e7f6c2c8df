/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Many names at once: each gets its answer, by some threads that take turns.
 *
 * @test machines=hosted harts=1,4 timeout=60
 */
#include <dirent.h>
#include <errno.h>
#include <gump/net.h>

#include "test.h"

enum { MANY = 500, THREADS = 32, OTHERS = 20 /* harts, the poller, a sanitizer's */ };

static _Atomic(int) answered, refused;

static void dial(void *unused)
{
	go_conn *conn = go_dial("localhost:1", GO_FOREVER);

	refused += conn == NULL && errno == ECONNREFUSED;
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
	while (answered < MANY) {
		int n = threads();
		most = n > most ? n : most;
		go_yield();
	}
	CHECK_EQ(refused, MANY);
	CHECK_IN(most, 1, THREADS + OTHERS);
	printf("\t%d threads at most\n", most);
}

int main(int argc, char **argv)
{
	TESTS(TEST(many_names));
	return test_main(argc, argv, tests);
}
