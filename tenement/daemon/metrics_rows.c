#include "daemon/metrics_rows.h"

#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "daemon/health.h"
#include "daemon/oom.h"
#include "daemon/storage.h"
#include "daemon/usage.h"
#include "daemon/wake_times.h"
#include "mem.h"
#include "metrics.h"
#include "storage_rules.h"

#define TRIES_MAX     3
#define SLOTS_AT_ONCE 64 /* between two looks at the clock */

const char *const metrics_health_names[METRICS_HEALTHS] = { "healthy", "degraded", "unhealthy" };

struct service {
	char *name;
	size_t row;
	UT_hash_handle hh;
};

struct metrics_rows {
	LIST_ENTRY(metrics_rows) next;
	enum metrics_detail detail;
	uint32_t next_slot;
	struct service *index;
	struct metrics_row *services, *tenants;
	size_t service_count, tenant_count, tenant_room;
};

static LIST_HEAD(, metrics_rows) readers = LIST_HEAD_INITIALIZER(readers);

/* ---- services ---- */

struct beginning {
	struct daemon *d;
	struct metrics_rows *rows;
};

static void add_service(void *data, const char *name)
{
	struct beginning *beginning = data;
	struct metrics_rows *rows = beginning->rows;
	const struct board_total *gone = board_gone_find(beginning->d->board, name);
	struct service *service = mem_alloc(sizeof(*service));
	struct metrics_row *row;
	struct text labels = { 0 };

	rows->services = mem_resize(rows->services, rows->service_count + 1, sizeof(*row));
	row = &rows->services[rows->service_count];
	*row = (struct metrics_row){ .is_service = true,
		.used = true,
		.has_cpu = true,
		.has_memory = true,
		.has_storage = true };
	metrics_label(&labels, "service", name);
	row->labels = text_steal(&labels);
	if (gone)
		row->total = *gone;
	counters_of(name, &row->counters);
	row->cpu_usec = row->counters.cpu_usec;
	service->name = mem_strdup(name);
	service->row = rows->service_count++;
	HASH_ADD_KEYPTR(hh, rows->index, service->name, strlen(service->name), service);
}

struct metrics_rows *metrics_rows_begin(struct daemon *d, enum metrics_detail detail)
{
	struct metrics_rows *rows = mem_alloc(sizeof(*rows));
	struct beginning beginning = { d, rows };

	rows->detail = detail;
	config_set_each_service(d->set, add_service, &beginning);
	LIST_INSERT_HEAD(&readers, rows, next);
	return rows;
}

static void add_up(struct metrics_row *to, const struct metrics_row *from)
{
	for (int i = 0; i < INSTANCE_STATES; i++)
		to->states[i] += from->states[i];
	for (int i = 0; i < METRICS_HEALTHS; i++)
		to->healths[i] += from->healths[i];
	to->use.in_flight += from->use.in_flight;
	to->use.queued += from->use.queued;
	to->use.waiting += from->use.waiting;
	to->use.upgraded += from->use.upgraded;
	board_total_add(&to->total, &from->total);
	to->cpu_usec += from->cpu_usec;
	to->memory_bytes += from->memory_bytes;
	to->storage_bytes += from->storage_bytes;
}

/* ---- tenants ---- */

/* While a dead worker's numbers are carried over, some are in neither place. */
static void read_board(struct daemon *d, const struct instance *instance, struct metrics_row *row)
{
	for (int i = 0; i < TRIES_MAX; i++) {
		uint64_t settled = board_settled(d->board);

		instance_use(d, instance, &row->use);
		board_total_of(d->board, instance->target.slot, &row->total);
		if (settled && settled == board_settled(d->board))
			break;
	}
}

static void read_usage(struct instance *instance, struct metrics_row *row)
{
	struct cgroup_usage now;
	uint64_t cpu_usec = usage_cpu_usec(instance);
	uint64_t stored = storage_used(instance), quota = storage_quota(instance);

	row->has_cpu = cpu_usec != CGROUP_UNKNOWN;
	if (row->has_cpu)
		row->cpu_usec = cpu_usec;
	row->has_memory = usage_now(instance, &now) && now.memory_bytes != CGROUP_UNKNOWN;
	if (row->has_memory)
		row->memory_bytes = now.memory_bytes;
	row->has_storage = stored != STORAGE_UNKNOWN;
	if (row->has_storage)
		row->storage_bytes = stored;
	row->has_quota = quota > 0;
	row->quota_bytes = quota;
}

static void read_instance(struct daemon *d, struct instance *instance, struct metrics_row *row)
{
	const char *health = health_name(instance->run);

	*row = (struct metrics_row){ .used = instance_is_used(d, instance) };
	wake_times_collect(d, instance);
	oom_look(d, instance);
	if (row->used)
		read_board(d, instance, row);
	row->states[instance->state] = 1;
	for (int i = 0; i < METRICS_HEALTHS; i++)
		row->healths[i] = strcmp(health, metrics_health_names[i]) == 0;
	row->counters.counts[COUNTER_STARTS] = instance->starts;
	row->counters.counts[COUNTER_FREEZES] = instance->freezes;
	row->counters.counts[COUNTER_RESTARTS] = instance->restarts;
	row->counters.counts[COUNTER_FAILURES] = instance->times_failed;
	row->counters.counts[COUNTER_OOM_KILLS] = instance->oom_kills;
	read_usage(instance, row);
}

static char *labels_of(const struct instance *instance, size_t service_len)
{
	autofree char *service = mem_strndup(instance->key, service_len);
	struct text labels = { 0 };

	metrics_label(&labels, "service", service);
	metrics_label(&labels, "id", instance->key + service_len + 1);
	return text_steal(&labels);
}

/* Who is no longer declared, and on its way out, counts for its service and is not named. */
static void read_slot(struct daemon *d, struct metrics_rows *rows, struct instance *instance)
{
	size_t len = strcspn(instance->key, ":");
	struct service *service;
	struct metrics_row row;

	HASH_FIND(hh, rows->index, instance->key, len, service);
	if (!service || !instance->known)
		return;
	read_instance(d, instance, &row);
	add_up(&rows->services[service->row], &row);
	if (rows->detail != METRICS_TENANTS || !instance->spec || !instance->key[len])
		return;
	if (rows->tenant_count == rows->tenant_room) {
		rows->tenant_room = rows->tenant_room ? rows->tenant_room * 2 : SLOTS_AT_ONCE;
		rows->tenants = mem_resize(rows->tenants, rows->tenant_room, sizeof(row));
	}
	row.labels = labels_of(instance, len);
	rows->tenants[rows->tenant_count++] = row;
}

bool metrics_rows_read(struct daemon *d, struct metrics_rows *rows, double seconds)
{
	double until = daemon_now() + seconds;
	unsigned left = SLOTS_AT_ONCE;

	for (; rows->next_slot < ROUTE_SLOTS_MAX; rows->next_slot++) {
		struct instance *instance = d->by_slot[rows->next_slot];

		if (!instance)
			continue;
		if (!left--) {
			if (daemon_now() >= until)
				return true;
			left = SLOTS_AT_ONCE;
		}
		read_slot(d, rows, instance);
	}
	return false;
}

void metrics_rows_leaving(struct daemon *d, struct instance *instance)
{
	struct metrics_rows *rows;

	LIST_FOREACH(rows, &readers, next)
	if (instance->target.slot >= rows->next_slot)
		read_slot(d, rows, instance);
}

size_t metrics_rows_services(const struct metrics_rows *rows, const struct metrics_row **list)
{
	*list = rows->services;
	return rows->service_count;
}

size_t metrics_rows_tenants(const struct metrics_rows *rows, const struct metrics_row **list)
{
	*list = rows->tenants;
	return rows->tenant_count;
}

bool metrics_rows_has_tenants(const struct metrics_rows *rows)
{
	return rows->detail == METRICS_TENANTS;
}

void metrics_rows_free(struct metrics_rows *rows)
{
	struct service *service, *next;

	LIST_REMOVE(rows, next);
	HASH_ITER (hh, rows->index, service, next) {
		HASH_DEL(rows->index, service);
		free(service->name);
		free(service);
	}
	for (size_t i = 0; i < rows->service_count; i++)
		free(rows->services[i].labels);
	for (size_t i = 0; i < rows->tenant_count; i++)
		free(rows->tenants[i].labels);
	free(rows->services);
	free(rows->tenants);
	free(rows);
}
