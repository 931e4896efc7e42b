#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"

static char long_text[3 * TEN_ERROR_TEXT_MAX];

static void setup(void)
{
	memset(long_text, 'x', sizeof(long_text) - 1);
}

START_TEST(set)
{
	struct ten_error err;

	ck_assert_int_eq(ten_error_set(&err, ENOENT, "%s:%d", "alice.toml", 7), -1);
	ck_assert_int_eq(err.code, ENOENT);
	ck_assert_str_eq(err.text, "alice.toml:7: No such file or directory");
	ck_assert_int_eq(ten_error_set(&err, 0, "no %s", "reason"), -1);
	ck_assert_int_eq(err.code, 0);
	ck_assert_str_eq(err.text, "no reason");
}
END_TEST

START_TEST(say)
{
	struct ten_error err;

	ck_assert_int_eq(ten_error_say(&err, EEXIST, "%s is taken", "alice"), -1);
	ck_assert_int_eq(err.code, EEXIST);
	ck_assert_str_eq(err.text, "alice is taken");
}
END_TEST

START_TEST(wrap)
{
	struct ten_error err;

	ten_error_set(&err, EACCES, "open");
	ck_assert_int_eq(ten_error_wrap(&err, "%s", "table"), -1);
	ck_assert_int_eq(ten_error_wrap(&err, "tenant %s", "notes:alice"), -1);
	ck_assert_int_eq(err.code, EACCES);
	ck_assert_str_eq(err.text, "tenant notes:alice: table: open: Permission denied");
}
END_TEST

/* What is too long is cut, whichever part it is. */
START_TEST(long_texts)
{
	struct ten_error err;

	ten_error_set(&err, ENOENT, "%s", long_text);
	ck_assert_uint_eq(strlen(err.text), TEN_ERROR_TEXT_MAX - 1);
	ten_error_wrap(&err, "in front");
	ck_assert_uint_eq(strlen(err.text), TEN_ERROR_TEXT_MAX - 1);
	ck_assert_int_eq(strncmp(err.text, "in front: xxx", 13), 0);
	ten_error_wrap(&err, "%s", long_text);
	ck_assert_uint_eq(strlen(err.text), TEN_ERROR_TEXT_MAX - 1);
	ten_error_say(&err, 0, "%s", long_text);
	ck_assert_uint_eq(strlen(err.text), TEN_ERROR_TEXT_MAX - 1);
	/* One byte of room is left for the reason: none of it. */
	ten_error_set(&err, ENOENT, "%.*s", TEN_ERROR_TEXT_MAX - 2, long_text);
	ck_assert_uint_eq(strlen(err.text), TEN_ERROR_TEXT_MAX - 1);
}
END_TEST

/* Cut off it is UTF-8 still, wherever the end falls. */
START_TEST(whole_characters)
{
	static const char *const characters[] = { "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x8c\x8d" };
	struct ten_error err;

	for (size_t i = 0; i < sizeof(characters) / sizeof(*characters); i++) {
		size_t len = strlen(characters[i]);

		for (size_t fits = 0; fits <= len; fits++) {
			ten_error_say(&err, 0, "%.*s%s%s", (int)(TEN_ERROR_TEXT_MAX - 1 - fits),
				long_text, characters[i], characters[i]);
			ck_assert_uint_eq(
				strlen(err.text), TEN_ERROR_TEXT_MAX - 1 - (fits < len ? fits : 0));
			ck_assert(fits < len ||
				  strcmp(err.text + strlen(err.text) - len, characters[i]) == 0);
		}
	}
}
END_TEST

START_TEST(nobody_asks)
{
	ck_assert_int_eq(ten_error_set(NULL, ENOENT, "x"), -1);
	ck_assert_int_eq(ten_error_say(NULL, 0, "x"), -1);
	ck_assert_int_eq(ten_error_wrap(NULL, "x"), -1);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("error");
	TCase *tests = tcase_create("error");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(tests, setup, NULL);
	tcase_add_test(tests, set);
	tcase_add_test(tests, say);
	tcase_add_test(tests, wrap);
	tcase_add_test(tests, long_texts);
	tcase_add_test(tests, whole_characters);
	tcase_add_test(tests, nobody_asks);
	suite_add_tcase(suite, tests);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
