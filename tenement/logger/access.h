/*
 * The access logs: what proxy workers hand over (descriptors called "access.in.N" in TENEMENT_FDS,
 * messages of lib/access_batch.h) goes to DIR/SERVICE/ID.access.log.
 *
 * A worker is exposed to the world, so it is not believed: a line is written only for a tenant that
 * the routing table ("table") has in the slot that it names, or had when an earlier line came.
 *
 * A message is taken out of its socket when its lines are written: should the log writer be killed
 * in between they are written twice, and none is lost.
 */
#ifndef TEN_LOGGER_ACCESS_H
#define TEN_LOGGER_ACCESS_H

#include <ev.h>

#include "logger/log_store.h"

struct access_logs;

/* Listen on what was inherited. */
struct access_logs *access_logs_new(struct ev_loop *loop, struct log_store *store);

/* Write what is in line now, stop listening, free all. STORE's files are released. */
void access_logs_free(struct access_logs *logs);

#endif
