/*
 * Waiting for a started tenant to be ready: that it listens on its socket or its port (it may
 * choose), and then, as its spec says, that its health path answers or that it has sent READY=1.
 */
#ifndef TEN_READINESS_H
#define TEN_READINESS_H

#include "daemon/instance.h"

/* Begin; run->ready is set and the instance marked when it is so. */
void readiness_start(struct daemon *d, struct instance *instance);
void readiness_stop(struct daemon *d, struct run *run); /* also when none is under way */

/* The proxy cannot reach a ready tenant: it may have made its socket anew. */
void readiness_mend(struct daemon *d, struct instance *instance);

/* The tenant whose process is PID said READY=1 (sd_notify(3)). */
void readiness_notified(struct daemon *d, struct instance *instance);

#endif
