#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "cli/answer.h"
#include "cli/client.h"
#include "cli/commands.h"
#include "cli/human.h"
#include "cli/table.h"
#include "mem.h"
#include "text.h"

#define DEFAULT_COUNT 20

static const struct table_column columns[] = {
	{ .title = "GENERATION", .right = true },
	{ .title = "WHEN" },
	{ .title = "BY", .shrink_to = 12 },
	{ .title = "FILES", .shrink_to = 16 },
};

/* "+a.toml ~b.toml -c.toml". The caller frees. */
static char *files_text(const json_t *generation)
{
	struct text out = { 0 };
	const json_t *file;
	size_t i;

	json_array_foreach (answer_list(generation, "files"), i, file) {
		const char *change = answer_text(file, "change");

		text_printf(&out, "%s%c%s", out.len ? " " : "",
			*change == 'a'   ? '+'
			: *change == 'r' ? '-'
					 : '~',
			answer_text(file, "name"));
	}
	return text_steal(&out);
}

int cmd_history(struct cli *cli)
{
	const char *lines = cli->flags.value[FLAG_LINES];
	long limit = DEFAULT_COUNT;
	autofree char *path = NULL;
	autojson json_t *answer = NULL;
	const json_t *generation;
	struct table *table;
	int64_t now = time(NULL);
	size_t i;
	int code;

	if (lines && cli_number(lines, 1, 1000000, &limit) < 0)
		return cli_usage(cli, "-n %s: not a number from 1", lines);
	path = mem_printf("/api/history?limit=%ld", limit);
	code = client_get(cli, path, &answer);
	if (code)
		return code;
	if (cli->json) {
		answer_print(answer);
		return CLI_DONE;
	}
	if (!answer_count(answer, "history") && !cli->quiet)
		puts("No configuration was accepted yet.");
	table = table_new(columns, sizeof(columns) / sizeof(columns[0]));
	json_array_foreach (answer_list(answer, "history"), i, generation) {
		autofree char *files = files_text(generation);
		char ago[HUMAN_MAX];

		human_ago(answer_number(generation, "time"), now, ago);
		if (cli->quiet)
			printf("%" PRId64 "\n", answer_number(generation, "generation"));
		table_row(table);
		table_cellf(table, "%" PRId64, answer_number(generation, "generation"));
		table_cell(table, ago);
		table_cell(table, answer_text(generation, "by"));
		table_cell(table, files);
	}
	if (!cli->quiet && table_rows(table))
		table_print(table, &cli->term);
	table_free(table);
	return CLI_DONE;
}
