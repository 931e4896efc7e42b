#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "config_mask.h"
#include "mem.h"

static const struct {
	const char *text, *masked;
} texts[] = {
	{ "", "" },
	{ "[tenant]\nservice = \"notes\" # a comment\n",
		"[tenant]\nservice = \"notes\" # a comment\n" },
	{ "[tenant.env]\nKEY = \"SECRET\"\nOTHER = \"SECRET\" # SECRET\n",
		"[tenant.env]\nKEY = \"***\"\nOTHER = \"***\"\n" },
	{ "[tenant.env]\nKEY = \"SECRET\"\n\n[tenant]\nservice = \"notes\"\n",
		"[tenant.env]\nKEY = \"***\"\n\n[tenant]\nservice = \"notes\"\n" },
	{ "[tenant]\nenv = { A = \"SECRET\", B = \"SECRET\" }\nservice = \"notes\"\n",
		"[tenant]\nenv = \"***\"\nservice = \"notes\"\n" },
	{ "[tenant]\nenv.A = \"SECRET\"\nservice = \"notes\"\n",
		"[tenant]\nenv.A = \"***\"\nservice = \"notes\"\n" },
	{ "tenant = { service = \"x\", env = { A = \"SECRET\" } }\n", "tenant = \"***\"\n" },
	{ "[tenant.env]\nA = \"\"\"\nSECRET\n[tenant]\n# SECRET\nB = SECRET\n\"\"\"\n",
		"[tenant.env]\nA = \"***\"\n***\n***\n***\n***\n***\n" },
	{ "[service.a]\ncredentials = [\n  \"SECRET\",\n  \"SECRET\"\n]\ncommand = \"x\"\n",
		"[service.a]\ncredentials = \"***\"\n  ***\n  ***\n***\ncommand = \"x\"\n" },
	{ "[service.a]\nargs = [\n  \"x\",\n]\n", "[service.a]\nargs = [\n  \"x\",\n]\n" },
	{ "[tenant.env] # SECRET is below\nA = \"SECRET\"",
		"[tenant.env] # SECRET is below\nA = \"***\"" },
	/* where a secret ends, something else may begin in the same line */
	{ "tenant = { env = { A = \"\"\"\nSECRET\"\"\" }, service = \"x\" }\n[service.a]\nargs = "
	  "1\n",
		"tenant = \"***\"\n***\n[service.a]\nargs = 1\n" },
	{ "a = [ { env = { A = \"\"\"\nS\303\211CRET\"\"\" } }, { b = 1 } ]\n",
		"a = \"***\"\n***\n" },
	{ "credentials = [\n  [ { A = \"SECRET\" } ],\n]\n\n[service.a]\nargs = 1\n",
		"credentials = \"***\"\n  ***\n***\n\n[service.a]\nargs = 1\n" },
	{ "[service.a.env]\n# SECRET\nA = \"SECRET\"\n", "[service.a.env]\n***\nA = \"***\"\n" },
};

START_TEST(secrets_are_not_shown)
{
	autofree char *masked = config_mask(texts[_i].text, strlen(texts[_i].text));

	ck_assert_pstr_eq(masked, texts[_i].masked);
}
END_TEST

START_TEST(what_is_no_toml_is_not_shown)
{
	ck_assert_ptr_null(config_mask("[tenant\nA = 1", 13));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("config_mask");
	TCase *tests = tcase_create("config_mask");
	SRunner *runner;
	int failed;

	tcase_add_loop_test(tests, secrets_are_not_shown, 0, (int)(sizeof(texts) / sizeof(*texts)));
	tcase_add_test(tests, what_is_no_toml_is_not_shown);
	suite_add_tcase(suite, tests);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
