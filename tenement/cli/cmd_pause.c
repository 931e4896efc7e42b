#include <stdio.h>

#include "cli/answer.h"
#include "cli/client.h"
#include "cli/commands.h"
#include "text.h"

static int ask(struct cli *cli, const char *path, json_t *body, const char *said)
{
	struct client_request request = { "POST", path, body, NULL, false };
	autojson json_t *answer = NULL;
	int code = client_ask(cli, &request, &answer);

	if (code)
		return code;
	if (cli->json)
		answer_print(answer);
	else if (!cli->quiet)
		puts(said);
	return CLI_DONE;
}

int cmd_pause(struct cli *cli)
{
	autotext struct text why = { 0 };
	json_t *body;

	for (size_t i = 0; i < cli->arg_count; i++)
		text_printf(&why, "%s%s", i ? " " : "", cli->args[i]);
	body = json_pack("{ss}", "why", why.data ? why.data : "");
	if (!body)
		return cli_fail(CLI_USAGE, "the reason is not UTF-8");
	return ask(cli, "/api/pause", body,
		"Paused: changed files are not acted on until `ten unpause`.");
}

int cmd_unpause(struct cli *cli)
{
	return ask(cli, "/api/unpause", NULL, "Acting on changed files again.");
}
