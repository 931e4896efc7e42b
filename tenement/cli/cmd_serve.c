#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/human.h"
#include "cli/load.h"
#include "cli/place.h"
#include "cli/problems.h"
#include "common/programs.h"
#include "config_path.h"
#include "mem.h"

#define PROBLEMS_SHOWN 50

/* Wrong files keep nothing else from being served, so they are warned of. */
static void warn_of_problems(struct config_set *set)
{
	const struct config_problem *problems;
	size_t count = config_set_problems(set, &problems);

	for (size_t i = 0; i < count && i < PROBLEMS_SHOWN; i++)
		problem_print(stderr, &problems[i], NULL);
	if (count > PROBLEMS_SHOWN)
		cli_note("warning: and %zu more", count - PROBLEMS_SHOWN);
	if (count)
		cli_note("warning: %zu problem%s in the configuration; serving what is right",
			count, human_plural((int64_t)count));
}

static bool main_is_wrong(struct config_set *set, const struct place *place)
{
	const struct config_problem *problems;
	size_t count = config_set_problems(set, &problems);

	for (size_t i = 0; i < count; i++)
		if (strcmp(problems[i].file, place->main_path) == 0 ||
			strcmp(config_path_name(problems[i].file),
				config_path_name(place->main_path)) == 0)
			return true;
	return false;
}

static int check_flags(const struct cli *cli)
{
	const char *port = cli->flags.value[FLAG_PORT];
	long number;

	if (port && cli_number(port, 1, 65535, &number) < 0)
		return cli_usage(cli, "--port %s: not a port from 1 to 65535", port);
	if (cli->flags.value[FLAG_SERVER] && !(cli->flags.from_env & FLAG_BIT(FLAG_SERVER)))
		return cli_usage(cli, "--server is for a daemon that runs already");
	return CLI_DONE;
}

static int look(const struct cli *cli, const struct place *place)
{
	struct ten_error err;
	autofree char *conf_dir = NULL;
	struct config_set *set;

	if (place->conf_dir_given && !place->conf_dir_exists)
		return cli_fail(
			CLI_FAILED, "--conf-dir %s: there is no such folder", place->conf_dir);
	if (!place->main_exists && !place->conf_dir_exists) {
		cli_fail(CLI_FAILED,
			"there is neither a tenement.toml nor a conf.d here, in a parent or in %s",
			PLACE_SYSTEM);
		cli_note("`ten init` writes both to begin with");
		return CLI_FAILED;
	}
	set = load_all(cli, place, NULL, &conf_dir, &err);
	if (!set)
		return cli_fail(CLI_FAILED, "%s", err.text);
	/* Of the main file the daemon speaks itself, and does not begin with a wrong one. */
	if (!main_is_wrong(set, place))
		warn_of_problems(set);
	config_set_free(set);
	return CLI_DONE;
}

static void add_option(char ***argv, const char *name, const char *value)
{
	if (!value)
		return;
	mem_strv_append(argv, name);
	mem_strv_append(argv, value);
}

static char **keeper_arguments(const struct cli *cli, const struct place *place, const char *keeper)
{
	char **argv = NULL;

	mem_strv_append(&argv, keeper);
	add_option(&argv, "--main", place->main_path);
	add_option(&argv, "--data-dir", place->data_dir_override);
	add_option(&argv, "--conf-dir", place->conf_dir_given ? place->conf_dir : NULL);
	add_option(&argv, "--domain", cli->flags.value[FLAG_DOMAIN]);
	add_option(&argv, "--port", cli->flags.value[FLAG_PORT]);
	return argv;
}

int cmd_serve(struct cli *cli)
{
	autofree char *keeper = programs_path("tenement-keeper");
	autoplace struct place place = { 0 };
	struct ten_error err;
	char **argv;
	int code = check_flags(cli);

	if (code)
		return code;
	if (place_find(cli, &place, &err) < 0)
		return cli_fail(CLI_FAILED, "%s", err.text);
	code = look(cli, &place);
	if (code)
		return code;
	argv = keeper_arguments(cli, &place, keeper);
	fflush(NULL);
	execv(keeper, argv);
	code = cli_fail(CLI_FAILED, "%s: %s", keeper, strerror(errno));
	mem_strv_free(argv);
	return code;
}
