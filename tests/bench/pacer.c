/*
 * Requests at a steady pace, whatever becomes of the ones before: so a queue that builds up shows
 *in the latency, as it would to visitors.
 *
 *	bench_pacer PORT HOST CONNECTIONS REQUESTS-PER-SECOND SECONDS
 *
 * Prints, as JSON, how many were sent and answered, how many of the answers were not 200, how many
 * found no connection free, and the latencies in microseconds.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define CONNECTIONS_MAX 1024
#define ANSWER_MAX      4096

struct connection {
	int fd;
	bool busy;
	uint64_t sent_ns;
	size_t len;
	char answer[ANSWER_MAX];
};

static struct {
	struct connection connections[CONNECTIONS_MAX];
	unsigned count, next;
	char request[512];
	size_t request_len;
	uint64_t *latencies;
	unsigned long sent, answered, refused, skipped, room;
} pacer;

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void connect_one(struct connection *connection, uint16_t port, int loop)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = connection };
	int yes = 1;

	connection->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (connection->fd < 0 ||
		connect(connection->fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		fail("connect");
	setsockopt(connection->fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
	if (epoll_ctl(loop, EPOLL_CTL_ADD, connection->fd, &event) < 0)
		fail("epoll_ctl");
}

static void send_one(void)
{
	for (unsigned i = 0; i < pacer.count; i++) {
		struct connection *connection = &pacer.connections[(pacer.next + i) % pacer.count];

		if (connection->busy)
			continue;
		pacer.next = (pacer.next + i + 1) % pacer.count;
		connection->busy = true;
		connection->len = 0;
		connection->sent_ns = now_ns();
		if (send(connection->fd, pacer.request, pacer.request_len, MSG_NOSIGNAL) < 0)
			fail("send");
		pacer.sent++;
		return;
	}
	pacer.skipped++;
}

static void answer_read(struct connection *connection)
{
	ssize_t got = recv(connection->fd, connection->answer + connection->len,
		ANSWER_MAX - 1 - connection->len, 0);
	const char *end, *length;

	if (got <= 0)
		fail("an answer");
	connection->len += (size_t)got;
	connection->answer[connection->len] = '\0';
	end = strstr(connection->answer, "\r\n\r\n");
	length = strcasestr(connection->answer, "\r\ncontent-length:");
	if (!end || !length ||
		connection->len <
			(size_t)(end + 4 - connection->answer) + strtoul(length + 17, NULL, 10))
		return;
	connection->busy = false;
	pacer.refused += memcmp(connection->answer + 8, " 200", 4) != 0;
	if (pacer.answered < pacer.room)
		pacer.latencies[pacer.answered++] = now_ns() - connection->sent_ns;
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static double percentile(unsigned percent)
{
	return pacer.answered ? (double)pacer.latencies[(pacer.answered - 1) * percent / 100] / 1000
			      : 0;
}

static void run(int loop, int timer, uint64_t until_ns)
{
	while (now_ns() < until_ns) {
		struct epoll_event events[64];
		int count = epoll_wait(loop, events, 64, 1000);

		for (int i = 0; i < count; i++) {
			uint64_t due;

			if (events[i].data.ptr)
				answer_read(events[i].data.ptr);
			else if (read(timer, &due, sizeof(due)) == (ssize_t)sizeof(due))
				for (; due; due--)
					send_one();
		}
	}
}

int main(int argc, char **argv)
{
	int loop = epoll_create1(EPOLL_CLOEXEC);
	int timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	struct epoll_event ticking = { .events = EPOLLIN };
	struct itimerspec pace = { 0 };
	unsigned long rate, seconds;

	if (argc != 6) {
		fputs("usage: bench_pacer PORT HOST CONNECTIONS REQUESTS-PER-SECOND SECONDS\n",
			stderr);
		return 2;
	}
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	pacer.count = (unsigned)strtoul(argv[3], NULL, 10);
	rate = strtoul(argv[4], NULL, 10);
	seconds = strtoul(argv[5], NULL, 10);
	if (!pacer.count || pacer.count > CONNECTIONS_MAX || !rate || rate > 1000000 || !seconds ||
		seconds > 3600 || loop < 0 || timer < 0)
		fail("arguments");
	pacer.room = rate * seconds * 2;
	pacer.latencies = calloc(pacer.room, sizeof(*pacer.latencies));
	if (!pacer.latencies)
		fail("calloc");
	pacer.request_len = (size_t)snprintf(pacer.request, sizeof(pacer.request),
		"GET /128 HTTP/1.1\r\nHost: %.200s\r\n\r\n", argv[2]);
	for (unsigned i = 0; i < pacer.count; i++)
		connect_one(&pacer.connections[i], (uint16_t)strtoul(argv[1], NULL, 10), loop);
	pace.it_interval.tv_nsec = (long)(1000000000ul / rate) % 1000000000l;
	pace.it_interval.tv_sec = rate == 1;
	pace.it_value = pace.it_interval;
	if (epoll_ctl(loop, EPOLL_CTL_ADD, timer, &ticking) < 0 ||
		timerfd_settime(timer, 0, &pace, NULL) < 0)
		fail("timer");
	run(loop, timer, now_ns() + seconds * 1000000000ull);
	qsort(pacer.latencies, pacer.answered, sizeof(*pacer.latencies), compare);
	printf("{\"sent\": %lu, \"answered\": %lu, \"refused\": %lu, \"skipped\": %lu, \"p50\": "
	       "%.1f, "
	       "\"p99\": %.1f}\n",
		pacer.sent, pacer.answered, pacer.refused, pacer.skipped, percentile(50),
		percentile(99));
	free(pacer.latencies);
	return 0;
}
