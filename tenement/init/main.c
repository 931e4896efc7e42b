/*
 * tenement-init PID NAME: the first process in a tenant's PID namespace, whose only business is
 * that PID, its child, is not. It reaps what the kernel hands it, passes on the signals that it
 * alone was sent, and ends as the child ends, by signal n with 128 + n; then the kernel ends all
 * else in there. It comes with all signals held back.
 *
 * It is in the child's process group, so a signal to the group reaches both. Who sends one to the
 * group says so to us before, by INIT_SIGNAL_TO_GROUP with the signal's number.
 *
 * Small on purpose, and needs nothing: in there may be another system than ours.
 */
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/init_signal.h"

#define SIGNALS 65
#define TRIES   10000

static pid_t app;
static bool for_all[SIGNALS]; /* the group has it as well */

static void note(const siginfo_t *info)
{
	int signal = info->si_value.sival_int;

	if (signal > 0 && signal < SIGNALS)
		for_all[signal] = true;
}

/* What says so may come after what it speaks of. */
static void read_notes(void)
{
	struct timespec now = { 0 };
	siginfo_t info;
	sigset_t notes;

	sigemptyset(&notes);
	sigaddset(&notes, INIT_SIGNAL_TO_GROUP);
	while (sigtimedwait(&notes, &info, &now) > 0)
		note(&info);
}

static void reap(void)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (pid == app && WIFEXITED(status))
			_exit(WEXITSTATUS(status));
		if (pid == app && WIFSIGNALED(status))
			_exit(INIT_EXIT_SIGNALED + WTERMSIG(status));
	}
	if (pid < 0 && errno == ECHILD)
		_exit(INIT_EXIT_SIGNALED + SIGKILL);
}

/* While the app is not the tenant yet, but still root, we may not: that is a matter of moments. */
static void send_to_app(int signal)
{
	struct timespec moment = { .tv_nsec = 1000000 };

	for (int i = 0; i < TRIES && kill(app, signal) < 0 && errno == EPERM; i++)
		nanosleep(&moment, NULL);
}

static void pass(int signal)
{
	read_notes();
	if (!for_all[signal])
		send_to_app(signal);
	for_all[signal] = false;
}

static void hear(const siginfo_t *info)
{
	if (info->si_signo == SIGCHLD)
		reap();
	else if (info->si_signo == INIT_SIGNAL_TO_GROUP)
		note(info);
	else if (info->si_signo != SIGCONT) /* meant for us */
		pass(info->si_signo);
}

/* What came before there was a group to have it as well. */
static void pass_all_pending(const sigset_t *all)
{
	struct timespec now = { 0 };
	siginfo_t info;

	read_notes();
	for (int signal = 1; signal < SIGNALS; signal++)
		for_all[signal] = false;
	while (sigtimedwait(all, &info, &now) > 0)
		hear(&info);
}

int main(int argc, char **argv)
{
	siginfo_t info;
	sigset_t all;

	/* Before anything: its memory is nobody's business. */
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	prctl(PR_SET_NAME, "tenement-init", 0, 0, 0);
	app = argc > 1 ? (pid_t)strtol(argv[1], NULL, 10) : 0;
	if (app <= 1)
		return 1;
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	pass_all_pending(&all);
	reap();
	for (;;)
		if (sigwaitinfo(&all, &info) > 0)
			hear(&info);
}
