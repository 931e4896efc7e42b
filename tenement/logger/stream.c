#include "logger/stream.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <uthash.h>

#include "common/clock.h"
#include "common/log.h"
#include "mem.h"

#define READ_SIZE (16u << 10) /* per pipe and turn of the loop */

struct stream {
	struct streams *all;
	struct tenant_log *tenant;
	enum log_line_stream kind;
	struct log_line_cutter cutter;
	ev_io watcher;
	ino_t inode; /* every pipe has its own */
	UT_hash_handle hh;
};

struct streams {
	struct ev_loop *loop;
	struct tenant_logs *logs;
	struct stream *list; /* by inode */
	int64_t time_ms;     /* of the read being worked on */
};

static void take_line(void *data, const char *message, size_t len, bool unfinished)
{
	struct stream *stream = data;
	const struct log_line line = {
		.time_ms = stream->all->time_ms,
		.stream = stream->kind,
		.unfinished = unfinished,
		.message = message,
		.len = len,
	};

	tenant_log_line(stream->tenant, &line);
}

static void begin_lines(struct streams *all)
{
	all->time_ms = (int64_t)clock_ms(CLOCK_REALTIME);
}

static void stream_end(struct stream *stream, bool unfinished)
{
	struct streams *all = stream->all;

	begin_lines(all);
	log_line_cut_end(&stream->cutter, unfinished, take_line, stream);
	tenant_log_flush(stream->tenant);
	ev_io_stop(all->loop, &stream->watcher);
	close(stream->watcher.fd);
	HASH_DEL(all->list, stream);
	tenant_log_release(stream->tenant);
	free(stream);
}

/* Read once, at most LIMIT bytes. Returns the count, 0 at the end of the pipe (or when it broke:
 * one bad pipe is no reason to lose the others), -1 when there is nothing now. */
static ssize_t stream_read(struct stream *stream, size_t limit)
{
	char bytes[READ_SIZE];
	size_t size = limit < sizeof(bytes) ? limit : sizeof(bytes);
	ssize_t count = read(stream->watcher.fd, bytes, size);

	if (count < 0) {
		if (errno == EAGAIN || errno == EINTR)
			return -1;
		log_warn("cannot read a tenant's output: %s", strerror(errno));
		return 0;
	}
	begin_lines(stream->all);
	log_line_cut(&stream->cutter, bytes, (size_t)count, take_line, stream);
	tenant_log_flush(stream->tenant);
	return count;
}

static void on_readable(struct ev_loop *loop, ev_io *watcher, int events)
{
	struct stream *stream = watcher->data;

	(void)loop, (void)events;
	if (stream_read(stream, READ_SIZE) == 0)
		stream_end(stream, false);
}

struct streams *streams_new(struct ev_loop *loop, struct tenant_logs *logs)
{
	struct streams *all = mem_alloc(sizeof(*all));

	all->loop = loop;
	all->logs = logs;
	return all;
}

int streams_add(struct streams *all, int fd, const char *service, const char *id,
	enum log_line_stream kind, struct ten_error *err)
{
	autoclose int owned = fd;
	struct stream *stream;
	struct stat status;
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || fstat(fd, &status) < 0)
		return ten_error_set(err, errno, "output of %s:%s", service, id);
	if (!S_ISFIFO(status.st_mode) || (flags & O_ACCMODE) == O_WRONLY)
		return ten_error_set(
			err, 0, "output of %s:%s: not the reading end of a pipe", service, id);
	HASH_FIND(hh, all->list, &status.st_ino, sizeof(status.st_ino), stream);
	if (stream)
		return 0;
	if (fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
		return ten_error_set(err, errno, "output of %s:%s", service, id);

	stream = mem_alloc(sizeof(*stream));
	stream->all = all;
	stream->kind = kind;
	stream->inode = status.st_ino;
	stream->tenant = tenant_logs_open(all->logs, service, id);
	HASH_ADD(hh, all->list, inode, sizeof(stream->inode), stream);
	ev_io_init(&stream->watcher, on_readable, fd_steal(&owned), EV_READ);
	stream->watcher.data = stream;
	ev_io_start(all->loop, &stream->watcher);
	return 0;
}

/* What is in the pipe at this moment, and no more: its writer may never stop. */
static void stream_drain(struct stream *stream)
{
	int left = 0;
	bool ended = false;

	if (ioctl(stream->watcher.fd, FIONREAD, &left) < 0)
		left = 0;
	while (left > 0) {
		ssize_t count = stream_read(stream, (size_t)left);

		if (count <= 0)
			break;
		left -= (int)count;
	}
	/* Whether the tenant's last word was said, or a successor of ours reads the rest. */
	ended = left == 0 && stream_read(stream, 1) == 0;
	stream_end(stream, !ended);
}

void streams_free(struct streams *all)
{
	struct stream *stream, *next;

	HASH_ITER (hh, all->list, stream, next)
		stream_drain(stream);
	free(all);
}
