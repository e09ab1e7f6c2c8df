/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A process works however it was started: with signals blocked, without standard descriptors, with an output
 * that does not block or takes nothing. And a timer that comes early by our clock is not its last.
 *
 * @test machines=hosted harts=1,4 sanitize= timeout=60
 */
#include <errno.h>
#include <fcntl.h>
#include <gump/net.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "kernel/hart.h"
#include "test.h"

enum { LINES = 20000 };

/* ---- What this program does when it is its own child ---- */

static void endless(void *unused)
{
	for (;;)
		;
}

/* Sleeps, and has the hart back from one that never gives it up. */
static int child_sleeps(void)
{
	go_sleep(MS);
	for (int i = 0; i < go_harts(); i++)
		go(endless, NULL);
	go_sleep(MS);
	return 0;
}

/* What it opens is none of the three. */
static int child_listens(void)
{
	struct stat null, found;
	go_listener *listener = go_listen("127.0.0.1:0");

	if (listener == NULL || stat("/dev/null", &null) != 0)
		return 1;
	for (int fd = 0; fd <= 2; fd++)
		if (fstat(fd, &found) != 0 || found.st_rdev != null.st_rdev)
			return 2;
	return 0;
}

static int child_prints(void)
{
	for (int i = 0; i < LINES; i++)
		printf("this is line %d\n", i);
	return fflush(stdout) == 0 ? 0 : 3;
}

static int child_is_told(void)
{
	printf("lost\n");
	return fflush(stdout) == EOF && errno == EIO && fflush(stdout) == 0 ? 0 : 4;
}

static int child(const char *what)
{
	alarm(20);
	return strcmp(what, "sleeps") == 0 ? child_sleeps() : strcmp(what, "listens") == 0 ? child_listens()
		: strcmp(what, "prints") == 0 ? child_prints() : child_is_told();
}

/* ---- Its parent ---- */

extern char **environ;

static pid_t spawn(const char *what, posix_spawn_file_actions_t *actions, bool blocked)
{
	char *argv[] = { "started", "child", (char *)what, NULL };
	posix_spawnattr_t attr;
	sigset_t all, none;
	pid_t pid = -1;

	sigfillset(&all);
	sigemptyset(&none);
	posix_spawnattr_init(&attr);
	posix_spawnattr_setsigmask(&attr, blocked ? &all : &none);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK);
	CHECK_EQ(posix_spawn(&pid, "/proc/self/exe", actions, &attr, argv, environ), 0);
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(actions);
	return pid;
}

static int status_of(pid_t pid)
{
	int status;

	go_block_enter();
	while (waitpid(pid, &status, 0) < 0)
		;
	go_block_leave();
	return status;
}

static void with_signals_blocked(void)
{
	posix_spawn_file_actions_t actions;

	posix_spawn_file_actions_init(&actions);
	/* its alarm is blocked, too, but the test's own time is not */
	CHECK_EQ(status_of(spawn("sleeps", &actions, true)), 0);
}

static void without_descriptors(void)
{
	posix_spawn_file_actions_t actions;

	posix_spawn_file_actions_init(&actions);
	for (int fd = 0; fd <= 2; fd++)
		posix_spawn_file_actions_addclose(&actions, fd);
	CHECK_EQ(status_of(spawn("listens", &actions, false)), 0);
}

/* A pipe whose other end is read slowly at first. */
static void output_that_does_not_block(void)
{
	posix_spawn_file_actions_t actions;
	static char text[65536];
	int fds[2];
	size_t lines = 0;
	ssize_t n;

	CHECK_EQ(pipe(fds), 0);
	CHECK_EQ(fcntl(fds[0], F_SETFD, FD_CLOEXEC), 0);
	CHECK_EQ(fcntl(fds[1], F_SETFL, O_NONBLOCK), 0);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, fds[1], 1);
	posix_spawn_file_actions_addclose(&actions, fds[1]);
	pid_t pid = spawn("prints", &actions, false);
	close(fds[1]);
	go_sleep(100 * MS);
	while ((n = read(fds[0], text, sizeof(text))) > 0)
		for (ssize_t i = 0; i < n; i++)
			lines += text[i] == '\n';
	close(fds[0]);
	CHECK_EQ(status_of(pid), 0);
	CHECK_EQ(lines, LINES);
}

static void output_that_takes_nothing(void)
{
	posix_spawn_file_actions_t actions;

	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, 1, "/dev/full", O_WRONLY, 0);
	CHECK_EQ(status_of(spawn("told", &actions, false)), 0);
}

/* ---- The timer ---- */

/* On a thread that is no hart. The kernel's timer comes now, in place of when it was to. */
static void *early(void *unused)
{
	const struct itimerspec soon = { .it_value = { 0, 1000000 } };

	poll(NULL, 0, 100);
	for (unsigned id = 0; id < hart_count(); id++)
		syscall(SYS_timer_settime, hart_get(id)->arch.timer, 0, &soon, NULL);
	return NULL;
}

static void timer_that_comes_early(void)
{
	int64_t due = go_now() + 300 * MS;
	pthread_t thread;

	CHECK_EQ(pthread_create(&thread, NULL, early, NULL), 0);
	go_sleep_until(due);
	CHECK(go_now() >= due);
	pthread_join(thread, NULL);
}

int main(int argc, char **argv)
{
	TESTS(TEST(with_signals_blocked), TEST(without_descriptors), TEST(output_that_does_not_block),
	      TEST(output_that_takes_nothing), TEST(timer_that_comes_early));
	return argc == 3 && strcmp(argv[1], "child") == 0 ? child(argv[2]) : test_main(argc, argv, tests);
}
