/*
 * Who has to go so that another can run: pure, over what is known of those that have a process.
 *
 * Gone is who is on demand, has no request in hand, waits for none and is not held; of those the
 * lowest priority first, and within one the longest idle. Nobody goes for one of less priority.
 */
#ifndef TEN_EVICTION_H
#define TEN_EVICTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "route_table.h"

#define EVICTION_ANY_PRIORITY INT64_MAX

enum eviction_for {
	EVICTION_FOR_PLACE, /* a process less: a frozen one holds its place */
	EVICTION_FOR_MEMORY,
};

enum eviction_way {
	EVICTION_NONE,
	EVICTION_FREEZE, /* its memory is handed back */
	EVICTION_STOP,
};

struct eviction_tenant {
	enum instance_state state;
	int64_t priority;
	uint64_t last_used_ms; /* CLOCK_MONOTONIC */
	bool on_demand;
	bool in_flight; /* a request is, or waits for it */
	bool connected; /* an upgraded connection that keeps it from being stopped */
	bool held;      /* by an operator, by itself, by its hours */
	bool fresh;     /* it has just been woken and was not used yet */
	bool freezable; /* and what it has in memory can be handed back then */
};

/* What can be done about it, for that. */
enum eviction_way eviction_way_of(const struct eviction_tenant *tenant, enum eviction_for what);

/* The index of who goes first for one of PRIORITY; COUNT: nobody can. */
size_t eviction_choose(const struct eviction_tenant *tenants, size_t count, enum eviction_for what,
	int64_t priority);

/* How many of RUNNING, of which GOING end anyway, have to go so that WANTED more are MAX at the
 * most (0: no bound). */
size_t eviction_missing(size_t running, size_t going, size_t wanted, size_t max);

#endif
