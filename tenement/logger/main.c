/*
 * tenement-logger: keeps what tenants say on stdout and stderr. A child of the keeper, which holds
 * the pipes as well and starts it again should it end: a tenant never blocks and never dies of its
 * log.
 */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <ev.h>

#include "common/fds.h"
#include "common/log.h"
#include "logger/access.h"
#include "logger/intake.h"
#include "logger/log_store.h"
#include "logger/sink_files.h"
#include "logger/sink_store.h"
#include "logger/stream.h"
#include "logger/tenant_log.h"
#include "wire.h"

#define EXIT_USAGE    2
#define ACCESS_MAX_MB 64

/* Of tenants of whom the daemon never said any: as lib/options.def has it. */
static const struct log_bounds default_bounds = { .rate = 10000, .max_mb = 16, .max_days = 30 };

struct arguments {
	const char *dir;
	int64_t max_kb; /* 0: not given */
	int64_t access_max_mb;
};

static int usage(void)
{
	log_error("usage: tenement-logger --dir FOLDER --max-kb N [--access-max-mb N] (it is "
		  "started by tenement-keeper)");
	return EXIT_USAGE;
}

static int read_arguments(int argc, char **argv, struct arguments *arguments)
{
	static const struct option options[] = {
		{ "dir", required_argument, NULL, 'd' },
		{ "max-kb", required_argument, NULL, 'm' },
		{ "access-max-mb", required_argument, NULL, 'a' },
		{ 0 },
	};
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == 'd')
			arguments->dir = optarg;
		else if (option == 'a' &&
			 wire_number(optarg, 0, LOG_STORE_MAX_KB / 1024, &arguments->access_max_mb))
			continue;
		else if (option != 'm' ||
			 !wire_number(optarg, 1, LOG_STORE_MAX_KB, &arguments->max_kb))
			return -1;
	}
	return optind == argc && arguments->dir && arguments->max_kb ? 0 : -1;
}

static void on_terminate(struct ev_loop *loop, ev_signal *watcher, int events)
{
	(void)watcher, (void)events;
	ev_break(loop, EVBREAK_ALL);
}

static void on_reopen(struct ev_loop *loop, ev_signal *watcher, int events)
{
	struct intake *intake = watcher->data;

	(void)loop, (void)events;
	log_store_reopen(intake->files);
	log_store_reopen(intake->access_store);
}

static void harden(void)
{
	struct rlimit limit;

	/* Ctrl-C in `ten serve` reaches the whole group; the keeper ends us last. */
	signal(SIGINT, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN); /* a file size limit is like a full disk */
	if (prctl(PR_SET_PDEATHSIG, SIGTERM) < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		log_warn("prctl: %s", strerror(errno));
	/* Two pipes per running tenant. */
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
	umask(0027);
}

int main(int argc, char **argv)
{
	struct arguments arguments = { .access_max_mb = ACCESS_MAX_MB };
	struct intake intake = { 0 };
	struct ev_loop *loop;
	struct access_logs *access;
	struct sink_files *files;
	struct tenant_logs *logs;
	struct sink sinks[SINKS_MAX];
	ev_signal terminate, reopen;
	pid_t parent = getppid();
	int in;

	log_init("tenement-logger");
	if (argc == 2 && strcmp(argv[1], "--version") == 0) {
		printf("tenement-logger %s\n", TEN_VERSION);
		return EXIT_SUCCESS;
	}
	if (read_arguments(argc, argv, &arguments) < 0)
		return usage();
	in = fds_find("logger.in");
	if (in < 0) {
		log_error("no descriptor called logger.in: it is started by tenement-keeper");
		return EXIT_USAGE;
	}
	harden();
	if (getppid() != parent)
		return EXIT_SUCCESS; /* the keeper died before it could signal us */
	loop = ev_default_loop(EVFLAG_NOENV);
	if (!loop) {
		log_error("no event loop: %s", strerror(errno));
		return EXIT_FAILURE;
	}
	ev_signal_init(&terminate, on_terminate, SIGTERM);
	ev_signal_start(loop, &terminate);
	ev_signal_init(&reopen, on_reopen, SIGUSR1);
	reopen.data = &intake;
	ev_signal_start(loop, &reopen);

	intake.files = log_store_new(LOG_STORE_OUTPUT, arguments.dir, (uint64_t)arguments.max_kb);
	intake.access_store = log_store_new(
		LOG_STORE_ACCESS, arguments.dir, (uint64_t)arguments.access_max_mb * 1024);
	intake.store = sink_store_new(loop, arguments.dir, &default_bounds);
	files = sink_files_new(loop, intake.files);
	sinks[0] = sink_store_sink(intake.store);
	sinks[1] = sink_files_sink(files);
	logs = tenant_logs_new(loop, sinks, 2, intake.store);
	intake.streams = streams_new(loop, logs);
	access = access_logs_new(loop, intake.access_store);
	intake_inherit(&intake);
	intake_start(&intake, loop, in);
	ev_run(loop, 0);

	intake_drain(&intake);
	streams_free(intake.streams);
	tenant_logs_free(logs);
	sink_files_free(files);
	sink_store_free(intake.store);
	access_logs_free(access);
	log_store_free(intake.files);
	log_store_free(intake.access_store);
	ev_loop_destroy(loop);
	return EXIT_SUCCESS;
}
