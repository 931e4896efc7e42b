#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/answer.h"
#include "cli/client.h"
#include "cli/commands.h"
#include "cli/human.h"
#include "cli/since.h"
#include "cli/visible.h"
#include "mem.h"
#include "text.h"

#define LINES_MAX     100000
#define LOOK_AGAIN_MS 200

/* What is shown, and how far it has come. */
struct logs {
	struct cli *cli;
	bool many;     /* of several tenants: each line says whose it is */
	bool heard;    /* anything, since the last connection */
	char *last_id; /* of the line that was shown last, when following */
};

/* Our own remarks are red, which no line of a tenant's can be, whatever it says. */
static enum term_style style_of(const char *level)
{
	if (strcmp(level, "tenement") == 0)
		return TERM_RED;
	return strcmp(level, "stderr") == 0 ? TERM_YELLOW : TERM_PLAIN;
}

/* On a terminal: when, and what was written to standard error in another colour. */
static void print_for_people(
	const struct term *term, const json_t *line, const char *message, size_t len)
{
	autotext struct text text = { 0 };
	int64_t millis = answer_number(line, "timestamp");
	enum term_style style = style_of(answer_text(line, "level"));
	char when[HUMAN_MAX] = "";

	if (millis > 0)
		human_moment(millis, when);
	visible_add(&text, message, len);
	printf("%s%s%s  %s%s%s\n", term_begin(term, TERM_DIM), when, term_end(term, TERM_DIM),
		term_begin(term, style), text.data ? text.data : "", term_end(term, style));
}

static void print_entry(const struct logs *logs, const json_t *entry)
{
	const struct cli *cli = logs->cli;
	const json_t *message = json_object_get(entry, "message");
	const char *service = answer_text(entry, "process");
	autotext struct text line = { 0 };

	if (!json_is_string(message))
		return;
	/* A remark on the answer, of nobody's. */
	if (!*service && !cli->json) {
		fflush(stdout);
		fprintf(stderr, "ten: %s\n", json_string_value(message));
		return;
	}
	if (logs->many)
		text_printf(&line, "%s:%s  ", service, answer_text(entry, "instance_id"));
	text_add(&line, json_string_value(message), json_string_length(message));
	if (cli->json) {
		answer_print_line(entry);
	} else if (cli->term.out_is_terminal) {
		print_for_people(&cli->term, entry, line.data, line.len);
	} else {
		fwrite(line.data, 1, line.len, stdout);
		putchar('\n');
	}
}

static int show(struct logs *logs, const char *query)
{
	autofree char *path = mem_printf("/api/logs?%s", query);
	struct client_request request = { .path = path, .waiting = "searching" };
	autojson json_t *entries = NULL;
	const json_t *entry;
	size_t i;
	int code = client_ask(logs->cli, &request, &entries);

	if (code)
		return code;
	json_array_foreach (entries, i, entry)
		print_entry(logs, entry);
	return CLI_DONE;
}

/* ---- following ---- */

/* A line of the stream of events (text/event-stream): each of ours is one of an id and one of
 * data. */
static void take_line(void *data, const char *text, size_t len)
{
	struct logs *logs = data;
	autojson json_t *entry = NULL;

	logs->heard = true;
	if (len && text[len - 1] == '\r')
		len--;
	if (len > 4 && memcmp(text, "id: ", 4) == 0) {
		free(logs->last_id);
		logs->last_id = mem_strndup(text + 4, len - 4);
	}
	if (len < 6 || memcmp(text, "data: ", 6) != 0)
		return;
	entry = json_loadb(text + 6, len - 6, JSON_ALLOW_NUL, NULL);
	print_entry(logs, entry);
	if (*answer_text(entry, "error"))
		fprintf(stderr, "ten: %s\n", answer_text(entry, "error"));
	fflush(stdout);
}

/* Whether the daemon is there again, within --timeout: it may be on its way to its next version. */
static bool comes_back(struct cli *cli)
{
	const struct timespec moment = { .tv_nsec = LOOK_AGAIN_MS * 1000000L };

	for (long waited = 0; waited < cli->timeout_secs * 1000; waited += LOOK_AGAIN_MS) {
		nanosleep(&moment, NULL);
		if (client_reachable(cli))
			return true;
	}
	return false;
}

static int follow(struct logs *logs, const char *query)
{
	int code;

	do {
		autofree char *path = mem_printf("/api/logs/stream?%s%s%s", query,
			logs->last_id ? "&last_event_id=" : "", logs->last_id ? logs->last_id : "");

		logs->heard = false;
		code = client_stream(logs->cli, path, take_line, logs);
	} while ((logs->heard || logs->last_id) && (code == CLI_DONE || code == CLI_UNREACHABLE) &&
		 comes_back(logs->cli));
	return code;
}

/* ---- what is asked for ---- */

static void add(struct text *query, const char *name, const char *value)
{
	autofree char *escaped = client_escape(value);

	text_printf(query, "%s%s=%s", query->len ? "&" : "", name, escaped);
}

static int add_time(
	const struct cli *cli, struct text *query, const char *name, const char *value, int64_t *at)
{
	if (!since_parse(value, (int64_t)time(NULL), at))
		return cli_usage(cli, "--%s %s: not " SINCE_MEANT, name, value);
	text_printf(query, "%s%s=%" PRId64, query->len ? "&" : "", name, *at * 1000);
	return CLI_DONE;
}

static int add_times(const struct cli *cli, struct text *query)
{
	const char *since = cli->flags.value[FLAG_SINCE], *until = cli->flags.value[FLAG_UNTIL];
	int64_t from = 0, to = 0;
	int code = since ? add_time(cli, query, "since", since, &from) : CLI_DONE;

	if (code || !until)
		return code;
	if (cli->flags.value[FLAG_FOLLOW])
		return cli_usage(cli, "-f and --until: what is followed has no end");
	code = add_time(cli, query, "until", until, &to);
	if (!code && to <= from)
		return cli_usage(cli, "--until is not after --since");
	return code;
}

/* "notes:alice", or "notes" for all of the service. */
static int add_target(struct logs *logs, struct text *query)
{
	const char *target = logs->cli->args[0];

	logs->many = !target || !strchr(target, ':');
	if (!target)
		return CLI_DONE;
	add(query, logs->many ? "process" : "id", target);
	return logs->many ? CLI_DONE : cli_check_target(logs->cli, target);
}

static int add_all(struct logs *logs, struct text *query)
{
	const struct cli *cli = logs->cli;
	const char *lines = cli->flags.value[FLAG_LINES], *level = cli->flags.value[FLAG_LEVEL];
	const char *search = cli->flags.value[FLAG_SEARCH];
	long limit;
	int code = add_target(logs, query);

	if (code)
		return code;
	if (lines && cli_number(lines, 0, LINES_MAX, &limit) < 0)
		return cli_usage(cli, "-n %s: not a number from 0 to %d", lines, LINES_MAX);
	if (level && strcmp(level, "stdout") != 0 && strcmp(level, "stderr") != 0)
		return cli_usage(cli, "--level %s: it is stdout or stderr", level);
	if (lines)
		text_printf(query, "%slimit=%ld", query->len ? "&" : "", limit);
	if (level)
		add(query, "level", level);
	if (search)
		add(query, "search", search);
	return add_times(cli, query);
}

int cmd_logs(struct cli *cli)
{
	struct logs logs = { .cli = cli };
	autotext struct text query = { 0 };
	int code = add_all(&logs, &query);

	if (!code)
		code = (cli->flags.value[FLAG_FOLLOW] ? follow : show)(
			&logs, query.data ? query.data : "");
	free(logs.last_id);
	return code;
}
