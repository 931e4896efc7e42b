/* Changing one value of a text and nothing else. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "toml_edit.h"

static void expect(const char *before, const char *after)
{
	struct ten_error err = { 0 };
	char *got = toml_edit_set(before, strlen(before), "tenant", "state", "stopped", &err);

	if (after) {
		ck_assert_msg(got, "%s: %s", before, err.text);
		ck_assert_str_eq(got, after);
	} else {
		ck_assert_msg(!got, "%s became %s", before, got);
		ck_assert(*err.text);
	}
	free(got);
}

START_TEST(test_it_comes_behind_the_header)
{
	expect("[tenant]", "[tenant]\nstate = \"stopped\"");
	expect("# a\n[tenant] # b\nid = \"x\"\n[tenant.env]\nA = \"1\"\n",
		"# a\n[tenant] # b\nstate = \"stopped\"\nid = \"x\"\n[tenant.env]\nA = \"1\"\n");
	expect("[[tenant]]\r\nid = \"x\"\r\n", "[[tenant]]\nstate = \"stopped\"\r\nid = \"x\"\r\n");
}
END_TEST

START_TEST(test_it_takes_the_place_of_what_was_there)
{
	expect("[tenant]\nstate = \"running\" # why\nid = \"x\"\n",
		"[tenant]\nstate = \"stopped\" # why\nid = \"x\"\n");
	expect("[tenant]\n \"state\"='running'\n", "[tenant]\n \"state\"=\"stopped\"\n");
	expect("[tenant]\nnote = \"\xc3\xa4\"\nstate = \"a\\\"b\"\n",
		"[tenant]\nnote = \"\xc3\xa4\"\nstate = \"stopped\"\n");
	expect("[tenant.env]\nstate = \"mine\"\n[tenant]\nstate = \"running\"\n",
		"[tenant.env]\nstate = \"mine\"\n[tenant]\nstate = \"stopped\"\n");
}
END_TEST

START_TEST(test_what_it_does_not_know_stays)
{
	expect("", NULL);
	expect("[tenant", NULL);
	expect("tenant = 1\n", NULL);
	expect("tenant = { id = \"x\" }\n", NULL);
	expect("tenant.state = \"running\"\n", NULL);
	expect("[[tenant]]\n[[tenant]]\n", NULL);
	expect("[tenant]\nstate = \"\"\"\nrunning\"\"\"\n", NULL);
	expect("[tenant]\nstate = 3\n", NULL);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("toml_edit");
	TCase *tests = tcase_create("toml_edit");
	SRunner *runner;
	int failed;

	tcase_add_test(tests, test_it_comes_behind_the_header);
	tcase_add_test(tests, test_it_takes_the_place_of_what_was_there);
	tcase_add_test(tests, test_what_it_does_not_know_stays);
	suite_add_tcase(suite, tests);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
