/*
 * A tenant that costs next to nothing: it reads a request's head and as much body as
 * Content-Length says, and answers 200 with as many bytes as the path names ("/128"; else 2).
 *
 *	bench_answerer SOCKET
 */
#include <errno.h>
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
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#define HEAD_MAX     8192
#define PATTERN_SIZE (1 << 18)
#define EVENTS       256

struct connection {
	int fd;
	bool writing;
	size_t len;        /* of a head that is not whole yet */
	uint64_t skip;     /* of a body that is still to come */
	uint64_t answer;   /* its size, once the body is through */
	uint64_t to_write; /* of the answer's body */
	char answer_head[128];
	size_t answer_head_len, answer_head_at;
	char head[HEAD_MAX];
};

static int loop;
static char pattern[PATTERN_SIZE];
static char waste[PATTERN_SIZE];

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

static void watch(struct connection *connection, uint32_t events, int operation)
{
	struct epoll_event event = { .events = events, .data.ptr = connection };

	if (epoll_ctl(loop, operation, connection->fd, &event) < 0)
		fail("epoll_ctl");
}

/* False: it is to be closed. */
static bool answer_write(struct connection *c)
{
	while (c->answer_head_at < c->answer_head_len || c->to_write) {
		size_t body = c->to_write < PATTERN_SIZE ? (size_t)c->to_write : PATTERN_SIZE;
		size_t head = c->answer_head_len - c->answer_head_at;
		struct iovec parts[2] = { { c->answer_head + c->answer_head_at, head },
			{ pattern, body } };
		ssize_t sent = writev(c->fd, parts, 2);

		if (sent < 0 && errno == EAGAIN) {
			if (!c->writing)
				watch(c, EPOLLOUT, EPOLL_CTL_MOD);
			c->writing = true;
			return true;
		}
		if (sent < 0)
			return false;
		if ((size_t)sent < head) {
			c->answer_head_at += (size_t)sent;
			continue;
		}
		c->answer_head_at = c->answer_head_len;
		c->to_write -= (uint64_t)sent - head;
	}
	if (c->writing)
		watch(c, EPOLLIN, EPOLL_CTL_MOD);
	c->writing = false;
	return true;
}

static bool answer_begin(struct connection *c)
{
	int len = snprintf(c->answer_head, sizeof(c->answer_head),
		"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %llu\r\n\r\n",
		(unsigned long long)c->answer);

	c->answer_head_len = (size_t)len;
	c->answer_head_at = 0;
	c->to_write = c->answer;
	return answer_write(c);
}

static void head_read(struct connection *c)
{
	const char *space = memchr(c->head, ' ', c->len);
	const char *length = strcasestr(c->head, "\r\ncontent-length:");

	c->answer = space && space[1] == '/' && space[2] >= '0' && space[2] <= '9'
			    ? strtoull(space + 2, NULL, 10)
			    : 2;
	c->skip = length ? strtoull(length + 17, NULL, 10) : 0;
}

static bool body_skip(struct connection *c)
{
	while (c->skip) {
		size_t room = c->skip < sizeof(waste) ? (size_t)c->skip : sizeof(waste);
		ssize_t got = recv(c->fd, waste, room, 0);

		if (got < 0 && errno == EAGAIN)
			return true;
		if (got <= 0)
			return false;
		c->skip -= (uint64_t)got;
	}
	return answer_begin(c);
}

static bool readable(struct connection *c)
{
	char *end;
	ssize_t got;
	size_t body;

	if (c->skip)
		return body_skip(c);
	got = recv(c->fd, c->head + c->len, HEAD_MAX - 1 - c->len, 0);
	if (got <= 0)
		return got < 0 && errno == EAGAIN;
	c->len += (size_t)got;
	c->head[c->len] = '\0';
	end = strstr(c->head, "\r\n\r\n");
	if (!end)
		return c->len < HEAD_MAX - 1;
	end[2] = '\0';
	head_read(c);
	body = c->len - (size_t)(end + 4 - c->head);
	c->len = 0;
	if (body > c->skip)
		return false; /* nobody pipelines here */
	c->skip -= body;
	return c->skip ? body_skip(c) : answer_begin(c);
}

static void accept_one(int listener)
{
	int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	struct connection *connection = fd < 0 ? NULL : calloc(1, sizeof(*connection));

	if (!connection)
		return;
	connection->fd = fd;
	watch(connection, EPOLLIN, EPOLL_CTL_ADD);
}

int main(int argc, char **argv)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct epoll_event accepting = { .events = EPOLLIN };
	int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (argc != 2 || strlen(argv[1]) >= sizeof(address.sun_path)) {
		fputs("usage: bench_answerer SOCKET\n", stderr);
		return 2;
	}
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	signal(SIGPIPE, SIG_IGN);
	memset(pattern, 'x', sizeof(pattern));
	memcpy(address.sun_path, argv[1], strlen(argv[1]));
	if (bind(listener, (struct sockaddr *)&address, sizeof(address)) < 0 ||
		chmod(argv[1], 0666) < 0 || listen(listener, 4096) < 0)
		fail("listen");
	loop = epoll_create1(EPOLL_CLOEXEC);
	if (loop < 0 || epoll_ctl(loop, EPOLL_CTL_ADD, listener, &accepting) < 0)
		fail("epoll");
	for (;;) {
		struct epoll_event events[EVENTS];
		int count = epoll_wait(loop, events, EVENTS, -1);

		for (int i = 0; i < count; i++) {
			struct connection *c = events[i].data.ptr;

			if (!c)
				accept_one(listener);
			else if (c->writing ? !answer_write(c) : !readable(c)) {
				close(c->fd);
				free(c);
			}
		}
	}
}
