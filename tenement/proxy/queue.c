#include "queue.h"

#include <utlist.h>

#include "limit.h"
#include "common/clock.h"
#include "proxy/dispatch.h"
#include "proxy/exchange.h"
#include "proxy/relay.h"
#include "proxy/slot_map.h"
#include "proxy/worker.h"

#define LOOK_SECONDS 0.002
#define SLICE_MS     50 /* that a worker may go on handing places to its own */
#define PAUSE_MS     8  /* that it then leaves them to others */

struct queue {
	struct slot_entry entry;
	struct queue *next, *prev; /* among those to be looked at */
	uint32_t most;             /* the instance's max_concurrent, as of the last who came */
	bool to_look;
	uint64_t slice_since_ms; /* 0: nobody waits elsewhere */
	uint64_t pause_until_ms;
	struct exchange *first;
};

static struct queue *queue_make(struct worker *worker, uint32_t slot)
{
	struct queue *made = slot_map_make(&worker->queues, slot, sizeof(*made));

	if (made && !ev_is_active(&worker->queue_timer))
		ev_timer_again(worker->loop, &worker->queue_timer);
	return made;
}

static void queue_look_later(struct worker *worker, struct queue *queue)
{
	if (queue->to_look)
		return;
	queue->to_look = true;
	DL_APPEND(worker->queues_to_look, queue);
}

static void queue_looked(struct worker *worker, struct queue *queue)
{
	if (queue->to_look)
		DL_DELETE(worker->queues_to_look, queue);
	queue->to_look = false;
}

static void queue_free(struct worker *worker, struct queue *queue)
{
	queue_looked(worker, queue);
	slot_map_drop(&worker->queues, &queue->entry);
	if (!worker->queues)
		ev_timer_stop(worker->loop, &worker->queue_timer);
}

bool queue_enter(struct exchange *exchange, const struct route_instance *instance)
{
	struct worker *worker = exchange->worker;
	uint32_t slot = exchange->target.slot;
	_Atomic uint32_t *count = &worker->board->slots[slot].queued;
	_Atomic uint32_t *ledger = &worker->cells[slot].queued;
	/* Who has waited already has a right to go on. */
	uint32_t most = exchange->from_queue ? UINT32_MAX : instance->queue_size;
	struct queue *queue;

	if (!limit_count_take(count, ledger, most))
		return false;
	queue = queue_make(worker, slot);
	if (!queue) {
		limit_count_give(count, ledger);
		return false;
	}
	queue->most = instance->max_concurrent;
	if (exchange->from_queue)
		DL_PREPEND(queue->first, exchange);
	else
		DL_APPEND(queue->first, exchange);
	exchange->queued = true;
	if (exchange->trace.note && !exchange->trace.note->queue_from_us)
		exchange->trace.note->queue_from_us = clock_us(CLOCK_MONOTONIC);
	exchange->state = EXCHANGE_WAIT;
	if (!exchange->queue_until_ms)
		exchange->queue_until_ms = worker->now_ms + instance->queue_timeout_ms;
	deadline_set(&worker->wheel, &exchange->deadline, exchange->queue_until_ms);
	relay_watch(exchange);
	return true;
}

void queue_leave(struct exchange *exchange)
{
	struct worker *worker = exchange->worker;
	uint32_t slot = exchange->target.slot;
	struct queue *queue;

	if (!exchange->queued)
		return;
	queue = slot_map_find(worker->queues, slot);
	DL_DELETE(queue->first, exchange);
	exchange->queued = false;
	if (exchange->trace.note)
		exchange->trace.note->queue_until_us = clock_us(CLOCK_MONOTONIC);
	deadline_stop(&exchange->deadline);
	limit_count_give(&worker->board->slots[slot].queued, &worker->cells[slot].queued);
	if (!queue->first)
		queue_free(worker, queue);
}

void queue_expired(struct exchange *exchange)
{
	exchange_refuse(exchange, 503, BOARD_REFUSED_CONCURRENT,
		"the application was busy with other requests for too long");
}

/* Whether the first may try now. What has changed meanwhile is for dispatch to find out. */
static bool first_may_try(struct worker *worker, struct queue *queue)
{
	const struct exchange *first = queue->first;
	struct board_slot *slot = &worker->board->slots[queue->entry.slot];
	uint32_t own = atomic_load_explicit(
		&worker->cells[queue->entry.slot].queued, memory_order_relaxed);
	enum instance_state state;

	if (first->resolved_generation != worker->generation ||
		!route_table_state(worker->table, first->target, &state) || state != INSTANCE_READY)
		return true;
	if (atomic_load_explicit(&slot->admitted, memory_order_relaxed) >= queue->most ||
		worker->now_ms < queue->pause_until_ms)
		return false;
	if (atomic_load_explicit(&slot->queued, memory_order_relaxed) <= own) {
		queue->slice_since_ms = 0;
		return true;
	}
	if (!queue->slice_since_ms)
		queue->slice_since_ms = worker->now_ms;
	if (worker->now_ms - queue->slice_since_ms < SLICE_MS)
		return true;
	queue->slice_since_ms = 0;
	queue->pause_until_ms = worker->now_ms + PAUSE_MS;
	return false;
}

static void slot_serve(struct worker *worker, uint32_t slot)
{
	struct queue *queue;

	while ((queue = slot_map_find(worker->queues, slot)) && first_may_try(worker, queue)) {
		struct exchange *exchange = queue->first;

		queue_leave(exchange);
		exchange->from_queue = true;
		dispatch_try(exchange);
		exchange->from_queue = false;
		if (exchange->queued && exchange->target.slot == slot)
			break;
	}
}

void queue_run(struct worker *worker)
{
	while (worker->queues_to_look) {
		struct queue *queue = worker->queues_to_look;

		queue_looked(worker, queue);
		slot_serve(worker, queue->entry.slot);
	}
}

void queue_place_is_free(struct worker *worker, uint32_t slot)
{
	struct queue *queue = slot_map_find(worker->queues, slot);

	if (queue)
		queue_look_later(worker, queue);
}

static void look_event(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct worker *worker = timer->data;
	struct slot_entry *entry;
	struct slot_entry *next;

	(void)loop;
	(void)events;
	HASH_ITER (hh, worker->queues, entry, next)
		queue_look_later(worker, (struct queue *)entry);
}

void queue_init(struct worker *worker)
{
	ev_init(&worker->queue_timer, look_event);
	worker->queue_timer.repeat = LOOK_SECONDS;
	worker->queue_timer.data = worker;
}
