/*
 * What GET /metrics tells of tenants and of services, read tenant by tenant. A row is a copy: while
 * the text is made from it, over several turns of the loop, tenants may come and go.
 */
#ifndef TEN_METRICS_ROWS_H
#define TEN_METRICS_ROWS_H

#include "board_answers.h"
#include "daemon/counters.h"
#include "daemon/instance.h"

enum metrics_health {
	METRICS_HEALTHY,
	METRICS_DEGRADED,
	METRICS_UNHEALTHY,
	METRICS_HEALTHS, /* also: unknown */
};
extern const char *const metrics_health_names[METRICS_HEALTHS];

/* A service, or one tenant of it. */
struct metrics_row {
	char *labels; /* service="notes",id="alice" */
	bool is_service;
	bool used; /* it was asked for: what the board has of it may be other than 0 */
	bool has_cpu, has_memory, has_storage, has_quota;
	uint64_t states[INSTANCE_STATES];
	uint64_t healths[METRICS_HEALTHS];
	struct board_use use;
	struct board_total total;
	struct service_counters counters;
	uint64_t cpu_usec, memory_bytes, storage_bytes, quota_bytes;
};

struct metrics_rows;

/* The services that there are. TENANTS: there is to be a row for each tenant as well. */
enum metrics_detail { METRICS_SERVICES, METRICS_TENANTS };
struct metrics_rows *metrics_rows_begin(struct daemon *d, enum metrics_detail detail);

/* Read on, for about SECONDS. False: that was all. */
bool metrics_rows_read(struct daemon *d, struct metrics_rows *rows, double seconds);

/* INSTANCE is about to leave, and its numbers to be counted among those of who is gone: whoever is
 * reading, and has not come to it, reads it now. */
void metrics_rows_leaving(struct daemon *d, struct instance *instance);

size_t metrics_rows_services(const struct metrics_rows *rows, const struct metrics_row **list);
size_t metrics_rows_tenants(const struct metrics_rows *rows, const struct metrics_row **list);
bool metrics_rows_has_tenants(const struct metrics_rows *rows);
void metrics_rows_free(struct metrics_rows *rows);

#endif
