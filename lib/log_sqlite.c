#include "log_sqlite.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "mem.h"

#define BUSY_MS     "100"
#define WAL_MAX     "67108864"
#define CACHE_KIB   "-8192"
#define NAMES_TRIES 100

static const char schema[] =
	"CREATE TABLE tenant (number INTEGER PRIMARY KEY AUTOINCREMENT, service TEXT NOT NULL,"
	" id TEXT NOT NULL, rate INTEGER, max_mb INTEGER, max_days INTEGER, UNIQUE (service, id));"
	"CREATE TABLE tail (seq INTEGER PRIMARY KEY, tenant INTEGER NOT NULL,"
	" first_ms INTEGER NOT NULL, last_ms INTEGER NOT NULL, streams INTEGER NOT NULL,"
	" data BLOB NOT NULL);"
	"CREATE INDEX tail_of ON tail (tenant, seq);"
	"CREATE TABLE block (seq INTEGER PRIMARY KEY, first_seq INTEGER NOT NULL,"
	" last_seq INTEGER NOT NULL, tenant INTEGER NOT NULL, first_ms INTEGER NOT NULL,"
	" last_ms INTEGER NOT NULL, streams INTEGER NOT NULL, raw INTEGER NOT NULL,"
	" data BLOB NOT NULL);"
	"CREATE INDEX block_of ON block"
	" (tenant, first_seq, last_seq, seq, first_ms, last_ms, streams, raw);"
	"CREATE TABLE segment (number INTEGER PRIMARY KEY AUTOINCREMENT,"
	" first_seq INTEGER NOT NULL);";

/* ---- opening ---- */

static int make_schema(struct log_sqlite *db, struct ten_error *err)
{
	autofree char *version = mem_printf("PRAGMA user_version = %d; COMMIT;", LOG_DB_VERSION);

	return log_sqlite_run(db, schema, err) < 0 ? -1 : log_sqlite_run(db, version, err);
}

static int read_version(struct log_sqlite *db, int64_t *version, struct ten_error *err)
{
	static const char text[] = "PRAGMA user_version";

	if (log_sqlite_number(db, log_sqlite_prepare(db, text, NULL, 0), 0, version, err) < 0)
		return -1;
	if (*version > LOG_DB_VERSION)
		return ten_error_set(err, EPERM,
			"%s is of a newer tenement (its version is %lld, this program knows %d)",
			LOG_DB_FILE, (long long)*version, LOG_DB_VERSION);
	return 0;
}

static int sqlite_open(struct log_sqlite *db, const char *folder, int flags, struct ten_error *err)
{
	autofree char *path = mem_printf("%s/%s", folder, LOG_DB_FILE);

	*db = (struct log_sqlite){ 0 };
	if (sqlite3_open_v2(path, &db->sqlite, flags | SQLITE_OPEN_NOFOLLOW, NULL) == SQLITE_OK)
		return 0;
	if (!db->sqlite)
		return ten_error_set(err, ENOMEM, LOG_DB_FILE);
	if ((flags & SQLITE_OPEN_READONLY) && access(path, F_OK) < 0)
		return ten_error_set(err, errno, LOG_DB_FILE);
	return log_sqlite_fail(db, err);
}

int log_sqlite_open_reader(struct log_sqlite *db, const char *folder, struct ten_error *err)
{
	int64_t version = 0;

	if (sqlite_open(db, folder, SQLITE_OPEN_READONLY, err) == 0 &&
		log_sqlite_run(db, "PRAGMA busy_timeout = 2000; PRAGMA cache_size = " CACHE_KIB,
			err) == 0 &&
		read_version(db, &version, err) == 0) {
		if (version)
			return 0;
		ten_error_set(err, ENOENT, LOG_DB_FILE); /* being made at this moment */
	}
	log_sqlite_close(db);
	return -1;
}

int log_sqlite_open_writer(struct log_sqlite *db, const char *folder, struct ten_error *err)
{
	int64_t version;

	/* That a crash of the machine leaves it whole is worth the checkpoints' syncs; commits have
	 * none. */
	if (sqlite_open(db, folder, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, err) == 0 &&
		log_sqlite_run(db,
			"PRAGMA busy_timeout = " BUSY_MS "; PRAGMA auto_vacuum = INCREMENTAL;"
			"PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;"
			"PRAGMA cache_size = " CACHE_KIB "; PRAGMA journal_size_limit = " WAL_MAX
			"; BEGIN IMMEDIATE",
			err) == 0 &&
		read_version(db, &version, err) == 0 &&
		(version ? log_sqlite_run(db, "COMMIT", err) : make_schema(db, err)) == 0)
		return 0;
	log_sqlite_close(db);
	return -1;
}

void log_sqlite_close(struct log_sqlite *db)
{
	for (int i = 0; i < LOG_STATEMENTS; i++)
		sqlite3_finalize(db->statements[i]);
	sqlite3_close(db->sqlite);
	*db = (struct log_sqlite){ 0 };
}

char *log_sqlite_set_aside(const char *folder)
{
	static const char *const endings[] = { "-wal", "-shm" };
	autofree char *path = mem_printf("%s/%s", folder, LOG_DB_FILE);

	for (int i = 0; i < NAMES_TRIES; i++) {
		autofree char *name =
			mem_printf("%s.damaged.%lld", path, (long long)time(NULL) + i);

		if (access(name, F_OK) == 0)
			continue;
		if (rename(path, name) < 0)
			return NULL;
		for (size_t j = 0; j < sizeof(endings) / sizeof(*endings); j++) {
			autofree char *from = mem_printf("%s%s", path, endings[j]);
			autofree char *to = mem_printf("%s%s", name, endings[j]);

			/* Under its old name it would be taken for the new one's. */
			if (rename(from, to) < 0 && errno != ENOENT)
				unlink(from);
		}
		return mem_steal(&name);
	}
	return NULL;
}

/* ---- statements ---- */

int log_sqlite_fail(struct log_sqlite *db, struct ten_error *err)
{
	int code = sqlite3_errcode(db->sqlite) & 0xff;
	int why = EIO;

	if (code == SQLITE_CORRUPT || code == SQLITE_NOTADB ||
		sqlite3_extended_errcode(db->sqlite) == SQLITE_IOERR_SHORT_READ ||
		strncmp(sqlite3_errmsg(db->sqlite), "no such ", strlen("no such ")) == 0)
		why = EUCLEAN;
	else if (code == SQLITE_FULL)
		why = ENOSPC;
	else if (code == SQLITE_BUSY || code == SQLITE_LOCKED)
		why = EAGAIN;
	return ten_error_say(err, why, "%s: %s", LOG_DB_FILE, sqlite3_errmsg(db->sqlite));
}

int log_sqlite_run(struct log_sqlite *db, const char *text, struct ten_error *err)
{
	return sqlite3_exec(db->sqlite, text, NULL, NULL, NULL) == SQLITE_OK
		       ? 0
		       : log_sqlite_fail(db, err);
}

sqlite3_stmt *log_sqlite_prepare(
	struct log_sqlite *db, const char *text, const int64_t *numbers, int count)
{
	sqlite3_stmt *statement;
	int i = 0;

	while (i < LOG_STATEMENTS - 1 && db->texts[i] && db->texts[i] != text)
		i++;
	if (db->texts[i] != text) {
		sqlite3_finalize(db->statements[i]);
		db->statements[i] = NULL;
		db->texts[i] = NULL;
		if (sqlite3_prepare_v3(db->sqlite, text, -1, SQLITE_PREPARE_PERSISTENT,
			    &db->statements[i], NULL) != SQLITE_OK)
			return NULL;
		db->texts[i] = text;
	}
	statement = db->statements[i];
	sqlite3_reset(statement);
	for (int n = 0; n < count; n++)
		sqlite3_bind_int64(statement, n + 1, numbers[n]);
	return statement;
}

int log_sqlite_step(sqlite3_stmt *statement)
{
	int rc = statement ? sqlite3_step(statement) : SQLITE_ERROR;

	/* A statement that has said its last holds nothing. */
	if (statement && rc != SQLITE_ROW)
		sqlite3_reset(statement);
	return rc;
}

int log_sqlite_finish(struct log_sqlite *db, sqlite3_stmt *statement, struct ten_error *err)
{
	return log_sqlite_step(statement) == SQLITE_DONE ? 0 : log_sqlite_fail(db, err);
}

int log_sqlite_number(struct log_sqlite *db, sqlite3_stmt *statement, int64_t none, int64_t *number,
	struct ten_error *err)
{
	int rc = log_sqlite_step(statement);

	*number = none;
	if (rc != SQLITE_ROW && rc != SQLITE_DONE)
		return log_sqlite_fail(db, err);
	if (rc == SQLITE_ROW) {
		if (sqlite3_column_type(statement, 0) != SQLITE_NULL)
			*number = sqlite3_column_int64(statement, 0);
		sqlite3_reset(statement);
	}
	return 0;
}
