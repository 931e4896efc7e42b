/*
 * What became of a request's time while its tenant was woken: in the queue for its turn, the making
 * of the process, its boot, and its first byte. The daemon writes the moments on the board.
 */
#ifndef TEN_PROXY_TIMING_H
#define TEN_PROXY_TIMING_H

#include <stdbool.h>
#include <stdint.h>

#include "route_table.h"

struct exchange;

#define TIMING_TEXT_MAX 160

/* EXCHANGE waits for its tenant; the first time counts. */
void timing_wait(struct exchange *exchange);

/* Its time is over: put off by what it has spent in the queue for its turn to start, which is not
 * the tenant's? */
bool timing_extends(struct exchange *exchange, const struct route_instance *instance);

/* Its time is over, and what its tenant waits for is not a turn but room for one more process. */
bool timing_no_room(const struct exchange *exchange);

/* The head of its answer is there: noted on the board. Returns the length of what Server-Timing
 * says of it, in TEXT; 0: it was not woken for it. */
uint32_t timing_answered(struct exchange *exchange, char text[TIMING_TEXT_MAX]);

#endif
