#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/answer.h"
#include "cli/client.h"
#include "cli/commands.h"
#include "mem.h"

#define WEIGHT_DEFAULT 100
#define WEIGHT_MAX     10000

int cmd_deploy(struct cli *cli)
{
	const char *target = cli->args[0];
	const char *weight_text = cli->flags.value[FLAG_WEIGHT];
	autofree char *service = mem_strndup(target, strcspn(target, ":"));
	autofree char *waiting = mem_printf("deploying %s", target);
	struct client_request request = { "POST", "/api/deploy", NULL, waiting, true };
	autojson json_t *answer = NULL;
	long weight = WEIGHT_DEFAULT;
	int code = cli_check_target(cli, target);

	if (code)
		return code;
	if (weight_text && cli_number(weight_text, 0, WEIGHT_MAX, &weight) < 0)
		return cli_usage(
			cli, "\"%s\" is not a weight from 0 to %d", weight_text, WEIGHT_MAX);
	request.body = json_pack("{sssssIsIsb}", "process", service, "version",
		strchr(target, ':') + 1, "weight", (json_int_t)weight, "timeout",
		(json_int_t)cli->timeout_secs, "declare", cli->flags.value[FLAG_DECLARE] != NULL);
	code = client_ask(cli, &request, &answer);
	if (code)
		return code;
	if (cli->json)
		answer_print(answer);
	else if (cli->quiet)
		puts(target);
	else
		printf("%s is healthy, and its weight is %" PRId64 ": %s\n", target,
			answer_number(answer, "weight"), answer_text(answer, "url"));
	return CLI_DONE;
}
