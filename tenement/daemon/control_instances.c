/* /api/instances and what is done to one instance. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/control.h"
#include "daemon/endpoints.h"
#include "daemon/declare.h"
#include "daemon/describe.h"
#include "daemon/health.h"
#include "daemon/instance.h"
#include "daemon/log_tail.h"
#include "daemon/override.h"
#include "daemon/reconcile.h"
#include "daemon/rollout.h"
#include "daemon/storage.h"
#include "mem.h"
#include "text.h"

#define LOG_LINES       10
#define LOG_LINES_BYTES 16384
#define LOG_SECONDS     2. /* it is waited for the disk that they are on */

static bool is_up(enum instance_state state)
{
	return state != INSTANCE_ASLEEP && state != INSTANCE_STOPPED &&
	       state != INSTANCE_SUSPENDED && state != INSTANCE_FAILED;
}

static int compare_keys(const void *a, const void *b)
{
	const struct instance *const *left = a, *const *right = b;

	return strcmp((*left)->key, (*right)->key);
}

/* JSON's text, which is released. False: it has none, as what is not UTF-8. */
static bool add_json(struct text *out, json_t *json)
{
	autofree char *text = json_dumps(json, JSON_COMPACT | JSON_REAL_PRECISION(15));

	json_decref(json);
	if (text)
		text_puts(out, text);
	return text != NULL;
}

void control_instances_list(struct control_call *call)
{
	struct daemon *d = call->d;
	size_t room = HASH_COUNT(d->instances), count = 0;
	autofree struct instance **sorted = mem_alloc((room + 1) * sizeof(struct instance *));
	struct instance *instance, *next;
	autotext struct text out = { 0 };
	char all[8] = "", brief[8] = "";

	control_query(call, "all", all, sizeof(all));
	control_query(call, "brief", brief, sizeof(brief));
	HASH_ITER (hh, d->instances, instance, next) {
		if (instance->known && principal_sees(&call->who, instance) &&
			(*all == '1' || is_up(instance->state)))
			sorted[count++] = instance;
	}
	if (count)
		qsort(sorted, count, sizeof(*sorted), compare_keys);
	/* One by one: as a tree, all of them are many times as large as their text. */
	text_puts(&out, "[");
	for (size_t i = 0; i < count; i++) {
		text_puts(&out, i ? "," : "");
		if (!add_json(&out, *brief == '1' ? describe_instance_brief(d, sorted[i])
						  : describe_instance(d, sorted[i]))) {
			control_refuse(call, 500, "%s cannot be told in UTF-8", sorted[i]->key);
			return;
		}
	}
	text_puts(&out, "]\n");
	control_answer_text(call, "application/json", &out);
}

/* ---- waiting for a tenant to get somewhere ---- */

struct goal {
	char *key;
	bool up;       /* ready; else: without a process */
	pid_t not_pid; /* a restart, or a stop, is over when it is another process */
	json_t *extra; /* put into the answer */
};

static void goal_release(void *data)
{
	struct goal *goal = data;

	json_decref(goal->extra);
	free(goal->key);
	free(goal);
}

/* What tooling knows of a tenant that was just started: beside all else in JSON. */
static void put_started(json_t *json, const char *key)
{
	json_object_set_new(json, "instance", json_string(key));
	if (!json_is_string(json_object_get(json, "socket")))
		json_object_set_new(json, "socket", json_string(""));
}

static json_t *goal_look(struct daemon *d, void *data, bool time_is_up, int *status)
{
	struct goal *goal = data;
	struct instance *instance = instance_find(d, goal->key);
	bool busy, reached;
	json_t *answer;

	if (!instance) {
		answer = json_pack("{s:s, s:s}", "id", goal->key, "state", "gone");
		if (goal->extra)
			json_object_update(answer, goal->extra);
		return answer;
	}
	busy = instance->in_dirty || instance->told_to_restart || instance->told_to_stop ||
	       (instance->wanted_awake && instance->state != INSTANCE_SUSPENDED &&
		       instance->state != INSTANCE_STOPPED);
	if (goal->up)
		reached = (instance->state == INSTANCE_READY &&
				  (!goal->not_pid || instance->run->pid != goal->not_pid)) ||
			  (!busy && (instance->state == INSTANCE_FAILED ||
					    instance->state == INSTANCE_STOPPED ||
					    instance->state == INSTANCE_SUSPENDED));
	else
		/* Under load it may be up again before anybody has looked. */
		reached = (!busy && !is_up(instance->state)) ||
			  (goal->not_pid && instance->run && instance->run->pid != goal->not_pid);
	if (!reached && !time_is_up)
		return NULL;
	answer = describe_instance(d, instance);
	if (goal->up)
		put_started(answer, goal->key);
	if (goal->extra)
		json_object_update(answer, goal->extra);
	if (!reached)
		json_object_set_new(answer, "timeout", json_true());
	*status = 200;
	return answer;
}

static void wait_for(
	struct control_call *call, const char *key, bool up, pid_t not_pid, json_t *extra)
{
	struct goal *goal = mem_alloc(sizeof(*goal));

	goal->key = mem_strdup(key);
	goal->up = up;
	goal->not_pid = not_pid;
	goal->extra = extra;
	control_wait(call, control_timeout(call), goal_look, goal, goal_release);
}

/* ---- what is done ---- */

static int set_state(struct control_call *call, struct instance *instance, const char *state)
{
	const char *declared = tenant_state_names[instance->spec->tenant.state];
	struct ten_error err = { 0 };
	int rc;

	if (control_flag(call, "declare")) {
		rc = declare_state(call->d, instance->key, state, call->by, &err);
		if (rc == 0)
			override_clear_one(call->d, instance->key, OVERRIDE_STATE);
	} else {
		rc = override_set(
			call->d, instance->key, OVERRIDE_STATE, state, declared, call->by, &err);
	}
	if (rc < 0)
		control_refuse(call, err.code == EEXIST ? 409 : 422, "%s", err.text);
	return rc;
}

/* Whether it may not run, whoever asks; then that is said. */
static bool is_full(struct control_call *call, const struct instance *instance)
{
	autofree char *why = storage_stops(instance->spec) ? storage_reason(instance) : NULL;

	if (why)
		control_refuse(call, 422, "%s: %s", instance->key, why);
	return why != NULL;
}

void control_instance_start(struct control_call *call)
{
	struct instance *instance = call->instance;

	if (instance->wanted_state == TENANT_SUSPENDED && call->who.scope != SCOPE_ALL) {
		control_refuse(call, 403, "%s is suspended: %s does not lift that", instance->key,
			call->who.name);
		return;
	}
	if (is_full(call, instance))
		return;
	/* What was stopped by hand goes back to what is declared; what is declared down is lifted.
	 */
	if (instance->wanted_state == TENANT_STOPPED ||
		instance->wanted_state == TENANT_SUSPENDED) {
		bool declared_down = instance->spec->tenant.state == TENANT_STOPPED ||
				     instance->spec->tenant.state == TENANT_SUSPENDED;

		if (set_state(call, instance,
			    declared_down ? "running"
					  : tenant_state_names[instance->spec->tenant.state]) < 0)
			return;
	}
	if (instance->state == INSTANCE_FAILED)
		instance->told_to_restart = true;
	else if (instance->state == INSTANCE_BACKOFF)
		instance->time_is_up = true;
	else if (instance->state != INSTANCE_READY)
		instance_wake(call->d, instance, "ten start");
	instance_mark(call->d, instance);
	wait_for(call, instance->key, true, 0, NULL);
}

/* False: it was refused. */
static bool stop(struct control_call *call, struct instance *instance)
{
	if (instance->wanted_state == TENANT_RUNNING && set_state(call, instance, "stopped") < 0)
		return false;
	instance->wanted_awake = false;
	if (is_up(instance->state))
		instance->told_to_stop = true;
	instance_mark(call->d, instance);
	return true;
}

void control_instance_stop(struct control_call *call)
{
	struct instance *instance = call->instance;

	if (stop(call, instance))
		wait_for(call, instance->key, false, instance->run ? instance->run->pid : 0, NULL);
}

/* The same answer as ever, but that it is none. */
static json_t *gone_look(struct daemon *d, void *data, bool time_is_up, int *status)
{
	json_t *answer = goal_look(d, data, time_is_up, status);

	if (!answer)
		return NULL;
	if (json_object_get(answer, "timeout")) {
		json_decref(answer);
		*status = 504;
		return json_pack("{s:s}", "error", "it is still going down");
	}
	*status = 204;
	return answer;
}

void control_instance_delete(struct control_call *call)
{
	struct instance *instance = call->instance;
	struct goal *goal;

	if (!stop(call, instance))
		return;
	goal = mem_alloc(sizeof(*goal));
	goal->key = mem_strdup(instance->key);
	goal->not_pid = instance->run ? instance->run->pid : 0;
	control_wait(call, control_timeout(call), gone_look, goal, goal_release);
}

void control_instance_restart(struct control_call *call)
{
	struct instance *instance = call->instance;
	pid_t old = instance->run ? instance->run->pid : 0;

	if (is_full(call, instance))
		return;
	if (instance->wanted_state == TENANT_STOPPED ||
		instance->wanted_state == TENANT_SUSPENDED) {
		control_refuse(call, 422, "%s is %s: `ten start` or `ten resume` it", instance->key,
			tenant_state_names[instance->wanted_state]);
		return;
	}
	if (is_up(instance->state) || instance->state == INSTANCE_FAILED)
		instance->told_to_restart = true;
	else
		instance_wake(call->d, instance, "ten restart");
	instance->wake_cause = "ten restart";
	instance_mark(call->d, instance);
	wait_for(call, instance->key, true, old, NULL);
}

void control_instance_suspend(struct control_call *call)
{
	struct instance *instance = call->instance;

	if (set_state(call, instance, "suspended") == 0)
		wait_for(call, instance->key, false, 0, NULL);
}

struct settled {
	char *key;
	enum tenant_state wanted;
};

static void settled_release(void *data)
{
	struct settled *settled = data;

	free(settled->key);
	free(settled);
}

static json_t *settled_look(struct daemon *d, void *data, bool time_is_up, int *status)
{
	struct settled *settled = data;
	struct instance *instance = instance_find(d, settled->key);

	(void)status;
	if (!instance)
		return json_object();
	if (!time_is_up && (instance->in_dirty || instance->state == INSTANCE_SUSPENDED))
		return NULL;
	return describe_instance(d, instance);
}

void control_instance_resume(struct control_call *call)
{
	struct instance *instance = call->instance;
	struct settled *settled;
	bool declared = instance->spec->tenant.state == TENANT_SUSPENDED;

	if (instance->wanted_state != TENANT_SUSPENDED &&
		!(declared && control_flag(call, "declare"))) {
		control_refuse(call, 422, "%s is not suspended", instance->key);
		return;
	}
	if (set_state(call, instance,
		    declared ? "on-demand" : tenant_state_names[instance->spec->tenant.state]) < 0)
		return;
	settled = mem_alloc(sizeof(*settled));
	settled->key = mem_strdup(instance->key);
	control_wait(call, control_timeout(call), settled_look, settled, settled_release);
}

void control_instance_undeclare(struct control_call *call)
{
	struct instance *instance = call->instance;
	autofree char *file = NULL;
	autofree char *key = mem_strdup(instance->key);
	autofree char *dir = mem_strdup(instance->spec->dir);
	struct ten_error err = { 0 };

	if (declare_remove(call->d, key, call->by, &file, &err) < 0) {
		control_refuse(call, 409, "%s", err.text);
		return;
	}
	wait_for(call, key, false, 0, json_pack("{s:s, s:s}", "removed", file, "data", dir));
}

void control_instance_spawn(struct control_call *call)
{
	const char *service = control_string(call, "process");
	const char *id = control_string(call, "id");
	autofree char *key = NULL;
	autofree char *file = NULL;
	struct ten_error err = { 0 };

	if (!service || !id) {
		control_refuse(call, 422, "\"process\" and \"id\" say what to spawn");
		return;
	}
	if (declare_tenant(call->d, service, id, call->by, &file, &err) < 0) {
		control_refuse(call,
			err.code == EEXIST   ? 409
			: err.code == ENOENT ? 404
					     : 422,
			"%s", err.text);
		return;
	}
	key = mem_printf("%s:%s", service, id);
	reconcile_mark_instance(call->d, key);
	instance_wake(call->d, instance_find(call->d, key), "ten spawn");
	wait_for(call, key, true, 0, json_pack("{s:s, s:s}", "instance", key, "file", file));
}

/* One instance, with its last lines, which are asked of another process. */
struct showing {
	char *key;
	bool secrets;
	enum describe_files files;
	struct log_tail *tail; /* NULL: they are not wanted */
};

static json_t *showing_look(struct daemon *d, void *data, bool time_is_up, int *status)
{
	struct showing *showing = data;
	struct instance *instance = instance_find(d, showing->key);
	const struct ten_spec *spec;
	json_t *json;

	if (!instance) {
		autofree char *text = describe_unknown(d, showing->key);

		*status = 404;
		return json_pack("{s:s}", "error", text);
	}
	if (showing->tail && !log_tail_is_there(showing->tail) && !time_is_up)
		return NULL;
	json = describe_instance_whole(d, instance, showing->secrets);
	spec = config_set_instance(d->set, showing->key);
	if (spec || instance->spec)
		json_object_set_new(json, "spec",
			describe_spec(d, spec ? spec : instance->spec, showing->files));
	if (showing->tail)
		json_object_set_new(json, "log", log_tail_lines(showing->tail, LOG_LINES_BYTES));
	return json;
}

static void showing_release(void *data)
{
	struct showing *showing = data;

	if (showing->tail)
		log_tail_free(showing->tail);
	free(showing->key);
	free(showing);
}

void control_instance_show(struct control_call *call)
{
	struct showing *showing = mem_alloc(sizeof(*showing));
	char secrets[8] = "", log[8] = "";

	control_query(call, "secrets", secrets, sizeof(secrets));
	control_query(call, "log", log, sizeof(log));
	showing->key = mem_strdup(call->instance->key);
	showing->secrets = control_is_own(call) && *secrets == '1';
	/* (files may say more than what is about this one) */
	showing->files = call->who.scope == SCOPE_ALL ? DESCRIBE_FILES : DESCRIBE_NO_FILES;
	if (showing->secrets)
		control_write_down(call);
	if (*log != '0')
		showing->tail = log_tail_ask(call->d, showing->key, LOG_LINES);
	control_wait(call, LOG_SECONDS, showing_look, showing, showing_release);
}

void control_instance_storage(struct control_call *call)
{
	struct instance *instance = call->instance;

	control_answer(call, 200, storage_describe(instance));
}

void control_instance_health(struct control_call *call)
{
	struct instance *instance = call->instance;

	control_answer(call, 200,
		json_pack("{s:s, s:s}", "instance", instance->key, "health",
			health_name(instance->run)));
}
