/* The commands that do something to one tenant after another and wait for it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/answer.h"
#include "cli/client.h"
#include "cli/commands.h"
#include "cli/human.h"
#include "cli/instance.h"
#include "cli/visible.h"
#include "mem.h"

/* One of: start stop restart suspend resume rm. */
struct deed {
	const char *path;    /* after the instance's */
	const char *waiting; /* "starting %s" */
	bool takes_declare;
	int (*report)(struct cli *cli, const char *target, const json_t *answer);
};

static json_t *timeout_body(const struct cli *cli)
{
	return json_pack("{sI}", "timeout", (json_int_t)cli->timeout_secs);
}

static void print_plain(const char *text)
{
	autofree char *line = visible_line(text);

	puts(line);
}

/* ": REASON" or "". The caller frees. */
static char *because(const json_t *instance)
{
	const char *reason = answer_text(instance, "reason");

	return *reason ? mem_printf(": %s", reason) : mem_strdup("");
}

/* It was to be up. */
static int report_up(struct cli *cli, const char *target, const json_t *instance)
{
	const char *state = answer_text(instance, "state");
	autofree char *reason = because(instance);

	if (instance_is_up(state)) {
		autofree char *line =
			mem_printf("%s is %s at %s", target, state, answer_text(instance, "url"));

		if (!cli->json)
			print_plain(cli->quiet ? target : line);
		return CLI_DONE;
	}
	if (instance_is_in_trouble(state) || instance_is_down(state))
		return cli_fail(CLI_FAILED, "%s is %s%s", target, state, reason);
	return cli_fail(CLI_TIMED_OUT, "%s is still %s after %ld s%s", target, state,
		cli->timeout_secs, reason);
}

static int report_down(struct cli *cli, const char *target, const json_t *instance)
{
	const char *state = answer_text(instance, "state");
	/* Under load it may be wanted again in the moment in which it is down. */
	bool again = !json_is_true(json_object_get(instance, "timeout")) &&
		     (instance_is_up(state) || strcmp(state, "starting") == 0);
	autofree char *line =
		again ? mem_printf(
				"%s was stopped, and is %s again: it was asked for", target, state)
		      : mem_printf("%s is %s", target, state);

	if (!again && !instance_is_down(state))
		return cli_fail(CLI_TIMED_OUT, "%s is still %s after %ld s", target, state,
			cli->timeout_secs);
	if (!cli->json)
		print_plain(cli->quiet ? target : line);
	return CLI_DONE;
}

static int report_state(struct cli *cli, const char *target, const json_t *instance)
{
	autofree char *line = mem_printf("%s is %s%s", target, answer_text(instance, "state"),
		cli->flags.value[FLAG_DECLARE] ? "" : " (an override: see `ten overrides`)");

	if (!cli->json)
		print_plain(cli->quiet ? target : line);
	return CLI_DONE;
}

static int report_resumed(struct cli *cli, const char *target, const json_t *instance)
{
	autofree char *line = mem_printf("%s is %s", target, answer_text(instance, "state"));

	if (!cli->json)
		print_plain(cli->quiet ? target : line);
	return CLI_DONE;
}

static int report_removed(struct cli *cli, const char *target, const json_t *answer)
{
	autofree char *line = mem_printf("%s is removed (%s); its data stays in %s", target,
		answer_text(answer, "removed"), answer_text(answer, "data"));

	if (!cli->json)
		print_plain(cli->quiet ? target : line);
	return CLI_DONE;
}

static int act(struct cli *cli, const struct deed *deed, const char *target, json_t *results)
{
	autofree char *path = client_instance_path(target, deed->path);
	autofree char *waiting = mem_printf("%s %s", deed->waiting, target);
	struct client_request request = { "POST", path, timeout_body(cli), waiting, true };
	autojson json_t *answer = NULL;
	int code;

	if (deed->takes_declare)
		json_object_set_new(request.body, "declare",
			json_boolean(cli->flags.value[FLAG_DECLARE] != NULL));
	code = client_ask(cli, &request, &answer);
	if (code)
		return code;
	json_array_append(results, answer);
	return deed->report(cli, target, answer);
}

/* All targets are looked at before the first is touched. With -o json one object is printed for one
 * target, a list for several. */
static int act_on_all(struct cli *cli, const struct deed *deed)
{
	autojson json_t *results = json_array();
	int worst = CLI_DONE;

	for (size_t i = 0; i < cli->arg_count; i++) {
		int code = cli_check_target(cli, cli->args[i]);

		if (code)
			return code;
	}
	for (size_t i = 0; i < cli->arg_count; i++) {
		int code = act(cli, deed, cli->args[i], results);

		worst = cli_worst(worst, code);
		if (code == CLI_UNREACHABLE)
			break;
	}
	if (cli->json && json_array_size(results))
		answer_print(cli->arg_count == 1 ? json_array_get(results, 0) : results);
	return worst;
}

int cmd_start(struct cli *cli)
{
	return act_on_all(cli, &(struct deed){ "/start", "starting", false, report_up });
}

int cmd_stop(struct cli *cli)
{
	return act_on_all(cli, &(struct deed){ "/stop", "stopping", false, report_down });
}

int cmd_restart(struct cli *cli)
{
	return act_on_all(cli, &(struct deed){ "/restart", "restarting", false, report_up });
}

int cmd_suspend(struct cli *cli)
{
	return act_on_all(cli, &(struct deed){ "/suspend", "suspending", true, report_state });
}

int cmd_resume(struct cli *cli)
{
	return act_on_all(cli, &(struct deed){ "/resume", "resuming", true, report_resumed });
}

int cmd_rm(struct cli *cli)
{
	return act_on_all(cli, &(struct deed){ "/undeclare", "removing", false, report_removed });
}

static int report_spawned(struct cli *cli, const json_t *answer)
{
	const char *target = answer_text(answer, "instance");
	autofree char *path = client_instance_path(target, "");
	autojson json_t *instance = NULL;
	const char *state;
	int code;

	if (cli->json)
		answer_print(answer);
	else if (!cli->quiet)
		printf("%s is declared in %s\n", target, answer_text(answer, "file"));
	state = answer_text(answer, "state");
	if (instance_is_up(state) && (cli->json || cli->quiet)) {
		if (!cli->json)
			print_plain(target);
		return CLI_DONE;
	}
	/* Its address, or why it is not there. */
	code = client_get(cli, path, &instance);
	return code ? code : report_up(cli, target, instance);
}

int cmd_spawn(struct cli *cli)
{
	const char *target = cli->args[0];
	const char *id = cli->flags.value[FLAG_ID];
	const char *colon = strchr(target, ':');
	autofree char *service = NULL;
	autofree char *waiting = NULL;
	autojson json_t *answer = NULL;
	struct client_request request = { "POST", "/api/instances/spawn", timeout_body(cli), NULL,
		true };
	int code = CLI_DONE;

	if (colon && id)
		code = cli_usage(cli, "the id is said twice: \"%s\" and --id %s", target, id);
	else if (!colon && !id)
		code = cli_usage(cli, "an id is missing: ten spawn %s:ID", target);
	else if (colon)
		code = cli_check_target(cli, target);
	if (code) {
		json_decref(request.body);
		return code;
	}
	service = colon ? mem_strndup(target, (size_t)(colon - target)) : mem_strdup(target);
	id = colon ? colon + 1 : id;
	waiting = mem_printf("starting %s:%s", service, id);
	request.waiting = waiting;
	json_object_set_new(request.body, "process", json_string(service));
	json_object_set_new(request.body, "id", json_string(id));
	code = client_ask(cli, &request, &answer);
	return code ? code : report_spawned(cli, answer);
}
