#include "log_db.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "log_block.h"
#include "log_kept.h"
#include "log_search.h"
#include "log_sqlite.h"
#include "mem.h"

#define TENANTS_ONE_BY_ONE 64   /* more are looked for in what all have written */
#define LOOK_UP_EVERY      1000 /* steps of SQLite's machine */

struct tenant {
	int64_t number;
	char *service;
	char *id;
};

struct log_db {
	struct log_sqlite sql;
	char *path, *wal_path;
	dev_t device;
	ino_t inode;
	struct tenant *tenants; /* by number */
	size_t tenant_count;
	struct log_packer *packer;
	struct log_line *lines; /* of a chunk */
	struct text raw;        /* of a block */
};

/* One query. */
struct look {
	struct log_db *db;
	const struct log_query *query;
	struct log_search *search; /* NULL: every line */
	struct text index;         /* what asks the index; empty: there is no use in it */
	unsigned streams;
	int64_t until_ms;
	uint64_t deadline_ms; /* 0: none */
	void *data;           /* is_wanted's */
	struct log_kept kept;
	struct log_result result;
};

/* ---- opening ---- */

int log_db_open(struct log_db **opened, const char *folder, struct ten_error *err)
{
	struct log_db *db = mem_alloc(sizeof(*db));
	struct stat status = { 0 };

	db->path = mem_printf("%s/%s", folder, LOG_DB_FILE);
	db->wal_path = mem_printf("%s-wal", db->path);
	/* Before it is opened: another that comes to be there meanwhile is not taken for this. */
	if (stat(db->path, &status) == 0) {
		db->device = status.st_dev;
		db->inode = status.st_ino;
	}
	if (log_sqlite_open_reader(&db->sql, folder, err) < 0) {
		free(db->path);
		free(db->wal_path);
		free(db);
		return -1;
	}
	db->packer = log_packer_new();
	db->lines = mem_alloc(LOG_CHUNK_LINES * sizeof(*db->lines));
	*opened = db;
	return 0;
}

void log_db_close(struct log_db *db)
{
	if (!db)
		return;
	log_sqlite_close(&db->sql);
	for (size_t i = 0; i < db->tenant_count; i++) {
		free(db->tenants[i].service);
		free(db->tenants[i].id);
	}
	free(db->tenants);
	free(db->path);
	free(db->wal_path);
	log_packer_free(db->packer);
	free(db->lines);
	text_free(&db->raw);
	free(db);
}

bool log_db_is_current(const struct log_db *db)
{
	struct stat status;

	return stat(db->path, &status) == 0 && status.st_dev == db->device &&
	       status.st_ino == db->inode;
}

/* ---- tenants ---- */

/* Those that came since. A number is never given twice. */
static int read_tenants(struct log_db *db, struct ten_error *err)
{
	static const char text[] =
		"SELECT number, service, id FROM tenant WHERE number > ? ORDER BY number";
	int64_t known = db->tenant_count ? db->tenants[db->tenant_count - 1].number : 0;
	sqlite3_stmt *statement = LOG_SQLITE_PREPARE(&db->sql, text, known);
	int rc;

	while ((rc = log_sqlite_step(statement)) == SQLITE_ROW) {
		struct tenant *tenant;

		db->tenants = mem_resize(db->tenants, db->tenant_count + 1, sizeof(*db->tenants));
		tenant = &db->tenants[db->tenant_count++];
		tenant->number = sqlite3_column_int64(statement, 0);
		tenant->service = mem_strdup((const char *)sqlite3_column_text(statement, 1));
		tenant->id = mem_strdup((const char *)sqlite3_column_text(statement, 2));
	}
	return rc == SQLITE_DONE ? 0 : log_sqlite_fail(&db->sql, err);
}

static int by_number(const void *key, const void *member)
{
	int64_t number = *(const int64_t *)key;
	const struct tenant *tenant = member;

	return (number > tenant->number) - (number < tenant->number);
}

static const struct tenant *find_tenant(const struct log_db *db, int64_t number)
{
	if (!db->tenant_count)
		return NULL;
	return bsearch(&number, db->tenants, db->tenant_count, sizeof(*db->tenants), by_number);
}

static bool tenant_is_wanted(const struct look *look, const struct tenant *tenant)
{
	const struct log_query *query = look->query;

	return tenant && tenant->service && tenant->id &&
	       (!query->service || strcmp(tenant->service, query->service) == 0) &&
	       (!query->id || strcmp(tenant->id, query->id) == 0);
}

/* ---- lines ---- */

static bool line_is_wanted(const struct look *look, const struct log_line *line)
{
	return (look->streams >> line->stream & 1) && line->time_ms >= look->query->since_ms &&
	       line->time_ms < look->until_ms &&
	       (!look->search || log_search_matches(look->search, line->message, line->len));
}

static void look_at_chunk(struct look *look, int64_t tenant, struct log_chunk_view view)
{
	struct log_line *lines = look->db->lines;
	uint64_t seq = view.seq;
	uint32_t count = 0;

	if (log_cursor(seq, LOG_CHUNK_LINES - 1) <= look->query->after ||
		!log_kept_wants(&look->kept,
			log_cursor(seq, look->kept.smallest ? 0 : LOG_CHUNK_LINES - 1)) ||
		(look->search && !log_search_may_match(look->search, view.text, view.text_len)))
		return;
	while (count < LOG_CHUNK_LINES && log_chunk_next(&view, &lines[count]))
		count++;
	if (view.lines)
		look->result.damaged++;
	for (uint32_t n = 0; n < count; n++) {
		uint32_t i = look->kept.smallest ? n : count - 1 - n;
		uint64_t cursor = log_cursor(seq, i);

		if (!log_kept_wants(&look->kept, cursor))
			return;
		if (cursor > look->query->after && line_is_wanted(look, &lines[i]))
			log_kept_add(&look->kept, cursor, tenant, &lines[i]);
	}
}

/* Each chunk of RAW, the newest first if those are asked for. */
static void look_at_chunks(struct look *look, int64_t tenant, const char *raw, size_t len)
{
	autofree struct log_chunk_view *views = NULL;
	struct log_chunk_view view;
	size_t count = 0, room = 0, at = 0;

	while (log_chunk_read(raw, len, &at, &view)) {
		if (count == room) {
			room = room ? room * 2 : 16;
			views = mem_resize(views, room, sizeof(*views));
		}
		views[count++] = view;
	}
	if (at != len)
		look->result.damaged++;
	for (size_t n = 0; n < count; n++)
		look_at_chunk(look, tenant, views[look->kept.smallest ? n : count - 1 - n]);
}

/* ---- blocks and tails ---- */

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* For want of time, of room, or of whom it is for. */
static bool gives_up(struct look *look)
{
	struct stat wal;

	look->result.late =
		look->result.late || (look->deadline_ms && now_ms() > look->deadline_ms) ||
		(look->query->is_wanted && !look->query->is_wanted(look->data)) ||
		(stat(look->db->wal_path, &wal) == 0 && wal.st_size > LOG_QUERY_WAL_MAX);
	return look->result.late;
}

/* In the middle of what SQLite does. */
static int on_progress(void *data)
{
	return gives_up(data);
}

/* Whether to go on with one whose lines begin, or end, with SEQ: all that follow are farther. */
static bool goes_on(struct look *look, uint64_t seq)
{
	if (!log_kept_wants(
		    &look->kept, log_cursor(seq, look->kept.smallest ? 0 : LOG_CHUNK_LINES - 1)))
		return false;
	return !gives_up(look);
}

static int look_at_block(struct look *look, int64_t seq, int64_t tenant, struct ten_error *err)
{
	static const char text[] = "SELECT data FROM block WHERE seq = ?";
	struct log_db *db = look->db;
	sqlite3_stmt *statement = LOG_SQLITE_PREPARE(&db->sql, text, seq);
	int rc = log_sqlite_step(statement);

	if (rc == SQLITE_DONE)
		return 0;
	if (rc != SQLITE_ROW)
		return log_sqlite_fail(&db->sql, err);
	if (log_block_unpack(db->packer, sqlite3_column_blob(statement, 0),
		    (size_t)sqlite3_column_bytes(statement, 0), &db->raw, NULL) < 0)
		look->result.damaged++;
	else
		look_at_chunks(look, tenant, db->raw.data, db->raw.len);
	sqlite3_reset(statement);
	return 0;
}

/* Each row (seq, tenant, the end that decides, maybe data) of STATEMENT. Returns 1 when no farther
 * row can be wanted. */
static int look_at_rows(struct look *look, sqlite3_stmt *statement, struct ten_error *err)
{
	int rc, outcome = 0;

	while (!outcome && (rc = log_sqlite_step(statement)) == SQLITE_ROW) {
		int64_t number = sqlite3_column_int64(statement, 1);

		if (!goes_on(look, (uint64_t)sqlite3_column_int64(statement, 2)))
			outcome = 1;
		else if (!tenant_is_wanted(look, find_tenant(look->db, number)))
			continue;
		else if (sqlite3_column_count(statement) > 3)
			look_at_chunks(look, number, sqlite3_column_blob(statement, 3),
				(size_t)sqlite3_column_bytes(statement, 3));
		else
			outcome = look_at_block(
				look, sqlite3_column_int64(statement, 0), number, err);
	}
	if (outcome) {
		sqlite3_reset(statement);
		return outcome;
	}
	return rc == SQLITE_DONE ? 0 : log_sqlite_fail(&look->db->sql, err);
}

#define WHERE_TIME "last_ms >= ?1 AND first_ms < ?2 AND (streams & ?3) AND seq >= ?4"
/* A block's own number may be a later one: see log_rows_move(). */
#define WHERE_BLOCK WHERE_TIME " AND last_seq >= ?4"

static sqlite3_stmt *prepare(struct look *look, const char *text, int64_t tenant)
{
	const struct log_query *query = look->query;
	int64_t numbers[] = { query->since_ms, look->until_ms, look->streams,
		(int64_t)log_cursor_seq(query->after), tenant };

	return log_sqlite_prepare(&look->db->sql, text, numbers, tenant ? 5 : 4);
}

/* TENANT 0: all. */
static int look_at_tail(struct look *look, int64_t tenant, struct ten_error *err)
{
	static const char *const texts[2][2] = {
		{ "SELECT seq, tenant, seq, data FROM tail WHERE " WHERE_TIME " ORDER BY seq DESC",
			"SELECT seq, tenant, seq, data FROM tail WHERE " WHERE_TIME
			" ORDER BY seq" },
		{ "SELECT seq, tenant, seq, data FROM tail WHERE " WHERE_TIME
		  " AND tenant = ?5 ORDER BY seq DESC",
			"SELECT seq, tenant, seq, data FROM tail WHERE " WHERE_TIME
			" AND tenant = ?5 ORDER BY seq" },
	};

	return look_at_rows(
		look, prepare(look, texts[tenant != 0][look->kept.smallest], tenant), err);
}

static int look_at_blocks(struct look *look, int64_t tenant, struct ten_error *err)
{
	static const char *const texts[2][2] = {
		{ "SELECT seq, tenant, seq FROM block NOT INDEXED WHERE " WHERE_BLOCK
		  " ORDER BY seq DESC",
			"SELECT seq, tenant, first_seq FROM block NOT INDEXED WHERE " WHERE_BLOCK
			" ORDER BY first_seq" },
		{ "SELECT seq, tenant, seq FROM block WHERE " WHERE_BLOCK
		  " AND tenant = ?5 ORDER BY seq DESC",
			"SELECT seq, tenant, first_seq FROM block WHERE " WHERE_BLOCK
			" AND tenant = ?5 ORDER BY first_seq" },
	};

	return look_at_rows(
		look, prepare(look, texts[tenant != 0][look->kept.smallest], tenant), err);
}

/* The blocks of one segment that the index names. */
static int look_at_segment(
	struct look *look, int64_t segment, const char *match, struct ten_error *err)
{
	const struct log_query *query = look->query;
	autofree char *text =
		mem_printf("SELECT b.seq, b.tenant, b.%s FROM words_%lld CROSS JOIN block b"
			   " ON b.seq = words_%lld.rowid WHERE words_%lld MATCH ?5 AND " WHERE_BLOCK
			   " ORDER BY words_%lld.rowid DESC",
			look->kept.smallest ? "first_seq" : "seq", (long long)segment,
			(long long)segment, (long long)segment, (long long)segment);
	sqlite3_stmt *statement;
	int outcome;

	if (sqlite3_prepare_v2(look->db->sql.sqlite, text, -1, &statement, NULL) != SQLITE_OK)
		return log_sqlite_fail(&look->db->sql, err);
	sqlite3_bind_int64(statement, 1, query->since_ms);
	sqlite3_bind_int64(statement, 2, look->until_ms);
	sqlite3_bind_int64(statement, 3, look->streams);
	sqlite3_bind_int64(statement, 4, (int64_t)log_cursor_seq(query->after));
	sqlite3_bind_text(statement, 5, match, -1, SQLITE_STATIC);
	outcome = look_at_rows(look, statement, err);
	sqlite3_finalize(statement);
	return outcome;
}

/* What the index names, segment by segment from the newest on. */
static int look_by_index(struct look *look, int64_t tenant, struct ten_error *err)
{
	static const char text[] = "SELECT number FROM segment ORDER BY number DESC";
	autotext struct text match = { 0 };
	sqlite3_stmt *statement = log_sqlite_prepare(&look->db->sql, text, NULL, 0);
	int rc, outcome = 0;

	if (tenant)
		text_printf(&match, "\"" LOG_TENANT_WORD "\" AND ", (long long)tenant);
	text_add(&match, look->index.data, look->index.len);
	while (!outcome && (rc = log_sqlite_step(statement)) == SQLITE_ROW)
		outcome = gives_up(look) ? 1
					 : look_at_segment(look, sqlite3_column_int64(statement, 0),
						   match.data, err);
	if (outcome) {
		sqlite3_reset(statement);
		return outcome;
	}
	return rc == SQLITE_DONE ? 0 : log_sqlite_fail(&look->db->sql, err);
}

/* ---- queries ---- */

static int look_at_one(struct look *look, int64_t tenant, struct ten_error *err)
{
	if (look_at_tail(look, tenant, err) < 0)
		return -1;
	/* What follows a cursor is little, and in order; the index would not have it so. */
	if (look->index.len && !look->kept.smallest)
		return look_by_index(look, tenant, err);
	return look_at_blocks(look, tenant, err);
}

static int look_at_all(struct look *look, struct ten_error *err)
{
	const struct log_db *db = look->db;
	size_t count = 0;

	if (!look->query->service && !look->query->id)
		return look_at_one(look, 0, err);
	for (size_t i = 0; i < db->tenant_count; i++)
		count += tenant_is_wanted(look, &db->tenants[i]);
	if (count > TENANTS_ONE_BY_ONE)
		return look_at_one(look, 0, err);
	for (size_t i = 0; i < db->tenant_count; i++)
		if (tenant_is_wanted(look, &db->tenants[i]) &&
			look_at_one(look, db->tenants[i].number, err) < 0)
			return -1;
	return 0;
}

static int read_newest(struct look *look, struct ten_error *err)
{
	static const char text[] = "SELECT max(coalesce((SELECT max(seq) FROM tail), 0),"
				   " coalesce((SELECT max(seq) FROM block), 0))";
	struct log_sqlite *sql = &look->db->sql;
	int64_t seq;

	if (log_sqlite_number(sql, log_sqlite_prepare(sql, text, NULL, 0), 0, &seq, err) < 0)
		return -1;
	look->result.cursor = seq ? log_cursor((uint64_t)seq, LOG_CHUNK_LINES - 1) : 0;
	return 0;
}

static void tell(struct look *look, log_db_each *each, void *data)
{
	log_kept_sort(&look->kept);
	for (size_t i = 0; i < look->kept.count; i++) {
		const struct log_kept_row *row = &look->kept.rows[i];
		const struct tenant *tenant = find_tenant(look->db, row->tenant);
		const struct log_row out = {
			.cursor = row->cursor,
			.line = row->line,
			.service = tenant->service,
			.id = tenant->id,
		};

		if (!each(data, &out))
			return;
	}
}

static int look_prepare(struct look *look, struct ten_error *err)
{
	const struct log_query *query = look->query;
	int stream = LOG_LINE_STDOUT;

	look->kept.limit = query->limit;
	look->kept.smallest = query->oldest_first;
	look->until_ms = query->until_ms ? query->until_ms : INT64_MAX;
	look->deadline_ms = query->timeout_ms ? now_ms() + query->timeout_ms : 0;
	look->streams = ~0u;
	if (query->limit > LOG_QUERY_LIMIT_MAX)
		return ten_error_say(
			err, EINVAL, "at most %d lines can be asked for", LOG_QUERY_LIMIT_MAX);
	if (query->level) {
		stream = log_line_stream_find(query->level, strlen(query->level));
		look->streams = 1u << (stream < 0 ? 0 : stream);
	}
	if (stream < 0)
		return ten_error_say(err, EINVAL, "\"%s\" is no level: stdout, stderr or tenement",
			query->level);
	if (!query->search || !*query->search)
		return 0;
	look->search = log_search_parse(query->search, strlen(query->search), err);
	if (!look->search) {
		if (err)
			err->code = EINVAL;
		return -1;
	}
	log_search_index(look->search, &look->index);
	return 0;
}

int log_db_query(struct log_db *db, const struct log_query *query, log_db_each *each, void *data,
	struct log_result *result, struct ten_error *err)
{
	struct look look = { .db = db, .query = query, .data = data };
	int outcome = look_prepare(&look, err);

	/* All that is asked is of one moment. */
	if (outcome == 0 && (outcome = log_sqlite_run(&db->sql, "BEGIN", err)) == 0) {
		if (read_tenants(db, err) < 0 || read_newest(&look, err) < 0)
			outcome = -1;
		sqlite3_progress_handler(db->sql.sqlite, LOOK_UP_EVERY, on_progress, &look);
		/* What is broken off is no failure. */
		if (outcome == 0 && look_at_all(&look, err) < 0 && !look.result.late)
			outcome = -1;
		sqlite3_progress_handler(db->sql.sqlite, 0, NULL, NULL);
		log_sqlite_run(&db->sql, "ROLLBACK", NULL);
	}
	if (outcome == 0)
		tell(&look, each, data);
	look.result.partial = look.kept.cut || look.result.late;
	if (result)
		*result = look.result;
	log_kept_free(&look.kept);
	log_search_free(look.search);
	text_free(&look.index);
	return outcome;
}
