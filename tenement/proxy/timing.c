#include "timing.h"

#include <stdio.h>

#include "common/clock.h"
#include "proxy/exchange.h"
#include "proxy/worker.h"

/* However long the queue is: nobody waits for ever. */
#define TURN_MOST_US 300000000u

static struct board_wake *wake_of(const struct exchange *exchange)
{
	return &exchange->worker->board->wakes[exchange->target.slot];
}

void timing_wait(struct exchange *exchange)
{
	if (!exchange->waited_from_us)
		exchange->waited_from_us = clock_us(CLOCK_MONOTONIC);
}

bool timing_no_room(const struct exchange *exchange)
{
	return atomic_load(&exchange->worker->board->no_room) &&
	       atomic_load(&wake_of(exchange)->turn_us) == BOARD_TURN_WAITS;
}

bool timing_extends(struct exchange *exchange, const struct route_instance *instance)
{
	uint64_t turn = atomic_load(&wake_of(exchange)->turn_us);
	uint64_t now = clock_us(CLOCK_MONOTONIC);
	uint64_t until_ms;

	if (now - exchange->waited_from_us > TURN_MOST_US)
		return false;
	if (turn == BOARD_TURN_WAITS) {
		until_ms = exchange->worker->now_ms + instance->wait_ms;
	} else {
		if (exchange->had_turn || turn < exchange->waited_from_us ||
			!atomic_load(&wake_of(exchange)->queued))
			return false;
		exchange->had_turn = true;
		until_ms = turn / 1000 + instance->wait_ms;
	}
	if (until_ms <= exchange->worker->now_ms)
		return false;
	exchange->wait_until_ms = until_ms;
	return true;
}

static uint64_t later(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* Milliseconds, to the microsecond. */
static double span(uint64_t from, uint64_t to)
{
	return to > from ? (double)(to - from) / 1000 : 0;
}

uint32_t timing_answered(struct exchange *exchange, char text[TIMING_TEXT_MAX])
{
	struct board_wake *wake = wake_of(exchange);
	uint64_t from = exchange->waited_from_us;
	uint64_t turn = atomic_load(&wake->turn_us);
	uint64_t spawned = atomic_load(&wake->spawned_us);
	uint64_t ready = atomic_load(&wake->ready_us);
	uint64_t now = clock_us(CLOCK_MONOTONIC), none = 0;
	int len;

	/* It waited, but for something else: a place in the listen queue, or the end of a drain. */
	if (ready < from || turn > ready || now < ready)
		return 0;
	atomic_compare_exchange_strong(&wake->first_byte_us, &none, now);
	if (!exchange->server_timing)
		return 0;
	len = snprintf(text, TIMING_TEXT_MAX,
		"queue;dur=%.3f, spawn;dur=%.3f, boot;dur=%.3f, first-byte;dur=%.3f",
		span(from, turn), span(later(from, turn), spawned),
		span(later(from, spawned), ready), span(ready, now));
	return len > 0 && len < TIMING_TEXT_MAX ? (uint32_t)len : 0;
}
