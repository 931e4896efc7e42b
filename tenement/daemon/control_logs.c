/* GET /api/logs */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/files.h"
#include "daemon/control.h"
#include "daemon/endpoints.h"
#include "daemon/describe.h"
#include "daemon/instance.h"
#include "daemon/log_tail.h"
#include "mem.h"
#include "text.h"
#include "wire.h"

#define LIMIT_DEFAULT 100
#define LIMIT_MAX     100000

/* One who follows: told by inotify when the file grows or is replaced. */
struct follower {
	struct daemon *daemon;
	struct control_connection *connection;
	char *key, *path;
	int inotify, fd;
	ev_io io;
	ino_t inode;
	off_t at;
	struct text partial;
};

static void follower_release(void *data)
{
	struct follower *follower = data;

	ev_io_stop(follower->daemon->loop, &follower->io);
	if (follower->inotify >= 0)
		close(follower->inotify);
	if (follower->fd >= 0)
		close(follower->fd);
	text_free(&follower->partial);
	free(follower->key);
	free(follower->path);
	free(follower);
}

static void send_lines(struct follower *follower)
{
	autotext struct text out = { 0 };
	char *begin = follower->partial.data;
	char *end = begin + follower->partial.len;
	char *newline;

	while (begin < end && (newline = memchr(begin, '\n', (size_t)(end - begin)))) {
		json_t *entry = log_tail_entry(follower->key, begin, (size_t)(newline - begin));
		autofree char *text = entry ? json_dumps(entry, JSON_COMPACT) : NULL;

		if (text)
			text_printf(&out, "%s\n", text);
		json_decref(entry);
		begin = newline + 1;
	}
	follower->partial.len = (size_t)(end - begin);
	memmove(follower->partial.data, begin, follower->partial.len);
	control_send(follower->connection, out.data ? out.data : "", out.len);
}

static void read_on(struct follower *follower)
{
	char block[16384];
	ssize_t n;

	while (follower->fd >= 0 &&
		(n = pread(follower->fd, block, sizeof(block), follower->at)) > 0) {
		follower->at += n;
		text_add(&follower->partial, block, (size_t)n);
		send_lines(follower);
	}
}

/* The file may have been rotated: what is left of the old one first, then the new one. */
static void follow(struct follower *follower)
{
	struct stat st;

	/* After a full disk the log writer takes back what it could not write whole. */
	if (follower->fd >= 0 && fstat(follower->fd, &st) == 0 && st.st_size < follower->at)
		follower->at = st.st_size;
	read_on(follower);
	if (stat(follower->path, &st) < 0 || (follower->fd >= 0 && st.st_ino == follower->inode))
		return;
	if (follower->fd >= 0)
		close(follower->fd);
	follower->fd = open(follower->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	follower->inode = st.st_ino;
	follower->at = 0;
	read_on(follower);
}

/* Before the tenant's first line there is no folder of its service: then the one above tells. */
static void watch(struct follower *follower)
{
	size_t len = (size_t)(strrchr(follower->path, '/') - follower->path);
	autofree char *folder = mem_strndup(follower->path, len);

	if (inotify_add_watch(follower->inotify, folder, IN_MODIFY | IN_CREATE | IN_MOVED_TO) >= 0)
		return;
	*strrchr(folder, '/') = '\0';
	inotify_add_watch(follower->inotify, folder, IN_CREATE);
}

static void on_inotify(struct ev_loop *loop, ev_io *io, int events)
{
	struct follower *follower = io->data;
	char buffer[4096];

	(void)loop;
	(void)events;
	while (read(follower->inotify, buffer, sizeof(buffer)) > 0)
		;
	watch(follower);
	follow(follower);
}

static json_t *never(struct daemon *d, void *data, bool time_is_up, int *status)
{
	(void)d;
	(void)data;
	(void)time_is_up;
	(void)status;
	return NULL;
}

static void add_lines(struct text *out, json_t *lines)
{
	json_t *line;
	size_t i;

	json_array_foreach (lines, i, line) {
		autofree char *text = json_dumps(line, JSON_COMPACT);

		text_printf(out, "%s\n", text);
	}
}

static void answer_lines(struct control_call *call, json_t *lines)
{
	autotext struct text out = { 0 };
	struct control_connection *connection;

	add_lines(&out, lines);
	control_stream(call, &connection);
	control_send(connection, out.data ? out.data : "", out.len);
	control_stream_end(connection);
}

static void start_following(struct control_call *call, const char *key, json_t *lines)
{
	struct follower *follower = mem_alloc(sizeof(*follower));
	autotext struct text out = { 0 };
	struct stat st;

	follower->daemon = call->d;
	follower->key = mem_strdup(key);
	follower->path = log_tail_path(call->d, key);
	follower->fd = open(follower->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (follower->fd >= 0 && fstat(follower->fd, &st) == 0) {
		follower->inode = st.st_ino;
		follower->at = st.st_size;
	}
	follower->inotify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	watch(follower);
	ev_io_init(&follower->io, on_inotify, follower->inotify, EV_READ);
	follower->io.data = follower;
	ev_io_start(call->d->loop, &follower->io);
	control_stream(call, &follower->connection);
	add_lines(&out, lines);
	/* LOOK never answers: this is for the release when the client goes. */
	control_wait(call, 86400. * 365, never, follower, follower_release);
	control_send(follower->connection, out.data ? out.data : "", out.len);
}

void control_logs(struct control_call *call)
{
	char key[CONFIG_INSTANCE_MAX] = "", limit_text[16], follow_text[8];
	int64_t limit = LIMIT_DEFAULT;
	json_t *lines;

	control_query(call, "id", key, sizeof(key));
	if (!instance_find(call->d, key) || !principal_sees_key(&call->who, key)) {
		autofree char *text = describe_unknown(call->d, key);

		control_refuse(call, 404, "%s", text);
		return;
	}
	if (control_query(call, "limit", limit_text, sizeof(limit_text)) &&
		!wire_number(limit_text, 0, LIMIT_MAX, &limit)) {
		control_refuse(call, 422, "limit is a number from 0 to %d", LIMIT_MAX);
		return;
	}
	lines = log_tail_lines(call->d, key, (size_t)limit, LOG_TAIL_ALL);
	if (control_query(call, "follow", follow_text, sizeof(follow_text)) &&
		strcmp(follow_text, "1") == 0) {
		start_following(call, key, lines);
	} else {
		answer_lines(call, lines);
	}
	json_decref(lines);
}
