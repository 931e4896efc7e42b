#include <stdio.h>
#include <time.h>

#include "cli/answer.h"
#include "cli/client.h"
#include "cli/commands.h"

#define LOOK_NS 20000000L

static json_int_t number(const json_t *json, const char *name)
{
	return json_integer_value(json_object_get(json, name));
}

static time_t monotonic_seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec;
}

/* The daemon leaves when it has answered, and the keeper runs the one that is on disk now. */
static json_int_t wait_for_daemon(struct cli *cli, json_int_t old)
{
	time_t until = monotonic_seconds() + cli->timeout_secs;

	do {
		autojson json_t *status = client_peek(cli, "/api/status");

		if (status && number(status, "pid") != old)
			return number(status, "pid");
		nanosleep(&(struct timespec){ .tv_nsec = LOOK_NS }, NULL);
	} while (monotonic_seconds() <= until);
	return 0;
}

static void print(const json_t *answer, json_int_t old, json_int_t new)
{
	const json_t *worker;
	size_t i;

	printf("Upgraded from %s to %s.\n", answer_text(answer, "from"), answer_text(answer, "to"));
	json_array_foreach (json_object_get(answer, "workers"), i, worker) {
		printf("  proxy %-2d %7d -> %d\n", (int)number(worker, "worker"),
			(int)number(worker, "old"), (int)number(worker, "new"));
	}
	printf("  daemon   %7d -> %d\n", (int)old, (int)new);
}

int cmd_upgrade(struct cli *cli)
{
	struct client_request request = { "POST", "/api/upgrade",
		json_pack("{si}", "timeout", (int)cli->timeout_secs), "Waiting for the new workers",
		true };
	autojson json_t *answer = NULL;
	json_int_t old, new;
	int code = client_ask(cli, &request, &answer);

	if (code)
		return code;
	old = number(answer, "pid");
	new = wait_for_daemon(cli, old);
	if (!new)
		return cli_fail(CLI_TIMED_OUT, "the proxy was upgraded, but the new daemon does "
					       "not answer: its log says why");
	json_object_set_new(answer, "daemon", json_pack("{s:I, s:I}", "old", old, "new", new));
	json_object_del(answer, "pid");
	if (cli->json)
		answer_print(answer);
	else if (!cli->quiet)
		print(answer, old, new);
	return CLI_DONE;
}
