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
#include "option_value.h"

#define AGAIN_SECONDS 0.1

/* One that the log writer had no room for. A pipe holds 64 KiB; then the tenant would wait: pipes
 * go first. */
struct unsent {
	STAILQ_ENTRY(unsent) next;
	int fd; /* -1: none */
	size_t len;
	char bytes[];
};
STAILQ_HEAD(unsent_queue, unsent);
static struct unsent_queue pipes = STAILQ_HEAD_INITIALIZER(pipes);
static struct unsent_queue bounds = STAILQ_HEAD_INITIALIZER(bounds);
static ev_timer again;

/* False: there is still no room. */
static bool send_queue(struct daemon *d, struct unsent_queue *queue)
{
	struct unsent *unsent;

	while ((unsent = STAILQ_FIRST(queue))) {
		struct wire_buffer message = { .len = unsent->len };

		memcpy(message.bytes, unsent->bytes, unsent->len);
		if (passing_send(d->logger, &message, &unsent->fd, unsent->fd >= 0) < 0 &&
			errno == EAGAIN)
			return false;
		STAILQ_REMOVE_HEAD(queue, next);
		if (unsent->fd >= 0)
			close(unsent->fd);
		free(unsent);
	}
	return true;
}

static void send_queued(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct daemon *d = ev_userdata(loop);

	(void)events;
	if (send_queue(d, &pipes) && send_queue(d, &bounds))
		ev_timer_stop(loop, timer);
}

static void send_later(
	struct daemon *d, struct unsent_queue *queue, const struct wire_buffer *message, int fd)
{
	struct unsent *unsent = mem_alloc(sizeof(*unsent) + message->len);

	unsent->len = message->len;
	memcpy(unsent->bytes, message->bytes, message->len);
	unsent->fd = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 3);
	STAILQ_INSERT_TAIL(queue, unsent, next);
	if (ev_is_active(&again))
		return;
	if (fd >= 0)
		log_warn("the log writer is behind");
	ev_timer_init(&again, send_queued, AGAIN_SECONDS, AGAIN_SECONDS);
	ev_timer_start(d->loop, &again);
}

/* FD -1: none. */
static void send_message(
	struct daemon *d, struct unsent_queue *queue, const struct wire_buffer *message, int fd)
{
	/* Bounds of one whose pipe was not seen yet are nobody's. */
	if (!STAILQ_EMPTY(&pipes) || !STAILQ_EMPTY(queue) ||
		passing_send(d->logger, message, &fd, fd >= 0) < 0)
		send_later(d, queue, message, fd);
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
	send_message(d, &pipes, &message, fd);
}

void log_stream_bound(struct daemon *d, struct instance *instance)
{
	const struct service_values *values = &instance->spec->values;
	const int64_t said[] = { values->log_rate, values->log_max_mb, values->log_max_days };
	uint64_t hash = option_hash_bytes(said, sizeof(said), 1);
	struct wire_buffer message = { 0 };

	if (hash == instance->log_bounds_hash)
		return;
	instance->log_bounds_hash = hash;
	wire_add(&message, "bounds");
	wire_add(&message, instance->key);
	for (size_t i = 0; i < sizeof(said) / sizeof(*said); i++)
		wire_add_number(&message, said[i]);
	send_message(d, &bounds, &message, -1);
}

void log_stream_drop(struct daemon *d, const struct run *run)
{
	static const char *const streams[] = { "stdout", "stderr" };

	for (size_t i = 0; i < sizeof(streams) / sizeof(*streams); i++) {
		autofree char *name = stored_name(run, streams[i]);

		keeper_link_drop(d, name);
	}
}
