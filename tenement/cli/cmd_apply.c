#include <stdio.h>

#include "cli/answer.h"
#include "cli/bundle.h"
#include "cli/client.h"
#include "cli/commands.h"
#include "cli/result.h"
#include "mem.h"

static bool has(const struct cli *cli, enum flag_id flag)
{
	return cli->flags.value[flag] != NULL;
}

int cmd_apply(struct cli *cli)
{
	struct client_request request = { "POST", "/api/config/apply", NULL,
		"waiting until it is in force", true };
	autojson json_t *files = NULL;
	autojson json_t *answer = NULL;
	int code;

	if (!cli->arg_count && !has(cli, FLAG_CONFIRM))
		return cli_usage(cli, "nothing to apply: name a file, a folder or -");
	if (!cli->arg_count && has(cli, FLAG_PRUNE))
		return cli_usage(
			cli, "--prune goes with files: without any it would remove everything");
	code = bundle_read(cli, &files);
	if (code)
		return code;
	request.body = json_pack("{sosbsbsbsbsI}", "files", mem_steal(&files), "prune",
		has(cli, FLAG_PRUNE), "confirm", has(cli, FLAG_CONFIRM), "force",
		has(cli, FLAG_FORCE), "dry_run", has(cli, FLAG_DRY_RUN), "timeout",
		(json_int_t)cli->timeout_secs);
	code = client_ask(cli, &request, &answer);
	return code ? code : result_print(cli, answer);
}

int cmd_diff(struct cli *cli)
{
	struct client_request request = { "POST", "/api/config/diff", NULL, NULL, true };
	autojson json_t *files = NULL;
	autojson json_t *answer = NULL;
	int code = bundle_read(cli, &files);

	if (code)
		return code;
	if (!cli->arg_count && has(cli, FLAG_PRUNE))
		return cli_usage(cli, "--prune goes with files");
	request.body = json_pack("{sb}", "prune", has(cli, FLAG_PRUNE));
	if (cli->arg_count)
		json_object_set(request.body, "files", files);
	code = client_ask(cli, &request, &answer);
	if (code)
		return code;
	if (cli->json) {
		answer_print(answer);
	} else {
		result_print_actions(cli, answer);
		if (!cli->quiet)
			result_print_settings(answer);
		if (!answer_count(answer, "actions") && !answer_count(answer, "problems") &&
			!answer_count(answer, "confirm") &&
			!answer_count(answer, "restart_needed") && !cli->quiet)
			puts(cli->arg_count ? "Nothing would be changed."
					    : "Nothing is to be done: all is as it is declared.");
	}
	result_print_problems(answer);
	return cli->arg_count && answer_count(answer, "problems") ? CLI_FAILED : CLI_DONE;
}

int cmd_undo(struct cli *cli)
{
	struct client_request request = { "POST", "/api/undo", NULL, "waiting until it is in force",
		true };
	autojson json_t *answer = NULL;
	long generation;
	int code;

	request.body = json_pack("{sI}", "timeout", (json_int_t)cli->timeout_secs);
	if (cli->arg_count) {
		if (cli_number(cli->args[0], 1, 1L << 53, &generation) < 0) {
			json_decref(request.body);
			return cli_usage(
				cli, "\"%s\" is not the number of a generation", cli->args[0]);
		}
		json_object_set_new(request.body, "generation", json_integer(generation));
	}
	code = client_ask(cli, &request, &answer);
	return code ? code : result_print(cli, answer);
}
