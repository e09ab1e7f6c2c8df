/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A machine whose memory is used up: the calls say so, nothing breaks, and what is given back can
 * be used again.
 *
 * @test machines=virt,q35,microvm harts=1,4 mem=48M timeout=60
 * @test machines=virt,q35 harts=1,4 mem=512M args=packed_ones_go_on timeout=60
 * @test machines=virt,q35 harts=1,2 mem=48M args=others_give_to_a_section
 * @test machines=virt,q35 harts=4 mem=48M env=GUMPDEBUG=heap args=malloc_fails_and_recovers|go_try_fails_and_recovers timeout=60
 */
#include <errno.h>

#include "test.h"

struct block {
	struct block *next;
	size_t size;
};

/*
 * Takes all memory: large blocks first, then smaller and smaller ones, down to the smallest that malloc has.
 */
static struct block *take_all(size_t *total)
{
	struct block *list = NULL;
	*total = 0;
	for (size_t size = (size_t)16 << 20; size >= sizeof(struct block); size /= 2) {
		struct block *block;
		errno = 0;
		while ((block = malloc(size))) {
			block->next = list;
			block->size = size;
			list = block;
			*total += size;
		}
		CHECK_EQ(errno, ENOMEM);
	}
	return list;
}

static void give_back(struct block *list)
{
	while (list) {
		struct block *next = list->next;
		free(list);
		list = next;
	}
}

static void malloc_fails_and_recovers(void)
{
	size_t first, again;
	give_back(take_all(&first));
	CHECK(first > (size_t)24 << 20);
	for (int i = 0; i < 3; i++) {
		give_back(take_all(&again));
		CHECK_IN(again, first / 10 * 9, first / 9 * 10);
	}
}

/* To less than half, so that it would be another object if there were one. */
static void realloc_shrinks(void)
{
	size_t total;
	char *object = malloc((size_t)1 << 20);
	object[0] = 'x';
	struct block *all = take_all(&total);
	CHECK(object = realloc(object, 300000));
	CHECK(object = realloc(object, 100));
	CHECK_EQ(object[0], 'x');
	CHECK(!realloc(object, (size_t)2 << 20));
	give_back(all);
	free(object);
}

static void chan_make_fails(void)
{
	volatile size_t huge = SIZE_MAX;
	errno = 0;
	CHECK(!go_chan_make(8, (size_t)1 << 40));
	CHECK_EQ(errno, ENOMEM);
	errno = 0;
	CHECK(!go_chan_make(huge / 2, 4)); /* the product overflows */
	CHECK_EQ(errno, ENOMEM);
	CHECK(!go_chan_make(huge, 1));
}

static go_chan *gate;
static _Atomic(int) count;

/* Uses more of its stack than is packed, so that it needs a page while it waits. */
static void wait_at_gate(void *unused)
{
	volatile char used[2048];
	used[0] = 0;
	go_recv(gate, NULL);
	used[sizeof(used) - 1] = used[0];
	count++;
}

static int start_until_full(void)
{
	int started = 0;
	errno = 0;
	while (go_try(wait_at_gate, NULL, NULL) == 0) {
		started++;
		CHECK(started < 100000);
		if (started % 100 == 0)
			go_yield();
	}
	CHECK_EQ(errno, ENOMEM);
	return started;
}

/* As many goroutines as fit; then all end, and again as many fit. */
static void go_try_fails_and_recovers(void)
{
	int first = 0;
	for (int round = 0; round < 2; round++) {
		count = 0;
		gate = go_chan_make(0, 0);
		int started = start_until_full();
		printf("\t%d goroutines\n", started);
		go_close(gate);
		WAIT_FOR(count == started);
		WAIT_FOR(go_count() == 1);
		go_chan_free(gate);
		if (round == 0)
			first = started;
		CHECK(started > 1000);
		CHECK(started >= first / 10 * 9);
	}
}

static _Atomic(int) arrived;

static void wait_with_little(void *unused)
{
	arrived++;
	go_recv(gate, NULL);
	count++;
}

/*
 * Each needs a page to go on, and together they need more than there is: whoever has gone on gives, and who
 * waits to run again, too.
 */
static void packed_ones_go_on(void)
{
	enum { N = 5000 };
	size_t total;

	arrived = count = 0;
	gate = go_chan_make(0, 0);
	for (int i = 0; i < N; i++)
		go(wait_with_little, NULL);
	WAIT_FOR(arrived == N);
	go_sleep(5 * MS);
	go_reclaim();
	struct block *all = take_all(&total);
	go_close(gate);
	WAIT_FOR(count == N);
	give_back(all);
	WAIT_FOR(go_count() == 1);
	go_chan_free(gate);
}

/* Each page, from the top on. */
static __attribute__((noinline)) void use_stack(size_t bytes)
{
	volatile char *room = __builtin_alloca(bytes);

	for (size_t at = bytes; at >= 4096; at -= 4096)
		room[at - 4096] = 1;
}

static go_chan *turns;

static void has_used_it(void *unused)
{
	if (go_recv(turns, NULL))
		use_stack((size_t)100 << 10);
	arrived++;
	go_recv(gate, NULL);
	count++;
}

static void grow_in_a_section(void *start)
{
	go_recv(start, NULL);
	go_block_enter();
	use_stack((size_t)12 << 20);
	go_block_leave();
	count++;
}

static size_t free_now(void)
{
	struct go_memory memory;

	go_memory(&memory);
	return memory.free;
}

/* A stack grows through the reserve while its goroutine has no P, and others could give: they are asked. */
static void others_give_to_a_section(void)
{
	enum { N = 450, ENOUGH = 200 };
	static const struct go_attr large = { .stack_max = (size_t)64 << 20 };
	struct go_memory memory;

	go_memory(&memory);
	arrived = count = 0;
	gate = go_chan_make(0, 0);
	turns = go_chan_make(0, 0);
	go_chan *start = go_chan_make(0, 0);
	CHECK_EQ(go_try(grow_in_a_section, start, &large), 0);
	for (int i = 0; i < N; i++)
		go(has_used_it, NULL);
	go_yield();
	int used = 0;
	/* down to the reserve: while there is more nobody is asked */
	for (; used < N && free_now() > memory.total / 16 + ((size_t)512 << 10); used++) {
		go_send(turns, NULL);
		WAIT_FOR(arrived == used + 1);
	}
	CHECK_IN(used, ENOUGH, N - 1);
	go_send(start, NULL);
	WAIT_FOR(count == 1);
	go_close(turns);
	go_close(gate);
	WAIT_FOR(go_count() == 1);
	go_chan_free(start);
	go_chan_free(turns);
	go_chan_free(gate);
}

static void start_one(void *unused)
{
	go(wait_at_gate, NULL);
}

/* With all memory in malloc's hands a start fails, and go() panics. */
static void go_panics(void)
{
	size_t total;
	count = 0;
	gate = go_chan_make(0, 0);
	struct block *all = take_all(&total);
	int started = start_until_full(); /* stacks that are kept for reuse */
	/* On another P there may be dead ones still, or a stack has been packed meanwhile. */
	const char *message;
	while ((message = go_call(start_one, NULL)) == NULL)
		started++;
	give_back(all);
	CHECK_STR(message, "go: out of memory");
	go_close(gate);
	WAIT_FOR(count == started);
	go_chan_free(gate);
}

static go_chan *words, *answers;
static go_mutex mutex;
static go_cond cond;
static go_sem sem;
static go_rwmutex rw;
static go_waitgroup group;
static long turn;

static void answer(void *unused)
{
	long word;
	while (go_recv(words, &word)) {
		struct go_case cases[] = { { GO_SEND, answers, &word, false }, { GO_RECV, words, NULL, false } };
		CHECK_EQ(go_select(cases, 1, GO_FOREVER), 0);
		go_mutex_lock(&mutex);
		while (turn != word)
			go_cond_wait(&cond, &mutex);
		go_mutex_unlock(&mutex);
		go_rwmutex_rlock(&rw);
		go_rwmutex_runlock(&rw);
		go_sem_acquire(&sem);
		go_waitgroup_done(&group);
	}
}

/* Each call in which a goroutine waits, for another one that comes late. */
static void wait_everywhere(long word)
{
	long back;
	struct go_case one = { GO_RECV, answers, &back, false };

	CHECK_EQ(go_select(&one, 1, go_now() + MS), -1);
	go_waitgroup_add(&group, 1);
	go_rwmutex_lock(&rw);
	go_send(words, &word);
	go_sleep(MS);
	CHECK(go_recv(answers, &back));
	CHECK_EQ(back, word);
	go_sleep(MS);
	go_mutex_lock(&mutex);
	go_sleep(MS);
	turn = word;
	go_cond_signal(&cond);
	go_mutex_unlock(&mutex);
	go_sleep(MS);
	go_rwmutex_unlock(&rw);
	go_sleep(MS);
	go_sem_release(&sem);
	go_waitgroup_wait(&group);
}

/* Waiters lie on the stacks of those who wait. The first time brings the pages of the stacks. */
static void waiting_allocates_nothing(void)
{
	size_t total;
	words = go_chan_make(sizeof(long), 0);
	answers = go_chan_make(sizeof(long), 0);
	go(answer, NULL);
	wait_everywhere(1);
	struct block *all = take_all(&total);
	for (long word = 2; word < 10; word++)
		wait_everywhere(word);
	give_back(all);
	go_close(words);
	WAIT_FOR(go_count() == 1);
	go_chan_free(words);
	go_chan_free(answers);
}

/* ---- More are woken at once than there are pages for ---- */

enum { PACKED = 15000 };

static int64_t wake_up_at;
static go_waitgroup others;

static void wait_for_turn(void *unused)
{
	count++;
	go_mutex_lock(&mutex);
	while (turn == 0)
		go_cond_wait(&cond, &mutex);
	go_mutex_unlock(&mutex);
	go_waitgroup_done(&group);
}

static void wait_for_others(void *unused)
{
	count++;
	go_waitgroup_wait(&others);
	go_waitgroup_done(&group);
}

static void wait_to_read(void *unused)
{
	count++;
	go_rwmutex_rlock(&rw);
	go_rwmutex_runlock(&rw);
	go_waitgroup_done(&group);
}

static void wait_for_a_permit(void *unused)
{
	count++;
	go_sem_acquire(&sem);
	go_waitgroup_done(&group);
}

static void wait_for_a_word(void *unused)
{
	long word = 0;
	count++;
	CHECK(go_recv(words, &word));
	CHECK(word != 0);
	go_waitgroup_done(&group);
}

static void wait_in_a_select(void *unused)
{
	struct go_case cases[] = { { GO_RECV, words, NULL, false }, { GO_RECV, answers, NULL, false } };
	count++;
	go_select(cases, 2, GO_FOREVER);
	go_waitgroup_done(&group);
}

static void wait_until_then(void *unused)
{
	count++;
	go_sleep_until(wake_up_at);
	go_waitgroup_done(&group);
}

static void start_packed(void (*fn)(void *))
{
	count = 0;
	go_waitgroup_add(&group, PACKED);
	for (int i = 0; i < PACKED; i++) {
		while (go_try(fn, NULL, NULL) != 0)
			go_sleep(MS);
		if (i % 100 == 0)
			go_yield();
	}
	WAIT_FOR(count == PACKED);
	go_sleep(10 * MS);
}

static void end_packed(void)
{
	go_waitgroup_wait(&group);
	WAIT_FOR(go_count() == 1);
}

static void packed_ones_are_signalled(void)
{
	turn = 0;
	start_packed(wait_for_turn);
	go_mutex_lock(&mutex);
	turn = 1;
	go_cond_broadcast(&cond);
	go_mutex_unlock(&mutex);
	end_packed();
}

static void packed_ones_wait_for_others(void)
{
	go_waitgroup_add(&others, 1);
	start_packed(wait_for_others);
	go_waitgroup_done(&others);
	end_packed();
}

static void packed_ones_read(void)
{
	go_rwmutex_lock(&rw);
	start_packed(wait_to_read);
	go_rwmutex_unlock(&rw);
	end_packed();
}

static void packed_ones_get_permits(void)
{
	start_packed(wait_for_a_permit);
	for (int i = 0; i < PACKED; i++)
		go_sem_release(&sem);
	end_packed();
}

static void packed_ones_get_words(void)
{
	words = go_chan_make(sizeof(long), 0);
	start_packed(wait_for_a_word);
	for (long i = 1; i <= PACKED; i++)
		go_send(words, &i);
	end_packed();
	go_chan_free(words);
}

static void packed_ones_select(void)
{
	words = go_chan_make(sizeof(long), 0);
	answers = go_chan_make(sizeof(long), 0);
	start_packed(wait_in_a_select);
	go_close(words);
	end_packed();
	go_chan_free(words);
	go_chan_free(answers);
}

static void packed_ones_wake_up(void)
{
	wake_up_at = go_now() + 5 * SECOND;
	start_packed(wait_until_then);
	end_packed();
}

int main(int argc, char **argv)
{
	TESTS(TEST(malloc_fails_and_recovers), TEST(realloc_shrinks), TEST(chan_make_fails),
	      TEST(waiting_allocates_nothing), TEST(go_try_fails_and_recovers), TEST(go_panics),
	      TEST(packed_ones_are_signalled), TEST(packed_ones_wait_for_others), TEST(packed_ones_read),
	      TEST(packed_ones_get_permits), TEST(packed_ones_get_words), TEST(packed_ones_select),
	      TEST(packed_ones_wake_up), TEST(packed_ones_go_on), TEST(others_give_to_a_section));
	return test_main(argc, argv, tests);
}
