/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The client of bench/net's many connections: HTTP/1.1, all of them held by one thread and one epoll.
 *
 *     client ADDRESS PORT [SOURCE]
 *
 * It does what lines of its input say, one after the other, and answers each with a line of figures, in
 * seconds; `failed` counts connections that could not be opened, were lost, or did not answer 200, and its
 * standard error says what happened to them:
 *
 *     open N          opens N connections, at most 200 of them at once
 *     sweep           one request on each, at most 200 of them at once
 *     burst           one request on each, all of them at once
 *     paced N RATE    N requests at RATE a second, each on the connection that was used longest ago
 *     close           closes all
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define AT_ONCE 200 /* of four such clients, SYNs and ACKs are about what the host's queue at the tap holds */
#define EVENTS 256
#define PATIENCE 60.0 /* seconds for a phase; what is not there then has failed */
#define ANSWER_MAX 1024

static const char request[] = "GET / HTTP/1.1\r\nHost: gump\r\n\r\n";

enum state { UNUSED, CONNECTING, IDLE, ASKED, LOST };

struct connection {
	int fd;
	enum state state;
	double since; /* when the request was sent */
	unsigned have;
};

static struct connection *connections;
static unsigned count, failed;
static struct sockaddr_in server, source;
static int epoll;

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static double now(void)
{
	struct timespec time;
	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

/* What became of those that failed: few reasons, each with how often. */
static struct {
	const char *what;
	unsigned times;
} reasons[16];

static void lose(struct connection *connection, const char *what)
{
	unsigned i = 0;

	while (i < 15 && reasons[i].what && strcmp(reasons[i].what, what) != 0)
		i++;
	reasons[i].what = what;
	reasons[i].times++;
	close(connection->fd);
	connection->state = LOST;
	failed++;
}

static void tell_reasons(const char *phase)
{
	for (unsigned i = 0; i < 16 && reasons[i].what; i++)
		fprintf(stderr, "c10k client: %s: %u failed: %s\n", phase, reasons[i].times, reasons[i].what);
	memset(reasons, 0, sizeof reasons);
}

static void begin_connect(struct connection *connection)
{
	struct epoll_event event = { .events = EPOLLOUT, .data.ptr = connection };
	struct linger by_reset = { .l_onoff = 1 }; /* nothing is left of it that the next server would hear from */
	int on = 1;

	connection->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	if (connection->fd < 0)
		die("socket");
	setsockopt(connection->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
	setsockopt(connection->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	setsockopt(connection->fd, SOL_SOCKET, SO_LINGER, &by_reset, sizeof by_reset);
	connection->state = CONNECTING;
	if (source.sin_addr.s_addr && bind(connection->fd, (struct sockaddr *)&source, sizeof source))
		die("bind");
	if (connect(connection->fd, (struct sockaddr *)&server, sizeof server) && errno != EINPROGRESS)
		lose(connection, strerrorname_np(errno));
	else if (epoll_ctl(epoll, EPOLL_CTL_ADD, connection->fd, &event))
		die("epoll_ctl");
}

static void connected(struct connection *connection)
{
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = connection };
	int error = 0;
	socklen_t size = sizeof error;

	getsockopt(connection->fd, SOL_SOCKET, SO_ERROR, &error, &size);
	if (error) {
		lose(connection, strerrorname_np(error));
		return;
	}
	connection->state = IDLE;
	if (epoll_ctl(epoll, EPOLL_CTL_MOD, connection->fd, &event))
		die("epoll_ctl");
}

static void ask(struct connection *connection, double due)
{
	if (connection->state != IDLE)
		return;
	connection->since = due;
	connection->have = 0;
	connection->state = ASKED;
	if (send(connection->fd, request, sizeof request - 1, MSG_NOSIGNAL) != sizeof request - 1)
		lose(connection, "not sent");
}

/* The length of a whole answer with status 200, 0 for a part of one, -1 for anything else. */
static long whole_answer(const char *text, unsigned length)
{
	const char *end = memmem(text, length, "\r\n\r\n", 4), *at;

	if (!end)
		return 0;
	if (strncmp(text, "HTTP/1.1 200 ", 13) != 0)
		return -1;
	for (at = text; at < end; at = strstr(at, "\r\n") + 2)
		if (strncasecmp(at, "Content-Length:", 15) == 0)
			return end + 4 - text + atol(at + 15) <= (long)length ? (long)length : 0;
	return -1;
}

/* True: the connection has its answer. */
static bool readable(struct connection *connection)
{
	static char text[ANSWER_MAX + 1];
	ssize_t n = recv(connection->fd, text, ANSWER_MAX, MSG_PEEK);

	if (n < 0 && errno == EAGAIN)
		return false;
	if (n <= 0 || connection->state != ASKED) {
		lose(connection, n < 0 ? strerrorname_np(errno) : n == 0 ? "closed" : "an answer to nothing");
		return false;
	}
	text[n] = '\0';
	long length = whole_answer(text, (unsigned)n);
	if (length < 0)
		lose(connection, "not a 200");
	if (length <= 0)
		return false;
	if (recv(connection->fd, text, (size_t)length, 0) != length)
		die("recv");
	connection->state = IDLE;
	return true;
}

/* Is all that was sent acknowledged? */
static bool has_arrived(int fd)
{
	int left = 0;
	return ioctl(fd, SIOCOUTQ, &left) == 0 && left == 0;
}

static void give_up(enum state state)
{
	for (unsigned i = 0; i < count; i++)
		if (connections[i].state == state)
			lose(&connections[i], state == CONNECTING             ? "not open in time"
					      : has_arrived(connections[i].fd) ? "acknowledged, not answered in time"
									       : "not acknowledged in time");
}

static int wait_events(struct epoll_event *events, double until)
{
	double left = until - now();
	int n = left <= 0 ? 0 : epoll_wait(epoll, events, EVENTS, (int)(left * 1e3) + 1);
	if (n < 0 && errno != EINTR)
		die("epoll_wait");
	return n;
}

static void open_all(unsigned n)
{
	struct epoll_event events[EVENTS];
	double start = now();
	unsigned next = 0, under_way = 0;

	connections = calloc(n, sizeof *connections);
	if (!connections)
		die("calloc");
	count = n;
	while (next < count || under_way > 0) {
		for (; next < count && under_way < AT_ONCE; next++) {
			begin_connect(&connections[next]);
			under_way += connections[next].state == CONNECTING;
		}
		int got = wait_events(events, start + PATIENCE);
		if (got == 0)
			break;
		for (int i = 0; i < got; i++) {
			struct connection *connection = events[i].data.ptr;
			if (connection->state == CONNECTING) {
				under_way--;
				connected(connection);
			} else {
				readable(connection); /* which nobody has asked for */
			}
		}
	}
	give_up(CONNECTING);
	tell_reasons("open");
	printf("open %.4f failed %u\n", now() - start, failed);
}

/* One request on each, at most so many under way. */
static void ask_all(const char *name, unsigned at_once)
{
	struct epoll_event events[EVENTS];
	double start = now();
	unsigned next = 0, under_way = 0;

	while (next < count || under_way > 0) {
		for (; next < count && under_way < at_once; next++) {
			ask(&connections[next], now());
			under_way += connections[next].state == ASKED;
		}
		int got = wait_events(events, start + PATIENCE);
		if (got == 0)
			break;
		for (int i = 0; i < got; i++) {
			struct connection *connection = events[i].data.ptr;
			bool asked = connection->state == ASKED;
			readable(connection);
			under_way -= asked && connection->state != ASKED;
		}
	}
	give_up(ASKED);
	tell_reasons(name);
	printf("%s %.4f failed %u\n", name, now() - start, failed);
}

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

/*
 * The timer expires when the next request is due, or (0) no more. What is late counts from when it was due.
 */
static void arm(int timer, double due)
{
	struct itimerspec when = { .it_value.tv_sec = (time_t)due };
	when.it_value.tv_nsec = (long)((due - (double)when.it_value.tv_sec) * 1e9);
	timerfd_settime(timer, TFD_TIMER_ABSTIME, &when, NULL);
}

static void paced(unsigned n, unsigned rate)
{
	struct epoll_event events[EVENTS], tick = { .events = EPOLLIN };
	double start = now(), *latency = calloc(n + 1, sizeof *latency);
	unsigned asked = 0, answered = 0, lost_before = failed;
	int timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);

	if (timer < 0 || !latency || epoll_ctl(epoll, EPOLL_CTL_ADD, timer, &tick))
		die("timerfd");
	while (answered + (failed - lost_before) < n && now() < start + PATIENCE) {
		for (; asked < n && start + (double)asked / rate <= now(); asked++)
			ask(&connections[asked % count], start + (double)asked / rate);
		arm(timer, asked < n ? start + (double)asked / rate : 0);
		int got = wait_events(events, start + PATIENCE);
		for (int i = 0; i < got; i++) {
			struct connection *connection = events[i].data.ptr;
			if (connection && readable(connection))
				latency[answered++] = now() - connection->since;
		}
	}
	close(timer);
	give_up(ASKED);
	tell_reasons("paced");
	qsort(latency, answered, sizeof *latency, by_size);
	printf("paced %.4f p50 %.6f p99 %.6f max %.6f failed %u\n", now() - start, latency[answered / 2],
	       latency[answered * 99 / 100], latency[answered ? answered - 1 : 0], failed);
	free(latency);
}

static void close_all(void)
{
	double start = now();
	for (unsigned i = 0; i < count; i++)
		if (connections[i].state != LOST)
			close(connections[i].fd);
	free(connections);
	connections = NULL;
	count = failed = 0;
	printf("close %.4f\n", now() - start);
}

static void address(struct sockaddr_in *to, const char *text, const char *port)
{
	to->sin_family = AF_INET;
	to->sin_port = htons((uint16_t)atoi(port));
	if (inet_pton(AF_INET, text, &to->sin_addr) != 1) {
		fprintf(stderr, "client: %s is no address\n", text);
		exit(2);
	}
}

int main(int argc, char **argv)
{
	struct rlimit files;
	char line[100];
	unsigned n, rate;

	if (argc < 3 || argc > 4) {
		fprintf(stderr, "usage: client ADDRESS PORT [SOURCE]\n");
		return 2;
	}
	address(&server, argv[1], argv[2]);
	if (argc > 3)
		address(&source, argv[3], "0");
	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	setvbuf(stdout, NULL, _IOLBF, 0);
	epoll = epoll_create1(0);
	while (fgets(line, sizeof line, stdin)) {
		if (sscanf(line, "open %u", &n) == 1)
			open_all(n);
		else if (strcmp(line, "sweep\n") == 0)
			ask_all("sweep", AT_ONCE);
		else if (strcmp(line, "burst\n") == 0)
			ask_all("burst", count);
		else if (sscanf(line, "paced %u %u", &n, &rate) == 2)
			paced(n, rate);
		else if (strcmp(line, "close\n") == 0)
			close_all();
		else
			return 2;
	}
	return 0;
}
