/*
 * The blast-radius guard: removals wait for a second of quiet and are counted over ten minutes
 * against the largest accepted set, so that a stray `rm` or a script that removes one file after
 * the other stops few tenants. Pure; times are seconds of a monotonic clock.
 */
#ifndef TEN_GUARD_H
#define TEN_GUARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GUARD_WINDOW_SECONDS 600.0
#define GUARD_QUIET_SECONDS  1.0
#define GUARD_FREE_REMOVALS  5 /* so many within a window are never held */
#define GUARD_EVENTS         64

struct guard {
	struct guard_event {
		double time;
		size_t removed;
	} events[GUARD_EVENTS]; /* the oldest first */
	size_t event_count;
	struct guard_size {
		double time;
		size_t tenants;
	} sizes[GUARD_EVENTS]; /* decreasing: the largest of the window is the first */
	size_t size_count;
};

/* Tell how many tenants are declared now. */
void guard_note_size(struct guard *guard, double now, size_t tenants);

/* Whether REMOVALS more may happen now. MAX_PERCENT of 100 allows everything. */
bool guard_allows(struct guard *guard, double now, size_t removals, int64_t max_percent);

/* They happened. After a confirmation they do not count against the next ones: FORGET first. */
void guard_note_removals(struct guard *guard, double now, size_t removals);
void guard_forget(struct guard *guard);

/* So many of those that were removed are declared again: they count no more. */
void guard_note_returns(struct guard *guard, double now, size_t returns);

/* How many were removed within the window, and of how many at the most. */
size_t guard_removed(struct guard *guard, double now);
size_t guard_largest(struct guard *guard, double now);

#endif
