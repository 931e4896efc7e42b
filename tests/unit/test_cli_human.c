/* Times as `ten` says and reads them. */
#include <check.h>
#include <stdlib.h>

#include "cli/human.h"
#include "cli/since.h"

static const struct {
	int64_t secs;
	const char *text;
} ages[] = {
	{ -1, "-" },
	{ 0, "now" },
	{ 1, "1s" },
	{ 59, "59s" },
	{ 60, "1m" },
	{ 3599, "59m" },
	{ 3600, "1h" },
	{ 2 * 86400 - 1, "47h" },
	{ 2 * 86400, "2d" },
	{ 400 * 86400LL, "400d" },
	{ 800 * 86400LL, "2y" },
	{ INT64_MAX, "292471208677y" },
};

START_TEST(test_age)
{
	char out[HUMAN_MAX];

	human_age(ages[_i].secs, out);
	ck_assert_str_eq(out, ages[_i].text);
}
END_TEST

START_TEST(test_ago)
{
	char out[HUMAN_MAX];

	human_ago(1000, 1180, out);
	ck_assert_str_eq(out, "3m ago");
	human_ago(1000, 1000, out);
	ck_assert_str_eq(out, "just now");
	human_ago(1001, 1000, out); /* another machine's clock */
	ck_assert_str_eq(out, "just now");
	human_ago(-1, INT64_MAX - 1, out);
	ck_assert_str_eq(out, "292471208677y ago");
}
END_TEST

static const struct {
	const char *text;
	long secs;
} times[] = {
	{ "30", 30 },
	{ "0", 0 },
	{ "90s", 90 },
	{ "5m", 300 },
	{ "1h", 3600 },
	{ "", -1 },
	{ "m", -1 },
	{ "-5", -1 },
	{ "5x", -1 },
	{ " 5", -1 },
	{ "1.5", -1 },
	{ "99999999999999999999", -1 },
	{ "9223372036854775807h", -1 },
	{ "+5", -1 },
	{ "5mm", -1 },
};

START_TEST(test_parse_secs)
{
	ck_assert_int_eq(human_parse_secs(times[_i].text), times[_i].secs);
}
END_TEST

static const struct {
	int64_t bytes;
	const char *text;
} sizes[] = {
	{ -1, "-" },
	{ 0, "0" },
	{ 999, "999" },
	{ 1000, "1.0K" },
	{ 1536, "1.5K" },
	{ 10239, "10K" },
	{ 1023000, "999K" },
	{ 1023900, "1.0M" },
	{ 20 << 20, "20M" },
	{ 1288490189, "1.2G" },
	{ INT64_MAX, "8.0E" },
};

START_TEST(test_bytes)
{
	char out[HUMAN_MAX];

	human_bytes(sizes[_i].bytes, out);
	ck_assert_str_eq(out, sizes[_i].text);
}
END_TEST

#define NOW 1795237200 /* 2026-11-21 05:00:00 UTC */

static const struct {
	const char *text;
	int64_t moment; /* -1: none */
} moments[] = {
	{ "90m", NOW - 5400 },
	{ "24h", NOW - 86400 },
	{ "30d", NOW - 30 * 86400 },
	{ "4w", NOW - 28 * 86400 },
	{ "10s", NOW - 10 },
	{ "0s", NOW },
	{ "99999999w", 0 },
	{ "2026-11-21", NOW - 5 * 3600 },
	{ "2026-11-21T05:00", NOW },
	{ "2026-11-21 05:00Z", NOW },
	{ "2024-02-29", 1709164800 },
	{ "1970-01-01", 0 },
	{ "", -1 },
	{ "30", -1 },
	{ "d", -1 },
	{ "-5d", -1 },
	{ "5dd", -1 },
	{ "1.5h", -1 },
	{ "9999999999d", -1 },
	{ "2026-02-29", -1 },
	{ "2026-13-01", -1 },
	{ "2026-00-01", -1 },
	{ "2026-11-31", -1 },
	{ "2026-11-00", -1 },
	{ "2026-11-21T24:00", -1 },
	{ "2026-11-21T05:60", -1 },
	{ "2026-11-21T05", -1 },
	{ "2026-11-21T", -1 },
	{ "2026-1-2", -1 },
	{ "1969-12-31", -1 },
	{ "2026-11-21x", -1 },
	{ "yesterday", -1 },
};

START_TEST(test_since)
{
	int64_t moment = -1;
	bool good = since_parse(moments[_i].text, NOW, &moment);

	ck_assert_int_eq(good, moments[_i].moment >= 0);
	if (good)
		ck_assert_int_eq(moment, moments[_i].moment);
}
END_TEST

START_TEST(test_plural)
{
	ck_assert_str_eq(human_plural(1), "");
	ck_assert_str_eq(human_plural(0), "s");
	ck_assert_str_eq(human_plural(2), "s");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("cli_human");
	TCase *cases = tcase_create("all");
	SRunner *runner;
	int failed;

	tcase_add_loop_test(cases, test_age, 0, sizeof(ages) / sizeof(ages[0]));
	tcase_add_test(cases, test_ago);
	tcase_add_loop_test(cases, test_parse_secs, 0, sizeof(times) / sizeof(times[0]));
	tcase_add_loop_test(cases, test_bytes, 0, sizeof(sizes) / sizeof(sizes[0]));
	tcase_add_loop_test(cases, test_since, 0, sizeof(moments) / sizeof(moments[0]));
	tcase_add_test(cases, test_plural);
	suite_add_tcase(suite, cases);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
