/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Goroutines that are created, grow, wait, are packed, go on and end, round after round, for as many seconds
 * as the argument says; and in the end memory is where it was. tests/soak runs it for half an hour.
 *
 * A round is 3000 of them: each uses a random amount of its stack, now and then of one of a megabyte, and
 * of the heap, waits in a random way, and checks what it has written. Cycles come in between, by themselves
 * and on call. The first rounds are not counted: they bring what is kept for the next ones, and how much
 * that is depends on chance.
 *
 * @test machines=virt,q35 harts=1,4 mem=256M args=3 timeout=120
 */
#include "test.h"

enum { GS = 3000, WARM_UP = 10, EACH_KIB = 32, DEEP_KIB = 600 };
#define SLACK ((size_t)512 * 1024)

static go_chan *gate;
static go_mutex mutex;
static go_waitgroup running;
static _Atomic(int) wrong;
static uint64_t state = 1;

/* Of one sequence for all: who gets which number is chance, too. */
static unsigned draw(unsigned n)
{
	uint64_t x = __atomic_add_fetch(&state, UINT64_C(0x9e3779b97f4a7c15), __ATOMIC_RELAXED);
	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return (unsigned)((x ^ x >> 31) >> 32) % n;
}

static void wait_somehow(void)
{
	struct go_case one = { GO_RECV, gate, NULL, false };

	switch (draw(5)) {
	case 0:
		go_recv(gate, NULL);
		break;
	case 1:
		go_select(&one, 1, go_now() + (int64_t)draw(20) * MS);
		break;
	case 2:
		go_sleep((int64_t)draw(20) * MS);
		break;
	case 3:
		go_mutex_lock(&mutex);
		if (draw(10) == 0)
			go_yield();
		go_mutex_unlock(&mutex);
		break;
	default:
		go_yield();
	}
}

/* Writes to a stack so deep, waits at its lowest point, and looks at everything on the way back. */
static __attribute__((noinline)) void grow(unsigned kib)
{
	volatile unsigned char bytes[1024];
	unsigned char seed = (unsigned char)draw(256);

	for (size_t i = 0; i < sizeof(bytes); i += 32)
		bytes[i] = (unsigned char)(seed + i / 32);
	if (kib > 1)
		grow(kib - 1);
	else
		wait_somehow();
	for (size_t i = 0; i < sizeof(bytes); i += 32)
		wrong += bytes[i] != (unsigned char)(seed + i / 32);
}

static void live(void *max_kib)
{
	size_t size = draw(100) == 0 ? draw(100000) : draw(2000);
	unsigned char *block = malloc(size + 1);

	if (block == NULL)
		go_panic("out of memory");
	memset(block, 0x5a, size + 1);
	grow(1 + draw((unsigned)(intptr_t)max_kib));
	wait_somehow();
	grow(1 + draw(4));
	for (size_t i = 0; i < size; i += 100)
		wrong += block[i] != 0x5a;
	free(block);
	go_waitgroup_done(&running);
}

static void begin(int n)
{
	static const struct go_attr deep = { .stack_max = (size_t)1 << 20, .name = "deep" };

	go_waitgroup_add(&running, n);
	for (int i = 0; i < n; i++)
		if (draw(200) != 0)
			go(live, (void *)(intptr_t)EACH_KIB);
		else if (go_try(live, (void *)(intptr_t)DEEP_KIB, &deep) != 0)
			go_panic("no memory for a large stack");
}

/* Two channels: some wait for the second while others have gone on from the first. */
static void one_round(void)
{
	go_chan *first = go_chan_make(0, 0), *second = go_chan_make(0, 0);

	gate = first;
	begin(GS / 2);
	go_sleep((int64_t)draw(20) * MS);
	if (draw(2) == 0)
		go_reclaim();
	gate = second;
	begin(GS / 2);
	go_close(first);
	go_sleep((int64_t)draw(20) * MS);
	if (draw(2) == 0)
		go_reclaim();
	go_close(second);
	go_waitgroup_wait(&running);
	WAIT_FOR(go_count() == 1);
	go_chan_free(first);
	go_chan_free(second);
	CHECK_EQ(wrong, 0);
}

/*
 * When the other harts sleep: then their pools go, too. The host may be busy with other things, so that it
 * takes a few times; and a cycle frees the tables that the last one took.
 */
static struct go_memory left(void)
{
	struct go_memory most = { 0 }, memory;

	for (int i = 0; i < 50 && (i < 3 || most.stacks > (size_t)64 * 1024); i++) {
		go_sleep(10 * MS);
		test_spin(MS); /* one that was woken with this one finds nothing to do */
		go_reclaim();
		go_memory(&memory);
		if (memory.free > most.free)
			most = memory;
	}
	return most;
}

static void say(int64_t start, int rounds)
{
	struct go_memory m = left();

	printf("%6lld s, %6d rounds: KiB free %zu, heap %zu, of it in use %zu, goroutines %zu, stacks %zu, tables %zu\n",
	       (long long)((go_now() - start) / SECOND), rounds, m.free >> 10, m.heap >> 10, m.heap_used >> 10,
	       m.goroutines >> 10, m.stacks >> 10, m.tables >> 10);
}

int main(int argc, char **argv)
{
	int64_t start = go_now(), seconds = argc > 1 ? atoi(argv[1]) : 1800, end = start + seconds * SECOND;
	int64_t next = start;
	int rounds = 0;
	size_t at_first = 0;

	for (; rounds <= WARM_UP || go_now() < end; rounds++) {
		if (rounds == WARM_UP)
			at_first = left().free;
		if (go_now() >= next) {
			say(start, rounds);
			next += seconds / 10 * SECOND + SECOND;
		}
		one_round();
	}
	say(start, rounds);
	size_t at_last = left().free;
	printf("free after %d rounds: %zu KiB, after %d: %zu KiB\n", WARM_UP, at_first >> 10, rounds, at_last >> 10);
	CHECK(at_last + SLACK >= at_first);
	printf("PASS\n");
	return 0;
}
