/* ten doctor: what this machine can give, and what is lost where it cannot. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/answer.h"
#include "cli/client.h"
#include "cli/commands.h"
#include "cli/load.h"
#include "cli/place.h"
#include "cli/visible.h"
#include "common/checkup.h"
#include "machine.h"
#include "mem.h"

#define DAEMON "the daemon that runs"

/* ---- what the configuration asks for ---- */

struct asked {
	struct checkup *checkup;
	struct config_set *set;
	char *last;
};

static void learn_values(struct asked *asked, const struct service_values *values)
{
	bool native = values->sandbox == SANDBOX_NATIVE;

	if (values->isolation == ISOLATION_SANDBOX) {
		asked->checkup->asks_native = asked->checkup->asks_native || native;
		asked->checkup->asks_gvisor = asked->checkup->asks_gvisor || !native;
	}
	if (values->nofile_limit > asked->checkup->nofile)
		asked->checkup->nofile = values->nofile_limit;
	if (strcmp(values->user, "dynamic") != 0)
		asked->checkup->names_users = true;
}

static void learn_service(void *data, const char *service)
{
	struct asked *asked = data;

	learn_values(asked, config_set_service(asked->set, service));
}

static void learn_path(struct asked *asked, const struct ten_spec *spec, const char *written)
{
	const struct setting_values *settings = config_set_settings(asked->set);
	const struct spec_place place = { .data_dir = settings->data_dir,
		.runtime_dir = settings->runtime_dir };
	autofree char *path = spec_interpolate(spec, &place, written, NULL);

	/* (most tenants share those of their service) */
	if (path && !(asked->last && strcmp(asked->last, path) == 0)) {
		mem_strv_append(&asked->checkup->secrets, path);
		free(asked->last);
		asked->last = mem_steal(&path);
	}
}

static void learn_tenant(void *data, const struct ten_spec *spec)
{
	learn_values(data, &spec->values);
	for (char *const *path = spec->values.env_file; path && *path; path++)
		learn_path(data, spec, *path);
	for (size_t i = 0; i < spec->values.credentials.count; i++)
		learn_path(data, spec, spec->values.credentials.pairs[i].value);
}

static void learn(struct checkup *checkup, struct config_set *set)
{
	struct asked asked = { .checkup = checkup, .set = set };

	checkup->settings = config_set_settings(set);
	checkup->tenants = config_set_instance_count(set);
	config_set_each_service(set, learn_service, &asked);
	config_set_each_instance(set, learn_tenant, &asked);
	free(asked.last);
}

/* What is missing as the daemon would hold it against the files. */
static void make_machine(const struct checkup *checkup, struct machine *machine)
{
	for (size_t i = 0; i < checkup->count; i++) {
		const struct checkup_finding *finding = &checkup->items[i];

		for (size_t n = 0;
			finding->state == CHECKUP_MISSING && n < finding->needed_by_count; n++) {
			const struct checkup_need *need = &finding->needed_by[n];

			if (option_find(OPTION_SERVICE, need->option))
				machine_add_lack(machine, need->option, need->value, "[%s]%s: %s",
					need->value ? need->value : "", need->option,
					finding->found);
		}
	}
}

static bool is_refused(struct config_set *set, const char *why)
{
	const struct config_problem *problems;
	size_t count = config_set_problems(set, &problems);

	for (size_t i = 0; i < count; i++)
		if (strstr(problems[i].message, why))
			return true;
	return false;
}

/* Judged with what is missing, the files say which of it they ask for. */
static void find_asked(struct cli *cli, struct place *place, struct checkup *checkup)
{
	struct machine machine = { 0 };
	autofree char *conf_dir = NULL;
	struct config_set *set;
	struct ten_error err;

	make_machine(checkup, &machine);
	place->machine = &machine;
	set = load_all(cli, place, NULL, &conf_dir, &err);
	place->machine = NULL;
	for (size_t i = 0; set && i < checkup->count; i++) {
		struct checkup_finding *finding = &checkup->items[i];

		for (size_t n = 0;
			finding->state == CHECKUP_MISSING && n < finding->needed_by_count; n++) {
			const struct checkup_need *need = &finding->needed_by[n];
			const char *why = machine_lacks_value(&machine, need->option, need->value);

			finding->asked = finding->asked || (why && is_refused(set, why));
		}
	}
	if (set)
		config_set_free(set);
	machine_clear(&machine);
}

/* What the daemon that runs found lacking when it started, in its words; nothing where none does.
 * *NAMES, which the caller frees, is to outlive the findings. */
static void ask_daemon(struct cli *cli, struct checkup *checkup, char ***names)
{
	autojson json_t *status = client_peek(cli, "/api/status");
	const json_t *list = answer_list(status, "lacks"), *lack;
	size_t i;

	json_array_foreach (list, i, lack) {
		const char *value = answer_text(lack, "value");
		const struct option *option =
			option_find(OPTION_SERVICE, answer_text(lack, "option"));
		autofree char *name = NULL;
		struct checkup_finding *finding;

		if (!option)
			continue;
		name = *value ? mem_printf("%s = %s", option->name, value)
			      : mem_strdup(option->name);
		mem_strv_append(names, name);
		mem_strv_append(names, value);
		finding = checkup_add(checkup, DAEMON, (*names)[mem_strv_length(*names) - 2], false,
			"tenants that are written so are refused, a default is given up",
			"as it says; it is looked for again when the daemon starts", "%s",
			answer_text(lack, "why"));
		checkup_need(finding, option->name,
			*value ? (*names)[mem_strv_length(*names) - 1] : NULL);
	}
	if (json_is_array(json_object_get(status, "lacks")) && !json_array_size(list))
		checkup_add(checkup, DAEMON, "what tenants may ask for", true, NULL, NULL, "%s",
			"all of it");
}

/* ---- the report ---- */

static json_t *finding_json(const struct checkup_finding *finding)
{
	bool missing = finding->state == CHECKUP_MISSING;
	json_t *needed_by = json_array();

	for (size_t i = 0; i < finding->needed_by_count; i++) {
		const struct checkup_need *need = &finding->needed_by[i];
		autofree char *text = need->value
					      ? mem_printf("%s = \"%s\"", need->option, need->value)
					      : mem_strdup(need->option);

		json_array_append_new(needed_by, json_string(text));
	}
	return json_pack("{s:s, s:s, s:b, s:s, s:s?, s:s?, s:b, s:o}", "group", finding->group,
		"name", finding->name, "ok", !missing, "found", finding->found, "lost",
		missing ? finding->lost : NULL, "todo", missing ? finding->todo : NULL, "asked",
		missing && finding->asked, "needed_by", needed_by);
}

static void print_json(const struct checkup *checkup, size_t missing, size_t asked)
{
	autojson json_t *answer = NULL;
	json_t *list = json_array();

	for (size_t i = 0; i < checkup->count; i++)
		json_array_append_new(list, finding_json(&checkup->items[i]));
	answer = json_pack("{s:o, s:I, s:I}", "findings", list, "missing", (json_int_t)missing,
		"asked_and_missing", (json_int_t)asked);
	answer_print(answer);
}

static void print_missing(const struct cli *cli, const struct checkup_finding *finding)
{
	autofree char *lost = visible_line(finding->lost ? finding->lost : "");
	autofree char *todo = visible_line(finding->todo ? finding->todo : "");

	if (cli->quiet)
		return;
	printf("      %s: %s\n", finding->asked ? "lost, and asked for" : "lost", lost);
	printf("      to do: %s\n", todo);
}

static void print_findings(const struct cli *cli, const struct checkup *checkup)
{
	const char *group = "";

	for (size_t i = 0; i < checkup->count; i++) {
		const struct checkup_finding *finding = &checkup->items[i];
		bool missing = finding->state == CHECKUP_MISSING;
		enum term_style style = !missing         ? TERM_GREEN
					: finding->asked ? TERM_RED
							 : TERM_YELLOW;
		autofree char *found = visible_line(finding->found);

		if (cli->quiet) {
			if (missing)
				puts(finding->name);
			continue;
		}
		if (strcmp(group, finding->group) != 0)
			term_heading(&cli->term, TERM_PLAIN, finding->group);
		group = finding->group;
		printf("  %s%-7s%s %-26s %s\n", term_begin(&cli->term, style),
			missing ? "missing" : "ok", term_end(&cli->term, style), finding->name,
			found);
		if (missing)
			print_missing(cli, finding);
	}
}

static void print_sum(const struct cli *cli, size_t missing, size_t asked, bool configured)
{
	if (cli->quiet)
		return;
	putchar('\n');
	if (asked)
		printf("%zu of the %zu things that are missing %s asked for by the "
		       "configuration.\n",
			asked, missing, asked == 1 ? "is" : "are");
	else if (missing)
		printf("%zu things are missing, none that %s asks for.\n", missing,
			configured ? "the configuration" : "a plain configuration");
	else
		puts("Nothing is missing.");
}

int cmd_doctor(struct cli *cli)
{
	autoplace struct place place = { 0 };
	struct checkup checkup = { 0 };
	autofree char *conf_dir = NULL;
	char **names = NULL;
	struct config_set *set;
	size_t missing = 0, asked = 0;
	struct ten_error err;

	if (place_find(cli, &place, &err) < 0)
		return cli_fail(CLI_FAILED, "%s", err.text);
	set = load_all(cli, &place, NULL, &conf_dir, &err);
	if (!set) {
		cli_note("%s: only the settings are looked at", err.text);
		set = load_main(cli, &place);
	}
	checkup.configured = place.main_exists || place.conf_dir_exists;
	learn(&checkup, set);
	checkup_run(&checkup);
	ask_daemon(cli, &checkup, &names);
	find_asked(cli, &place, &checkup);
	for (size_t i = 0; i < checkup.count; i++) {
		bool lacks = checkup.items[i].state == CHECKUP_MISSING;

		missing += lacks;
		asked += lacks && checkup.items[i].asked;
	}
	if (cli->json) {
		print_json(&checkup, missing, asked);
	} else {
		print_findings(cli, &checkup);
		print_sum(cli, missing, asked, checkup.configured);
	}
	checkup_clear(&checkup);
	mem_strv_free(checkup.secrets);
	mem_strv_free(names);
	config_set_free(set);
	return asked ? CLI_FAILED : CLI_DONE;
}
