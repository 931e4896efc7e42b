#include "daemon/keeper_link.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "common/log.h"
#include "common/passing.h"
#include "daemon/lifecycle.h"
#include "daemon/orphans.h"
#include "daemon/reconcile.h"
#include "daemon/seats.h"
#include "mem.h"

struct child {
	char *name;
	pid_t pid;
	UT_hash_handle hh;
};
static struct child *children;
static ev_io reader;

static void child_is(const char *name, pid_t pid)
{
	struct child *child;

	HASH_FIND_STR(children, name, child);
	if (!child) {
		child = mem_alloc(sizeof(*child));
		child->name = mem_strdup(name);
		HASH_ADD_KEYPTR(hh, children, child->name, strlen(child->name), child);
	}
	child->pid = pid;
}

bool keeper_link_is_child(pid_t pid)
{
	struct child *child, *next;

	HASH_ITER (hh, children, child, next) {
		if (child->pid == pid)
			return true;
	}
	return false;
}

void keeper_link_each_child(void (*each)(void *data, const char *name, pid_t pid), void *data)
{
	struct child *child, *next;

	HASH_ITER (hh, children, child, next)
		each(data, child->name, child->pid);
}

static void note_seat(struct daemon *d, const struct wire *wire, pid_t pid)
{
	struct seat_news news = { .name = wire->fields[1],
		.pid = pid,
		.mode = wire->count > 3 ? wire->fields[3] : "kept",
		.how = wire->count > 4 ? wire->fields[4] : NULL };

	if (wire->count > 5)
		wire_number(wire->fields[5], 0, 255, &news.status);
	seats_note(d, &news);
}

static void handle(struct daemon *d, const struct wire *wire)
{
	int64_t pid, start, status;

	if (wire_is(wire, "child", 2) && wire_number(wire->fields[2], 0, INT32_MAX, &pid)) {
		child_is(wire->fields[1], (pid_t)pid);
		note_seat(d, wire, (pid_t)pid);
	} else if (wire_is(wire, "exit", 4) && wire_number(wire->fields[1], 1, INT32_MAX, &pid) &&
		   wire_number(wire->fields[2], 0, INT64_MAX, &start) &&
		   wire_number(wire->fields[4], 0, 255, &status)) {
		lifecycle_process_ended(d, (pid_t)pid, (uint64_t)start,
			strcmp(wire->fields[3], "exited") == 0, (int)status);
		orphans_end(d);
	} else if (wire_is(wire, "shutdown", 0)) {
		reconcile_shut_down(d);
	}
}

/* Nobody tells us of exits any more, nor restarts anything: an end is all that is left. */
static void keeper_is_gone(struct ev_loop *loop, ev_io *io)
{
	struct daemon *d = ev_userdata(loop);
	struct child *child, *next;

	log_error("the keeper is gone: ending all tenants");
	ev_io_stop(loop, io);
	HASH_ITER (hh, children, child, next)
		child->pid = 0;
	lifecycle_kill_all(d);
	ev_break(loop, EVBREAK_ALL);
}

static void on_readable(struct ev_loop *loop, ev_io *io, int events)
{
	static struct passing message;
	struct daemon *d = ev_userdata(loop);
	int rc;

	(void)events;
	while ((rc = passing_receive(d->keeper, &message)) > 0) {
		handle(d, &message.wire);
		passing_close_fds(&message);
	}
	if (rc == 0 || (errno != EAGAIN && errno != EBADMSG))
		keeper_is_gone(loop, io);
}

static void send_message(
	struct daemon *d, const struct wire_buffer *buffer, const int *fds, int count)
{
	struct pollfd room = { .fd = d->keeper, .events = POLLOUT };

	/* The keeper always reads; a full queue is a matter of microseconds. */
	while (passing_send(d->keeper, buffer, fds, count) < 0) {
		if (errno != EAGAIN) {
			if (errno != EPIPE && errno != ECONNRESET)
				log_error("telling the keeper: %s", strerror(errno));
			return;
		}
		poll(&room, 1, 1000);
	}
}

static void say_two(
	struct daemon *d, const char *verb, const char *name, const char *second, int fd)
{
	struct wire_buffer buffer = { 0 };

	wire_add(&buffer, verb);
	if (name)
		wire_add(&buffer, name);
	if (second)
		wire_add(&buffer, second);
	send_message(d, &buffer, &fd, fd >= 0 ? 1 : 0);
}

static void say(struct daemon *d, const char *verb, const char *name, int fd)
{
	say_two(d, verb, name, NULL, fd);
}

void keeper_link_store(struct daemon *d, const char *name, int fd)
{
	say(d, "store", name, fd);
}

void keeper_link_drop(struct daemon *d, const char *name)
{
	say(d, "drop", name, -1);
}

void keeper_link_halt(struct daemon *d, const char *name)
{
	say(d, "halt", name, -1);
}

void keeper_link_replace(struct daemon *d, const char *old, const char *new)
{
	say_two(d, "replace", old, new, -1);
}

void keeper_link_retire(struct daemon *d, const char *name)
{
	say(d, "retire", name, -1);
}

void keeper_link_ready(struct daemon *d)
{
	say(d, "ready", NULL, -1);
}

static void say_run(struct daemon *d, const char *verb, const char *name, uint32_t uid,
	uint32_t gid, const char *fd_list, char *const *argv)
{
	struct wire_buffer buffer = { 0 };

	wire_add(&buffer, verb);
	wire_add(&buffer, name);
	wire_add_number(&buffer, uid == UINT32_MAX ? -1 : (int64_t)uid);
	wire_add_number(&buffer, uid == UINT32_MAX ? -1 : (int64_t)gid);
	wire_add(&buffer, fd_list);
	for (size_t i = 0; argv[i]; i++)
		wire_add(&buffer, argv[i]);
	send_message(d, &buffer, NULL, 0);
}

void keeper_link_renew(struct daemon *d)
{
	say(d, "renew", NULL, -1);
}

void keeper_link_run(struct daemon *d, const char *name, uint32_t uid, uint32_t gid,
	const char *fd_list, char *const *argv)
{
	say_run(d, "run", name, uid, gid, fd_list, argv);
}

void keeper_link_try(struct daemon *d, const char *name, uint32_t uid, uint32_t gid,
	const char *fd_list, char *const *argv)
{
	say_run(d, "try", name, uid, gid, fd_list, argv);
}

int keeper_link_start(struct daemon *d, struct ten_error *err)
{
	static struct passing message;

	say(d, "list", NULL, -1);
	for (;;) {
		struct pollfd readable = { .fd = d->keeper, .events = POLLIN };
		int rc = passing_receive(d->keeper, &message);

		if (rc < 0 && errno == EAGAIN) {
			poll(&readable, 1, 10000);
			continue;
		}
		if (rc <= 0)
			return ten_error_set(err, rc < 0 ? errno : EPIPE, "asking the keeper");
		if (wire_is(&message.wire, "end", 0))
			break;
		handle(d, &message.wire);
		passing_close_fds(&message);
	}
	ev_io_init(&reader, on_readable, d->keeper, EV_READ);
	ev_io_start(d->loop, &reader);
	return 0;
}
