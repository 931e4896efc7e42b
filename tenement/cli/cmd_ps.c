#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/answer.h"
#include "cli/client.h"
#include "cli/commands.h"
#include "cli/human.h"
#include "cli/instance.h"
#include "cli/table.h"
#include "mem.h"
#include "storage_rules.h"

static const struct table_column columns[] = {
	{ .title = "TENANT" },
	{ .title = "STATE" },
	{ .title = "SINCE", .right = true },
	{ .title = "IDLE", .right = true, .drop = 2 },
	{ .title = "REQS", .right = true, .drop = 1 },
	{ .title = "PID", .right = true, .drop = 3 },
	{ .title = "ADDRESS", .drop = 4 },
	{ .title = "STORED", .right = true, .drop = 5 },
	{ .title = "NOTE", .shrink_to = 16 },
};

static void add_age(struct table *table, const json_t *instance, const char *key)
{
	char age[HUMAN_MAX];

	human_age(answer_number(instance, key), age);
	table_cell(table, age);
}

/* The host and port of URL. */
static void add_address(struct table *table, const char *url)
{
	const char *host = strstr(url, "://");

	host = host ? host + 3 : url;
	table_cellf(table, "%.*s", (int)strcspn(host, "/"), host);
}

static void add_stored(struct table *table, const json_t *instance)
{
	int64_t bytes = answer_number(instance, "storage_used_bytes");
	char size[STORAGE_SIZE_MAX] = "";

	if (bytes >= 0)
		storage_size((uint64_t)bytes, size);
	table_cell(table, size);
}

static void add_instance(struct table *table, const json_t *instance)
{
	const char *state = answer_text(instance, "state");
	int64_t requests = answer_number(instance, "requests");
	int64_t pid = answer_number(instance, "pid");
	autofree char *note = instance_note(instance);

	table_row(table);
	table_cell(table, answer_text(instance, "id"));
	table_cell_styled(table, instance_style(state), state);
	add_age(table, instance, "state_secs");
	add_age(table, instance, "idle_secs");
	table_cellf(table, "%" PRId64, requests < 0 ? 0 : requests);
	if (pid > 0)
		table_cellf(table, "%" PRId64, pid);
	else
		table_cell(table, "-");
	add_address(table, answer_text(instance, "url"));
	add_stored(table, instance);
	table_cell_styled(table, instance_is_in_trouble(state) ? TERM_RED : TERM_YELLOW, note);
}

int cmd_ps(struct cli *cli)
{
	bool all = cli->flags.value[FLAG_ALL] != NULL;
	autojson json_t *answer = NULL;
	const json_t *instance;
	struct table *table;
	size_t i;
	/* What is not shown is not asked for. */
	autofree char *path =
		mem_printf("/api/instances?%s%s", all ? "all=1&" : "", cli->json ? "" : "brief=1");
	int code = client_get(cli, path, &answer);

	if (code)
		return code;
	if (cli->json) {
		answer_print(answer);
		return CLI_DONE;
	}
	if (!json_array_size(answer) && !cli->quiet) {
		puts(all ? "No tenants are declared."
			 : "No tenants run. (`ten ps -a` shows those that sleep.)");
		return CLI_DONE;
	}
	table = table_new(columns, sizeof(columns) / sizeof(columns[0]));
	json_array_foreach (answer, i, instance) {
		if (cli->quiet)
			puts(answer_text(instance, "id"));
		else
			add_instance(table, instance);
	}
	if (!cli->quiet)
		table_print(table, &cli->term);
	table_free(table);
	return CLI_DONE;
}
