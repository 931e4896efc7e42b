#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "storage_rules.h"

#define MIB ((uint64_t)1 << 20)

static const struct row {
	enum storage_level was;
	uint64_t used; /* of a quota of 1000 MiB */
	enum storage_level next, next_enforced;
} rows[] = {
	{ STORAGE_BELOW, 0, STORAGE_BELOW, STORAGE_BELOW },
	{ STORAGE_BELOW, 800 * MIB - 1, STORAGE_BELOW, STORAGE_BELOW },
	{ STORAGE_BELOW, 800 * MIB, STORAGE_NEAR, STORAGE_NEAR },
	{ STORAGE_NEAR, 750 * MIB, STORAGE_NEAR, STORAGE_NEAR },
	{ STORAGE_NEAR, 750 * MIB - 1, STORAGE_BELOW, STORAGE_BELOW },
	{ STORAGE_BELOW, 960 * MIB, STORAGE_NEAR, STORAGE_NEAR },
	/* Where the kernel refuses what is beyond, it is never quite full. */
	{ STORAGE_NEAR, 990 * MIB, STORAGE_NEAR, STORAGE_FULL },
	{ STORAGE_BELOW, 1000 * MIB - 1, STORAGE_NEAR, STORAGE_FULL },
	{ STORAGE_BELOW, 1000 * MIB, STORAGE_FULL, STORAGE_FULL },
	{ STORAGE_BELOW, UINT64_MAX - 1, STORAGE_FULL, STORAGE_FULL },
	{ STORAGE_FULL, 950 * MIB, STORAGE_FULL, STORAGE_FULL },
	{ STORAGE_FULL, 950 * MIB - 1, STORAGE_NEAR, STORAGE_NEAR },
	{ STORAGE_FULL, 760 * MIB, STORAGE_NEAR, STORAGE_NEAR },
	{ STORAGE_FULL, 749 * MIB, STORAGE_BELOW, STORAGE_BELOW },
	{ STORAGE_FULL, STORAGE_UNKNOWN, STORAGE_BELOW, STORAGE_BELOW },
};

START_TEST(levels_hold_on_until_there_is_room)
{
	const struct row *row = &rows[_i];

	ck_assert_int_eq(storage_level_next(row->was, row->used,
				 (struct storage_quota){ .bytes = 1000 * MIB }),
		row->next);
	ck_assert_int_eq(storage_level_next(row->was, row->used,
				 (struct storage_quota){ .bytes = 1000 * MIB, .enforced = true }),
		row->next_enforced);
	ck_assert_int_eq(storage_level_next(row->was, row->used, (struct storage_quota){ 0 }),
		STORAGE_BELOW);
}
END_TEST

START_TEST(percents_are_whole_and_bounded)
{
	ck_assert_uint_eq(storage_percent(5, 0), 0);
	ck_assert_uint_eq(storage_percent(0, 100), 0);
	ck_assert_uint_eq(storage_percent(799, 1000), 79);
	ck_assert_uint_eq(storage_percent(800, 1000), 80);
	ck_assert_uint_eq(storage_percent(UINT64_MAX / 2 - 1, UINT64_MAX / 2), 99);
	ck_assert_uint_eq(storage_percent(100 * MIB, 100 * MIB), 100);
	ck_assert_uint_eq(storage_percent(250, 100), 250);
	ck_assert_uint_eq(storage_percent(UINT64_MAX - 1, 1), 9999);
}
END_TEST

START_TEST(the_nearer_the_sooner)
{
	double last = storage_interval(0, 0, 0, 0);

	for (uint64_t used = 0; used <= 1200; used += 10) {
		double now = storage_interval(used, 1000, 0, 0);

		ck_assert(now <= last && now >= 1);
		last = now;
	}
	/* A look that takes long is not made often, whatever the need. */
	ck_assert(storage_interval(999, 1000, 30, 0) >= 600);
	ck_assert(storage_interval(0, 0, 60, 0) >= 1200);
	/* It will be full in 20 s. */
	ck_assert(storage_interval(200, 1000, 0, 40) <= 5);
	ck_assert(storage_interval(200, 1000, 0, 4000) >= 1);
	ck_assert(storage_interval(2000, 1000, 0, 4000) >= 1);
}
END_TEST

START_TEST(sizes_are_told_with_two_digits)
{
	static const struct {
		uint64_t bytes;
		const char *text;
	} sizes[] = { { 0, "0 B" }, { 1023, "1023 B" }, { 1024, "1.0 KiB" }, { 1536, "1.5 KiB" },
		{ 100 * MIB, "100 MiB" }, { 1536 * MIB, "1.5 GiB" },
		{ UINT64_MAX - 1, "16.0 EiB" } };
	char out[STORAGE_SIZE_MAX];

	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		storage_size(sizes[i].bytes, out);
		ck_assert_str_eq(out, sizes[i].text);
	}
}
END_TEST

START_TEST(a_note_is_read_as_it_was_written)
{
	static const char *const wrong[] = { "", "2 used=1 quota=1 level=full\n",
		"1 used=1 quota=1 level=fuller\n", "1 used=x quota=1 level=full\n", "1 used=1\n" };
	struct storage_note note = { .used = UINT64_MAX - 1,
		.quota = UINT64_MAX - 2,
		.level = STORAGE_NEAR },
			    read;
	char text[STORAGE_NOTE_MAX];
	int len = storage_note_write(&note, text);

	ck_assert_int_lt(len, STORAGE_NOTE_MAX);
	ck_assert_uint_eq(strlen(text), (size_t)len);
	ck_assert(storage_note_read(text, &read));
	ck_assert_uint_eq(read.used, note.used);
	ck_assert_uint_eq(read.quota, note.quota);
	ck_assert_int_eq(read.level, note.level);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
		ck_assert(!storage_note_read(wrong[i], &read));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("storage_rules");
	TCase *tests = tcase_create("all");
	SRunner *runner;
	int failed;

	tcase_add_loop_test(
		tests, levels_hold_on_until_there_is_room, 0, (int)(sizeof(rows) / sizeof(*rows)));
	tcase_add_test(tests, percents_are_whole_and_bounded);
	tcase_add_test(tests, the_nearer_the_sooner);
	tcase_add_test(tests, sizes_are_told_with_two_digits);
	tcase_add_test(tests, a_note_is_read_as_it_was_written);
	suite_add_tcase(suite, tests);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
