/*
 * The last lines of a tenant, for whoever shows it: asked of the process that reads (log_reader.h),
 * so that the loop waits for no disk. What was written in the last quarter second may be missing.
 */
#ifndef TEN_LOG_TAIL_H
#define TEN_LOG_TAIL_H

#include <jansson.h>

#include "daemon/daemon.h"

struct log_tail;

/* Ask for the last COUNT lines of KEY. The caller frees. */
struct log_tail *log_tail_ask(struct daemon *d, const char *key, int64_t count);
void log_tail_free(struct log_tail *tail);

/* Whether they are there, or will never be. */
bool log_tail_is_there(const struct log_tail *tail);

/* Oldest first, as the API's entries, the last MOST bytes of messages of them; none while they are
 * not there. A new reference. */
json_t *log_tail_lines(const struct log_tail *tail, size_t most);

#endif
