#include <arpa/inet.h>
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "egress.h"

static void expect(const char *text, const char *match)
{
	autotext struct text made = { 0 };
	struct egress_rule rule;
	struct ten_error err;

	ck_assert_msg(egress_parse(text, &rule, &err) == 0, "%s: %s", text, err.text);
	egress_add_match(&made, &rule);
	ck_assert_str_eq(made.data, match);
}

START_TEST(rules)
{
	expect("10.0.0.0/8:5432", "ip daddr 10.0.0.0/8 meta l4proto { tcp, udp } th dport 5432");
	expect("192.0.2.7:8000-8010",
		"ip daddr 192.0.2.7/32 meta l4proto { tcp, udp } th dport 8000-8010");
	expect("192.0.2.0/24", "ip daddr 192.0.2.0/24");
	expect("0.0.0.0/0:1-65535", "ip daddr 0.0.0.0/0");
}
END_TEST

static void refuse(const char *text, const char *because)
{
	struct egress_rule rule;
	struct ten_error err = { 0 };

	ck_assert_msg(egress_parse(text, &rule, &err) < 0, "%s was taken", text);
	ck_assert_msg(strstr(err.text, because), "%s: %s", text, err.text);
}

START_TEST(refused_rules)
{
	refuse("", "CIDR");
	refuse("db.example", "CIDR");
	refuse("db.example:5432", "CIDR");
	refuse("db.example:5432", "names are not looked up");
	refuse("10.0.0.1/8:80", "bits set");
	refuse("10.0.0.0/33:80", "prefix");
	refuse("10.0.0.0/8:", "no port");
	refuse("10.0.0.0/8:0", "no port");
	refuse("10.0.0.0/8:65536", "no port");
	refuse("10.0.0.0/8:80x", "no port");
	refuse("10.0.0.0/8:90-80", "no range");
	refuse("10.0.0.0/8:80:90", "IPv4");
	refuse("[::1]:80", "IPv4");
	refuse("fd00::/8", "IPv4");
	refuse("10.0.0.0/8 accept; flush ruleset", "prefix");
	refuse("10.0.0.0/8:80 accept", "no port");
}
END_TEST

START_TEST(ranges)
{
	struct private_range range;
	struct ten_error err;

	ck_assert_int_eq(private_range_parse("10.90.0.0/16", &range, &err), 0);
	ck_assert_uint_eq(range.first, 10u << 24 | 90u << 16);
	ck_assert_uint_eq(range.pairs, 32768);
	ck_assert_int_eq(private_range_parse("10.0.0.0/8", &range, &err), 0);
	ck_assert_uint_eq(range.pairs, PRIVATE_PAIRS_MAX);
	ck_assert_int_eq(private_range_parse("192.168.7.0/30", &range, &err), 0);
	ck_assert_uint_eq(range.pairs, 2);
	ck_assert_int_lt(private_range_parse("10.90.0.0/31", &range, &err), 0);
	ck_assert_int_lt(private_range_parse("0.0.0.0/0", &range, &err), 0);
	ck_assert_int_lt(private_range_parse("10.90.0.1/16", &range, &err), 0);
	ck_assert_int_lt(private_range_parse("fd00::/16", &range, &err), 0);
	ck_assert_int_lt(private_range_parse("some", &range, &err), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("egress");
	TCase *all = tcase_create("all");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_test(all, rules);
	tcase_add_test(all, refused_rules);
	tcase_add_test(all, ranges);
	suite_add_tcase(suite, all);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
