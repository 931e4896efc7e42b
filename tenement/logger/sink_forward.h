/*
 * The machine's own log as a sink: forward.h.
 */
#ifndef TEN_LOGGER_SINK_FORWARD_H
#define TEN_LOGGER_SINK_FORWARD_H

#include "logger/forward.h"
#include "logger/sink.h"
#include "route_table.h"

struct sink_forward {
	struct forward *forward;
	enum forward_kind kind;
	const struct route_table *table; /* says whose lines are JSON; NULL: nobody's */
};

/* PLACE stays the caller's, and has to stay where it is. */
struct sink sink_forward_sink(struct sink_forward *place);

#endif
