/*
 * Reading what the log writer wrote.
 */
#ifndef TEN_LOG_TAIL_H
#define TEN_LOG_TAIL_H

#include <jansson.h>
#include <stdint.h>
#include <sys/types.h>

#include "daemon/daemon.h"

#define LOG_TAIL_ALL INT64_MAX

/* The last COUNT lines of tenant KEY, of those in the last MOST bytes, oldest first, as the API's
 * entries. A new reference. */
json_t *log_tail_lines(struct daemon *d, const char *key, size_t count, off_t most);

/* {data_dir}/.tenement/logs/SERVICE/ID.log; the caller frees. */
char *log_tail_path(struct daemon *d, const char *key);

/* The line TEXT as an entry, or NULL when it is none. */
json_t *log_tail_entry(const char *key, const char *text, size_t len);

#endif
