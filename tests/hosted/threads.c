/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Threads that the program makes itself, beside those that are the harts.
 *
 * @test machines=hosted harts=1,4 sanitize=address,undefined lines=1 each=/whole/ /half, and half\n/
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>

#include "test.h"

/* Its errno is its own, and what it prints comes out as it does. */
static void *on_a_thread(void *error)
{
	if (open("/nonexistent", O_RDONLY) < 0)
		*(int *)error = errno;
	printf("whole\n");
	fflush(stdout);
	return NULL;
}

static void beside_the_harts(void)
{
	pthread_t thread;
	int error = 0;

	errno = 0;
	printf("half, ");
	CHECK_EQ(pthread_create(&thread, NULL, on_a_thread, &error), 0);
	CHECK_EQ(pthread_join(thread, NULL), 0);
	printf("and half\n");
	CHECK_EQ(error, ENOENT);
	CHECK_EQ(errno, 0);
}

int main(int argc, char **argv)
{
	TESTS(TEST(beside_the_harts));
	return test_main(argc, argv, tests);
}
