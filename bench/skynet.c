/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Skynet: a goroutine starts ten, each of which starts ten, six levels deep; the million at the
 * end answer their numbers, the others the sums of what they get. Channels are unbuffered.
 */
#include "bench.h"

enum { LEAVES = 1000000, CHILDREN = 10 };

struct node {
	go_chan *answers;
	long first, leaves;
};

static void skynet(void *arg)
{
	struct node node = *(struct node *)arg;
	if (node.leaves == 1) {
		go_send(node.answers, &node.first);
		return;
	}
	struct node children[CHILDREN];
	go_chan *answers = go_chan_make(sizeof(long), 0);
	for (int i = 0; i < CHILDREN; i++) {
		long leaves = node.leaves / CHILDREN;
		children[i] = (struct node){ answers, node.first + i * leaves, leaves };
		go(skynet, &children[i]);
	}
	long sum = 0;
	for (int i = 0; i < CHILDREN; i++) {
		long answer;
		go_recv(answers, &answer);
		sum += answer;
	}
	go_chan_free(answers);
	go_send(node.answers, &sum);
}

void bench_skynet(void)
{
	long sum;
	struct node root = { go_chan_make(sizeof(long), 0), 0, LEAVES };
	int64_t start = go_now();
	go(skynet, &root);
	go_recv(root.answers, &sum);
	int64_t took = go_now() - start;
	if (sum != (long)LEAVES * (LEAVES - 1) / 2)
		go_panic("skynet: the sum is %ld", sum);
	result("skynet", (double)took);
}
