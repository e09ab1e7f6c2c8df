/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How a program starts as a Linux process: the main thread becomes hart 0, the others are threads, and the
 * program's main() runs in the first goroutine.
 *
 * The linker is told to call __wrap_main() where the C library's start code calls main(). What a constructor
 * of the program may need comes up before those run.
 *
 * GUMP_HARTS in the environment is the number of harts; otherwise it is the number of CPUs that the process
 * may use. There may be more harts than CPUs.
 */
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "hosted.h"
#include "kernel/layout.h"
#include "kernel/machine.h"

int __real_main(int argc, char **argv, char **envp);
int __wrap_main(int argc, char **argv, char **envp);

/* Made by the linker from the section that KERNEL_INIT() fills. */
extern kernel_init_fn *const __start_gump_init[] __attribute__((weak));
extern kernel_init_fn *const __stop_gump_init[] __attribute__((weak));

static unsigned count;
static struct hart *harts[HARTS_MAX];

unsigned hart_count(void)
{
	return count;
}

struct hart *hart_get(unsigned id)
{
	return harts[id];
}

static unsigned harts_wanted(void)
{
	const char *text = getenv("GUMP_HARTS");
	cpu_set_t cpus;
	long n = text != NULL ? strtol(text, NULL, 10) : 0;

	if (n < 1)
		n = sched_getaffinity(0, sizeof(cpus), &cpus) == 0 ? CPU_COUNT(&cpus) : 1;
	return n > HARTS_MAX ? HARTS_MAX : (unsigned)n;
}

static struct hart *hart_new(unsigned id)
{
	struct hart *hart =
		mmap(NULL, sched_hart_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (hart == MAP_FAILED) {
		fprintf(stderr, "gump: no memory for hart %u\n", id);
		exit(1);
	}
	hart->self = hart;
	hart->id = id;
	hart->mark = id + 1;
	hart->locks = 1;
	return hart;
}

/* Who started the process may have left 0, 1 or 2 closed: what is opened first must not be taken for them. */
static void standard_descriptors(void)
{
	int fd;

	while ((fd = open("/dev/null", O_RDWR)) >= 0 && fd <= STDERR_FILENO)
		;
	if (fd >= 0)
		close(fd);
}

/* Before all other constructors, which may print, and ask for errno. */
static __attribute__((constructor(101))) void process_start(void)
{
	standard_descriptors();
	process_init();
	clock_init();
	symbols_init();
	count = harts_wanted();
	for (unsigned id = 0; id < count; id++)
		harts[id] = hart_new(id);
	signals_init();
	thread_install(harts[0]);
	stdio_init();
}

static void *hart_thread(void *hart)
{
	thread_install(hart);
	thread_run(hart, sched_hart_start);
}

void arch_harts_start(void)
{
	for (unsigned id = 1; id < count; id++) {
		pthread_t thread;
		int error = pthread_create(&thread, NULL, hart_thread, harts[id]);
		if (error != 0)
			hart_fatal("no thread for hart %u: error %d", id, error);
		pthread_detach(thread);
	}
}

static int main_argc;
static char **main_argv, **main_envp;

/* The first goroutine. */
static void run_main(void)
{
	for (kernel_init_fn *const *init = __start_gump_init; init < __stop_gump_init; init++)
		(*init)();
	int status = __real_main(main_argc, main_argv, main_envp);
	sched_run_deferred();
	exit(status);
}

static void start(void)
{
	sched_init();
	arch_harts_start();
	sched_start(run_main);
}

int __wrap_main(int argc, char **argv, char **envp)
{
	main_argc = argc;
	main_argv = argv;
	main_envp = envp;
	thread_run(harts[0], start);
}
