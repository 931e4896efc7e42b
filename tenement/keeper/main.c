#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/log.h"
#include "common/programs.h"
#include "keeper/keeper.h"
#include "mem.h"

#define SHUTDOWN_SECONDS 120.0

bool keeper_stopping;
bool keeper_daemon_was_ready;
bool keeper_renews;

static char **own_argv;
static int exit_status;
static bool over; /* the daemon is gone for good: everything else goes too */
static bool swept;
static ev_timer deadline;

bool keeper_daemon_over(bool exited, int status)
{
	if (over)
		return true; /* it was killed with everything else */
	if (keeper_stopping)
		over = exited; /* one that crashed meanwhile comes back to finish its work */
	else if (exited && !keeper_daemon_was_ready)
		over = true;
	if (over && !keeper_stopping) {
		exit_status = status ? status : EXIT_FAILURE;
		keeper_stopping = true;
	}
	return over;
}

void keeper_renew(void)
{
	if (keeper_renews && !keeper_stopping)
		renew(own_argv);
	keeper_renews = false;
}

void keeper_give_up(void)
{
	log_error("the daemon crashes whenever it starts: ending everything");
	over = keeper_stopping = true;
	exit_status = EXIT_FAILURE;
}

static void on_child(struct ev_loop *loop, ev_signal *watcher, int events)
{
	bool children = child_reap(loop);

	(void)watcher;
	(void)events;
	if (!over)
		return;
	if (!swept)
		child_halt_all(loop);
	swept = true;
	child_kill_strays();
	if (!children)
		ev_break(loop, EVBREAK_ALL);
}

/* Each end of a child looks again; where there is none any more, there is nothing to wait for. */
static void kill_everything(struct ev_loop *loop)
{
	over = true;
	child_kill_all(loop);
	ev_feed_signal_event(loop, SIGCHLD);
}

static void on_deadline(struct ev_loop *loop, ev_timer *watcher, int events)
{
	(void)watcher;
	(void)events;
	log_warn("not everything ended in %.0f s: killing what is left", SHUTDOWN_SECONDS);
	kill_everything(loop);
}

static void on_stop(struct ev_loop *loop, ev_signal *watcher, int events)
{
	(void)watcher;
	(void)events;
	if (keeper_stopping) {
		log_warn("told to stop twice: killing everything");
		kill_everything(loop);
		return;
	}
	keeper_stopping = true;
	log_info("stopping");
	ev_timer_start(loop, &deadline);
	if (child_pid(DAEMON_NAME) > 0)
		link_send_shutdown();
}

static void on_reload(struct ev_loop *loop, ev_signal *watcher, int events)
{
	(void)loop;
	(void)watcher;
	(void)events;
	child_signal(DAEMON_NAME, SIGHUP);
}

static void on_reopen(struct ev_loop *loop, ev_signal *watcher, int events)
{
	(void)loop;
	(void)watcher;
	(void)events;
	child_signal(LOGGER_NAME, SIGUSR1);
}

static void on_upgrade(struct ev_loop *loop, ev_signal *watcher, int events)
{
	(void)loop;
	(void)watcher;
	(void)events;
	/* Before it is ready it has no ear for that, and would end by it. */
	if (keeper_daemon_was_ready)
		child_signal(DAEMON_NAME, SIGUSR2);
}

static void raise_descriptor_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

int main(int argc, char **argv)
{
	struct ev_loop *loop;
	ev_signal child, interrupt, terminate, reload, reopen, upgrade;
	autofree char *daemon = NULL;
	char **daemon_argv = NULL;
	sigset_t none;

	log_init("tenement-keeper");
	own_argv = argv;
	if (argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "--version") == 0)) {
		printf("%stenement-keeper %s\n",
			argv[1][2] == 'h' ? "started by `ten serve`; takes the options of "
					    "tenementd(8)\n"
					  : "",
			TEN_VERSION);
		return 0;
	}
	if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0) {
		log_error("cannot adopt tenants: %s", strerror(errno));
		return EXIT_FAILURE;
	}
	loop = ev_loop_new(EVFLAG_NOENV);
	daemon = programs_path("tenementd");
	signal(SIGPIPE, SIG_IGN);
	raise_descriptor_limit();
	ev_signal_init(&child, on_child, SIGCHLD);
	ev_signal_init(&interrupt, on_stop, SIGINT);
	ev_signal_init(&terminate, on_stop, SIGTERM);
	ev_signal_init(&reload, on_reload, SIGHUP);
	ev_signal_init(&upgrade, on_upgrade, SIGUSR2);
	ev_timer_init(&deadline, on_deadline, SHUTDOWN_SECONDS, 0.);
	ev_signal_start(loop, &child);
	ev_signal_start(loop, &interrupt);
	ev_signal_start(loop, &terminate);
	ev_signal_start(loop, &reload);
	ev_signal_init(&reopen, on_reopen, SIGUSR1);
	ev_signal_start(loop, &reopen);
	ev_signal_start(loop, &upgrade);

	/* What came or ended while one keeper became the next is still to be looked at. */
	keeper_daemon_was_ready = renew_resume(loop);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	ev_feed_signal_event(loop, SIGCHLD);
	mem_strv_append(&daemon_argv, daemon);
	for (int i = 1; i < argc; i++)
		mem_strv_append(&daemon_argv, argv[i]);
	child_run(loop, DAEMON_NAME, -1, -1, "*,socket:*", daemon_argv);
	ev_run(loop, 0);
	mem_strv_free(daemon_argv);
	ev_loop_destroy(loop);
	return exit_status;
}
