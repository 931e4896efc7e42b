#include "cli/report.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/human.h"
#include "cli/instance.h"
#include "cli/visible.h"
#include "mem.h"
#include "storage_rules.h"
#include "text.h"

static void number_field(
	const struct cli *cli, const char *name, const json_t *instance, const char *key)
{
	int64_t number = answer_number(instance, key);
	char text[32];

	if (number < 0)
		return;
	snprintf(text, sizeof(text), "%" PRId64, number);
	report_field(cli, name, text);
}

static void age_field(
	const struct cli *cli, const char *name, const json_t *instance, const char *key)
{
	int64_t secs = answer_number(instance, key);
	char age[HUMAN_MAX];

	if (secs < 0)
		return;
	human_age(secs, age);
	report_field(cli, name, age);
}

static void print_head(const struct cli *cli, const json_t *instance)
{
	const char *state = answer_text(instance, "state");
	const char *health = answer_text(instance, "health");
	enum term_style style = instance_style(state);
	char age[HUMAN_MAX];

	human_age(answer_number(instance, "state_secs"), age);
	printf("%s%s%s is %s%s%s", term_begin(&cli->term, TERM_BOLD), answer_text(instance, "id"),
		term_end(&cli->term, TERM_BOLD), term_begin(&cli->term, style), state,
		term_end(&cli->term, style));
	if (answer_number(instance, "state_secs") > 0)
		printf(" for %s", age);
	if (*health && strcmp(health, "unknown") != 0)
		printf(", %s", health);
	putchar('\n');
}

/* When one that failed is tried again, and what else brings it back. */
static void print_next_try(const struct cli *cli, const json_t *instance)
{
	const json_t *next = json_object_get(instance, "next_try");
	const char *by = answer_text(next, "by");
	int64_t secs = answer_number(next, "secs");
	char age[HUMAN_MAX];
	autofree char *text = NULL;

	if (!json_is_object(next))
		return;
	human_age(secs, age);
	if (strcmp(by, "request") == 0)
		text = secs > 0 ? mem_printf(
					  "by the first request in %s or later, or by `ten start`",
					  age)
				: mem_strdup("by the next request, or by `ten start`");
	else if (strcmp(by, "time") == 0)
		text = mem_printf("in %s", age);
	else
		text = mem_strdup("by `ten start`");
	report_field(cli, "next try", text);
}

static void print_failures(const struct cli *cli, const json_t *instance)
{
	const char *check = answer_text(instance, "failed_check");

	report_field(cli, "last check", check);
	if (answer_number(instance, "restarts") > 0)
		number_field(cli, "restarts", instance, "restarts");
	if (answer_number(instance, "oom_kills") > 0)
		number_field(cli, "out of memory", instance, "oom_kills");
	report_field(cli, "limits", answer_text(instance, "limits_problem"));
	print_next_try(cli, instance);
}

static void print_declared(const struct cli *cli, const json_t *instance)
{
	const char *declared = answer_text(instance, "declared");
	const char *effective = answer_text(instance, "effective");
	autofree char *overridden = answer_joined(instance, "overridden", ", ");
	const char *file = answer_text(instance, "file");
	const char *wrong = answer_text(instance, "wrong_file");
	int64_t line = answer_number(instance, "line");
	autofree char *where = line > 0 ? mem_printf("%s:%" PRId64, file, line) : mem_strdup(file);
	autofree char *state =
		strcmp(declared, effective) == 0 || !*effective
			? mem_strdup(declared)
			: mem_printf("%s (now %s, %s)", declared, effective,
				  *overridden ? "by an override" : "by storage_over");

	autofree char *but =
		mem_printf("%s is wrong now: the last good state of it is in force (ten check)",
			*wrong ? wrong : "its file");

	report_field(cli, "declared", state);
	report_field(cli, "in", where);
	if (answer_flag(instance, "last_good"))
		report_field(cli, "but", but);
	report_field(cli, "overridden", overridden);
}

static void print_refusals(const struct cli *cli, const json_t *instance)
{
	autotext struct text text = { 0 };
	const char *reason;
	json_t *number;

	json_object_foreach (json_object_get(instance, "refusals"), reason, number)
		text_printf(&text, "%s%" JSON_INTEGER_FORMAT " by %s", text.len ? ", " : "",
			json_integer_value(number), reason);
	report_field(cli, "refused", text.data ? text.data : "");
}

static void print_work(const struct cli *cli, const json_t *instance)
{
	number_field(cli, "requests", instance, "requests");
	number_field(cli, "in flight", instance, "in_flight");
	if (answer_number(instance, "upgraded") > 0)
		number_field(cli, "upgraded", instance, "upgraded");
	if (answer_number(instance, "waiting") > 0)
		number_field(cli, "waiting", instance, "waiting");
	if (answer_number(instance, "queued") > 0)
		number_field(cli, "queued", instance, "queued");
	if (answer_number(instance, "connections") > 0)
		number_field(cli, "connections", instance, "connections");
	print_refusals(cli, instance);
	age_field(cli, "idle", instance, "idle_secs");
	number_field(cli, "weight", instance, "weight");
	if (strcmp(answer_text(instance, "sticky"), "none") != 0)
		report_field(cli, "sticky", answer_text(instance, "sticky"));
}

static void print_sleep(const struct cli *cli, const json_t *instance)
{
	const json_t *schedule = json_object_get(instance, "schedule");
	const json_t *next = json_array_get(answer_list(instance, "next"), 0);
	int64_t secs = next ? answer_number(next, "in_secs") : -1;
	char age[HUMAN_MAX];

	report_field(cli, "kept awake", answer_text(schedule, "hours"));
	report_field(cli, "next wake", answer_text(schedule, "next_wake"));
	if (secs >= 0) {
		autofree char *text = NULL;

		human_age(secs, age);
		text = mem_printf("will be %s in %s, if nothing comes", answer_text(next, "to"),
			secs ? age : "no time");
		report_field(cli, "sleep", text);
	}
}

static void print_memory(const struct cli *cli, const json_t *instance)
{
	int64_t bytes = answer_number(instance, "memory_bytes");
	const json_t *usage = json_object_get(instance, "usage");
	int64_t peak = answer_number(usage, "memory_peak_bytes");
	autofree char *most = peak > 0 ? mem_printf(", %.1f at the most", (double)peak / (1 << 20))
				       : mem_strdup("");
	autofree char *text = mem_printf("%.1f MiB%s", (double)bytes / (1 << 20), most);

	if (bytes > 0)
		report_field(cli, "memory", text);
}

static void print_storage(const struct cli *cli, const json_t *instance)
{
	const json_t *storage = json_object_get(instance, "storage");
	int64_t used = answer_number(storage, "used_bytes");
	int64_t quota = answer_number(storage, "quota_bytes");
	char used_size[STORAGE_SIZE_MAX] = "?", quota_size[STORAGE_SIZE_MAX];
	autofree char *text = NULL;

	if (used >= 0)
		storage_size((uint64_t)used, used_size);
	if (quota > 0) {
		storage_size((uint64_t)quota, quota_size);
		text = mem_printf("%s of %s (%" PRId64 " %%)", used_size, quota_size,
			used < 0 ? 0 : answer_number(storage, "usage_percent"));
	}
	if (used >= 0 || quota > 0)
		report_field(cli, "stored", text ? text : used_size);
	report_field(cli, "not measured", answer_text(storage, "problem"));
}

static void print_cpu(const struct cli *cli, const json_t *instance)
{
	int64_t usec = answer_number(json_object_get(instance, "usage"), "cpu_usec");
	autofree char *text = mem_printf("%.2f s", (double)usec / 1e6);

	if (usec >= 0)
		report_field(cli, "cpu", text);
}

static void print_process(const struct cli *cli, const json_t *instance)
{
	const json_t *command = json_object_get(instance, "command");
	autofree char *words =
		json_is_array(command) ? answer_joined(instance, "command", " ") : NULL;

	number_field(cli, "pid", instance, "pid");
	print_memory(cli, instance);
	print_cpu(cli, instance);
	age_field(cli, "up", instance, "uptime_secs");
	number_field(cli, "uid", instance, "uid");
	number_field(cli, "port", instance, "port");
	report_field(cli, "socket", answer_text(instance, "socket"));
	report_field(cli, "isolation", answer_text(instance, "isolation"));
	report_field(cli, "network", answer_text(instance, "network"));
	report_field(cli, "command", words ? words : answer_text(instance, "command"));
	report_field(cli, "folder", answer_text(instance, "dir"));
	print_storage(cli, instance);
}

static void print_secrets(const struct cli *cli, const json_t *instance)
{
	const json_t *secrets = json_object_get(instance, "secrets");
	const char *problem = answer_text(secrets, "problem");
	autofree char *files = answer_joined(secrets, "env_file", ", ");
	autotext struct text names = { 0 };
	const char *name;
	json_t *path;

	json_object_foreach (json_object_get(secrets, "credentials"), name, path)
		text_printf(
			&names, "%s%s (%s)", names.len ? ", " : "", name, json_string_value(path));
	report_field(cli, "env file", files);
	report_field(cli, "secrets", names.data ? names.data : "");
	report_field(cli, "but", problem);
}

/* Either {"NAME": "value"} or ["NAME=value"]. */
static void print_environment(const struct cli *cli, const json_t *instance)
{
	json_t *env = json_object_get(instance, "env");
	const char *name;
	json_t *value;
	size_t i;

	if (!json_object_size(env) && !json_array_size(env))
		return;
	term_heading(&cli->term, TERM_PLAIN, "Environment");
	json_object_foreach (env, name, value) {
		autofree char *line = mem_printf("%s=%s", name, answer_text(env, name));
		autofree char *harmless = visible_line(line);

		printf("  %s\n", harmless);
	}
	json_array_foreach (env, i, value) {
		const char *line = json_string_value(value);
		autofree char *harmless = visible_line(line ? line : "");

		printf("  %s\n", harmless);
	}
}

/* Lines of text, or as the log has them ({"message": ...}). */
static void print_list(
	const struct cli *cli, const json_t *instance, const char *key, const char *heading)
{
	const json_t *list = answer_list(instance, key), *item;
	size_t i;

	if (!json_array_size(list))
		return;
	term_heading(&cli->term, TERM_PLAIN, heading);
	json_array_foreach (list, i, item) {
		const char *text = json_is_string(item) ? json_string_value(item)
							: answer_text(item, "message");
		autofree char *harmless = visible_line(text);

		printf("  %s\n", harmless);
	}
}

void report_tenant(struct cli *cli, const json_t *instance)
{
	print_head(cli, instance);
	report_field(cli, "reason", answer_text(instance, "reason"));
	print_failures(cli, instance);
	report_field(cli, "url", answer_text(instance, "url"));
	print_declared(cli, instance);
	print_work(cli, instance);
	print_sleep(cli, instance);
	print_process(cli, instance);
	print_secrets(cli, instance);
	print_environment(cli, instance);
	print_list(cli, instance, "degraded", "Degraded");
	print_list(cli, instance, "overrides", "Overrides");
	print_list(cli, instance, "log", "Last output");
}

bool report_tenant_is_wrong(const json_t *instance)
{
	return instance_is_in_trouble(answer_text(instance, "state")) ||
	       strcmp(answer_text(instance, "health"), "unhealthy") == 0 ||
	       answer_flag(instance, "last_good");
}

void report_tenant_ids(const json_t *instance)
{
	puts(answer_text(instance, "id"));
}
