#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/log.h"
#include "keeper/keeper.h"
#include "mem.h"

#define EXITS_KEPT 4096

/* What is to be sent; the keeper never blocks on a daemon that does not read. */
struct outgoing {
	struct outgoing *next;
	size_t len;
	char bytes[];
};

struct exit_record {
	pid_t pid;
	uint64_t start;
	const char *how; /* "exited" or "killed" */
	int status;
};

static struct ev_loop *link_loop;
static int link_fd = -1;
static ev_io reader, writer;
static struct outgoing *first, **last = &first;
/* The last exits, told again to a daemon that comes back. It knows its own by pid and start time.
 */
static struct exit_record exits[EXITS_KEPT];
static size_t exit_count;

static void queue(const struct wire_buffer *buffer)
{
	struct outgoing *message;

	if (link_fd < 0)
		return;
	message = mem_alloc(sizeof(*message) + buffer->len);
	message->len = buffer->len;
	memcpy(message->bytes, buffer->bytes, buffer->len);
	*last = message;
	last = &message->next;
}

static void unqueue(void)
{
	struct outgoing *message = first;

	first = message->next;
	if (!first)
		last = &first;
	free(message);
}

static void flush(struct ev_loop *loop, ev_io *watcher, int events)
{
	(void)watcher;
	(void)events;
	while (first && link_fd >= 0) {
		struct wire_buffer buffer = { .len = first->len };
		int rc;

		memcpy(buffer.bytes, first->bytes, first->len);
		rc = passing_send(link_fd, &buffer, NULL, 0);
		if (rc < 0 && errno == EAGAIN) {
			ev_io_start(loop, &writer);
			return;
		}
		unqueue();
	}
	ev_io_stop(loop, &writer);
}

static void make_exit(const struct exit_record *record, struct wire_buffer *buffer)
{
	wire_add(buffer, "exit");
	wire_add_number(buffer, record->pid);
	wire_add_number(buffer, (int64_t)record->start);
	wire_add(buffer, record->how);
	wire_add_number(buffer, record->status);
}

static void send_exit(const struct exit_record *record)
{
	struct wire_buffer buffer = { 0 };

	make_exit(record, &buffer);
	queue(&buffer);
}

/* Send when the loop comes round: the socket may be full now. */
static void kick(void)
{
	if (link_fd >= 0 && first)
		ev_io_start(link_loop, &writer);
}

static void send_child(void *data, const char *name, pid_t pid, enum child_mode mode)
{
	struct wire_buffer buffer = { 0 };

	(void)data;
	wire_add(&buffer, "child");
	wire_add(&buffer, name);
	wire_add_number(&buffer, pid);
	wire_add(&buffer, child_mode_names[mode]);
	queue(&buffer);
}

static void send_word(const char *word)
{
	struct wire_buffer buffer = { 0 };

	wire_add(&buffer, word);
	queue(&buffer);
}

static void send_everything(void)
{
	size_t begin = exit_count > EXITS_KEPT ? exit_count - EXITS_KEPT : 0;

	child_each(send_child, NULL);
	for (size_t i = begin; i < exit_count; i++)
		send_exit(&exits[i % EXITS_KEPT]);
	send_word("end");
	if (keeper_stopping)
		send_word("shutdown");
}

typedef void run_function(struct ev_loop *loop, const char *name, int64_t uid, int64_t gid,
	const char *fd_list, char *const *argv);

static void run(struct ev_loop *loop, const struct wire *wire, run_function *function)
{
	char *argv[WIRE_FIELDS] = { NULL };
	int64_t uid, gid;

	if (!wire_number(wire->fields[2], -1, UINT32_MAX - 1, &uid) ||
		!wire_number(wire->fields[3], -1, UINT32_MAX - 1, &gid))
		return;
	for (size_t i = 5; i < wire->count; i++)
		argv[i - 5] = (char *)wire->fields[i];
	function(loop, wire->fields[1], uid, gid, wire->fields[4], argv);
}

static void handle(struct ev_loop *loop, struct passing *message)
{
	const struct wire *wire = &message->wire;

	if (wire_is(wire, "store", 1) && message->fd_count == 1) {
		store_put(wire->fields[1], message->fds[0]);
		message->fds[0] = -1;
	} else if (wire_is(wire, "drop", 1)) {
		store_drop(wire->fields[1]);
	} else if (wire_is(wire, "run", 5)) {
		run(loop, wire, child_run);
	} else if (wire_is(wire, "try", 5)) {
		run(loop, wire, child_try);
	} else if (wire_is(wire, "replace", 2)) {
		child_replace(loop, wire->fields[1], wire->fields[2]);
	} else if (wire_is(wire, "retire", 1)) {
		child_retire(wire->fields[1]);
	} else if (wire_is(wire, "halt", 1)) {
		child_halt(loop, wire->fields[1]);
	} else if (wire_is(wire, "list", 0)) {
		send_everything();
	} else if (wire_is(wire, "renew", 0)) {
		keeper_renews = true;
	} else if (wire_is(wire, "ready", 0)) {
		keeper_daemon_was_ready = true;
	} else {
		log_warn(
			"the daemon said \"%s\", which this keeper does not know", wire->fields[0]);
	}
	passing_close_fds(message);
}

static void readable(struct ev_loop *loop, ev_io *watcher, int events)
{
	static struct passing message;
	int rc;

	(void)events;
	while (link_fd >= 0 && (rc = passing_receive(link_fd, &message)) != 0) {
		if (rc < 0 && errno != EBADMSG)
			break;
		if (rc > 0)
			handle(loop, &message);
	}
	if (link_fd >= 0 && rc == 0)
		ev_io_stop(loop, watcher);
	flush(loop, &writer, 0);
}

int link_open(struct ev_loop *loop)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0) {
		log_error("socketpair: %s", strerror(errno));
		return -1;
	}
	link_close(loop);
	link_fd = pair[0];
	ev_io_init(&reader, readable, link_fd, EV_READ);
	ev_io_init(&writer, flush, link_fd, EV_WRITE);
	ev_io_start(loop, &reader);
	link_loop = loop;
	return pair[1];
}

void link_close(struct ev_loop *loop)
{
	if (link_fd < 0)
		return;
	ev_io_stop(loop, &reader);
	ev_io_stop(loop, &writer);
	close(link_fd);
	link_fd = -1;
	while (first)
		unqueue();
}

void link_finish(struct ev_loop *loop)
{
	if (link_fd >= 0)
		readable(loop, &reader, EV_READ);
	link_close(loop);
}

void link_send_child(const char *name, pid_t pid, enum child_mode mode)
{
	send_child(NULL, name, pid, mode);
	kick();
}

void link_send_gone(const char *name, enum child_mode mode, const char *how, int status)
{
	struct wire_buffer buffer = { 0 };

	wire_add(&buffer, "child");
	wire_add(&buffer, name);
	wire_add_number(&buffer, 0);
	wire_add(&buffer, child_mode_names[mode]);
	wire_add(&buffer, how);
	wire_add_number(&buffer, status);
	queue(&buffer);
	kick();
}

void link_send_exit(pid_t pid, uint64_t start, const char *how, int status)
{
	struct exit_record *record = &exits[exit_count++ % EXITS_KEPT];

	*record = (struct exit_record){ pid, start, how, status };
	send_exit(record);
	kick();
}

void link_save(void)
{
	size_t begin = exit_count > EXITS_KEPT ? exit_count - EXITS_KEPT : 0;

	for (size_t i = begin; i < exit_count; i++) {
		struct wire_buffer buffer = { 0 };

		make_exit(&exits[i % EXITS_KEPT], &buffer);
		renew_add(&buffer);
	}
}

void link_resume(const struct wire *wire)
{
	int64_t pid, start, status;

	if (wire_number(wire->fields[1], 1, INT32_MAX, &pid) &&
		wire_number(wire->fields[2], 0, INT64_MAX, &start) &&
		wire_number(wire->fields[4], 0, 255, &status))
		link_send_exit((pid_t)pid, (uint64_t)start,
			strcmp(wire->fields[3], "exited") == 0 ? "exited" : "killed", (int)status);
}

void link_send_shutdown(void)
{
	send_word("shutdown");
	kick();
}
