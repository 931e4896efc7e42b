/*
 * Health checks of a ready tenant that has a health path, every health_interval. healthy: the last
 * one was answered well; degraded: it was not; unhealthy: nor were health_failures in a row, and it
 * is drained, stopped and tried again like one that died. Nobody who is asleep or frozen is asked.
 */
#ifndef TEN_HEALTH_H
#define TEN_HEALTH_H

#include "daemon/instance.h"

void health_start(struct daemon *d, struct instance *instance);
/* Not while it is frozen: what was asked meanwhile is forgotten. */
void health_pause(struct daemon *d, struct run *run);
void health_resume(struct daemon *d, struct run *run);
void health_stop(struct daemon *d, struct run *run);
const char *health_name(const struct run *run); /* healthy, degraded, unhealthy, unknown */
/* How its last check failed; NULL: it did not, or there was none. */
const char *health_problem(const struct run *run);

#endif
