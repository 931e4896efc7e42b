/*
 * tenement-proxy: one worker. The keeper starts it with everything it needs in descriptors, already
 * under its own user; it reads no file and starts nothing.
 */
#include <cap-ng.h>
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/fds.h"
#include "common/log.h"
#include "proxy/worker.h"

struct arguments {
	uint32_t worker;
	uint32_t lane;
	bool check;
};

static int usage(FILE *out, int status)
{
	fputs("usage: tenement-proxy --worker N [--lane M] | --check | --version\n"
	      "Started by tenement-keeper, with its descriptors named in TENEMENT_FDS.\n",
		out);
	return status;
}

static bool number_parse(const char *text, uint32_t limit, uint32_t *number)
{
	char *end;
	unsigned long value;

	errno = 0;
	value = strtoul(text, &end, 10);
	if (errno || end == text || *end || text[0] == '-' || value > limit)
		return false;
	*number = (uint32_t)value;
	return true;
}

/* -1: go on; else the exit status. */
static int arguments_parse(struct arguments *arguments, int argc, char **argv)
{
	static const struct option options[] = {
		{ "worker", required_argument, NULL, 'w' },
		{ "lane", required_argument, NULL, 'l' },
		{ "check", no_argument, NULL, 'c' },
		{ "version", no_argument, NULL, 'v' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	bool worker_seen = false, lane_seen = false;
	int option;

	while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		bool ok = true;
		switch (option) {
		case 'w':
			ok = worker_seen =
				number_parse(optarg, BOARD_WORKERS_MAX - 1, &arguments->worker);
			break;
		case 'l':
			ok = lane_seen =
				number_parse(optarg, BOARD_WORKERS_MAX - 1, &arguments->lane);
			break;
		case 'c':
			arguments->check = true;
			break;
		case 'v':
			printf("tenement-proxy %s\n", TEN_VERSION);
			return 0;
		case 'h':
			return usage(stdout, 0);
		default:
			ok = false;
			break;
		}
		if (!ok)
			return usage(stderr, 2);
	}
	if (optind != argc || worker_seen == arguments->check)
		return usage(stderr, 2);
	if (!lane_seen)
		arguments->lane = arguments->worker;
	return -1;
}

static int need_fd(const char *name, int *fd, struct ten_error *err)
{
	*fd = fds_find(name);
	return *fd < 0 ? ten_error_set(err, 0, "no descriptor \"%s\" in TENEMENT_FDS", name) : 0;
}

/* "listen.0.3"; "listen.0.3.api" where the management API alone is asked; ".proxy" behind either
 * where each connection begins with a PROXY header. */
static enum client_introduction introduction_of(const char *name)
{
	const char *end = strrchr(name, '.');

	return end && !strcmp(end, ".proxy") ? CLIENT_TO_BE_INTRODUCED : CLIENT_INTRODUCED;
}

static int inherited_find(struct worker_inherited *inherited, const struct arguments *arguments,
	struct ten_error *err)
{
	char name[FDS_NAME_MAX];
	size_t prefix;
	const char *other;

	snprintf(name, sizeof(name), "bell.%u", arguments->worker);
	if (need_fd("table", &inherited->table_fd, err) < 0 ||
		need_fd("board", &inherited->board_fd, err) < 0 ||
		need_fd("bell", &inherited->daemon_bell, err) < 0 ||
		need_fd(name, &inherited->own_bell, err) < 0)
		return -1;
	snprintf(name, sizeof(name), "access.out.%u", arguments->lane);
	inherited->access_log = fds_find(name);
	inherited->spans = fds_find("spans.out");
	snprintf(name, sizeof(name), "handover.%u", arguments->lane);
	inherited->handover_in = fds_find(name);
	snprintf(name, sizeof(name), "handover.%u.out", arguments->lane);
	inherited->handover_out = fds_find(name);
	prefix = (size_t)snprintf(name, sizeof(name), "listen.%u.", arguments->lane);
	for (size_t i = 0; (other = fds_name(i)); i++) {
		if (strncmp(other, name, prefix))
			continue;
		if (inherited->listener_count == WORKER_LISTENERS_MAX)
			return ten_error_set(
				err, 0, "more than %d listening sockets", WORKER_LISTENERS_MAX);
		inherited->introductions[inherited->listener_count] = introduction_of(other);
		inherited->for_api[inherited->listener_count] = strstr(other, ".api") != NULL;
		inherited->listeners[inherited->listener_count++] = FDS_FIRST + (int)i;
	}
	return 0;
}

/* From here on it can become nothing else: what a request may trick it into runs with no right. */
static int privileges_drop(struct ten_error *err)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return ten_error_set(err, errno, "PR_SET_NO_NEW_PRIVS");
	capng_clear(CAPNG_SELECT_BOTH);
	/* The bounding set can be cleared only by who has CAP_SETPCAP; no_new_privs makes up for
	 * it. */
	if (capng_apply(CAPNG_SELECT_CAPS) < 0)
		return ten_error_set(err, errno, "cannot drop capabilities");
	return 0;
}

static int die_with_parent(struct ten_error *err)
{
	pid_t parent = getppid();

	if (prctl(PR_SET_PDEATHSIG, SIGTERM) < 0)
		return ten_error_set(err, errno, "PR_SET_PDEATHSIG");
	/* It may have died just before. (That it is 1 says nothing: in a container the keeper is.)
	 */
	if (getppid() != parent)
		return ten_error_set(err, 0, "the keeper is gone");
	return 0;
}

static void descriptors_raise(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

/* Whether we could work with what is shared, for who is about to replace workers by us. */
static int check(void)
{
	struct worker_inherited inherited;
	struct route_table *table;
	struct board *board;
	struct ten_error err = { 0 };

	if (need_fd("table", &inherited.table_fd, &err) < 0 ||
		need_fd("board", &inherited.board_fd, &err) < 0 ||
		route_table_open(&table, inherited.table_fd, &err) < 0 ||
		board_open(&board, inherited.board_fd, &err) < 0) {
		log_error("%s", err.text);
		return 1;
	}
	board_close(board);
	route_table_close(table);
	printf("%s\n", TEN_VERSION);
	return 0;
}

int main(int argc, char **argv)
{
	static struct worker worker;
	struct worker_inherited inherited = { 0 };
	struct arguments arguments = { 0 };
	struct ten_error err = { 0 };
	int status = arguments_parse(&arguments, argc, argv);

	if (status >= 0)
		return status;
	log_init("tenement-proxy");
	if (arguments.check)
		return check();
	signal(SIGPIPE, SIG_IGN);
	descriptors_raise();
	if (die_with_parent(&err) < 0 || privileges_drop(&err) < 0 ||
		inherited_find(&inherited, &arguments, &err) < 0 ||
		worker_init(&worker, arguments.worker, &inherited, &err) < 0) {
		log_error("worker %u: %s", arguments.worker, err.text);
		return 1;
	}
	worker_run(&worker);
	return 0;
}
