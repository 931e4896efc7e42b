/*
 * The rows that a query of the store keeps while it looks: the LIMIT with the greatest cursors, or
 * with the smallest.
 */
#ifndef TEN_LOG_KEPT_H
#define TEN_LOG_KEPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "log_line.h"

struct log_kept_row {
	uint64_t key; /* the smallest goes first */
	uint64_t cursor;
	int64_t tenant;
	struct log_line line; /* its message is owned */
};

/* `{ .limit = 10 }` is empty. */
struct log_kept {
	size_t limit;
	bool smallest;
	bool cut;                  /* LIMIT was lowered for want of room */
	struct log_kept_row *rows; /* a heap, the first to go first */
	size_t count;
	size_t room;
	size_t bytes;
};

/* Whether a row of this cursor would be kept. */
bool log_kept_wants(const struct log_kept *kept, uint64_t cursor);
void log_kept_add(
	struct log_kept *kept, uint64_t cursor, int64_t tenant, const struct log_line *line);

/* In the order of their cursors, for reading alone from then on. */
void log_kept_sort(struct log_kept *kept);
void log_kept_free(struct log_kept *kept);

#endif
