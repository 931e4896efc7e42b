#include <stdio.h>

#include "cli/client.h"
#include "cli/commands.h"
#include "cli/visible.h"
#include "text.h"

static void print_line(void *data, const char *line, size_t len)
{
	const struct cli *cli = data;
	autotext struct text harmless = { 0 };

	if (len && cli->term.out_is_terminal) {
		visible_add(&harmless, line, len);
		line = harmless.data;
		len = harmless.len;
	}
	fwrite(line, 1, len, stdout);
	putchar('\n');
}

int cmd_metrics(struct cli *cli)
{
	if (cli->json)
		return cli_usage(cli, "metrics have a format of their own, and no JSON");
	return client_stream(cli, "/metrics", print_line, cli);
}
