/*
 * The searchable store as a sink: lib/log_writer.h, and when it commits and tends.
 */
#ifndef TEN_LOGGER_SINK_STORE_H
#define TEN_LOGGER_SINK_STORE_H

#include <ev.h>

#include "log_writer.h"
#include "logger/sink.h"

struct sink_store;

/* In FOLDER. What cannot be opened now (a full disk) is tried again; lines meanwhile are dropped.
 */
struct sink_store *sink_store_new(
	struct ev_loop *loop, const char *folder, const struct log_bounds *bounds);
void sink_store_free(struct sink_store *store);
struct sink sink_store_sink(struct sink_store *store);

/* The bounds of SERVICE:ID: what it was told last, or those that are given to all. */
const struct log_bounds *sink_store_bounds(
	struct sink_store *store, const char *service, const char *id);

/* Those of a tenant that is not known here bound nothing. */
void sink_store_set_bounds(struct sink_store *store, const char *service, const char *id,
	const struct log_bounds *bounds);

#endif
