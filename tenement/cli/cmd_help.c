#include <stdio.h>

#include "cli/answer.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/help.h"

int cmd_help(struct cli *cli)
{
	const char *shell = cli->flags.value[FLAG_COMPLETION];
	const struct command *command;
	const char *near;

	if (cli->flags.value[FLAG_MAN]) {
		help_man(stdout);
		return CLI_DONE;
	}
	if (shell && help_completion(shell, stdout) < 0)
		return cli_usage(cli, "--completion %s: there are bash, zsh and fish", shell);
	if (shell)
		return CLI_DONE;
	if (!cli->arg_count)
		return help_all(stdout);
	command = command_find(cli->args[0]);
	if (command)
		return help_command(command);
	near = command_nearest(cli->args[0]);
	if (near)
		return cli_usage(
			cli, "unknown command \"%s\" (did you mean \"%s\"?)", cli->args[0], near);
	return cli_usage(cli, "unknown command \"%s\"", cli->args[0]);
}

int cmd_version(struct cli *cli)
{
	if (cli->json) {
		autojson json_t *answer = json_pack("{ss}", "version", TEN_VERSION);

		answer_print(answer);
		return CLI_DONE;
	}
	printf("%s%s\n", cli->quiet ? "" : "tenement ", TEN_VERSION);
	return CLI_DONE;
}
