#include "log_writer_rows.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <utlist.h>

#include "mem.h"

#define SEAL_PRUNES 4 /* blocks that go, at the most, for one that comes */

static int finish(struct log_writer *writer, sqlite3_stmt *statement, struct ten_error *err)
{
	return log_sqlite_finish(&writer->sql, statement, err);
}

/* ---- loading ---- */

static int load_tenants(
	struct log_writer *writer, struct log_tenant ***found, size_t *count, struct ten_error *err)
{
	static const char text[] =
		"SELECT number, service, id, rate, max_mb, max_days FROM tenant ORDER BY number";
	sqlite3_stmt *statement = log_sqlite_prepare(&writer->sql, text, NULL, 0);
	int rc;

	*count = 0;
	while ((rc = log_sqlite_step(statement)) == SQLITE_ROW) {
		struct log_tenant *tenant =
			log_writer_tenant(writer, (const char *)sqlite3_column_text(statement, 1),
				(const char *)sqlite3_column_text(statement, 2));

		tenant->references--;
		tenant->number = sqlite3_column_int64(statement, 0);
		/* What was said since is newer. */
		if (!tenant->has_bounds && sqlite3_column_type(statement, 3) != SQLITE_NULL) {
			tenant->has_bounds = true;
			tenant->bounds = (struct log_bounds){
				.rate = sqlite3_column_int64(statement, 3),
				.max_mb = sqlite3_column_int64(statement, 4),
				.max_days = sqlite3_column_int64(statement, 5),
			};
		}
		*found = mem_resize(*found, *count + 1, sizeof(**found));
		(*found)[(*count)++] = tenant;
	}
	return rc == SQLITE_DONE ? 0 : log_sqlite_fail(&writer->sql, err);
}

static struct log_tenant *find(struct log_tenant **tenants, size_t count, int64_t number)
{
	size_t low = 0, high = count;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (tenants[middle]->number < number)
			low = middle + 1;
		else
			high = middle;
	}
	return low < count && tenants[low]->number == number ? tenants[low] : NULL;
}

static void grow_tail(struct log_tenant *tenant, uint64_t seq, int64_t first_ms, int64_t last_ms,
	unsigned streams, const char *data, size_t len)
{
	struct log_writer *writer = tenant->writer;

	if (!tenant->tail.len) {
		DL_APPEND2(writer->tails, tenant, tail_prev, tail_next);
		tenant->tail_first_seq = seq;
		tenant->tail_first_ms = first_ms;
		tenant->tail_last_ms = last_ms;
		tenant->tail_streams = 0;
	}
	if (first_ms < tenant->tail_first_ms)
		tenant->tail_first_ms = first_ms;
	if (last_ms > tenant->tail_last_ms)
		tenant->tail_last_ms = last_ms;
	tenant->tail_last_seq = seq;
	tenant->tail_streams |= streams;
	text_add(&tenant->tail, data, len);
	writer->tail_bytes += len;
}

void log_rows_clear_tail(struct log_tenant *tenant)
{
	struct log_writer *writer = tenant->writer;

	if (!tenant->tail.len)
		return;
	DL_DELETE2(writer->tails, tenant, tail_prev, tail_next);
	writer->tail_bytes -= tenant->tail.len;
	text_free(&tenant->tail);
}

/* The rows (tenant, seq, first_ms, last_ms, streams, data) of STATEMENT. */
static int load_tails(struct log_writer *writer, sqlite3_stmt *statement,
	struct log_tenant **tenants, size_t count, struct ten_error *err)
{
	int rc;

	while ((rc = log_sqlite_step(statement)) == SQLITE_ROW) {
		struct log_tenant *tenant =
			find(tenants, count, sqlite3_column_int64(statement, 0));

		/* (who has a tail without a byte would be among the tails twice) */
		if (tenant && sqlite3_column_bytes(statement, 5) > 0)
			grow_tail(tenant, (uint64_t)sqlite3_column_int64(statement, 1),
				sqlite3_column_int64(statement, 2),
				sqlite3_column_int64(statement, 3),
				(unsigned)sqlite3_column_int(statement, 4),
				sqlite3_column_blob(statement, 5),
				(size_t)sqlite3_column_bytes(statement, 5));
	}
	return rc == SQLITE_DONE ? 0 : log_sqlite_fail(&writer->sql, err);
}

static int load_sizes(
	struct log_writer *writer, struct log_tenant **tenants, size_t count, struct ten_error *err)
{
	static const char text[] = "SELECT tenant, sum(raw) FROM block GROUP BY tenant";
	sqlite3_stmt *statement = log_sqlite_prepare(&writer->sql, text, NULL, 0);
	int rc;

	while ((rc = log_sqlite_step(statement)) == SQLITE_ROW) {
		struct log_tenant *tenant =
			find(tenants, count, sqlite3_column_int64(statement, 0));

		if (tenant)
			tenant->raw = (uint64_t)sqlite3_column_int64(statement, 1);
	}
	return rc == SQLITE_DONE ? 0 : log_sqlite_fail(&writer->sql, err);
}

int log_rows_load(struct log_writer *writer, struct ten_error *err)
{
	static const char newest[] = "SELECT max(coalesce((SELECT max(seq) FROM tail), 0),"
				     " coalesce((SELECT max(seq) FROM block), 0))";
	static const char tails[] =
		"SELECT tenant, seq, first_ms, last_ms, streams, data FROM tail ORDER BY seq";
	autofree struct log_tenant **tenants = NULL;
	size_t count;
	int64_t seq;

	if (log_sqlite_number(&writer->sql, log_sqlite_prepare(&writer->sql, newest, NULL, 0), 0,
		    &seq, err) < 0 ||
		load_tenants(writer, &tenants, &count, err) < 0 ||
		load_sizes(writer, tenants, count, err) < 0 ||
		load_tails(writer, log_sqlite_prepare(&writer->sql, tails, NULL, 0), tenants, count,
			err) < 0)
		return -1;
	if ((uint64_t)seq > writer->seq)
		writer->seq = (uint64_t)seq;
	return 0;
}

int log_rows_reload(struct log_tenant *tenant, struct ten_error *err)
{
	static const char tails[] = "SELECT tenant, seq, first_ms, last_ms, streams, data FROM tail"
				    " WHERE tenant = ? ORDER BY seq";
	static const char size[] = "SELECT sum(raw) FROM block WHERE tenant = ?";
	struct log_sqlite *sql = &tenant->writer->sql;
	int64_t raw;

	log_rows_clear_tail(tenant);
	tenant->raw = 0;
	tenant->oldest_ms = 0;
	if (!tenant->number)
		return 0;
	if (log_sqlite_number(sql, LOG_SQLITE_PREPARE(sql, size, tenant->number), 0, &raw, err) < 0)
		return -1;
	tenant->raw = (uint64_t)raw;
	return load_tails(
		tenant->writer, LOG_SQLITE_PREPARE(sql, tails, tenant->number), &tenant, 1, err);
}

/* ---- tenants and tails ---- */

/* There may be one: of whom was forgotten in a transaction that came to nothing. */
static int insert_tenant(struct log_tenant *tenant, struct ten_error *err)
{
	static const char text[] = "INSERT INTO tenant (service, id) VALUES (?, ?)"
				   " ON CONFLICT DO UPDATE SET rate = NULL RETURNING number";
	struct log_writer *writer = tenant->writer;
	sqlite3_stmt *statement = log_sqlite_prepare(&writer->sql, text, NULL, 0);

	if (statement) {
		sqlite3_bind_text(statement, 1, tenant->service, -1, SQLITE_STATIC);
		sqlite3_bind_text(statement, 2, tenant->id, -1, SQLITE_STATIC);
	}
	if (log_sqlite_number(&writer->sql, statement, 0, &tenant->number, err) < 0)
		return -1;
	tenant->is_new = true;
	tenant->bounds_changed = tenant->has_bounds;
	return 0;
}

int log_rows_store_tenant(struct log_tenant *tenant, struct ten_error *err)
{
	static const char text[] =
		"UPDATE tenant SET rate = ?, max_mb = ?, max_days = ? WHERE number = ?";
	struct log_writer *writer = tenant->writer;
	const struct log_bounds *bounds = &tenant->bounds;

	if (!tenant->number && insert_tenant(tenant, err) < 0)
		return -1;
	if (!tenant->bounds_changed)
		return 0;
	tenant->bounds_changed = false;
	return finish(writer,
		LOG_SQLITE_PREPARE(&writer->sql, text, bounds->rate, bounds->max_mb,
			bounds->max_days, tenant->number),
		err);
}

static void bind_data(sqlite3_stmt *statement, int place, const struct text *data)
{
	if (statement)
		sqlite3_bind_blob64(statement, place, data->data, data->len, SQLITE_STATIC);
}

static int insert_tail(struct log_tenant *tenant, uint64_t seq, const struct log_chunk *chunk,
	const struct text *encoded, struct ten_error *err)
{
	static const char text[] =
		"INSERT INTO tail (seq, tenant, first_ms, last_ms, streams, data)"
		" VALUES (?, ?, ?, ?, ?, ?)";
	struct log_writer *writer = tenant->writer;
	sqlite3_stmt *statement = LOG_SQLITE_PREPARE(&writer->sql, text, (int64_t)seq,
		tenant->number, chunk->first_ms, chunk->last_ms, chunk->streams);

	bind_data(statement, 6, encoded);
	return finish(writer, statement, err);
}

int log_rows_add_chunk(struct log_tenant *tenant, struct ten_error *err)
{
	struct log_writer *writer = tenant->writer;
	struct text *encoded = &writer->encoded;
	const struct log_chunk chunk = tenant->chunk; /* its times and streams */
	uint64_t seq = ++writer->seq;

	encoded->len = 0;
	log_chunk_end(&tenant->chunk, seq, encoded);
	grow_tail(tenant, seq, chunk.first_ms, chunk.last_ms, chunk.streams, encoded->data,
		encoded->len);
	if (tenant->tail.len >= LOG_CHUNK_BYTES)
		return log_rows_seal(tenant, err);
	return insert_tail(tenant, seq, &chunk, encoded, err);
}

/* ---- segments ---- */

/* The one that is written: the last there is. */
static int find_segment(struct log_writer *writer, struct ten_error *err)
{
	static const char last[] = "SELECT max(number) FROM segment";
	static const char size[] = "SELECT sum(raw) FROM block NOT INDEXED WHERE seq >="
				   " (SELECT first_seq FROM segment WHERE number = ?)";
	struct log_sqlite *sql = &writer->sql;
	int64_t raw = 0;

	if (log_sqlite_number(
		    sql, log_sqlite_prepare(sql, last, NULL, 0), 0, &writer->segment, err) < 0 ||
		(writer->segment &&
			log_sqlite_number(sql, LOG_SQLITE_PREPARE(sql, size, writer->segment), 0,
				&raw, err) < 0))
		return -1;
	writer->segment_raw = (uint64_t)raw;
	return 0;
}

static int make_segment(struct log_writer *writer, struct ten_error *err)
{
	static const char text[] = "INSERT INTO segment (first_seq) VALUES (?)";
	autofree char *table = NULL;

	if (finish(writer, LOG_SQLITE_PREPARE(&writer->sql, text, (int64_t)writer->seq), err) < 0)
		return -1;
	writer->segment = sqlite3_last_insert_rowid(writer->sql.sqlite);
	writer->segment_raw = 0;
	table = mem_printf("CREATE VIRTUAL TABLE words_%lld USING fts5 (words, content = '',"
			   " detail = none, columnsize = 0, tokenize = \"ascii tokenchars '_'\")",
		(long long)writer->segment);
	return log_sqlite_run(&writer->sql, table, err);
}

/* Have writer->index add a document to a segment that has room. */
static int open_segment(struct log_writer *writer, struct ten_error *err)
{
	autofree char *text = NULL;

	if (writer->index && writer->segment_raw < LOG_SEGMENT_BYTES)
		return 0;
	sqlite3_finalize(mem_steal(&writer->index));
	if (!writer->segment && find_segment(writer, err) < 0)
		return -1;
	if ((!writer->segment || writer->segment_raw >= LOG_SEGMENT_BYTES) &&
		make_segment(writer, err) < 0)
		return -1;
	text = mem_printf(
		"INSERT INTO words_%lld (rowid, words) VALUES (?, ?)", (long long)writer->segment);
	return sqlite3_prepare_v3(writer->sql.sqlite, text, -1, SQLITE_PREPARE_PERSISTENT,
		       &writer->index, NULL) == SQLITE_OK
		       ? 0
		       : log_sqlite_fail(&writer->sql, err);
}

/* ---- blocks ---- */

static void collect_words(struct log_writer *writer, const struct text *chunks, int64_t tenant)
{
	struct log_chunk_view view;
	size_t at = 0;

	log_wordset_reset(writer->words);
	while (log_chunk_read(chunks->data, chunks->len, &at, &view))
		log_wordset_add(writer->words, view.text, view.text_len);
	writer->encoded.len = 0;
	text_add(&writer->encoded, log_wordset_text(writer->words)->data,
		log_wordset_text(writer->words)->len);
	text_printf(&writer->encoded, LOG_TENANT_WORD, (long long)tenant);
}

static int index_block(
	struct log_writer *writer, uint64_t seq, const struct text *words, struct ten_error *err)
{
	int rc;

	sqlite3_bind_int64(writer->index, 1, (int64_t)seq);
	sqlite3_bind_text64(writer->index, 2, words->data, words->len, SQLITE_STATIC, SQLITE_UTF8);
	rc = log_sqlite_step(writer->index);
	return rc == SQLITE_DONE ? 0 : log_sqlite_fail(&writer->sql, err);
}

static int insert_block(struct log_tenant *tenant, uint64_t seq, struct ten_error *err)
{
	static const char text[] =
		"INSERT INTO block (seq, first_seq, last_seq, tenant, first_ms, last_ms, streams,"
		" raw, data) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)";
	struct log_writer *writer = tenant->writer;
	sqlite3_stmt *statement = LOG_SQLITE_PREPARE(&writer->sql, text, (int64_t)seq,
		(int64_t)tenant->tail_first_seq, (int64_t)tenant->tail_last_seq, tenant->number,
		tenant->tail_first_ms, tenant->tail_last_ms, tenant->tail_streams,
		(int64_t)tenant->tail.len);

	log_block_pack(writer->packer, tenant->tail.data, tenant->tail.len, &writer->packed);
	bind_data(statement, 9, &writer->packed);
	return finish(writer, statement, err);
}

int log_rows_seal(struct log_tenant *tenant, struct ten_error *err)
{
	static const char text[] = "DELETE FROM tail WHERE tenant = ?";
	struct log_writer *writer = tenant->writer;
	uint64_t seq = ++writer->seq;
	uint64_t raw = tenant->tail.len;
	int outcome = 1;

	if (open_segment(writer, err) < 0 || insert_block(tenant, seq, err) < 0 ||
		finish(writer, LOG_SQLITE_PREPARE(&writer->sql, text, tenant->number), err) < 0)
		return -1;
	collect_words(writer, &tenant->tail, tenant->number);
	if (index_block(writer, seq, &writer->encoded, err) < 0)
		return -1;
	log_rows_clear_tail(tenant);
	tenant->raw += raw;
	writer->segment_raw += raw;
	for (int i = 0; i < SEAL_PRUNES && outcome > 0 && log_rows_too_much(tenant); i++)
		outcome = log_rows_drop_oldest(tenant, err);
	return outcome < 0 ? -1 : 0;
}

/* What there is in block SEQ, into writer->packed; *TENANT: whose it is. False: nothing that can be
 * read. */
static bool read_block(struct log_writer *writer, int64_t seq, int64_t *tenant)
{
	static const char text[] = "SELECT tenant, data FROM block WHERE seq = ?";
	sqlite3_stmt *statement = LOG_SQLITE_PREPARE(&writer->sql, text, seq);
	bool good = false;

	if (log_sqlite_step(statement) != SQLITE_ROW)
		return false;
	*tenant = sqlite3_column_int64(statement, 0);
	good = log_block_unpack(writer->packer, sqlite3_column_blob(statement, 1),
		       (size_t)sqlite3_column_bytes(statement, 1), &writer->packed, NULL) == 0;
	sqlite3_reset(statement);
	return good;
}

int log_rows_move(struct log_writer *writer, int64_t seq, struct ten_error *err)
{
	static const char move[] = "UPDATE block SET seq = ? WHERE seq = ?";
	static const char drop[] = "DELETE FROM block WHERE seq = ?";
	uint64_t new_seq = ++writer->seq;
	int64_t tenant;

	if (!read_block(writer, seq, &tenant))
		return finish(writer, LOG_SQLITE_PREPARE(&writer->sql, drop, seq), err);
	if (open_segment(writer, err) < 0 ||
		finish(writer, LOG_SQLITE_PREPARE(&writer->sql, move, (int64_t)new_seq, seq), err) <
			0)
		return -1;
	collect_words(writer, &writer->packed, tenant);
	writer->segment_raw += writer->packed.len;
	return index_block(writer, new_seq, &writer->encoded, err);
}

bool log_rows_too_much(const struct log_tenant *tenant)
{
	return tenant->bounds.max_mb > 0 && tenant->raw > (uint64_t)tenant->bounds.max_mb << 20;
}

int log_rows_drop_oldest(struct log_tenant *tenant, struct ten_error *err)
{
	static const char oldest[] = "SELECT seq, raw FROM block WHERE tenant = ?"
				     " ORDER BY first_seq LIMIT 1";
	static const char drop[] = "DELETE FROM block WHERE seq = ?";
	struct log_writer *writer = tenant->writer;
	sqlite3_stmt *statement = LOG_SQLITE_PREPARE(&writer->sql, oldest, tenant->number);
	int rc = log_sqlite_step(statement);
	int64_t seq, raw;

	tenant->oldest_ms = 0;
	if (rc == SQLITE_DONE) {
		tenant->raw = 0;
		return 0;
	}
	if (rc != SQLITE_ROW)
		return log_sqlite_fail(&writer->sql, err);
	seq = sqlite3_column_int64(statement, 0);
	raw = sqlite3_column_int64(statement, 1);
	sqlite3_reset(statement);
	if (finish(writer, LOG_SQLITE_PREPARE(&writer->sql, drop, seq), err) < 0)
		return -1;
	tenant->raw -= (uint64_t)raw < tenant->raw ? (uint64_t)raw : tenant->raw;
	return 1;
}
