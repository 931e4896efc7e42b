/*
 * The floor of a proxy's cost: bytes from one socket to the other, unread. Each connection accepted
 * on a port of the loopback gets one to a unix socket; what cannot be written at once is waited
 *for.
 *
 *	bench_relay PORT SOCKET
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
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define BUFFER_BYTES 65536
#define EVENTS       256

struct end {
	int fd;
	struct end *other;
	char *kept; /* what this end could not take yet */
	size_t kept_at, kept_len;
	bool closed;
	struct end *next_dead;
};

static int loop;
static struct end *dead;
static char buffer[BUFFER_BYTES];

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

static void watch(struct end *end, uint32_t events, int operation)
{
	struct epoll_event event = { .events = events, .data.ptr = end };

	if (epoll_ctl(loop, operation, end->fd, &event) < 0)
		fail("epoll_ctl");
}

static void end_close(struct end *end)
{
	if (end->closed)
		return;
	end->closed = true;
	close(end->fd);
	end->next_dead = dead;
	dead = end;
}

static void pair_close(struct end *end)
{
	end_close(end->other);
	end_close(end);
}

static void keep(struct end *to, const char *data, size_t len)
{
	to->kept = malloc(len);
	if (!to->kept)
		fail("malloc");
	memcpy(to->kept, data, len);
	to->kept_at = 0;
	to->kept_len = len;
	watch(to, EPOLLIN | EPOLLOUT, EPOLL_CTL_MOD);
	watch(to->other, 0, EPOLL_CTL_MOD);
}

static void readable(struct end *from)
{
	struct end *to = from->other;
	ssize_t got = recv(from->fd, buffer, sizeof(buffer), 0);
	ssize_t sent;

	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (got <= 0) {
		pair_close(from);
		return;
	}
	sent = send(to->fd, buffer, (size_t)got, MSG_NOSIGNAL);
	if (sent < 0 && errno != EAGAIN) {
		pair_close(from);
		return;
	}
	if (sent < 0)
		sent = 0;
	if (sent < got)
		keep(to, buffer + sent, (size_t)(got - sent));
}

static void writable(struct end *to)
{
	ssize_t sent =
		send(to->fd, to->kept + to->kept_at, to->kept_len - to->kept_at, MSG_NOSIGNAL);

	if (sent < 0 && errno == EAGAIN)
		return;
	if (sent < 0) {
		pair_close(to);
		return;
	}
	to->kept_at += (size_t)sent;
	if (to->kept_at < to->kept_len)
		return;
	free(to->kept);
	to->kept = NULL;
	watch(to, EPOLLIN, EPOLL_CTL_MOD);
	watch(to->other, EPOLLIN, EPOLL_CTL_MOD);
}

static void accept_one(int listener, const struct sockaddr_un *tenant)
{
	int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	int up = fd < 0 ? -1 : socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct end *client, *upstream;
	int yes = 1;

	if (fd < 0)
		return;
	if (up < 0 || connect(up, (const struct sockaddr *)tenant, sizeof(*tenant)) < 0)
		fail("connect");
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
	client = calloc(1, sizeof(*client));
	upstream = calloc(1, sizeof(*upstream));
	if (!client || !upstream)
		fail("malloc");
	*client = (struct end){ .fd = fd, .other = upstream };
	*upstream = (struct end){ .fd = up, .other = client };
	watch(client, EPOLLIN, EPOLL_CTL_ADD);
	watch(upstream, EPOLLIN, EPOLL_CTL_ADD);
}

static void turn(int listener, const struct sockaddr_un *tenant)
{
	struct epoll_event events[EVENTS];
	int count = epoll_wait(loop, events, EVENTS, -1);

	for (int i = 0; i < count; i++) {
		struct end *end = events[i].data.ptr;

		if (!end)
			accept_one(listener, tenant);
		if (end && !end->closed && end->kept && (events[i].events & ~(uint32_t)EPOLLIN))
			writable(end);
		if (end && !end->closed && (events[i].events & ~(uint32_t)EPOLLOUT))
			readable(end);
	}
	while (dead) {
		struct end *end = dead;
		dead = end->next_dead;
		free(end->kept);
		free(end);
	}
}

int main(int argc, char **argv)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct sockaddr_un tenant = { .sun_family = AF_UNIX };
	struct epoll_event accepting = { .events = EPOLLIN };
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int yes = 1;

	if (argc != 3 || strlen(argv[2]) >= sizeof(tenant.sun_path)) {
		fputs("usage: bench_relay PORT SOCKET\n", stderr);
		return 2;
	}
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	address.sin_port = htons((uint16_t)strtoul(argv[1], NULL, 10));
	memcpy(tenant.sun_path, argv[2], strlen(argv[2]));
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
	if (bind(listener, (struct sockaddr *)&address, sizeof(address)) < 0 ||
		listen(listener, 4096) < 0)
		fail("listen");
	loop = epoll_create1(EPOLL_CLOEXEC);
	if (loop < 0 || epoll_ctl(loop, EPOLL_CTL_ADD, listener, &accepting) < 0)
		fail("epoll");
	for (;;)
		turn(listener, &tenant);
}
