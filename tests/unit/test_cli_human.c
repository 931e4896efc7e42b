/* Times as `ten` says and reads them. */
#include <check.h>
#include <stdlib.h>

#include "cli/human.h"

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
	tcase_add_test(cases, test_plural);
	suite_add_tcase(suite, cases);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
