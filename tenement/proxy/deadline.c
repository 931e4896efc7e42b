#include "deadline.h"

#include <stddef.h>
#include <string.h>

static void unlink_entry(struct deadline *entry)
{
	entry->prev->next = entry->next;
	entry->next->prev = entry->prev;
	entry->next = entry->prev = NULL;
}

static void link_entry(struct deadline *head, struct deadline *entry)
{
	entry->prev = head->prev;
	entry->next = head;
	head->prev->next = entry;
	head->prev = entry;
}

static void timer_arm(struct deadline_wheel *wheel, uint64_t tick)
{
	uint64_t at_ms = tick * DEADLINE_TICK_MS;
	uint64_t wait_ms = at_ms > *wheel->now_ms ? at_ms - *wheel->now_ms : 0;

	if (wheel->running || (wheel->armed_tick && wheel->armed_tick <= tick))
		return;
	ev_timer_stop(wheel->loop, &wheel->timer);
	/* One more millisecond: the clock is coarse, and to wake too early is to wake twice. */
	ev_timer_set(&wheel->timer, (double)(wait_ms + 1) / 1000.0, 0.);
	ev_timer_start(wheel->loop, &wheel->timer);
	wheel->armed_tick = tick;
}

static void wheel_insert(struct deadline_wheel *wheel, struct deadline *entry)
{
	uint64_t tick = entry->at_ms / DEADLINE_TICK_MS + 1;
	uint32_t slot;

	/* An empty wheel has stood still. */
	if (!wheel->armed_tick && !wheel->running)
		wheel->tick = *wheel->now_ms / DEADLINE_TICK_MS;
	if (tick <= wheel->tick)
		tick = wheel->tick + 1;
	if (tick >= wheel->tick + DEADLINE_SLOTS)
		tick = wheel->tick + DEADLINE_SLOTS - 1;
	entry->tick = tick;
	slot = tick % DEADLINE_SLOTS;
	link_entry(&wheel->slots[slot], entry);
	wheel->occupied[slot / 64] |= 1ull << (slot % 64);
	timer_arm(wheel, tick);
}

static void slot_run(struct deadline_wheel *wheel, uint32_t slot)
{
	struct deadline *head = &wheel->slots[slot];
	struct deadline due = { 0 };

	if (!(wheel->occupied[slot / 64] & (1ull << (slot % 64))))
		return;
	wheel->occupied[slot / 64] &= ~(1ull << (slot % 64));
	if (head->next == head)
		return;
	due.next = head->next;
	due.prev = head->prev;
	due.next->prev = &due;
	due.prev->next = &due;
	head->next = head->prev = head;
	while (due.next != &due) {
		struct deadline *entry = due.next;
		unlink_entry(entry);
		if (entry->at_ms > *wheel->now_ms)
			wheel_insert(wheel, entry);
		else
			entry->expired(entry);
	}
}

/* The next tick after the present one in whose slot something was put. 0: none. */
static uint64_t next_occupied(const struct deadline_wheel *wheel)
{
	for (uint64_t i = 1; i < DEADLINE_SLOTS;) {
		uint32_t slot = (wheel->tick + i) % DEADLINE_SLOTS;
		uint64_t bits = wheel->occupied[slot / 64] >> (slot % 64);
		if (bits)
			return wheel->tick + i + (uint64_t)__builtin_ctzll(bits);
		i += 64 - slot % 64;
	}
	return 0;
}

static void timer_fired(struct ev_loop *loop, ev_timer *timer, int revents)
{
	struct deadline_wheel *wheel = timer->data;
	uint64_t now = *wheel->now_ms / DEADLINE_TICK_MS;
	uint64_t next;

	(void)loop;
	(void)revents;
	wheel->armed_tick = 0;
	wheel->running = true;
	/* After a long stop of the process every slot is due once, not once per tick that passed.
	 */
	if (now > wheel->tick + DEADLINE_SLOTS)
		wheel->tick = now - DEADLINE_SLOTS;
	while (wheel->tick < now) {
		wheel->tick++;
		slot_run(wheel, wheel->tick % DEADLINE_SLOTS);
	}
	wheel->running = false;
	next = next_occupied(wheel);
	if (next)
		timer_arm(wheel, next);
}

void deadline_wheel_init(struct deadline_wheel *wheel, struct ev_loop *loop, const uint64_t *now_ms)
{
	memset(wheel, 0, sizeof(*wheel));
	wheel->loop = loop;
	wheel->now_ms = now_ms;
	wheel->tick = *now_ms / DEADLINE_TICK_MS;
	for (size_t i = 0; i < DEADLINE_SLOTS; i++)
		wheel->slots[i].next = wheel->slots[i].prev = &wheel->slots[i];
	ev_timer_init(&wheel->timer, timer_fired, 0., 0.);
	wheel->timer.data = wheel;
}

void deadline_set(struct deadline_wheel *wheel, struct deadline *deadline, uint64_t at_ms)
{
	deadline->at_ms = at_ms;
	if (deadline->next) {
		if (at_ms / DEADLINE_TICK_MS + 1 >= deadline->tick)
			return;
		unlink_entry(deadline);
	}
	wheel_insert(wheel, deadline);
}

void deadline_stop(struct deadline *deadline)
{
	if (deadline->next)
		unlink_entry(deadline);
}
