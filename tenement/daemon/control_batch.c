#include "daemon/control_batch.h"

#include <stdlib.h>
#include <string.h>

#include "config_path.h"
#include "daemon/budget.h"
#include "daemon/confdir.h"
#include "daemon/describe.h"
#include "daemon/instance.h"
#include "daemon/rollout.h"
#include "mem.h"

struct batch {
	json_t *changes, *actions;
	char **instances;
	uint64_t generation; /* before it */
	bool nothing;        /* no file differs */
};

static void batch_release(void *data)
{
	struct batch *batch = data;

	json_decref(batch->changes);
	json_decref(batch->actions);
	mem_strv_free(batch->instances);
	free(batch);
}

/* Whether KEY is as declared: asleep counts. What is not and will not be is told in UNREADY. */
static bool is_settled(struct daemon *d, const char *key, json_t *unready)
{
	const struct instance *instance = instance_find(d, key);
	autofree char *waits = NULL;
	bool changed;

	if (!instance)
		return true;
	waits = budget_waits_for(d, instance);
	changed = instance->run && instance->spec &&
		  instance->run->restart_hash != instance->spec->restart_hash;
	if (changed && !instance->in_dirty && rollout_holds(d, instance)) {
		autofree char *why = rollout_describe(d, instance->spec->service_name);

		json_array_append_new(unready, json_pack("{s:s, s:s, s:s}", "instance", key,
						       "state", "as before", "reason", why));
		return true;
	}
	if (instance->state == INSTANCE_FAILED || instance->state == INSTANCE_BACKOFF || waits) {
		json_array_append_new(
			unready, json_pack("{s:s, s:s, s:s}", "instance", key, "state",
					 instance_state_names[instance->state], "reason",
					 waits              ? waits
					 : instance->reason ? instance->reason
							    : ""));
		return true;
	}
	return !instance->in_dirty && !changed && !instance->rolling &&
	       instance->state != INSTANCE_STARTING && instance->state != INSTANCE_DRAINING &&
	       instance->state != INSTANCE_STOPPING &&
	       !(instance->spec && instance->wanted_state == TENANT_RUNNING &&
		       instance->state == INSTANCE_ASLEEP);
}

/* Whether what is held is of this batch: others' removals are not its business. */
static bool holds_batch(const struct confdir_status *state, const struct batch *batch)
{
	json_t *change;
	size_t i;

	json_array_foreach (batch->changes, i, change) {
		const char *name = json_string_value(json_object_get(change, "name"));

		for (size_t j = 0; state->held_files && state->held_files[j]; j++)
			if (strcmp(state->held_files[j], name) == 0)
				return true;
	}
	return state->held && json_array_size(batch->changes) == 0;
}

/* What is wrong with the batch's files as they were judged when they were there: something else may
 * have changed meanwhile. */
static json_t *problems_of_batch(struct daemon *d, const struct batch *batch)
{
	const struct config_problem *problems;
	size_t count = config_set_problems(d->set, &problems);
	json_t *texts = json_array(), *change;
	size_t i;

	for (size_t p = 0; p < count; p++) {
		const char *base = config_path_name(problems[p].file);

		json_array_foreach (batch->changes, i, change) {
			autofree char *text = NULL;

			if (strcmp(json_string_value(json_object_get(change, "name")), base) != 0)
				continue;
			text = config_problem_text(&problems[p]);
			json_array_append_new(texts, json_string(text));
		}
	}
	return texts;
}

static json_t *batch_look(struct daemon *d, void *data, bool time_is_up, int *status)
{
	struct batch *batch = data;
	struct confdir_status state;
	json_t *unready = json_array();
	bool settled = true;
	const char *outcome = "converged";
	json_t *problems;

	(void)status;
	confdir_status(d, &state);
	for (size_t i = 0; batch->instances && batch->instances[i]; i++)
		settled = is_settled(d, batch->instances[i], unready) && settled;
	if (holds_batch(&state, batch))
		outcome = "held";
	else if (state.waiting || !settled)
		outcome = "timeout";
	if (strcmp(outcome, "timeout") == 0 && !time_is_up) {
		json_decref(unready);
		return NULL;
	}
	problems = problems_of_batch(d, batch);
	if (json_array_size(problems))
		outcome = "rejected";
	return json_pack("{s:s, s:I, s:O, s:O, s:o, s:[], s:o}", "outcome", outcome, "generation",
		(json_int_t)d->generation, "files", batch->changes, "actions", batch->actions,
		"problems", problems, "conflicts", "unready", unready);
}

void control_batch_wait(struct control_call *call, struct apply *apply, double seconds)
{
	struct batch *batch = mem_alloc(sizeof(*batch));

	batch->changes = json_incref(apply->changes);
	batch->actions = json_incref(apply->actions);
	batch->instances = mem_steal(&apply->instances);
	control_wait(call, seconds, batch_look, batch, batch_release);
}

void control_batch_answer(struct control_call *call, const struct apply *apply, const char *outcome)
{
	control_answer(call, 200,
		json_pack("{s:s, s:I, s:O, s:O, s:o, s:o, s:[]}", "outcome", outcome, "generation",
			(json_int_t)call->d->generation, "files", apply->changes, "actions",
			apply->actions, "problems", describe_strv(apply->problems), "conflicts",
			describe_strv(apply->conflicts), "unready"));
}
