#include "usage_db.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "mem.h"
#include "usage_sqlite.h"

#define BUSY_MS     2000
#define NAMES_TRIES 100
#define RUN_HOURS   48   /* an ended process is told again within that, if at all */
#define LOST_HOURS  9600 /* one whose end nobody saw */
#define BOARD_HOURS 48
#define WAL_MAX     "16777216"
#define CACHE_KIB   "-4096"
#define STATEMENTS  24

static const char schema[] =
	"CREATE TABLE tenant (number INTEGER PRIMARY KEY, service TEXT NOT NULL, id TEXT NOT NULL,"
	" UNIQUE (service, id));"
	"CREATE TABLE usage (hour INTEGER, tenant INTEGER,"
	" requests INTEGER NOT NULL DEFAULT 0, bytes_in INTEGER NOT NULL DEFAULT 0,"
	" bytes_out INTEGER NOT NULL DEFAULT 0, cpu_usec INTEGER NOT NULL DEFAULT 0,"
	" uptime_ms INTEGER NOT NULL DEFAULT 0, memory_kib_secs INTEGER NOT NULL DEFAULT 0,"
	" memory_max_bytes INTEGER NOT NULL DEFAULT 0, io_read_bytes INTEGER NOT NULL DEFAULT 0,"
	" io_written_bytes INTEGER NOT NULL DEFAULT 0, starts INTEGER NOT NULL DEFAULT 0,"
	" oom_kills INTEGER NOT NULL DEFAULT 0, stored_bytes INTEGER,"
	" PRIMARY KEY (hour, tenant)) WITHOUT ROWID;"
	"CREATE TABLE run (name TEXT PRIMARY KEY, hour INTEGER, ended INTEGER,"
	" uptime_ms INTEGER, cpu_usec INTEGER, io_read_bytes INTEGER, io_written_bytes INTEGER,"
	" oom_kills INTEGER, memory_kib_secs INTEGER, life INTEGER) WITHOUT ROWID;"
	"CREATE TABLE slot (board INTEGER, slot INTEGER, hour INTEGER, incarnation INTEGER,"
	" requests INTEGER, bytes_in INTEGER, bytes_out INTEGER, PRIMARY KEY (board, slot))"
	" WITHOUT ROWID;"
	"CREATE TABLE begin (boot TEXT, since_ms INTEGER, known_board INTEGER);";

/* ---- opening ---- */

static int make_schema(struct usage_db *db, const struct usage_begin *begin, struct ten_error *err)
{
	autofree char *version = mem_printf("PRAGMA user_version = %d; COMMIT;", USAGE_DB_VERSION);
	static const char text[] =
		"INSERT INTO begin (since_ms, known_board, boot) VALUES (?, ?, ?)";
	sqlite3_stmt *statement;

	if (usage_sqlite_run(db, schema, err) < 0)
		return -1;
	statement = USAGE_SQLITE_PREPARE(
		db, text, (int64_t)begin->since_ms, (int64_t)begin->known_board);
	if (statement)
		sqlite3_bind_text(statement, 3, begin->boot, -1, SQLITE_TRANSIENT);
	return usage_sqlite_finish(db, statement, err) < 0 ? -1
							   : usage_sqlite_run(db, version, err);
}

static int read_begin(struct usage_db *db, struct ten_error *err)
{
	static const char text[] = "SELECT since_ms, known_board, boot FROM begin";
	sqlite3_stmt *statement = usage_sqlite_prepare(db, text, NULL, 0);

	if (usage_sqlite_step(statement) != SQLITE_ROW)
		return usage_sqlite_fail(db, err);
	db->begin.since_ms = usage_sqlite_number(statement, 0);
	db->begin.known_board = usage_sqlite_number(statement, 1);
	snprintf(db->begin.boot, sizeof(db->begin.boot), "%s",
		(const char *)sqlite3_column_text(statement, 2));
	sqlite3_reset(statement);
	return 0;
}

static int check_schema(struct usage_db *db, const struct usage_begin *begin, struct ten_error *err)
{
	static const char text[] = "PRAGMA user_version";
	sqlite3_stmt *statement;
	uint64_t version;

	/* Two that open it at the same time make it once. */
	if (usage_sqlite_run(db, "BEGIN IMMEDIATE", err) < 0)
		return -1;
	statement = usage_sqlite_prepare(db, text, NULL, 0);
	if (usage_sqlite_step(statement) != SQLITE_ROW)
		return usage_sqlite_fail(db, err);
	version = usage_sqlite_number(statement, 0);
	sqlite3_reset(statement);
	if (version > USAGE_DB_VERSION)
		return ten_error_set(err, EPERM,
			"%s is of a newer tenement (its version is %llu, this program knows %d)",
			USAGE_DB_FILE, (unsigned long long)version, USAGE_DB_VERSION);
	if ((version == 0 ? make_schema(db, begin, err) : usage_sqlite_run(db, "COMMIT", err)) < 0)
		return -1;
	return read_begin(db, err);
}

int usage_db_open(struct usage_db **opened, const struct usage_begin *begin, struct ten_error *err)
{
	struct usage_db *db = mem_alloc(sizeof(*db));
	int rc = sqlite3_open_v2(USAGE_DB_FILE, &db->sqlite,
		SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOFOLLOW, NULL);

	if (db->sqlite)
		sqlite3_busy_timeout(db->sqlite, BUSY_MS);
	if (rc == SQLITE_OK &&
		usage_sqlite_run(db,
			"PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
			"PRAGMA cache_size = " CACHE_KIB "; PRAGMA journal_size_limit = " WAL_MAX,
			err) == 0 &&
		check_schema(db, begin, err) == 0) {
		*opened = db;
		return 0;
	}
	if (rc != SQLITE_OK)
		usage_sqlite_fail(db, err);
	usage_db_close(db);
	return -1;
}

char *usage_db_set_aside(void)
{
	static const char *const endings[] = { "-wal", "-shm" };

	for (int i = 0; i < NAMES_TRIES; i++) {
		autofree char *name =
			mem_printf("%s.damaged.%lld", USAGE_DB_FILE, (long long)time(NULL) + i);

		if (access(name, F_OK) == 0)
			continue;
		if (rename(USAGE_DB_FILE, name) < 0)
			return NULL;
		for (size_t j = 0; j < sizeof(endings) / sizeof(*endings); j++) {
			autofree char *from = mem_printf("%s%s", USAGE_DB_FILE, endings[j]);
			autofree char *to = mem_printf("%s%s", name, endings[j]);

			/* Under its old name it would be taken for the new one's. */
			if (rename(from, to) < 0 && errno != ENOENT)
				unlink(from);
		}
		return mem_steal(&name);
	}
	return NULL;
}

void usage_db_close(struct usage_db *db)
{
	if (!db)
		return;
	for (int i = 0; i < STATEMENTS; i++)
		sqlite3_finalize(db->statements[i]);
	sqlite3_close(db->sqlite);
	free(db);
}

/* ---- crediting ---- */

static int find_tenant(struct usage_db *db, const char *service, const char *id, int64_t *number,
	struct ten_error *err)
{
	static const char find[] = "SELECT number FROM tenant WHERE service = ? AND id = ?";
	static const char make[] = "INSERT INTO tenant (number, service, id)"
				   " SELECT 1 + coalesce(max(number), 0), ?, ? FROM tenant";

	for (int i = 0; i < 2; i++) {
		sqlite3_stmt *statement = usage_sqlite_prepare(db, i ? make : find, NULL, 0);

		if (!statement)
			return usage_sqlite_fail(db, err);
		sqlite3_bind_text(statement, 1, service, -1, SQLITE_TRANSIENT);
		sqlite3_bind_text(statement, 2, id, -1, SQLITE_TRANSIENT);
		if (i)
			return usage_sqlite_finish(db, statement, err) < 0
				       ? -1
				       : find_tenant(db, service, id, number, err);
		switch (usage_sqlite_step(statement)) {
		case SQLITE_ROW:
			*number = sqlite3_column_int64(statement, 0);
			sqlite3_reset(statement);
			return 0;
		case SQLITE_DONE:
			break;
		default:
			return usage_sqlite_fail(db, err);
		}
	}
	return -1;
}

static uint64_t larger(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static int store_run(struct usage_db *db, const struct usage_reading *reading,
	const struct usage_run *seen, struct ten_error *err)
{
	static const char text[] =
		"INSERT OR REPLACE INTO run (hour, ended, uptime_ms, cpu_usec, io_read_bytes,"
		" io_written_bytes, oom_kills, memory_kib_secs, life, name)"
		" VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
	sqlite3_stmt *statement = USAGE_SQLITE_PREPARE(db, text, reading->hour,
		(int64_t)seen->ended, (int64_t)seen->uptime_ms, (int64_t)seen->cpu_usec,
		(int64_t)seen->io_read_bytes, (int64_t)seen->io_written_bytes,
		(int64_t)seen->oom_kills, (int64_t)seen->memory_kib_secs, (int64_t)seen->life);

	if (statement)
		sqlite3_bind_text(statement, 10, reading->run.name, -1, SQLITE_TRANSIENT);
	return usage_sqlite_finish(db, statement, err);
}

/* What was seen of RUN before; *is_new: nothing. */
static int find_run(struct usage_db *db, const struct usage_run *run, struct usage_run *seen,
	bool *is_new, struct ten_error *err)
{
	static const char text[] =
		"SELECT uptime_ms, cpu_usec, io_read_bytes, io_written_bytes, oom_kills,"
		" memory_kib_secs, life, ended FROM run WHERE name = ?";
	sqlite3_stmt *statement = usage_sqlite_prepare(db, text, NULL, 0);
	int rc;

	if (statement)
		sqlite3_bind_text(statement, 1, run->name, -1, SQLITE_TRANSIENT);
	rc = usage_sqlite_step(statement);
	*seen = (struct usage_run){ 0 };
	*is_new = rc == SQLITE_DONE;
	if (*is_new)
		return 0;
	if (rc != SQLITE_ROW)
		return usage_sqlite_fail(db, err);
	seen->uptime_ms = usage_sqlite_number(statement, 0);
	seen->cpu_usec = usage_sqlite_number(statement, 1);
	seen->io_read_bytes = usage_sqlite_number(statement, 2);
	seen->io_written_bytes = usage_sqlite_number(statement, 3);
	seen->oom_kills = usage_sqlite_number(statement, 4);
	seen->memory_kib_secs = usage_sqlite_number(statement, 5);
	seen->life = usage_sqlite_number(statement, 6);
	seen->ended = usage_sqlite_number(statement, 7);
	sqlite3_reset(statement);
	return 0;
}

/* It counted for another database, or for none, before this one was. */
static bool began_before(const struct usage_db *db, const struct usage_run *run)
{
	size_t len = strlen(db->begin.boot);

	return run->began_ms < db->begin.since_ms && strncmp(run->name, db->begin.boot, len) == 0;
}

static int credit_run(struct usage_db *db, const struct usage_reading *reading,
	struct usage_sum *sum, struct ten_error *err)
{
	const struct usage_run *run = &reading->run;
	struct usage_run seen;
	bool is_new, counts;

	if (find_run(db, run, &seen, &is_new, err) < 0)
		return -1;
	counts = !is_new || !began_before(db, run);
	if (counts) {
		sum->uptime_ms = usage_grown(seen.uptime_ms, run->uptime_ms);
		sum->cpu_usec = usage_grown(seen.cpu_usec, run->cpu_usec);
		sum->io_read_bytes = usage_grown(seen.io_read_bytes, run->io_read_bytes);
		sum->io_written_bytes = usage_grown(seen.io_written_bytes, run->io_written_bytes);
		sum->oom_kills = usage_grown(seen.oom_kills, run->oom_kills);
		sum->starts = is_new;
		sum->memory_max_bytes =
			run->memory_max_bytes == USAGE_UNKNOWN ? 0 : run->memory_max_bytes;
		if (run->life > seen.life)
			sum->memory_kib_secs = run->memory_kib_secs;
		else if (run->life == seen.life)
			sum->memory_kib_secs =
				usage_grown(seen.memory_kib_secs, run->memory_kib_secs);
	}
	if (run->life >= seen.life) {
		seen.memory_kib_secs = run->life > seen.life
					       ? run->memory_kib_secs
					       : larger(seen.memory_kib_secs, run->memory_kib_secs);
		seen.life = run->life;
	}
	seen.ended = seen.ended || run->ended;
	seen.uptime_ms += usage_grown(seen.uptime_ms, run->uptime_ms);
	seen.cpu_usec += usage_grown(seen.cpu_usec, run->cpu_usec);
	seen.io_read_bytes += usage_grown(seen.io_read_bytes, run->io_read_bytes);
	seen.io_written_bytes += usage_grown(seen.io_written_bytes, run->io_written_bytes);
	seen.oom_kills += usage_grown(seen.oom_kills, run->oom_kills);
	return store_run(db, reading, &seen, err);
}

static int credit_slot(struct usage_db *db, const struct usage_reading *reading,
	struct usage_sum *sum, struct ten_error *err)
{
	static const char find[] = "SELECT incarnation, requests, bytes_in, bytes_out FROM slot"
				   " WHERE board = ? AND slot = ?";
	static const char store[] =
		"INSERT OR REPLACE INTO slot (board, slot, hour, incarnation, requests, bytes_in,"
		" bytes_out) VALUES (?, ?, ?, ?, ?, ?, ?)";
	const struct usage_slot *slot = &reading->slot;
	struct usage_slot seen = { 0 };
	sqlite3_stmt *statement =
		USAGE_SQLITE_PREPARE(db, find, (int64_t)slot->board, (int64_t)slot->slot);
	bool counts = true;

	switch (usage_sqlite_step(statement)) {
	case SQLITE_ROW:
		seen.incarnation = usage_sqlite_number(statement, 0);
		seen.requests = usage_sqlite_number(statement, 1);
		seen.bytes_in = usage_sqlite_number(statement, 2);
		seen.bytes_out = usage_sqlite_number(statement, 3);
		sqlite3_reset(statement);
		/* The slot has been another's since; that tenant's is over. */
		if (slot->incarnation < seen.incarnation)
			return 0;
		if (slot->incarnation > seen.incarnation)
			seen = (struct usage_slot){ 0 };
		break;
	case SQLITE_DONE:
		counts = slot->board != db->begin.known_board;
		break;
	default:
		return usage_sqlite_fail(db, err);
	}
	if (counts) {
		sum->requests = usage_grown(seen.requests, slot->requests);
		sum->bytes_in = usage_grown(seen.bytes_in, slot->bytes_in);
		sum->bytes_out = usage_grown(seen.bytes_out, slot->bytes_out);
	}
	return usage_sqlite_finish(db,
		USAGE_SQLITE_PREPARE(db, store, (int64_t)slot->board, (int64_t)slot->slot,
			reading->hour, (int64_t)slot->incarnation,
			(int64_t)larger(seen.requests, slot->requests),
			(int64_t)larger(seen.bytes_in, slot->bytes_in),
			(int64_t)larger(seen.bytes_out, slot->bytes_out)),
		err);
}

static int add(struct usage_db *db, int64_t hour, int64_t tenant, const struct usage_sum *sum,
	struct ten_error *err)
{
	static const char text[] =
		"INSERT INTO usage (hour, tenant, requests, bytes_in, bytes_out, cpu_usec,"
		" uptime_ms, memory_kib_secs, memory_max_bytes, io_read_bytes, io_written_bytes,"
		" starts, oom_kills, stored_bytes)"
		" VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, nullif(?14, -1))"
		" ON CONFLICT (hour, tenant) DO UPDATE SET requests = requests + ?3,"
		" bytes_in = bytes_in + ?4, bytes_out = bytes_out + ?5,"
		" cpu_usec = cpu_usec + ?6, uptime_ms = uptime_ms + ?7,"
		" memory_kib_secs = memory_kib_secs + ?8,"
		" memory_max_bytes = max(memory_max_bytes, ?9),"
		" io_read_bytes = io_read_bytes + ?10, io_written_bytes = io_written_bytes + ?11,"
		" starts = starts + ?12, oom_kills = oom_kills + ?13,"
		" stored_bytes = CASE WHEN ?14 < 0 THEN stored_bytes"
		" ELSE max(coalesce(stored_bytes, 0), ?14) END";

	return usage_sqlite_finish(db,
		USAGE_SQLITE_PREPARE(db, text, hour, tenant, (int64_t)sum->requests,
			(int64_t)sum->bytes_in, (int64_t)sum->bytes_out, (int64_t)sum->cpu_usec,
			(int64_t)sum->uptime_ms, (int64_t)sum->memory_kib_secs,
			(int64_t)sum->memory_max_bytes, (int64_t)sum->io_read_bytes,
			(int64_t)sum->io_written_bytes, (int64_t)sum->starts,
			(int64_t)sum->oom_kills,
			sum->stored_bytes == USAGE_UNKNOWN ? -1 : (int64_t)sum->stored_bytes),
		err);
}

static bool is_nothing(const struct usage_sum *sum)
{
	struct usage_sum nothing = { .stored_bytes = sum->stored_bytes,
		.memory_max_bytes = sum->memory_max_bytes };

	return memcmp(sum, &nothing, sizeof(nothing)) == 0;
}

static int credit_one(
	struct usage_db *db, const struct usage_reading *reading, struct ten_error *err)
{
	struct usage_sum sum = { .stored_bytes = reading->stored_bytes };
	int64_t tenant = 0;

	if (find_tenant(db, reading->service, reading->id, &tenant, err) < 0 ||
		(*reading->run.name && credit_run(db, reading, &sum, err) < 0) ||
		(reading->slot.board && credit_slot(db, reading, &sum, err) < 0))
		return -1;
	return is_nothing(&sum) ? 0 : add(db, reading->hour, tenant, &sum, err);
}

int usage_db_credit(struct usage_db *db, const struct usage_reading *readings, size_t count,
	struct ten_error *err)
{
	struct ten_error ignored;

	if (usage_sqlite_run(db, "BEGIN IMMEDIATE", err) < 0)
		return -1;
	for (size_t i = 0; i < count; i++) {
		if (credit_one(db, &readings[i], err) < 0) {
			usage_sqlite_run(db, "ROLLBACK", &ignored);
			return -1;
		}
	}
	if (usage_sqlite_run(db, "COMMIT", err) == 0)
		return 0;
	usage_sqlite_run(db, "ROLLBACK", &ignored);
	return -1;
}

/* ---- forgetting ---- */

int usage_db_prune(
	struct usage_db *db, int64_t now, int64_t keep_from, unsigned most, struct ten_error *err)
{
	static const char runs[] =
		"DELETE FROM run WHERE hour < ? - CASE WHEN ended THEN ? ELSE ? END";
	/* A board that is heard of is that of all tenants there are. */
	static const char slots[] =
		"DELETE FROM slot WHERE board IN"
		" (SELECT board FROM slot GROUP BY board HAVING max(hour) < ?1 - ?2)"
		" AND board <> (SELECT board FROM slot ORDER BY hour DESC LIMIT 1)";
	static const char oldest[] = "SELECT min(hour) FROM usage WHERE hour < ?";
	static const char hours[] = "DELETE FROM usage WHERE hour = ?";

	if (usage_sqlite_finish(
		    db, USAGE_SQLITE_PREPARE(db, runs, now, RUN_HOURS, LOST_HOURS), err) < 0 ||
		usage_sqlite_finish(db, USAGE_SQLITE_PREPARE(db, slots, now, BOARD_HOURS), err) < 0)
		return -1;
	while (most--) {
		sqlite3_stmt *statement = USAGE_SQLITE_PREPARE(db, oldest, keep_from);
		int64_t hour;
		bool none;

		if (usage_sqlite_step(statement) != SQLITE_ROW)
			return usage_sqlite_fail(db, err);
		none = sqlite3_column_type(statement, 0) == SQLITE_NULL;
		hour = sqlite3_column_int64(statement, 0);
		sqlite3_reset(statement);
		if (none)
			return 0;
		if (usage_sqlite_finish(db, USAGE_SQLITE_PREPARE(db, hours, hour), err) < 0)
			return -1;
	}
	return 0;
}
