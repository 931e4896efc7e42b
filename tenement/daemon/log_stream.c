#include "daemon/log_stream.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "common/passing.h"
#include "daemon/keeper_link.h"
#include "mem.h"

#define AGAIN_SECONDS 0.1

/* One that the log writer had no room for. Its pipe holds 64 KiB; then the tenant would wait. */
struct unsent {
	struct wire_buffer message;
	int fd;
	STAILQ_ENTRY(unsent) next;
};
static STAILQ_HEAD(, unsent) queue = STAILQ_HEAD_INITIALIZER(queue);
static ev_timer again;

static void send_queued(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct daemon *d = ev_userdata(loop);
	struct unsent *unsent;

	(void)events;
	while ((unsent = STAILQ_FIRST(&queue))) {
		if (passing_send(d->logger, &unsent->message, &unsent->fd, 1) < 0 &&
			errno == EAGAIN)
			break;
		STAILQ_REMOVE_HEAD(&queue, next);
		close(unsent->fd);
		free(unsent);
	}
	if (STAILQ_EMPTY(&queue))
		ev_timer_stop(loop, timer);
}

static void send_later(struct daemon *d, const struct wire_buffer *message, int fd)
{
	struct unsent *unsent = mem_alloc(sizeof(*unsent));

	unsent->message = *message;
	unsent->fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	STAILQ_INSERT_TAIL(&queue, unsent, next);
	if (ev_is_active(&again))
		return;
	log_warn("the log writer is behind");
	ev_timer_init(&again, send_queued, AGAIN_SECONDS, AGAIN_SECONDS);
	ev_timer_start(d->loop, &again);
}

static char *stored_name(const struct run *run, const char *stream)
{
	return mem_printf("log:%s:%s:%d", run->key, stream, (int)run->pid);
}

void log_stream_hand(struct daemon *d, const struct run *run, const char *stream, int fd)
{
	autofree char *name = stored_name(run, stream);
	struct wire_buffer message = { 0 };

	keeper_link_store(d, name, fd);
	wire_add(&message, "log");
	wire_add(&message, run->key);
	wire_add(&message, stream);
	if (!STAILQ_EMPTY(&queue) || passing_send(d->logger, &message, &fd, 1) < 0)
		send_later(d, &message, fd);
}

void log_stream_drop(struct daemon *d, const struct run *run)
{
	static const char *const streams[] = { "stdout", "stderr" };

	for (size_t i = 0; i < sizeof(streams) / sizeof(*streams); i++) {
		autofree char *name = stored_name(run, streams[i]);

		keeper_link_drop(d, name);
	}
}
