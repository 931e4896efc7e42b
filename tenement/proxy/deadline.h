/*
 * Deadlines: one coarse wheel instead of a timer per connection. A deadline is at most two ticks
 * late and never early.
 *
 * Putting a deadline off, which happens with every byte that moves, writes one number; the entry is
 * moved when its old time comes.
 */
#ifndef TEN_PROXY_DEADLINE_H
#define TEN_PROXY_DEADLINE_H

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>

#define DEADLINE_TICK_MS 8
#define DEADLINE_SLOTS   2048 /* about 16 s; what is later goes round again */

/* Embedded in what has a deadline. Zeroed is "none". */
struct deadline {
	struct deadline *next; /* NULL: not in the wheel */
	struct deadline *prev;
	uint64_t at_ms;
	uint64_t tick;
	void (*expired)(struct deadline *deadline); /* the deadline is stopped by then */
};

struct deadline_wheel {
	struct ev_loop *loop;
	ev_timer timer;
	uint64_t tick;       /* the last one that was run */
	uint64_t armed_tick; /* what the timer waits for; 0: it is stopped */
	bool running;
	const uint64_t *now_ms;
	uint64_t occupied[DEADLINE_SLOTS / 64];
	struct deadline slots[DEADLINE_SLOTS]; /* heads of rings */
};

/* *NOW_MS is the worker's clock, set once per turn of LOOP. */
void deadline_wheel_init(
	struct deadline_wheel *wheel, struct ev_loop *loop, const uint64_t *now_ms);

void deadline_set(struct deadline_wheel *wheel, struct deadline *deadline, uint64_t at_ms);
void deadline_stop(struct deadline *deadline);

static inline bool deadline_is_set(const struct deadline *deadline)
{
	return deadline->next != NULL;
}

#endif
