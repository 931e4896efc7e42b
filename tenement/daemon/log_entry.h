/*
 * Entries of /api/logs.
 */
#ifndef TEN_LOG_ENTRY_H
#define TEN_LOG_ENTRY_H

#include <jansson.h>

/* One of nobody's: what is to be known about an answer as a whole. A new reference. */
json_t *log_entry_remark(const char *text);

#endif
