#include "logger/forward.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "logger/log_counts.h"
#include "mem.h"

#define AGAIN_SECONDS 1
#define WARN_SECONDS  60

struct receiver {
	char *path;
	int fd;              /* -1: not connected */
	int why;             /* errno of what went wrong last */
	int64_t try_at_s;    /* not before */
	uint64_t dropped;    /* ever */
	uint64_t told;       /* of them, of which our log tells */
	int64_t warned_at_s; /* 0: never */
};

struct forward {
	struct receiver receivers[FORWARD_KINDS];
	struct text datagram;
};

static const char *const names[] = {
	[FORWARD_JOURNALD] = "journald",
	[FORWARD_SYSLOG] = "syslog",
};
static const char *const usual_paths[] = {
	[FORWARD_JOURNALD] = "/run/systemd/journal/socket",
	[FORWARD_SYSLOG] = "/dev/log",
};

struct forward *forward_new(void)
{
	struct forward *forward = mem_alloc(sizeof(*forward));

	for (int kind = 0; kind < FORWARD_KINDS; kind++) {
		forward->receivers[kind].fd = -1;
		forward->receivers[kind].path = mem_strdup(usual_paths[kind]);
	}
	return forward;
}

static void hang_up(struct receiver *receiver)
{
	if (receiver->fd >= 0)
		close(fd_steal(&receiver->fd));
}

static void tell(const struct forward *forward, enum forward_kind kind)
{
	const struct receiver *receiver = &forward->receivers[kind];

	log_warn("%llu lines of tenants were not taken by %s at %s: %s",
		(unsigned long long)(receiver->dropped - receiver->told), names[kind],
		receiver->path, strerror(receiver->why));
}

void forward_free(struct forward *forward)
{
	for (int kind = 0; kind < FORWARD_KINDS; kind++) {
		struct receiver *receiver = &forward->receivers[kind];

		if (receiver->dropped > receiver->told)
			tell(forward, (enum forward_kind)kind);
		hang_up(receiver);
		free(receiver->path);
	}
	text_free(&forward->datagram);
	free(forward);
}

void forward_set_path(struct forward *forward, enum forward_kind kind, const char *path)
{
	struct receiver *receiver = &forward->receivers[kind];

	if (strcmp(receiver->path, path) == 0)
		return;
	hang_up(receiver);
	free(receiver->path);
	receiver->path = mem_strdup(path);
	receiver->try_at_s = 0;
}

static int dial(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	autoclose int fd = -1;

	if (strlen(path) >= sizeof(address.sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(address.sun_path, path, strlen(path) + 1);
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		return -1;
	return fd_steal(&fd);
}

/* 0, or -1 with errno. Who was restarted has another socket at the same place. */
static int put(struct receiver *receiver, const struct text *datagram)
{
	int64_t now = clock_seconds(CLOCK_MONOTONIC);

	for (int tries = 0; tries < 2; tries++) {
		if (receiver->fd < 0) {
			if (now < receiver->try_at_s) {
				errno = receiver->why;
				return -1;
			}
			receiver->fd = dial(receiver->path);
			if (receiver->fd < 0) {
				receiver->try_at_s = now + AGAIN_SECONDS;
				return -1;
			}
		}
		if (send(receiver->fd, datagram->data, datagram->len,
			    MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
			return 0;
		if (errno == EAGAIN || errno == ENOBUFS || errno == EMSGSIZE)
			return -1;
		hang_up(receiver);
	}
	return -1;
}

static void drop(struct forward *forward, enum forward_kind kind, int why)
{
	struct receiver *receiver = &forward->receivers[kind];
	int64_t now = clock_seconds(CLOCK_MONOTONIC);

	receiver->why = why;
	receiver->dropped++;
	log_count(&log_counts->unforwarded, 1);
	if (receiver->warned_at_s && now - receiver->warned_at_s < WARN_SECONDS)
		return;
	tell(forward, kind);
	receiver->told = receiver->dropped;
	receiver->warned_at_s = now;
}

void forward_line(struct forward *forward, enum forward_kind kind, const struct log_forward *tenant,
	const struct log_line *line)
{
	struct text *datagram = &forward->datagram;

	datagram->len = 0;
	if (kind == FORWARD_JOURNALD)
		log_forward_journald(datagram, tenant, line);
	else
		log_forward_syslog(datagram, tenant, line);
	if (put(&forward->receivers[kind], datagram) < 0)
		drop(forward, kind, errno);
}
