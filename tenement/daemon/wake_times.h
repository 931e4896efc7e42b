/*
 * How long wakes take: the moments of each start, on the board for the proxy, and counted by
 * service for GET /metrics.
 */
#ifndef TEN_WAKE_TIMES_H
#define TEN_WAKE_TIMES_H

#include "daemon/instance.h"
#include "metrics.h"

void wake_times_wanted(struct instance *instance); /* before it is marked so */
void wake_times_queued(struct daemon *d, struct instance *instance);
void wake_times_unqueued(struct daemon *d, struct instance *instance);
/* Before it leaves the queue. */
void wake_times_turn(struct daemon *d, struct instance *instance);
void wake_times_spawned(struct daemon *d, struct instance *instance);
void wake_times_ready(struct daemon *d, struct instance *instance);

/* Take note of first bytes that the proxy has told of since. */
void wake_times_collect(struct daemon *d, struct instance *instance);

/* The samples of GET /metrics. Take note of all first. */
void wake_times_put(struct daemon *d, struct metrics_out *out);

#endif
