#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "cli/answer.h"
#include "cli/client.h"
#include "cli/commands.h"
#include "cli/human.h"
#include "cli/since.h"
#include "cli/table.h"
#include "mem.h"

#define SINCE_DEFAULT         "30d"
#define STAMP_MAX             40
#define USEC_PER_SEC          1e6
#define KIB_SECS_PER_MIB_HOUR (1024. * 3600)

enum by { BY_TENANT, BY_DAY, BY_HOUR };
static const char *const by_names[] = { "tenant", "day", "hour", NULL };

static const struct table_column columns[] = {
	{ .title = "FROM" },
	{ .title = "TENANT" },
	{ .title = "REQS", .right = true },
	{ .title = "IN", .right = true },
	{ .title = "OUT", .right = true },
	{ .title = "CPU", .right = true },
	{ .title = "MEMORY", .right = true },
	{ .title = "MAX", .right = true, .drop = 1 },
	{ .title = "MIB-HOURS", .right = true },
	{ .title = "UPTIME", .right = true },
	{ .title = "STORED", .right = true, .drop = 2 },
	{ .title = "READ", .right = true, .drop = 3 },
	{ .title = "WRITTEN", .right = true, .drop = 4 },
	{ .title = "STARTS", .right = true, .drop = 5 },
};

/* One question and what is made of its answers. */
struct usage_report {
	struct cli *cli;
	enum by by;
	struct table *table;
	json_t *rows; /* for -o json */
};

static double number(const json_t *row, const char *key)
{
	return json_number_value(json_object_get(row, key));
}

static double mib_hours(const json_t *row)
{
	return number(row, "memory_kib_secs") / KIB_SECS_PER_MIB_HOUR;
}

static void stamp(const json_t *row, const char *format, char out[STAMP_MAX])
{
	time_t from = (time_t)answer_number(row, "from");
	struct tm moment;

	gmtime_r(&from, &moment);
	strftime(out, STAMP_MAX, format, &moment);
}

/* ---- CSV ---- */

/* RFC 4180. */
static void csv_text(const char *text)
{
	if (!text[strcspn(text, ",\"\r\n")]) {
		fputs(text, stdout);
		return;
	}
	putchar('"');
	for (; *text; text++)
		printf(*text == '"' ? "\"\"" : "%c", *text);
	putchar('"');
}

/* Nothing stands for what is not known. */
static void csv_number(const json_t *row, const char *key)
{
	const json_t *value = json_object_get(row, key);

	putchar(',');
	if (json_is_integer(value))
		printf("%" JSON_INTEGER_FORMAT, json_integer_value(value));
}

static void csv_head(void)
{
	fputs("service,tenant,from,requests,bytes_in,bytes_out,cpu_seconds,uptime_seconds,"
	      "memory_mib_hours,memory_max_bytes,io_read_bytes,io_written_bytes,starts,oom_kills,"
	      "stored_bytes\r\n",
		stdout);
}

static void csv_row(const json_t *row)
{
	static const char *const last[] = { "memory_max_bytes", "io_read_bytes", "io_written_bytes",
		"starts", "oom_kills", "stored_bytes" };
	char from[STAMP_MAX];

	stamp(row, "%Y-%m-%dT%H:%M:%SZ", from);
	csv_text(answer_text(row, "service"));
	putchar(',');
	csv_text(answer_text(row, "tenant"));
	printf(",%s", from);
	csv_number(row, "requests");
	csv_number(row, "bytes_in");
	csv_number(row, "bytes_out");
	printf(",%.6f,%.3f,%.6f", number(row, "cpu_usec") / USEC_PER_SEC,
		number(row, "uptime_ms") / 1000, mib_hours(row));
	for (size_t i = 0; i < sizeof(last) / sizeof(*last); i++)
		csv_number(row, last[i]);
	fputs("\r\n", stdout);
}

/* ---- for people ---- */

static void add_bytes(struct table *table, const json_t *row, const char *key)
{
	char text[HUMAN_MAX];

	human_bytes(answer_number(row, key), text);
	table_cell(table, text);
}

static void add_mean_memory(struct table *table, const json_t *row)
{
	double secs = number(row, "uptime_ms") / 1000;
	char text[HUMAN_MAX];

	human_bytes(secs > 0 ? (int64_t)(number(row, "memory_kib_secs") / secs * 1024) : -1, text);
	table_cell(table, text);
}

static void table_add(const struct usage_report *report, const json_t *row)
{
	struct table *table = report->table;
	char text[STAMP_MAX] = "";

	if (report->by != BY_TENANT)
		stamp(row, report->by == BY_DAY ? "%Y-%m-%d" : "%Y-%m-%d %H:%M", text);
	table_row(table);
	table_cell(table, text);
	table_cellf(table, "%s:%s", answer_text(row, "service"), answer_text(row, "tenant"));
	table_cellf(table, "%" PRId64, answer_number(row, "requests"));
	add_bytes(table, row, "bytes_in");
	add_bytes(table, row, "bytes_out");
	table_cellf(table, "%.2fs", number(row, "cpu_usec") / USEC_PER_SEC);
	add_mean_memory(table, row);
	add_bytes(table, row, "memory_max_bytes");
	table_cellf(table, "%.2f", mib_hours(row));
	human_age(answer_number(row, "uptime_ms") / 1000, text);
	table_cell(table, text);
	add_bytes(table, row, "stored_bytes");
	add_bytes(table, row, "io_read_bytes");
	add_bytes(table, row, "io_written_bytes");
	table_cellf(table, "%" PRId64, answer_number(row, "starts"));
}

/* ---- asking ---- */

static void show_rows(struct usage_report *report, const json_t *answer)
{
	const json_t *rows = answer_list(answer, "rows");
	json_t *row;
	size_t i;

	json_array_foreach (rows, i, row) {
		if (report->cli->json)
			json_array_append(report->rows, row);
		else if (report->cli->csv)
			csv_row(row);
		else if (report->cli->quiet)
			printf("%s:%s\n", answer_text(row, "service"), answer_text(row, "tenant"));
		else
			table_add(report, row);
	}
}

/* All of it, piece by piece. */
static int ask(struct usage_report *report, const char *path)
{
	autofree char *next = mem_strdup(path);

	while (next) {
		struct client_request request = { .path = next,
			.waiting = "summing up what was used" };
		autojson json_t *answer = NULL;
		int code = client_ask(report->cli, &request, &answer);
		const json_t *after;

		if (code)
			return code;
		show_rows(report, answer);
		free(mem_steal(&next));
		after = json_object_get(answer, "next");
		if (after)
			next = mem_printf("%s&after=%" PRId64 "&after_tenant=%" PRId64, path,
				answer_number(after, "after"),
				answer_number(after, "after_tenant"));
	}
	return CLI_DONE;
}

static int parse_by(const struct cli *cli, enum by *by)
{
	const char *wanted = cli->flags.value[FLAG_BY];

	*by = BY_TENANT;
	for (int i = 0; wanted && by_names[i]; i++)
		if (strcmp(by_names[i], wanted) == 0) {
			*by = (enum by)i;
			return CLI_DONE;
		}
	return wanted ? cli_usage(cli, "--by %s: it is tenant, day or hour", wanted) : CLI_DONE;
}

static int parse_times(const struct cli *cli, int64_t *since, int64_t *until)
{
	const char *from = cli->flags.value[FLAG_SINCE], *end = cli->flags.value[FLAG_UNTIL];
	int64_t now = (int64_t)time(NULL);

	if (!since_parse(from ? from : SINCE_DEFAULT, now, since))
		return cli_usage(cli, "--since %s: not " SINCE_MEANT, from);
	if (end && !since_parse(end, now, until))
		return cli_usage(cli, "--until %s: not " SINCE_MEANT, end);
	if (end && *until <= *since)
		return cli_usage(cli, "--until is not after --since");
	return CLI_DONE;
}

static void finish(struct usage_report *report)
{
	struct cli *cli = report->cli;

	if (cli->json) {
		autojson json_t *all = json_pack("{s:O}", "rows", report->rows);

		answer_print(all);
	} else if (!cli->csv && !cli->quiet) {
		if (table_rows(report->table))
			table_print(report->table, &cli->term);
		else
			puts("Nothing was used in that time.");
	}
}

int cmd_usage(struct cli *cli)
{
	struct usage_report report = { .cli = cli };
	autofree char *tenant = cli->arg_count ? client_escape(cli->args[0]) : NULL;
	autofree char *path = NULL;
	int64_t since = 0, until = 0;
	int code = parse_by(cli, &report.by);

	if (!code)
		code = parse_times(cli, &since, &until);
	if (!code && cli->arg_count && strchr(cli->args[0], ':'))
		code = cli_check_target(cli, cli->args[0]);
	if (code)
		return code;
	path = mem_printf("/api/usage?by=%s&since=%" PRId64, by_names[report.by], since);
	if (until) {
		autofree char *open = mem_steal(&path);

		path = mem_printf("%s&until=%" PRId64, open, until);
	}
	if (tenant) {
		autofree char *all = mem_steal(&path);

		path = mem_printf("%s&tenant=%s", all, tenant);
	}
	report.table = table_new(columns, sizeof(columns) / sizeof(*columns));
	report.rows = json_array();
	if (cli->csv)
		csv_head();
	code = ask(&report, path);
	if (!code)
		finish(&report);
	table_free(report.table);
	json_decref(report.rows);
	return code;
}
