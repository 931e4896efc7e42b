#include "logger/intake.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "common/fds.h"
#include "common/log.h"
#include "common/passing.h"
#include "mem.h"
#include "names.h"
#include "wire.h"

#define MESSAGES_AT_ONCE 64

/* Split "SERVICE:ID" in place. NULL: one of the two is no name (so that neither can lead out of the
 * folder of logs). */
static char *split_instance(char *instance)
{
	char *id = strchr(instance, ':');

	if (!id)
		return NULL;
	*id++ = '\0';
	return names_valid(instance) && names_valid(id) ? id : NULL;
}

static void add_stream(struct intake *intake, int fd, char *instance, const char *stream)
{
	int kind = log_line_stream_find(stream, strlen(stream));
	const char *id = split_instance(instance);
	struct ten_error err;

	if (!id || (kind != LOG_LINE_STDOUT && kind != LOG_LINE_STDERR)) {
		log_warn("refused a pipe for \"%s\" (%s)", instance, stream);
		close(fd);
		return;
	}
	if (streams_add(intake->streams, fd, instance, id, (enum log_line_stream)kind, &err) < 0)
		log_warn("%s", err.text);
}

/* "log:SERVICE:ID:STREAM:PID" */
static void inherit(struct intake *intake, const char *name, int fd)
{
	autofree char *copy = mem_strdup(name + strlen("log:"));
	char *stream = strchr(copy, ':');
	char *end;

	stream = stream ? strchr(stream + 1, ':') : NULL;
	if (!stream) {
		log_warn("refused the inherited descriptor \"%s\"", name);
		close(fd);
		return;
	}
	*stream++ = '\0';
	end = strchr(stream, ':');
	if (end)
		*end = '\0';
	add_stream(intake, fd, copy, stream);
}

void intake_inherit(struct intake *intake)
{
	const char *name;

	for (size_t i = 0; (name = fds_name(i)); i++) {
		if (strncmp(name, "log:", strlen("log:")) == 0)
			inherit(intake, name, FDS_FIRST + (int)i);
	}
}

static bool take_limit(struct intake *intake, const char *text)
{
	int64_t max_kb;

	if (!wire_number(text, 1, LOG_STORE_MAX_KB, &max_kb))
		return false;
	log_store_set_max_kb(intake->files, (uint64_t)max_kb);
	return true;
}

static bool take_access_limit(struct intake *intake, const char *text)
{
	int64_t max_mb;

	if (!wire_number(text, 0, LOG_STORE_MAX_KB / 1024, &max_mb))
		return false;
	log_store_set_max_kb(intake->access_store, (uint64_t)max_mb * 1024);
	return true;
}

static bool take_bounds(struct intake *intake, const struct wire *wire)
{
	autofree char *instance = mem_strdup(wire->fields[1]);
	const char *id = split_instance(instance);
	struct log_bounds bounds;

	if (!id || !wire_number(wire->fields[2], 0, INT32_MAX, &bounds.rate) ||
		!wire_number(wire->fields[3], 0, INT32_MAX, &bounds.max_mb) ||
		!wire_number(wire->fields[4], 0, INT32_MAX, &bounds.max_days))
		return false;
	sink_store_set_bounds(intake->store, instance, id, &bounds);
	return true;
}

static void take_message(struct intake *intake, struct passing *message)
{
	const struct wire *wire = &message->wire;
	bool known = false;

	if (wire_is(wire, "log", 2) && message->fd_count == 1) {
		autofree char *instance = mem_strdup(wire->fields[1]);

		add_stream(intake, message->fds[0], instance, wire->fields[2]);
		return;
	}
	if (wire_is(wire, "limit", 1))
		known = take_limit(intake, wire->fields[1]);
	else if (wire_is(wire, "bounds", 4))
		known = take_bounds(intake, wire);
	else if (wire_is(wire, "access-limit", 1))
		known = take_access_limit(intake, wire->fields[1]);
	if (!known)
		log_warn("refused a message \"%s\" with %d descriptors", wire->fields[0],
			message->fd_count);
	passing_close_fds(message);
}

/* False: the other end is closed. */
static bool take_messages(struct intake *intake, unsigned most)
{
	autofree struct passing *message = mem_alloc(sizeof(*message));

	for (unsigned i = 0; i < most; i++) {
		int got = passing_receive(intake->watcher.fd, message);

		if (got > 0)
			take_message(intake, message);
		else if (got < 0 && errno == EBADMSG)
			log_warn("refused a message that is none");
		else
			return got < 0 && errno == EAGAIN;
	}
	return true;
}

static void on_message(struct ev_loop *loop, ev_io *watcher, int events)
{
	struct intake *intake = watcher->data;

	(void)events;
	if (!take_messages(intake, MESSAGES_AT_ONCE))
		ev_break(loop, EVBREAK_ALL);
}

void intake_start(struct intake *intake, struct ev_loop *loop, int fd)
{
	ev_io_init(&intake->watcher, on_message, fd, EV_READ);
	intake->watcher.data = intake;
	ev_io_start(loop, &intake->watcher);
}

void intake_drain(struct intake *intake)
{
	/* The bound is above what a socket's queue can hold. */
	take_messages(intake, 4096);
}
