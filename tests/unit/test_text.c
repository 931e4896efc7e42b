#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "mem.h"
#include "text.h"

START_TEST(begins_empty)
{
	struct text text = { 0 };
	char *string = text_steal(&text);

	ck_assert_str_eq(string, "");
	free(string);
	text_free(&text);
	text_add(&text, NULL, 0);
	ck_assert_str_eq(text.data, "");
	text_free(&text);
	ck_assert_ptr_null(text.data);
	ck_assert_uint_eq(text.len, 0);
}
END_TEST

START_TEST(adds)
{
	autotext struct text text = { 0 };

	text_puts(&text, "one");
	text_add(&text, " twofold", 4);
	text_printf(&text, " %d%s", 3, "!");
	text_printf(&text, "%s", "");
	ck_assert_str_eq(text.data, "one two 3!");
	ck_assert_uint_eq(text.len, 10);
	text_add(&text, "\0x", 2);
	ck_assert_uint_eq(text.len, 12);
	ck_assert_mem_eq(text.data, "one two 3!\0x", 13);
}
END_TEST

/* At every length around where the room is doubled. */
START_TEST(grows)
{
	static char expected[5000];
	autotext struct text text = { 0 };

	for (size_t len = 0; len < sizeof(expected) - 1; len++) {
		expected[len] = (char)('a' + len % 26);
		if (len % 2)
			text_add(&text, expected + len, 1);
		else
			text_printf(&text, "%c", expected[len]);
		ck_assert_uint_eq(text.len, len + 1);
		ck_assert_uint_gt(text.room, text.len);
		ck_assert_int_eq(text.data[text.len], '\0');
	}
	ck_assert_str_eq(text.data, expected);
}
END_TEST

START_TEST(large_pieces)
{
	for (size_t len = 100; len < 300; len++) {
		autotext struct text text = { 0 };
		autofree char *piece = mem_alloc(len + 1);

		memset(piece, 'x', len);
		text_printf(&text, "%s", piece);
		text_add(&text, piece, len);
		ck_assert_uint_eq(text.len, 2 * len);
		ck_assert_uint_eq(strlen(text.data), 2 * len);
	}
}
END_TEST

START_TEST(steal)
{
	struct text text = { 0 };
	autofree char *string = NULL;

	text_puts(&text, "mine");
	string = text_steal(&text);
	ck_assert_str_eq(string, "mine");
	ck_assert_ptr_null(text.data);
	text_puts(&text, "next");
	ck_assert_str_eq(string, "mine");
	ck_assert_str_eq(text.data, "next");
	text_free(&text);
}
END_TEST

START_TEST(lists)
{
	ck_assert(text_lists("cpu io memory\n", ' ', "cpu"));
	ck_assert(text_lists("cpu io memory\n", ' ', "io"));
	ck_assert(text_lists("cpu io memory\n", ' ', "memory"));
	ck_assert(text_lists("memory", ' ', "memory"));
	ck_assert(!text_lists("cpu\nio", ' ', "io"));
	ck_assert(!text_lists("cpuset io", ' ', "cpu"));
	ck_assert(!text_lists("cpu,cpuacct", ' ', "cpu"));
	ck_assert(text_lists("cpu,cpuacct", ',', "cpuacct"));
	ck_assert(!text_lists("cpu,cpuacct", ',', "acct"));
	ck_assert(!text_lists("a||b", '|', "c"));
	ck_assert(text_lists("a||b", '|', "b"));
	ck_assert(!text_lists("", '|', "a"));
	ck_assert(!text_lists(NULL, '|', "a"));
}
END_TEST

START_TEST(plain)
{
	char odd[] = "a\tb\n\x7f\xc3\xa4 ~", none[] = "";

	text_make_plain(odd);
	text_make_plain(none);
	ck_assert_str_eq(odd, "a?b???? ~");
	ck_assert_str_eq(none, "");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("text");
	TCase *tests = tcase_create("text");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_test(tests, begins_empty);
	tcase_add_test(tests, adds);
	tcase_add_test(tests, grows);
	tcase_add_test(tests, large_pieces);
	tcase_add_test(tests, steal);
	tcase_add_test(tests, lists);
	tcase_add_test(tests, plain);
	suite_add_tcase(suite, tests);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
