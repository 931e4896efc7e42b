/* The process that reads the store of logs: see log_reader.h. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#include <jansson.h>

#include "common/become.h"
#include "common/log_policy.h"
#include "common/passing.h"
#include "daemon/log_entry.h"
#include "daemon/log_reader.h"
#include "log_db.h"
#include "mem.h"
#include "sse.h"

#define LINK_FD           LOG_READER_LINK
#define FOLDER_FD         LOG_READER_FOLDER
#define FOLDER            "logs"
#define LOOK_MS           200 /* between two looks at what is new */
#define PAGE_LINES        1000
#define LOOK_SECONDS_MOST (3 * LOG_READER_SECONDS)
#define STALLED_SECONDS   60 /* (the daemon has given up by then) */

static struct route_table *table; /* NULL: there is none */

struct asked {
	const struct log_question *question;
	int fd;
	struct log_db *db;
	struct text out; /* not sent yet */
	bool any;        /* a line was said */
	uint64_t cursor; /* of the last line */
	size_t lines;    /* of the query that runs */
};

/* ---- saying ---- */

/* When nobody listens any more there is nothing to go on for. */
static void say(struct asked *asked, enum log_reader_word word, const char *text, size_t len)
{
	struct log_reader_piece piece = { .word = word, .cursor = asked->cursor };
	struct iovec parts[] = { { &piece, sizeof(piece) }, { (void *)text, len } };
	struct msghdr message = { .msg_iov = parts, .msg_iovlen = 2 };

	while (sendmsg(asked->fd, &message, MSG_NOSIGNAL) < 0)
		if (errno != EINTR)
			_exit(EXIT_SUCCESS);
}

static void flush(struct asked *asked)
{
	if (!asked->out.len)
		return;
	say(asked, LOG_READER_TEXT, asked->out.data, asked->out.len);
	asked->out.len = 0;
}

static void say_entry(struct asked *asked, json_t *entry)
{
	autofree char *json = json_dumps(entry, JSON_COMPACT);
	char id[24];

	json_decref(entry);
	/* Lines are UTF-8 and much shorter than this, so it is always there and fits. */
	if (!json || strlen(json) > LOG_READER_PIECE_MAX / 2)
		return;
	if (asked->out.len > LOG_READER_PIECE_MAX / 2 - 64)
		flush(asked);
	if (asked->question->kind == LOG_QUESTION_ONCE) {
		text_puts(&asked->out, asked->any ? ",\n" : "[");
		text_puts(&asked->out, json);
	} else {
		snprintf(id, sizeof(id), "%llu", (unsigned long long)asked->cursor);
		sse_put(&asked->out, NULL, id, json, strlen(json));
	}
	asked->any = true;
}

/* As NULL where the line is none, or its tenant's lines are none. */
static json_t *fields_of(const struct log_row *row)
{
	struct route_target target = { 0 };
	json_t *fields;

	if (!row->line.len || row->line.message[0] != '{' ||
		!(log_policy_of(table, &target, row->service, row->id, 0) & LOG_TO_JSON))
		return NULL;
	fields = json_loadb(row->line.message, row->line.len, 0, NULL);
	if (json_is_object(fields))
		return fields;
	json_decref(fields);
	return NULL;
}

static bool say_line(void *data, const struct log_row *row)
{
	struct asked *asked = data;
	const struct log_line *line = &row->line;
	json_t *entry = json_pack("{s:I, s:s, s:s, s:s, s:s%, s:o*}", "timestamp",
		(json_int_t)line->time_ms, "level", log_line_stream_name(line->stream), "process",
		row->service, "instance_id", row->id, "message", line->message, line->len, "fields",
		fields_of(row));

	if (!asked->lines++)
		alarm(0); /* from here on it is for who reads to say how long it takes */
	asked->cursor = row->cursor;
	if (entry)
		say_entry(asked, entry);
	return true;
}

static void say_result(struct asked *asked, const struct log_result *result)
{
	autofree char *damage = NULL;

	if (result->partial)
		say_entry(asked,
			log_entry_remark("this is not all: there was no time to look further, or "
					 "it is too much; narrow it down by a tenant, --since or "
					 "--until"));
	if (!result->damaged)
		return;
	damage = mem_printf(
		"%u parts of the store are damaged: their lines are missing", result->damaged);
	say_entry(asked, log_entry_remark(damage));
}

/* ---- asking ---- */

/* Whether the daemon has enough of it, which it may for MOMENT_MS. */
static bool hangs_up(const struct asked *asked, int moment_ms)
{
	struct pollfd other = { .fd = asked->fd, .events = POLLRDHUP };

	return poll(&other, 1, moment_ms) > 0;
}

static bool is_wanted(void *data)
{
	if (hangs_up(data, 0))
		_exit(EXIT_SUCCESS);
	return true;
}

static const char *given(const char *text)
{
	return *text ? text : NULL;
}

static struct log_query query_of(const struct log_question *question)
{
	return (struct log_query){
		.service = given(question->service),
		.id = given(question->id),
		.level = given(question->level),
		.search = given(question->search),
		.since_ms = question->since_ms,
		.until_ms = question->until_ms,
		.limit = (size_t)question->limit,
		.timeout_ms = LOG_READER_SECONDS * 1000,
		.is_wanted = is_wanted,
	};
}

/* A store that was set aside by its writer, or is not there yet, is looked for by its name again.
 * False: there is none. */
static bool open_db(struct asked *asked, struct ten_error *err)
{
	if (asked->db && log_db_is_current(asked->db))
		return true;
	log_db_close(asked->db);
	asked->db = NULL;
	return log_db_open(&asked->db, FOLDER, err) == 0;
}

static int ask(struct asked *asked, const struct log_query *query, struct log_result *result,
	struct ten_error *err)
{
	int outcome;

	*result = (struct log_result){ 0 };
	asked->lines = 0;
	if (!open_db(asked, err))
		return err->code == ENOENT ? 0 : -1;
	/* What does not look up from the index is ended. */
	alarm(LOOK_SECONDS_MOST);
	outcome = log_db_query(asked->db, query, say_line, asked, result, err);
	alarm(0);
	if (outcome == 0)
		return 0;
	log_db_close(asked->db);
	asked->db = NULL;
	return -1;
}

static void fail(struct asked *asked, const struct ten_error *err)
{
	say(asked, err->code == EINVAL ? LOG_READER_WRONG : LOG_READER_ERROR, err->text,
		strlen(err->text));
	_exit(EXIT_SUCCESS);
}

static void answer_once(struct asked *asked)
{
	struct log_query query = query_of(asked->question);
	struct log_result result;
	struct ten_error err;

	if (ask(asked, &query, &result, &err) < 0)
		fail(asked, &err);
	say_result(asked, &result);
	if (asked->any)
		text_puts(&asked->out, "]\n");
	flush(asked);
	say(asked, LOG_READER_END, "", 0);
}

static void wait_a_moment(const struct asked *asked)
{
	if (hangs_up(asked, LOOK_MS))
		_exit(EXIT_SUCCESS);
}

/* Who was away for so long that there is too much to look through is told so. */
static void skip(struct asked *asked, const struct log_result *result)
{
	if (result->cursor > asked->cursor)
		asked->cursor = result->cursor;
	say_entry(asked, log_entry_remark("there was no time to look through all that came "
					  "meanwhile: lines are missing here"));
	flush(asked);
}

/* What is new, page by page, for ever. */
static void answer_on(struct asked *asked)
{
	struct log_query query = query_of(asked->question);
	struct log_result result;
	struct ten_error err;

	query.since_ms = 0;
	query.oldest_first = true;
	query.limit = PAGE_LINES;
	for (;;) {
		query.after = asked->cursor;
		if (ask(asked, &query, &result, &err) < 0) {
			wait_a_moment(asked);
			continue;
		}
		flush(asked);
		if (result.late)
			skip(asked, &result);
		else if (asked->lines >= PAGE_LINES || result.partial)
			continue;
		if (result.cursor > asked->cursor)
			asked->cursor = result.cursor;
		wait_a_moment(asked);
	}
}

static void follow(struct asked *asked)
{
	struct log_query query = query_of(asked->question);
	struct log_result result;
	struct ten_error err;

	if (asked->question->resumes) {
		asked->cursor = asked->question->after;
		query.limit = 0;
	}
	if (ask(asked, &query, &result, &err) < 0)
		fail(asked, &err);
	say_result(asked, &result);
	flush(asked);
	if (!asked->question->resumes && result.cursor > asked->cursor)
		asked->cursor = result.cursor;
	/* From here on it can be resumed, which an event of an id alone lets the client know. */
	text_printf(&asked->out, "id: %llu\n\n", (unsigned long long)asked->cursor);
	flush(asked);
	answer_on(asked);
}

static void answer(const struct wire *message, int fd)
{
	const struct timeval patience = { .tv_sec = STALLED_SECONDS };
	autofree struct log_question *question = mem_alloc(sizeof(*question));
	struct asked asked = { .question = question, .fd = fd };

	if (!log_question_unpack(question, message))
		return;
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	if (question->kind == LOG_QUESTION_FOLLOW)
		follow(&asked);
	else
		answer_once(&asked);
}

/* ---- the process ---- */

static void take_question(struct passing *message)
{
	pid_t parent = getpid();

	if (message->fd_count == 1 && fork() == 0) {
		close(LINK_FD);
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() == parent)
			answer(&message->wire, message->fds[0]);
		_exit(EXIT_SUCCESS);
	}
	passing_close_fds(message);
}

int log_reader_main(const char *uid)
{
	static const int heard[] = { SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGPIPE,
		SIGCHLD };
	autofree struct passing *message = mem_alloc(sizeof(*message));
	struct become who = { .uid = BECOME_KEEP, .gid = BECOME_KEEP, .umask = 077 };
	struct ten_error err;
	int64_t number;

	for (size_t i = 0; i < sizeof(heard) / sizeof(*heard); i++)
		signal(heard[i], SIG_IGN);
	signal(SIGALRM, SIG_DFL);
	prctl(PR_SET_NAME, LOG_READER);
	if (fchdir(FOLDER_FD) < 0)
		return EXIT_FAILURE;
	if (route_table_open(&table, LOG_READER_TABLE, &err) < 0)
		table = NULL;
	syscall(SYS_close_range, (unsigned)FOLDER_FD, ~0u, 0u);
	if (wire_number(uid, 0, UINT32_MAX - 1, &number))
		who.uid = who.gid = (uint32_t)number;
	if (become_tenant(&who, &err) < 0)
		return EXIT_FAILURE;
	for (;;) {
		struct pollfd daemon = { .fd = LINK_FD, .events = POLLIN };
		int got = poll(&daemon, 1, -1) < 0 ? -1 : passing_receive(LINK_FD, message);

		if (got > 0)
			take_question(message);
		else if (got == 0 || (errno != EBADMSG && errno != EINTR && errno != EAGAIN))
			return EXIT_SUCCESS;
	}
}
