/* Tables at several widths. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cli/table.h"
#include "cli/visible.h"
#include "mem.h"

static const struct table_column columns[] = {
	{ .title = "NAME" },
	{ .title = "COUNT", .right = true, .drop = 2 },
	{ .title = "EMPTY" },
	{ .title = "WHERE", .drop = 1 },
	{ .title = "WHY", .shrink_to = 8 },
};

static struct table *sample(void)
{
	struct table *table = table_new(columns, 5);

	table_row(table);
	table_cell(table, "notes:alice");
	table_cellf(table, "%d", 7);
	table_cell(table, "");
	table_cell(table, "localhost");
	table_cell(table, "because of a reason that is long");
	table_row(table);
	table_cell(table, "notes:b");
	table_cellf(table, "%d", 1234);
	return table;
}

/* What is printed; the caller frees. */
static char *printed(const struct table *table, const struct term *term)
{
	int memory = memfd_create("out", MFD_CLOEXEC), before = dup(STDOUT_FILENO);
	char *text = mem_alloc(8192);
	ssize_t len;

	fflush(stdout);
	ck_assert_int_ge(dup2(memory, STDOUT_FILENO), 0);
	table_print(table, term);
	fflush(stdout);
	dup2(before, STDOUT_FILENO);
	close(before);
	len = pread(memory, text, 8191, 0);
	close(memory);
	ck_assert_int_ge(len, 0);
	return text;
}

static const struct {
	int width;
	bool terminal;
	const char *text;
} widths[] = {
	{ 80, false,
		"NAME         COUNT  WHERE      WHY\n"
		"notes:alice      7  localhost  because of a reason that is long\n"
		"notes:b       1234\n" },
	{ 50, false, /* the last one is cut */
		"NAME         COUNT  WHERE      WHY\n"
		"notes:alice      7  localhost  because of a reaso…\n"
		"notes:b       1234\n" },
	{ 35, false, /* and COUNT left out, when there is no room for 8 of it */
		"NAME         WHERE      WHY\n"
		"notes:alice  localhost  because of…\n"
		"notes:b\n" },
	{ 22, false, /* and WHERE */
		"NAME         WHY\n"
		"notes:alice  because …\n"
		"notes:b\n" },
	{ 10, false, /* names that are piped stay whole */
		"NAME         WHY\n"
		"notes:alice  because…\n"
		"notes:b\n" },
	{ 18, true, /* on a terminal nothing wraps */
		"NAME      WHY\n"
		"notes:a…  because…\n"
		"notes:b\n" },
};

START_TEST(test_widths)
{
	struct table *table = sample();
	struct term term = { .width = widths[_i].width, .out_is_terminal = widths[_i].terminal };
	autofree char *text = printed(table, &term);

	ck_assert_str_eq(text, widths[_i].text);
	table_free(table);
}
END_TEST

START_TEST(test_harmless_and_coloured)
{
	static const struct table_column two[] = { { .title = "A" }, { .title = "B" } };
	struct table *table = table_new(two, 2);
	struct term term = { .width = 80, .out_is_terminal = true, .colours = true };
	autofree char *text = NULL;

	table_row(table);
	table_cell_styled(table, TERM_RED, "x\033[2J");
	table_cell(table, "two\nlines");
	text = printed(table, &term);
	/* The colour takes no room, and the escape of others is spelled out. */
	ck_assert_ptr_nonnull(strstr(text, "\033[31mx\\x1b[2J\033[0m  two lines\n"));
	ck_assert_ptr_nonnull(strstr(text, "\033[2mA\033[0m         \033[2mB\033[0m\n"));
	table_free(table);
}
END_TEST

START_TEST(test_many_rows)
{
	struct table *table = table_new(columns, 1);

	for (int i = 0; i < 1000; i++) {
		table_row(table);
		table_cellf(table, "row %d", i);
	}
	ck_assert_uint_eq(table_rows(table), 1000);
	table_free(table);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("cli_table");
	TCase *cases = tcase_create("all");
	SRunner *runner;
	int failed;

	visible_init();
	tcase_add_loop_test(cases, test_widths, 0, sizeof(widths) / sizeof(widths[0]));
	tcase_add_test(cases, test_harmless_and_coloured);
	tcase_add_test(cases, test_many_rows);
	suite_add_tcase(suite, cases);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
