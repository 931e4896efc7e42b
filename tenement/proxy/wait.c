#include "wait.h"

#include <stdlib.h>
#include <utlist.h>

#include "common/clock.h"
#include "proxy/dispatch.h"
#include "proxy/exchange.h"
#include "proxy/slot_map.h"
#include "proxy/timing.h"
#include "proxy/worker.h"

struct waiting_slot {
	struct slot_entry entry;
	uint32_t asking; /* those that want it up, and not only to know what becomes of it */
	uint32_t judged; /* those that the firewall looks at when it sleeps */
	struct exchange *first;
};

static void ask_for(struct worker *worker, const struct waiting_slot *list)
{
	if (!list->asking)
		return;
	board_want(worker->page, list->entry.slot);
	worker_ring(worker);
}

bool wait_enter(struct exchange *exchange, const struct route_instance *instance, uint32_t retry_ms)
{
	struct worker *worker = exchange->worker;
	uint32_t slot = exchange->target.slot;
	struct waiting_slot *list;
	struct board_use use;

	board_use(worker->board, slot, &use);
	list = use.waiting < instance->wake_queue
		       ? slot_map_make(&worker->waiting, slot, sizeof(*list))
		       : NULL;
	if (!list)
		return false;
	DL_APPEND(list->first, exchange);
	exchange->waiting = true;
	timing_wait(exchange);
	exchange->state = EXCHANGE_WAIT;
	if (!exchange->wait_until_ms)
		exchange->wait_until_ms = worker->now_ms + instance->wait_ms;
	exchange->retry_at_ms = retry_ms ? worker->now_ms + retry_ms : 0;
	deadline_set(&worker->wheel, &exchange->deadline,
		retry_ms && exchange->retry_at_ms < exchange->wait_until_ms
			? exchange->retry_at_ms
			: exchange->wait_until_ms);
	atomic_fetch_add_explicit(&worker->cells[slot].waiting, 1, memory_order_seq_cst);
	list->asking += !exchange->quiet;
	list->judged += exchange->judged;
	ask_for(worker, list);
	return true;
}

void wait_leave(struct exchange *exchange)
{
	struct worker *worker = exchange->worker;
	uint32_t slot = exchange->target.slot;
	struct waiting_slot *list;

	if (!exchange->waiting)
		return;
	list = slot_map_find(worker->waiting, slot);
	DL_DELETE(list->first, exchange);
	list->asking -= !exchange->quiet;
	list->judged -= exchange->judged;
	exchange->waiting = false;
	if (exchange->trace.note)
		exchange->trace.note->wait_until_us = clock_us(CLOCK_MONOTONIC);
	deadline_stop(&exchange->deadline);
	atomic_fetch_sub_explicit(&worker->cells[slot].waiting, 1, memory_order_seq_cst);
	if (!list->first)
		slot_map_drop(&worker->waiting, &list->entry);
}

/* Nothing has changed for those that wait for this slot: only the wish is made again. */
static bool still_waits(struct worker *worker, const struct waiting_slot *list)
{
	/* They are told so at once. */
	if (worker_ends(worker))
		return false;
	const struct exchange *first = list->first;
	enum instance_state state;

	if (first->resolved_generation != worker->generation ||
		!route_table_state(worker->table, first->target, &state))
		return false;
	switch (state) {
	case INSTANCE_ASLEEP:
	case INSTANCE_FROZEN:
		return !list->judged;
	case INSTANCE_STARTING:
	case INSTANCE_DRAINING:
	case INSTANCE_STOPPING:
	case INSTANCE_BACKOFF:
		return true;
	default:
		return false;
	}
}

/* Those that go on waiting append themselves to a list of the same slot anew, so each is looked at
 * once. */
static void slot_examine(struct worker *worker, uint32_t slot)
{
	struct waiting_slot *list = slot_map_find(worker->waiting, slot);
	struct exchange *last = list->first->prev;
	struct exchange *exchange;

	do {
		list = slot_map_find(worker->waiting, slot);
		if (!list)
			return;
		exchange = list->first;
		wait_leave(exchange);
		dispatch_try(exchange);
	} while (exchange != last);
}

void wait_examine(struct worker *worker)
{
	struct slot_entry *entry;
	struct slot_entry *next;
	uint32_t count = HASH_COUNT(worker->waiting);
	uint32_t *slots;
	uint32_t used = 0;

	if (!count)
		return;
	/* Trying changes the hash: take note of the slots first. Without memory for that, the
	 * deadlines of the requests see to them. */
	slots = calloc(count, sizeof(*slots));
	if (!slots)
		return;
	HASH_ITER (hh, worker->waiting, entry, next) {
		const struct waiting_slot *list = (const struct waiting_slot *)entry;

		if (still_waits(worker, list))
			ask_for(worker, list);
		else
			slots[used++] = entry->slot;
	}
	for (uint32_t i = 0; i < used; i++)
		if (slot_map_find(worker->waiting, slots[i]))
			slot_examine(worker, slots[i]);
	free(slots);
}
