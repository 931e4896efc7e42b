#include <stdlib.h>
#include <string.h>

#include "log_writer.h"
#include "log_writer_rows.h"
#include "mem.h"

/* Of one step, which the lines that come meanwhile wait for. */
#define TENANTS_AT_ONCE 500
#define BLOCKS_AT_ONCE  64
#define PAGES_AT_ONCE   "512"
#define MOVES_AT_ONCE   16
#define LIVE_SHARE      4 /* a segment of which less than one such part is left goes */

#define DAY_MS         INT64_C(86400000)
#define FREE_PAGES_MIN 4096

struct step {
	struct log_writer *writer;
	int64_t now_ms;
	unsigned blocks; /* that may still be dropped */
	bool more;       /* is to be done soon */
};

/* ---- tenants ---- */

/* *OLDEST_MS: when TENANT's oldest block ended; INT64_MAX: it has none. */
static int find_oldest(struct log_tenant *tenant, int64_t *oldest_ms, struct ten_error *err)
{
	static const char text[] = "SELECT last_ms FROM block WHERE tenant = ?"
				   " ORDER BY first_seq LIMIT 1";
	struct log_sqlite *sql = &tenant->writer->sql;

	if (!tenant->oldest_ms &&
		log_sqlite_number(sql, LOG_SQLITE_PREPARE(sql, text, tenant->number), INT64_MAX,
			&tenant->oldest_ms, err) < 0)
		return -1;
	*oldest_ms = tenant->oldest_ms;
	/* The next block is then the oldest. */
	if (tenant->oldest_ms == INT64_MAX)
		tenant->oldest_ms = 0;
	return 0;
}

static int drop_tail(struct log_tenant *tenant, struct ten_error *err)
{
	static const char text[] = "DELETE FROM tail WHERE tenant = ?";
	struct log_sqlite *sql = &tenant->writer->sql;

	if (log_writer_begin(tenant->writer, err) < 0)
		return -1;
	log_writer_mark(tenant);
	if (log_sqlite_finish(sql, LOG_SQLITE_PREPARE(sql, text, tenant->number), err) < 0)
		return log_writer_fail(tenant->writer, err);
	log_rows_clear_tail(tenant);
	return 0;
}

static int drop_block(struct step *step, struct log_tenant *tenant, struct ten_error *err)
{
	if (log_writer_begin(step->writer, err) < 0)
		return -1;
	log_writer_mark(tenant);
	step->blocks--;
	return log_rows_drop_oldest(tenant, err) < 0 ? log_writer_fail(step->writer, err) : 0;
}

/* Forget of TENANT what is too old or too much. */
static int tend_rows(struct step *step, struct log_tenant *tenant, struct ten_error *err)
{
	int64_t from_ms = tenant->bounds.max_days > 0
				  ? step->now_ms - tenant->bounds.max_days * DAY_MS
				  : INT64_MIN;
	int64_t oldest_ms;

	while (step->blocks) {
		if (find_oldest(tenant, &oldest_ms, err) < 0)
			return -1;
		if (oldest_ms == INT64_MAX || (oldest_ms >= from_ms && !log_rows_too_much(tenant)))
			break;
		if (drop_block(step, tenant, err) < 0)
			return -1;
	}
	if (tenant->tail.len && tenant->tail_last_ms < from_ms)
		return drop_tail(tenant, err);
	return 0;
}

/* A tenant of whom there is nothing any more is forgotten, bounds and all. */
static int forget_empty(struct log_tenant *tenant, struct ten_error *err)
{
	static const char text[] = "DELETE FROM tenant WHERE number = ?";
	struct log_writer *writer = tenant->writer;

	if (tenant->references || tenant->is_dirty || tenant->raw || tenant->tail.len ||
		tenant->chunk.lines)
		return 0;
	if (tenant->number) {
		if (log_writer_begin(writer, err) < 0)
			return -1;
		if (log_sqlite_finish(&writer->sql,
			    LOG_SQLITE_PREPARE(&writer->sql, text, tenant->number), err) < 0)
			return log_writer_fail(writer, err);
	}
	log_writer_forget(tenant);
	return 0;
}

static int tend_tenants(struct step *step, struct ten_error *err)
{
	struct log_writer *writer = step->writer;
	struct log_tenant *tenant = NULL, *next;

	if (writer->tend_key)
		HASH_FIND_STR(writer->tenants, writer->tend_key, tenant);
	if (!tenant)
		tenant = writer->tenants;
	for (int i = 0; tenant && i < TENANTS_AT_ONCE && step->blocks; i++) {
		next = tenant->hh.next;
		if ((tenant->number && tend_rows(step, tenant, err) < 0) ||
			forget_empty(tenant, err) < 0)
			return -1;
		tenant = next;
	}
	free(writer->tend_key);
	writer->tend_key = tenant ? mem_strdup(tenant->key) : NULL;
	return 0;
}

/* ---- segments ---- */

/* What a segment that is not written any more still has. */
struct segment {
	int64_t number;
	int64_t first_seq, end_seq;
};

/* The first after writer->tend_segment. Returns 0 when there is none. */
static int next_segment(struct log_writer *writer, struct segment *segment, struct ten_error *err)
{
	static const char text[] = "SELECT number, first_seq, (SELECT min(first_seq) FROM segment n"
				   " WHERE n.number > s.number) FROM segment s WHERE number > ? "
				   "ORDER BY number LIMIT 1";
	sqlite3_stmt *statement = LOG_SQLITE_PREPARE(&writer->sql, text, writer->tend_segment);
	int rc = log_sqlite_step(statement);
	bool is_last;

	if (rc != SQLITE_ROW)
		return rc == SQLITE_DONE ? 0 : log_sqlite_fail(&writer->sql, err);
	segment->number = sqlite3_column_int64(statement, 0);
	segment->first_seq = sqlite3_column_int64(statement, 1);
	segment->end_seq = sqlite3_column_int64(statement, 2);
	is_last = sqlite3_column_type(statement, 2) == SQLITE_NULL;
	sqlite3_reset(statement);
	return is_last ? 0 : 1;
}

static int drop_segment(struct log_writer *writer, int64_t number, struct ten_error *err)
{
	static const char text[] = "DELETE FROM segment WHERE number = ?";
	autofree char *drop = mem_printf("DROP TABLE words_%lld", (long long)number);

	if (log_writer_begin(writer, err) < 0)
		return -1;
	if (log_sqlite_run(&writer->sql, drop, err) < 0 ||
		log_sqlite_finish(
			&writer->sql, LOG_SQLITE_PREPARE(&writer->sql, text, number), err) < 0)
		return log_writer_fail(writer, err);
	return 0;
}

/* Whoever keeps a little of each stretch would keep the whole of its index: what is left goes
 * elsewhere. */
static int move_blocks(struct step *step, const struct segment *segment, struct ten_error *err)
{
	static const char text[] =
		"SELECT min(seq) FROM block NOT INDEXED WHERE seq >= ? AND seq < ?";
	struct log_writer *writer = step->writer;
	struct log_sqlite *sql = &writer->sql;
	int64_t seq;

	if (log_writer_begin(writer, err) < 0)
		return -1;
	for (int i = 0; i < MOVES_AT_ONCE; i++) {
		if (log_sqlite_number(sql,
			    LOG_SQLITE_PREPARE(sql, text, segment->first_seq, segment->end_seq), 0,
			    &seq, err) < 0)
			return -1;
		if (!seq)
			return drop_segment(writer, segment->number, err);
		if (log_rows_move(writer, seq, err) < 0)
			return log_writer_fail(writer, err);
	}
	/* This one again, and soon. */
	writer->tend_segment = segment->number - 1;
	step->more = true;
	return 0;
}

/* The index of a stretch of which little is left goes. */
static int tend_segments(struct step *step, struct ten_error *err)
{
	static const char text[] =
		"SELECT sum(raw) FROM block NOT INDEXED WHERE seq >= ? AND seq < ?";
	struct log_writer *writer = step->writer;
	struct log_sqlite *sql = &writer->sql;
	struct segment segment = { 0 };
	int64_t raw;
	int got = next_segment(writer, &segment, err);

	if (got <= 0) {
		writer->tend_segment = 0;
		return got;
	}
	writer->tend_segment = segment.number;
	if (log_sqlite_number(sql,
		    LOG_SQLITE_PREPARE(sql, text, segment.first_seq, segment.end_seq), 0, &raw,
		    err) < 0)
		return -1;
	if (!raw)
		return drop_segment(writer, segment.number, err);
	return raw < LOG_SEGMENT_BYTES / LIVE_SHARE ? move_blocks(step, &segment, err) : 0;
}

/* ---- the file ---- */

/* Give room back to the disk where much of it is free. */
static int tend_pages(struct log_writer *writer, struct ten_error *err)
{
	static const char count[] = "PRAGMA page_count";
	static const char free_count[] = "PRAGMA freelist_count";
	struct log_sqlite *sql = &writer->sql;
	int64_t pages, free_pages;

	if (log_sqlite_number(sql, log_sqlite_prepare(sql, count, NULL, 0), 0, &pages, err) < 0 ||
		log_sqlite_number(
			sql, log_sqlite_prepare(sql, free_count, NULL, 0), 0, &free_pages, err) < 0)
		return -1;
	if (free_pages < FREE_PAGES_MIN || free_pages < pages / 4)
		return 0;
	if (log_writer_begin(writer, err) < 0)
		return -1;
	return log_sqlite_run(sql, "PRAGMA incremental_vacuum(" PAGES_AT_ONCE ")", err) < 0
		       ? log_writer_fail(writer, err)
		       : 0;
}

static int tend_all(struct step *step, struct ten_error *err)
{
	unsigned failures = step->writer->failures;

	if (tend_tenants(step, err) == 0 && tend_segments(step, err) == 0 &&
		tend_pages(step->writer, err) == 0)
		return 0;
	/* What is only read here may be damaged, too. */
	return failures == step->writer->failures ? log_writer_fail(step->writer, err) : -1;
}

int log_writer_tend(struct log_writer *writer, int64_t now_ms, struct ten_error *err)
{
	struct step step = { .writer = writer, .now_ms = now_ms, .blocks = BLOCKS_AT_ONCE };

	/* What is in memory goes first: nothing of it is to be lost with a step that fails. */
	if (log_writer_commit(writer, now_ms, err) < 0)
		return -1;
	if (!writer->sql.sqlite)
		return 0;
	log_writer_reopen_moved(writer);
	if (!writer->sql.sqlite)
		return 0;
	if (tend_all(&step, err) < 0 || log_writer_commit(writer, now_ms, err) < 0)
		return -1;
	return step.blocks && !step.more ? 0 : 1;
}
