/*
 * What tenants use, as it is read and as it is kept per hour.
 *
 * A reading says what the counters of a tenant show, not what has come since: they only grow, each
 * as long as its source lives (a process; a slot of the board). Who keeps them (usage_db.h) stores
 * what it saw of each source last together with what it credits for the difference, so that a
 * reading that comes twice, late or never counts nothing twice.
 */
#ifndef TEN_USAGE_H
#define TEN_USAGE_H

#include <stddef.h>
#include <stdint.h>

#include "names.h"

#define USAGE_UNKNOWN   UINT64_MAX
#define USAGE_NAME_SIZE (NAMES_MAX + 1)
#define USAGE_RUN_SIZE  96

/* Of a tenant's process, and of all that came of it. */
struct usage_run {
	char name[USAGE_RUN_SIZE]; /* of no other process ever; "": it has none */
	uint64_t began_ms;         /* CLOCK_MONOTONIC */
	uint64_t ended;            /* whether this is the last that is heard of it */
	/* counters; USAGE_UNKNOWN: nobody knows */
	uint64_t uptime_ms;
	uint64_t cpu_usec;
	uint64_t io_read_bytes, io_written_bytes;
	uint64_t oom_kills;
	/* memory times time, counted by the daemon with that number and no other: later ones have
	 * larger numbers, and begin at 0 */
	uint64_t memory_kib_secs;
	uint64_t life;
	/* the most since the reading before */
	uint64_t memory_max_bytes;
};

/* Of its slot of the board. */
struct usage_slot {
	uint64_t board; /* which board; 0: it has none */
	uint64_t slot, incarnation;
	uint64_t requests, bytes_in, bytes_out;
};

struct usage_reading {
	char service[USAGE_NAME_SIZE];
	char id[USAGE_NAME_SIZE];
	int64_t hour; /* that it is credited to: since the epoch, UTC */
	struct usage_run run;
	struct usage_slot slot;
	uint64_t stored_bytes; /* USAGE_UNKNOWN: nobody knows */
};

/* What was used in an hour, a day, or all of the time that is asked for. */
struct usage_sum {
	uint64_t requests, bytes_in, bytes_out;
	uint64_t cpu_usec, uptime_ms;
	uint64_t memory_kib_secs, memory_max_bytes;
	uint64_t io_read_bytes, io_written_bytes;
	uint64_t starts, oom_kills;
	uint64_t stored_bytes; /* the most; USAGE_UNKNOWN: nobody knows */
};

enum usage_by { USAGE_BY_TENANT, USAGE_BY_DAY, USAGE_BY_HOUR };

/* Rows come in order of time, those of one time in order of .tenant: what is behind .after_hour and
 * .after_tenant of it, so that much can be asked for piece by piece. */
struct usage_query {
	char service[USAGE_NAME_SIZE]; /* "": all */
	char id[USAGE_NAME_SIZE];      /* "": all of the service */
	int64_t since, until;          /* hours; that of .until is not among them */
	uint64_t by;                   /* enum usage_by */
	int64_t after_hour;            /* of the row before; less than .since: from the beginning */
	int64_t after_tenant;
};

struct usage_row {
	int64_t hour; /* with which it begins */
	int64_t tenant;
	char service[USAGE_NAME_SIZE];
	char id[USAGE_NAME_SIZE];
	struct usage_sum sum;
};

#define USAGE_HOURS_MAX INT64_C(24000000) /* hours that make sense: until the year 4707 */

static inline int64_t usage_hour(int64_t unix_seconds)
{
	return unix_seconds > 0 ? unix_seconds / 3600 : 0;
}

/* The largest time of BY that HOUR is in. */
static inline int64_t usage_begin(enum usage_by by, int64_t hour)
{
	return by == USAGE_BY_DAY ? hour - hour % 24 : hour;
}

/* By how much a counter has grown; one that shows less than before has not. */
static inline uint64_t usage_grown(uint64_t was, uint64_t is)
{
	return is == USAGE_UNKNOWN || is <= was ? 0 : is - was;
}

#endif
