#include "daemon/preflight.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "common/fds.h"
#include "common/programs.h"
#include "daemon/helper.h"
#include "mem.h"

#define SECONDS   20.0
#define SAID_MAX  1024
#define FDS_COUNT 2

#define EXIT_NOT_RUN 127 /* as shells say it */

static struct {
	struct helper helper;
	char *program;
	int out;
	ev_timer timer;
	void (*done)(struct daemon *d, const char *version, const char *why);
} flight;

/* In the child, which ends here in any case. */
static void become(struct daemon *d, int out, int table, char *const *argv)
{
	int fds[FDS_COUNT] = { table, d->board_fd };
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(out, STDOUT_FILENO) < 0 ||
		dup2(out, STDERR_FILENO) < 0)
		_exit(126);
	for (int i = 0; i < FDS_COUNT; i++)
		fds[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, FDS_FIRST + FDS_COUNT);
	for (int i = 0; i < FDS_COUNT; i++)
		if (dup2(fds[i], FDS_FIRST + i) < 0)
			_exit(126);
	setenv("TENEMENT_FDS", "table,board", 1);
	if (d->proxy_uid != UINT32_MAX &&
		(setgroups(0, NULL) < 0 ||
			setresgid(d->proxy_gid, d->proxy_gid, d->proxy_gid) < 0 ||
			setresuid(d->proxy_uid, d->proxy_uid, d->proxy_uid) < 0))
		_exit(126);
	prctl(PR_SET_PDEATHSIG, SIGKILL); /* once more: now it is somebody else */
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	execv(argv[0], argv);
	dprintf(STDERR_FILENO, "%s\n", strerror(errno));
	_exit(EXIT_NOT_RUN);
}

/* The last line of what it said, or "". */
static char *last_words(int out)
{
	char said[SAID_MAX] = "";
	ssize_t got = read(out, said, sizeof(said) - 1);
	char *line;

	said[got > 0 ? got : 0] = '\0';
	for (size_t len = strlen(said); len && said[len - 1] == '\n';)
		said[--len] = '\0';
	line = strrchr(said, '\n');
	return mem_strdup(line ? line + 1 : said);
}

static void on_end(struct daemon *d, struct helper *helper, const siginfo_t *end)
{
	autofree char *said = last_words(flight.out);
	autofree char *program = mem_steal(&flight.program);
	autofree char *why = NULL;
	char *word = strrchr(said, ' ');
	bool exited = end->si_code == CLD_EXITED;

	(void)helper;
	ev_timer_stop(d->loop, &flight.timer);
	close(flight.out);
	if (exited && end->si_status == 0 && *said) {
		flight.done(d, word ? word + 1 : said, NULL);
		return;
	}
	if (!exited && end->si_status == SIGKILL)
		why = mem_printf("%s did not come to an end", program);
	else if (!exited)
		why = mem_printf("%s did not start: ended by signal %d (%s)", program,
			end->si_status, strsignal(end->si_status));
	else if (end->si_status == 0)
		why = mem_printf("%s: it says nothing", program);
	else if (end->si_status == EXIT_NOT_RUN)
		why = mem_printf("%s: %s", program, *said ? said : "it cannot be run");
	else
		why = mem_printf("%s did not start: exit status %d%s%s", program, end->si_status,
			*said ? ": " : "", said);
	flight.done(d, NULL, why);
}

static void on_timer(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)loop;
	(void)timer;
	(void)events;
	helper_kill(&flight.helper);
}

static void fail(struct daemon *d, const char *program, const char *what)
{
	autofree char *why = mem_printf("%s: %s: %s", program, what, strerror(errno));

	flight.done(d, NULL, why);
}

void preflight_start(struct daemon *d, const char *program, const char *argument,
	void (*done)(struct daemon *d, const char *version, const char *why))
{
	autofree char *path = programs_path(program);
	char *argv[] = { path, (char *)argument, NULL };
	autoclose int table = route_table_reader_fd(d->table_fd, NULL);
	int ends[2];
	pid_t pid;

	flight.done = done;
	if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0) {
		fail(d, path, "pipe");
		return;
	}
	pid = helper_fork(d, &flight.helper, on_end);
	if (pid == 0)
		become(d, ends[1], table, argv);
	if (pid < 0)
		fail(d, path, "fork");
	close(ends[1]);
	if (pid < 0) {
		close(ends[0]);
		return;
	}
	flight.out = ends[0];
	flight.program = mem_steal(&path);
	ev_timer_init(&flight.timer, on_timer, SECONDS, 0.);
	ev_timer_start(d->loop, &flight.timer);
}

void preflight_stop(struct daemon *d)
{
	if (!flight.helper.pid)
		return;
	helper_end(d, &flight.helper);
	ev_timer_stop(d->loop, &flight.timer);
	close(flight.out);
	free(mem_steal(&flight.program));
}
