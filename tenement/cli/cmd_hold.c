/* What is asked of one tenant's sleep: hold, release, why. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli/answer.h"
#include "cli/client.h"
#include "cli/commands.h"
#include "cli/human.h"
#include "cli/visible.h"
#include "mem.h"

#define HOLD_DEFAULT_SECS 3600

static void say(const struct cli *cli, const char *target, const char *text)
{
	if (!cli->json)
		printf("%s%s\n", target, cli->quiet ? "" : text);
}

int cmd_hold(struct cli *cli)
{
	const char *target = cli->args[0];
	const char *time = cli->arg_count > 1 ? cli->args[1] : NULL;
	long seconds = time ? human_parse_secs(time) : HOLD_DEFAULT_SECS;
	autofree char *path = client_instance_path(target, "/hold");
	struct client_request request = { "POST", path, NULL, "holding it awake", true };
	autojson json_t *answer = NULL;
	char length[HUMAN_MAX];
	autofree char *text = NULL;
	int code = cli_check_target(cli, target);

	if (code)
		return code;
	if (seconds < 1)
		return cli_usage(cli, "\"%s\" is not a time such as 30s, 5m or 2h", time);
	request.body = json_pack("{sI}", "seconds", (json_int_t)seconds);
	code = client_ask(cli, &request, &answer);
	if (code)
		return code;
	human_age(seconds, length);
	text = mem_printf(" is held awake for %s (an override: see `ten overrides`)", length);
	say(cli, target, text);
	if (cli->json)
		answer_print(answer);
	return CLI_DONE;
}

int cmd_release(struct cli *cli)
{
	const char *target = cli->args[0];
	autofree char *path = client_instance_path(target, "/release");
	struct client_request request = { "POST", path, NULL, "releasing it", true };
	autojson json_t *answer = NULL;
	int code = cli_check_target(cli, target);

	if (!code)
		code = client_ask(cli, &request, &answer);
	if (code)
		return code;
	say(cli, target, " is no longer held awake");
	if (cli->json)
		answer_print(answer);
	return CLI_DONE;
}

static void print_why(const struct cli *cli, const json_t *why)
{
	const json_t *kept = answer_list(why, "kept_awake_by"), *next = answer_list(why, "next");
	const char *woken_by = answer_text(why, "woken_by"), *reason = answer_text(why, "reason");
	const json_t *schedule = json_object_get(why, "schedule"), *item;
	const char *by;
	json_t *number;
	char age[HUMAN_MAX];
	size_t i;

	(void)cli;
	human_ago(-answer_number(why, "state_secs"), 0, age);
	printf("%s is %s (since %s)\n", answer_text(why, "id"), answer_text(why, "state"), age);
	if (*reason) {
		autofree char *line = visible_line(reason);

		printf("  because: %s\n", line);
	}
	if (*woken_by) {
		human_ago(-answer_number(why, "woken_secs"), 0, age);
		printf("  woken last by %s, %s\n", woken_by, age);
	}
	json_object_foreach (json_object_get(why, "not_woken_by"), by, number)
		printf("  not woken by requests: %" JSON_INTEGER_FORMAT " (%s)\n",
			json_integer_value(number), by);
	json_array_foreach (kept, i, item)
		printf("  kept awake by: %s\n", json_string_value(item));
	if (*answer_text(schedule, "hours"))
		printf("  kept awake %s\n", answer_text(schedule, "hours"));
	if (*answer_text(schedule, "next_wake"))
		printf("  next wake at %s\n", answer_text(schedule, "next_wake"));
	json_array_foreach (next, i, item)
		printf("  will be %s in %" PRId64 " s, if nothing comes\n", answer_text(item, "to"),
			answer_number(item, "in_secs"));
}

int cmd_why(struct cli *cli)
{
	const char *target = cli->args[0];
	autofree char *path = client_instance_path(target, "/why");
	autojson json_t *answer = NULL;
	int code = cli_check_target(cli, target);

	if (!code)
		code = client_get(cli, path, &answer);
	if (code)
		return code;
	if (cli->json)
		answer_print(answer);
	else if (cli->quiet)
		puts(answer_text(answer, "state"));
	else
		print_why(cli, answer);
	return CLI_DONE;
}
