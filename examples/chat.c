/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A chat: what one says, all the others read. The first line is one's name.
 *
 *     qemu/run examples/chat.c          then, more than once: nc localhost 8080
 *     qemu/run examples/chat.c :81      listens elsewhere
 *
 * One goroutine, the room, knows who is there. What happens comes to it through a channel, so there is
 * no lock. Each client has a goroutine that reads, and one that writes what the room puts into the
 * client's own channel. The room never waits: while that channel is full lines are lost to this client,
 * who is told how many before the next one.
 */
#include <errno.h>
#include <gump.h>
#include <gump/net.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINE_SIZE 400 /* bytes; longer lines are more than one */
#define BEHIND_MAX 64 /* lines that a slow reader may be behind */
/* who has no name, or takes nothing, for so long has to go */
#define PATIENCE ((int64_t)60 * 1000 * 1000 * 1000)

struct line { /* shared by all who are to read it; the last one frees it */
	_Atomic(int) readers;
	size_t length;
	char text[];
};

struct client {
	go_conn *conn;
	go_chan *lines;       /* struct told; closed when the client has left */
	int lost;             /* lines since the last that the channel had room for; the room's */
	struct client *next;  /* in the room */
	char name[20];
	size_t have;          /* bytes of `in`: read, and not yet a line */
	char in[LINE_SIZE];
};

struct told {
	struct line *line;
	int lost;             /* lines just before this one */
};

struct event {
	enum { JOIN, SAY, LEAVE } what;
	struct client *client;
	struct line *line;    /* that tells the others; NULL: no memory */
};

static go_chan *events;

/* ---- Lines ---- */

static struct line *line_new(const char *before, const char *name, const char *text)
{
	size_t size = strlen(before) + strlen(name) + strlen(text) + 2;
	struct line *line = malloc(sizeof *line + size);
	if (!line)
		return NULL;
	atomic_init(&line->readers, 1);
	line->length = (size_t)snprintf(line->text, size, "%s%s%s\n", before, name, text);
	return line;
}

static void line_free(struct line *line)
{
	if (line && atomic_fetch_sub(&line->readers, 1) == 1)
		free(line);
}

/* ---- The room ---- */

static void tell(struct client *first, const struct client *but, struct line *line)
{
	for (struct client *client = first; line && client; client = client->next) {
		if (client == but)
			continue;
		struct told told = { line, client->lost };
		atomic_fetch_add(&line->readers, 1);
		if (go_try_send(client->lines, &told)) {
			client->lost = 0;
		} else {
			client->lost++;
			line_free(line);
		}
	}
	line_free(line);
}

static void room(void *unused)
{
	(void)unused;
	struct client *first = NULL, **at;
	for (struct event event; go_recv(events, &event);) {
		struct client *client = event.client;
		if (event.what == JOIN) {
			client->next = first;
			first = client;
		}
		tell(first, event.what == JOIN ? NULL : client, event.line);
		if (event.what == LEAVE) {
			for (at = &first; *at != client; at = &(*at)->next)
				;
			*at = client->next;
			go_close(client->lines);
		}
	}
}

/* ---- A client ---- */

/* NULL: no memory. */
static struct client *client_new(go_conn *conn)
{
	struct client *client = calloc(1, sizeof *client);
	if (client && !(client->lines = go_chan_make(sizeof(struct told), BEHIND_MAX))) {
		free(client);
		client = NULL;
	}
	if (client)
		client->conn = conn;
	return client;
}

static void client_free(struct client *client)
{
	go_conn_close(client->conn);
	go_chan_free(client->lines);
	free(client);
}

static bool put(struct client *client, const char *text, size_t length)
{
	go_conn_deadline(client->conn, GO_FOREVER, go_now() + PATIENCE);
	return go_write(client->conn, text, length) >= 0;
}

static bool put_line(struct client *client, const struct told *told)
{
	char text[48];
	if (told->lost &&
	    !put(client, text, (size_t)sprintf(text, "* you have missed %d lines\n", told->lost)))
		return false;
	return put(client, told->line->text, told->line->length);
}

/* A terminal might obey it: ASCII's controls, and 0x80 to 0x9f where no letter of UTF-8 has begun. */
static bool is_control(unsigned char c, unsigned char before)
{
	return c < ' ' || c == 127 || (c >= 0x80 && c < 0xa0 && (before < 0x80 || before == 0xc2));
}

/*
 * The next line, without what a terminal of UTF-8 might obey, in `text`. False: the client is gone, or
 * silent for too long.
 */
static bool read_line(struct client *client, char *text, size_t size)
{
	char *end;
	while (!(end = memchr(client->in, '\n', client->have)) && client->have < sizeof client->in) {
		ssize_t n =
			go_read(client->conn, client->in + client->have, sizeof client->in - client->have);
		if (n <= 0)
			return false;
		client->have += (size_t)n;
	}
	size_t length = end ? (size_t)(end - client->in) : client->have, used = length + (end != NULL);
	length = length < size - 1 ? length : size - 1;
	for (size_t i = 0; i < length; i++)
		text[i] = is_control((unsigned char)client->in[i], i > 0 ? (unsigned char)text[i - 1] : 0)
				  ? ' ' : client->in[i];
	while (length > 0 && text[length - 1] == ' ')
		length--;
	text[length] = '\0';
	client->have -= used;
	memmove(client->in, client->in + used, client->have);
	return true;
}

/* Until the room has closed the channel; then nobody else knows the client any more. */
static void write_lines(void *arg)
{
	struct client *client = arg;
	bool good = true;
	for (struct told told; go_recv(client->lines, &told); line_free(told.line)) {
		if (good && !(good = put_line(client, &told)))
			go_conn_deadline(client->conn, GO_NOW, GO_NOW); /* so that the reader leaves */
	}
	client_free(client);
}

static void happens(struct client *client, int what, struct line *line)
{
	struct event event = { what, client, line };
	go_send(events, &event);
}

static void read_lines(struct client *client)
{
	char text[LINE_SIZE + 1];
	happens(client, JOIN, line_new("* ", client->name, " has joined"));
	while (read_line(client, text, sizeof text))
		happens(client, SAY, line_new(client->name, ": ", text));
	happens(client, LEAVE, line_new("* ", client->name, " has left"));
}

static void serve(void *conn)
{
	struct client *client = client_new(conn);
	if (!client) {
		go_conn_close(conn);
		return;
	}
	go_conn_deadline(conn, go_now() + PATIENCE, go_now() + PATIENCE);
	if (go_write(conn, "Your name? ", 11) > 0 && read_line(client, client->name, sizeof client->name) &&
	    go_try(write_lines, client, NULL) == 0) {
		go_conn_deadline(conn, GO_FOREVER, GO_FOREVER);
		read_lines(client);
	} else {
		client_free(client);
	}
}

int main(int argc, char **argv)
{
	const char *addr = argc > 1 ? argv[1] : ":80";
	go_listener *listener = go_listen(addr);
	if (!listener) {
		fprintf(stderr, "chat: %s: %s\n", addr, strerror(errno));
		return 1;
	}
	events = go_chan_make(sizeof(struct event), 0);
	if (!events || go_try(room, NULL, NULL)) {
		fprintf(stderr, "chat: no memory\n");
		return 1;
	}
	printf("chat: listening on %s\n", addr);
	for (go_conn *conn; (conn = go_accept(listener));)
		if (go_try(serve, conn, NULL))
			go_conn_close(conn); /* no memory for one more */
	return 1;
}
