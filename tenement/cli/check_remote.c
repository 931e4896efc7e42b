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

/* The problems of ANSWER, and MORE that it left out. Returns the exit code that they mean. */
static int report(const struct cli *cli, const json_t *answer, int64_t more)
{
	const json_t *problems = answer_list(answer, "problems"), *problem;
	size_t count = json_array_size(problems), i;

	if (cli->json) {
		autojson json_t *shown = json_pack("{sO*}", "problems", problems);

		answer_print(shown);
		return count ? CLI_FAILED : CLI_DONE;
	}
	json_array_foreach (problems, i, problem) {
		autofree char *text =
			visible_lines(json_is_string(problem) ? json_string_value(problem) : "");
		size_t len = strlen(text);

		fprintf(stderr, "%s%s", text, len && text[len - 1] == '\n' ? "" : "\n");
	}
	if (count && !cli->quiet)
		cli_note("%" PRId64 " problem%s", (int64_t)count + more,
			human_plural((int64_t)count + more));
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
	code = report(cli, status, more > 0 ? more : 0);
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
	const char *slash = strrchr(path, '/');
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
	code = report(cli, answer, 0);
	if (code || cli->json || cli->quiet)
		return code;
	if (count == 1)
		printf("%s is right.\n", path);
	else
		printf("All is right: %zu files.\n", count);
	return CLI_DONE;
}

int check_remote(struct cli *cli)
{
	return cli->arg_count ? check_files(cli) : check_all(cli);
}
