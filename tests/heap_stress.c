/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * malloc on all harts at once: each object may be checked, grown and freed on another hart than the one that
 * allocated it, and in the end all memory is where it was. Until it is used up: then malloc says so on every
 * hart, the machine goes on, and what is freed is there again.
 *
 * Not on hosted: malloc is the host's there.
 *
 * @test across_harts machines=virt,q35,microvm harts=1,2,4,8 mem=128M
 * @test used_up machines=virt,q35,microvm harts=1,2,4,8 mem=32M timeout=60
 * @test across_harts machines=virt,q35 harts=4 mem=128M env=QUANTUM_US=100
 * @test across_harts machines=virt,q35 harts=1,4 mem=128M env=GUMPDEBUG=heap
 * @stress across_harts mem=128M
 */
#include <errno.h>
#include <malloc.h>

#include "sched/sched.h"
#include "test.h"

#define GOROUTINES 12

struct object { /* at the start of the memory that it tells of */
	size_t size;
	unsigned seed;
	unsigned char bytes[];
};

static void fill(struct object *o, size_t size, unsigned seed)
{
	o->size = size;
	o->seed = seed;
	for (size_t i = 0; i < size; i++)
		o->bytes[i] = (unsigned char)(seed + i * 31);
}

static void check(const struct object *o, size_t size)
{
	for (size_t i = 0; i < size; i++)
		if (o->bytes[i] != (unsigned char)(o->seed + i * 31))
			test_failed(__FILE__, __LINE__, "byte %zu of %zu at %p is changed", i, o->size,
				    (const void *)o);
}

static uint32_t next_random(uint32_t *state)
{
	*state = *state * 1664525 + 1013904223;
	return *state >> 8;
}

static size_t random_size(uint32_t *state)
{
	uint32_t r = next_random(state);
	return next_random(state) % (r % 64 == 0 ? 60000 : r % 8 == 0 ? 5000 : 300);
}

static struct object *make_zeroed(size_t size, uint32_t *state)
{
	struct object *o = calloc(1, sizeof(*o) + size);
	CHECK(o);
	for (size_t i = 0; i < size; i++)
		CHECK_EQ(o->bytes[i], 0);
	fill(o, size, next_random(state));
	return o;
}

static struct object *make(uint32_t *state)
{
	size_t size = random_size(state), align = 16u << next_random(state) % 9;
	uint32_t kind = next_random(state) % 4;

	if (kind == 0)
		return make_zeroed(size, state);
	struct object *o = kind == 1 ? aligned_alloc(align, sizeof(*o) + size) : malloc(sizeof(*o) + size);
	CHECK(o);
	CHECK_EQ((uintptr_t)o % (kind == 1 ? align : 16), 0);
	fill(o, size, next_random(state));
	return o;
}

static struct object *resize(struct object *o, uint32_t *state)
{
	size_t old = o->size, size = random_size(state);
	CHECK(o = realloc(o, sizeof(*o) + size));
	check(o, old < size ? old : size);
	fill(o, size, next_random(state));
	return o;
}

enum { SLOTS = 512 };
static _Atomic(struct object *) slots[SLOTS]; /* who takes an object out of one owns it */
static _Atomic(int) done;

static void swaps(void *seed)
{
	uint32_t state = (uint32_t)(uintptr_t)seed * 7919 + 1;

	for (int i = 0, n = test_part(6000); i < n; i++) {
		_Atomic(struct object *) *slot = &slots[next_random(&state) % SLOTS];
		struct object *o = atomic_exchange(slot, NULL);
		if (o != NULL) {
			check(o, o->size);
			if (next_random(&state) % 3 != 0) {
				free(o);
				o = NULL;
			} else {
				o = resize(o, &state);
			}
		}
		if (o == NULL)
			o = make(&state);
		o = atomic_exchange(slot, o);
		if (o != NULL) {
			check(o, o->size);
			free(o);
		}
		if (i % 128 == 0)
			go_yield();
	}
	done++;
}

/*
 * By the program: without goroutines' structures and their places among the timers, of which there
 * may be ever more.
 */
static size_t used(void)
{
	struct go_memory m;
	go_memory(&m);
	size_t bytes = m.heap_used + m.goroutines - m.goroutines / sizeof(struct g) * malloc_usable_size(g_self());
	for (unsigned id = 0; id < hart_count(); id++) {
		struct p *p = p_get(id);
		spin_lock(&p->timer_lock); /* they may move meanwhile */
		bytes -= malloc_usable_size(p->timers);
		spin_unlock(&p->timer_lock);
	}
	return bytes;
}

static void start(void (*fn)(void *))
{
	done = 0;
	for (intptr_t i = 0; i < GOROUTINES; i++)
		go(fn, (void *)i);
}

static void all_done(void)
{
	while (done < GOROUTINES)
		go_sleep(MS);
	WAIT_FOR(go_count() == 1);
}

static void nothing(void *unused)
{
	done++;
}

static void across_harts(void)
{
	start(nothing); /* their structures, and whatever they take the first time, are there from now on */
	all_done();
	size_t before = used();
	start(swaps);
	all_done();
	for (int i = 0; i < SLOTS; i++) {
		struct object *o = atomic_exchange(&slots[i], NULL);
		if (o != NULL)
			check(o, o->size);
		free(o);
	}
	if (getenv("GUMPDEBUG") == NULL) /* what is watched takes more than malloc_usable_size() */
		CHECK_EQ(used(), before);
}

struct chain {
	struct chain *next;
	size_t size;
};
static struct chain *chains[GOROUTINES];

/* Until there is nothing of any size. */
static void takes_all(void *number)
{
	struct chain **chain = &chains[(intptr_t)number], *link;
	uint32_t state = (uint32_t)(uintptr_t)number + 1;

	for (size_t most = 200000; most >= 64; most /= 2) {
		size_t size = sizeof(*link) + next_random(&state) % most;
		errno = 0;
		for (; (link = malloc(size)); size = sizeof(*link) + next_random(&state) % most) {
			memset(link, 1, size);
			*link = (struct chain){ *chain, size };
			*chain = link;
		}
		CHECK_EQ(errno, ENOMEM);
	}
	done++;
}

static void gives_all(void *number)
{
	struct chain *link, *next = chains[((intptr_t)number + 1) % GOROUTINES];
	while ((link = next)) {
		next = link->next;
		free(link);
	}
	done++;
}

static void echo(void *ch)
{
	long word;
	while (go_recv(ch, &word))
		go_send(ch, &word);
}

static void ping(go_chan *ch)
{
	for (long word = 0, back; word < 10; word++) {
		go_send(ch, &word);
		CHECK(go_recv(ch, &back));
		CHECK_EQ(back, word);
	}
}

static void used_up(void)
{
	size_t first = 0;
	go_chan *ch = go_chan_make(sizeof(long), 0);

	start(nothing);
	all_done();
	go(echo, ch);
	ping(ch);
	size_t before = used(); /* no hart has been asked yet to give back what it keeps */
	for (int round = 0; round < 2; round++) {
		memset(chains, 0, sizeof(chains));
		start(takes_all);
		while (done < GOROUTINES)
			go_sleep(MS);
		size_t total = used();
		ping(ch);
		start(gives_all);
		while (done < GOROUTINES)
			go_sleep(MS);
		WAIT_FOR(go_count() == 2);
		ping(ch);
		if (round == 0) {
			first = total;
			CHECK(first > (size_t)16 << 20);
		}
		WAIT_FOR(used() == before); /* what a hart gives back right now is counted twice */
		CHECK_IN(total, first / 100 * 97, first / 97 * 100);
	}
	go_close(ch);
	WAIT_FOR(go_count() == 1);
	go_chan_free(ch);
}

int main(int argc, char **argv)
{
	TESTS(TEST(across_harts), TEST(used_up));
	return test_main(argc, argv, tests);
}
