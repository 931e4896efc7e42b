#include <stdio.h>
#include <string.h>

#include "cli/answer.h"
#include "cli/client.h"
#include "cli/commands.h"
#include "cli/human.h"
#include "cli/visible.h"
#include "mem.h"
#include "sse.h"
#include "text.h"

#define DEFAULT_LINES 20
#define LINES_MAX     4096

static const char *subject_of(const json_t *event)
{
	static const char *const names[] = { "instance", "file", "process" };

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (*answer_text(event, names[i]))
			return answer_text(event, names[i]);
	return "-";
}

static void add_saying(struct text *line, const json_t *event)
{
	const char *text = answer_text(event, "text");
	autofree char *said = NULL;

	if (*answer_text(event, "to"))
		said = mem_printf("%s -> %s%s%s", answer_text(event, "from"),
			answer_text(event, "to"), *text ? ": " : "", text);
	else if (answer_number(event, "line") > 0)
		said = mem_printf("%lld:%lld: %s", (long long)answer_number(event, "line"),
			(long long)answer_number(event, "column"), text);
	else if (answer_number(event, "generation") > 0)
		said = mem_printf(
			"generation %lld: %s", (long long)answer_number(event, "generation"), text);
	else
		said = mem_strdup(text);
	visible_add(line, said, strlen(said));
}

static void print_event(const struct cli *cli, const json_t *event)
{
	const struct term *term = &cli->term;
	const char *kind = answer_text(event, "kind");
	autofree char *subject = visible_line(subject_of(event));
	autotext struct text said = { 0 };
	enum term_style style = strcmp(kind, "problem") == 0 || strcmp(kind, "held") == 0
					? TERM_YELLOW
					: TERM_PLAIN;
	char when[HUMAN_MAX];

	if (cli->json) {
		answer_print_line(event);
		return;
	}
	human_moment(answer_number(event, "time"), when);
	add_saying(&said, event);
	printf("%s%s%s  %-9s  %s  %s%s%s\n", term_begin(term, TERM_DIM), when,
		term_end(term, TERM_DIM), kind, subject, term_begin(term, style),
		said.data ? said.data : "", term_end(term, style));
}

struct following {
	struct cli *cli;
	struct sse_reader reader;
};

static void take_event(void *data, const struct sse_event *event)
{
	const struct following *following = data;
	autojson json_t *json = json_loadb(event->data, event->len, 0, NULL);

	if (json_is_object(json))
		print_event(following->cli, json);
	fflush(stdout);
}

static void take_line(void *data, const char *line, size_t len)
{
	struct following *following = data;

	if (sse_read(&following->reader, line, len, take_event, following))
		sse_read(&following->reader, "\n", 1, take_event, following);
}

static int follow(struct cli *cli, const char *path)
{
	struct following following = { .cli = cli };
	int code = client_stream(cli, path, take_line, &following);

	sse_reader_free(&following.reader);
	return code;
}

int cmd_events(struct cli *cli)
{
	const char *lines = cli->flags.value[FLAG_LINES];
	const char *target = cli->args[0];
	autofree char *escaped = client_escape(target ? target : "");
	autofree char *path = NULL;
	autojson json_t *answer = NULL;
	const json_t *event;
	long limit = DEFAULT_LINES;
	size_t i;
	int code = target ? cli_check_target(cli, target) : CLI_DONE;

	if (code)
		return code;
	if (lines && cli_number(lines, 0, LINES_MAX, &limit) < 0)
		return cli_usage(cli, "-n %s: not a number from 0 to %d", lines, LINES_MAX);
	path = mem_printf("/api/events?limit=%ld%s%s%s", limit, target ? "&instance=" : "", escaped,
		cli->flags.value[FLAG_FOLLOW] ? "&stream=1" : "");
	if (cli->flags.value[FLAG_FOLLOW])
		return follow(cli, path);
	code = client_get(cli, path, &answer);
	if (code)
		return code;
	json_array_foreach (answer_list(answer, "events"), i, event)
		print_event(cli, event);
	return CLI_DONE;
}
