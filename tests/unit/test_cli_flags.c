/* Command lines, and the two tables that they are read by. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/flags.h"
#include "mem.h"

/* The tables are linked without the commands themselves. */
#define COMMAND(name)                                                                              \
	int cmd_##name(struct cli *cli)                                                            \
	{                                                                                          \
		(void)cli;                                                                         \
		return 0;                                                                          \
	}
/* clang-format off */
COMMAND(apply) COMMAND(check) COMMAND(config) COMMAND(diff) COMMAND(exec) COMMAND(help)
COMMAND(history) COMMAND(init) COMMAND(logs) COMMAND(overrides) COMMAND(pause) COMMAND(ps)
COMMAND(restart) COMMAND(resume) COMMAND(rm) COMMAND(route) COMMAND(serve) COMMAND(spawn)
COMMAND(start) COMMAND(status) COMMAND(stop) COMMAND(suspend) COMMAND(undo)
COMMAND(unpause) COMMAND(upgrade) COMMAND(version) COMMAND(weight)
/* clang-format on */

#define WORDS_MAX 12

					struct reading {
	struct flag_values values;
	const struct command *command;
	char **args;
	struct ten_error err;
	int result;
};

static struct reading read_words(const char *const *words)
{
	struct reading reading = { 0 };
	char *argv[WORDS_MAX + 1] = { NULL };
	int argc = 0;

	for (; words[argc] && argc < WORDS_MAX; argc++)
		argv[argc] = (char *)words[argc];
	reading.result = flags_parse(
		argc, argv, &reading.values, &reading.command, &reading.args, &reading.err);
	return reading;
}

static const struct {
	const char *words[WORDS_MAX + 1];
	const char *command;
	const char *args; /* with "|" between */
	enum flag_id flag;
	const char *value; /* of FLAG; NULL: not given */
} good[] = {
	{ { "ps" }, "ps", "", FLAG_ALL, NULL },
	{ { "ps", "-a" }, "ps", "", FLAG_ALL, "" },
	{ { "-a", "ps" }, "ps", "", FLAG_ALL, "" },
	{ { "--data-dir", "/x", "ps" }, "ps", "", FLAG_DATA_DIR, "/x" },
	{ { "ps", "--data-dir=/x" }, "ps", "", FLAG_DATA_DIR, "/x" },
	{ { "ps", "--data-dir=" }, "ps", "", FLAG_DATA_DIR, "" },
	{ { "ps", "--data-dir=/x", "--data-dir=/y" }, "ps", "", FLAG_DATA_DIR, "/y" },
	{ { "ps", "-ojson" }, "ps", "", FLAG_OUTPUT, "json" },
	{ { "ps", "-o=json" }, "ps", "", FLAG_OUTPUT, "json" },
	{ { "ps", "-aqo", "json" }, "ps", "", FLAG_OUTPUT, "json" },
	{ { "logs", "notes:a", "-fn5" }, "logs", "notes:a", FLAG_LINES, "5" },
	{ { "logs", "-n", "5", "notes:a" }, "logs", "notes:a", FLAG_LINES, "5" },
	{ { "apply", "-" }, "apply", "-", FLAG_PRUNE, NULL },
	{ { "apply", "--", "--prune" }, "apply", "--prune", FLAG_PRUNE, NULL },
	{ { "apply", "a", "--prune", "b" }, "apply", "a|b", FLAG_PRUNE, "" },
	{ { "exec", "notes:a", "--", "ls", "-la", "--help" }, "exec", "notes:a|ls|-la|--help",
		FLAG_HELP, NULL },
	{ { "exec", "notes:a", "ls", "-la", "--", "x" }, "exec", "notes:a|ls|-la|--|x", FLAG_ALL,
		NULL },
	{ { "exec", "notes:a", "--data-dir", "/x", "ls", "-q" }, "exec", "notes:a|ls|-q",
		FLAG_DATA_DIR, "/x" },
	{ { "apply", "--help" }, "apply", "", FLAG_HELP, "" },
	{ { "-h" }, NULL, "", FLAG_HELP, "" },
	{ { NULL }, NULL, "", FLAG_HELP, NULL },
	{ { "weight", "notes:a", "5", "--declare" }, "weight", "notes:a|5", FLAG_DECLARE, "" },
};

START_TEST(test_good)
{
	struct reading reading = read_words(good[_i].words);
	char joined[256] = "";

	ck_assert_msg(reading.result == 0, "%s", reading.err.text);
	if (good[_i].command)
		ck_assert_str_eq(reading.command->name, good[_i].command);
	else
		ck_assert_ptr_null(reading.command);
	for (size_t i = 0; reading.args[i]; i++) {
		strcat(joined, i ? "|" : "");
		strcat(joined, reading.args[i]);
	}
	ck_assert_str_eq(joined, good[_i].args);
	if (good[_i].value)
		ck_assert_pstr_eq(reading.values.value[good[_i].flag], good[_i].value);
	else
		ck_assert_ptr_null(reading.values.value[good[_i].flag]);
	mem_strv_free(reading.args);
}
END_TEST

static const struct {
	const char *words[WORDS_MAX + 1];
	const char *error;
} bad[] = {
	{ { "stauts" }, "unknown command \"stauts\" (did you mean \"status\"?)" },
	{ { "xyzzyxyzzy" }, "unknown command \"xyzzyxyzzy\"" },
	{ { "apply", "x", "--prnue" }, "unknown flag --prnue (did you mean --prune?)" },
	{ { "--data-dri=/x", "ps" }, "unknown flag --data-dri (did you mean --data-dir?)" },
	{ { "ps", "--zzzzzzzzzz" }, "unknown flag --zzzzzzzzzz" },
	{ { "ps", "-z" }, "unknown flag -z" },
	{ { "ps", "-az" }, "unknown flag -z" },
	{ { "ps", "--prune" }, "\"ten ps\" has no flag --prune" },
	{ { "--prune", "ps" }, "\"ten ps\" has no flag --prune" },
	{ { "ps", "-n5" }, "\"ten ps\" has no flag --lines" },
	{ { "ps", "--data-dir" }, "--data-dir wants a value: --data-dir DIR" },
	{ { "logs", "notes:a", "-n" }, "-n wants a value: -n N" },
	{ { "ps", "--quiet=yes" }, "--quiet takes no value" },
};

START_TEST(test_bad)
{
	struct reading reading = read_words(bad[_i].words);

	ck_assert_int_lt(reading.result, 0);
	ck_assert_str_eq(reading.err.text, bad[_i].error);
	mem_strv_free(reading.args);
}
END_TEST

START_TEST(test_environment_stands_in)
{
	struct reading reading;

	setenv("TENEMENT_DATA_DIR", "/from/env", 1);
	reading = read_words((const char *const[]){ "ps", NULL });
	ck_assert_pstr_eq(reading.values.value[FLAG_DATA_DIR], "/from/env");
	mem_strv_free(reading.args);
	reading = read_words((const char *const[]){ "ps", "--data-dir", "/flag", NULL });
	ck_assert_pstr_eq(reading.values.value[FLAG_DATA_DIR], "/flag");
	mem_strv_free(reading.args);
	setenv("TENEMENT_DATA_DIR", "", 1);
	reading = read_words((const char *const[]){ "ps", NULL });
	ck_assert_ptr_null(reading.values.value[FLAG_DATA_DIR]);
	mem_strv_free(reading.args);
	unsetenv("TENEMENT_DATA_DIR");
}
END_TEST

/* What the tables say must fit where it is shown. */
START_TEST(test_tables)
{
	uint64_t used = FLAGS_GLOBAL;

	for (size_t i = 0; i < command_count; i++) {
		const struct command *command = &commands[i];

		ck_assert_ptr_eq(command_find(command->name), command);
		ck_assert_msg(
			strlen(command->brief) <= 80 - 15, "%s: %s", command->name, command->brief);
		ck_assert_ptr_nonnull(command->run);
		ck_assert_ptr_nonnull(command->text);
		ck_assert_uint_le(command->args_min, command->args_max);
		ck_assert_int_lt(command->group, GROUP_COUNT);
		used |= command->flags;
	}
	for (size_t i = 0; i < FLAG_COUNT; i++) {
		ck_assert_ptr_nonnull(flags[i].name);
		ck_assert_ptr_nonnull(flags[i].brief);
		ck_assert_msg(used & FLAG_BIT(i), "no command takes --%s", flags[i].name);
		for (size_t other = 0; other < i; other++) {
			ck_assert_str_ne(flags[i].name, flags[other].name);
			ck_assert(!flags[i].letter || flags[i].letter != flags[other].letter);
		}
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("cli_flags");
	TCase *cases = tcase_create("all");
	SRunner *runner;
	int failed;

	unsetenv("TENEMENT_DATA_DIR");
	unsetenv("TENEMENT_SERVER");
	unsetenv("TENEMENT_TOKEN");
	tcase_add_loop_test(cases, test_good, 0, sizeof(good) / sizeof(good[0]));
	tcase_add_loop_test(cases, test_bad, 0, sizeof(bad) / sizeof(bad[0]));
	tcase_add_test(cases, test_environment_stands_in);
	tcase_add_test(cases, test_tables);
	suite_add_tcase(suite, cases);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
