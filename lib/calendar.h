/*
 * Hours and moments of the week, as people write them: "Mon-Fri 08:00-18:00 Europe/Berlin" (a
 * window), "daily 03:00", "Mon,Thu 04:30 UTC" and "hourly :15" (moments). When they are, in seconds
 * since the epoch, follows from what a clock on the wall of their zone shows.
 *
 * What would begin or end in an hour that is skipped does so at the next time that there is, when
 * the clock is put forward; in an hour that comes twice it does so the first time, and once. An
 * hourly moment goes by real hours.
 */
#ifndef TEN_CALENDAR_H
#define TEN_CALENDAR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "error.h"

#define CALENDAR_ZONE_MAX  63
#define CALENDAR_RULES_MAX 32 /* in one list */

struct calendar_rule {
	uint8_t days;   /* bit 0: Monday */
	bool hourly;    /* a moment of every hour; .begin is its minute */
	uint16_t begin; /* minutes since midnight */
	uint16_t end;   /* of a window; after .begin, beyond 24 hours where it ends the next day */
	char zone[CALENDAR_ZONE_MAX + 1]; /* "": the machine's own */
};

/* -1: *err says what is wrong with TEXT and how it would be right. The zone is one that could be.
 */
int calendar_read_window(const char *text, struct calendar_rule *rule, struct ten_error *err);
int calendar_read_moment(const char *text, struct calendar_rule *rule, struct ten_error *err);

/* How many seconds the clocks of ZONE are ahead of UTC at TIME. */
typedef int64_t calendar_offset(const char *zone, int64_t time);

/* Whether the machine's database has ZONE; "" and "UTC" are always there. */
bool calendar_zone_known(const char *zone);

struct calendar_span {
	int64_t begin, end; /* from, and no longer at */
};

/* The first stretch of time after or around TIME that the COUNT windows cover together. One that
 * never ends is given an end more than a week away. */
struct calendar_span calendar_window(
	const struct calendar_rule *rules, size_t count, int64_t time, calendar_offset *offset);

/* When they last ended, until TIME. INT64_MIN where nothing of the last week does. */
int64_t calendar_window_end(
	const struct calendar_rule *rules, size_t count, int64_t time, calendar_offset *offset);

/* The first of the moments after TIME, and the last one until TIME. INT64_MAX and INT64_MIN where
 * there are no rules. */
int64_t calendar_next_moment(
	const struct calendar_rule *rules, size_t count, int64_t time, calendar_offset *offset);
int64_t calendar_last_moment(
	const struct calendar_rule *rules, size_t count, int64_t time, calendar_offset *offset);

#endif
