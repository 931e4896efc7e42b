/*
 * Health checks of a ready tenant that has a health path: every health_check_interval, unhealthy
 * after three failures in a row.
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

#endif
