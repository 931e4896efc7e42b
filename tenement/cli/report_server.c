#include "cli/report.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/human.h"
#include "cli/instance.h"
#include "cli/visible.h"
#include "mem.h"
#include "text.h"

#define HELD_SHOWN    8
#define TROUBLE_SHOWN 20

static const char *const states[] = { "ready", "frozen", "starting", "draining", "stopping",
	"backoff", "failed", "asleep", "stopped", "suspended", NULL };

static void print_lines(const char *before, const char *text)
{
	autofree char *harmless = visible_lines(text);
	char *rest = harmless, *line;

	while ((line = strsep(&rest, "\n"))) {
		if (*line || rest)
			printf("%s%s\n", before, line);
	}
}

/* Wrapped at the terminal's width. */
static void print_prose(const struct cli *cli, const char *before, const char *text)
{
	autofree char *harmless = visible_line(text);
	const char *rest = harmless;
	size_t room = (size_t)cli->term.width - strlen(before);

	while (*rest) {
		size_t len = strlen(rest), cut;

		if (len > room) {
			for (cut = room; cut > 0 && rest[cut] != ' ';)
				cut--;
			len = cut ? cut : strcspn(rest, " ");
		}
		printf("%s%.*s\n", before, (int)len, rest);
		rest += len;
		rest += strspn(rest, " ");
	}
}

static void section(const struct cli *cli, enum term_style style, const char *heading,
	const json_t *list, void (*print)(const struct cli *, const char *, const char *))
{
	const json_t *item;
	size_t i;

	if (!json_array_size(list))
		return;
	term_heading(&cli->term, style, heading);
	json_array_foreach (list, i, item)
		print(cli, "  ", json_string_value(item) ? json_string_value(item) : "");
}

void report_field(const struct cli *cli, const char *name, const char *text)
{
	autofree char *harmless = visible_line(text);

	if (*text)
		printf("  %s%-14s%s  %s\n", term_begin(&cli->term, TERM_DIM), name,
			term_end(&cli->term, TERM_DIM), harmless);
}

static void print_head(const struct cli *cli, const json_t *status)
{
	autofree char *listen = answer_joined(status, "listen", ", ");
	char age[HUMAN_MAX];

	human_age(answer_number(status, "uptime_secs"), age);
	printf("%stenement %s%s, pid %" PRId64 " (keeper: %" PRId64 "), up %s, generation %" PRId64
	       "%s\n",
		term_begin(&cli->term, TERM_BOLD), answer_text(status, "version"),
		term_end(&cli->term, TERM_BOLD), answer_number(status, "pid"),
		answer_number(status, "keeper_pid"), age, answer_number(status, "generation"),
		answer_flag(status, "converged") ? "" : ", at work on changes");
	report_field(cli, "domain", answer_text(status, "domain"));
	report_field(cli, "listening on", listen);
	report_field(cli, "configuration", answer_text(status, "conf_dir"));
	report_field(cli, "data", answer_text(status, "data_dir"));
}

static void print_tenants(const struct cli *cli, const json_t *status)
{
	const json_t *tenants = json_object_get(status, "tenants");
	autotext struct text line = { 0 };

	text_printf(&line, "%" PRId64 " declared", answer_number(tenants, "declared"));
	for (size_t i = 0; states[i]; i++) {
		int64_t count = answer_number(tenants, states[i]);

		if (count > 0)
			text_printf(&line, ", %s%" PRId64 " %s%s",
				term_begin(&cli->term, instance_style(states[i])), count, states[i],
				term_end(&cli->term, instance_style(states[i])));
	}
	printf("  %s%-14s%s  %s\n", term_begin(&cli->term, TERM_DIM), "tenants",
		term_end(&cli->term, TERM_DIM), line.data);
}

/* Where there is a bound. */
static void print_room(const struct cli *cli, const json_t *status)
{
	const json_t *room = json_object_get(status, "room");
	int64_t places = answer_number(room, "max_running");
	int64_t budget = answer_number(room, "memory_budget_bytes");
	int64_t waiting = answer_number(room, "waiting");
	const json_t *pressure = json_object_get(room, "memory_pressure");
	autotext struct text line = { 0 };

	if (places > 0)
		text_printf(&line, "%" PRId64 " of %" PRId64 " running",
			answer_number(room, "running"), places);
	if (budget > 0)
		text_printf(&line, "%s%" PRId64 " of %" PRId64 " MiB of memory",
			line.len ? ", " : "", answer_number(room, "memory_bytes") >> 20,
			budget >> 20);
	if (json_is_real(pressure))
		text_printf(&line, "%smemory pressure %.2f %%", line.len ? ", " : "",
			json_real_value(pressure));
	if (waiting > 0)
		text_printf(&line, "; %" PRId64 " %s %s", waiting, waiting == 1 ? "is" : "are",
			answer_text(room, "why"));
	if (line.len)
		report_field(cli, "room", line.data);
}

static void print_workers(const struct cli *cli, const json_t *status)
{
	const json_t *proxy = json_object_get(status, "proxy");
	int64_t clients = answer_number(proxy, "clients");
	int64_t requests = answer_number(proxy, "requests");
	size_t count = answer_count(status, "workers");
	autofree char *line =
		mem_printf("%zu worker%s, %" PRId64 " client%s, %" PRId64 " request%s", count,
			human_plural((int64_t)count), clients, human_plural(clients), requests,
			human_plural(requests));

	report_field(cli, "proxy", line);
	report_field(cli, "control groups", answer_text(status, "cgroups"));
	report_field(cli, "limits", answer_text(status, "limits"));
	report_field(cli, "storage", answer_text(status, "storage"));
}

static void print_paused(const struct cli *cli, const json_t *status)
{
	const char *why = answer_text(status, "paused_why");
	autofree char *text = mem_printf(
		"Changed files are not acted on%s%s. To go on: ten unpause", *why ? ": " : "", why);

	if (!answer_flag(status, "paused"))
		return;
	term_heading(&cli->term, TERM_YELLOW, "Paused");
	print_prose(cli, "  ", text);
}

static void print_problems(const struct cli *cli, const json_t *status)
{
	const json_t *problems = answer_list(status, "problems"), *problem;
	const json_t *files = json_object_get(status, "files");
	int64_t omitted = answer_number(status, "problems_omitted");
	int64_t bad = answer_number(files, "bad");
	autofree char *heading = NULL;
	size_t i;

	if (!json_array_size(problems) && bad <= 0)
		return;
	heading = mem_printf("%" PRId64 " of %" PRId64
			     " files %s errors; what was good last stays in force",
		bad, answer_number(files, "total"), bad == 1 ? "has" : "have");
	term_heading(&cli->term, TERM_RED, heading);
	json_array_foreach (problems, i, problem)
		print_lines("  ", json_string_value(problem) ? json_string_value(problem) : "");
	if (omitted > 0)
		printf("  and %" PRId64 " more: ten check\n", omitted);
}

static void print_names(
	const struct cli *cli, const char *what, const json_t *held, const char *key)
{
	const json_t *list = answer_list(held, key), *item;
	autotext struct text line = { 0 };
	size_t i;

	if (!json_array_size(list))
		return;
	text_printf(&line, "%s: ", what);
	json_array_foreach (list, i, item) {
		if (i == HELD_SHOWN) {
			text_printf(&line, " and %zu more", json_array_size(list) - i);
			break;
		}
		text_printf(&line, "%s%s", i ? ", " : "",
			json_string_value(item) ? json_string_value(item) : "");
	}
	print_prose(cli, "  ", line.data);
}

static void print_held(const struct cli *cli, const json_t *status)
{
	const json_t *held = json_object_get(status, "held");
	const char *type = answer_text(held, "type");
	autofree char *harmless = visible_line(*type ? type : "ten apply --confirm");

	if (!json_is_object(held))
		return;
	term_heading(&cli->term, TERM_YELLOW, "Removals are held");
	print_prose(cli, "  ", answer_text(held, "why"));
	print_names(cli, "files gone", held, "files");
	print_names(cli, "tenants that stay", held, "instances");
	printf("  If that is meant:  %s\n  If not: put the files back.\n", harmless);
}

static void print_trouble(const struct cli *cli, const json_t *status)
{
	size_t count = answer_count(status, "trouble"), i;
	const json_t *item;

	if (!count)
		return;
	term_heading(&cli->term, TERM_RED, "Tenants in trouble");
	json_array_foreach (answer_list(status, "trouble"), i, item) {
		autofree char *line = mem_printf(
			"%s is %s", answer_text(item, "instance"), answer_text(item, "state"));

		if (i == TROUBLE_SHOWN)
			break;
		print_prose(cli, "  ", line);
		print_prose(cli, "      ", answer_text(item, "reason"));
	}
	if (count > TROUBLE_SHOWN)
		printf("  and %zu more: ten status -q, ten ps -a\n", count - TROUBLE_SHOWN);
	puts("  More on one: ten status SERVICE:ID, ten logs SERVICE:ID");
}

static void print_overrides(const struct cli *cli, const json_t *status)
{
	int64_t count = answer_number(status, "overrides");

	if (count <= 0)
		return;
	term_heading(&cli->term, TERM_PLAIN, "Overrides");
	printf("  %" PRId64 " thing%s set by hand over what is declared: ten overrides\n", count,
		count == 1 ? " is" : "s are");
}

bool report_server_is_wrong(const json_t *status)
{
	const json_t *tenants = json_object_get(status, "tenants");

	return answer_count(status, "problems") || answer_count(status, "listen_problems") ||
	       answer_number(json_object_get(status, "files"), "bad") > 0 ||
	       json_is_object(json_object_get(status, "held")) || answer_count(status, "halted") ||
	       answer_count(status, "trouble") || answer_number(tenants, "failed") > 0;
}

void report_server(struct cli *cli, const json_t *status)
{
	print_head(cli, status);
	print_tenants(cli, status);
	print_room(cli, status);
	print_workers(cli, status);
	print_paused(cli, status);
	print_problems(cli, status);
	section(cli, TERM_RED, "Not listened on (tried again; until then no address is given up)",
		answer_list(status, "listen_problems"), print_prose);
	print_held(cli, status);
	section(cli, TERM_RED, "Roll-outs that were halted", answer_list(status, "halted"),
		print_prose);
	print_trouble(cli, status);
	section(cli, TERM_YELLOW, "Settings that wait for: ten apply --confirm",
		answer_list(status, "confirm"), print_prose);
	section(cli, TERM_YELLOW, "Settings that take effect at the next start",
		answer_list(status, "restart_needed"), print_prose);
	section(cli, TERM_YELLOW, "Warnings", answer_list(status, "warnings"), print_prose);
	section(cli, TERM_YELLOW, "Degraded", answer_list(status, "degraded"), print_prose);
	print_overrides(cli, status);
	if (!report_server_is_wrong(status))
		printf("\n%sNothing is wrong.%s\n", term_begin(&cli->term, TERM_GREEN),
			term_end(&cli->term, TERM_GREEN));
}

void report_server_ids(const json_t *status)
{
	const json_t *item;
	size_t i;

	json_array_foreach (answer_list(status, "trouble"), i, item)
		puts(answer_text(item, "instance"));
}
