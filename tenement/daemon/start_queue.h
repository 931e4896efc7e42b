/*
 * Turns to start: at most max_concurrent_starts at a time, first come first served within a
 * service, and service by service: one with hundreds that wait does not keep another's single one
 * waiting behind them all.
 */
#ifndef TEN_START_QUEUE_H
#define TEN_START_QUEUE_H

#include "daemon/instance.h"

void start_queue_enter(struct daemon *d, struct instance *instance);
void start_queue_leave(struct daemon *d, struct instance *instance);

/* Whether it is INSTANCE's turn; who has not queued does not pass those who have. */
bool start_queue_may(const struct daemon *d, const struct instance *instance);

/* There may be room: mark those whose turn it is. */
void start_queue_mark(struct daemon *d);

#endif
