#include "log_writer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include <utlist.h>

#include "log_checkpoint.h"
#include "log_writer_rows.h"
#include "mem.h"

/* ---- what is lost ---- */

void log_writer_mark(struct log_tenant *tenant)
{
	if (tenant->is_dirty)
		return;
	tenant->is_dirty = true;
	DL_APPEND(tenant->writer->dirty, tenant);
}

static void lose(struct log_tenant *tenant, uint64_t lines, int why)
{
	if (!lines)
		return;
	tenant->lost += lines;
	tenant->lost_why = why > 0 ? why : EIO;
	tenant->writer->state.dropped += lines;
	log_writer_mark(tenant);
}

/* After a rollback, or with a new store: what was in doubt is lost, and what is in memory is wrong.
 */
static void undo(struct log_tenant *tenant, bool all_gone, int why)
{
	struct ten_error ignored;

	lose(tenant, tenant->in_doubt, why);
	tenant->in_doubt = 0;
	tenant->noted = 0;
	tenant->bounds_changed = tenant->has_bounds;
	if (tenant->is_new || all_gone)
		tenant->number = 0;
	tenant->is_new = false;
	log_rows_reload(tenant, &ignored);
}

static void undo_all(struct log_writer *writer, int why)
{
	struct log_tenant *tenant, *next;

	HASH_ITER (hh, writer->tenants, tenant, next)
		undo(tenant, true, why);
}

/* ---- opening ---- */

/* Numbers go on rising where a store was set aside, so that who follows by a cursor goes on, too.
 */
static uint64_t first_seq(void)
{
	return (uint64_t)time(NULL) * 100;
}

static void prepare(struct log_writer *writer)
{
	struct stat status = { 0 };

	if (stat(writer->path, &status) == 0) {
		writer->device = status.st_dev;
		writer->inode = status.st_ino;
	}
	if (writer->seq < first_seq())
		writer->seq = first_seq();
	writer->segment = 0;
	writer->in_transaction = false;
	writer->checkpoint = log_checkpoint_start(writer->path, writer->sql.sqlite);
}

static void close_sqlite(struct log_writer *writer)
{
	sqlite3_finalize(mem_steal(&writer->index));
	log_checkpoint_stop(mem_steal(&writer->checkpoint));
	log_sqlite_close(&writer->sql);
}

/* Put a damaged store away, and begin another. */
static int begin_anew(struct log_writer *writer, struct ten_error *err)
{
	autofree char *name = NULL;

	close_sqlite(writer);
	undo_all(writer, EUCLEAN);
	name = log_sqlite_set_aside(writer->folder);
	if (!name)
		return ten_error_set(err, errno, "cannot set the damaged %s aside", LOG_DB_FILE);
	free(writer->state.set_aside);
	writer->state.set_aside = mem_steal(&name);
	if (log_sqlite_open_writer(&writer->sql, writer->folder, err) < 0)
		return -1;
	prepare(writer);
	return 0;
}

struct log_writer *log_writer_new(const char *folder, const struct log_bounds *bounds)
{
	struct log_writer *writer = mem_alloc(sizeof(*writer));

	writer->folder = mem_strdup(folder);
	writer->path = mem_printf("%s/%s", folder, LOG_DB_FILE);
	writer->bounds = *bounds;
	writer->packer = log_packer_new();
	writer->words = log_wordset_new();
	return writer;
}

int log_writer_open(struct log_writer *writer, struct ten_error *err)
{
	if (log_sqlite_open_writer(&writer->sql, writer->folder, err) == 0) {
		prepare(writer);
		if (log_rows_load(writer, err) == 0)
			return 0;
		close_sqlite(writer);
		undo_all(writer, err->code);
	}
	return err->code == EUCLEAN ? begin_anew(writer, err) : -1;
}

void log_writer_forget(struct log_tenant *tenant)
{
	struct log_writer *writer = tenant->writer;

	if (tenant->is_dirty)
		DL_DELETE(writer->dirty, tenant);
	log_rows_clear_tail(tenant);
	log_chunk_free(&tenant->chunk);
	HASH_DEL(writer->tenants, tenant);
	free(tenant->key);
	free(tenant->service);
	free(tenant->id);
	free(tenant);
}

void log_writer_close(struct log_writer *writer)
{
	struct log_tenant *tenant, *next;

	if (!writer)
		return;
	if (writer->sql.sqlite)
		log_writer_commit(writer, (int64_t)time(NULL) * 1000, NULL);
	HASH_ITER (hh, writer->tenants, tenant, next)
		log_writer_forget(tenant);
	close_sqlite(writer);
	log_packer_free(writer->packer);
	log_wordset_free(writer->words);
	text_free(&writer->encoded);
	text_free(&writer->packed);
	free(writer->state.set_aside);
	free(writer->tend_key);
	free(writer->folder);
	free(writer->path);
	free(writer);
}

struct log_writer_state *log_writer_state(struct log_writer *writer)
{
	return &writer->state;
}

const struct log_bounds *log_writer_bounds(const struct log_writer *writer)
{
	return &writer->bounds;
}

/* ---- tenants ---- */

struct log_tenant *log_writer_tenant(struct log_writer *writer, const char *service, const char *id)
{
	autofree char *key = mem_printf("%s:%s", service, id);
	struct log_tenant *tenant;

	HASH_FIND_STR(writer->tenants, key, tenant);
	if (!tenant) {
		tenant = mem_alloc(sizeof(*tenant));
		tenant->writer = writer;
		tenant->key = mem_steal(&key);
		tenant->service = mem_strdup(service);
		tenant->id = mem_strdup(id);
		tenant->bounds = writer->bounds;
		HASH_ADD_KEYPTR(hh, writer->tenants, tenant->key, strlen(tenant->key), tenant);
	}
	tenant->references++;
	return tenant;
}

struct log_tenant *log_writer_find(struct log_writer *writer, const char *service, const char *id)
{
	autofree char *key = mem_printf("%s:%s", service, id);
	struct log_tenant *tenant;

	HASH_FIND_STR(writer->tenants, key, tenant);
	return tenant;
}

/* Of who may have rows the bounds are known until log_writer_tend() finds none. */
void log_tenant_release(struct log_tenant *tenant)
{
	tenant->references--;
}

const struct log_bounds *log_tenant_bounds(const struct log_tenant *tenant)
{
	return &tenant->bounds;
}

void log_tenant_set_bounds(struct log_tenant *tenant, const struct log_bounds *bounds)
{
	if (tenant->has_bounds && memcmp(&tenant->bounds, bounds, sizeof(*bounds)) == 0)
		return;
	tenant->bounds = *bounds;
	tenant->has_bounds = true;
	tenant->bounds_changed = true;
	log_writer_mark(tenant);
}

/* ---- transactions ---- */

static void unmark(struct log_tenant *tenant)
{
	tenant->is_dirty = false;
	DL_DELETE(tenant->writer->dirty, tenant);
}

static int try_begin(struct log_writer *writer, struct ten_error *err)
{
	if (!writer->sql.sqlite && log_writer_open(writer, err) < 0)
		return -1;
	return log_sqlite_run(&writer->sql, "BEGIN IMMEDIATE", err);
}

int log_writer_begin(struct log_writer *writer, struct ten_error *err)
{
	if (writer->in_transaction)
		return 0;
	if (try_begin(writer, err) < 0)
		return err->code == EUCLEAN ? log_writer_fail(writer, err) : -1;
	writer->in_transaction = true;
	return 0;
}

int log_writer_fail(struct log_writer *writer, struct ten_error *err)
{
	struct ten_error second;
	struct log_tenant *tenant, *next;
	int why = err->code;

	writer->failures++;
	sqlite3_finalize(mem_steal(&writer->index));
	writer->segment = 0;
	writer->in_transaction = false;
	if (why == EUCLEAN) {
		if (begin_anew(writer, &second) < 0)
			close_sqlite(writer);
		return -1;
	}
	log_sqlite_run(&writer->sql, "ROLLBACK", &second);
	DL_FOREACH_SAFE (writer->dirty, tenant, next)
		undo(tenant, false, why);
	return -1;
}

void log_writer_reopen_moved(struct log_writer *writer)
{
	struct stat status;
	struct ten_error ignored;

	if (stat(writer->path, &status) == 0 && status.st_dev == writer->device &&
		status.st_ino == writer->inode)
		return;
	close_sqlite(writer);
	undo_all(writer, ESTALE);
	log_writer_open(writer, &ignored);
}

/* What was in it is there to stay. */
static void settle(struct log_writer *writer)
{
	struct log_tenant *tenant, *next;

	writer->in_transaction = false;
	DL_FOREACH_SAFE (writer->dirty, tenant, next) {
		writer->state.lines += tenant->in_doubt;
		tenant->lost -= tenant->noted;
		tenant->in_doubt = tenant->noted = 0;
		tenant->is_new = false;
		if (!tenant->chunk.lines && !tenant->lost)
			unmark(tenant);
	}
}

/* ---- lines ---- */

static void add_remark(struct log_tenant *tenant, int64_t now_ms)
{
	autofree char *message = mem_printf("%llu lines dropped: %s",
		(unsigned long long)tenant->lost, strerror(tenant->lost_why));
	const struct log_line line = {
		.time_ms = now_ms,
		.stream = LOG_LINE_TENEMENT,
		.message = message,
		.len = strlen(message),
	};

	tenant->noted = tenant->lost;
	log_chunk_add(&tenant->chunk, &line);
}

static int tenant_flush(struct log_tenant *tenant, int64_t now_ms, struct ten_error *err)
{
	struct log_writer *writer = tenant->writer;
	uint32_t lines = tenant->chunk.lines;

	if (!lines && !tenant->lost && !tenant->bounds_changed)
		return 0;
	if (log_writer_begin(writer, err) < 0)
		return -1;
	tenant->in_doubt += lines;
	if (tenant->lost > tenant->noted)
		add_remark(tenant, now_ms);
	if (log_rows_store_tenant(tenant, err) < 0 ||
		(tenant->chunk.lines && log_rows_add_chunk(tenant, err) < 0)) {
		log_chunk_reset(&tenant->chunk);
		return log_writer_fail(writer, err);
	}
	return 0;
}

void log_tenant_add(struct log_tenant *tenant, const struct log_line *line)
{
	struct log_writer *writer = tenant->writer;
	struct ten_error err;

	if (log_chunk_is_full(&tenant->chunk) && tenant_flush(tenant, line->time_ms, &err) < 0) {
		writer->failure = err;
		writer->has_failed = true;
		lose(tenant, tenant->chunk.lines, err.code);
		log_chunk_reset(&tenant->chunk);
	}
	log_chunk_add(&tenant->chunk, line);
	log_writer_mark(tenant);
}

bool log_writer_is_dirty(const struct log_writer *writer)
{
	return writer->dirty || writer->in_transaction;
}

/* Waiting lines of all are bounded: who waits longest makes room. */
static int seal_some(struct log_writer *writer, struct ten_error *err)
{
	while (writer->tail_bytes > LOG_TAILS_MAX) {
		struct log_tenant *tenant = writer->tails;

		if (log_writer_begin(writer, err) < 0)
			return -1;
		log_writer_mark(tenant);
		if (log_rows_seal(tenant, err) < 0)
			return log_writer_fail(writer, err);
	}
	return 0;
}

int log_writer_commit(struct log_writer *writer, int64_t now_ms, struct ten_error *err)
{
	struct log_tenant *tenant, *next;
	struct ten_error failure;
	int outcome = 0;

	DL_FOREACH_SAFE (writer->dirty, tenant, next) {
		outcome = tenant_flush(tenant, now_ms, &failure);
		if (outcome < 0)
			break;
	}
	if (outcome == 0)
		outcome = seal_some(writer, &failure);
	if (outcome == 0 && writer->in_transaction) {
		outcome = log_sqlite_run(&writer->sql, "COMMIT", &failure);
		if (outcome < 0)
			log_writer_fail(writer, &failure);
		else
			settle(writer);
	}
	if (outcome == 0 && writer->has_failed) {
		failure = writer->failure;
		outcome = -1;
	}
	writer->has_failed = false;
	return outcome < 0 ? ten_error_say(err, failure.code, "%s", failure.text) : 0;
}
