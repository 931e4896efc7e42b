/*
 * What GET /metrics tells of the server as a whole: proxy, room, configuration, reconciler, and
 * our own programs.
 */
#ifndef TEN_METRICS_SERVER_H
#define TEN_METRICS_SERVER_H

#include "daemon/daemon.h"
#include "metrics.h"

void metrics_server_put(struct daemon *d, struct metrics_out *out);
void metrics_processes_put(struct daemon *d, struct metrics_out *out);

#endif
