#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/answer.h"
#include "cli/client.h"
#include "cli/commands.h"
#include "cli/load.h"
#include "cli/nearest.h"
#include "cli/place.h"
#include "cli/server.h"
#include "cli/settings.h"
#include "mem.h"
#include "suggest.h"
#include "text.h"

#define LISTENER_TABLE "listener"

static int unknown_key(const char *key)
{
	struct suggest suggest = suggest_begin(key);

	for (size_t i = 0; i < option_count; i++)
		suggest_offer(&suggest, options[i].name);
	if (suggest.best)
		return cli_fail(
			CLI_FAILED, "unknown key \"%s\" (did you mean \"%s\"?)", key, suggest.best);
	return cli_fail(CLI_FAILED, "unknown key \"%s\"", key);
}

/* ---- all options there are ---- */

static json_t *option_json(const struct option *option)
{
	return json_pack("{sssssssssIsIsssssssb}", "scope", settings_scope_name(option->scope),
		"name", option->name, "type", settings_type_name(option), "default",
		option->fallback, "min", (json_int_t)option->min, "max", (json_int_t)option->max,
		"choices", option->choices ? option->choices : "", "change",
		settings_change_name(option->change), "prose", option->prose, "given",
		strcmp(option->given ? option->given : "*", "*") == 0);
}

static void print_option(const struct cli *cli, const struct option *option)
{
	autotext struct text out = { 0 }, facts = { 0 };

	if (cli->quiet) {
		puts(option->name);
		return;
	}
	text_printf(&out, "%s%s%s = %s\n", term_begin(&cli->term, TERM_BOLD), option->name,
		term_end(&cli->term, TERM_BOLD),
		option->fallback && *option->fallback ? option->fallback : "(not set)");
	settings_add_prose(&out, "    ", option->prose, (size_t)cli->term.width);
	text_printf(&facts, "%s%s", settings_type_name(option),
		option->type == OPTION_ENUM || option->type == OPTION_INT ? "" : "; ");
	if (option->type == OPTION_ENUM)
		text_printf(&facts, " %s; ", option->choices);
	if (option->type == OPTION_INT)
		text_printf(&facts, " from %" PRId64 " to %" PRId64 "; ", option->min, option->max);
	text_printf(&facts, "a change: %s", settings_change_name(option->change));
	settings_add_prose(&out, "    ", facts.data, (size_t)cli->term.width);
	if (option->given && !*option->given)
		text_puts(&out, "    not available in this build\n");
	else if (option->given && strcmp(option->given, "*") != 0)
		text_printf(&out, "    this build gives: %s\n", option->given);
	fputs(out.data, stdout);
}

static int list_options(const struct cli *cli, const char *key)
{
	autojson json_t *list = json_array();
	int scope = -1;

	for (size_t i = 0; i < option_count; i++) {
		const struct option *option = &options[i];

		if (key && strcmp(option->name, key) != 0 &&
			!(option->scope == OPTION_LISTENER && strcmp(key, LISTENER_TABLE) == 0))
			continue;
		json_array_append_new(list, option_json(option));
		if (cli->json)
			continue;
		if ((int)option->scope != scope && !cli->quiet)
			printf("%s%s\n", scope < 0 ? "" : "\n", settings_scope_name(option->scope));
		scope = (int)option->scope;
		print_option(cli, option);
	}
	if (!json_array_size(list))
		return unknown_key(key);
	if (cli->json) {
		autojson json_t *answer = json_pack("{sO}", "options", list);

		answer_print(answer);
	}
	return CLI_DONE;
}

/* ---- the values in force ---- */

static int from_files(const struct cli *cli, json_t **answer)
{
	autoplace struct place place = { 0 };
	const struct config_problem *problems;
	struct config_set *set;
	struct ten_error err;
	size_t count;

	if (place_find(cli, &place, &err) < 0)
		return cli_fail(CLI_FAILED, "%s", err.text);
	set = load_main(cli, &place);
	count = config_set_problems(set, &problems);
	if (count)
		cli_note("warning: %s has errors (see `ten check`): these are not its settings",
			place.main_path);
	else if (!place.main_exists)
		cli_note("no daemon answers and there is no tenement.toml: these are the defaults");
	*answer = json_pack("{so}", "settings", settings_json(config_set_settings(set)));
	config_set_free(set);
	return CLI_DONE;
}

/* As they would be written. */
static void add_listeners(struct text *out, const json_t *listeners)
{
	json_t *listener, *value;
	const char *name;
	size_t i;

	json_array_foreach (listeners, i, listener) {
		text_printf(out, "%s%s", i ? "\n\n" : "", settings_scope_name(OPTION_LISTENER));
		json_object_foreach (listener, name, value) {
			text_printf(out, "\n%s = ", name);
			settings_add_toml(out, value);
		}
	}
}

static int print_one(const struct cli *cli, const char *key, const json_t *value)
{
	autotext struct text out = { 0 };

	if (!value) {
		if (option_find(OPTION_TENANT, key) || option_find(OPTION_SERVICE, key) ||
			option_find(OPTION_LISTENER, key))
			return cli_fail(CLI_FAILED,
				"%s is not of [settings]; `ten config --all %s` says where it "
				"belongs",
				key, key);
		return unknown_key(key);
	}
	if (cli->json) {
		answer_print(value);
		return CLI_DONE;
	}
	if (json_is_string(value))
		text_puts(&out, json_string_value(value));
	else if (strcmp(key, LISTENER_TABLE) == 0)
		add_listeners(&out, value);
	else if (!json_is_null(value))
		settings_add_toml(&out, value);
	puts(out.data ? out.data : "");
	return CLI_DONE;
}

static void print_all(const struct cli *cli, const json_t *settings)
{
	for (size_t i = 0; i < option_count; i++) {
		const json_t *value = json_object_get(settings, options[i].name);
		autotext struct text out = { 0 };

		if (options[i].scope != OPTION_SETTING || !value)
			continue;
		settings_add_toml(&out, value);
		if (cli->quiet)
			puts(options[i].name);
		else
			printf("%s = %s\n", options[i].name, out.data);
	}
}

int cmd_config(struct cli *cli)
{
	const char *key = cli->args[0];
	autojson json_t *answer = NULL;
	const json_t *settings;
	int code;

	if (cli->flags.value[FLAG_ALL]) {
		code = server_leave_aside(cli, "--all");
		return code ? code : list_options(cli, key);
	}
	code = cli->flags.value[FLAG_SERVER] || client_reachable(cli)
		       ? client_get(cli, "/api/config?files=0", &answer)
		       : from_files(cli, &answer);
	if (code)
		return code;
	settings = json_object_get(answer, "settings");
	if (key)
		return print_one(cli, key, json_object_get(settings, key));
	if (cli->json)
		answer_print(answer);
	else
		print_all(cli, settings);
	return CLI_DONE;
}
