/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A small HTTP/1.1 server: a goroutine for each connection, keep-alive, pipelining.
 *
 *     qemu/run examples/http.c          then: curl localhost:8080
 *     qemu/run examples/http.c :81      listens elsewhere
 *
 * Start from this file: answer() is where a program of your own begins.
 */
#define _GNU_SOURCE /* memmem */
#include <errno.h>
#include <gump.h>
#include <gump/net.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define HEADER_MAX 8192
#define IDLE ((int64_t)60 * 1000 * 1000 * 1000) /* a client may be silent for so long */

struct client {
	go_conn *conn;
	size_t have; /* bytes in buf: a request, and what was read beyond it */
	char buf[HEADER_MAX];
};

struct request { /* strings lie in client.buf */
	const char *method, *path;
	bool http10, close, chunked, host;
	size_t body; /* Content-Length */
};

/* One write an answer. False: the connection is to be closed. */
static bool respond(go_conn *conn, const struct request *request, const char *status, bool close,
		    const char *body)
{
	char text[512];
	int length = snprintf(text, sizeof text, "HTTP/1.1 %s\r\nContent-Type: text/plain\r\n"
			      "Content-Length: %zu\r\n%s\r\n%s", status, strlen(body),
			      close ? "Connection: close\r\n"
			      : request->http10 ? "Connection: keep-alive\r\n" : "",
			      strcmp(request->method, "HEAD") == 0 ? "" : body);
	return go_write(conn, text, (size_t)length) >= 0 && !close;
}

static bool answer(go_conn *conn, const struct request *request)
{
	return respond(conn, request, "200 OK", request->close, "Hello from gump\n");
}

/* Reads more into the buffer. False: the client is gone, silent, or finished. */
static bool read_more(struct client *client)
{
	go_conn_deadline(client->conn, go_now() + IDLE, go_now() + IDLE);
	ssize_t n = go_read(client->conn, client->buf + client->have, HEADER_MAX - client->have);
	client->have += n > 0 ? (size_t)n : 0;
	return n > 0;
}

/* Removes n bytes, in the buffer or still to come. */
static bool consume(struct client *client, size_t n)
{
	while (n > client->have) {
		n -= client->have;
		client->have = 0;
		if (!read_more(client))
			return false;
	}
	client->have -= n;
	memmove(client->buf, client->buf + n, client->have);
	return true;
}

/* "Name: value". NULL, or the status to refuse it with. */
static const char *parse_header(char *line, struct request *request)
{
	char *value = strchr(line, ':');
	if (!value || value == line || strcspn(line, " \t") < (size_t)(value - line))
		return "400 Bad Request";
	*value++ = '\0';
	value += strspn(value, " \t");
	for (size_t n = strlen(value); n > 0 && (value[n - 1] == ' ' || value[n - 1] == '\t');)
		value[--n] = '\0';
	if (strcasecmp(line, "Content-Length") == 0) {
		if (!*value || value[strspn(value, "0123456789")] || strlen(value) > 15)
			return "400 Bad Request";
		request->body = (size_t)strtoull(value, NULL, 10);
	} else if (strcasecmp(line, "Transfer-Encoding") == 0) {
		request->chunked = true;
	} else if (strcasecmp(line, "Host") == 0) {
		request->host = true;
	} else if (strcasecmp(line, "Connection") == 0) {
		request->close = strcasecmp(value, "keep-alive") != 0 &&
				 (request->http10 || strcasecmp(value, "close") == 0);
	}
	return NULL;
}

/* Takes the lines of a request apart where they lie. NULL, or the status to refuse it with. */
static const char *parse(char *text, struct request *request)
{
	char *next = strstr(text, "\r\n"), *path, *version;
	*next = '\0';
	if (!(path = strchr(text, ' ')) || !(version = strchr(path + 1, ' ')) || path == text)
		return "400 Bad Request";
	*path++ = *version++ = '\0';
	if (!*path || strncmp(version, "HTTP/", 5) != 0 || strlen(version) != 8)
		return "400 Bad Request";
	if (strncmp(version, "HTTP/1.", 7) != 0)
		return "505 HTTP Version Not Supported";
	request->method = text;
	request->path = path;
	request->close = request->http10 = version[7] == '0';
	for (char *line = next + 2; *line; line = next + 2) {
		next = strstr(line, "\r\n");
		*next = '\0';
		const char *refusal = parse_header(line, request);
		if (refusal)
			return refusal;
	}
	if (request->chunked)
		return "501 Not Implemented";
	return request->host || request->http10 ? NULL : "400 Bad Request";
}

/* One request. False: the connection is to be closed. */
static bool serve_one(struct client *client)
{
	struct request request = { .method = "" };
	const char *refusal = NULL;
	char *end;
	for (size_t seen = 0; !(end = memmem(client->buf + seen, client->have - seen, "\r\n\r\n", 4));) {
		if (client->have == HEADER_MAX)
			return respond(client->conn, &request, "431 Request Header Fields Too Large", true, "");
		seen = client->have > 3 ? client->have - 3 : 0;
		if (!read_more(client))
			return false;
	}
	end[2] = '\0';
	size_t length = (size_t)(end + 2 - client->buf);
	refusal = strlen(client->buf) < length ? "400 Bad Request" : parse(client->buf, &request);
	if (refusal)
		return respond(client->conn, &request, refusal, true, "");
	return answer(client->conn, &request) && consume(client, length + 2 + request.body);
}

static void serve(void *conn)
{
	struct client client;
	client.conn = conn;
	client.have = 0;
	while (serve_one(&client))
		;
	go_conn_close(conn);
}

int main(int argc, char **argv)
{
	const char *addr = argc > 1 ? argv[1] : ":80";
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
