#include "log_kept.h"

#include <stdlib.h>
#include <string.h>

#include "log_db.h"
#include "mem.h"

static uint64_t key_of(const struct log_kept *kept, uint64_t cursor)
{
	return kept->smallest ? ~cursor : cursor;
}

bool log_kept_wants(const struct log_kept *kept, uint64_t cursor)
{
	return kept->count < kept->limit ||
	       (kept->limit && key_of(kept, cursor) > kept->rows[0].key);
}

static void swap(struct log_kept_row *a, struct log_kept_row *b)
{
	struct log_kept_row row = *a;

	*a = *b;
	*b = row;
}

static void sift_up(struct log_kept *kept, size_t at)
{
	while (at && kept->rows[(at - 1) / 2].key > kept->rows[at].key) {
		swap(&kept->rows[(at - 1) / 2], &kept->rows[at]);
		at = (at - 1) / 2;
	}
}

static void sift_down(struct log_kept *kept)
{
	size_t at = 0;

	for (;;) {
		size_t child = at * 2 + 1;

		if (child >= kept->count)
			return;
		if (child + 1 < kept->count && kept->rows[child + 1].key < kept->rows[child].key)
			child++;
		if (kept->rows[at].key <= kept->rows[child].key)
			return;
		swap(&kept->rows[at], &kept->rows[child]);
		at = child;
	}
}

static void drop_first(struct log_kept *kept)
{
	kept->bytes -= kept->rows[0].line.len;
	free((char *)kept->rows[0].line.message);
	kept->rows[0] = kept->rows[--kept->count];
	sift_down(kept);
}

void log_kept_add(
	struct log_kept *kept, uint64_t cursor, int64_t tenant, const struct log_line *line)
{
	struct log_kept_row *row;

	if (!log_kept_wants(kept, cursor))
		return;
	if (kept->count == kept->limit)
		drop_first(kept);
	if (kept->count == kept->room) {
		kept->room = kept->room ? kept->room * 2 : 64;
		kept->rows = mem_resize(kept->rows, kept->room, sizeof(*kept->rows));
	}
	row = &kept->rows[kept->count++];
	*row = (struct log_kept_row){ key_of(kept, cursor), cursor, tenant, *line };
	row->line.message = mem_strndup(line->message, line->len);
	kept->bytes += line->len;
	sift_up(kept, kept->count - 1);
	if (kept->bytes > LOG_QUERY_BYTES_MAX) {
		drop_first(kept);
		kept->limit = kept->count;
		kept->cut = true;
	}
}

static int by_cursor(const void *a, const void *b)
{
	const struct log_kept_row *left = a, *right = b;

	return (left->cursor > right->cursor) - (left->cursor < right->cursor);
}

void log_kept_sort(struct log_kept *kept)
{
	if (kept->count)
		qsort(kept->rows, kept->count, sizeof(*kept->rows), by_cursor);
}

void log_kept_free(struct log_kept *kept)
{
	for (size_t i = 0; i < kept->count; i++)
		free((char *)kept->rows[i].line.message);
	free(kept->rows);
	*kept = (struct log_kept){ 0 };
}
