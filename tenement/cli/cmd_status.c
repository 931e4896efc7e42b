#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/client.h"
#include "cli/commands.h"
#include "cli/report.h"
#include "mem.h"

static int show(struct cli *cli, const char *path, void (*print)(struct cli *, const json_t *),
	bool (*is_wrong)(const json_t *), void (*print_ids)(const json_t *))
{
	autojson json_t *answer = NULL;
	int code = client_get(cli, path, &answer);

	if (code)
		return code;
	if (cli->json)
		answer_print(answer);
	else if (cli->quiet)
		print_ids(answer);
	else
		print(cli, answer);
	return cli->flags.value[FLAG_CHECK] && is_wrong(answer) ? CLI_FAILED : CLI_DONE;
}

int cmd_status(struct cli *cli)
{
	autofree char *path = NULL;
	int code;

	if (!cli->arg_count)
		return show(cli, "/api/status", report_server, report_server_is_wrong,
			report_server_ids);
	code = cli_check_target(cli, cli->args[0]);
	if (code)
		return code;
	path = client_instance_path(
		cli->args[0], cli->flags.value[FLAG_SECRETS] ? "?secrets=1" : "");
	return show(cli, path, report_tenant, report_tenant_is_wrong, report_tenant_ids);
}
