#include "cli/bundle.h"

#include <string.h>
#include <sys/stat.h>

#include "cli/answer.h"
#include "cli/load.h"
#include "config_set.h"
#include "mem.h"

/* tenement.toml is read where it is: a copy of it in conf.d would be an error there. */
#define MAIN_NAME "tenement.toml"

static int add(json_t *files, const char *path, const char *name)
{
	struct ten_error err;
	size_t len, i;
	autofree char *text = load_file(path, CONFIG_FILE_MAX, &len, &err);
	json_t *string, *other;

	if (!text)
		return cli_fail(CLI_FAILED, "%s", err.text);
	json_array_foreach (files, i, other) {
		if (strcmp(answer_text(other, "name"), name) == 0)
			return cli_fail(CLI_FAILED, "two files are called %s", name);
	}
	string = json_stringn(text, len);
	if (!string)
		return cli_fail(CLI_FAILED, "%s: not UTF-8 text", path);
	json_array_append_new(files, json_pack("{ssso}", "name", name, "text", string));
	return CLI_DONE;
}

static int add_folder(json_t *files, const char *folder)
{
	struct ten_error err;
	char **names = load_names(folder, &err);
	autofree char *conf_dir = mem_printf("%s/conf.d", folder);
	size_t found = 0;
	struct stat info;
	int code = CLI_DONE;

	if (!names)
		return cli_fail(CLI_FAILED, "%s", err.text);
	for (size_t i = 0; names[i] && !code; i++) {
		autofree char *path = mem_printf("%s/%s", folder, names[i]);

		if (strcmp(names[i], MAIN_NAME) == 0) {
			cli_note("%s is left out: the daemon reads its settings where it was "
				 "started",
				path);
			continue;
		}
		code = add(files, path, names[i]);
		found++;
	}
	mem_strv_free(names);
	if (code || found)
		return code;
	if (stat(conf_dir, &info) == 0)
		return cli_fail(
			CLI_FAILED, "%s holds no .toml files (did you mean %s?)", folder, conf_dir);
	return cli_fail(CLI_FAILED, "%s holds no .toml files", folder);
}

static int add_standard_input(const struct cli *cli, json_t *files)
{
	const char *name = cli->flags.value[FLAG_NAME];

	if (!name)
		return cli_usage(cli, "standard input wants a name: --name notes-carol.toml");
	return add(files, "-", name);
}

static int add_file(json_t *files, const char *path)
{
	const char *slash = strrchr(path, '/');
	const char *name = slash ? slash + 1 : path;

	if (strcmp(name, MAIN_NAME) == 0)
		return cli_fail(CLI_FAILED,
			"%s is not applied: the daemon reads its settings where it was started",
			path);
	if (!load_is_config_name(name))
		return cli_fail(
			CLI_FAILED, "%s: the name of a configuration file ends in .toml", path);
	return add(files, path, name);
}

static int check_name(const struct cli *cli)
{
	const char *name = cli->flags.value[FLAG_NAME];
	bool standard = false;

	for (size_t i = 0; i < cli->arg_count; i++)
		standard |= strcmp(cli->args[i], "-") == 0;
	if (!name)
		return CLI_DONE;
	if (!standard)
		return cli_usage(cli, "--name goes with -, standard input");
	if (strchr(name, '/') || !load_is_config_name(name) || strcmp(name, MAIN_NAME) == 0)
		return cli_usage(cli, "--name %s: a file's name in conf.d, ending in .toml", name);
	return CLI_DONE;
}

int bundle_read(const struct cli *cli, json_t **files)
{
	autojson json_t *list = json_array();
	int code = check_name(cli);
	struct stat info;

	for (size_t i = 0; i < cli->arg_count && !code; i++) {
		const char *path = cli->args[i];

		if (strcmp(path, "-") == 0)
			code = add_standard_input(cli, list);
		else if (stat(path, &info) == 0 && S_ISDIR(info.st_mode))
			code = add_folder(list, path);
		else
			code = add_file(list, path);
	}
	if (!code)
		*files = mem_steal(&list);
	return code;
}
