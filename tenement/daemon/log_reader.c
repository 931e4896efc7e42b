/* The daemon's side: see log_reader.h. */
#include "daemon/log_reader.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/log.h"
#include "common/passing.h"
#include "daemon/helper.h"
#include "mem.h"

#define AGAIN_SECONDS 0.1 /* after one that ended; more each time */
#define AGAIN_MOST    5.0
#define ONCE_TRIES    3
#define PIECES        4 /* at a time, for one question */

struct log_ask {
	struct daemon *daemon;
	struct log_question question;
	const struct log_answer *answer;
	void *data;
	int fd; /* -1: not asked */
	bool begun, paused;
	unsigned tries; /* since something was heard */
	ev_io heard;
	ev_timer again;
	TAILQ_ENTRY(log_ask) next;
};

static TAILQ_HEAD(, log_ask) asks = TAILQ_HEAD_INITIALIZER(asks);
static unsigned ask_count;
static struct helper reader;
static int link_fd = -1;

/* ---- the process ---- */

static void on_over(struct daemon *d, struct helper *helper, const siginfo_t *end)
{
	(void)d;
	(void)helper;
	(void)end;
	close(fd_steal(&link_fd)); /* who asked hears of it by the question's own socket */
}

static int run_reader(struct daemon *d)
{
	static char name[] = LOG_READER, word[] = "--logs";
	autofree char *uid = mem_printf("%lld", d->root ? (long long)d->logger_uid : -1);
	char *argv[] = { name, word, uid, NULL };
	autoclose int table = route_table_reader_fd(d->table_fd, NULL);
	int ends[2], rc;

	if (table < 0 ||
		socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) < 0)
		return -1;
	rc = helper_spawn(d, &reader, argv,
		(struct helper_fd[]){ { ends[1], LOG_READER_LINK },
			{ d->own_fd, LOG_READER_FOLDER }, { table, LOG_READER_TABLE } },
		3, on_over);
	close(ends[1]);
	if (rc < 0)
		close(ends[0]);
	else
		link_fd = ends[0];
	return rc;
}

/* ---- one question ---- */

static void on_heard(struct ev_loop *loop, ev_io *io, int events);

static void hang_up(struct log_ask *ask)
{
	ev_io_stop(ask->daemon->loop, &ask->heard);
	if (ask->fd >= 0)
		close(fd_steal(&ask->fd));
}

static int put(struct log_ask *ask)
{
	autofree struct wire_buffer *message = mem_alloc(sizeof(*message));
	int ends[2], rc;

	if (!reader.pid && run_reader(ask->daemon) < 0)
		return -1;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		return -1;
	log_question_pack(&ask->question, message);
	/* Should too much wait there, it is tried again later. */
	rc = passing_send(link_fd, message, &ends[1], 1);
	close(ends[1]);
	if (rc < 0) {
		close(ends[0]);
		return -1;
	}
	ask->fd = ends[0];
	ev_io_set(&ask->heard, ask->fd, EV_READ);
	if (!ask->paused)
		ev_io_start(ask->daemon->loop, &ask->heard);
	return 0;
}

static void finish(struct log_ask *ask, int status, const char *why)
{
	const struct log_answer *answer = ask->answer;
	void *data = ask->data;

	log_ask_forget(ask);
	answer->end(data, status, why);
}

/* Half an answer cannot be begun again, but what follows goes on from where it was. */
static void try_again(struct log_ask *ask)
{
	double delay = AGAIN_SECONDS;

	hang_up(ask);
	ask->tries++;
	if (ask->question.kind == LOG_QUESTION_ONCE && (ask->begun || ask->tries >= ONCE_TRIES)) {
		finish(ask, 503, "the process that reads logs has ended: ask again");
		return;
	}
	for (unsigned i = 1; i < ask->tries && delay < AGAIN_MOST; i++)
		delay *= 2;
	ev_timer_set(&ask->again, delay, 0.);
	ev_timer_start(ask->daemon->loop, &ask->again);
}

static void on_again(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct log_ask *ask = timer->data;

	(void)loop;
	(void)events;
	if (put(ask) < 0)
		try_again(ask);
}

static void take_text(
	struct log_ask *ask, const struct log_reader_piece *piece, const char *text, size_t len)
{
	ask->tries = 0;
	ask->begun = true;
	if (ask->question.kind == LOG_QUESTION_FOLLOW) {
		ask->question.resumes = true;
		ask->question.after = piece->cursor;
	}
	ask->answer->text(ask->data, text, len);
}

/* False: there is no more to hear for now. */
static bool hear(struct log_ask *ask, char *buffer)
{
	struct log_reader_piece piece;
	ssize_t got = recv(ask->fd, buffer, sizeof(piece) + LOG_READER_PIECE_MAX, MSG_DONTWAIT);
	char *text = buffer + sizeof(piece);

	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (got < (ssize_t)sizeof(piece)) {
		try_again(ask);
		return false;
	}
	memcpy(&piece, buffer, sizeof(piece));
	buffer[got] = '\0';
	switch ((enum log_reader_word)piece.word) {
	case LOG_READER_TEXT:
		take_text(ask, &piece, text, (size_t)got - sizeof(piece));
		return !ask->paused;
	case LOG_READER_WRONG:
		finish(ask, 422, text);
		return false;
	case LOG_READER_ERROR:
		finish(ask, 503, text);
		return false;
	case LOG_READER_END:
		break;
	}
	finish(ask, 200, "");
	return false;
}

static void on_heard(struct ev_loop *loop, ev_io *io, int events)
{
	static char buffer[sizeof(struct log_reader_piece) + LOG_READER_PIECE_MAX + 1];
	struct log_ask *ask = io->data;

	(void)loop;
	(void)events;
	for (int i = 0; i < PIECES; i++)
		if (!hear(ask, buffer))
			return;
}

struct log_ask *log_reader_ask(struct daemon *d, const struct log_question *question,
	const struct log_answer *answer, void *data)
{
	struct log_ask *ask;

	if (ask_count >= LOG_READER_ASKS)
		return NULL;
	ask = mem_alloc(sizeof(*ask));
	ask_count++;
	TAILQ_INSERT_TAIL(&asks, ask, next);
	ask->daemon = d;
	ask->question = *question;
	ask->answer = answer;
	ask->data = data;
	ask->fd = -1;
	ev_init(&ask->heard, on_heard);
	ask->heard.data = ask;
	ev_timer_init(&ask->again, on_again, 0., 0.);
	ask->again.data = ask;
	if (put(ask) < 0)
		ev_timer_start(d->loop, &ask->again);
	return ask;
}

void log_ask_pause(struct log_ask *ask)
{
	ask->paused = true;
	ev_io_stop(ask->daemon->loop, &ask->heard);
}

void log_ask_resume(struct log_ask *ask)
{
	ask->paused = false;
	if (ask->fd >= 0)
		ev_io_start(ask->daemon->loop, &ask->heard);
}

void log_ask_forget(struct log_ask *ask)
{
	hang_up(ask);
	ev_timer_stop(ask->daemon->loop, &ask->again);
	TAILQ_REMOVE(&asks, ask, next);
	ask_count--;
	free(ask);
}

void log_reader_stop(struct daemon *d)
{
	while (!TAILQ_EMPTY(&asks))
		log_ask_forget(TAILQ_FIRST(&asks));
	helper_end(d, &reader);
	if (link_fd >= 0)
		close(fd_steal(&link_fd));
}
