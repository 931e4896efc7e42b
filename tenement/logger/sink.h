/*
 * Where tenants' lines go: the store, plain files, and what else is asked for. Each is one of
 * these.
 */
#ifndef TEN_LOGGER_SINK_H
#define TEN_LOGGER_SINK_H

#include "log_line.h"
#include "log_to.h"

#define SINKS_MAX 4

struct sink {
	enum log_to to; /* for whom of it: log_to */
	void *all;      /* the sink's own */
	/* What it has for one tenant; the names have been checked. */
	void *(*open)(void *all, const char *service, const char *id);
	void (*line)(void *tenant, const struct log_line *line);
	/* The lines of one read have been told. NULL: it does not care. */
	void (*flush)(void *tenant);
	void (*close)(void *tenant);
};

#endif
