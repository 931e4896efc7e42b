#include <stdio.h>

#include "cli/client.h"
#include "cli/commands.h"

static void print_line(void *data, const char *line, size_t len)
{
	(void)data;
	fwrite(line, 1, len, stdout);
	putchar('\n');
}

int cmd_metrics(struct cli *cli)
{
	if (cli->json)
		return cli_usage(cli, "metrics have a format of their own, and no JSON");
	return client_stream(cli, "/metrics", print_line, cli);
}
