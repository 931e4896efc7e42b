/*
 * Where a tenant's lines go, and what they are: log_to and log_format, as the routing table has
 * them for whoever writes or reads lines.
 */
#ifndef TEN_LOG_TO_H
#define TEN_LOG_TO_H

#include <stdbool.h>

#include "error.h"

enum log_to {
	LOG_TO_STORE = 1,
	LOG_TO_JOURNALD = 2,
	LOG_TO_SYSLOG = 4,
	LOG_TO_FILES = 8,
};
#define LOG_TO_JSON 16u  /* log_format = "json" */
#define LOG_TO_SAID 128u /* without it none of them are known */

/* One of log_to's words. */
int log_to_check(const char *word, struct ten_error *err);

/* The bits of those that a checked list names. */
unsigned log_to_read(char *const *list);

#endif
