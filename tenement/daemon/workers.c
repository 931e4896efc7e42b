#include "daemon/workers.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/become.h"
#include "common/fds.h"
#include "common/files.h"
#include "common/log.h"
#include "common/passing.h"
#include "common/programs.h"
#include "daemon/keeper_link.h"
#include "daemon/uids.h"
#include "daemon/upgrade.h"
#include "mem.h"

#define PROXY_USER          "tenement-proxy"
#define ACCESS_SOCKET_BYTES (1 << 20)

static int shared_eventfd(struct daemon *d, const char *name, struct ten_error *err)
{
	int fd = fds_find(name);

	if (fd >= 0)
		return fd;
	fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (fd < 0)
		return ten_error_set(err, errno, "eventfd");
	keeper_link_store(d, name, fd);
	return fd;
}

static int share_table(struct daemon *d, struct ten_error *err)
{
	autoclose int reader = -1;

	d->table_fd = fds_find("table.writer");
	if (d->table_fd >= 0) {
		if (route_table_attach(&d->table, d->table_fd, err) == 0)
			return 0;
		/* The workers must change over to a new one, which costs what they have in flight.
		 */
		log_error("%s: beginning with a new one", err->text);
		d->table_is_new = true;
	}
	if (route_table_create(&d->table, &d->table_fd, err) < 0)
		return -1;
	reader = route_table_reader_fd(d->table_fd, err);
	if (reader < 0)
		return -1;
	keeper_link_store(d, "table", reader);
	keeper_link_store(d, "table.writer", d->table_fd);
	return 0;
}

static int share_board(struct daemon *d, struct ten_error *err)
{
	d->board_fd = fds_find("board");
	if (d->board_fd >= 0)
		return board_open(&d->board, d->board_fd, err);
	if (board_create(&d->board, &d->board_fd, err) < 0)
		return -1;
	keeper_link_store(d, "board", d->board_fd);
	return 0;
}

/* The log writer reads at one end; the other is ours. */
static int share_logger(struct daemon *d, struct ten_error *err)
{
	int pair[2];

	d->logger = fds_find("logger.out");
	if (d->logger >= 0)
		return 0;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0)
		return ten_error_set(err, errno, "socketpair");
	d->logger = pair[0];
	keeper_link_store(d, "logger.out", pair[0]);
	keeper_link_store(d, "logger.in", pair[1]);
	close(pair[1]);
	return 0;
}

/* By these each lane's workers hand lines of access logs to the log writer. The more they hold, the
 * longer the log writer may be away; more than a plain user may have is not worth an error. */
static int share_access(struct daemon *d, struct ten_error *err)
{
	const int room = ACCESS_SOCKET_BYTES;

	for (uint32_t w = 0; w < d->workers; w++) {
		autofree char *out = mem_printf("access.out.%u", w);
		autofree char *in = mem_printf("access.in.%u", w);
		int pair[2];

		if (fds_find(out) >= 0)
			continue;
		if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0)
			return ten_error_set(err, errno, "socketpair");
		if (setsockopt(pair[0], SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof(room)) < 0)
			setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
		keeper_link_store(d, out, pair[0]);
		keeper_link_store(d, in, pair[1]);
		close(pair[0]);
		close(pair[1]);
	}
	return 0;
}

/* By this all workers hand spans to tenement-tracer, when there is one. */
static int share_spans(struct daemon *d, struct ten_error *err)
{
	int pair[2];

	if (fds_find("spans.out") >= 0)
		return 0;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0)
		return ten_error_set(err, errno, "socketpair");
	keeper_link_store(d, "spans.out", pair[0]);
	keeper_link_store(d, "spans.in", pair[1]);
	close(pair[0]);
	close(pair[1]);
	return 0;
}

static int find_users(struct daemon *d, struct ten_error *err)
{
	const char *wanted = d->boot.proxy_user;
	struct passwd *entry;

	d->proxy_uid = d->proxy_gid = d->logger_uid = d->logger_gid = UINT32_MAX;
	if (!d->root)
		return 0;
	entry = getpwnam(wanted && *wanted ? wanted : PROXY_USER);
	if (wanted && *wanted && !entry)
		return ten_error_set(err, 0, "proxy_user = \"%s\": there is no such user", wanted);
	if (entry) {
		d->proxy_uid = entry->pw_uid;
		d->proxy_gid = entry->pw_gid;
	} else if (uids_get(d, "proxy", &d->proxy_uid, err) < 0) {
		return -1;
	} else {
		d->proxy_gid = d->proxy_uid;
	}
	if (uids_get(d, "logger", &d->logger_uid, err) < 0)
		return -1;
	d->logger_gid = d->logger_uid;
	return 0;
}

int workers_share_bell(struct daemon *d, uint32_t seat, struct ten_error *err)
{
	autofree char *name = mem_printf("bell.%u", seat);

	if (d->seats[seat].has_bell)
		return 0;
	d->seats[seat].bell = shared_eventfd(d, name, err);
	d->seats[seat].has_bell = d->seats[seat].bell >= 0;
	return d->seats[seat].has_bell ? 0 : -1;
}

/* Through which a worker of the lane gives its clients to the next. We have no use for it. */
static int share_handover(struct daemon *d, uint32_t lane, struct ten_error *err)
{
	autofree char *in = mem_printf("handover.%u", lane);
	autofree char *out = mem_printf("handover.%u.out", lane);
	int pair[2];

	if (fds_find(in) >= 0 && fds_find(out) >= 0)
		return 0;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0)
		return ten_error_set(err, errno, "socketpair");
	keeper_link_store(d, in, pair[0]);
	keeper_link_store(d, out, pair[1]);
	close(pair[0]);
	close(pair[1]);
	return 0;
}

int workers_share(struct daemon *d, struct ten_error *err)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN);

	d->cores = cores > 0 ? (uint32_t)cores : 1;
	d->workers = d->boot.workers ? (uint32_t)d->boot.workers : d->cores;
	if (d->workers > BOARD_LANES_MAX)
		d->workers = BOARD_LANES_MAX;
	if (find_users(d, err) < 0 || share_table(d, err) < 0 || share_board(d, err) < 0 ||
		share_logger(d, err) < 0 || share_access(d, err) < 0 || share_spans(d, err) < 0)
		return -1;
	d->bell = shared_eventfd(d, "bell", err);
	if (d->bell < 0)
		return -1;
	for (uint32_t lane = 0; lane < d->workers; lane++)
		if (share_handover(d, lane, err) < 0)
			return -1;
	return 0;
}

/* ---- running ---- */

static int run_logger(struct daemon *d, struct ten_error *err)
{
	autofree char *program = programs_path("tenement-logger");
	autofree char *folder = mem_printf("%s/.tenement/logs", d->data_dir);
	autofree char *size =
		mem_printf("%lld", (long long)config_set_settings(d->set)->log_max_kb);
	autofree char *access_size =
		mem_printf("%lld", (long long)config_set_settings(d->set)->access_log_max_mb);
	char *argv[] = { program, "--dir", folder, "--max-kb", size, "--access-max-mb", access_size,
		"--journald", d->boot.journald_socket, "--syslog", d->boot.syslog_socket, NULL };
	autoclose int fd = files_make_dir(AT_FDCWD, folder, 0750, err);

	if (fd < 0)
		return -1;
	if (d->root && fchown(fd, d->logger_uid, d->logger_gid) < 0)
		return ten_error_set(err, errno, "%s", folder);
	/* It would go on looking into the old table. */
	if (d->table_is_new)
		keeper_link_halt(d, "logger");
	keeper_link_run(d, "logger", d->logger_uid, d->logger_gid,
		"logger.in,table,board,access.in.*,log:*", argv);
	return 0;
}

typedef void run_function(struct daemon *d, const char *name, uint32_t uid, uint32_t gid,
	const char *fd_list, char *const *argv);

static void run_worker(struct daemon *d, uint32_t seat, run_function *run)
{
	uint32_t lane = d->seats[seat].lane;
	autofree char *program = programs_path("tenement-proxy");
	autofree char *name = seat_name(d, seat);
	autofree char *worker = mem_printf("%u", seat);
	autofree char *its_lane = mem_printf("%u", lane);
	autofree char *fds =
		mem_printf("table,board,bell,bell.%u,access.out.%u,handover.%u,handover.%u.out,"
			   "spans.out,listen.%u.*",
			seat, lane, lane, lane, lane);
	char *argv[] = { program, "--worker", worker, "--lane", its_lane, NULL };

	run(d, name, d->proxy_uid, d->proxy_gid, fds, argv);
}

void workers_try(struct daemon *d, uint32_t seat)
{
	run_worker(d, seat, keeper_link_try);
}

static void halt_all(struct daemon *d)
{
	for (uint32_t i = 0; i < BOARD_WORKERS_MAX; i++) {
		autofree char *name = seat_name(d, i);

		if (d->seats[i].state != SEAT_FREE)
			keeper_link_halt(d, name);
	}
}

int workers_run(struct daemon *d, struct ten_error *err)
{
	if (d->table_is_new)
		halt_all(d);
	for (uint32_t lane = 0; lane < d->workers; lane++) {
		int seat = seat_current(d, lane);

		if (seat < 0)
			seat = seat_take(d, lane, SEAT_CURRENT, err);
		if (seat < 0)
			return -1;
		run_worker(d, (uint32_t)seat, keeper_link_run);
	}
	upgrade_recover(d);
	return run_logger(d, err);
}

void workers_restart_logger(struct daemon *d)
{
	struct ten_error err;

	keeper_link_halt(d, "logger");
	if (run_logger(d, &err) < 0)
		log_error("%s", err.text);
}

static void run_tracer(struct daemon *d, const char *endpoint)
{
	autofree char *program = programs_path("tenement-tracer");
	char *argv[] = { program, "--endpoint", (char *)endpoint, NULL };
	uint32_t uid = UINT32_MAX;
	struct ten_error err;

	if (d->root && uids_get(d, "tracer", &uid, &err) < 0)
		log_error("no request is traced: %s", err.text);
	else
		keeper_link_run(d, "tracer", uid, uid, "spans.in,board", argv);
}

/* What was told is not known to a daemon that comes back: it begins anew. */
static void tracer_update(struct daemon *d)
{
	static char *told;
	const char *endpoint = config_set_settings(d->set)->otlp_endpoint;

	endpoint = endpoint ? endpoint : "";
	if (told && strcmp(told, endpoint) == 0)
		return;
	keeper_link_halt(d, "tracer");
	if (*endpoint)
		run_tracer(d, endpoint);
	free(told);
	told = mem_strdup(endpoint);
}

void workers_restart_tracer(struct daemon *d)
{
	const char *endpoint = config_set_settings(d->set)->otlp_endpoint;

	if (!endpoint || !*endpoint)
		return;
	keeper_link_halt(d, "tracer");
	run_tracer(d, endpoint);
}

static void tell_limit(struct daemon *d, const char *verb, int64_t size, int64_t *told)
{
	struct wire_buffer buffer = { 0 };

	if (size == *told)
		return;
	wire_add(&buffer, verb);
	wire_add_number(&buffer, size);
	if (passing_send(d->logger, &buffer, NULL, 0) == 0)
		*told = size;
}

void workers_update(struct daemon *d)
{
	static int64_t told = -1, access_told = -1;
	const struct setting_values *settings = config_set_settings(d->set);

	tell_limit(d, "limit", settings->log_max_kb, &told);
	tracer_update(d);
	tell_limit(d, "access-limit", settings->access_log_max_mb, &access_told);
}

void workers_stop(struct daemon *d)
{
	upgrade_stop(d);
	halt_all(d);
}

bool workers_are_gone(const struct daemon *d)
{
	return seats_count(d, SEAT_FREE) == BOARD_WORKERS_MAX;
}
