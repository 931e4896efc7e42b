#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "env_file.h"
#include "mem.h"

static const struct {
	const char *text, *pairs; /* joined by "|" */
} right[] = {
	{ "", "" },
	{ "A=1\nB=2\n", "A=1|B=2" },
	{ "A=1", "A=1" },
	{ "\xef\xbb\xbf# comment\n ; another\n\n\t A = b c \t\n", "A=b c" },
	{ "A=b # no comment\n", "A=b # no comment" },
	{ "A=\r\nB=x\r\n", "A=|B=x" },
	{ "A=1\nA=2\n", "A=2" },
	{ "A='one\ntwo'\n", "A=one\ntwo" },
	{ "A='$HOME \\n \"x\"'\n", "A=$HOME \\n \"x\"" },
	{ "A=\"a \\\"b\\\" \\\\ \\$x \\n\"\n", "A=a \"b\" \\ $x \\n" },
	{ "A=\"one\\\ntwo\"\n", "A=onetwo" },
	{ "A=one\\\ntwo\n", "A=onetwo" },
	{ "A=a\\ \\ \n", "A=a  " },
	{ "A=' x '  \n", "A= x " },
	{ "A='a'\"b\"c\n", "A=abc" },
	{ "A==x=\n", "A==x=" },
	{ "A=$B `id` $(id)\n", "A=$B `id` $(id)" },
	{ "A=x\\", "A=x\\" },
	{ "_a9=\xc3\xa9\n", "_a9=\xc3\xa9" },
};

START_TEST(takes)
{
	struct env_file file = { 0 };
	struct ten_error err = { 0 };
	autofree char *joined = mem_strdup("");

	ck_assert_msg(env_file_parse(right[_i].text, strlen(right[_i].text), &file, &err) == 0,
		"%s", err.text);
	for (size_t i = 0; i < file.count; i++) {
		char *more = mem_printf("%s%s%s", joined, i ? "|" : "", file.pairs[i]);

		free(joined);
		joined = more;
	}
	ck_assert_str_eq(joined, right[_i].pairs);
	env_file_wipe(&file);
	ck_assert_uint_eq(file.count, 0);
}
END_TEST

static const struct {
	const char *text, *message;
} wrong[] = {
	{ "A=1\n  hunter2\n", "line 2, column 3: a line is NAME=value; there is no \"=\" in it" },
	{ "A=1\n\nB='hunter2\n", "line 3, column 3: the quote that begins here does not end" },
	{ "\xc3\xa9=hunter2", "line 1, column 1: what stands before" },
	{ "hunter2 is=x\n", "line 1, column 1: what stands before" },
	{ "=x\n", "line 1, column 1: what stands before" },
	{ "9A=x\n", "line 1, column 1: what stands before" },
	{ "export A=hunter2\n", "line 1, column 1: this is no shell script: leave out \"export\"" },
	{ "A=1\nPORT=8080\n", "line 2, column 1: this variable is set by tenement itself" },
	{ "CREDENTIALS_DIRECTORY=/x\n", "line 1, column 1: this variable is set by tenement" },
	{ "A='\xc3\xa9\xc3\xa9' B=\"hunter2\n", "line 1, column 10: the quote that begins here" },
};

/* None of them says what is in the file. */
START_TEST(refuses)
{
	struct env_file file = { 0 };
	struct ten_error err = { 0 };

	ck_assert_int_eq(env_file_parse(wrong[_i].text, strlen(wrong[_i].text), &file, &err), -1);
	ck_assert_msg(strncmp(err.text, wrong[_i].message, strlen(wrong[_i].message)) == 0, "%s",
		err.text);
	ck_assert_ptr_null(strstr(err.text, "hunter2"));
	env_file_wipe(&file);
}
END_TEST

START_TEST(refuses_what_is_no_text)
{
	struct env_file file = { 0 };
	struct ten_error err = { 0 };
	char *large;

	ck_assert_int_eq(env_file_parse("A=1\nB=x\0y\n", 10, &file, &err), -1);
	ck_assert_str_eq(err.text, "line 2, column 4: a NUL character");
	large = mem_alloc(ENV_FILE_MAX + 2);
	memset(large, '\n', ENV_FILE_MAX + 1);
	ck_assert_int_eq(env_file_parse(large, ENV_FILE_MAX + 1, &file, &err), -1);
	ck_assert_int_eq(env_file_parse(large, ENV_FILE_MAX, &file, &err), 0);
	free(large);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("env_file");
	TCase *tests = tcase_create("env_file");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_loop_test(tests, takes, 0, sizeof(right) / sizeof(right[0]));
	tcase_add_loop_test(tests, refuses, 0, sizeof(wrong) / sizeof(wrong[0]));
	tcase_add_test(tests, refuses_what_is_no_text);
	suite_add_tcase(suite, tests);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
