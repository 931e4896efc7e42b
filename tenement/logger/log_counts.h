/*
 * What the log writer counts for GET /metrics: on the board, or where there is none for nobody.
 */
#ifndef TEN_LOG_COUNTS_H
#define TEN_LOG_COUNTS_H

#include <stdatomic.h>

#include "board.h"

extern struct board_logs *log_counts;

/* Find the board that the keeper handed down. */
void log_counts_start(void);

static inline void log_count(_Atomic uint64_t *number, uint64_t more)
{
	atomic_fetch_add_explicit(number, more, memory_order_relaxed);
}

#endif
