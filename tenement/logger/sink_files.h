/*
 * Plain files as a sink: log_store.h, in the format of log_line.h.
 */
#ifndef TEN_LOGGER_SINK_FILES_H
#define TEN_LOGGER_SINK_FILES_H

#include <ev.h>

#include "logger/log_store.h"
#include "logger/sink.h"

struct sink_files;

struct sink_files *sink_files_new(struct ev_loop *loop, struct log_store *store);
void sink_files_free(struct sink_files *files);
struct sink sink_files_sink(struct sink_files *files);

#endif
