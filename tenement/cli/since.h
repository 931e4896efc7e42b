/*
 * Moments as people name them: so long ago, or a date.
 */
#ifndef TEN_SINCE_H
#define TEN_SINCE_H

#include <stdbool.h>
#include <stdint.h>

#define SINCE_MEANT                                                                                \
	"a time such as 90m, 24h or 30d, or a date such as 2026-11-01 or 2026-11-01T08:00"

/* "90s", "90m", "24h", "30d", "4w" before NOW, "2026-11-01", "2026-11-01T08:00" (UTC; a Z may stand
 * behind it), in seconds since the epoch. False: TEXT is none of these. */
bool since_parse(const char *text, int64_t now, int64_t *moment);

/* The same ahead: "90d" after NOW, or a date. */
bool since_parse_ahead(const char *text, int64_t now, int64_t *moment);

#endif
