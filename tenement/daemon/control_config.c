/* Configuration: apply, diff, check, overrides, history, undo, pause. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "config_path.h"
#include "daemon/budget.h"
#include "daemon/accepted.h"
#include "daemon/apply.h"
#include "daemon/confdir.h"
#include "daemon/control.h"
#include "daemon/control_batch.h"
#include "daemon/endpoints.h"
#include "daemon/describe.h"
#include "daemon/hold.h"
#include "daemon/instance.h"
#include "daemon/override.h"
#include "daemon/owned.h"
#include "daemon/reconcile.h"
#include "daemon/rollout.h"
#include "daemon/settings.h"
#include "mem.h"
#include "wire.h"

/* ---- apply ---- */

static bool named_in(const struct apply *apply, const char *name)
{
	for (size_t i = 0; i < apply->count; i++)
		if (strcmp(apply->files[i].name, name) == 0)
			return true;
	return false;
}

/* The files of the request. False: it was refused. */
static bool take_files(struct control_call *call, struct apply *apply)
{
	json_t *file, *files = json_object_get(call->body, "files");
	size_t i;

	if (files && !json_is_array(files)) {
		control_refuse(
			call, 422, "\"files\" is a list: [{\"name\": \"...\", \"text\": \"...\"}]");
		return false;
	}
	json_array_foreach (files, i, file) {
		const char *name = json_string_value(json_object_get(file, "name"));
		const char *text = json_string_value(json_object_get(file, "text"));

		if (!name || !text || strlen(text) > CONFIG_FILE_MAX || named_in(apply, name)) {
			control_refuse(call, 422,
				"each of \"files\" has a \"name\" of its own and a \"text\" of at "
				"most "
				"64 KiB");
			return false;
		}
		apply_add(apply, name, text);
	}
	if (control_flag(call, "prune")) {
		char **owned = owned_names(call->d);

		for (size_t j = 0; owned && owned[j]; j++)
			if (!named_in(apply, owned[j]))
				apply_add(apply, owned[j], NULL);
		mem_strv_free(owned);
	}
	apply->force = control_flag(call, "force");
	apply->confirm = control_flag(call, "confirm");
	apply->author = mem_printf("apply (%s)", call->by);
	return true;
}

/* False: it was refused. */
static bool carry_out(struct control_call *call, struct apply *apply)
{
	struct ten_error err = { 0 };

	if (apply->count && apply_carry_out(call->d, apply, &err) < 0) {
		control_refuse(call, 422, "%s", err.text);
		return false;
	}
	if (apply->confirm)
		confdir_confirm(call->d);
	control_batch_wait(call, apply, control_timeout(call));
	return true;
}

void control_config_apply(struct control_call *call)
{
	struct apply apply = { 0 };

	if (take_files(call, &apply)) {
		bool may = apply_judge(call->d, &apply);

		if (control_flag(call, "dry_run"))
			control_batch_answer(call, &apply, "dry-run");
		else if (!may)
			control_batch_answer(
				call, &apply, apply.problems ? "rejected" : "conflict");
		else
			carry_out(call, &apply);
	}
	apply_clear(&apply);
}

void control_config_diff(struct control_call *call)
{
	struct apply apply = { 0 };
	char **confirm, **restart_needed;

	if (!json_object_get(call->body, "files")) {
		settings_status(call->d, &confirm, &restart_needed);
		control_answer(call, 200,
			json_pack("{s:o, s:[], s:o, s:o}", "actions",
				apply_pending_actions(call->d), "problems", "confirm",
				describe_strv(confirm), "restart_needed",
				describe_strv(restart_needed)));
		return;
	}
	if (take_files(call, &apply)) {
		apply_judge(call->d, &apply);
		control_answer(call, 200,
			json_pack("{s:O, s:o, s:O, s:o}", "actions", apply.actions, "problems",
				describe_strv(apply.problems), "files", apply.changes, "conflicts",
				describe_strv(apply.conflicts)));
	}
	apply_clear(&apply);
}

/* What is wrong with the files as they are, without a judgement of others. */
static json_t *problems_now(struct daemon *d)
{
	const struct config_problem *problems;
	size_t count = config_set_problems(d->set, &problems);
	json_t *texts = json_array();

	for (size_t i = 0; i < count; i++) {
		autofree char *text = config_problem_text(&problems[i]);

		json_array_append_new(texts, json_string(text));
	}
	return texts;
}

void control_config_check(struct control_call *call)
{
	struct apply apply = { 0 };

	if (!json_object_get(call->body, "files")) {
		control_answer(call, 200, json_pack("{s:o}", "problems", problems_now(call->d)));
		return;
	}
	if (take_files(call, &apply)) {
		apply_judge(call->d, &apply);
		control_answer(
			call, 200, json_pack("{s:o}", "problems", describe_strv(apply.problems)));
	}
	apply_clear(&apply);
}

void control_config_settings(struct control_call *call)
{
	const struct setting_values *values = config_set_settings(call->d->set);
	json_t *json = describe_values(OPTION_SETTING, values), *listeners = json_array();
	char files[8] = "";

	for (size_t i = 0; i < values->listener_count; i++)
		json_array_append_new(
			listeners, describe_values(OPTION_LISTENER, &values->listeners[i]));
	json_object_set_new(json, "listener", listeners);
	json = json_pack("{s:o}", "settings", json);
	control_query(call, "files", files, sizeof(files));
	if (*files != '0')
		control_config_put_files(call->d, json);
	control_answer(call, 200, json);
}

/* ---- overrides, history ---- */

void control_overrides_list(struct control_call *call)
{
	json_t *array = json_array();
	struct override *override, *next;

	hold_prune(call->d);
	HASH_ITER (hh, call->d->overrides, override, next) {
		bool route = override->what == OVERRIDE_SPLIT;
		autofree char *target = mem_printf("%s%s", route ? "route " : "", override->target);
		autofree char *what =
			mem_printf("%s = %s", override_what_names[override->what], override->value);

		json_array_append_new(
			array, json_pack("{s:s, s:s, s:s, s:I, s:s}", "target", target, "what",
				       what, "declared", override->declared, "since",
				       (json_int_t) override->since, "by", override->by));
	}
	control_answer(call, 200, json_pack("{s:o}", "overrides", array));
}

static void clear(struct control_call *call, const char *target)
{
	int cleared;

	if (target && strncmp(target, "route ", 6) == 0)
		target += 6;
	cleared = override_clear(call->d, target);
	if (target && !cleared)
		control_refuse(call, 404, "there is no override of %s: `ten overrides` lists them",
			target);
	else
		control_answer(call, 200, json_pack("{s:i}", "cleared", cleared));
}

void control_overrides_clear(struct control_call *call)
{
	clear(call, NULL);
}

void control_override_clear(struct control_call *call)
{
	clear(call, call->name);
}

void control_history(struct control_call *call)
{
	char limit_text[16];
	int64_t limit = 20;

	if (control_query(call, "limit", limit_text, sizeof(limit_text)) &&
		!wire_number(limit_text, 1, 1000, &limit)) {
		control_refuse(call, 422, "limit is a number from 1 to 1000");
		return;
	}
	control_answer(
		call, 200, json_pack("{s:o}", "history", accepted_history(call->d, (size_t)limit)));
}

/* The texts from before generation NUMBER, if what is there is still what it left. */
static bool take_undo(struct control_call *call, json_t *generation, struct apply *apply)
{
	json_t *file;
	size_t i;

	json_array_foreach (json_object_get(generation, "files"), i, file) {
		const char *name = json_string_value(json_object_get(file, "name"));
		const char *after = json_string_value(json_object_get(file, "after"));
		const char *now;

		if (json_is_true(json_object_get(file, "main"))) {
			control_refuse(call, 422,
				"that generation changed %s, which ten does not write: change it "
				"back "
				"by hand",
				call->d->place.main_path);
			return false;
		}
		now = config_set_text(call->d->set, name, NULL);
		if ((now && after) ? strcmp(now, after) != 0 : now != after) {
			control_refuse(call, 409,
				"%s was changed again since: undo the later generation first",
				name);
			return false;
		}
		apply_add(apply, name, json_string_value(json_object_get(file, "before")));
	}
	return true;
}

void control_undo(struct control_call *call)
{
	json_t *number = json_object_get(call->body, "generation");
	uint64_t wanted = number ? (uint64_t)json_integer_value(number) : call->d->generation;
	json_t *generation = accepted_generation(call->d, wanted);
	struct apply apply = { 0 };

	if (!generation) {
		control_refuse(call, 404, "there is no generation %llu in the history",
			(unsigned long long)wanted);
		return;
	}
	if (take_undo(call, generation, &apply)) {
		/* It was seen what is undone: the files are taken over, removals are meant. */
		apply.force = true;
		apply.author = mem_printf("undo %llu (%s)", (unsigned long long)wanted, call->by);
		if (!apply_judge(call->d, &apply))
			control_batch_answer(call, &apply, "rejected");
		else if (carry_out(call, &apply))
			for (size_t i = 0; i < apply.count; i++)
				confdir_mark_meant(call->d, apply.files[i].name);
	}
	apply_clear(&apply);
	json_decref(generation);
}

void control_pause(struct control_call *call)
{
	struct ten_error err;

	if (reconcile_pause(call->d, control_string(call, "why"), &err) < 0)
		control_refuse(call, 422, "%s", err.text);
	else
		control_answer(call, 200, json_pack("{s:b}", "paused", true));
}

void control_unpause(struct control_call *call)
{
	reconcile_unpause(call->d);
	control_answer(call, 200, json_pack("{s:b}", "paused", false));
}
