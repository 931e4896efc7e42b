#include "logger/tenant_log.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <uthash.h>
#include <utlist.h>

#include "common/clock.h"
#include "logger/log_counts.h"
#include "common/log_policy.h"
#include "mem.h"

#define BURST_SECONDS  10
#define REMARK_SECONDS 1.0

struct tenant_logs {
	struct ev_loop *loop;
	struct sink sinks[SINKS_MAX];
	size_t sink_count;
	struct sink_store *bounds_of;
	const struct route_table
		*table;           /* says which of the sinks are for whom; NULL: nothing does */
	unsigned fallback;        /* of whom it does not know */
	struct tenant_log *list;  /* by key */
	struct tenant_log *owing; /* those that owe a remark */
	ev_timer remark;          /* runs while one does */
};

struct tenant_log {
	struct tenant_logs *all;
	char *key; /* "service:id" */
	char *service;
	char *id;
	unsigned references;
	void *places[SINKS_MAX];        /* what each sink has for it */
	unsigned to;                    /* which of them are told */
	struct route_target target;     /* where that is said */
	bool is_filled;                 /* in this read */
	int64_t rate;                   /* of this read; 0: any */
	double tokens;                  /* lines that may come at once */
	uint64_t filled_ms;             /* when that was so */
	uint64_t dropped;               /* since the last remark */
	struct tenant_log *prev, *next; /* in all->owing */
	UT_hash_handle hh;
};

static const struct log_bounds *bounds_of(const struct tenant_log *tenant)
{
	return sink_store_bounds(tenant->all->bounds_of, tenant->service, tenant->id);
}

static void tell(struct tenant_log *tenant, const struct log_line *line)
{
	const struct tenant_logs *all = tenant->all;

	for (size_t i = 0; i < all->sink_count; i++)
		if (tenant->to & all->sinks[i].to)
			all->sinks[i].line(tenant->places[i], line);
}

void tenant_log_flush(struct tenant_log *tenant)
{
	const struct tenant_logs *all = tenant->all;

	tenant->is_filled = false;
	for (size_t i = 0; i < all->sink_count; i++)
		if (all->sinks[i].flush)
			all->sinks[i].flush(tenant->places[i]);
}

/* ---- the rate ---- */

static void remark(struct tenant_log *tenant)
{
	autofree char *message =
		mem_printf("%llu lines dropped: more than log_rate = %lld a second",
			(unsigned long long)tenant->dropped, (long long)tenant->rate);
	const struct log_line line = {
		.time_ms = (int64_t)clock_ms(CLOCK_REALTIME),
		.stream = LOG_LINE_TENEMENT,
		.message = message,
		.len = strlen(message),
	};

	tenant->dropped = 0;
	DL_DELETE(tenant->all->owing, tenant);
	tell(tenant, &line);
	tenant_log_flush(tenant);
}

static void on_remark(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct tenant_logs *logs = timer->data;

	(void)events;
	ev_timer_stop(loop, timer);
	while (logs->owing)
		remark(logs->owing);
}

static void drop(struct tenant_log *tenant)
{
	struct tenant_logs *all = tenant->all;

	log_count(&log_counts->over_rate, 1);
	if (tenant->dropped++)
		return;
	DL_APPEND(all->owing, tenant);
	if (!ev_is_active(&all->remark)) {
		ev_timer_set(&all->remark, REMARK_SECONDS, 0);
		ev_timer_start(all->loop, &all->remark);
	}
}

/* Once per read is exact enough. */
static void fill(struct tenant_log *tenant)
{
	uint64_t now_ms = clock_ms(CLOCK_MONOTONIC);
	double most;

	tenant->is_filled = true;
	tenant->to = log_policy_of(
		tenant->all->table, &tenant->target, tenant->service, tenant->id, tenant->to);
	tenant->rate = bounds_of(tenant)->rate;
	most = (double)tenant->rate * BURST_SECONDS;
	tenant->tokens += (double)tenant->rate * (double)(now_ms - tenant->filled_ms) / 1000;
	tenant->filled_ms = now_ms;
	if (tenant->tokens > most)
		tenant->tokens = most;
}

void tenant_log_line(struct tenant_log *tenant, const struct log_line *line)
{
	if (!tenant->is_filled)
		fill(tenant);
	if (tenant->rate && tenant->tokens < 1) {
		drop(tenant);
		return;
	}
	log_count(&log_counts->lines, 1);
	/* What is written without a bound is no debt under the next one. */
	if (tenant->rate)
		tenant->tokens--;
	tell(tenant, line);
}

/* ---- all of them ---- */

struct tenant_logs *tenant_logs_new(struct ev_loop *loop, const struct sink *sinks, size_t count,
	struct sink_store *bounds_of_all, const struct route_table *table, unsigned fallback)
{
	struct tenant_logs *logs = mem_alloc(sizeof(*logs));

	assert(count <= SINKS_MAX);
	logs->loop = loop;
	memcpy(logs->sinks, sinks, count * sizeof(*sinks));
	logs->sink_count = count;
	logs->bounds_of = bounds_of_all;
	logs->table = table;
	logs->fallback = fallback;
	ev_init(&logs->remark, on_remark);
	logs->remark.data = logs;
	return logs;
}

void tenant_logs_free(struct tenant_logs *logs)
{
	assert(!logs->list);
	ev_timer_stop(logs->loop, &logs->remark);
	free(logs);
}

struct tenant_log *tenant_logs_open(struct tenant_logs *logs, const char *service, const char *id)
{
	autofree char *key = mem_printf("%s:%s", service, id);
	struct tenant_log *tenant;

	HASH_FIND_STR(logs->list, key, tenant);
	if (!tenant) {
		tenant = mem_alloc(sizeof(*tenant));
		tenant->all = logs;
		tenant->key = mem_steal(&key);
		tenant->service = mem_strdup(service);
		tenant->id = mem_strdup(id);
		tenant->to = logs->fallback;
		for (size_t i = 0; i < logs->sink_count; i++)
			tenant->places[i] = logs->sinks[i].open(logs->sinks[i].all, service, id);
		HASH_ADD_KEYPTR(hh, logs->list, tenant->key, strlen(tenant->key), tenant);
	}
	tenant->references++;
	return tenant;
}

void tenant_log_release(struct tenant_log *tenant)
{
	struct tenant_logs *all = tenant->all;

	assert(tenant->references);
	if (--tenant->references)
		return;
	if (tenant->dropped)
		remark(tenant);
	for (size_t i = 0; i < all->sink_count; i++)
		all->sinks[i].close(tenant->places[i]);
	HASH_DEL(all->list, tenant);
	free(tenant->key);
	free(tenant->service);
	free(tenant->id);
	free(tenant);
}
