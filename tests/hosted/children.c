/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A program that starts others: by posix_spawn(), and by fork() or vfork() and exec(), which may fail.
 *
 * @test machines=hosted harts=2 sanitize= lines=1 each=/once/
 * @test goroutines_stay_with_the_parent machines=hosted harts=1 sanitize= env=QUANTUM_US=100 timeout=60
 */
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kernel/hart.h"
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

/* ---- Children that do not come to exec() ---- */

static void exec_in_vain(void)
{
	execl("/nonexistent/program", "program", NULL);
}

/* What its parent has begun to print comes out once, and its parent's file is not the child's to write. */
static void exit_of_a_child(void)
{
	const char *memory = path_of("memory");

	printf("once");
	pid_t pid = fork();
	if (pid == 0) {
		setenv("GUMP_MEMORY", memory, 1);
		exec_in_vain();
		_exit(127);
	}
	int status = status_of(pid);
	printf("\n");
	CHECK_EQ(WEXITSTATUS(status), 127);
	bool written = unlink(memory) == 0;
	CHECK(!written);
}

static __attribute__((noinline)) pid_t vfork_in_vain(void)
{
	pid_t pid = vfork();

	if (pid == 0) {
		exec_in_vain();
		_exit(127);
	}
	return pid;
}

/* The child has its parent's memory, and leaves it as it was. */
static void locks_after_vfork(void)
{
	int status = status_of(vfork_in_vain());

	CHECK_EQ(WEXITSTATUS(status), 127);
	hart_lock();
	uint32_t locks = hart_self()->locks;
	hart_unlock();
	CHECK_EQ(locks, 1);
}

enum { FORKS = 100, MUCH = 4 << 20 };

static pid_t parent;
static _Atomic(bool) over, *in_a_child; /* the latter in memory that children share */

static void look_where_it_is(void *unused)
{
	while (!over) {
		test_spin(10 * US); /* or it would hardly ever be preempted */
		if (getpid() != parent) {
			*in_a_child = true;
			syscall(SYS_exit_group, 1);
		}
	}
}

/* A preemption is due in the child as it was in the parent: what asks for one there runs nobody else. */
static void goroutines_stay_with_the_parent(void)
{
	static const char *volatile nothing = "";
	char *volatile much = malloc(MUCH);

	CHECK(much != NULL);
	in_a_child = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(in_a_child != MAP_FAILED);
	parent = getpid();
	go(look_where_it_is, NULL);
	for (int i = 0; i < FORKS && !*in_a_child; i++) {
		memset(much, i, MUCH); /* the slice ends, and in the library nobody is preempted */
		pid_t pid = fork();
		if (pid == 0) {
			exec_in_vain();
			int error = errno;
			fputs(nothing, stderr); /* as perror() would */
			_exit(error == ENOENT ? 127 : 126);
		}
		int status = status_of(pid);
		CHECK(!*in_a_child);
		CHECK_EQ(WEXITSTATUS(status), 127);
	}
	over = true;
	free(much);
}

int main(int argc, char **argv)
{
	CHECK(mkdtemp(folder) != NULL);
	TESTS(TEST(reclaim_beside_a_spawn), TEST(exit_of_a_child), TEST(locks_after_vfork),
	      TEST_WHEN_NAMED(goroutines_stay_with_the_parent));
	int status = test_main(argc, argv, tests);
	rmdir(folder);
	return status;
}
