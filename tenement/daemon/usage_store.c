#include "daemon/usage_store.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/log.h"
#include "common/process.h"
#include "daemon/helper.h"
#include "daemon/usage.h"
#include "mem.h"
#include "text.h"

#define FOLDER_FD     3
#define AGAIN_SECONDS 2.0
#define FIRST_SECONDS 0.05
#define LIVE_MAX      65536 /* readings that are told again, on their way at the most */
#define LAST_MAX      16384 /* readings that are kept though they cannot be stored */
#define READ_BYTES    65536
#define STOP_MS       3000
#define END_MS        1000

struct sent {
	TAILQ_ENTRY(sent) next;
	uint64_t number;
	enum usage_word word;
	bool last;    /* see usage_store_put() */
	bool is_out;  /* it is on its way, or there */
	size_t count; /* of readings */
	usage_answer *answer;
	void *data;
	size_t bytes;
	char payload[];
};

static TAILQ_HEAD(, sent) messages = TAILQ_HEAD_INITIALIZER(messages);
static uint64_t last_number;
static size_t last_kept; /* readings */
static size_t live_sent; /* the others */
static uint64_t lost;    /* likewise */

static struct usage_setup setup;
static bool was_run;
static struct helper keeper; /* of usage.db */
static int link_fd = -1;
static ev_io link_in, link_out;
static ev_timer again;
static struct text out, in;

static char trouble[sizeof(((struct usage_done *)NULL)->text)];
static char aside[sizeof(((struct usage_done *)NULL)->aside)];

/* ---- messages ---- */

static void forget(struct sent *sent)
{
	TAILQ_REMOVE(&messages, sent, next);
	if (sent->last)
		last_kept -= sent->count;
	else
		live_sent -= sent->count;
	free(sent);
}

static struct sent *find(uint64_t number)
{
	struct sent *sent;

	TAILQ_FOREACH (sent, &messages, next)
		if (sent->number == number)
			return sent;
	return NULL;
}

static bool is_waiting(void)
{
	const struct sent *sent;

	TAILQ_FOREACH (sent, &messages, next)
		if (sent->is_out)
			return true;
	return false;
}

static void set_trouble(const char *why)
{
	if (!*trouble && *why)
		log_error("what tenants use cannot be stored: %s; it is tried again", why);
	if (*trouble && !*why)
		log_info("what tenants use is stored again");
	snprintf(trouble, sizeof(trouble), "%s", why);
}

/* SENT was not done. What is not to be read again is tried again. */
static void failed(struct sent *sent, const char *why)
{
	usage_answer *answer = sent->answer;
	void *data = sent->data;

	if (sent->last) {
		sent->is_out = false;
		return;
	}
	forget(sent);
	if (answer)
		answer(data, NULL, -1, why);
}

static void lose_oldest(void)
{
	struct sent *sent;

	TAILQ_FOREACH (sent, &messages, next)
		if (sent->last)
			break;
	if (!lost)
		log_error("too much waits to be stored in %s: the oldest of it is lost",
			USAGE_DB_FILE);
	lost += sent->count;
	forget(sent);
}

/* ---- the process ---- */

static void pump(struct daemon *d);

static void let_go(struct daemon *d)
{
	struct sent *sent, *next;

	ev_io_stop(d->loop, &link_in);
	ev_io_stop(d->loop, &link_out);
	if (link_fd >= 0)
		close(fd_steal(&link_fd));
	text_free(&out);
	text_free(&in);
	for (sent = TAILQ_FIRST(&messages); sent; sent = next) {
		next = TAILQ_NEXT(sent, next);
		if (sent->is_out)
			failed(sent, "the process that keeps usage.db has ended; ask again");
	}
}

static void try_again(struct daemon *d)
{
	if (ev_is_active(&again))
		return;
	ev_timer_set(&again, AGAIN_SECONDS, 0.);
	ev_timer_start(d->loop, &again);
}

static void on_again(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)timer;
	(void)events;
	if (!TAILQ_EMPTY(&messages) || !was_run)
		pump(ev_userdata(loop));
}

static void on_keeper_ended(struct daemon *d, struct helper *helper, const siginfo_t *end)
{
	(void)helper;
	(void)end;
	if (is_waiting())
		set_trouble("the process that keeps " USAGE_DB_FILE " has ended");
	let_go(d);
	try_again(d);
}

static void queue(enum usage_word word, uint64_t number, const void *payload, size_t bytes)
{
	struct usage_message head = { word, (uint32_t)bytes, number };

	text_add(&out, (const char *)&head, sizeof(head));
	text_add(&out, payload, bytes);
}

static void on_in(struct ev_loop *loop, ev_io *io, int events);
static void on_out(struct ev_loop *loop, ev_io *io, int events);

static int run_keeper(struct daemon *d)
{
	static char name[] = USAGE_KEEPER, word[] = "--usage";
	char *const argv[] = { name, word, NULL };
	struct helper_fd fds[] = { { -1, STDIN_FILENO }, { d->own_fd, FOLDER_FD } };
	int ends[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
		return -1;
	fds[0].fd = ends[1];
	if (helper_spawn(d, &keeper, argv, fds, sizeof(fds) / sizeof(*fds), on_keeper_ended) < 0) {
		int because = errno;

		close(ends[0]);
		close(ends[1]);
		errno = because;
		return -1;
	}
	close(ends[1]);
	link_fd = ends[0];
	ev_io_init(&link_in, on_in, link_fd, EV_READ);
	ev_io_init(&link_out, on_out, link_fd, EV_WRITE);
	ev_io_start(d->loop, &link_in);
	/* Had it made a database before, that should be there: another is none to go on with. */
	if (was_run) {
		setup.begin.since_ms = daemon_now_ms();
		setup.begin.known_board = setup.board;
	}
	was_run = true;
	queue(USAGE_SETUP, 0, &setup, sizeof(setup));
	return 0;
}

/* ---- what goes and comes ---- */

static void flush(struct daemon *d)
{
	while (out.len) {
		ssize_t put = send(link_fd, out.data, out.len, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (put <= 0)
			break; /* when it has ended, we are told */
		memmove(out.data, out.data + put, out.len - (size_t)put);
		out.len -= (size_t)put;
	}
	if (out.len)
		ev_io_start(d->loop, &link_out);
	else
		ev_io_stop(d->loop, &link_out);
}

static void on_out(struct ev_loop *loop, ev_io *io, int events)
{
	(void)io;
	(void)events;
	flush(ev_userdata(loop));
}

static void pump(struct daemon *d)
{
	struct sent *sent;

	if (!keeper.pid && run_keeper(d) < 0) {
		set_trouble(strerror(errno));
		try_again(d);
		return;
	}
	TAILQ_FOREACH (sent, &messages, next) {
		if (sent->is_out)
			continue;
		sent->is_out = true;
		queue(sent->word, sent->number, sent->payload, sent->bytes);
	}
	flush(d);
}

static void take_done(struct daemon *d, struct sent *sent, const struct usage_done *done)
{
	if (*done->aside) {
		log_error("%s was damaged: it is kept as %s, and a new one has been begun",
			USAGE_DB_FILE, done->aside);
		memcpy(aside, done->aside, sizeof(aside));
	}
	if (sent->word == USAGE_READINGS)
		set_trouble(done->text);
	if (!done->failed) {
		forget(sent);
		return;
	}
	failed(sent, done->text);
	if (!TAILQ_EMPTY(&messages))
		try_again(d);
}

static void take(struct daemon *d, const struct usage_message *head, const void *payload)
{
	struct sent *sent = find(head->number);
	struct usage_done done;

	if (!sent)
		return;
	if (head->word == USAGE_DONE && head->bytes == sizeof(done)) {
		memcpy(&done, payload, sizeof(done));
		take_done(d, sent, &done);
	} else if (head->word == USAGE_ROWS && sent->answer) {
		sent->answer(sent->data, payload, head->bytes / sizeof(struct usage_row), NULL);
		forget(sent);
	}
}

/* All that is whole. The buffer begins where memory does, and so is aligned. */
static void take_all(struct daemon *d)
{
	struct usage_message head;

	while (in.len >= sizeof(head)) {
		autofree void *payload = NULL;
		size_t whole;

		memcpy(&head, in.data, sizeof(head));
		whole = sizeof(head) + head.bytes;
		if (in.len < whole)
			return;
		payload = mem_alloc(head.bytes + 1);
		memcpy(payload, in.data + sizeof(head), head.bytes);
		memmove(in.data, in.data + whole, in.len - whole);
		in.len -= whole;
		take(d, &head, payload);
	}
}

static void on_in(struct ev_loop *loop, ev_io *io, int events)
{
	struct daemon *d = ev_userdata(loop);
	char buffer[READ_BYTES];
	ssize_t got = recv(link_fd, buffer, sizeof(buffer), MSG_DONTWAIT);

	(void)events;
	if (got > 0) {
		text_add(&in, buffer, (size_t)got);
		take_all(d);
	} else if (got == 0 || (errno != EAGAIN && errno != EINTR)) {
		ev_io_stop(loop, io); /* its end is told by its descriptor */
	}
}

/* ---- for the others ---- */

static struct sent *add(enum usage_word word, const void *payload, size_t bytes)
{
	struct sent *sent = mem_alloc(sizeof(*sent) + bytes);

	sent->number = ++last_number;
	sent->word = word;
	sent->bytes = bytes;
	memcpy(sent->payload, payload, bytes);
	TAILQ_INSERT_TAIL(&messages, sent, next);
	return sent;
}

void usage_store_setup(struct daemon *d, int64_t hour)
{
	uint64_t board = usage_board(d);

	if (!setup.keep_days) {
		ev_timer_init(&again, on_again, 0., 0.);
		process_boot(setup.begin.boot);
		setup.begin.since_ms = (uint64_t)(d->started * 1000);
		setup.begin.known_board = d->keeper_is_new ? 0 : board;
	}
	setup.board = board;
	setup.hour = hour;
	setup.keep_days = config_set_settings(d->set)->usage_days;
	if (!keeper.pid)
		return;
	queue(USAGE_SETUP, 0, &setup, sizeof(setup));
	flush(d);
}

void usage_store_put(
	struct daemon *d, const struct usage_reading *readings, size_t count, bool last)
{
	struct sent *sent;

	if (!last && live_sent + count > LIVE_MAX)
		return;
	sent = add(USAGE_READINGS, readings, count * sizeof(*readings));
	sent->count = count;
	sent->last = last;
	*(last ? &last_kept : &live_sent) += count;
	while (last_kept > LAST_MAX)
		lose_oldest();
	pump(d);
}

void usage_store_expect(struct daemon *d)
{
	static bool expected;

	if (expected)
		return;
	expected = true;
	ev_timer_set(&again, FIRST_SECONDS, 0.);
	ev_timer_start(d->loop, &again);
}

bool usage_store_is_busy(void)
{
	const struct sent *sent;

	TAILQ_FOREACH (sent, &messages, next)
		if (sent->word == USAGE_READINGS && !sent->last)
			return true;
	return false;
}

uint64_t usage_store_ask(
	struct daemon *d, const struct usage_query *query, usage_answer *answer, void *data)
{
	struct sent *sent = add(USAGE_ASK, query, sizeof(*query));

	sent->answer = answer;
	sent->data = data;
	pump(d);
	return sent->number;
}

static void nobody(void *data, const struct usage_row *rows, ssize_t count, const char *why)
{
	(void)data;
	(void)rows;
	(void)count;
	(void)why;
}

void usage_store_forget(uint64_t number)
{
	struct sent *sent = find(number);

	if (sent)
		sent->answer = nobody;
}

char *usage_store_problem(const struct daemon *d)
{
	struct text text = { 0 };

	if (*trouble)
		text_printf(&text, "what tenants use cannot be stored: %s", trouble);
	if (lost)
		text_printf(&text, "%sof %llu processes that ended it is lost",
			text.len ? "; " : "", (unsigned long long)lost);
	if (*aside && faccessat(d->own_fd, aside, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		text_printf(&text,
			"%s%s was damaged: what was counted until then is in .tenement/%s (move it "
			"away to have this said no more), and a new one has been begun",
			text.len ? "; " : "", USAGE_DB_FILE, aside);
	return text.len ? text_steal(&text) : NULL;
}

/* Whether FD has news within MS, which is less by what that took. */
static bool wait_for(int fd, short events, int *ms)
{
	struct pollfd one = { .fd = fd, .events = events };
	uint64_t begun = daemon_now_ms();
	int rc;

	do
		rc = poll(&one, 1, *ms);
	while (rc < 0 && errno == EINTR);
	*ms -= (int)(daemon_now_ms() - begun);
	return rc > 0 && *ms > 0;
}

void usage_store_stop(struct daemon *d)
{
	int ms = STOP_MS;

	ev_timer_stop(d->loop, &again);
	if (!TAILQ_EMPTY(&messages))
		pump(d);
	while (keeper.pid && is_waiting() &&
		wait_for(link_fd, (short)(POLLIN | (out.len ? POLLOUT : 0)), &ms)) {
		char buffer[READ_BYTES];
		ssize_t got = recv(link_fd, buffer, sizeof(buffer), MSG_DONTWAIT);

		if (got == 0)
			break;
		if (got > 0)
			text_add(&in, buffer, (size_t)got);
		take_all(d);
		flush(d);
	}
	if (!keeper.pid)
		return;
	close(fd_steal(&link_fd));
	ms = END_MS;
	wait_for(keeper.fd, POLLIN, &ms);
	helper_end(d, &keeper);
	ev_io_stop(d->loop, &link_in);
	ev_io_stop(d->loop, &link_out);
}
