#include "cli/result.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/answer.h"
#include "cli/human.h"
#include "cli/table.h"
#include "cli/visible.h"
#include "mem.h"

static const struct table_column action_columns[] = {
	{ .title = "ACTION" },
	{ .title = "TENANT", .shrink_to = 20 },
	{ .title = "WHY", .shrink_to = 16 },
};

static const struct table_column file_columns[] = {
	{ .title = "FILE" },
	{ .title = "CHANGE" },
};

static enum term_style action_style(const char *action)
{
	if (strcmp(action, "remove") == 0 || strcmp(action, "stop") == 0)
		return TERM_RED;
	if (strcmp(action, "hold") == 0)
		return TERM_YELLOW;
	return strcmp(action, "start") == 0 || strcmp(action, "declare") == 0 ? TERM_GREEN
									      : TERM_PLAIN;
}

/* One tenant may be both declared and started: its id is given once. */
static void print_ids(const json_t *answer)
{
	autojson json_t *seen = json_object();
	const json_t *action;
	size_t i;

	json_array_foreach (answer_list(answer, "actions"), i, action) {
		const char *id = answer_text(action, "instance");

		if (json_object_get(seen, id))
			continue;
		json_object_set_new(seen, id, json_true());
		puts(id);
	}
}

void result_print_actions(const struct cli *cli, const json_t *answer)
{
	const json_t *action;
	struct table *table;
	size_t i;

	if (cli->quiet) {
		print_ids(answer);
		return;
	}
	if (!answer_count(answer, "actions"))
		return;
	table = table_new(action_columns, 3);
	json_array_foreach (answer_list(answer, "actions"), i, action) {
		const char *name = answer_text(action, "action");

		table_row(table);
		table_cell_styled(table, action_style(name), name);
		table_cell(table, answer_text(action, "instance"));
		table_cell(table, answer_text(action, "why"));
	}
	table_print(table, &cli->term);
	table_free(table);
}

static void print_lines(const char *when, const json_t *list)
{
	const json_t *item;
	size_t i;

	json_array_foreach (list, i, item) {
		const char *text = json_string_value(item);
		autofree char *harmless = visible_line(text ? text : "");

		printf("%s: %s\n", when, harmless);
	}
}

void result_print_settings(const json_t *answer)
{
	print_lines("Waits for ten apply --confirm", answer_list(answer, "confirm"));
	print_lines("Takes effect at the next start", answer_list(answer, "restart_needed"));
}

void result_print_problems(const json_t *answer)
{
	const json_t *problem;
	size_t i;

	fflush(stdout);
	json_array_foreach (answer_list(answer, "problems"), i, problem) {
		const char *text = json_string_value(problem);
		autofree char *harmless = visible_lines(text ? text : "");
		size_t len = strlen(harmless);

		fprintf(stderr, "%s%s", harmless, len && harmless[len - 1] == '\n' ? "" : "\n");
	}
}

static void print_files(const struct cli *cli, const json_t *answer)
{
	struct table *table = table_new(file_columns, 2);
	const json_t *file;
	size_t i;

	json_array_foreach (answer_list(answer, "files"), i, file) {
		if (strcmp(answer_text(file, "change"), "same") == 0)
			continue;
		table_row(table);
		table_cell(table, answer_text(file, "name"));
		table_cell(table, answer_text(file, "change"));
	}
	if (table_rows(table)) {
		table_print(table, &cli->term);
		if (answer_count(answer, "actions"))
			putchar('\n');
	}
	table_free(table);
}

static void say_each(const json_t *answer, const char *key)
{
	const json_t *item;
	size_t i;

	json_array_foreach (answer_list(answer, key), i, item)
		cli_note("%s", json_string_value(item) ? json_string_value(item) : "");
}

static void say_unready(const json_t *answer)
{
	const json_t *item;
	size_t i;

	json_array_foreach (answer_list(answer, "unready"), i, item) {
		const char *reason = answer_text(item, "reason");

		cli_note("%s is %s%s%s", answer_text(item, "instance"), answer_text(item, "state"),
			*reason ? ": " : "", reason);
	}
}

static size_t count_actions(const json_t *answer, const char *name)
{
	const json_t *action;
	size_t i, count = 0;

	json_array_foreach (answer_list(answer, "actions"), i, action)
		count += strcmp(answer_text(action, "action"), name) == 0;
	return count;
}

static int finish_dry_run(const struct cli *cli, const json_t *answer)
{
	size_t held = count_actions(answer, "hold");

	if (answer_count(answer, "problems"))
		return cli_fail(CLI_FAILED, "nothing would be changed: the files have errors");
	if (answer_count(answer, "conflicts")) {
		say_each(answer, "conflicts");
		return cli_fail(
			CLI_CONFLICT, "nothing would be changed: --force takes these files over");
	}
	if (held)
		return cli_fail(CLI_HELD,
			"%zu removal%s would be held; --confirm lets them through", held,
			human_plural((int64_t)held));
	if (!cli->json && !cli->quiet)
		puts(answer_count(answer, "actions") ? "This was a dry run: nothing is changed."
						     : "Nothing would be changed.");
	return CLI_DONE;
}

static int finish_converged(const struct cli *cli, const json_t *answer)
{
	if (answer_count(answer, "unready")) {
		say_unready(answer);
		return cli_fail(CLI_FAILED,
			"generation %" PRId64 " is in force, but not every tenant of it runs",
			answer_number(answer, "generation"));
	}
	if (!cli->json && !cli->quiet)
		printf("%sGeneration %" PRId64 " is in force.%s\n",
			term_begin(&cli->term, TERM_GREEN), answer_number(answer, "generation"),
			term_end(&cli->term, TERM_GREEN));
	return CLI_DONE;
}

static int finish(const struct cli *cli, const json_t *answer)
{
	const char *outcome = answer_text(answer, "outcome");

	if (strcmp(outcome, "converged") == 0)
		return finish_converged(cli, answer);
	if (strcmp(outcome, "dry-run") == 0)
		return finish_dry_run(cli, answer);
	if (strcmp(outcome, "held") == 0)
		return cli_fail(CLI_HELD,
			"removals are held, the rest is in force; `ten status` says which, "
			"`ten apply --confirm` lets them through");
	if (strcmp(outcome, "conflict") == 0) {
		say_each(answer, "conflicts");
		return cli_fail(
			CLI_CONFLICT, "nothing was changed; --force takes these files over");
	}
	if (strcmp(outcome, "timeout") == 0) {
		say_unready(answer);
		return cli_fail(CLI_TIMED_OUT,
			"generation %" PRId64 " was accepted, but is not all in force after %ld s",
			answer_number(answer, "generation"), cli->timeout_secs);
	}
	if (strcmp(outcome, "rejected") == 0)
		return cli_fail(CLI_FAILED, "nothing was changed: the files have errors");
	say_unready(answer);
	return cli_fail(
		CLI_FAILED, "%s", *outcome ? outcome : "the daemon did not say what came of it");
}

/* Where nothing was done, what would have been is not told as if it had. */
static bool nothing_was_done(const json_t *answer)
{
	const char *outcome = answer_text(answer, "outcome");

	return strcmp(outcome, "conflict") == 0 || strcmp(outcome, "rejected") == 0;
}

int result_print(const struct cli *cli, const json_t *answer)
{
	if (cli->json) {
		answer_print(answer);
	} else if (!nothing_was_done(answer)) {
		if (!cli->quiet)
			print_files(cli, answer);
		result_print_actions(cli, answer);
	}
	result_print_problems(answer);
	return finish(cli, answer);
}
