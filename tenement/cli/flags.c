#include "cli/flags.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/nearest.h"
#include "mem.h"

const struct flag flags[FLAG_COUNT] = {
	[FLAG_DATA_DIR] = { "data-dir", 0, "DIR", "TENEMENT_DATA_DIR",
		"The data folder whose daemon is meant." },
	[FLAG_CONF_DIR] = { "conf-dir", 0, "DIR", NULL, "The folder of per-tenant files." },
	[FLAG_CONFIG] = { "config", 0, "FILE", NULL,
		"The tenement.toml, instead of the nearest one." },
	[FLAG_SERVER] = { "server", 0, "ADDRESS", "TENEMENT_SERVER",
		"The daemon to talk to: https://HOST[:PORT], http:// for this machine, or "
		"unix:/path/to/control.sock." },
	[FLAG_TOKEN] = { "token", 0, "TOKEN", "TENEMENT_TOKEN",
		"The token to show to it, @FILE that holds it, or - to read it." },
	[FLAG_OUTPUT] = { "output", 'o', "FORMAT", NULL, "json for programs, text for people." },
	[FLAG_QUIET] = { "quiet", 'q', NULL, NULL, "Print ids only." },
	[FLAG_NO_COLOR] = { "no-color", 0, NULL, NULL,
		"No colours, also on a terminal (NO_COLOR does the same)." },
	[FLAG_TIMEOUT] = { "timeout", 0, "TIME", NULL,
		"How long to wait: seconds, or 5m, 1h (default: 30)." },
	[FLAG_HELP] = { "help", 'h', NULL, NULL, "Show what the command does." },
	[FLAG_ALL] = { "all", 'a', NULL, NULL, "Everything, not only what runs or was set." },
	[FLAG_BY] = { "by", 0, "WHAT", NULL, "Sum up by tenant, day or hour (default: tenant)." },
	[FLAG_CHECK] = { "check", 0, NULL, NULL, "Exit 1 if anything is wrong." },
	[FLAG_COMPLETION] = { "completion", 0, "SHELL", NULL,
		"Print the completions for bash, zsh or fish." },
	[FLAG_CONFIRM] = { "confirm", 0, NULL, NULL,
		"Let go through what is held or waits for confirmation." },
	[FLAG_DECLARE] = { "declare", 0, NULL, NULL,
		"Write it into conf.d instead of overriding what is declared there." },
	[FLAG_DESCRIPTION] = { "description", 0, "TEXT", NULL,
		"What the token is for, in one line." },
	[FLAG_DOMAIN] = { "domain", 0, "DOMAIN", NULL, "The root domain." },
	[FLAG_DRY_RUN] = { "dry-run", 0, NULL, NULL, "Say what would be done and do nothing." },
	[FLAG_DUMP_JSON] = { "dump-json", 0, NULL, NULL,
		"Print the TOML as JSON, each value tagged with its type." },
	[FLAG_EXPIRES] = { "expires", 0, "TIME", NULL,
		"When it ends: in 12h or 90d, or a date such as 2027-11-01 (UTC)." },
	[FLAG_FOLLOW] = { "follow", 'f', NULL, NULL, "Go on with what is written from now on." },
	[FLAG_FORCE] = { "force", 0, NULL, NULL, "Take over files that ten did not write." },
	[FLAG_FROM] = { "from", 0, "ID", NULL, "The instance that has the traffic." },
	[FLAG_ID] = { "id", 0, "ID", NULL, "The tenant's id." },
	[FLAG_INSTANCE] = { "instance", 0, "SERVICE:ID", NULL,
		"For this tenant of one service alone." },
	[FLAG_LEVEL] = { "level", 0, "STREAM", NULL,
		"Only what was written to stdout, or to stderr." },
	[FLAG_LINES] = { "lines", 'n', "N", NULL, "How many of the newest, or of those on top." },
	[FLAG_MAN] = { "man", 0, NULL, NULL, "Print the commands' part of the manual page." },
	[FLAG_NAME] = { "name", 0, "NAME", NULL,
		"What a file that is read from standard input is called in conf.d." },
	[FLAG_ONCE] = { "once", 0, NULL, NULL, "Show it once, also on a terminal." },
	[FLAG_PORT] = { "port", 0, "PORT", NULL,
		"The port of the first address that is listened on." },
	[FLAG_PRUNE] = { "prune", 0, NULL, NULL,
		"Remove files that ten wrote earlier and that are not among these." },
	[FLAG_READ_ONLY] = { "read-only", 0, NULL, NULL, "To see and not to steer." },
	[FLAG_SEARCH] = { "search", 0, "WORDS", NULL,
		"Only lines with these words: 'timeout AND NOT health', '\"connection refused\"', "
		"level:error." },
	[FLAG_SECRETS] = { "secrets", 0, NULL, NULL,
		"Show values of the environment (root and the daemon's own user only)." },
	[FLAG_SINCE] = { "since", 0, "TIME", NULL,
		"From when on: 90m, 24h, 30d ago, or a date such as 2026-11-01 (UTC)." },
	[FLAG_SORT] = { "sort", 0, "COLUMN", NULL,
		"What comes first: cpu, memory, pids, read, written, requests, in, out or "
		"tenant." },
	[FLAG_TENANT] = { "tenant", 0, "ID", NULL,
		"For the tenants of this id in every service alone." },
	[FLAG_TO] = { "to", 0, "ID", NULL, "The instance that gets it." },
	[FLAG_UNTIL] = { "until", 0, "TIME", NULL,
		"Until when, said as with --since (default: now)." },
	[FLAG_WEIGHT] = { "weight", 0, "WEIGHT", NULL,
		"Its share of the traffic, 0 to 10000 (default: 100)." },
};

static const struct flag *find_long(const char *name, size_t len)
{
	for (size_t i = 0; i < FLAG_COUNT; i++) {
		if (strlen(flags[i].name) == len && strncmp(flags[i].name, name, len) == 0)
			return &flags[i];
	}
	return NULL;
}

static const struct flag *find_letter(char letter)
{
	for (size_t i = 0; i < FLAG_COUNT; i++) {
		if (flags[i].letter && flags[i].letter == letter)
			return &flags[i];
	}
	return NULL;
}

static bool is_taken(const struct command *command, size_t id)
{
	return FLAG_BIT(id) & (FLAGS_GLOBAL | (command ? command->flags : 0));
}

/* Without a command yet, all flags are candidates. */
static int unknown_flag(
	const struct command *command, const char *name, size_t len, struct ten_error *err)
{
	autofree char *wrong = mem_strndup(name, len);
	const char *candidates[FLAG_COUNT + 1];
	size_t count = 0;
	const char *near;

	for (size_t i = 0; i < FLAG_COUNT; i++) {
		if (!command || is_taken(command, i))
			candidates[count++] = flags[i].name;
	}
	candidates[count] = NULL;
	near = nearest_name(wrong, candidates);
	if (near)
		return ten_error_set(err, 0, "unknown flag --%s (did you mean --%s?)", wrong, near);
	return ten_error_set(err, 0, "unknown flag --%s", wrong);
}

struct reading {
	int argc;
	char **argv;
	int at;
	struct flag_values *values;
};

/* The word after the current one, as the value of FLAG. */
static int take_next(struct reading *reading, const struct flag *flag, const char *spelled,
	struct ten_error *err)
{
	if (reading->at + 1 >= reading->argc)
		return ten_error_set(
			err, 0, "%s wants a value: %s %s", spelled, spelled, flag->value);
	reading->values->value[flag - flags] = reading->argv[++reading->at];
	return 0;
}

static int parse_long(struct reading *reading, const char *word, const struct command *command,
	struct ten_error *err)
{
	const char *name = word + 2;
	size_t len = strcspn(name, "=");
	const struct flag *flag = find_long(name, len);

	if (!flag)
		return unknown_flag(command, name, len, err);
	if (!flag->value) {
		if (name[len])
			return ten_error_set(err, 0, "--%s takes no value", flag->name);
		reading->values->value[flag - flags] = "";
		return 0;
	}
	if (name[len]) {
		reading->values->value[flag - flags] = name + len + 1;
		return 0;
	}
	return take_next(reading, flag, word, err);
}

/* -a, -af, -n 5, -n5 */
static int parse_letters(struct reading *reading, const char *word, struct ten_error *err)
{
	for (const char *letter = word + 1; *letter; letter++) {
		const struct flag *flag = find_letter(*letter);
		char spelled[3] = { '-', *letter, '\0' };

		if (!flag)
			return ten_error_set(err, 0, "unknown flag %s", spelled);
		if (!flag->value) {
			reading->values->value[flag - flags] = "";
			continue;
		}
		if (!letter[1])
			return take_next(reading, flag, spelled, err);
		reading->values->value[flag - flags] = letter[1] == '=' ? letter + 2 : letter + 1;
		return 0;
	}
	return 0;
}

static int check_taken(
	const struct flag_values *values, const struct command *command, struct ten_error *err)
{
	for (size_t i = 0; command && i < FLAG_COUNT; i++) {
		if (values->value[i] && !is_taken(command, i))
			return ten_error_set(err, 0, "\"ten %s\" has no flag --%s", command->name,
				flags[i].name);
	}
	return 0;
}

static int find_command(const char *name, const struct command **command, struct ten_error *err)
{
	const char *near;

	*command = command_find(name);
	if (*command)
		return 0;
	near = command_nearest(name);
	if (near)
		return ten_error_set(
			err, 0, "unknown command \"%s\" (did you mean \"%s\"?)", name, near);
	return ten_error_set(err, 0, "unknown command \"%s\"", name);
}

int flags_parse(int argc, char **argv, struct flag_values *values, const struct command **command,
	char ***args, struct ten_error *err)
{
	struct reading reading = { .argc = argc, .argv = argv, .values = values };
	bool ended = false;

	*command = NULL;
	*args = mem_alloc(sizeof(**args));
	for (; reading.at < argc; reading.at++) {
		const char *word = argv[reading.at];
		int failed = 0;

		if (!ended && strcmp(word, "--") == 0)
			ended = true;
		else if (!ended && strncmp(word, "--", 2) == 0)
			failed = parse_long(&reading, word, *command, err);
		else if (!ended && word[0] == '-' && word[1])
			failed = parse_letters(&reading, word, err);
		else if (!*command)
			failed = find_command(word, command, err);
		else
			mem_strv_append(args, word);
		if (failed)
			return failed;
		/* What follows the first word of another program's command line is its own. */
		if (*command && (*command)->verbatim &&
			mem_strv_length(*args) >= (*command)->verbatim)
			ended = true;
	}
	for (size_t i = 0; i < FLAG_COUNT; i++) {
		const char *env = flags[i].env ? getenv(flags[i].env) : NULL;

		if (!values->value[i] && env && *env) {
			values->value[i] = env;
			values->from_env |= FLAG_BIT(i);
		}
	}
	return check_taken(values, *command, err);
}
