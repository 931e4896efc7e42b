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
#include "log_to.h"
#include "logger/access.h"
#include "logger/forward.h"
#include "logger/intake.h"
#include "logger/log_counts.h"
#include "logger/log_store.h"
#include "logger/sink_files.h"
#include "logger/sink_forward.h"
#include "logger/sink_store.h"
#include "logger/stream.h"
#include "logger/tenant_log.h"
#include "mem.h"
#include "route_table.h"
#include "wire.h"

#define EXIT_USAGE    2
#define ACCESS_MAX_MB 64

/* Of tenants of whom the daemon never said any: as lib/options.def has it. */
static const struct log_bounds default_bounds = { .rate = 10000, .max_mb = 16, .max_days = 30 };

struct arguments {
	const char *dir;
	int64_t max_kb; /* 0: not given */
	int64_t access_max_mb;
	const char *journald, *syslog; /* sockets */
	unsigned to;                   /* where lines go of whom the routing table does not know */
};

/* What lines may go to. */
struct outputs {
	struct log_store *files;
	struct sink_files *sink_files;
	struct sink_store *store;
	struct forward *forward;
	struct sink_forward journald, syslog;
	struct route_table *table; /* NULL: there is none */
	struct tenant_logs *logs;
};

static int usage(void)
{
	log_error("usage: tenement-logger --dir FOLDER --max-kb N [--access-max-mb N] "
		  "[--journald SOCKET] [--syslog SOCKET] [--to store,files,...] (it is started by "
		  "tenement-keeper)");
	return EXIT_USAGE;
}

static unsigned read_to(const char *text)
{
	autofree char *copy = mem_strdup(text);
	char *rest = copy, *word;
	unsigned to = 0;

	while ((word = strsep(&rest, ",")))
		to |= log_to_read((char *[]){ word, NULL });
	return to;
}

static int read_arguments(int argc, char **argv, struct arguments *arguments)
{
	static const struct option options[] = {
		{ "dir", required_argument, NULL, 'd' },
		{ "max-kb", required_argument, NULL, 'm' },
		{ "access-max-mb", required_argument, NULL, 'a' },
		{ "journald", required_argument, NULL, 'j' },
		{ "syslog", required_argument, NULL, 's' },
		{ "to", required_argument, NULL, 't' },
		{ 0 },
	};
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == 'd')
			arguments->dir = optarg;
		else if (option == 'j')
			arguments->journald = optarg;
		else if (option == 's')
			arguments->syslog = optarg;
		else if (option == 't')
			arguments->to = read_to(optarg);
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

static void outputs_open(
	struct outputs *outputs, struct ev_loop *loop, const struct arguments *arguments)
{
	struct sink sinks[SINKS_MAX];
	int table = fds_find("table");
	struct ten_error err;

	if (table < 0 || route_table_open(&outputs->table, table, &err) < 0)
		outputs->table = NULL;
	outputs->files =
		log_store_new(LOG_STORE_OUTPUT, arguments->dir, (uint64_t)arguments->max_kb);
	outputs->sink_files = sink_files_new(loop, outputs->files);
	outputs->store = sink_store_new(loop, arguments->dir, &default_bounds);
	outputs->forward = forward_new();
	if (arguments->journald)
		forward_set_path(outputs->forward, FORWARD_JOURNALD, arguments->journald);
	if (arguments->syslog)
		forward_set_path(outputs->forward, FORWARD_SYSLOG, arguments->syslog);
	outputs->journald =
		(struct sink_forward){ outputs->forward, FORWARD_JOURNALD, outputs->table };
	outputs->syslog = (struct sink_forward){ outputs->forward, FORWARD_SYSLOG, outputs->table };
	sinks[0] = sink_store_sink(outputs->store);
	sinks[1] = sink_files_sink(outputs->sink_files);
	sinks[2] = sink_forward_sink(&outputs->journald);
	sinks[3] = sink_forward_sink(&outputs->syslog);
	outputs->logs =
		tenant_logs_new(loop, sinks, 4, outputs->store, outputs->table, arguments->to);
}

static void outputs_close(struct outputs *outputs)
{
	tenant_logs_free(outputs->logs);
	sink_files_free(outputs->sink_files);
	sink_store_free(outputs->store);
	forward_free(outputs->forward);
	log_store_free(outputs->files);
	if (outputs->table)
		route_table_close(outputs->table);
}

int main(int argc, char **argv)
{
	struct arguments arguments = { .access_max_mb = ACCESS_MAX_MB, .to = LOG_TO_STORE };
	struct outputs outputs = { 0 };
	struct intake intake = { 0 };
	struct ev_loop *loop;
	struct access_logs *access;
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
	log_counts_start();
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

	outputs_open(&outputs, loop, &arguments);
	intake.files = outputs.files;
	intake.store = outputs.store;
	intake.access_store = log_store_new(
		LOG_STORE_ACCESS, arguments.dir, (uint64_t)arguments.access_max_mb * 1024);
	intake.streams = streams_new(loop, outputs.logs);
	access = access_logs_new(loop, intake.access_store);
	intake_inherit(&intake);
	intake_start(&intake, loop, in);
	ev_run(loop, 0);

	intake_drain(&intake);
	streams_free(intake.streams);
	outputs_close(&outputs);
	access_logs_free(access);
	log_store_free(intake.access_store);
	ev_loop_destroy(loop);
	return EXIT_SUCCESS;
}
