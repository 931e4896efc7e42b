#include "logger/access.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <uthash.h>

#include "access_batch.h"
#include "board.h"
#include "common/clock.h"
#include "common/fds.h"
#include "common/log.h"
#include "logger/log_counts.h"
#include "mem.h"
#include "text.h"

#define TENANTS_MAX    1024 /* that are remembered; whoever wrote longest ago is forgotten */
#define DRAIN_MAX      256  /* messages of one worker at the end */
#define WARN_SECONDS   60
#define SETTLE_SECONDS 2.0

struct tenant {
	struct log_file *file;
	struct text lines; /* of the message being worked on */
	UT_hash_handle hh; /* in the order of their last use */
	char name[];       /* "service:id" */
};

struct access_logs {
	struct ev_loop *loop;
	struct log_store *store;
	struct route_table *table; /* NULL: nothing is written */
	struct tenant *tenants;
	ev_io sources[BOARD_WORKERS_MAX];
	unsigned source_count;
	ev_timer settle; /* runs while a file owes a remark */
	int64_t warned_at_s;
	char *batch;
};

static void warn(struct access_logs *logs, const char *what)
{
	int64_t now = clock_seconds(CLOCK_MONOTONIC);

	if (logs->warned_at_s && now - logs->warned_at_s < WARN_SECONDS)
		return;
	logs->warned_at_s = now;
	log_warn("%s", what);
}

static void tenant_write(struct tenant *tenant)
{
	if (tenant->lines.len)
		log_file_write(tenant->file, tenant->lines.data, tenant->lines.len);
	text_free(&tenant->lines);
}

static void tenant_forget(struct access_logs *logs, struct tenant *tenant)
{
	HASH_DEL(logs->tenants, tenant);
	tenant_write(tenant);
	log_file_release(tenant->file);
	free(tenant);
}

/* Whether the slot that ENTRY names is that tenant's. */
static bool is_known(const struct access_logs *logs, const struct access_entry *entry)
{
	struct route_instance instance;

	return route_table_instance(logs->table, entry->target, &instance) &&
	       strlen(instance.name) == entry->tenant_len &&
	       memcmp(instance.name, entry->tenant, entry->tenant_len) == 0;
}

static struct tenant *tenant_new(struct access_logs *logs, const struct access_entry *entry)
{
	char service[NAMES_MAX + 1], id[NAMES_MAX + 1];
	struct tenant *tenant;

	if (!is_known(logs, entry) ||
		!access_tenant_split(entry->tenant, entry->tenant_len, service, id))
		return NULL;
	while (HASH_COUNT(logs->tenants) >= TENANTS_MAX)
		tenant_forget(logs, logs->tenants); /* the first is the oldest */
	tenant = mem_alloc(sizeof(*tenant) + entry->tenant_len + 1);
	memcpy(tenant->name, entry->tenant, entry->tenant_len);
	tenant->file = log_store_file(logs->store, service, id);
	return tenant;
}

static struct tenant *tenant_of(struct access_logs *logs, const struct access_entry *entry)
{
	struct tenant *tenant;

	HASH_FIND(hh, logs->tenants, entry->tenant, entry->tenant_len, tenant);
	if (tenant)
		HASH_DEL(logs->tenants, tenant);
	else
		tenant = tenant_new(logs, entry);
	if (tenant)
		HASH_ADD_KEYPTR(hh, logs->tenants, tenant->name, entry->tenant_len, tenant);
	return tenant;
}

/* Sort the lines of one message by tenant, and write each tenant's at once. */
static void batch_write(struct access_logs *logs, size_t len)
{
	struct access_entry entry;
	struct tenant *tenant, *next;
	size_t at = 0;

	while (access_batch_next(logs->batch, len, &at, &entry)) {
		tenant = tenant_of(logs, &entry);
		if (!tenant) {
			warn(logs, "refused a line of an access log: there is no such tenant");
			continue;
		}
		log_count(&log_counts->access_lines, 1);
		text_add(&tenant->lines, entry.line, entry.line_len);
		text_add(&tenant->lines, "\n", 1);
		if (tenant->lines.len >= LOG_STORE_BATCH_SIZE)
			tenant_write(tenant);
	}
	if (at != len)
		warn(logs, "refused a message of access logs that is none");
	HASH_ITER (hh, logs->tenants, tenant, next)
		tenant_write(tenant);
}

/* An empty message is none, but neither is it the end. */
static bool has_hung_up(int fd)
{
	struct pollfd state = { .fd = fd, .events = POLLRDHUP };

	return poll(&state, 1, 0) > 0 && (state.revents & (POLLRDHUP | POLLHUP));
}

enum found { FOUND_MESSAGE, FOUND_NOTHING, FOUND_END };

static enum found source_read(struct access_logs *logs, int fd)
{
	ssize_t got = recv(fd, logs->batch, ACCESS_BATCH_MAX, MSG_PEEK | MSG_TRUNC | MSG_DONTWAIT);

	if (got < 0)
		return errno == EAGAIN || errno == EINTR ? FOUND_NOTHING : FOUND_END;
	if (got == 0 && has_hung_up(fd))
		return FOUND_END;
	if (!logs->table || got > ACCESS_BATCH_MAX)
		warn(logs, "refused a message of access logs");
	else
		batch_write(logs, (size_t)got);
	recv(fd, logs->batch, 0, MSG_DONTWAIT);
	return FOUND_MESSAGE;
}

static void on_readable(struct ev_loop *loop, ev_io *watcher, int events)
{
	struct access_logs *logs = watcher->data;

	(void)events;
	/* Without anybody at the other end it would be readable for ever. */
	if (source_read(logs, watcher->fd) == FOUND_END)
		ev_io_stop(loop, watcher);
	if (log_store_owes(logs->store) && !ev_is_active(&logs->settle))
		ev_timer_again(loop, &logs->settle);
}

static void on_settle(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct access_logs *logs = timer->data;

	(void)events;
	if (!log_store_settle(logs->store))
		ev_timer_stop(loop, timer);
}

static void inherit(struct access_logs *logs)
{
	const char *name;

	for (size_t i = 0; (name = fds_name(i)) && logs->source_count < BOARD_WORKERS_MAX; i++) {
		ev_io *source = &logs->sources[logs->source_count];

		if (strncmp(name, "access.in.", strlen("access.in.")) != 0)
			continue;
		logs->source_count++;
		ev_io_init(source, on_readable, FDS_FIRST + (int)i, EV_READ);
		source->data = logs;
		ev_io_start(logs->loop, source);
	}
}

struct access_logs *access_logs_new(struct ev_loop *loop, struct log_store *store)
{
	struct access_logs *logs = mem_alloc(sizeof(*logs));
	int table = fds_find("table");
	struct ten_error err;

	logs->loop = loop;
	logs->store = store;
	logs->batch = mem_alloc(ACCESS_BATCH_MAX);
	ev_init(&logs->settle, on_settle);
	logs->settle.repeat = SETTLE_SECONDS;
	logs->settle.data = logs;
	inherit(logs);
	if (logs->source_count && (table < 0 || route_table_open(&logs->table, table, &err) < 0))
		log_warn("no access logs are written: %s",
			table < 0 ? "no descriptor called table" : err.text);
	return logs;
}

void access_logs_free(struct access_logs *logs)
{
	for (unsigned i = 0; i < logs->source_count; i++) {
		ev_io_stop(logs->loop, &logs->sources[i]);
		for (int n = 0; n < DRAIN_MAX; n++)
			if (source_read(logs, logs->sources[i].fd) != FOUND_MESSAGE)
				break;
	}
	ev_timer_stop(logs->loop, &logs->settle);
	log_store_settle(logs->store);
	while (logs->tenants)
		tenant_forget(logs, logs->tenants);
	if (logs->table)
		route_table_close(logs->table);
	free(logs->batch);
	free(logs);
}
