/*
 * Requests that wait until their instance is ready, per slot and in the order they came.
 */
#ifndef TEN_PROXY_WAIT_H
#define TEN_PROXY_WAIT_H

#include <stdbool.h>
#include <stdint.h>

#include "route_table.h"

struct worker;
struct exchange;

/* Put EXCHANGE among those that wait for its target, ask for the slot to be woken, and set its
 * deadline. RETRY_MS: try again after that time without a bell; 0: wait for the bell. False: as
 * many wait as may. */
bool wait_enter(
	struct exchange *exchange, const struct route_instance *instance, uint32_t retry_ms);
void wait_leave(struct exchange *exchange);

/* The bell rang: look at every slot that somebody waits for. */
void wait_examine(struct worker *worker);

#endif
