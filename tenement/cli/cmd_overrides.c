#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/answer.h"
#include "cli/client.h"
#include "cli/commands.h"
#include "cli/human.h"
#include "cli/table.h"
#include "mem.h"

static const struct table_column columns[] = {
	{ .title = "TARGET" },
	{ .title = "SET TO", .shrink_to = 12 },
	{ .title = "DECLARED", .shrink_to = 8, .drop = 1 },
	{ .title = "SINCE" },
	{ .title = "BY", .shrink_to = 6, .drop = 2 },
};

static int list(struct cli *cli)
{
	autojson json_t *answer = NULL;
	const json_t *overrides, *override;
	struct table *table;
	int64_t now = time(NULL);
	size_t i;
	int code = client_get(cli, "/api/overrides", &answer);

	if (code)
		return code;
	if (cli->json) {
		answer_print(answer);
		return CLI_DONE;
	}
	overrides = answer_list(answer, "overrides");
	if (!json_array_size(overrides) && !cli->quiet)
		puts("No overrides: everything is as it is declared.");
	table = table_new(columns, sizeof(columns) / sizeof(columns[0]));
	json_array_foreach (overrides, i, override) {
		char ago[HUMAN_MAX];

		human_ago(answer_number(override, "since"), now, ago);
		if (cli->quiet)
			puts(answer_text(override, "target"));
		table_row(table);
		table_cell(table, answer_text(override, "target"));
		table_cell(table, answer_text(override, "what"));
		table_cell(table, answer_text(override, "declared"));
		table_cell(table, ago);
		table_cell(table, answer_text(override, "by"));
	}
	if (!cli->quiet && table_rows(table))
		table_print(table, &cli->term);
	table_free(table);
	return CLI_DONE;
}

static int clear(struct cli *cli)
{
	autofree char *target = cli->arg_count == 3
					? mem_printf("%s %s", cli->args[1], cli->args[2])
					: mem_strdup(cli->args[1]);
	autofree char *escaped = target ? client_escape(target) : NULL;
	autofree char *path =
		escaped ? mem_printf("/api/overrides/%s", escaped) : mem_strdup("/api/overrides");
	struct client_request request = { "DELETE", path, NULL, "clearing overrides", true };
	autojson json_t *answer = NULL;
	int64_t cleared;
	int code = client_ask(cli, &request, &answer);

	if (code)
		return code;
	cleared = answer_number(answer, "cleared");
	if (cli->json)
		answer_print(answer);
	else if (!cli->quiet)
		printf("%" PRId64 " override%s cleared\n", cleared, human_plural(cleared));
	return CLI_DONE;
}

int cmd_overrides(struct cli *cli)
{
	if (!cli->arg_count)
		return list(cli);
	if (strcmp(cli->args[0], "clear") != 0)
		return cli_usage(cli, "\"%s\" is not \"clear\"", cli->args[0]);
	if (cli->arg_count == 3 && strcmp(cli->args[1], "route") != 0)
		return cli_usage(cli,
			"\"%s %s\" is not a target: write SERVICE:ID or route SERVICE",
			cli->args[1], cli->args[2]);
	return clear(cli);
}
