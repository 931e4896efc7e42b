#include "cli/exec_guard.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mem.h"
#include "wire.h"

#define EXIT_SIGNALED 128
#define VARIABLE      "TENEMENT_EXEC_FOR"

static void ignore_signals(void)
{
	static const int numbers[] = { SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTTOU, SIGTTIN };

	for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++)
		signal(numbers[i], SIG_IGN);
}

/* What the child is told is its to answer. */
static void guard(int daemon, int ended, pid_t child)
{
	struct pollfd waits[] = { { daemon, POLLIN, 0 }, { ended, POLLIN, 0 } };
	int status = 0;

	ignore_signals();
	while (!waits[1].revents) {
		if (poll(waits, 2, -1) < 0 && errno != EINTR)
			break;
		if (waits[0].revents)
			kill(0, SIGKILL); /* (the process group, which is ours) */
	}
	if (waitpid(child, &status, 0) < 0)
		_exit(1);
	_exit(WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_SIGNALED + WTERMSIG(status));
}

int exec_guard_begin(bool *guarded, struct ten_error *err)
{
	const char *text = getenv(VARIABLE);
	autoclose int daemon = -1;
	autoclose int ended = -1;
	int64_t parent = 0;
	pid_t child;

	*guarded = text != NULL;
	if (!text)
		return 0;
	if (wire_number(text, 1, INT32_MAX, &parent))
		daemon = (int)syscall(SYS_pidfd_open, (pid_t)parent, 0);
	if (daemon < 0 || getppid() != parent || getpgrp() != getpid())
		return ten_error_set(err, 0, VARIABLE " is for the daemon to set");
	child = fork();
	if (child < 0)
		return ten_error_set(err, errno, "a guard of the command");
	if (child == 0)
		return 0;
	ended = (int)syscall(SYS_pidfd_open, child, 0);
	if (ended < 0)
		kill(0, SIGKILL);
	guard(daemon, ended, child);
	return 0;
}
