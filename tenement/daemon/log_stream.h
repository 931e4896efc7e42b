/*
 * Handing the streams of a tenant to the log writer, and how much of them is kept.
 */
#ifndef TEN_LOG_STREAM_H
#define TEN_LOG_STREAM_H

#include "daemon/instance.h"

/* Hand the reading end FD of STREAM ("stdout", "stderr") to the log writer, and to the keeper for
 * when that begins anew. FD stays the caller's. When the log writer is behind, it is tried again.
 */
void log_stream_hand(struct daemon *d, const struct run *run, const char *stream, int fd);

/* Say what INSTANCE may write, by its files, if that was not said before. */
void log_stream_bound(struct daemon *d, struct instance *instance);

/* The process has ended: the keeper's copies go. */
void log_stream_drop(struct daemon *d, const struct run *run);

#endif
