/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * malloc and its family: every byte of every object checked, on all harts at once. ThreadSanitizer and
 * AddressSanitizer have heaps of their own: with the first the objects' way from hart to hart is tested.
 *
 * @test mem=128M sanitize=undefined
 * @test objects machines=hosted-thread harts=4 env=PART=4 args=contents_stay|freed_elsewhere
 * @test machines=virt,q35 harts=1,4 mem=128M env=GUMPDEBUG=heap args=-nothing_is_lost
 */
#include <errno.h>

#include "test.h"

static _Atomic(int) count;

static void fill(unsigned char *p, size_t size, unsigned seed)
{
	for (size_t i = 0; i < size; i++)
		p[i] = (unsigned char)(seed + i * 31);
}

static void check(const unsigned char *p, size_t size, unsigned seed)
{
	for (size_t i = 0; i < size; i++)
		if (p[i] != (unsigned char)(seed + i * 31))
			test_failed(__FILE__, __LINE__, "byte %zu of %zu at %p is changed", i, size,
				    (const void *)p);
}

struct object {
	unsigned char *p;
	size_t size;
	unsigned seed;
};

static uint32_t next_random(uint32_t *state)
{
	*state = *state * 1664525 + 1013904223;
	return *state >> 8;
}

/* Mostly small, sometimes large. */
static size_t random_size(uint32_t *state)
{
	uint32_t r = next_random(state);
	if (r % 16 == 0)
		return next_random(state) % 100000;
	return next_random(state) % (r % 4 ? 200 : 5000);
}

static void churn(void *seed)
{
	enum { OBJECTS = 200 };
	int steps = test_part(4000);
	uint32_t state = (uint32_t)(intptr_t)seed * 12345 + 1;
	struct object *objects = calloc(OBJECTS, sizeof(*objects));
	for (int i = 0; i < steps; i++) {
		struct object *o = &objects[next_random(&state) % OBJECTS];
		check(o->p, o->size, o->seed);
		switch (next_random(&state) % 3) {
		case 0: {
			size_t size = random_size(&state) + 1;
			unsigned char *p = realloc(o->p, size);
			CHECK(p);
			check(p, size < o->size ? size : o->size, o->seed);
			*o = (struct object){ p, size, next_random(&state) };
			fill(p, size, o->seed);
			break;
		}
		default:
			free(o->p);
			*o = (struct object){ NULL, random_size(&state), next_random(&state) };
			CHECK(o->p = malloc(o->size));
			CHECK_EQ((uintptr_t)o->p % 16, 0);
			fill(o->p, o->size, o->seed);
		}
		if (i % 64 == 0)
			go_yield();
	}
	for (int i = 0; i < OBJECTS; i++) {
		check(objects[i].p, objects[i].size, objects[i].seed);
		free(objects[i].p);
	}
	free(objects);
	count++;
}

static void contents_stay(void)
{
	count = 0;
	for (intptr_t i = 0; i < 6; i++)
		go(churn, (void *)i);
	WAIT_FOR(count == 6);
}

static go_chan *ch;

static void free_what_comes(void *unused)
{
	struct object o;
	while (go_recv(ch, &o)) {
		check(o.p, o.size, o.seed);
		free(o.p);
	}
	count++;
}

/* Allocated by one goroutine, freed by another. */
static void freed_elsewhere(void)
{
	uint32_t state = 99;
	count = 0;
	ch = go_chan_make(sizeof(struct object), 50);
	for (int i = 0; i < 3; i++)
		go(free_what_comes, NULL);
	for (int i = 0; i < 5000; i++) {
		struct object o = { NULL, random_size(&state), (unsigned)i };
		CHECK(o.p = malloc(o.size));
		fill(o.p, o.size, o.seed);
		go_send(ch, &o);
	}
	go_close(ch);
	WAIT_FOR(count == 3);
	go_chan_free(ch);
}

/* What one hart allocates and another frees comes back to the first: 150 MB in all, out of 128 MiB. */
static void comes_back(void)
{
	count = 0;
	ch = go_chan_make(sizeof(struct object), 500);
	go_lock_hart(); /* so that the other runs elsewhere */
	go(free_what_comes, NULL);
	for (int i = 0; i < 150000; i++) {
		struct object o = { malloc(1000), 1, (unsigned)i };
		CHECK(o.p);
		fill(o.p, o.size, o.seed);
		go_send(ch, &o);
	}
	go_close(ch);
	WAIT_FOR(count == 1);
	go_unlock_hart();
	go_chan_free(ch);
}

/* What was freed can be had again: some GiB in all, out of 128 MiB. */
static void nothing_is_lost(void)
{
	for (int round = 0; round < 40; round++) {
		void *small[2000], *large[20];
		for (int i = 0; i < 2000; i++)
			CHECK(small[i] = malloc((size_t)(i * 37 % 3000)));
		for (int i = 0; i < 20; i++)
			CHECK(large[i] = malloc((size_t)(round % 5 + 1) << 20 >> (i % 4)));
		for (int i = 0; i < 2000; i++)
			free(small[(i * 777) % 2000]);
		for (int i = 0; i < 20; i++)
			free(large[i]);
	}
	for (int i = 0; i < 200; i++) {
		void *p = malloc((size_t)25 << 20);
		CHECK(p);
		free(p);
	}
}

static void zeroed(void)
{
	for (size_t size = 1; size < 200000; size = size * 3 + 1) {
		unsigned char *p = malloc(size);
		memset(p, 0xff, size);
		free(p);
		CHECK(p = calloc(size, 1));
		for (size_t i = 0; i < size; i++)
			CHECK_EQ(p[i], 0);
		free(p);
	}
}

static void alignment(void)
{
	for (size_t align = 1; align <= 65536; align *= 2)
		for (size_t size = 0; size < 100000; size = size * 5 + align) {
			unsigned char *p = aligned_alloc(align, size);
			CHECK(p);
			CHECK_EQ((uintptr_t)p % align, 0);
			fill(p, size, 5);
			unsigned char *q = realloc(p, size + 100);
			CHECK(q);
			check(q, size, 5);
			free(q);
		}
	void *p = NULL;
	CHECK_EQ(posix_memalign(&p, 256, 1000), 0);
	CHECK_EQ((uintptr_t)p % 256, 0);
	free(p);
}

static void edges(void)
{
	volatile size_t huge = SIZE_MAX, half = SIZE_MAX / 2 + 2;
	free(NULL);
	void *a = malloc(0), *b = malloc(0);
	CHECK(a && b && a != b);
	free(a);
	free(b);
	free(realloc(NULL, 10));
	for (int i = 0; i < 4; i++) {
		errno = 0;
		void *volatile p = i == 0 ? malloc(huge - 8) : i == 1 ? calloc(half, 2) : i == 2
			? malloc((size_t)1 << 40) : aligned_alloc(4096, huge - 100);
		CHECK(!p);
		CHECK_EQ(errno, ENOMEM);
	}
	char *kept = malloc(100);
	strcpy(kept, "still here");
	CHECK(!realloc(kept, huge / 2));
	CHECK_STR(kept, "still here");
	free(kept);
}

int main(int argc, char **argv)
{
	TESTS(TEST(contents_stay), TEST(freed_elsewhere), TEST(comes_back), TEST(nothing_is_lost), TEST(zeroed),
	      TEST(alignment), TEST(edges));
	return test_main(argc, argv, tests);
}
