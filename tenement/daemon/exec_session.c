#include "daemon/exec_session.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "common/log.h"
#include "common/programs.h"
#include "daemon/control_connection.h"
#include "daemon/helper.h"
#include "daemon/instance.h"
#include "daemon/tokens.h"
#include "exec_frame.h"
#include "mem.h"

#define TICK_SECONDS  1.
#define COMMAND_TICKS 10 /* until it has been said */
#define BACKLOG_MAX   262144u
#define READ_BYTES    32768
#define EXIT_SIGNALED 128
#define WORD_SHOWN    64
#define END_OF_TYPING "\004"

struct stream {
	enum exec_frame_type type;
	int fd; /* -1: it has ended */
	ev_io io;
};

struct exec_session {
	struct daemon *d;
	struct control_connection *connection; /* NULL: gone, and the command is to follow */
	struct principal who;
	char *key;
	struct helper helper;
	struct stream out[2]; /* of a terminal one */
	int in_fd;            /* -1: the command reads no more */
	ev_io in_io;
	struct text in; /* what it has yet to read */
	size_t in_sent;
	uint32_t owed; /* bytes that were taken, which has not been said */
	bool tty, begun, in_ends, over;
	int code;
	ev_timer timer;
	unsigned ticks;
	struct exec_session *next;
};

static struct exec_session *sessions;

bool exec_session_is_room(void)
{
	unsigned count = 0;

	for (const struct exec_session *session = sessions; session; session = session->next)
		count++;
	return count < EXEC_SESSIONS_MAX;
}

/* ---- its end ---- */

static void close_stream(struct exec_session *session, struct stream *stream)
{
	if (stream->fd < 0)
		return;
	ev_io_stop(session->d->loop, &stream->io);
	close(stream->fd);
	stream->fd = -1;
}

static void close_input(struct exec_session *session)
{
	if (session->in_fd < 0)
		return;
	ev_io_stop(session->d->loop, &session->in_io);
	close(session->in_fd);
	session->in_fd = -1;
}

static void close_all(struct exec_session *session)
{
	close_input(session);
	close_stream(session, &session->out[0]);
	close_stream(session, &session->out[1]);
	ev_timer_stop(session->d->loop, &session->timer);
}

static void free_session(struct exec_session *session)
{
	struct exec_session **link = &sessions;

	while (*link != session)
		link = &(*link)->next;
	*link = session->next;
	close_all(session);
	text_free(&session->in);
	free(session->key);
	free(session);
}

static void kill_group(const struct exec_session *session, int number)
{
	if (session->helper.pid)
		kill(-session->helper.pid, number);
}

/* Who asked has gone, or has had all. */
static void release(void *data)
{
	struct exec_session *session = data;

	session->connection = NULL;
	close_all(session);
	kill_group(session, SIGKILL);
	if (!session->helper.pid)
		free_session(session);
}

static void send_number(struct exec_session *session, enum exec_frame_type type, uint32_t number)
{
	autotext struct text out = { 0 };

	exec_frame_put_number(&out, type, number);
	control_send_raw(session->connection, out.data, out.len);
}

/* The session is no more afterwards, where there is no command. */
static void fail(struct exec_session *session, const char *why)
{
	autotext struct text out = { 0 };

	exec_frame_put(&out, EXEC_ERROR, why, strlen(why));
	control_send_raw(session->connection, out.data, out.len);
	control_take_over_end(session->connection);
}

/* ---- to and fro ---- */

static bool has_room(const struct exec_session *session)
{
	return control_backlog(session->connection) < BACKLOG_MAX;
}

/* False: there is no more at the moment. */
static bool read_stream(struct exec_session *session, struct stream *stream)
{
	char bytes[READ_BYTES];
	autotext struct text out = { 0 };
	ssize_t len = read(stream->fd, bytes, sizeof(bytes));

	if (len < 0 && (errno == EAGAIN || errno == EINTR))
		return errno == EINTR;
	if (len <= 0) {
		close_stream(session, stream); /* (a terminal that nobody has open says EIO) */
		return false;
	}
	exec_frame_put(&out, stream->type, bytes, (size_t)len);
	control_send_raw(session->connection, out.data, out.len);
	return true;
}

/* What it has read is said, so that more may come. What it will not read counts as read. */
static void take_input(struct exec_session *session, size_t len)
{
	session->owed += (uint32_t)len;
	if (session->owed < EXEC_WINDOW / 4)
		return;
	send_number(session, EXEC_TAKEN, session->owed);
	session->owed = 0;
}

static void write_input(struct exec_session *session)
{
	struct text *in = &session->in;

	while (session->in_sent < in->len && session->in_fd >= 0) {
		ssize_t len = write(
			session->in_fd, in->data + session->in_sent, in->len - session->in_sent);

		if (len < 0 && errno == EINTR)
			continue;
		if (len < 0 && errno == EAGAIN)
			break;
		if (len < 0) {
			close_input(session);
			break;
		}
		session->in_sent += (size_t)len;
		take_input(session, (size_t)len);
	}
	if (session->in_fd < 0) {
		take_input(session, in->len - session->in_sent);
		session->in_sent = in->len;
	}
	if (session->in_sent == in->len) {
		text_free(in);
		session->in_sent = 0;
		if (session->in_ends && !session->tty)
			close_input(session);
	}
}

static void watch_io(struct exec_session *session, ev_io *io, bool wanted)
{
	if (wanted)
		ev_io_start(session->d->loop, io);
	else
		ev_io_stop(session->d->loop, io);
}

/* All that it wrote before its end is there to be read; a terminal is read until it is hung up, or
 * for a tick: somebody may have it open still. */
static void drain(struct exec_session *session)
{
	for (size_t i = 0; i < 2; i++) {
		struct stream *stream = &session->out[i];
		bool more = true;

		while (stream->fd >= 0 && has_room(session) && more)
			more = read_stream(session, stream);
		if (!more && stream->fd >= 0 && (!session->tty || session->ticks))
			close_stream(session, stream);
	}
}

/* Go on with whatever there is to do. The session may be no more afterwards. */
static void progress(struct exec_session *session)
{
	bool room;

	if (!session->connection || !session->begun)
		return;
	write_input(session);
	if (session->over)
		drain(session);
	if (session->over && session->out[0].fd < 0 && session->out[1].fd < 0) {
		send_number(session, EXEC_EXIT, (uint32_t)session->code);
		control_take_over_end(session->connection);
		return;
	}
	room = has_room(session);
	for (size_t i = 0; i < 2; i++)
		if (session->out[i].fd >= 0)
			watch_io(session, &session->out[i].io, room);
	if (session->in_fd >= 0)
		watch_io(session, &session->in_io, session->in.len > 0);
}

static void on_output(struct ev_loop *loop, ev_io *io, int events)
{
	struct exec_session *session = io->data;

	(void)loop;
	(void)events;
	for (size_t i = 0; i < 2; i++)
		if (&session->out[i].io == io)
			read_stream(session, &session->out[i]);
	progress(session);
}

static void on_input(struct ev_loop *loop, ev_io *io, int events)
{
	(void)loop;
	(void)events;
	progress(io->data);
}

static void on_over(struct daemon *d, struct helper *helper, const siginfo_t *end)
{
	struct exec_session *session =
		(struct exec_session *)((char *)helper - offsetof(struct exec_session, helper));

	(void)d;
	session->over = true;
	session->ticks = 0;
	session->code =
		end->si_code == CLD_EXITED ? end->si_status & 0xff : EXIT_SIGNALED + end->si_status;
	if (session->connection)
		progress(session);
	else
		free_session(session);
}

static void on_tick(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct exec_session *session = timer->data;

	(void)loop;
	(void)events;
	session->ticks++;
	if (!tokens_still_good(session->d, &session->who) || session->d->shutting_down ||
		(!session->begun && session->ticks >= COMMAND_TICKS))
		control_cut(session->connection);
	else
		progress(session);
}

/* ---- its beginning ---- */

static int bound(int fd)
{
	return fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
}

/* Our ends and those of the command. */
static int open_pipes(struct exec_session *session, int theirs[3])
{
	int in[2], out[2], error[2];

	if (pipe2(in, O_CLOEXEC) < 0)
		return -1;
	theirs[0] = in[0];
	session->in_fd = in[1];
	if (pipe2(out, O_CLOEXEC) < 0)
		return -1;
	theirs[1] = out[1];
	session->out[0].fd = out[0];
	if (pipe2(error, O_CLOEXEC) < 0)
		return -1;
	theirs[2] = error[1];
	session->out[1].fd = error[0];
	return bound(in[1]) < 0 || bound(out[0]) < 0 || bound(error[0]) < 0 ? -1 : 0;
}

static void resize(const struct exec_session *session, uint16_t rows, uint16_t columns)
{
	struct winsize size = { .ws_row = rows, .ws_col = columns };

	if (session->tty && session->out[0].fd >= 0)
		(void)ioctl(session->out[0].fd, TIOCSWINSZ, &size);
}

static int open_terminal(
	struct exec_session *session, const struct exec_command *command, char *name, size_t size)
{
	int fd = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);

	if (fd < 0)
		return -1;
	session->out[0].fd = fd;
	if (grantpt(fd) < 0 || unlockpt(fd) < 0 || ptsname_r(fd, name, size) != 0 || bound(fd) < 0)
		return -1;
	session->in_fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	resize(session, command->rows, command->columns);
	return session->in_fd < 0 ? -1 : 0;
}

static char **environment_of(const struct exec_command *command)
{
	char **env = mem_strv_copy((char *[]){ NULL });
	autofree char *for_us = mem_printf("TENEMENT_EXEC_FOR=%d", (int)getpid());
	autofree char *terminal = mem_printf("TERM=%s", command->terminal);

	for (char **variable = environ; *variable; variable++)
		if (strncmp(*variable, "TENEMENT_", 9) != 0 && strncmp(*variable, "TERM=", 5) != 0)
			mem_strv_append(&env, *variable);
	mem_strv_append(&env, for_us);
	if (command->tty && *command->terminal)
		mem_strv_append(&env, terminal);
	return env;
}

static char **words_of(const struct exec_session *session, const struct exec_command *command)
{
	autofree char *server = mem_printf("unix:%s/control.sock", session->d->runtime_dir);
	char **argv = mem_strv_copy(
		(char *[]){ "ten", "--server", server, "exec", session->key, "--", NULL });

	for (char *const *arg = command->argv; *arg; arg++)
		mem_strv_append(&argv, *arg);
	return argv;
}

static void say_begun(const struct exec_session *session, const struct exec_command *command)
{
	char word[WORD_SHOWN];

	snprintf(word, sizeof(word), "%s", *command->argv ? *command->argv : "a shell");
	text_make_plain(word);
	log_info("%s: %s runs %s", session->key, session->who.name, word);
}

static int run(struct exec_session *session, const struct exec_command *command)
{
	autofree char *path = programs_ten();
	char **argv = words_of(session, command), **env = environment_of(command);
	char terminal[64];
	struct helper_program program = {
		.path = path, .argv = argv, .env = env, .fds = { -1, -1, -1 }
	};
	int result;

	session->tty = command->tty;
	if (command->tty) {
		program.terminal = terminal;
		result = open_terminal(session, command, terminal, sizeof(terminal));
	} else {
		result = open_pipes(session, program.fds);
	}
	if (result == 0)
		result = helper_spawn_program(session->d, &session->helper, &program, on_over);
	for (size_t i = 0; i < 3; i++)
		if (program.fds[i] >= 0)
			close(program.fds[i]);
	mem_strv_free(argv);
	mem_strv_free(env);
	return result;
}

/* False: there is none, and the session is no more. */
static bool begin(struct exec_session *session, const struct exec_command *command)
{
	autofree char *why = NULL;

	say_begun(session, command);
	if (run(session, command) < 0) {
		why = mem_printf("`ten exec` cannot be run: %s", strerror(errno));
		fail(session, why);
		return false;
	}
	session->begun = true;
	for (size_t i = 0; i < 2; i++) {
		ev_io_init(&session->out[i].io, on_output, session->out[i].fd, EV_READ);
		session->out[i].io.data = session;
	}
	ev_io_init(&session->in_io, on_input, session->in_fd, EV_WRITE);
	session->in_io.data = session;
	return true;
}

/* ---- what is asked ---- */

static bool take_command(struct exec_session *session, const struct exec_frame *frame)
{
	struct exec_command command;
	bool good = !session->begun && exec_command_read(frame, &command);

	if (!good) {
		fail(session, "this is no command");
		return false;
	}
	good = begin(session, &command);
	exec_command_free(&command);
	return good;
}

/* False: the session is no more. */
static bool take_frame(struct exec_session *session, const struct exec_frame *frame)
{
	uint16_t rows, columns;

	if (frame->type == EXEC_COMMAND)
		return take_command(session, frame);
	if (!session->begun || (session->in_ends && frame->type == EXEC_STDIN) ||
		(frame->type == EXEC_STDIN &&
			session->in.len - session->in_sent + session->owed + frame->len >
				EXEC_WINDOW)) {
		fail(session, "this was not to come now");
		return false;
	}
	switch (frame->type) {
	case EXEC_STDIN:
		text_add(&session->in, frame->bytes, frame->len);
		write_input(session);
		break;
	case EXEC_STDIN_EOF:
		if (session->tty && !session->in_ends)
			text_add(&session->in, END_OF_TYPING, 1);
		session->in_ends = true;
		break;
	case EXEC_RESIZE:
		exec_frame_size(frame, &rows, &columns);
		resize(session, rows, columns);
		break;
	case EXEC_SIGNAL:
		kill_group(session, (int)exec_frame_number(frame));
		break;
	default:
		break;
	}
	return true;
}

static void moved(struct control_connection *connection, void *data)
{
	struct exec_session *session = data;
	struct text *in = &connection->in;
	struct exec_frame frame;
	size_t at = 0;
	ssize_t len;

	while ((len = exec_frame_read(in->data + at, in->len - at, EXEC_FROM_CLIENT, &frame)) > 0) {
		if (!take_frame(session, &frame))
			return;
		at += (size_t)len;
	}
	if (len < 0) {
		fail(session, "this is no frame");
		return;
	}
	if (at) {
		in->len -= at;
		memmove(in->data, in->data + at, in->len);
	}
	progress(session);
}

void exec_session_begin(struct control_call *call)
{
	struct exec_session *session = mem_alloc(sizeof(*session));

	session->d = call->d;
	session->who = call->who;
	session->key = mem_strdup(call->instance->key);
	session->in_fd = session->out[0].fd = session->out[1].fd = -1;
	session->out[0].type = EXEC_STDOUT;
	session->out[1].type = EXEC_STDERR;
	ev_timer_init(&session->timer, on_tick, TICK_SECONDS, TICK_SECONDS);
	session->timer.data = session;
	ev_timer_start(call->d->loop, &session->timer);
	session->next = sessions;
	sessions = session;
	session->connection = control_take_over(call, EXEC_PROTOCOL, moved, session, release);
}

void exec_session_stop(struct daemon *d)
{
	while (sessions) {
		kill_group(sessions, SIGKILL);
		helper_end(d, &sessions->helper);
		free_session(sessions);
	}
}
