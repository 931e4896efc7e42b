/*
 * Requests that wait for a place among those that an instance may have in hand (max_concurrent):
 * per slot, in the order in which they came to this worker.
 *
 * A place that becomes free in this worker goes to its first waiter before the loop sleeps again.
 * One that becomes free in another is found by looking every few milliseconds while anybody waits.
 * So that a worker whose places come free all the time does not keep them to itself, it lets one go
 * by now and then while requests wait in other workers.
 */
#ifndef TEN_PROXY_QUEUE_H
#define TEN_PROXY_QUEUE_H

#include <stdbool.h>
#include <stdint.h>

#include "route_table.h"

struct worker;
struct exchange;

void queue_init(struct worker *worker);

/* Put EXCHANGE behind the others (or before them, where it comes from the queue). False: as many
 * wait as may. */
bool queue_enter(struct exchange *exchange, const struct route_instance *instance);
void queue_leave(struct exchange *exchange);

/* It has waited for as long as it may. */
void queue_expired(struct exchange *exchange);

/* A request of SLOT has ended: its place goes to who waits, in queue_run(). */
void queue_place_is_free(struct worker *worker, uint32_t slot);

/* Before the loop sleeps. */
void queue_run(struct worker *worker);

#endif
