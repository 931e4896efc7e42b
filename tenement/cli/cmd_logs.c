#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "cli/answer.h"
#include "cli/client.h"
#include "cli/commands.h"
#include "cli/visible.h"
#include "mem.h"
#include "text.h"

#define DEFAULT_LINES 100

/* On a terminal: when, and what was written to standard error in another colour. */
static void print_for_people(
	const struct term *term, const json_t *line, const char *message, size_t len)
{
	autotext struct text text = { 0 };
	int64_t millis = answer_number(line, "timestamp");
	time_t seconds = (time_t)(millis / 1000);
	enum term_style style =
		strcmp(answer_text(line, "level"), "stderr") == 0 ? TERM_YELLOW : TERM_PLAIN;
	char when[32] = "";
	struct tm local;

	if (millis > 0 && localtime_r(&seconds, &local))
		strftime(when, sizeof(when), "%Y-%m-%d %H:%M:%S", &local);
	visible_add(&text, message, len);
	printf("%s%s%s  %s%s%s\n", term_begin(term, TERM_DIM), when, term_end(term, TERM_DIM),
		term_begin(term, style), text.data ? text.data : "", term_end(term, style));
}

static void print_entry(const struct cli *cli, const json_t *entry)
{
	const json_t *message = json_object_get(entry, "message");

	if (cli->json) {
		answer_print_line(entry);
	} else if (json_is_string(message) && cli->term.out_is_terminal) {
		print_for_people(
			&cli->term, entry, json_string_value(message), json_string_length(message));
	} else if (json_is_string(message)) {
		fwrite(json_string_value(message), 1, json_string_length(message), stdout);
		putchar('\n');
	}
}

/* A line of the answer: an entry, or all of them at once. */
static void print_line(void *data, const char *text, size_t len)
{
	const struct cli *cli = data;
	autojson json_t *line = json_loadb(text, len, JSON_ALLOW_NUL, NULL);
	const json_t *entries = answer_list(line, "logs"), *entry;
	size_t i;

	if (!entries && json_is_object(line))
		print_entry(cli, line);
	json_array_foreach (entries, i, entry)
		print_entry(cli, entry);
	if (cli->flags.value[FLAG_FOLLOW])
		fflush(stdout);
}

int cmd_logs(struct cli *cli)
{
	const char *lines = cli->flags.value[FLAG_LINES];
	bool follow = cli->flags.value[FLAG_FOLLOW] != NULL;
	autofree char *id = client_escape(cli->args[0]);
	autofree char *path = NULL;
	long limit = DEFAULT_LINES;
	int code = cli_check_target(cli, cli->args[0]);

	if (code)
		return code;
	if (lines && cli_number(lines, 0, 10000000, &limit) < 0)
		return cli_usage(cli, "-n %s: not a number of lines", lines);
	path = mem_printf("/api/logs?id=%s&limit=%ld%s", id, limit, follow ? "&follow=1" : "");
	return client_stream(cli, path, print_line, cli);
}
