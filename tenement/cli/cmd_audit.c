#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "cli/answer.h"
#include "cli/client.h"
#include "cli/commands.h"
#include "cli/human.h"
#include "cli/since.h"
#include "cli/token_files.h"
#include "cli/visible.h"
#include "common/audit_log.h"
#include "mem.h"

#define DEFAULT_LINES 50

static int read_files(struct cli *cli, int64_t since_ms, size_t limit, json_t **answer)
{
	autotokenfiles struct token_files files = { .data = -1, .own = -1, .folder = -1 };
	struct audit_log *log;
	struct ten_error err = { 0 };
	int code = token_files_open(cli, TOKEN_STORE_TAKE, &files);

	if (code)
		return code;
	if (files.own < 0) {
		*answer = json_array();
		return CLI_DONE;
	}
	log = audit_log_new(files.own);
	*answer = audit_log_read(log, since_ms, limit, &err);
	audit_log_free(log);
	return *answer ? CLI_DONE : cli_fail(CLI_FAILED, "%s", err.text);
}

static void print_entry(const struct cli *cli, const json_t *entry)
{
	const struct term *term = &cli->term;
	autofree char *by = visible_line(answer_text(entry, "by"));
	autofree char *address = visible_line(answer_text(entry, "address"));
	autofree char *path = visible_line(answer_text(entry, "path"));
	int64_t status = answer_number(entry, "status"), count = answer_number(entry, "count");
	enum term_style style = status >= 400 || status <= 0 ? TERM_YELLOW : TERM_PLAIN;
	char when[HUMAN_MAX];

	human_moment(answer_number(entry, "timestamp"), when);
	printf("%s%s%s  ", term_begin(term, TERM_DIM), when, term_end(term, TERM_DIM));
	if (answer_number(entry, "lost") > 0)
		printf("%s%" PRId64 " lines were lost before this: there was no room%s\n",
			term_begin(term, TERM_YELLOW), answer_number(entry, "lost"),
			term_end(term, TERM_YELLOW));
	else if (count > 1)
		printf("%s%" PRId64 "%s  %" PRId64 " more within a minute%s%s\n",
			term_begin(term, style), status, term_end(term, style), count,
			*by ? ", by " : ", refused", by);
	else
		printf("%s%" PRId64 "%s  %-6s %s  by %s, %s\n", term_begin(term, style), status,
			term_end(term, style), answer_text(entry, "method"), path, by, address);
}

int cmd_audit(struct cli *cli)
{
	const char *lines = cli->flags.value[FLAG_LINES], *since = cli->flags.value[FLAG_SINCE];
	int64_t since_secs = 0;
	long limit = DEFAULT_LINES;
	autofree char *path = NULL;
	autojson json_t *answer = NULL;
	const json_t *entry;
	size_t i;
	int code;

	if (lines && cli_number(lines, 1, AUDIT_LOG_LIMIT_MAX, &limit) < 0)
		return cli_usage(
			cli, "-n %s: not a number from 1 to %d", lines, AUDIT_LOG_LIMIT_MAX);
	if (since && !since_parse(since, (int64_t)time(NULL), &since_secs))
		return cli_usage(cli, "--since %s: not " SINCE_MEANT, since);
	path = mem_printf("/api/audit?limit=%ld&since=%" PRId64, limit, since_secs * 1000);
	code = token_files_needed(cli) ? read_files(cli, since_secs * 1000, (size_t)limit, &answer)
				       : client_get(cli, path, &answer);
	if (code)
		return code;
	if (cli->json) {
		answer_print(answer);
		return CLI_DONE;
	}
	json_array_foreach (answer, i, entry)
		print_entry(cli, entry);
	return CLI_DONE;
}
