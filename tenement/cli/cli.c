#include "cli/cli.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/visible.h"
#include "mem.h"

static void say(const char *kind, const char *format, va_list args)
{
	autofree char *message = mem_vprintf(format, args);
	autofree char *harmless = visible_lines(message);

	fflush(stdout);
	fprintf(stderr, "ten: %s%s\n", kind, harmless);
}

int cli_fail(enum cli_exit code, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say("", format, args);
	va_end(args);
	return code;
}

int cli_usage(const struct cli *cli, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say("", format, args);
	va_end(args);
	if (cli->command)
		fprintf(stderr, "Usage: ten %s%s%s\nSee: ten help %s\n", cli->command->name,
			*cli->command->args ? " " : "", cli->command->args, cli->command->name);
	else
		fprintf(stderr, "See: ten help\n");
	return CLI_USAGE;
}

void cli_note(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say("", format, args);
	va_end(args);
}

int cli_worst(int first, int second)
{
	return first != CLI_DONE ? first : second;
}

int cli_check_target(const struct cli *cli, const char *target)
{
	const char *colon = strchr(target, ':');

	if (colon && colon != target && colon[1] && !strchr(colon + 1, ':'))
		return CLI_DONE;
	return cli_usage(
		cli, "\"%s\" is not a tenant: write SERVICE:ID, as in notes:alice", target);
}

int cli_number(const char *text, long min, long max, long *number)
{
	char *end;
	long value;

	if (!text || !*text || strspn(text, "0123456789") != strlen(text))
		return -1;
	errno = 0;
	value = strtol(text, &end, 10);
	if (errno || *end || value < min || value > max)
		return -1;
	*number = value;
	return 0;
}
