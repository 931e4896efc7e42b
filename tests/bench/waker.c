/*
 * Times first bytes of processes that are not there yet: ours, and the same ones started bare, by
 *one and the same clock.
 *
 *	bench_waker ask PORT HOST
 *	bench_waker bare SOCKET COMMAND...
 *	bench_waker ask-all PORT COUNT HOST        HOST with %u where the number of the tenant goes
 *	bench_waker bare-all COUNT AT-A-TIME SOCKET COMMAND...     likewise SOCKET
 *
 * Bare: the command is spawned with SOCKET_PATH in its environment and connected to in a loop of
 *100 µs. Prints the nanoseconds from before the connect (before the spawn) to the first byte of the
 *answer, which must be a 200; of all: until the last of them. What was started is ended before it
 *returns.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define RETRY_NS    100000
#define DEADLINE_NS 60000000000u
#define COUNT_MAX   4096

extern char **environ;

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

static unsigned number(const char *text)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);

	if (!*text || *end || !value || value > 65535) {
		fprintf(stderr, "bench_waker: %s is no number between 1 and 65535\n", text);
		exit(2);
	}
	return (unsigned)value;
}

/* PATTERN with its %u replaced. */
static void numbered(char *out, size_t size, const char *pattern, unsigned value)
{
	const char *mark = strstr(pattern, "%u");
	int len = mark ? snprintf(out, size, "%.*s%u%s", (int)(mark - pattern), pattern, value,
				 mark + 2)
		       : snprintf(out, size, "%s", pattern);

	if (len < 0 || (size_t)len >= size) {
		fprintf(stderr, "bench_waker: %s is too long\n", pattern);
		exit(2);
	}
}

static void send_request(int fd, const char *host)
{
	char request[512];
	int len = snprintf(request, sizeof(request),
		"GET / HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", host);

	if (send(fd, request, (size_t)len, MSG_NOSIGNAL) != len)
		fail("send");
}

/* The time of the first byte. */
static uint64_t receive_first(int fd)
{
	char answer[64];
	ssize_t len = recv(fd, answer, sizeof(answer) - 1, 0);
	uint64_t at = now_ns();

	if (len <= 0)
		fail("recv");
	answer[len] = '\0';
	if (len >= 12 && strncmp(answer + 8, " 200", 4) != 0) {
		fprintf(stderr, "bench_waker: answered with %s\n", answer);
		exit(1);
	}
	return at;
}

static int connect_port(const char *port)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
		.sin_port = htons((uint16_t)number(port)),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		fail("connect");
	return fd;
}

static int connect_in_a_loop(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct timespec pause = { .tv_nsec = RETRY_NS };
	uint64_t end = now_ns() + DEADLINE_NS;

	if (strlen(path) >= sizeof(address.sun_path)) {
		fprintf(stderr, "bench_waker: %s is too long\n", path);
		exit(2);
	}
	memcpy(address.sun_path, path, strlen(path));
	for (;;) {
		int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

		if (fd < 0)
			fail("socket");
		if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
			return fd;
		close(fd);
		if (now_ns() > end)
			fail(path);
		nanosleep(&pause, NULL);
	}
}

/* ---- bare ---- */

static pid_t spawn(const char *socket_path, char **command)
{
	char variable[200];
	char **env;
	size_t count = 0;
	pid_t pid;
	int rc;

	while (environ[count])
		count++;
	env = calloc(count + 2, sizeof(*env));
	if (!env || snprintf(variable, sizeof(variable), "SOCKET_PATH=%s", socket_path) >=
			    (int)sizeof(variable))
		fail("environment");
	memcpy(env, environ, count * sizeof(*env));
	env[count] = variable;
	rc = posix_spawnp(&pid, command[0], NULL, NULL, command, env);
	free(env);
	if (rc != 0) {
		errno = rc;
		fail(command[0]);
	}
	return pid;
}

static uint64_t ask_bare(const char *socket_path, char **command, pid_t *pid)
{
	uint64_t at;
	int fd;

	unlink(socket_path);
	*pid = spawn(socket_path, command);
	fd = connect_in_a_loop(socket_path);
	send_request(fd, "localhost");
	at = receive_first(fd);
	close(fd);
	return at;
}

static struct {
	const char *pattern;
	char **command;
	unsigned count;
	atomic_uint next;
	pid_t pids[COUNT_MAX];
} all;

static void *bare_thread(void *data)
{
	unsigned one;

	while ((one = atomic_fetch_add(&all.next, 1)) < all.count) {
		char path[108];

		numbered(path, sizeof(path), all.pattern, one);
		ask_bare(path, all.command, &all.pids[one]);
	}
	return data;
}

static void end_all(void)
{
	for (unsigned i = 0; i < all.count; i++)
		kill(all.pids[i], SIGKILL);
	for (unsigned i = 0; i < all.count; i++)
		waitpid(all.pids[i], NULL, 0);
}

static uint64_t bare_all(unsigned at_a_time)
{
	pthread_t threads[COUNT_MAX];
	uint64_t begin = now_ns(), end;

	for (unsigned i = 0; i < at_a_time; i++)
		if (pthread_create(&threads[i], NULL, bare_thread, NULL) != 0)
			fail("thread");
	for (unsigned i = 0; i < at_a_time; i++)
		pthread_join(threads[i], NULL);
	end = now_ns();
	end_all();
	return end - begin;
}

/* ---- through the proxy ---- */

static uint64_t ask_all(const char *port, unsigned count, const char *pattern)
{
	static struct pollfd polled[COUNT_MAX];
	uint64_t begin, last = 0;
	unsigned left = count;

	for (unsigned i = 0; i < count; i++)
		polled[i] = (struct pollfd){ .fd = connect_port(port), .events = POLLIN };
	begin = now_ns();
	for (unsigned i = 0; i < count; i++) {
		char host[256];

		numbered(host, sizeof(host), pattern, i);
		send_request(polled[i].fd, host);
	}
	while (left) {
		if (poll(polled, count, (int)(DEADLINE_NS / 1000000)) <= 0)
			fail("poll");
		for (unsigned i = 0; i < count; i++) {
			if (polled[i].fd < 0 || !polled[i].revents)
				continue;
			last = receive_first(polled[i].fd);
			close(polled[i].fd);
			polled[i].fd = -1;
			left--;
		}
	}
	return last - begin;
}

static unsigned many(const char *text)
{
	unsigned count = number(text);

	if (count > COUNT_MAX) {
		fprintf(stderr, "bench_waker: at most %u\n", COUNT_MAX);
		exit(2);
	}
	return count;
}

int main(int argc, char **argv)
{
	const char *verb = argc > 1 ? argv[1] : "";
	uint64_t begin, taken;

	if (strcmp(verb, "ask") == 0 && argc == 4) {
		int fd;

		begin = now_ns();
		fd = connect_port(argv[2]);
		send_request(fd, argv[3]);
		taken = receive_first(fd) - begin;
	} else if (strcmp(verb, "bare") == 0 && argc >= 4) {
		all.count = 1;
		begin = now_ns();
		taken = ask_bare(argv[2], argv + 3, &all.pids[0]) - begin;
		end_all();
	} else if (strcmp(verb, "ask-all") == 0 && argc == 5) {
		taken = ask_all(argv[2], many(argv[3]), argv[4]);
	} else if (strcmp(verb, "bare-all") == 0 && argc >= 6) {
		all.count = many(argv[2]);
		all.pattern = argv[4];
		all.command = argv + 5;
		taken = bare_all(many(argv[3]));
	} else {
		fprintf(stderr, "usage: see the top of waker.c\n");
		return 2;
	}
	printf("%" PRIu64 "\n", taken);
	return 0;
}
