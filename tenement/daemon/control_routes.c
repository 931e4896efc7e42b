/* Routes and weights: each answers when every worker has seen the change. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/control.h"
#include "daemon/endpoints.h"
#include "daemon/events.h"
#include "daemon/declare.h"
#include "daemon/describe.h"
#include "daemon/instance.h"
#include "daemon/override.h"
#include "daemon/publish.h"
#include "daemon/reconcile.h"
#include "daemon/wake.h"
#include "mem.h"
#include "names.h"

#define WEIGHT_MAX 10000

struct seen {
	uint64_t generation; /* 0: not sealed yet */
	json_t *answer;
};

static void seen_release(void *data)
{
	struct seen *seen = data;

	json_decref(seen->answer);
	free(seen);
}

static json_t *seen_look(struct daemon *d, void *data, bool time_is_up, int *status)
{
	struct seen *seen = data;

	/* The turn that published is over: what is sealed now has the change in it. */
	if (!seen->generation)
		seen->generation = route_table_generation(d->table);
	if (wake_acknowledged(d, seen->generation)) {
		json_object_set_new(
			seen->answer, "generation", json_integer((json_int_t)seen->generation));
		return json_incref(seen->answer);
	}
	if (!time_is_up)
		return NULL;
	*status = 503;
	return json_pack("{s:s}", "error",
		"the change is published, but not every proxy worker has acknowledged it in time");
}

static json_t *split_json(const struct publish_split *split, size_t count)
{
	json_t *json = json_object();

	for (size_t i = 0; i < count; i++)
		json_object_set_new(json, split[i].id, json_integer(split[i].weight));
	return json;
}

static void answer_when_seen(struct control_call *call, const char *service, json_t *answer)
{
	struct seen *seen = mem_alloc(sizeof(*seen));
	struct publish_split *split;
	const char *source;
	size_t count = publish_split_of(call->d, service, &split, &source);

	json_object_set_new(answer, "split", split_json(split, count));
	publish_split_free(split, count);
	seen->answer = answer;
	control_wait(call, control_timeout(call), seen_look, seen, seen_release);
}

/* Put SPLIT in force for SERVICE, by override or declared. False: refused already. */
static bool put_split(struct control_call *call, const char *service,
	const struct publish_split *split, size_t count)
{
	autofree char *value = override_format_split(split, count);
	autofree char *declared = publish_declared_split(call->d, service);
	struct ten_error err = { 0 };
	int rc;

	if (control_flag(call, "declare")) {
		rc = declare_split(call->d, service, value, call->by, &err);
		if (rc == 0)
			override_clear_one(call->d, service, OVERRIDE_SPLIT);
	} else {
		rc = override_set(
			call->d, service, OVERRIDE_SPLIT, value, declared, call->by, &err);
	}
	if (rc < 0)
		control_refuse(call, err.code == EEXIST ? 409 : 422, "%s", err.text);
	else
		events_note(call->d, EVENT_ROUTE, service, "%s, by %s", value, call->by);
	return rc == 0;
}

static struct publish_split *find(struct publish_split *split, size_t count, const char *id)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(split[i].id, id) == 0)
			return &split[i];
	return NULL;
}

static struct publish_split *find_or_add(
	struct publish_split **split, size_t *count, const char *id)
{
	struct publish_split *part = find(*split, *count, id);

	if (part)
		return part;
	*split = mem_resize(*split, *count + 1, sizeof(**split));
	part = &(*split)[(*count)++];
	*part = (struct publish_split){ mem_strdup(id), 0 };
	return part;
}

/* Whether SERVICE:ID is declared; else the refusal is sent. */
static bool is_declared(struct control_call *call, const char *service, const char *id)
{
	autofree char *key = mem_printf("%s:%s", service, id);
	autofree char *text = NULL;

	if (config_set_instance(call->d->set, key))
		return true;
	text = describe_unknown(call->d, key);
	control_refuse(call, 404, "%s", text);
	return false;
}

/* All of FROM's weight goes to TO; without a route so far, TO gets everything. */
void control_route_move(struct control_call *call)
{
	const char *service = control_string(call, "process");
	const char *from = control_string(call, "from");
	const char *to = control_string(call, "to");
	struct publish_split *split = NULL, *source_part, *target_part;
	const char *source;
	size_t count;
	uint32_t weight;

	if (!service || !from || !to || strcmp(from, to) == 0) {
		control_refuse(call, 422, "\"process\", \"from\" and another id \"to\" are needed");
		return;
	}
	if (!config_set_service(call->d->set, service)) {
		control_refuse(call, 404, "no service \"%s\"", service);
		return;
	}
	if (!is_declared(call, service, from) || !is_declared(call, service, to))
		return;
	count = publish_split_of(call->d, service, &split, &source);
	source_part = find(split, count, from);
	if (count && (!source_part || !source_part->weight)) {
		publish_split_free(split, count);
		control_refuse(
			call, 422, "%s:%s gets no traffic now: nothing to move", service, from);
		return;
	}
	weight = source_part ? source_part->weight : 100;
	if (source_part)
		source_part->weight = 0;
	target_part = find_or_add(&split, &count, to);
	target_part->weight += weight;
	if (target_part->weight > WEIGHT_MAX)
		target_part->weight = WEIGHT_MAX;
	if (put_split(call, service, split, count))
		answer_when_seen(call, service, json_pack("{s:s}", "process", service));
	publish_split_free(split, count);
}

/* Where `balance` shares the traffic the weight is the instance's; where a route does, the route's.
 */
void control_instance_weight(struct control_call *call)
{
	struct instance *instance = call->instance;
	const json_t *number = json_object_get(call->body, "weight");
	json_int_t weight = json_integer_value(number);
	const char *service = instance->spec->service_name;
	struct publish_split *split = NULL;
	const char *source;
	size_t count;
	bool done = false;

	if (!json_is_integer(number) || weight < 0 || weight > WEIGHT_MAX) {
		control_refuse(call, 422, "weight is a whole number from 0 to %d", WEIGHT_MAX);
		return;
	}
	count = publish_split_of(call->d, service, &split, &source);
	if (!source) {
		control_refuse(call, 422,
			"no traffic is shared out for %s: declare [route.%s], or set balance = "
			"true",
			service, service);
	} else if (strcmp(source, "balance") == 0 && !control_flag(call, "declare")) {
		autofree char *value = mem_printf("%" PRId64, (int64_t)weight);
		autofree char *declared = mem_printf("%" PRId64, instance->spec->values.weight);
		struct ten_error err = { 0 };

		done = override_set(call->d, instance->key, OVERRIDE_WEIGHT, value, declared,
			       call->by, &err) == 0;
		instance->wanted_weight = (uint32_t)weight;
		reconcile_mark_route(call->d, service);
		if (!done)
			control_refuse(call, 422, "%s", err.text);
		else
			events_note(call->d, EVENT_ROUTE, service, "%s=%s, by %s",
				instance->spec->id, value, call->by);
	} else {
		find_or_add(&split, &count, instance->spec->id)->weight = (uint32_t)weight;
		done = put_split(call, service, split, count);
	}
	publish_split_free(split, count);
	if (done)
		answer_when_seen(call, service,
			json_pack("{s:s, s:I}", "instance", instance->key, "weight", weight));
}

struct listing {
	struct daemon *d;
	json_t *routes;
};

static void list_one(void *data, const char *service)
{
	struct listing *listing = data;
	struct publish_split *split;
	const char *source;
	size_t count = publish_split_of(listing->d, service, &split, &source);
	autofree char *host = names_host_make(NULL, service, listing->d->domain);

	if (source)
		json_array_append_new(listing->routes,
			json_pack("{s:s, s:s, s:o, s:s, s:s}", "process", service, "host", host,
				"split", split_json(split, count), "source", source, "sticky",
				sticky_names[publish_sticky_of(listing->d, service)]));
	publish_split_free(split, count);
}

void control_routes_list(struct control_call *call)
{
	struct listing listing = { call->d, json_array() };

	config_set_each_service(call->d->set, list_one, &listing);
	control_answer(call, 200, json_pack("{s:o}", "routes", listing.routes));
}
