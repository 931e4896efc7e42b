/*
 * Turns to start: at most max_concurrent_starts at a time, first come first served within a
 * service, and service by service: one with hundreds that wait does not keep another's single one
 * waiting behind them all. Those of higher priority come first. Where there is no room for another
 * process (see budget.h) only the first is let in, as soon as there is.
 */
#ifndef TEN_START_QUEUE_H
#define TEN_START_QUEUE_H

#include "daemon/instance.h"

void start_queue_enter(struct daemon *d, struct instance *instance);
/* Somebody waits for INSTANCE: those for whom nobody does come after it, however early they came.
 */
void start_queue_hurry(struct daemon *d, struct instance *instance);
void start_queue_leave(struct daemon *d, struct instance *instance);

/* Whether it is INSTANCE's turn; who has not queued does not pass those who have. */
bool start_queue_may(struct daemon *d, const struct instance *instance);

/* Its priority may have changed. */
void start_queue_sort(struct daemon *d, struct instance *instance);

/* How many of those that wait have their turn. */
size_t start_queue_turns(const struct daemon *d);

/* There may be room: mark those whose turn it is. */
void start_queue_mark(struct daemon *d);

#endif
