#include "cli/check_remote.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/answer.h"
#include "cli/bundle.h"
#include "cli/client.h"
#include "cli/human.h"
#include "cli/visible.h"
#include "mem.h"

#define MAIN_NAME  "tenement.toml"
#define INPUT_NAME "stdin.toml"

/* The length of the file's name that a problem's text begins with: "conf.d/a.toml:7:1: ...". */
static size_t name_length(const char *text)
{
	const char *end = strstr(text, ".toml:");

	return end && !memchr(text, '\n', (size_t)(end - text)) ? (size_t)(end - text) + 5 : 0;
}

/* The text as what `ten check` tells of a problem that it has found itself. */
static json_t *problem_object(const char *text, const char *called)
{
	size_t name_len = name_length(text);
	autofree char *name = mem_strndup(text, name_len);
	autofree char *message = NULL;
	autofree char *line_text = NULL;
	const char *at = text + name_len, *excerpt;
	int line = 0, column = 0, used = 0;

	if (name_len && sscanf(at, ":%d:%d: %n", &line, &column, &used) < 2)
		used = 0;
	if (name_len && !used && sscanf(at, ":%d: %n", &line, &used) < 1)
		used = (int)strspn(at, ": ");
	at += used;
	message = mem_strndup(at, strcspn(at, "\n"));
	excerpt = strstr(at + strlen(message), " | ");
	if (excerpt)
		line_text = mem_strndup(excerpt + 3, strcspn(excerpt + 3, "\n"));
	return json_pack("{sssisissss?}", "file", called ? called : name, "line", line, "column",
		column, "message", message, "excerpt", line_text);
}

static void print_problem(const char *text, const char *called)
{
	size_t name_len = called ? name_length(text) : 0;
	autofree char *named = mem_printf("%s%s", name_len ? called : "", text + name_len);
	autofree char *harmless = visible_lines(named);
	size_t len = strlen(harmless);

	fprintf(stderr, "%s%s", harmless, len && harmless[len - 1] == '\n' ? "" : "\n");
}

/* The problems of ANSWER, and MORE that it left out; those of one file by what it is CALLED here.
 * Returns the exit code that they mean. */
static int report(const struct cli *cli, const json_t *answer, int64_t more, const char *called)
{
	const json_t *problems = answer_list(answer, "problems"), *problem;
	autojson json_t *list = json_array();
	size_t count = json_array_size(problems), i;

	json_array_foreach (problems, i, problem) {
		const char *text = json_is_string(problem) ? json_string_value(problem) : "";

		if (cli->json)
			json_array_append_new(list, problem_object(text, called));
		else
			print_problem(text, called);
	}
	if (cli->json) {
		autojson json_t *shown = json_pack("{sO}", "problems", list);

		answer_print(shown);
	} else if (count && !cli->quiet) {
		cli_note("%" PRId64 " problem%s", (int64_t)count + more,
			human_plural((int64_t)count + more));
	}
	return count ? CLI_FAILED : CLI_DONE;
}

/* The whole of the server's configuration, as it is judged already. */
static int check_all(struct cli *cli)
{
	autojson json_t *status = NULL;
	const json_t *files;
	int64_t more;
	int code = client_get(cli, "/api/status", &status);

	if (code)
		return code;
	more = answer_number(status, "problems_omitted");
	code = report(cli, status, more > 0 ? more : 0, NULL);
	files = json_object_get(status, "files");
	if (!code && !cli->json && !cli->quiet)
		printf("All is right: %" PRId64 " file%s, %" PRId64 " tenant%s.\n",
			answer_number(files, "total"), human_plural(answer_number(files, "total")),
			answer_number(json_object_get(status, "tenants"), "declared"),
			human_plural(
				answer_number(json_object_get(status, "tenants"), "declared")));
	return code;
}

static int check_files(struct cli *cli)
{
	struct client_request request = { "POST", "/api/config/check", NULL, NULL, true };
	const char *path = cli->args[0];
	const char *slash = strrchr(path, '/'), *called;
	autojson json_t *files = NULL;
	autojson json_t *answer = NULL;
	size_t count;
	int code;

	if (strcmp(slash ? slash + 1 : path, MAIN_NAME) == 0)
		return cli_fail(CLI_FAILED,
			"%s is not judged from here: the server reads it where it was started",
			path);
	if (strcmp(path, "-") == 0 && !cli->flags.value[FLAG_NAME])
		cli->flags.value[FLAG_NAME] = INPUT_NAME;
	code = bundle_read(cli, &files);
	if (code)
		return code;
	count = json_array_size(files);
	request.body = json_pack("{sO}", "files", files);
	code = client_ask(cli, &request, &answer);
	if (code)
		return code;
	called = cli->flags.value[FLAG_NAME] ? cli->flags.value[FLAG_NAME] : path;
	code = report(cli, answer, 0, count == 1 ? called : NULL);
	if (code || cli->json || cli->quiet)
		return code;
	if (count == 1)
		printf("%s is right.\n", called);
	else
		printf("All is right: %zu files.\n", count);
	return CLI_DONE;
}

int check_remote(struct cli *cli)
{
	return cli->arg_count ? check_files(cli) : check_all(cli);
}
