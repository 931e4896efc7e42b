/*
 * A tenant's lines on their way to the sinks, at no higher rate than it may have. What is beyond is
 * dropped, and a line of ours says how many were, once a second at the most.
 */
#ifndef TEN_LOGGER_TENANT_LOG_H
#define TEN_LOGGER_TENANT_LOG_H

#include <ev.h>

#include "log_line.h"
#include "log_writer.h"
#include "logger/sink.h"
#include "logger/sink_store.h"
#include "route_table.h"

struct tenant_logs; /* all of them */
struct tenant_log;

/* SINKS are copied. BOUNDS_OF knows who may have what, and TABLE (NULL: none does) whose lines go
 * to which of the sinks; FALLBACK (log_to.h) is for whom it does not know. */
struct tenant_logs *tenant_logs_new(struct ev_loop *loop, const struct sink *sinks, size_t count,
	struct sink_store *bounds_of, const struct route_table *table, unsigned fallback);
void tenant_logs_free(struct tenant_logs *logs); /* all released before */

/* Counted: each call is answered by a tenant_log_release(). */
struct tenant_log *tenant_logs_open(struct tenant_logs *logs, const char *service, const char *id);
void tenant_log_release(struct tenant_log *tenant);

void tenant_log_line(struct tenant_log *tenant, const struct log_line *line);

/* No more lines for now. */
void tenant_log_flush(struct tenant_log *tenant);

#endif
