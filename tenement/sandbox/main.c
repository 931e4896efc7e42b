/*
 * tenement-sandbox FOLDER ID OPTION... : what tenementd starts in the place of a tenant's command
 * where that is to run in gVisor. It runs `runsc OPTION... run` on the bundle that FOLDER is, hands
 * on the signals that it gets to the first process in the container, and ends as that ends.
 *
 * runsc itself takes no notice of whom a signal was meant for: it just dies of it. So it is in a
 * process group of its own, and dies with us whatever we die of.
 */
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define WORDS_MAX 32
#define SIGNALS   32
#define RETRY_MS  20

static const char *folder, *id;
static char **options;
static pid_t container, messenger;
static bool pending[SIGNALS]; /* it is to be told */
static int being_told;

static _Noreturn void run_runsc(const char *command, const char *more[])
{
	static char state[4096];
	const char *words[WORDS_MAX] = { "runsc", "--root", state };
	size_t count = 3;
	sigset_t none;

	snprintf(state, sizeof(state), "%s/state", folder);
	for (size_t i = 0; options[i] && count < WORDS_MAX - 6; i++)
		words[count++] = options[i];
	words[count++] = command;
	for (size_t i = 0; more[i]; i++)
		words[count++] = more[i];
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	execvp(words[0], (char *const *)words);
	fprintf(stderr, "tenement-sandbox: runsc: %s\n", strerror(errno));
	_exit(127);
}

static pid_t start(const char *command, const char *more[])
{
	pid_t parent = getpid(), pid = fork();

	if (pid)
		return pid;
	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	if (getppid() != parent)
		_exit(127);
	run_runsc(command, more);
}

/* One at a time; while the container is still being made there is nobody to be told. */
static void tell_next(void)
{
	char number[8];
	const char *more[] = { id, number, NULL };

	for (int signal = 1; signal < SIGNALS && messenger <= 0; signal++) {
		if (!pending[signal])
			continue;
		pending[signal] = false;
		being_told = signal;
		snprintf(number, sizeof(number), "%d", signal);
		/* What it says when it fails is of no use to a reader of the tenant's log. */
		messenger = fork();
		if (messenger == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
			if (!freopen("/dev/null", "w", stdout) ||
				!freopen("/dev/null", "w", stderr))
				_exit(127);
			run_runsc("kill", more);
		}
		if (messenger < 0)
			pending[signal] = true;
	}
}

static bool somebody_waits(void)
{
	for (int signal = 1; signal < SIGNALS && messenger <= 0; signal++)
		if (pending[signal])
			return true;
	return false;
}

static void reap(void)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (pid == container && WIFEXITED(status))
			_exit(WEXITSTATUS(status));
		if (pid == container)
			_exit(128 + WTERMSIG(status));
		if (pid == messenger) {
			messenger = 0;
			if (status)
				pending[being_told] = true;
		}
	}
}

int main(int argc, char **argv)
{
	const struct timespec retry = { .tv_nsec = RETRY_MS * 1000000L };
	const char *more[] = { "--bundle", NULL, NULL, NULL };
	sigset_t all;
	int signal;

	if (argc < 3) {
		fputs("usage: tenement-sandbox FOLDER ID [OPTION...]\n", stderr);
		return 2;
	}
	folder = argv[1];
	id = argv[2];
	options = argv + 3;
	more[1] = folder;
	more[2] = id;
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	container = start("run", more);
	if (container < 0) {
		fprintf(stderr, "tenement-sandbox: %s\n", strerror(errno));
		return 1;
	}
	for (;;) {
		signal = somebody_waits() ? sigtimedwait(&all, NULL, &retry)
					  : sigwaitinfo(&all, NULL);
		if (signal == SIGCHLD)
			reap();
		else if (signal > 0 && signal < SIGNALS && signal != SIGCONT)
			pending[signal] = true;
		/* Who could not be told is told again when a while has passed. */
		if (signal != SIGCHLD)
			tell_next();
	}
}
