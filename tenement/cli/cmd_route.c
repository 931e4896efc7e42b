#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/answer.h"
#include "cli/client.h"
#include "cli/commands.h"
#include "cli/table.h"
#include "mem.h"
#include "text.h"

static const struct table_column columns[] = {
	{ .title = "SERVICE" },
	{ .title = "HOST", .shrink_to = 16 },
	{ .title = "SOURCE", .drop = 1 },
	{ .title = "STICKY", .drop = 2 },
	{ .title = "SPLIT", .shrink_to = 12 },
};

/* "v1 95%, v2 5%": shares as they come out. The caller frees. */
static char *split_text(json_t *split)
{
	struct text out = { 0 };
	const char *id;
	json_t *weight;
	int64_t total = 0;
	void *at;

	for (at = json_object_iter(split); at; at = json_object_iter_next(split, at))
		total += json_integer_value(json_object_iter_value(at));
	json_object_foreach (split, id, weight) {
		double share =
			total ? 100.0 * (double)json_integer_value(weight) / (double)total : 0;

		text_printf(&out, "%s%s %.4g%%", out.len ? ", " : "", id, share);
	}
	return text_steal(&out);
}

static int list_routes(struct cli *cli, const char *service)
{
	autojson json_t *answer = NULL;
	autojson json_t *chosen = json_array();
	struct table *table;
	json_t *route;
	size_t i;
	int code = client_get(cli, "/api/routes", &answer);

	if (code)
		return code;
	json_array_foreach (json_object_get(answer, "routes"), i, route) {
		if (!service || strcmp(service, answer_text(route, "process")) == 0)
			json_array_append(chosen, route);
	}
	if (service && !json_array_size(chosen))
		return cli_fail(CLI_FAILED, "service \"%s\" has no route", service);
	if (cli->json) {
		json_object_set(answer, "routes", chosen);
		answer_print(answer);
		return CLI_DONE;
	}
	if (!json_array_size(chosen) && !cli->quiet)
		puts("No service shares its traffic among instances ([route.SERVICE] or balance = "
		     "true).");
	table = table_new(columns, sizeof(columns) / sizeof(columns[0]));
	json_array_foreach (chosen, i, route) {
		autofree char *split = split_text(json_object_get(route, "split"));

		if (cli->quiet)
			puts(answer_text(route, "process"));
		table_row(table);
		table_cell(table, answer_text(route, "process"));
		table_cell(table, answer_text(route, "host"));
		table_cell(table, answer_text(route, "source"));
		table_cell(table, answer_text(route, "sticky"));
		table_cell(table, split);
	}
	if (!cli->quiet && table_rows(table))
		table_print(table, &cli->term);
	table_free(table);
	return CLI_DONE;
}

static int report_split(const struct cli *cli, const char *service, const json_t *answer)
{
	autofree char *split = split_text(json_object_get(answer, "split"));

	if (cli->json)
		answer_print(answer);
	else if (cli->quiet)
		puts(service);
	else
		printf("%s: %s%s\n", service, split,
			cli->flags.value[FLAG_DECLARE] ? ""
						       : " (an override: see `ten overrides`)");
	return CLI_DONE;
}

int cmd_route(struct cli *cli)
{
	const char *from = cli->flags.value[FLAG_FROM], *to = cli->flags.value[FLAG_TO];
	const char *service = cli->args[0];
	struct client_request request = { "POST", "/api/route", NULL, "waiting for the workers",
		true };
	autojson json_t *answer = NULL;
	int code;

	if (!from && !to && cli->flags.value[FLAG_DECLARE])
		return cli_usage(cli, "--declare goes with --from and --to");
	if (!from && !to)
		return list_routes(cli, service);
	if (!service || !from || !to)
		return cli_usage(cli, "%s is missing",
			!service ? "the service"
			: !from  ? "--from"
				 : "--to");
	request.body = json_pack("{sssssssbsI}", "process", service, "from", from, "to", to,
		"declare", cli->flags.value[FLAG_DECLARE] != NULL, "timeout",
		(json_int_t)cli->timeout_secs);
	if (!request.body)
		return cli_fail(CLI_USAGE, "a name is not UTF-8");
	code = client_ask(cli, &request, &answer);
	return code ? code : report_split(cli, service, answer);
}

int cmd_weight(struct cli *cli)
{
	const char *target = cli->args[0];
	autofree char *path = client_instance_path(target, "/weight");
	autofree char *service = mem_strndup(target, strcspn(target, ":"));
	struct client_request request = { "PUT", path, NULL, "waiting for the workers", true };
	autojson json_t *answer = NULL;
	long weight;
	int code = cli_check_target(cli, target);

	if (code)
		return code;
	if (cli_number(cli->args[1], 0, 10000, &weight) < 0)
		return cli_usage(cli, "\"%s\" is not a weight from 0 to 10000", cli->args[1]);
	request.body = json_pack("{sIsbsI}", "weight", (json_int_t)weight, "declare",
		cli->flags.value[FLAG_DECLARE] != NULL, "timeout", (json_int_t)cli->timeout_secs);
	code = client_ask(cli, &request, &answer);
	return code ? code : report_split(cli, cli->quiet ? target : service, answer);
}
