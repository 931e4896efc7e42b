#include "calendar.h"

#include <assert.h>
#include <stdlib.h>

#define MINUTE 60
#define HOUR   3600
#define DAY    86400

/* Days looked at around one: a week, what begins a day earlier, and what a clock that is put
 * forward by a day leaves out. */
#define DAYS_BEFORE 9
#define DAYS_AFTER  9
#define SPANS_MAX   (CALENDAR_RULES_MAX * (DAYS_BEFORE + DAYS_AFTER + 1))

static int64_t floor_div(int64_t a, int64_t b)
{
	return a / b - (a % b < 0);
}

/* When the clocks of ZONE, which are AHEAD at FROM and not at TO, are first set differently. */
static int64_t find_change(
	const char *zone, int64_t from, int64_t to, int64_t ahead, calendar_offset *offset)
{
	while (to - from > 1) {
		int64_t middle = from + (to - from) / 2;

		if (offset(zone, middle) == ahead)
			from = middle;
		else
			to = middle;
	}
	return to;
}

/* When the clocks of ZONE show WALL (seconds since they would have shown the epoch): the first time
 * that they do, or when they pass over it. */
static int64_t time_of(const char *zone, int64_t wall, calendar_offset *offset)
{
	int64_t before = offset(zone, wall - DAY), after = offset(zone, wall + DAY);
	bool is_before = offset(zone, wall - before) == before;
	bool is_after = offset(zone, wall - after) == after;

	if (is_before && is_after)
		return before > after ? wall - before : wall - after;
	if (is_before)
		return wall - before;
	if (is_after)
		return wall - after;
	return find_change(zone, wall - DAY, wall + DAY, before, offset);
}

static int64_t day_of(const struct calendar_rule *rule, int64_t time, calendar_offset *offset)
{
	return floor_div(time + offset(rule->zone, time), DAY);
}

/* The epoch was a Thursday. */
static bool has_day(const struct calendar_rule *rule, int64_t day)
{
	return rule->days >> (((day + 3) % 7 + 7) % 7) & 1;
}

/* ---- windows ---- */

static struct calendar_span span_of(
	const struct calendar_rule *rule, int64_t day, calendar_offset *offset)
{
	int64_t wall = day * DAY;
	struct calendar_span span = {
		time_of(rule->zone, wall + rule->begin * MINUTE, offset),
		time_of(rule->zone, wall + rule->end * MINUTE, offset),
	};

	/* All of it is passed over. */
	if (span.end <= span.begin)
		span.end = span.begin + (rule->end - rule->begin) * MINUTE;
	return span;
}

static int by_begin(const void *a, const void *b)
{
	int64_t left = ((const struct calendar_span *)a)->begin;
	int64_t right = ((const struct calendar_span *)b)->begin;

	return left < right ? -1 : left > right;
}

/* The spans around TIME, in order; those that meet are one. Returns how many there are. */
static size_t find_spans(const struct calendar_rule *rules, size_t count, int64_t time,
	calendar_offset *offset, struct calendar_span *spans)
{
	size_t used = 0, merged = 0;

	assert(count && count <= CALENDAR_RULES_MAX);
	for (size_t r = 0; r < count; r++) {
		int64_t today = day_of(&rules[r], time, offset);

		for (int64_t day = today - DAYS_BEFORE; day <= today + DAYS_AFTER; day++)
			if (has_day(&rules[r], day))
				spans[used++] = span_of(&rules[r], day, offset);
	}
	assert(used);
	qsort(spans, used, sizeof(spans[0]), by_begin);
	for (size_t i = 1; i < used; i++) {
		if (spans[i].begin > spans[merged].end)
			spans[++merged] = spans[i];
		else if (spans[i].end > spans[merged].end)
			spans[merged].end = spans[i].end;
	}
	return merged + 1;
}

struct calendar_span calendar_window(
	const struct calendar_rule *rules, size_t count, int64_t time, calendar_offset *offset)
{
	struct calendar_span spans[SPANS_MAX];
	size_t used = find_spans(rules, count, time, offset, spans), i = 0;

	while (i + 1 < used && spans[i].end <= time)
		i++;
	return spans[i];
}

int64_t calendar_window_end(
	const struct calendar_rule *rules, size_t count, int64_t time, calendar_offset *offset)
{
	struct calendar_span spans[SPANS_MAX];
	size_t used = find_spans(rules, count, time, offset, spans);
	int64_t end = INT64_MIN;

	for (size_t i = 0; i < used && spans[i].end <= time; i++)
		end = spans[i].end;
	return end;
}

/* ---- moments ---- */

/* The first time from FROM on at which the minute is RULE's, if the clocks stay as they are. */
static int64_t in_the_hour(const struct calendar_rule *rule, int64_t from, int64_t ahead)
{
	int64_t wall = from + ahead - rule->begin * MINUTE;

	return from + (floor_div(wall + HOUR - 1, HOUR) * HOUR - wall);
}

static int64_t next_hourly(const struct calendar_rule *rule, int64_t time, calendar_offset *offset)
{
	int64_t ahead = offset(rule->zone, time);
	int64_t next = in_the_hour(rule, time + 1, ahead);

	if (offset(rule->zone, next) == ahead)
		return next;
	/* (They are put on by half an hour in places.) */
	next = find_change(rule->zone, time, next, ahead, offset);
	return in_the_hour(rule, next, offset(rule->zone, next));
}

static int64_t moment_of(const struct calendar_rule *rule, int64_t day, calendar_offset *offset)
{
	return time_of(rule->zone, day * DAY + rule->begin * MINUTE, offset);
}

static int64_t next_of(const struct calendar_rule *rule, int64_t time, calendar_offset *offset)
{
	int64_t day;

	if (rule->hourly)
		return next_hourly(rule, time, offset);
	for (day = day_of(rule, time, offset) - 2;; day++) {
		int64_t moment = has_day(rule, day) ? moment_of(rule, day, offset) : time;

		if (moment > time)
			return moment;
	}
}

static int64_t last_of(const struct calendar_rule *rule, int64_t time, calendar_offset *offset)
{
	int64_t from = time - 2 * HOUR, next, day;

	if (rule->hourly) {
		while ((next = next_hourly(rule, from, offset)) <= time)
			from = next;
		return from;
	}
	for (day = day_of(rule, time, offset) + 2;; day--) {
		int64_t moment = has_day(rule, day) ? moment_of(rule, day, offset) : time + 1;

		if (moment <= time)
			return moment;
	}
}

int64_t calendar_next_moment(
	const struct calendar_rule *rules, size_t count, int64_t time, calendar_offset *offset)
{
	int64_t first = INT64_MAX;

	for (size_t i = 0; i < count; i++) {
		int64_t moment = next_of(&rules[i], time, offset);

		if (moment < first)
			first = moment;
	}
	return first;
}

int64_t calendar_last_moment(
	const struct calendar_rule *rules, size_t count, int64_t time, calendar_offset *offset)
{
	int64_t last = INT64_MIN;

	for (size_t i = 0; i < count; i++) {
		int64_t moment = last_of(&rules[i], time, offset);

		if (moment > last)
			last = moment;
	}
	return last;
}
