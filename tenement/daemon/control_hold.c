/* What is asked of one tenant's sleep: hold, release, why. */
#include <math.h>

#include "daemon/budget.h"
#include "daemon/control.h"
#include "daemon/endpoints.h"
#include "daemon/describe.h"
#include "daemon/hold.h"
#include "daemon/instance.h"
#include "daemon/schedule.h"
#include "mem.h"

void control_instance_hold(struct control_call *call)
{
	struct instance *instance = call->instance;
	const json_t *seconds = json_object_get(call->body, "seconds");
	json_int_t number = json_integer_value(seconds);
	struct ten_error err = { 0 };

	if (!json_is_integer(seconds) || number < 1 || number > HOLD_SECONDS_MAX) {
		control_refuse(
			call, 422, "seconds is a whole number from 1 to %d", HOLD_SECONDS_MAX);
		return;
	}
	if (instance->wanted_state == TENANT_STOPPED ||
		instance->wanted_state == TENANT_SUSPENDED) {
		control_refuse(call, 422, "%s is %s: it cannot be held awake", instance->key,
			tenant_state_names[instance->wanted_state]);
		return;
	}
	if (hold_set(call->d, instance, number, call->by, &err) < 0) {
		control_refuse(call, 422, "%s", err.text);
		return;
	}
	if (instance->state != INSTANCE_READY && instance->state != INSTANCE_FAILED)
		instance_wake(call->d, instance, "ten hold");
	control_answer(call, 200, describe_instance(call->d, instance));
}

void control_instance_release(struct control_call *call)
{
	struct instance *instance = call->instance;

	if (!hold_release(call->d, instance)) {
		control_refuse(call, 404, "%s is not held", instance->key);
		return;
	}
	control_answer(call, 200, describe_instance(call->d, instance));
}

static void add(json_t *list, char *text)
{
	json_array_append_new(list, json_string(text));
	free(text);
}

static json_t *kept_by(struct daemon *d, struct instance *instance, const struct ten_spec *spec)
{
	json_t *list = json_array();
	struct board_use use;
	const char *by;
	double held = hold_until(d, instance, &by) - daemon_now();

	instance_use(d, instance, &use);
	if (instance->wanted_state == TENANT_RUNNING)
		add(list, mem_strdup("it is declared running"));
	else if (!spec->ladder.frozen && !spec->ladder.stopped)
		add(list, mem_strdup("idle_timeout = 0: it never sleeps"));
	if (schedule_keeps(instance)) {
		autofree char *hours = schedule_hours(instance);

		add(list, mem_printf("its hours (awake), %s", hours));
	}
	if (use.in_flight)
		add(list,
			mem_printf("requests in flight: %llu", (unsigned long long)use.in_flight));
	if (held > 0)
		add(list, mem_printf("a hold by %s, for another %.0f s", by, ceil(held)));
	if (use.upgraded && spec->values.idle_connections == IDLE_CONNECTIONS_KEEP)
		add(list, mem_printf("open upgraded connections: %llu (they keep it from being "
				     "stopped, not from being frozen)",
				  (unsigned long long)use.upgraded));
	return list;
}

static json_t *next_step(const char *to, int64_t after, double idle_for)
{
	double left = (double)after - idle_for;

	return json_pack(
		"{s:s, s:I}", "to", to, "in_secs", (json_int_t)(left > 0 ? ceil(left) : 0));
}

json_t *describe_next_steps(struct daemon *d, struct instance *instance)
{
	const struct ten_spec *spec = instance->spec;
	json_t *list = json_array();
	double idle_for;

	if (!spec || instance->wanted_state != TENANT_ON_DEMAND ||
		(instance->state != INSTANCE_READY && instance->state != INSTANCE_FROZEN))
		return list;
	idle_for = instance_idle_for(d, instance);
	if (spec->ladder.frozen && instance->state == INSTANCE_READY)
		json_array_append_new(list, next_step("frozen", spec->ladder.frozen, idle_for));
	if (spec->ladder.stopped)
		json_array_append_new(list, next_step("stopped", spec->ladder.stopped, idle_for));
	return list;
}

/* Requests that found it asleep and left it so, by reason; reasons that there were. */
static json_t *not_woken_by(struct daemon *d, const struct instance *instance)
{
	json_t *json = json_object();

	for (int why = 0; instance->known && why < BOARD_REFUSALS; why++) {
		const struct board_slot *slot = &d->board->slots[instance->target.slot];
		uint64_t number = atomic_load(&slot->refusals[why]);

		if (number && board_not_woken((enum board_refusal)why))
			json_object_set_new(
				json, board_refusal_names[why], json_integer((json_int_t)number));
	}
	return json;
}

void control_instance_why(struct control_call *call)
{
	struct instance *instance = call->instance;
	struct daemon *d = call->d;
	const struct ten_spec *spec = instance->spec;
	bool up = instance->run != NULL;
	autofree char *waits = budget_waits_for(d, instance);
	const char *reason = waits ? waits : instance->reason ? instance->reason : "";
	json_t *json = json_pack("{s:s, s:s, s:I, s:s}", "id", instance->key, "state",
		instance_state_names[instance->state], "state_secs",
		(json_int_t)(daemon_now() - instance->state_since), "reason", reason);

	json_object_set_new(json, "woken_by",
		instance->woken_by ? json_string(instance->woken_by) : json_null());
	json_object_set_new(json, "woken_secs",
		instance->woken_by ? json_integer((json_int_t)(daemon_now() - instance->woken_at))
				   : json_null());
	json_object_set_new(json, "not_woken_by", not_woken_by(d, instance));
	json_object_set_new(json, "kept_awake_by", up ? kept_by(d, instance, spec) : json_array());
	json_object_set_new(json, "next", up ? describe_next_steps(d, instance) : json_array());
	json_object_set_new(json, "schedule", schedule_describe(instance));
	control_answer(call, 200, json);
}
