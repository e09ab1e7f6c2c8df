/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A small HTTP/1.1 server: a goroutine for each connection, keep-alive, pipelining.
 *
 *     qemu/run examples/http.c          then: curl localhost:8080
 *     qemu/run examples/http.c :81      listens elsewhere
 *     qemu/run -e IDLE=5 examples/http.c
 *                                       the limits are options: see struct limit
 *
 * /metrics is for Prometheus. Start from this file: answer() is where a program of your own begins.
 */
#define _GNU_SOURCE /* memmem */
#include <errno.h>
#include <gump.h>
#include <gump/net.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define HEADER_MAX 8192
/* of requests, what is read while nothing else waits: an idle connection is to be cheap */
#define FIRST_MAX 512
#define METRICS_MAX 16384
#define SECOND ((int64_t)1000 * 1000 * 1000)
#define LINGER (2 * SECOND) /* after its last answer a client has so long to end, too */

static struct limit {
	const char *name;
	int64_t value;
} idle = { "IDLE", 60 },           /* seconds that a client may be silent, or not take its answers */
  header = { "HEADER", 10 },       /* seconds that it may take to send a request's lines */
  requests = { "REQUESTS", 1000 }; /* of one connection, which is closed then */

static _Atomic(uint64_t) answered;

struct client {
	go_conn *conn;
	int64_t left; /* requests that it may still send */
	size_t have;  /* bytes in buf: a request, and what was read beyond it */
	size_t room;  /* in buf, for that */
	char *buf;
};

struct request { /* strings lie in client.buf */
	const char *method, *path;
	bool http10, close, keep_alive, chunked, host, sized;
	size_t body; /* Content-Length */
};

/* One write, if the body is short. False: the client does not take it. */
static bool respond(go_conn *conn, const struct request *request, const char *status, const char *body)
{
	char text[512];
	size_t size = strlen(body);
	int length = snprintf(text, sizeof text, "HTTP/1.1 %s\r\nContent-Type: text/plain\r\n"
			      "Content-Length: %zu\r\n%s\r\n", status, size,
			      request->close ? "Connection: close\r\n"
			      : request->http10 ? "Connection: keep-alive\r\n" : "");
	size_t whole = (size_t)length;
	if (strcmp(request->method, "HEAD") == 0)
		size = 0;
	if (size <= sizeof text - whole) {
		memcpy(text + whole, body, size);
		whole += size;
		size = 0;
	}
	atomic_fetch_add_explicit(&answered, 1, memory_order_relaxed);
	return go_write(conn, text, whole) >= 0 && (size == 0 || go_write(conn, body, size) >= 0);
}

/* ---- /metrics ---- */

struct text {
	size_t length;
	char bytes[METRICS_MAX];
};

static void __attribute__((format(printf, 2, 3))) append(struct text *text, const char *format, ...)
{
	va_list args;
	size_t left = sizeof text->bytes - text->length;
	va_start(args, format);
	int n = vsnprintf(text->bytes + text->length, left, format, args);
	va_end(args);
	if (n > 0 && (size_t)n < left)
		text->length += (size_t)n;
	else
		text->bytes[text->length] = '\0'; /* what does not fit is left out */
}

static void describe(struct text *text, const char *name, const char *type, const char *help)
{
	append(text, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void put(struct text *text, const char *name, const char *type, const char *help, uint64_t value)
{
	describe(text, name, type, help);
	append(text, "%s %llu\n", name, (unsigned long long)value);
}

static void put_scheduler(struct text *text)
{
	struct go_stats stats;
	go_stats(&stats);
	put(text, "gump_goroutines", "gauge", "Goroutines that exist.", (uint64_t)stats.goroutines);
	put(text, "gump_harts", "gauge", "Harts of the machine.", (uint64_t)stats.harts);
	put(text, "gump_procs", "gauge", "Harts that run goroutines at a time.", (uint64_t)stats.procs);
	put(text, "gump_idle_procs", "gauge", "Ps with nothing to run.", (uint64_t)stats.idle_procs);
	put(text, "gump_global_run_queue", "gauge", "Goroutines in the global run queue.", stats.runq);
	describe(text, "gump_run_queue", "gauge", "Goroutines in the run queue of a P.");
	for (int p = 0; p < stats.harts; p++)
		append(text, "gump_run_queue{p=\"%d\"} %zu\n", p, stats.proc[p].runq);
	describe(text, "gump_steals_total", "counter", "How often a P took goroutines from another.");
	for (int p = 0; p < stats.harts; p++)
		append(text, "gump_steals_total{p=\"%d\"} %llu\n", p,
		       (unsigned long long)stats.proc[p].steals);
	describe(text, "gump_preemptions_total", "counter",
		 "Goroutines that were stopped at the end of a slice.");
	for (int p = 0; p < stats.harts; p++)
		append(text, "gump_preemptions_total{p=\"%d\"} %llu\n", p,
		       (unsigned long long)stats.proc[p].preemptions);
}

static void put_memory(struct text *text)
{
	struct go_memory memory;
	go_memory(&memory);
	const struct { const char *name; size_t bytes; } parts[] = {
		{ "free", memory.free }, { "heap", memory.heap }, { "goroutines", memory.goroutines },
		{ "stacks", memory.stacks }, { "tables", memory.tables }, { "image", memory.image },
		{ "other", memory.other },
	};
	describe(text, "gump_memory_bytes", "gauge", "Who has the memory.");
	for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
		append(text, "gump_memory_bytes{part=\"%s\"} %zu\n", parts[i].name, parts[i].bytes);
	put(text, "gump_memory_total_bytes", "gauge", "Memory of the machine.", memory.total);
	put(text, "gump_heap_used_bytes", "gauge", "What is allocated of the heap.", memory.heap_used);
}

static void put_network(struct text *text)
{
	struct go_net_stats stats;
	go_net_stats(&stats);
	put(text, "gump_connections", "gauge", "Connections that are open.", stats.connections);
	put(text, "gump_accepted_total", "counter", "Connections that were accepted.", stats.accepted);
	put(text, "gump_dialled_total", "counter", "Connections that were made to others.", stats.dialled);
	put(text, "gump_turned_away_total", "counter", "Attempts to connect that found no room.",
	    stats.turned_away);
	put(text, "gump_network_memory_bytes", "gauge", "Memory of packets and connections.", stats.memory);
	put(text, "gump_network_memory_max_bytes", "gauge", "What that is bounded by.", stats.memory_max);
}

static void put_interface(struct text *text, const char *name, const char *help, size_t offset)
{
	struct go_interface_stats stats;
	describe(text, name, "counter", help);
	for (int i = 0; go_interface_stats(i, &stats) == 0; i++) {
		uint64_t value;
		memcpy(&value, (const char *)&stats + offset, sizeof value);
		append(text, "%s{interface=\"%s\"} %llu\n", name, stats.name, (unsigned long long)value);
	}
}

/* A process of the host has none, and a metric without a sample is not one. */
static void put_interfaces(struct text *text)
{
	struct go_interface_stats stats;
	if (go_interface_stats(0, &stats))
		return;
	describe(text, "gump_interface_up", "gauge", "1: its device works.");
	for (int i = 0; go_interface_stats(i, &stats) == 0; i++)
		append(text, "gump_interface_up{interface=\"%s\"} %d\n", stats.name, stats.up);
	const struct { const char *name, *help; size_t offset; } counters[] = {
		{ "gump_interface_received_frames_total", "Frames that came.",
		  offsetof(struct go_interface_stats, received_frames) },
		{ "gump_interface_received_bytes_total", "Bytes that came.",
		  offsetof(struct go_interface_stats, received_bytes) },
		{ "gump_interface_received_dropped_total", "Frames that came and were of no use.",
		  offsetof(struct go_interface_stats, received_dropped) },
		{ "gump_interface_sent_frames_total", "Frames that were sent.",
		  offsetof(struct go_interface_stats, sent_frames) },
		{ "gump_interface_sent_bytes_total", "Bytes that were sent.",
		  offsetof(struct go_interface_stats, sent_bytes) },
		{ "gump_interface_sent_dropped_total", "Frames that the device had no room for.",
		  offsetof(struct go_interface_stats, sent_dropped) },
	};
	for (size_t i = 0; i < sizeof counters / sizeof counters[0]; i++)
		put_interface(text, counters[i].name, counters[i].help, counters[i].offset);
}

/* Not inlined: its text is on the stack only meanwhile. */
static bool __attribute__((noinline)) answer_metrics(go_conn *conn, const struct request *request)
{
	struct text text = { .length = 0 };
	put(&text, "gump_uptime_seconds", "gauge", "Time since boot.", (uint64_t)(go_now() / SECOND));
	put_scheduler(&text);
	put_memory(&text);
	put_network(&text);
	put_interfaces(&text);
	put(&text, "http_answers_total", "counter", "Requests that were answered.",
	    atomic_load_explicit(&answered, memory_order_relaxed));
	return respond(conn, request, "200 OK", text.bytes);
}

static bool answer(go_conn *conn, const struct request *request)
{
	if (strcmp(request->path, "/metrics") == 0)
		return answer_metrics(conn, request);
	return respond(conn, request, "200 OK", "Hello from gump\n");
}

/* ---- Requests ---- */

/* The peer has so long for what it does next. */
static void set_deadline(go_conn *conn, const struct limit *limit)
{
	int64_t deadline = go_now() + limit->value * SECOND;
	go_conn_deadline(conn, deadline, deadline + idle.value * SECOND);
}

/* As go_read(), behind what is in the buffer. */
static ssize_t read_more(struct client *client)
{
	ssize_t n = go_read(client->conn, client->buf + client->have, client->room - client->have);
	client->have += n > 0 ? (size_t)n : 0;
	return n;
}

/* Reads n bytes of a body, and no more, for nothing. Not inlined: see serve_large(). */
static bool __attribute__((noinline)) skip(go_conn *conn, size_t n)
{
	char body[HEADER_MAX];
	while (n > 0) {
		set_deadline(conn, &idle);
		ssize_t got = go_read(conn, body, n < sizeof body ? n : sizeof body);
		if (got <= 0)
			return false;
		n -= (size_t)got;
	}
	return true;
}

/* Removes n bytes, in the buffer or still to come. */
static bool consume(struct client *client, size_t n)
{
	if (n > client->have) {
		if (!skip(client->conn, n - client->have))
			return false;
		n = client->have;
	}
	client->have -= n;
	memmove(client->buf, client->buf + n, client->have);
	if (client->have > 0)
		set_deadline(client->conn, &header); /* each of many at once has its own */
	return true;
}

/* "TE, close" in any number of headers: who says close means it, whatever else is said. */
static void parse_connection(char *options, struct request *request)
{
	for (char *option; (option = strsep(&options, ", \t"));) {
		request->close |= strcasecmp(option, "close") == 0;
		request->keep_alive |= strcasecmp(option, "keep-alive") == 0;
	}
}

/* What names consist of: RFC 9110, 5.6.2. */
#define TOKEN "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

/* "Name: value". NULL, or the status to refuse it with. */
static const char *parse_header(char *line, struct request *request)
{
	size_t name = strspn(line, TOKEN);
	if (name == 0 || line[name] != ':') /* what looks like another name may be that to who is before us */
		return "400 Bad Request";
	char *value = line + name;
	*value++ = '\0';
	value += strspn(value, " \t");
	for (size_t n = strlen(value); n > 0 && (value[n - 1] == ' ' || value[n - 1] == '\t');)
		value[--n] = '\0';
	if (strcasecmp(line, "Content-Length") == 0) {
		if (!*value || value[strspn(value, "0123456789")] || strlen(value) > 15)
			return "400 Bad Request";
		if (request->sized) /* and who is before us has taken the other one */
			return "400 Bad Request";
		request->sized = true;
		request->body = (size_t)strtoull(value, NULL, 10);
	} else if (strcasecmp(line, "Transfer-Encoding") == 0) {
		request->chunked = true;
	} else if (strcasecmp(line, "Host") == 0) {
		if (request->host)
			return "400 Bad Request";
		request->host = true;
	} else if (strcasecmp(line, "Connection") == 0) {
		parse_connection(value, request);
	}
	return NULL;
}

/* "GET /path HTTP/1.1". NULL, or the status to refuse it with. */
static const char *parse_first(char *line, struct request *request)
{
	char *path = strchr(line, ' '), *version = path ? strchr(path + 1, ' ') : NULL;
	if (!version || path == line || version == path + 1)
		return "400 Bad Request";
	*path++ = *version++ = '\0';
	if (strncmp(version, "HTTP/", 5) != 0 || strlen(version) != 8 || !strchr("0123456789", version[7]))
		return "400 Bad Request";
	if (strncmp(version, "HTTP/1.", 7) != 0)
		return "505 HTTP Version Not Supported";
	request->method = line;
	request->path = path;
	request->http10 = version[7] == '0';
	if (strncasecmp(path, "http://", 7) == 0) { /* as to a proxy */
		path = strchr(path + 7, '/');
		request->path = path ? path : "/";
	}
	return NULL;
}

static bool known(const char *method)
{
	return strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0 || strcmp(method, "POST") == 0;
}

/* Takes the lines of a request apart where they lie. NULL, or the status to refuse it with. */
static const char *parse(char *text, struct request *request)
{
	char *line = strncmp(text, "\r\n", 2) == 0 ? text + 2 : text; /* some end a body so */
	for (bool first = true; *line; first = false) {
		char *end = line + strcspn(line, "\r\n");
		if (strncmp(end, "\r\n", 2) != 0) /* half an end, and others may see headers behind it */
			return "400 Bad Request";
		*end = '\0';
		const char *refusal = first ? parse_first(line, request) : parse_header(line, request);
		if (refusal)
			return refusal;
		line = end + 2;
	}
	request->close |= request->http10 && !request->keep_alive;
	if (request->chunked || !known(request->method))
		return "501 Not Implemented";
	return request->host || request->http10 ? NULL : "400 Bad Request";
}

/* The length of a request's lines without their last end; 0: there is none, nor in the first `from` bytes. */
static size_t find_lines(const struct client *client, size_t from)
{
	const char *end = memmem(client->buf + from, client->have - from, "\r\n\r\n", 4);
	return end ? (size_t)(end + 2 - client->buf) : 0;
}

/* The same, once they are there. 0: the connection is to be closed. */
static size_t read_lines(struct client *client)
{
	const struct request none = { .method = "", .close = true };
	size_t length, from = 0;
	bool timed = false;
	while (!(length = find_lines(client, from))) {
		if (client->have == client->room) {
			respond(client->conn, &none, "431 Request Header Fields Too Large", "");
			return 0;
		}
		if (!timed)
			set_deadline(client->conn, &header);
		timed = true;
		from = client->have > 3 ? client->have - 3 : 0;
		ssize_t n = read_more(client);
		if (n < 0 && errno == ETIMEDOUT)
			respond(client->conn, &none, "408 Request Timeout", "");
		if (n <= 0)
			return 0;
	}
	return length;
}

/* One request, whose lines have this length. False: the connection is to be closed. */
static bool serve_one(struct client *client, size_t length)
{
	struct request request = { .method = "" };
	client->buf[length] = '\0';
	const char *refusal = strlen(client->buf) < length ? "400 Bad Request" : parse(client->buf, &request);
	request.close |= refusal || --client->left == 0;
	if (refusal) {
		respond(client->conn, &request, refusal, "");
		return false;
	}
	return answer(client->conn, &request) && consume(client, length + 2 + request.body) && !request.close;
}

/*
 * Requests that begin with what is in the buffer, until nothing is left. Not inlined, so that the large
 * buffer is on the stack only meanwhile: who serves one that comes in one piece, as nearly all do, touches
 * one page of his stack, and with ten thousand clients that is what a request costs.
 */
static bool __attribute__((noinline)) serve_large(struct client *small)
{
	char buf[HEADER_MAX];
	struct client client = *small;
	client.room = sizeof buf;
	client.buf = memcpy(buf, small->buf, small->have);
	while (client.have > 0) {
		size_t length = read_lines(&client);
		if (length == 0 || !serve_one(&client, length))
			return false;
	}
	small->left = client.left;
	small->have = 0;
	return true;
}

/* The requests in the buffer. False: the connection is to be closed. */
static bool serve_some(struct client *client)
{
	while (client->have > 0) {
		size_t length = find_lines(client, 0);
		if (length == 0)
			return serve_large(client);
		if (!serve_one(client, length))
			return false;
	}
	return true;
}

static void serve(void *conn)
{
	char first[FIRST_MAX];
	struct client client = { .conn = conn, .left = requests.value, .room = sizeof first, .buf = first };
	bool ended = false; /* by this side */
	while (!ended) {
		set_deadline(conn, &idle);
		if (read_more(&client) <= 0)
			break;
		ended = !serve_some(&client);
	}
	/* A close with something unread is a reset, which would take the last answer with it. */
	if (ended && go_shutdown(conn) == 0) {
		go_conn_deadline(conn, go_now() + LINGER, GO_FOREVER);
		while (go_read(conn, first, sizeof first) > 0)
			;
	}
	go_conn_close(conn);
}

static bool read_limit(struct limit *limit)
{
	const char *text = getenv(limit->name);
	char *end;
	if (!text)
		return true;
	limit->value = strtoll(text, &end, 10);
	if (*text && !*end && limit->value > 0 && limit->value <= 1000000000)
		return true;
	fprintf(stderr, "http: %s=%s: say a number from 1 to 1000000000\n", limit->name, text);
	return false;
}

int main(int argc, char **argv)
{
	const char *addr = argc > 1 ? argv[1] : ":80";
	if (!read_limit(&idle) || !read_limit(&header) || !read_limit(&requests))
		return 1;
	go_listener *listener = go_listen(addr);
	if (!listener) {
		fprintf(stderr, "http: %s: %s\n", addr, strerror(errno));
		return 1;
	}
	printf("http: listening on %s\n", addr);
	for (go_conn *conn; (conn = go_accept(listener));)
		if (go_try(serve, conn, NULL))
			go_conn_close(conn); /* no memory for one more */
	return 1;
}
