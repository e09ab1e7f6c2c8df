/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A program that starts others: by posix_spawn().
 *
 * @test machines=hosted harts=2 sanitize=
 */
#include <fcntl.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "test.h"

static int status_of(pid_t pid)
{
	int status;

	CHECK(pid > 0);
	go_block_enter();
	while (waitpid(pid, &status, 0) < 0)
		;
	go_block_leave();
	return status;
}

static char folder[] = "/tmp/gump-children-XXXXXX";

static const char *path_of(const char *name)
{
	static char path[64];

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	return path;
}

/* ---- A hart that does not listen ---- */

static const char *fifo;
static _Atomic(bool) spawning;
static _Atomic(pid_t) spawned;

/* Takes no signal until somebody else opens the FIFO. */
static void spawn_a_reader(void *unused)
{
	char *argv[] = { "true", NULL }, *no_environment[] = { NULL };
	posix_spawn_file_actions_t actions;
	pid_t pid;

	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, 0, fifo, O_RDONLY, 0);
	go_block_enter();
	spawning = true;
	CHECK_EQ(posix_spawn(&pid, "/bin/true", &actions, NULL, argv, no_environment), 0);
	go_block_leave();
	posix_spawn_file_actions_destroy(&actions);
	spawned = pid;
}

/* Nothing is taken then, and others go on. No sleep: its timer could be the hart's that takes no signal. */
static void reclaim_beside_a_spawn(void)
{
	fifo = path_of("fifo");
	CHECK_EQ(mkfifo(fifo, 0600), 0);
	go(spawn_a_reader, NULL);
	for (int64_t end = go_now() + 10 * SECOND; !spawning && go_now() < end;)
		;
	test_spin(50 * MS);
	go_reclaim();
	CHECK_EQ(spawned, 0);
	int fd = open(fifo, O_WRONLY);
	CHECK(fd >= 0);
	WAIT_FOR(spawned != 0);
	close(fd);
	CHECK_EQ(status_of(spawned), 0);
	unlink(fifo);
}

int main(int argc, char **argv)
{
	CHECK(mkdtemp(folder) != NULL);
	TESTS(TEST(reclaim_beside_a_spawn));
	int status = test_main(argc, argv, tests);
	rmdir(folder);
	return status;
}
