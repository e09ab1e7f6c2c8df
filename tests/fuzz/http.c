/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The HTTP example's client sends any bytes, in pieces of any size (the first byte of the input says which),
 * and stops at any point. How the bytes are cut must not show in the answers.
 */
#define main example_main
#include "../../examples/http.c"
#undef main
#include "fuzz.h"

#define ANSWERS_MAX (1 << 20)

static size_t piece;                       /* bytes that a read answers at most; 0: all there are */
static char answers[2][ANSWERS_MAX], *out; /* for the pieces, and for all at once */
static size_t out_size;

ssize_t go_read(go_conn *conn, void *buf, size_t size)
{
	size_t n = fuzz_left();
	if (piece != 0 && n > piece)
		n = piece;
	if (n > size)
		n = size;
	memcpy(buf, fuzz_at, n);
	fuzz_at += n;
	return (ssize_t)n;
}

ssize_t go_write(go_conn *conn, const void *buf, size_t size)
{
	/* A long body comes by itself. It is the metrics', and all of it. */
	if (memcmp(buf, "# HELP ", 7) == 0)
		FUZZ_CHECK(size > 40 && memmem((const char *)buf + size - 40, 40, "\nhttp_answers_total ", 20));
	else
		FUZZ_CHECK(size > 9 && memcmp(buf, "HTTP/1.1 ", 9) == 0);
	if (size <= ANSWERS_MAX - out_size)
		memcpy(out + out_size, buf, size);
	out_size += size;
	return (ssize_t)size;
}

/* The longest metrics that there can be. */
void go_stats(struct go_stats *stats)
{
	memset(stats, 0xff, sizeof(*stats));
	stats->harts = GO_PROCS_MAX;
}

void go_memory(struct go_memory *memory) { memset(memory, 0xff, sizeof(*memory)); }
void go_net_stats(struct go_net_stats *stats) { memset(stats, 0xff, sizeof(*stats)); }
int go_interface_stats(int number, struct go_interface_stats *stats)
{
	memset(stats, 0xff, sizeof(*stats));
	strcpy(stats->name, "net7");
	return number < 8 ? 0 : -1;
}
int64_t go_now(void) { return 0; }
void go_conn_deadline(go_conn *conn, int64_t read, int64_t write) {}
int go_shutdown(go_conn *conn) { return 0; }
int go_conn_close(go_conn *conn) { return 0; }
go_listener *go_listen(const char *addr) { return NULL; }
go_conn *go_accept(go_listener *listener) { return NULL; }
int go_try(void (*fn)(void *), void *arg, const struct go_attr *attr) { return -1; }

static void serve_all(void)
{
	serve(NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t sizes[2];

	if (size < 2)
		return 0;
	for (int i = 0; i < 2; i++) {
		piece = i == 0 ? data[0] : 0;
		out = answers[i];
		out_size = 0;
		answered = 0;
		fuzz_run(data + 1, size - 1, serve_all);
		sizes[i] = out_size;
	}
	FUZZ_CHECK(sizes[0] == sizes[1]);
	FUZZ_CHECK(sizes[0] > ANSWERS_MAX || memcmp(answers[0], answers[1], sizes[0]) == 0);
	return 0;
}
