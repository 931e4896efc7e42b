#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/help.h"
#include "cli/human.h"
#include "cli/server.h"
#include "cli/visible.h"
#include "mem.h"

/* What every command's flags have in common. */
static int take_globals(struct cli *cli)
{
	const char *output = cli->flags.value[FLAG_OUTPUT];
	const char *timeout = cli->flags.value[FLAG_TIMEOUT];

	cli->quiet = cli->flags.value[FLAG_QUIET] != NULL;
	cli->json = output && strcmp(output, "json") == 0;
	cli->csv = output && strcmp(output, "csv") == 0;
	if (cli->csv && (!cli->command || cli->command->run != cmd_usage))
		return cli_usage(cli, "-o csv: only of usage");
	if (output && !cli->json && !cli->csv && strcmp(output, "text") != 0 &&
		strcmp(output, "table") != 0)
		return cli_usage(cli, "-o %s: the formats are json and text%s", output,
			cli->command && cli->command->run == cmd_usage ? ", and csv" : "");
	cli->timeout_secs = timeout ? human_parse_secs(timeout) : CLI_TIMEOUT_SECS;
	if (cli->timeout_secs < 0)
		return cli_usage(
			cli, "--timeout %s: not a time such as 30, 90s, 5m or 1h", timeout);
	return CLI_DONE;
}

static int run_command(struct cli *cli)
{
	autofree char *what = mem_printf("\"ten %s\"", cli->command->name);
	int code = command_is_local(cli->command) ? server_leave_aside(cli, what) : CLI_DONE;

	return code ? code : cli->command->run(cli);
}

static int run(struct cli *cli, int argc, char **argv)
{
	struct ten_error err;
	int code;

	if (argc > 0 && strcmp(argv[0], "--version") == 0)
		return cmd_version(cli);
	if (flags_parse(argc, argv, &cli->flags, &cli->command, &cli->args, &err) < 0)
		return cli_usage(cli, "%s", err.text);
	term_init(&cli->term, cli->flags.value[FLAG_NO_COLOR] != NULL);
	cli->arg_count = mem_strv_length(cli->args);
	if (cli->flags.value[FLAG_HELP])
		return cli->command ? help_command(cli->command) : help_all(stdout);
	code = take_globals(cli);
	if (code)
		return code;
	if (!cli->command) {
		help_all(stderr);
		return CLI_USAGE;
	}
	if (cli->arg_count < cli->command->args_min)
		return cli_usage(
			cli, "\"ten %s\" wants %s", cli->command->name, cli->command->args);
	if (cli->arg_count > cli->command->args_max)
		return cli_usage(cli, "\"ten %s\" does not know what to do with \"%s\"",
			cli->command->name, cli->args[cli->command->args_max]);
	return run_command(cli);
}

int main(int argc, char **argv)
{
	struct cli cli = { .timeout_secs = CLI_TIMEOUT_SECS };
	int code;

	visible_init();
	curl_global_init(CURL_GLOBAL_DEFAULT);
	code = run(&cli, argc > 0 ? argc - 1 : 0, argv + 1);
	mem_strv_free(cli.args);
	free(cli.token);
	mem_strv_free(cli.token_places);
	curl_global_cleanup();
	if (fflush(stdout) != 0 || ferror(stdout))
		return cli_fail(CLI_FAILED, "cannot write to standard output");
	return code;
}
