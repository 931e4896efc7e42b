#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/answer.h"
#include "cli/commands.h"
#include "cli/load.h"
#include "cli/settings.h"
#include "common/files.h"
#include "mem.h"
#include "text.h"

#define WIDTH 78

static const char example_service[] =
	"# A service: what is run for each of its tenants.\n"
	"# This one lists the files in the tenant's own folder. It is here to be replaced.\n"
	"[service.hello]\n"
	"command = \"python3 -m http.server --bind 127.0.0.1 --directory {dir} {port}\"\n"
	"workdir = \"/\"\n"
	"idle_timeout = 60	# seconds without a request until it is put to sleep\n";

static const char example_tenant[] =
	"# A tenant: http://world.hello.localhost:8080/ (or your domain and port).\n"
	"# A copy of this file, called hello-NAME.toml, is another one; its id is NAME.\n"
	"[tenant]\n"
	"service = \"hello\"\n";

/* tenement.toml with every setting there is, each commented out at its default. */
static char *main_text(void)
{
	struct text out = { 0 };

	text_puts(&out, "# Settings of tenement. What is commented out is the default.\n"
			"# Services and tenants are in conf.d, one file each.\n"
			"# All keys: man tenement.toml. To look for mistakes: ten check\n"
			"\n"
			"[settings]\n");
	for (size_t i = 0; i < option_count; i++) {
		const struct option *option = &options[i];

		if (option->scope != OPTION_SETTING)
			continue;
		text_puts(&out, "\n");
		settings_add_prose(&out, "# ", option->prose, WIDTH);
		text_printf(&out, "#%s = %s\n", option->name,
			*option->fallback ? option->fallback : "\"\"  # not set");
	}
	return text_steal(&out);
}

/* Write what is not there. 1: written; 0: there is something already. */
static int write_new(const char *path, const char *text, struct ten_error *err)
{
	autoclose int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);

	if (fd < 0 && errno == EEXIST)
		return 0;
	if (fd < 0)
		return ten_error_set(err, errno, "%s", path);
	if (files_write_all(fd, text, strlen(text)) < 0) {
		ten_error_set(err, errno, "%s", path);
		unlink(path);
		return -1;
	}
	if (fsync(fd) < 0 && errno != EINVAL)
		return ten_error_set(err, errno, "%s", path);
	return 1;
}

static int make_folder(const char *path, struct ten_error *err)
{
	struct stat info;

	if (mkdir(path, 0755) == 0)
		return 0;
	if (errno == EEXIST && stat(path, &info) == 0 && S_ISDIR(info.st_mode))
		return 0;
	return ten_error_set(err, errno, "%s", path);
}

static int put(const struct cli *cli, json_t *results, const char *folder, const char *name,
	const char *text)
{
	autofree char *path = mem_printf("%s/%s", folder, name);
	struct ten_error err;
	int written = write_new(path, text, &err);

	if (written < 0)
		return cli_fail(CLI_FAILED, "%s", err.text);
	json_array_append_new(results, json_pack("{sssb}", "file", path, "written", written));
	if (cli->quiet && written)
		puts(path);
	else if (!cli->quiet && !cli->json)
		printf("%s  %s\n", written ? "written" : "kept   ", path);
	return CLI_DONE;
}

/* The example goes only where nothing else is. */
static int put_example(const struct cli *cli, json_t *results, const char *conf_dir)
{
	struct ten_error err;
	char **names = load_names(conf_dir, &err);
	int code;

	if (!names)
		return cli_fail(CLI_FAILED, "%s", err.text);
	if (names[0]) {
		mem_strv_free(names);
		if (!cli->quiet && !cli->json)
			printf("kept     %s\n", conf_dir);
		return CLI_DONE;
	}
	mem_strv_free(names);
	code = put(cli, results, conf_dir, "hello.toml", example_service);
	return code ? code : put(cli, results, conf_dir, "hello-world.toml", example_tenant);
}

int cmd_init(struct cli *cli)
{
	const char *folder = cli->arg_count ? cli->args[0] : ".";
	autofree char *conf_dir = mem_printf("%s/conf.d", folder);
	autofree char *text = main_text();
	autojson json_t *results = json_array();
	struct ten_error err;
	int code;

	if (make_folder(folder, &err) < 0 || make_folder(conf_dir, &err) < 0)
		return cli_fail(CLI_FAILED, "%s", err.text);
	code = put(cli, results, folder, "tenement.toml", text);
	if (!code)
		code = put_example(cli, results, conf_dir);
	if (code)
		return code;
	if (cli->json) {
		autojson json_t *answer = json_pack("{sO}", "files", results);

		answer_print(answer);
	} else if (!cli->quiet) {
		autotext struct text change = { 0 };

		if (strcmp(folder, ".") != 0)
			text_printf(&change, "cd %s && ", folder);
		printf("\nNext: %sten serve\nThen: curl http://world.hello.localhost:8080/\n",
			change.data ? change.data : "");
	}
	return CLI_DONE;
}
