#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/answer.h"
#include "cli/check_remote.h"
#include "cli/commands.h"
#include "cli/human.h"
#include "cli/load.h"
#include "cli/place.h"
#include "cli/problems.h"
#include "cli/server.h"
#include "common/program_find.h"
#include "mem.h"
#include "toml.h"
#include "words.h"

#define MAIN_NAME "tenement.toml"

static int dump_json(struct cli *cli)
{
	const char *path = cli->arg_count ? cli->args[0] : "-";
	struct toml_fault fault;
	struct ten_error err;
	size_t len;
	autofree char *text = load_file(path, CONFIG_FILE_MAX, &len, &err);
	autofree char *dumped = NULL;
	struct toml_document *document;

	if (!text)
		return cli_fail(CLI_FAILED, "%s", err.text);
	document = toml_parse(text, len, &fault);
	if (!document) {
		fprintf(stderr, "%d:%d: %s\n", fault.line ? fault.line : 1,
			fault.column ? fault.column : 1, fault.message);
		return CLI_FAILED;
	}
	dumped = toml_dump_json(toml_root(document));
	toml_free(document);
	puts(dumped);
	return CLI_DONE;
}

static void count_name(void *data, const char *name, bool good)
{
	(void)name;
	(void)good;
	++*(size_t *)data;
}

static void count_service(void *data, const char *service)
{
	(void)service;
	++*(size_t *)data;
}

static void say_well(const struct cli *cli, const struct config_set *set, const char *what)
{
	size_t files = 0, services = 0, tenants = config_set_instance_count(set);

	if (cli->quiet)
		return;
	if (what) {
		printf("%s is right.\n", what);
		return;
	}
	config_set_each_file(set, count_name, &files);
	config_set_each_service(set, count_service, &services);
	printf("All is right: %zu file%s, %zu service%s, %zu tenant%s.\n", files,
		human_plural((int64_t)files), services, human_plural((int64_t)services), tenants,
		human_plural((int64_t)tenants));
}

/* Report on all problems, or on those of the file that messages call ONLY and people CALLED. */
static int report(
	const struct cli *cli, struct config_set *set, const char *only, const char *called)
{
	autojson json_t *list = json_array();
	const struct config_problem *problems;
	size_t count = config_set_problems(set, &problems), shown = 0;

	for (size_t i = 0; i < count; i++) {
		if (only && strcmp(problems[i].file, only) != 0)
			continue;
		shown++;
		if (cli->json)
			json_array_append_new(list, problem_json(&problems[i], called));
		else
			problem_print(stderr, &problems[i], called);
	}
	if (cli->json) {
		autojson json_t *answer = json_pack("{sO}", "problems", list);

		answer_print(answer);
	} else if (!shown) {
		say_well(cli, set, called);
	} else if (!cli->quiet) {
		cli_note("%zu problem%s", shown, human_plural((int64_t)shown));
	}
	return shown ? CLI_FAILED : CLI_DONE;
}

static const char *path_of(const struct service_values *values)
{
	for (size_t i = 0; i < values->env.count; i++)
		if (strcmp(values->env.pairs[i].name, "PATH") == 0)
			return values->env.pairs[i].value;
	return PROGRAM_PATH;
}

/* The machine may be another than the one that serves. What has placeholders is known later. */
static void check_command(void *data, const char *service)
{
	const struct service_values *values = config_set_service(data, service);
	const char *path = path_of(values);
	struct ten_error err;
	char **words = words_split(values->command, NULL, &err);

	if (words && *words && !strchr(*words, '{') && !strchr(values->workdir, '{') &&
		!strchr(path, '{') && program_find(*words, values->workdir, path) != 0)
		cli_note("warning: service \"%s\": there is no program \"%s\" on this machine",
			service, *words);
	mem_strv_free(words);
}

/* The daemon refuses a folder that strangers could write to. */
static int check_owner(const char *conf_dir)
{
	struct stat info;

	if (stat(conf_dir, &info) < 0)
		return CLI_DONE;
	if (info.st_mode & S_IWOTH)
		return cli_fail(CLI_FAILED, "%s is writable by everybody: chmod o-w %s", conf_dir,
			conf_dir);
	if (info.st_uid != 0 && info.st_uid != geteuid())
		cli_note("warning: %s belongs to uid %u: only a daemon of that user takes it",
			conf_dir, info.st_uid);
	return CLI_DONE;
}

static int check_all(struct cli *cli, const struct place *place)
{
	autofree char *conf_dir = NULL;
	struct config_set *set;
	struct ten_error err;
	int code;

	if (place->conf_dir_given && !place->conf_dir_exists)
		return cli_fail(
			CLI_FAILED, "--conf-dir %s: there is no such folder", place->conf_dir);
	if (!place->main_exists && !place->conf_dir_exists)
		return cli_fail(CLI_FAILED,
			"there is neither a tenement.toml nor a conf.d here, in a parent or in %s",
			PLACE_SYSTEM);
	set = load_all(cli, place, NULL, &conf_dir, &err);
	if (!set)
		return cli_fail(CLI_FAILED, "%s", err.text);
	code = report(cli, set, NULL, NULL);
	if (!cli->quiet)
		config_set_each_service(set, check_command, set);
	config_set_free(set);
	return cli_worst(code, check_owner(conf_dir));
}

/* The configuration that the file PATH belongs to: the one whose conf.d it is in, else the nearest.
 */
static int find_place(
	const struct cli *cli, const char *path, struct place *place, struct ten_error *err)
{
	autofree char *absolute = place_absolute(path);
	char *slash = strrchr(absolute, '/');
	autofree char *main_path = NULL;
	bool in_conf_dir;

	if (cli->flags.value[FLAG_CONFIG] || cli->flags.value[FLAG_CONF_DIR] ||
		strcmp(path, "-") == 0)
		return place_find(cli, place, err);
	*slash = '\0';
	main_path = mem_printf("%s/../" MAIN_NAME, absolute);
	in_conf_dir = strcmp(strrchr(absolute, '/') ? strrchr(absolute, '/') : "", "/conf.d") == 0;
	if (*absolute && (in_conf_dir || access(main_path, F_OK) == 0))
		return place_of_folder(cli, absolute, place, err);
	return place_find(cli, place, err);
}

static int check_file(struct cli *cli, const char *path)
{
	const char *given = cli->flags.value[FLAG_NAME];
	const char *slash = strrchr(path, '/');
	const char *name = given                    ? given
			   : strcmp(path, "-") == 0 ? "stdin.toml"
			   : slash                  ? slash + 1
						    : path;
	autoplace struct place place = { 0 };
	struct config_change change = { 0 };
	autofree char *conf_dir = NULL;
	autofree char *called = NULL;
	struct ten_error err;
	size_t len;
	autofree char *text = load_file(path, CONFIG_FILE_MAX, &len, &err);
	struct config_set *set;
	int code;

	if (!text)
		return cli_fail(CLI_FAILED, "%s", err.text);
	if (strchr(name, '/') || !load_is_config_name(name))
		return given ? cli_usage(cli, "--name %s: a file's name in conf.d, ending in .toml",
				       given)
			     : cli_fail(CLI_FAILED,
				       "%s: the name of a configuration file ends in .toml", path);
	if (find_place(cli, path, &place, &err) < 0)
		return cli_fail(CLI_FAILED, "%s", err.text);
	set = load_all(cli, &place, name, &conf_dir, &err);
	if (!set)
		return cli_fail(CLI_FAILED, "%s", err.text);
	config_set_stage(set, name, text, len);
	config_set_judge(set, &change);
	config_change_clear(&change);
	called = mem_printf("%s/%s", strrchr(conf_dir, '/') + 1, name);
	code = report(cli, set, called, strcmp(path, "-") == 0 ? name : path);
	config_set_free(set);
	return code;
}

int cmd_check(struct cli *cli)
{
	autoplace struct place place = { 0 };
	const char *path = cli->args[0];
	const char *slash = path ? strrchr(path, '/') : NULL;
	struct ten_error err;
	struct stat info;

	if (cli->flags.value[FLAG_DUMP_JSON]) {
		int code = server_leave_aside(cli, "--dump-json");

		return code ? code : dump_json(cli);
	}
	if (cli->flags.value[FLAG_NAME] && !(path && strcmp(path, "-") == 0))
		return cli_usage(cli, "--name goes with -, standard input");
	if (server_is_remote(cli))
		return check_remote(cli);
	if (path && strcmp(path, "-") != 0 && stat(path, &info) == 0 && S_ISDIR(info.st_mode)) {
		if (place_of_folder(cli, path, &place, &err) < 0)
			return cli_fail(CLI_FAILED, "%s", err.text);
		return check_all(cli, &place);
	}
	if (path && strcmp(slash ? slash + 1 : path, MAIN_NAME) == 0)
		cli->flags.value[FLAG_CONFIG] = path;
	else if (path)
		return check_file(cli, path);
	if (place_find(cli, &place, &err) < 0)
		return cli_fail(CLI_FAILED, "%s", err.text);
	return check_all(cli, &place);
}
