#include "pipe.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>
#include <utlist.h>

#include "proxy/worker.h"

static struct pipe *pipe_make(struct worker *worker)
{
	struct pipe *made;
	int ends[2];

	if (worker->pipe_count >= PIPES_MAX || pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
		return NULL;
	made = calloc(1, sizeof(*made));
	if (!made) {
		close(ends[0]);
		close(ends[1]);
		return NULL;
	}
	made->out = ends[0];
	made->in = ends[1];
	/* Where that much is not allowed it holds less, and is used all the same. */
	fcntl(made->in, F_SETPIPE_SZ, PIPE_BYTES);
	worker->pipe_count++;
	return made;
}

struct pipe *pipe_take(struct worker *worker)
{
	struct pipe *pipe = worker->free_pipes;

	if (!pipe)
		return pipe_make(worker);
	LL_DELETE(worker->free_pipes, pipe);
	return pipe;
}

static void pipe_close(struct worker *worker, struct pipe *pipe)
{
	close(pipe->out);
	close(pipe->in);
	free(pipe);
	worker->pipe_count--;
}

/* What is left in it belongs to nobody else. */
void pipe_give(struct worker *worker, struct pipe *pipe)
{
	if (!pipe)
		return;
	if (pipe->bytes)
		pipe_close(worker, pipe);
	else
		LL_PREPEND(worker->free_pipes, pipe);
}

enum moved pipe_fill(struct pipe *pipe, int from, uint64_t most)
{
	size_t room = most < PIPE_BYTES ? (size_t)most : PIPE_BYTES;
	ssize_t got = splice(from, NULL, pipe->in, NULL, room, SPLICE_F_NONBLOCK | SPLICE_F_MOVE);

	if (got > 0) {
		pipe->bytes += (size_t)got;
		return MOVED_ALL;
	}
	if (got == 0)
		return MOVED_EOF;
	return errno == EAGAIN || errno == EINTR ? MOVED_BLOCKED : MOVED_ERROR;
}

enum moved pipe_drain(struct pipe *pipe, int to, size_t *bytes)
{
	ssize_t sent;

	*bytes = 0;
	if (!pipe->bytes)
		return MOVED_ALL;
	sent = splice(pipe->out, NULL, to, NULL, pipe->bytes, SPLICE_F_NONBLOCK | SPLICE_F_MOVE);
	if (sent < 0)
		return errno == EAGAIN || errno == EINTR ? MOVED_BLOCKED : MOVED_ERROR;
	*bytes = (size_t)sent;
	pipe->bytes -= (size_t)sent;
	return pipe->bytes ? MOVED_BLOCKED : MOVED_ALL;
}

uint32_t pipes_close(struct worker *worker)
{
	uint32_t closed = 0;

	for (; worker->free_pipes; closed++) {
		struct pipe *pipe = worker->free_pipes;
		LL_DELETE(worker->free_pipes, pipe);
		pipe_close(worker, pipe);
	}
	return closed;
}
