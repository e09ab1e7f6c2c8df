/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Programs made of channels: many goroutines, each doing little, nothing lost on the way.
 *
 * @test harts=1,2,4,8 timeout=60 sanitize=address,undefined
 * @test machines=hosted-thread harts=4 env=PART=20 timeout=60
 * @test machines=virt,q35 harts=1 mem=256M timeout=60 env=GUMPDEBUG=pack|PART=20
 * @test machines=virt,q35 harts=2 mem=256M timeout=120 env=GUMPDEBUG=pack|PART=100
 * @stress env=PART=10 timeout=60
 */
#include "test.h"

struct link {
	go_chan *left, *right;
};

static void pass_on(void *arg)
{
	struct link *link = arg;
	int value;
	go_recv(link->right, &value);
	value++;
	go_send(link->left, &value);
}

/* 10,000 goroutines in a row, or a part of that: each adds one. */
static void daisy_chain(void)
{
	int length = test_part(10000);
	struct link *links = calloc((size_t)length, sizeof(*links));
	go_chan **chans = calloc((size_t)length + 1, sizeof(*chans));
	int value = 0;
	for (int i = 0; i <= length; i++)
		CHECK(chans[i] = go_chan_make(sizeof(int), 0));
	for (int i = 0; i < length; i++) {
		links[i] = (struct link){ chans[i], chans[i + 1] };
		go(pass_on, &links[i]);
	}
	go_send(chans[length], &value);
	go_recv(chans[0], &value);
	CHECK_EQ(value, length);
	WAIT_FOR(go_count() == 1);
	for (int i = 0; i <= length; i++)
		go_chan_free(chans[i]);
	free(chans);
	free(links);
}

static go_waitgroup passing;

static void pass_round(void *arg)
{
	struct link *link = arg;
	int64_t token;
	while (go_recv(link->right, &token) && token > 0) {
		token--;
		go_send(link->left, &token);
	}
	go_close(link->left);
	go_waitgroup_done(&passing);
}

/* A token goes round a ring of goroutines; who finds it at its end closes what it would have sent to. */
static void ring(void)
{
	enum { LENGTH = 100 };
	struct link links[LENGTH];
	go_chan *chans[LENGTH];
	int64_t token = (int64_t)LENGTH * test_part(100);
	for (int i = 0; i < LENGTH; i++)
		CHECK(chans[i] = go_chan_make(sizeof(token), 0));
	go_waitgroup_add(&passing, LENGTH);
	for (int i = 0; i < LENGTH; i++) {
		links[i] = (struct link){ chans[(i + 1) % LENGTH], chans[i] };
		go(pass_round, &links[i]);
	}
	go_send(chans[0], &token);
	go_waitgroup_wait(&passing);
	for (int i = 0; i < LENGTH; i++)
		go_chan_free(chans[i]);
}

static void generate(void *out)
{
	for (int i = 2;; i++)
		go_send(out, &i);
}

struct sieve {
	go_chan *in, *out;
	int prime;
};

static void filter(void *arg)
{
	struct sieve *sieve = arg;
	int number;
	for (;;) {
		go_recv(sieve->in, &number);
		if (number % sieve->prime != 0)
			go_send(sieve->out, &number);
	}
}

static int nth_prime(int n)
{
	int number = 1;
	while (n > 0) {
		int factor = 2;
		for (number++; number % factor != 0; factor++)
			;
		n -= factor == number;
	}
	return number;
}

static void prime_sieve(void)
{
	int primes = test_part(150);
	go_chan *in = go_chan_make(sizeof(int), 0);
	int prime = 0;
	go(generate, in);
	for (int i = 0; i < primes; i++) {
		struct sieve *sieve = malloc(sizeof(*sieve));
		go_recv(in, &prime);
		*sieve = (struct sieve){ in, go_chan_make(sizeof(int), 0), prime };
		go(filter, sieve);
		in = sieve->out;
	}
	CHECK_EQ(prime, nth_prime(primes));
}

static int each;
static go_chan *work;
static _Atomic(int64_t) sum;
static go_waitgroup producers, consumers;

static void produce(void *first)
{
	for (int64_t i = 0; i < each; i++) {
		int64_t number = (intptr_t)first + i;
		go_send(work, &number);
		if (i % 7 == 0)
			go_yield();
	}
	go_waitgroup_done(&producers);
}

static void consume(void *unused)
{
	int64_t number;
	for (int i = 0; go_recv(work, &number); i++) {
		sum += number;
		if (i % 5 == 0)
			go_yield();
	}
	go_waitgroup_done(&consumers);
}

static void sum_is_kept_with(size_t cap)
{
	int64_t all = 8 * each;
	sum = 0;
	work = go_chan_make(sizeof(int64_t), cap);
	go_waitgroup_add(&producers, 8);
	go_waitgroup_add(&consumers, 23);
	for (intptr_t i = 0; i < 23; i++)
		go(consume, NULL);
	for (intptr_t i = 0; i < 8; i++)
		go(produce, (void *)(i * each));
	go_waitgroup_wait(&producers);
	go_close(work);
	go_waitgroup_wait(&consumers);
	CHECK_EQ(sum, (all - 1) * all / 2);
	go_chan_free(work);
}

static void sum_is_kept(void)
{
	each = test_part(2000);
	sum_is_kept_with(0);
	sum_is_kept_with(10);
	sum_is_kept_with(100);
}

struct node {
	go_chan *out;
	int64_t number, leaves;
};

/* A tree of goroutines, ten children each, that adds up the numbers of its leaves. */
static void skynet(void *arg)
{
	struct node *node = arg;
	int64_t total = node->number;
	if (node->leaves > 1) {
		struct node children[10];
		go_chan *out = go_chan_make(sizeof(int64_t), 0);
		int64_t part;
		total = 0;
		for (int i = 0; i < 10; i++) {
			int64_t leaves = node->leaves / 10;
			children[i] = (struct node){ out, node->number + i * leaves, leaves };
			go(skynet, &children[i]);
		}
		for (int i = 0; i < 10; i++) {
			go_recv(out, &part);
			total += part;
		}
		go_chan_free(out);
	}
	go_send(node->out, &total);
}

static void tree(void)
{
	int64_t leaves = test_part(10) > 1 ? 10000 : 1000;
	struct node root = { go_chan_make(sizeof(int64_t), 1), 0, leaves };
	int64_t total = 0;
	go(skynet, &root);
	go_recv(root.out, &total);
	CHECK_EQ(total, (leaves - 1) * leaves / 2);
	go_chan_free(root.out);
}

int main(int argc, char **argv)
{
	TESTS(TEST(daisy_chain), TEST(ring), TEST(sum_is_kept), TEST(tree), TEST_THAT_LEAVES(prime_sieve));
	return test_main(argc, argv, tests);
}
