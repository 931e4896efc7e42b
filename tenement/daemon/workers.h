/*
 * Our other programs: the proxy's workers and the log writer, with what they share with us. All of
 * it is held by the keeper, so that a daemon that comes back finds it.
 */
#ifndef TEN_WORKERS_H
#define TEN_WORKERS_H

#include "daemon/daemon.h"

/* The shared memory, bells and sockets: those handed down to us, or new ones. */
int workers_share(struct daemon *d, struct ten_error *err);
int workers_run(struct daemon *d, struct ten_error *err);

/* The bell of a seat, unless it has one. */
int workers_share_bell(struct daemon *d, uint32_t seat, struct ten_error *err);
/* A worker on SEAT, on trial. */
void workers_try(struct daemon *d, uint32_t seat);
/* End the log writer and run it again, as it now is on disk; its pipes wait. */
void workers_restart_logger(struct daemon *d);
void workers_restart_tracer(struct daemon *d); /* if there is one */

/* Settings of theirs that do not come by the routing table. */
void workers_update(struct daemon *d);

void workers_stop(struct daemon *d);
bool workers_are_gone(const struct daemon *d);

#endif
