/* What is stored is found again, by each way of asking, whatever happened to the store meanwhile.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sqlite3.h>

#include "log_block.h"
#include "log_db.h"
#include "log_writer.h"
#include "mem.h"

#define DAY_MS INT64_C(86400000)
#define T0     INT64_C(1795000000000)

static char folder[64];
static struct log_writer *writer;
static struct log_db *db;
static struct ten_error err;
static struct log_bounds bounds;
static struct text found; /* "cursor-less" rows of the last query: id/stream message| */
static uint64_t last_cursor;
static struct log_result result;

static void open_writer(void)
{
	writer = log_writer_new(folder, &bounds);
	ck_assert_msg(log_writer_open(writer, &err) == 0, "%s", err.text);
}

static void setup(void)
{
	snprintf(folder, sizeof(folder), "/tmp/test-logs-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
	bounds = (struct log_bounds){ 0 };
	open_writer();
}

static void teardown(void)
{
	autofree char *command = mem_printf("rm -rf -- '%s'", folder);

	log_db_close(db);
	db = NULL;
	log_writer_close(writer);
	text_free(&found);
	ck_assert_int_eq(system(command), 0);
}

static void reopen_writer(void)
{
	log_writer_close(writer);
	open_writer();
}

static void commit(void)
{
	ck_assert_msg(log_writer_commit(writer, T0, &err) == 0, "%s", err.text);
}

static void add_at(
	const char *id, enum log_line_stream stream, int64_t time_ms, const char *message)
{
	struct log_tenant *tenant = log_writer_tenant(writer, "notes", id);
	const struct log_line line = {
		.time_ms = time_ms,
		.stream = stream,
		.message = message,
		.len = strlen(message),
	};

	log_tenant_add(tenant, &line);
	log_tenant_release(tenant);
}

static void add(const char *id, const char *message)
{
	add_at(id, LOG_LINE_STDOUT, T0, message);
}

/* FROM..TO-1 as "line N ...", enough of them for several blocks. */
static void add_many(const char *id, int from, int to)
{
	for (int i = from; i < to; i++) {
		autofree char *message = mem_printf("line %d of the many lines that %s says, "
						    "so that blocks of them get full",
			i, id);

		add_at(id, LOG_LINE_STDOUT, T0 + i, message);
	}
}

static bool collect(void *data, const struct log_row *row)
{
	(void)data;
	ck_assert_uint_gt(row->cursor, last_cursor);
	ck_assert_uint_lt(row->cursor, UINT64_C(1) << 53);
	last_cursor = row->cursor;
	text_printf(&found, "%s/%s %.*s|", row->id, log_line_stream_name(row->line.stream),
		(int)row->line.len, row->line.message);
	return true;
}

static const char *ask(struct log_query query)
{
	found.len = 0;
	last_cursor = 0;
	if (!query.limit)
		query.limit = 10;
	if (!db)
		ck_assert_msg(log_db_open(&db, folder, &err) == 0, "%s", err.text);
	ck_assert_msg(log_db_query(db, &query, collect, NULL, &result, &err) == 0, "%s", err.text);
	ck_assert(!result.damaged && !result.partial);
	return found.len ? found.data : "";
}

#define ASK(...) ask((struct log_query){ __VA_ARGS__ })

static const char *search(const char *text)
{
	return ASK(.search = text);
}

/* The first word of the last row that ask() brought: "a/stdout line 41" without the rest. */
static void assert_lines(const char *rows, const char *id, int from, int to)
{
	for (int i = from; i < to; i++) {
		autofree char *begin = mem_printf("%s/stdout line %d ", id, i);

		ck_assert_msg(strncmp(rows, begin, strlen(begin)) == 0, "%s: %.60s", begin, rows);
		rows = strchr(rows, '|') + 1;
	}
	ck_assert_str_eq(rows, "");
}

START_TEST(who_and_which_stream)
{
	add("a", "one");
	add_at("b", LOG_LINE_STDERR, T0, "two");
	add_at("a", LOG_LINE_STDERR, T0, "three");
	commit();
	ck_assert_str_eq(ASK(0), "a/stdout one|a/stderr three|b/stderr two|");
	ck_assert_str_eq(ASK(.id = "a"), "a/stdout one|a/stderr three|");
	ck_assert_str_eq(ASK(.service = "notes", .id = "b"), "b/stderr two|");
	ck_assert_str_eq(ASK(.service = "other"), "");
	ck_assert_str_eq(ASK(.id = "c"), "");
	ck_assert_str_eq(ASK(.level = "stderr"), "a/stderr three|b/stderr two|");
	ck_assert_str_eq(
		ASK(.level = "stderr", .id = "a", .search = "one OR three"), "a/stderr three|");
	ck_assert_str_eq(ASK(.limit = 1), "b/stderr two|");
	ck_assert_int_eq(
		log_db_query(db, &(struct log_query){ .level = "loud" }, collect, NULL, NULL, &err),
		-1);
	ck_assert_int_eq(err.code, EINVAL);
}
END_TEST

START_TEST(no_store_yet)
{
	char *elsewhere = mem_printf("%s/none", folder);

	ck_assert_int_eq(log_db_open(&db, elsewhere, &err), -1);
	ck_assert_int_eq(err.code, ENOENT);
	db = NULL;
	free(elsewhere);
}
END_TEST

START_TEST(times)
{
	for (int i = 0; i < 5; i++) {
		char message[2] = { (char)('0' + i), 0 };

		add_at("a", LOG_LINE_STDOUT, T0 + i * 1000, message);
	}
	commit();
	ck_assert_str_eq(ASK(.since_ms = T0 + 3000), "a/stdout 3|a/stdout 4|");
	ck_assert_str_eq(ASK(.until_ms = T0 + 2000), "a/stdout 0|a/stdout 1|");
	ck_assert_str_eq(
		ASK(.since_ms = T0 + 1000, .until_ms = T0 + 3000, .limit = 1), "a/stdout 2|");
}
END_TEST

/* Blocks, tails and what is in both orders; by the index and without it. */
START_TEST(many_lines)
{
	for (int i = 0; i < 20; i++) {
		add_many("a", i * 500, i * 500 + 500);
		add_many("b", i * 50, i * 50 + 50);
		commit();
	}
	for (int pass = 0; pass < 2; pass++) {
		assert_lines(ASK(.id = "a"), "a", 9990, 10000);
		assert_lines(ASK(.id = "b", .limit = 600), "b", 400, 1000);
		assert_lines(ASK(.id = "a", .search = "77777 OR 4321"), "a", 4321, 4322);
		assert_lines(ASK(.id = "a", .search = "\"line 77\""), "a", 77, 78);
		assert_lines(ASK(.id = "b", .search = "line NOT many"), "b", 0, 0);
		assert_lines(search("432 says b"), "b", 432, 433);
		assert_lines(ASK(.search = "many", .id = "a"), "a", 9990, 10000);
		assert_lines(ASK(.search = "many", .since_ms = T0 + 5000, .until_ms = T0 + 5003),
			"a", 5000, 5003);
		assert_lines(ASK(.id = "b", .oldest_first = true), "b", 0, 10);
		assert_lines(ASK(.id = "a", .search = "777*", .oldest_first = true, .limit = 1),
			"a", 777, 778);
		log_db_close(db);
		db = NULL;
		reopen_writer();
	}
}
END_TEST

static bool stop(void *data, const struct log_row *row)
{
	*(uint64_t *)data = row->cursor;
	return false;
}

/* Who follows gets each line once, although rows of tails become blocks meanwhile. */
START_TEST(following)
{
	uint64_t cursor = 0;
	int seen = 0;

	add("a", "the first");
	commit();
	ASK(.id = "a");
	cursor = result.cursor;
	ck_assert_uint_ge(cursor, last_cursor);
	ck_assert_str_eq(ASK(.after = cursor, .oldest_first = true), "");
	for (int round = 0; round < 30; round++) {
		add_many("b", round * 20, round * 20 + 20);
		add_many("a", round * 100, round * 100 + 100);
		commit();
		for (;;) {
			const char *rows =
				ASK(.id = "a", .after = cursor, .oldest_first = true, .limit = 33);
			int count = 0;

			if (!*rows)
				break;
			for (const char *at = rows; (at = strchr(at, '|')); at++)
				count++;
			assert_lines(rows, "a", seen, seen + count);
			seen += count;
			cursor = last_cursor;
		}
		ck_assert_int_eq(seen, round * 100 + 100);
	}
	ck_assert_int_eq(
		log_db_query(db, &(struct log_query){ .limit = 5 }, stop, &cursor, NULL, &err), 0);
}
END_TEST

static int wanted_times;

static bool wanted_for_a_while(void *data)
{
	(void)data;
	return wanted_times-- > 0;
}

/* Whoever has gone away is not looked for any more: neither block by block, nor where SQLite looks
 * and finds none. */
START_TEST(given_up)
{
	struct log_query queries[] = {
		{ .search = "NOT line", .limit = 5, .is_wanted = wanted_for_a_while },
		{ .search = "NOT line",
			.limit = 5,
			.oldest_first = true,
			.is_wanted = wanted_for_a_while },
		{ .until_ms = 1, .limit = 5, .is_wanted = wanted_for_a_while },
	};

	add_many("a", 0, 100000);
	commit();
	ck_assert_str_eq(ASK(.search = "NOT line"), "");
	for (size_t i = 0; i < sizeof(queries) / sizeof(*queries); i++) {
		wanted_times = i == 2 ? 0 : 3;
		ck_assert_int_eq(log_db_query(db, &queries[i], collect, NULL, &result, &err), 0);
		ck_assert(result.partial && result.late);
		ck_assert_int_eq(wanted_times, -1);
		ck_assert_uint_gt(result.cursor, 0);
	}
	assert_lines(ASK(.id = "a", .limit = 3), "a", 99997, 100000);
}
END_TEST

START_TEST(tenants_are_apart)
{
	add("a", "secret of a");
	add("b", "secret of b");
	add_many("a", 0, 2000);
	add_many("b", 0, 2000);
	commit();
	ck_assert_str_eq(
		ASK(.service = "notes", .id = "a", .search = "secret"), "a/stdout secret of a|");
	ck_assert_str_eq(ASK(.id = "b", .search = "secret OR \"_10001\" OR _20002"),
		"b/stdout secret of b|");
	ck_assert_str_eq(ASK(.id = "a", .search = "b AND NOT a"), "");
}
END_TEST

static uint64_t count_all(const char *id)
{
	uint64_t count = 0;
	const char *rows = ASK(.id = id, .limit = LOG_QUERY_LIMIT_MAX);

	for (; (rows = strchr(rows, '|')); rows++)
		count++;
	return count;
}

START_TEST(size_bound)
{
	struct log_tenant *tenant = log_writer_tenant(writer, "notes", "a");
	uint64_t count;

	log_tenant_set_bounds(tenant, &(struct log_bounds){ .max_mb = 1 });
	add_many("b", 0, 100);
	for (int i = 0; i < 40; i++) {
		add_many("a", i * 1000, i * 1000 + 1000);
		commit();
	}
	count = count_all("a");
	ck_assert_uint_gt(count, 9000); /* of 80 and more bytes each */
	ck_assert_uint_lt(count, 15000);
	assert_lines(ASK(.id = "a"), "a", 39990, 40000);
	ck_assert_uint_eq(count_all("b"), 100);
	log_tenant_release(tenant);
	/* It is remembered, also of who does not run. */
	reopen_writer();
	add_many("a", 40000, 60000);
	commit();
	ck_assert_uint_lt(count_all("a"), 15000);
}
END_TEST

static void tend_until(int64_t now_ms, const char *id, uint64_t want)
{
	for (int i = 0; i < 100 && count_all(id) != want; i++)
		ck_assert_msg(log_writer_tend(writer, now_ms, &err) >= 0, "%s", err.text);
	ck_assert_uint_eq(count_all(id), want);
}

START_TEST(age_bound)
{
	struct log_tenant *tenant;

	bounds.max_days = 3;
	reopen_writer();
	tenant = log_writer_tenant(writer, "notes", "b");
	log_tenant_set_bounds(tenant, &(struct log_bounds){ .max_days = 10 });
	log_tenant_release(tenant);
	add_many("a", 0, 3000);
	add_many("b", 0, 3000);
	commit();
	ck_assert_int_eq(log_writer_tend(writer, T0 + 2 * DAY_MS, &err), 0);
	ck_assert_uint_eq(count_all("a"), 3000);
	tend_until(T0 + 4 * DAY_MS, "a", 0);
	ck_assert_uint_eq(count_all("b"), 3000);
	/* Whoever writes again is another tenant to the store, and the same to people. */
	add("a", "back");
	commit();
	ck_assert_str_eq(ASK(.id = "a"), "a/stdout back|");
	tend_until(T0 + 11 * DAY_MS, "b", 0);
}
END_TEST

/* A lowered bound takes hold of what there is. */
START_TEST(lowered_bound)
{
	struct log_tenant *tenant = log_writer_tenant(writer, "notes", "a");

	add_many("a", 0, 60000);
	commit();
	ck_assert_uint_eq(count_all("a"), 60000);
	log_tenant_set_bounds(tenant, &(struct log_bounds){ .max_mb = 1 });
	log_tenant_release(tenant);
	for (int i = 0; i < 20; i++)
		ck_assert_int_ge(log_writer_tend(writer, T0, &err), 0);
	ck_assert_uint_lt(count_all("a"), 15000);
}
END_TEST

static void run_sql(const char *text)
{
	autofree char *path = mem_printf("%s/%s", folder, LOG_DB_FILE);
	sqlite3 *sqlite;

	ck_assert_int_eq(sqlite3_open(path, &sqlite), SQLITE_OK);
	sqlite3_busy_timeout(sqlite, 1000);
	ck_assert_msg(sqlite3_exec(sqlite, text, NULL, NULL, NULL) == SQLITE_OK, "%s",
		sqlite3_errmsg(sqlite));
	sqlite3_close(sqlite);
}

/* As if the segment that is written were full. */
static void end_segment(int number)
{
	autofree char *text = mem_printf(
		"INSERT INTO segment (first_seq) SELECT max(seq) + 1 FROM block;"
		"CREATE VIRTUAL TABLE words_%d USING fts5 (words, content = '', detail = none,"
		" columnsize = 0, tokenize = \"ascii tokenchars '_'\")",
		number + 1);

	log_writer_close(writer);
	run_sql(text);
	open_writer();
}

/* The index of what is gone goes. */
START_TEST(dead_segment)
{
	bounds.max_days = 1;
	reopen_writer();
	add_many("a", 0, 3000);
	commit();
	end_segment(1);
	add_many("b", 0, 3000);
	commit();
	end_segment(2);
	assert_lines(search("1234 a"), "a", 1234, 1235);
	assert_lines(search("1234 b"), "b", 1234, 1235);
	for (int i = 0; i < 20; i++)
		ck_assert_int_ge(log_writer_tend(writer, T0 + 2 * DAY_MS, &err), 0);
	ck_assert_str_eq(search("1234"), "");
	log_db_close(db);
	db = NULL;
	log_writer_close(writer);
	run_sql("CREATE TABLE words_1 (gone)");
	open_writer();
}
END_TEST

/* Who keeps a little for ever does not keep what others' words took. */
START_TEST(sparse_segment)
{
	uint64_t cursor;

	add_many("a", 0, 9000);
	commit();
	ASK(.id = "a", .limit = LOG_QUERY_LIMIT_MAX);
	cursor = last_cursor;
	end_segment(1);
	add_many("b", 0, 3000);
	commit();
	for (int i = 0; i < 20; i++)
		ck_assert_int_ge(log_writer_tend(writer, T0, &err), 0);
	log_db_close(db);
	db = NULL;
	log_writer_close(writer);
	run_sql("CREATE TABLE words_1 (gone)");
	open_writer();
	assert_lines(ASK(.id = "a", .limit = LOG_QUERY_LIMIT_MAX), "a", 0, 9000);
	ck_assert_uint_eq(last_cursor, cursor);
	assert_lines(search("1234 a"), "a", 1234, 1235);
	assert_lines(search("8888 a"), "a", 8888, 8889);
	assert_lines(search("1234 b"), "b", 1234, 1235);
	assert_lines(ASK(.id = "a", .search = "many"), "a", 8990, 9000);
	assert_lines(ASK(.id = "a", .oldest_first = true), "a", 0, 10);
	ck_assert_str_eq(ASK(.id = "a", .after = cursor, .oldest_first = true), "");
	/* What comes is still behind it. */
	add_many("a", 9000, 9010);
	commit();
	assert_lines(ASK(.id = "a", .limit = 15), "a", 8995, 9010);
}
END_TEST

START_TEST(damaged_store)
{
	autofree char *path = mem_printf("%s/%s", folder, LOG_DB_FILE);
	int fd;

	add("a", "before");
	log_writer_close(writer);
	fd = open(path, O_WRONLY);
	ck_assert_int_eq(pwrite(fd, "no database at all", 18, 0), 18);
	close(fd);
	open_writer();
	ck_assert_ptr_nonnull(strstr(log_writer_state(writer)->set_aside, ".damaged."));
	ck_assert_int_eq(access(log_writer_state(writer)->set_aside, F_OK), 0);
	add("a", "after");
	commit();
	ck_assert_str_eq(ASK(0), "a/stdout after|");
}
END_TEST

/* Damaged while it is written: what was being stored is counted, and told of. */
START_TEST(damaged_under_way)
{
	static char zeros[1 << 20];
	autofree char *path = mem_printf("%s/%s", folder, LOG_DB_FILE);
	int fd = -1;
	int tries;

	add_many("a", 0, 20000);
	commit();
	run_sql("PRAGMA wal_checkpoint(TRUNCATE)");
	fd = open(path, O_WRONLY);
	memset(zeros, 0x5a, sizeof(zeros));
	ck_assert_int_eq(pwrite(fd, zeros, sizeof(zeros), 4096), sizeof(zeros));
	close(fd);
	for (tries = 0; tries < 200 && !log_writer_state(writer)->set_aside; tries++) {
		add_many("b", tries * 1000, tries * 1000 + 1000);
		log_writer_commit(writer, T0, &err);
	}
	ck_assert_ptr_nonnull(log_writer_state(writer)->set_aside);
	add("c", "goes on");
	ck_assert_int_eq(log_writer_commit(writer, T0, &err), 0);
	ck_assert_str_eq(ASK(.id = "c"), "c/stdout goes on|");
	ck_assert_uint_gt(log_writer_state(writer)->dropped, 0);
	ck_assert_ptr_nonnull(strstr(ASK(.level = "tenement"), " lines dropped: "));
}
END_TEST

/* Somebody has it for a while: nothing is lost that memory has room for. */
START_TEST(locked_store)
{
	autofree char *path = mem_printf("%s/%s", folder, LOG_DB_FILE);
	sqlite3 *other;

	ck_assert_int_eq(sqlite3_open(path, &other), SQLITE_OK);
	ck_assert_int_eq(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
	add("a", "patience");
	ck_assert_int_eq(log_writer_commit(writer, T0, &err), -1);
	ck_assert_int_eq(err.code, EAGAIN);
	ck_assert(log_writer_is_dirty(writer));
	add_many("b", 0, 1000);
	ck_assert_uint_gt(log_writer_state(writer)->dropped, 0);
	sqlite3_close(other);
	/* That lines were dropped is said once, although all is well again. */
	ck_assert_int_eq(log_writer_commit(writer, T0, &err), -1);
	commit();
	ck_assert(!log_writer_is_dirty(writer));
	ck_assert_str_eq(ASK(.id = "a"), "a/stdout patience|");
	ck_assert_ptr_nonnull(strstr(ASK(.id = "b", .level = "tenement"), " lines dropped: "));
}
END_TEST

/* Who was forgotten in a step that came to nothing is still known to the store. */
START_TEST(forgotten_in_vain)
{
	for (int i = 0; i < 20; i++) {
		char id[16];

		snprintf(id, sizeof(id), "t%d", i);
		add(id, "soon too old");
	}
	commit();
	bounds.max_days = 1;
	reopen_writer();
	/* The step begins, and is not to be committed. */
	run_sql("CREATE TRIGGER no BEFORE DELETE ON tenant WHEN old.id = 't9'"
		" BEGIN SELECT raise(ROLLBACK, 'no'); END");
	for (int i = 0; i < 5; i++)
		log_writer_tend(writer, T0 + 3 * DAY_MS, &err);
	run_sql("DROP TRIGGER no");
	add("t1", "back");
	add("b", "another");
	commit();
	ck_assert_str_eq(ASK(0), "t1/stdout back|b/stdout another|");
}
END_TEST

START_TEST(file_taken_away)
{
	autofree char *path = mem_printf("%s/%s", folder, LOG_DB_FILE);
	autofree char *wal = mem_printf("%s-wal", path);
	autofree char *shm = mem_printf("%s-shm", path);

	add("a", "before");
	commit();
	ck_assert_str_eq(ASK(0), "a/stdout before|");
	ck_assert(log_db_is_current(db));
	unlink(path);
	unlink(wal);
	unlink(shm);
	ck_assert(!log_db_is_current(db));
	log_db_close(db);
	db = NULL;
	log_writer_tend(writer, T0, &err);
	add("a", "after");
	commit();
	ck_assert_str_eq(ASK(0), "a/stdout after|");
}
END_TEST

/* Many tenants that say little: memory is bounded, and nothing is missing. */
START_TEST(many_tails)
{
	autofree char *message = mem_alloc(8001);

	memset(message, 'x', 8000);
	for (int i = 0; i < 3000; i++) {
		char id[16];

		snprintf(id, sizeof(id), "t%d", i);
		add(id, message);
	}
	commit();
	add("t0", "again");
	commit();
	ck_assert_uint_eq(count_all("t0"), 2);
	ck_assert_uint_eq(count_all("t1500"), 1);
	ck_assert_uint_eq(count_all("t2999"), 1);
	ck_assert_uint_eq(log_writer_state(writer)->lines, 3001);
}
END_TEST

/* What is damaged need not look so to SQLite. */
START_TEST(tails_of_nothing)
{
	autofree char *message = mem_alloc(8001);

	for (int i = 0; i < 3; i++) {
		add("a", "gone");
		commit();
	}
	log_writer_close(writer);
	run_sql("UPDATE tail SET data = x''");
	open_writer();
	memset(message, 'x', 8000);
	for (int i = 0; i < 3000; i++) {
		autofree char *id = mem_printf("t%d", i);

		add(id, message);
	}
	add("a", "there");
	commit();
	ck_assert_int_eq(log_db_open(&db, folder, &err) |
				 log_db_query(db, &(struct log_query){ .id = "a", .limit = 5 },
					 collect, NULL, &result, &err),
		0);
	ck_assert_str_eq(found.data, "a/stdout there|");
}
END_TEST

START_TEST(empty_lines)
{
	for (int i = 0; i < 3 * LOG_CHUNK_LINES; i++)
		add("a", "");
	commit();
	ck_assert_uint_eq(count_all("a"), 3 * LOG_CHUNK_LINES);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("log_db");
	TCase *tcase = tcase_create("log_db");
	SRunner *runner;
	int failed;

	tcase_set_timeout(tcase, 120);
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, who_and_which_stream);
	tcase_add_test(tcase, no_store_yet);
	tcase_add_test(tcase, times);
	tcase_add_test(tcase, many_lines);
	tcase_add_test(tcase, following);
	tcase_add_test(tcase, given_up);
	tcase_add_test(tcase, tenants_are_apart);
	tcase_add_test(tcase, size_bound);
	tcase_add_test(tcase, age_bound);
	tcase_add_test(tcase, lowered_bound);
	tcase_add_test(tcase, dead_segment);
	tcase_add_test(tcase, sparse_segment);
	tcase_add_test(tcase, damaged_store);
	tcase_add_test(tcase, damaged_under_way);
	tcase_add_test(tcase, locked_store);
	tcase_add_test(tcase, forgotten_in_vain);
	tcase_add_test(tcase, file_taken_away);
	tcase_add_test(tcase, many_tails);
	tcase_add_test(tcase, tails_of_nothing);
	tcase_add_test(tcase, empty_lines);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
