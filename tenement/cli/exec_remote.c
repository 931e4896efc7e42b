#include "cli/exec_remote.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

#include "cli/client.h"
#include "cli/visible.h"
#include "exec_frame.h"
#include "mem.h"

#define READ_BYTES    16384
#define WRITE_BYTES   4096 /* that a pipe takes at once when it says that it takes any */
#define EXIT_SIGNALED 128
#define UNHEARD_MAX   3 /* signals without a word from there: the last is meant for us */

/* What is open of it all. */
struct talk {
	struct cli *cli;
	struct client_link *link;
	struct text in, out; /* what came, and what is to go */
	size_t in_at, out_at;
	size_t window; /* bytes of standard input that may go */
	bool tty, typed_all, broken, over;
	int signals; /* a signalfd */
	int unheard;
	int show_to; /* where what is shown now goes; -1: nothing is */
	size_t show; /* bytes of it, at in_at */
	int code;
	struct termios before;
	sigset_t mask;
};

/* ---- the terminal ---- */

static void read_size(uint16_t *rows, uint16_t *columns)
{
	struct winsize size = { .ws_row = 24, .ws_col = 80 };

	(void)ioctl(STDIN_FILENO, TIOCGWINSZ, &size);
	*rows = size.ws_row;
	*columns = size.ws_col;
}

static void make_raw(struct talk *talk)
{
	struct termios raw;

	if (!talk->tty || tcgetattr(STDIN_FILENO, &talk->before) < 0) {
		talk->tty = false;
		return;
	}
	raw = talk->before;
	cfmakeraw(&raw);
	tcsetattr(STDIN_FILENO, TCSADRAIN, &raw);
}

static void restore(const struct talk *talk)
{
	if (talk->tty)
		tcsetattr(STDIN_FILENO, TCSADRAIN, &talk->before);
}

/* ---- signals ---- */

/* Those that are ignored (nohup) stay so. */
static void hear_signals(struct talk *talk)
{
	static const int numbers[] = { SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGWINCH };
	sigset_t heard;

	sigemptyset(&heard);
	for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++) {
		struct sigaction now;

		if (sigaction(numbers[i], NULL, &now) == 0 && now.sa_handler != SIG_IGN)
			sigaddset(&heard, numbers[i]);
	}
	signal(SIGPIPE, SIG_IGN);
	sigprocmask(SIG_BLOCK, &heard, &talk->mask);
	talk->signals = signalfd(-1, &heard, SFD_CLOEXEC | SFD_NONBLOCK);
}

static void end_with(struct talk *talk, int code)
{
	talk->over = true;
	talk->code = code;
}

/* By a terminal what is typed goes there as it is, so that a signal is for us. */
static void take_signal(struct talk *talk)
{
	struct signalfd_siginfo info;
	uint16_t rows, columns;

	if (read(talk->signals, &info, sizeof(info)) != (ssize_t)sizeof(info))
		return;
	if (info.ssi_signo == SIGWINCH) {
		if (talk->tty) {
			read_size(&rows, &columns);
			exec_frame_put_size(&talk->out, rows, columns);
		}
	} else if (talk->tty || ++talk->unheard >= UNHEARD_MAX) {
		end_with(talk, EXIT_SIGNALED + (int)info.ssi_signo);
	} else {
		exec_frame_put_number(&talk->out, EXEC_SIGNAL, info.ssi_signo);
	}
}

/* ---- to the server ---- */

static void read_typed(struct talk *talk)
{
	char bytes[READ_BYTES];
	size_t most = talk->window < sizeof(bytes) ? talk->window : sizeof(bytes);
	ssize_t len = read(STDIN_FILENO, bytes, most);

	if (len < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (len > 0) {
		exec_frame_put(&talk->out, EXEC_STDIN, bytes, (size_t)len);
		talk->window -= (size_t)len;
		return;
	}
	exec_frame_put(&talk->out, EXEC_STDIN_EOF, "", 0);
	talk->typed_all = true;
}

static void send_some(struct talk *talk)
{
	while (talk->out_at < talk->out.len) {
		ssize_t len = client_link_send(
			talk->link, talk->out.data + talk->out_at, talk->out.len - talk->out_at);

		if (len < 0) {
			talk->broken |= errno != EAGAIN;
			return;
		}
		talk->out_at += (size_t)len;
	}
	text_free(&talk->out);
	talk->out_at = 0;
}

/* ---- from the server ---- */

static void show_some(struct talk *talk)
{
	size_t most = talk->show < WRITE_BYTES ? talk->show : WRITE_BYTES;
	ssize_t len = write(talk->show_to, talk->in.data + talk->in_at, most);

	if (len < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (len < 0) {
		if (errno != EPIPE) {
			restore(talk);
			cli_fail(CLI_FAILED, "what the command writes cannot be written: %s",
				strerror(errno));
		}
		end_with(talk, errno == EPIPE ? EXIT_SIGNALED + SIGPIPE : CLI_FAILED);
		return;
	}
	talk->in_at += (size_t)len;
	talk->show -= (size_t)len;
	if (!talk->show)
		talk->show_to = -1;
}

static void say_error(struct talk *talk, const struct exec_frame *frame)
{
	autofree char *text = mem_strndup(frame->bytes, frame->len);
	autofree char *line = visible_line(text);

	restore(talk);
	end_with(talk, cli_fail(CLI_FAILED, "%s", line));
}

/* Up to the first frame that is to be shown. */
static void take_frames(struct talk *talk)
{
	struct exec_frame frame;
	ssize_t len;

	while (talk->show_to < 0 && !talk->over) {
		len = exec_frame_read(talk->in.data + talk->in_at, talk->in.len - talk->in_at,
			EXEC_FROM_SERVER, &frame);
		talk->broken |= len < 0;
		if (len <= 0)
			break;
		talk->unheard = 0;
		talk->in_at += (size_t)len;
		switch (frame.type) {
		case EXEC_STDOUT:
		case EXEC_STDERR:
			talk->in_at -= frame.len;
			talk->show = frame.len;
			talk->show_to = frame.type == EXEC_STDOUT ? STDOUT_FILENO : STDERR_FILENO;
			break;
		case EXEC_TAKEN:
			talk->window += exec_frame_number(&frame);
			talk->broken |= talk->window > EXEC_WINDOW;
			break;
		case EXEC_EXIT:
			end_with(talk, (int)exec_frame_number(&frame));
			break;
		default:
			say_error(talk, &frame);
			break;
		}
	}
	if (talk->show_to < 0 && talk->in_at) {
		talk->in.len -= talk->in_at;
		memmove(talk->in.data, talk->in.data + talk->in_at, talk->in.len);
		talk->in_at = 0;
	}
}

/* Nothing more is asked for while there is something to be shown: the command waits. False: there
 * was nothing. */
static bool receive(struct talk *talk)
{
	char bytes[READ_BYTES];
	ssize_t len = client_link_receive(talk->link, bytes, sizeof(bytes));

	if (len > 0)
		text_add(&talk->in, bytes, (size_t)len);
	else
		talk->broken |= len == 0 || errno != EAGAIN;
	return len > 0;
}

/* ---- all together ---- */

static void wait_for_more(struct talk *talk)
{
	bool sends = talk->out.len > talk->out_at, shows = talk->show_to >= 0;
	struct pollfd waits[] = {
		{ talk->signals, POLLIN, 0 },
		{ client_link_fd(talk->link), (short)((shows ? 0 : POLLIN) | (sends ? POLLOUT : 0)),
			0 },
		{ talk->show_to, POLLOUT, 0 },
		{ talk->typed_all || sends || !talk->window ? -1 : STDIN_FILENO, POLLIN, 0 },
	};

	if (shows && !sends)
		waits[1].fd = -1;
	if (poll(waits, sizeof(waits) / sizeof(*waits), -1) < 0)
		return;
	if (waits[0].revents)
		take_signal(talk);
	if (waits[2].revents)
		show_some(talk);
	if (waits[3].revents)
		read_typed(talk);
}

static int run(struct talk *talk)
{
	while (!talk->over && !talk->broken) {
		send_some(talk);
		/* (what came before the end is there still) */
		take_frames(talk);
		while (talk->show_to < 0 && !talk->over && receive(talk))
			take_frames(talk);
		if (!talk->over && !talk->broken)
			wait_for_more(talk);
	}
	restore(talk);
	if (!talk->over)
		return cli_fail(CLI_UNREACHABLE,
			"the connection broke before the command had ended, and so does that");
	return talk->code;
}

static bool put_command(struct talk *talk)
{
	const char *terminal = getenv("TERM");
	struct exec_command command = { .tty = talk->tty, .argv = talk->cli->args + 1 };

	if (talk->tty)
		read_size(&command.rows, &command.columns);
	if (talk->tty && terminal && exec_terminal_is_good(terminal))
		snprintf(command.terminal, sizeof(command.terminal), "%s", terminal);
	return exec_command_put(&talk->out, &command);
}

int exec_remote(struct cli *cli)
{
	autofree char *path = client_instance_path(cli->args[0], "/exec");
	struct talk talk = { .cli = cli, .window = EXEC_WINDOW, .show_to = -1, .signals = -1 };
	int code = CLI_DONE;

	talk.tty = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
	if (!put_command(&talk))
		return cli_fail(CLI_USAGE,
			"a command that goes to a server has at most %u bytes and %d words",
			EXEC_FRAME_MAX, EXEC_ARGS_MAX);
	talk.link = client_upgrade(cli, path, EXEC_PROTOCOL, &talk.in, &code);
	if (talk.link) {
		hear_signals(&talk);
		make_raw(&talk);
		code = run(&talk);
		close(talk.signals);
		sigprocmask(SIG_SETMASK, &talk.mask, NULL);
	}
	client_link_free(talk.link);
	text_free(&talk.in);
	text_free(&talk.out);
	return code;
}
