#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "mem.h"
#include "words.h"

static const struct {
	const char *text;
	const char *words[6];
} splits[] = {
	{ "", { NULL } },
	{ "  \t\n ", { NULL } },
	{ "a", { "a" } },
	{ " python3  app.py\t-v ", { "python3", "app.py", "-v" } },
	{ "'a b' \"c d\"", { "a b", "c d" } },
	{ "a'b'\"c\"d", { "abcd" } },
	{ "'' \"\"", { "", "" } },
	{ "a\\ b \\\"", { "a b", "\"" } },
	{ "'a\\b'", { "a\\b" } },
	{ "\"a\\b\\\"\\\\\\$\\`\"", { "a\\b\"\\$`" } },
	{ "echo $HOME * | ;", { "echo", "$HOME", "*", "|", ";" } },
	{ "a\\\nb", { "ab" } },
	{ "\"a\\\nb\"", { "ab" } },
	{ "sh -c 'exec \"$0\"' {dir}", { "sh", "-c", "exec \"$0\"", "{dir}" } },
};

START_TEST(split)
{
	struct ten_error err;
	char **words = words_split(splits[_i].text, NULL, &err);
	size_t count = 0;

	ck_assert_ptr_nonnull(words);
	for (; splits[_i].words[count]; count++) {
		ck_assert_ptr_nonnull(words[count]);
		ck_assert_str_eq(words[count], splits[_i].words[count]);
	}
	ck_assert_ptr_null(words[count]);
	mem_strv_free(words);
}
END_TEST

static const struct {
	const char *text;
	int column;
	const char *message;
} unbalanced[] = {
	{ "a 'b", 3, "the ' at character 3 is never closed" },
	{ "\"", 1, "the \" at character 1 is never closed" },
	{ "\303\244 \"b\\\"", 3, "the \" at character 3 is never closed" },
	{ "a 'b' c\\", 8, "nothing follows the \\ at character 8" },
};

START_TEST(refuse)
{
	struct ten_error err;
	int column = 0;

	ck_assert_ptr_null(words_split(unbalanced[_i].text, &column, &err));
	ck_assert_int_eq(column, unbalanced[_i].column);
	ck_assert_str_eq(err.text, unbalanced[_i].message);
}
END_TEST

/* What is joined splits into the same words again. */
START_TEST(join)
{
	char *const words[] = { "plain", "", "two words", "it's", "$x", "back\\slash", "{id}",
		NULL };
	char *line = words_join(words);
	char **again = words_split(line, NULL, NULL);

	ck_assert_uint_eq(mem_strv_length(again), 7);
	for (size_t i = 0; words[i]; i++)
		ck_assert_str_eq(again[i], words[i]);
	mem_strv_free(again);
	free(line);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("words");
	TCase *tests = tcase_create("words");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_loop_test(tests, split, 0, sizeof(splits) / sizeof(splits[0]));
	tcase_add_loop_test(tests, refuse, 0, sizeof(unbalanced) / sizeof(unbalanced[0]));
	tcase_add_test(tests, join);
	suite_add_tcase(suite, tests);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
