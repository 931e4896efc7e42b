/* Text from others, made harmless for a terminal. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "cli/visible.h"
#include "mem.h"

static const struct {
	const char *given;
	const char *shown;
} lines[] = {
	{ "", "" },
	{ "plain text", "plain text" },
	{ "caf\xc3\xa9 \xe6\x97\xa5\xe6\x9c\xac \xf0\x9f\x98\x80",
		"caf\xc3\xa9 \xe6\x97\xa5\xe6\x9c\xac \xf0\x9f\x98\x80" },
	{ "\033[2J\033]0;title\a", "\\x1b[2J\\x1b]0;title\\x07" },
	{ "over\rwritten", "over\\x0dwritten" },
	{ "a\nb\tc", "a b c" },
	{ "del\x7f", "del\\x7f" },
	{ "c1 \xc2\x9b"
	  "31m",
		"c1 \\x9b31m" },                     /* CSI in one character */
	{ "raw \x9b", "raw \\x9b" },                 /* and as a byte that is not UTF-8 */
	{ "\xe2\x80\xaetxt.exe", "\\u202etxt.exe" }, /* right to left from here */
	{ "a\xe2\x81\xa6"
	  "b",
		"a\\u2066b" },
	{ "a\xe2\x80\x8b"
	  "b",
		"a\\u200bb" },
	{ "\xc0\xaf", "\\xc0\\xaf" }, /* overlong */
	{ "\xe0\x80\xaf", "\\xe0\\x80\\xaf" },
	{ "\xed\xa0\x80", "\\xed\\xa0\\x80" }, /* a surrogate */
	{ "\xf5\x80\x80\x80", "\\xf5\\x80\\x80\\x80" },
	{ "cut \xe6\x97", "cut \\xe6\\x97" },
	{ "\xff\xfe", "\\xff\\xfe" },
};

START_TEST(test_line)
{
	autofree char *shown = visible_line(lines[_i].given);

	ck_assert_str_eq(shown, lines[_i].shown);
}
END_TEST

START_TEST(test_lines_keep_newlines)
{
	autofree char *shown = visible_lines("a\n\033b\n");

	ck_assert_str_eq(shown, "a\n\\x1bb\n");
}
END_TEST

START_TEST(test_nul_inside)
{
	autotext struct text out = { 0 };

	visible_add(&out, "a\0b", 3);
	ck_assert_str_eq(out.data, "a\\x00b");
}
END_TEST

static const struct {
	const char *text;
	size_t width;
	const char *cut;
} cuts[] = {
	{ "short", 10, "short" }, { "exactly ten", 11, "exactly ten" },
	{ "exactly ten", 10, "exactly t…" }, { "abc", 1, "…" }, { "abc", 0, "" },
	{ "\xe6\x97\xa5\xe6\x9c\xac", 4, "\xe6\x97\xa5\xe6\x9c\xac" }, /* two columns each */
	{ "\xe6\x97\xa5\xe6\x9c\xac", 3, "\xe6\x97\xa5…" }, { "\xe6\x97\xa5\xe6\x9c\xac", 2, "…" },
	{ "e\xcc\x81t\xc3\xa9", 3, "e\xcc\x81t\xc3\xa9" }, /* a combining accent takes none */
};

START_TEST(test_cut)
{
	autotext struct text out = { 0 };

	visible_cut(&out, cuts[_i].text, cuts[_i].width);
	ck_assert_str_eq(out.data ? out.data : "", cuts[_i].cut);
	ck_assert_uint_le(visible_width(out.data ? out.data : ""), cuts[_i].width);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("cli_visible");
	TCase *cases = tcase_create("all");
	SRunner *runner;
	int failed;

	visible_init();
	tcase_add_loop_test(cases, test_line, 0, sizeof(lines) / sizeof(lines[0]));
	tcase_add_test(cases, test_lines_keep_newlines);
	tcase_add_test(cases, test_nul_inside);
	tcase_add_loop_test(cases, test_cut, 0, sizeof(cuts) / sizeof(cuts[0]));
	suite_add_tcase(suite, cases);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
