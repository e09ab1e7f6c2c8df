/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The table of benchmarks: runs those that are named, or all.
 */
#include "bench.h"

#include <string.h>

enum { REPEATS = 5 };

static const struct {
	const char *name;
	void (*run)(void);
} benchmarks[] = {
	{ "create", bench_create },
	{ "unbuffered", bench_unbuffered },
	{ "buffered", bench_buffered },
	{ "many", bench_many },
	{ "select", bench_select },
	{ "yield", bench_yield },
	{ "mutex", bench_mutex },
	{ "malloc", bench_malloc },
	{ "ring", bench_ring },
	{ "park", bench_park },
	{ "skynet", bench_skynet },
	{ "timer", bench_timer },
	{ "deadline", bench_deadline },
	{ "nap", bench_nap },
	{ "sleepers", bench_sleepers },
	{ "sleep", bench_sleep },
	{ "hog", bench_hog },
	{ "speedup", bench_speedup },
	{ "fault", bench_fault },
	{ "bytes", bench_bytes },
	{ "reclaim", bench_reclaim },
};

void result(const char *name, double ns)
{
	printf("result %s %.2f\n", name, ns);
}

static void empty(long n)
{
	for (long i = 0; i < n; i++)
		__asm__ volatile("");
}

static int64_t shortest(long n, void (*op)(long n))
{
	int64_t best = INT64_MAX;
	for (int i = 0; i < REPEATS; i++) {
		int64_t start = go_now();
		op(n);
		int64_t took = go_now() - start;
		best = took < best ? took : best;
	}
	return best;
}

void per_op(const char *name, long n, void (*op)(long n))
{
	/* bench/profile counts what the machine executes, and wants little of it. */
	const char *figure = getenv("PROFILE"), *ops = getenv("OPS");
	if (figure != NULL && ops != NULL) {
		if (strcmp(figure, name) == 0)
			op(atol(ops));
		return;
	}
	op(n / 10); /* warms up: dead goroutines to reuse, pages that are there */
	result(name, (double)(shortest(n, op) - shortest(n, empty)) / (double)n);
}

static int compare(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
	return (x > y) - (x < y);
}

void result_spread(const char *name, int64_t *times, int count, const char *high, int rank)
{
	char full[40];
	qsort(times, (size_t)count, sizeof(*times), compare);
	snprintf(full, sizeof(full), "%s-p50", name);
	result(full, (double)times[count / 2]);
	snprintf(full, sizeof(full), "%s-%s", name, high);
	result(full, (double)times[(count - 1) * rank / 100]);
}

void wait_for(_Atomic(long) *counter, long n)
{
	while (atomic_load(counter) < n)
		go_yield();
}

static bool named(const char *name, int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		if (strcmp(argv[i], name) == 0)
			return true;
	return argc < 2;
}

int main(int argc, char **argv)
{
	int run = 0;
	for (size_t i = 0; i < sizeof(benchmarks) / sizeof(benchmarks[0]); i++)
		if (named(benchmarks[i].name, argc, argv)) {
			benchmarks[i].run();
			run++;
		}
	if (run == 0)
		printf("bench: there is no benchmark %s\n", argv[1]);
	return run == 0;
}
