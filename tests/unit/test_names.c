#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "names.h"

#define LABEL_63 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static const struct {
	const char *name;
	bool valid;
} names[] = {
	{ "a", true },
	{ "0", true },
	{ "alice", true },
	{ "a-b_c9", true },
	{ LABEL_63, true },
	{ LABEL_63 "a", false },
	{ "", false },
	{ "-a", false },
	{ "a-", false },
	{ "_a", false },
	{ "a_", false },
	{ "Alice", false },
	{ "a.b", false },
	{ "a b", false },
	{ "a/b", false },
	{ "\303\244", false },
};

START_TEST(valid)
{
	struct ten_error err = { 0 };

	ck_assert_int_eq(names_valid(names[_i].name), names[_i].valid);
	ck_assert_int_eq(names_check(names[_i].name, &err), names[_i].valid ? 0 : -1);
	ck_assert_int_eq(err.text[0] == '\0', names[_i].valid);
}
END_TEST

static const struct {
	const char *host;
	bool valid;
} hosts[] = {
	{ "example.com", true },
	{ "localhost", true },
	{ "Notes.Alice.ORG", true },
	{ "xn--mller-kva.de", true },
	{ "a_b.example.com", true },
	{ "1.example", true },
	{ "", false },
	{ ".example.com", false },
	{ "example.com.", false },
	{ "a..b", false },
	{ "example.com:80", false },
	{ "*.example.com", false },
	{ "-a.example.com", false },
	{ "127.0.0.1", false },
	{ "m\303\274ller.de", false },
	{ LABEL_63 "a.example.com", false },
	{ LABEL_63 "." LABEL_63 "." LABEL_63 "." LABEL_63, false },
};

START_TEST(host)
{
	ck_assert_int_eq(names_check_host(hosts[_i].host, NULL), hosts[_i].valid ? 0 : -1);
}
END_TEST

static const struct {
	const char *host, *domain;
	bool within;
} withins[] = {
	{ "example.com", "example.com", true },
	{ "a.example.com", "example.com", true },
	{ "aexample.com", "example.com", false },
	{ "example.com", "a.example.com", false },
	{ "example.org", "example.com", false },
};

START_TEST(within)
{
	ck_assert_int_eq(
		names_host_within(withins[_i].host, withins[_i].domain), withins[_i].within);
}
END_TEST

static const struct {
	const char *host;
	enum names_host kind;
	const char *id, *service;
} splits[] = {
	{ "example.com", NAMES_HOST_ROOT, "", "" },
	{ "notes.example.com", NAMES_HOST_SERVICE, "", "notes" },
	{ "alice.notes.example.com", NAMES_HOST_INSTANCE, "alice", "notes" },
	{ "x.alice.notes.example.com", NAMES_HOST_OTHER, NULL, NULL },
	{ "notes.example.org", NAMES_HOST_OTHER, NULL, NULL },
	{ "-.notes.example.com", NAMES_HOST_OTHER, NULL, NULL },
	{ ".example.com", NAMES_HOST_OTHER, NULL, NULL },
};

START_TEST(split)
{
	char id[NAMES_MAX + 1], service[NAMES_MAX + 1];

	ck_assert_int_eq(
		names_host_split(splits[_i].host, "example.com", id, service), splits[_i].kind);
	if (!splits[_i].id)
		return;
	ck_assert_str_eq(id, splits[_i].id);
	ck_assert_str_eq(service, splits[_i].service);
}
END_TEST

START_TEST(make)
{
	char *made = names_host_make("alice", "notes", "example.com");
	char lowered[] = "Notes.EXAMPLE.com";

	ck_assert_str_eq(made, "alice.notes.example.com");
	free(made);
	made = names_host_make(NULL, "notes", "example.com");
	ck_assert_str_eq(made, "notes.example.com");
	free(made);
	names_host_lower(lowered);
	ck_assert_str_eq(lowered, "notes.example.com");
}
END_TEST

START_TEST(variable)
{
	static const char *const good[] = { "A", "_", "PATH", "a_1" };
	static const char *const bad[] = { "", "1A", "A-B", "A B", "A=B", "\303\244" };

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		ck_assert_msg(names_valid_variable(good[i]), "%s", good[i]);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_assert_msg(!names_valid_variable(bad[i]), "%s", bad[i]);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("names");
	TCase *tests = tcase_create("names");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_loop_test(tests, valid, 0, sizeof(names) / sizeof(names[0]));
	tcase_add_loop_test(tests, host, 0, sizeof(hosts) / sizeof(hosts[0]));
	tcase_add_loop_test(tests, within, 0, sizeof(withins) / sizeof(withins[0]));
	tcase_add_loop_test(tests, split, 0, sizeof(splits) / sizeof(splits[0]));
	tcase_add_test(tests, make);
	tcase_add_test(tests, variable);
	suite_add_tcase(suite, tests);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
