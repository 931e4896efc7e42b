#include "logger/sink_store.h"

#include <stdlib.h>

#include "common/clock.h"
#include "common/log.h"
#include "logger/log_counts.h"
#include "mem.h"

/* A kill takes what came after the last commit: less than a quarter second's. */
#define COMMIT_SECONDS 0.2
#define TEND_SECONDS   10.0
#define TEND_ON        0.1 /* there is more to do */
#define WARN_EVERY_S   60

struct sink_store {
	struct ev_loop *loop;
	struct log_writer *writer;
	ev_timer commit; /* runs while there is something to commit */
	ev_timer tend;
	int64_t warned_at_s;
	uint64_t dropped; /* lines that are counted */
};

static void warn(struct sink_store *store, const struct ten_error *err)
{
	int64_t now_s = clock_seconds(CLOCK_MONOTONIC);

	if (now_s - store->warned_at_s < WARN_EVERY_S)
		return;
	store->warned_at_s = now_s;
	log_warn("cannot store tenants' lines: %s", err->text);
}

static void tell_of_state(struct sink_store *store)
{
	struct log_writer_state *state = log_writer_state(store->writer);

	log_count(&log_counts->unstored, state->dropped - store->dropped);
	store->dropped = state->dropped;
	if (!state->set_aside)
		return;
	log_warn(
		"the store of tenants' lines was damaged, it is kept as %s, and a new one is begun",
		state->set_aside);
	log_count(&log_counts->stores_aside, 1);
	free(mem_steal(&state->set_aside));
}

static void commit_soon(struct sink_store *store)
{
	if (log_writer_is_dirty(store->writer) && !ev_is_active(&store->commit))
		ev_timer_again(store->loop, &store->commit);
}

static void on_commit(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct sink_store *store = timer->data;
	struct ten_error err;

	(void)events;
	if (log_writer_commit(store->writer, (int64_t)clock_ms(CLOCK_REALTIME), &err) < 0)
		warn(store, &err);
	tell_of_state(store);
	if (!log_writer_is_dirty(store->writer))
		ev_timer_stop(loop, timer);
}

static void on_tend(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct sink_store *store = timer->data;
	struct ten_error err;
	int more = log_writer_tend(store->writer, (int64_t)clock_ms(CLOCK_REALTIME), &err);

	(void)events;
	if (more < 0)
		warn(store, &err);
	tell_of_state(store);
	timer->repeat = more > 0 ? TEND_ON : TEND_SECONDS;
	ev_timer_again(loop, timer);
}

/* ---- as a sink ---- */

struct tenant {
	struct sink_store *all;
	struct log_tenant *log;
};

static void *open_tenant(void *all, const char *service, const char *id)
{
	struct sink_store *store = all;
	struct tenant *tenant = mem_alloc(sizeof(*tenant));

	tenant->all = store;
	tenant->log = log_writer_tenant(store->writer, service, id);
	return tenant;
}

static void add_line(void *data, const struct log_line *line)
{
	log_tenant_add(((struct tenant *)data)->log, line);
}

static void flush(void *data)
{
	commit_soon(((struct tenant *)data)->all);
}

static void close_tenant(void *data)
{
	struct tenant *tenant = data;

	log_tenant_release(tenant->log);
	free(tenant);
}

struct sink sink_store_sink(struct sink_store *store)
{
	return (struct sink){
		.to = LOG_TO_STORE,
		.all = store,
		.open = open_tenant,
		.line = add_line,
		.flush = flush,
		.close = close_tenant,
	};
}

/* ---- all of it ---- */

struct sink_store *sink_store_new(
	struct ev_loop *loop, const char *folder, const struct log_bounds *bounds)
{
	struct sink_store *store = mem_alloc(sizeof(*store));
	struct ten_error err;

	store->loop = loop;
	store->warned_at_s = -WARN_EVERY_S;
	store->writer = log_writer_new(folder, bounds);
	if (log_writer_open(store->writer, &err) < 0)
		warn(store, &err);
	tell_of_state(store);
	ev_timer_init(&store->commit, on_commit, COMMIT_SECONDS, COMMIT_SECONDS);
	store->commit.data = store;
	ev_timer_init(&store->tend, on_tend, TEND_SECONDS, TEND_SECONDS);
	store->tend.data = store;
	ev_timer_start(loop, &store->tend);
	return store;
}

void sink_store_free(struct sink_store *store)
{
	struct ten_error err;

	if (log_writer_commit(store->writer, (int64_t)clock_ms(CLOCK_REALTIME), &err) < 0)
		warn(store, &err);
	tell_of_state(store);
	ev_timer_stop(store->loop, &store->commit);
	ev_timer_stop(store->loop, &store->tend);
	log_writer_close(store->writer);
	free(store);
}

const struct log_bounds *sink_store_bounds(
	struct sink_store *store, const char *service, const char *id)
{
	const struct log_tenant *tenant = log_writer_find(store->writer, service, id);

	return tenant ? log_tenant_bounds(tenant) : log_writer_bounds(store->writer);
}

void sink_store_set_bounds(struct sink_store *store, const char *service, const char *id,
	const struct log_bounds *bounds)
{
	struct log_tenant *tenant = log_writer_find(store->writer, service, id);

	if (!tenant)
		return;
	log_tenant_set_bounds(tenant, bounds);
	commit_soon(store);
}
