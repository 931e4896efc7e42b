#include "guard.h"

#include <string.h>

static void expire(struct guard *guard, double now)
{
	size_t gone = 0;

	while (gone < guard->event_count && guard->events[gone].time < now - GUARD_WINDOW_SECONDS)
		gone++;
	guard->event_count -= gone;
	memmove(guard->events, guard->events + gone, guard->event_count * sizeof(*guard->events));
	/* The last size is the present one, however long it has been so. */
	gone = 0;
	while (gone + 1 < guard->size_count && guard->sizes[gone].time < now - GUARD_WINDOW_SECONDS)
		gone++;
	guard->size_count -= gone;
	memmove(guard->sizes, guard->sizes + gone, guard->size_count * sizeof(*guard->sizes));
}

void guard_note_size(struct guard *guard, double now, size_t tenants)
{
	expire(guard, now);
	/* .time is until when that many were declared: a size counts for a window after it ended.
	 */
	if (guard->size_count)
		guard->sizes[guard->size_count - 1].time = now;
	while (guard->size_count && guard->sizes[guard->size_count - 1].tenants <= tenants)
		guard->size_count--;
	if (guard->size_count == GUARD_EVENTS)
		guard->size_count--;
	guard->sizes[guard->size_count++] = (struct guard_size){ now, tenants };
}

size_t guard_removed(struct guard *guard, double now)
{
	size_t removed = 0;

	expire(guard, now);
	for (size_t i = 0; i < guard->event_count; i++)
		removed += guard->events[i].removed;
	return removed;
}

size_t guard_largest(struct guard *guard, double now)
{
	expire(guard, now);
	return guard->size_count ? guard->sizes[0].tenants : 0;
}

bool guard_allows(struct guard *guard, double now, size_t removals, int64_t max_percent)
{
	size_t removed = guard_removed(guard, now) + removals;

	if (max_percent >= 100 || removals == 0 || removed <= GUARD_FREE_REMOVALS)
		return true;
	return removed * 100 < (size_t)max_percent * guard_largest(guard, now);
}

void guard_note_removals(struct guard *guard, double now, size_t removals)
{
	if (!removals)
		return;
	expire(guard, now);
	if (guard->event_count == GUARD_EVENTS) {
		/* Counting the two oldest as one, at the later time, errs on the careful side. */
		guard->events[1].removed += guard->events[0].removed;
		memmove(guard->events, guard->events + 1,
			(GUARD_EVENTS - 1) * sizeof(*guard->events));
		guard->event_count--;
	}
	guard->events[guard->event_count++] = (struct guard_event){ now, removals };
}

void guard_note_returns(struct guard *guard, double now, size_t returns)
{
	expire(guard, now);
	for (size_t i = guard->event_count; i > 0 && returns; i--) {
		struct guard_event *event = &guard->events[i - 1];
		size_t taken = event->removed < returns ? event->removed : returns;

		event->removed -= taken;
		returns -= taken;
	}
}

void guard_forget(struct guard *guard)
{
	size_t present = guard->size_count ? guard->sizes[guard->size_count - 1].tenants : 0;
	double time = guard->size_count ? guard->sizes[guard->size_count - 1].time : 0;

	*guard = (struct guard){ 0 };
	if (present)
		guard->sizes[guard->size_count++] = (struct guard_size){ time, present };
}
