/* What is credited, once, whatever comes twice, late or never. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mem.h"
#include "usage_db.h"

#define BOOT "5ba3"

static char folder[64];
static struct usage_db *db;
static struct ten_error err;
static struct usage_begin begin = { .boot = BOOT, .since_ms = 1000 };

static void open_db(void)
{
	ck_assert_msg(usage_db_open(&db, &begin, &err) == 0, "%s", err.text);
}

static void setup(void)
{
	snprintf(folder, sizeof(folder), "/tmp/test-usage-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
	ck_assert_int_eq(chdir(folder), 0);
	begin.known_board = 0;
	open_db();
}

static void teardown(void)
{
	usage_db_close(db);
	ck_assert_int_eq(system("rm -rf -- \"$PWD\""), 0);
}

static struct usage_reading reading(const char *id, int64_t hour)
{
	struct usage_reading made = {
		.service = "notes", .hour = hour, .stored_bytes = USAGE_UNKNOWN
	};

	snprintf(made.id, sizeof(made.id), "%s", id);
	return made;
}

static struct usage_reading of_run(const char *id, int64_t hour, const char *name, uint64_t cpu)
{
	struct usage_reading made = reading(id, hour);

	snprintf(made.run.name, sizeof(made.run.name), BOOT " %s", name);
	made.run.began_ms = 2000;
	made.run.life = 1;
	made.run.cpu_usec = cpu;
	made.run.uptime_ms = cpu;
	made.run.io_read_bytes = made.run.io_written_bytes = USAGE_UNKNOWN;
	return made;
}

static struct usage_reading of_slot(const char *id, int64_t hour, uint64_t incarnation, uint64_t n)
{
	struct usage_reading made = reading(id, hour);

	made.slot = (struct usage_slot){ .board = UINT64_MAX - 5,
		.slot = 7,
		.incarnation = incarnation,
		.requests = n,
		.bytes_in = 10 * n,
		.bytes_out = 100 * n };
	return made;
}

static void credit(struct usage_reading one)
{
	ck_assert_msg(usage_db_credit(db, &one, 1, &err) == 0, "%s", err.text);
}

static struct usage_row rows[USAGE_DB_PAGE];

static int ask(const char *id, int64_t since, int64_t until, enum usage_by by)
{
	struct usage_query query = { .since = since, .until = until, .by = by, .after_hour = -1 };
	int count;

	snprintf(query.service, sizeof(query.service), "%s", *id ? "notes" : "");
	snprintf(query.id, sizeof(query.id), "%s", id);
	count = usage_db_query(db, &query, rows, &err);
	ck_assert_msg(count >= 0, "%s", err.text);
	return count;
}

/* All of ID, of which there is something. */
static const struct usage_sum *total(const char *id)
{
	ck_assert_int_eq(ask(id, 0, USAGE_HOURS_MAX, USAGE_BY_TENANT), 1);
	return &rows[0].sum;
}

START_TEST(differences)
{
	credit(of_run("alice", 10, "a", 500));
	credit(of_run("alice", 10, "a", 800));
	credit(of_run("alice", 11, "a", 900));
	credit(of_slot("alice", 10, 1, 3));
	credit(of_slot("alice", 11, 1, 5));
	ck_assert_uint_eq(total("alice")->cpu_usec, 900);
	ck_assert_uint_eq(rows[0].sum.starts, 1);
	ck_assert_uint_eq(rows[0].sum.requests, 5);
	ck_assert_uint_eq(rows[0].sum.bytes_in, 50);
	ck_assert_uint_eq(rows[0].sum.bytes_out, 500);
	ck_assert_uint_eq(rows[0].sum.io_read_bytes, 0);
	ck_assert_uint_eq(rows[0].sum.stored_bytes, USAGE_UNKNOWN);
	ck_assert_int_eq(ask("alice", 0, USAGE_HOURS_MAX, USAGE_BY_HOUR), 2);
	ck_assert_int_eq(rows[0].hour, 10);
	ck_assert_uint_eq(rows[0].sum.cpu_usec, 800);
	ck_assert_uint_eq(rows[0].sum.requests, 3);
	ck_assert_int_eq(rows[1].hour, 11);
	ck_assert_uint_eq(rows[1].sum.cpu_usec, 100);
	ck_assert_uint_eq(rows[1].sum.starts, 0);
}
END_TEST

/* A daemon that was killed tells again, an earlier one's words come late, a worker's numbers are
 * not there while they are carried over. */
START_TEST(twice_late_and_less)
{
	credit(of_run("alice", 10, "a", 500));
	credit(of_run("alice", 10, "a", 500));
	credit(of_run("alice", 10, "a", 900));
	credit(of_run("alice", 10, "a", 700));
	credit(of_run("alice", 10, "a", 900));
	credit(of_slot("alice", 10, 1, 50));
	credit(of_slot("alice", 10, 1, 20));
	credit(of_slot("alice", 10, 1, 50));
	credit(of_slot("alice", 10, 1, 51));
	ck_assert_uint_eq(total("alice")->cpu_usec, 900);
	ck_assert_uint_eq(rows[0].sum.uptime_ms, 900);
	ck_assert_uint_eq(rows[0].sum.requests, 51);
	ck_assert_uint_eq(rows[0].sum.starts, 1);
}
END_TEST

START_TEST(unknown_is_nothing)
{
	struct usage_reading one = of_run("alice", 10, "a", 500);

	credit(one);
	one.run.cpu_usec = one.run.uptime_ms = USAGE_UNKNOWN;
	credit(one);
	credit(of_run("alice", 10, "a", 600));
	ck_assert_uint_eq(total("alice")->cpu_usec, 600);
}
END_TEST

START_TEST(memory_of_lives)
{
	static const struct {
		uint64_t life, shown, sum;
	} steps[] = { { 1, 100, 100 }, { 1, 150, 150 }, { 2, 30, 180 }, { 2, 30, 180 },
		{ 2, 40, 190 }, { 1, 170, 190 }, { 2, 41, 191 } };

	for (size_t i = 0; i < sizeof(steps) / sizeof(*steps); i++) {
		struct usage_reading one = of_run("alice", 10, "a", 5);

		one.run.life = steps[i].life;
		one.run.memory_kib_secs = steps[i].shown;
		one.run.memory_max_bytes = 1000 - i;
		credit(one);
		ck_assert_uint_eq(total("alice")->memory_kib_secs, steps[i].sum);
		ck_assert_uint_eq(rows[0].sum.memory_max_bytes, 1000);
	}
}
END_TEST

START_TEST(slot_of_another)
{
	credit(of_slot("alice", 10, 1, 50));
	credit(of_slot("bob", 10, 2, 7));
	credit(of_slot("alice", 10, 1, 90)); /* what an earlier daemon had said of it */
	credit(of_slot("bob", 10, 2, 8));
	ck_assert_uint_eq(total("alice")->requests, 50);
	ck_assert_uint_eq(total("bob")->requests, 8);
}
END_TEST

/* What counted before there was this database is not its. */
START_TEST(what_was_before)
{
	struct usage_reading old = of_run("alice", 10, "a", 5000);
	struct usage_reading older = of_slot("alice", 10, 1, 90);
	struct usage_reading other = old;

	usage_db_close(db);
	ck_assert_int_eq(unlink(USAGE_DB_FILE), 0);
	begin.known_board = older.slot.board;
	open_db();
	old.run.began_ms = 999;
	credit(old);
	credit(older);
	ck_assert_int_eq(ask("alice", 0, USAGE_HOURS_MAX, USAGE_BY_TENANT), 0);
	old.run.cpu_usec += 11;
	older.slot.requests += 3;
	credit(old);
	credit(older);
	ck_assert_uint_eq(total("alice")->cpu_usec, 11);
	ck_assert_uint_eq(rows[0].sum.requests, 3);
	ck_assert_uint_eq(rows[0].sum.starts, 0);
	/* The machine was booted since: its clock began anew. */
	snprintf(other.run.name, sizeof(other.run.name), "77aa b");
	other.run.began_ms = 3;
	credit(other);
	ck_assert_uint_eq(total("alice")->cpu_usec, 5011);
}
END_TEST

START_TEST(damaged)
{
	struct usage_reading two[] = { of_slot("alice", 10, 1, 4), of_run("alice", 10, "a", 3) };
	int other;

	ck_assert_int_eq(usage_db_credit(db, two, 2, &err), 0);
	usage_db_close(db);
	db = NULL;
	/* What is no database is said to be damaged, and set aside as it is. */
	other = open(USAGE_DB_FILE, O_WRONLY | O_TRUNC);
	for (int i = 0; i < 1000; i++)
		ck_assert_int_eq(write(other, "no database ", 12), 12);
	close(other);
	ck_assert_int_eq(usage_db_open(&db, &begin, &err), -1);
	ck_assert_int_eq(err.code, EUCLEAN);
	free(usage_db_set_aside());
	ck_assert_int_eq(access(USAGE_DB_FILE, F_OK), -1);
	open_db();
	ck_assert_int_eq(ask("", 0, USAGE_HOURS_MAX, USAGE_BY_TENANT), 0);
}
END_TEST

START_TEST(newer_one_is_left_alone)
{
	usage_db_close(db);
	db = NULL;
	ck_assert_int_eq(system("python3 -c 'import sqlite3\nd = sqlite3.connect(\"usage.db\")\n"
				"d.execute(\"PRAGMA user_version = 9\")'"),
		0);
	ck_assert_int_eq(usage_db_open(&db, &begin, &err), -1);
	ck_assert_ptr_nonnull(strstr(err.text, "newer"));
	ck_assert_int_ne(err.code, EUCLEAN);
}
END_TEST

START_TEST(days_and_ranges)
{
	for (int64_t hour = 0; hour < 72; hour++)
		if (hour % 3 == 0)
			credit(of_slot("alice", 240 + hour, 1, 100 + (uint64_t)hour));
	/* the first shows 100, each of the others 3 more than the one before */
	ck_assert_int_eq(ask("", 0, USAGE_HOURS_MAX, USAGE_BY_DAY), 3);
	ck_assert_int_eq(rows[0].hour, 240);
	ck_assert_uint_eq(rows[0].sum.requests, 121);
	ck_assert_int_eq(rows[1].hour, 264);
	ck_assert_uint_eq(rows[1].sum.requests, 24);
	/* of a day that is asked for in part, that part */
	ck_assert_int_eq(ask("alice", 250, 270, USAGE_BY_DAY), 2);
	ck_assert_int_eq(rows[0].hour, 250);
	ck_assert_uint_eq(rows[0].sum.requests, 12);
	ck_assert_int_eq(rows[1].hour, 264);
	ck_assert_uint_eq(rows[1].sum.requests, 6);
	ck_assert_int_eq(ask("", 243, 247, USAGE_BY_TENANT), 1);
	ck_assert_uint_eq(rows[0].sum.requests, 6);
	ck_assert_int_eq(ask("", 400, 500, USAGE_BY_HOUR), 0);
	ck_assert_int_eq(ask("", 241, 243, USAGE_BY_HOUR), 0);
	ck_assert_int_eq(ask("bob", 0, USAGE_HOURS_MAX, USAGE_BY_TENANT), 0);
}
END_TEST

/* Piece by piece it is the same as at once, and each row comes once. */
START_TEST(pages)
{
	struct usage_query query = { .until = USAGE_HOURS_MAX, .by = _i, .after_hour = -1 };
	size_t count = 0;
	uint64_t requests = 0;
	int got;

	for (int tenant = 0; tenant < 300; tenant++) {
		char id[8];

		snprintf(id, sizeof(id), "t%d", tenant);
		for (int64_t hour = 100; hour < 106; hour++) {
			struct usage_reading one = of_slot(id, hour + 19 * (hour % 2), 1, 1);

			one.slot.slot = (uint64_t)(tenant * 100 + hour);
			credit(one);
		}
	}
	do {
		got = usage_db_query(db, &query, rows, &err);
		ck_assert_int_ge(got, 0);
		for (int i = 0; i < got; i++) {
			requests += rows[i].sum.requests;
			ck_assert(rows[i].hour > query.after_hour ||
				  (rows[i].hour == query.after_hour &&
					  rows[i].tenant > query.after_tenant));
			query.after_hour = rows[i].hour;
			query.after_tenant = rows[i].tenant;
		}
		count += (size_t)got;
	} while (got == USAGE_DB_PAGE);
	ck_assert_uint_eq(requests, 1800);
	ck_assert_uint_eq(count, _i == USAGE_BY_TENANT ? 300 : _i == USAGE_BY_DAY ? 600 : 1800);
}
END_TEST

START_TEST(forgets_the_oldest)
{
	struct usage_reading last = of_run("alice", 100, "a", 4);

	for (int64_t hour = 100; hour < 120; hour++)
		credit(of_slot("alice", hour, 1, (uint64_t)hour));
	last.run.ended = 1;
	credit(last);
	ck_assert_int_eq(usage_db_prune(db, 120, 110, 4, &err), 0);
	ck_assert_int_eq(ask("", 0, USAGE_HOURS_MAX, USAGE_BY_HOUR), 16);
	ck_assert_int_eq(rows[0].hour, 104);
	ck_assert_int_eq(usage_db_prune(db, 120, 110, 100, &err), 0);
	ck_assert_int_eq(ask("", 0, USAGE_HOURS_MAX, USAGE_BY_HOUR), 10);
	ck_assert_int_eq(rows[0].hour, 110);
	/* What is told again within two days is known; a slot as long as its board is heard of. */
	credit(last);
	ck_assert_int_eq(ask("", 0, 110, USAGE_BY_HOUR), 0);
	ck_assert_int_eq(usage_db_prune(db, 9000, 110, 100, &err), 0);
	credit(of_slot("alice", 9000, 1, 119));
	ck_assert_int_eq(ask("", 9000, 9001, USAGE_BY_HOUR), 0);
}
END_TEST

START_TEST(stored)
{
	static const uint64_t shown[] = { USAGE_UNKNOWN, 70, 90, USAGE_UNKNOWN, 80 };
	static const uint64_t most[] = { USAGE_UNKNOWN, 70, 90, 90, 90 };

	for (size_t i = 0; i < sizeof(shown) / sizeof(*shown); i++) {
		struct usage_reading one = of_slot("alice", 10, 1, i + 1);

		one.stored_bytes = shown[i];
		credit(one);
		ck_assert_uint_eq(total("alice")->stored_bytes, most[i]);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("usage_db");
	TCase *tests = tcase_create("usage_db");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_set_timeout(tests, 60);
	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_test(tests, differences);
	tcase_add_test(tests, twice_late_and_less);
	tcase_add_test(tests, unknown_is_nothing);
	tcase_add_test(tests, memory_of_lives);
	tcase_add_test(tests, slot_of_another);
	tcase_add_test(tests, what_was_before);
	tcase_add_test(tests, damaged);
	tcase_add_test(tests, newer_one_is_left_alone);
	tcase_add_test(tests, days_and_ranges);
	tcase_add_loop_test(tests, pages, USAGE_BY_TENANT, USAGE_BY_HOUR + 1);
	tcase_add_test(tests, forgets_the_oldest);
	tcase_add_test(tests, stored);
	suite_add_tcase(suite, tests);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
