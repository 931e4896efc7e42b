/* What a worker hands over is read back as it was, and nothing else is read at all. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "access_batch.h"

static char batch[ACCESS_BATCH_MAX];
static size_t batch_len;

static bool add(const char *tenant, const char *line, size_t line_len)
{
	struct access_entry entry = { { 7, 3 }, tenant, strlen(tenant), line, line_len };

	return access_batch_add(batch, sizeof(batch), &batch_len, &entry);
}

static void setup(void)
{
	batch_len = 0;
}

START_TEST(test_round_trip)
{
	struct access_entry entry;
	size_t at = 0;

	ck_assert(add("notes:alice", "one", 3) && add("notes:bob", "\xc3\xa9", 2));
	ck_assert(access_batch_next(batch, batch_len, &at, &entry));
	ck_assert_uint_eq(entry.target.slot, 7);
	ck_assert_uint_eq(entry.target.incarnation, 3);
	ck_assert_uint_eq(entry.tenant_len, 11);
	ck_assert_mem_eq(entry.tenant, "notes:alice", 11);
	ck_assert_uint_eq(entry.line_len, 3);
	ck_assert_mem_eq(entry.line, "one", 3);
	ck_assert(access_batch_next(batch, batch_len, &at, &entry));
	ck_assert_mem_eq(entry.line, "\xc3\xa9", 2);
	ck_assert(!access_batch_next(batch, batch_len, &at, &entry));
	ck_assert_uint_eq(at, batch_len);
}
END_TEST

START_TEST(test_a_full_batch_takes_no_more)
{
	static char line[ACCESS_LINE_MAX];
	struct access_entry entry;
	size_t at = 0, count = 0, had;

	memset(line, 'x', sizeof(line));
	ck_assert(!add("notes:alice", line, ACCESS_LINE_MAX));
	while (add("notes:alice", line, 1000))
		count++;
	ck_assert_uint_gt(count, 60);
	had = batch_len;
	ck_assert(!add("notes:alice", line, 1000) && batch_len == had);
	while (access_batch_next(batch, batch_len, &at, &entry))
		count--;
	ck_assert_uint_eq(count, 0);
}
END_TEST

START_TEST(test_cut_anywhere_it_is_none)
{
	struct access_entry entry;

	ck_assert(add("notes:alice", "a line", 6));
	for (size_t len = 0; len < batch_len; len++) {
		size_t at = 0;
		/* In memory of just that size, so that a sanitizer sees a step too far. */
		char *copy = malloc(len + 1);

		memcpy(copy, batch, len);
		ck_assert(!access_batch_next(copy, len, &at, &entry));
		ck_assert_uint_eq(at, 0);
		free(copy);
	}
}
END_TEST

static const char *const bad_lines[] = { "", "two\nlines", "\n", "cr\r", "esc\x1b[0m", "tab\t",
	"del\x7f" };

START_TEST(test_a_line_is_one_line)
{
	struct access_entry entry;
	size_t at = 0;

	ck_assert(add("notes:alice", bad_lines[_i], strlen(bad_lines[_i])));
	ck_assert(!access_batch_next(batch, batch_len, &at, &entry));
}
END_TEST

START_TEST(test_a_nul_is_no_character_of_a_line)
{
	struct access_entry entry;
	size_t at = 0;

	ck_assert(add("notes:alice", "a\0b", 3));
	ck_assert(!access_batch_next(batch, batch_len, &at, &entry));
}
END_TEST

START_TEST(test_lengths_that_lie)
{
	struct access_entry entry;
	size_t at;

	for (size_t byte = 8; byte < 12; byte++) {
		for (int value = 0; value < 256; value++) {
			batch_len = at = 0;
			ck_assert(add("notes:alice", "a line", 6));
			batch[byte] = (char)value;
			if (!access_batch_next(batch, batch_len, &at, &entry))
				continue;
			ck_assert_uint_le(at, batch_len);
			ck_assert(entry.line + entry.line_len <= batch + batch_len);
		}
	}
}
END_TEST

static const struct {
	const char *tenant;
	bool valid;
} tenants[] = {
	{ "notes:alice", true },
	{ "n:a", true },
	{ "notes", false },
	{ "", false },
	{ ":", false },
	{ "notes:", false },
	{ ":alice", false },
	{ "notes:alice:x", false },
	{ "../x:alice", false },
	{ "notes:..", false },
	{ "notes:a/b", false },
	{ "notes:a.log", false },
	{ "Notes:alice", false },
	{ "notes:alice\n", false },
	{ "notes:-a", false },
	{ "notes:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
		false },
};

START_TEST(test_names_of_tenants)
{
	char service[NAMES_MAX + 1], id[NAMES_MAX + 1];
	const char *tenant = tenants[_i].tenant;

	ck_assert_msg(access_tenant_split(tenant, strlen(tenant), service, id) == tenants[_i].valid,
		"%s", tenant);
}
END_TEST

START_TEST(test_the_parts_of_a_name)
{
	char service[NAMES_MAX + 1], id[NAMES_MAX + 1];

	ck_assert(access_tenant_split("notes:alice", 11, service, id));
	ck_assert_str_eq(service, "notes");
	ck_assert_str_eq(id, "alice");
	ck_assert(!access_tenant_split("notes:al\0ce", 11, service, id));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("access_batch");
	TCase *tcase = tcase_create("all");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tcase, setup, NULL);
	tcase_add_test(tcase, test_round_trip);
	tcase_add_test(tcase, test_a_full_batch_takes_no_more);
	tcase_add_test(tcase, test_cut_anywhere_it_is_none);
	tcase_add_loop_test(
		tcase, test_a_line_is_one_line, 0, sizeof(bad_lines) / sizeof(bad_lines[0]));
	tcase_add_test(tcase, test_a_nul_is_no_character_of_a_line);
	tcase_add_test(tcase, test_lengths_that_lie);
	tcase_add_loop_test(tcase, test_names_of_tenants, 0, sizeof(tenants) / sizeof(tenants[0]));
	tcase_add_test(tcase, test_the_parts_of_a_name);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
